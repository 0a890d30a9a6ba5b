/**
 * A connection without its link: agrees on security, runs its handshake, agrees on a muxer, then carries streams (libp2p specs,
 * connections). One deadline stands over all that comes before the first stream. However it fails, `ended` is told once, with a
 * typed fault, and the machine is silent from then on.
 */
import { concatAll } from "../codec/bytes.ts"
import { lingerMsMax, linkQueuedBytesMax, sealBytesMax, sealsPerFlushMax, upgradeMsMax } from "../limits.ts"
import type {
  ConnectionMachine,
  ConnectionPorts,
  Handshake,
  HandshakeInit,
  HandshakeStep,
  Identity,
  MuxedStream,
  Muxer,
  MuxerEvents,
  PeerId,
  Role,
  SecureSession,
  TlsSession
} from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { dialSelect, listenSelect, type Select, type SelectStep } from "./multistream.ts"
import { giveRoomBack } from "./seal-room.ts"

/** One way to secure a link, by its protocol id. */
export type SecurityPart =
  /** A handshake in the bytes of the link. `insecure`: the link stays plain; used only where the init allows it. */
  | {
      readonly _tag: "Handshake"
      readonly protocol: string
      readonly insecure?: boolean
      readonly make: (init: HandshakeInit) => Handshake
    }
  /** TLS beneath the link. */
  | {
      readonly _tag: "Tls"
      readonly protocol: string
      /** Ours, PEM. It may be the same for every connection. */
      readonly certificate: () => { readonly key: string; readonly cert: string }
      readonly alpn: (muxers: ReadonlyArray<string>) => ReadonlyArray<string>
      readonly session: (init: HandshakeInit, session: TlsSession) => SecureSession | Libp2pFault
    }

/** One muxer, by its protocol id. */
export interface MuxerPart {
  readonly protocol: string
  readonly make: (role: Role, events: MuxerEvents, now: number) => Muxer
}

export interface ConnectionInit {
  readonly role: Role
  readonly identity: Identity
  /** Whom we mean to speak to; undefined: whoever it is. */
  readonly expected: PeerId | undefined
  /** `length` bytes of chance. */
  readonly random: (length: number) => Uint8Array
  /** In our order. The dialler's order decides. */
  readonly security: ReadonlyArray<SecurityPart>
  readonly muxers: ReadonlyArray<MuxerPart>
  /** Default false: parts that leave the link plain are not used. For tests. */
  readonly allowInsecure?: boolean
  /** Default true: the muxer is agreed upon inside the handshake, where the other side can. */
  readonly earlyMuxer?: boolean
  /** From `start` to `opened`. Default: upgradeMsMax. */
  readonly upgradeMs?: number
}

/** Where it stands. The names go into the message of a timeout. */
type Phase = "idle" | "security" | "handshake" | "tls" | "muxer" | "open" | "closing" | "over"

const none: Uint8Array = new Uint8Array(0)

/** Rooms of a connection that wait until its link is empty, to be used again. */
const lentMax = 4

class Connection implements ConnectionMachine {
  private phase: Phase = "idle"
  private deadline = Number.POSITIVE_INFINITY
  private now = 0
  private select: Select | undefined
  private part: SecurityPart | undefined
  private handshake: Handshake | undefined
  private session: SecureSession | undefined
  private muxer: Muxer | undefined
  private woken = false
  /** The muxer is being asked, and may end while it is. */
  private pulling = false
  private gone = false
  /** Why it is closing. */
  private farewell: Libp2pFault | undefined
  /** What the link was given and may still read. */
  private lent: Array<Uint8Array> = []
  /** What is said before streams come, gathered to one write. */
  private said: Array<Uint8Array> = []
  private readonly init: ConnectionInit
  private readonly ports: ConnectionPorts
  private readonly security: ReadonlyArray<SecurityPart>

  constructor(init: ConnectionInit, ports: ConnectionPorts) {
    this.init = init
    this.ports = ports
    this.security = init.security.filter(
      (part) => part._tag === "Tls" || part.insecure !== true || init.allowInsecure === true
    )
  }

  start(now: number): void {
    if (this.phase !== "idle") return
    this.now = now
    this.deadline = now + (this.init.upgradeMs ?? upgradeMsMax)
    if (this.security.length === 0 || this.init.muxers.length === 0)
      return this.fail(new Libp2pFault("input", "InvalidParametersError", "no security or no muxer is configured"))
    this.phase = "security"
    this.select = this.negotiate(this.security)
    this.say(this.select.start())
    this.speak()
  }

  receive(bytes: Uint8Array, now: number): void {
    if (this.phase === "over" || this.phase === "idle") return
    this.now = now
    this.take(bytes)
    this.speak()
  }

  secured(tls: TlsSession, now: number): void {
    if (this.phase !== "tls" || this.part?._tag !== "Tls") return
    this.now = now
    const session = this.part.session(this.handshakeInit(), tls)
    if (session instanceof Libp2pFault) return this.fail(session)
    this.secure(session)
    this.speak()
  }

