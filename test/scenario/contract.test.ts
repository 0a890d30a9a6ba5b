/** The HTTP interface as clients of the reference system know it, over real sockets: every route and alias, by class, status and keys. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { encodeBlock } from "../../src/block/block.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { aliases, type Route, routes } from "../../src/http/contract.ts"
import { pathOf } from "../../src/http/openapi.ts"
import { checkRow } from "../contract-check.ts"
import { type Row, rows } from "../contract-rows.ts"
import { addressOf, serveNode, type Served } from "../door.ts"
import { keyOf } from "../fixtures.ts"

let url = ""
/** Hash of the tip when the tests begin. */
let tip = ""
let door: Served
beforeAll(async () => {
  door = await serveNode({ http: { serverWallets: true, mineOnGet: true }, gossip: {}, backups: {} })
  url = door.url
  for (let i = 0; i < 3; i++) await Effect.runPromise(door.node.tree.node.mine(keyOf(0).address))
  tip = door.node.store.tip().header.id
})
afterAll(() => door.stop())

const isServed = ({ ask }: Row): boolean => {
  const [method, path] = ask.split("?")[0]!.split(" ")
  const matches = (pattern: string): boolean =>
    new RegExp(
      `^${pathOf(pattern)
        .replace(/\{text\}/g, ".+")
        .replace(/\{[a-z]+\}/g, "[^/]+")}$`
    ).test(path!)
  return [
    ...(Object.values(routes) as ReadonlyArray<Route>).map((route) => [route.method, route.path] as const),
    ...Object.entries(aliases).map(([alias, name]) => [routes[name].method, alias] as const)
  ].some(([known, pattern]) => known === method && matches(pattern))
}

describe("the reference system's routes", () => {
  test("are all here", () => {
    expect(rows.filter((row) => !isServed(row)).map(({ ask }) => ask)).toEqual([])
    expect(new Set(rows.map(({ row }) => row)).size).toBe(29)
  })

  test.each(rows.map((row) => [`${row.row} ${row.ask}`, row] as const))("%s", async (_, row) => {
    const { store } = door.node
    const block = toHex(encodeBlock(store.block(store.tip().header.id)!))
    await checkRow(url, row, { tip, block })
  })

  test("show addresses never seen with zeros and the next nonce 1, and find a hash in capitals", async () => {
    const { account } = (await (await fetch(`${url}/api/accounts/${addressOf(77)}`)).json()) as { account: object }
    expect(account).toMatchObject({ confirmed_balance: 0, pending_balance: 0, next_confirmed_nonce: 1, next_nonce: 1 })
    const found = (await (await fetch(`${url}/api/blocks/hash/${tip.toUpperCase()}`)).json()) as {
      block: { hash: string }
    }
    expect(found.block.hash).toBe(tip)
  })

  test("count blocks from 1 in index and from 0 in height, and hash what follows the slash", async () => {
    const { block: one } = (await (await fetch(`${url}/api/blocks/0`)).json()) as {
      block: { index: number; height: number }
    }
    expect([one.index, one.height]).toEqual([1, 0])
    const said = await (await fetch(`${url}/hashing/sha256/a%20b/c`)).json()
    expect(said).toEqual({ input: "a b/c", hash: new Bun.CryptoHasher("sha256").update("a b/c").digest("hex") })
  })

  test("answer another method with 405 and Allow, and what is no route with 404", async () => {
    for (const { ask } of rows) {
      const [method, path] = ask.split("?")[0]!.replaceAll("TIP", tip).split(" ") as [string, string]
      const others = new Set(
        rows.filter((row) => row.ask.split("?")[0]!.endsWith(` ${path}`)).map((row) => row.ask.split(" ")[0])
      )
      const other = method === "GET" ? "POST" : "GET"
      if (others.has(other)) continue
      const answer = await fetch(`${url}${path}`, { method: other })
      expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, method])
    }
    const nowhere = await fetch(`${url}/api/nowhere`)
    expect([nowhere.status, ((await nowhere.json()) as { code: string }).code]).toEqual([404, "route-not-found"])
  })

  test("tell a refusal under `error`, too, where their clients look", async () => {
    const refused = (await (await fetch(`${url}/api/blocks/999999`)).json()) as Record<string, unknown>
    expect(refused["error"]).toBe(refused["detail"])
    expect(refused["code"]).toBe("block-not-found")
  })
})
