/**
 * The chain spec: one JSON file that chooses the money model, the seal and every parameter, and so the genesis block.
 * Two nodes agree on a chain if and only if their genesis hashes are equal: the hash covers the whole spec.
 */
import { Result, Schema, SchemaIssue } from "effect"
import { utf8 } from "../codec/bytes.ts"
import { type Address, addressBytes, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import type { Amount } from "../ledger/amount.ts"
import type { Allocation, LedgerRules } from "../ledger/ledger.ts"
import type { Millis } from "../ledger/transaction.ts"
import { isChainId } from "../ledger/chain-id.ts"
import { type Filler, fillerBytes } from "../ledger/filler.ts"
import {
  authoritiesMax,
  blockBytesMax,
  blockTransactionsMax,
  extraBytesMax,
  futureMsMax,
  medianBlocksMax,
  noteBytesMax,
  payloadBytesMax,
  stateBlocksMax,
  sessionsMax,
  transactionBytesMax,
  transferBytesMax
} from "../limits.ts"
import { type Block, extraHashOf, transactionRootOf } from "./block.ts"
import {
  type AuthorityFields,
  authorityHeaderBytes,
  type BlockHash,
  chainTag,
  headerBytes,
  type Height,
  makeHeader,
  type Target
} from "./header.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const units = between(0, Number.MAX_SAFE_INTEGER)
const blockMs = between(1, 86_400_000)
/** The end of the year 9999: whatever is added to a time stays a safe integer. */
const timeMax = 253_402_300_799_999
/** The last nonce that a genesis may give: far from where nonces end. */
const allocNonceMax = 2 ** 48
/** Bytes of a block with one longest transaction of a model, beside its extra data and what it opens with. */
const blockBytesLeast = {
  account: headerBytes + 8 + 2 + transferBytesMax,
  utxo: headerBytes + 8 + 128 + transactionBytesMax
}

/** A rule in words. Effect prints `false` as a fault and a text as what was expected. */
const holds = <A>(rule: (value: A) => boolean, expected: string) =>
  Schema.makeFilter((value: A) => rule(value) || `Expected ${expected}`)
const text = (bounds: { readonly min: number; readonly max: number }) =>
  Schema.String.check(
    Schema.isMinLength(bounds.min),
    Schema.isMaxLength(bounds.max),
    holds((value) => value.isWellFormed(), "text of whole characters")
  )

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

/** Who may seal, when, and how often; beside the work that `difficulty` asks for, which is none at 0 bits. */
const AuthorityRuleSchema = Schema.Struct({
  members: Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(authoritiesMax)),
  outOfTurnMs: between(0, 86_400_000),
  voteBlocks: Schema.optionalKey(between(0, 10_000_000)),
  allowEmpty: Schema.optionalKey(Schema.Boolean),
  pace: Schema.optionalKey(
    Schema.Struct({ pendingMin: between(1, blockTransactionsMax), idleMs: between(1, 7 * 86_400_000) })
  ),
  finality: Schema.optionalKey(Schema.Struct({ checkpointBlocks: between(2, 10_000) }))
})

/** What stands where nobody has put data (C `placeholder_data`). */
const FillerSchema = Schema.Union([
  Schema.Struct({ rule: Schema.Literal("random"), characters: between(0, extraBytesMax) }),
  Schema.Struct({ rule: Schema.Literal("text"), text: text({ min: 0, max: extraBytesMax }) })
])

/** What every money model says. */
const money = {
  chainId: Schema.String.check(holds(isChainId, "1 to 32 of a-z, 0-9 and hyphen")),
  symbol: Schema.String.check(holds((value) => /^[A-Z]{1,8}$/.test(value), "1 to 8 of A-Z")),
  decimals: between(0, 12),
  supplyMax: units,
  feeMin: units,
  noteBytesMax: between(0, noteBytesMax),
  payloadBytesMax: Schema.optionalKey(between(0, payloadBytesMax)),
  filler: Schema.optionalKey(FillerSchema),
  reward: units,
  rewardHalvingBlocks: between(0, Number.MAX_SAFE_INTEGER)
}

