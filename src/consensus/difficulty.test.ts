/** Difficulty rules against another implementation, against published figures, and against their own promises. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { published } from "../../test/vectors/published.ts"
import type { DifficultyRule } from "../block/genesis.ts"
import type { Header, Height, Target } from "../block/header.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import type { Millis } from "../ledger/transaction.ts"
import vectors from "../../docs/vectors/difficulty.json" with { type: "json" }
import type { Ancestry } from "./consensus.ts"
import {
  asertTarget,
  bitsOf,
  easiestTarget,
  firstTarget,
  fromTarget,
  nextTarget,
  prefixOf,
  targetOfBits,
  targetOfPrefix,
  toTarget
} from "./difficulty.ts"

/** Of a header the rules read height, time and target. */
const headerAt = (height: number, time: number, target: Target): Header =>
  ({ height: height as Height, time: time as Millis, target }) as Header

const ancestryOf = (headers: ReadonlyArray<Header>): Ancestry => ({
  parent: headers.at(-1)!,
  at: (height) => headers[height]!
})

/** The targets of a chain whose blocks are these times apart, in ms, and of the block after it. */
const grow = (rule: DifficultyRule, gaps: ReadonlyArray<number>): ReadonlyArray<Target> => {
  const headers = [headerAt(0, 0, firstTarget(rule))]
  for (const gap of gaps) {
    headers.push(headerAt(headers.length, headers.at(-1)!.time + gap, nextTarget(rule, ancestryOf(headers))))
  }
  return [...headers.map(({ target }) => target), nextTarget(rule, ancestryOf(headers))]
}

const repeat = (count: number, gap: number): ReadonlyArray<number> => new Array<number>(count).fill(gap)

describe("targets", () => {
  test("of n zero bits are 2^(256 - n) - 1, of n zero digits 16^(64 - n) - 1, and are read back", () => {
    for (let bits = 0; bits <= 240; bits++) {
      const target = targetOfBits(bits)
      expect(fromTarget(target)).toBe(2n ** BigInt(256 - bits) - 1n)
      expect(bitsOf(target)).toBe(bits)
    }
    for (let prefix = 0; prefix <= 60; prefix++) {
      expect(toHex(targetOfPrefix(prefix))).toBe("0".repeat(prefix) + "f".repeat(64 - prefix))
      expect(prefixOf(targetOfPrefix(prefix))).toBe(prefix)
    }
    expect(bitsOf(new Uint8Array(32))).toBe(256)
  })

  test("are numbers and numbers are targets", () => {
    const dice = makeDice(1)
    for (let i = 0; i < 500; i++) {
      const bytes = dice.bytes(32).fill(0, 0, dice.int(33))
      expect(toHex(toTarget(fromTarget(bytes)))).toBe(toHex(bytes))
    }
  })
})

describe("chains of docs/vectors/difficulty.json", () => {
  const chains = vectors.chains.map((chain, i) => ({ ...chain, name: `${chain.rule.rule} ${i}` }))
  test.each(chains)("$name carry the targets of the other implementation", ({ rule, genesisTime, rows, next }) => {
    const named = rule as DifficultyRule
    const headers: Array<Header> = []
    for (const { height, time, target } of rows) {
      const due = height === 0 ? firstTarget(named) : nextTarget(named, ancestryOf(headers))
      expect(toHex(due)).toBe(target)
      headers.push(headerAt(height, genesisTime + time, due))
    }
    expect(toHex(nextTarget(named, ancestryOf(headers)))).toBe(next)
  })
})

describe("prefix-window", () => {
  const bounds = { prefixStart: 2, prefixMin: 1, prefixMax: 3 }
  const rule: DifficultyRule = { rule: "prefix-window", blockMs: 30_000, windowBlocks: 2, ...bounds }
  const prefixAfter = (gaps: ReadonlyArray<number>): number => prefixOf(grow(rule, gaps).at(-1)!)

  test("a window of two at 30 s: blocks 300 s apart lose a zero, 10 s apart gain one (L-B6)", () => {
    expect([prefixAfter(repeat(2, 300_000)), prefixAfter(repeat(2, 10_000))]).toEqual([1, 3])
  })

  test("half the time and twice the time still move it, a millisecond less does not", () => {
    expect([15_000, 15_001, 59_999, 60_000].map((gap) => prefixAfter(repeat(2, gap)))).toEqual([3, 2, 2, 1])
  })

  test("moves only at multiples of the window, and stays within its bounds", () => {
    expect(grow(rule, repeat(9, 1)).map(prefixOf)).toEqual([2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3])
    expect(grow(rule, repeat(9, 1e6)).map(prefixOf)).toEqual([2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1])
  })

  test("equal and falling times change nothing; the time of the genesis is not a measurement", () => {
    expect([prefixAfter([5, 0]), prefixAfter([5, -1]), prefixAfter([1e9, 30_000])]).toEqual([2, 2, 2])
  })
})

describe("interval-bits", () => {
  const bounds = { bitsStart: 0, bitsMin: 0, bitsMax: 2 }
  const rule: DifficultyRule = { rule: "interval-bits", blockMs: 10_000, intervalBlocks: 10, ...bounds }
  const bitsAfter = (gap: number): number => bitsOf(grow(rule, repeat(10, gap)).at(-1)!)

  test("ten fast blocks are one bit, not nine; bounds hold (D-V5)", () => {
    const bits = grow(rule, repeat(39, 1)).map(bitsOf)
    expect([bits[9], bits[10], bits[11], bits[21], bits[31], bits[40]]).toEqual([0, 0, 1, 2, 2, 2])
    expect(bitsAfter(1e6)).toBe(0)
  })

  test("exactly half and exactly double the time change nothing", () => {
    expect([4_999, 5_000, 20_000].map(bitsAfter)).toEqual([1, 0, 0])
    const slow = { ...rule, bitsStart: 2 }
    expect([20_000, 20_001].map((gap) => bitsOf(grow(slow, repeat(10, gap)).at(-1)!))).toEqual([2, 1])
  })
})

