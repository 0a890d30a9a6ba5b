/** The explorer itself: that it sees every order, that what it leaves out shows nothing new, and what it needs to find a race. */
import { describe, expect, test } from "bun:test"
import { Deferred, Effect } from "effect"
import { Actor } from "../../actors/actor.ts"
import { type Dice, makeDice } from "./dice.ts"
import { type Exploration, explore, type ExploreStrategy, type Findings, formatChoices, replay } from "./explore.ts"
import { Random } from "../io/random.ts"
import { cell, quiet, signal, together, touch, tracked, watching } from "./footprint.ts"

const exhaustive: ExploreStrategy = { kind: "exhaustive" }
const reduced: ExploreStrategy = { kind: "exhaustive", reduce: true }
const bound = { runs: 20_000 }

/** How runs ended, whatever their order. */
const endsOf = ({ outcomes }: Findings): ReadonlyArray<string> => [...outcomes.keys()].sort()

/** A fiber of so many steps, each on the cell. */
const steps = (count: number, on: { readonly update: (f: (n: number) => number) => Effect.Effect<number> }) =>
  Effect.forEach(
    Array.from({ length: count }),
    (_, i) => (i === 0 ? on.update((n) => n + 1) : Effect.andThen(Effect.yieldNow, on.update((n) => n + 1))),
    { discard: true }
  )

type Pair = { readonly _tag: "Note"; readonly n: number } | { readonly _tag: "Pass"; readonly n: number }

/** An actor that keeps what it hears and passes some of it on. */
const listener = (name: string, pass: (n: number) => void = () => {}) => {
  const heard: Array<number | string> = []
  const actor = new Actor<undefined, Pair>(
    {
      name,
      inboxMax: 8,
      overflow: { Note: "refuse", Pass: "refuse" },
      open: Effect.succeed(undefined),
      step: (_, message) => {
        heard.push(message.n)
        if (message._tag === "Pass") pass(message.n)
      },
      lingerTurns: 1,
      settle: () => void heard.push("settled")
    },
    watching
  )
  return { heard, actor }
}

describe("every order is seen", () => {
  const apart = () => together({ a: steps(2, cell("a", 0)), b: steps(2, cell("b", 0)), c: steps(2, cell("c", 0)) })

  test("once: three fibers of two steps have 6! / 2³ orders; if nothing is shared, one of them is enough", () => {
    expect(explore({ program: apart, bound, strategy: exhaustive })).toMatchObject({ runs: 90, cut: 0, complete: true })
    const few = explore({ program: apart, bound, strategy: reduced })
    expect([few.runs, few.complete]).toEqual([1, true])
  })

  test("of steps that write one cell all orders count; reading it does not", () => {
    const one = cell("one", 0)
    const writers = () => together({ a: steps(2, one), b: steps(2, one) })
    expect(explore({ program: writers, bound, strategy: reduced }).runs).toBe(6)
    const readers = () => together({ a: one.get, b: one.get, c: one.get })
    expect(explore({ program: readers, bound, strategy: reduced }).runs).toBe(1)
  })

  test("of timers that are due at one instant, and of what they wake", () => {
    const program = () => {
      const log = cell<ReadonlyArray<string>>("log", [])
      const after = (name: string, ms: number) =>
        Effect.andThen(Effect.sleep(ms), log.update((all) => [...all, name]))
      return Effect.andThen(together({ a: after("a", 5), b: after("b", 5), c: after("c", 6) }), log.get)
    }
    for (const strategy of [exhaustive, reduced]) {
      const { outcomes, complete } = explore({ program, bound, strategy })
      expect([[...outcomes.keys()].sort(), complete]).toEqual([['["a","b","c"]', '["b","a","c"]'], true])
    }
  })

  test("the bounds hold: runs, steps of one run; what was left out is said", () => {
    const some = explore({ program: apart, bound: { runs: 7 }, strategy: exhaustive })
    expect(some).toMatchObject({ runs: 7, complete: false })
    const endless = () => Effect.forever(Effect.yieldNow)
    const found = explore({ program: endless, bound: { runs: 7, steps: 50 }, strategy: exhaustive })
    expect(found).toMatchObject({ runs: 0, deep: 1, complete: false })
  })

  test("a wait for ever is a failure", () => {
    const program = () => {
      const [a, b] = [signal("a"), signal("b")]
      return together({ a: Effect.andThen(a.wait, b.set), b: Effect.andThen(b.wait, a.set) })
    }
    expect(explore({ program, bound, strategy: reduced }).first?.message).toContain("nothing can run")
  })

  test("a program that remembers the run before is refused", () => {
    let runs = 0
    const program = () => (runs++ === 0 ? apart() : together({ a: steps(2, cell("a", 0)), b: Effect.sleep(1) }))
    expect(() => explore({ program, bound, strategy: exhaustive })).toThrow("not the same in every run")
  })
})

