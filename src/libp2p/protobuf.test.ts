/** Protobuf as libp2p's messages use it: what is written is read, what is not ours is passed over, what is broken is told. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { Libp2pFault } from "./fault.ts"
import {
  bigOf,
  bytesField,
  bytesOf,
  type Field,
  fixed64Field,
  lastOf,
  message,
  numberOf,
  readFields,
  repeatedBytesOf,
  textOf,
  varintField
} from "./protobuf.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
const fieldsOf = (bytes: Uint8Array): ReadonlyArray<Field> => {
  const fields = readFields(bytes)
  if (fields instanceof Libp2pFault) throw fields
  return fields
}
const refusal = (bytes: Uint8Array, fieldsMax?: number): string => {
  const read = readFields(bytes, fieldsMax)
  return read instanceof Libp2pFault ? `${read.kind}: ${read.message}` : "read"
}

describe("the encodings of protobuf.dev", () => {
  test("its three worked examples", () => {
    expect(message(varintField(1, 150)).toHex()).toBe("089601")
    expect(message(bytesField(2, "testing")).toHex()).toBe("120774657374696e67")
    expect(message(bytesField(3, varintField(1, 150))).toHex()).toBe("1a03089601")
    expect(numberOf(fieldsOf(hex("089601")), 1)).toBe(150)
    expect(textOf(fieldsOf(hex("120774657374696e67")), 2)).toBe("testing")
    expect(numberOf(fieldsOf(bytesOf(fieldsOf(hex("1a03089601")), 3)!), 1)).toBe(150)
  })

  test("zero is written and read: the key type RSA is one", () => {
    expect(message(varintField(1, 0)).toHex()).toBe("0800")
    expect(numberOf(fieldsOf(hex("0800")), 1)).toBe(0)
  })

  test("a field that comes twice counts by its last, a repeated one by all", () => {
    const fields = fieldsOf(message(varintField(1, 1), varintField(1, 2), bytesField(2, "a"), bytesField(2, "b")))
    expect([numberOf(fields, 1), textOf(fields, 2)]).toEqual([2, "b"])
    expect(repeatedBytesOf(fields, 2).map((bytes) => bytes.toHex())).toEqual(["61", "62"])
  })

  test("a field of the wrong type, one that is not there, and text that is no UTF-8 are nothing", () => {
    const fields = fieldsOf(message(bytesField(1, hex("ff")), varintField(2, 1)))
    expect([numberOf(fields, 1), bigOf(fields, 1), textOf(fields, 1), bytesOf(fields, 2), bytesOf(fields, 3)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined
    ])
  })
})

describe("numbers", () => {
  test("all 64 bits are read: go-libp2p counts its records in nanoseconds, above 2^53", () => {
    for (const value of [
      0n,
      127n,
      128n,
      2n ** 53n - 1n,
      2n ** 53n,
      1_790_000_000_123_456_789n,
      2n ** 63n,
      2n ** 64n - 1n
    ]) {
      const fields = fieldsOf(message(varintField(5, value), varintField(6, 7)))
      expect([bigOf(fields, 5), numberOf(fields, 6)]).toEqual([value, 7])
      expect(numberOf(fields, 5)).toBe(value < 2n ** 53n ? Number(value) : undefined)
    }
  })

  test("number and bigint write the same bytes", () => {
    const dice = makeDice(1)
    for (let i = 0; i < 500; i++) {
      const value = Math.floor(dice.int(0x1_0000_0000) * 2 ** dice.int(22))
      expect(varintField(3, value)).toEqual(varintField(3, BigInt(value)))
    }
  })

  test("a negative int32 is ten bytes, and passed over; eleven, or more than 64 bits, are refused", () => {
    const negative = hex("08ffffffffffffffffff01")
    expect(textOf(fieldsOf(message(negative, bytesField(2, "x"))), 2)).toBe("x")
    expect(refusal(hex("08ffffffffffffffffff02"))).toBe("decode: protobuf: a number of over 64 bits")
    expect(refusal(hex("08ffffffffffffffffffff01"))).toBe("decode: protobuf: a number of over 64 bits")
  })

  test("fixed64 is little-endian", () => {
    expect(fixed64Field(2, 0x0102030405060708n).toHex()).toBe("110807060504030201")
    expect(lastOf(fieldsOf(hex("110807060504030201")), 2, 1)?.bytes.toHex()).toBe("0807060504030201")
  })
})

describe("bytes of a stranger", () => {
  test("field 0, groups, types 6 and 7, and a length beyond the end are refused", () => {
    expect(refusal(hex("0001"))).toBe("decode: protobuf: a field has the number 0")
    for (const key of ["0b", "0c", "0e", "0f"]) expect(refusal(hex(`${key}00`))).toContain("is not used")
    expect(refusal(hex("0a05616263"))).toBe("decode: protobuf: the message ends inside a field")
    expect(refusal(hex("0affffffffffffff0f"))).toBe("decode: protobuf: the message ends inside a field")
    expect(refusal(hex("0d000000"))).toBe("decode: protobuf: the message ends inside a field")
  })

  test("no more fields than are allowed", () => {
    const two = message(varintField(1, 1), varintField(1, 1))
    expect([refusal(two, 2), refusal(two, 1)]).toEqual(["read", "decode: protobuf: more than 1 fields"])
  })

  test("cut at every byte it is refused, or is the fields before the cut", () => {
    const whole = message(varintField(1, 300), bytesField(2, "hello"), fixed64Field(3, 9n), varintField(4, 2n ** 63n))
    const ends = [0, 3, 10, 19, whole.length]
    for (let length = 0; length <= whole.length; length++) {
      const read = readFields(whole.subarray(0, length))
      expect([length, read instanceof Libp2pFault ? "fault" : read.length]).toEqual([
        length,
        ends.includes(length) ? ends.indexOf(length) : "fault"
      ])
    }
  })

  test("no bytes make it throw", () => {
    const dice = makeDice(2)
    const good = message(varintField(1, 300), bytesField(2, dice.bytes(40)), fixed64Field(3, 9n), bytesField(200, "x"))
    for (let i = 0; i < 20_000; i++) {
      const read = readFields(dice.chance(0.5) ? dice.mutate(good) : dice.bytes(dice.int(30)))
      if (!(read instanceof Libp2pFault))
        for (const { number } of read)
          expect(() => [numberOf(read, number), bigOf(read, number), textOf(read, number)]).not.toThrow()
    }
  })
})
