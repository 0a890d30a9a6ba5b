/** One conversation: answers belong to questions, silence is noticed, nothing is told twice. */
import { expect, test } from "bun:test"
import { makeHeader } from "../block/header.ts"
import { TestChain } from "../../test/fixtures.ts"
import { peerIdleMsMax, pingAfterMs, requestMsMax } from "../limits.ts"
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
})

test("a peer that asks without end is priced", () => {
  const session = new Session(0)
  const effects = Array.from({ length: 400 }, () => session.hear({ tag: "GPR", request: 1 }, 5)).flat()
  expect(tags(effects).filter((tag) => tag === "Misbehaved").length).toBeGreaterThan(0)
  expect(tags(session.hear({ tag: "GPR", request: 1 }, 2000))).toEqual(["ServePeers"])
})