describe("every order counts", () => {
  const orders = (program: () => Effect.Effect<unknown>) => {
    const [all, few] = [exhaustive, reduced].map((strategy) => explore({ program, bound, strategy }))
    expect([all!.complete, few!.complete, endsOf(few!)]).toEqual([true, true, endsOf(all!)])
    return few!.outcomes.size
  }

  test("of messages to one actor, also when it is awake, and of a message and the end of a batch", () => {
    const telling = (count: number) => () =>
      Effect.gen(function* () {
        const { actor, heard } = listener("one")
        yield* Effect.forkDetach(actor.run, { startImmediately: true })
        const tell = (n: number) => Effect.sync(() => actor.tell({ _tag: "Note", n }))
        yield* together(Object.fromEntries(Array.from({ length: count }, (_, n) => [`teller ${n}`, tell(n)])))
        yield* quiet
        return heard
      })
    expect(orders(telling(2))).toBe(4)
    expect(orders(telling(3))).toBe(24)
  })

  test("of an interruption and what is interrupted", () => {
    const program = () =>
      Effect.gen(function* () {
        const count = cell("count", 0)
        const counting = Effect.andThen(Effect.yieldNow, steps(3, count))
        const victim = yield* Effect.forkChild(counting, { startImmediately: true })
        yield* together({ stop: Effect.andThen(touch(), Effect.sync(() => victim.interruptUnsafe())) })
        yield* quiet
        return yield* count.get
      })
    expect(orders(program)).toBe(4)
  })

  test("of draws from the machine's chance", () => {
    const program = () => {
      const draw = Effect.andThen(touch(), Effect.map(Random, (bytes) => bytes(1)[0]!))
      return together({ a: draw, b: draw })
    }
    expect(orders(program)).toBe(2)
  })
})

describe("what is not declared is in everybody's way", () => {
  test("a step that declares nothing is not left out; one that says so is", () => {
    const program = (declare: Effect.Effect<void>) => () => {
      const log: Array<string> = []
      const say = (name: string) => Effect.andThen(declare, Effect.sync(() => void log.push(name)))
      return Effect.map(together({ a: say("a"), b: say("b"), c: say("c") }), () => log)
    }
    const silent = explore({ program: program(Effect.void), bound, strategy: reduced })
    expect([silent.runs, silent.outcomes.size]).toEqual([6, 6])
    const untrue = explore({ program: program(touch()), bound, strategy: reduced })
    expect([untrue.runs, untrue.outcomes.size]).toEqual([1, 1])
  })

  test("nor is one that waits for what nobody declared", () => {
    const program = () => {
      const [b, c] = [cell("b", 0), cell("c", 0)]
      const gate = Deferred.makeUnsafe<void>()
      const waits = b.set(1).pipe(Effect.andThen(Deferred.await(gate)), Effect.andThen(c.update((n) => n * 10 + 1)))
      const opens = Effect.andThen(touch("a"), Deferred.succeed(gate, undefined))
      const between = Effect.flatMap(b.get, (n) => c.update((m) => m * 10 + 2 + n))
      return Effect.andThen(together<unknown, never>({ opens, waits, between }), c.get)
    }
    const all = explore({ program, bound, strategy: exhaustive })
    const few = explore({ program, bound, strategy: reduced })
    expect(all.outcomes.size).toBe(3)
    expect(endsOf(few)).toEqual(endsOf(all))
  })

  test("an object that is tracked tells its reads from its writes", () => {
    const program = (reads: ReadonlyArray<"has" | "add">) => () => {
      const set = tracked("set", new Set<number>(), reads)
      const use = Effect.sync(() => void set.has(1))
      return together({ a: use, b: use })
    }
    expect(explore({ program: program(["has"]), bound, strategy: reduced }).runs).toBe(1)
    expect(explore({ program: program([]), bound, strategy: reduced }).runs).toBe(2)
  })
})

