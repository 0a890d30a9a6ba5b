/** Pages that nodes give each other by HTTP: nothing that was changed is taken for another, and nothing throws. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { specOf, TestChain } from "../../test/fixtures.ts"
import { headersOf, honestNode } from "../../test/raw-node.ts"
import { toHex } from "../codec/bytes.ts"
import { nodeUrlCharsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { parseNodeUrl, readBlocksPage, readDirectory, readHeadersPage } from "./raw-page.ts"

const theirs = new TestChain(specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 0 } }))
theirs.mine(20)
const honest = honestNode(theirs)

test("a changed page is never taken for another, and a page of noise never throws", () => {
  const locator = [theirs.rules.genesis.header.id]
  const good = JSON.stringify(headersOf(theirs, locator))
  const ids = [theirs.store.bestAt(1)!.header.id]
  const blocks = honest(`http://a/api/blocks/raw?hashes=${ids[0]}`).body
  for (let seed = 0; seed < 400; seed++) {
    const dice = makeDice(seed)
    const spoil = (text: string): string => {
      const at = dice.int(text.length)
      const made = [text.slice(0, at), text.slice(0, at) + text.slice(at + 1 + dice.int(9)), ""]
      return dice.pick([...made, `${text.slice(0, at)}${String.fromCharCode(dice.int(128))}${text.slice(at + 1)}`])
    }
    const headers = readHeadersPage({ status: 200, body: spoil(good) }, theirs.rules, locator)
    if (Result.isSuccess(headers))
      for (const [i, header] of headers.success.headers.entries())
        if (i > 0) expect(toHex(header.previous)).toBe(headers.success.headers[i - 1]!.id)
    const read = readBlocksPage({ status: 200, body: spoil(blocks) }, theirs.rules, ids)
    if (Result.isSuccess(read)) expect(read.success[0]!.header.id).toBe(ids[0]!)
  }
})

describe("the URL of a node", () => {
  test("is written in one way", () => {
    expect(parseNodeUrl(" HTTP://A.example:80/ ")).toBe("http://a.example")
    expect(parseNodeUrl("https://a.example/cairn//")).toBe("https://a.example/cairn")
    expect(parseNodeUrl("http://[::1]:8080")).toBe("http://[::1]:8080")
  })

  test.each([
    "",
    "a.example",
    "ftp://a",
    "file:///etc/passwd",
    "http://me@a",
    "http://me:x@a",
    "http://a?b",
    "http://a#b",
    "http://"
  ])("is not %s", (text) => expect(parseNodeUrl(text)).toBeUndefined())

  test("has no more characters than there is room for", () => {
    expect(parseNodeUrl(`http://a/${"x".repeat(nodeUrlCharsMax)}`)).toBeUndefined()
  })
})

test("a directory gives endpoints only, and no more than asked for", () => {
  const isEndpoint = (text: string): boolean => text.endsWith(":1")
  const read = (body: unknown, max = 9) => readDirectory({ status: 200, body: JSON.stringify(body) }, isEndpoint, max)
  expect(read({ peers: ["a:1", "http://x", 3, null, "b:1"] })).toEqual(["a:1", "b:1"])
  expect(read({ peers: ["a:1", "b:1", "c:1"] }, 2)).toEqual(["a:1", "b:1"])
  for (const body of [{}, { peers: "a:1" }, [], null, { peers: { length: 3 } }]) expect(read(body)).toEqual([])
  expect(readDirectory({ status: 401, body: '{"peers":["a:1"]}' }, isEndpoint, 9)).toEqual([])
})
