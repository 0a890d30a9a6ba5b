/**
 * Makes a data folder of a backup. All is checked before anything in the folder changes: manifest, lengths and hashes of what is
 * copied, the spec's genesis, the database's own integrity, its tip and work, the passphrase of the keys. What is put in place is
 * the very copy that was checked, and all of it at once (swap.ts).
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { Result } from "effect"
import type { Rules } from "../chain/rules.ts"
import { fromHex, fromUtf8 } from "../codec/bytes.ts"
import { openSealedFile, parseSealedFile } from "../crypto/sealed.ts"
import { flushFile, readText } from "../io/files.ts"
import { FileWriter } from "../io/stream.ts"
import { backupKeysBytesMax, specBytesMax } from "../limits.ts"
import { backupFolderOf, chainFacts, fileFacts, type KeptKey, readManifest } from "./backup.ts"
import { backupFiles, BackupFault, type BackupFile, type Manifest, stampOf } from "./backup-form.ts"
import { closeDatabase, openDatabase, StoreFault } from "./db.ts"
import { layout } from "./layout.ts"
import { lockFolder } from "./lock.ts"
import { migrations } from "./schema.ts"
import { ChainStore } from "./store.ts"
import { beginStaging, endStaging, swapIn } from "./swap.ts"

export interface RestoreWish {
  /** The folder of a backup, or a file in it. */
  readonly from: string
  readonly dataDir: string
  /** May what is in the data folder make room? It is kept beside. */
  readonly replace: boolean
  /** Opens the keys; undefined: they are left where they are. */
  readonly passphrase: string | undefined
  /** Milliseconds since 1970. */
  readonly now: number
  /** The rules of a spec's text. Throws if it is none. */
  readonly rulesOf: (spec: string, name: string) => Rules
  readonly progress: (part: "copying" | "checking", done: number, of: number) => void
}

export interface Restored {
  readonly manifest: Manifest
  /** Key files that were put in place. */
  readonly keys: number
  /** Where the files that made room are; undefined: there were none. */
  readonly aside: string | undefined
}

const damaged = (name: string): BackupFault =>
  new BackupFault("backup-damaged", `${name} is not the file that the manifest names: its length or its hash differs.`)

/** Copies a file of the backup, and compares what was copied with the manifest. */
const copyChecked = (from: string, to: string, file: BackupFile, progress: (done: number) => void): void => {
  const path = join(from, file.name)
  if (!existsSync(path)) throw new BackupFault("backup-damaged", `${file.name} is missing from the backup.`)
  const out = new FileWriter(to, 0o600)
  let whole = false
  try {
    let done = 0
    const facts = fileFacts(path, (slice) => {
      out.write(slice)
      done += slice.length
      // A longer file than was said is not copied to its end.
      if (done > file.bytes) throw damaged(file.name)
      progress(done)
    })
    if (facts.bytes !== file.bytes || facts.sha256 !== file.sha256) throw damaged(file.name)
    out.commit()
    whole = true
  } finally {
    if (!whole) out.abandon()
  }
}

const isKept = (value: unknown): value is KeptKey => {
  const { path, content } = (value ?? {}) as KeptKey
  const known = typeof path === "string" && layout.keys.some((folder) => path.startsWith(`${folder}/`))
  const plain =
    known && path.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !path.includes("\\")
  return plain && typeof content === "string" && fromHex(content) !== undefined
}

/** The key files of a backup. Throws BackupFault; a wrong passphrase is one of its own. */
const openKeys = async (file: string, passphrase: string): Promise<ReadonlyArray<KeptKey>> => {
  let json: unknown
  try {
    json = JSON.parse(readText(file, backupKeysBytesMax))
  } catch {
    json = undefined
  }
  const sealed = parseSealedFile(json)
  if (sealed === undefined) throw new BackupFault("backup-malformed", "The keys have another form than sealed ones.")
  const opened = await openSealedFile(sealed, passphrase)
  if (Result.isFailure(opened)) throw new PassphraseWrong()
  const list = JSON.parse(fromUtf8(opened.success) ?? "null") as unknown
  if (!Array.isArray(list) || !list.every(isKept))
    throw new BackupFault("backup-malformed", "A key file has no place here.")
  return list
}

/** The passphrase does not open the keys. */
export class PassphraseWrong extends Error {
  override readonly name = "PassphraseWrong"
}

