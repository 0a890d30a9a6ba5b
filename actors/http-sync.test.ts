/** Whole nodes that ask and post by HTTP, under every order of their fibers: who is away, mute or slow holds nobody up. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Fiber, Result } from "effect"
import { keyOf, specOf, TestChain, transfer } from "../test/fixtures.ts"
import { honestNode, type RawNode } from "../test/raw-node.ts"
import { startAlone } from "../test/sim/node.ts"
import { decodeBlock } from "../src/block/block.ts"
import { fromHex } from "../src/codec/bytes.ts"
import { type Call, CallFault, type CallNode } from "../src/io/call-node.ts"
import { resolveMsMax, resolvesMax } from "../src/limits.ts"
import { forSeeds } from "../src/sim/world.ts"
import { nodeIdOf } from "../src/transport/hello.ts"

const spec = specOf({ difficulty: { rule: "fixed", blockMs: 20, bits: 0 } })
const long = new TestChain(spec)
long.mine(150)

/** `mute`: the question is never answered, not even by the door. */
type Mood = "up" | "away" | "mute"

/** Nodes by URL behind the door, each with a mood, and all that was asked of them. */
class Net {
  readonly calls: Array<Call> = []
  readonly moods = new Map<string, Mood>()
  /** Questions out now, and the most that were. */
  out = 0
  most = 0
  readonly nodes: Readonly<Record<string, RawNode>>

  constructor(nodes: Readonly<Record<string, RawNode>>) {
    this.nodes = nodes
  }

  get wish() {
    return { urls: Object.keys(this.nodes), callNode: this.callNode }
  }

  asks(part: string): number {
    return this.calls.filter(({ url }) => url.includes(part)).length
  }

  private readonly callNode: CallNode = (call) =>
    Effect.suspend(() => {
      this.calls.push(call)
      this.most = Math.max(this.most, ++this.out)
      const base = Object.keys(this.nodes).find((url) => call.url.startsWith(`${url}/`))
      if (base === undefined) return Effect.die(new Error(`nobody was to be asked at ${call.url}`))
      const mood = this.moods.get(base) ?? "up"
      const fault = new CallFault({ code: "not-reached", message: "nobody there" })
      const answer =
        mood === "mute"
          ? Effect.never
          : mood === "away"
            ? Effect.fail(fault)
            : Effect.sync(() => this.nodes[base]!(call.url))
      return Effect.andThen(Effect.sleep(5), answer)
    }).pipe(Effect.ensuring(Effect.sync(() => void this.out--)))
}

const heightOf = (node: { readonly store: TestChain["store"] }): number => node.store.tip().header.height

describe("a node without sessions", () => {
  test("catches up with a node of its operator, one question at a time, and asks the peers' routes with the secret only", () =>
    forSeeds(6, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(long) })
        const node = yield* startAlone({ spec, nodes: net.wish })
        // Nobody has been asked yet: it may be far behind.
        expect((yield* node.tree.node.ready()).ready).toBe(false)
        yield* Effect.sleep(8_000)
        expect([heightOf(node), net.most]).toEqual([150, 1])
        expect(node.store.tip().header.id).toBe(long.store.tip().header.id)
        for (const { url, headers } of net.calls)
          expect([url, headers?.["x-blockchain-peer-secret"]]).toEqual([
            url,
            url.includes("/api/network/") ? "a secret" : undefined
          ])
        expect(net.asks("/api/network/peers")).toBe(1)
        const asked = net.calls.length
        yield* Effect.sleep(10_000)
        expect((yield* node.tree.node.ready()).ready).toBe(true)
        // Nothing new: a look every two seconds.
        expect([net.calls.length - asked >= 4, net.calls.length - asked <= 6]).toEqual([true, true])
        yield* node.tree.stop
      })
    ))

  test("goes on with another when one is mute or away, and is not held up in what else it does", () =>
    forSeeds(4, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(long), "http://b.test": honestNode(long) })
        net.moods.set("http://a.test", "mute")
        const node = yield* startAlone({ spec, nodes: net.wish })
        yield* Effect.sleep(5_000)
        expect(heightOf(node)).toBe(0)
        const time = yield* Clock.currentTimeMillis
        const { pending } = yield* node.tree.node.submit(transfer({ from: 0, to: 1, nonce: 1, time }))
        expect(pending).toBe(1)
        yield* Effect.sleep(65_000)
        expect(heightOf(node)).toBe(150)
        net.moods.set("http://a.test", "away")

        yield* Effect.sleep(120_000)
        // Waits longer each time: far fewer looks than the sixty of one who answers.
        const away = net.calls.filter(({ url }) => url.startsWith("http://a.test/")).length
        expect([away > 3, away < 15]).toEqual([true, true])
        yield* node.tree.stop
      })
    ))

  test("that stops takes its question back", () =>
    forSeeds(4, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(long) })
        net.moods.set("http://a.test", "mute")
        const node = yield* startAlone({ spec, nodes: net.wish })
        yield* Effect.sleep(3_000)
        expect(net.out).toBe(1)
        yield* node.tree.stop
        expect(net.out).toBe(0)
      })
    ))
})