  flush(): void {
    this.woken = false
    if (this.phase !== "open" && this.phase !== "closing") return
    for (let turn = 0; turn < sealsPerFlushMax; turn++) {
      // The link tells when it is empty, and then this is called again.
      if (this.ports.queued() >= linkQueuedBytesMax) return
      if (this.carry()) continue
      if (this.phase === "closing") this.fail(this.farewell)
      return
    }
    this.wake()
  }

  tick(now: number): void {
    if (this.phase === "over" || this.phase === "idle") return
    this.now = now
    if (this.phase === "open") return this.muxer!.tick(now)
    if (now < this.deadline) return
    if (this.phase === "closing") return this.fail(this.farewell)
    const message = `the connection was not open in time; it waited for ${waits[this.phase]}`
    this.fail(cheapFault("timeout", "TimeoutError", message, { phase: this.phase }))
  }

  open(): MuxedStream | Libp2pFault {
    if (this.phase === "open") return this.muxer!.open()
    if (this.phase === "over" || this.phase === "closing")
      return cheapFault("closed", "ConnectionClosedError", "the connection is closed")
    return cheapFault("state", "ConnectionFailedError", "the connection is not open yet")
  }

  close(fault?: Libp2pFault): void {
    if (this.phase === "open") return this.muxer!.close(fault)
    // What still goes out is worth no more waiting once there is a fault.
    if (this.phase !== "closing" || fault !== undefined) this.fail(fault)
  }

  lost(reason: string): void {
    if (this.phase === "over") return
    this.gone = true
    if (this.phase === "closing") return this.fail(this.farewell)
    const name = this.phase === "open" ? "ConnectionClosedError" : "ConnectionFailedError"
    const fault = cheapFault("closed", name, `the link is gone: ${reason}`, { phase: this.phase })
    if (this.phase === "open") this.muxer!.lost(fault)
    // A muxer that had nothing to end has not told.
    this.fail(fault)
  }

  private negotiate(parts: ReadonlyArray<{ readonly protocol: string }>): Select {
    const protocols = parts.map(({ protocol }) => protocol)
    return this.init.role === "dialer" ? dialSelect(protocols) : listenSelect((text) => protocols.includes(text))
  }

  private handshakeInit(): HandshakeInit {
    const { role, identity, expected, random, muxers, earlyMuxer } = this.init
    const early = earlyMuxer === false ? [] : muxers.map(({ protocol }) => protocol)
    return { role, identity, expected, muxers: early, random }
  }

  /** Bytes of the link, where they belong now. */
  private take(bytes: Uint8Array): void {
    switch (this.phase) {
      case "security":
        return this.chosen(this.select!.receive(bytes), (protocol, rest) => this.shake(protocol, rest))
      case "handshake":
        return this.shaken(this.handshake!.receive(bytes))
      case "tls":
        return this.fail(cheapFault("internal", "InternalError", "bytes came before TLS stood"))
      case "muxer":
      case "open":
        return this.opens(bytes)
    }
  }

  private opens(bytes: Uint8Array): void {
    const fault = this.session!.open(bytes, this.plain)
    if (fault !== undefined) this.break(fault)
  }

  private readonly plain = (bytes: Uint8Array): void => {
    if (this.phase === "open") this.muxer!.receive(bytes, this.now)
    else if (this.phase === "muxer")
      this.chosen(this.select!.receive(bytes), (protocol, rest) => this.carries(protocol, rest))
  }

  private chosen(step: SelectStep, next: (protocol: string, rest: Uint8Array) => void): void {
    if (step.send !== undefined) this.say(step.send)
    if (step._tag === "Failed") return this.fail(step.fault)
    if (step._tag === "Selected") next(step.protocol, step.rest)
  }

  /** Security is agreed upon: its handshake begins. */
  private shake(protocol: string, rest: Uint8Array): void {
    const part = this.security.find((candidate) => candidate.protocol === protocol)!
    this.part = part
    if (part._tag === "Tls") {
      if (this.init.role === "dialer" && rest.length > 0)
        return this.fail(cheapFault("protocol", "ProtocolError", "the listener spoke before the TLS handshake began"))
      this.phase = "tls"
      this.speak()
      const alpn = part.alpn(this.handshakeInit().muxers)
      return this.ports.upgradeTls({ role: this.init.role, ...part.certificate(), alpn }, rest)
    }
    this.phase = "handshake"
    this.handshake = part.make(this.handshakeInit())
    const first = this.handshake.start()
    if (first !== undefined) this.say(first)
    if (rest.length > 0) this.shaken(this.handshake.receive(rest))
  }

