/** The download by HTTP: an honest node's chain comes whole, a liar's bodies are never fetched, and nobody is asked too often. */
import { describe, expect, test } from "bun:test"
import { TestChain, specOf } from "../../test/fixtures.ts"
import { type headersOf, honestNode, lyingNode, type RawNode } from "../../test/raw-node.ts"
import { encodeBlock } from "../block/block.ts"
import { type Header, splitHeaders } from "../block/header.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { locatorHeights } from "../chain/locator.ts"
import { ancestryOf, parentId } from "../chain/reader.ts"
import { verdicts } from "../chain/reject.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { bodiesAheadMax, headersAheadMax, rawBlocksMax, rawHeadersMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { HttpSync, type HttpSyncEffect, type HttpSyncWish, type Inspected } from "./http-sync.ts"

const quiet = { count: 0, busy: false }
/** The machine over our chain, which judges what it is offered, and nodes that answer. */
class Bench {
  readonly chain: TestChain
  readonly machine: HttpSync
  readonly nodes: ReadonlyMap<string, RawNode>
  readonly asked: Array<string> = []
  readonly said: Array<string> = []
  readonly found: Array<string> = []
  resolved: ReadonlyArray<Inspected> | undefined
  now = 0
  /** Our chain calls bodies good and does not keep them. */
  forgets = false
  /** Offered bodies that wait for their verdict. */
  private readonly offered: Array<() => ReadonlyArray<HttpSyncEffect>> = []
  private readonly dice

  constructor(chain: TestChain, nodes: Readonly<Record<string, RawNode>>, wish: Partial<HttpSyncWish> = {}, seed = 1) {
    this.chain = chain
    this.dice = makeDice(seed)
    this.nodes = new Map(Object.entries(nodes))
    const { store, rules } = chain
    const weightOf = (id: string): bigint | undefined =>
      store.invalidCode(id) === undefined ? store.find(id)?.work : undefined
    this.machine = new HttpSync({
      urls: [...this.nodes.keys()],
      rules,
      chain: {
        weightOf,
        tipWeight: () => store.tip().work,
        locator: (max) => {
          const heights = locatorHeights(store.tip().header.height, max - 1)
          return [store.heaviest().header.id, ...heights.map((height) => store.bestAt(height)!.header.id)]
        }
      },
      pollMs: 2_000,
      backoffBaseMs: 1_000,
      lostMs: 60_000,
      isEndpoint: undefined,
      chance: () => 0.5,
      ...wish
    })
  }

  get height(): number {
    return this.chain.store.tip().header.height
  }

  asks(path: string): number {
    return this.asked.filter((url) => url.includes(path)).length
  }

  /** Does what the machine says until it says nothing more. */
  settle(effects: ReadonlyArray<HttpSyncEffect>): void {
    const left = [...effects]
    for (let steps = 0; left.length + this.offered.length > 0; steps++) {
      if (steps > 20_000) throw new Error("the machine does not come to rest")
      // The chain judges in its order, and whenever it likes.
      const judges = this.offered.length > 0 && (left.length === 0 || this.dice.int(3) === 0)
      left.push(...(judges ? this.offered.shift()!() : this.perform(left.shift()!)))
      const { used, max } = this.machine.bounds[0]!
      expect(used).toBeLessThanOrEqual(max)
    }
  }

  tick(ms: number, sessions = quiet): void {
    this.now += ms
    this.settle(this.machine.tick(this.now, sessions))
  }

  private perform(effect: HttpSyncEffect): ReadonlyArray<HttpSyncEffect> {
    const { machine, now } = this
    switch (effect._tag) {
      case "Ask": {
        this.asked.push(effect.url)
        const [, node] = [...this.nodes].find(([url]) => effect.url.startsWith(`${url}/`))!
        return machine.answered(effect.ask, node(effect.url), now)
      }
      case "OfferHeaders":
        return machine.headersJudged(effect.run, this.judge(effect.headers), now)
      case "Look":
        return machine.missing(effect.run, this.lacking(effect.head), now)
      case "OfferBlocks":
        for (const block of effect.blocks)
          this.offered.push(() => {
            const { id } = block.header
            if (this.forgets) return machine.bodyJudged(effect.run, id, false, this.now)
            const refused = checkBody(this.chain.rules, block)?.code ?? this.chain.take(block)
            return machine.bodyJudged(effect.run, id, refused !== undefined, this.now)
          })
        return []
      case "Say":
        this.said.push(effect.code)
        return []
      case "Found":
        this.found.push(...effect.endpoints)
        return []
      case "Resolved":
        this.resolved = effect.inspected
        return []
    }
  }

