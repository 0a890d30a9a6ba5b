/** Every request of the collection and of the request file under docs/, sent to a real node over real sockets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { unserved, unshown } from "../../src/http/collection.ts"
import { referenceTitles, variables } from "../../src/http/examples.ts"
import { contractFiles } from "../contract.ts"
import { awaited } from "../contract-rows.ts"
import { addressOf, adminToken, serveNode, type Served, signed } from "../door.ts"

let door: Served
beforeAll(async () => {
  door = await serveNode({ http: { serverWallets: true, mineOnGet: true } })
})
afterAll(() => door.stop())

interface Item {
  readonly name: string
  readonly event: ReadonlyArray<{ readonly listen: string; readonly script: { readonly exec: ReadonlyArray<string> } }>
  readonly request: {
    readonly method: string
    readonly header: ReadonlyArray<{ readonly key: string; readonly value: string }>
    readonly url: { readonly raw: string; readonly host: ReadonlyArray<string>; readonly path: ReadonlyArray<string> }
    readonly body?: { readonly raw: string }
  }
}
interface Collection {
  readonly info: { readonly schema: string }
  readonly variable: ReadonlyArray<{ readonly key: string; readonly value: string }>
  readonly item: ReadonlyArray<{ readonly name: string; readonly item: ReadonlyArray<Item> }>
}

const docs = join(import.meta.dir, "../../docs")
const read = (path: string): string => readFileSync(join(docs, path), "utf8")
const collection = (): Collection => JSON.parse(read("postman/cairn.postman_collection.json")) as Collection

/** The variables, with the first transfer of a sender. */
const fresh = (sender: number): Record<string, string> => ({
  ...variables,
  baseUrl: door.url,
  adminToken,
  address: addressOf(1),
  transaction: JSON.stringify(signed(1, { from: sender }))
})
const fill = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? `no ${name}`)

/** The little of Postman's scripts that the collection uses. */
const runScript = (lines: ReadonlyArray<string>, code: number, body: string, values: Record<string, string>): void => {
  const pm = {
    test: (_: string, check: () => void) => check(),
    expect: (value: number) => ({
      to: { be: { oneOf: (right: ReadonlyArray<number>) => expect(right).toContain(value) } }
    }),
    response: { code, json: () => JSON.parse(body) as unknown },
    collectionVariables: { set: (name: string, value: string) => void (values[name] = value) }
  }
  new Function("pm", lines.join("\n"))(pm)
}

/** Status and body; of a stream that does not end, the beginning. */
const send = async (to: string, init: RequestInit): Promise<readonly [number, string]> => {
  const response = await fetch(to, init)
  if (response.headers.get("content-type") !== "text/event-stream") return [response.status, await response.text()]
  await response.body?.cancel()
  return [response.status, ""]
}

/** Requests of a development chain of accounts that are about another chain. */
const aboutOthers = [
  "coins of an address",
  "one coin",
  "proof of a coin",
  "finality",
  "authorities",
  "votes of authorities",
  "evidence against authorities",
  "vote on an authority"
]

describe("the requests under docs/", () => {
  test("are those that the contract gives, one for each route", () => {
    for (const [path, text] of Object.entries(contractFiles()))
      expect([path, read(path) === text ? "" : "run: bun run contract"]).toEqual([path, ""])
    expect(unshown()).toEqual([])
    expect([...unserved()]).toEqual([...awaited])
  })

  test("have the ten of the reference system's collection by their names", () => {
    const names = collection().item.flatMap(({ item }) => item.map(({ name }) => name))
    const here = referenceTitles.filter((title) => names.includes(title))
    const notYet = { "register peer": "POST /api/peers", "resolve consensus": "POST /api/consensus/resolve" }
    expect(referenceTitles.length).toBe(10)
    expect(here).toEqual(
      referenceTitles.filter((title) => !awaited.includes((notYet as Record<string, string>)[title] ?? ""))
    )
  })

  test("in the collection are answered as it says, one after the other", async () => {
    const values = fresh(2)
    const { info, variable, item: folders } = collection()
    expect(info.schema).toEndWith("/v2.1.0/collection.json")
    expect(variable.map(({ key }) => key)).toEqual(Object.keys(variables))
    const others: Array<string> = []
    for (const { name, event, request: one } of folders.flatMap(({ item }) => item)) {
      const { host, path, raw } = one.url
      expect(raw.split("?")[0]).toBe(`${host[0]}/${path.join("/")}`)
      const headers = Object.fromEntries(one.header.map(({ key, value }) => [key, fill(value, values)]))
      const body = one.body === undefined ? {} : { body: fill(one.body.raw, values) }
      const [status, text] = await send(fill(raw, values), { method: one.method, headers, ...body })
      if (status >= 400) others.push(name)
      for (const { script } of event) runScript(script.exec, status, text, values)
    }
    expect(others.sort()).toEqual([...aboutOthers].sort())
    expect(values["transactionId"]).not.toBe(variables.transactionId)
  })

  test("in the request file are answered as it says, too", async () => {
    const values: Record<string, string> = { ...fresh(3), blockHash: door.node.store.tip().header.id }
    const blocks = read("api.http").split(/^### /m).slice(1)
    expect(blocks.length).toBeGreaterThan(40)
    for (const text of blocks) {
      const [title, ...lines] = text.trimEnd().split("\n")
      const right = /^# Answers ([\d or]+)\.$/m.exec(text)![1]!.split(" or ").map(Number)
      const request = lines.filter((line) => !line.startsWith("#"))
      const [first, ...rest] = request
      const [method, to] = first!.split(" ") as [string, string]
      const empty = rest.indexOf("")
      const headers = Object.fromEntries(
        rest
          .slice(0, empty === -1 ? undefined : empty)
          .map((line) => [line.split(": ")[0]!, fill(line.split(": ")[1] ?? "", values)])
      )
      const body = empty === -1 ? {} : { body: fill(rest.slice(empty + 1).join("\n"), values) }
      const [status, answer] = await send(fill(to, values), { method, headers, ...body })
      if (title === "add transaction")
        values["transactionId"] = (JSON.parse(answer) as { transaction: { id: string } }).transaction.id
      expect([title, right.includes(status)]).toEqual([title, true])
    }
  })
})
