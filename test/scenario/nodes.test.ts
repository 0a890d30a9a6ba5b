/** Whole nodes in the deterministic world: the same actors, store and rules, over simulated wires and virtual time. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { startTree, type Tree } from "../../actors/tree.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { Random } from "../../src/io/random.ts"
import { openDatabase } from "../../src/store/db.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, specOf, transfer } from "../fixtures.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"
import { SimNet, worldNow } from "../../src/sim/net.ts"
import { World } from "../../src/sim/world.ts"

interface SimNode {
  readonly name: string
  readonly tree: Tree
  readonly store: ChainStore
}

const spec = specOf()
const rules = makeRules(spec)

/** A node of the world. Its folder is memory; its threads are never needed for targets this easy. */
const startSim = (
  net: SimNet,
  name: string,
  wish: { readonly seeds?: ReadonlyArray<string>; readonly store?: ChainStore; readonly onDemand?: boolean }
) =>
  Effect.gen(function* () {
    const db = openDatabase(":memory:")
    const store = wish.store ?? new ChainStore(db, rules)
    const key = keyOf(300 + name.charCodeAt(0))
    const tree = yield* startTree({
      config: {
        dataDir: "",
        dev: true,
        signatureEngine: "auto",
        http: { host: "", port: 0, adminToken: undefined },
        peers: { host: "10.0.0.1", port: 0, advertise: undefined, seeds: wish.seeds ?? [] },
        mining: { threads: 0, proposer: undefined, onDemand: wish.onDemand ?? false, everyMs: undefined }
      },
      rules,
      store,
      snapshot: new Snapshot(store.db, rules),
      key,
      proposer: key.address,
      tls: { key: "", cert: "" },
      doors: {
        tcp: net.door(name),
        startThread: () => {
          throw new Error("a target of four bits needs no thread")
        }
      },
      facts: {
        version: "sim",
        agent: name,
        dev: true,
        dataDir: "",
        httpUrl: "",
        signatureEngine: "sim",
        hashEngine: "sim",
        mineThreads: 0,
        startedAt: 0
      }
    })
    return { name, tree, store } satisfies SimNode
  })

/** One run for each seed; the trace's hash for those who compare. */
const simulate = (seed: number, body: (net: SimNet, dice: Dice) => Effect.Effect<void, unknown>): string => {
  const world = new World(seed, 0.05)
  const dice = makeDice(seed + 1)
  const random = (length: number): Uint8Array => dice.bytes(length)
  const exit = world.run(
    Effect.provideService(
      Effect.suspend(() => body(new SimNet(dice), dice)),
      Random,
      random
    )
  )
  if (exit._tag === "Failure") {
    const [reason] = exit.cause.reasons
    const cause =
      reason !== undefined && "defect" in reason
        ? reason.defect
        : reason !== undefined && "error" in reason
          ? reason.error
          : reason
    const error = cause instanceof Error ? cause : new Error(JSON.stringify(cause))
    error.message += `\n  seed ${seed}`
    throw error
  }
  return world.digest
}

const endpointOf = ({ tree }: SimNode): string => tree.node.facts.p2pEndpoint!
const tipOf = ({ store }: SimNode): string => store.tip().header.id

/** Waits, in virtual time, until a fact holds. */
const eventually = (what: string, fact: () => boolean): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let i = 0; i < 1200; i++) {
      if (fact()) return
      yield* Effect.sleep(100)
    }
    return yield* Effect.die(new Error(`not within two minutes: ${what}`))
  })
const stopAll = (nodes: ReadonlyArray<SimNode>) => Effect.forEach(nodes, ({ tree }) => tree.stop, { discard: true })

