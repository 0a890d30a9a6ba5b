/** A chain of coins with the built binary: two coins pay one sum, change comes back, coins are joined, a kill loses nothing. */
import { beforeAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { presets } from "../../src/chain/presets.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"
import { chromium, open } from "./browser.ts"

const { home, begin } = suite()
const spec = join(home.path, "coins.json")
const dataDir = join(home.path, "node")
const file = join(home.path, "proof.json")
const address = (i: number): string => formatAddress(accountKey(devMnemonic, i).address, "crn")
/** One coin of the development chain, in base units. */
const unit = 100_000_000
let node: Running

/** A chain that gives fifty each to two development accounts, and seals on order only. */
beforeAll(async () => {
  const dev = structuredClone(presets["dev"]) as { ledger: object; genesis: object }
  const ledger = { ...dev.ledger, model: "utxo", chainId: "coins-test", coinbaseMaturity: 2 }
  const alloc = [0, 1].map((i) => ({ address: address(i), balance: 50 * unit }))
  writeFileSync(spec, JSON.stringify({ ...dev, ledger, genesis: { ...dev.genesis, alloc } }))
  node = await begin("--dev", "--spec", spec, "--seal-every", "3600", "--data-dir", dataDir)
}, 30_000)

const json = async (...args: ReadonlyArray<string>) => {
  const ended = await run(...args, "--node", node.http)
  if (ended.code !== 0) return { code: ended.code, error: JSON.parse(ended.err.trim().split("\n").at(-1)!).error }
  return { code: 0, ...JSON.parse(ended.out) }
}
const send = (...args: ReadonlyArray<string>) => json("send", ...args)
const coins = (whose: string) => json("wallet", "coins", whose)
const balance = async (i: number) => (await call(node.http, "account", { params: { address: address(i) } })).account
const mine = () => call(node.http, "mine", { body: { miner: address(7) } })

test("ninety out of fifty and fifty: two coins are spent, and the change is pending until it is mined", async () => {
  expect(await send("--from", "dev:1", "--to", address(0), "--all")).toMatchObject({ fee: 1000, change: 0 })
  await mine()
  expect((await coins("dev:0")).coins.map(({ amount }: { amount: number }) => amount)).toEqual([
    50 * unit,
    50 * unit - 1000
  ])
  const sent = await send(
    "--from",
    "dev:0",
    "--to",
    address(2),
    "--amount",
    "90",
    "--note",
    "two coins",
    "--fee",
    "0.5"
  )
  expect(sent).toMatchObject({ code: 0, fee: unit / 2, change: 9.5 * unit - 1000, kind: "payment" })
  expect([sent.spends.length, sent.outputs.length]).toEqual([2, 2])
  expect(await balance(0)).toMatchObject({ coins: 2, pending_balance: 9.5 * unit - 1000 })
  const waiting = await coins("dev:0")
  expect([waiting.free, waiting.pending_coins[0].amount]).toEqual([0, 9.5 * unit - 1000])
  const more = await send("--from", "dev:0", "--to", address(2), "--amount", "1")
  expect([more.code, more.error.code]).toEqual([3, "funds-too-low"])
  expect(more.error.hint).toContain("9.49999000 CRN are pending: wait for a block")
  await mine()
  expect(await balance(2)).toMatchObject({ confirmed_balance: 90 * unit, coins: 1 })
  expect((await coins("dev:0")).free).toBe(1)
}, 60_000)

test("coins are proven by the command line, and a spent one as not being there", async () => {
  const { coins: list } = await coins(address(2))
  const [there] = list as ReadonlyArray<{ transaction_id: string; index: number }>
  const name = `${there!.transaction_id}:${there!.index}`
  expect(await json("proof", "get", name, "--out", file)).toMatchObject({
    kind: "coin",
    coin: { owner: address(2), amount: 90 * unit }
  })
  const verified = async (...args: ReadonlyArray<string>) => {
    const ended = await run("proof", "verify", file, ...args)
    return ended.code === 0 ? JSON.parse(ended.out) : [ended.code, JSON.parse(ended.err).error.code]
  }
  const { stats } = await call(node.http, "stats")
  expect(await verified("--of", name.toUpperCase(), "--header", stats.last_block_hash)).toMatchObject({
    coin: { amount: 90 * unit, height: 2 },
    header: { trusted: true }
  })
  expect(await verified("--of", `${there!.transaction_id}:7`)).toEqual([3, "proof-subject-other"])
  const { transaction } = await call(node.http, "transaction", { params: { id: there!.transaction_id } })
  const [input] = transaction.kind === "payment" ? transaction.inputs : []
  expect(await json("proof", "get", `${input!.transaction_id}:${input!.index}`, "--out", file)).toMatchObject({
    coin: null
  })
  expect(await verified()).toMatchObject({ valid: true, kind: "coin", coin: null })
  const account = await json("proof", "get", address(2), "--out", file)
  expect([account.code, account.error.code]).toEqual([3, "ledger-without-accounts"])
  expect((await json("proof", "get", `${there!.transaction_id}:4294967296`, "--out", file)).error.code).toBe(
    "subject-invalid"
  )
}, 60_000)

test("small coins are joined to one, with a key of the keystore and a passphrase", async () => {
  const passphrase = join(home.path, "passphrase")
  writeFileSync(passphrase, "correct horse battery\n")
  const keys = ["--keystore", join(home.path, "keystore"), "--passphrase-file", passphrase]
  const made = JSON.parse((await run("keys", "new", "main", ...keys)).out)
  for (const amount of ["3", "4", "5"]) {
    expect(
      (await send("--from", "dev:2", "--to", made.address, "--amount", amount, "--change-to", address(2))).code
    ).toBe(0)
    await mine()
  }
  expect((await json("wallet", "coins", "main", ...keys)).coins.length).toBe(3)
  const joined = await json("wallet", "consolidate", "--from", "main", "--fee-rate", "10.5", ...keys)
  expect([joined.spends.length, joined.outputs.length, joined.fee]).toEqual([3, 1, Math.ceil(10.5 * joined.bytes)])
  expect((await json("wallet", "consolidate", "--from", "main", ...keys)).error.code).toBe("funds-too-low")
  await mine()
  expect((await json("wallet", "coins", made.address)).coins.map(({ amount }: { amount: number }) => amount)).toEqual([
    12 * unit - joined.fee
  ])
  expect((await json("wallet", "consolidate", "--from", "main", ...keys)).error.code).toBe("consolidation-does-not-pay")
}, 60_000)

test("a payment that was acknowledged is there after a kill, is mined, and the chain verifies", async () => {
  const { id } = await send("--from", "dev:2", "--to", address(1), "--amount", "10")
  expect(await node.stop("SIGKILL")).not.toBe(0)
  node = await begin("--dev", "--data-dir", dataDir, "--seal-every", "3600")
  const pending = await call(node.http, "transaction", { params: { id } })
  expect([pending.status, pending.fee, pending.spends?.length]).toEqual(["pending", 1000, 1])
  expect((await coins(address(1))).pending_coins).toMatchObject([{ transaction_id: id, amount: 10 * unit }])
  const { block } = await mine()
  expect(block.transactions.map(({ kind }) => kind)).toEqual(["coinbase", "payment"])
  expect(await balance(1)).toMatchObject({ confirmed_balance: 10 * unit, coins: 1 })
  const status = await json("status")
  expect([status.meta.model, status.stats.accounts, status.stats.coins]).toEqual(["utxo", 5, await spendable()])
  await node.stop()
  const verified = await run("verify", "--data-dir", dataDir)
  expect([verified.code, JSON.parse(verified.out).entries]).toEqual([0, status.stats.coins])
}, 60_000)

/** The coins of everybody, counted one by one. */
const spendable = async (): Promise<number> => {
  const { accounts } = await call(node.http, "accounts", { query: { limit: 256 } })
  const lists = await Promise.all(accounts.map(({ address: whose }) => coins(whose)))
  return lists.reduce((sum, list) => sum + list.coins.length, 0)
}

describe("wrong wishes", () => {
  test("are told in words and codes, and nothing is sent", async () => {
    node = await begin("--dev", "--spec", spec, "--data-dir", join(home.path, "wrong"), "--seal-every", "3600")
    const code = async (...args: ReadonlyArray<string>) => {
      const { code: exit, error } = await json(...args)
      return [exit, error.code]
    }
    const to = ["--from", "dev:1", "--to", address(0)]
    expect(await code("send", ...to)).toEqual([2, "amount-missing"])
    expect(await code("send", ...to, "--amount", "1", "--all")).toEqual([2, "amount-missing"])
    expect(await code("send", ...to, "--amount", "1.123456789")).toEqual([2, "amount-invalid"])
    expect(await code("send", ...to, "--amount", "0")).toEqual([2, "amount-invalid"])
    expect(await code("send", ...to, "--amount", "1", "--fee", "1", "--fee-rate", "1")).toEqual([2, "fee-invalid"])
    expect(await code("send", ...to, "--amount", "1", "--fee-rate", "much")).toEqual([2, "fee-invalid"])
    expect(await code("send", ...to, "--amount", "0.00000001", "--fee-rate", "9")).toEqual([3, "amount-is-dust"])
    expect(await code("send", ...to, "--amount", "1", "--change-to", "crn1q")).toEqual([2, "address-invalid"])
    expect(await code("wallet", "coins", "nobody")).toEqual([2, "address-invalid"])
    const long = ["--note", "x".repeat(281)]
    expect(await code("send", ...to, "--amount", "1", ...long)).toEqual([2, "note-too-long"])
    expect(await code("wallet", "consolidate", "--from", "dev:1", ...long)).toEqual([2, "note-too-long"])
    const { code: _, ...signed } = await send(...to, "--amount", "1", "--sign-only")
    expect([signed.kind, signed.id.length]).toEqual(["payment", 64])
    const { stats } = await call(node.http, "stats")
    expect(stats.pending_transactions).toBe(0)
    expect((await call(node.http, "submit", { body: signed })).transaction.id).toBe(signed.id)
    await node.stop()
  }, 60_000)

  test("on a chain of accounts hear that there are no coins; all there is can be sent there too", async () => {
    node = await begin("--dev", "--data-dir", join(home.path, "accounts"), "--seal-every", "3600")
    expect((await coins("dev:0")).error.code).toBe("ledger-without-coins")
    expect((await json("wallet", "consolidate", "--from", "dev:0")).error.code).toBe("ledger-without-coins")
    const to = ["--from", "dev:0", "--to", address(1)]
    expect((await send(...to, "--amount", "1", "--change-to", address(0))).error.code).toBe("change-unneeded")
    const { code: _, ...signed } = await send(...to, "--amount", "1", "--note", "a/b", "--sign-only")
    expect([signed.note, (await call(node.http, "stats")).stats.pending_transactions]).toEqual(["a/b", 0])
    expect((await call(node.http, "submit", { body: signed })).transaction.id).toBe(signed.id)
    await mine()
    const { id, fee, amount } = await send(...to, "--all", "--fee-rate", "100")
    const held = (1_000_000 - 1) * unit - signed.fee
    expect([fee, amount]).toEqual([100 * transferBytes, held - 100 * transferBytes])
    await mine()
    expect(await balance(0)).toMatchObject({ confirmed_balance: 0, coins: null })
    expect((await call(node.http, "transaction", { params: { id } })).status).toBe("confirmed")
    expect((await send(...to, "--all")).error.code).toBe("funds-too-low")
    await node.stop()
  }, 60_000)
})

/** Bytes of a transfer without a note on the development chain. */
const transferBytes = 182

test.if(chromium !== undefined)(
  "the page shows coins as bars, chooses among them, draws the payment and checks a coin's proof",
  async () => {
    node = await begin("--dev", "--spec", spec, "--seal-every", "3600", "--data-dir", join(home.path, "page"))
    const page = await open(node.http)
    const text = (id: string): Promise<string> => page.evaluate<string>(`document.getElementById("${id}").textContent`)
    const count = (what: string): Promise<number> =>
      page.evaluate<number>(`document.querySelectorAll("${what}").length`)
    const press = (label: string, within = "body") =>
      page.evaluate(
        `[...document.querySelectorAll("${within} button")].find((b) => b.textContent === ${JSON.stringify(label)}).click()`
      )
    const submit = (fields: Record<string, string>) =>
      page.evaluate(
        `for (const [id, value] of Object.entries(${JSON.stringify(fields)})) document.getElementById(id).value = value; document.getElementById("send").requestSubmit()`
      )
    await until("the page is live", async () => (await text("live")) === "live")
    await press("dev:1")
    await until("its coin is shown", async () => (await text("coins")).includes("1 coin: 1 free"))
    await submit({ to: address(0), amount: "49", fee: "0.5" })
    await until("it is sent", async () => (await text("outcome")).includes("1 coin spent, 0.5 come back, fee 0.5"))
    await mine()
    await press("dev:0")
    await until("two coins of the other", async () => (await text("coins")).includes("2 coins: 2 free"))
    await submit({ to: address(2), amount: "90", fee: "0.5" })
    await until("both are being spent", async () => (await text("coins")).includes("2 coins: 2 being spent, 1 to come"))
    expect([await count("#coins .bar .spent"), await count("#coins .bar .coming")]).toEqual([2, 1])
    const widths = await page.evaluate<ReadonlyArray<number>>(
      `[...document.querySelectorAll("#coins .bar rect")].map((one) => Number(one.getAttribute("width")))`
    )
    expect(widths.map(Math.round)).toEqual([1000, 980, 170])
    await until("it is drawn", async () => (await count("#view .stream path")) === 5)
    expect([await count("#view path.spent"), await count("#view path.paid"), await count("#view path.change")]).toEqual(
      [2, 1, 1]
    )
    await mine()
    await until("it is confirmed", async () => (await text("view")).includes("in block 2"))
    await until("the change is a coin", async () => (await text("coins")).includes("1 coin: 1 free"))
    await press("Prove", "#coins")
    await until("the coin is proven", async () => (await text("proof-verdict")).includes("Proven here: The coin"))
    expect(await text("proof-verdict")).toContain(`holds 8.50000000 CRN of ${address(0)}`)
    expect(await count("#proof-way circle.way")).toBeGreaterThan(1)
    const kept = await page.evaluate<string>(`document.getElementById("proof-file").getAttribute("href").split(",")[1]`)
    writeFileSync(file, decodeURIComponent(kept))
    expect(JSON.parse((await run("proof", "verify", file)).out)).toMatchObject({ coin: { amount: 8.5 * unit } })
    await submit({ to: address(2), amount: "20" })
    await until("too much is refused", async () => (await text("outcome")).includes("(funds-too-low)"))
    await page.evaluate(`location.hash = "#at/${address(2)}"`)
    await until("an address is shown", async () => (await text("view")).includes("90 CRN"))
    await page.evaluate(
      `document.getElementById("look-for").value = "2"; document.getElementById("look").requestSubmit()`
    )
    await until("a block is shown", async () => (await count("#view .list li")) === 2)
    await page.evaluate(`location.hash = "#block/99"`)
    await until("one that is not there", async () => (await text("view")).includes("(block-not-found)"))
    const place = process.env["CAIRN_PICTURES"]
    for (const [name, wish] of [
      ["coins", { width: 1280, height: 1500 }],
      ["coins-narrow", { width: 390, height: 2200, dark: true }]
    ] as const) {
      const png = await page.picture(wish)
      if (place !== undefined) writeFileSync(join(place, `${name}.png`), png)
    }
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390)
    expect(page.problems.filter((problem) => !problem.includes("404"))).toEqual([])
    await page.close()
  },
  60_000
)
