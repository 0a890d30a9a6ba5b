/** The four signature schemes of libp2p: every case of Wycheproof, keys in one form only, and no bytes of an attacker that throw. */
import { describe, expect, test } from "bun:test"
import { published } from "../../test/vectors/published.ts"
import { Bug } from "../assert.ts"
import { equal, fromHex } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { ed25519Key, ed25519Verify } from "./ed25519.ts"
import {
  isP256Public,
  isP256Secret,
  p256Key,
  p256KeyFromDer,
  p256PrivateBytes,
  p256PublicBytes,
  p256Verify
} from "./p256.ts"
import { rsaGenerate, rsaKey, rsaPrivateBytesMax, rsaPublicBytesMax, rsaPublicRefusal, rsaVerify } from "./rsa.ts"
import { isSecp256k1Public, secp256k1Key, secp256k1Verify, signatureFromDer, signatureToDer } from "./secp256k1.ts"
import { freshSecret, type SigningKey } from "./signing-key.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

interface Group {
  readonly publicKeyDer: string
  readonly publicKey: { readonly pk?: string; readonly uncompressed?: string }
  readonly tests: ReadonlyArray<{
    readonly tcId: number
    readonly msg: string
    readonly sig: string
    readonly result: "valid" | "invalid" | "acceptable"
    readonly flags: ReadonlyArray<string>
  }>
}
interface Wycheproof {
  readonly testGroups: ReadonlyArray<Group>
}

const compressed = (uncompressed: string): Uint8Array => {
  const bytes = hex(uncompressed)
  const out = bytes.slice(0, 33)
  out[0] = 2 + (bytes[64]! & 1)
  return out
}

const families: ReadonlyArray<{
  readonly file: string
  readonly verify: Verify
  readonly keyOf: (group: Group) => Uint8Array
  readonly least: number
}> = [
  { file: "ed25519_test.json", verify: ed25519Verify, keyOf: ({ publicKey }) => hex(publicKey.pk!), least: 80 },
  {
    file: "ecdsa_secp256r1_sha256_test.json",
    verify: p256Verify,
    keyOf: (group) => hex(group.publicKeyDer),
    least: 150
  },
  // The file for Bitcoin knows low S and strict DER, as we do.
  {
    file: "ecdsa_secp256k1_sha256_bitcoin_test.json",
    verify: secp256k1Verify,
    keyOf: ({ publicKey }) => compressed(publicKey.uncompressed!),
    least: 100
  },
  {
    file: "rsa_signature_2048_sha256_test.json",
    verify: rsaVerify,
    keyOf: (group) => hex(group.publicKeyDer),
    least: 7
  }
]

for (const { file, verify, keyOf, least } of families) {
  const vectors = published<Wycheproof>(`wycheproof/${file}`)
  test.skipIf(vectors === undefined)(`Wycheproof ${file}: what is valid is taken, and nothing else`, () => {
    const wrong: Array<number> = []
    let taken = 0
    for (const group of vectors!.testGroups) {
      const publicKey = keyOf(group)
      for (const { tcId, msg, sig, result, flags } of group.tests) {
        // A padding whose algorithm lacks its NULL is "acceptable" there: either verdict is right.
        const wanted = result === "valid"
        const verdict = verify(publicKey, hex(msg), hex(sig))
        if (verdict !== wanted && !flags.includes("MissingNull")) wrong.push(tcId)
        if (verdict) taken++
      }
    }
    expect(wrong).toEqual([])
    expect(taken).toBeGreaterThanOrEqual(least)
  })
}

const high = published<Wycheproof>("wycheproof/ecdsa_secp256k1_sha256_test.json")