  private shaken(step: HandshakeStep): void {
    if (step._tag === "Failed") return this.fail(step.fault)
    if (step.send !== undefined) this.say(step.send)
    if (step._tag === "More") return
    this.handshake = undefined
    this.secure(step.session)
    // The first call may have ended it: nobody takes the rest then.
    if (step.rest.length > 0) this.take(step.rest)
  }

  private secure(session: SecureSession): void {
    const { expected, muxers } = this.init
    if (expected !== undefined && !session.remotePeer.equals(expected))
      return this.fail(cheapFault("verify", "UnexpectedPeerError", `${session.remotePeer} answered for ${expected}`))
    this.session = session
    if (session.earlyMuxer !== undefined) return this.carries(session.earlyMuxer, none)
    this.phase = "muxer"
    this.select = this.negotiate(muxers)
    this.say(this.select.start())
  }

  /** The muxer is agreed upon: from here on streams come. */
  private carries(protocol: string, rest: Uint8Array): void {
    const part = this.init.muxers.find((candidate) => candidate.protocol === protocol)
    if (part === undefined)
      return this.fail(cheapFault("unsupported", "UnsupportedProtocolError", `nobody here speaks ${protocol}`))
    const { remotePeer, remote, binding } = this.session!
    this.speak()
    this.select = undefined
    this.phase = "open"
    this.deadline = Number.POSITIVE_INFINITY
    this.muxer = part.make(this.init.role, this.events, this.now)
    const encryption = this.part!.protocol
    this.ports.opened({ remotePeer, remoteKey: remote, encryption, multiplexer: protocol, binding })
    if (rest.length > 0) this.plain(rest)
  }

  private readonly events: MuxerEvents = {
    stream: (stream) => this.ports.stream(stream),
    pending: () => this.wake(),
    rtt: (ms) => this.ports.rtt(ms),
    remoteGoAway: () => {},
    ended: (fault) => this.over(fault)
  }

  private wake(): void {
    if (this.woken || (this.phase !== "open" && this.phase !== "closing")) return
    this.woken = true
    this.ports.wake()
  }

  /** Seals and writes what the muxer has next. False: it has nothing, or the connection is over. */
  private carry(): boolean {
    this.takeBack()
    this.pulling = true
    const { parts, length } = this.muxer!.pull(sealBytesMax)
    this.pulling = false
    if (length === 0) return false
    const sealed = this.session!.seal(parts, length)
    if (sealed === undefined) {
      this.gone = true
      this.break(cheapFault("closed", "ConnectionClosedError", "the session can seal no more bytes"))
      return false
    }
    this.ports.write(sealed)
    // A link that is never quite empty, or that keeps what it is given, gives none back: what is more is forgotten with its memory.
    if (this.lent.length < lentMax) this.lent.push(sealed)
    this.takeBack()
    return this.phase !== "over"
  }

  /** What was sealed is the link's, until it says that it has copied all. */
  private takeBack(): void {
    if (this.lent.length === 0 || this.ports.taken?.() === false) return
    if (this.ports.taken !== undefined) for (const sealed of this.lent) giveRoomBack(sealed)
    this.lent.length = 0
  }

  /** Goes out when what runs now is done; under the session, once there is one. */
  private say(bytes: Uint8Array): void {
    const sealed = this.session === undefined ? bytes : this.session.seal([bytes], bytes.length)
    if (sealed !== undefined) this.said.push(sealed)
  }

  private speak(): void {
    if (this.said.length === 0 || this.gone) return
    const bytes = this.said.length === 1 ? this.said[0]! : concatAll(this.said)
    this.said = []
    this.ports.write(bytes)
  }

  /** The link carries nothing that can be trusted any more: streams are told. */
  private break(fault: Libp2pFault): void {
    if (this.phase === "open") this.muxer!.lost(fault)
    this.fail(fault)
  }

  /** The muxer is over, and has told its streams. What was written before goes out as the link takes it, in its time. */
  private over(fault: Libp2pFault | undefined): void {
    if (this.phase !== "open" || this.gone) return this.fail(fault)
    this.phase = "closing"
    this.farewell = fault
    this.deadline = this.now + lingerMsMax
    if (!this.pulling) this.flush()
  }

  private fail(fault: Libp2pFault | undefined): void {
    if (this.phase === "over") return
    this.speak()
    this.phase = "over"
    this.deadline = Number.POSITIVE_INFINITY
    this.select = undefined
    this.handshake = undefined
    this.said = []
    this.lent = []
    this.ports.ended(fault)
  }
}

/** What a connection waits for, by phase. */
const waits: Readonly<Record<Exclude<Phase, "idle" | "open" | "closing" | "over">, string>> = {
  security: "the choice of security",
  handshake: "the handshake",
  tls: "the TLS handshake",
  muxer: "the choice of the muxer"
}

/** The upgrader: a connection over a link that `ports` stands for. Call `start` once the link stands. */
export const makeConnection = (init: ConnectionInit, ports: ConnectionPorts): ConnectionMachine =>
  new Connection(init, ports)
