/** Every engine of ChaCha20-Poly1305 that loads here: published vectors, agreement with noble at each length, forgeries, limits. */
import { describe, expect, test } from "bun:test"
import { published } from "../../test/vectors/published.ts"
import { Bug } from "../assert.ts"
import { equal, fromHex } from "../codec/bytes.ts"
import { type AeadEngine, aeadBytesMax, aeadTagBytes, checkAead, nobleAead } from "./chacha.ts"
import { loadAead, loadAeadNamed } from "./chacha-engine.ts"

const names = ["sodium-native", "wasm", "noble"] as const
const engines = names.flatMap((name) => {
  const engine = loadAeadNamed(name)
  if (engine === undefined) process.stderr.write(`skipped: AEAD engine ${name} does not load on this machine\n`)
  return engine === undefined ? [] : [engine]
})
/** Whether the npm package ships a binary that chacha-engine.ts knows. */
const hasAddon = ["linux-x64", "linux-arm64", "darwin-arm64"].includes(`${process.platform}-${process.arch}`)

interface Wycheproof {
  readonly numberOfTests: number
  readonly testGroups: ReadonlyArray<{
    readonly ivSize: number
    readonly tests: ReadonlyArray<{
      readonly tcId: number
      readonly key: string
      readonly iv: string
      readonly aad: string
      readonly msg: string
      readonly ct: string
      readonly tag: string
      readonly result: "valid" | "invalid"
    }>
  }>
}
const file = published<Wycheproof>("wycheproof/chacha20_poly1305_test.json")

const none = new Uint8Array(0)
const bytes = (length: number, seed: number): Uint8Array => {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0
  return Uint8Array.from({ length }, () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state >>> 24
  })
}
const sealWith = (
  engine: AeadEngine,
  key: Uint8Array,
  nonce: Uint8Array,
  beside: Uint8Array,
  plain: Uint8Array
): Uint8Array => {
  const out = new Uint8Array(plain.length + aeadTagBytes)
  engine.key(key).seal(nonce, beside, plain, out)
  return out
}

test("the engines that must load here do, and the fastest of them is chosen", () => {
  expect(engines.map(({ name }) => name)).toEqual(hasAddon ? [...names] : ["wasm", "noble"])
  expect(loadAead("auto")!.name).toBe(hasAddon ? "sodium-native" : "wasm")
  for (const name of names) expect(loadAead(name)?.name).toBe(engines.find((engine) => engine.name === name)?.name)
})

/** An engine that is right but for one thing. */
const spoiled = (what: "seal" | "open" | "in place"): AeadEngine => ({
  name: "noble",
  key: (given) => {
    const key = nobleAead.key(given)
    return {
      seal: (nonce, beside, plain, out) => {
        if (what === "in place" && plain.buffer === out.buffer) out.fill(1)
        key.seal(nonce, beside, plain, out)
        if (what === "seal" && plain.length > 256) out[256] = out[256]! ^ 1
      },
      open: (nonce, beside, sealed, out) => key.open(nonce, beside, sealed, out) || what === "open"
    }
  }
})

test("the check refuses an engine that seals wrongly, that takes a forgery, or that cannot work in place", () => {
  expect(checkAead(nobleAead)).toBe(true)
  expect(checkAead(spoiled("seal"))).toBe(false)
  expect(checkAead(spoiled("open"))).toBe(false)
  expect(checkAead(spoiled("in place"))).toBe(false)
})

