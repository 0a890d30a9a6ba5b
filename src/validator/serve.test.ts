/** A signer that is asked for votes: what it takes for one, what it notes, and that no questions make it contradict itself. */
import { describe, expect, test } from "bun:test"
import { type Header, type HeaderFields, makeHeader } from "../block/header.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import {
  type Checkpoint,
  checkpointOf,
  type CheckpointVote,
  isVoteSigned,
  makeVote,
  offenceOf
} from "../consensus/checkpoint.ts"
import { makeDice } from "../sim/dice.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { startedBook } from "./book.ts"
import { nothingSigned, type Signed } from "./protection.ts"
import { answerTo, type Holder } from "./serve.ts"
import { decodeVoteAsk, encodeVoteAsk, formatQuestion, parseAnswer, parseQuestion } from "./signing-lines.ts"

const every = 2
const chain = new TestChain(specOf({ authorities: 3, authority: { finality: { checkpointBlocks: every } } }))
const { genesis, spec, consensus } = chain.rules
const { rota } = consensus.author!
const key = keyOf(firstAuthority)
chain.mine(8)
const at = (height: number): Header => chain.store.bestAt(height)!.header
const slotIn = ({ time }: Pick<Header, "time">): number => Math.floor((time - rota.genesisTime) / rota.slotMs)

/** A signer at the tip's time, and what its file says. */
const holderOf = (wish: { readonly now?: number; readonly startSlot?: number; readonly saved?: Signed } = {}) => {
  const files: Array<Signed> = []
  const book = startedBook(wish.saved ?? nothingSigned, wish.startSlot ?? -1, (next) => void files.push(next))
  const holder: Holder = { rules: chain.rules, key, book, now: () => wish.now ?? at(8).time }
  return { holder, files }
}
const line = (source: Checkpoint, target: Pick<Header, "bytes">, kind = "vote"): string =>
  formatQuestion({ kind, id: 1, bytes: encodeVoteAsk({ source, target }) })

/** The vote that a signer gives, or the code of its refusal. */
const ask = (holder: Holder, source: Checkpoint, target: Header): CheckpointVote | string => {
  const answer = parseAnswer(answerTo(holder, line(source, target))!)!
  if ("refused" in answer) return answer.refused.code
  return makeVote({ source, target }, { publicKey: key.publicKey, signature: answer.signature })
}
const changed = (header: Header, fields: Partial<HeaderFields>): Header => makeHeader({ ...header, ...fields })

