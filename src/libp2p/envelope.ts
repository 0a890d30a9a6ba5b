/**
 * Signed envelopes (libp2p specs, RFC 0002): bytes of some type, signed by a peer for one purpose. The domain is signed with
 * them and not sent, so that what was signed for one purpose proves nothing for another.
 */
import { concatAll, equal, utf8 } from "../codec/bytes.ts"
import { envelopeBytesMax } from "../limits.ts"
import type { PrivateKey, PublicKey } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { publicKeyFromProtobuf } from "./key.ts"
import { bytesField, bytesOf, message, readFields } from "./protobuf.ts"
import { encodeVarint } from "./varint.ts"

/** What an envelope is for. */
export interface EnvelopeKind {
  readonly domain: string
  /** Bytes of the multicodec table, or of a text. */
  readonly payloadType: Uint8Array
}

/** An envelope whose signature holds. */
export interface Envelope {
  readonly publicKey: PublicKey
  readonly kind: EnvelopeKind
  readonly payload: Uint8Array
}

/** Each of the three with its length before it. */
const signedBytes = ({ domain, payloadType }: EnvelopeKind, payload: Uint8Array): Uint8Array =>
  concatAll([utf8(domain), payloadType, payload].flatMap((part) => [encodeVarint(part.length), part]))

/** The envelope as it is sent. */
export const sealEnvelope = (key: PrivateKey, kind: EnvelopeKind, payload: Uint8Array): Uint8Array =>
  message(
    bytesField(1, key.publicKey.protobuf),
    bytesField(2, kind.payloadType),
    bytesField(3, payload),
    bytesField(5, key.sign(signedBytes(kind, payload)))
  )

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMessageError", `envelope: ${what}`)

/**
 * Opens an envelope of one of those kinds. A fault: decode; unsupported for a type of payload, or of key, that is none of them;
 * verify, where the signature is not that of the key for this purpose.
 */
export const openEnvelope = (bytes: Uint8Array, kinds: ReadonlyArray<EnvelopeKind>): Envelope | Libp2pFault => {
  if (bytes.length > envelopeBytesMax) return wrong(`more than ${envelopeBytesMax} bytes`)
  const fields = readFields(bytes, 32)
  if (fields instanceof Libp2pFault) return fields
  const [key, type, payload, signature] = [1, 2, 3, 5].map((number) => bytesOf(fields, number))
  if (key === undefined || type === undefined || payload === undefined || signature === undefined)
    return wrong("it lacks the key, the type, the payload or the signature")
  const kind = kinds.find(({ payloadType }) => equal(payloadType, type))
  if (kind === undefined)
    return cheapFault("unsupported", "InvalidMessageError", `envelope: its type is ${type.subarray(0, 32).toHex()}`)
  const publicKey = publicKeyFromProtobuf(key)
  if (publicKey instanceof Libp2pFault) return publicKey
  if (!publicKey.verify(signedBytes(kind, payload), signature))
    return cheapFault("verify", "InvalidMessageError", `envelope: the signature does not hold for ${kind.domain}`)
  return { publicKey, kind, payload }
}
