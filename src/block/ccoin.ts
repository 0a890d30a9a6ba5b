/**
 * A genesis file of ccoin as a chain spec of ours (C 4.2). Each of its fields is kept as a rule or refused by name; docs/ccoin.md
 * has the table. Keys that the file leaves out have the values that they have there.
 */
import { Result } from "effect"
import { fromHex } from "../codec/bytes.ts"
import { type Address, addressOf, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import type { Filler } from "../ledger/filler.ts"
import { authoritiesMax, blockBytesMax, blockTransactionsMax, extraBytesMax, payloadBytesMax } from "../limits.ts"
import { type ChainSpec, parseSpec, type SpecError } from "./genesis.ts"

/** The prefix of addresses on a chain that comes from such a file. */
export const ccoinPrefix = "ccoin"
/** When such a chain begins, for its file does not say: 2018-01-01, when that program was written. Slots count from it. */
const beginsAt = 1_514_764_800_000
/** Milliseconds of a slot, if the interval is not shorter: so often the original looks whether a block is due. */
const slotMsMost = 5_000

const defaults = {
  network_id: 1,
  interval: 600,
  max_bound: 100,
  min_bound: 10,
  reward: 100,
  difficulty: 5,
  allow_empty: true,
  placeholder_data: ["rnd", 15],
  genesisDifficulty: 4
} as const

type Json = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Is the JSON such a file, and not a chain spec? By the keys that only it has. */
export const isCcoin = (json: unknown): boolean =>
  isObject(json) &&
  !("ledger" in json) &&
  ["network_id", "miners", "block_mining", "genesis_block"].some((key) => key in json)

/** Old addresses, 40 hex characters, to text of ours. */
export type AddressMap = ReadonlyMap<string, string>

const oldForm = /^[0-9a-f]{40}$/i

/** The table of parsed JSON: an object of old address to new one. */
export const parseAddressMap = (json: unknown): Result.Result<AddressMap, ReadonlyArray<SpecError>> => {
  if (!isObject(json)) return Result.fail([{ path: "", message: "is not an object of old addresses and new ones" }])
  const errors = Object.entries(json).flatMap(([old, address]): ReadonlyArray<SpecError> => {
    if (!oldForm.test(old)) return [{ path: old, message: "is no old address: 40 hex characters" }]
    const parsed = typeof address === "string" ? readAddress(address) : undefined
    if (parsed !== undefined && isAddress(parsed)) return []
    const hint = "Make a key: cairn keys new NAME --prefix ccoin."
    return [{ path: old, message: parsed === undefined ? "has no text as its new address" : parsed.wrong, hint }]
  })
  if (errors.length > 0) return Result.fail(errors)
  return Result.succeed(new Map(Object.entries(json).map(([old, address]) => [old.toLowerCase(), address as string])))
}

/** An address of ours, or the public key that has it, 33 bytes in hex. */
export const readAddress = (text: string, prefix = ccoinPrefix): Address | { readonly wrong: string } => {
  const key = /^0[23]/.test(text) ? fromHex(text.toLowerCase(), 33) : undefined
  return key === undefined ? parseAddress(text, prefix) : addressOf(key)
}

/** What a file says, in our terms, and what its reader should know of it. */
export interface CcoinReading {
  readonly spec: ChainSpec
  readonly notes: ReadonlyArray<string>
  /** Old addresses to ours. */
  readonly addresses: ReadonlyMap<string, string>
}

class Reader {
  readonly errors: Array<SpecError> = []
  readonly notes: Array<string> = []
  readonly missing = new Set<string>()
  readonly addresses = new Map<string, string>()
  private readonly map: AddressMap

  constructor(map: AddressMap) {
    this.map = map
  }

  refuse(path: string, message: string, hint: string): void {
    this.errors.push({ path, message, hint })
  }

  /** An object with no other keys than these. */
  object(value: unknown, path: string, keys: ReadonlyArray<string>): Json {
    if (value === undefined) return {}
    if (!isObject(value)) {
      this.refuse(path, "is not an object", `Write it as {${keys.map((key) => `"${key}": …`).join(", ")}}.`)
      return {}
    }
    for (const key of Object.keys(value))
      if (!keys.includes(key))
        this.refuse(
          path === "" ? key : `${path}.${key}`,
          "is a key that no rule here stands behind",
          `Take it away, or mend its spelling: ${keys.join(", ")}.`
        )
    return value
  }

  whole(value: unknown, path: string, bounds: { readonly min: number; readonly max: number }): number {
    if (Number.isSafeInteger(value) && (value as number) >= bounds.min && (value as number) <= bounds.max)
      return value as number
    const given = typeof value === "number" ? String(value) : (JSON.stringify(value)?.slice(0, 40) ?? "nothing")
    this.refuse(path, `is ${given}`, `Write a whole number from ${bounds.min} to ${bounds.max}.`)
    return bounds.min
  }

  /** ["rnd", n] or ["predef", text]. */
  filler(value: unknown, path: string, most: number): Filler {
    const [rule, what] = Array.isArray(value) && value.length === 2 ? (value as ReadonlyArray<unknown>) : []
    if (rule === "rnd" && Number.isInteger(what) && (what as number) >= 0 && (what as number) <= most)
      return { rule: "random", characters: what as number }
    if (rule === "predef" && typeof what === "string" && what.isWellFormed()) return { rule: "text", text: what }
    this.refuse(path, "is no placeholder", `Write ["rnd", N] with N of at most ${most}, or ["predef", "a text"].`)
    return { rule: "text", text: "" }
  }

  /** The address of ours that stands for one of theirs; an empty text if there is none, and then it is missed. */
  address(value: unknown, path: string): string {
    const text = typeof value === "string" ? value : ""
    if (oldForm.test(text)) {
      const found = this.map.get(text.toLowerCase())
      if (found === undefined) {
        this.missing.add(text)
        const hint = `An old address tells no key of ours. Add to the table (--map FILE): {"${text}": "${ccoinPrefix}1…"}.`
        this.refuse(path, `"${text}" has no new address`, hint)
        return ""
      }
      const address = formatAddress(readAddress(found) as Address, ccoinPrefix)
      this.addresses.set(text, address)
      return address
    }
    const parsed = readAddress(text)
    if (isAddress(parsed)) return formatAddress(parsed, ccoinPrefix)
    this.refuse(path, parsed.wrong, "Write 40 hex characters that the table (--map FILE) names, or a new address.")
    return ""
  }
}

const miningKeys = [
  "interval",
  "max_bound",
  "min_bound",
  "reward",
  "difficulty",
  "allow_empty",
  "placeholder_data"
] as const

/** Slots and pace of `interval`, `min_bound`, `max_bound` and `allow_empty`. */
const readPace = (read: Reader, mining: Json) => {
  const path = "block_mining"
  const seconds = mining["interval"] ?? defaults.interval
  const idleMs = typeof seconds === "number" ? Math.round(seconds * 1_000) : Number.NaN
  if (!(idleMs >= 2 && idleMs <= 7 * 86_400_000))
    read.refuse(`${path}.interval`, "is no time between blocks", "Write seconds, from 0.002 to a week (604800).")
  const pendingMin = read.whole(mining["min_bound"] ?? defaults.min_bound, `${path}.min_bound`, {
    min: 1,
    max: blockTransactionsMax
  })
  const transactionsMax = read.whole(mining["max_bound"] ?? defaults.max_bound, `${path}.max_bound`, {
    min: 1,
    max: blockTransactionsMax
  })
  if (pendingMin > transactionsMax)
    read.refuse(
      `${path}.min_bound`,
      `is ${pendingMin}, more than max_bound, ${transactionsMax}: no block could ever have so many`,
      "Lower it, or raise max_bound."
    )
  const allowEmpty = mining["allow_empty"] ?? defaults.allow_empty
  if (typeof allowEmpty !== "boolean") read.refuse(`${path}.allow_empty`, "is neither true nor false", "Write one.")
  const slotMs = Math.min(slotMsMost, idleMs)
  return { slotMs, pace: { pendingMin, idleMs }, transactionsMax, allowEmpty: allowEmpty === true }
}

/** Who has what in the beginning: `alloc`, and the coinbase of `genesis_block` with its reward. */
const readAlloc = (read: Reader, alloc: unknown, first: Json): ReadonlyArray<Json> => {
  const rows = new Map<string, { balance: number; nonce: number; path: string }>()
  const most = Number.MAX_SAFE_INTEGER
  for (const [old, value] of Object.entries(isObject(alloc) ? alloc : {})) {
    const path = `alloc.${old}`
    const fields = read.object(value, path, ["balance", "nonce"])
    const address = read.address(old, path)
    const balance = read.whole(fields["balance"] ?? 0, `${path}.balance`, { min: 0, max: most })
    const nonce = read.whole(fields["nonce"] ?? 0, `${path}.nonce`, { min: 0, max: 2 ** 48 })
    if (balance === 0 && nonce === 0)
      read.refuse(path, "has nothing and has sent nothing", "Take it away, or give it a balance.")
    const other = rows.get(address)
    if (other !== undefined && address !== "")
      read.refuse(path, `has the new address of ${other.path.slice(6)}`, "Give each old address a new one of its own.")
    rows.set(address, { balance, nonce, path })
  }
  if (alloc !== undefined && !isObject(alloc))
    read.refuse("alloc", "is not an object of addresses", 'Write it as {"ADDRESS": {"balance": 100}}.')
  const reward = read.whole(first["coinbase_reward"] ?? 0, "genesis_block.coinbase_reward", { min: 0, max: most })
  if ((first["coinbase"] ?? "") === "") {
    if (reward > 0) read.notes.push("genesis_block.coinbase is empty: nobody gets genesis_block.coinbase_reward.")
  } else {
    const address = read.address(first["coinbase"], "genesis_block.coinbase")
    if (reward === 0)
      read.refuse("genesis_block.coinbase", "gets nothing", "Name genesis_block.coinbase_reward, or nobody.")
    const row = rows.get(address) ?? { balance: 0, nonce: 0, path: "genesis_block.coinbase" }
    rows.set(address, { ...row, balance: row.balance + reward })
  }
  return [...rows].map(([address, { balance, nonce }]) => ({ address, balance, ...(nonce === 0 ? {} : { nonce }) }))
}

const readMiners = (read: Reader, miners: unknown): ReadonlyArray<string> => {
  if (!Array.isArray(miners) || miners.length < 1 || miners.length > authoritiesMax) {
    const hint = `Write a list of 1 to ${authoritiesMax} addresses: only they seal blocks.`
    read.refuse("miners", "is not a list of addresses", hint)
    return []
  }
  return miners.map((miner, i) => read.address(miner, `miners[${i}]`))
}

/** The spec of a file's parsed JSON, or every error of it. */
export const readCcoin = (json: unknown, map: AddressMap): Result.Result<CcoinReading, ReadonlyArray<SpecError>> => {
  const read = new Reader(map)
  const top = ["network_id", "miners", "block_mining", "transaction", "max_peers", "genesis_block", "alloc"]
  const file = read.object(json, "", top)
  const mining = read.object(file["block_mining"], "block_mining", miningKeys)
  const transaction = read.object(file["transaction"], "transaction", ["placeholder_data"])
  const first = read.object(file["genesis_block"], "genesis_block", ["difficulty", "coinbase", "coinbase_reward"])
  const id = read.whole(file["network_id"] ?? defaults.network_id, "network_id", {
    min: 0,
    max: Number.MAX_SAFE_INTEGER
  })
  const members = readMiners(read, file["miners"])
  const { slotMs, pace, transactionsMax, allowEmpty } = readPace(read, mining)
  const zeros = { min: 0, max: 60 }
  const digits = read.whole(mining["difficulty"] ?? defaults.difficulty, "block_mining.difficulty", zeros)
  const firstDigits = read.whole(first["difficulty"] ?? defaults.genesisDifficulty, "genesis_block.difficulty", zeros)
  const reward = read.whole(mining["reward"] ?? defaults.reward, "block_mining.reward", {
    min: 0,
    max: Number.MAX_SAFE_INTEGER
  })
  const peersMax = read.whole(file["max_peers"] ?? 0, "max_peers", { min: 0, max: 65_535 })
  const blockData = mining["placeholder_data"] ?? defaults.placeholder_data
  const ownData = transaction["placeholder_data"] ?? defaults.placeholder_data
  const fillers = {
    block: read.filler(blockData, "block_mining.placeholder_data", extraBytesMax),
    transaction: read.filler(ownData, "transaction.placeholder_data", payloadBytesMax)
  }
  const alloc = readAlloc(read, file["alloc"], first)
  if (read.errors.length > 0) return Result.fail(read.errors)
  const spec = parseSpec({
    name: `ccoin network ${id}`,
    addressPrefix: ccoinPrefix,
    ledger: {
      model: "account",
      chainId: `ccoin-${id}`,
      symbol: "CCOIN",
      decimals: 0,
      supplyMax: Number.MAX_SAFE_INTEGER,
      feeMin: 0,
      noteBytesMax: 0,
      payloadBytesMax,
      filler: fillers.transaction,
      reward,
      rewardHalvingBlocks: 0
    },
    difficulty: { rule: "fixed", blockMs: slotMs, bits: 4 * digits },
    authority: { members, outOfTurnMs: Math.floor(slotMs / 2), voteBlocks: 0, allowEmpty, pace },
    time: { futureMsMax: Math.floor(slotMs / 2) },
    block: { bytesMax: blockBytesMax, transactionsMax, extraBytesMax, filler: fillers.block },
    ...(peersMax === 0 ? {} : { network: { peersMax } }),
    genesis: { time: beginsAt, note: `ccoin network ${id}`, bits: 4 * firstDigits, alloc }
  })
  return Result.map(Result.mapError(spec, inTheirWords), (made) => ({
    spec: made,
    notes: read.notes,
    addresses: read.addresses
  }))
}

/** What only the whole spec shows, by the names of the file. */
const theirs: ReadonlyArray<readonly [ours: RegExp, theirs: string, hint: string]> = [
  [/^authority\.members/, "miners", "Name each once."],
  [/^genesis\.alloc/, "alloc", "Lower the balances: all together they are at most 9007199254740991."],
  [/^ledger\.filler/, "transaction.placeholder_data", `Shorten it to ${payloadBytesMax} bytes.`],
  [/^block\.filler/, "block_mining.placeholder_data", `Shorten it to ${extraBytesMax} bytes.`]
]
const inTheirWords = (errors: ReadonlyArray<SpecError>): ReadonlyArray<SpecError> =>
  errors.map((error) => {
    const row = theirs.find(([ours]) => ours.test(error.path))
    return row === undefined ? error : { path: row[1], message: error.message, hint: row[2] }
  })
