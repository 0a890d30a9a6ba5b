/** SipHash-2-4 against the 64 outcomes of its reference implementation, and against the paper's formula in big integers. */
import { expect, test } from "bun:test"
import { toHex } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { sipHashInto, sipKey } from "./siphash.ts"

/** The 8 bytes of the outcome, little-endian as the reference prints them. */
const hashHex = (key: Uint8Array, bytes: Uint8Array): string => {
  const out = new Uint32Array(2)
  sipHashInto(sipKey(key), bytes, out)
  return toHex(new Uint8Array(out.buffer))
}

/** 00 01 02 …, `length` bytes. */
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)

/** vectors.h (`vectors_sip64`) of the reference implementation: key 00 … 0f, message i the bytes 00 … i - 1. */
const reference = [
  "310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb",
  "37d1018bf50002ab 6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4 fbe50e86bc8f1e75 903d84c02756ea14",
  "eef27a8e90ca23f7 e545be4961ca29a1 db9bc2577fcc2a3f 9447be2cf5e99a69 9cd38d96f0b3c14b bd6179a71dc96dbb 98eea21af25cd6be",
  "c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8 94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f",
  "a5c91da7acaa4dde 716595876650a2a6 28ef495c53a387ad 42c341d8fa92d832 ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012",
  "ae97a10fd434e015 b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a d0a704536ba93e0e 925958fcd6420cad",
  "a915c29bc8067318 952b79f3bc0aa6d4 f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0 51a9cb9ecba312e6",
  "96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1 b274cb8ebf87870a 6f9bb4203de7b381 eaecb2a30b22a87f 9924a43cc1315724",
  "bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666 e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5",
  "724506eb4c328a95"
].flatMap((row) => row.split(" "))

test("the 64 outcomes of the reference implementation come out", () => {
  expect(reference).toHaveLength(64)
  expect(reference.map((_, length) => hashHex(counting(16), counting(length)))).toEqual(reference)
})

/** The paper, section 2, word for word over big integers. */
const define = (key: Uint8Array, bytes: Uint8Array): string => {
  const word = (from: Uint8Array, at: number): bigint => new DataView(from.buffer).getBigUint64(at, true)
  const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
  const rotate = (value: bigint, by: bigint): bigint => u64(value << by) | (value >> (64n - by))
  const [k0, k1] = [word(key, 0), word(key, 8)]
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n
  ]
  const round = (): void => {
    v0 = u64(v0 + v1)
    v2 = u64(v2 + v3)
    v1 = rotate(v1, 13n) ^ v0
    v3 = rotate(v3, 16n) ^ v2
    v0 = rotate(v0, 32n)
    v2 = u64(v2 + v1)
    v0 = u64(v0 + v3)
    v1 = rotate(v1, 17n) ^ v2
    v3 = rotate(v3, 21n) ^ v0
    v2 = rotate(v2, 32n)
  }
  const padded = new Uint8Array((bytes.length & ~7) + 8)
  padded.set(bytes)
  padded[padded.length - 1] = bytes.length & 255
  for (let at = 0; at < padded.length; at += 8) {
    v3 ^= word(padded, at)
    for (let i = 0; i < 2; i++) round()
    v0 ^= word(padded, at)
  }
  v2 ^= 0xffn
  for (let i = 0; i < 4; i++) round()
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, v0 ^ v1 ^ v2 ^ v3, true)
  return toHex(out)
}

test("any key and any bytes, longer than 255 too, give what the paper defines", () => {
  const dice = makeDice(31)
  for (let i = 0; i < 2_000; i++) {
    const key = dice.bytes(16)
    const bytes = dice.bytes(dice.int(600))
    expect(hashHex(key, bytes)).toBe(define(key, bytes))
  }
})

test("a view into other bytes is hashed as its own bytes", () => {
  const whole = counting(40)
  expect(hashHex(counting(16), whole.subarray(3, 23))).toBe(hashHex(counting(16), whole.slice(3, 23)))
})

test("a key of another length is our bug", () => {
  for (const length of [0, 15, 17, 32]) expect(() => sipKey(counting(length))).toThrow("16 bytes")
})
