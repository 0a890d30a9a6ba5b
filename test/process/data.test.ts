/** Data on transactions and blocks, and the state at a block, with the built binary and its page, on both ledgers. */
import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { presets } from "../../src/chain/presets.ts"
import { toHex, utf8 } from "../../src/codec/bytes.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { call } from "../../src/http/client.ts"
import type { Filler } from "../../src/ledger/filler.ts"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"
import { chromium, open } from "./browser.ts"

const { home, begin } = suite()
const address = (i: number): string => formatAddress(accountKey(devMnemonic, i).address, "crn")
/** What a page that trusted what it shows would run. */
const markup = `<img src=x onerror="document.title='owned'">`

const specFile = (
  model: "account" | "utxo",
  { filler, order = [0, 1] }: { readonly filler?: Filler; readonly order?: ReadonlyArray<number> } = {}
): string => {
  const dev = structuredClone(presets["dev"]) as { ledger: object; genesis: object }
  const coins = model === "utxo" ? { model, coinbaseMaturity: 1 } : {}
  const ledger = { ...dev.ledger, ...coins, chainId: `data-${model}`, payloadBytesMax: 64, ...(filler && { filler }) }
  const alloc = order.map((i) => ({ address: address(i), balance: 5_000_000_000 }))
  const file = join(home.path, `${model}-${order.join("")}.json`)
  const history = { stateBlocks: 3 }
  writeFileSync(file, JSON.stringify({ ...dev, ledger, history, genesis: { ...dev.genesis, alloc } }))
  return file
}

const json = async (node: Running, ...args: ReadonlyArray<string>) => {
  const { code, out, err } = await run(...args, "--node", node.http)
  return code === 0 ? JSON.parse(out) : [code, JSON.parse(err.trim().split("\n").at(-1)!).error.code]
}

describe.each(["account", "utxo"] as const)("on the ledger of model %s", (model) => {
  const to = ["--from", "dev:0", "--to", address(1), "--amount", "1"]

  test("text and bytes are sent, kept and told, and blocks say what their operator wants", async () => {
    const flags = ["--dev", "--seal-every", "3600", "--spec", specFile(model), "--block-data", "0x00ff"]
    const node = await begin(...flags)
    const mine = () => call(node.http, "mine", { body: { miner: address(2) } })
    expect((await call(node.http, "info")).meta.limits["max_transaction_data_bytes"]).toBe(64)
    const sent = await json(node, "send", ...to, "--data", "first stone", "--fee-rate", "10")
    expect(sent).toMatchObject({ data: toHex(utf8("first stone")) })
    expect((await call(node.http, "pending")).pending_transactions).toMatchObject([{ data: sent.data }])
    const { block } = await mine()
    expect(block.extra).toBe("00ff")
    const { transaction, fee } = await call(node.http, "transaction", { params: { id: sent.id } })
    expect(transaction).toMatchObject({ data: sent.data })
    // The fee counts the data's bytes, too.
    const plain = await json(node, "send", ...to, "--fee-rate", "10")
    const feeOf = async (id: string) => (await call(node.http, "transaction", { params: { id } })).fee
    expect(fee! - (await feeOf(plain.id))!).toBe(10 * (2 + "first stone".length))
    await mine()
    expect(await json(node, "send", ...to, "--data", "0xFF00")).toMatchObject({ data: "ff00" })
    expect(await json(node, "send", ...to, "--data", "0x0")).toEqual([2, "data-invalid"])
    expect(await json(node, "send", ...to, "--data", "x".repeat(65))).toEqual([3, "data-too-long"])
    await mine()

    const genesis = await json(node, "state", "--at", "0")
    const held = model === "utxo" ? genesis.coins : genesis.accounts
    expect(held.map((one: { balance?: number; amount?: number }) => one.balance ?? one.amount)).toEqual([
      5_000_000_000, 5_000_000_000
    ])
    const now = await json(node, "state")
    expect([now.height, now.entries > genesis.entries, now.state_root !== genesis.state_root]).toEqual([3, true, true])
    await mine()
    expect(await json(node, "state", "--at", "0")).toEqual([3, "state-too-old"])
    expect(await json(node, "state", "--at", "5")).toEqual([3, "block-not-found"])
    expect(await json(node, "state", "--at", "1")).toMatchObject({ height: 1, hash: block.hash })
    await node.stop()
    expect((await run("verify", "--data-dir", String(node.ready["data_dir"]))).code).toBe(0)
  }, 60_000)
})

/** A chain with a filler, whose genesis names the development accounts in another order. */
const filled = (model: "account" | "utxo"): string =>
  specFile(model, { filler: { rule: "text", text: "größer" }, order: [1, 0] })

test.each(["account", "utxo"] as const)(
  "on a chain with a filler (%s) nothing is sent without data, and accounts have the numbers of the mnemonic",
  async (model) => {
    const node = await begin("--dev", "--seal-every", "3600", "--spec", filled(model))
    const accounts = node.ready["dev_accounts"] as ReadonlyArray<{ readonly name: string; readonly address: string }>
    expect(accounts.map((account) => [account.name, account.address])).toEqual([
      ["dev:0", address(0)],
      ["dev:1", address(1)]
    ])
    expect((await call(node.http, "info")).dev_accounts).toEqual([address(0), address(1)])
    const to = ["send", "--from", "dev:0", "--to", address(1), "--amount", "1"]
    expect(await json(node, ...to)).toMatchObject({ data: toHex(utf8("größer")) })
    await call(node.http, "mine", { body: {} })
    expect(await json(node, ...to, "--data", "own")).toMatchObject({ data: toHex(utf8("own")) })
    await call(node.http, "mine", { body: {} })
    const { stats } = await call(node.http, "stats")
    expect(stats.blocks).toBe(3)
    if (model === "utxo")
      expect(await json(node, "wallet", "consolidate", "--from", "dev:1", "--fee", "0.001")).toMatchObject({
        data: toHex(utf8("größer"))
      })
    await node.stop()
  },
  60_000
)

