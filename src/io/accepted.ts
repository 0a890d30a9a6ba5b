/** Sockets accepted and not closed, by address: who says nothing takes a place, so there is only so much place. */
import { acceptedPerIpMax } from "../limits.ts"

/** One text for one address, also where IPv4 comes through an IPv6 socket. Empty: the peer has reset the socket already. */
export const plainAddress = (address: string | undefined): string => address?.replace(/^::ffff:/, "") ?? ""

export class Accepted {
  private readonly counts = new Map<string, number>()
  private total = 0
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  /** There are too many already, wherever one more comes from. */
  full(max = this.max): boolean {
    return this.total >= max
  }

  /** False if there are too many already; else the socket is counted until it is released. Loopback is not limited by address. */
  admit(host: string, max = this.max, perIpMax = acceptedPerIpMax): boolean {
    const count = this.counts.get(host) ?? 0
    const loopback = host === "::1" || host.startsWith("127.")
    if (this.full(max) || (!loopback && count >= perIpMax)) return false
    this.total++
    this.counts.set(host, count + 1)
    return true
  }

  release(host: string): void {
    const count = this.counts.get(host)
    if (count === undefined) return
    this.total--
    if (count === 1) this.counts.delete(host)
    else this.counts.set(host, count - 1)
  }
}
