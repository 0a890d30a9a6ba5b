/** Evidence, wishes and the index of seals: bounded, unique, there after a restart; and what finds a second seal. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { offenceOf, sealedBy } from "../../test/authorities.ts"
import { firstAuthority, forge, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import type { Header } from "../block/header.ts"
import { makeHeader } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { type Evidence, encodeEvidence, evidenceOf } from "../consensus/evidence.ts"
import { evidencePerAuthorityMax, wishesMax } from "../limits.ts"
import { openDatabase } from "./db.ts"
import { DoubleSigns } from "./double-signs.ts"
import { EvidenceBook, WishBook } from "./evidence.ts"

const spec = specOf({ authorities: 5 })
let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-evidence-"))
  path = join(folder, "chain.db")
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Proof against the i-th authority in the i-th slot from now; nobody checks it again here. */
const offence = (chain: TestChain, by: number, slot = 0): Evidence =>
  offenceOf(chain, { by, now: chain.now + 20_000 + slot * 10_000 })

describe("the book of evidence", () => {
  test("keeps each authority's slot once, a few of each authority, and has them after a restart", () => {
    const chain = new TestChain(spec, path)
    const { evidence: book } = chain.store
    const first = offence(chain, 1)
    expect([book.add(first, 7), book.add(first, 8)]).toEqual([true, false])
    for (let slot = 1; slot < 9; slot++) book.add(offence(chain, 1, slot), 9)
    expect(book.add(offence(chain, 2), 10)).toBe(true)
    expect(book.size).toBe(evidencePerAuthorityMax + 1)
    chain.store.close()
    const again = new TestChain(spec, path).store.evidence
    expect(again.all()[0]).toEqual({
      authority: first.authority,
      slot: first.slot,
      bytes: encodeEvidence(first),
      found: 7
    })
    expect([...again.firsts().keys()]).toEqual([1, 2].map((i) => toHex(keyOf(firstAuthority + i).address)))
    expect([
      again.isGuilty(keyOf(firstAuthority + 2).address),
      again.isGuilty(keyOf(firstAuthority + 3).address)
    ]).toEqual([true, false])
  })

  test("holds no more than its bound: the oldest goes", () => {
    const chain = new TestChain(spec)
    const book = new EvidenceBook(chain.store.db, 3)
    for (const by of [0, 1, 2, 3, 4]) expect(book.add(offence(chain, by), by)).toBe(true)
    expect(book.all().map(({ found }) => found)).toEqual([2, 3, 4])
  })
})

test("wishes are one about each subject, bounded, in their order after a restart", () => {
  const book = new WishBook(openDatabase(path))
  const about = (i: number, vote: "admit" | "expel" = "admit") => ({ vote, subject: keyOf(i).address, since: i })
  for (let i = 0; i < wishesMax; i++) expect(book.set(about(i))).toBe(true)
  expect([
    book.set(about(wishesMax)),
    book.set(about(0, "expel")),
    book.drop(about(1).subject),
    book.drop(about(1).subject)
  ]).toEqual([false, true, true, false])
  const kept = new WishBook(openDatabase(path)).all()
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([wishesMax - 1, about(2), about(0, "expel")])
})

describe("a second header of one slot", () => {
  const pair = (chain: TestChain, by = 1): readonly [Header, Header] => {
    const [a, b] = ["one", "two"].map((text) => sealedBy(chain, { by, now: chain.now + 20_000, text }).header)
    return [a!, b!]
  }
  const rowOf = (header: Header) => ({ header, work: 1n, hasBody: false })
  const doublesOf = ({ rules, store }: TestChain): DoubleSigns => new DoubleSigns(rules, store)

  test("is found in both orders, with the first one taken or refused, and the same proof each time", () => {
    const chain = new TestChain(spec)
    const [a, b] = pair(chain)
    const whole = toHex(encodeEvidence(evidenceOf(chain.rules.consensus.author!.rota, a, b)!))
    for (const [one, two] of [
      [a, b],
      [b, a]
    ] as const)
      for (const refused of [undefined, "turn-early", "parent-unknown", "known-invalid"] as const) {
        const doubles = doublesOf(chain)
        expect([doubles.look(one, refused), doubles.look(one, refused)]).toStrictEqual([undefined, undefined])
        expect(toHex(encodeEvidence(doubles.look(two, refused)!))).toBe(whole)
      }
  })

  test("is found after a restart against a stored one, though it is on no branch that won", () => {
    const chain = new TestChain(spec, path)
    const [a, b] = pair(chain)
    chain.store.saveHeaders([rowOf(a)])
    chain.store.close()
    const again = new TestChain(spec, path)
    expect(again.store.seals.first(b)?.id).toBe(a.id)
    expect(doublesOf(again).look(b, undefined)?.slot).toBe(
      chain.rules.consensus.author!.evidence(encodeEvidence(evidenceOf(chain.rules.consensus.author!.rota, a, b)!))!
        .slot
    )
    expect(doublesOf(again).look(a, undefined)).toBeUndefined()
  })

  test("is none if its seal is false, if a stranger sealed both, or if it is the first under another signature", () => {
    const chain = new TestChain(spec)
    const [a, b] = pair(chain)
    const doubles = doublesOf(chain)
    doubles.look(a, undefined)
    const unsealed = makeHeader({ ...b, authority: { ...b.authority!, signature: new Uint8Array(64) } })
    expect(doubles.look(unsealed, "turn-early")).toBeUndefined()
    expect(doubles.look(b, "signature-wrong")).toBeUndefined()
    expect(
      doubles.look(makeHeader({ ...a, authority: { ...a.authority!, signature: b.authority!.signature } }), undefined)
    ).toBeUndefined()
    const strangers = ["one", "two"].map(
      (text) => forge(sealedBy(chain, { by: 1, now: chain.now + 20_000, text }), { proposer: keyOf(0).address }).header
    )
    expect(strangers.map((one) => doubles.look(one, "signer-unknown"))).toStrictEqual([undefined, undefined])
    expect(doubles.look(b, undefined)).toBeDefined()
  })

  test("is not found again once the proof is kept", () => {
    const chain = new TestChain(spec)
    const [a, b] = pair(chain)
    const doubles = doublesOf(chain)
    doubles.look(a, undefined)
    chain.store.evidence.add(doubles.look(b, undefined)!, 1)
    expect(doubles.look(b, undefined)).toBeUndefined()
  })

  test("is looked for in a chain that grows as it should, and nothing is found", () => {
    const chain = new TestChain(spec)
    const doubles = doublesOf(chain)
    for (const { header } of chain.mine(40)) expect(doubles.look(header, undefined)).toBeUndefined()
    for (let height = 1; height <= 40; height++) {
      const { header } = chain.store.bestAt(height)!
      expect(chain.store.seals.first(header)?.id).toBe(header.id)
    }
  })
})
