/** What a file that holds a private key may be: the protobuf that all of libp2p saves, also as base64, 64 bytes of Ed25519, or PEM. */
import { fromUtf8 } from "../codec/bytes.ts"
import { ed25519Bytes } from "../crypto/ed25519.ts"
import { pemTextMax, readPem, writePem } from "../crypto/pem.ts"
import type { PrivateKey } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { keyFromSeed, privateKeyFromProtobuf, privateKeyFromRaw } from "./key.ts"

const pemBegins = "-----BEGIN"
/** With its padding, of four letters each: what `fromBase64` takes without throwing. */
const base64Form = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The key of a PEM: Ed25519, RSA or P-256, not encrypted. A fault (decode): there is none. */
export const privateKeyFromPem = (text: string): PrivateKey | Libp2pFault => {
  const read = readPem(text)
  if (read === undefined)
    return cheapFault(
      "decode",
      "InvalidPrivateKeyError",
      "private key: the PEM holds no key of Ed25519, RSA or P-256, or an encrypted one"
    )
  return read.type === "Ed25519" ? keyFromSeed(read.secret) : privateKeyFromRaw(read.type, read.secret)
}

/** PKCS #8 as PEM. A fault (unsupported): secp256k1, which this form is not used for. */
export const privateKeyToPem = (key: PrivateKey): string | Libp2pFault => {
  if (key.type === "secp256k1")
    return new Libp2pFault("unsupported", "UnsupportedKeyTypeError", "a key of secp256k1 is not written as PEM")
  return writePem({ type: key.type, secret: key.type === "Ed25519" ? key.raw.subarray(0, ed25519Bytes) : key.raw })
}

/** The key that a file holds, in whichever of the four forms. A fault: decode, or unsupported for another type. */
export const privateKeyFromFile = (bytes: Uint8Array): PrivateKey | Libp2pFault => {
  // No protobuf of a key is 64 bytes long, nor has its base64 64 letters; and it begins with 8, which is no letter.
  if (bytes.length === 64) return privateKeyFromRaw("Ed25519", bytes)
  const text = bytes[0] !== 8 && bytes.length <= pemTextMax ? fromUtf8(bytes)?.trim() : undefined
  if (text?.startsWith(pemBegins)) return privateKeyFromPem(text)
  return privateKeyFromProtobuf(text !== undefined && base64Form.test(text) ? Uint8Array.fromBase64(text) : bytes)
}
