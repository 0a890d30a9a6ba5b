/** DER, written and read: known forms, every wrong one, and any bytes. */
import { describe, expect, test } from "bun:test"
import { fromHex } from "../codec/bytes.ts"
import {
  bitString,
  bytesOfBits,
  der,
  octetString,
  oid,
  readAll,
  readDer,
  readOid,
  readOnly,
  readSequence,
  readTime,
  sequence,
  tag,
  time,
  unsignedInteger
} from "./der.ts"

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", ""))!

describe("a value", () => {
  test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 70_000])("of %d bytes is read as it was written", (length) => {
    const bytes = octetString(new Uint8Array(length).fill(7))
    const read = readOnly(bytes, tag.octetString)!
    expect([read.content.length, read.raw.length]).toEqual([length, bytes.length])
    expect(readOnly(bytes, tag.bitString)).toBeUndefined()
    expect(readDer(bytes.subarray(0, -1))).toBeUndefined()
  })

  test.each([
    ["a length of no certain end", "30 80 00 00"],
    ["a length that is longer than need be", "04 81 01 00"],
    ["a length with a zero before it", `04 82 00 80 ${"00".repeat(128)}`],
    ["a length of five digits", "04 85 01 00 00 00 00"],
    ["a length that its bytes do not reach", "04 02 00"],
    ["a length that is cut off", "04 82 01"],
    ["a tag of two bytes", "1f 01 00"],
    ["no bytes", ""]
  ])("is not %s", (_, text) => expect(readDer(hex(text))).toBeUndefined())

  test("of a list are all, and not too many", () => {
    const three = sequence(der(tag.null), der(tag.null), der(tag.null))
    expect([readSequence(three, 3)?.length, readSequence(three, 2), readSequence(sequence())]).toEqual([
      3,
      undefined,
      []
    ])
    expect(readAll(hex("05 00 05"))).toBeUndefined()
    expect(readSequence(hex("30 02 05 00 00"))).toBeUndefined()
  })
})

test.each([
  ["00", "02 01 00"],
  ["0000", "02 01 00"],
  ["7f", "02 01 7f"],
  ["0080", "02 02 00 80"],
  ["80", "02 02 00 80"],
  ["ff00", "02 03 00 ff 00"]
])("the number %s is %s", (bytes, written) => expect(unsignedInteger(hex(bytes))).toEqual(hex(written)))

test("a bit string has whole bytes", () => {
  expect(bytesOfBits(readDer(bitString(hex("0102"))))).toEqual(hex("0102"))
  expect(bytesOfBits(readDer(hex("03 02 01 02")))).toBeUndefined()
  expect(bytesOfBits(readDer(hex("03 00")))).toBeUndefined()
  expect(bytesOfBits(undefined)).toBeUndefined()
})

describe("an object identifier", () => {
  test.each([
    ["1.2.840.10045.2.1", "06 07 2a 86 48 ce 3d 02 01"],
    ["1.3.6.1.4.1.53594.1.1", "06 0a 2b 06 01 04 01 83 a2 5a 01 01"],
    ["2.5.4.3", "06 03 55 04 03"],
    ["2.100.3", "06 03 81 34 03"],
    ["0.9", "06 01 09"],
    ["2.16.840.1.101.3.4.2.1", "06 09 60 86 48 01 65 03 04 02 01"]
  ])("%s is %s", (dotted, bytes) => {
    expect([oid(dotted), readOid(readDer(hex(bytes)))]).toEqual([hex(bytes), dotted])
  })

  test.each(["06 00", "06 01 80", "06 02 80 01", "06 02 2a 86", "06 06 2a ff ff ff ff 7f", "05 00"])(
    "%s is none",
    (bytes) => expect(readOid(readDer(hex(bytes)))).toBeUndefined()
  )
})

describe("a time", () => {
  const at = (kind: number, text: string) => readTime(readDer(der(kind, new TextEncoder().encode(text))))

  test.each([
    [tag.utcTime, "491231235959Z", "2049-12-31T23:59:59.000Z"],
    [tag.utcTime, "500101000000Z", "1950-01-01T00:00:00.000Z"],
    [tag.utcTime, "000229120000Z", "2000-02-29T12:00:00.000Z"],
    [tag.generalizedTime, "20500101000000Z", "2050-01-01T00:00:00.000Z"],
    [tag.generalizedTime, "00010101000000Z", "0001-01-01T00:00:00.000Z"],
    [tag.generalizedTime, "99991231235959Z", "9999-12-31T23:59:59.000Z"]
  ])("of kind %d, %s, is %s", (kind, text, iso) => {
    expect(new Date(at(kind, text)!).toISOString()).toBe(iso)
  })

  test("is written in the form of its year", () => {
    for (const iso of ["1970-01-01T00:00:00.000Z", "2049-12-31T23:59:59.000Z", "2050-01-01T00:00:00.000Z"])
      expect(new Date(readTime(readDer(time(Date.parse(iso))))!).toISOString()).toBe(iso)
    expect([time(0)[0], time(Date.UTC(2050, 0))[0]]).toEqual([tag.utcTime, tag.generalizedTime])
  })

  test.each([
    [tag.utcTime, "010229000000Z"],
    [tag.utcTime, "211301000000Z"],
    [tag.utcTime, "210100000000Z"],
    [tag.utcTime, "210101240000Z"],
    [tag.utcTime, "210101006000Z"],
    [tag.utcTime, "210101000060Z"],
    [tag.utcTime, "2101010000Z"],
    [tag.utcTime, "210101000000+0000"],
    [tag.utcTime, "20210101000000Z"],
    [tag.generalizedTime, "20210101000000.5Z"],
    [tag.generalizedTime, "210101000000Z"],
    [tag.octetString, "210101000000Z"]
  ])("of kind %d is not %s", (kind, text) => expect(at(kind, text)).toBeUndefined())
})

test("any bytes are read or refused, and what is read lies within them", () => {
  let state = 3
  const upTo = (max: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * max)
  }
  const kinds = [0x02, 0x03, 0x04, 0x06, 0x17, 0x18, 0x30, 0x80, 0xa0]
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: upTo(24) }, () => (upTo(3) ? upTo(12) : upTo(256)))
    if (bytes.length > 0) bytes[0] = kinds[upTo(kinds.length)]!
    const value = readDer(bytes)
    if (value === undefined) continue
    expect(value.raw).toEqual(bytes.subarray(0, value.raw.length))
    // There is one way to write it.
    expect(der(value.tag, value.content)).toEqual(value.raw)
    const dotted = readOid(value)
    if (dotted !== undefined) expect(oid(dotted)).toEqual(value.raw)
    readAll(value.content)
    readTime(value)
    bytesOfBits(value)
  }
})
