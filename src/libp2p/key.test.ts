/** Keys of libp2p: what the specs, go-libp2p and js-libp2p wrote down, both ways against @libp2p/crypto, and every broken byte. */
import { describe, expect, test } from "bun:test"
import * as oracle from "@libp2p/crypto/keys"
import vectors from "../../test/vectors/libp2p-keys.json"
import { published } from "../../test/vectors/published.ts"
import { equal, utf8 } from "../codec/bytes.ts"
import { signatureFromDer, signatureToDer } from "../crypto/secp256k1.ts"
import { makeDice } from "../sim/dice.ts"
import type { KeyType, PrivateKey, PublicKey } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import {
  generateKey,
  keyFromSeed,
  privateKeyFromProtobuf,
  privateKeyFromRaw,
  privateKeyToProtobuf,
  publicKeyFromProtobuf,
  publicKeyFromRaw
} from "./key.ts"
import { encodeVarint } from "./varint.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
const some = <A>(value: A | Libp2pFault): A => {
  if (value instanceof Libp2pFault) throw value
  return value
}
const refusal = (value: unknown): string => (value instanceof Libp2pFault ? String(value) : "taken")
const types: ReadonlyArray<KeyType> = ["Ed25519", "RSA", "ECDSA", "secp256k1"]
const dice = makeDice(1)
const made = new Map(types.map((type) => [type, some(generateKey(type, { random: dice.bytes }))]))
const keyOf = (type: KeyType): PrivateKey => made.get(type)!

describe("what others wrote", () => {
  test.each(vectors.specs)("the specs' key of $type: its public half, and the same bytes again", (row) => {
    const key = some(privateKeyFromProtobuf(hex(row.private)))
    expect(key.type).toBe(row.type as KeyType)
    expect(key.publicKey.protobuf.toHex()).toBe(row.public)
    expect(privateKeyToProtobuf(key).toHex()).toBe(row.private)
    expect(some(publicKeyFromProtobuf(hex(row.public))).equals(key.publicKey)).toBe(true)
  })

  test.each(vectors.go)("go-libp2p's key of $type and its signature", (row) => {
    const message = utf8("Libp2p is the _best_!")
    const key = some(privateKeyFromProtobuf(hex(row.private)))
    expect(key.publicKey.protobuf.toHex()).toBe(row.public)
    expect(privateKeyToProtobuf(key).toHex()).toBe(row.private)
    expect(key.publicKey.verify(message, hex(row.signature))).toBe(true)
    // RSA signs without chance, secp256k1 with that of RFC 6979.
    if (row.type !== "ECDSA") expect(key.sign(message).toHex()).toBe(row.signature)
  })

  test.each(vectors.js)("js-libp2p's Ed25519 keys made by go: $name", (row) => {
    const key = some(privateKeyFromProtobuf(hex(row.private)))
    expect(key.publicKey.protobuf.toHex()).toBe(row.public)
    expect(key.sign(hex(row.message)).toHex()).toBe(row.signature)
    // The old form of 96 bytes is read, and written as the new one.
    expect(key.raw.length).toBe(64)
    expect(privateKeyToProtobuf(key).subarray(0, 4).toHex()).toBe("08011240")
  })

  const reference = published<{
    readonly peer_id: ReadonlyArray<{
      readonly public_key_protobuf_hex: string
      readonly private_key_protobuf_hex: string | null
      readonly peer_id: string
    }>
  }>("reference-vectors.json")

  test.skipIf(reference === undefined)("the reference's keys, and the id that is a key's text", () => {
    for (const row of reference!.peer_id) {
      const publicKey = some(publicKeyFromProtobuf(hex(row.public_key_protobuf_hex)))
      expect(publicKey.toString()).toBe(row.peer_id)
      if (row.private_key_protobuf_hex !== null)
        expect(some(privateKeyFromProtobuf(hex(row.private_key_protobuf_hex))).publicKey.equals(publicKey)).toBe(true)
    }
  })
})

