/** Perf as a service: measures how fast bytes go up and down, and lets others measure. A host has it only if it is told to. */
import { Libp2pFault } from "../libp2p/fault.ts"
import { PerfClient, PerfServer, perfBlockBytes, perfDownloadBytesMax, perfProtocol } from "../libp2p/perf.ts"
import type { Multiaddr } from "../libp2p/contract.ts"
import { faultOf, onAbort, throwIfAborted } from "./abort.ts"
import type { DialProtocolOptions, Stream } from "./api.ts"
import type { Components, Service } from "./components.ts"

/** Milliseconds between two reports of a measurement, as in js. */
export const perfReportMs = 1_000
/** Bytes that are written at once, at most. */
export const perfBlockBytesMax = 1_048_576

/** The keys are js-libp2p's, but for `maxDownloadBytes`. */
export interface PerfInit {
  /** Default: "/perf/1.0.0". */
  readonly protocolName?: string | undefined
  /** Default: 1. */
  readonly maxInboundStreams?: number | undefined
  /** Default: 1. */
  readonly maxOutboundStreams?: number | undefined
  /** Default: false. */
  readonly runOnLimitedConnection?: boolean | undefined
  /** Default: 65,536. */
  readonly writeBlockSize?: number | undefined
  /** Ours: bytes that a peer may ask for at once; default: 2^40. More: its stream is reset. */
  readonly maxDownloadBytes?: number | undefined
}

export interface PerfOptions extends DialProtocolOptions {
  /** Default: false, the measurement has a connection of its own. */
  readonly reuseExistingConnection?: boolean | undefined
}

/** The shape is js-libp2p's: of "intermediary" what went since the last report, of "final" all, from the dial on. */
export interface PerfOutput {
  type: "connection" | "stream" | "intermediary" | "final"
  timeSeconds: number
  uploadBytes: number
  downloadBytes: number
}

export interface Perf extends Service {
  /** Uploads `sendBytes`, then downloads `recvBytes`; a report each second, and one at the end. */
  measurePerformance(
    address: Multiaddr,
    sendBytes: number,
    recvBytes: number,
    options?: PerfOptions
  ): AsyncGenerator<PerfOutput>
}

/** Sends what `next` has, never ahead of the stream. */
const sendAll = async (stream: Stream, next: () => Uint8Array | undefined): Promise<void> => {
  for (let block = next(); block !== undefined; block = next()) if (!stream.send(block)) await stream.onDrain()
}

const bytesCount = (value: number, name: string): number => {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Libp2pFault("input", "InvalidParametersError", `${name} is a whole number from 0`)
  return value
}

class PerfService implements Perf {
  private readonly components: Components
  private readonly init: PerfInit
  private readonly protocol: string
  private readonly blockBytes: number

  constructor(components: Components, init: PerfInit) {
    this.components = components
    this.init = init
    this.protocol = init.protocolName ?? perfProtocol
    this.blockBytes = Math.max(
      1,
      Math.min(bytesCount(init.writeBlockSize ?? perfBlockBytes, "writeBlockSize"), perfBlockBytesMax)
    )
  }

  async start(): Promise<void> {
    const { maxInboundStreams = 1, maxOutboundStreams = 1, runOnLimitedConnection = false } = this.init
    const options = { maxInboundStreams, maxOutboundStreams, runOnLimitedConnection }
    await this.components.registrar.handle(this.protocol, (stream) => this.answer(stream), options)
  }

  async stop(): Promise<void> {
    await this.components.registrar.unhandle(this.protocol)
  }

  async *measurePerformance(
    address: Multiaddr,
    sendBytes: number,
    recvBytes: number,
    options: PerfOptions = {}
  ): AsyncGenerator<PerfOutput> {
    const client = new PerfClient(
      bytesCount(sendBytes, "sendBytes"),
      bytesCount(recvBytes, "recvBytes"),
      this.blockBytes
    )
    const { connectionManager, world } = this.components
    const { maxOutboundStreams = 1, runOnLimitedConnection = false } = this.init
    throwIfAborted(options.signal)
    const start = world.now()
    const force = options.reuseExistingConnection !== true
    const connection = await connectionManager.openConnection(address, { ...options, force })
    const stream = await connection
      .newStream(this.protocol, { maxOutboundStreams, runOnLimitedConnection, ...options })
      .catch(async (error: unknown) => {
        if (force) await connection.close().catch(() => undefined)
        throw error
      })
    const off = onAbort(options.signal, (fault) => stream.abort(fault))
    try {
      yield* this.upload(stream, client)
      await stream.close(options)
      yield* this.download(stream, client)
      const timeSeconds = (world.now() - start) / 1_000
      yield { type: "final", timeSeconds, uploadBytes: sendBytes, downloadBytes: recvBytes }
    } catch (error) {
      stream.abort(faultOf(error, "the measurement failed"))
      throw error
    } finally {
      off()
      // Who stops listening in the middle leaves nothing behind.
      if (stream.status === "open") stream.abort(new Libp2pFault("cancelled", "AbortError", "the measurement was left"))
      if (force) await connection.close().catch(() => undefined)
    }
  }

  private async *upload(stream: Stream, client: PerfClient): AsyncGenerator<PerfOutput> {
    const report = this.reporter((bytes) => ({ uploadBytes: bytes, downloadBytes: 0 }))
    for (let block = client.next(), head = true; block !== undefined; block = client.next(), head = false) {
      if (!stream.send(block)) await stream.onDrain()
      const said = head ? undefined : report(block.length)
      if (said !== undefined) yield said
    }
  }

  private async *download(stream: Stream, client: PerfClient): AsyncGenerator<PerfOutput> {
    const report = this.reporter((bytes) => ({ uploadBytes: 0, downloadBytes: bytes }))
    for await (const bytes of stream) {
      const fault = client.receive(bytes)
      if (fault !== undefined) throw fault
      const said = report(bytes.length)
      if (said !== undefined) yield said
    }
    const fault = client.remoteClosed()
    if (fault !== undefined) throw fault
  }

  /** Adds up bytes, and has a report when one is due. */
  private reporter(
    countsOf: (bytes: number) => Pick<PerfOutput, "uploadBytes" | "downloadBytes">
  ): (bytes: number) => PerfOutput | undefined {
    const { world } = this.components
    let since = world.now()
    let sum = 0
    return (bytes) => {
      sum += bytes
      const passed = world.now() - since
      if (passed < perfReportMs) return undefined
      const report: PerfOutput = { type: "intermediary", timeSeconds: passed / 1_000, ...countsOf(sum) }
      since += passed
      sum = 0
      return report
    }
  }

  private async answer(stream: Stream): Promise<void> {
    const bytesMax = this.init.maxDownloadBytes ?? perfDownloadBytesMax
    const server = new PerfServer({ bytesMax, blockBytes: this.blockBytes })
    try {
      for await (const bytes of stream) server.receive(bytes)
      const fault = server.remoteClosed()
      if (fault !== undefined) throw fault
      await sendAll(stream, () => server.next())
      await stream.close()
    } catch (error) {
      stream.abort(faultOf(error, "the measurement failed"))
    }
  }
}

/** The service "perf" of a host: anybody may make it send up to `maxDownloadBytes`, so it is for machines that are measured. */
export const perf =
  (init: PerfInit = {}): ((components: Components) => Perf) =>
  (components) =>
    new PerfService(components, init)
