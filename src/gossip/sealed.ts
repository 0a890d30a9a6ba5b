/**
 * The secret form of a datagram, for nodes that have met: each has told the other its X25519 key in a signed hello, so nobody
 * between them reads, changes or makes one. The keys are new at every start.
 */
import { concat, toHex, utf8 } from "../codec/bytes.ts"
import {
  hkdf,
  openBytes,
  sealBytes,
  sealNonceBytes,
  sealTagBytes,
  x25519PublicOf,
  x25519Shared
} from "../crypto/x25519.ts"
import { forms, sealHintBytes } from "./announcement.ts"

export interface GossipKey {
  readonly secret: Uint8Array
  readonly publicKey: Uint8Array
}

/** The key pair of 32 random bytes. */
export const gossipKeyOf = (secret: Uint8Array): GossipKey => ({ secret, publicKey: x25519PublicOf(secret) })

/** One direction between two nodes. */
interface Way {
  readonly key: Uint8Array
  /** What a datagram says of the key that opens it. */
  readonly hint: Uint8Array
}

/** What two nodes share: a key for each direction. */
export interface Box {
  readonly out: Way
  readonly in: Way
}

const tag = utf8("cairn/gossip-seal")
const head = 1 + sealHintBytes

/** The box of two nodes on the chain of this genesis; undefined: the other's key is none. */
export const makeBox = (ours: GossipKey, theirs: Uint8Array, genesis: Uint8Array): Box | undefined => {
  const shared = x25519Shared(ours.secret, theirs)
  if (shared === undefined) return undefined
  const way = (from: Uint8Array, to: Uint8Array): Way => {
    const bytes = hkdf(shared, genesis, concat(tag, from, to), 32 + sealHintBytes)
    return { key: bytes.subarray(0, 32), hint: bytes.subarray(32) }
  }
  return { out: way(ours.publicKey, theirs), in: way(theirs, ours.publicKey) }
}

/** The datagram of a packet. `nonce`: 12 random bytes. */
export const sealPacket = ({ out }: Box, packet: Uint8Array, nonce: Uint8Array): Uint8Array => {
  const open = concat(new Uint8Array([forms.sealed]), out.hint)
  return concat(open, nonce, sealBytes(out.key, nonce, open, packet))
}

/** Which key opens a datagram of the secret form, as a text; undefined: it is too short for one. */
export const hintOf = (datagram: Uint8Array): string | undefined =>
  datagram.length < head + sealNonceBytes + sealTagBytes ? undefined : toHex(datagram.subarray(1, head))

/** The packet of a datagram with this hint, or undefined if it was not sealed for this box. */
export const openPacket = (box: Box, datagram: Uint8Array): Uint8Array | undefined =>
  openBytes(
    box.in.key,
    datagram.subarray(head, head + sealNonceBytes),
    datagram.subarray(0, head),
    datagram.subarray(head + sealNonceBytes)
  )
