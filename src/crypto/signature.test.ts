/** Every engine that loads here, against published vectors, against each other, and against the bytes of an attacker. */
import { describe, expect, test } from "bun:test"
import { Glob } from "bun"
import { published } from "../../test/vectors/published.ts"
import { Bug } from "../assert.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { sha256 } from "./hash.ts"
import { loadEngineNamed } from "./native.ts"
import { signatureFromDer } from "./secp256k1.ts"
import { isSecret, nobleEngine, type SignatureEngine } from "./signature.ts"

const names = ["libsecp256k1", "secp256k1-node", "noble"] as const
const engines = names.flatMap((name) => {
  const engine = loadEngineNamed(name)
  if (engine === undefined) process.stderr.write(`skipped: signature engine ${name} does not load on this machine\n`)
  return engine === undefined ? [] : [engine]
})

/** Whether the loader must find libsecp256k1: some version of it lies where Debian keeps its libraries. */
const hasLibrary =
  process.platform === "linux" &&
  [...new Glob("*/libsecp256k1.so.[01256]").scanSync({ cwd: "/usr/lib", onlyFiles: false })].length > 0
/** Whether the npm package ships a binary that native.ts knows. */
const hasAddon = ["linux-x64", "darwin-arm64"].includes(`${process.platform}-${process.arch}`)

const order = BigInt("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
const number = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes) || "0"}`)
const word = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, "0"))!

interface Wycheproof {
  readonly testGroups: ReadonlyArray<{
    readonly publicKey: { readonly uncompressed: string }
    readonly tests: ReadonlyArray<{
      readonly tcId: number
      readonly msg: string
      readonly sig: string
      readonly result: string
    }>
  }>
}

const compress = (uncompressed: string): Uint8Array => {
  const bytes = fromHex(uncompressed)!
  const out = bytes.slice(0, 33)
  out[0] = 2 + (bytes[64]! & 1)
  return out
}

test("an engine that is here loads: one that a change of ours broke would fail its self-check and be skipped below", () => {
  const present = names.filter((name) => ({ libsecp256k1: hasLibrary, "secp256k1-node": hasAddon, noble: true })[name])
  expect(engines.map(({ name }) => name)).toEqual(expect.arrayContaining([...present]))
})

for (const file of ["ecdsa_secp256k1_sha256_test.json", "ecdsa_secp256k1_sha256_bitcoin_test.json"]) {
  const vectors = published<Wycheproof>(`wycheproof/${file}`)
  describe.if(vectors !== undefined)(`Wycheproof ${file}`, () => {
    test.each(engines)("$name takes what is valid and low-S, and nothing else", (engine: SignatureEngine) => {
      let taken = 0
      for (const group of vectors!.testGroups) {
        const publicKey = compress(group.publicKey.uncompressed)
        for (const { tcId, msg, sig, result } of group.tests) {
          const signature = signatureFromDer(fromHex(sig)!)
          const lowS = signature !== undefined && number(signature.subarray(32)) <= order / 2n
          const verdict = signature !== undefined && engine.verify(sha256(fromHex(msg)!), signature, publicKey)
          expect([tcId, verdict]).toEqual([tcId, result === "valid" && lowS])
          if (verdict) taken++
        }
      }
      expect(taken).toBeGreaterThan(50)
    })
  })
}

test("the engines make the same signature of the same input (RFC 6979)", () => {
  for (let i = 1; i < 30; i++) {
    const secret = sha256(new Uint8Array([i]))
    const hash = sha256(new Uint8Array([i, i]))
    const signatures = new Set(engines.map((engine) => toHex(engine.sign(hash, secret))))
    const keys = new Set(engines.map((engine) => toHex(engine.publicKey(secret))))
    expect([signatures.size, keys.size]).toEqual([1, 1])
  }
})

test("a high S, a zero, an r or s at the order, a wrong length or a key off the curve is refused by every engine", () => {
  const secret = sha256(new Uint8Array([1]))
  const hash = sha256(new Uint8Array([2]))
  const publicKey = nobleEngine.publicKey(secret)
  const good = nobleEngine.sign(hash, secret)
  const r = good.subarray(0, 32)
  const s = good.subarray(32)
  const pair = (a: Uint8Array, b: Uint8Array): Uint8Array => new Uint8Array([...a, ...b])
  const offCurve = new Uint8Array(33).fill(0xff)
  offCurve[0] = 2
  const uncompressedTag = publicKey.slice()
  uncompressedTag[0] = 4
  const bad: ReadonlyArray<readonly [Uint8Array, Uint8Array, Uint8Array]> = [
    [hash, pair(r, word(order - number(s))), publicKey],
    [hash, pair(word(0n), s), publicKey],
    [hash, pair(r, word(0n)), publicKey],
    [hash, pair(word(order), s), publicKey],
    [hash, pair(r, word(order)), publicKey],
    [hash.subarray(1), good, publicKey],
    [hash, good.subarray(1), publicKey],
    [hash, new Uint8Array(65), publicKey],
    [hash, good, publicKey.subarray(1)],
    [hash, good, offCurve],
    [hash, good, uncompressedTag]
  ]
  for (const engine of engines) {
    expect(engine.verify(hash, good, publicKey)).toBe(true)
    expect(bad.map(([h, sig, key]) => engine.verify(h, sig, key))).toEqual(bad.map(() => false))
  }
})

test("signing with what is no secret, or no hash, is our bug: it throws, and C never sees it", () => {
  const secret = word(1n)
  for (const engine of engines) {
    for (const bad of [word(0n), word(order), secret.subarray(1), new Uint8Array(33).fill(1)]) {
      expect(() => engine.publicKey(bad)).toThrow(Bug)
      expect(() => engine.sign(word(2n), bad)).toThrow(Bug)
    }
    for (const length of [0, 31, 33]) expect(() => engine.sign(new Uint8Array(length), secret)).toThrow(Bug)
  }
})

test("a secret is 32 bytes from 1 to the order less 1", () => {
  expect([word(1n), word(order - 1n)].map(isSecret)).toEqual([true, true])
  expect([word(0n), word(order), new Uint8Array(31), new Uint8Array(33)].map(isSecret)).toEqual([
    false,
    false,
    false,
    false
  ])
})
