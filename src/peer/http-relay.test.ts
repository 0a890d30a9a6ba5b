/** What is posted to the operator's nodes: what they lack of our branch, in order, and each new transaction until it is taken. */
import { expect, test } from "bun:test"
import { relayedMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { HttpRelay, type RelayEffect } from "./http-relay.ts"

/** A branch whose block at a height has the id and the hex `b<height>`, or on another branch `x<height>`. */
class Theirs {
  readonly blocks: Array<string>
  readonly transactions = new Set<string>()
  readonly asked: Array<string> = []
  /** What it answers to everything; 0: as it should. */
  status = 0

  constructor(height: number, fork = Number.POSITIVE_INFINITY) {
    this.blocks = Array.from({ length: height + 1 }, (_, i) => `${i > fork ? "x" : "b"}${i}`)
  }

  answer({ url, body }: Extract<RelayEffect, { _tag: "Ask" }>): { readonly status: number; readonly body: string } {
    this.asked.push(url.replace(/^http:..[a-z]/, ""))
    if (this.status !== 0) return { status: this.status, body: "{}" }
    if (url.includes("/api/locator")) {
      const locator = { hashes: this.blocks.toReversed(), cumulative_work: String(this.blocks.length) }
      return { status: 200, body: JSON.stringify({ locator }) }
    }
    const { block, transaction, source_peer: source } = JSON.parse(body!) as Record<string, string>
    expect(source).toBe("us")
    if (transaction !== undefined) return { status: this.transactions.add(transaction).size > 0 ? 202 : 0, body: "{}" }
    const height = Number(block!.slice(1))
    if (this.blocks[height - 1] !== `b${height - 1}`) return { status: 409, body: "{}" }
    this.blocks[height] = block!
    return { status: 202, body: "{}" }
  }
}

class Bench {
  now = 0
  height: number
  readonly relay: HttpRelay
  readonly said: Array<string> = []
  readonly nodes: ReadonlyMap<string, Theirs>

  constructor(height: number, nodes: Readonly<Record<string, Theirs>>) {
    this.height = height
    this.nodes = new Map(Object.entries(nodes))
    const heightOf = (id: string): number | undefined =>
      id.startsWith("b") && Number(id.slice(1)) <= this.height ? Number(id.slice(1)) : undefined
    this.relay = new HttpRelay({
      urls: [...this.nodes.keys()],
      branch: {
        work: () => BigInt(this.height + 1),
        heightOf,
        blockAt: (at) => (at <= this.height ? `b${at}` : undefined)
      },
      source: "us",
      backoffBaseMs: 1_000,
      lostMs: 20_000,
      chance: () => 0.5
    })
  }

  settle(effects: ReadonlyArray<RelayEffect>): void {
    const left = [...effects]
    for (let steps = 0; left.length > 0; steps++) {
      if (steps > 10_000) throw new Error("the machine does not come to rest")
      const effect = left.shift()!
      if (effect._tag === "Say") this.said.push(effect.code)
      else {
        const node = [...this.nodes.values()][effect.target]!
        left.push(...this.relay.answered(effect.target, effect.ask, node.answer(effect), this.now))
      }
    }
  }

  tick(ms: number): void {
    this.now += ms
    this.settle(this.relay.tick(this.now))
  }

  move(height: number): void {
    this.height = height
    this.settle(this.relay.tipMoved(this.now))
  }

  admit(...ids: ReadonlyArray<string>): void {
    this.settle(
      this.relay.admitted(
        ids.map((id) => ({ id, bytes: id })),
        this.now
      )
    )
  }
}

test("a node gets what it lacks of our branch, from where it parts, and then what is new", () => {
  const node = new Theirs(30, 12)
  const bench = new Bench(40, { "http://a": node })
  bench.tick(0)
  expect(node.blocks).toEqual(Array.from({ length: 41 }, (_, i) => `b${i}`))
  expect(node.asked.filter((path) => path === "/api/network/blocks").length).toBe(28)
  bench.tick(1_000)
  bench.move(41)
  expect([node.blocks.length, node.asked.slice(-2)]).toEqual([42, ["/api/locator?limit=64", "/api/network/blocks"]])
})

test("a node that has more work is sent nothing, and one with nothing of ours neither", () => {
  const [heavier, stranger] = [new Theirs(50, 12), new Theirs(3, -1)]
  const bench = new Bench(40, { "http://a": heavier, "http://b": stranger })
  bench.tick(0)
  expect([heavier.asked, stranger.asked]).toEqual([["/api/locator?limit=64"], ["/api/locator?limit=64"]])
})

test("a tip that moves all the time is looked at once a second", () => {
  const node = new Theirs(1_000)
  const bench = new Bench(1, { "http://a": node })
  for (let i = 0; i < 100; i++) {
    bench.tick(10)
    bench.move(i + 2)
  }
  expect(node.asked.length).toBe(1)
  bench.tick(1_000)
  expect(node.asked.length).toBe(2)
})

test("a transaction is posted once to each node, and those of a node that is away wait for it, the newest of them", () => {
  const [near, away] = [new Theirs(5), new Theirs(5)]
  const bench = new Bench(5, { "http://a": near, "http://b": away })
  away.status = 503
  bench.tick(0)
  const ids = Array.from({ length: relayedMax + 9 }, (_, i) => `t${i}`)
  for (const id of ids) {
    bench.now += 1
    bench.admit(id)
    const { used, max } = bench.relay.bounds[0]!
    expect(used).toBeLessThanOrEqual(max)
  }
  expect([...near.transactions]).toEqual(ids)
  expect(near.asked.filter((path) => path.endsWith("/transactions")).length).toBe(ids.length)
  expect([away.transactions.size, bench.said]).toEqual([0, ["answer-refused"]])
  away.status = 0
  bench.tick(600_000)
  expect([...away.transactions]).toEqual(ids.slice(-relayedMax))
  expect(bench.said).toEqual(["answer-refused", "answers"])
})

test("a node that is away is asked ever less, and a refused transaction is not sent again", () => {
  const away = new Theirs(5)
  const bench = new Bench(5, { "http://a": away })
  away.status = 500
  for (let i = 0; i < 600; i++) bench.tick(1_000)
  // 1, 2, 4, … seconds: ten looks in ten minutes.
  expect([away.asked.length > 5, away.asked.length < 14]).toEqual([true, true])
  away.status = 400
  bench.tick(600_000)
  bench.admit("bad")
  const before = away.asked.length
  bench.tick(600_000)
  expect(away.asked.slice(before).filter((path) => path.endsWith("/transactions"))).toEqual([])
})

test("a question without a word is lost, and its late answer not regarded", () => {
  const bench = new Bench(5, { "http://a": new Theirs(5) })
  const [ask] = bench.relay.tick(0)
  if (ask?._tag !== "Ask") throw new Error("nobody was asked")
  expect(bench.relay.tick(20_000)).toEqual([])
  expect(bench.relay.tick(20_001).map(({ _tag }) => _tag)).toEqual(["Say"])
  expect(bench.relay.answered(0, ask.ask, { status: 200, body: "{}" }, 20_002)).toEqual([])
  expect(bench.relay.answered(7, 1, { status: 200, body: "{}" }, 20_002)).toEqual([])
})

test("whatever is answered, it comes to rest and never throws", () => {
  for (let seed = 0; seed < 200; seed++) {
    const dice = makeDice(seed)
    const bodies = [
      "",
      "[]",
      "{}",
      '{"locator":7}',
      '{"locator":{"hashes":[1,null,"b3"],"cumulative_work":"4"}}',
      "null"
    ]
    const node = new Theirs(3)
    node.answer = () => ({ status: dice.pick([200, 202, 400, 401, 409, 429, 503]), body: dice.pick(bodies) })
    const bench = new Bench(6, { "http://a": node })
    for (let i = 0; i < 50; i++) {
      bench.now += dice.int(3_000)
      if (dice.int(3) === 0) bench.move(6 + i)
      bench.admit(`t${i}`)
      bench.tick(0)
    }
    expect(bench.relay.bounds[0]!.used).toBeLessThanOrEqual(relayedMax)
  }
})
