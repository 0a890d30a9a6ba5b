/**
 * Makes a backup: the last commit of a database that may be in use, copied by `VACUUM INTO` through a connection that only reads, so that
 * nobody waits for it; its facts are read from the copy. Keys come along sealed by a passphrase, or not at all. The folder
 * gets its name when all is on disk. Protection files of authorities (`*.signed.json`) are left out: an old one is worse
 * than none, see docs/runbook.md.
 */
import type { Database } from "bun:sqlite"
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { decodeHeader } from "../block/header.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import { fromTarget } from "../consensus/difficulty.ts"
import { sealFile } from "../crypto/sealed.ts"
import { FileFault, flushFile, readBytes, readText, writeFile } from "../io/files.ts"
import { FileReader } from "../io/stream.ts"
import { backupKeysBytesMax, manifestBytesMax, specBytesMax } from "../limits.ts"
import {
  backupFiles,
  BackupFault,
  type BackupFile,
  backupLabel,
  formatManifest,
  type Manifest,
  parseManifest,
  stampOf
} from "./backup-form.ts"
import { corrupt, openReadonly, refuseNewer } from "./db.ts"
import { layout } from "./layout.ts"

export interface BackupWish {
  readonly dataDir: string
  /** Where backups are kept; made if it is not there. */
  readonly folder: string
  readonly label: string | undefined
  /** Backups of this label, node and chain to keep, the new one included; undefined: all. */
  readonly keep: number | undefined
  /** Undefined: keys are left out. */
  readonly passphrase: string | undefined
  /** 32 and 12 random bytes, for the keys. */
  readonly salt: Uint8Array
  readonly iv: Uint8Array
  readonly chainId: string
  readonly node: Manifest["node"]
  readonly version: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/** A backup that is there. */
export interface Backup {
  /** Its folder. */
  readonly path: string
  readonly manifest: Manifest
}

/** A file under the name that it has in the data folder, as sealed keys hold it: content in hex. */
export interface KeptKey {
  readonly path: string
  readonly content: string
}

const secretMode = 0o600
const folderMode = 0o700
const partialForm = /^\..+\.partial$/
/** Milliseconds without a write after which a half made backup is nobody's work any more. Process ids say nothing across containers. */
const staleMs = 60 * 60 * 1000
const sliceBytes = 1024 * 1024

/** Length and SHA-256 of a file, read piece by piece. Throws FileFault. */
export const fileFacts = (path: string, each: (slice: Uint8Array) => void = () => {}): Omit<BackupFile, "name"> => {
  const hasher = new Bun.CryptoHasher("sha256")
  const file = new FileReader(path)
  let bytes = 0
  try {
    for (let slice = file.read(sliceBytes); slice.length > 0; slice = file.read(sliceBytes)) {
      hasher.update(slice)
      each(slice)
      bytes += slice.length
    }
  } finally {
    file.close()
  }
  return { bytes, sha256: hasher.digest("hex") }
}

/** When something in a folder was written last, in milliseconds since 1970. */
const writtenAt = (folder: string): number =>
  Math.max(...[folder, ...readdirSync(folder).map((name) => join(folder, name))].map((path) => statSync(path).mtimeMs))

/** Removes what processes that were killed have left half made. */
const removePartials = (folder: string, now: number): void => {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (partialForm.test(name) && now - writtenAt(path) > staleMs) rmSync(path, { recursive: true, force: true })
  }
}

