/** The whole tree of one node: a disk without room, strangers that do not speak, what it says of its bounds. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Fiber } from "effect"
import { keyOf, transfer } from "../test/fixtures.ts"
import { type AloneNode, startAlone } from "../test/sim/node.ts"
import { servedPerPeerMax } from "../src/limits.ts"
import { marksReached } from "../src/marks.ts"
import type { Message } from "../src/peer/message.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import { forSeeds } from "../src/sim/world.ts"
import { nodeIdOf, SeenNonces } from "../src/transport/hello.ts"
import { makeNativeChannel } from "../src/transport/native.ts"

/** Leaves the database no page to grow by, or all it wants. */
const fill = ({ store }: AloneNode, full: boolean): void => {
  const { page_count: pages } = store.db.query("PRAGMA page_count").get() as { readonly page_count: number }
  store.db.run(`PRAGMA max_page_count = ${full ? pages : 1_000_000}`)
}

const readyCodes = ({ tree }: AloneNode) =>
  Effect.map(tree.node.ready(), ({ reasons }) => reasons.map(({ code }) => code))
const restarts = ({ tree }: AloneNode) =>
  Effect.map(tree.node.metrics(), (text) => text.match(/^cairn_actor_restarts_total\{.*$/gm) ?? [])
const pendingRows = ({ store }: AloneNode): number =>
  (store.db.query("SELECT COUNT(*) AS n FROM pending").get() as { readonly n: number }).n

const pay = (from: number, nonce: number, time: number, note = "x".repeat(200)): Transaction =>
  transfer({ from, to: 9, nonce, time, note, fee: nonce })

/** Submits until the disk has no room; those that were taken. */
const submitUntilFull = (node: AloneNode, time: number) =>
  Effect.gen(function* () {
    const taken: Array<Transaction> = []
    for (let nonce = 1; nonce <= 60; nonce++) {
      const one = pay(0, nonce, time)
      const error = yield* Effect.match(node.tree.node.submit(one), { onSuccess: () => undefined, onFailure: (e) => e })
      if (error !== undefined) return { taken, error }
      taken.push(one)
    }
    return yield* Effect.die(new Error("the disk did not fill"))
  })

describe("a disk without room", () => {
  test("is said to submitters, loses nothing that was acknowledged, and is over when there is room again", () =>
    forSeeds(10, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const time = yield* Clock.currentTimeMillis
        yield* node.tree.node.mine(undefined)
        fill(node, true)
        const { taken, error } = yield* submitUntilFull(node, time)
        expect(error).toMatchObject({ _tag: "Unavailable", actor: "mempool" })
        expect(JSON.stringify(error)).toContain("disk-full")
        const { pendingTransactions } = yield* node.tree.node.stats()
        expect([pendingRows(node), pendingTransactions]).toEqual([taken.length, taken.length])
        expect(yield* readyCodes(node)).toEqual(["disk-full"])
        fill(node, false)
        // Not every transfer tries the disk anew: for a while they are refused without a look.
        const writes = marksReached()["disk-full"]
        const early = yield* Effect.flip(node.tree.node.submit(pay(0, taken.length + 1, time)))
        expect(early).toMatchObject({ _tag: "Unavailable" })
        expect(marksReached()["disk-full"]).toBe(writes)
        yield* Effect.sleep(1_000)
        yield* node.tree.node.submit(pay(0, taken.length + 1, time))
        expect(pendingRows(node)).toBe(taken.length + 1)
        expect([yield* readyCodes(node), yield* restarts(node)]).toEqual([[], []])
        yield* node.tree.node.mine(undefined)
        expect(taken.every(({ id }) => node.store.isConfirmed(id))).toBe(true)
        yield* node.tree.stop
      })
    ))

  test("keeps a promised transfer in the pool whose replacement could not be written", () =>
    forSeeds(10, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const time = yield* Clock.currentTimeMillis
        const promised = transfer({ from: 1, to: 9, nonce: 1, time, fee: 1 })
        yield* node.tree.node.submit(promised)
        fill(node, true)
        yield* submitUntilFull(node, time)
        yield* Effect.sleep(1_000)
        const better = transfer({ from: 1, to: 9, nonce: 1, time, fee: 100, note: "y".repeat(280) })
        expect(yield* Effect.flip(node.tree.node.submit(better))).toMatchObject({ _tag: "Unavailable" })
        expect(yield* node.tree.node.transaction(promised.id)).toBeDefined()
        expect(yield* node.tree.node.transaction(better.id)).toBeUndefined()
        yield* node.tree.stop
      })
    ))

  test("lets the chain wait for minutes with a block in hand, and land it without a restart", () =>
    forSeeds(10, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const before = marksReached()
        fill(node, true)
        const heights: Array<number> = []
        const miner = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 40 }), () =>
            Effect.map(node.tree.node.mine(undefined), ({ block }) => heights.push(block.header.height))
          )
        )
        yield* Effect.sleep(100_000)
        const stuckAt = heights.length
        expect([stuckAt < 40, yield* readyCodes(node)]).toEqual([true, ["disk-full"]])
        expect(yield* restarts(node)).toEqual([])
        fill(node, false)
        yield* Fiber.join(miner)
        expect(heights).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
        expect([yield* readyCodes(node), yield* restarts(node)]).toEqual([[], []])
        expect(marksReached()["disk-recovered"]).toBeGreaterThan(before["disk-recovered"])
        yield* node.tree.stop
      })
    ))

  test("is a state of the node, seen while nobody asks, and the way back leads over boot", () =>
    forSeeds(5, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const states: Array<string> = []
        node.tree.node.listen(undefined, (event) => void (event.type === "state" && states.push(event.state)))
        yield* Effect.sleep(1_000)
        fill(node, true)
        for (let i = 0; i < 40; i++) yield* Effect.forkChild(Effect.ignore(node.tree.node.mine(undefined)))
        yield* Effect.sleep(60_000)
        expect(states.at(-1)).toBe("failed")
        fill(node, false)
        yield* Effect.sleep(60_000)
        expect(states.slice(-3)).toEqual(["failed", "boot", "ready"])
        yield* node.tree.stop
      })
    ))

  test("is another state where it takes no writes at all: reads go on, and it is over by itself", () =>
    forSeeds(5, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const time = yield* Clock.currentTimeMillis
        yield* node.tree.node.mine(undefined)
        node.store.db.run("PRAGMA query_only = 1")
        const heard = yield* Effect.flip(node.tree.node.submit(pay(0, 1, time)))
        expect(heard).toMatchObject({ _tag: "Unavailable", code: "storage-read-only" })
        const mined = yield* Effect.forkChild(node.tree.node.mine(undefined))
        yield* Effect.sleep(30_000)
        expect([yield* readyCodes(node), yield* restarts(node)]).toEqual([["storage-read-only"], []])
        expect(yield* node.tree.node.metrics()).toContain("cairn_storage_writable 0")
        expect((yield* node.tree.node.blockAt(1))?.confirmations).toBe(1)
        expect(yield* node.tree.node.account(keyOf(0).address)).toMatchObject({ nonce: 0 })
        node.store.db.run("PRAGMA query_only = 0")
        yield* Fiber.join(mined)
        yield* node.tree.node.submit(pay(0, 1, time))
        expect([yield* readyCodes(node), yield* restarts(node)]).toEqual([[], []])
        expect(yield* node.tree.node.metrics()).toContain("cairn_storage_writable 1")
        yield* node.tree.stop
      })
    ))

  test("does not keep a node from stopping in time", () =>
    forSeeds(5, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        fill(node, true)
        for (let i = 0; i < 40; i++) yield* Effect.forkChild(Effect.ignore(node.tree.node.mine(undefined)))
        yield* Effect.sleep(5_000)
        const began = yield* Clock.currentTimeMillis
        yield* node.tree.stop
        expect((yield* Clock.currentTimeMillis) - began).toBeLessThan(8_000)
      })
    ))
})

