/** Files: read with a bound before reading, written whole or not at all. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync
} from "node:fs"
import { dirname, join } from "node:path"

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

/** The bytes of a file of at most `bytesMax`. Throws FileFault. */
export const readBytes = (path: string, bytesMax: number): Uint8Array => {
  try {
    const { size } = statSync(path)
    if (size > bytesMax)
      throw new FileFault("file-too-large", `${path} has ${size} bytes; at most ${bytesMax} are read.`)
    return new Uint8Array(readFileSync(path))
  } catch (error) {
    throw error instanceof FileFault ? error : fault(path, error)
  }
}

/** The text of a file of at most `bytesMax`. Throws FileFault. */
export const readText = (path: string, bytesMax: number): string => new TextDecoder().decode(readBytes(path, bytesMax))

/** Writes a file under another name, flushes it, and gives it its name: readers see the old file or the new one. Throws FileFault. */
export const writeFile = (path: string, content: string, mode = 0o644): void => {
  try {
    const folder = dirname(path)
    mkdirSync(folder, { recursive: true })
    const temporary = join(folder, `.${process.pid}-${path.split("/").at(-1)}.tmp`)
    const file = openSync(temporary, "w", mode)
    writeSync(file, content)
    fsyncSync(file)
    closeSync(file)
    renameSync(temporary, path)
  } catch (error) {
    throw fault(path, error)
  }
}

/** Is there a file or folder? */
export const exists = (path: string): boolean => existsSync(path)
