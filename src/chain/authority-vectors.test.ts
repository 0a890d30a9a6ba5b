/** docs/vectors/authority.json is what the rules say: replayed by the rules of headers and bodies, from its bytes alone. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { vectorsFolder } from "../../test/vectors/data.ts"
import { type Block, decodeBlock } from "../block/block.ts"
import { parseSpec } from "../block/genesis.ts"
import { decodeHeader, sealDigest } from "../block/header.ts"
import { packPage, unpackPage } from "../block/packed.ts"
import { isSealed, sealHash, sealHeader } from "../block/seal.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { slotOf, turnIn } from "../consensus/rota.ts"
import { keypairOf } from "../crypto/keys.ts"
import { Branch, HeaderChain } from "../light/header-chain.ts"
import { openDatabase } from "../store/db.ts"
import { ChainStore } from "../store/store.ts"
import { checkBody, checkHeader } from "./check.ts"
import { choosePlan } from "./choose.ts"
import { Decision, runPlan } from "./connect.ts"
import { ancestryOf } from "./reader.ts"
import { makeRules, type Rules } from "./rules.ts"
import { VerifiedLeaves } from "./verified.ts"

const vectors = JSON.parse(readFileSync(join(vectorsFolder, "authority.json"), "utf8"))
const rulesOf = (spec: unknown): Rules => makeRules(Result.getOrThrow(parseSpec(spec)))
const rules = rulesOf(vectors.spec)
const author = rules.consensus.author!
const later = Number.MAX_SAFE_INTEGER / 2
const blockOf = (hex: string, by = rules): Block => Result.getOrThrow(decodeBlock(fromHex(hex)!, by.ledger))

/** A store that has taken the chain, block by block, each judged by all rules. */
const replayed = (until = Number.POSITIVE_INFINITY): ChainStore => {
  const store = new ChainStore(openDatabase(":memory:"), rules)
  for (const { height, block: hex } of vectors.chain) {
    if (height > until) break
    const block = blockOf(hex)
    const parent = store.tip()
    const ancestry = ancestryOf(store, parent.header)
    expect([height, checkHeader(rules, block.header, { ancestry, now: later }), checkBody(rules, block)]).toEqual([
      height,
      undefined,
      undefined
    ])
    store.saveHeaders([{ header: block.header, work: parent.work + rules.consensus.work(block.header), hasBody: true }])
    store.saveBody(block)
    const plan = choosePlan(store, store.find(block.header.id)!)
    store.land(Result.getOrThrow(runPlan(plan, { rules, reader: store, verified: new VerifiedLeaves(9) })), later)
  }
  return store
}

describe("a chain of authorities:", () => {
  test("every header is what its bytes say: digest, hash, what is signed, and the seal", () => {
    expect(rules.genesis.header.id).toBe(vectors.genesis.hash)
    expect(toHex(rules.genesis.header.bytes)).toBe(vectors.genesis.header)
    for (const row of vectors.chain) {
      const header = decodeHeader(fromHex(row.header)!)!
      expect([header.id, toHex(sealDigest(header.bytes))]).toEqual([row.hash, row.seal_digest])
      expect([toHex(sealHash(header.hash)), isSealed(header)]).toEqual([row.signed, true])
      const { secret } = vectors.secrets.find(({ address }: { address: string }) => address === toHex(header.proposer))
      expect(toHex(sealHeader(header, keypairOf(fromHex(secret)!)).bytes)).toBe(row.header)
      expect([slotOf(author.rota, header.time), header.authority!.weight]).toEqual([row.slot, row.weight])
    }
  })

  test("each block is taken, and leaves the list and the work that it names", () => {
    for (const { height, members, convicted, cumulative_work } of vectors.chain) {
      const store = replayed(height)
      const { header, work } = store.tip()
      const now = author.authorities(ancestryOf(store, header))
      expect([height, now.members.map(toHex), [...now.convicted].sort()]).toEqual([height, members, convicted])
      expect(String(work)).toBe(cumulative_work)
    }
  })

  test("what is refused on its tip is refused for its reason", () => {
    const store = replayed()
    const tip = store.tip().header
    const ancestry = ancestryOf(store, tip)
    for (const { name, code, header } of vectors.refused_headers) {
      const refused = checkHeader(rules, decodeHeader(fromHex(header)!)!, { ancestry, now: later })
      expect([name, refused?.code]).toEqual([name, code])
    }
    for (const { name, code, block: hex } of vectors.refused_blocks) {
      const block = blockOf(hex)
      expect([name, checkHeader(rules, block.header, { ancestry, now: later })]).toStrictEqual([name, undefined])
      const refused = new Decision(rules, store, new VerifiedLeaves(9)).attach(block, tip)
      expect([name, refused?.code]).toEqual([name, code])
    }
    expect(new Set(vectors.refused_headers.map(({ code }: { code: string }) => code)).size).toBe(7)
  })

  test("its packed page gives a light client the same headers, votes and all", () => {
    const { parent, page } = vectors.packed
    const rows: ReadonlyArray<Uint8Array> = vectors.chain.map(({ header }: { header: string }) => fromHex(header)!)
    expect([parent, toHex(packPage(rules.genesis.header.bytes, rows))]).toEqual([vectors.genesis.header, page])
    const branch = new Branch(new HeaderChain(rules), 0)
    const rests = unpackPage(rules.genesis.header, fromHex(page)!, rows.length)!
    for (const [i, rest] of rests.entries()) {
      expect([i, branch.extend(rest, later)]).toStrictEqual([i, undefined])
      expect(toHex(branch.tip.bytes)).toBe(toHex(rows[i]!))
    }
    expect(rests.length).toBe(rows.length)
  })
})

test("a chain that does not want every block refuses those that it does not want", () => {
  for (const { name, spec, genesis, block: hex, code } of vectors.paced) {
    const strict = rulesOf(spec)
    expect(strict.genesis.header.id).toBe(genesis)
    const store = new ChainStore(openDatabase(":memory:"), strict)
    const refused = new Decision(strict, store, new VerifiedLeaves(9)).attach(
      blockOf(hex, strict),
      strict.genesis.header
    )
    expect([name, refused?.code]).toEqual([name, code])
  }
})

test("evidence proves an offence, and bytes that are like it do not", () => {
  const { bytes, authority, slot, refused } = vectors.evidence
  const proven = author.evidence(fromHex(bytes)!)!
  expect([toHex(proven.authority), proven.slot]).toEqual([authority, slot])
  for (const wrong of refused)
    expect([wrong.name, author.evidence(fromHex(wrong.bytes)!)]).toStrictEqual([wrong.name, undefined])
})

test("turns are those of the formula", () => {
  for (const { authorities: count, slot_ms, out_of_turn_ms, genesis_time, slot, turns } of vectors.rotas) {
    const rule = { genesisTime: genesis_time, slotMs: slot_ms, outOfTurnMs: out_of_turn_ms }
    const made = Array.from({ length: count }, (_, place) => turnIn(rule, count, place, slot))
    expect(made.map(({ weight, from }) => [weight, from])).toEqual(turns)
  }
})
