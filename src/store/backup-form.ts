/**
 * What a backup is: a folder `<label>-<stamp>` with the database, the chain's spec, maybe sealed keys, and a manifest that names
 * each with its length and hash. The text of a manifest is the only one of its value, and ends with its own hash: no byte
 * of a backup can change unnoticed. That is against damage; who can write to the folder can make another backup.
 */
import { utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { backupLabelCharsMax } from "../limits.ts"
import { layout } from "./layout.ts"

/** Why a backup cannot be made, or is not restored. Codes are documented in docs/errors.md. */
export class BackupFault extends Error {
  override readonly name = "BackupFault"
  readonly code:
    | "backup-missing"
    | "backup-malformed"
    | "backup-damaged"
    | "backup-mismatch"
    | "backup-newer"
    | "backup-failed"
  readonly hint: string

  constructor(code: BackupFault["code"], message: string, hint = hints[code]) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const another = "Nothing was changed. Take another backup."
const hints: Readonly<Record<BackupFault["code"], string>> = {
  "backup-missing": "Name the folder of one backup: it has a manifest.json.",
  "backup-malformed": another,
  "backup-damaged": another,
  "backup-mismatch": "Nothing was changed. Name the folder of its chain, or a new one.",
  "backup-newer": "Nothing was changed. Use the newer program that wrote it.",
  "backup-failed": "Look at the room on the disk and at the permissions of the folder."
}

/** Every code. */
export const backupCodes: ReadonlyArray<string> = Object.keys(hints)

/** A file of a backup. */
export interface BackupFile {
  readonly name: string
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
}

export interface Manifest {
  readonly format: "cairn-backup"
  readonly version: 1
  /** ISO 8601, UTC. */
  readonly created_at: string
  readonly label: string
  readonly chain: {
    readonly chain_id: string
    readonly genesis: string
    /** The height and one: the genesis is counted. */
    readonly blocks: number
    readonly height: number
    /** Decimal. */
    readonly cumulative_work: string
    readonly tip_hash: string
  }
  readonly node: { readonly node_id: string; readonly node_url: string }
  /** `schema`: the database's. */
  readonly program: { readonly name: "cairn"; readonly version: string; readonly schema: number }
  /** Are the node's keys in it? */
  readonly keys: "sealed" | "left-out"
  readonly files: { readonly database: BackupFile; readonly spec: BackupFile; readonly keys?: BackupFile }
}

/** File names within a backup, by what they are. */
export const backupFiles = {
  database: layout.database,
  spec: layout.spec,
  keys: "keys.json",
  manifest: "manifest.json"
} as const

/** A label reduced to what a file name may have anywhere (L-S6); of nothing it is "snapshot". */
export const backupLabel = (text: string | undefined): string => {
  const label = (text ?? "").replace(/[^A-Za-z0-9_-]/g, "").slice(0, backupLabelCharsMax)
  return label === "" ? "snapshot" : label
}

/** UTC as in file names: YYYYMMDDTHHMMSSZ. */
export const stampOf = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "")

const fileForm = ({ name, bytes, sha256 }: BackupFile): BackupFile => ({ name, bytes, sha256 })

/** The manifest with its fields in their one order, and nothing else. */
const inOrder = ({ created_at, label, chain, node, program, keys, files }: Manifest): Manifest => ({
  format: "cairn-backup",
  version: 1,
  created_at,
  label,
  chain: {
    chain_id: chain.chain_id,
    genesis: chain.genesis,
    blocks: chain.blocks,
    height: chain.height,
    cumulative_work: chain.cumulative_work,
    tip_hash: chain.tip_hash
  },
  node: { node_id: node.node_id, node_url: node.node_url },
  program: { name: "cairn", version: program.version, schema: program.schema },
  keys,
  files: {
    database: fileForm(files.database),
    spec: fileForm(files.spec),
    ...(files.keys === undefined ? {} : { keys: fileForm(files.keys) })
  }
})

/** The text of a manifest. */
export const formatManifest = (manifest: Manifest): string => {
  const value = inOrder(manifest)
  const check = sha256(utf8(JSON.stringify(value))).toHex()
  return `${JSON.stringify({ ...value, check }, null, 2)}\n`
}

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 2_048
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isHash = (value: unknown): boolean => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)
const isFile = (value: unknown, name: string): boolean => {
  const file = value as BackupFile | null | undefined
  return file?.name === name && isCount(file.bytes) && isHash(file.sha256)
}

const isManifest = (value: unknown): value is Manifest => {
  const { format, created_at, label, chain, node, program, keys, files } = value as Manifest
  return (
    format === "cairn-backup" &&
    isText(created_at) &&
    Number.isFinite(Date.parse(created_at)) &&
    isText(label) &&
    backupLabel(label) === label &&
    isText(chain?.chain_id) &&
    [chain.genesis, chain.tip_hash].every(isHash) &&
    [chain.blocks, chain.height].every(isCount) &&
    isText(chain.cumulative_work) &&
    /^\d{1,78}$/.test(chain.cumulative_work) &&
    isText(node?.node_id) &&
    isText(node.node_url) &&
    program?.name === "cairn" &&
    isText(program.version) &&
    isCount(program.schema) &&
    isFile(files?.database, backupFiles.database) &&
    isFile(files.spec, backupFiles.spec) &&
    (keys === "sealed" ? isFile(files.keys, backupFiles.keys) : keys === "left-out" && files.keys === undefined)
  )
}

/** The manifest of a text. Never throws: the fault is a value. */
export const parseManifest = (text: string): Manifest | BackupFault => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return new BackupFault("backup-malformed", "The manifest is not JSON.")
  }
  const version: unknown = typeof json === "object" && json !== null && "version" in json ? json.version : undefined
  if (isCount(version) && (version as number) > 1)
    return new BackupFault("backup-newer", `The manifest has version ${version as number}; this program knows 1.`)
  if (typeof json !== "object" || json === null || version !== 1 || !isManifest(json))
    return new BackupFault("backup-malformed", "The manifest lacks a field, or has one of another form.")
  return formatManifest(json) === text
    ? inOrder(json)
    : new BackupFault("backup-damaged", "The manifest is not what was written: its check does not fit.")
}
