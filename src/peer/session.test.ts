/** One conversation: answers belong to questions, silence is noticed, nothing is told twice. */
import { expect, test } from "bun:test"
import { headerBytes, makeHeader } from "../block/header.ts"
import { TestChain } from "../../test/fixtures.ts"
import {
  allowanceMax,
  hashesPerMessageMax,
  headersPerMessageMax,
  peerIdleMsMax,
  pingAfterMs,
  requestMsMax
} from "../limits.ts"
import { encodeBlock } from "../block/block.ts"
import { Session, type SessionEffect } from "./session.ts"

const tags = (effects: ReadonlyArray<SessionEffect>): ReadonlyArray<string> =>
  effects.map((effect) => (effect._tag === "Send" ? effect.message.tag : effect._tag))

test("an answer that nobody asked for is priced, one that was is heard once", () => {
  const chain = new TestChain()
  const [block] = chain.mine(1)
  const session = new Session(0)
  const answer = { tag: "BLK", request: 1, block: encodeBlock(block!) } as const
  expect(tags(session.hear(answer, 0))).toEqual(["Misbehaved"])
  expect(tags(session.askBlocks([block!.header.hash], 0))).toEqual(["GBL"])
  expect(tags(session.hear(answer, 1))).toEqual(["Block"])
  expect(tags(session.hear(answer, 2))).toEqual(["Misbehaved"])
  expect(tags(session.hear({ tag: "HDR", request: 9, headers: new Uint8Array(212) }, 2))).toEqual(["Misbehaved"])
  expect(tags(session.hear({ tag: "PON", nonce: 5 }, 2))).toEqual(["Misbehaved"])
})

test("another block in place of the one asked for is not taken for it", () => {
  const chain = new TestChain()
  const [block] = chain.mine(1)
  const session = new Session(0)
  session.askBlocks([block!.header.hash], 0)
  const other = { ...block!, header: makeHeader({ ...block!.header, nonce: block!.header.nonce + 1 }) }
  expect(tags(session.hear({ tag: "BLK", request: 1, block: encodeBlock(other) }, 1))).toEqual(["Misbehaved"])
})

test("what does not come in time is given back, and headers that do not come end the session", () => {
  const session = new Session(0)
  const hash = new Uint8Array(32).fill(7)
  session.askBlocks([hash], 0)
  expect(session.tick(requestMsMax)).toMatchObject([{ _tag: "NotGiven", ids: ["07".repeat(32)], stalled: true }])
  session.askHeaders([], requestMsMax)
  expect(tags(session.tick(2 * requestMsMax))).toContain("End")
})

test("silence is met with a ping, then with the end; a pong measures the way", () => {
  const session = new Session(0)
  const [ping] = session.tick(pingAfterMs + 1)
  expect(tags([ping!])).toEqual(["PNG"])
  const { nonce } = (ping as { message: { nonce: number } }).message
  expect(session.hear({ tag: "PON", nonce }, pingAfterMs + 41)).toEqual([{ _tag: "Measured", latencyMs: 40 }])
  expect(tags(session.tick(pingAfterMs + 41 + peerIdleMsMax + 1))).toContain("End")
})

test("nothing is announced to a peer that told us of it, and nothing twice", () => {
  const session = new Session(0)
  session.hear({ tag: "INV", transactions: [new Uint8Array(32)] }, 0)
  expect(session.news(["00".repeat(32), "11".repeat(32)])).toEqual(["11".repeat(32)])
  expect(session.news(["11".repeat(32)])).toEqual([])
  // What only we have named may be named again; what the peer has named never is.
  expect(session.news(["00".repeat(32), "11".repeat(32), "22".repeat(32)], true)).toEqual(
    ["11", "22"].map((one) => one.repeat(32))
  )
  expect(session.news(["22".repeat(32)])).toEqual([])
})

test("a peer that asks without end is priced", () => {
  const session = new Session(0)
  const effects = Array.from({ length: allowanceMax }, () => session.hear({ tag: "GPR", request: 1 }, 5)).flat()
  expect(tags(effects).filter((tag) => tag === "Misbehaved").length).toBeGreaterThan(0)
  expect(tags(session.hear({ tag: "GPR", request: 1 }, 2000))).toEqual(["ServePeers"])
})

test("an answer that comes after its time is no fault, but counts once", () => {
  const chain = new TestChain()
  const [block] = chain.mine(1)
  const session = new Session(0)
  session.askBlocks([block!.header.hash], 0)
  session.tick(requestMsMax)
  const answer = { tag: "BLK", request: 1, block: encodeBlock(block!) } as const
  expect(tags(session.hear(answer, requestMsMax + 1))).toEqual(["Block"])
  expect(tags(session.hear(answer, requestMsMax + 2))).toEqual(["Misbehaved"])
})

