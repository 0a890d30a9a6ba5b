/** Identify and its push as services: who we are is told to who asks, asked of each new connection, and told again when it changes. */
import { networkOf } from "../codec/ip.ts"
import { utf8 } from "../codec/bytes.ts"
import { ipOf, isRelay, withoutPeer } from "../libp2p/address-facts.ts"
import type { Multiaddr, PeerId, PublicKey } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { encodeIdentify, type IdentifyMessage, IdentifyReader, identifyMessageBytesMax } from "../libp2p/identify.ts"
import { publicKeyFromProtobuf } from "../libp2p/key.ts"
import { decodeMultiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { openPeerRecord, type PeerRecord } from "../libp2p/peer-record.ts"
import { faultOf, onAbort, orAbort } from "./abort.ts"
import type { Address, Connection, IdentifyResult, NewStreamOptions, Peer, PeerData, Stream } from "./api.ts"
import { type Components, type Service, serviceCapabilities } from "./components.ts"
import { within } from "./deadline.ts"
import { type HostLogger, hostLogger } from "./log.ts"
import { seqOf } from "./peer-data.ts"
import type { Cancel } from "./world.ts"

/** Milliseconds that one identify or push may take, as in js. */
export const identifyTimeoutMs = 5_000
/** Bytes of one message that an application may allow. */
const messageBytesLimit = 65_536
/** Streams of each protocol and direction on one connection, as in js. */
export const identifyStreams = 1
/** Peers that are pushed to at once, as in go and js. */
export const pushConcurrency = 32
/** Pushes of one connection that are heard at once, and the milliseconds after which one more is. Beyond: the stream is reset. */
export const pushesMax = 16
export const pushEveryMs = 5_000
/** Milliseconds in which several changes of us become one push, as in js. */
export const pushDebounceMs = 1_000

/** The keys are js-libp2p's. */
export interface IdentifyInit {
  /** Default: "ipfs". */
  readonly protocolPrefix?: string | undefined
  /** Milliseconds. Default: 5,000. */
  readonly timeout?: number | undefined
  /** Bytes of one message. Default: 8,192; at most 65,536. */
  readonly maxMessageSize?: number | undefined
  /** Default: 1. */
  readonly maxInboundStreams?: number | undefined
  /** Default: 1. */
  readonly maxOutboundStreams?: number | undefined
  /** Default: true. */
  readonly runOnLimitedConnection?: boolean | undefined
  /** Default: true. */
  readonly runOnConnectionOpen?: boolean | undefined
}

export interface IdentifyPushInit extends Omit<IdentifyInit, "runOnConnectionOpen"> {
  /** Default: true. */
  readonly runOnSelfUpdate?: boolean | undefined
  /** Default: 32. */
  readonly concurrency?: number | undefined
  /** Milliseconds. Default: 1,000. */
  readonly debounce?: number | undefined
}

export interface Identify extends Service {
  /**
   * Asks the peer who it is; what it says goes into the peer store. Rejects as newStream does, with TimeoutError, or
   * InvalidMessageError: the answer has not its form (decode, protocol), or is of another peer (verify).
   */
  identify(connection: Connection, options?: NewStreamOptions): Promise<IdentifyResult>
}

export interface IdentifyPush extends Service {
  /** Tells all connected peers who ask to be told; soon, and once for several calls. */
  push(): Promise<void>
}

const wrongPeer = (what: string): Libp2pFault => cheapFault("verify", "InvalidMessageError", `identify: ${what}`)

const tooOften = cheapFault("resource", "ResourceLimitError", "identify: the peer pushes too often")

/** The key that was told; undefined: none was. Throws if it is not the peer's. */
const keyOf = ({ publicKey }: IdentifyMessage, peer: PeerId): PublicKey | undefined => {
  if (publicKey === undefined) return undefined
  const key = publicKeyFromProtobuf(publicKey)
  if (key instanceof Libp2pFault) throw key
  if (!peerIdOfKey(key).equals(peer)) throw wrongPeer("the public key is not that of the peer")
  return key
}

/** The record that was told; undefined: none was. Throws if the peer did not sign it. */
const recordOf = ({ signedPeerRecord }: IdentifyMessage, peer: PeerId): PeerRecord | undefined => {
  if (signedPeerRecord === undefined) return undefined
  const record = openPeerRecord(signedPeerRecord)
  if (record instanceof Libp2pFault) throw record
  if (!record.peerId.equals(peer)) throw wrongPeer("the signed record is of another peer")
  return record
}

const readable = (addresses: ReadonlyArray<Uint8Array>): Array<Multiaddr> =>
  addresses.flatMap((bytes) => {
    const address = decodeMultiaddr(bytes)
    return address instanceof Libp2pFault ? [] : [address]
  })

const certified = (addresses: ReadonlyArray<Multiaddr>): Array<Address> =>
  addresses.map((multiaddr) => ({ multiaddr, isCertified: true }))

/**
 * What is to be kept of addresses. A record newer than the one that is there, or that very one, says all of them; an older one
 * nothing. Addresses that nobody signed never take the place of those that are signed.
 */
const addressesOf = (
  told: ReadonlyArray<Multiaddr>,
  record: PeerRecord | undefined,
  envelope: Uint8Array | undefined,
  known: Peer | undefined
): Pick<PeerData, "addresses" | "peerRecordEnvelope"> => {
  const seq = seqOf(known?.peerRecordEnvelope)
  const signed = known?.addresses.filter(({ isCertified }) => isCertified) ?? []
  if (record !== undefined) {
    if (seq !== undefined && record.seq < seq) return {}
    return { addresses: certified(record.addresses), ...(record.seq === seq ? {} : { peerRecordEnvelope: envelope! }) }
  }
  if (told.length === 0) return {}
  return { addresses: [...told.map((multiaddr) => ({ multiaddr, isCertified: false })), ...signed] }
}

const metadataOf = (known: Peer | undefined, message: IdentifyMessage): Map<string, Uint8Array> => {
  const found = new Map(known?.metadata)
  if (message.agentVersion !== undefined) found.set("AgentVersion", utf8(message.agentVersion))
  if (message.protocolVersion !== undefined) found.set("ProtocolVersion", utf8(message.protocolVersion))
  return found
}

/** The network of a connection's other end: one says so, however many peers it runs. */
const siteOf = ({ remoteAddr }: Connection): string | undefined => {
  const ip = isRelay(remoteAddr) ? undefined : ipOf(remoteAddr)
  return ip === undefined ? undefined : networkOf(ip, ip.length === 4 ? 32 : 56).toHex()
}

/** What both services do with a connection. */
class Speaker {
  readonly protocol: string
  readonly protocolVersion: string
  readonly timeout: number
  readonly log: HostLogger
  private readonly components: Components
  private readonly init: IdentifyInit
  private readonly bytesMax: number

  constructor(components: Components, name: "id" | "id/push", init: IdentifyInit) {
    const { protocolPrefix = "ipfs", timeout = identifyTimeoutMs, maxMessageSize = identifyMessageBytesMax } = init
    this.components = components
    this.log = hostLogger(components.logger, "libp2p:identify")
    this.init = init
    this.protocol = `/${protocolPrefix}/${name}/1.0.0`
    this.protocolVersion = `${protocolPrefix}/0.1.0`
    this.timeout = timeout
    this.bytesMax = Math.min(maxMessageSize, messageBytesLimit)
  }

  async handle(answer: (stream: Stream, connection: Connection) => Promise<void>): Promise<void> {
    const { maxInboundStreams = identifyStreams, maxOutboundStreams = identifyStreams } = this.init
    const { runOnLimitedConnection = true } = this.init
    const options = { maxInboundStreams, maxOutboundStreams, runOnLimitedConnection }
    await this.components.registrar.handle(
      this.protocol,
      (stream, connection) =>
        this.inTime(stream, undefined, () => answer(stream, connection)).catch((error: unknown) => {
          this.log("%p: answering %s failed: %e", connection.remotePeer, this.protocol, error)
        }),
      options
    )
  }

  async open(connection: Connection, signal: AbortSignal | undefined): Promise<Stream> {
    const { maxOutboundStreams = identifyStreams, runOnLimitedConnection = true } = this.init
    return connection.newStream(this.protocol, { signal, maxOutboundStreams, runOnLimitedConnection })
  }

  /** Runs `run`; a stream that fails or takes too long is reset. */
  async inTime<T>(
    stream: Stream,
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    try {
      return await within(this.components.world, this.timeout, signal, run)
    } catch (error) {
      stream.abort(faultOf(error, "identify failed"))
      throw error
    }
  }

  async read(stream: Stream): Promise<IdentifyMessage> {
    const reader = new IdentifyReader(this.bytesMax)
    for await (const bytes of stream) {
      const fault = reader.receive(bytes)
      if (fault !== undefined) throw fault
    }
    const answer = reader.end()
    if (answer instanceof Libp2pFault) throw answer
    return answer
  }

  /** Who we are, for one peer. */
  told(connection: Connection): Uint8Array {
    const { addressManager, nodeInfo, privateKey, registrar } = this.components
    const { remoteAddr } = connection
    const seen = isRelay(remoteAddr) ? undefined : withoutPeer(remoteAddr).bytes
    return encodeIdentify({
      publicKey: privateKey.publicKey.protobuf,
      listenAddrs: addressManager.getAddresses().map(({ bytes }) => bytes),
      protocols: registrar.getProtocols(),
      observedAddr: seen,
      protocolVersion: this.protocolVersion,
      agentVersion: nodeInfo.userAgent,
      signedPeerRecord: addressManager.getSignedPeerRecord()
    })
  }

  /** Judges what was told and keeps it; the rest of an older state stays where nothing was said. */
  async keep(connection: Connection, message: IdentifyMessage): Promise<IdentifyResult> {
    const { remotePeer: peerId } = connection
    const { events, peerStore } = this.components
    const publicKey = keyOf(message, peerId)
    const record = recordOf(message, peerId)
    const listenAddrs = readable(message.listenAddrs)
    const [observedAddr] = message.observedAddr === undefined ? [] : readable([message.observedAddr])
    const known = (await peerStore.has(peerId)) ? await peerStore.get(peerId) : undefined
    await peerStore.patch(peerId, {
      ...addressesOf(listenAddrs, record, message.signedPeerRecord, known),
      ...(message.protocols.length === 0 ? {} : { protocols: [...message.protocols] }),
      ...(publicKey === undefined ? {} : { publicKey }),
      metadata: metadataOf(known, message)
    })
    const result: IdentifyResult = {
      peerId,
      listenAddrs,
      protocols: [...message.protocols],
      ...(message.protocolVersion === undefined ? {} : { protocolVersion: message.protocolVersion }),
      ...(message.agentVersion === undefined ? {} : { agentVersion: message.agentVersion }),
      ...(message.publicKey === undefined ? {} : { publicKey: message.publicKey }),
      ...(observedAddr === undefined ? {} : { observedAddr }),
      ...(record === undefined ? {} : { signedPeerRecord: { addresses: [...record.addresses], seq: record.seq } }),
      connection
    }
    this.log("%p is %s, speaks %d protocols", peerId, result.agentVersion ?? "nameless", result.protocols.length)
    events.safeDispatchEvent("peer:identify", { detail: result })
    return result
  }
}

class IdentifyService implements Identify {
  readonly [serviceCapabilities] = ["@libp2p/identify"]
  private readonly components: Components
  private readonly speaker: Speaker
  private readonly onOpen: boolean
  private readonly running = new Map<string, Promise<IdentifyResult>>()

  constructor(components: Components, init: IdentifyInit) {
    this.components = components
    this.speaker = new Speaker(components, "id", init)
    this.onOpen = init.runOnConnectionOpen ?? true
  }

  async start(): Promise<void> {
    await this.speaker.handle((stream, connection) => this.answer(stream, connection))
    if (this.onOpen) this.components.events.addEventListener("connection:open", this.opened)
  }

  async stop(): Promise<void> {
    this.components.events.removeEventListener("connection:open", this.opened)
    await this.components.registrar.unhandle(this.speaker.protocol)
  }

  /** Who asks while it is being asked gets the same answer. */
  identify(connection: Connection, options: NewStreamOptions = {}): Promise<IdentifyResult> {
    const found = this.running.get(connection.id)
    if (found !== undefined) return orAbort(found, options.signal)
    const asked = this.ask(connection, options.signal).finally(() => this.running.delete(connection.id))
    this.running.set(connection.id, asked)
    return asked
  }

  private readonly opened = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.identify(connection).catch((error: unknown) => {
      const detail = { connection, error: faultOf(error, "identify failed") }
      this.speaker.log("%p did not say who it is: %e", connection.remotePeer, error)
      this.components.events.safeDispatchEvent("peer:identify:failure", { detail })
    })
  }

  private async ask(connection: Connection, signal: AbortSignal | undefined): Promise<IdentifyResult> {
    const { speaker, components } = this
    const message = await within(components.world, speaker.timeout, signal, async (inTime) => {
      const stream = await speaker.open(connection, inTime)
      const off = onAbort(inTime, (fault) => stream.abort(fault))
      try {
        const told = await speaker.read(stream)
        stream.close().catch(() => undefined)
        return told
      } catch (error) {
        stream.abort(faultOf(error, "identify failed"))
        throw error
      } finally {
        off()
      }
    })
    const result = await speaker.keep(connection, message)
    this.seenAt(connection, result.observedAddr)
    return result
  }

  /** A peer that dialled us says which address led to us; one that we dialled sees the port of our own end, where nobody listens. */
  private seenAt(connection: Connection, address: Multiaddr | undefined): void {
    if (address === undefined || connection.direction !== "inbound" || isRelay(address)) return
    this.components.addressManager.addObservedAddr(address, siteOf(connection))
  }

  private async answer(stream: Stream, connection: Connection): Promise<void> {
    // Who asks has nothing to say.
    await stream.closeRead()
    stream.send(this.speaker.told(connection))
    await stream.close()
    this.components.events.safeDispatchEvent("identify:response", { detail: connection.remotePeer })
  }
}

