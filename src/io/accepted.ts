/** Sockets accepted and not closed, by client: who says nothing takes a place, so there is only so much place. */
import { clientOf } from "../codec/ip.ts"
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
    const client = clientOf(host)
    const count = this.counts.get(client) ?? 0
    const loopback = host === "::1" || host.startsWith("127.")
    if (this.full(max) || (!loopback && count >= perIpMax)) return false
    this.total++
    this.counts.set(client, count + 1)
    return true
  }

  release(host: string): void {
    const client = clientOf(host)
    const count = this.counts.get(client)
    if (count === undefined) return
    this.total--
    if (count === 1) this.counts.delete(client)
    else this.counts.set(client, count - 1)
  }
}