  private judge(headers: ReadonlyArray<Header>) {
    const { store, rules } = this.chain
    let [news, last]: [number, string | undefined] = [0, undefined]
    let refused: "no" | "nobody" | "peer" = "no"
    for (const header of headers) {
      const parent = store.find(parentId(header))
      const now = this.chain.now + 10 ** 9
      const wrong =
        parent === undefined
          ? ({ code: "parent-unknown" } as const)
          : checkHeader(rules, header, { ancestry: ancestryOf(store, parent.header), now })
      if (wrong !== undefined) {
        refused = verdicts[wrong.code].blame === "nobody" ? "nobody" : "peer"
        break
      }
      last = header.id
      if (store.find(header.id) !== undefined) continue
      news++
      store.saveHeaders([{ header, work: parent!.work + rules.consensus.work(header), hasBody: false }])
    }
    return { news, last, refused, headerWork: store.heaviest().work }
  }

  private lacking(head: string): ReadonlyArray<string> | undefined {
    const { store } = this.chain
    if (store.invalidCode(head) !== undefined) return undefined
    const ids: Array<string> = []
    for (let row = store.find(head)!; !row.hasBody && row.header.height > 0; row = store.find(parentId(row.header))!)
      ids.unshift(row.header.id)
    return ids.slice(0, bodiesAheadMax)
  }
}

/** Test chains are dear: one long one for all, whose blocks others take. */
const spec = specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 0 } })
const long = new TestChain(spec)
long.mine(1_100)

describe("an honest node", () => {
  test("gives all that it has, over several pages, and is asked no more than it must", () => {
    const bench = new Bench(new TestChain(spec), { "http://a": honestNode(long) })
    bench.tick(0)
    expect([bench.height, bench.chain.dump() === long.dump()]).toEqual([1_100, true])
    // The chain names so many bodies that it lacks at a time.
    const blockPages = bodiesAheadMax / rawBlocksMax + Math.ceil((1_100 - bodiesAheadMax) / rawBlocksMax)
    expect([bench.asks("/headers/raw"), bench.asks("/blocks/raw")]).toEqual([3, blockPages])
    const before = bench.asked.length
    bench.tick(1_999)
    expect(bench.asked.length).toBe(before)
    bench.tick(1)
    expect(bench.asked.length).toBe(before + 1)
  })

  test("of a heavier fork is followed over the fork point, whenever the verdicts come", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const dice = makeDice(seed)
      const theirs = long.fork(60)
      const ours = theirs.fork(dice.int(40))
      ours.now += 500
      ours.mine(dice.int(20))
      const bench = new Bench(ours, { "http://a": honestNode(theirs) }, {}, seed)
      bench.tick(0)
      expect([seed, bench.chain.store.tip().header.id]).toEqual([seed, theirs.store.tip().header.id])
    }
  })

  test("of a lighter branch shows its headers, and no body of it is fetched", () => {
    const theirs = long.fork(10)
    theirs.now += 500
    theirs.mine(5)
    const bench = new Bench(long.fork(30), { "http://a": honestNode(theirs) })
    bench.tick(0)
    expect([bench.height, bench.asks("/blocks/raw"), bench.asks("/headers/raw")]).toEqual([30, 0, 1])
  })

  test("that lost its branch meanwhile is left, and asked again soon", () => {
    const answers = honestNode(long.fork(40))
    const bench = new Bench(new TestChain(spec), {
      "http://a": (url) =>
        url.includes("/blocks/") && bench.now === 0 ? { status: 200, body: '{"blocks":[]}' } : answers(url)
    })
    bench.tick(0)
    expect([bench.height, bench.said]).toEqual([0, ["body-missing"]])
    bench.tick(1_000)
    expect([bench.height, bench.said]).toEqual([40, ["body-missing", "answers"]])
  })
})

/** A page whose headers were changed one by one. */
const changed = (page: ReturnType<typeof headersOf>, change: (headers: Array<Uint8Array>) => void) => {
  const rows = splitHeaders(fromHex(page.headers)!).map((row) => row.slice())
  change(rows)
  return { ...page, headers: rows.map(toHex).join("") }
}