class PushService implements IdentifyPush {
  readonly [serviceCapabilities] = ["@libp2p/identify-push"]
  private readonly components: Components
  private readonly speaker: Speaker
  private readonly init: IdentifyPushInit
  private cancel: Cancel | undefined
  private started = false
  private sending = false
  private again = false
  /** By connection: when it has its whole allowance again, if it pushes no more. */
  private readonly heard = new WeakMap<Connection, number>()

  constructor(components: Components, init: IdentifyPushInit) {
    this.components = components
    this.speaker = new Speaker(components, "id/push", init)
    this.init = init
  }

  async start(): Promise<void> {
    await this.speaker.handle(async (stream, connection) => {
      if (!this.mayPush(connection)) throw tooOften
      await this.speaker.keep(connection, await this.speaker.read(stream))
      await stream.close()
    })
    this.started = true
    if (this.init.runOnSelfUpdate ?? true) this.components.events.addEventListener("self:peer:update", this.updated)
  }

  async stop(): Promise<void> {
    this.started = false
    this.cancel?.()
    this.cancel = undefined
    this.components.events.removeEventListener("self:peer:update", this.updated)
    await this.components.registrar.unhandle(this.speaker.protocol)
  }

  /** A push costs a signature, an event and a row of the datastore: each connection has so many, and they come back with time. */
  private mayPush(connection: Connection): boolean {
    const now = this.components.world.now()
    const whole = Math.max(now, this.heard.get(connection) ?? 0) + pushEveryMs
    if (whole > now + pushesMax * pushEveryMs) return false
    this.heard.set(connection, whole)
    return true
  }

