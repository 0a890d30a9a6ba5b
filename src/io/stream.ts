/** Long files: read and written piece by piece in bounded memory; a written one is there whole or not at all. */
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { faulting } from "./files.ts"

/** A file from its beginning to its end. Every method throws FileFault. */
export class FileReader {
  private readonly path: string
  private readonly file: number

  constructor(path: string) {
    this.path = path
    this.file = faulting(path, () => openSync(path, "r"))
  }

  /** The next `length` bytes; fewer only at the end of the file. */
  read(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    let filled = 0
    faulting(this.path, () => {
      for (let read = -1; read !== 0 && filled < length; filled += read)
        read = readSync(this.file, bytes, filled, length - filled, null)
    })
    return filled === length ? bytes : bytes.slice(0, filled)
  }

  close(): void {
    closeSync(this.file)
  }
}

/** A file under another name until `commit` gives it its own. Every method throws FileFault. */
export class FileWriter {
  private readonly path: string
  private readonly temporary: string
  private readonly file: number

  /** `mode`: from its first byte on. */
  constructor(path: string, mode = 0o644) {
    this.path = path
    this.temporary = join(dirname(path), `.${process.pid}-${basename(path)}.tmp`)
    this.file = faulting(path, () => {
      mkdirSync(dirname(path), { recursive: true })
      rmSync(this.temporary, { force: true })
      return openSync(this.temporary, "wx", mode)
    })
  }

  write(bytes: Uint8Array): void {
    faulting(this.path, () => {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.file, bytes, written)
    })
  }

  /** Flushes it and gives it its name, also for after a power cut. */
  commit(): void {
    faulting(this.path, () => {
      fsyncSync(this.file)
      closeSync(this.file)
      renameSync(this.temporary, this.path)
      flush(dirname(this.path))
    })
  }

  /** Removes what was written. */
  abandon(): void {
    closeSync(this.file)
    rmSync(this.temporary, { force: true })
  }
}

const flush = (path: string): void => {
  const file = openSync(path, "r")
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Moves a finished file to its place on the same file system, flushed with its folder. Throws FileFault. */
export const install = (from: string, to: string): void =>
  faulting(to, () => {
    flush(from)
    renameSync(from, to)
    flush(dirname(to))
  })
