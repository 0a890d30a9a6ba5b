/** Poly1305 of the own kernel where its arithmetic has edges: keys that no ChaCha20 gives one to try. */
import { expect, test } from "bun:test"
import { poly1305 } from "@noble/ciphers/_poly1305.js"
import { concat, toHex } from "../codec/bytes.ts"
import { chachaKernel, dataAt, tagAt } from "./chacha-kernel.ts"

interface Kernel {
  readonly memory: WebAssembly.Memory
  readonly poly: (from: number, to: number) => void
}
const kernel = new WebAssembly.Instance(new WebAssembly.Module(chachaKernel())).exports as unknown as Kernel
const memory = new Uint8Array(kernel.memory.buffer)
/** Where the kernel looks for Poly1305's key: the beginning of the key stream. */
const keyAt = 256

const tag = (key: Uint8Array, blocks: Uint8Array): string => {
  memory.set(key, keyAt)
  memory.set(blocks, dataAt)
  kernel.poly(dataAt, dataAt + blocks.length)
  return toHex(memory.slice(tagAt, tagAt + 16))
}
const filled = (length: number, byte: number, first = byte): Uint8Array => {
  const out = new Uint8Array(length).fill(byte)
  out[0] = first
  return out
}
const keyOf = (r: number, s: Uint8Array): Uint8Array => concat(filled(16, 0, r), s)
const zero = new Uint8Array(16)

/** RFC 8439, appendix A.3, test vectors 7 to 11: sums that reach 2^128 and 2^130 - 5, or stop right before. */
test.each([
  ["7", keyOf(2, zero), filled(16, 0xff), `03${"00".repeat(15)}`],
  ["8", keyOf(2, filled(16, 0xff)), filled(16, 0, 2), `03${"00".repeat(15)}`],
  ["9", keyOf(1, zero), concat(filled(16, 0xff), filled(16, 0xff, 0xf0), filled(16, 0, 0x11)), `05${"00".repeat(15)}`],
  ["10", keyOf(1, zero), concat(filled(16, 0xff), filled(16, 0xfe, 0xfb), filled(16, 1)), "00".repeat(16)],
  ["11", keyOf(2, zero), filled(16, 0xff, 0xfd), `fa${"ff".repeat(15)}`]
] as const)("vector %s", (_, key, blocks, expected) => {
  expect(tag(key, blocks)).toBe(expected)
})

/** With r = 1 three blocks are added as they are, each with 2^128: so the sum can be put at 2^130 - 5 and beside it. */
test.each([
  [-1, 0xfa, `fa${"ff".repeat(15)}`],
  [0, 0xfb, "00".repeat(16)],
  [1, 0xfc, `01${"00".repeat(15)}`],
  [4, 0xff, `04${"00".repeat(15)}`]
] as const)("a sum of 2^130 - 5 and %d is reduced at the end", (_, first, expected) => {
  const blocks = concat(filled(16, 0xff, first), zero, zero)
  expect(tag(keyOf(1, zero), blocks)).toBe(expected)
  expect(toHex(poly1305(blocks, keyOf(1, zero)))).toBe(expected)
})

test("as noble for the largest limbs, and for keys and blocks of bytes that lie at the edges", () => {
  const edges = [0x00, 0x01, 0x7f, 0x80, 0xfb, 0xfc, 0xfe, 0xff]
  let state = 1
  const pick = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return edges[state >>> 29]!
  }
  const wrong: Array<number> = []
  for (let round = 0; round < 3_000; round++) {
    const key = round === 0 ? filled(32, 0xff) : Uint8Array.from({ length: 32 }, pick)
    const blocks = Uint8Array.from({ length: 16 * (1 + (round % 7)) }, round === 0 ? () => 0xff : pick)
    if (tag(key, blocks) !== toHex(poly1305(blocks, key))) wrong.push(round)
  }
  expect(wrong).toEqual([])
})