  async push(): Promise<void> {
    if (!this.started || this.cancel !== undefined) return
    this.cancel = this.components.world.after(this.init.debounce ?? pushDebounceMs, () => {
      this.cancel = undefined
      this.send().catch((error: unknown) => {
        this.components.events.safeDispatchEvent("host:error", { detail: { where: "identify push", error } })
      })
    })
  }

  private readonly updated = (): void => {
    this.push().catch(() => undefined)
  }

  /** One push at a time; what changed in the middle of one is told behind it. */
  private async send(): Promise<void> {
    if (this.sending) {
      this.again = true
      return
    }
    this.sending = true
    try {
      const waiting = await this.listeners()
      const lanes = Array.from({ length: Math.max(1, this.init.concurrency ?? pushConcurrency) }, async () => {
        for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await this.tell(next)
      })
      await Promise.all(lanes)
    } finally {
      this.sending = false
    }
    if (!this.again) return
    this.again = false
    await this.push()
  }

  /** One connection of each peer that wants to be told. */
  private async listeners(): Promise<Array<Connection>> {
    const { connectionManager, peerStore } = this.components
    const found = new Map<string, Connection>()
    for (const connection of connectionManager.getConnections()) {
      const { remotePeer } = connection
      if (connection.status !== "open" || found.has(remotePeer.toString()) || !(await peerStore.has(remotePeer)))
        continue
      const { protocols } = await peerStore.get(remotePeer)
      if (protocols.includes(this.speaker.protocol)) found.set(remotePeer.toString(), connection)
    }
    return [...found.values()]
  }

  /** A peer that does not take it hears of it with the next change, or when it asks. */
  private async tell(connection: Connection): Promise<void> {
    const { speaker, components } = this
    await within(components.world, speaker.timeout, undefined, async (signal) => {
      const stream = await speaker.open(connection, signal)
      const off = onAbort(signal, (fault) => stream.abort(fault))
      try {
        stream.send(speaker.told(connection))
        await stream.close({ signal })
      } catch (error) {
        stream.abort(faultOf(error, "identify push failed"))
        throw error
      } finally {
        off()
      }
    }).catch((error: unknown) => {
      speaker.log("push to %p failed: %e", connection.remotePeer, error)
    })
  }
}

/** The service "identify" of a host. */
export const identify =
  (init: IdentifyInit = {}): ((components: Components) => Identify) =>
  (components) =>
    new IdentifyService(components, init)

/** The service "identifyPush" of a host. */
export const identifyPush =
  (init: IdentifyPushInit = {}): ((components: Components) => IdentifyPush) =>
  (components) =>
    new PushService(components, init)