type Listener = ReturnType<typeof listener>

/** Small programs thrown by dice: fibers that read, write, wait, sleep, and tell two actors that tell each other. */
const thrown = (seed: number, preemptible: boolean) => () => {
  const dice = makeDice(seed)
  const cells = ["x", "y", "z"].map((name) => cell(name, 0))
  const signals = ["s", "t"].map(signal)
  const gate = Deferred.makeUnsafe<void>()
  const left = listener("left", (n) => void right.actor.tell({ _tag: "Note", n: n + 100 }))
  const right: Listener = listener("right", (n) => void left.actor.tell({ _tag: "Note", n: n + 200 }))
  const fibers = preemptible ? 2 : 2 + dice.int(2)
  const shared = { cells, signals, gate, actors: [left.actor, right.actor] }
  const programs = Array.from({ length: fibers }, (_, i) => fiberOf(dice, i, shared))
  return Effect.gen(function* () {
    for (const { actor } of [left, right]) yield* Effect.forkDetach(actor.run, { startImmediately: true })
    const locals = yield* together(Object.fromEntries(programs.map((program, i) => [`fiber ${i}`, program])))
    yield* Effect.sleep(10)
    const values = yield* Effect.forEach(cells, ({ get }) => get)
    return [locals, values, left.heard, right.heard]
  })
}

interface Shared {
  readonly cells: ReadonlyArray<ReturnType<typeof cell<number>>>
  readonly signals: ReadonlyArray<ReturnType<typeof signal>>
  readonly gate: Deferred.Deferred<void>
  readonly actors: ReadonlyArray<Listener["actor"]>
}

const fiberOf = (dice: Dice, i: number, { cells, signals, gate, actors }: Shared): Effect.Effect<number> => {
  let local = i + 1
  const one = (): Effect.Effect<unknown> => {
    const at = dice.pick(cells)
    switch (dice.int(9)) {
      case 0:
      case 1:
        return Effect.map(at.get, (n) => (local = local * 7 + n))
      case 2:
      case 3:
        return Effect.suspend(() => at.set(local))
      case 4:
        return Effect.suspend(() => at.update((n) => n * 3 + local))
      case 5:
        return Effect.sleep(dice.int(2) + 1)
      case 6:
        return dice.chance(0.3) ? dice.pick(signals).wait : dice.pick(signals).set
      case 7:
        return dice.chance(0.4) ? Deferred.await(gate) : Deferred.succeed(gate, undefined)
      default: {
        const actor = dice.pick(actors)
        const _tag = dice.chance(0.5) ? "Note" : "Pass"
        return Effect.sync(() => actor.tell({ _tag, n: local }))
      }
    }
  }
  const ops = Array.from({ length: 2 + dice.int(2) }, () => [one(), dice.chance(0.6)] as const)
  return Effect.map(
    Effect.forEach(ops, ([op, yields]) => (yields ? Effect.andThen(op, Effect.yieldNow) : op)),
    () => local
  )
}

