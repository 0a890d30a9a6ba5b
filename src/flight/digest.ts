/** A rolling digest of a trace: cheap enough for every message. It tells two runs apart; it is no proof against a liar. */
export class Digest {
  private high = 0x243f6a88
  private low = 0x85a308d3

  add(a: number, b: number, c: number, d: number): void {
    this.mix(a)
    this.mix(b)
    this.mix(c)
    this.mix(d)
  }

  /** 16 hex digits. */
  get text(): string {
    return [this.high, this.low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("")
  }

  /** Its last 14 bits: two bytes in a journal. */
  get check(): number {
    return (this.high ^ this.low) & 0x3fff
  }

  /** Two lanes of Murmur3's step, crossed, so that order counts. */
  private mix(value: number): void {
    const k = Math.imul(value ^ Math.floor(value / 0x1_0000_0000), 0xcc9e2d51)
    const turned = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
    this.high = (Math.imul(this.high ^ turned, 5) + this.low) | 0
    this.low = (Math.imul((this.low << 13) | (this.low >>> 19), 0x85ebca6b) ^ this.high) | 0
  }
}
