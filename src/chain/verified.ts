/**
 * Transactions whose signature has been found right: a block need not check again what the pool did. The leaf covers the
 * signature, so another signature for the same id is another leaf. Two generations: the older goes when the newer is full.
 */
import { toHex } from "../codec/bytes.ts"
import type { Transaction } from "../ledger/transaction.ts"

export class VerifiedLeaves {
  private young = new Set<string>()
  private old = new Set<string>()
  private readonly generationMax: number

  constructor(max: number) {
    this.generationMax = Math.max(1, max >> 1)
  }

  get size(): number {
    return this.young.size + this.old.size
  }

  /** What `size` never exceeds. */
  get max(): number {
    return 2 * this.generationMax
  }

  has({ leaf }: Transaction): boolean {
    const key = toHex(leaf)
    return this.young.has(key) || this.old.has(key)
  }

  add({ leaf }: Transaction): void {
    if (this.young.size >= this.generationMax) {
      this.old = this.young
      this.young = new Set()
    }
    this.young.add(toHex(leaf))
  }
}