describe.each([...types])("%s", (type) => {
  const key = keyOf(type)
  const message = dice.bytes(100)

  test("is saved and read again, whole and raw", () => {
    const again = some(privateKeyFromProtobuf(privateKeyToProtobuf(key)))
    expect(again.equals(key)).toBe(true)
    expect(again.raw).toEqual(key.raw)
    expect(some(privateKeyFromRaw(type, key.raw)).equals(key)).toBe(true)
    expect(some(publicKeyFromRaw(type, key.publicKey.raw)).equals(key.publicKey)).toBe(true)
    expect(some(publicKeyFromProtobuf(key.publicKey.protobuf)).verify(message, again.sign(message))).toBe(true)
  })

  test("what it keeps is its own: bytes that are changed later change nothing", () => {
    const saved = privateKeyToProtobuf(key)
    const shown = key.publicKey.protobuf.slice()
    const [mine, theirs] = [some(privateKeyFromProtobuf(saved)), some(publicKeyFromProtobuf(shown))]
    saved.fill(0)
    shown.fill(0)
    expect(theirs.verify(message, mine.sign(message))).toBe(true)
    expect(theirs.equals(key.publicKey)).toBe(true)
  })

  test("the same keys and signatures as @libp2p/crypto, both ways", async () => {
    const theirs = oracle.privateKeyFromProtobuf(privateKeyToProtobuf(key))
    expect(theirs.type).toBe(type)
    expect(oracle.privateKeyToProtobuf(theirs)).toEqual(privateKeyToProtobuf(key))
    if (type === "ECDSA") {
      // js-libp2p signs r ‖ s where the specs have DER, and writes the public key of ECDSA as no one else does.
      expect(await theirs.publicKey.verify(message, signatureFromDer(key.sign(message))!)).toBe(true)
      expect(key.publicKey.verify(message, signatureToDer(await theirs.sign(message)))).toBe(true)
      expect(refusal(publicKeyFromProtobuf(oracle.publicKeyToProtobuf(theirs.publicKey)))).toBe(
        "InvalidPublicKeyError (decode): public key: it is not the DER of a key of P-256"
      )
      return
    }
    expect(await theirs.publicKey.verify(message, key.sign(message))).toBe(true)
    expect(key.publicKey.verify(message, await theirs.sign(message))).toBe(true)
    expect(oracle.publicKeyToProtobuf(theirs.publicKey)).toEqual(key.publicKey.protobuf)
    expect(some(publicKeyFromProtobuf(oracle.publicKeyToProtobuf(theirs.publicKey))).equals(key.publicKey)).toBe(true)
    expect(key.publicKey.toString()).toBe(theirs.publicKey.toString())
    const fresh = await oracle.generateKeyPair(type)
    const ours = some(privateKeyFromProtobuf(oracle.privateKeyToProtobuf(fresh)))
    expect(await fresh.publicKey.verify(message, ours.sign(message))).toBe(true)
    expect(ours.publicKey.protobuf).toEqual(oracle.publicKeyToProtobuf(fresh.publicKey))
  })

  test("cut at any byte, or a byte longer, both protobufs are refused", () => {
    for (const [whole, read] of [
      [key.publicKey.protobuf, publicKeyFromProtobuf],
      [privateKeyToProtobuf(key), privateKeyFromProtobuf]
    ] as const) {
      for (let length = 0; length < whole.length; length++)
        expect([length, read(whole.subarray(0, length))]).toEqual([length, expect.any(Libp2pFault)])
      expect(read(Uint8Array.of(...whole, 0))).toBeInstanceOf(Libp2pFault)
      expect(read(Uint8Array.of(...whole, 0x18, 0x01))).toBeInstanceOf(Libp2pFault)
    }
  })

  test("a flipped bit is refused, or is another key; what is read is written the same", () => {
    for (const [whole, read, write] of [
      [key.publicKey.protobuf, publicKeyFromProtobuf, (it: PublicKey) => it.protobuf],
      [privateKeyToProtobuf(key), privateKeyFromProtobuf, privateKeyToProtobuf]
    ] as ReadonlyArray<
      [Uint8Array, (b: Uint8Array) => { equals: (o: unknown) => boolean } | Libp2pFault, (it: never) => Uint8Array]
    >) {
      const all =
        whole.length > 200
          ? Array.from({ length: 400 }, () => dice.int(whole.length * 8))
          : [...new Array(whole.length * 8).keys()]
      for (const bit of all) {
        const changed = whole.slice()
        changed[bit >> 3]! ^= 1 << (bit & 7)
        const other = read(changed)
        if (other instanceof Libp2pFault) continue
        expect(write(other as never)).toEqual(changed)
        expect([bit, other.equals(whole === key.publicKey.protobuf ? key.publicKey : key)]).toEqual([bit, false])
      }
    }
  })

  test("the secret is in no log and no JSON", () => {
    const shown = `${Bun.inspect(key, { depth: 9 })} ${JSON.stringify(key)} ${String(key)}`
    const secret = type === "RSA" ? key.raw.slice(300, 330) : key.raw.slice(7, 32)
    const found = [
      secret.toHex(),
      [...secret].join(","),
      [...secret].join(", "),
      Buffer.from(secret).toString("base64")
    ]
    expect(found.filter((text) => shown.includes(text))).toEqual([])
    expect(shown).toContain(key.publicKey.toString())
  })
})

