/** The built binary, as its user meets it: key, mine, pay, look, kill, restart; a second node; verify. */
import { describe, expect, test } from "bun:test"
import { statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce } from "../../src/ledger/transaction.ts"
import { signTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()

const [payer, payee] = [accountKey(devMnemonic, 0), accountKey(devMnemonic, 1)]
const payment = (nonce: number) =>
  formatTransfer(
    signTransfer(
      {
        chainId: "cairn-dev",
        recipient: payee.address,
        amount: 1000 as Amount,
        fee: 1000 as Amount,
        nonce: nonce as Nonce,
        time: Date.now() as Millis,
        note: ""
      },
      payer
    ),
    "crn"
  )
const tipOf = async (node: Running): Promise<string> => (await call(node.http, "stats")).stats.last_block_hash

describe("a person with a fresh binary", () => {
  const passphrase = join(home.path, "passphrase")
  const keystore = join(home.path, "keystore")
  writeFileSync(passphrase, "correct horse battery\n")
  const keys = ["--keystore", keystore, "--passphrase-file", passphrase]

  test("makes a key that only its passphrase opens, in a file for them alone", async () => {
    const made = JSON.parse((await run("keys", "new", "main", ...keys)).out)
    expect(statSync(join(keystore, "main.json")).mode & 0o777).toBe(0o600)
    expect(JSON.parse((await run("keys", "list", "--keystore", keystore)).out)).toMatchObject([
      { name: "main", address: made.address }
    ])
    const exported = JSON.parse((await run("keys", "export", "main", ...keys)).out)
    const secret = join(home.path, "secret")
    writeFileSync(secret, exported.secret)
    expect(JSON.parse((await run("keys", "import", "copy", "--secret-file", secret, ...keys)).out).address).toBe(
      made.address
    )
    writeFileSync(join(home.path, "wrong"), "wrong horse battery\n")
    const refused = await run(
      "keys",
      "export",
      "main",
      "--keystore",
      keystore,
      "--passphrase-file",
      join(home.path, "wrong")
    )
    expect([refused.code, JSON.parse(refused.err).error.code]).toEqual([7, "passphrase-wrong"])
  }, 30_000)

  test("starts a development node, pays, and sees it in a block", async () => {
    const node = await begin("--dev", "--data-dir", join(home.path, "dev"))
    const address = JSON.parse((await run("keys", "list", "--keystore", keystore)).out)[0].address
    const sent = await run(
      "send",
      "--from",
      "dev:0",
      "--to",
      address,
      "--amount",
      "2.5",
      "--note",
      'https://cairn / "stone"',
      "--node",
      node.http
    )
    const { id } = JSON.parse(sent.out)
    await until(
      "it is confirmed",
      async () => (await call(node.http, "transaction", { params: { id } })).status === "confirmed"
    )
    const back = await run(
      "send",
      "--from",
      "main",
      "--to",
      String(formatAddress(payee.address, "crn")),
      "--amount",
      "1",
      "--node",
      node.http,
      ...keys
    )
    expect(back.code).toBe(0)
    expect((await call(node.http, "account", { params: { address } })).account.pending_balance).toBeLessThan(
      250_000_000
    )
    const status = await run("status", "--node", node.http)
    expect([status.code, JSON.parse(status.out).ready]).toEqual([0, true])
    expect((await fetch(`${node.http}/`)).headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(await (await fetch(`${node.http}/`)).text()).toContain("<h1>cairn</h1>")
    expect(await node.stop()).toBe(0)
  }, 30_000)

  test("verifies the stored chain, and hears where it is broken", async () => {
    const dataDir = join(home.path, "dev")
    const verified = await run("verify", "--data-dir", dataDir)
    expect([verified.code, JSON.parse(verified.out).valid]).toEqual([0, true])
    const { Database } = await import("bun:sqlite")
    const db = new Database(join(dataDir, "chain.db"))
    db.run("UPDATE state SET value = zeroblob(16) WHERE key = (SELECT key FROM state LIMIT 1)")
    db.close()
    const broken = await run("verify", "--data-dir", dataDir)
    expect([broken.code, JSON.parse(broken.err.trim().split("\n").at(-1)!).error.code]).toEqual([6, "store-corrupt"])
  }, 30_000)

  test("is told what to do when something is wrong", async () => {
    const code = async (...args: ReadonlyArray<string>) => {
      const ended = await run(...args)
      return [
        ended.code,
        ended.err.includes('{"error"') ? JSON.parse(ended.err.trim().split("\n").at(-1)!).error.code : ""
      ]
    }
    expect(await code("start", "--data-dir", join(home.path, "nothing"))).toEqual([5, "store-missing"])
    expect(await code("status", "--node", "http://127.0.0.1:1")).toEqual([4, "unreachable"])
    expect(await code("init", "--spec", "no-such", "--data-dir", home.path)).toEqual([2, "spec-missing"])
    expect(await code("start", "--dev", "--p2p-seeds", "nonsense")).toEqual([2, "endpoint-invalid"])
    expect((await run("start", "--no-such-flag")).code).toBe(2)
    expect((await run("help", "send")).out).toContain("--amount")
    const dataDir = join(home.path, "held")
    const holder = await begin("--dev", "--data-dir", dataDir)
    expect(await code("start", "--dev", "--data-dir", dataDir)).toEqual([5, "data-folder-locked"])
    await holder.stop("SIGKILL")
    const again = await begin("--dev", "--data-dir", dataDir)
    expect(await again.stop()).toBe(0)
  }, 30_000)
})

test("killed at ten random instants, a node has lost nothing that it acknowledged", async () => {
  const dice = makeDice(11)
  const dataDir = join(home.path, "killed")
  const acknowledged: Array<string> = []
  let nonce = 1
  for (let round = 0; round < 10; round++) {
    const node = await begin("--dev", "--data-dir", dataDir)
    for (const id of acknowledged)
      expect((await call(node.http, "transaction", { params: { id } })).transaction.id).toBe(id)
    const { account } = await call(node.http, "account", { params: { address: formatAddress(payer.address, "crn") } })
    nonce = account.next_nonce
    const doomed = setTimeout(() => node.process.kill("SIGKILL"), 5 + dice.int(60))
    try {
      for (;;) {
        const { transaction } = await call(node.http, "submit", { body: payment(nonce++) })
        acknowledged.push(transaction.id)
      }
    } catch {
      // The node is gone in the middle of a call: that one was not acknowledged.
    }
    clearTimeout(doomed)
    await node.stop("SIGKILL")
  }
  expect(acknowledged.length).toBeGreaterThan(10)
  const node = await begin("--dev", "--data-dir", dataDir)
  for (const id of acknowledged)
    expect((await call(node.http, "transaction", { params: { id } })).transaction.id).toBe(id)
  await node.stop()
  expect((await run("verify", "--data-dir", dataDir)).code).toBe(0)
}, 120_000)

test("a second node joins, they part, each mines, and they agree again", async () => {
  const one = await begin("--dev", "--data-dir", join(home.path, "one"))
  for (let i = 0; i < 5; i++) await call(one.http, "mine", { body: {} })
  let two = await begin("--dev", "--data-dir", join(home.path, "two"), "--p2p-seeds", one.peers)
  await until("the second caught up", async () => (await tipOf(two)) === (await tipOf(one)))
  await two.stop()
  await call(one.http, "mine", { body: {} })
  two = await begin("--dev", "--data-dir", join(home.path, "two"), "--no-p2p")
  for (let i = 0; i < 3; i++) await call(two.http, "mine", { body: {} })
  expect(await tipOf(two)).not.toBe(await tipOf(one))
  await two.stop()
  two = await begin("--dev", "--data-dir", join(home.path, "two"), "--p2p-seeds", one.peers)
  await until("both agree on the heavier branch", async () => (await tipOf(two)) === (await tipOf(one)))
  expect((await call(one.http, "stats")).stats.blocks).toBe(9)
}, 60_000)
