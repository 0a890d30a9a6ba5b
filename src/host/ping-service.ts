/** Ping as a service: answers pings, and measures round trips over one stream of a connection that is kept for a while. */
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { PingEcho, PingProbe, pingBytes } from "../libp2p/ping.ts"
import { faultOf, onAbort } from "./abort.ts"
import type { Connection, DialProtocolOptions, DialTarget, Stream, StreamMessageEvent } from "./api.ts"
import { type Components, type Service, serviceCapabilities } from "./components.ts"
import { within } from "./deadline.ts"
import type { World } from "./world.ts"

/** Milliseconds that a ping may take, and that a stream on which nobody pings stays: js's. */
export const pingTimeoutMs = 10_000
/** Milliseconds after its opening at which our stream is no longer used: js cuts its end after ten seconds. */
export const pingStreamAgeMax = 8_000
/** Milliseconds that our stream is kept without a ping. */
export const pingStreamIdleMs = 2_000
/** Streams of one connection that are answered, as the specification has it. */
export const pingInboundStreams = 2

/** The keys are js-libp2p's. */
export interface PingInit {
  /** Default: "ipfs". */
  readonly protocolPrefix?: string | undefined
  /** Default: 2. */
  readonly maxInboundStreams?: number | undefined
  /** Default: 1, whatever the number of pings. */
  readonly maxOutboundStreams?: number | undefined
  /** Default: true. */
  readonly runOnLimitedConnection?: boolean | undefined
  /** Milliseconds. Default: 10,000. */
  readonly timeout?: number | undefined
}

export interface Ping extends Service {
  /** Dials if need be; milliseconds of a round trip. Rejects as a dial does, with TimeoutError, or ProtocolError: a wrong answer. */
  ping(target: DialTarget, options?: DialProtocolOptions): Promise<number>
}

interface Open {
  readonly stream: Stream
  readonly probe: PingProbe
  readonly openedAt: number
}

/** The pings of one connection, one after another over one stream. */
class PingLine {
  private open: Open | undefined
  /** Closed by us, and not yet by the other side. */
  private closing: Stream | undefined
  private last: Promise<unknown> = Promise.resolve()
  private waiting = 0
  private stopped = false
  private cancelIdle: () => void = () => {}
  private readonly world: World
  private readonly newStream: (signal: AbortSignal) => Promise<Stream>
  private readonly idle: () => void

  constructor(world: World, newStream: (signal: AbortSignal) => Promise<Stream>, idle: () => void) {
    this.world = world
    this.newStream = newStream
    this.idle = idle
  }

  /** Waits for those that were asked for before. */
  async ping(signal: AbortSignal): Promise<number> {
    this.cancelIdle()
    this.waiting++
    const mine = this.last.then(() => this.next(signal))
    this.last = mine.catch(() => undefined)
    try {
      return await mine
    } finally {
      this.waiting--
      if (this.waiting === 0) this.rest()
    }
  }

  /** Nobody pings: the stream is kept for a while, if there is one still. */
  private rest(): void {
    if (this.stopped || this.open?.stream.status !== "open") this.end()
    else this.cancelIdle = this.world.after(pingStreamIdleMs, () => this.end())
  }

  /** Ends now, or with the ping that is under way. */
  stop(): void {
    this.stopped = true
    this.end()
  }

  /** Closes the stream. */
  end(): void {
    this.cancelIdle()
    const { stream } = this.open ?? {}
    this.open = undefined
    if (stream === undefined || stream.status !== "open") {
      this.idle()
      return
    }
    this.closing = stream
    stream.addEventListener("close", () => {
      if (this.open === undefined && this.waiting === 0) this.idle()
    })
    stream.close().catch(() => undefined)
    // What the other side still says is nobody's; it closes its end when it has seen ours.
    stream.closeRead().catch(() => undefined)
  }

  /** A stream that was kept may have ended unseen: then once more, on a new one. */
  private async next(signal: AbortSignal): Promise<number> {
    if (signal.aborted) throw faultOf(signal.reason, "the ping was called off")
    const kept = this.kept()
    if (kept === undefined) return this.once(await this.opened(signal), signal)
    return this.once(kept, signal).catch(async (error: unknown) => {
      if (signal.aborted || (error instanceof Libp2pFault && error.name === "ProtocolError")) throw error
      return this.once(await this.opened(signal), signal)
    })
  }

