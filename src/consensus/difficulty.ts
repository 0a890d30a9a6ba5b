/**
 * How the next target follows from the ancestors. The rule is named in the chain spec; all state is in the headers.
 * Targets are 32 big-endian bytes; arithmetic on them is done in bigints.
 */
import { assert } from "../assert.ts"
import type { DifficultyRule } from "../block/genesis.ts"
import type { Target } from "../block/header.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import type { Ancestry } from "./consensus.ts"

type RuleNamed<Name extends DifficultyRule["rule"]> = Extract<DifficultyRule, { readonly rule: Name }>

/** The 32 bytes of a number below 2^256. */
export const toTarget = (value: bigint): Target =>
  fromHex(value.toString(16).padStart(64, "0"), 32) as Uint8Array as Target

export const fromTarget = (target: Uint8Array): bigint => BigInt(`0x${toHex(target)}`)

/** The target that `bits` leading zero bits meet: 2^(256 - bits) - 1 (D-M2, F-D6). */
export const targetOfBits = (bits: number): Target => toTarget((1n << BigInt(256 - bits)) - 1n)

/** The target that `prefix` leading hex zeros meet: 16^(64 - prefix) - 1 (L-B5). */
export const targetOfPrefix = (prefix: number): Target => targetOfBits(prefix * 4)

/** Leading zero bits of a target. */
export const bitsOf = (target: Uint8Array): number => {
  const leading = target.findIndex((byte) => byte !== 0)
  return leading === -1 ? 256 : leading * 8 + Math.clz32(target[leading]!) - 24
}

/** Leading hex zeros of a target. */
export const prefixOf = (target: Uint8Array): number => bitsOf(target) >> 2

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value))

/**
 * Rows L-B5, L-B6: a number of leading hex zeros; at every multiple of the window one more if blocks came in at most
 * half the time wanted, one fewer if in at least twice. Their genesis has height 1: "mined blocks" is our height.
 */
const prefixWindow = (rule: RuleNamed<"prefix-window">, { parent, at }: Ancestry): Target => {
  const prefix = prefixOf(parent.target)
  const mined = parent.height
  if (mined === 0 || mined % rule.windowBlocks !== 0) return targetOfPrefix(prefix)
  // Between the blocks of this window only: how far its first one is from the genesis would measure nothing.
  const intervals = rule.windowBlocks - 1
  const tookMs = parent.time - at(mined - intervals).time
  const wantedMs = rule.blockMs * intervals
  // Times that stand still or run backwards measure nothing, and change nothing.
  const step = tookMs <= 0 ? 0 : tookMs <= wantedMs / 2 ? 1 : tookMs >= wantedMs * 2 ? -1 : 0
  return targetOfPrefix(clamp(prefix + step, rule.prefixMin, rule.prefixMax))
}

/** Row D-V5: after each interval one bit more if it took less than half the time wanted, one fewer if over twice. */
const intervalBits = (rule: RuleNamed<"interval-bits">, { parent, at }: Ancestry): Target => {
  const bits = bitsOf(parent.target)
  if (parent.height === 0 || parent.height % rule.intervalBlocks !== 0) return targetOfBits(bits)
  const tookMs = parent.time - at(parent.height - rule.intervalBlocks).time
  const wantedMs = rule.blockMs * rule.intervalBlocks
  const step = tookMs < wantedMs / 2 ? 1 : tookMs > wantedMs * 2 ? -1 : 0
  return targetOfBits(clamp(bits + step, rule.bitsMin, rule.bitsMax))
}

/**
 * aserti3-2d (Bitcoin Cash upgrade of November 2020) over a full 256-bit target, in milliseconds, anchored at the
 * genesis: target = anchor * 2^((time - ideal time) / half-life), the fraction of the power by the specification's
 * cubic. `timeMs` and `heights` are those of the parent, measured from the anchor.
 */
export const asertTarget = (rule: {
  readonly anchor: bigint
  readonly easiest: bigint
  readonly blockMs: number
  readonly halfLifeMs: number
  readonly timeMs: number
  readonly heights: number
}): bigint => {
  // The specification measures from the anchor's parent, with one interval more to wait for. The genesis has no parent.
  const lateMs = rule.timeMs - rule.blockMs * rule.heights
  const exponent = (BigInt(lateMs) * 65536n) / BigInt(rule.halfLifeMs)
  const shifts = exponent >> 16n
  const fraction = exponent & 0xffffn
  const cubic = 195766423245049n * fraction + 971821376n * fraction ** 2n + 5127n * fraction ** 3n + (1n << 47n)
  const scaled = rule.anchor * (65536n + (cubic >> 48n))
  // An easier target than this is clamped anyway; a shift by its full amount could ask for gigabytes.
  const bounded = shifts > 256n ? 256n : shifts < -512n ? -512n : shifts
  const shifted = (bounded >= 0n ? scaled << bounded : scaled >> -bounded) >> 16n
  return shifted < 1n ? 1n : shifted > rule.easiest ? rule.easiest : shifted
}

const asert = (rule: RuleNamed<"asert">, { parent, at }: Ancestry): Target => {
  const anchor = parent.height === 0 ? parent : at(0)
  return toTarget(
    asertTarget({
      anchor: fromTarget(anchor.target),
      easiest: fromTarget(targetOfBits(rule.bitsMin)),
      blockMs: rule.blockMs,
      halfLifeMs: rule.halfLifeMs,
      timeMs: parent.time - anchor.time,
      heights: parent.height
    })
  )
}

/** The target of the genesis header. */
export const firstTarget = (rule: DifficultyRule): Target => {
  if (rule.rule === "prefix-window") return targetOfPrefix(rule.prefixStart)
  return targetOfBits(rule.rule === "fixed" ? rule.bits : rule.bitsStart)
}

/** The easiest target that any header may carry: what a seal must at least be worth, known without ancestors. */
export const easiestTarget = (rule: DifficultyRule): Target => {
  if (rule.rule === "prefix-window") return targetOfPrefix(rule.prefixMin)
  return targetOfBits(rule.rule === "fixed" ? rule.bits : rule.bitsMin)
}

/** The only target that the next header may carry (defect 12). */
export const nextTarget = (rule: DifficultyRule, ancestry: Ancestry): Target => {
  assert(ancestry.parent.target.length === 32, "a target has 32 bytes")
  switch (rule.rule) {
    case "prefix-window":
      return prefixWindow(rule, ancestry)
    case "interval-bits":
      return intervalBits(rule, ancestry)
    case "fixed":
      return targetOfBits(rule.bits)
    case "asert":
      return asert(rule, ancestry)
  }
}
