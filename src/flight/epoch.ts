/**
 * An epoch: one life of a node's actors, with all that a replay of it needs. It begins with a copy of the database, taken
 * before any actor runs, and the facts; its journal follows.
 *
 *   DIR/epoch-000001/   epoch.json, chain.db, 000001.log, 000002.log, …
 *
 * No secret is in it: not the node's key nor its token, TLS key or anything of an HTTP header. What peers and callers said is.
 */
import { chmodSync, constants, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { copyFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { Data, Effect, Exit, Result, Schema } from "effect"
import type { TreeOptions } from "../../actors/base.ts"
import { type ChainSpec, formatSpec, parseSpec } from "../block/genesis.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import type { NodeConfig } from "../config.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import { FileFault, readText, writeFile } from "../io/files.ts"
import { specBytesMax } from "../limits.ts"

/** Why there is no recording, or none that can be replayed. Codes are documented in docs/errors.md. */
export class FlightFault extends Data.TaggedError("FlightFault")<{
  readonly code: "record-failed" | "recording-missing" | "recording-malformed"
  readonly message: string
}> {}

/** Epochs kept: the one that is written, and the one before. */
const epochsMax = 2
/** The form of epoch.json and of the journal beside it. */
const formatNow = 1
const epochName = /^epoch-(\d{6})$/
const epochBytesMax = 2 * specBytesMax + 1024 * 1024

const databaseOf = (epoch: string): string => join(epoch, "chain.db")
const factsOf = (epoch: string): string => join(epoch, "epoch.json")

const Text = Schema.String
const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(schema)

const Policy = Schema.Struct({
  peersMax: Schema.Int,
  discoveryFanout: Schema.Int,
  advertisedMax: Schema.Int,
  backoffBaseMs: Schema.Finite,
  banMs: Schema.Finite,
  failuresMax: Schema.Int,
  perIpMax: Schema.Int,
  perSubnetMax: Schema.Int,
  allowedHosts: Schema.Array(Text),
  allowedIds: Schema.Array(Text),
  dialDiscovered: Schema.Boolean,
  maintenanceMs: optional(Schema.Finite),
  connectMs: Schema.Finite,
  pollMs: Schema.Finite,
  timeoutMs: Schema.Finite,
  requireHttps: optional(Schema.Boolean)
})

/** The options of a node that its actors read, as JSON gives them back: what was undefined is absent. */
const Config = Schema.Struct({
  dataDir: Text,
  dev: Schema.Boolean,
  http: Schema.Struct({ host: Text, port: Schema.Int }),
  peers: optional(
    Schema.Struct({
      host: Text,
      port: Schema.Int,
      advertise: optional(Text),
      seeds: Schema.Array(Text),
      discovery: optional(Schema.Array(Text)),
      bootstrap: optional(Schema.Array(Text)),
      policy: optional(Policy)
    })
  ),
  httpPeers: optional(
    Schema.Struct({ urls: Schema.Array(Text), allowPrivate: optional(Schema.Boolean), policy: optional(Policy) })
  ),
  pendingMax: optional(Schema.Int),
  mining: Schema.Struct({
    threads: Schema.Int,
    proposer: optional(Text),
    onDemand: Schema.Boolean,
    everyMs: optional(Schema.Finite),
    blockData: optional(Text)
  }),
  filters: optional(Schema.Boolean)
})
const Facts = Schema.Struct({
  version: Text,
  agent: Text,
  dev: Schema.Boolean,
  dataDir: Text,
  httpUrl: Text,
  signatureEngine: Text,
  hashEngine: Text,
  mineThreads: Schema.Int,
  startedAt: Schema.Finite
})
const Epoch = Schema.Struct({
  format: Schema.Int,
  runtime: Text,
  begun: Schema.Finite,
  config: Config,
  facts: Facts,
  public_key: Text,
  proposer: Text,
  spec: Schema.Unknown
})
const decodeEpoch = Schema.decodeUnknownExit(Epoch)

/** What a replay starts a node from. */
export interface EpochFacts {
  readonly folder: string
  readonly begun: number
  /** Version of the program that recorded, and what it ran on. */
  readonly version: string
  readonly runtime: string
  readonly config: NodeConfig
  readonly facts: TreeOptions["facts"]
  readonly publicKey: Uint8Array
  readonly proposer: Address
  readonly spec: ChainSpec
}

const runtime = `bun ${Bun.version}`

/** The epochs of a recording, oldest first, by number. */
const epochsIn = (folder: string): ReadonlyArray<number> =>
  existsSync(folder)
    ? readdirSync(folder)
        .flatMap((name) => epochName.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b)
    : []

const epochFolder = (folder: string, number: number): string => join(folder, `epoch-${String(number).padStart(6, "0")}`)

/** Epochs to replay: those of a recording, oldest first, or the one that is named. Throws FlightFault. */
export const findEpochs = (folder: string): ReadonlyArray<string> => {
  if (existsSync(factsOf(folder))) return [folder]
  const whole = epochsIn(folder).map((number) => epochFolder(folder, number))
  const found = whole.filter((epoch) => existsSync(factsOf(epoch)))
  if (found.length > 0) return found
  throw new FlightFault({ code: "recording-missing", message: `There is no recording in ${folder}.` })
}

/** Folds the write-ahead log into the file, so that a copy of the file is the database. */
const checkpoint = ({ store }: TreeOptions): void => {
  const done = store.db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").get()
  if (done?.busy !== 0) throw new Error("the database is in use and cannot be copied")
}

/** Begins the next epoch of a recording and gives its folder. No actor may run meanwhile. */
export const beginEpoch = (
  folder: string,
  options: TreeOptions,
  now: number
): Effect.Effect<{ readonly folder: string; readonly number: number }, FlightFault> =>
  Effect.tryPromise({
    try: async () => {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const numbers = epochsIn(folder)
      for (const old of numbers.slice(0, Math.max(0, numbers.length - epochsMax + 1)))
        rmSync(epochFolder(folder, old), { recursive: true, force: true })
      const number = (numbers.at(-1) ?? 0) + 1
      const epoch = epochFolder(folder, number)
      mkdirSync(epoch, { mode: 0o700 })
      checkpoint(options)
      await copyFile(options.store.db.filename, databaseOf(epoch), constants.COPYFILE_FICLONE)
      chmodSync(databaseOf(epoch), 0o600)
      // Last: an epoch without it was never begun.
      writeFile(factsOf(epoch), formatFacts(options, now), 0o600)
      return { folder: epoch, number }
    },
    catch: (error) =>
      new FlightFault({ code: "record-failed", message: `Cannot record in ${folder}: ${(error as Error).message}` })
  })

const formatFacts = ({ config, facts, key, proposer, rules }: TreeOptions, now: number): string => {
  // Named one by one: a secret that an option may hold one day is not taken along.
  const { dataDir, dev, http, peers, httpPeers, mining, filters, pendingMax } = config
  const own = { host: http.host, port: http.port }
  const kept = { dataDir, dev, http: own, peers, httpPeers, mining, filters, pendingMax }
  const value = {
    format: formatNow,
    runtime,
    begun: now,
    config: kept,
    facts,
    public_key: toHex(key.publicKey),
    proposer: toHex(proposer),
    spec: formatSpec(rules.spec)
  }
  return `${JSON.stringify(value, null, 2)}\n`
}

const malformed = (epoch: string, what: string): FlightFault =>
  new FlightFault({ code: "recording-malformed", message: `${factsOf(epoch)}: ${what}` })

/** The facts of an epoch. Throws FlightFault. */
export const readEpoch = (folder: string): EpochFacts => {
  let json: unknown
  try {
    json = JSON.parse(readText(factsOf(folder), epochBytesMax))
  } catch (error) {
    const code = error instanceof FileFault ? "recording-missing" : "recording-malformed"
    throw new FlightFault({ code, message: (error as Error).message })
  }
  const decoded = decodeEpoch(json)
  if (Exit.isFailure(decoded)) throw malformed(folder, "it does not describe an epoch")
  const { format, runtime: ranOn, begun, config, facts, public_key, proposer, spec } = decoded.value
  if (format !== formatNow) throw malformed(folder, `its format is ${format}; this program reads ${formatNow}`)
  const parsed = parseSpec(spec)
  if (Result.isFailure(parsed)) throw malformed(folder, "its chain spec is none")
  const [publicKey, to] = [fromHex(public_key, 33), fromHex(proposer, addressBytes)]
  if (publicKey === undefined || to === undefined) throw malformed(folder, "its key is none")
  return {
    folder: resolve(folder),
    begun,
    version: facts.version,
    runtime: ranOn,
    config: config as unknown as NodeConfig,
    facts,
    publicKey,
    proposer: to as Uint8Array as Address,
    spec: parsed.success
  }
}

/** Copies the epoch's database, to run on the copy. Throws FlightFault. */
export const copyDatabase = async (epoch: string, to: string): Promise<void> => {
  try {
    await copyFile(databaseOf(epoch), to, constants.COPYFILE_FICLONE)
  } catch (error) {
    throw new FlightFault({ code: "recording-missing", message: (error as Error).message })
  }
}