describe("reduction is sound", () => {
  const runsMax = Number(process.env["EXPLORE_RUNS"] ?? 600)
  for (const [preemptions, count] of [
    [0, 30],
    [1, 10]
  ] as const)
    test(`${count} programs thrown by dice end the same ways with and without it, ${preemptions} preemptions`, () => {
      const sum = { all: 0, few: 0, compared: 0, cut: 0 }
      for (let seed = 0; sum.compared < count; seed++) {
        const program = thrown(seed, preemptions > 0)
        const within = { runs: runsMax, preemptions }
        const all = explore({ program, bound: within, strategy: exhaustive })
        if (!all.complete) continue
        const few = explore({ program, bound: within, strategy: reduced })
        expect([seed, few.complete, endsOf(few)]).toEqual([seed, true, endsOf(all)])
        sum.all += all.runs
        sum.few += few.runs
        sum.cut += few.cut
        sum.compared++
      }
      if (process.env["EXPLORE_SHOW"] !== undefined) console.log(preemptions, sum)
      expect(sum.all).toBeGreaterThan(2 * (sum.few + sum.cut))
    }, 60_000)
})

// ── planted races ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Race {
  readonly program: () => Effect.Effect<unknown>
  readonly check: (outcome: never) => string | undefined
  readonly preemptions?: number
}

/** Reads, waits, writes what it has read plus one. `narrow`: there is no wait between, only two operations. */
const lostUpdate = (narrow: boolean) => () =>
  Effect.gen(function* () {
    const sum = cell("sum", 0)
    const add = Effect.gen(function* () {
      const n = yield* sum.get
      if (!narrow) yield* Effect.yieldNow
      yield* sum.set(n + 1)
    })
    const others = steps(3, cell("elsewhere", 0))
    yield* together({ ann: add, bob: add, others })
    return yield* sum.get
  })

/** A pool for two: whoever finds room waits for a signature check and then goes in. */
const checkThenAct = () =>
  Effect.gen(function* () {
    const pool = cell<ReadonlyArray<string>>("pool", [])
    const submit = (name: string) =>
      Effect.gen(function* () {
        if ((yield* pool.get).length >= 2) return
        yield* Effect.yieldNow
        yield* pool.update((all) => [...all, name])
      })
    const leave = pool.update((all) => all.slice(1))
    yield* together({ ann: submit("ann"), bob: submit("bob"), block: Effect.asVoid(leave), cid: submit("cid") })
    return yield* pool.get
  })

interface Write {
  readonly _tag: "Write"
  readonly n: number
}

/** An actor that answers in its step and commits in its settle; and a machine that loses power once. */
const earlyAnswer = () =>
  Effect.gen(function* () {
    const disk = cell<ReadonlyArray<number>>("disk", [])
    const answered = cell<ReadonlyArray<number>>("answered", [])
    const fresh: Array<number> = []
    const journal = new Actor<undefined, Write>(
      {
        name: "journal",
        inboxMax: 8,
        overflow: { Write: "refuse" },
        lingerTurns: 1,
        open: Effect.succeed(undefined),
        step: (_, { n }) => {
          fresh.push(n)
          return Effect.asVoid(answered.update((all) => [...all, n]))
        },
        settle: () => Effect.asVoid(disk.update((all) => [...all, ...fresh.splice(0)]))
      },
      watching
    )
    yield* Effect.forkDetach(journal.run, { startImmediately: true })
    const write = (n: number) => Effect.sync(() => void journal.tell({ _tag: "Write", n }))
    const power = Effect.gen(function* () {
      const promised = yield* answered.get
      return { promised, kept: yield* disk.get }
    })
    const [, , seen] = yield* together<unknown, never>({ ann: write(1), bob: write(2), power })
    return seen
  })

