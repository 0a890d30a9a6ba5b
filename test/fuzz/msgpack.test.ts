/** MessagePack: one form for each value, nothing thrown at any bytes. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { Bug } from "../../src/assert.ts"
import { concat, fromHex, toHex, utf8 } from "../../src/codec/bytes.ts"
import { decode, encode, type Packable } from "../../src/codec/msgpack.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"

const value = (dice: Dice, depth = 0): Packable => {
  const kind = dice.int(depth > 3 ? 5 : 7)
  if (kind === 0) return dice.chance(0.3) ? null : dice.chance(0.5)
  if (kind === 1) return Math.floor((dice.int(2 ** 31) - 2 ** 30) * 2 ** dice.int(22))
  if (kind === 2)
    return [1, -1, 127, 128, -32, -33, 255, 256, 65535, 65536, 2 ** 32, -(2 ** 31), Number.MAX_SAFE_INTEGER][
      dice.int(13)
    ]!
  if (kind === 3) return String.fromCodePoint(...Array.from({ length: dice.int(40) }, () => dice.int(0xd000)))
  if (kind === 4) return dice.bytes(dice.int(300))
  const items = Array.from({ length: dice.int(20) }, () => value(dice, depth + 1))
  return kind === 5 ? items : Object.fromEntries(items.map((item, i) => [`k${dice.int(1000)}-${i}`, item]))
}

test("decode undoes encode, and accepts no second form of anything", () => {
  const dice = makeDice(1)
  for (let i = 0; i < 2000; i++) {
    const original = value(dice)
    const bytes = encode(original)
    const back = decode(bytes)
    expect(Result.isSuccess(back) && Bun.deepEquals(back.success, original)).toBe(true)
    expect(Result.isSuccess(back) && toHex(encode(back.success))).toBe(toHex(bytes))
    const changed = dice.mutate(bytes)
    const other = decode(changed)
    if (Result.isSuccess(other)) expect(toHex(encode(other.success))).toBe(toHex(changed))
  }
})

test("random bytes never throw and never make it allocate what they only promise", () => {
  const dice = makeDice(2)
  for (let i = 0; i < 5000; i++) decode(dice.bytes(dice.int(60)))
  for (const bomb of ["dfffffffff", "ddffffffff", "c6ffffffff", "91".repeat(5000)])
    expect(Result.isFailure(decode(fromHex(bomb)!))).toBe(true)
})

test("longer forms, floats, extensions, unsorted keys and trailing bytes are refused", () => {
  for (const hex of [
    "cc05",
    "cd00ff",
    "d9020101",
    "ca3f800000",
    "c7010000",
    "82a16200a16100",
    "82a16100a16100",
    "c0c0",
    "c1",
    "a1ff",
    "a3eda080",
    "cf0020000000000000",
    "d3ffe0000000000000",
    "d001",
    "8101c0",
    ""
  ]) {
    expect([hex, Result.isFailure(decode(fromHex(hex)!))]).toEqual([hex, true])
  }
})

/** The shortest form of the edges, from the tables of the MessagePack specification. */
const edges: ReadonlyArray<readonly [hex: string, value: Packable]> = [
  ["c0", null],
  ["c2", false],
  ["c3", true],
  ["00", 0],
  ["7f", 127],
  ["cc80", 128],
  ["ccff", 255],
  ["cd0100", 256],
  ["cdffff", 65_535],
  ["ce00010000", 65_536],
  ["ceffffffff", 2 ** 32 - 1],
  ["cf0000000100000000", 2 ** 32],
  ["cf001fffffffffffff", Number.MAX_SAFE_INTEGER],
  ["ff", -1],
  ["e0", -32],
  ["d0df", -33],
  ["d080", -128],
  ["d1ff7f", -129],
  ["d18000", -32_768],
  ["d2ffff7fff", -32_769],
  ["d280000000", -(2 ** 31)],
  ["d3ffffffff7fffffff", -(2 ** 31) - 1],
  ["d3ffe0000000000001", Number.MIN_SAFE_INTEGER],
  ["a0", ""],
  ["a2c3a9", "é"],
  ["c40107", new Uint8Array([7])],
  ["92019102", [1, [2]]],
  ["83a16102a2616103a16201", { b: 1, a: 2, aa: 3 }]
]

