/** Lines of text out of a stream of bytes, each with an end in sight: a longer one is refused before it is whole. */

/** Splits bytes at line feeds. */
export class Lines {
  private rest: Uint8Array<ArrayBufferLike> = new Uint8Array(0)
  private readonly bytesMax: number

  /** `bytesMax`: of one line, its line feed not counted. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** The lines that are whole by now, without their line feeds; undefined: one is too long, and nothing more is to be read. */
  push(bytes: Uint8Array): ReadonlyArray<string> | undefined {
    const lines: Array<string> = []
    let from = 0
    for (;;) {
      const end = bytes.indexOf(10, from)
      const part = bytes.subarray(from, end === -1 ? bytes.length : end)
      if (this.rest.length + part.length > this.bytesMax) return undefined
      const joined = new Uint8Array(this.rest.length + part.length)
      joined.set(this.rest)
      joined.set(part, this.rest.length)
      this.rest = end === -1 ? joined : new Uint8Array(0)
      if (end === -1) return lines
      lines.push(new TextDecoder().decode(joined))
      from = end + 1
    }
  }
}
