/**
 * The joints of a connection. Each part is a machine without I/O, driven by bytes and by calls; between two parts stands one of
 * these types, and nothing else.
 *
 *   link (world: TCP) ─► connection ─► handshake (noise | plaintext, or TLS beneath the link) ─► SecureSession
 *                             └─► muxer (yamux) ─► MuxedStream ─► stream of the host ─► protocol
 *
 * Rules of all machines: bytes that are handed over belong to who gets them; a machine never throws at bytes from outside, it ends
 * with a Libp2pFault; it asks nobody for the time: `now` (milliseconds, any origin, never back) is told to it.
 */
import type { Libp2pFault } from "./fault.ts"

/** The order of this list is that of the protobuf enum KeyType (libp2p specs, peer-ids). */
export type KeyType = "RSA" | "Ed25519" | "secp256k1" | "ECDSA"

/** A public key of one of the four types. The shape is js-libp2p's. */
export interface PublicKey {
  readonly type: KeyType
  /** What stands in Data of the protobuf: 32 bytes, 33 bytes, or DER. */
  readonly raw: Uint8Array
  /** The protobuf PublicKey{Type=1,Data=2}: what peer ids and handshakes carry. */
  readonly protobuf: Uint8Array
  readonly verify: (data: Uint8Array, signature: Uint8Array) => boolean
  readonly equals: (other: unknown) => boolean
  readonly toString: () => string
}

export interface PrivateKey {
  readonly type: KeyType
  readonly publicKey: PublicKey
  readonly raw: Uint8Array
  readonly sign: (data: Uint8Array) => Uint8Array
  readonly equals: (other: unknown) => boolean
}

/** Who a peer is: the multihash of its public key's protobuf. Equal ids have equal text. */
export interface PeerId {
  readonly type: KeyType
  /** The multihash: identity of at most 42 bytes, or sha2-256. */
  readonly bytes: Uint8Array
  /** Known when the id is the key itself, or when it was met. */
  readonly publicKey: PublicKey | undefined
  readonly equals: (other: unknown) => boolean
  /** base58btc. */
  readonly toString: () => string
}

/** One part of an address: `/ip4/10.0.0.1` is name ip4, value 10.0.0.1. */
export interface AddressComponent {
  readonly code: number
  readonly name: string
  readonly value: string | undefined
}

/** An address that describes itself. Never changed; equal addresses have equal bytes. The shape is js-libp2p's. */
export interface Multiaddr {
  readonly bytes: Uint8Array
  readonly toString: () => string
  readonly getComponents: () => ReadonlyArray<AddressComponent>
  readonly encapsulate: (other: Multiaddr | string) => Multiaddr
  /** Cuts off the last part that begins with `other`, and all behind it. */
  readonly decapsulate: (other: Multiaddr | string) => Multiaddr
  readonly decapsulateCode: (code: number) => Multiaddr
  readonly equals: (other: unknown) => boolean
}

/** Who we are in every handshake. */
export interface Identity {
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
}

export type Role = "dialer" | "listener"

/** What a machine of a handshake is told. */
export interface HandshakeInit {
  readonly role: Role
  readonly identity: Identity
  /** Whom we mean to speak to: another one is refused. */
  readonly expected: PeerId | undefined
  /** Muxers in our order, for the early choice; empty: none is told. */
  readonly muxers: ReadonlyArray<string>
  /** `length` bytes of chance. */
  readonly random: (length: number) => Uint8Array
}

export type HandshakeStep =
  /** Not yet. `send`, if there, goes out now. */
  | { readonly _tag: "More"; readonly send: Uint8Array | undefined }
  /** Send `send`, then all is under the session; `rest` came behind the handshake and is for `open`. */
  | {
      readonly _tag: "Secured"
      readonly send: Uint8Array | undefined
      readonly session: SecureSession
      readonly rest: Uint8Array
    }
  | { readonly _tag: "Failed"; readonly fault: Libp2pFault }

/** A handshake over bytes. A machine that failed or is done is not called again. */
export interface Handshake {
  /** What we say first; undefined: the other side begins. */
  readonly start: () => Uint8Array | undefined
  /** Bytes in any pieces. */
  readonly receive: (bytes: Uint8Array) => HandshakeStep
}

/** A secured link. The order of calls is the order of the wire. */
export interface SecureSession {
  readonly remote: PublicKey
  readonly remotePeer: PeerId
  /** The muxer that the handshake chose, undefined: multistream decides. */
  readonly earlyMuxer: string | undefined
  /** 32 bytes that only the two ends of this very session have. */
  readonly binding: Uint8Array
  /** The wire bytes of `parts` joined, `length` bytes in all: any length above nothing. Undefined: the session can carry no more. */
  readonly seal: (parts: ReadonlyArray<Uint8Array>, length: number) => Uint8Array | undefined
  /** Opens what came, in any pieces; hands over plaintext as it is whole. A fault: the link must end. */
  readonly open: (bytes: Uint8Array, take: (plain: Uint8Array) => void) => Libp2pFault | undefined
}

