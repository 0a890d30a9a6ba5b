/**
 * The protection file of an authority's key: `<address>.signed.json`. It is locked while a process has it, so that two of
 * them never sign by one book; it is on disk, file and folder, before a signature is given; and it is never begun afresh by
 * itself where something may have been signed already.
 */
import type { Database } from "bun:sqlite"
import { accessSync, constants, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { Result } from "effect"
import { authorityHeaderBytes } from "../block/header.ts"
import type { Address } from "../crypto/address.ts"
import { exists, readText, writeFile } from "../io/files.ts"
import { type BookOwner, formatBook, parseBook, startedBook } from "../validator/book.ts"
import { nothingSigned, type Signed } from "../validator/protection.ts"
import type { SignedBook } from "../validator/signer.ts"
import { type DataLock, lockFile } from "./lock.ts"

/** Why a key may not be used. In docs/errors.md. */
export class SignedFault extends Error {
  override readonly name = "SignedFault"
  readonly code: "signed-missing" | "signed-exists" | "signed-malformed" | "signed-mismatch" | "key-locked"
  readonly hint: string

  constructor(code: SignedFault["code"], message: string, hint: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const bookMode = 0o600
const bookBytesMax = 4_096

export interface BookWish {
  readonly path: string
  /** The file of the key, which is locked too; undefined: the key is in none. */
  readonly keyPath: string | undefined
  readonly owner: BookOwner
  /** Nothing is signed up to this slot, whatever the file says. */
  readonly startSlot: number
  /** The operator says that there is no file, and that nobody else signs with this key. */
  readonly isNew: boolean
  /** May the key have signed before? Then a missing file is an error. */
  readonly wasUsed: () => boolean
}

/** An open book. */
export interface OpenBook extends DataLock {
  readonly book: SignedBook
}

const locked = (path: string) => (pid: string) =>
  new SignedFault(
    "key-locked",
    `Another process (pid ${pid}) signs with ${path}.`,
    "Stop it: a key signs in one process at a time."
  )

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

const readBook = ({ path, owner, isNew, wasUsed }: BookWish): Signed => {
  if (!exists(path)) {
    if (isNew || !wasUsed()) return nothingSigned
    throw new SignedFault(
      "signed-missing",
      `The protection file ${path} is missing, and the key may have signed already.`,
      "Put it back, from a backup or the other machine. If it is lost: stop all else that has the key, and start with --new-signed-file."
    )
  }
  if (isNew)
    throw new SignedFault(
      "signed-exists",
      `There is a protection file already: ${path}.`,
      "Leave out --new-signed-file. If the file is damaged, move it away first."
    )
  const parsed = parseBook(readText(path, bookBytesMax), owner)
  if (Result.isSuccess(parsed)) return parsed.success
  const { code, message } = parsed.failure
  throw new SignedFault(
    code,
    `The protection file ${path}: ${message}.`,
    code === "signed-mismatch"
      ? "Name the file of this key and chain with --signed."
      : "Put a backup in its place. If there is none: stop all else that has the key, move the file away, and start with --new-signed-file."
  )
}

/** Opens, or makes, the book of a key, which is this process's until it is released. Throws SignedFault, FileFault. */
export const openBook = (wish: BookWish): OpenBook => {
  const { path, keyPath, owner, startSlot } = wish
  mkdirSync(dirname(path), { recursive: true })
  const locks = [lockFile(path, locked(path))]
  const release = (): void => {
    for (const lock of locks) lock.release()
  }
  try {
    // A key that is mounted to be read only can have no lock beside it: then that of the book has to do.
    if (keyPath !== undefined && isWritable(dirname(keyPath))) locks.push(lockFile(keyPath, locked(keyPath)))
    const saved = readBook(wish)
    const write = (signed: Signed): void => writeFile(path, formatBook(owner, signed), bookMode)
    const book = startedBook(saved, startSlot, write)
    if (!exists(path)) write(book.load())
    return { book, release }
  } catch (error) {
    release()
    throw error
  }
}

/** Is there a header sealed by this authority, on any branch? A look at all of them. */
export const hasSealed = (db: Database, address: Address): boolean =>
  db
    .query<{ n: number }, [number, Uint8Array]>(
      "SELECT n FROM headers WHERE length(header) = ? AND substr(header, 153, 20) = ? LIMIT 1"
    )
    .get(authorityHeaderBytes, address) !== null