test("what a peer lacks is given back without a stall, and only what was asked of it", () => {
  const session = new Session(0)
  const [asked, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  session.askBlocks([asked], 0)
  expect(tags(session.hear({ tag: "NFD", request: 1, hashes: [other] }, 1))).toEqual(["Misbehaved"])
  expect(session.hear({ tag: "NFD", request: 1, hashes: [asked, other] }, 1)).toEqual([
    { _tag: "NotGiven", ids: ["01".repeat(32)], stalled: false }
  ])
  expect(session.tick(requestMsMax).filter(({ _tag }) => _tag === "NotGiven")).toEqual([])
})

test("one question for headers is open at a time, and the next page follows the last header of a full one", () => {
  const session = new Session(0)
  const mine = new Uint8Array(32).fill(9)
  expect(tags(session.askHeaders([mine], 0))).toEqual(["GHD"])
  expect(session.askHeaders([mine], 0)).toEqual([])
  const page = new Uint8Array(headersPerMessageMax * headerBytes)
  expect(tags(session.hear({ tag: "HDR", request: 1, headers: page }, 1))).toEqual(["Headers"])
  const [full] = session.askHeaders([mine], 1) as ReadonlyArray<{ message: { locator: ReadonlyArray<Uint8Array> } }>
  expect([full!.message.locator.length, full!.message.locator[1]]).toEqual([2, mine])
  session.hear({ tag: "HDR", request: 2, headers: page.subarray(headerBytes) }, 2)
  expect(session.askHeaders([mine], 2)).toMatchObject([{ message: { tag: "GHD", locator: [mine] } }])
})

test("few headers may be announced, not a page of them", () => {
  const announce = (count: number) =>
    tags(new Session(0).hear({ tag: "HDR", request: 0, headers: new Uint8Array(count * headerBytes) }, 0))
  expect([announce(16), announce(17)]).toEqual([["Headers"], ["Misbehaved"]])
})

test("transactions beyond the open questions wait, and are asked for as answers come", () => {
  const session = new Session(0)
  const hashes = Array.from({ length: hashesPerMessageMax + 1 }, (_, i) => {
    const hash = new Uint8Array(32)
    new DataView(hash.buffer).setUint32(0, i)
    return hash
  })
  expect(session.askTransactions(hashes, 0)).toMatchObject([{ message: { tag: "GTX", request: 1 } }])
  const effects = session.hear({ tag: "TXN", request: 1, transactions: [] }, 1)
  expect(tags(effects)).toEqual(["Transactions", "GTX"])
  expect(effects[1]).toMatchObject({ message: { request: 2, hashes: [hashes[hashesPerMessageMax]] } })
})

test("what a light client asks is served, and priced by what it costs", () => {
  const heard = (message: Parameters<Session["hear"]>[0]): number => {
    const session = new Session(0)
    let served = 0
    while (tags(session.hear(message, 0))[0] === "ServeLight") served++
    return served
  }
  expect(heard({ tag: "GPH", request: 1, locator: [], limit: 1 })).toBe(allowanceMax / 20)
  expect(heard({ tag: "GPF", request: 1, of: new Uint8Array(20) })).toBe(allowanceMax / 20)
  expect(heard({ tag: "GPF", request: 1, of: new Uint8Array(36) })).toBe(allowanceMax / 20)
  expect(heard({ tag: "GPF", request: 1, of: new Uint8Array(32) })).toBe(allowanceMax / 200)
  expect(heard({ tag: "GFH", request: 1, start: 0, every: 1, stop: new Uint8Array(32) })).toBe(allowanceMax / 20)
  expect(heard({ tag: "GFL", request: 1, start: 0, stop: new Uint8Array(32) })).toBe(Math.floor(allowanceMax / 60))
})

test("a light client asks no more than its peer hears, however much it wants to know, and all of it in the end", () => {
  const [asker, asked] = [new Session(0), new Session(0)]
  let wanted = 2_000
  let served = 0
  const give = (effects: ReturnType<Session["hear"]>, now: number): void => {
    for (const effect of effects) {
      if (effect._tag !== "Send") continue
      const [heard] = asked.hear(effect.message, now)
      expect(heard?._tag).toBe("ServeLight")
      served++
      if (effect.message.tag !== "GPF") throw new Error("it asks for proofs")
      asker.hear({ tag: "PRF", request: effect.message.request, proof: new Uint8Array(0) }, now)
      if (--wanted > 0) give(asker.askLight({ tag: "GPF", of: new Uint8Array(36) }, now), now)
    }
  }
  give(asker.askLight({ tag: "GPF", of: new Uint8Array(36) }, 0), 0)
  expect([served > 100, served < 200]).toEqual([true, true])
  for (let now = 100; wanted > 0 && now < 60_000; now += 100) give(asker.tick(now), now)
  expect(served).toBe(2_000)
})

test("an answer to a light client belongs to its own kind of question, is taken once, and is waited for no longer than others", () => {
  const session = new Session(0)
  expect(tags(session.askLight({ tag: "GPF", of: new Uint8Array(20) }, 0))).toEqual(["GPF"])
  const filters = { tag: "FLT", request: 1, filters: [] } as const
  const proof = { tag: "PRF", request: 1, proof: new Uint8Array(0) } as const
  expect(tags(session.hear(filters, 1))).toEqual(["Misbehaved"])
  expect(session.hear(proof, 1)).toEqual([{ _tag: "LightAnswer", answer: proof }])
  expect(tags(session.hear(proof, 1))).toEqual(["Misbehaved"])
  for (let i = 0; i < 8; i++) expect(session.askLight({ tag: "GPF", of: new Uint8Array(20) }, 2)).toHaveLength(1)
  expect(session.askLight({ tag: "GPF", of: new Uint8Array(20) }, 2)).toEqual([])
  expect(session.hear({ ...proof, request: 2 }, 3)).toHaveLength(1)
  expect(tags(session.tick(3))).toEqual(["GPF"])
  for (let i = 0; i < 64; i++) expect(session.askLight({ tag: "GPF", of: new Uint8Array(20) }, 3)).toEqual([])
  expect(tags(session.askLight({ tag: "GPF", of: new Uint8Array(20) }, 3))).toEqual(["End"])
  expect(tags(session.tick(requestMsMax + 2))).toContain("End")
})