const theirs = long.fork(50)
const honest = honestNode(theirs)
const work = { difficulty: { rule: "fixed", blockMs: 1000, bits: 8 } as const }

/** Each lies in one way; what it is told for that. */
const liars: Readonly<Record<string, readonly [node: RawNode, code: string]>> = {
  "says nothing that is an answer": [() => ({ status: 200, body: "<html>" }), "answer-malformed"],
  "says a list": [() => ({ status: 200, body: "[]" }), "answer-malformed"],
  refuses: [() => ({ status: 500, body: "{}" }), "answer-refused"],
  "is of another chain": [honestNode(new TestChain(specOf({ chainId: "other" }))), "chain-mismatch"],
  "cuts a header off": [
    lyingNode(honest, (page) => ({ ...page, headers: page.headers.slice(0, -2) })),
    "answer-malformed"
  ],
  "cuts hex off": [lyingNode(honest, (page) => ({ ...page, headers: page.headers.slice(0, -1) })), "answer-malformed"],
  "writes no hex": [
    lyingNode(honest, (page) => ({ ...page, headers: `zz${page.headers.slice(2)}` })),
    "answer-malformed"
  ],
  "claims a work that is no number": [
    lyingNode(honest, (page) => ({ ...page, tip: { ...page.tip, cumulative_work: "1e9" } })),
    "answer-malformed"
  ],
  "gives more than a page": [
    lyingNode(honest, (page) => ({ ...page, headers: page.headers.repeat(Math.ceil((rawHeadersMax + 1) / 50)) })),
    "answer-malformed"
  ],
  "leaves a header out": [lyingNode(honest, (page) => changed(page, (rows) => rows.splice(7, 1))), "headers-unlinked"],
  "begins elsewhere": [lyingNode(honest, (page) => changed(page, (rows) => rows.splice(0, 3))), "headers-unlinked"],
  "gives bodies of other blocks": [
    (url) =>
      url.includes("/blocks/")
        ? {
            status: 200,
            body: JSON.stringify({
              blocks: [toHex(encodeBlock(theirs.store.block(theirs.store.bestAt(9)!.header.id)!))]
            })
          }
        : honest(url),
    "body-wrong"
  ],
  "cuts a body off": [
    (url) => {
      const { status, body } = honest(url)
      if (!url.includes("/blocks/")) return { status, body }
      const { blocks } = JSON.parse(body) as { blocks: Array<string> }
      return { status, body: JSON.stringify({ blocks: [blocks[0]!.slice(0, -2)] }) }
    },
    "body-wrong"
  ],
  "gives more bodies than it was asked for": [
    (url) => {
      const { status, body } = honest(url)
      if (!url.includes("/blocks/")) return { status, body }
      const { blocks } = JSON.parse(body) as { blocks: Array<string> }
      return { status, body: JSON.stringify({ blocks: [...blocks, ...blocks] }) }
    },
    "answer-malformed"
  ],
  "has no bodies": [(url) => (url.includes("/blocks/") ? { status: 404, body: "{}" } : honest(url)), "answer-refused"]
}