describe("an order to look now", () => {
  test("goes to everybody, also who waits for having failed, and tells what was found", () =>
    forSeeds(4, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(long.fork(0)), "http://b.test": honestNode(long) })
        net.moods.set("http://b.test", "away")
        const node = yield* startAlone({ spec, nodes: net.wish })
        yield* Effect.sleep(100_000)
        net.moods.set("http://b.test", "up")
        const { before, after, inspected } = yield* node.tree.node.resolve()
        expect([before.header.height, after.header.height]).toEqual([0 as never, 150 as never])
        expect(inspected.map(({ url, status }) => [url, status])).toEqual([
          ["http://a.test", "noop"],
          ["http://b.test", "updated"]
        ])
        yield* node.tree.stop
      })
    ))

  test("is answered in bounded time by what was found, also where a node is mute; too many are Busy", () =>
    forSeeds(4, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(long), "http://b.test": honestNode(long) })
        const node = yield* startAlone({ spec, nodes: net.wish })
        yield* Effect.sleep(8_000)
        net.moods.set("http://b.test", "mute")
        const began = yield* Clock.currentTimeMillis
        const orders = yield* Effect.forEach(Array.from({ length: resolvesMax + 3 }), () =>
          Effect.forkChild(Effect.exit(node.tree.node.resolve()))
        )
        const exits = yield* Effect.forEach(orders, Fiber.join)
        const took = (yield* Clock.currentTimeMillis) - began
        expect([took >= resolveMsMax - 2_000, took <= resolveMsMax + 5_000]).toEqual([true, true])
        expect(exits.filter(({ _tag }) => _tag === "Failure").length).toBe(3)
        yield* node.tree.stop
      })
    ))

  test("on a node without any nodes to ask is answered all the same", () =>
    forSeeds(3, () =>
      Effect.gen(function* () {
        const node = yield* startAlone({ spec })
        const { inspected, before, after } = yield* node.tree.node.resolve()
        expect([inspected, before.header.id]).toEqual([[], after.header.id])
        yield* node.tree.stop
      })
    ))
})

test("who is named by a caller and not by the operator is never asked; who is named by both is, at once", () =>
  forSeeds(4, () =>
    Effect.gen(function* () {
      const net = new Net({ "http://a.test": honestNode(long.fork(10)) })
      const node = yield* startAlone({ spec, nodes: net.wish })
      yield* Effect.sleep(8_000)
      const asked = net.calls.length
      const claim = { hash: new Uint8Array(32).fill(9) as never, work: 2n ** 200n }
      const evil = "http://169.254.169.254"
      expect(yield* node.tree.node.inventory({ ...claim, source: evil })).toBe("noted")
      yield* node.tree.node.heard({ nodeId: nodeIdOf(keyOf(7).publicKey), endpoint: "169.254.169.254:80" })
      yield* Effect.sleep(1)
      expect(net.calls.length).toBe(asked)
      // The next look would be due in up to two seconds.
      expect(yield* node.tree.node.inventory({ ...claim, source: "http://a.test" })).toBe("noted")
      yield* Effect.sleep(20)
      expect(net.calls.length - asked).toBe(1)
      expect(net.calls.every(({ url }) => url.startsWith("http://a.test/"))).toBe(true)
      yield* node.tree.stop
    })
  ))

describe("a node that speaks to no peers", () => {
  /** A node that takes what it is posted. */
  const taker =
    (chain: TestChain, calls: ReadonlyArray<Call>, transactions: Set<string>): RawNode =>
    (url) => {
      if (url.includes("/api/locator")) {
        const hashes = Array.from(
          { length: heightOf(chain) + 1 },
          (_, i) => chain.store.bestAt(heightOf(chain) - i)!.header.id
        )
        const locator = { hashes: hashes.slice(0, 64), cumulative_work: String(chain.store.tip().work) }
        return { status: 200, body: JSON.stringify({ locator }) }
      }
      if (!url.includes("/api/network/")) return honestNode(chain)(url)
      const { body, headers } = calls.at(-1)!
      expect(headers?.["x-blockchain-peer-secret"]).toBe("a secret")
      const posted = JSON.parse(body!) as { readonly block?: string; readonly transaction?: string }
      if (posted.transaction !== undefined) transactions.add(posted.transaction)
      else chain.take(Result.getOrThrow(decodeBlock(fromHex(posted.block!)!, chain.rules.ledger)))
      return { status: 202, body: "{}" }
    }

  test("posts what comes in, and what it seals, and the answer to a client waits for nobody", () =>
    forSeeds(4, () =>
      Effect.gen(function* () {
        const theirs = new TestChain(spec)
        const transactions = new Set<string>()
        const calls: Array<Call> = []
        const net = new Net({ "http://a.test": taker(theirs, calls, transactions) })
        const callNode: CallNode = (call) => {
          calls.push(call)
          return net.wish.callNode(call)
        }
        net.moods.set("http://a.test", "mute")
        const node = yield* startAlone({ spec, nodes: { ...net.wish, callNode }, peerless: true })
        yield* Effect.sleep(1_000)
        const time = yield* Clock.currentTimeMillis
        const one = transfer({ from: 0, to: 1, nonce: 1, time })
        yield* node.tree.node.submit(one)
        expect(yield* Clock.currentTimeMillis).toBeLessThan(time + 50)
        net.moods.set("http://a.test", "up")
        // What was mute is lost after a while, and then waited for.
        yield* Effect.sleep(60_000)
        expect([...transactions]).toEqual([one.bytes.toHex()])
        for (let i = 0; i < 3; i++) yield* node.tree.node.mine(undefined)
        yield* Effect.sleep(5_000)
        expect(theirs.store.tip().header.id).toBe(node.store.tip().header.id)
        expect(net.calls.some(({ url }) => url.includes("/api/network/peers"))).toBe(false)
        yield* node.tree.stop
      })
    ))

  test("with peers posts nothing", () =>
    forSeeds(3, () =>
      Effect.gen(function* () {
        const net = new Net({ "http://a.test": honestNode(new TestChain(spec)) })
        const node = yield* startAlone({ spec, nodes: net.wish })
        yield* node.tree.node.mine(undefined)
        yield* Effect.sleep(10_000)
        expect(net.calls.filter(({ method }) => method === "POST").length).toBe(0)
        yield* node.tree.stop
      })
    ))
})