describe("a signer that is asked for votes", () => {
  test("signs them for the headers it is shown, whoever sealed those, and has noted them before", () => {
    const { holder, files } = holderOf()
    for (const [from, to] of [
      [0, 2],
      [2, 4],
      [2, 8]
    ] as const) {
      const vote = ask(holder, at(from), at(to)) as CheckpointVote
      expect(isVoteSigned(genesis.header.hash, vote)).toBe(true)
      expect(files.at(-1)).toEqual({ slot: -1, source: from, target: to })
    }
    expect(new Set([2, 4, 8].map((height) => toHex(at(height).proposer))).size).toBeGreaterThan(1)
  })

  test("makes the hash from the bytes: a header with another word in it is another target", () => {
    const other = changed(at(4), { nonce: 99 })
    const vote = ask(holderOf().holder, at(2), other) as CheckpointVote
    expect(vote.target.id).toBe(other.id)
    expect(isVoteSigned(genesis.header.hash, vote)).toBe(true)
    expect(isVoteSigned(genesis.header.hash, { ...vote, target: checkpointOf(at(4)) })).toBe(false)
  })

  test("gives one for each height, and none around another", () => {
    const { holder, files } = holderOf()
    expect(ask(holder, at(2), at(6))).toBeObject()
    for (const [from, to] of [
      [2, 6],
      [4, 6],
      [2, 4],
      [0, 8]
    ] as const)
      expect(ask(holder, at(from), at(to))).toBe("vote-signed")
    expect(ask(holder, at(2), changed(at(6), { nonce: 9 }))).toBe("vote-signed")
    expect(files).toHaveLength(1)
  })

  test("gives none for a target that an earlier run may have voted on, though seals of later slots do not matter", () => {
    const { holder, files } = holderOf({ startSlot: slotIn(at(4)), saved: { ...nothingSigned, slot: slotIn(at(8)) } })
    expect([ask(holder, at(2), at(4)), files]).toEqual(["vote-signed", []])
    expect(ask(holder, at(2), at(6))).toBeObject()
    expect(files).toEqual([{ slot: slotIn(at(8)), source: 2, target: 6 }])
  })

  test.each([
    ["no checkpoint as target", "vote-malformed", at(2), at(5)],
    ["no checkpoint as source", "vote-malformed", at(1), at(4)],
    ["a source at the target", "vote-malformed", at(4), at(4)],
    ["a source above the target", "vote-malformed", at(6), at(4)],
    ["another genesis", "header-foreign", { ...at(0), hash: at(1).hash }, at(4)],
    ["another chain", "header-foreign", at(0), changed(at(4), { chainTag: 7 })],
    ["a genesis as target", "header-foreign", at(0), changed(at(2), { height: 0 as never })],
    ["before the genesis", "header-foreign", at(0), changed(at(2), { time: spec.genesis.time as never })],
    ["no work", "header-foreign", at(0), changed(at(2), { target: new Uint8Array(32) as never })],
    ["more blocks than slots", "header-foreign", at(0), changed(at(8), { height: (2 * slotIn(at(8)) + 4) as never })],
    ["the future", "slot-ahead", at(0), changed(at(8), { time: (at(8).time + spec.time.futureMsMax + 1) as never })]
  ] as const)("refuses %s: %s, and notes nothing", (_, code, source, target) => {
    const { holder, files } = holderOf()
    expect([ask(holder, source, target), files]).toEqual([code, []])
  })

  test("refuses what is no vote, an unknown kind, and all where nobody votes or nothing can be noted", () => {
    const { holder } = holderOf()
    const codeOf = (who: Holder, text: string): string => {
      const answer = parseAnswer(answerTo(who, text)!)!
      return "refused" in answer ? answer.refused.code : "signed"
    }
    const short = encodeVoteAsk({ source: at(2), target: at(4) }).subarray(0, 378)
    expect(codeOf(holder, formatQuestion({ kind: "vote", id: 1, bytes: short }))).toBe("header-malformed")
    expect(codeOf(holder, formatQuestion({ kind: "vote", id: 1, bytes: at(4).bytes }))).toBe("header-malformed")
    expect(codeOf(holder, line(at(2), at(4), "seal"))).toBe("header-malformed")
    expect(codeOf(holder, line(at(2), at(4), "attest"))).toBe("kind-unknown")
    const silent = new TestChain(specOf({ authorities: 3 })).rules
    expect(codeOf({ ...holder, rules: silent }, line(at(2), at(4)))).toBe("kind-unknown")
    const save = (): never => {
      throw new Error("no room")
    }
    expect(codeOf({ ...holder, book: { ...holder.book, save } }, line(at(2), at(4)))).toBe("book-unsaved")
    expect(codeOf(holder, line(at(2), at(4)))).toBe("signed")
  })

  test("whatever it is asked, over restarts with its file, its votes never contradict each other", () => {
    const points = [0, 2, 4, 6, 8].map(at)
    const others = points.slice(1).map((point) => changed(point, { nonce: 77 }))
    let given = 0
    for (let seed = 0; seed < 40; seed++) {
      const dice = makeDice(seed)
      const votes: Array<CheckpointVote> = []
      let { holder, files } = holderOf()
      for (let i = 0; i < 25; i++) {
        if (dice.int(6) === 0) ({ holder, files } = holderOf({ saved: files.at(-1) ?? holder.book.load() }))
        const vote = ask(holder, dice.pick(points), dice.pick([...points, ...others]))
        if (typeof vote !== "string") votes.push(vote)
      }
      for (const a of votes) for (const b of votes) expect(offenceOf(a, b)).toBeUndefined()
      given += votes.length
    }
    expect(given).toBeGreaterThan(60)
  })

  test("no bytes make it throw, and what it signs is what was asked", () => {
    const dice = makeDice(3)
    const whole = line(at(2), at(6))
    let signed = 0
    for (let i = 0; i < 1_500; i++) {
      const { holder } = holderOf()
      const text = i === 0 ? whole : new TextDecoder().decode(dice.mutate(utf8(whole)))
      const answer = answerTo(holder, text)
      const parsed = answer === undefined ? undefined : parseAnswer(answer)
      expect(answer === undefined || parsed !== undefined).toBe(true)
      if (parsed === undefined || !("signature" in parsed)) continue
      signed++
      const question = parseQuestion(text)!
      expect(question.kind).toBe("vote")
      const vote = makeVote(decodeVoteAsk(question.bytes)!, { publicKey: key.publicKey, signature: parsed.signature })
      expect(isVoteSigned(genesis.header.hash, vote)).toBe(true)
    }
    expect(signed).toBeGreaterThan(100)
  })
})
