/** The TCP door of the deterministic world: wires with latency, kept in order, that can be cut and mended. */
import { Clock, Effect } from "effect"
import { type Tcp, TcpFault, type Wire, type WireHandlers } from "../io/tcp.ts"
import type { Dice } from "./dice.ts"

interface End {
  readonly wire: Wire
  handlers: WireHandlers | undefined
  readonly queue: Array<Uint8Array>
  paused: boolean
  closed: boolean
}

export class SimNet {
  private readonly listeners = new Map<
    number,
    { readonly host: string; readonly onWire: (wire: Wire) => WireHandlers }
  >()
  private readonly links: Array<{ readonly ends: readonly [End, End]; readonly hosts: readonly [string, string] }> = []
  private readonly parted = new Set<string>()
  private readonly dice: Dice
  private lastPort = 1000
  private bindings = 0

  constructor(dice: Dice) {
    this.dice = dice
  }

  /** Breaks every link between two hosts, now and until mended. */
  cut(a: string, b: string): void {
    this.parted.add(`${a}-${b}`).add(`${b}-${a}`)
    for (const { ends, hosts } of this.links) {
      if (this.parted.has(`${hosts[0]}-${hosts[1]}`)) for (const end of ends) this.close(end, "the link was cut")
    }
  }

  mend(a: string, b: string): void {
    this.parted.delete(`${a}-${b}`)
    this.parted.delete(`${b}-${a}`)
  }

  /** The door of one host. */
  door(host: string): Tcp {
    return {
      listen: ({ port }, _, onWire) =>
        Effect.sync(() => {
          const taken = port === 0 ? ++this.lastPort : port
          this.listeners.set(taken, { host, onWire })
          return { port: taken, close: () => void this.listeners.delete(taken) }
        }),
      dial: ({ port, host: to }, _, onWire) =>
        Effect.gen({ self: this }, function* () {
          yield* Effect.sleep(this.latency())
          const listener = this.listeners.get(port)
          if (listener === undefined || this.parted.has(`${host}-${listener.host}`)) {
            return yield* new TcpFault({ code: "dial-failed", message: `nobody at ${to}:${port}` })
          }
          const context = yield* Effect.context<never>()
          this.connect([host, listener.host], [onWire, listener.onWire], Effect.runForkWith(context))
        })
    }
  }

  private latency(): number {
    return 1 + this.dice.int(40)
  }

  private connect(
    hosts: readonly [string, string],
    onWires: readonly [(wire: Wire) => WireHandlers, (wire: Wire) => WireHandlers],
    fork: (effect: Effect.Effect<void>) => unknown
  ): void {
    const binding = new Uint8Array(32).fill(++this.bindings)
    const make = (remoteHost: string, other: () => End): End => {
      const self: End = {
        handlers: undefined,
        queue: [],
        paused: false,
        closed: false,
        wire: {
          remoteHost,
          binding,
          queued: () => 0,
          write: (bytes) => {
            if (self.closed || other().closed) return false
            other().queue.push(bytes.slice())
            fork(
              Effect.andThen(
                Effect.sleep(this.latency()),
                Effect.sync(() => this.deliver(other(), 1))
              )
            )
            return true
          },
          pause: () => void (self.paused = true),
          resume: () => {
            self.paused = false
            fork(Effect.sync(() => this.deliver(self, self.queue.length)))
          },
          end: () =>
            void fork(
              Effect.andThen(
                Effect.sleep(50),
                Effect.sync(() => this.closeBoth(self, other()))
              )
            ),
          terminate: () => this.closeBoth(self, other())
        }
      }
      return self
    }
    const near: End = make("10.0.0.2", () => far)
    const far: End = make("10.0.0.1", () => near)
    this.links.push({ ends: [near, far], hosts })
    near.handlers = onWires[0](near.wire)
    far.handlers = onWires[1](far.wire)
    this.deliver(near, near.queue.length)
    this.deliver(far, far.queue.length)
  }

  /** Hands over what is due, always the oldest first: a stream keeps its order whatever the timers do. */
  private deliver(end: End, count: number): void {
    for (let i = 0; i < count && end.queue.length > 0 && !end.paused && !end.closed; i++)
      end.handlers?.data(end.queue.shift()!)
  }

  private closeBoth(a: End, b: End): void {
    this.close(a, "closed")
    this.close(b, "closed by the peer")
  }

  private close(end: End, reason: string): void {
    if (end.closed) return
    end.closed = true
    end.handlers?.closed(reason)
  }
}

/** The time of the world, for tests that date transfers. */
export const worldNow = Effect.map(Clock.Clock, (clock) => clock.currentTimeMillisUnsafe())
