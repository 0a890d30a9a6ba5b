/** Headers of one branch by height, as their bytes, all of one version; the newest that were used are kept decoded. */
import { assert } from "../assert.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import { headerCacheMax } from "../limits.ts"

export class HeaderRows {
  /** Height of the first row. */
  readonly base: number
  private readonly rowBytes: number
  private bytes: Uint8Array
  private count = 0
  private readonly decoded = new Map<number, Header>()

  constructor(base: number, rowBytes: number) {
    this.base = base
    this.rowBytes = rowBytes
    this.bytes = new Uint8Array(16 * rowBytes)
  }

  /** One above the height of the last row. */
  get end(): number {
    return this.base + this.count
  }

  at(height: number): Header | undefined {
    if (height < this.base || height >= this.end) return undefined
    const known = this.decoded.get(height)
    if (known !== undefined) return known
    const header = decodeHeader(this.slice(height, height + 1).slice())
    assert(header !== undefined, "a row was a header when it was taken")
    this.remember(header)
    return header
  }

  push(header: Header): void {
    assert(header.height === this.end, "rows follow one another")
    if ((this.count + 1) * this.rowBytes > this.bytes.length) {
      const grown = new Uint8Array(2 * this.bytes.length)
      grown.set(this.bytes)
      this.bytes = grown
    }
    this.bytes.set(header.bytes, this.count++ * this.rowBytes)
    this.remember(header)
  }

  /** Forgets the rows from a height up. */
  cut(height: number): void {
    for (const known of [...this.decoded.keys()]) if (known >= height) this.decoded.delete(known)
    this.count = Math.min(this.count, Math.max(0, height - this.base))
  }

  /** The bytes of rows, one after the other, `to` excluded. A view. */
  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray((from - this.base) * this.rowBytes, (to - this.base) * this.rowBytes)
  }

  private remember(header: Header): void {
    if (this.decoded.size >= headerCacheMax) this.decoded.delete(this.decoded.keys().next().value!)
    this.decoded.set(header.height, header)
  }
}