  private kept(): Open | undefined {
    const { open } = this
    if (open === undefined) return undefined
    if (open.stream.status === "open" && this.world.now() - open.openedAt < pingStreamAgeMax) return open
    this.closing = open.stream
    this.open = undefined
    return undefined
  }

  /** There is one at a time: what is not quite closed is cut off. */
  private async opened(signal: AbortSignal): Promise<Open> {
    this.closing?.abort(cheapFault("closed", "StreamAbortedError", "another stream takes its place"))
    this.closing = undefined
    const stream = await this.newStream(signal)
    this.open = { stream, probe: new PingProbe(), openedAt: this.world.now() }
    return this.open
  }

  private once({ stream, probe }: Open, signal: AbortSignal): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const fail = (fault: Error): void => {
      reject(fault)
      stream.abort(fault)
    }
    const onMessage = ({ data }: StreamMessageEvent): void => {
      const found = probe.receive(data, this.world.now())
      if (found instanceof Libp2pFault) fail(found)
      else if (found !== undefined) resolve(found)
    }
    const gone = (): void => reject(cheapFault("closed", "StreamResetError", "the stream of the ping is over"))
    stream.addEventListener("message", onMessage)
    stream.addEventListener("close", gone)
    stream.addEventListener("remoteCloseWrite", gone)
    const off = onAbort(signal, fail)
    if (stream.status !== "open" || stream.remoteWriteStatus === "closed") gone()
    else if (!signal.aborted) stream.send(probe.start(this.world.random(pingBytes), this.world.now()))
    return promise
      .catch((error: unknown) => {
        if (this.open?.stream === stream) this.open = undefined
        stream.abort(faultOf(error, "the ping failed"))
        throw error
      })
      .finally(() => {
        off()
        stream.removeEventListener("message", onMessage)
        stream.removeEventListener("close", gone)
        stream.removeEventListener("remoteCloseWrite", gone)
      })
  }
}

/** Gives back what comes until the other side is done, or says nothing for too long. */
const answer = async (stream: Stream, world: World, timeout: number): Promise<void> => {
  const echo = new PingEcho()
  const late = (): void => stream.abort(cheapFault("timeout", "TimeoutError", "no ping came in time"))
  let cancel = world.after(timeout, late)
  try {
    for await (const bytes of stream) {
      cancel()
      cancel = world.after(timeout, late)
      const back = echo.receive(bytes)
      if (back !== undefined && !stream.send(back)) await stream.onDrain()
    }
    await stream.close()
  } catch (error) {
    stream.abort(faultOf(error, "the ping failed"))
  } finally {
    cancel()
  }
}

class PingService implements Ping {
  readonly [serviceCapabilities] = ["@libp2p/ping"]
  private readonly components: Components
  private readonly init: PingInit
  private readonly protocol: string
  private readonly timeout: number
  private readonly lines = new Map<string, PingLine>()

  constructor(components: Components, init: PingInit) {
    this.components = components
    this.init = init
    this.protocol = `/${init.protocolPrefix ?? "ipfs"}/ping/1.0.0`
    this.timeout = init.timeout ?? pingTimeoutMs
  }

  async start(): Promise<void> {
    const { maxInboundStreams = pingInboundStreams, maxOutboundStreams = 1, runOnLimitedConnection = true } = this.init
    const { registrar, world } = this.components
    await registrar.handle(this.protocol, (stream) => answer(stream, world, this.timeout), {
      maxInboundStreams,
      maxOutboundStreams,
      runOnLimitedConnection
    })
  }

  async stop(): Promise<void> {
    for (const line of [...this.lines.values()]) line.stop()
    await this.components.registrar.unhandle(this.protocol)
  }

  async ping(target: DialTarget, options: DialProtocolOptions = {}): Promise<number> {
    const { connectionManager, world } = this.components
    const connection = await connectionManager.openConnection(target, options)
    return within(world, this.timeout, options.signal, (signal) => this.lineOf(connection).ping(signal))
  }

  private lineOf(connection: Connection): PingLine {
    const { id } = connection
    const { maxOutboundStreams = 1, runOnLimitedConnection = true } = this.init
    const found =
      this.lines.get(id) ??
      new PingLine(
        this.components.world,
        (signal) => connection.newStream(this.protocol, { signal, maxOutboundStreams, runOnLimitedConnection }),
        () => this.lines.delete(id)
      )
    this.lines.set(id, found)
    return found
  }
}

/** The service "ping" of a host. */
export const ping =
  (init: PingInit = {}): ((components: Components) => Ping) =>
  (components) =>
    new PingService(components, init)
