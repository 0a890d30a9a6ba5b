/** Proofs end to end: a node gives them, the command line and the page check them, and whoever bends one is told so. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { call } from "../../src/http/client.ts"
import { type Amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce } from "../../src/ledger/transaction.ts"
import { signTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { until } from "../network.ts"
import { folder, run, type Running, start } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

const home = folder()
const file = join(home.path, "proof.json")
const ids: Array<string> = []
const [payer, payee] = [accountKey(devMnemonic, 0), accountKey(devMnemonic, 1)]
const stranger = formatAddress(accountKey(devMnemonic, 50).address, "crn")
let node: Running
let page: Page | undefined

/** Block 1 holds five transfers. */
beforeAll(async () => {
  node = await start("--dev", "--seal-every", "3600", "--data-dir", join(home.path, "node"))
  for (let nonce = 1; nonce <= 5; nonce++) {
    const fields = { chainId: "cairn-dev", recipient: payee.address, amount: (1000 * nonce) as Amount, note: "" }
    const numbers = { fee: 1000 as Amount, nonce: nonce as Nonce, time: Date.now() as Millis }
    const body = formatTransfer(signTransfer({ ...fields, ...numbers }, payer), "crn")
    ids.push((await call(node.http, "submit", { body })).transaction.id)
  }
  const pending = await run("proof", "get", ids[0]!, "--node", node.http, "--out", file)
  expect([pending.code, JSON.parse(pending.err).error.code]).toEqual([3, "transaction-pending"])
  await call(node.http, "mine", { body: {} })
}, 30_000)
afterAll(async () => {
  await page?.close()
  await node?.stop("SIGKILL")
  home.remove()
})

const proof = async (...args: ReadonlyArray<string>): Promise<readonly [number, Record<string, unknown>]> => {
  const ended = await run("proof", ...args)
  const told = ended.code === 0 ? JSON.parse(ended.out) : JSON.parse(ended.err.trim().split("\n").at(-1)!).error
  return [ended.code, told]
}
const refusal = async (...args: ReadonlyArray<string>): Promise<readonly unknown[]> => {
  const [code, error] = await proof(...args)
  return [code, error["code"]]
}

test("a transfer is proven to who has the file and a header that he trusts", async () => {
  const { block } = await call(node.http, "blockAt", { params: { height: 1 } })
  for (const id of ids) {
    expect((await proof("get", id.toUpperCase(), "--node", node.http, "--out", file))[0]).toBe(0)
    const [code, told] = await proof("verify", file, "--header", block.hash, "--of", id)
    expect(code).toBe(0)
    expect(told).toMatchObject({ kind: "transaction", transaction: { id }, header: { height: 1, trusted: true } })
  }
  const { header } = await call(node.http, "transactionProof", { params: { id: ids[0]! } })
  expect((await proof("verify", file, "--header", header))[0]).toBe(0)
  expect((await proof("verify", file))[1]).toMatchObject({ header: { hash: block.hash, trusted: false } })
}, 30_000)

test("an account is proven, and that another was never paid", async () => {
  const address = formatAddress(payee.address, "crn")
  const { account } = await call(node.http, "account", { params: { address } })
  expect((await proof("get", address, "--node", node.http, "--out", file))[0]).toBe(0)
  expect((await proof("verify", file, "--of", address))[1]).toMatchObject({
    address,
    account: { balance: account.confirmed_balance, nonce: 0 },
    header: { height: 1 }
  })
  expect((await proof("get", stranger, "--node", node.http, "--out", file))[0]).toBe(0)
  expect((await proof("verify", file))[1]).toMatchObject({ kind: "account", address: stranger, account: null })
}, 30_000)

test("a header that somebody made up, with a time beyond every calendar, is shown as one that is not trusted", async () => {
  await proof("get", stranger, "--node", node.http, "--out", file)
  const good = readFileSync(file, "utf8")
  const { proof: hex } = JSON.parse(good) as { proof: string }
  // Height 0, which needs no seal, and time 2^53 - 1; the state root stays.
  writeFileSync(file, good.replace(hex, `${hex.slice(0, 18)}${"00".repeat(8)}ffffffffffff1f00${hex.slice(50)}`))
  const [code, told] = await proof("verify", file)
  expect([code, told["header"]]).toMatchObject([0, { height: 0, time: Number.MAX_SAFE_INTEGER, trusted: false }])
}, 30_000)

test("what does not hold ends with exit code 3 and says why", async () => {
  await proof("get", ids[2]!, "--node", node.http, "--out", file)
  const good = readFileSync(file, "utf8")
  expect(await refusal("verify", file, "--header", "00".repeat(32))).toEqual([3, "proof-header-other"])
  expect(await refusal("verify", file, "--of", ids[1]!)).toEqual([3, "proof-subject-other"])
  expect(await refusal("verify", file, "--of", stranger)).toEqual([3, "proof-subject-other"])
  expect(await refusal("verify", file, "--header", "abc")).toEqual([2, "header-invalid"])
  expect(await refusal("verify", file, "--of", "somebody")).toEqual([2, "subject-invalid"])
  expect(await refusal("verify", join(home.path, "none.json"))).toEqual([1, "file-missing"])
  expect(await refusal("get", "00".repeat(32), "--node", node.http, "--out", file)).toEqual([
    3,
    "transaction-not-found"
  ])
  const { proof: hex } = JSON.parse(good) as { proof: string }
  // The last byte is one of the topmost sibling.
  const bent = `${hex.slice(0, -2)}${hex.endsWith("00") ? "01" : "00"}`
  writeFileSync(file, good.replace(hex, bent))
  expect(await refusal("verify", file)).toEqual([3, "proof-root-wrong"])
  writeFileSync(file, good.replace(hex, hex.slice(0, -2)))
  expect(await refusal("verify", file)).toEqual([3, "proof-malformed"])
  writeFileSync(file, "not a proof")
  expect(await refusal("verify", file)).toEqual([3, "proof-malformed"])
}, 30_000)

test.if(chromium !== undefined)(
  "the page draws the way of a transfer, one dot and one beside it a step",
  async () => {
    page = await open(node.http)
    const count = (what: string): Promise<number> =>
      page!.evaluate<number>(`document.querySelectorAll("#proof-way ${what}").length`)
    await until("the transfers are listed", async () =>
      page!.evaluate<boolean>(`document.querySelectorAll("#transfers button").length === 5`)
    )
    await page.evaluate(`document.querySelector("#transfers button").click()`)
    await until("it is drawn", async () => (await count("svg")) === 1)
    const { siblings } = await call(node.http, "transactionProof", { params: { id: ids[0]! } })
    expect(siblings.length).toBe(3)
    expect([await count("circle.way"), await count("circle.beside"), await count("line")]).toEqual([4, 3, 6])
    const place = process.env["CAIRN_PICTURES"]
    if (place !== undefined) {
      writeFileSync(join(place, "proof.png"), await page.picture({ width: 1100, height: 1300 }))
      writeFileSync(join(place, "proof-dark-narrow.png"), await page.picture({ width: 380, height: 2000, dark: true }))
    }
    expect(page.problems).toEqual([])
  },
  30_000
)
