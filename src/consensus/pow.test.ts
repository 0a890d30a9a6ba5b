/** Proof of work as the chain sees it: seals, times, work. */
import { describe, expect, test } from "bun:test"
import vectors from "../../docs/vectors/difficulty.json" with { type: "json" }
import { makeDice } from "../sim/dice.ts"
import type { DifficultyRule } from "../block/genesis.ts"
import type { BlockHash, Header, Target } from "../block/header.ts"
import { compare, fromHex } from "../codec/bytes.ts"
import type { Ancestry } from "./consensus.ts"
import { fromTarget, targetOfBits, targetOfPrefix, toTarget } from "./difficulty.ts"
import { makePow } from "./pow.ts"

const time = { medianBlocks: 11, futureMsMax: 7_200_000 }
const asert: DifficultyRule = { rule: "asert", blockMs: 10_000, halfLifeMs: 3_600_000, bitsStart: 20, bitsMin: 8 }
const pow = makePow({ difficulty: asert, time })

const timesOf = (times: ReadonlyArray<number>): Ancestry => {
  const headers = times.map((at, height) => ({ height, time: at }) as Header)
  return { parent: headers.at(-1)!, at: (height) => headers[height]! }
}

describe("the earliest time", () => {
  test("is one above the median of the ancestors, near the genesis of the few there are", () => {
    for (const { times, earliest } of vectors.median.rows) expect(pow.earliestTime(timesOf(times))).toBe(earliest)
  })

  test("is a value that a minority of liars cannot move out of the honest times (defect 2)", () => {
    const dice = makeDice(4)
    for (let round = 0; round < 200; round++) {
      const times = Array.from({ length: 30 }, (_, i) => 1000 + i * 10)
      for (let i = 0; i < 5; i++) times[19 + dice.int(11)] = dice.pick([0, Number.MAX_SAFE_INTEGER, 32_503_680_000_000])
      const earliest = pow.earliestTime(timesOf(times))
      expect(earliest > 1000 + 19 * 10 && earliest <= 1000 + 29 * 10 + 1).toBe(true)
    }
  })

  test("by the parent alone is its time less what the rule allows (D-V3)", () => {
    const rule = makePow({ difficulty: asert, time: { behindMsMax: 59_999, futureMsMax: 59_999 } })
    expect(rule.earliestTime(timesOf([0, 500_000, 100_000]))).toBe(40_001)
  })

  test("reads no more ancestors than the rule names", () => {
    const seen: Array<number> = []
    const all = timesOf(Array.from({ length: 100 }, (_, i) => i))
    pow.earliestTime({ parent: all.parent, at: (height) => (seen.push(height), all.at(height)) })
    expect(seen).toEqual([98, 97, 96, 95, 94, 93, 92, 91, 90, 89])
  })
})

describe("a seal", () => {
  const sealed = (hash: bigint, target: Target): boolean =>
    pow.checkSeal({ hash: toTarget(hash) as Uint8Array as BlockHash, target } as Header)

  test("is right if the hash is at or below the target, byte by byte", () => {
    const target = targetOfBits(20)
    const value = fromTarget(target)
    expect([sealed(0n, target), sealed(value, target), sealed(value + 1n, target)]).toEqual([true, true, false])
    const dice = makeDice(5)
    for (let i = 0; i < 300; i++) {
      const drawn = toTarget(fromTarget(dice.bytes(32)) >> 8n)
      const hash = fromTarget(dice.bytes(32)) >> 8n
      expect(sealed(hash, drawn)).toBe(hash <= fromTarget(drawn))
    }
  })

  test("is wrong under a target easier than any that the rule can give, whatever its hash (defect 12)", () => {
    const easiest = targetOfBits(8)
    const easier = toTarget(fromTarget(easiest) + 1n)
    expect([sealed(0n, easiest), sealed(0n, easier), sealed(0n, targetOfBits(0))]).toEqual([true, false, false])
  })
})

describe("work", () => {
  test("is 2^256 / (target + 1)", () => {
    for (const { target, work } of vectors.work) {
      expect(pow.work({ target: fromHex(target, 32) as Uint8Array as Target })).toBe(BigInt(work))
    }
  })

  test("of a prefix is 16^n, and sums with the genesis (L-B5)", () => {
    const three = [2, 2, 2].map((prefix) => pow.work({ target: targetOfPrefix(prefix) }))
    expect([three[0], three.reduce((sum, work) => sum + work)]).toEqual([256n, 768n])
  })

  test("remembers a target by its bytes, not by its array", () => {
    const target = targetOfBits(9).slice() as Uint8Array as Target
    expect(pow.work({ target })).toBe(512n)
    target[1] = 0
    expect(compare(target, targetOfBits(16))).toBe(0)
    expect(pow.work({ target })).toBe(65_536n)
  })
})
