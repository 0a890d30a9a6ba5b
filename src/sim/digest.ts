/** A running SHA-256 over the numbers and texts that describe a run. Equal digests: the same run, step by step. */
import { toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"

const size = 2048

export class Digest {
  private readonly words = new Uint32Array(size)
  private readonly bytes = new Uint8Array(this.words.buffer)
  private used = 8

  /** Adds a number; its lower 32 bits count. */
  add(value: number): void {
    this.words[this.used++] = value
    if (this.used === size) this.fold()
  }

  addText(text: string): void {
    const bytes = utf8(text)
    this.add(bytes.length)
    for (let at = 0; at < bytes.length; at += 4)
      this.add(bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
  }

  /** The digest of all so far, in hex. */
  read(): string {
    const open = this.bytes.slice(0, this.used * 4)
    return toHex(sha256(open))
  }

  /** What was, as the first 32 bytes of what comes. */
  private fold(): void {
    this.bytes.set(sha256(this.bytes))
    this.used = 8
  }
}
