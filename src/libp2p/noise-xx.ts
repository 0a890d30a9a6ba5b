/**
 * The pattern XX of Noise with X25519, ChaCha20-Poly1305 and SHA-256 (noiseprotocol.org, revision 34): three messages, each with a
 * payload, then a key for each direction. What libp2p puts into the payloads is in noise.ts.
 */
import { assert } from "../assert.ts"
import { concat, utf8 } from "../codec/bytes.ts"
import { type AeadEngine, type AeadKey, aeadKeyBytes, aeadNonceBytes, aeadTagBytes } from "../crypto/chacha.ts"
import { sha256 } from "../crypto/hash.ts"
import { hkdf, type X25519KeyPair, x25519Bytes } from "../crypto/x25519.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"

const protocolName = utf8("Noise_XX_25519_ChaChaPoly_SHA256")
const none = new Uint8Array(0)
/** Nonces of one key. Noise has 2^64 - 1; so many as a number counts without error are 5 * 10^20 bytes of full frames. */
export const noncesMax = Number.MAX_SAFE_INTEGER

export const noiseFault = (message: string): Libp2pFault =>
  cheapFault("verify", "InvalidCryptoExchangeError", `noise: ${message}`)

/** Little-endian. */
const writeUint32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** One direction's key and its counter: Noise's CipherState. */
export class CipherState {
  private readonly key: AeadKey
  private readonly nonce = new Uint8Array(aeadNonceBytes)
  private counter: number

  constructor(key: AeadKey, counter = 0) {
    this.key = key
    this.counter = counter
  }

  /** May so many more be sealed? */
  has(count: number): boolean {
    return this.counter <= noncesMax - count
  }

  /** `out` has 16 bytes more than `plain`, which may be its beginning. `has` was asked. */
  seal(beside: Uint8Array, plain: Uint8Array, out: Uint8Array): void {
    this.key.seal(this.next(), beside, plain, out)
  }

  /** False: what came is not what comes next under this key, or the counter is at its end. */
  open(beside: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean {
    return this.has(1) && this.key.open(this.next(), beside, sealed, out)
  }

  /** 32 zero bits and the counter, 64 bits, little-endian. */
  private next(): Uint8Array {
    assert(this.has(1), "a nonce is used once")
    const { nonce } = this
    writeUint32(nonce, 4, this.counter >>> 0)
    writeUint32(nonce, 8, Math.floor(this.counter / 0x1_0000_0000))
    this.counter++
    return nonce
  }
}

/** What the two know of each other so far, as one hash, and the key that follows from it: Noise's SymmetricState. */
class SymmetricState {
  /** The name has 32 bytes and so stands for itself. */
  hash: Uint8Array = protocolName
  private chainingKey: Uint8Array = protocolName
  private cipher: CipherState | undefined
  private readonly engine: AeadEngine

  constructor(engine: AeadEngine, prologue: Uint8Array) {
    this.engine = engine
    this.mixHash(prologue)
  }

  mixHash(bytes: Uint8Array): void {
    this.hash = sha256(concat(this.hash, bytes))
  }

  mixKey(shared: Uint8Array): void {
    const keys = hkdf(shared, this.chainingKey, none, 2 * aeadKeyBytes)
    this.chainingKey = keys.subarray(0, aeadKeyBytes)
    this.cipher = new CipherState(this.engine.key(keys.subarray(aeadKeyBytes)))
  }

  encrypt(plain: Uint8Array): Uint8Array {
    const out = new Uint8Array(plain.length + this.overhead())
    if (this.cipher === undefined) out.set(plain)
    else this.cipher.seal(this.hash, plain, out)
    this.mixHash(out)
    return out
  }

  decrypt(sealed: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - this.overhead()
    if (length < 0) return undefined
    const out = new Uint8Array(length)
    if (this.cipher === undefined) out.set(sealed)
    else if (!this.cipher.open(this.hash, sealed, out)) return undefined
    this.mixHash(sealed)
    return out
  }

  overhead(): number {
    return this.cipher === undefined ? 0 : aeadTagBytes
  }

