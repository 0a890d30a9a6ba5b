/**
 * The chain spec: one JSON file that chooses the money model, the seal and every parameter, and so the genesis block.
 * Two nodes agree on a chain if and only if their genesis hashes are equal: the hash covers the whole spec.
 */
import { Result, Schema } from "effect"
import { utf8 } from "../codec/bytes.ts"
import { type Address, addressBytes, isAddress, parseAddress, formatAddress } from "../crypto/address.ts"
import { type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import type { Amount } from "../ledger/amount.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import { isChainId, type Millis } from "../ledger/transaction.ts"
import { blockBytesMax, blockTransactionsMax, extraBytesMax, futureMsMax, medianBlocksMax, noteBytesMax } from "../limits.ts"
import { type Block, extraHashOf, transactionRootOf } from "./block.ts"
import { type BlockHash, chainTag, type Height, makeHeader, type Target } from "./header.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const units = between(0, Number.MAX_SAFE_INTEGER)
const blockMs = between(1, 86_400_000)

const DifficultyRuleSchema = Schema.Union([
  /** Leading hex zeros, moved by one each window (L-B5, L-B6). */
  Schema.Struct({
    rule: Schema.Literal("prefix-window"),
    blockMs,
    windowBlocks: between(2, 10_000),
    prefixStart: between(0, 60),
    prefixMin: between(0, 60),
    prefixMax: between(0, 60)
  }),
  /** Leading zero bits, moved by one each interval (D-V5). */
  Schema.Struct({
    rule: Schema.Literal("interval-bits"),
    blockMs,
    intervalBlocks: between(2, 10_000),
    bitsStart: between(0, 240),
    bitsMin: between(0, 240),
    bitsMax: between(0, 240)
  }),
  /** Leading zero bits for ever (F-D6). */
  Schema.Struct({ rule: Schema.Literal("fixed"), blockMs, bits: between(0, 240) }),
  /** aserti3-2d over a 256-bit target, anchored at the genesis. */
  Schema.Struct({
    rule: Schema.Literal("asert"),
    blockMs,
    halfLifeMs: between(1, 100 * 86_400_000),
    bitsStart: between(0, 240),
    bitsMin: between(0, 240)
  })
])

/** How the target of the next block follows from its ancestors. */
export type DifficultyRule = typeof DifficultyRuleSchema.Type

/** The JSON form. Addresses are bech32m text, amounts base units, times milliseconds. */
const SpecSchema = Schema.Struct({
  name: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(64)),
  addressPrefix: Schema.String.check(Schema.isPattern(/^[a-z]{1,16}$/u)),
  ledger: Schema.Struct({
    model: Schema.Literal("account"),
    chainId: Schema.String.check(Schema.makeFilter((text) => isChainId(text) || "1 to 32 of a-z, 0-9 and hyphen")),
    symbol: Schema.String.check(Schema.isPattern(/^[A-Z]{1,8}$/u)),
    decimals: between(0, 12),
    supplyMax: units,
    feeMin: units,
    noteBytesMax: between(0, noteBytesMax),
    reward: units,
    rewardHalvingBlocks: between(0, Number.MAX_SAFE_INTEGER)
  }),
  difficulty: DifficultyRuleSchema,
  time: Schema.Struct({
    medianBlocks: between(1, medianBlocksMax).check(Schema.makeFilter((n) => n % 2 === 1 || "an odd number")),
    futureMsMax: between(0, futureMsMax)
  }),
  block: Schema.Struct({
    bytesMax: between(1_000, blockBytesMax),
    transactionsMax: between(0, blockTransactionsMax),
    extraBytesMax: between(32, extraBytesMax)
  }),
  genesis: Schema.Struct({
    time: units,
    note: Schema.String.check(Schema.isMaxLength(280)),
    alloc: Schema.Array(Schema.Struct({ address: Schema.String, balance: units }))
  })
})
type SpecText = typeof SpecSchema.Type

export interface TimeRule {
  /** A header's time must exceed the median of this many ancestors (fewer near genesis). Odd. */
  readonly medianBlocks: number
  /** And be at most this far ahead of the clock of who checks it. */
  readonly futureMsMax: number
}

export interface Allocation {
  readonly address: Address
  readonly balance: Amount
}

export interface ChainSpec {
  readonly name: string
  /** Human-readable part of this chain's addresses. */
  readonly addressPrefix: string
  readonly ledger: LedgerRules
  readonly difficulty: DifficultyRule
  readonly time: TimeRule
  readonly block: {
    readonly bytesMax: number
    /** Transfers in a block; the derived reward not counted. */
    readonly transactionsMax: number
    readonly extraBytesMax: number
  }
  readonly genesis: { readonly time: Millis; readonly note: string; readonly alloc: ReadonlyArray<Allocation> }
}

/** What is wrong with a spec, and where. */
export interface SpecError {
  readonly path: string
  readonly message: string
}

const decode = Schema.decodeUnknownExit(SpecSchema)

