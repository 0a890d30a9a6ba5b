/**
 * The TCP door of a world: streams with latency and bounded buffers, over a network that can be cut, slow, lossy and unfair.
 *
 * What a stream makes of a bad network is what TCP makes of it: a lost segment is late by its retransmission and holds up those
 * behind it, or the connection breaks; what overtakes elsewhere shows as segments cut and merged anywhere; a dial that arrives
 * twice leaves the listener with a connection on which nothing ever comes; a machine that loses power says nothing more.
 */
import { Effect } from "effect"
import { concat } from "../codec/bytes.ts"
import { type OnWire, type Tcp, TcpFault, type Wire, type WireHandlers } from "../io/tcp.ts"
import { acceptedSocketsMax, handshakeMsMax, lingerMsMax, outboundBytesMax } from "../limits.ts"
import type { Choices } from "./choices.ts"
import type { Host, World } from "./world.ts"

/** Milliseconds one way, at least and beyond that at most. */
const latencyMin = 1
const latencySpread = 40
/** The first retransmission of TCP (RFC 6298 allows 200 ms in practice); each further one doubles. */
const retransmitMs = 200
/** Retransmissions after which a connection is given up. */
const retransmitsMax = 6
/** Of lost segments half are sent once more, a quarter twice …; of a hundred one or two never arrive. 0: not lost. */
const retransmitsOf = (drawn: number): number => (drawn === 0 ? 0 : Math.max(1, Math.clz32(drawn) - 25))
/** Bytes under way before a sender has to queue. */
const kernelBytes = 256 * 1024

/** How the whole network is. All zero: a good day. */
export interface Weather {
  /** Probability that a segment is lost. */
  loss: number
  /** Milliseconds by which three segments in ten are late, at most. */
  delayMs: number
  /** Probability that a segment is cut in two or glued to the next. */
  shuffle: number
  /** Probability that a dial arrives twice. */
  dup: number
}

interface Segment {
  bytes: Uint8Array
  readonly at: number
  /** The last: the sender has said all. */
  readonly fin: boolean
}

interface Listener {
  readonly machine: Machine
  readonly onWire: OnWire
  open: number
}

/** A machine's place in the network. It outlives the hosts that run there one after the other. */
interface Machine {
  readonly name: string
  readonly address: string
  host: Host
  /** Bytes a second that it reads; undefined: all at once. */
  bytesPerSecond: number | undefined
}

type DialTo = Parameters<Tcp["dial"]>[0]

/** The network as a machine sees it, without fibers. */
export interface Plug {
  readonly listen: (port: number, onWire: OnWire) => { readonly port: number; readonly close: () => void } | TcpFault
  /** `done` is told once, unless the dial was called off before. */
  readonly dial: (to: DialTo, onWire: OnWire, done: (fault: TcpFault | undefined) => void) => () => void
}

const silent: WireHandlers = { data: () => {}, drained: () => {}, closed: () => {} }

/** One end of a connection, and the segments under way to it. */
class End {
  readonly machine: Machine
  readonly host: Host
  handlers: WireHandlers | undefined
  other!: End
  paused = false
  closed = false
  ending = false
  spoken = false
  /** Bytes under way to this end. */
  bytes = 0
  readonly way: Array<Segment> = []
  private lastAt = 0
  private armed = false
  private busyUntil = 0
  private readonly net: SimNet
  /** When it has closed. */
  released: (() => void) | undefined

  constructor(net: SimNet, machine: Machine) {
    this.net = net
    this.machine = machine
    this.host = machine.host
  }

  /** A segment sets out for this end. */
  send(bytes: Uint8Array, fin: boolean): void {
    const { net } = this
    const at = Math.max(this.lastAt, net.now + net.travelMs(this))
    this.lastAt = at
    this.bytes += bytes.length
    this.way.push({ bytes, at, fin })
    this.arm()
  }

  /** Sets the timer for the segment that is next, if it can be taken. */
  arm(): void {
    const [next] = this.way
    if (this.armed || next === undefined || this.closed || this.paused || this.handlers === undefined) return
    if (this.net.isCut(this)) return
    this.armed = true
    this.net.after(Math.max(next.at, this.busyUntil) - this.net.now, () => {
      this.armed = false
      this.take()
    })
  }

  private take(): void {
    const next = this.way[0]
    if (next === undefined || this.closed || this.paused || this.net.isCut(this)) return
    this.way.shift()
    const wasFull = this.bytes > kernelBytes
    this.bytes -= next.bytes.length
    const rate = this.machine.bytesPerSecond
    if (rate !== undefined) this.busyUntil = this.net.now + (next.bytes.length * 1000) / rate
    if (next.fin) return this.left()
    this.spoken = true
    if (this.host.alive) this.handlers!.data(next.bytes)
    if (wasFull && this.bytes <= kernelBytes && !this.other.closed) this.other.handlers?.drained()
    this.arm()
  }

