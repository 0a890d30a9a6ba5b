/** `cairn backup` and `cairn restore`: a copy of a node's data that says what it is, and a data folder made of one. */
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { makeRules } from "../chain/rules.ts"
import { fromHex } from "../codec/bytes.ts"
import { keypairOf } from "../crypto/keys.ts"
import { loadEngine } from "../crypto/native.ts"
import { isSecret, useEngine } from "../crypto/signature.ts"
import { call } from "../http/client.ts"
import { readText } from "../io/files.ts"
import { type Backup, makeBackup } from "../store/backup.ts"
import type { Manifest } from "../store/backup-form.ts"
import { layout } from "../store/layout.ts"
import { restoreBackup } from "../store/restore.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { databasePath, parseSpecText, specOf, tokenPath } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { clearLine, formatDuration, makeLateProgress, print, rows } from "./output.ts"
import { version } from "./version.ts"

const smallBytesMax = 16 * 1024

/** The passphrase in a file: its first line's text, as `cairn keys` reads it. */
export const passphraseIn = (path: string | undefined): string | undefined => {
  if (path === undefined) return undefined
  const passphrase = readText(path, 4096).replace(/\r?\n$/, "")
  if (passphrase.length >= 8) return passphrase
  throw failure("key", "passphrase-short", "The passphrase must have at least 8 characters.")
}

/** The node's id by its key; empty where it has none yet. */
const nodeIdIn = (dataDir: string): string => {
  const path = join(dataDir, "identity", "node.key")
  const secret = existsSync(path) ? fromHex(readText(path, smallBytesMax).trim(), 32) : undefined
  return secret === undefined || !isSecret(secret) ? "" : nodeIdOf(keypairOf(secret).publicKey)
}

const show = ({ path, manifest }: Backup, ms: number): void => {
  const { chain, files, keys } = manifest
  print({ message: "The backup is made.", folder: path, backup: manifest, ms }, [
    `The backup of height ${chain.height} is made in ${formatDuration(ms)}.`,
    ...rows([
      ["folder", path],
      ["tip", chain.tip_hash],
      ["database", `${files.database.bytes} bytes, SHA-256 ${files.database.sha256}`],
      ["keys", keys === "sealed" ? "sealed by the passphrase" : "left out: --passphrase-file FILE takes them along"]
    ]),
    `  Back again: cairn restore ${path} --data-dir NEW`
  ])
}

export interface BackupOptions {
  readonly dataDir: string
  readonly label: string | undefined
  /** Undefined: `backups` in the data folder. */
  readonly out: string | undefined
  readonly keep: number | undefined
  readonly passphraseFile: string | undefined
  readonly noKeys: boolean
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
}

/** Backs up a folder, whose node may be running. */
export const backup = async (options: BackupOptions): Promise<void> => {
  const { dataDir, label, keep, passphraseFile, now, random } = options
  if (options.noKeys && passphraseFile !== undefined)
    throw failure("usage", "passphrase-unneeded", "--no-keys leaves the keys out: there is nothing to lock.")
  const rules = makeRules(specOf(dataDir))
  if (!existsSync(databasePath(dataDir)))
    throw failure("dataFolder", "store-missing", `There is no chain.db in ${dataDir}.`, "Start the node once.")
  useEngine(loadEngine("auto")!)
  const began = now()
  const made = await makeBackup({
    dataDir,
    folder: resolve(options.out ?? join(dataDir, layout.backups)),
    label,
    keep,
    passphrase: passphraseIn(passphraseFile),
    salt: random(32),
    iv: random(12),
    chainId: rules.spec.ledger.chainId,
    node: { node_id: nodeIdIn(dataDir), node_url: "" },
    version,
    now: began
  })
  show(made, now() - began)
}

/** Lets a running node back itself up, where its operator has said. */
export const backupAt = async (options: {
  readonly node: string
  readonly label: string | undefined
  /** File with the admin token; or the node's data folder, where it lies; neither: a development node asks for none. */
  readonly tokenFile: string | undefined
  readonly dataDir: string | undefined
  readonly now: () => number
}): Promise<void> => {
  const { node, label, tokenFile, dataDir } = options
  const path = tokenFile ?? (dataDir === undefined ? undefined : tokenPath(dataDir))
  const token = path === undefined ? undefined : readText(path, 4096).trim()
  const began = options.now()
  const made = await call(node, "backup", { body: label === undefined ? {} : { label }, token })
  show({ path: made.folder, manifest: made.backup as Manifest }, options.now() - began)
}

export interface RestoreOptions {
  readonly from: string
  readonly dataDir: string
  readonly replace: boolean
  readonly passphraseFile: string | undefined
  readonly now: () => number
}

/** Makes a data folder of a backup, after checking all of it. */
export const restore = async ({ from, dataDir, replace, passphraseFile, now }: RestoreOptions): Promise<void> => {
  useEngine(loadEngine("auto")!)
  const say = makeLateProgress(now, 5_000)
  const began = now()
  const { manifest, keys, aside } = await restoreBackup({
    from,
    dataDir,
    replace,
    passphrase: passphraseIn(passphraseFile),
    now: began,
    rulesOf: (text, name) => makeRules(parseSpecText(text, name)),
    progress: (part, done, of) => say(`${part} ${((100 * done) / Math.max(1, of)).toFixed(0)} %`, { part, done, of })
  })
  clearLine()
  const { chain } = manifest
  const ms = now() - began
  const left =
    manifest.keys === "left-out" ? "not in the backup" : "in the backup, and left there: --passphrase-file opens them"
  const value = { data_dir: dataDir, backup: manifest, keys_restored: keys, replaced: aside ?? null, ms }
  print(value, [
    `The chain "${chain.chain_id}" stands at height ${chain.height} again: restored in ${formatDuration(ms)}.`,
    ...rows([
      ["tip", chain.tip_hash],
      ["made", manifest.created_at],
      ["keys", keys > 0 ? `${keys} files` : left],
      ...(aside === undefined ? [] : [["before", `kept in ${aside}; remove it when you are content`] as const])
    ]),
    `  Next: cairn verify --data-dir ${dataDir}, cairn start --data-dir ${dataDir}`
  ])
}
