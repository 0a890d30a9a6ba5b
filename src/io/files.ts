/** Files: read with a bound before reading, written whole or not at all. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { utf8 } from "../codec/bytes.ts"

/** The world refused: what, where, and the system's code. */
export class FileFault extends Error {
  override readonly name = "FileFault"
  readonly code: "file-missing" | "file-too-large" | "file-failed"

  constructor(code: FileFault["code"], message: string) {
    super(message)
    this.code = code
  }
}

const fault = (path: string, error: unknown): FileFault => {
  const { code, message } = error as { code?: string; message: string }
  return code === "ENOENT"
    ? new FileFault("file-missing", `There is no file ${path}.`)
    : new FileFault("file-failed", message)
}

const withFile = <A>(path: string, flags: string, use: (file: number) => A, mode?: number): A => {
  const file = openSync(path, flags, mode)
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

/** Runs `f`; what the system refuses is a FileFault. */
export const faulting = <A>(path: string, f: () => A): A => {
  try {
    return f()
  } catch (error) {
    throw error instanceof FileFault ? error : fault(path, error)
  }
}

/**
 * The bytes of a file of at most `bytesMax`. The bound counts what is read and not what the system says of the file: a pipe
 * and a file of /proc say 0. Throws FileFault.
 */
export const readBytes = (path: string, bytesMax: number): Uint8Array =>
  faulting(path, () =>
    withFile(path, "r", (file) => {
      const bytes = new Uint8Array(bytesMax + 1)
      let length = 0
      for (let read = -1; read !== 0 && length <= bytesMax; length += read)
        read = readSync(file, bytes, length, bytes.length - length, null)
      if (length > bytesMax) throw new FileFault("file-too-large", `${path} has more than ${bytesMax} bytes.`)
      return bytes.slice(0, length)
    })
  )

/** The text of a file of at most `bytesMax`. Throws FileFault. */
export const readText = (path: string, bytesMax: number): string => new TextDecoder().decode(readBytes(path, bytesMax))

/**
 * Writes a file under another name, flushes it, and gives it its name: readers see the old file or the new one, also after a
 * power cut. Its mode is `mode` from its first byte on. Throws FileFault.
 */
export const writeFile = (path: string, content: string, mode = 0o644): void =>
  faulting(path, () => {
    const folder = dirname(path)
    mkdirSync(folder, { recursive: true })
    const temporary = join(folder, `.${process.pid}-${basename(path)}.tmp`)
    // Left by a process of the same id that was killed: its mode would be kept.
    rmSync(temporary, { force: true })
    try {
      withFile(temporary, "wx", (file) => writeAll(file, utf8(content)), mode)
      renameSync(temporary, path)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    withFile(folder, "r", fsyncSync)
  })

/** A full disk may take a part and say so by the count alone. */
const writeAll = (file: number, bytes: Uint8Array): void => {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
  fsyncSync(file)
}

/** Something that changes whenever a file is written anew; undefined: there is none. */
export const stampOf = (path: string): string | undefined => {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.mtimeNs}-${stat.size}-${stat.ino}`
}
/** Flushes a file, so that its bytes are on disk; or a folder, so that the names in it are. */
export const flushFile = (path: string): void => withFile(path, "r", fsyncSync)

/** Is there a file or folder? */
export const exists = (path: string): boolean => existsSync(path)
