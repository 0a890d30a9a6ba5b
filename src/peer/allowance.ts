/**
 * What a peer may say without having been asked. Each such message takes from an allowance that fills with time; answers
 * take nothing. It is far above what a busy honest node says, and far below what would keep us from our other peers.
 */
import { allowanceMax, allowancePerMs } from "../limits.ts"
import type { Message } from "./message.ts"

/** Units of a message: what it makes us do. Headers are read from disk by the thousand, blocks one by one. */
const costOf = (message: Message): number => {
  switch (message.tag) {
    case "GHD":
      return 20
    case "GPR":
      return 10
    case "GBL":
      return 1 + message.hashes.length / 16
    case "GPH":
    case "GFH":
      return 20
    // A proof of a transaction is made of its whole block.
    case "GPF":
      return message.of.length === 32 ? 200 : 20
    case "GFL":
      return 60
    // Two signatures to check.
    case "EVD":
      return 50
    case "GVT":
      return 200
    // A signature is checked for each that is not known.
    case "VOT":
      return 1 + message.votes.length / 4
    default:
      return 1
  }
}

export class Allowance {
  private units: number
  private at: number
  private readonly share: number

  /** `share`: of the whole; who asks keeps below what the other side counts, whose clock sees the asks come closer together. */
  constructor(now: number, share = 1) {
    this.at = now
    this.share = share
    this.units = allowanceMax * share
  }

  /** Pays for a message that is sent in any case. */
  spend(message: Message): void {
    this.units -= costOf(message)
  }

  /** True if the message is within the allowance; then it is paid for. */
  pay(message: Message, now: number): boolean {
    const grown = this.units + Math.max(0, now - this.at) * allowancePerMs * this.share
    this.units = Math.min(allowanceMax * this.share, grown)
    this.at = now
    const cost = costOf(message)
    if (cost > this.units) return false
    this.units -= cost
    return true
  }
}
