/** The light client on a chain of coins, with the built binary: a node that mines, payments and balances before and after a spend. */
import { beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"
import { atTerminal } from "./terminal.ts"

const { home, begin } = suite()
const at = (name: string): string => join(home.path, name)
const address = (i: number): string => formatAddress(accountKey(devMnemonic, i).address, "crn")
const unit = 100_000_000
/** What the genesis gives each development account. */
const given = 1_000_000 * unit
let [first, second]: ReadonlyArray<Running> = []

beforeAll(async () => {
  const coins = ["--dev", "--spec", "dev-coins", "--seal-every", "3600"]
  first = await begin(...coins, "--data-dir", at("A"))
  second = await begin(...coins, "--data-dir", at("B"), "--p2p-seeds", first.peers)
}, 60_000)

const light = async (...args: ReadonlyArray<string>) => {
  const peers = `${first!.peers},${second!.peers}`
  const ended = await run("light", ...args, "--peer", peers, "--spec", "dev-coins", "--data-dir", at("phone"))
  const told = ended.code === 0 ? ended.out : ended.err.trim().split("\n").at(-1)!
  return { code: ended.code, told: ended.code === 0 ? JSON.parse(told) : JSON.parse(told).error }
}
const send = async (from: string, to: string, amount: string): Promise<string> =>
  JSON.parse((await run("send", "--from", from, "--to", to, "--amount", amount, "--node", first!.http)).out).id
/** Seals a block, and waits until both nodes have it. */
const mine = async (): Promise<number> => {
  const { block } = await call(first!.http, "mine", { body: { miner: address(7) } })
  await until("both have it", async () => (await call(second!.http, "stats")).stats.last_block_hash === block.hash)
  return block.height
}
const balance = async (i: number, ...args: ReadonlyArray<string>) => (await light("balance", address(i), ...args)).told
const amounts = ({ coins }: { readonly coins: ReadonlyArray<{ readonly amount: number }> }) =>
  coins.map(({ amount }) => amount)

test("a payment is proven, and what both ends have before it, after it and after it is spent", async () => {
  expect(await balance(0)).toMatchObject({ balance: given, coins: [{ height: 0, index: 0 }], header: { height: 0 } })
  expect(await balance(5)).toMatchObject({ balance: 0, coins: [] })
  const paid = await send("dev:0", address(5), "90")
  expect((await light("tx", paid)).told.code).toBe("transaction-not-found")
  const height = await mine()
  await mine()
  expect((await light("tx", paid)).told).toMatchObject({
    transaction: { kind: "payment", id: paid },
    header: { height, trusted: true },
    confirmations: 2
  })
  const after = await balance(5)
  expect(after).toMatchObject({ kind: "coins", balance: 90 * unit, agreeing_peers: 2, header: { height: height + 1 } })
  expect(after.coins).toMatchObject([{ transaction_id: paid, amount: 90 * unit, height, coinbase: false }])
  expect(amounts(await balance(0))).toEqual([given - 90 * unit - 1000])
  const { account } = await call(first!.http, "account", { params: { address: address(0) } })
  expect((await balance(0)).balance).toBe(account.confirmed_balance)

  const coin = `${paid}:${after.coins[0].index}`
  expect((await light("coin", coin)).told).toMatchObject({
    kind: "coin",
    coin: { owner: address(5), amount: 90 * unit }
  })
  const spent = await send("dev:5", address(2), "40")
  await mine()
  expect((await light("coin", coin)).told).toMatchObject({ coin: null, header: { height: height + 2 } })
  expect(await balance(5)).toMatchObject({ balance: 50 * unit - 1000, coins: [{ transaction_id: spent }] })
  expect(amounts(await balance(2))).toEqual([given, 40 * unit])
  expect(amounts(await balance(2, "--from", "1"))).toEqual([40 * unit])
}, 60_000)

test("what concerns an address is told in payments; rewards are coinbases, and proven as such", async () => {
  const scan = (await light("scan", address(5))).told
  expect(scan.found).toMatchObject([
    { from: address(0), to: address(5), amount: 90 * unit, transaction: { kind: "payment" } },
    { from: address(5), to: address(2), amount: 40 * unit }
  ])
  const rewards = await balance(7)
  const { height } = rewards.header
  expect([rewards.coins.length, rewards.balance]).toEqual([height, height * 5 * unit + 2000])
  const mined = (await light("scan", address(7))).told.found
  expect(mined).toHaveLength(height)
  expect(mined[0]).toMatchObject({ kind: "transaction", from: null, to: address(7), transaction: { kind: "coinbase" } })
  const [{ transaction_id: id }] = rewards.coins
  expect((await light("tx", id)).told).toMatchObject({ transaction: { kind: "coinbase", id } })
}, 60_000)

test("wrong wishes end with their codes", async () => {
  const code = async (...args: ReadonlyArray<string>): Promise<readonly unknown[]> => {
    const ended = await light(...args)
    return [ended.code, ended.told.code]
  }
  const id = "00".repeat(32)
  expect(await code("balance", id)).toEqual([2, "address-invalid"])
  expect(await code("coin", id)).toEqual([2, "subject-invalid"])
  expect(await code("coin", address(0))).toEqual([2, "subject-invalid"])
  expect(await code("tx", `${id}:0`)).toEqual([2, "subject-invalid"])
  const accounts = await begin("--dev", "--data-dir", at("accounts"))
  const there = async (...args: ReadonlyArray<string>): Promise<readonly unknown[]> => {
    const ended = await run("light", ...args, "--peer", accounts.peers, "--spec", "dev", "--data-dir", at("other"))
    return [ended.code, ended.code === 0 ? "" : JSON.parse(ended.err).error.code]
  }
  expect(await there("balance", address(0))).toEqual([0, ""])
  expect(await there("coin", `${id}:0`)).toEqual([3, "ledger-without-coins"])
  expect(await there("balance", address(0), "--coins")).toEqual([3, "ledger-without-coins"])
}, 60_000)

test("cairn light alone shows each new tip until it is told to stop", async () => {
  const child = Bun.spawn([binary, "light", "--peer", first!.peers, "--data-dir", at("phone")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  const reader = child.stdout.getReader()
  let text = ""
  const shows = (height: number): Promise<void> =>
    until(`height ${height} is shown`, async () => {
      const isShown = (): boolean => text.includes(`"height":${height},`)
      if (!isShown()) text += new TextDecoder().decode((await reader.read()).value)
      return isShown()
    })
  await shows((await call(first!.http, "stats")).stats.sync.height)
  await shows(await mine())
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
}, 60_000)

test("on a terminal it says what is proven and what is not, and lists coins when it is asked to", async () => {
  const told = async (...args: ReadonlyArray<string>): Promise<string> => {
    const wish = ["light", ...args, "--peer", first!.peers, "--data-dir", at("phone")]
    const { text, code } = await atTerminal([binary, ...wish])
    expect(code).toBe(0)
    return text
  }
  const short = await told("balance", address(2))
  for (const words of ["1000040.00000000 CRN in 2 coins", "not proven", "One peer can leave payments out"])
    expect(short).toContain(words)
  const name = /[0-9a-f]{64}:[01] {2}40\.00000000 CRN/
  expect([name.test(short), name.test(await told("balance", address(2), "--coins"))]).toEqual([false, true])
  expect(await told("scan", address(5))).toContain(`${address(5)} paid ${address(2)} 40.00000000 CRN`)
}, 60_000)
