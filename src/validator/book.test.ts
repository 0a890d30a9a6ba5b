/** The book: what its file must be; and over any crashes, restarts and restored backups, one seal a slot and one vote a height. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { epoch } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import { type BookOwner, formatBook, parseBook, startedBook, startSlotOf } from "./book.ts"
import { mayBeSigned, nothingSigned, type Signed } from "./protection.ts"

const owner: BookOwner = { address: "crn1one", chainId: "test", genesis: "ab".repeat(32) }
const rota = { genesisTime: epoch, slotMs: 1000, outOfTurnMs: 500 }
const codeOf = (text: string, whose = owner): string => {
  const parsed = parseBook(text, whose)
  return Result.isSuccess(parsed) ? "ok" : parsed.failure.code
}

describe("the file", () => {
  test("gives back what was written", () => {
    for (const signed of [nothingSigned, { slot: 7, source: 3, target: 9 }])
      expect(Result.getOrThrow(parseBook(formatBook(owner, signed), owner))).toEqual(signed)
  })

  test("of another key, chain or genesis is refused by name", () => {
    const text = formatBook(owner, nothingSigned)
    expect(codeOf(text, { ...owner, address: "crn1two" })).toBe("signed-mismatch")
    expect(codeOf(text, { ...owner, chainId: "other" })).toBe("signed-mismatch")
    expect(codeOf(text, { ...owner, genesis: "cd".repeat(32) })).toBe("signed-mismatch")
  })

  test("that was changed anywhere, cut off, or is something else is malformed, and nothing throws", () => {
    const text = formatBook(owner, { slot: 4711, source: 3, target: 9 })
    expect(codeOf(text.replace("4711", "4700"))).toBe("signed-malformed")
    for (let length = 0; length < text.trimEnd().length; length++)
      expect(codeOf(text.slice(0, length))).toBe("signed-malformed")
    for (const other of ["null", "[]", "1", '"x"', "{}", text.replace("4711", "-2"), text.replace("4711", '"4711"')])
      expect(codeOf(other)).toBe("signed-malformed")
    const dice = makeDice(5)
    for (let i = 0; i < 2_000; i++) {
      const changed = new TextDecoder().decode(dice.mutate(new TextEncoder().encode(text)))
      if (changed.trim() !== text.trim() && codeOf(changed) === "ok")
        expect(Result.getOrThrow(parseBook(changed, owner))).toEqual({ slot: 4711, source: 3, target: 9 })
    }
  })
})

test("the start slot counts what clocks may differ by, and is none before the genesis", () => {
  expect(startSlotOf(rota, epoch + 10_400, 500)).toBe(10)
  expect(startSlotOf(rota, epoch + 10_500, 500)).toBe(11)
  expect(startSlotOf(rota, epoch - 100_000, 500)).toBe(-1)
})

test("what could not be written is not signed, and not remembered as if it were", () => {
  const book = startedBook({ slot: 5, source: -1, target: -1 }, 2, () => {
    throw new Error("no room")
  })
  expect(() => book.save({ slot: 6, source: -1, target: -1 })).toThrow("no room")
  expect(book.load().slot).toBe(5)
})

/**
 * One key through many lives. Time goes on; a life reads the file, or any older state of it; it asks for seals at random; it
 * may die before the file is written, after that, or after the seal was given. `rule` says which slot a life starts above.
 */
const lives = (seed: number, startsAt: (now: number) => number): ReadonlyArray<number> => {
  const dice = makeDice(seed)
  const history: Array<Signed> = [nothingSigned]
  const sealed: Array<number> = []
  let now = epoch
  for (let life = 0; life < 12; life++) {
    const saved = history[dice.int(3) === 0 ? dice.int(history.length) : history.length - 1]!
    const book = startedBook(saved, startsAt(now), (signed) => void history.push(signed))
    for (let ask = 0; ask < dice.int(8); ask++) {
      now += dice.int(1_500)
      const slot = Math.max(0, Math.floor((now - epoch) / rota.slotMs) + dice.int(3) - 1)
      // Nobody's header is further ahead than the chain allows: half a slot here.
      if (slot * rota.slotMs > now - epoch + 500) continue
      const next = mayBeSigned(book.load(), { kind: "seal", slot })
      if (Result.isFailure(next)) continue
      const fate = dice.int(10)
      if (fate === 0) break
      book.save(next.success)
      if (fate === 1) break
      sealed.push(slot)
      if (fate === 2) break
    }
  }
  return sealed
}

describe("one key, many lives", () => {
  const twice = (slots: ReadonlyArray<number>): boolean => new Set(slots).size < slots.length

  test("never seals a slot twice, whatever backup was restored at whatever start", () => {
    let seals = 0
    for (let seed = 0; seed < 3_000; seed++) {
      const slots = lives(seed, (now) => startSlotOf(rota, now, 500))
      expect(twice(slots)).toBe(false)
      seals += slots.length
    }
    expect(seals).toBeGreaterThan(10_000)
  })

  test("without the start slot, or with one that forgets what clocks may differ by, it would", () => {
    const seeds = Array.from({ length: 3_000 }, (_, seed) => seed)
    expect(seeds.some((seed) => twice(lives(seed, () => -1)))).toBe(true)
    expect(seeds.some((seed) => twice(lives(seed, (now) => startSlotOf(rota, now, 0))))).toBe(true)
  })
})

/**
 * The votes of one key through many lives on one chain with a checkpoint every other slot. The source is justified when
 * somebody says so, which everybody hears; a life may read any older state of the file.
 */
const votingLives = (seed: number, startsAt: (now: number) => number) => {
  const dice = makeDice(seed)
  const history: Array<Signed> = [nothingSigned]
  const votes: Array<{ readonly source: number; readonly target: number }> = []
  let now = epoch
  let justified = 0
  for (let life = 0; life < 12; life++) {
    const saved = history[dice.int(3) === 0 ? dice.int(history.length) : history.length - 1]!
    const startSlot = startsAt(now)
    const book = startedBook(saved, startSlot, (signed) => void history.push(signed))
    for (let ask = 0; ask < dice.int(8); ask++) {
      now += dice.int(1_500)
      // The height of a block is its slot here. A sealer's clock may be half a slot ahead.
      const target = 2 * Math.floor((now + dice.int(500) - epoch) / rota.slotMs / 2)
      if (dice.int(2) === 0) justified = Math.max(justified, target - 2)
      const next = mayBeSigned(book.load(), { kind: "vote", source: justified, target, slot: target }, book.startSlot)
      if (Result.isFailure(next)) continue
      book.save(next.success)
      votes.push({ source: justified, target })
    }
  }
  const isOffence = votes.some((a, i) =>
    votes.some((b, j) => i !== j && (a.target === b.target || (a.source < b.source && b.target < a.target)))
  )
  return { votes, isOffence }
}

describe("one voter, many lives", () => {
  test("never votes twice for a height on one chain, whatever backup was restored", () => {
    let votes = 0
    for (let seed = 0; seed < 2_000; seed++) {
      const life = votingLives(seed, (now) => startSlotOf(rota, now, 500))
      expect(life.isOffence).toBe(false)
      votes += life.votes.length
    }
    expect(votes).toBeGreaterThan(5_000)
  })

  test("without the start slot, or with one that forgets what clocks may differ by, it would", () => {
    const seeds = Array.from({ length: 2_000 }, (_, seed) => seed)
    expect(seeds.some((seed) => votingLives(seed, () => -1).isOffence)).toBe(true)
    expect(seeds.some((seed) => votingLives(seed, (now) => startSlotOf(rota, now, 0)).isOffence)).toBe(true)
  })
})