/** What TLS beneath the link came to, as the world tells it. */
export interface TlsSession {
  /** The certificate that the other side showed, DER; undefined: none. */
  readonly certificate: Uint8Array | undefined
  /** It showed more than one, which libp2p forbids. */
  readonly several?: boolean
  /** The protocol that ALPN chose. */
  readonly alpn: string | undefined
  /** 32 bytes of the exporter, "EXPORTER-Channel-Binding" (RFC 9266). */
  readonly binding: Uint8Array
}

/** Who a stream of a muxer tells what happens to it. Called by the machine, never after `ended`. */
export interface MuxedStreamHandlers {
  /** Bytes came; they count against the receive window until `consumed` is told. */
  readonly data: (bytes: Uint8Array) => void
  /** The other side writes no more. */
  readonly remoteClosed: () => void
  /** Written bytes went out: `write` may be called again. */
  readonly drain: () => void
  /** Both sides are done, or one was reset: then with a fault. */
  readonly ended: (fault: Libp2pFault | undefined) => void
}

/** One stream of a muxer. */
export interface MuxedStream {
  readonly id: number
  readonly direction: "inbound" | "outbound"
  /** Must be set in the very turn that gave the stream; a stream without handlers keeps what comes. */
  handlers: MuxedStreamHandlers | undefined
  /** Takes the bytes always; false: more waits than is good, and `drain` will come. Nothing after closeWrite, reset or the end. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Bytes written that are not yet with the connection. */
  readonly buffered: () => number
  /** `bytes` of what `data` gave were used: the other side may send as many more. */
  readonly consumed: (bytes: number) => void
  /** We write no more: after what waits, a FIN. */
  readonly closeWrite: () => void
  /** Ends both ways at once; the other side is told. */
  readonly reset: () => void
}

/** Whom a muxer tells. */
export interface MuxerEvents {
  /** The other side opened a stream. */
  readonly stream: (stream: MuxedStream) => void
  /** Something waits to be pulled. Told once until the next pull that leaves nothing. */
  readonly pending: () => void
  /** A ping of ours was answered: round-trip milliseconds. */
  readonly rtt: (ms: number) => void
  /** The other side opens no more streams and takes none; what is open goes on. */
  readonly remoteGoAway: (code: number) => void
  /** The session is over. All its streams have been told. */
  readonly ended: (fault: Libp2pFault | undefined) => void
}

/** Many streams over one secured link. */
export interface Muxer {
  readonly protocol: string
  readonly receive: (bytes: Uint8Array, now: number) => void
  /**
   * What goes out next, fair over the streams: at most `max` bytes in frames that are whole. Empty: nothing waits, so pull
   * until it is. `drain`, and the end of a stream whose FIN went out, are told by the next call, when what was pulled is written.
   */
  readonly pull: (max: number) => { readonly parts: ReadonlyArray<Uint8Array>; readonly length: number }
  /** Undefined: the session takes none any more, or too many are unanswered; the fault says which. */
  readonly open: () => MuxedStream | Libp2pFault
  readonly streams: () => ReadonlyArray<MuxedStream>
  /** Keepalive, time limits: call it at least once a second. */
  readonly tick: (now: number) => void
  /** Says GO_AWAY, ends every stream with `fault` or as closed. What must still go out can be pulled. */
  readonly close: (fault?: Libp2pFault) => void
  /** The link is gone: everything ends at once. */
  readonly lost: (fault: Libp2pFault) => void
}

/** What the connection machine asks of its link and of its owner. */
export interface ConnectionPorts {
  /** Bytes for the wire, in order. */
  readonly write: (bytes: Uint8Array) => void
  /** True: nobody keeps an array that `write` was given. Left out: they may be kept. */
  readonly taken?: () => boolean
  /** Bytes that the link has not handed to the kernel; above a mark the machine pulls no more until `drained`. */
  readonly queued: () => number
  /** `flush` must be called soon, after what runs now. */
  readonly wake: () => void
  /** Runs TLS beneath the link from here on; `leftover`: bytes of it that were read already. Answered by `secured` or `lost`. */
  readonly upgradeTls: (
    offer: { readonly role: Role; readonly key: string; readonly cert: string; readonly alpn: ReadonlyArray<string> },
    leftover: Uint8Array
  ) => void
  /** Who it is and how we speak: from here on streams come. */
  readonly opened: (facts: ConnectionFacts) => void
  readonly stream: (stream: MuxedStream) => void
  readonly rtt: (ms: number) => void
  /** The machine is over; the link may be ended when what was written is out. */
  readonly ended: (fault: Libp2pFault | undefined) => void
}

export interface ConnectionFacts {
  readonly remotePeer: PeerId
  readonly remoteKey: PublicKey
  /** The protocol ids that were agreed upon. */
  readonly encryption: string
  readonly multiplexer: string
  readonly binding: Uint8Array
}

/** A connection without its link: negotiates security and muxer, then carries streams. */
export interface ConnectionMachine {
  readonly start: (now: number) => void
  readonly receive: (bytes: Uint8Array, now: number) => void
  /** TLS beneath the link stands. */
  readonly secured: (session: TlsSession, now: number) => void
  /** The link's queue is empty, or `wake` asked: pulls, seals, writes. */
  readonly flush: () => void
  readonly tick: (now: number) => void
  readonly open: () => MuxedStream | Libp2pFault
  readonly close: (fault?: Libp2pFault) => void
  /** The link is gone. */
  readonly lost: (reason: string) => void
}