describe("the protobuf has one form", () => {
  const raw = keyOf("Ed25519").publicKey.raw
  const data = Uint8Array.of(0x12, 32, ...raw)

  test("another order, a field too many or twice, no type, and longer varints are refused", () => {
    const bad = [
      [...data, 0x08, 0x01],
      [0x08, 0x01, ...data, 0x18, 0x00],
      [0x08, 0x01, 0x08, 0x01, ...data],
      [0x08, 0x01, ...data, ...data],
      [...data],
      [0x08, 0x81, 0x00, ...data],
      [0x08, 0x01, 0x12, 0xa0, 0x00, ...raw],
      [0x08, 0x01],
      []
    ]
    for (const bytes of bad)
      expect(refusal(publicKeyFromProtobuf(Uint8Array.from(bytes)))).toStartWith(
        "InvalidPublicKeyError (decode): key: "
      )
    expect(refusal(publicKeyFromProtobuf(Uint8Array.of(0x08, 0x01, ...data)))).toBe("taken")
  })

  test("a type that is none of the four is not supported; a key longer than any is not read", () => {
    expect(refusal(publicKeyFromProtobuf(Uint8Array.of(0x08, 0x04, ...data)))).toBe(
      "UnsupportedKeyTypeError (unsupported): key: its type is 4"
    )
    expect(refusal(privateKeyFromProtobuf(new Uint8Array(10_000)))).toBe(
      "InvalidPrivateKeyError (decode): key: 10000 bytes, 4808 at most"
    )
  })

  test("RSA of 1024 bits is refused, and so are Ed25519 keys whose halves do not belong together", () => {
    const small = hex(`30819f300d06092a864886f70d010101050003818d0030818902818100${"ff".repeat(128)}0203010001`)
    expect(refusal(publicKeyFromRaw("RSA", small))).toBe(
      "InvalidPublicKeyError (decode): public key: RSA has 2048 to 8192 bits"
    )
    const [seed, half] = [keyOf("Ed25519").raw.subarray(0, 32), keyOf("Ed25519").raw.subarray(32)]
    const other = half.slice()
    other[0]! ^= 1
    const wrong = [[seed, other], [seed, half, other], [seed, other, half], [seed], [seed, half, half, half]]
    for (const parts of wrong)
      expect(refusal(privateKeyFromRaw("Ed25519", Uint8Array.from(parts.flatMap((part) => [...part]))))).toStartWith(
        "InvalidPrivateKeyError (decode): private key: "
      )
  })

  test("no bytes make it throw", () => {
    const whole = types.flatMap((type) => [keyOf(type).publicKey.protobuf, privateKeyToProtobuf(keyOf(type))])
    for (let i = 0; i < 4_000; i++) {
      const bytes = dice.chance(0.7)
        ? dice.mutate(dice.pick(whole))
        : Uint8Array.of(0x08, dice.int(5), 0x12, ...encodeVarint(dice.int(300)), ...dice.bytes(dice.int(300)))
      const read = [publicKeyFromProtobuf(bytes), privateKeyFromProtobuf(bytes)] as const
      if (!(read[0] instanceof Libp2pFault)) expect(read[0].protobuf).toEqual(bytes)
      if (!(read[1] instanceof Libp2pFault))
        expect(privateKeyFromProtobuf(privateKeyToProtobuf(read[1]))).toEqual(read[1])
    }
  })
})

describe("new keys", () => {
  test("the same chance makes the same key; RSA takes the platform's", () => {
    for (const type of ["Ed25519", "ECDSA", "secp256k1"] as const) {
      const twice = [1, 1, 2].map((seed) => some(generateKey(type, { random: makeDice(seed).bytes })))
      expect(twice[0]!.equals(twice[1]!)).toBe(true)
      expect(twice[0]!.equals(twice[2]!)).toBe(false)
      expect(some(generateKey(type)).equals(some(generateKey(type)))).toBe(false)
    }
    expect(keyOf("RSA").publicKey.raw.length).toBe(294)
  })

  test("a seed is an Ed25519 key of @libp2p/crypto too", async () => {
    const seed = dice.bytes(32)
    const theirs = await oracle.generateKeyPairFromSeed("Ed25519", seed)
    expect(privateKeyToProtobuf(some(keyFromSeed(seed)))).toEqual(oracle.privateKeyToProtobuf(theirs))
    expect(refusal(keyFromSeed(seed.subarray(1)))).toBe("InvalidParametersError (input): a seed has 32 bytes, not 31")
  })

  test("bits that RSA may not have are the caller's fault", () => {
    for (const bits of [1_024, 8_193, 2_048.5, Number.NaN])
      expect(refusal(generateKey("RSA", { bits }))).toBe("InvalidParametersError (input): RSA has 2048 to 8192 bits")
  })

  test("keys are equal by type and bytes, and to nothing else", () => {
    const { publicKey } = keyOf("Ed25519")
    expect(publicKey.equals({ type: "Ed25519", raw: publicKey.raw.slice() })).toBe(true)
    expect(
      [
        { type: "RSA", raw: publicKey.raw },
        { type: "Ed25519", raw: "x" },
        null,
        undefined,
        publicKey.toString(),
        keyOf("RSA").publicKey
      ].map((other) => publicKey.equals(other))
    ).toEqual([false, false, false, false, false, false])
    expect([keyOf("Ed25519").equals(publicKey), keyOf("Ed25519").equals(null)]).toEqual([false, false])
    expect(equal(publicKey.raw, publicKey.protobuf.subarray(4))).toBe(true)
  })
})