  /** The keys of the one who began, and of the other. */
  split(): readonly [AeadKey, AeadKey] {
    const keys = hkdf(none, this.chainingKey, none, 2 * aeadKeyBytes)
    return [this.engine.key(keys.subarray(0, aeadKeyBytes)), this.engine.key(keys.subarray(aeadKeyBytes))]
  }
}

type Token = "e" | "s" | "ee" | "es" | "se"
const messages: ReadonlyArray<ReadonlyArray<Token>> = [["e"], ["e", "ee", "s", "es"], ["s", "se"]]

export interface XxInit {
  /** Do we begin? */
  readonly initiator: boolean
  readonly prologue: Uint8Array
  readonly staticKey: X25519KeyPair
  /** Used for this handshake only. */
  readonly ephemeral: X25519KeyPair
  readonly engine: AeadEngine
}

/** One handshake. The messages are written and read in turn; the caller knows whose turn it is. */
export class XxHandshake {
  /** The other's keys, as they came. */
  remoteStatic: Uint8Array | undefined
  private remoteEphemeral: Uint8Array | undefined
  private readonly init: XxInit
  private readonly state: SymmetricState
  private turn = 0

  constructor(init: XxInit) {
    this.init = init
    this.state = new SymmetricState(init.engine, init.prologue)
  }

  /** Our next message. A fault: the other's key is one with which every secret comes to nothing. */
  write(payload: Uint8Array): Uint8Array | Libp2pFault {
    const parts: Array<Uint8Array> = []
    for (const token of this.tokens(true)) {
      if (token === "e") {
        this.state.mixHash(this.init.ephemeral.publicKey)
        parts.push(this.init.ephemeral.publicKey)
      } else if (token === "s") parts.push(this.state.encrypt(this.init.staticKey.publicKey))
      else if (!this.agree(token)) return noiseFault("a key of the peer is no key")
    }
    parts.push(this.state.encrypt(payload))
    return concat(...parts)
  }

  /** The payload of the other's next message. A fault: it is not that message. */
  read(message: Uint8Array): Uint8Array | Libp2pFault {
    let offset = 0
    for (const token of this.tokens(false)) {
      if (token === "e" || token === "s") {
        const length = x25519Bytes + (token === "s" ? this.state.overhead() : 0)
        const bytes = message.subarray(offset, offset + length)
        if (bytes.length < length) return noiseFault("a message of the handshake is too short")
        offset += length
        if (!this.take(token, bytes)) return noiseFault("a static key does not decrypt")
      } else if (!this.agree(token)) return noiseFault("a key of the peer is no key")
    }
    return this.state.decrypt(message.subarray(offset)) ?? noiseFault("a payload of the handshake does not decrypt")
  }

  /** After three messages: a cipher for each direction, and the hash of all that was said. */
  split(): { readonly sending: CipherState; readonly receiving: CipherState; readonly hash: Uint8Array } {
    assert(this.turn === messages.length, "a handshake that is done is split")
    const [first, second] = this.state.split()
    const [sending, receiving] = this.init.initiator ? [first, second] : [second, first]
    return { sending: new CipherState(sending), receiving: new CipherState(receiving), hash: this.state.hash }
  }

  private tokens(writing: boolean): ReadonlyArray<Token> {
    const ours = (this.turn % 2 === 0) === this.init.initiator
    assert(this.turn < messages.length && ours === writing, "the messages of a handshake go in turn")
    return messages[this.turn++]!
  }

  private take(token: "e" | "s", bytes: Uint8Array): boolean {
    if (token === "e") {
      this.remoteEphemeral = bytes.slice()
      this.state.mixHash(bytes)
      return true
    }
    this.remoteStatic = this.state.decrypt(bytes)
    return this.remoteStatic !== undefined
  }

  /** The first letter is the key of the one who began, the second that of the other. */
  private agree(token: "ee" | "es" | "se"): boolean {
    const [own, other] = this.init.initiator ? token : [token[1], token[0]]
    const key = own === "e" ? this.init.ephemeral : this.init.staticKey
    const shared = key.shared((other === "e" ? this.remoteEphemeral : this.remoteStatic) ?? none)
    if (shared !== undefined) this.state.mixKey(shared)
    return shared !== undefined
  }
}
