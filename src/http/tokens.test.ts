/** Named tokens: their file is read strictly and at most once a second, and none but the right text opens. */
import { describe, expect, test } from "bun:test"
import { adminTokensMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import {
  formatTokens,
  hashToken,
  isTokenName,
  type NamedToken,
  parseToken,
  parseTokens,
  sameSecret,
  TokenFile,
  tokenNamed
} from "./tokens.ts"

const named = (name: string, token: string): NamedToken => ({ name, hash: hashToken(token), created: 1 })
const anna = named("anna", "token of anna")
const ben = named("ben", "token of ben")

describe("a file of tokens", () => {
  test("gives back what was written, and holds no token", () => {
    const text = formatTokens([anna, ben])
    expect(parseTokens(text)).toEqual([anna, ben])
    expect(text).not.toContain("token of")
    expect(parseTokens(formatTokens([]))).toEqual([])
  })

  const row = `{"name":"a","sha256":"${"00".repeat(32)}","created":1}`
  test.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["another thing", "[]"],
    ["a newer version", '{"version":2,"tokens":[]}'],
    ["a field beside", '{"version":1,"tokens":[],"more":1}'],
    ["a short hash", '{"version":1,"tokens":[{"name":"a","sha256":"00","created":1}]}'],
    ["a name of another place", `{"version":1,"tokens":[${row.replace('"a"', '"socket"')}]}`],
    ["a name with control characters", `{"version":1,"tokens":[${row.replace('"a"', '"a\\n"')}]}`],
    ["one name twice", `{"version":1,"tokens":[${row},${row}]}`],
    ["too many", formatTokens(Array.from({ length: adminTokensMax + 1 }, (_, i) => named(`a${i}`, `${i}`)))]
  ])("with %s is none", (_, text) => expect(parseTokens(text)).toBeUndefined())

  test("spoiled at random is read or refused, and never throws", () => {
    const dice = makeDice(3)
    const text = formatTokens([anna, ben])
    let refused = 0
    for (let i = 0; i < 5_000; i++) {
      const at = dice.int(text.length)
      const spoiled = text.slice(0, at) + String.fromCharCode(dice.int(128)) + text.slice(at + dice.int(3))
      const tokens = parseTokens(spoiled)
      if (tokens === undefined) refused++
      else expect(tokens.every(({ name, hash }) => isTokenName(name) && hash.length === 32)).toBe(true)
    }
    expect(refused).toBeGreaterThan(3_000)
  })

  test("of one token holds that, without the end of the line; an empty one holds none", () => {
    expect(parseToken("first")(" secret\n")).toEqual([{ name: "first", hash: hashToken("secret"), created: 0 }])
    expect(parseToken("first")(" \n")).toBeUndefined()
  })
})

test("a token is known by its whole text, whichever it is", () => {
  expect(tokenNamed([anna, ben], "token of anna")).toBe("anna")
  expect(tokenNamed([anna, ben], "token of ben")).toBe("ben")
  for (const given of ["", "token of ann", "token of anna ", "TOKEN OF ANNA", Buffer.from(anna.hash).toString("hex")])
    expect([given, tokenNamed([anna, ben], given)]).toStrictEqual([given, undefined])
  expect(tokenNamed([], "")).toBeUndefined()
  expect([sameSecret("a", "a"), sameSecret("a", "ab"), sameSecret("", "a")]).toEqual([true, false, false])
})

describe("a file that changes while the node runs", () => {
  const make = () => {
    const disk = { stamp: "1" as string | undefined, text: formatTokens([anna]), looks: 0, reads: 0, spoiled: 0 }
    const door = {
      stamp: () => {
        disk.looks++
        return disk.stamp
      },
      read: () => {
        disk.reads++
        if (disk.text === "") throw new Error("not to be read")
        return disk.text
      }
    }
    const file = new TokenFile(door, parseTokens, () => void disk.spoiled++)
    return { disk, names: (now: number) => file.tokens(now).map(({ name }) => name) }
  }

  test("is looked at once a second, and read only when it is another one", () => {
    const { disk, names } = make()
    for (let now = 0; now < 10_000; now += 100) expect(names(now)).toEqual(["anna"])
    expect([disk.looks, disk.reads]).toEqual([10, 1])
  })

  test("is heard of within a second: a new token counts, a revoked one counts no more", () => {
    const { disk, names } = make()
    expect(names(0)).toEqual(["anna"])
    Object.assign(disk, { stamp: "2", text: formatTokens([ben]) })
    expect(names(999)).toEqual(["anna"])
    expect(names(1_000)).toEqual(["ben"])
    Object.assign(disk, { stamp: undefined })
    expect(names(2_000)).toEqual([])
  })

  test("holds nothing while it is spoiled or cannot be read, which is told once", () => {
    const { disk, names } = make()
    expect(names(0)).toEqual(["anna"])
    for (const [i, text] of ["{", ""].entries()) {
      Object.assign(disk, { stamp: `bad ${i}`, text })
      expect(names(10_000 * (i + 1))).toEqual([])
      expect(names(10_000 * (i + 1) + 5_000)).toEqual([])
      expect(disk.spoiled).toBe(i + 1)
    }
    Object.assign(disk, { stamp: "3", text: formatTokens([anna, ben]) })
    expect(names(90_000)).toEqual(["anna", "ben"])
  })
})
