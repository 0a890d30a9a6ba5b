/**
 * The built binary as clients of the reference system meet it: their variables, their routes and aliases by class, status and
 * keys, their ten requests by name. What each says beside that is in test/scenario/contract.test.ts and requests.test.ts.
 */
import { expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { formatSpec } from "../../src/block/genesis.ts"
import { call } from "../../src/http/client.ts"
import { examples, referenceTitles } from "../../src/http/examples.ts"
import { checkRow } from "../contract-check.ts"
import { rows } from "../contract-rows.ts"
import { addressOf, adminToken, peerSecret } from "../door.ts"
import { specOf } from "../fixtures.ts"
import { folder, plainEnvironment, type Running, run, startWith } from "./binary.ts"

const home = folder()
const variables = {
  BLOCKCHAIN_ADMIN_TOKEN: adminToken,
  BLOCKCHAIN_PEER_SHARED_SECRET: peerSecret,
  BLOCKCHAIN_ENABLE_SERVER_WALLETS: "true",
  BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "true",
  BLOCKCHAIN_GOSSIP_ENABLED: "true",
  BLOCKCHAIN_GOSSIP_PORT: "0",
  BLOCKCHAIN_P2P_PORT: "0",
  BLOCKCHAIN_PORT: "0",
  CAIRN_MINE_ON_GET: "true"
}

/** A node of the tests' chain, with three blocks. */
const begin = async (): Promise<Running> => {
  const [spec, data] = [join(home.path, "spec.json"), join(home.path, "node")]
  mkdirSync(home.path, { recursive: true })
  writeFileSync(spec, JSON.stringify(formatSpec(specOf())))
  expect(await run("init", "--spec", spec, "--data-dir", data)).toMatchObject({ code: 0 })
  const node = await startWith({ ...plainEnvironment, ...variables }, "--data-dir", data)
  for (let i = 0; i < 3; i++) await call(node.http, "mine", { body: { miner: addressOf(0) }, token: adminToken })
  return node
}

test("every route and alias of the reference system answers with its class, status and keys", async () => {
  const node = await begin()
  try {
    for (const row of rows) {
      const { tip_hash: tip } = (await call(node.http, "locator")).locator
      const { blocks } = await call(node.http, "blocksRaw", { query: { hashes: tip } })
      try {
        await checkRow(node.http, row, { tip, block: blocks[0]! })
      } catch (cause) {
        throw new Error(`${row.row} ${row.ask}`, { cause })
      }
    }
    const page = await fetch(node.http)
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"])
    // The ten requests of its collection are the page, and routes that were asked.
    const asked = rows.map(({ ask }) => ask.split("?")[0]!.replace(/(sha256\/).+$/, "$1{text}"))
    const ten = examples.filter(({ title }) => referenceTitles.includes(title)).map(({ route }) => route)
    expect([ten.length, ten.filter((route) => !asked.includes(route))]).toEqual([10, ["GET /"]])
  } finally {
    expect(await node.stop()).toBe(0)
    home.remove()
  }
}, 60_000)