test.skipIf(high === undefined)(
  "secp256k1: of what is valid a high S is refused, and of what is invalid nothing is taken",
  () => {
    const half = BigInt("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
    const wrong: Array<number> = []
    for (const group of high!.testGroups) {
      for (const { tcId, msg, sig, result } of group.tests) {
        const compact = signatureFromDer(hex(sig))
        const low = compact !== undefined && BigInt(`0x${compact.subarray(32).toHex()}`) <= half
        const verdict = secp256k1Verify(compressed(group.publicKey.uncompressed!), hex(msg), hex(sig))
        if (verdict !== (result === "valid" && low)) wrong.push(tcId)
      }
    }
    expect(wrong).toEqual([])
  }
)

const rsaSecret = rsaGenerate(2_048)
const asKey = (key: SigningKey | string | undefined): SigningKey => {
  if (typeof key === "object") return key
  throw new Error(`no key: ${key}`)
}
const own: ReadonlyArray<readonly [string, SigningKey, Verify]> = [
  ["Ed25519", ed25519Key(new Uint8Array(32).fill(1)), ed25519Verify],
  ["P-256", asKey(p256Key(new Uint8Array(32).fill(2))), p256Verify],
  ["secp256k1", asKey(secp256k1Key(new Uint8Array(32).fill(3))), secp256k1Verify],
  ["RSA", asKey(rsaKey(rsaSecret)), rsaVerify]
]

describe.each([...own])("%s", (_, key, verify) => {
  const dice = makeDice(7)

  test("what it signs holds for this message and this key alone", () => {
    for (const length of [0, 1, 32, 1_000]) {
      const message = dice.bytes(length)
      const signature = key.sign(message)
      expect(verify(key.publicKey, message, signature)).toBe(true)
      expect(verify(key.publicKey, Uint8Array.of(...message, 0), signature)).toBe(false)
    }
  })

  test("a changed byte of message, signature or key does not hold, and nothing throws", () => {
    const message = dice.bytes(50)
    const signature = key.sign(message)
    for (let i = 0; i < 400; i++) {
      const [m, s, k] = [dice.mutate(message), dice.mutate(signature), dice.mutate(key.publicKey)]
      if (!equal(m, message)) expect(verify(key.publicKey, m, signature)).toBe(false)
      if (!equal(s, signature)) expect(verify(key.publicKey, message, s)).toBe(false)
      if (!equal(k, key.publicKey)) expect(verify(k, message, signature)).toBe(false)
    }
    for (let length = 0; length < signature.length; length++)
      expect(verify(key.publicKey, message, signature.subarray(0, length))).toBe(false)
  })
})

describe("Ed25519", () => {
  test("the first two of RFC 8032, 7.1", () => {
    const first = ed25519Key(hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    expect(first.publicKey.toHex()).toBe("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    expect(first.sign(new Uint8Array(0)).toHex()).toBe(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    const second = ed25519Key(hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    expect(second.sign(hex("72")).toHex()).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    expect(() => ed25519Key(new Uint8Array(31))).toThrow(Bug)
  })
})

describe("P-256", () => {
  const key = asKey(p256Key(new Uint8Array(32).fill(2)))
  const order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")

  test("a secret is 1 to the order less 1", () => {
    const below = order.slice()
    below[31]! -= 1
    expect([new Uint8Array(32), order, new Uint8Array(31).fill(1), below].map(isP256Secret)).toEqual([
      false,
      false,
      false,
      true
    ])
    expect(p256Key(order)).toBeUndefined()
  })

  test("both DER forms have one length, are read again, and not with a byte more, less or other", () => {
    expect([key.publicKey.length, key.secret.length]).toEqual([p256PublicBytes, p256PrivateBytes])
    expect(p256KeyFromDer(key.secret)?.publicKey).toEqual(key.publicKey)
    expect(isP256Public(key.publicKey)).toBe(true)
    for (let at = 0; at < key.secret.length; at++) {
      const changed = key.secret.slice()
      changed[at]! ^= 1
      expect([at, p256KeyFromDer(changed)]).toStrictEqual([at, undefined])
      expect(p256KeyFromDer(key.secret.subarray(0, at))).toBeUndefined()
    }
    for (let at = 0; at < key.publicKey.length; at++) {
      const changed = key.publicKey.slice()
      changed[at]! ^= 1
      expect([at, isP256Public(changed), isP256Public(key.publicKey.subarray(0, at))]).toEqual([at, false, false])
    }
    expect(isP256Public(Uint8Array.of(...key.publicKey, 0))).toBe(false)
    expect(p256KeyFromDer(Uint8Array.of(...key.secret, 0))).toBeUndefined()
  })
})

describe("RSA", () => {
  test("a key is read in the one form that it is written in", () => {
    const key = asKey(rsaKey(rsaSecret))
    expect(key.secret).toEqual(rsaSecret)
    expect(rsaPublicRefusal(key.publicKey)).toBeUndefined()
    expect(rsaPublicRefusal(Uint8Array.of(...key.publicKey, 0))).toBe("malformed")
    expect(rsaKey(Uint8Array.of(...rsaSecret, 0))).toBe("malformed")
    for (let length = 0; length < rsaSecret.length; length += 7)
      expect(rsaKey(rsaSecret.subarray(0, length))).toBe("malformed")
    for (let length = 0; length < key.publicKey.length; length += 7)
      expect(rsaPublicRefusal(key.publicKey.subarray(0, length))).toBe("malformed")
    expect(rsaPublicRefusal(asKey(p256Key(new Uint8Array(32).fill(2))).publicKey)).toBe("malformed")
  })

  test("below 2048 bits and above 8192 it is refused by its size, the longest unread", () => {
    expect(rsaKey(rsaGenerate(1_024))).toBe("size")
    expect(rsaPublicRefusal(new Uint8Array(rsaPublicBytesMax + 1))).toBe("size")
    expect(rsaKey(new Uint8Array(rsaPrivateBytesMax + 1))).toBe("size")
    // A public key of 8192 bits, and one of 8208: the modulus need not be a product for its size to be judged.
    const spki = (bytes: number): Uint8Array => {
      const part = (tag: number, body: Uint8Array): Uint8Array => {
        const head = body.length < 0x80 ? [tag, body.length] : [tag, 0x82, body.length >> 8, body.length & 0xff]
        return Uint8Array.of(...head, ...body)
      }
      const modulus = part(2, Uint8Array.of(0, ...new Uint8Array(bytes).fill(0xff)))
      const numbers = part(0x30, Uint8Array.of(...modulus, 2, 3, 1, 0, 1))
      return part(
        0x30,
        Uint8Array.of(...hex("300d06092a864886f70d0101010500"), ...part(3, Uint8Array.of(0, ...numbers)))
      )
    }
    expect([255, 256, 1_024, 1_026].map((bytes) => rsaPublicRefusal(spki(bytes)))).toEqual([
      "size",
      undefined,
      undefined,
      "size"
    ])
  })
})

describe("secp256k1", () => {
  test("DER is written as short as it can be, and read only so", () => {
    const dice = makeDice(5)
    for (let i = 0; i < 2_000; i++) {
      const compact = dice.bytes(64)
      compact.fill(0, 0, dice.int(3))
      compact.fill(0, 32, 32 + dice.int(34 - 1))
      const der = signatureToDer(compact)
      expect(signatureFromDer(der)).toEqual(compact)
      const changed = dice.mutate(der)
      const read = signatureFromDer(changed)
      if (read !== undefined) expect(signatureToDer(read)).toEqual(changed)
    }
  })

  test("a public key is a compressed point on the curve", () => {
    const { publicKey } = asKey(secp256k1Key(new Uint8Array(32).fill(3)))
    const off = fromHex(`02${"ff".repeat(32)}`)!
    const uncompressed = new Uint8Array(65).fill(4)
    const tag = publicKey.slice()
    tag[0] = 4
    expect([publicKey, off, uncompressed, tag, publicKey.subarray(1)].map(isSecp256k1Public)).toEqual([
      true,
      false,
      false,
      false,
      false
    ])
    expect([new Uint8Array(32), new Uint8Array(31).fill(1)].map(secp256k1Key)).toStrictEqual([undefined, undefined])
  })
})

test("chance that never gives a secret ends as a bug, not in a loop", () => {
  let asked = 0
  const zeros = (length: number): Uint8Array => {
    asked++
    return new Uint8Array(length)
  }
  expect(() => freshSecret(zeros, isP256Secret)).toThrow(Bug)
  expect(asked).toBe(64)
})