  /** The other side has said all; so have we. */
  private left(): void {
    this.close("closed by the peer")
    this.net.after(this.net.travelMs(this.other), () => this.other.close("closed by the peer"))
  }

  /** It is over for this end. */
  close(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.way.length = 0
    this.released?.()
    if (this.host.alive) this.handlers?.closed(reason)
  }
}

export class SimNet {
  readonly weather: Weather = { loss: 0, delayMs: 0, shuffle: 0, dup: 0 }
  /** Hears what machines write, by connection, and may change it; what is empty does not arrive. */
  tap: (from: string, to: string, connection: number, bytes: Uint8Array) => Uint8Array = (_from, _to, _at, bytes) =>
    bytes
  private readonly choices: Choices
  private readonly world: World
  private readonly host: Host
  private readonly machines = new Map<string, Machine>()
  private readonly listeners = new Map<string, Listener>()
  private readonly ends = new Set<End>()
  private readonly cuts = new Map<string, number>()
  private lastPort = 20_000
  private bindings = 0

  constructor(world: World, choices: Choices) {
    this.world = world
    this.choices = choices
    this.host = world.host("net")
  }

  get now(): number {
    return this.world.now
  }

  /** Connections that stand. */
  get open(): number {
    return this.ends.size / 2
  }

  after(ms: number, f: () => void): void {
    this.host.after(ms, f)
  }

  /** The door of a machine, from its power on to its power off. */
  door(host: Host, address: string): Tcp {
    const plug = this.plug(host, address)
    return {
      listen: (at, _, onWire) =>
        Effect.suspend(() => {
          const listening = plug.listen(at.port, onWire)
          return listening instanceof TcpFault ? Effect.fail(listening) : Effect.succeed(listening)
        }),
      dial: (to, _, onWire) =>
        Effect.callback<void, TcpFault>((resume) =>
          Effect.sync(plug.dial(to, onWire, (fault) => resume(fault === undefined ? Effect.void : Effect.fail(fault))))
        )
    }
  }

  /** The same without fibers. */
  plug(host: Host, address: string): Plug {
    const name = host.name
    const machine = this.machines.get(name) ?? { name, address, host, bytesPerSecond: undefined }
    machine.host = host
    this.machines.set(name, machine)
    return {
      listen: (port, onWire) => this.listen(machine, port, onWire),
      dial: (to, onWire, done) => this.dial(machine, to, onWire, done)
    }
  }

