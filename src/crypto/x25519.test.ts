/** X25519, HKDF and the seal against published figures, and against every changed byte. */
import { expect, test } from "bun:test"
import { published } from "../../test/vectors/published.ts"
import { toHex } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { hkdf, openBytes, sealBytes, x25519KeyPair, x25519PublicOf, x25519Shared } from "./x25519.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)

test("the keys and the secret of RFC 7748, 6.1", () => {
  const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
  const alice = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
  expect(toHex(x25519PublicOf(bob))).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
  expect(toHex(x25519Shared(bob, alice)!)).toBe("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
})

test("both sides come to one secret; keys that bring every secret to nothing are refused", () => {
  const dice = makeDice(1)
  const [a, b] = [dice.bytes(32), dice.bytes(32)]
  expect(x25519Shared(a, x25519PublicOf(b))).toEqual(x25519Shared(b, x25519PublicOf(a))!)
  const one = new Uint8Array(32)
  one[0] = 1
  // RFC 7748, 7: points of small order; the last is one of order 8.
  const small = [new Uint8Array(32), one, hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")]
  expect(small.map((key) => x25519Shared(a, key))).toStrictEqual([undefined, undefined, undefined])
  expect([new Uint8Array(31), new Uint8Array(33)].map((key) => x25519Shared(a, key))).toStrictEqual([undefined, undefined])
})

test("HKDF is that of RFC 5869, A.1", () => {
  const okm = hkdf(new Uint8Array(22).fill(0x0b), hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42)
  expect(toHex(okm)).toBe("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
})

test("the seal is AES-256-GCM: test case 14 of its specification", () => {
  const none = new Uint8Array(0)
  const sealed = sealBytes(new Uint8Array(32), new Uint8Array(12), none, new Uint8Array(16))
  expect(toHex(sealed)).toBe("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
  expect(openBytes(new Uint8Array(32), new Uint8Array(12), none, sealed)).toEqual(new Uint8Array(16))
})

test("no changed byte opens, and nothing throws", () => {
  const dice = makeDice(2)
  const [key, nonce, open, bytes] = [dice.bytes(32), dice.bytes(12), dice.bytes(9), dice.bytes(100)]
  const sealed = sealBytes(key, nonce, open, bytes)
  expect(openBytes(key, nonce, open, sealed)).toEqual(bytes)
  for (let i = 0; i < 500; i++) {
    const changed = dice.mutate(sealed)
    if (toHex(changed) !== toHex(sealed)) expect(openBytes(key, nonce, open, changed)).toBeUndefined()
  }
  for (let length = 0; length < 40; length++) expect(openBytes(key, nonce, open, dice.bytes(length))).toBeUndefined()
  expect(openBytes(key, nonce, dice.bytes(9), sealed)).toBeUndefined()
  expect(openBytes(key, dice.bytes(12), open, sealed)).toBeUndefined()
})

interface Agreements {
  readonly testGroups: ReadonlyArray<{
    readonly tests: ReadonlyArray<{
      readonly tcId: number
      readonly public: string
      readonly private: string
      readonly shared: string
      readonly result: string
      readonly flags: ReadonlyArray<string>
    }>
  }>
}
const agreements = published<Agreements>("wycheproof/x25519_test.json")

test.skipIf(agreements === undefined)(
  "X25519: every case of Wycheproof, by a key that is kept and by one that is not",
  () => {
    const wrong: Array<number> = []
    const cases = agreements!.testGroups.flatMap((group) => group.tests)
    for (const { tcId, shared, flags, ...one } of cases) {
      const [secret, publicKey] = [hex(one.private), hex(one.public)]
      // Points of small order are "acceptable" there; RFC 7748, 6.1 lets us refuse what comes to zero, and we do.
      const wanted = flags.includes("ZeroSharedSecret") ? undefined : shared
      const kept = x25519KeyPair(secret)
      const got = [kept.shared(publicKey), kept.shared(publicKey), x25519Shared(secret, publicKey)]
      if (got.some((bytes) => bytes?.toHex() !== wanted)) wrong.push(tcId)
    }
    expect(wrong).toEqual([])
    expect(cases.length).toBeGreaterThan(500)
  }
)

interface Derivations {
  readonly testGroups: ReadonlyArray<{
    readonly tests: ReadonlyArray<{
      readonly tcId: number
      readonly ikm: string
      readonly salt: string
      readonly info: string
      readonly size: number
      readonly okm: string
      readonly result: string
    }>
  }>
}
const derivations = published<Derivations>("wycheproof/hkdf_sha256_test.json")

test.skipIf(derivations === undefined)("HKDF: every case of Wycheproof; more than 255 hashes there never are", () => {
  const wrong: Array<number> = []
  const cases = derivations!.testGroups.flatMap((group) => group.tests)
  for (const { tcId, ikm, salt, info, size, okm, result } of cases) {
    const derive = (): Uint8Array => hkdf(hex(ikm), hex(salt), hex(info), size)
    if (result === "valid" ? derive().toHex() !== okm : size <= 255 * 32) wrong.push(tcId)
    if (result !== "valid") expect(derive).toThrow()
  }
  expect(wrong).toEqual([])
  expect(cases.length).toBeGreaterThan(80)
})