test("fixed never moves (F-D6)", () => {
  const rule = { rule: "fixed", blockMs: 1, bits: 22 } as const
  expect(new Set(grow(rule, [1, 1e9, 0, 5]).map(bitsOf))).toEqual(new Set([22]))
})

interface PublishedRuns {
  readonly runs: ReadonlyArray<{
    readonly run: number
    readonly anchorParentTime: number
    readonly anchorBits: string
    /** Height above the anchor, time in seconds, compact target of the next block. */
    readonly rows: ReadonlyArray<readonly [string, number, string]>
  }>
}

/** Bitcoin's compact form: a byte of length, three of mantissa. */
const fromCompact = (compact: number): bigint => {
  const size = compact >>> 24
  const mantissa = BigInt(compact & 0x7fffff)
  return size <= 3 ? mantissa >> BigInt(8 * (3 - size)) : mantissa << BigInt(8 * (size - 3))
}
const toCompact = (target: bigint): number => {
  const size = Math.ceil(target.toString(2).length / 8)
  const mantissa = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)))
  return ((mantissa & 0x800000) === 0 ? (size << 24) | mantissa : ((size + 1) << 24) | (mantissa >> 8)) >>> 0
}

describe("asert", () => {
  const rule = { rule: "asert", blockMs: 10_000, halfLifeMs: 3_600_000, bitsStart: 20, bitsMin: 8 } as const
  const anchor = fromTarget(firstTarget(rule))
  const easiest = fromTarget(easiestTarget(rule))
  /** The target after `heights` blocks that are `lateMs` behind schedule. */
  const late = (lateMs: number, heights = 1000): bigint =>
    asertTarget({ ...rule, anchor, easiest, heights, timeMs: heights * rule.blockMs + lateMs })

  test("gives the targets of the other implementation", () => {
    for (const { heights, timeMs, target } of vectors.asert.rows) {
      expect(toHex(toTarget(asertTarget({ ...rule, anchor, easiest, heights, timeMs })))).toBe(target)
    }
  })

  test("on schedule keeps the target of the genesis", () => {
    expect(new Set(grow(rule, repeat(200, rule.blockMs)).map(fromTarget))).toEqual(new Set([anchor]))
  })

  test("a half-life late doubles the target, one early halves it", () => {
    expect(late(rule.halfLifeMs)).toBe(anchor * 2n)
    expect(late(-rule.halfLifeMs)).toBe(anchor / 2n)
    expect(late(-10 * rule.halfLifeMs)).toBe(anchor >> 10n)
  })

  test("in between it follows the power of two within 0.02 %, and never falls while time rises", () => {
    let last = 0n
    for (let i = -4000; i <= 4000; i++) {
      const target = late((i * rule.halfLifeMs) / 1000)
      expect(Math.abs(Number(target) / (Number(anchor) * 2 ** (i / 1000)) - 1)).toBeLessThan(0.0002)
      expect(target >= last).toBe(true)
      last = target
    }
  })

  test("stays between 1 and the easiest target, however far time runs away", () => {
    for (const lateMs of [1e9, 1e12, Number.MAX_SAFE_INTEGER - 1e7]) {
      expect([late(lateMs), late(-lateMs)]).toEqual([easiest, 1n])
    }
  })

  test("depends on the parent and the genesis alone: no path of times in between can steer it", () => {
    const last = (gaps: ReadonlyArray<number>): string => toHex(grow(rule, gaps).at(-1)!)
    expect(last([1, 1, 1, 99_997])).toBe(last([80_000, 5_000, 5_000, 10_000]))
  })

  const runs = published<PublishedRuns>("aserti3-2d.json")
  test.if(runs !== undefined)("gives the targets of the published runs of aserti3-2d", () => {
    const limit = fromCompact(0x1d00ffff)
    for (const { anchorParentTime, anchorBits, rows } of runs!.runs) {
      for (const [above, time, compact] of rows) {
        const timeMs = (time - anchorParentTime) * 1000
        const anchor = fromCompact(Number(anchorBits))
        // Their time runs from the anchor's parent, so the anchor itself is one interval on.
        const heights = Number(above) + 1
        const next = asertTarget({ anchor, easiest: limit, blockMs: 600_000, halfLifeMs: 172_800_000, timeMs, heights })
        expect(toCompact(next)).toBe(Number(compact))
      }
    }
  })
})

test("the easiest target is never harder than one that the rule gives", () => {
  const dice = makeDice(3)
  const rules: ReadonlyArray<DifficultyRule> = [
    { rule: "prefix-window", blockMs: 1000, windowBlocks: 3, prefixStart: 3, prefixMin: 1, prefixMax: 5 },
    { rule: "interval-bits", blockMs: 1000, intervalBlocks: 4, bitsStart: 6, bitsMin: 3, bitsMax: 9 },
    { rule: "fixed", blockMs: 1000, bits: 7 },
    { rule: "asert", blockMs: 1000, halfLifeMs: 20_000, bitsStart: 6, bitsMin: 4 }
  ]
  for (const rule of rules) {
    const easiest = fromTarget(easiestTarget(rule))
    for (let round = 0; round < 20; round++) {
      const gaps = Array.from({ length: 60 }, () => dice.int(dice.pick([10, 1000, 9000])))
      expect(grow(rule, gaps).every((target) => fromTarget(target) <= easiest && fromTarget(target) > 0n)).toBe(true)
    }
    expect(fromTarget(fromHex(toHex(firstTarget(rule)))!) <= easiest).toBe(true)
  }
})