test.each(edges)("%s is how its value is written (MessagePack specification), and is read back", (hex, of) => {
  expect(toHex(encode(of))).toBe(hex)
  const back = decode(fromHex(hex)!)
  expect(Result.isSuccess(back) && Bun.deepEquals(back.success, of)).toBe(true)
})

test("lengths take the shortest head at every edge", () => {
  const heads: ReadonlyArray<readonly [Packable, string]> = [
    ["x".repeat(31), "bf"],
    ["x".repeat(32), "d920"],
    ["x".repeat(256), "da0100"],
    ["x".repeat(65_536), "db00010000"],
    [new Uint8Array(255), "c4ff"],
    [new Uint8Array(256), "c50100"],
    [new Uint8Array(65_536), "c600010000"],
    [Array.from({ length: 15 }, () => 0), "9f"],
    [Array.from({ length: 16 }, () => 0), "dc0010"],
    [Array.from({ length: 65_536 }, () => 0), "dd00010000"],
    [Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i])), "de0010"]
  ]
  for (const [of, head] of heads) {
    const bytes = encode(of)
    const back = decode(bytes)
    expect(toHex(bytes.subarray(0, head.length / 2))).toBe(head)
    expect(Result.isSuccess(back) && Bun.deepEquals(back.success, of)).toBe(true)
  }
})

test("a head is refused for the longest content that a shorter one could hold", () => {
  const lists = { "dc000f": 15, "dd0000ffff": 65_535 }
  const texts = { "d91f": 31, "da00ff": 255, "db0000ffff": 65_535 }
  const blobs = { "c500ff": 255, "c60000ffff": 65_535 }
  for (const [head, length] of Object.entries({ ...lists, ...texts, ...blobs }))
    expect([head, Result.isFailure(decode(concat(fromHex(head)!, new Uint8Array(length))))]).toEqual([head, true])
  const pairs = Array.from({ length: 15 }, (_, i) => [0xa1, 0x61 + i, 0]).flat()
  for (const head of ["de000f", "df0000000f"])
    expect(Result.isFailure(decode(concat(fromHex(head)!, new Uint8Array(pairs))))).toBe(true)
})

test("eight lists in one another are read, nine are not; a block's bytes are a view of the frame", () => {
  const nested = (depth: number): Packable => (depth === 0 ? 1 : [nested(depth - 1)])
  expect([8, 9].map((depth) => Result.isSuccess(decode(encode(nested(depth)))))).toEqual([true, false])
  const frame = encode({ block: new Uint8Array(1_000_000) })
  const { block } = Result.getOrThrow(decode(frame)) as { readonly block: Uint8Array }
  expect(block.buffer).toBe(frame.buffer)
})

test("what no message may hold is our bug: undefined, a bigint, a float, a number that is not safe", () => {
  for (const wrong of [undefined, 1n, 0.5, 2 ** 53, Number.NaN, () => 1])
    expect(() => encode({ wrong: wrong as unknown as Packable })).toThrow(Bug)
})

test("a key named __proto__ is a key like any other", () => {
  const decoded = decode(concat(new Uint8Array([0x81, 0xa9]), utf8("__proto__"), new Uint8Array([1])))
  expect(Result.isSuccess(decoded) && Object.getPrototypeOf(decoded.success as object)).toBe(null)
  expect(Result.isSuccess(decoded) && Object.entries(decoded.success as object)).toEqual([["__proto__", 1]])
})

test("the list form of the reference's hello is written the same (C 4.3)", () => {
  expect(
    toHex(
      encode([
        ["address", "abc"],
        ["request_id", 0]
      ])
    )
  ).toBe("9292a761646472657373a361626392aa726571756573745f696400")
})