/** The JSON form. Addresses are bech32m text, amounts base units, times milliseconds. */
const SpecSchema = Schema.Struct({
  name: text({ min: 1, max: 64 }),
  addressPrefix: Schema.String.check(holds((value) => /^[a-z]{1,16}$/.test(value), "1 to 16 of a-z")),
  ledger: Schema.Union([
    Schema.Struct({ model: Schema.Literal("account"), ...money }),
    Schema.Struct({ model: Schema.Literal("utxo"), ...money, coinbaseMaturity: between(0, 100_000) })
  ]),
  difficulty: DifficultyRuleSchema,
  authority: Schema.optionalKey(AuthorityRuleSchema),
  time: Schema.Struct({
    medianBlocks: Schema.optionalKey(
      between(1, medianBlocksMax).check(holds((count) => count % 2 === 1, "an odd number"))
    ),
    behindMsMax: Schema.optionalKey(between(0, futureMsMax)),
    futureMsMax: between(0, futureMsMax)
  }),
  block: Schema.Struct({
    bytesMax: between(blockBytesLeast.account, blockBytesMax),
    transactionsMax: between(0, blockTransactionsMax),
    extraBytesMax: between(32, extraBytesMax),
    filler: Schema.optionalKey(FillerSchema)
  }),
  history: Schema.optionalKey(Schema.Struct({ stateBlocks: between(0, stateBlocksMax) })),
  network: Schema.optionalKey(Schema.Struct({ peersMax: between(1, 65_535) })),
  genesis: Schema.Struct({
    time: between(0, timeMax),
    note: text({ min: 0, max: 280 }),
    bits: Schema.optionalKey(between(0, 240)),
    alloc: Schema.Array(
      Schema.Struct({ address: Schema.String, balance: units, nonce: Schema.optionalKey(between(1, allocNonceMax)) })
    )
  })
})
type SpecText = typeof SpecSchema.Type

/** Proof of authority (C 4.2 `miners`, `block_mining`). */
export interface AuthorityRule {
  /** Those of the genesis. */
  readonly members: ReadonlyArray<Address>
  /** Milliseconds into a slot, which is `difficulty.blockMs` long, from which others than its leader may seal. */
  readonly outOfTurnMs: number
  /** Blocks for which a vote to admit or expel counts; 0: the list is fixed, but for who is convicted. */
  readonly voteBlocks?: number
  /** May blocks have no transactions? True if absent (C `allow_empty`). */
  readonly allowEmpty?: boolean
  /** A block has so many transactions, or comes so late after its parent (C `min_bound`, `interval`). */
  readonly pace?: { readonly pendingMin: number; readonly idleMs: number }
  /** Authorities vote on every so many blocks, and what more than two thirds vote for twice is final. */
  readonly finality?: { readonly checkpointBlocks: number }
}

/** One of two rules against the ancestors, and one against the clock of who checks. */
export interface TimeRule {
  /** A header's time must exceed the median of this many ancestors (fewer near genesis). Odd. */
  readonly medianBlocks?: number
  /** Or it may be at most this far behind its parent's (D-V3, F-D10). A miner can so let time stand still for long. */
  readonly behindMsMax?: number
  /** And it is at most this far ahead of the clock. */
  readonly futureMsMax: number
}

export interface ChainSpec {
  readonly name: string
  /** Human-readable part of this chain's addresses. */
  readonly addressPrefix: string
  readonly ledger: LedgerRules
  readonly difficulty: DifficultyRule
  /** Absent: whoever does the work may seal. */
  readonly authority?: AuthorityRule
  readonly time: TimeRule
  readonly block: {
    readonly bytesMax: number
    /** Transactions in a block; the reward, derived or a coinbase, not counted. */
    readonly transactionsMax: number
    readonly extraBytesMax: number
    /** The form that every block's extra data must have, but for evidence. Absent: any. */
    readonly filler?: Filler
  }
  /** Absent: a node has as many sessions as its own limit allows, which also holds beside this one. */
  readonly network?: { readonly peersMax: number }
  readonly genesis: {
    readonly time: Millis
    readonly note: string
    /** Leading zero bits of the target that the genesis names, with fixed difficulty; absent: as every block. */
    readonly bits?: number
    readonly alloc: ReadonlyArray<Allocation>
  }

  /** How many blocks below the tip nodes tell the state of, at most; absent: `stateBlocksMax`. */
  readonly history?: { readonly stateBlocks: number }
}

/** How many blocks below the tip nodes of a chain tell the state of. */
export const stateBlocksOf = ({ history }: ChainSpec): number => history?.stateBlocks ?? stateBlocksMax

/** Sessions that a node of the chain may have: no more than the chain allows, nor than the node can. */
export const peersMaxOf = ({ network }: Pick<ChainSpec, "network">): number =>
  Math.min(sessionsMax, network?.peersMax ?? sessionsMax)

/** What is wrong with a spec, and where. */
export interface SpecError {
  readonly path: string
  readonly message: string
  /** What to do. */
  readonly hint?: string
}