  /** Breaks the way between two machines: what is under way waits, what is dialled is not answered. May be done several times. */
  cut(a: string, b: string): void {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) this.cuts.set(pair, (this.cuts.get(pair) ?? 0) + 1)
  }

  /** Undoes one cut. */
  mend(a: string, b: string): void {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) {
      const left = (this.cuts.get(pair) ?? 0) - 1
      if (left > 0) this.cuts.set(pair, left)
      else this.cuts.delete(pair)
    }
    for (const end of this.ends) end.arm()
  }

  /** Breaks every connection between two machines, as a router that restarts does. */
  reset(a: string, b: string): void {
    for (const end of [...this.ends])
      if (end.machine.name === a && end.other.machine.name === b) this.break(end, "the connection was reset")
  }

  /** How fast a machine reads; undefined: all at once. */
  slow(name: string, bytesPerSecond: number | undefined): void {
    const machine = this.machines.get(name)
    if (machine !== undefined) machine.bytesPerSecond = bytesPerSecond
  }

  /** A machine's process has ended. `mute`: its power went, and nobody hears of it. */
  lose(name: string, mute: boolean): void {
    for (const [at, { machine }] of [...this.listeners]) if (machine.name === name) this.listeners.delete(at)
    for (const end of [...this.ends]) {
      if (end.machine.name !== name) continue
      end.close("the machine is off")
      if (!mute) this.after(this.travelMs(end.other), () => end.other.close("closed by the peer"))
    }
  }

  /** Is the way between two machines broken? */
  isApart(a: string, b: string): boolean {
    return this.cuts.has(`${a} ${b}`)
  }

  isCut({ machine, other }: End): boolean {
    return this.isApart(machine.name, other.machine.name)
  }

  /** How long a segment travels to an end. */
  travelMs(end: End): number {
    const { loss, delayMs } = this.weather
    const late = delayMs > 0 ? this.choices.rare("delay", 0.3, delayMs) : 0
    const lost = loss > 0 ? retransmitsOf(this.choices.rare("loss", loss, 127)) : 0
    if (lost === retransmitsMax) this.after(0, () => this.break(end, "too many segments were lost"))
    return (
      latencyMin + this.choices.pick("delay", latencySpread) + late + (lost > 0 ? retransmitMs * (2 ** lost - 1) : 0)
    )
  }

  private listen(machine: Machine, wish: number, onWire: OnWire): ReturnType<Plug["listen"]> {
    const port = wish === 0 ? ++this.lastPort : wish
    const at = `${machine.address}:${port}`
    if (this.listeners.has(at)) return new TcpFault({ code: "listen-failed", message: `${at} is in use` })
    this.listeners.set(at, { machine, onWire, open: 0 })
    return { port, close: () => void this.listeners.delete(at) }
  }

  private dial(from: Machine, to: DialTo, onWire: OnWire, done: (fault: TcpFault | undefined) => void): () => void {
    let over = false
    const failed = (reason: string): void => {
      if (over) return
      over = true
      done(new TcpFault({ code: "dial-failed", message: `${to.host}:${to.port}: ${reason}` }))
    }
    const cancel = from.host.after(to.timeoutMs, () => failed("no answer in time"))
    this.after(latencyMin + this.choices.pick("delay", latencySpread), () => {
      const listener = this.listeners.get(`${to.host}:${to.port}`)
      if (listener !== undefined && this.cuts.has(`${from.name} ${listener.machine.name}`)) return
      if (listener === undefined || !listener.machine.host.alive) return failed("nobody listens")
      if (listener.open >= acceptedSocketsMax) return failed("closed by the peer")
      if (this.choices.rare("loss", this.weather.dup, 1) === 1) this.accept(from, listener).near.handlers = silent
      const { near, wire } = this.accept(from, listener)
      this.after(latencyMin, () => {
        if (over || !from.host.alive) return this.break(near, "ended by the peer")
        over = true
        cancel()
        near.handlers = onWire(wire)
        near.arm()
        done(undefined)
      })
    })
    return () => {
      over = true
      cancel()
    }
  }

  /** A connection, accepted at its far end. */
  private accept(from: Machine, listener: Listener): { readonly near: End; readonly wire: Wire } {
    const near = new End(this, from)
    const far = new End(this, listener.machine)
    near.other = far
    far.other = near
    listener.open++
    const binding = new Uint8Array(32)
    new DataView(binding.buffer).setUint32(0, ++this.bindings)
    for (const end of [near, far]) {
      this.ends.add(end)
      end.released = () => {
        this.ends.delete(end)
        if (end === far) listener.open--
      }
    }
    far.handlers = listener.onWire(this.wireOf(far, binding))
    this.after(handshakeMsMax, () => {
      if (!far.spoken) this.break(far, "nothing said in time")
    })
    return { near, wire: this.wireOf(near, binding) }
  }

  private wireOf(end: End, binding: Uint8Array): Wire {
    const queued = (): number => Math.max(0, end.other.bytes - kernelBytes)
    const connection = new DataView(binding.buffer).getUint32(0)
    return {
      remoteHost: end.other.machine.address,
      binding,
      fingerprint: new Bun.CryptoHasher("sha256").update(end.other.machine.name).digest("hex"),
      queued,
      write: (bytes) => {
        if (end.closed || end.ending) return false
        if (queued() + bytes.length > outboundBytesMax) {
          this.break(end, "the peer reads too slowly")
          return false
        }
        const sent = this.tap(end.machine.name, end.other.machine.name, connection, bytes.slice())
        if (sent.length > 0) this.segments(end.other, sent)
        return true
      },
      pause: () => void (end.paused = true),
      resume: () => {
        end.paused = false
        end.arm()
      },
      end: () => {
        if (end.closed || end.ending) return
        end.ending = true
        end.other.send(new Uint8Array(0), true)
        this.after(lingerMsMax, () => this.break(end, "the peer did not close in time"))
      },
      terminate: () => this.break(end, "ended by us")
    }
  }

  /** Bytes leave as one segment, or as two, or glued to those before them. */
  private segments(to: End, bytes: Uint8Array): void {
    const { shuffle } = this.weather
    const kind = shuffle > 0 ? this.choices.rare("delay", shuffle, 2) : 0
    const last = to.way.at(-1)
    if (kind === 1 && last !== undefined && to.way.length > 1 && !last.fin) {
      last.bytes = concat(last.bytes, bytes)
      to.bytes += bytes.length
    } else if (kind === 2 && bytes.length > 1) {
      const at = 1 + this.choices.pick("delay", bytes.length - 1)
      to.send(bytes.subarray(0, at), false)
      to.send(bytes.subarray(at), false)
    } else to.send(bytes, false)
  }

  /** It is over at once for the one end, and for the other when it hears of it. */
  private break(end: End, reason: string): void {
    if (end.closed) return
    this.after(0, () => end.close(reason))
    if (!this.isCut(end)) this.after(latencyMin, () => end.other.close("closed by the peer"))
  }
}