describe.each(engines.map((engine) => [engine.name, engine] as const))("%s", (_, engine) => {
  test.skipIf(file === undefined)("the 325 cases of Wycheproof", () => {
    let run = 0
    const wrong: Array<number> = []
    for (const { ivSize, tests } of file!.testGroups) {
      for (const { tcId, key, iv, aad, msg, ct, tag, result } of tests) {
        run++
        const [k, nonce, beside, plain] = [key, iv, aad, msg].map((hex) => fromHex(hex)!)
        const given = fromHex(ct + tag)!
        if (ivSize !== 96) {
          expect(() => sealWith(engine, k!, nonce!, beside!, plain!)).toThrow(Bug)
          continue
        }
        const out = new Uint8Array(given.length - aeadTagBytes)
        const opened = engine.key(k!).open(nonce!, beside!, given, out)
        const same = equal(sealWith(engine, k!, nonce!, beside!, plain!), given)
        const right = result === "valid" ? opened && equal(out, plain!) && same : !opened
        if (!right) wrong.push(tcId)
      }
    }
    expect({ run, wrong }).toEqual({ run: 325, wrong: [] })
  })

  test("as noble at every length to 1,200, with and without something beside, in place and not", () => {
    const wrong: Array<string> = []
    for (let length = 0; length <= 1_200; length++) {
      const key = bytes(32, length)
      const nonce = bytes(12, length + 1)
      const beside = bytes(length % 5 === 0 ? 0 : length % 67, length + 2)
      const plain = bytes(length, length + 3)
      const sealed = sealWith(engine, key, nonce, beside, plain)
      const place = new Uint8Array(length + aeadTagBytes)
      place.set(plain)
      const own = engine.key(key)
      own.seal(nonce, beside, place.subarray(0, length), place)
      if (!equal(sealed, sealWith(nobleAead, key, nonce, beside, plain))) wrong.push(`${length} sealed`)
      if (!equal(sealed, place)) wrong.push(`${length} sealed in place`)
      const out = new Uint8Array(length)
      if (!own.open(nonce, beside, sealed, out) || !equal(out, plain)) wrong.push(`${length} opened`)
      if (!own.open(nonce, beside, place, place.subarray(0, length))) wrong.push(`${length} opened in place`)
      if (!equal(place.subarray(0, length), plain)) wrong.push(`${length} opened in place to something else`)
    }
    expect(wrong).toEqual([])
  })

  test("a changed bit of nonce, of what is beside, of ciphertext or tag is refused, wherever it is", () => {
    const key = engine.key(bytes(32, 1))
    const parts = { nonce: bytes(12, 2), beside: bytes(37, 3), plain: bytes(300, 4) }
    const sealed = new Uint8Array(316)
    key.seal(parts.nonce, parts.beside, parts.plain, sealed)
    const out = new Uint8Array(300)
    const taken: Array<string> = []
    for (const [name, value] of Object.entries({ nonce: parts.nonce, beside: parts.beside, sealed })) {
      for (let at = 0; at < value.length; at++) {
        value[at] = value[at]! ^ (1 << (at % 8))
        if (key.open(parts.nonce, parts.beside, sealed, out)) taken.push(`${name} ${at}`)
        value[at] = value[at]! ^ (1 << (at % 8))
      }
    }
    expect(taken).toEqual([])
    expect(key.open(parts.nonce, parts.beside, sealed, out)).toBe(true)
    expect(key.open(parts.nonce, parts.beside.subarray(1), sealed, out)).toBe(false)
    expect(key.open(parts.nonce, parts.beside, sealed.subarray(0, -1), out.subarray(0, -1))).toBe(false)
  })

  test("the longest message; a longer one, and a buffer of another length, are bugs of the caller", () => {
    const key = engine.key(bytes(32, 5))
    const nonce = bytes(12, 6)
    const plain = bytes(aeadBytesMax, 7)
    const sealed = new Uint8Array(aeadBytesMax + aeadTagBytes)
    key.seal(nonce, bytes(1_024, 8), plain, sealed)
    expect(Bun.SHA256.hash(sealed, "hex")).toBe(
      Bun.SHA256.hash(sealWith(nobleAead, bytes(32, 5), nonce, bytes(1_024, 8), plain), "hex") as string
    )
    expect(key.open(nonce, bytes(1_024, 8), sealed, plain)).toBe(true)
    expect(() => key.seal(nonce, none, new Uint8Array(aeadBytesMax + 1), new Uint8Array(aeadBytesMax + 17))).toThrow(
      Bug
    )
    expect(() => key.seal(nonce, bytes(1_025, 8), plain, sealed)).toThrow(Bug)
    expect(() => key.seal(nonce, none, plain, plain)).toThrow(Bug)
    expect(() => key.open(nonce, none, sealed, sealed)).toThrow(Bug)
    expect(() => key.open(nonce, none, new Uint8Array(15), none)).toThrow(Bug)
    expect(() => key.open(nonce.subarray(1), none, sealed, plain)).toThrow(Bug)
    expect(() => engine.key(bytes(31, 9))).toThrow(Bug)
  })

  test("keys do not mix: two directions take turns, and the array that a key came in may change", () => {
    const first = bytes(32, 10)
    const [a, b] = [engine.key(first), engine.key(bytes(32, 11))]
    const nonce = bytes(12, 12)
    const plain = bytes(500, 13)
    const [sealedA, sealedB] = [new Uint8Array(516), new Uint8Array(516)]
    a.seal(nonce, none, plain, sealedA)
    b.seal(nonce, bytes(9, 1), plain, sealedB)
    first.fill(0)
    const out = new Uint8Array(500)
    expect(a.open(nonce, none, sealedA, out) && equal(out, plain)).toBe(true)
    expect(b.open(nonce, bytes(9, 1), sealedB, out) && equal(out, plain)).toBe(true)
    expect(b.open(nonce, none, sealedA, out)).toBe(false)
  })
})