describe("a node that", () => {
  test.each(Object.keys(liars))("%s moves nothing, and waits longer each time", (name) => {
    const [node, code] = liars[name]!
    const bench = new Bench(new TestChain(spec), { "http://a": node })
    bench.tick(0)
    expect([bench.height, bench.said]).toEqual([0, [code]])
    const asked = bench.asked.length
    bench.tick(999)
    expect(bench.asked.length).toBe(asked)
    bench.tick(1)
    const again = bench.asked.length
    expect(again).toBeGreaterThan(asked)
    bench.tick(1_999)
    expect(bench.asked.length).toBe(again)
    // Said once, as long as it does not change.
    expect(bench.said).toEqual([code])
  })

  test("gives headers without the work that they claim is not asked for one body", () => {
    const cheap = new TestChain(specOf(work)).fork(0)
    cheap.mine(3)
    const rich = lyingNode(honestNode(cheap), (page) =>
      changed({ ...page, tip: { ...page.tip, cumulative_work: String(2n ** 250n) } }, (rows) => {
        const bytes = rows[2]!
        // A nonce that seals nothing.
        bytes[211] = 0
        bytes[204] = (bytes[204]! + 1) & 255
      })
    )
    const bench = new Bench(new TestChain(specOf(work)), { "http://a": rich })
    bench.tick(0)
    expect([bench.height, bench.asks("/blocks/raw"), bench.said]).toEqual([0, 0, ["headers-refused"]])
  })

  test("claims more work than its headers prove is not asked for bodies of a lighter branch", () => {
    const ours = long.fork(30)
    const light = long.fork(3)
    light.now += 500
    light.mine(4)
    const boast = lyingNode(honestNode(light), (page) => ({
      ...page,
      tip: { ...page.tip, height: 10_000, cumulative_work: String(2n ** 255n) }
    }))
    const bench = new Bench(ours, { "http://a": boast })
    bench.tick(0)
    expect([bench.height, bench.asks("/blocks/raw")]).toEqual([30, 0])
  })

  test("gives headers for ever, none of them heavier, is left", () => {
    // Full pages, all of them known by the second time: the same five hundred again and again.
    const rows = Array.from({ length: rawHeadersMax }, (_, i) => toHex(long.store.bestAt(i + 1)!.header.bytes)).join("")
    const endless = lyingNode(honestNode(long), (page) => ({ ...page, headers: rows, count: rawHeadersMax }))
    const bench = new Bench(new TestChain(spec), { "http://a": endless })
    bench.tick(0)
    expect([bench.height, bench.asks("/blocks/raw"), bench.said]).toEqual([0, 0, ["headers-endless"]])
    expect(bench.asks("/headers/raw")).toBeLessThan(headersAheadMax / rawHeadersMax)
  })

  test("gives page after page of a branch that never gets heavier is left", () => {
    // We know a header that is heavier than all of theirs, which are right, and lead nowhere.
    const ours = new TestChain(spec)
    const other = long.fork(0)
    other.now += 500
    const [heavy] = other.mine(1)
    ours.store.saveHeaders([{ header: heavy!.header, work: 2n ** 40n, hasBody: false }])
    const bench = new Bench(ours, { "http://a": honestNode(long) }, { idlePagesMax: 0 })
    bench.tick(0)
    expect([bench.said, bench.asks("/headers/raw"), bench.asks("/blocks/raw")]).toEqual([["headers-endless"], 2, 0])
  })

  test("gives a body that its header does not commit to is left, and another gives the true one", () => {
    const false_ = (url: string) => {
      const answer = honest(url)
      if (!url.includes("/blocks/")) return answer
      const { blocks } = JSON.parse(answer.body) as { blocks: Array<string> }
      // The header is right and the extra data is not.
      const bytes = fromHex(blocks[0]!)!
      const block = {
        header: bytes.subarray(0, 212),
        extra: new Uint8Array([1, 0, 0, 0, 7]),
        rest: bytes.subarray(216)
      }
      return {
        status: 200,
        body: JSON.stringify({ blocks: [toHex(block.header) + toHex(block.extra) + toHex(block.rest)] })
      }
    }
    const bench = new Bench(new TestChain(spec), { "http://a": false_, "http://b": honest })
    bench.tick(0)
    expect([bench.said, bench.height]).toEqual([["body-refused"], 50])
  })
})

