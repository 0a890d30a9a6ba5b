/** What a chain asks of data: as much as it allows, and some where it has a filler; and how senders come to it. */
import { describe, expect, test } from "bun:test"
import { fromUtf8, utf8 } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import type { Filler } from "./filler.ts"
import { checkData, dataOrFiller, noData } from "./payload.ts"

const six: Filler = { rule: "random", characters: 6 }
const said: Filler = { rule: "text", text: "größer" }
const nothing: Filler = { rule: "text", text: "" }

describe("data", () => {
  test.each([
    [{}, 0, undefined],
    [{}, 1, "data-not-allowed"],
    [{ payloadBytesMax: 8 }, 0, undefined],
    [{ payloadBytesMax: 8 }, 9, "data-too-long"],
    [{ payloadBytesMax: 8, filler: six }, 0, "data-missing"],
    [{ payloadBytesMax: 8, filler: said }, 0, "data-missing"],
    [{ payloadBytesMax: 8, filler: nothing }, 0, undefined],
    [{ payloadBytesMax: 8, filler: six }, 1, undefined],
    [{ payloadBytesMax: 8, filler: six }, 8, undefined],
    [{ payloadBytesMax: 8, filler: six }, 9, "data-too-long"]
  ] as const)("%j takes %i bytes: %p", (rules, length, code) => {
    expect(checkData(rules, new Uint8Array(length))?.code).toBe(code)
  })

  test("is the sender's own, or the filler that the chain takes, another each time; or none", () => {
    const random = makeDice(3).bytes
    const own = utf8("own")
    for (const filler of [undefined, six, said, nothing]) expect(dataOrFiller(own, filler, random)).toBe(own)
    for (const filler of [six, said, nothing]) {
      const data = dataOrFiller(noData, filler, random)
      expect(checkData({ payloadBytesMax: 8, filler }, data)).toBeUndefined()
    }
    expect(fromUtf8(dataOrFiller(noData, said, random))).toBe("größer")
    expect(dataOrFiller(noData, six, random)).not.toEqual(dataOrFiller(noData, six, random))
    const unasked = (): Uint8Array => {
      throw new Error("no chance is needed")
    }
    expect(dataOrFiller(noData, undefined, unasked)).toBe(noData)
  })
})
