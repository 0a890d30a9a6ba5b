/** Two headers that convict, and everything that does not; in whatever order they come. */
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { nextSlot, offenceOf, sealedBy } from "../../test/authorities.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { type Header, makeHeader } from "../block/header.ts"
import { concat, fromHex, toHex } from "../codec/bytes.ts"
import { sign } from "../crypto/signature.ts"
import { makeDice } from "../sim/dice.ts"
import { decodeEvidence, encodeEvidence, evidenceBytes, evidenceId, evidenceOf } from "./evidence.ts"
import { sealHash, sealHeader } from "../block/seal.ts"
import { SeenSeals } from "./seen.ts"

const chain = new TestChain(specOf({ authorities: 5 }))
const { rota } = chain.rules.consensus.author!
const now = chain.now + 20_000
const header = (by: number, text: string, at = now, on = chain): Header => sealedBy(on, { by, now: at, text }).header
const [a, b] = [header(1, "a"), header(1, "b")]
const proof = evidenceOf(rota, a, b)!
const bytes = encodeEvidence(proof)
const prove = (one: Uint8Array, two: Uint8Array, chainId = "test") => decodeEvidence(rota, chainId, concat(one, two))

describe("evidence", () => {
  test("is the same from both orders, has one form, and comes back from its bytes", () => {
    expect(toHex(encodeEvidence(evidenceOf(rota, b, a)!))).toBe(toHex(bytes))
    const read = decodeEvidence(rota, "test", bytes)!
    expect([read.slot, toHex(read.authority), read.first.id, read.second.id]).toEqual([
      proof.slot,
      toHex(keyOf(firstAuthority + 1).address),
      proof.first.id,
      proof.second.id
    ])
    expect(prove(proof.second.bytes, proof.first.bytes)).toBeUndefined()
    expect(bytes.length).toBe(evidenceBytes)
    expect(evidenceId(bytes)).toMatch(/^[0-9a-f]{64}$/)
  })

  test("is no two seals of one header: the hash does not cover the seal, and one block is no offence", () => {
    const twin = makeHeader({
      ...a,
      authority: { ...a.authority!, signature: sign(sealHash(a.hash), keyOf(firstAuthority + 1).secret) }
    })
    const other = makeHeader({ ...a, authority: { ...a.authority!, signature: new Uint8Array(64).fill(7) } })
    for (const one of [a, twin, other]) expect(evidenceOf(rota, a, one)).toBeUndefined()
  })

  test("is nothing of another slot, another authority, another chain, or a genesis", () => {
    expect(evidenceOf(rota, a, header(1, "b", nextSlot(chain, a.time)))).toBeUndefined()
    expect(evidenceOf(rota, a, header(2, "b"))).toBeUndefined()
    const elsewhere = new TestChain(specOf({ authorities: 5, chainId: "other" }))
    const [c, d] = [header(1, "a", now, elsewhere), header(1, "b", now, elsewhere)]
    expect(evidenceOf(rota, a, d)).toBeUndefined()
    const foreign = encodeEvidence(evidenceOf(rota, c, d)!)
    expect(decodeEvidence(rota, "test", foreign)).toBeUndefined()
    expect(decodeEvidence(rota, "other", foreign)).toBeDefined()
    const [g, h] = ["g", "h"].map((text) =>
      sealHeader(makeHeader({ ...header(1, text), time: chain.store.tip().header.time }), keyOf(firstAuthority + 1))
    )
    expect(evidenceOf(rota, g!, h!)).toBeUndefined()
  })

  test("needs both seals: a header that another key sealed, or that nobody did, proves nothing", () => {
    const unsealed = makeHeader({ ...b, authority: { ...b.authority!, signature: new Uint8Array(64) } })
    const forged = sealHeader(b, keyOf(firstAuthority + 2))
    for (const one of [unsealed, forged]) {
      const both = evidenceOf(rota, a, one)!
      expect(decodeEvidence(rota, "test", encodeEvidence(both))).toBeUndefined()
    }
  })

  test("changed in any byte proves nothing, and random bytes never throw", () => {
    const dice = makeDice(4)
    for (let at = 0; at < evidenceBytes; at++) {
      const changed = bytes.slice()
      changed[at]! ^= 1 << dice.int(8)
      expect([at, decodeEvidence(rota, "test", changed)]).toStrictEqual([at, undefined])
    }
    for (let i = 0; i < 2000; i++) {
      const changed = dice.mutate(bytes)
      if (toHex(changed) !== toHex(bytes)) expect(decodeEvidence(rota, "test", changed)).toBeUndefined()
      decodeEvidence(rota, "test", dice.bytes(dice.int(2) === 0 ? evidenceBytes : dice.int(1400)))
    }
  })
})

test("of docs/vectors/peer.json says what stands beside it", async () => {
  const { evidence } = (await Bun.file(join(import.meta.dir, "../../docs/vectors/peer.json")).json()) as {
    evidence: {
      chain_id: string
      genesis_time: number
      slot_ms: number
      authority: string
      slot: number
      bytes: string
    }
  }
  const rule = { genesisTime: evidence.genesis_time, slotMs: evidence.slot_ms, outOfTurnMs: 0 }
  const read = decodeEvidence(rule, evidence.chain_id, fromHex(evidence.bytes)!)!
  expect([toHex(read.authority), read.slot]).toEqual([evidence.authority, evidence.slot])
})

describe("seals that were seen", () => {
  const slots = (count: number, by = 1): ReadonlyArray<Header> =>
    Array.from({ length: count }, (_, i) => header(by, "", now + i * 10_000))

  test("name the first of an authority and slot, whichever comes second", () => {
    for (const [one, two] of [
      [a, b],
      [b, a]
    ] as const) {
      const seen = new SeenSeals(rota)
      expect(seen.first(one)).toBeUndefined()
      seen.see(one)
      seen.see(two)
      expect(seen.first(two)?.id).toBe(one.id)
      expect(toHex(encodeEvidence(evidenceOf(rota, seen.first(two)!, two)!))).toBe(toHex(bytes))
      expect(seen.first(header(2, "b"))).toBeUndefined()
    }
  })

  test("are bounded: who floods pushes out the lowest slots of its own, and nobody else's", () => {
    const seen = new SeenSeals(rota, { authorities: 3, slots: 4 })
    const [quiet] = slots(1, 2)
    seen.see(quiet!)
    const flood = slots(40)
    for (const one of flood) seen.see(one)
    expect(seen.first(quiet!)?.id).toBe(quiet!.id)
    expect(flood.map((one) => seen.first(one) !== undefined)).toEqual(flood.map((_, i) => i >= 36))
    for (const by of [3, 4]) seen.see(header(by, ""))
    // Of authorities the one that was silent the longest goes.
    expect([seen.first(quiet!), seen.size, seen.max]).toEqual([undefined, 6, 12])
  })

  test("are offences by themselves only where two headers differ", () => {
    const seen = new SeenSeals(rota)
    seen.see(a)
    expect(evidenceOf(rota, seen.first(a)!, a)).toBeUndefined()
    expect(offenceOf(chain, { by: 1, now }).slot).toBe(proof.slot)
  })
})