/** Rules that join several fields. */
const joinErrors = (spec: SpecText): ReadonlyArray<SpecError> => {
  const errors: Array<SpecError> = []
  const refuse = (bad: boolean, path: string, message: string): void => void (bad && errors.push({ path, message }))
  const { difficulty, ledger, genesis } = spec
  if (difficulty.rule === "prefix-window") {
    const { prefixMin, prefixStart, prefixMax } = difficulty
    refuse(prefixMin > prefixStart || prefixStart > prefixMax, "difficulty", "prefixMin <= prefixStart <= prefixMax must hold")
  }
  if (difficulty.rule === "interval-bits") {
    const { bitsMin, bitsStart, bitsMax } = difficulty
    refuse(bitsMin > bitsStart || bitsStart > bitsMax, "difficulty", "bitsMin <= bitsStart <= bitsMax must hold")
  }
  if (difficulty.rule === "asert") refuse(difficulty.bitsMin > difficulty.bitsStart, "difficulty", "bitsMin <= bitsStart must hold")
  const total = genesis.alloc.reduce((sum, { balance }) => sum + balance, 0)
  refuse(total > ledger.supplyMax, "genesis.alloc", `allocates ${total}, more than ledger.supplyMax`)
  const seen = new Set<string>()
  genesis.alloc.forEach(({ address, balance }, i) => {
    const parsed = parseAddress(address, spec.addressPrefix)
    refuse(!isAddress(parsed), `genesis.alloc[${i}].address`, isAddress(parsed) ? "" : parsed.wrong)
    refuse(seen.has(address), `genesis.alloc[${i}].address`, "stands here twice")
    refuse(balance === 0, `genesis.alloc[${i}].balance`, "must be at least 1")
    seen.add(address)
  })
  return errors
}

/** The spec of parsed JSON, or every error in it. Unknown keys are errors: a misspelt rule must not be lost silently. */
export const parseSpec = (json: unknown): Result.Result<ChainSpec, ReadonlyArray<SpecError>> => {
  const exit = decode(json, { errors: "all", onExcessProperty: "error" })
  if (exit._tag === "Failure") {
    const lines = String(exit.cause.reasons.map((reason) => ("error" in reason ? String(reason.error) : "")).join("\n"))
    return Result.fail(schemaErrors(lines))
  }
  const errors = joinErrors(exit.value)
  if (errors.length > 0) return Result.fail(errors)
  const { genesis, ledger, ...rest } = exit.value
  const alloc = genesis.alloc.map(({ address, balance }) => ({
    address: parseAddress(address, rest.addressPrefix) as Address,
    balance: balance as Amount
  }))
  return Result.succeed({
    ...rest,
    ledger: ledger as LedgerRules,
    genesis: { time: genesis.time as Millis, note: genesis.note, alloc }
  })
}

/** Effect prints one issue as a line and `  at ["a"]["b"]` below it. */
const schemaErrors = (text: string): ReadonlyArray<SpecError> => {
  const errors: Array<SpecError> = []
  for (const line of text.replace(/^SchemaError:? ?(?:\()?/u, "").split("\n")) {
    const place = /^\s*at (.*)$/.exec(line)
    const last = errors.at(-1)
    if (place !== null && last !== undefined) {
      const path = place[1]!.replace(/\)$/, "").replace(/\["([^"]+)"\]/g, ".$1").replace(/^\./, "")
      errors[errors.length - 1] = { path, message: last.message }
    } else if (line.trim() !== "") errors.push({ path: "", message: line.trim() })
  }
  return errors
}

/** The JSON form of a spec, keys in a fixed order: what is written to disk and hashed. */
export const formatSpec = (spec: ChainSpec): SpecText => ({
  name: spec.name,
  addressPrefix: spec.addressPrefix,
  ledger: {
    model: spec.ledger.model,
    chainId: spec.ledger.chainId,
    symbol: spec.ledger.symbol,
    decimals: spec.ledger.decimals,
    supplyMax: spec.ledger.supplyMax,
    feeMin: spec.ledger.feeMin,
    noteBytesMax: spec.ledger.noteBytesMax,
    reward: spec.ledger.reward,
    rewardHalvingBlocks: spec.ledger.rewardHalvingBlocks
  },
  difficulty: Object.fromEntries(Object.entries(spec.difficulty).sort(([a], [b]) => (a < b ? -1 : 1))) as DifficultyRule,
  time: { medianBlocks: spec.time.medianBlocks, futureMsMax: spec.time.futureMsMax },
  block: {
    bytesMax: spec.block.bytesMax,
    transactionsMax: spec.block.transactionsMax,
    extraBytesMax: spec.block.extraBytesMax
  },
  genesis: {
    time: spec.genesis.time,
    note: spec.genesis.note,
    alloc: spec.genesis.alloc.map(({ address, balance }) => ({ address: formatAddress(address, spec.addressPrefix), balance }))
  }
})

/** SHA-256 of the spec's JSON without white space, keys in the order of `formatSpec`. */
export const specHash = (spec: ChainSpec): Hash32 => sha256(utf8(JSON.stringify(formatSpec(spec))))

/** The block at height 0: no transactions, the spec's hash as extra data, the state root of the allocation. Not sealed. */
export const makeGenesis = (spec: ChainSpec, target: Target, stateRoot: Hash32): Block => {
  const extra = specHash(spec)
  const header = makeHeader({
    version: 1,
    chainTag: chainTag(spec.ledger.chainId),
    height: 0 as Height,
    time: spec.genesis.time,
    previous: zeroHash as BlockHash,
    transactionRoot: transactionRootOf([]),
    stateRoot,
    target,
    proposer: new Uint8Array(addressBytes) as Uint8Array as Address,
    extraHash: extraHashOf(extra),
    nonce: 0
  })
  return { header, transactions: [], extra }
}
