/**
 * The UDP door: datagrams, which may be lost, come twice, and name a sender who never sent them. A port and its Bun layer.
 *
 * Facts of the platform that this file deals with: a send to a name, to a family that the socket has not, or by a closed socket
 * throws; that nobody heard an earlier one (ICMP) comes as an error later, and without a handler it would end the process
 * badly; or the next send throws it, whoever that one is for.
 */
import { lookup } from "node:dns/promises"
import { Data, Effect } from "effect"
import { datagramBytesMax } from "../limits.ts"

export class UdpFault extends Data.TaggedError("UdpFault")<{ readonly message: string }> {}

/** An IP address as text, and a port. */
export interface UdpAddress {
  readonly host: string
  readonly port: number
}

export interface UdpSocket {
  readonly port: number
  /** False: it did not leave. True says no more than that it left. Never throws, never waits. */
  readonly send: (to: UdpAddress, bytes: Uint8Array) => boolean
  readonly close: () => void
}

export interface Udp {
  /** Hears on a port; `::` hears IPv4 too. Of a datagram that is too long only so much is given as shows it. */
  readonly open: (
    at: UdpAddress,
    hear: (bytes: Uint8Array, from: UdpAddress) => void
  ) => Effect.Effect<UdpSocket, UdpFault>
  /** An address of a name; undefined: there is none now. */
  readonly resolve: (name: string) => Effect.Effect<string | undefined>
}

/** One text for one address, also where IPv4 comes through an IPv6 socket. */
const plainHost = (host: string): string => host.replace(/^::ffff:/, "")

const attempt = (send: () => boolean): boolean => {
  try {
    return send()
  } catch {
    return false
  }
}

/** The door as Bun has it. */
export const bunUdp: Udp = {
  open: (at, hear) =>
    Effect.tryPromise({
      try: async () => {
        const socket = await Bun.udpSocket({
          hostname: at.host,
          port: at.port,
          socket: {
            data: (_, bytes, port, host) =>
              hear(new Uint8Array(bytes.subarray(0, datagramBytesMax + 1)), { host: plainHost(host), port }),
            // A peer that is gone is no fault of ours, and the next datagram may be heard again.
            error: () => {}
          }
        })
        return {
          port: socket.port,
          // What the first try throws may be about an earlier one.
          send: ({ host, port }: UdpAddress, bytes: Uint8Array): boolean =>
            attempt(() => socket.send(bytes, port, host)) || attempt(() => socket.send(bytes, port, host)),
          close: () => socket.close()
        }
      },
      catch: (error) => new UdpFault({ message: `cannot hear datagrams on ${at.host}:${at.port}: ${String(error)}` })
    }),
  resolve: (name) =>
    Effect.tryPromise(() => lookup(name)).pipe(
      Effect.map(({ address }) => plainHost(address)),
      Effect.orElseSucceed(() => undefined)
    )
}