type Question = { readonly _tag: "Ask"; readonly number: number; readonly life: number }
type Client = { readonly _tag: "Start"; readonly life: number } | { readonly _tag: "Answer"; readonly to: Question }

/** A client that numbers its questions from 1, in each life again; it applies an answer that has the number of its last. */
const staleAnswer = () =>
  Effect.gen(function* () {
    const applied: Array<string> = []
    const shared = { inboxMax: 8, open: Effect.succeed({ life: 0, number: 0 }) }
    const server = new Actor<unknown, Question>(
      {
        ...shared,
        name: "server",
        overflow: { Ask: "refuse" },
        step: (_, to) => void client.tell({ _tag: "Answer", to })
      },
      watching
    )
    const client: Actor<{ life: number; number: number }, Client> = new Actor(
      {
        ...shared,
        name: "client",
        overflow: { Start: "refuse", Answer: "refuse" },
        step: (state, message) => {
          if (message._tag === "Answer") {
            if (message.to.number === state.number) applied.push(`${message.to.life} to ${state.life}`)
            return
          }
          Object.assign(state, { life: message.life, number: 1 })
          server.tell({ _tag: "Ask", number: state.number, life: state.life })
        }
      },
      watching
    )
    for (const actor of [server, client]) yield* Effect.forkDetach(actor.run, { startImmediately: true })
    const start = (life: number) => Effect.sync(() => void client.tell({ _tag: "Start", life }))
    yield* together({ first: start(1), crash: touch().pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(start(2))) })
    yield* quiet
    return applied
  })

const races: Readonly<Record<string, Race>> = {
  "a lost update": { program: lostUpdate(false), check: (n: number) => (n === 2 ? undefined : `the sum is ${n}`) },
  "a lost update between two operations": {
    program: lostUpdate(true),
    check: (n: number) => (n === 2 ? undefined : `the sum is ${n}`),
    preemptions: 1
  },
  "a check, then an act on a pool": {
    program: checkThenAct,
    check: (pool: ReadonlyArray<string>) => (pool.length <= 2 ? undefined : `${pool.length} in a pool for 2`)
  },
  "an answer before the commit": {
    program: earlyAnswer,
    check: ({ promised, kept }: { promised: Array<number>; kept: Array<number> }) =>
      promised.every((n) => kept.includes(n)) ? undefined : "an answer was given and is not on disk"
  },
  "a stale answer after a restart": {
    program: staleAnswer,
    check: (applied: ReadonlyArray<string>) => applied.find((one) => one === "1 to 2")
  }
}

describe("planted races", () => {
  for (const [name, { program, check, preemptions = 0 }] of Object.entries(races))
    test(`${name}: found by all, shown again by its choices, and all is seen with fewer runs`, () => {
      const look = (strategy: ExploreStrategy, runs = 20_000) => {
        const bound = { runs, preemptions }
        const what: Exploration<unknown, never> = { program, check: check as never, bound, strategy }
        const found = explore(what)
        const first = found.first!
        expect(replay(what, first.choices).failure).toBe(first.message)
        return { ...found, share: found.failures / found.runs, what, first }
      }
      const all = look(exhaustive)
      const few = look(reduced)
      const random = look({ kind: "random" }, 1_500)
      const pct = look({ kind: "pct", depth: 3 }, 1_500)
      expect([all.complete, few.complete]).toEqual([true, true])
      expect(few.runs + few.cut).toBeLessThan(all.runs)
      expect(endsOf(few)).toEqual(endsOf(all))
      if (process.env["EXPLORE_SHOW"] === undefined) return
      const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
      const row = [all, few, random, pct].map(
        ({ runs, cut, first, share }) => `${first.run} of ${runs}+${cut}, ${percent(share)}`
      )
      console.log([name, ...row].join(" | "))
      const { message, choices } = few.first
      console.log([message, formatChoices(choices), ...replay(few.what, choices).steps].join("\n  "))
    })
})
