/** A file whose end is replaced again and again, in place. What a crash leaves half written is for its reader to find out. */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { exists, faulting } from "./files.ts"

/** Every method throws FileFault. */
export class PatchFile {
  private readonly path: string
  private readonly file: number

  constructor(path: string) {
    this.path = path
    this.file = faulting(path, () => {
      mkdirSync(dirname(path), { recursive: true })
      return openSync(path, exists(path) ? "r+" : "w+")
    })
  }

  /** Its bytes from the beginning, at most so many. */
  read(bytesMax: number): Uint8Array {
    return faulting(this.path, () => {
      const bytes = new Uint8Array(Math.min(bytesMax, fstatSync(this.file).size))
      let filled = 0
      for (let read = -1; read !== 0 && filled < bytes.length; filled += read)
        read = readSync(this.file, bytes, filled, bytes.length - filled, filled)
      return bytes.subarray(0, filled)
    })
  }

  /** From an offset on the file holds these bytes, and nothing after them. */
  replaceFrom(offset: number, bytes: Uint8Array): void {
    faulting(this.path, () => {
      for (let written = 0; written < bytes.length; )
        written += writeSync(this.file, bytes, written, bytes.length - written, offset + written)
      ftruncateSync(this.file, offset + bytes.length)
    })
  }

  close(): void {
    closeSync(this.file)
  }
}
