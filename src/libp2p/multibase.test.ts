/** Multibase, multihash and CID: the published values, both ways against the package multiformats, and nothing but the one form. */
import { describe, expect, test } from "bun:test"
import { base16 } from "multiformats/bases/base16"
import { base32 } from "multiformats/bases/base32"
import { base36 } from "multiformats/bases/base36"
import { base58btc } from "multiformats/bases/base58"
import { base64url } from "multiformats/bases/base64"
import { CID } from "multiformats/cid"
import * as Digest from "multiformats/hashes/digest"
import { published } from "../../test/vectors/published.ts"
import { utf8 } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { cidFromText, cidText, decodeCid, encodeCid, libp2pKeyCodec } from "./cid.ts"
import { Libp2pFault } from "./fault.ts"
import {
  type Base,
  bitTextMax,
  decodeBase,
  decodeMultibase,
  encodeBase,
  encodeMultibase,
  numberTextMax
} from "./multibase.ts"
import { decodeMultihash, digestBytesMax, identityCode, multihashOf, sha256Code, sha256Multihash } from "./multihash.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
const oracles: Readonly<Record<Base, { encode: (bytes: Uint8Array) => string; decode: (text: string) => Uint8Array }>> =
  {
    base16,
    base32,
    base36,
    base58btc,
    base64url
  }
const names = Object.keys(oracles) as ReadonlyArray<Base>
const outcome = (value: unknown): string => (value instanceof Libp2pFault ? `${value.name} (${value.kind})` : "read")

interface Vectors {
  readonly multiformats: {
    readonly base58btc: ReadonlyArray<readonly [string, string]>
    readonly base32_nopad_lower: ReadonlyArray<readonly [string, string]>
    readonly multihash_sha2_256_abc: string
  }
}
const vectors = published<Vectors>("reference-vectors.json")?.multiformats

test.skipIf(vectors === undefined)("the reference's values of base58btc, base32 and sha2-256", () => {
  for (const [plain, text] of vectors!.base58btc) {
    expect(encodeBase("base58btc", utf8(plain))).toBe(text)
    expect(decodeBase("base58btc", text)).toEqual(utf8(plain))
  }
  for (const [plain, text] of vectors!.base32_nopad_lower) expect(encodeBase("base32", utf8(plain))).toBe(text)
  expect(sha256Multihash(utf8("abc")).bytes.toHex()).toBe(vectors!.multihash_sha2_256_abc)
})

describe.each([...names])("%s", (base: Base) => {
  const dice = makeDice(1)

  test("both ways the same as multiformats, with zeros before and of any length", () => {
    for (let i = 0; i < 400; i++) {
      const bytes = dice.bytes(dice.int(60)).fill(0, 0, dice.int(4))
      const text = oracles[base].encode(bytes)
      expect(encodeMultibase(base, bytes)).toBe(text)
      expect(decodeMultibase(text)).toEqual(bytes)
      expect(decodeBase(base, text.slice(1))).toEqual(bytes)
    }
  })

  test("a text that is read is the one text of its bytes; nothing throws", () => {
    let read = 0
    for (let i = 0; i < 3_000; i++) {
      const characters = [...encodeBase(base, dice.bytes(dice.int(12)))]
      const at = dice.int(characters.length + 1)
      characters.splice(at, dice.int(2), dice.pick(["a", "Z", "7", "0", "=", "é", "😀", " ", "-", "l"]))
      const bytes = decodeBase(base, characters.join(""))
      if (bytes instanceof Libp2pFault) continue
      read++
      expect(encodeBase(base, bytes)).toBe(characters.join(""))
    }
    expect(read).toBeGreaterThan(50)
  })

  test("too long a text is refused before it is worked on", () => {
    const max = base === "base36" || base === "base58btc" ? numberTextMax : bitTextMax
    const zero = encodeBase(base, new Uint8Array(1))[0]!
    expect([outcome(decodeBase(base, zero.repeat(max))), outcome(decodeBase(base, zero.repeat(max + 1)))]).toEqual([
      "read",
      "InvalidParametersError (decode)"
    ])
  })
})

test("bits left over, padding, upper case and letters of no base are refused", () => {
  const bad: ReadonlyArray<readonly [Base, string]> = [
    ["base32", "mzxw6ytbo"],
    ["base32", "mzxw6ytboj"],
    ["base32", "my======"],
    ["base32", "MZXW6YTBOI"],
    ["base32", "m1"],
    ["base16", "abc"],
    ["base16", "AB"],
    ["base64url", "Zg=="],
    ["base64url", "Zh"],
    ["base64url", "Z+8"],
    ["base64url", "Z"],
    ["base58btc", "0"],
    ["base58btc", "l"]
  ]
  expect(bad.map(([base, text]) => [base, text, outcome(decodeBase(base, text))])).toEqual(
    bad.map(([base, text]) => [base, text, "InvalidParametersError (decode)"])
  )
  for (const text of ["", "m", "Bmzxw6", "😀"])
    expect(outcome(decodeMultibase(text))).toBe("InvalidParametersError (unsupported)")
})