describe("a stranger at the door", () => {
  test("that drips its hello, or says nothing, is refused ten seconds after it came", () =>
    forSeeds(10, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const before = marksReached()["hello-late"]
        const [silent, dripping] = [node.connect(), node.connect()]
        for (const byte of [200, 0, 0, 0, 0x48, 0x45, 0x59, 0, 0]) {
          yield* Effect.sleep(1_000)
          dripping.handlers.data(new Uint8Array([byte]))
        }
        expect([silent.ended(), dripping.ended()]).toEqual([false, false])
        yield* Effect.sleep(4_000)
        expect([silent.ended(), dripping.ended()]).toEqual([true, true])
        expect(marksReached()["hello-late"] - before).toBe(2)
        yield* node.tree.stop
      })
    ))

  test("finds no place when there are too many already", () =>
    forSeeds(1, () =>
      Effect.gen(function* () {
        const node = yield* startAlone()
        const wires = Array.from({ length: 300 }, node.connect)
        const { used, max } = node.tree.bounds().find(({ actor, of }) => actor === "door" && of === "sessions")!
        yield* node.tree.stop
        expect([wires.length > max, used]).toEqual([true, max])
      })
    ))
})

/** A stranger that proves itself: what it says to the node. */
const proven = (node: AloneNode, time: number) => {
  const wire = node.connect()
  const { rules } = node.tree.node.facts
  const key = keyOf(301)
  const channel = makeNativeChannel({
    chainId: rules.spec.ledger.chainId,
    genesis: rules.genesis.header.hash,
    key,
    nodeId: nodeIdOf(key.publicKey),
    endpoint: "",
    agent: "stranger",
    capabilities: [],
    binding: wire.binding,
    nonce: new Uint8Array(16).fill(7),
    seen: new SeenNonces()
  })
  for (const out of channel.open(time)) if (out._tag === "Send") wire.handlers.data(out.bytes)
  return { wire, say: (message: Message) => wire.handlers.data(channel.encode(message)) }
}

