/** Notes of any text, signed by the code of the page and given to a whole node: taken as they are, or refused before they are signed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context } from "effect"
import type { Hono } from "hono"
import { keyOf } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { type ChainFacts, sign } from "../../web/wallet.ts"
import { formatAddress } from "../crypto/address.ts"
import { makeApp } from "./app.ts"
import type { TransferText } from "../ledger/transfer-text.ts"
import type { ReplyOf } from "./contract.ts"

const [sender, recipient] = [2, 1].map((i) => formatAddress(keyOf(i).address, "crn")) as [string, string]
let node: TestNode
let app: Hono

beforeAll(async () => {
  node = await startNode()
  app = makeApp({ node: node.tree.node, context: Context.empty(), adminToken: undefined, page: new Map(), hosts: [] })
})
afterAll(() => node.stop())

const get = async <A>(path: string): Promise<A> => (await (await app.request(`http://localhost${path}`)).json()) as A
const post = (body: unknown) =>
  app.request("http://localhost/api/transactions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

/** As the page reads them of its node. */
const facts = (): ChainFacts => {
  const { chainId, symbol, decimals } = node.tree.node.facts.rules.spec.ledger
  return { model: "account", chainId, prefix: "crn", decimals, symbol, dataMax: 0, filler: undefined }
}
const nonceOf = async (): Promise<number> =>
  (await get<ReplyOf<"account">>(`/api/accounts/${sender}`)).account.next_nonce
/** Signed by the wallet of the page. */
const signed = async (note: string) => {
  const form = { to: recipient, amount: "0.00000001", fee: "0.00000005", note, data: "" }
  return sign(keyOf(2), facts(), { ...form, nonce: await nonceOf(), time: Date.now() })
}

describe("a note", () => {
  test.each([
    ["a URL", 'https://x/y?"z"&a=b#c'],
    ["slashes and backslashes", "/ \\/ \\\\ \\u002f"],
    ["quotes of all kinds", "\"'`“”«»"],
    ["emoji that are several characters", "🪨👩‍👩‍👧‍👦🇨🇭🏴‍☠️"],
    ["control characters, DEL and C1 among them", "\u0000\u0001\b\t\n\r\u001f\u007f\u0080\u009f"],
    ["separators that JSON and JavaScript treat apart", "\u2028\u2029\u00a0\ufeff"],
    ["the same letter composed and not", "é e\u0301"],
    ["text from right to left", "\u202eabc\u202c שלום"],
    ["the ends of the planes", "\ufffd\uffff\u{10000}\u{10ffff}"],
    ["as many bytes as there may be", "é".repeat(140)]
  ])("with %s, signed by the page, is taken as it is and found again (defect 6)", async (_, note) => {
    const response = await post(await signed(note))
    const { transaction } = (await response.json()) as ReplyOf<"submit">
    expect([response.status, (transaction as TransferText).note]).toEqual([201, note])
    const found = await get<ReplyOf<"transaction">>(`/api/transactions/${transaction.id}`)
    expect((found.transaction as TransferText).note).toBe(note)
  })

  const halves = ["\ud800", "\udc00", "a\ud83e", "\udea8\ud83e"]
  const tooLong = "🪨".repeat(70) + "x"

  test("with half a character, or a byte too many, is not signed by the page, which says why", async () => {
    for (const note of halves) expect(await signed(note)).toEqual({ wrong: "The note has half a character in it." })
    expect(await signed(tooLong)).toEqual({ wrong: "The note has 281 bytes; there may be 280." })
  })

  test("with half a character, or a byte too many, is refused by the node, whoever signed it", async () => {
    const good = { ...(await signed("")), id: undefined }
    const codeOf = async (note: string) => {
      const body = JSON.stringify({ ...good, note })
      const answer = await post(body)
      return [answer.status, ((await answer.json()) as { code: string }).code, body.includes("\\ud")]
    }
    // JSON has an escape for half a character: the bytes of the body are whole.
    for (const note of halves) expect(await codeOf(note)).toEqual([400, "transaction-malformed", true])
    expect(await codeOf(tooLong)).toEqual([400, "note-too-long", false])
  })
})
