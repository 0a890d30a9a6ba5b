/** The lines of the signing socket: what is written is read, and nothing that is read throws. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { checkpointOf, voteHash } from "../consensus/checkpoint.ts"
import { keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import { signerLineBytesMax } from "../limits.ts"
import { authorityHeaderBytes, decodeHeader } from "../block/header.ts"
import { sealHash } from "../block/seal.ts"
import { verify } from "../crypto/signature.ts"
import * as lines from "./signing-lines.ts"

const greeting = { chainId: "cairn-dev-poa", genesis: "ab".repeat(32), publicKey: keyOf(1).publicKey }
const question = { kind: "seal", id: 7, bytes: new Uint8Array(authorityHeaderBytes).fill(9) }
/** The longest: a vote has the source before the header. */
const voteQuestion = { kind: "vote", id: 8, bytes: new Uint8Array(40 + authorityHeaderBytes).fill(5) }
const signed = { id: 7, signature: new Uint8Array(64).fill(3) }
const refused = { id: 0, refused: { code: "slot-signed", message: "slot 4 is signed" } } as const

test("the lines have one form, byte by byte", () => {
  expect(lines.formatGreeting(greeting)).toBe(
    `cairn-signer 1 cairn-dev-poa ${"ab".repeat(32)} ${toHex(keyOf(1).publicKey)}`
  )
  expect(lines.formatQuestion(question)).toBe(`seal 7 ${"09".repeat(authorityHeaderBytes)}`)
  expect(lines.formatQuestion(voteQuestion)).toBe(`vote 8 ${"05".repeat(379)}`)
  expect(lines.formatAnswer(signed)).toBe(`signed 7 ${"03".repeat(64)}`)
  expect(lines.formatAnswer(refused)).toBe("refused 0 slot-signed slot 4 is signed")
})

test("what is written is read", () => {
  expect(lines.parseGreeting(lines.formatGreeting(greeting))).toEqual(greeting)
  for (const one of [question, voteQuestion]) expect(lines.parseQuestion(lines.formatQuestion(one))).toEqual(one)
  for (const answer of [signed, refused]) expect(lines.parseAnswer(lines.formatAnswer(answer))).toEqual(answer)
})

test("what is asked for in a vote: the source's height and hash, and the target's header, or nothing", () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  const target = chain.next().header
  const source = checkpointOf(chain.rules.genesis.header)
  const bytes = lines.encodeVoteAsk({ source: { ...source, height: 0x0102 }, target })
  expect(toHex(bytes)).toBe(`0201000000000000${source.id}${toHex(target.bytes)}`)
  const read = lines.decodeVoteAsk(bytes)!
  expect([read.source, read.target.id]).toEqual([{ ...source, height: 0x0102 }, target.id])
  const first = new TestChain(specOf()).next().header
  const older = concat(bytes.subarray(0, 40), first.bytes)
  for (const wrong of [bytes.subarray(1), concat(bytes, new Uint8Array(1)), new Uint8Array(379).fill(255), older])
    expect(lines.decodeVoteAsk(wrong)).toBeUndefined()
})

test("a refusal is one bounded line, whatever it says, and an unknown code stays a refusal", () => {
  const line = lines.formatAnswer({
    id: 2 ** 53 - 1,
    refused: { code: "signer-refused", message: "ä\n".repeat(1_000) }
  })
  expect([line.includes("\n"), line.length < signerLineBytesMax]).toEqual([false, true])
  expect(lines.parseAnswer(line)).toBeDefined()
  expect(lines.parseAnswer("refused 1 from-tomorrow why not")).toEqual({
    id: 1,
    refused: { code: "signer-refused", message: "why not" }
  })
})

test("the published vectors: each signature is one of the header that the line has", () => {
  const { greeting: said, exchanges } = JSON.parse(
    readFileSync(join(import.meta.dir, "../../docs/vectors/signing.json"), "utf8")
  )
  const { publicKey } = lines.parseGreeting(said)!
  const outcomes = exchanges.map(({ node, signer }: { readonly node: string; readonly signer: string }) => {
    const answer = lines.parseAnswer(signer)!
    const asked = lines.parseQuestion(node)
    expect(asked === undefined ? 0 : asked.id).toBe(answer.id)
    if ("refused" in answer) return answer.refused.code
    return verify(sealHash(decodeHeader(asked!.bytes)!.hash), answer.signature, publicKey) ? "signed" : "false"
  })
  expect(outcomes).toEqual([
    "slot-signed",
    "signed",
    "slot-signed",
    "signed",
    "slot-signed",
    "slot-ahead",
    "header-foreign",
    "kind-unknown",
    "line-malformed"
  ])
})

test("the published vectors of votes: each signature is over the vote that the line stands for", () => {
  const { votes } = JSON.parse(readFileSync(join(import.meta.dir, "../../docs/vectors/signing.json"), "utf8"))
  const { publicKey, genesis } = lines.parseGreeting(votes.greeting)!
  const outcomes = votes.exchanges.map(({ node, signer }: { readonly node: string; readonly signer: string }) => {
    const answer = lines.parseAnswer(signer)!
    const { id, kind, bytes } = lines.parseQuestion(node)!
    expect(answer.id).toBe(id)
    if ("refused" in answer) return answer.refused.code
    const hash =
      kind === "vote"
        ? voteHash(fromHex(genesis, 32)!, lines.decodeVoteAsk(bytes)!)
        : sealHash(decodeHeader(bytes)!.hash)
    return verify(hash, answer.signature, publicKey) ? `${kind} signed` : "false"
  })
  expect(outcomes).toEqual([
    "vote-signed",
    "vote signed",
    "vote-signed",
    "vote signed",
    "vote-signed",
    "slot-ahead",
    "vote-malformed",
    "vote-malformed",
    "header-foreign",
    "header-foreign",
    "header-foreign",
    "vote signed",
    "header-malformed",
    "seal signed",
    "kind-unknown"
  ])
})

test("the longest line is within the bound", () => {
  expect(lines.formatQuestion({ ...voteQuestion, kind: "x".repeat(16), id: 2 ** 53 - 1 }).length).toBeLessThan(
    signerLineBytesMax
  )
  expect(lines.formatGreeting({ ...greeting, chainId: "x".repeat(32) }).length).toBeLessThan(signerLineBytesMax)
})

test.each([
  "",
  "seal",
  "seal 1",
  "seal 1 0",
  "seal 01 00",
  "seal -1 00",
  "seal 9007199254740992 00",
  "seal 1 0G",
  "seal 1 AB",
  "Seal 1 00",
  "seal 1 00 ",
  " seal 1 00",
  "seal 1 00 00",
  `seal 1 ${"00".repeat(380)}`
])("%p is no question", (line) => expect(lines.parseQuestion(line)).toBeUndefined())

test("no line throws; a changed one is none, or says something that has one form", () => {
  const dice = makeDice(11)
  const all = [
    lines.formatGreeting(greeting),
    lines.formatQuestion(question),
    lines.formatQuestion(voteQuestion),
    lines.formatAnswer(signed),
    lines.formatAnswer(refused)
  ]
  for (let i = 0; i < 4_000; i++) {
    const line = new TextDecoder().decode(dice.mutate(utf8(dice.pick(all))))
    const read = lines.parseQuestion(line)
    if (read !== undefined) expect(lines.formatQuestion(read)).toBe(line)
    const met = lines.parseGreeting(line)
    if (met !== undefined) expect(lines.formatGreeting(met)).toBe(line)
    lines.parseAnswer(line)
  }
})