test("where the chain takes none it is refused, and so are blocks with more than they may have", async () => {
  const node = await begin("--dev", "--seal-every", "3600")
  const wish = ["send", "--from", "dev:0", "--to", address(1), "--amount", "1", "--data", "x"]
  expect(await json(node, ...wish)).toEqual([3, "data-not-allowed"])
  const long = await run("start", "--dev", "--http-port", "0", "--no-p2p", "--block-data", "x".repeat(1_025))
  expect([long.code, JSON.parse(long.err).error.code]).toEqual([3, "data-too-long"])
  const odd = await run("start", "--dev", "--http-port", "0", "--no-p2p", "--block-data", "0x123")
  expect([odd.code, JSON.parse(odd.err).error.code]).toEqual([2, "data-invalid"])
  await node.stop()
}, 60_000)

test.if(chromium !== undefined)(
  "the page asks for data where the chain takes some, shows it as it is, and the state after a block",
  async () => {
    const node = await begin("--dev", "--seal-every", "3600", "--spec", specFile("account"), "--block-data", markup)
    const page = await open(node.http)
    const value = <A>(expression: string): Promise<A> => page.evaluate<A>(expression)
    const view = (): Promise<string> => value<string>(`document.getElementById("view").textContent`)
    const send = (data: string) =>
      value(`for (const [id, text] of Object.entries({ to: "${address(1)}", amount: "1", data: ${JSON.stringify(data)} }))
        document.getElementById(id).value = text;
        document.getElementById("send").requestSubmit()`)
    const isLive = `document.getElementById("live").textContent === "live"`
    await until("the page is live", () => value<boolean>(isLive))
    expect(await value<boolean>(`document.getElementById("data-field").hidden`)).toBe(false)
    await value(`[...document.querySelectorAll("#keys button")].find((b) => b.textContent === "dev:0").click()`)
    await until("the form is there", () => value<boolean>(`!document.getElementById("send").hidden`))
    await send("0xzz")
    const outcome = `document.getElementById("outcome").textContent`
    await until("wrong hex is told", async () => (await value<string>(outcome)).includes("must be hex"))
    await send(markup)
    await until("it is shown as text", async () => (await view()).includes(`data “${markup}”`))
    await call(node.http, "mine", { body: {} })
    await until("it is confirmed", async () => (await view()).includes("in block 1"))
    await send("0x1b00")
    await until("bytes are hex", async () => (await view()).includes("data 0x1b00"))
    await value(`location.hash = "#block/1"`)
    await until("a block shows its own", async () => (await view()).includes(`data “${markup}”`))
    const rows = `document.querySelectorAll("#view details li").length`
    expect(await value<number>(rows)).toBe(0)
    await value(`document.querySelector("#view details").open = true`)
    await until("its state comes", async () => (await value<number>(rows)) === 2)
    await call(node.http, "mine", { body: {} })
    await until("the page has heard of a block", async () => (await view()).includes("the next"))
    expect(await value<number>(rows)).toBe(2)
    expect(await value<[number, string]>(`[document.images.length, document.title]`)).toEqual([0, "cairn"])
    const place = process.env["CAIRN_PICTURES"]
    const png = await page.picture({ width: 390, height: 1500 })
    if (place !== undefined) writeFileSync(join(place, "data.png"), png)
    expect(await value<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390)
    expect(page.problems).toEqual([])
    await page.close()
    await node.stop()
  },
  60_000
)

test.if(chromium !== undefined)(
  "the page writes the filler where nothing is typed, and says so; its buttons are the right accounts",
  async () => {
    const node = await begin("--dev", "--seal-every", "3600", "--spec", filled("account"))
    const page = await open(node.http)
    const value = <A>(expression: string): Promise<A> => page.evaluate<A>(expression)
    await until("the page is live", () => value<boolean>(`document.getElementById("live").textContent === "live"`))
    expect(await value<string>(`document.getElementById("data").placeholder`)).toContain('if empty, the text "größer"')
    await value(`[...document.querySelectorAll("#keys button")].find((b) => b.textContent === "dev:0").click()`)
    await until("the form is there", () => value<boolean>(`!document.getElementById("send").hidden`))
    await value(`for (const [id, text] of Object.entries({ to: "${address(1)}", amount: "1" }))
      document.getElementById(id).value = text;
      document.getElementById("send").requestSubmit()`)
    const view = (): Promise<string> => value<string>(`document.getElementById("view").textContent`)
    await until("it is sent with data", async () => (await view()).includes("data “größer”"))
    const { pending_transactions: pending } = await call(node.http, "pending")
    expect(pending).toMatchObject([{ sender: address(0), data: toHex(utf8("größer")) }])
    expect(page.problems).toEqual([])
    await page.close()
    await node.stop()
  },
  60_000
)
