/** Ping (libp2p specs, ping): 32 bytes of chance go out and come back, any number of times over one stream. */
import { concat, equal } from "../codec/bytes.ts"
import { cheapFault, type Libp2pFault } from "./fault.ts"

export const pingProtocol = "/ipfs/ping/1.0.0"
/** Bytes of one ping. */
export const pingBytes = 32

/** The side that answers: gives back what came, in whole pings. */
export class PingEcho {
  private kept: Uint8Array = new Uint8Array(0)

  /** Bytes in any pieces; what to send back, undefined: nothing yet. */
  receive(bytes: Uint8Array): Uint8Array | undefined {
    const all = this.kept.length === 0 ? bytes : concat(this.kept, bytes)
    const whole = all.length - (all.length % pingBytes)
    // A copy: a view would keep all that came with it.
    this.kept = all.slice(whole)
    return whole === 0 ? undefined : all.subarray(0, whole)
  }
}

/** The side that asks, for one stream: one ping at a time. */
export class PingProbe {
  private sent: Uint8Array | undefined
  private sentAt = 0
  private readonly answer = new Uint8Array(pingBytes)
  private length = 0

  /** Remembers `payload`, 32 bytes of chance, as what is sent now; it is to be sent as it is. */
  start(payload: Uint8Array, now: number): Uint8Array {
    this.sent = payload.slice()
    this.sentAt = now
    this.length = 0
    return payload
  }

  /** Bytes in any pieces. The round trip in milliseconds, undefined: not all is back, a fault: the stream is of no more use. */
  receive(bytes: Uint8Array, now: number): number | Libp2pFault | undefined {
    if (bytes.length === 0) return undefined
    if (this.sent === undefined) return cheapFault("protocol", "ProtocolError", "ping: bytes that were not asked for")
    if (this.length + bytes.length > pingBytes)
      return cheapFault("protocol", "ProtocolError", "ping: the answer is longer than what was sent")
    this.answer.set(bytes, this.length)
    this.length += bytes.length
    if (this.length < pingBytes) return undefined
    const { sent } = this
    this.sent = undefined
    if (!equal(sent, this.answer))
      return cheapFault("protocol", "ProtocolError", "ping: the answer is not what was sent")
    return now - this.sentAt
  }
}
