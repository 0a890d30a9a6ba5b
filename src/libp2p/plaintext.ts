/**
 * /plaintext/2.0.0 (libp2p specs, plaintext): both say who they are, nobody proves it, nothing is hidden. For tests of what stands
 * above it; `createLibp2p` refuses it elsewhere.
 */
import { concatAll, equal } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Handshake, HandshakeInit, HandshakeStep, PublicKey, SecureSession } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { FrameReader, frameOf } from "./frame.ts"
import { publicKeyFromProtobuf } from "./key.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { bytesField, bytesOf, message, readFields } from "./protobuf.ts"

export const plaintextProtocol = "/plaintext/2.0.0"
/** Bytes of an exchange: an RSA key of 8,192 bits and its id have 1,100. More: refused before they are kept. */
export const plaintextExchangeBytesMax = 4_096

const wrong = (what: string): Libp2pFault => cheapFault("verify", "InvalidCryptoExchangeError", `plaintext: ${what}`)

const readExchange = (bytes: Uint8Array): PublicKey | Libp2pFault => {
  const fields = readFields(bytes)
  if (fields instanceof Libp2pFault) return fields
  const id = bytesOf(fields, 1)
  const keyBytes = bytesOf(fields, 2)
  if (id === undefined || keyBytes === undefined) return wrong("the peer does not say who it is")
  const key = publicKeyFromProtobuf(keyBytes)
  if (key instanceof Libp2pFault) return key
  return equal(peerIdOfKey(key).bytes, id) ? key : wrong("the peer's id is not that of its key")
}

/** The session copies: what it is given is handed over. Its binding is a hash of both exchanges, which everybody can see. */
const sessionOf = (remote: PublicKey, binding: Uint8Array): SecureSession => ({
  remote,
  remotePeer: peerIdOfKey(remote),
  earlyMuxer: undefined,
  binding,
  seal: (parts) => concatAll(parts),
  open: (bytes, take) => {
    if (bytes.length > 0) take(bytes)
    return undefined
  }
})

/** The machine of one exchange. Both sides send at once. */
export const makePlaintext = (init: HandshakeInit): Handshake => {
  const own = message(
    bytesField(1, init.identity.peerId.bytes),
    bytesField(2, init.identity.privateKey.publicKey.protobuf)
  )
  const frames = new FrameReader(plaintextExchangeBytesMax)
  const finish = (exchange: Uint8Array): HandshakeStep => {
    const remote = readExchange(exchange)
    if (remote instanceof Libp2pFault) return { _tag: "Failed", fault: remote }
    const actual = peerIdOfKey(remote)
    if (init.expected !== undefined && !init.expected.equals(actual)) {
      const context = { expected: init.expected.toString(), actual: actual.toString() }
      const fault = cheapFault(
        "verify",
        "UnexpectedPeerError",
        "plaintext: another peer answered than was meant",
        context
      )
      return { _tag: "Failed", fault }
    }
    const binding = sha256(concatAll(init.role === "dialer" ? [own, exchange] : [exchange, own]))
    return { _tag: "Secured", send: undefined, session: sessionOf(remote, binding), rest: frames.rest() }
  }
  return {
    start: () => frameOf(own),
    receive: (bytes) => {
      frames.push(bytes)
      const exchange = frames.next()
      if (exchange instanceof Libp2pFault) return { _tag: "Failed", fault: exchange }
      return exchange === undefined ? { _tag: "More", send: undefined } : finish(exchange)
    }
  }
}
