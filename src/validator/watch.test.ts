/** Who listens before it seals, and stops when it hears itself. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import type { Header } from "../block/header.ts"
import { slotOf } from "../consensus/rota.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { nothingSigned, type Unsigned } from "./protection.ts"
import { localSigner, type Signer } from "./signer.ts"
import { type Sighting, watched } from "./watch.ts"

const chain = new TestChain(specOf({ authorities: 3 }))
const { rota } = chain.rules.consensus.author!
const ours = firstAuthority
/** Headers of the next slots, each sealed by its leader; they stand side by side. */
const headers = Array.from({ length: 40 }, () => chain.next().header)
const slotIn = (header: Header): number => slotOf(rota, header.time)
const isOurs = (header: Header): boolean => Buffer.from(header.proposer).equals(keyOf(ours).address)
const [early, later, last] = headers.filter(isOurs) as [Header, Header, Header]
const strange = headers.find((header) => !isOurs(header))!

const begin = (wish: {
  readonly startSlot: number
  readonly listenSlots?: number
  readonly seen?: Sighting
  readonly idle?: Signer["idle"]
}) => {
  let signed = nothingSigned
  const found: Array<Sighting> = []
  const book = { load: () => signed, save: (next: typeof signed) => void (signed = next) }
  const inner = localSigner(keyOf(ours), book)
  const signer = watched(wish.idle === undefined ? inner : { ...inner, idle: wish.idle }, {
    rota,
    startSlot: wish.startSlot,
    listenSlots: wish.listenSlots ?? 0,
    seen: wish.seen,
    found: (sighting) => void found.push(sighting)
  })
  const seal = (header: Header): string => {
    let code = "unanswered"
    signer.seal({ slot: slotIn(header), header }, (answer) => {
      code = Result.isSuccess(answer) ? "sealed" : answer.failure.code
    })
    return code
  }
  const vote = (target: Header): string => {
    let code = "unanswered"
    const source = chain.rules.genesis.header
    signer.vote({ genesis: source.hash, source, target, slot: slotIn(target) }, (answer) => {
      code = Result.isSuccess(answer) ? "voted" : answer.failure.code
    })
    return code
  }
  return { signer, found, seal, vote, idle: (slot: number) => signer.idle!(slot)?.code }
}

describe("a watched signer", () => {
  test("listens for its slots, and then seals", () => {
    const { seal, idle } = begin({ startSlot: slotIn(early) - 1, listenSlots: 2 })
    expect([idle(slotIn(early)), seal(early)]).toEqual(["signer-listening", "signer-listening"])
    expect([idle(slotIn(early) + 1), idle(slotIn(early) + 2)]).toStrictEqual(["signer-listening", undefined])
    expect(seal(later)).toBe("sealed")
  })

  test("knows its own blocks, those of earlier runs, and those of others", () => {
    const { signer, seal, found } = begin({ startSlot: slotIn(early) })
    expect(seal(later)).toBe("sealed")
    for (const header of [early, later, later, strange]) signer.saw!(header)
    expect(found).toEqual([])
    expect(seal(last)).toBe("sealed")
  })

  test("knows a block whose seal it asked for and never got", () => {
    const { signer, found } = begin({ startSlot: slotIn(early), idle: () => undefined })
    const lost: Array<Unsigned["code"]> = []
    signer.seal({ slot: slotIn(later), header: later }, () => {})
    signer.seal({ slot: slotIn(later), header: last }, (answer) => {
      if (Result.isFailure(answer)) lost.push(answer.failure.code)
    })
    signer.saw!(later)
    expect([lost, found]).toEqual([["slot-signed"], []])
  })

  test("votes for no target of the slots in which it listens, nor with a signer that is idle, nor once it has stopped", () => {
    const { signer, vote } = begin({ startSlot: slotIn(early) - 1, listenSlots: 2 })
    expect([vote(early), vote(later)]).toEqual(["signer-listening", "voted"])
    signer.saw!(last)
    expect(vote(last)).toBe("doppelganger")
    const away = begin({ startSlot: 0, idle: () => ({ code: "signer-away", message: "gone" }) })
    expect(away.vote(later)).toBe("signer-away")
  })

  test("stops for good when it sees a block of its key that it did not ask for, also while it listens", () => {
    for (const listenSlots of [0, 100]) {
      const { signer, seal, found, idle } = begin({ startSlot: slotIn(early), listenSlots })
      signer.saw!(later)
      signer.saw!(last)
      expect(found).toEqual([{ slot: slotIn(later), hash: later.id }])
      expect([seal(last), idle(slotIn(last) + 1_000)]).toEqual(["doppelganger", "doppelganger"])
    }
  })

  test("stays stopped over a restart", () => {
    const { seal, found } = begin({ startSlot: 0, seen: { slot: 3, hash: "ab" } })
    expect([seal(later), found]).toEqual(["doppelganger", []])
  })

  test("passes on why the signer behind it is idle", () => {
    const { idle, seal } = begin({ startSlot: 0, idle: () => ({ code: "signer-away", message: "gone" }) })
    expect([idle(5), seal(later)]).toEqual(["signer-away", "signer-away"])
  })

  test("forgets the oldest of what it asked for, and does not take it for another's then", () => {
    const { signer, seal, found } = begin({ startSlot: slotIn(early) - 1 })
    expect(seal(early)).toBe("sealed")
    const many = { ...later, time: later.time }
    for (let i = 0; i < 1_024; i++)
      signer.seal({ slot: slotIn(later), header: { ...many, id: `other-${i}` } as Header }, () => {})
    signer.saw!(early)
    expect(found).toEqual([])
    signer.saw!(last)
    expect(found.length).toBe(1)
  })
})
