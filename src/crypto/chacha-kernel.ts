/**
 * ChaCha20-Poly1305 (RFC 8439) as a WebAssembly module that this file writes, instruction by instruction: ChaCha20 on four blocks
 * at once, one 32-bit word of each in a vector; Poly1305 on 32-bit limbs, whose products fit 64 bits because r is clamped.
 * Memory: two pages; the offsets are below.
 */
import {
  type Code,
  call,
  type FunctionType,
  get,
  i32,
  i64,
  ifThen,
  loopWhile,
  moduleOf,
  set,
  v128,
  type ValueType
} from "./wasm-code.ts"

/** The 16 words of ChaCha20's state: constants, key, counter, nonce. */
export const stateAt = 0
export const keyAt = 16
export const nonceAt = 52
/** The tag that was made, and the one that came. */
export const tagAt = 64
const tagGivenAt = 80
/** The first 256 bytes of the key stream: Poly1305's key, and what the first 192 bytes are sealed with. */
const streamAt = 256
/** Bytes in place; what is authenticated beside them ends where they begin, padded with zeros. */
export const dataAt = 2048
export const besideBytesMax = 1024
export const dataBytesMax = 65_536
const pages = 2

const times = <A>(count: number, make: (i: number) => A): Array<A> => Array.from({ length: count }, (_, i) => make(i))
const locals = (count: number, type: ValueType): Array<ValueType> => times(count, () => type)

/** A quarter of each round: (a, b, c, d) of RFC 8439, section 2.1. */
const quarters = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14]
] as const

/** The bytes of each word, rotated left by a whole number of them. */
const rotated = (bits: number): ReadonlyArray<number> => times(16, (i) => (i & ~3) | ((i + 4 - bits / 8) & 3))

/** Rotates each word left. SIMD of WebAssembly has no instruction for it; by whole bytes, a shuffle is faster than two shifts. */
const rotate = (local: number, bits: number): Code => {
  const value = get(local)
  if (bits % 8 === 0) return set(local, v128.shuffle(value, value, rotated(bits)))
  return set(local, v128.or(v128.shl32(value, bits), v128.shr32(value, 32 - bits)))
}

const low32 = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
const high32 = low32.map((lane) => lane + 8)
const low64 = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
const high64 = low64.map((lane) => lane + 8)