const decode = Schema.decodeUnknownResult(SpecSchema, { errors: "all", onExcessProperty: "error" })

const timeErrors = ({ time: { medianBlocks, behindMsMax } }: SpecText): ReadonlyArray<SpecError> =>
  (medianBlocks === undefined) === (behindMsMax === undefined)
    ? [{ path: "time", message: "names one of medianBlocks and behindMsMax, and not both" }]
    : []

/** Slots rule the time of a chain with authorities, and its blocks must have room for evidence. */
const authorityErrors = (
  { time, difficulty, addressPrefix, block }: SpecText,
  { members, outOfTurnMs }: NonNullable<SpecText["authority"]>
): ReadonlyArray<SpecError> => {
  const errors: Array<SpecError> = []
  const refuse = (bad: boolean, path: string, message: string): void => void (bad && errors.push({ path, message }))
  refuse(
    time.medianBlocks !== undefined || time.behindMsMax !== undefined,
    "time",
    "names neither medianBlocks nor behindMsMax: each block of authorities stands in a later slot than its parent"
  )
  refuse(outOfTurnMs >= difficulty.blockMs, "authority.outOfTurnMs", "must be less than difficulty.blockMs, a slot")
  refuse(
    block.extraBytesMax < 2 * authorityHeaderBytes,
    "block.extraBytesMax",
    `must be at least ${2 * authorityHeaderBytes}: room for evidence against an authority`
  )
  const seen = new Set<string>()
  members.forEach((member, i) => {
    const parsed = parseAddress(member, addressPrefix)
    refuse(!isAddress(parsed), `authority.members[${i}]`, isAddress(parsed) ? "" : parsed.wrong)
    refuse(seen.has(member), `authority.members[${i}]`, "stands here twice")
    seen.add(member)
  })
  return errors
}

/** Who has what in the beginning. */
const allocErrors = ({ addressPrefix, genesis, ledger }: SpecText): ReadonlyArray<SpecError> => {
  const errors: Array<SpecError> = []
  const refuse = (bad: boolean, path: string, message: string): void => void (bad && errors.push({ path, message }))
  const total = genesis.alloc.reduce((sum, { balance }) => sum + balance, 0)
  refuse(total > ledger.supplyMax, "genesis.alloc", `allocates ${total}, more than ledger.supplyMax`)
  const seen = new Set<string>()
  genesis.alloc.forEach(({ address, balance, nonce }, i) => {
    const parsed = parseAddress(address, addressPrefix)
    refuse(!isAddress(parsed), `genesis.alloc[${i}].address`, isAddress(parsed) ? "" : parsed.wrong)
    refuse(seen.has(address), `genesis.alloc[${i}].address`, "stands here twice")
    refuse(balance === 0 && nonce === undefined, `genesis.alloc[${i}].balance`, "must be at least 1")
    refuse(nonce !== undefined && ledger.model !== "account", `genesis.alloc[${i}].nonce`, "is of accounts only")
    seen.add(address)
  })
  return errors
}

/** Filler must fit where it stands. */
const fillerErrors = ({ ledger, block }: SpecText): ReadonlyArray<SpecError> => {
  const places = [
    { path: "ledger.filler", filler: ledger.filler, most: ledger.payloadBytesMax ?? 0, of: "ledger.payloadBytesMax" },
    { path: "block.filler", filler: block.filler, most: block.extraBytesMax, of: "block.extraBytesMax" }
  ]
  return places.flatMap(({ path, filler, most, of }) =>
    fillerBytes(filler) > most ? [{ path, message: `has ${fillerBytes(filler)} bytes, more than ${of}` }] : []
  )
}