describe("who is asked", () => {
  const down: RawNode = () => ({ status: 503, body: "{}" })
  test("is nobody while sessions bring something, and seldom while they stand", () => {
    const bench = new Bench(long.fork(50), { "http://a": honest })
    bench.tick(0, { count: 3, busy: true })
    expect(bench.asked.length).toBe(0)
    bench.tick(0, { count: 3, busy: false })
    expect(bench.asked.length).toBe(1)
    bench.tick(29_999, { count: 3, busy: false })
    expect(bench.asked.length).toBe(1)
    bench.tick(1, { count: 3, busy: false })
    expect(bench.asked.length).toBe(2)
    // The sessions have gone: the next look is due long since.
    bench.tick(2_000)
    expect(bench.asked.length).toBe(3)
  })

  test("is one at a time, each in its turn; one that is mute is given up", () => {
    const mute: Array<string> = []
    const bench = new Bench(new TestChain(spec), { "http://a": honest, "http://b": honest })
    const [ask] = bench.machine.tick(0, quiet)
    mute.push(ask!._tag === "Ask" ? ask!.url : "")
    expect(bench.machine.tick(60_000, quiet)).toEqual([])
    bench.now = 60_001
    bench.settle(bench.machine.tick(60_001, quiet))
    expect([mute[0]!.startsWith("http://a/"), bench.asked[0]!.startsWith("http://b/"), bench.height]).toEqual([
      true,
      true,
      50
    ])
    expect(bench.said[0]).toBe("not-reached")
  })

  test("who has had too many requests of ours is asked the same again a second later, and given up in the end", () => {
    let full = true
    const bench = new Bench(new TestChain(spec), {
      "http://a": (url) => (full && url.includes("/blocks/") ? { status: 429, body: "{}" } : honest(url))
    })
    bench.tick(0)
    bench.tick(999)
    expect(bench.asks("/blocks/raw")).toBe(1)
    bench.tick(1)
    expect([bench.asks("/blocks/raw"), bench.asked.at(-1) === bench.asked.at(-2), bench.said]).toEqual([2, true, []])
    full = false
    bench.tick(1_000)
    expect(bench.height).toBe(50)
    const other = new Bench(new TestChain(spec), { "http://a": () => ({ status: 429, body: "{}" }) })
    for (let i = 0; i < 62; i++) other.tick(1_000)
    expect([other.said, other.asked.length > 30]).toEqual([["not-reached"], true])
  })

  test("is not asked for the same body again and again, whatever our own chain does with it", () => {
    const bench = new Bench(new TestChain(spec), { "http://a": honest })
    bench.forgets = true
    bench.tick(0)
    expect([bench.asks("/blocks/raw"), bench.said]).toEqual([1, ["body-missing"]])
  })

  test("a late answer of a run that is over changes nothing", () => {
    const bench = new Bench(new TestChain(spec), { "http://a": honest })
    const [ask] = bench.machine.tick(0, quiet)
    bench.machine.tick(60_001, quiet)
    if (ask?._tag !== "Ask") throw new Error("nobody was asked")
    expect(bench.machine.answered(ask.ask, honest(ask.url), 60_002)).toEqual([])
    for (const id of [0, 1, 2, 3]) {
      expect(bench.machine.missing(id, [], 1)).toEqual([])
      expect(bench.machine.bodyJudged(id, "", false, 1)).toEqual([])
    }
  })

  test("a hint of one of the operator's nodes is followed at once; of anybody else, or of one that failed, never", () => {
    const bench = new Bench(long.fork(50), { "http://a": honest, "http://b": down })
    bench.tick(0)
    const before = bench.asked.length
    for (const url of ["http://b", "http://evil.test", "http://a/", ""]) bench.settle(bench.machine.hinted(url, 500))
    expect(bench.asked.length).toBe(before)
    bench.settle(bench.machine.hinted("http://a", 500))
    expect(bench.asked.slice(before).every((url) => url.startsWith("http://a/"))).toBe(true)
    expect(bench.asked.length).toBe(before + 1)
  })

  test("by an order is everybody, also who failed, and the order tells what was found", () => {
    const bench = new Bench(new TestChain(spec), { "http://a": honest, "http://b": down, "http://c": honest })
    bench.tick(0)
    bench.settle(bench.machine.order(1))
    expect(bench.resolved?.map(({ url, status, code, blocks }) => [url, status, code, blocks])).toEqual([
      ["http://a", "noop", undefined, 0],
      ["http://b", "failed", "answer-refused", 0],
      ["http://c", "noop", undefined, 0]
    ])
    expect(bench.resolved?.[0]?.claim?.height).toBe(50)
  })

  test("for directories is who is asked for blocks anyway, and only endpoints are taken from them", () => {
    const peers = ["1.2.3.4:19100", "http://169.254.169.254/", 7, null, "x".repeat(500), "host:1"]
    const listing: RawNode = (url) =>
      url.includes("/network/peers") ? { status: 200, body: JSON.stringify({ peers }) } : honest(url)
    const isEndpoint = (text: string): boolean => /^[a-z0-9.]+:\d+$/.test(text)
    const bench = new Bench(new TestChain(spec), { "http://a": listing }, { isEndpoint })
    bench.tick(0)
    expect([bench.height, bench.found]).toEqual([50, ["1.2.3.4:19100", "host:1"]])
    expect(bench.asked.every((url) => url.startsWith("http://a/api/"))).toBe(true)
    // With nobody to dial it is asked now and then, not with every look.
    bench.tick(2_000)
    expect(bench.asks("/network/peers")).toBe(1)
    bench.tick(28_000)
    expect(bench.asks("/network/peers")).toBe(2)
  })
})
