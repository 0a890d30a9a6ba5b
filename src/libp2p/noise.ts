/**
 * Noise as libp2p uses it (libp2p specs, noise): the pattern XX, whose second and third payload say who one is, signed by the
 * identity's key, and which muxers one speaks.
 */
import { assert } from "../assert.ts"
import { concat, fromUtf8, utf8 } from "../codec/bytes.ts"
import type { AeadEngine } from "../crypto/chacha.ts"
import { loadAead } from "../crypto/chacha-engine.ts"
import { type X25519KeyPair, x25519Bytes, x25519KeyPair } from "../crypto/x25519.ts"
import type { Handshake, HandshakeInit, HandshakeStep, Identity, PublicKey } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { publicKeyFromProtobuf } from "./key.ts"
import { NoiseFrames, noiseFrame } from "./noise-frame.ts"
import { noiseSession } from "./noise-session.ts"
import { noiseFault, XxHandshake } from "./noise-xx.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { bytesField, bytesOf, message, readFields, repeatedBytesOf } from "./protobuf.ts"

export const noiseProtocol = "/noise"

const signedHead = utf8("noise-libp2p-static-key:")
const none = new Uint8Array(0)

/** Names and numbers of NoiseHandshakePayload and NoiseExtensions. Extension 1, webtransport_certhashes, is not for us. */
const field = { identityKey: 1, identitySignature: 2, extensions: 4, streamMuxers: 2 } as const

/** What all handshakes of an identity share: made once, so that the signature is. */
export interface NoiseKeys {
  readonly identity: Identity
  readonly staticKey: X25519KeyPair
  /** The beginning of each payload: our identity's key, and its signature over the static key. */
  readonly claim: Uint8Array
  readonly engine: AeadEngine
}

/** `random`: asked for the static key's secret. `engine`: the fastest that loads, if none is given. */
export const noiseKeys = (
  identity: Identity,
  random: (length: number) => Uint8Array,
  engine: AeadEngine = loadAead("auto")!
): NoiseKeys => {
  const staticKey = x25519KeyPair(random(x25519Bytes))
  const claim = message(
    bytesField(field.identityKey, identity.privateKey.publicKey.protobuf),
    bytesField(field.identitySignature, identity.privateKey.sign(concat(signedHead, staticKey.publicKey)))
  )
  return { identity, staticKey, claim, engine }
}

/** What we say in our payload. */
const payloadOf = (keys: NoiseKeys, muxers: ReadonlyArray<string>): Uint8Array =>
  muxers.length === 0
    ? keys.claim
    : message(
        keys.claim,
        bytesField(field.extensions, message(...muxers.map((muxer) => bytesField(field.streamMuxers, muxer))))
      )

/** What the other's payload says: who it is, and the muxers that it speaks, in its order. */
interface Claim {
  readonly key: PublicKey
  readonly muxers: ReadonlyArray<string>
}

const muxersOf = (extensions: Uint8Array | undefined): ReadonlyArray<string> | Libp2pFault => {
  const fields = readFields(extensions ?? none)
  if (fields instanceof Libp2pFault) return fields
  return repeatedBytesOf(fields, field.streamMuxers).flatMap((bytes) => fromUtf8(bytes) ?? [])
}

const readClaim = (payload: Uint8Array, staticKey: Uint8Array): Claim | Libp2pFault => {
  const fields = readFields(payload)
  if (fields instanceof Libp2pFault) return fields
  const identityKey = bytesOf(fields, field.identityKey)
  const signature = bytesOf(fields, field.identitySignature)
  if (identityKey === undefined || signature === undefined) return noiseFault("the peer does not say who it is")
  const key = publicKeyFromProtobuf(identityKey)
  if (key instanceof Libp2pFault) return key
  if (!key.verify(concat(signedHead, staticKey), signature)) return noiseFault("the peer's signature is not its own")
  const muxers = muxersOf(bytesOf(fields, field.extensions))
  return muxers instanceof Libp2pFault ? muxers : { key, muxers }
}

/** The first muxer of the one who began that the other speaks, too. Undefined: one of them told none. */
const chooseMuxer = (first: ReadonlyArray<string>, second: ReadonlyArray<string>): string | undefined | Libp2pFault => {
  if (first.length === 0 || second.length === 0) return undefined
  return (
    first.find((muxer) => second.includes(muxer)) ??
    cheapFault("unsupported", "UnsupportedProtocolError", "noise: no muxer is spoken by both")
  )
}

/** The machine of one handshake. `keys`: those of the same identity. */
export const makeNoise = (init: HandshakeInit, keys: NoiseKeys): Handshake => {
  assert(keys.identity.peerId.equals(init.identity.peerId), "the keys of noise are those of the identity")
  const dialer = init.role === "dialer"
  const frames = new NoiseFrames()
  const xx = new XxHandshake({
    initiator: dialer,
    prologue: none,
    staticKey: keys.staticKey,
    ephemeral: x25519KeyPair(init.random(x25519Bytes)),
    engine: keys.engine
  })
  let greeted = false

  const failed = (fault: Libp2pFault): HandshakeStep => ({ _tag: "Failed", fault })

  /** The other's payload is here: it is judged, answered by whoever began, and then all is under the session. */
  const finish = (payload: Uint8Array): HandshakeStep => {
    const claim = readClaim(payload, xx.remoteStatic!)
    if (claim instanceof Libp2pFault) return failed(claim)
    const remotePeer = peerIdOfKey(claim.key)
    if (init.expected !== undefined && !init.expected.equals(remotePeer))
      return failed(
        cheapFault("verify", "UnexpectedPeerError", `${init.expected} was expected, and ${remotePeer} answered`, {
          expected: init.expected.toString(),
          actual: remotePeer.toString()
        })
      )
    const earlyMuxer = dialer ? chooseMuxer(init.muxers, claim.muxers) : chooseMuxer(claim.muxers, init.muxers)
    if (earlyMuxer instanceof Libp2pFault) return failed(earlyMuxer)
    const answer = dialer ? xx.write(payloadOf(keys, init.muxers)) : undefined
    if (answer instanceof Libp2pFault) return failed(answer)
    const { sending, receiving, hash } = xx.split()
    const session = noiseSession({ remote: claim.key, remotePeer, earlyMuxer, binding: hash, sending, receiving })
    return { _tag: "Secured", send: answer && noiseFrame(answer), session, rest: frames.rest() }
  }

  /** What whoever begins says first has nothing of worth in its payload: nobody vouches for it. */
  const greet = (): HandshakeStep => {
    greeted = true
    const answer = xx.write(payloadOf(keys, init.muxers))
    return answer instanceof Libp2pFault ? failed(answer) : { _tag: "More", send: noiseFrame(answer) }
  }

  return {
    start: () => {
      if (!dialer) return undefined
      const first = xx.write(none)
      assert(!(first instanceof Libp2pFault), "a first message needs nothing of the other")
      return noiseFrame(first)
    },
    receive: (bytes) => {
      frames.push(bytes)
      let step: HandshakeStep = { _tag: "More", send: undefined }
      while (step._tag === "More") {
        const frame = frames.next()
        if (frame === undefined) return step
        const payload = xx.read(frame)
        if (payload instanceof Libp2pFault) return failed(payload)
        step = dialer || greeted ? finish(payload) : greet()
      }
      return step
    }
  }
}
