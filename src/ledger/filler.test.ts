/** Filler: of the form that it is of, always the same from one seed, and nothing else passes for it. */
import { describe, expect, test } from "bun:test"
import { utf8 } from "../codec/bytes.ts"
import { type Filler, fillerBytes, isFiller, makeFiller } from "./filler.ts"

const random = (characters: number): Filler => ({ rule: "random", characters })
const said: Filler = { rule: "text", text: "größer" }
const seed = (i: number): Uint8Array => Uint8Array.of(i, 1)

describe("filler", () => {
  test("is of its own form, whatever the seed, and as long as it says", () => {
    for (const filler of [said, ...[0, 1, 15, 32, 33, 1024].map(random)]) {
      for (let i = 0; i < 20; i++) {
        const bytes = makeFiller(filler, seed(i))
        expect([bytes.length, isFiller(filler, bytes)]).toEqual([fillerBytes(filler), true])
        expect(makeFiller(filler, seed(i))).toEqual(bytes)
      }
    }
    expect(fillerBytes(undefined)).toBe(0)
  })

  test("differs from seed to seed, and every letter and digit comes", () => {
    expect(makeFiller(random(15), seed(1))).not.toEqual(makeFiller(random(15), seed(2)))
    const counts = new Map<number, number>()
    for (let i = 0; i < 60; i++)
      for (const byte of makeFiller(random(1024), seed(i))) counts.set(byte, (counts.get(byte) ?? 0) + 1)
    expect(counts.size).toBe(62)
    // 991 of each are expected; five deviations are 157.
    for (const count of counts.values()) expect(Math.abs(count - 991)).toBeLessThan(157)
  })

  test("is not one letter more or fewer, another sign, another text, or what is no text", () => {
    const wrong = (filler: Filler, text: string): boolean => isFiller(filler, utf8(text))
    expect(["ab", "abcd", "ab-", "aé", "a c", "ab\n"].map((text) => wrong(random(3), text))).toEqual(
      Array(6).fill(false)
    )
    expect(isFiller(random(3), Uint8Array.of(97, 98, 255))).toBe(false)
    expect(["grösser", "größe", "größeR", ""].map((text) => wrong(said, text))).toEqual(Array(4).fill(false))
    expect(isFiller(random(0), new Uint8Array(0))).toBe(true)
  })
})