test("a peer that asks for blocks and does not read them may ask for so many, and pays for more", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const node = yield* startAlone()
      const { wire, say } = proven(node, yield* Clock.currentTimeMillis)
      yield* Effect.sleep(10)
      wire.fill()
      const hashes = Array.from({ length: 512 }, () => node.store.tip().header.hash as Uint8Array)
      for (let request = 1; request <= 10; request++) {
        say({ tag: "GBL", request, hashes })
        yield* Effect.sleep(10)
      }
      const { used, max } = node.tree.bounds().find(({ of }) => of === "to-serve")!
      expect([used, max]).toEqual([servedPerPeerMax, servedPerPeerMax])
      const [peer] = yield* node.tree.node.peers()
      expect([peer?.state, peer?.points]).toEqual(["active", 30])
      yield* node.tree.stop
    })
  ))

test("everything that is bounded says how full it is, sessions each, in the metrics as one", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const node = yield* startAlone()
      const time = yield* Clock.currentTimeMillis
      const quiet = node.connect()
      node.connect()
      for (let nonce = 1; nonce <= 3; nonce++) yield* node.tree.node.submit(pay(0, nonce, time))
      const bounds = node.tree.bounds()
      const used = (actor: string, of: string) => bounds.find((one) => one.actor === actor && one.of === of)?.used
      expect(used("mempool", "transactions")).toBe(3)
      expect(used("door", "sessions")).toBe(2)
      expect(bounds.filter(({ actor, of }) => actor.startsWith("session-") && of === "requests").length).toBe(2)
      expect(bounds.filter(({ used, max }) => !(used >= 0 && used <= max && Number.isSafeInteger(max)))).toEqual([])
      const names = new Set(bounds.map(({ actor, of }) => `${actor.replace(/-\d+$/, "")}.${of}`))
      for (const actor of ["chain", "mempool", "miner", "sync", "maintenance", "session"])
        expect(names).toContain(`${actor}.inbox`)
      const text = yield* node.tree.node.metrics()
      expect(text).toContain('cairn_bounded_items{actor="mempool",of="transactions"} 3')
      expect(text).toContain('cairn_bounded_items_max{actor="mempool",of="transactions"} 50000')
      expect(text.match(/^cairn_bounded_items\{actor="session.*of="requests"/gm)?.length).toBe(1)
      expect(quiet.ended()).toBe(false)
      yield* node.tree.stop
    })
  ))