/** Is the copied database what the manifest says, and sound? It is brought to our schema on the way. */
const checkDatabase = (path: string, manifest: Manifest, rules: Rules): void => {
  if (manifest.program.schema > migrations.length)
    throw new BackupFault(
      "backup-newer",
      `The backup has schema ${manifest.program.schema}; this program knows up to ${migrations.length}.`
    )
  const { schema, chain } = chainFacts(path)
  const { chain_id: _, ...said } = manifest.chain
  if (schema !== manifest.program.schema || JSON.stringify(chain) !== JSON.stringify(said))
    throw new BackupFault("backup-damaged", "The database has another tip, work or schema than the manifest says.")
  const store = new ChainStore(openDatabase(path), rules)
  try {
    const wrong = store.damage()
    if (wrong !== undefined) throw new BackupFault("backup-damaged", `The database is damaged: ${wrong}.`)
  } finally {
    closeDatabase(store.db)
  }
  flushFile(path)
}

/** The rules of the backup's spec; they must be those of the folder, if it has one, and of the manifest. */
const checkSpec = (staged: string, wish: RestoreWish, { chain }: Manifest): Rules => {
  const rules = wish.rulesOf(readText(staged, specBytesMax), "spec.json of the backup")
  if (rules.genesis.header.id !== chain.genesis || rules.spec.ledger.chainId !== chain.chain_id)
    throw new BackupFault("backup-damaged", "The spec is of another chain than the manifest says.")
  const own = join(wish.dataDir, layout.spec)
  if (!existsSync(own)) return rules
  const folder = wish.rulesOf(readText(own, specBytesMax), own)
  if (folder.genesis.header.id === chain.genesis) return rules
  throw new BackupFault(
    "backup-mismatch",
    `The backup is of chain "${chain.chain_id}" with genesis ${chain.genesis}; ${wish.dataDir} is of "${folder.spec.ledger.chainId}".`
  )
}

const refuseUsed = ({ dataDir, replace }: RestoreWish, paths: ReadonlyArray<string>): void => {
  const there = paths.filter((path) => existsSync(join(dataDir, path)))
  if (replace || there.length === 0) return
  throw new StoreFault(
    "store-exists",
    `${dataDir} has ${there.join(", ")} already.`,
    "Choose another folder, or say --replace: what is there is then kept in a folder beside."
  )
}

/** Everything that is to be put in place, made and checked in the staging; its paths, and how many of them are keys. */
const stage = async (staging: string, wish: RestoreWish): Promise<Staged> => {
  const from = backupFolderOf(wish.from)
  const manifest = readManifest(from)
  const { database, spec, keys } = manifest.files
  const to = (path: string): string => join(staging, path)
  copyChecked(from, to(layout.spec), spec, () => {})
  const rules = checkSpec(to(layout.spec), wish, manifest)
  if (keys !== undefined) copyChecked(from, to(backupFiles.keys), keys, () => {})
  const sealed = keys !== undefined && wish.passphrase !== undefined
  const kept = sealed ? await openKeys(to(backupFiles.keys), wish.passphrase) : []
  rmSync(to(backupFiles.keys), { force: true })
  // A spec that is there has the same genesis, and stays.
  const specs = existsSync(join(wish.dataDir, layout.spec)) ? [] : [layout.spec]
  const paths = [...specs, ...kept.map(({ path }) => path), layout.database]
  refuseUsed(wish, paths)
  copyChecked(from, to(layout.database), database, (done) => wish.progress("copying", done, database.bytes))
  wish.progress("checking", 0, 1)
  checkDatabase(to(layout.database), manifest, rules)
  for (const { path, content } of kept) {
    mkdirSync(dirname(to(path)), { recursive: true })
    const out = new FileWriter(to(path), 0o600)
    out.write(fromHex(content)!)
    out.commit()
  }
  return { manifest, paths, keys: kept.length }
}

interface Staged {
  readonly manifest: Manifest
  /** The spec first: a folder without one is nobody's. The database last. */
  readonly paths: ReadonlyArray<string>
  readonly keys: number
}

/** Makes the folder what the backup has. Throws BackupFault, PassphraseWrong, StoreFault, FileFault: then it is as it was. */
export const restoreBackup = async (wish: RestoreWish): Promise<Restored> => {
  const { dataDir } = wish
  const made = !existsSync(dataDir)
  if (made) mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  let whole = false
  try {
    const lock = lockFolder(dataDir)
    try {
      const staging = beginStaging(dataDir)
      try {
        const { manifest, paths, keys } = await stage(staging, wish)
        const aside = freeAside(dataDir, `replaced-${stampOf(wish.now)}`)
        swapIn(dataDir, staging, { aside, keep: true, files: paths })
        whole = true
        return { manifest, keys, aside: existsSync(join(dataDir, aside)) ? join(dataDir, aside) : undefined }
      } finally {
        if (!whole) endStaging(staging)
      }
    } finally {
      lock.release()
    }
  } finally {
    if (made && !whole) rmSync(dataDir, { recursive: true, force: true })
  }
}

const freeAside = (dataDir: string, name: string): string => {
  const taken = new Set(readdirSync(dataDir))
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`
    if (!taken.has(candidate)) return candidate
  }
}