describe("nodes in the world", () => {
  test("take transfers from many at once, seal them, and count every one exactly once", () => {
    for (let seed = 0; seed < 15; seed++) {
      simulate(seed, (net) =>
        Effect.gen(function* () {
          const node = yield* startSim(net, "a", { onDemand: true })
          const time = yield* worldNow
          const paid = [0, 1, 2].flatMap((from) =>
            [1, 2, 3, 4].map((nonce) => transfer({ from, to: 9, nonce, amount: 5, time }))
          )
          yield* Effect.forEach(paid, (one) => node.tree.node.submit(one), { concurrency: "unbounded", discard: true })
          yield* eventually("all are confirmed", () => paid.every(({ id }) => node.store.isConfirmed(id)))
          const account = yield* node.tree.node.account(keyOf(9).address)
          expect(account.balance as number).toBe(60)
          yield* stopAll([node])
        })
      )
    }
  }, 60_000)

  test("acknowledge a transfer that was mined before its own acknowledgement was written", () => {
    for (let seed = 0; seed < 60; seed++) {
      simulate(seed, (net) =>
        Effect.gen(function* () {
          const node = yield* startSim(net, "a", { onDemand: true })
          const time = yield* worldNow
          const pay = (from: number) =>
            Effect.forEach(
              [1, 2, 3, 4, 5, 6],
              (nonce) => node.tree.node.submit(transfer({ from, to: 9, nonce, time })),
              { discard: true }
            )
          yield* Effect.all([pay(0), pay(1)], { concurrency: 2, discard: true })
          yield* stopAll([node])
        })
      )
    }
  }, 60_000)

  test("in a line agree after each has mined, and a cut line agrees again when it is mended", () => {
    for (let seed = 0; seed < 8; seed++) {
      simulate(seed, (net, dice) =>
        Effect.gen(function* () {
          const a = yield* startSim(net, "a", {})
          const b = yield* startSim(net, "b", { seeds: [endpointOf(a)] })
          const c = yield* startSim(net, "c", { seeds: [endpointOf(b)] })
          const nodes = [a, b, c]
          const agree = (): boolean => new Set(nodes.map(tipOf)).size === 1
          for (let i = 0; i < 4; i++) {
            yield* dice.pick(nodes).tree.node.mine(undefined)
            yield* eventually("all follow", agree)
          }
          net.cut("a", "b")
          net.cut("a", "c")
          const time = yield* worldNow
          const lost = transfer({ from: 0, to: 1, nonce: 1, time })
          yield* a.tree.node.submit(lost)
          yield* a.tree.node.mine(undefined)
          for (let i = 0; i < 3; i++) yield* c.tree.node.mine(undefined)
          yield* eventually("b and c agree", () => tipOf(b) === tipOf(c))
          expect(tipOf(a)).not.toBe(tipOf(c))
          net.mend("a", "b")
          net.mend("a", "c")
          yield* eventually("all agree", agree)
          expect(tipOf(a)).toBe(tipOf(c))
          const found = yield* a.tree.node.transaction(lost.id)
          expect([found !== undefined, found?.block]).toEqual([true, undefined])
          const banned = (yield* b.tree.node.peers()).filter(({ state }) => state === "banned")
          expect(banned).toEqual([])
          yield* stopAll(nodes)
        })
      )
    }
  }, 120_000)

  test("that catch up over a long branch keep their bounds and end at the same state", () => {
    simulate(5, (net) =>
      Effect.gen(function* () {
        const a = yield* startSim(net, "a", {})
        for (let i = 0; i < 120; i++) yield* a.tree.node.mine(undefined)
        const b = yield* startSim(net, "b", { seeds: [endpointOf(a)] })
        yield* eventually("b has caught up", () => tipOf(a) === tipOf(b))
        expect(toHex(b.store.tip().header.stateRoot)).toBe(toHex(a.store.tip().header.stateRoot))
        yield* stopAll([a, b])
      })
    )
  }, 60_000)

  test("run the same way twice from the same seed", () => {
    const run = (seed: number): string =>
      simulate(seed, (net) =>
        Effect.gen(function* () {
          const a = yield* startSim(net, "a", {})
          const b = yield* startSim(net, "b", { seeds: [endpointOf(a)] })
          yield* a.tree.node.mine(undefined)
          yield* eventually("both have it", () => tipOf(a) === tipOf(b))
          yield* stopAll([a, b])
        })
      )
    expect(run(3)).toBe(run(3))
    expect(run(3)).not.toBe(run(4))
  })
})