/** Rules that join several fields. */
const joinErrors = (spec: SpecText): ReadonlyArray<SpecError> => {
  const errors: Array<SpecError> = []
  const refuse = (bad: boolean, path: string, message: string): void => void (bad && errors.push({ path, message }))
  const { block, difficulty, ledger, genesis } = spec
  if (difficulty.rule === "prefix-window") {
    const { prefixMin, prefixStart, prefixMax } = difficulty
    refuse(
      prefixMin > prefixStart || prefixStart > prefixMax,
      "difficulty",
      "prefixMin <= prefixStart <= prefixMax must hold"
    )
  }
  if (difficulty.rule === "interval-bits") {
    const { bitsMin, bitsStart, bitsMax } = difficulty
    refuse(bitsMin > bitsStart || bitsStart > bitsMax, "difficulty", "bitsMin <= bitsStart <= bitsMax must hold")
  }
  if (difficulty.rule === "asert") {
    refuse(difficulty.bitsMin > difficulty.bitsStart, "difficulty", "bitsMin <= bitsStart must hold")
  }
  errors.push(...(spec.authority === undefined ? timeErrors(spec) : authorityErrors(spec, spec.authority)))
  refuse(ledger.feeMin > ledger.supplyMax, "ledger.feeMin", "must be at most ledger.supplyMax")
  refuse(ledger.reward > ledger.supplyMax, "ledger.reward", "must be at most ledger.supplyMax")
  const sealBytes = spec.authority === undefined ? 0 : authorityHeaderBytes - headerBytes
  const least = blockBytesLeast[ledger.model] + sealBytes + block.extraBytesMax
  refuse(block.bytesMax < least, "block.bytesMax", `must be at least ${least}: room for extra data and one transaction`)
  const ruled = difficulty.rule !== "fixed" && genesis.bits !== undefined
  refuse(ruled, "genesis.bits", "goes with fixed difficulty only: the others begin at the target of the genesis")
  return [...errors, ...fillerErrors(spec), ...allocErrors(spec)]
}

/**
 * The spec of parsed JSON, or what is wrong with it: every error of form, or if there is none, every error of sense.
 * Unknown keys are errors: a misspelt rule must not be lost silently.
 */
export const parseSpec = (json: unknown): Result.Result<ChainSpec, ReadonlyArray<SpecError>> => {
  const decoded = decode(json)
  if (Result.isFailure(decoded)) return Result.fail(formErrors(decoded.failure.issue))
  const errors = joinErrors(decoded.success)
  if (errors.length > 0) return Result.fail(errors)
  const { authority, genesis, ledger, ...rest } = decoded.success
  const alloc = genesis.alloc.map(({ address, balance, ...more }) => ({
    ...(more as Pick<Allocation, "nonce">),
    address: parseAddress(address, rest.addressPrefix) as Address,
    balance: balance as Amount
  }))
  const members = authority?.members.map((member) => parseAddress(member, rest.addressPrefix) as Address)
  return Result.succeed({
    ...rest,
    ...(authority === undefined ? {} : { authority: { ...authority, members: members! } }),
    ledger: ledger as LedgerRules,
    genesis: { ...genesis, time: genesis.time as Millis, alloc }
  })
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const formErrors = (issue: SchemaIssue.Issue): ReadonlyArray<SpecError> =>
  formatIssue(issue).issues.map(({ message, path = [] }) => {
    const keys = path.map((step) => (typeof step === "object" ? step.key : step))
    const place = keys.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("")
    return { path: place.replace(/^\./, ""), message }
  })

/** The JSON form of a spec. */
export const formatSpec = ({ authority, ...spec }: ChainSpec): SpecText => ({
  ...spec,
  ...(authority === undefined
    ? {}
    : {
        authority: {
          ...authority,
          members: authority.members.map((member) => formatAddress(member, spec.addressPrefix))
        }
      }),
  genesis: {
    ...spec.genesis,
    alloc: spec.genesis.alloc.map(({ address, ...rest }) => ({
      address: formatAddress(address, spec.addressPrefix),
      ...rest
    }))
  }
})

/** JSON as RFC 8785 writes what a spec holds: objects with sorted keys, lists, text and whole numbers. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`
}

/** The spec's JSON form, written as RFC 8785 (JCS) says. */
export const canonicalSpec = (spec: ChainSpec): string => canonical(formatSpec(spec))

/** SHA-256 of that. */
export const specHash = (spec: ChainSpec): Hash32 => sha256(utf8(canonicalSpec(spec)))

const nobody = new Uint8Array(addressBytes) as Uint8Array as Address
/** Nobody seals a genesis. */
const unsealed: AuthorityFields = {
  weight: 0,
  vote: "none",
  subject: nobody,
  lastVote: 0,
  publicKey: new Uint8Array(33),
  signature: new Uint8Array(64)
}

/** The block at height 0: no transactions, the spec's hash as extra data, the state root of the allocation. Not sealed. */
export const makeGenesis = (spec: ChainSpec, target: Target, stateRoot: Hash32): Block => {
  const extra = specHash(spec)
  const header = makeHeader({
    ...(spec.authority === undefined ? { version: 1 } : { version: 2, authority: unsealed }),
    chainTag: chainTag(spec.ledger.chainId),
    height: 0 as Height,
    time: spec.genesis.time,
    previous: zeroHash as BlockHash,
    transactionRoot: transactionRootOf([]),
    stateRoot,
    target,
    proposer: nobody,
    extraHash: extraHashOf(extra),
    nonce: 0
  })
  return { header, transactions: [], extra }
}