describe("multihash", () => {
  test("the same as multiformats, both ways", () => {
    const dice = makeDice(2)
    for (let i = 0; i < 300; i++) {
      const code = dice.pick([identityCode, 0x1b, 0xb220])
      const digest = dice.bytes(dice.int(100))
      const theirs = Digest.create(code, digest)
      expect(multihashOf(code, digest).bytes).toEqual(theirs.bytes)
      expect(decodeMultihash(theirs.bytes)).toEqual({ code, size: digest.length, digest, bytes: theirs.bytes })
    }
  })

  test("a digest of another length than its hash has, or than it says, or than we keep, is refused", () => {
    const fine = [multihashOf(sha256Code, new Uint8Array(32)), multihashOf(0x13, new Uint8Array(64))]
    const bad = [
      multihashOf(sha256Code, new Uint8Array(31)),
      multihashOf(0x13, new Uint8Array(32)),
      multihashOf(identityCode, new Uint8Array(digestBytesMax + 1))
    ]
    expect(fine.map(({ bytes }) => outcome(decodeMultihash(bytes)))).toEqual(["read", "read"])
    for (const { bytes } of bad) expect(outcome(decodeMultihash(bytes))).toBe("InvalidMultihashError (decode)")
    for (const text of ["", "12", "8000", "0080", "008000", "0002aa", "0001aabb"])
      expect([text, outcome(decodeMultihash(hex(text)))]).toEqual([text, "InvalidMultihashError (decode)"])
  })

  test("cut at every byte it is refused; what it keeps is its own", () => {
    const bytes = sha256Multihash(utf8("abc")).bytes.slice()
    for (let length = 0; length < bytes.length; length++)
      expect(decodeMultihash(bytes.subarray(0, length))).toBeInstanceOf(Libp2pFault)
    const read = decodeMultihash(bytes)
    bytes.fill(0)
    expect(read).toEqual(sha256Multihash(utf8("abc")))
  })
})

describe("CID", () => {
  const dice = makeDice(3)

  test("the same as multiformats, both ways, in every base that it reads", () => {
    for (let i = 0; i < 200; i++) {
      const codec = dice.pick([libp2pKeyCodec, 0x55, 0x70, 0x0129])
      const multihash = dice.chance(0.5) ? sha256Multihash(dice.bytes(4)) : multihashOf(identityCode, dice.bytes(36))
      const theirs = CID.createV1(codec, Digest.create(multihash.code, multihash.digest))
      const ours = { version: 1, codec, multihash } as const
      expect(encodeCid(ours)).toEqual(theirs.bytes)
      expect(cidText(ours)).toBe(theirs.toString())
      for (const base of names) {
        expect(cidFromText(cidText(ours, base))).toEqual(ours)
        expect(CID.parse(cidText(ours, base), oracles[base] as never).equals(theirs)).toBe(true)
      }
    }
  })

  test("version 0 is a bare hash, and never stands behind a letter", () => {
    const text = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
    const cid = cidFromText(text)
    if (cid instanceof Libp2pFault) throw cid
    expect([cid.version, cid.codec, cidText(cid)]).toEqual([0, 0x70, text])
    expect(encodeCid(cid)).toEqual(CID.parse(text).bytes)
    for (const base of names)
      expect(outcome(cidFromText(encodeMultibase(base, encodeCid(cid))))).toBe("InvalidCIDError (decode)")
  })

  test("other versions, no codec, and a hash that is none are refused", () => {
    for (const text of ["", "00", "0272", "01", "0172", "01f2", "0172000200", "8100720000"])
      expect([text, outcome(decodeCid(hex(text)))]).toEqual([text, "InvalidCIDError (decode)"])
    for (const text of ["", "b", "Qm", `Qm${"1".repeat(44)}`, "zQmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"])
      expect([text, outcome(cidFromText(text))]).toEqual([text, "InvalidCIDError (decode)"])
  })

  test("no bytes and no text make it throw; what is read is written the same", () => {
    for (let i = 0; i < 5_000; i++) {
      const bytes = dice.mutate(
        encodeCid({ version: 1, codec: 0x72, multihash: multihashOf(0, dice.bytes(dice.int(40))) })
      )
      const cid = decodeCid(bytes)
      if (!(cid instanceof Libp2pFault)) expect(encodeCid(cid)).toEqual(bytes)
      const text = dice.chance(0.5) ? `b${encodeBase("base32", bytes)}` : `z${encodeBase("base58btc", bytes)}`
      const read = cidFromText(text)
      if (!(read instanceof Libp2pFault)) expect(encodeCid(read)).toEqual(bytes)
    }
  })
})
