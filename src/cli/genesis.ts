/** `cairn genesis`: looks at the file that a chain begins with, names its hash, makes one. Also ccoin's genesis files. */
import { Result } from "effect"
import { type AddressMap, isCcoin, parseAddressMap, readCcoin } from "../block/ccoin.ts"
import { type ChainSpec, formatSpec, parseSpec, specHash, type SpecError } from "../block/genesis.ts"
import { makeRules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { exists, FileFault, readText, writeFile } from "../io/files.ts"
import { parse as parseAmount } from "../ledger/amount.ts"
import { specBytesMax } from "../limits.ts"
import { parseFile } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { paint, print, rows } from "./output.ts"

export interface GenesisFile {
  readonly file: string
  /** File with ccoin's old addresses and the new ones; undefined: none. */
  readonly map: string | undefined
}

interface Reading {
  readonly form: "spec" | "ccoin"
  readonly spec: ChainSpec
  readonly notes: ReadonlyArray<string>
  readonly addresses: ReadonlyMap<string, string>
}

const textOf = (file: string): string => {
  try {
    return readText(file, specBytesMax)
  } catch (error) {
    if (!(error instanceof FileFault)) throw error
    throw failure("usage", "spec-missing", error.message, "Name a chain spec, or a genesis file of ccoin.")
  }
}

const everyField = "docs/protocol.md, Chain spec and genesis, describes every field."

const readMap = (file: string): Result.Result<AddressMap, ReadonlyArray<SpecError>> =>
  Result.mapError(parseAddressMap(parseFile(textOf(file), file)), (errors) =>
    errors.map((error) => ({ ...error, path: `${file}: ${error.path}` }))
  )

/** What a file says, or every error of it. Throws Failure if it is no JSON. */
const readGenesis = ({ file, map }: GenesisFile): Result.Result<Reading, ReadonlyArray<SpecError>> => {
  const json = parseFile(textOf(file), file)
  if (!isCcoin(json)) {
    if (map !== undefined) throw failure("usage", "map-unneeded", "--map goes with a genesis file of ccoin.")
    const parsed = Result.mapError(parseSpec(json), (errors) =>
      errors.map((error) => ({ ...error, hint: error.hint ?? everyField }))
    )
    return Result.map(parsed, (spec) => ({ form: "spec", spec, notes: [], addresses: new Map() }))
  }
  const table = map === undefined ? Result.succeed<AddressMap>(new Map()) : readMap(map)
  if (Result.isFailure(table)) return Result.fail(table.failure)
  return Result.map(readCcoin(json, table.success), (reading) => ({ form: "ccoin", ...reading }))
}

const inWords = ({ path, message, hint }: SpecError): string =>
  `${path === "" ? "" : `${path} `}${message}.${hint === undefined ? "" : ` ${hint}`}`

/** The spec of a file. Throws Failure with every error. */
export const specOfGenesis = (wish: GenesisFile): Reading => {
  const read = readGenesis(wish)
  if (Result.isSuccess(read)) return read.success
  throw failure("usage", "genesis-invalid", `${wish.file}:\n  ${read.failure.map(inWords).join("\n  ")}`)
}

/** Every error at once, or what chain it makes. */
export const checkGenesis = (wish: GenesisFile): void => {
  const read = readGenesis(wish)
  if (Result.isFailure(read)) {
    const errors = read.failure.map(({ path, message, hint }) => ({ path, message, hint: hint ?? null }))
    print(
      { valid: false, errors },
      read.failure.map((error) => `${paint("red", "✗")} ${inWords(error)}`)
    )
    throw failure(
      "refused",
      "genesis-invalid",
      `${wish.file} has ${errors.length} error${errors.length > 1 ? "s" : ""}.`
    )
  }
  const { form, spec, notes, addresses } = read.success
  const { genesis } = makeRules(spec)
  const value = {
    valid: true,
    form,
    chain: spec.ledger.chainId,
    genesis: genesis.header.id,
    spec_hash: toHex(specHash(spec)),
    notes,
    addresses: Object.fromEntries(addresses),
    spec: formatSpec(spec)
  }
  const what = form === "ccoin" ? "genesis file of ccoin" : "chain spec"
  print(value, [
    `${paint("green", "✓")} ${wish.file} is a ${what}: a chain can begin with it.`,
    ...rows([
      ["chain", spec.ledger.chainId],
      ["genesis", genesis.header.id],
      ["spec hash", toHex(specHash(spec))],
      [
        "authorities",
        spec.authority === undefined ? "none: whoever does the work seals" : String(spec.authority.members.length)
      ],
      ["accounts", String(spec.genesis.alloc.length)]
    ]),
    ...notes.map((note) => `  ${paint("yellow", "!")} ${note}`)
  ])
}

/** The genesis hash alone. */
export const hashGenesis = (wish: GenesisFile): void => {
  const { id } = makeRules(specOfGenesis(wish).spec).genesis.header
  print({ genesis: id }, [id])
}

export interface NewGenesis {
  readonly out: string
  readonly name: string
  readonly chainId: string
  readonly prefix: string
  readonly symbol: string
  readonly decimals: number
  /** In whole coins. */
  readonly reward: string
  readonly supply: string
  readonly fee: string
  /** Addresses, separated by commas; undefined: whoever does the work seals. */
  readonly authorities: string | undefined
  /** Seconds from block to block, or of a slot. */
  readonly interval: number
  /** Blocks for which a vote of the authorities counts; 0: their list is fixed. */
  readonly voteBlocks: number
  readonly bits: number | undefined
  /** ADDRESS=COINS, separated by commas. */
  readonly alloc: string | undefined
  readonly now: number
}

const parts = (text: string | undefined): ReadonlyArray<string> =>
  (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")

/** Base units of a flag's text. */
const unitsOf = (text: string, decimals: number, flag: string): number => {
  const units = parseAmount(text, decimals)
  if (units === undefined)
    throw failure("usage", "amount-invalid", `--${flag}: "${text}" is no amount with at most ${decimals} decimals.`)
  return units
}

const allocOf = ({ alloc, decimals }: NewGenesis) =>
  parts(alloc).map((part) => {
    const match = /^([^=]+)=([^=]+)$/.exec(part)
    if (match === null) throw failure("usage", "alloc-invalid", `--alloc: "${part}" is not ADDRESS=COINS.`)
    return { address: match[1]!, balance: unitsOf(match[2]!, decimals, "alloc") }
  })

/** Who seals, and when. */
const sealingOf = (wish: NewGenesis) => {
  const blockMs = Math.round(wish.interval * 1_000)
  if (wish.authorities !== undefined) {
    const half = Math.floor(blockMs / 2)
    return {
      difficulty: { rule: "fixed", blockMs, bits: wish.bits ?? 0 },
      authority: { members: parts(wish.authorities), outOfTurnMs: half, voteBlocks: wish.voteBlocks },
      time: { futureMsMax: half }
    }
  }
  const bits = wish.bits ?? 20
  return {
    difficulty: { rule: "asert", blockMs, halfLifeMs: 3_600_000, bitsStart: bits, bitsMin: Math.min(bits, 16) },
    time: { medianBlocks: 11, futureMsMax: 7_200_000 }
  }
}

/** Writes a chain spec of a few flags; never over a file. */
export const newGenesis = (wish: NewGenesis): void => {
  if (exists(wish.out))
    throw failure("refused", "file-exists", `${wish.out} is there already.`, "Name another file; none is written over.")
  const parsed = parseSpec({
    name: wish.name,
    addressPrefix: wish.prefix,
    ledger: {
      model: "account",
      chainId: wish.chainId,
      symbol: wish.symbol,
      decimals: wish.decimals,
      supplyMax: unitsOf(wish.supply, wish.decimals, "supply"),
      feeMin: unitsOf(wish.fee, wish.decimals, "fee"),
      noteBytesMax: 280,
      reward: unitsOf(wish.reward, wish.decimals, "reward"),
      rewardHalvingBlocks: 0
    },
    ...sealingOf(wish),
    block: { bytesMax: 2_097_152, transactionsMax: 10_000, extraBytesMax: 1_024 },
    // Whole seconds: the hash must not tell more than a person would write.
    genesis: { time: Math.floor(wish.now / 1_000) * 1_000, note: "", alloc: allocOf(wish) }
  })
  if (Result.isFailure(parsed))
    throw failure("usage", "genesis-invalid", `The flags make no chain:\n  ${parsed.failure.map(inWords).join("\n  ")}`)
  const spec = parsed.success
  writeFile(wish.out, `${JSON.stringify(formatSpec(spec), null, 2)}\n`)
  const { id } = makeRules(spec).genesis.header
  print({ file: wish.out, chain: spec.ledger.chainId, genesis: id }, [
    `${wish.out} is the beginning of the chain "${spec.ledger.chainId}".`,
    ...rows([["genesis", id]]),
    `  Next: cairn init --genesis ${wish.out} --data-dir DIR`
  ])
}
