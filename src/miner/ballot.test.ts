/** What a block of ours says: proof first, then wishes in turn, and each vote once for as long as it counts. */
import { describe, expect, test } from "bun:test"
import { offenceOf, sealedBy } from "../../test/authorities.ts"
import { firstAuthority, keyOf, leaderAt, specOf, TestChain } from "../../test/fixtures.ts"
import { ancestryOf } from "../chain/reader.ts"
import { toHex } from "../codec/bytes.ts"
import type { Authorities } from "../consensus/consensus.ts"
import { encodeEvidence } from "../consensus/evidence.ts"
import { ballotOf, type Say, unpunished } from "./ballot.ts"

const us = keyOf(firstAuthority).address
const addressOf = (i: number) => keyOf(firstAuthority + i).address
const members = [0, 1, 2, 3, 4].map(addressOf)
const now: Authorities = { members, standing: new Map(), convicted: new Set() }
const rule = { voteBlocks: 100 }
const say: Say = { us, rule, height: 1, proofs: new Map(), wishes: [] }
const proofOf = (i: number, byte: number): readonly [string, Uint8Array] => [
  toHex(addressOf(i)),
  new Uint8Array([byte])
]

describe("a ballot", () => {
  test("convicts whom there is proof against, the first found first, before any wish; but not ourselves, nor the last", () => {
    const proofs = new Map([proofOf(0, 9), proofOf(3, 1), proofOf(1, 2)])
    const wishes = [{ vote: "admit", subject: addressOf(7) }] as const
    expect(ballotOf(now, { ...say, proofs, wishes })).toEqual({
      vote: "convict",
      subject: addressOf(3),
      evidence: new Uint8Array([1])
    })
    expect(ballotOf(now, { ...say, proofs: new Map([proofOf(0, 9)]) })).toBeUndefined()
    expect(ballotOf({ ...now, members: [addressOf(3)] }, { ...say, proofs })).toBeUndefined()
  })

  test("convicts nobody twice: of who is no authority any more there is nothing to say", () => {
    const left = { ...now, members: members.filter((_, i) => i !== 3), convicted: new Set([toHex(addressOf(3))]) }
    expect(ballotOf(left, { ...say, proofs: new Map([proofOf(3, 1)]) })).toBeUndefined()
    expect(unpunished(left, new Map([proofOf(3, 1), proofOf(2, 5)]))).toEqual([proofOf(2, 5)])
  })

  test("convicts where the list is fixed, too, and carries no wish there", () => {
    const fixed = { ...say, rule: { voteBlocks: 0 }, wishes: [{ vote: "expel", subject: addressOf(2) }] as const }
    expect(ballotOf(now, fixed)).toBeUndefined()
    expect(ballotOf(now, { ...fixed, proofs: new Map([proofOf(2, 5)]) })?.vote).toBe("convict")
  })

  test("carries the first wish that can be, and passes over what is so already", () => {
    const wishes = [
      { vote: "admit", subject: addressOf(1) },
      { vote: "expel", subject: addressOf(2) },
      { vote: "admit", subject: addressOf(7) }
    ] as const
    expect(ballotOf(now, { ...say, wishes })).toEqual({ vote: "expel", subject: addressOf(2) })
  })

  test.each([
    [100, 90],
    [20, 10],
    [6, 3],
    [1, 1]
  ])("that counts for %p blocks is cast again %p blocks later, not before", (voteBlocks, later) => {
    const wishes = [{ vote: "expel", subject: addressOf(2) }] as const
    const cast = { ...now, standing: new Map([[toHex(us), { ...wishes[0], height: 50 }]]) }
    const heights = Array.from({ length: 2 * voteBlocks }, (_, i) => 51 + i)
    const again = heights.filter(
      (height) => ballotOf(cast, { ...say, rule: { voteBlocks }, height, wishes }) !== undefined
    )
    expect(again[0]).toBe(50 + later)
    expect(again.length).toBe(2 * voteBlocks - later + 1)
    const other = {
      ...now,
      standing: new Map([[toHex(us), { vote: "admit", subject: addressOf(2), height: 50 } as const]])
    }
    expect(ballotOf(other, { ...say, rule: { voteBlocks }, height: 51, wishes })?.vote).toBe("expel")
  })
})

describe("a block that convicts", () => {
  const chain = new TestChain(specOf({ authorities: 5 }))
  const evidence = offenceOf(chain, { by: 4, now: chain.now + 5_000 })
  const ballot = { vote: "convict", subject: evidence.authority, evidence: encodeEvidence(evidence) } as const
  const after = (): Authorities =>
    chain.rules.consensus.author!.authorities(ancestryOf(chain.store, chain.store.tip().header))
  const next = (text?: string) => {
    chain.now += chain.rules.spec.difficulty.blockMs
    const by = leaderAt(chain, chain.now) - firstAuthority
    return sealedBy(chain, { by, now: chain.now, ...(text === undefined ? { ballot } : { text }) })
  }

  test("takes the guilty out at once, and the same proof convicts nobody again", () => {
    const block = next()
    expect(chain.take(block)).toBeUndefined()
    expect(after().members.length).toBe(4)
    expect([...after().convicted]).toEqual([toHex(evidence.authority)])
    expect(chain.rules.consensus.author!.checkHeader(next().header, ancestryOf(chain.store, block.header))?.code).toBe(
      "vote-wrong"
    )
    chain.mine(8)
    expect(after().members.length).toBe(4)
  })

  test("of a branch that loses has convicted nobody, and the proof does so again on the one that won", () => {
    const [left, right] = [new TestChain(chain.rules.spec), new TestChain(chain.rules.spec)]
    const count = (): number => left.rules.consensus.author!.authorities(ancestryOf(left.store, left.store.tip().header)).members.length
    left.now += 1000
    const by = leaderAt(left, left.now) - firstAuthority
    expect(left.take(sealedBy(left, { by, now: left.now, ballot }))).toBeUndefined()
    expect(count()).toBe(4)
    for (const block of right.mine(3)) expect(left.take(block)).toBeUndefined()
    expect([left.store.tip().header.id, count()]).toEqual([right.store.tip().header.id, 5])
    left.now = right.now + 1000
    const again = leaderAt(left, left.now) - firstAuthority
    expect(left.take(sealedBy(left, { by: again, now: left.now, ballot }))).toBeUndefined()
    expect(count()).toBe(4)
  })
})