/** A name that is free: two of one second differ by a number. */
const freeName = (folder: string, label: string, now: number): string => {
  const name = `${label}-${stampOf(now)}`
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`
    if (!existsSync(join(folder, candidate))) return candidate
  }
}

interface CopiedChain {
  readonly chain: Omit<Manifest["chain"], "chain_id">
  readonly schema: number
}

/** Tip, genesis and schema of a copy. */
export const chainFacts = (path: string): CopiedChain => {
  const db = openReadonly(path)
  try {
    const sql = "SELECT h.header, h.work FROM best b JOIN headers h ON h.n = b.n ORDER BY b.height DESC LIMIT 1"
    const row = db.query<{ header: Uint8Array; work: Uint8Array }, []>(sql).get()
    const genesis = db.query<{ value: Uint8Array }, []>("SELECT value FROM meta WHERE key = 'genesis'").get()?.value
    const tip = row === null ? undefined : decodeHeader(row.header)
    if (row === null || tip === undefined || genesis === undefined) throw corrupt("it has no tip or no genesis")
    const { user_version: schema } = db.query("PRAGMA user_version").get() as { readonly user_version: number }
    const work = String(fromTarget(row.work))
    const { id: tip_hash, height } = tip
    return { chain: { genesis: toHex(genesis), blocks: height + 1, height, cumulative_work: work, tip_hash }, schema }
  } finally {
    db.close()
  }
}

/** Every file below the key folders of a data folder. */
const keyFilesOf = (dataDir: string): ReadonlyArray<string> =>
  layout.keys.flatMap((folder) => {
    if (!existsSync(join(dataDir, folder))) return []
    const names = readdirSync(join(dataDir, folder), { recursive: true, encoding: "utf8" })
    return names
      .map((name) => join(folder, name))
      .filter((path) => !/(^|\/)\.|\.(lock|pid)$|\.signed\.json$/.test(path) && statSync(join(dataDir, path)).isFile())
      .sort()
  })

const sealedKeys = async ({ dataDir, passphrase, salt, iv }: BackupWish): Promise<string | undefined> => {
  if (passphrase === undefined) return undefined
  const kept: Array<KeptKey> = []
  let left = backupKeysBytesMax / 8
  for (const path of keyFilesOf(dataDir)) {
    const bytes = readBytes(join(dataDir, path), left)
    left -= bytes.length
    kept.push({ path, content: toHex(bytes) })
  }
  return `${JSON.stringify(await sealFile(utf8(JSON.stringify(kept)), { passphrase, salt, iv }))}\n`
}

/** Copies the database, and says what is in the copy. */
const copyDatabase = (dataDir: string, to: string): CopiedChain => {
  const path = join(dataDir, layout.database)
  let db: Database | undefined
  try {
    db = openReadonly(path)
    refuseNewer(db)
    // A copy of the state may be larger than the memory.
    db.run("PRAGMA temp_store = FILE")
    db.run("VACUUM INTO ?", [to])
  } finally {
    db?.close()
  }
  chmodSync(to, secretMode)
  flushFile(to)
  return chainFacts(to)
}

const named = (folder: string, name: string): BackupFile => ({ name, ...fileFacts(join(folder, name)) })

const fill = async (partial: string, wish: BackupWish): Promise<Manifest> => {
  const { chain, schema } = copyDatabase(wish.dataDir, join(partial, backupFiles.database))
  const spec = readText(join(wish.dataDir, layout.spec), specBytesMax)
  writeFile(join(partial, backupFiles.spec), spec, secretMode)
  const keys = await sealedKeys(wish)
  if (keys !== undefined) writeFile(join(partial, backupFiles.keys), keys, secretMode)
  const manifest: Manifest = {
    format: "cairn-backup",
    version: 1,
    created_at: new Date(wish.now).toISOString(),
    label: backupLabel(wish.label),
    chain: { chain_id: wish.chainId, ...chain },
    node: wish.node,
    program: { name: "cairn", version: wish.version, schema },
    keys: keys === undefined ? "left-out" : "sealed",
    files: {
      database: named(partial, backupFiles.database),
      spec: named(partial, backupFiles.spec),
      ...(keys === undefined ? {} : { keys: named(partial, backupFiles.keys) })
    }
  }
  writeFile(join(partial, backupFiles.manifest), formatManifest(manifest), secretMode)
  return manifest
}

/** Makes a backup, and lets old ones go. Throws BackupFault, StoreFault, FileFault: then there is none. */
export const makeBackup = async (wish: BackupWish): Promise<Backup> => {
  const { folder } = wish
  const label = backupLabel(wish.label)
  const partial = join(folder, `.${label}-${stampOf(wish.now)}.${process.pid}.partial`)
  try {
    mkdirSync(folder, { recursive: true, mode: folderMode })
    removePartials(folder, wish.now)
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { mode: folderMode })
    const manifest = await fill(partial, wish)
    const path = join(folder, freeName(folder, label, wish.now))
    renameSync(partial, path)
    flushFile(folder)
    if (wish.keep !== undefined) retain(folder, manifest, wish.keep)
    return { path, manifest }
  } catch (error) {
    if (existsSync(partial)) rmSync(partial, { recursive: true, force: true })
    throw failureOf(error)
  }
}

/** A full or read-only disk is no bug of ours. */
const failureOf = (error: unknown): unknown => {
  const { code = "", message = "" } = error as { readonly code?: string; readonly message?: string }
  const ours = error instanceof FileFault || /^SQLITE_(FULL|IOERR|CANTOPEN|READONLY|PERM|BUSY)|^E[A-Z]+$/.test(code)
  return ours ? new BackupFault("backup-failed", `The backup could not be written: ${message}`) : error
}

/** The manifest of a backup's folder. Throws BackupFault. */
export const readManifest = (path: string): Manifest => {
  const file = join(path, backupFiles.manifest)
  if (!existsSync(file))
    throw new BackupFault("backup-missing", `${path} is no backup: it has no ${backupFiles.manifest}.`)
  const parsed = parseManifest(readText(file, manifestBytesMax))
  if (parsed instanceof BackupFault) throw parsed
  return parsed
}

/** Whole backups of a folder, oldest first. What has no manifest of ours is not looked at. */
export const listBackups = (folder: string): ReadonlyArray<Backup> => {
  if (!existsSync(folder)) return []
  const found = readdirSync(folder).flatMap((name): ReadonlyArray<Backup> => {
    if (name.startsWith(".") || !existsSync(join(folder, name, backupFiles.manifest))) return []
    try {
      const manifest = readManifest(join(folder, name))
      const own = name.startsWith(`${manifest.label}-${stampOf(Date.parse(manifest.created_at))}`)
      return own ? [{ path: join(folder, name), manifest }] : []
    } catch {
      return []
    }
  })
  const key = ({ path, manifest }: Backup): string => `${manifest.created_at} ${path.length} ${path}`
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** Removes the oldest backups of one label, of one node and chain. */
const retain = (folder: string, { label, chain, node }: Manifest, keep: number): void => {
  const same = listBackups(folder).filter(
    ({ manifest }) =>
      manifest.label === label && manifest.chain.genesis === chain.genesis && manifest.node.node_id === node.node_id
  )
  for (const { path } of same.slice(0, Math.max(0, same.length - keep))) {
    // Without its manifest it is none any more, however far its removal comes.
    rmSync(join(path, backupFiles.manifest), { force: true })
    rmSync(path, { recursive: true, force: true })
  }
}

/** The folder of a backup that somebody names by its folder, or by a file in it. */
export const backupFolderOf = (path: string): string => {
  if (!existsSync(path)) throw new BackupFault("backup-missing", `There is no ${path}.`)
  return statSync(path).isDirectory() ? path : dirname(path)
}
