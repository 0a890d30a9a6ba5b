/** What a message costs: asks and tells through one actor under the production scheduler, and what an idle actor weighs. */
import { Effect, Fiber } from "effect"
import { Actor, type Reply } from "../../actors/actor.ts"
import { SlicedScheduler } from "../../actors/scheduler.ts"
import { printTable, type Row, time } from "./table.ts"

type Message = { readonly _tag: "Add"; readonly n: number } | { readonly _tag: "Get"; readonly reply: Reply<number> }

const asks = 50_000
const tells = 400_000
const inboxMax = 1024
const idle = 10_000
const runs = 5

const make = (name: string): Actor<{ sum: number }, Message> =>
  new Actor({
    name,
    inboxMax,
    overflow: { Add: "wait", Get: "refuse" },
    open: Effect.sync(() => ({ sum: 0 })),
    step: (state, message) => {
      if (message._tag === "Get") message.reply.succeed(state.sum)
      else state.sum += message.n
    }
  })

type Bench = Actor<{ sum: number }, Message>

const beside = (use: (actor: Bench) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const actor = make("bench")
    const fiber = yield* Effect.forkChild(actor.run)
    yield* use(actor)
    actor.stop()
    yield* Fiber.join(fiber)
  })

/** Messages a second: the best of several runs, so that a busy machine disturbs less. */
const perSecond = async (count: number, use: (actor: Bench) => Effect.Effect<unknown, unknown>): Promise<number> => {
  let best = 0
  for (let run = 0; run < runs; run++) {
    const ms = await time(() => Effect.runPromise(beside(use), { scheduler: new SlicedScheduler() }))
    best = Math.max(best, (count * 1000) / ms)
  }
  return best
}

const get = (actor: Bench) => actor.ask<number>((reply) => ({ _tag: "Get", reply }))
const askAll = (actor: Bench, askers: number) =>
  Effect.all(
    Array.from({ length: askers }, () =>
      Effect.gen(function* () {
        for (let i = 0; i < asks / askers; i++) yield* get(actor)
      })
    ),
    { concurrency: askers, discard: true }
  )
const tellAll = (actor: Bench) =>
  Effect.gen(function* () {
    for (let n = 0; n < tells; n++) if (!actor.tell({ _tag: "Add", n })) yield* actor.offer({ _tag: "Add", n })
  })

/** Bytes of heap and of the process that one actor waiting for its first message holds. */
const weigh = async (): Promise<ReadonlyArray<Row>> => {
  const memory = () => (Bun.gc(true), process.memoryUsage())
  const before = memory()
  const began = performance.now()
  const actors = Array.from({ length: idle }, (_, i) => make(`idle-${i}`))
  const scheduler = new SlicedScheduler()
  const fibers = actors.map((actor) => Effect.runFork(actor.run, { scheduler }))
  await Effect.runPromise(get(actors.at(-1)!), { scheduler })
  const started = performance.now() - began
  const after = memory()
  for (const actor of actors) actor.stop()
  await Effect.runPromise(Fiber.awaitAll(fibers), { scheduler })
  return [
    { name: `start ${idle} actors`, value: started, unit: "ms" },
    { name: "an idle actor, heap", value: (after.heapUsed - before.heapUsed) / idle / 1024, unit: "kB" },
    { name: "an idle actor, resident", value: (after.rss - before.rss) / idle / 1024, unit: "kB" }
  ]
}

const weights = await weigh()
printTable("Actors", [
  { name: "ask, one after another", value: await perSecond(asks, (actor) => askAll(actor, 1)), unit: "/s" },
  {
    name: "ask, 64 askers",
    value: await perSecond(asks, (actor) => askAll(actor, 64)),
    unit: "/s",
    baseline: "ask, one after another"
  },
  { name: "tell, inbox full", value: await perSecond(tells, tellAll), unit: "/s" },
  ...weights
])
