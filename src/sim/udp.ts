/**
 * The UDP door of a world: datagrams that travel each for itself, so that they are lost, come twice and overtake one another;
 * over the same network as the streams, with the same weather and the same cuts. Anybody may name any address as his own.
 */
import { Effect } from "effect"
import { type Udp, type UdpAddress, UdpFault } from "../io/udp.ts"
import { formatEndpoint } from "../config.ts"
import type { Choices } from "./choices.ts"
import type { SimNet } from "./net.ts"
import type { Host } from "./world.ts"

/** Milliseconds one way, at least and beyond that at most. */
const latencyMin = 1
const latencySpread = 40

interface Ear {
  readonly host: Host
  readonly hear: (bytes: Uint8Array, from: UdpAddress) => void
}

/** A datagram under way. `by`: the machine that really sent it. */
export interface Flying {
  readonly by: string
  readonly from: UdpAddress
  readonly to: UdpAddress
  readonly bytes: Uint8Array
}

export class SimUdp {
  /** Sees every datagram that is sent, also those that are lost. */
  tap: (flying: Flying) => void = () => {}
  /** What names stand for. */
  readonly names = new Map<string, string>()
  private readonly net: SimNet
  private readonly choices: Choices
  private readonly ears = new Map<string, Ear>()
  private lastPort = 40_000

  constructor(net: SimNet, choices: Choices) {
    this.net = net
    this.choices = choices
  }

  /** The door of a machine, from its power on to its power off. */
  door(host: Host, address: string): Udp {
    return {
      open: (at, hear) =>
        Effect.suspend(() => {
          const port = at.port === 0 ? ++this.lastPort : at.port
          const place = formatEndpoint(address, port)
          if (this.ears.get(place)?.host.alive === true)
            return Effect.fail(new UdpFault({ message: `cannot hear datagrams on ${place}: it is in use` }))
          this.ears.set(place, { host, hear })
          return Effect.succeed({
            port,
            send: (to: UdpAddress, bytes: Uint8Array) => {
              this.send({ by: host.name, from: { host: address, port }, to, bytes: bytes.slice() })
              return true
            },
            close: () => void this.ears.delete(place)
          })
        }),
      resolve: (name) => Effect.sync(() => this.names.get(name))
    }
  }

  /** A datagram sets out. `from` is what it says of itself, and need not be true. */
  send(flying: Flying): void {
    this.tap(flying)
    const { loss, dup } = this.net.weather
    if (this.choices.rare("loss", loss, 1) === 1) return
    this.fly(flying)
    if (this.choices.rare("loss", dup, 1) === 1) this.fly(flying)
  }

  private fly({ by, from, to, bytes }: Flying): void {
    const { delayMs } = this.net.weather
    const late = delayMs > 0 ? this.choices.rare("delay", 0.3, delayMs) : 0
    this.net.after(latencyMin + this.choices.pick("delay", latencySpread) + late, () => {
      const ear = this.ears.get(formatEndpoint(to.host, to.port))
      if (ear?.host.alive === true && !this.net.isApart(by, ear.host.name)) ear.hear(bytes, from)
    })
  }
}
