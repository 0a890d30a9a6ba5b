/**
 * The identify message (libp2p specs, identify): who a peer is, what it speaks, where it listens, how it sees us. One answer may
 * come in several messages, each in its frame; together they are one. A push has the same form, and what it leaves out is unchanged.
 */
import { fromUtf8 } from "../codec/bytes.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { FrameReader, frameOf } from "./frame.ts"
import { bytesField, bytesOf, type Field, message, readFields, repeatedBytesOf, textOf } from "./protobuf.ts"

export const identifyProtocol = "/ipfs/id/1.0.0"
export const identifyPushProtocol = "/ipfs/id/push/1.0.0"

/** Bytes of one message that are read, as go and js have it. */
export const identifyMessageBytesMax = 8_192
/** Messages of one answer that are read, as go and js have it. */
export const identifyMessagesMax = 10
/** Bytes of one message that we send: rust reads the first message only, and at most so much of it. */
export const identifyPartBytesMax = 4_096
/** Addresses of one answer that are kept, the first ones: as many as go keeps of a connected peer. */
export const identifyAddressesMax = 500
/** Protocols of one answer that are kept, the first ones. */
export const identifyProtocolsMax = 1_000
/** Characters of a protocol version or agent version that are kept: kubo's own limit. */
export const identifyVersionLengthMax = 128
/** UTF-8 bytes of a protocol name that is kept: more cannot be asked for by multistream. */
export const identifyProtocolBytesMax = 1_024

/** What was told; a field that is absent was not told. */
export interface IdentifyMessage {
  /** The protobuf of the key. */
  readonly publicKey: Uint8Array | undefined
  /** Multiaddrs as bytes, not judged yet. */
  readonly listenAddrs: ReadonlyArray<Uint8Array>
  readonly protocols: ReadonlyArray<string>
  /** The address that the sender sees us at. */
  readonly observedAddr: Uint8Array | undefined
  readonly protocolVersion: string | undefined
  readonly agentVersion: string | undefined
  /** A signed envelope with a peer record. */
  readonly signedPeerRecord: Uint8Array | undefined
}

const number = {
  publicKey: 1,
  listenAddrs: 2,
  protocols: 3,
  observedAddr: 4,
  protocolVersion: 5,
  agentVersion: 6,
  signedPeerRecord: 8
} as const

const protocolsOf = (fields: ReadonlyArray<Field>): ReadonlyArray<string> =>
  fields.flatMap(({ number: at, wire, bytes }) => {
    if (at !== number.protocols || wire !== 2) return []
    const name = bytes.length <= identifyProtocolBytesMax ? fromUtf8(bytes) : undefined
    return name === undefined || name === "" ? [] : [name]
  })

const versionOf = (fields: ReadonlyArray<Field>, at: number): string | undefined =>
  textOf(fields, at)?.slice(0, identifyVersionLengthMax)

/** One message. Unknown fields and texts that are no UTF-8 are passed over; repeated ones are cut at their limits. */
export const decodeIdentify = (bytes: Uint8Array): IdentifyMessage | Libp2pFault => {
  const fields = readFields(bytes)
  if (fields instanceof Libp2pFault) return fields
  return {
    publicKey: bytesOf(fields, number.publicKey),
    listenAddrs: repeatedBytesOf(fields, number.listenAddrs).slice(0, identifyAddressesMax),
    protocols: [...new Set(protocolsOf(fields))].slice(0, identifyProtocolsMax),
    observedAddr: bytesOf(fields, number.observedAddr),
    protocolVersion: versionOf(fields, number.protocolVersion),
    agentVersion: versionOf(fields, number.agentVersion),
    signedPeerRecord: bytesOf(fields, number.signedPeerRecord)
  }
}

const text = (at: number, value: string | Uint8Array | undefined): Uint8Array | undefined =>
  value === undefined ? undefined : bytesField(at, value)

/** The fields in the order in which a reader that stops early needs them most. */
const encodedFields = (told: IdentifyMessage): ReadonlyArray<Uint8Array> =>
  [
    text(number.publicKey, told.publicKey),
    text(number.protocolVersion, told.protocolVersion),
    text(number.agentVersion, told.agentVersion),
    text(number.observedAddr, told.observedAddr),
    ...told.protocols.map((name) => bytesField(number.protocols, name)),
    ...told.listenAddrs.map((address) => bytesField(number.listenAddrs, address)),
    text(number.signedPeerRecord, told.signedPeerRecord)
  ].filter((field) => field !== undefined)

/**
 * The answer in as few messages as hold it, none above `identifyPartBytesMax` unless one field alone is; framed, ready for the wire.
 * What does not go into `identifyMessagesMax` messages is left out: nobody would read it.
 */
export const encodeIdentify = (told: IdentifyMessage): Uint8Array => {
  const parts: Array<Array<Uint8Array>> = [[]]
  let length = 0
  for (const field of encodedFields(told)) {
    if (field.length > identifyMessageBytesMax) continue
    if (length + field.length > identifyPartBytesMax && length > 0) {
      parts.push([])
      length = 0
    }
    parts.at(-1)!.push(field)
    length += field.length
  }
  return message(...parts.slice(0, identifyMessagesMax).map((fields) => frameOf(message(...fields))))
}

const joined = (one: IdentifyMessage, next: IdentifyMessage): IdentifyMessage => ({
  publicKey: next.publicKey ?? one.publicKey,
  listenAddrs: [...one.listenAddrs, ...next.listenAddrs].slice(0, identifyAddressesMax),
  protocols: [...new Set([...one.protocols, ...next.protocols])].slice(0, identifyProtocolsMax),
  observedAddr: next.observedAddr ?? one.observedAddr,
  protocolVersion: next.protocolVersion ?? one.protocolVersion,
  agentVersion: next.agentVersion ?? one.agentVersion,
  signedPeerRecord: next.signedPeerRecord ?? one.signedPeerRecord
})

/** Reads an answer from a stream: `receive` what comes, and `end` when the other side writes no more. */
export class IdentifyReader {
  private readonly frames: FrameReader
  private told: IdentifyMessage | undefined
  private count = 0

  /** `bytesMax`: bytes of one message. */
  constructor(bytesMax: number = identifyMessageBytesMax) {
    this.frames = new FrameReader(bytesMax)
  }

  /** Bytes in any pieces. A fault: nothing of this answer is to be used, and the stream is to be reset. */
  receive(bytes: Uint8Array): Libp2pFault | undefined {
    this.frames.push(bytes)
    for (;;) {
      const frame = this.frames.next()
      if (frame === undefined || frame instanceof Libp2pFault) return frame
      if (this.count === identifyMessagesMax)
        return cheapFault("protocol", "InvalidMessageError", `identify: more than ${identifyMessagesMax} messages`)
      this.count++
      const next = decodeIdentify(frame)
      if (next instanceof Libp2pFault) return next
      this.told = this.told === undefined ? next : joined(this.told, next)
    }
  }

  /** The whole answer. A fault: there was none, or it broke off. */
  end(): IdentifyMessage | Libp2pFault {
    if (this.frames.rest().length > 0)
      return cheapFault("decode", "InvalidMessageError", "identify: the stream ended inside a message")
    return this.told ?? cheapFault("decode", "InvalidMessageError", "identify: the stream ended without a message")
  }
}
