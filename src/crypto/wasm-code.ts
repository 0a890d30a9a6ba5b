/**
 * As much of WebAssembly's binary form as a kernel of ours needs (WebAssembly core specification 2.0, chapter 5). An instruction
 * is the bytes of its operands and then its own, so that nested calls read like the expression they are.
 */

/** Bytes of instructions that leave one value, or none, on the stack. */
export type Code = ReadonlyArray<number>

const unsigned = (value: number): Code => {
  const out: Array<number> = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80)
  return [...out, rest]
}

const signed = (value: bigint): Code => {
  const out: Array<number> = []
  let rest = value
  for (;;) {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    if ((rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40)) return [...out, low]
    out.push(low | 0x80)
  }
}

const vector = (items: ReadonlyArray<Code>): Code => [...unsigned(items.length), ...items.flat()]
const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content]
const text = (value: string): Code => vector([...new TextEncoder().encode(value)].map((byte) => [byte]))

export const valueType = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const
export type ValueType = keyof typeof valueType

export interface FunctionType {
  /** Parameters come first, then the other locals: all of them are numbered from 0 in this order. */
  readonly parameters: ReadonlyArray<ValueType>
  readonly result: ValueType | undefined
  readonly locals: ReadonlyArray<ValueType>
  readonly name: string
  readonly body: Code
}

/** A module with one memory, exported as `memory`, and its functions, exported by name and numbered in their order. */
export const moduleOf = (pages: number, functions: ReadonlyArray<FunctionType>): Uint8Array<ArrayBuffer> => {
  const types = functions.map(({ parameters, result }) => [
    0x60,
    ...vector(parameters.map((type) => [valueType[type]])),
    ...vector(result === undefined ? [] : [[valueType[result]]])
  ])
  const bodies = functions.map(({ locals, body }) => {
    const content = [...vector(locals.map((type) => [1, valueType[type]])), ...body, 0x0b]
    return [...unsigned(content.length), ...content]
  })
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(5, vector([[1, ...unsigned(pages), ...unsigned(pages)]])),
    ...section(
      7,
      vector([[...text("memory"), 2, 0], ...functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)])])
    ),
    ...section(10, vector(bodies))
  ])
}

type Binary = (a: Code, b: Code) => Code
const binary =
  (...opcode: Code): Binary =>
  (a, b) => [...a, ...b, ...opcode]
const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)]
/** The alignment told is 1: any address is legal. */
const at = (offset: number): Code => [0, ...unsigned(offset)]

export const get = (local: number): Code => [0x20, ...unsigned(local)]
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)]
export const call = (index: number, ...operands: ReadonlyArray<Code>): Code => [
  ...operands.flat(),
  0x10,
  ...unsigned(index)
]
/** `body` again and again while `condition` holds; it is asked first. */
export const loopWhile = (condition: Code, ...body: ReadonlyArray<Code>): Code => [
  ...[0x03, 0x40, ...condition, 0x04, 0x40],
  ...body.flat(),
  ...[0x0c, 1, 0x0b, 0x0b]
]
export const ifThen = (condition: Code, ...body: ReadonlyArray<Code>): Code => [
  ...[...condition, 0x04, 0x40],
  ...body.flat(),
  0x0b
]

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value))],
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  ltU: binary(0x49),
  gtU: binary(0x4b),
  fromI64: (value: Code): Code => [...value, 0xa7]
}

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signed(value)],
  add: binary(0x7c),
  mul: binary(0x7e),
  and: binary(0x83),
  shrU: binary(0x88),
  fromI32: (value: Code): Code => [...value, 0xad],
  /** 32 bits of memory, as an unsigned number. */
  load32: (address: Code, offset: number): Code => [...address, 0x35, ...at(offset)],
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x37, ...at(offset)],
  store32: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x3e, ...at(offset)]
}

export const v128 = {
  load: (address: Code, offset: number): Code => [...address, ...simd(0x00), ...at(offset)],
  /** Four times the 32 bits at an address. */
  loadSplat32: (address: Code, offset: number): Code => [...address, ...simd(0x09), ...at(offset)],
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, ...simd(0x0b), ...at(offset)],
  const: (bytes: ReadonlyArray<number>): Code => [...simd(0x0c), ...bytes],
  shuffle: (a: Code, b: Code, lanes: ReadonlyArray<number>): Code => [...a, ...b, ...simd(0x0d), ...lanes],
  splat32: (value: Code): Code => [...value, ...simd(0x11)],
  shl32: (value: Code, bits: number): Code => [...value, ...i32.const(bits), ...simd(0xab)],
  shr32: (value: Code, bits: number): Code => [...value, ...i32.const(bits), ...simd(0xad)],
  add32: binary(...simd(0xae)),
  and: binary(...simd(0x4e)),
  or: binary(...simd(0x50)),
  xor: binary(...simd(0x51)),
  anyTrue: (value: Code): Code => [...value, ...simd(0x53)]
}
