/** MessagePack: one form for each value, nothing thrown at any bytes. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { concat, fromHex, toHex, utf8 } from "../../src/codec/bytes.ts"
import { decode, encode, type Packable } from "../../src/codec/msgpack.ts"
import { type Dice, makeDice } from "./dice.ts"

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
    const bytes = encode(value(dice))
    const back = decode(bytes)
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
    "a1ff"
  ]) {
    expect([hex, Result.isFailure(decode(fromHex(hex)!))]).toEqual([hex, true])
  }
})

test("a key named __proto__ is a key like any other", () => {
  const decoded = decode(concat(new Uint8Array([0x81, 0xa9]), utf8("__proto__"), new Uint8Array([1])))
  expect(Result.isSuccess(decoded) && Object.getPrototypeOf(decoded.success as object)).toBe(null)
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