/** chacha(from, to, counter): the key stream from block `counter` on over the bytes, in steps of 256. It may write 255 beyond. */
const chacha = (): FunctionType => {
  const [from, to, counter, round] = [0, 1, 2, 3]
  const x = (i: number): number => 4 + i
  const t = (i: number): number => 20 + i
  const step = (into: number, by: number, turned: number, bits: number): Code => [
    ...set(x(into), v128.add32(get(x(into)), get(x(by)))),
    ...set(x(turned), v128.xor(get(x(turned)), get(x(into)))),
    ...rotate(x(turned), bits)
  ]
  // Four independent quarters go step by step together, so that none waits for itself.
  const half = (group: ReadonlyArray<readonly [number, number, number, number]>): Code => [
    ...group.flatMap(([a, b, , d]) => step(a, b, d, 16)),
    ...group.flatMap(([, b, c, d]) => step(c, d, b, 12)),
    ...group.flatMap(([a, b, , d]) => step(a, b, d, 8)),
    ...group.flatMap(([, b, c, d]) => step(c, d, b, 7))
  ]
  const initial = (i: number): Code =>
    i === 12
      ? v128.add32(v128.splat32(get(counter)), v128.const([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))
      : v128.loadSplat32(i32.const(0), stateAt + 4 * i)
  // Words 4i..4i+3 of four blocks, in four vectors by word, become four vectors by block.
  const transposed = (i: number): Code => {
    const [a, b, c, d] = times(4, (j) => get(x(4 * i + j))) as [Code, Code, Code, Code]
    const out = (block: number, value: Code): Code => {
      const offset = 64 * block + 16 * i
      return v128.store(get(from), offset, v128.xor(value, v128.load(get(from), offset)))
    }
    return [
      ...set(t(0), v128.shuffle(a, b, low32)),
      ...set(t(1), v128.shuffle(c, d, low32)),
      ...set(t(2), v128.shuffle(a, b, high32)),
      ...set(t(3), v128.shuffle(c, d, high32)),
      ...out(0, v128.shuffle(get(t(0)), get(t(1)), low64)),
      ...out(1, v128.shuffle(get(t(0)), get(t(1)), high64)),
      ...out(2, v128.shuffle(get(t(2)), get(t(3)), low64)),
      ...out(3, v128.shuffle(get(t(2)), get(t(3)), high64))
    ]
  }
  const body = loopWhile(
    i32.ltU(get(from), get(to)),
    ...times(16, (i) => set(x(i), initial(i))),
    set(round, i32.const(10)),
    loopWhile(
      get(round),
      half(quarters.slice(0, 4)),
      half(quarters.slice(4)),
      set(round, i32.sub(get(round), i32.const(1)))
    ),
    ...times(16, (i) => set(x(i), v128.add32(get(x(i)), initial(i)))),
    ...times(4, transposed),
    set(from, i32.add(get(from), i32.const(256))),
    set(counter, i32.add(get(counter), i32.const(4)))
  )
  return {
    name: "chacha",
    parameters: ["i32", "i32", "i32"],
    result: undefined,
    locals: ["i32", ...locals(20, "v128")],
    body
  }
}

const mask32 = i64.const(0xffff_ffffn)
const sum = (terms: ReadonlyArray<Code>): Code => terms.reduce((left, right) => i64.add(left, right))
const high = (value: Code): Code => i64.shrU(value, i64.const(32n))
const low = (value: Code): Code => i64.and(value, mask32)

/** One block: h = (h + block + 2^128) r, partly reduced modulo 2^130 - 5. h has 4 limbs of 32 bits and a fifth that stays below 8. */
const polyBlock = (
  from: number,
  h: (i: number) => number,
  r: (i: number) => number,
  q: (i: number) => number,
  x: (i: number) => number
): Code => {
  const H = times(5, (i) => get(h(i)))
  const R = times(4, (i) => get(r(i)))
  // q[i] = r[i] * 5/4: what wraps around 2^130 comes back times 5, and r[1..3] are multiples of 4.
  const Q = times(4, (i) => get(q(i)))
  const product = (column: number): Code =>
    sum(times(5, (i) => (i <= column ? i64.mul(H[i]!, R[column - i]!) : i64.mul(H[i]!, Q[4 + column - i]!))))
  const fifth = i64.add(i64.mul(H[4]!, i64.and(R[0]!, i64.const(3n))), high(get(x(3))))
  return [
    ...times(4, (i) => set(h(i), i64.add(H[i]!, i64.load32(get(from), 4 * i)))).flat(),
    ...set(h(4), i64.add(H[4]!, i64.const(1n))),
    ...times(4, (i) => set(x(i), product(i))).flat(),
    ...set(x(4), fifth),
    ...set(h(0), i64.add(i64.mul(i64.shrU(get(x(4)), i64.const(2n)), i64.const(5n)), low(get(x(0))))),
    ...times(3, (i) => set(h(i + 1), sum([high(H[i]!), low(get(x(i + 1))), high(get(x(i)))]))).flat(),
    ...set(h(4), i64.add(high(H[3]!), i64.and(get(x(4)), i64.const(3n)))),
    ...times(4, (i) => set(h(i), low(H[i]!))).flat()
  ]
}

/** poly(from, to): the tag of whole blocks of 16 bytes, under the first 32 bytes of the key stream, to `tagAt`. */
const poly = (): FunctionType => {
  const [from, to] = [0, 1]
  const h = (i: number): number => 2 + i
  const r = (i: number): number => 7 + i
  const q = (i: number): number => 11 + i
  const x = (i: number): number => 15 + i
  const carry = 20
  const zero = i32.const(0)
  const clamp = [0x0fff_ffffn, 0x0fff_fffcn, 0x0fff_fffcn, 0x0fff_fffcn]
  const body = [
    ...times(4, (i) => set(r(i), i64.and(i64.load32(zero, streamAt + 4 * i), i64.const(clamp[i]!)))).flat(),
    ...set(q(0), i64.mul(i64.shrU(get(r(0)), i64.const(2n)), i64.const(5n))),
    ...times(3, (i) => set(q(i + 1), i64.add(get(r(i + 1)), i64.shrU(get(r(i + 1)), i64.const(2n))))).flat(),
    ...loopWhile(
      i32.ltU(get(from), get(to)),
      polyBlock(from!, h, r, q, x),
      set(from!, i32.add(get(from!), i32.const(16)))
    ),
    // h + 5 reaches 2^130 only if h is at least 2^130 - 5: then the five is needed once more. Then s is added, modulo 2^128.
    ...set(carry, i64.const(5n)),
    ...times(4, (i) => set(carry, high(i64.add(get(h(i)), get(carry))))).flat(),
    ...set(carry, i64.mul(i64.shrU(i64.add(get(h(4)), get(carry)), i64.const(2n)), i64.const(5n))),
    ...times(4, (i) => [
      ...set(x(i), sum([get(h(i)), get(carry), i64.load32(zero, streamAt + 16 + 4 * i)])),
      ...i64.store32(zero, tagAt + 4 * i, get(x(i))),
      ...set(carry, high(get(x(i))))
    ]).flat()
  ]
  return {
    name: "poly",
    parameters: ["i32", "i32"],
    result: undefined,
    locals: locals(19, "i64"),
    body
  }
}

/** The key stream's beginning, made anew. */
const begin = (): Code => [
  ...times(16, (i) => v128.store(i32.const(0), streamAt + 16 * i, v128.const(times(16, () => 0)))).flat(),
  ...call(0, i32.const(streamAt), i32.const(streamAt + 256), i32.const(0))
]

/** The bytes under the key stream behind its first block. */
const crypt = (length: number): Code => [
  ...times(12, (i) =>
    v128.store(
      i32.const(0),
      dataAt + 16 * i,
      v128.xor(v128.load(i32.const(0), dataAt + 16 * i), v128.load(i32.const(0), streamAt + 64 + 16 * i))
    )
  ).flat(),
  ...call(0, i32.const(dataAt + 192), i32.add(i32.const(dataAt), get(length)), i32.const(4))
]

const padded = (length: Code): Code => i32.and(i32.add(length, i32.const(15)), i32.const(-16))
const zeros = v128.const(times(16, () => 0))

/** The tag of what is beside and of the ciphertext, padded, and of both lengths (RFC 8439, section 2.8). */
const authenticate = (beside: number, length: number): Code => {
  const end = i32.add(i32.const(dataAt), padded(get(length)))
  return [
    ...v128.store(i32.add(i32.const(dataAt), get(length)), 0, zeros),
    ...i64.store(end, 0, i64.fromI32(get(beside))),
    ...i64.store(end, 8, i64.fromI32(get(length))),
    ...call(1, i32.sub(i32.const(dataAt), padded(get(beside))), i32.add(end, i32.const(16)))
  ]
}

/** seal(beside, length): the bytes at `dataAt` become ciphertext, and the tag follows them. */
const seal = (): FunctionType => ({
  name: "seal",
  parameters: ["i32", "i32"],
  result: undefined,
  locals: [],
  body: [
    ...begin(),
    ...crypt(1),
    ...authenticate(0, 1),
    ...v128.store(i32.add(i32.const(dataAt), get(1)), 0, v128.load(i32.const(0), tagAt))
  ]
})

/** open(beside, length): ciphertext of `length` bytes and its tag at `dataAt`. Not 0: the tag is another, nothing was opened. */
const open = (): FunctionType => ({
  name: "open",
  parameters: ["i32", "i32"],
  result: "i32",
  locals: ["i32"],
  body: [
    ...v128.store(i32.const(0), tagGivenAt, v128.load(i32.add(i32.const(dataAt), get(1)), 0)),
    ...begin(),
    ...authenticate(0, 1),
    ...set(2, v128.anyTrue(v128.xor(v128.load(i32.const(0), tagAt), v128.load(i32.const(0), tagGivenAt)))),
    ...ifThen([...get(2), 0x45], crypt(1)),
    ...get(2)
  ]
})

/** The module, and nothing to import. */
export const chachaKernel = (): Uint8Array<ArrayBuffer> => moduleOf(pages, [chacha(), poly(), seal(), open()])
