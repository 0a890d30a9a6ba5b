/** Every request of the collection and of the request file under docs/, sent to a real node over real sockets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { encodeBlock } from "../../src/block/block.ts"
import { makeRouteTable, unserved, unshown } from "../../src/http/collection.ts"
import { examples, referenceTitles, variables } from "../../src/http/examples.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { allocationId } from "../../src/ledger/coin.ts"
import { signerOf } from "../authorities.ts"
import { contractFiles } from "../contract.ts"
import { addressOf, adminToken, announcementOf, peerSecret, serveNode, type Served, signed, wordOf } from "../door.ts"
import { specOf } from "../fixtures.ts"
import { startNode, type TestNode, until } from "../network.ts"

/** Everything that an operator may allow. */
const everything = { http: { serverWallets: true, mineOnGet: true }, gossip: {}, backups: {} }
let door: Served
/** A node that it meets, and that the requests ban. */
let other: TestNode
beforeAll(async () => {
  door = await serveNode(everything)
  other = await startNode({ seeds: [door.node.endpoint] })
  await until("they meet", async () => {
    const { peers } = (await (await fetch(`${door.url}/api/peers`)).json()) as { peers: ReadonlyArray<string> }
    return peers.length > 0
  })
})
afterAll(async () => {
  await other.stop()
  await door.stop()
})

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

/** The variables as an operator fills them in, with the first transfer of a sender, and what a node signs. */
const fresh = ({ url }: Served, sender: number): Record<string, string> => ({
  ...bare(url),
  address: addressOf(1),
  transaction: JSON.stringify(signed(1, { from: sender })),
  nodeId: other.tree.node.facts.nodeId,
  announcement: announcementOf(50 + sender),
  nodeWord: JSON.stringify(wordOf("update", 50 + sender)),
  nodeFailure: JSON.stringify(wordOf("failure", 60 + sender))
})
/** As they stand in the files, with what lets one in. */
const bare = (baseUrl: string): Record<string, string> => ({ ...variables, baseUrl, adminToken, peerSecret })
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

/** The statuses with which each request was answered, by its title. */
const seen = new Map<string, Set<number>>()

/** Sends the requests of the collection, one after the other, and checks each as it says. */
const sendAll = async (values: Record<string, string>, titles: (title: string) => boolean): Promise<void> => {
  for (const { name, event, request: one } of collection().item.flatMap(({ item }) => item)) {
    const { host, path, raw } = one.url
    expect(raw.split("?")[0]).toBe(`${host[0]}/${path.join("/")}`)
    const headers = Object.fromEntries(one.header.map(({ key, value }) => [key, fill(value, values)]))
    const body = one.body === undefined ? {} : { body: fill(one.body.raw, values) }
    const [status, text] = await send(fill(raw, values), { method: one.method, headers, ...body })
    if (!titles(name)) continue
    seen.set(name, (seen.get(name) ?? new Set()).add(status))
    for (const { script } of event)
      try {
        runScript(script.exec, status, text, values)
      } catch (cause) {
        throw new Error(`${name}: ${status} ${text.slice(0, 300)}`, { cause })
      }
  }
}

/** About a chain of the other ledger, or about authorities. */
const aboutOthers = examples.filter(({ also }) => also?.includes(404) === true).map(({ title }) => title)

describe("the requests under docs/", () => {
  test("are those that the contract gives, one for each route", () => {
    for (const [path, text] of Object.entries(contractFiles()))
      expect([path, read(path) === text ? "" : "run: bun run contract"]).toEqual([path, ""])
    expect([unshown(), unserved()]).toEqual([[], []])
    expect(read("api.md")).toContain(makeRouteTable())
  })

  test("have the ten of the reference system's collection by their names", () => {
    const names = collection().item.flatMap(({ item }) => item.map(({ name }) => name))
    expect(referenceTitles.length).toBe(10)
    expect(referenceTitles.filter((title) => !names.includes(title))).toEqual([])
  })

  test("in the collection are answered as it says, one after the other", async () => {
    const values = fresh(door, 2)
    const { info, variable } = collection()
    expect(info.schema).toEndWith("/v2.1.0/collection.json")
    expect(variable.map(({ key }) => key)).toEqual(Object.keys(variables))
    await sendAll(values, () => true)
    for (const name of ["transactionId", "blockHash", "blockBytes"] as const)
      expect(values[name]).not.toBe(variables[name])
    const refused = [...seen].filter(([, statuses]) => Math.max(...statuses) >= 400).map(([title]) => title)
    expect(refused.filter((title) => !aboutOthers.includes(title))).toEqual([])
  })

  test("are answered by a node that allows little, and of a chain of coins or of authorities, as they say", async () => {
    const plain = await serveNode()
    const coins = await serveNode({ spec: specOf({ model: "utxo" }) })
    const authority = { voteBlocks: 100, finality: { checkpointBlocks: 5 } }
    const voting = await serveNode({ spec: specOf({ authorities: 3, authority }), signer: signerOf(1) })
    try {
      // Of no use there: a transaction, and a backup, which a node of the tests only makes if it is asked to.
      const isKnown = (title: string): boolean => !["add transaction", "backup"].includes(title)
      const depends = ["one transaction", "proof of a transaction", "transaction from a node"]
      await sendAll(bare(plain.url), (title) => isKnown(title) && !depends.includes(title))
      const coin = { ...bare(coins.url), address: addressOf(1), transactionId: toHex(allocationId("test")) }
      await sendAll(coin, (title) => aboutOthers.includes(title))
      const wish = { vote: "admit", subject: addressOf(1) }
      await voting.post("/api/authorities/votes", wish, { authorization: `Bearer ${adminToken}` })
      await sendAll({ ...bare(voting.url), address: addressOf(1) }, (title) => aboutOthers.includes(title))
    } finally {
      for (const one of [plain, coins, voting]) await one.stop()
    }
  })

  test("in the request file are answered as it says, too", async () => {
    const { header } = door.node.store.tip()
    const blockBytes = toHex(encodeBlock(door.node.store.block(header.id)!))
    // What is not signed is refused, as the file says.
    const values: Record<string, string> = {
      ...fresh(door, 3),
      ...{ announcement: "00", blockHash: header.id, blockBytes }
    }
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
      expect([title, status, right.includes(status)]).toEqual([title, status, true])
      seen.set(title!, (seen.get(title!) ?? new Set()).add(status))
    }
  })

  test("name no status with which nobody was answered", () => {
    const said = collection()
      .item.flatMap(({ item }) => item)
      .map(({ name, event }): readonly [string, string] => [
        name,
        /oneOf\(\[(.*)\]\)/.exec(event[0]!.script.exec[0]!)![1]!
      ])
    for (const [title, statuses] of said) {
      const unseen = statuses
        .split(", ")
        .map(Number)
        .filter((status) => !seen.get(title)!.has(status))
      expect([title, unseen]).toEqual([title, []])
    }
  })
  test("are answered with a success that the OpenAPI document knows", async () => {
    const document = (await (await fetch(`${door.url}/openapi.json`)).json()) as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>
    }
    for (const { title, route } of examples) {
      const [method, path] = route.split(" ") as [string, string]
      const good = [...seen.get(title)!].filter((status) => status < 300)
      const { responses } = document.paths[path]![method.toLowerCase()]!
      expect([title, good.filter((status) => !(String(status) in responses))]).toEqual([title, []])
    }
  })
})
