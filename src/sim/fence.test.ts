/** Every way in which the world outside could get into a run, each tried twice: found out, or the same both times, or not seen. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { randomBytes, webcrypto } from "node:crypto"
import { hrtime } from "node:process"
import { setTimeout as nodeTimeout } from "node:timers"
import { Clock, Effect, Exit, Hash, HashMap, Queue, Random, Schedule } from "effect"
import { Random as RandomBytes } from "../io/random.ts"
import { Leak } from "./fence.ts"
import { Stuck, World } from "./world.ts"

/** What a program gives in a world: its value as text, or the name of what ended the run. */
const outcomeOf = (program: Effect.Effect<unknown>): string => {
  try {
    const exit = new World(1).run(program)
    return Exit.isSuccess(exit) ? `value ${JSON.stringify(exit.value)}` : `failure ${exit.cause.toString()}`
  } catch (error) {
    if (error instanceof Leak) return "Leak"
    return error instanceof Stuck ? "Stuck" : `error ${String(error)}`
  }
}

const clocks: Readonly<Record<string, () => unknown>> = {
  "Date.now": () => Date.now(),
  "new Date": () => new Date(),
  Date: () => Date(),
  "performance.now": () => performance.now(),
  "performance.mark": () => performance.mark("x"),
  "process.hrtime": () => process.hrtime(),
  "process.hrtime.bigint": () => process.hrtime.bigint(),
  "process.uptime": () => process.uptime(),
  "process.cpuUsage": () => process.cpuUsage(),
  "Bun.nanoseconds": () => Bun.nanoseconds()
}

const chance: Readonly<Record<string, () => unknown>> = {
  "Math.random": () => Math.random(),
  "crypto.getRandomValues": () => crypto.getRandomValues(new Uint8Array(8)),
  "crypto.randomUUID": () => crypto.randomUUID(),
  "webcrypto of node:crypto": () => webcrypto.getRandomValues(new Uint8Array(8)),
  "Bun.randomUUIDv7": () => Bun.randomUUIDv7(),
  "Hash.random": () => Hash.random({})
}

const doors: Readonly<Record<string, () => unknown>> = {
  setTimeout: () => setTimeout(() => {}, 1),
  setInterval: () => setInterval(() => {}, 1),
  setImmediate: () => setImmediate(() => {}),
  queueMicrotask: () => queueMicrotask(() => {}),
  "process.nextTick": () => process.nextTick(() => {}),
  "Bun.sleep": () => Bun.sleep(1),
  "Bun.sleepSync": () => Bun.sleepSync(1),
  fetch: () => fetch("http://localhost:1"),
  Worker: () => new Worker("x.ts"),
  "Bun.listen": () => Bun.listen({ hostname: "localhost", port: 0, socket: { data: () => {} } }),
  "Bun.connect": () => Bun.connect({ hostname: "localhost", port: 1, socket: { data: () => {} } }),
  "Bun.serve": () => Bun.serve({ port: 0, fetch: () => new Response("") }),
  "Bun.udpSocket": () => Bun.udpSocket({}),
  "Bun.spawn": () => Bun.spawn(["true"]),
  "Bun.spawnSync": () => Bun.spawnSync(["true"])
}

describe("what reads a clock, draws by chance or opens a door is a Leak, though whoever did it survives that:", () => {
  for (const [name, leak] of Object.entries({ ...clocks, ...chance, ...doors }))
    test(name, () => {
      for (let i = 0; i < 2; i++) expect(outcomeOf(Effect.ignoreCause(Effect.sync(leak)))).toBe("Leak")
    })

  test("chance within Effect that is not the world's: Random, jitter, the ids of spans", () => {
    const jittered = Effect.repeat(Effect.void, { schedule: Schedule.jittered(Schedule.spaced(100)), times: 2 })
    const span = Effect.withSpan(Effect.map(Effect.currentSpan, ({ spanId }) => spanId), "x")
    for (const leak of [Random.next, jittered, span])
      for (let i = 0; i < 2; i++) expect(outcomeOf(Effect.ignoreCause(leak))).toBe("Leak")
  })

  test("and afterwards it works again", () => {
    for (const read of Object.values({ ...clocks, ...chance })) expect(read()).toBeDefined()
    clearTimeout(setTimeout(() => {}, 1))
    expect(new Date(0).getTime()).toBe(0)
  })
})

describe("what settles through a promise leaves the run Stuck:", () => {
  const promises: Readonly<Record<string, Effect.Effect<unknown>>> = {
    "Effect.promise": Effect.promise(() => Promise.resolve(1)),
    "a callback that comes later": Effect.callback<void>((resume) => void Promise.resolve().then(() => resume(Effect.void))),
    "a run within the run": Effect.promise(() => Effect.runPromise(Effect.succeed(1))),
    "Bun.file": Effect.promise(() => Bun.file(import.meta.path).text()),
    "crypto.subtle": Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(1)))
  }
  for (const [name, program] of Object.entries(promises))
    test(name, () => {
      for (let i = 0; i < 2; i++) expect(outcomeOf(program)).toBe("Stuck")
    })

  test("a deadlock too", () => expect(outcomeOf(Effect.never)).toBe("Stuck"))
})

describe("what the world gives is the same in every run:", () => {
  const given: Readonly<Record<string, () => Effect.Effect<unknown>>> = {
    "the clock": () => Effect.andThen(Effect.sleep(7), Clock.currentTimeMillis),
    "random bytes": () => Effect.map(RandomBytes, (bytes) => bytes(16).toHex()),
    "a date from a number": () => Effect.sync(() => new Date(1e12).toISOString()),
    SQLite: () => Effect.sync(() => new Database(":memory:").query("SELECT 1 + 1 AS two").get()),
    "a map by identity": () => Effect.sync(() => HashMap.size(HashMap.make([{}, 1], [{}, 2]))),
    "a queue from outside": () => {
      const queue = Effect.runSync(Queue.unbounded<number>())
      return Effect.andThen(Queue.offer(queue, 1), Queue.take(queue))
    }
  }
  for (const [name, make] of Object.entries(given))
    test(name, () => {
      const first = outcomeOf(make())
      expect([first.startsWith("value "), outcomeOf(make())]).toEqual([true, first])
    })
})

test("what no fence can see is kept out by the rule in test/tidy.test.ts; if this fails, the rule can go", () => {
  const sql = (text: string) => (): unknown => new Database(":memory:").query(`SELECT ${text} AS value`).get()
  const unseen: ReadonlyArray<() => unknown> = [
    () => randomBytes(8).toHex(),
    () => hrtime(),
    () => clearTimeout(nodeTimeout(() => {}, 1)),
    sql("hex(randomblob(8))"),
    sql("datetime('now')")
  ]
  for (const leak of unseen) expect(outcomeOf(Effect.sync(leak))).not.toBe("Leak")
  expect(outcomeOf(Effect.sync(unseen[0]!))).not.toBe(outcomeOf(Effect.sync(unseen[0]!)))
  expect(outcomeOf(Effect.sync(unseen[3]!))).not.toBe(outcomeOf(Effect.sync(unseen[3]!)))
})
