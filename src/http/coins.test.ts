/** The HTTP interface over a whole node of a chain of coins: what an address has is what its coins hold, come what may. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Exit, Result, Schema } from "effect"
import type { Hono } from "hono"
import { coinsOf, keyOf, payment, specOf, TestChain } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { verifyProof } from "../block/proof.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { allocationId, encodeOutpoint, spendableFrom } from "../ledger/coin.ts"
import { formatPayment } from "../ledger/payment-text.ts"
import type { Outpoint, PaymentTransaction, TransactionId } from "../ledger/transaction.ts"
import type { NodeEvent } from "../node/node.ts"
import { makeDice } from "../sim/dice.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, type RouteName, routes } from "./contract.ts"

const spec = specOf({ model: "utxo", accounts: 4, balance: 50, maturity: 2 })
/** Keys that hold coins in the random chains. */
const people = 6
/** The first payment; its coin is spent by the second. */
let given: PaymentTransaction
let node: TestNode
let app: Hono
const text = (i: number): string => formatAddress(keyOf(i).address, "crn")
const genesisCoin = (index: number): Outpoint => ({ id: allocationId("test"), index })

const appOf = ({ tree }: TestNode): Hono =>
  makeApp({ node: tree.node, context: Context.empty(), adminToken: undefined, page: new Map(), hosts: [] })

beforeAll(async () => {
  node = await startNode({ spec })
  app = appOf(node)
})
afterAll(() => node.stop())

const mine = (proposer: number) => Effect.runPromise(node.tree.node.mine(keyOf(proposer).address))

/** A route's reply, held against its schema; a refusal gives status and code. */
const ask = async <N extends RouteName>(
  name: N,
  path: string,
  body?: unknown
): Promise<ReplyOf<N> | [number, string]> => {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
  const response = await app.request(`http://localhost${path}`, body === undefined ? {} : init)
  const reply = (await response.json()) as { code: string }
  if (response.status >= 400) return [response.status, reply.code]
  const exit = Schema.decodeUnknownExit(routes[name].reply as never, { errors: "all", onExcessProperty: "error" })(
    reply
  )
  expect([name, response.status, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([
    name,
    routes[name].status,
    ""
  ])
  return reply as ReplyOf<N>
}
const get = async <N extends RouteName>(name: N, path: string): Promise<ReplyOf<N>> => {
  const reply = await ask(name, path)
  if (Array.isArray(reply)) throw new Error(`${path}: ${reply.join(" ")}`)
  return reply as ReplyOf<N>
}
const coinPath = ({ id, index }: Outpoint): string => `/api/coins/${toHex(id)}/${index}`
const submit = (one: PaymentTransaction) => ask("submit", "/api/transactions", formatPayment(one, "crn"))

describe("a payment of ninety out of fifty and fifty", () => {
  let paid: PaymentTransaction

  test("is pending with what it spends, and its change is to be seen", async () => {
    given = payment({ inputs: [genesisCoin(1)], outputs: [[0, 49]], by: [1] })
    expect(await submit(given)).toMatchObject({
      pending_transactions: 1,
      account: { address: text(1), pending_balance: 0 }
    })
    await mine(99)
    const inputs = [genesisCoin(0), { id: given.id, index: 0 }]
    paid = payment({
      inputs,
      outputs: [
        [7, 90],
        [0, 8]
      ],
      by: [0]
    })
    expect(await submit(paid)).toMatchObject({ account: { coins: 2, confirmed_balance: 99, pending_balance: 8 } })
    const { coins, pending_coins, height } = await get("coins", `/api/accounts/${text(0)}/coins`)
    expect(height).toBe(1)
    expect(coins.map(({ amount, spent_by }) => [amount, spent_by])).toEqual([
      [50, toHex(paid.id)],
      [49, toHex(paid.id)]
    ])
    expect(pending_coins).toEqual([{ transaction_id: toHex(paid.id), index: 1, amount: 8 }])
    const shown = await get("transaction", `/api/transactions/${toHex(paid.id)}`)
    expect(shown).toMatchObject({ status: "pending", fee: 1, block: null })
    expect(shown.spends?.map(({ owner, amount }) => [owner, amount])).toEqual([
      [text(0), 50],
      [text(0), 49]
    ])
    expect((await get("pending", "/api/transactions/pending")).pending_transactions).toMatchObject([
      { id: toHex(paid.id) }
    ])
    expect(await ask("coin", coinPath({ id: paid.id, index: 0 }))).toEqual([404, "coin-pending"])
    expect((await get("coin", coinPath(genesisCoin(0)))).coin).toMatchObject({
      spent_by: toHex(paid.id),
      spendable_from: 0
    })
  })

  test("spent on before a block has it, it shows the coins of both", async () => {
    const next = payment({ inputs: [{ id: paid.id, index: 0 }], outputs: [[8, 88]], by: [7] })
    expect(await submit(next)).toMatchObject({ pending_transactions: 2 })
    expect((await get("transaction", `/api/transactions/${toHex(next.id)}`)).spends).toMatchObject([
      { owner: text(7), amount: 90 }
    ])
    expect((await get("coins", `/api/accounts/${text(7)}/coins`)).pending_coins).toEqual([])
    await mine(99)
    for (const [one, fee, owner] of [
      [paid, 1, text(0)],
      [next, 2, text(7)]
    ] as const) {
      const shown = await get("transaction", `/api/transactions/${toHex(one.id)}`)
      expect(shown).toMatchObject({ status: "confirmed", fee, block: { height: 2 } })
      expect(shown.spends?.every((coin) => coin.owner === owner)).toBe(true)
    }
    expect(await ask("coin", coinPath({ id: paid.id, index: 0 }))).toEqual([404, "coin-spent"])
    expect((await get("coin", coinPath({ id: next.id, index: 0 }))).coin).toMatchObject({
      owner: text(8),
      amount: 88,
      height: 2
    })
  })

  test("has a coinbase before it, which is found by its id, has a proof, and is counted nowhere", async () => {
    const { block } = await get("blockAt", "/api/blocks/2")
    const [first, ...others] = block.transactions
    expect([first!.kind, others.length]).toEqual(["coinbase", 2])
    expect((await get("headers", "/api/headers?from_height=2")).headers).toMatchObject([{ transaction_count: 2 }])
    expect((await get("stats", "/api/stats")).stats).toMatchObject({ committed_transactions: 3, coins: 6, accounts: 5 })
    const found = await get("transaction", `/api/transactions/${first!.id}`)
    expect(found).toMatchObject({ transaction: { kind: "coinbase", outputs: [{ recipient: text(99), amount: 1003 }] } })
    expect(found).toMatchObject({ spends: null, fee: null, block: { index: 0 } })
    const proof = await get("transactionProof", `/api/transactions/${first!.id}/proof`)
    expect([proof.index, proof.count]).toEqual([0, 3])
    expect(Result.isSuccess(verifyProof(fromHex(proof.proof)!, { subject: fromHex(first!.id)! }))).toBe(true)
    const reward = { id: fromHex(first!.id)! as Uint8Array as TransactionId, index: 0 }
    expect((await get("coin", coinPath(reward))).coin).toMatchObject({ coinbase: true, height: 2, spendable_from: 4 })
  })
})

test("listeners hear who pays whom, and of a block without its coinbase", async () => {
  const events: Array<NodeEvent> = []
  const hearing = node.tree.node.listen(undefined, (event) => events.push(event))!
  const one = payment({
    inputs: [genesisCoin(2)],
    outputs: [
      [2, 20],
      [4, 25]
    ],
    by: [2]
  })
  await submit(one)
  await mine(99)
  hearing.close()
  expect(events).toMatchObject([
    { type: "transaction", transactionId: toHex(one.id), sender: text(2), recipient: text(4), amount: 25, fee: 5 },
    { type: "tip", height: 3, transactions: 1 }
  ])
})

describe("a coin", () => {
  test("is proven while it is there and as not there when it is spent, against the tip", async () => {
    const { header } = node.store.tip()
    for (const [outpoint, amount] of [
      [genesisCoin(3), 50],
      [genesisCoin(0), undefined],
      [{ ...genesisCoin(0), index: 0xffff_ffff }, undefined]
    ] as const) {
      const reply = await get("coinProof", `${coinPath(outpoint)}/proof`)
      const subject = encodeOutpoint(outpoint)
      const proven = Result.getOrThrow(verifyProof(fromHex(reply.proof)!, { header: header.hash, subject }))
      expect([proven.kind === "coin" && proven.coin?.amount, reply.coin?.amount]).toEqual([amount, amount])
      expect([reply.hash, reply.header]).toEqual([header.id, toHex(header.bytes)])
    }
  })

  test("that is not there has a code that says why", async () => {
    expect(await ask("coin", coinPath(genesisCoin(0)))).toEqual([404, "coin-spent"])
    for (const path of [`${"00".repeat(32)}/0`, `${toHex(allocationId("test"))}/4`, `${"00".repeat(32)}/4294967296`])
      expect(await ask("coin", `/api/coins/${path}`)).toEqual([404, "coin-unknown"])
    expect(await ask("coinProof", `/api/coins/${"00".repeat(32)}/4294967296/proof`)).toEqual([404, "coin-unknown"])
    expect(await ask("coin", `/api/coins/${"00".repeat(31)}/0`)).toEqual([404, "route-not-found"])
    expect(await ask("accountProof", `/api/accounts/${text(0)}/proof`)).toEqual([404, "ledger-without-accounts"])
    expect(await ask("coins", "/api/accounts/crn1qqqqqqqqqqqqq/coins")).toEqual([400, "address-invalid"])
    for (const cursor of ["nonsense", `50-${"00".repeat(20)}`, "50-"])
      expect(await ask("coins", `/api/accounts/${text(0)}/coins?cursor=${cursor}`)).toEqual([400, "cursor-invalid"])
  })

  test("that another payment spends is a conflict, one that is spent too", async () => {
    const one = payment({ inputs: [genesisCoin(3)], outputs: [[5, 40]], by: [3] })
    await submit(one)
    expect(await submit(payment({ inputs: [genesisCoin(3)], outputs: [[6, 48]], by: [3] }))).toEqual([
      409,
      "coin-conflict"
    ])
    expect(await submit(payment({ inputs: [{ id: given.id, index: 0 }], outputs: [[6, 48]], by: [0] }))).toEqual([
      409,
      "coin-spent"
    ])
    expect(await submit(one)).toEqual([409, "already-pending"])
  })
})

/** Takes random blocks onto a chain, some of them a longer branch from further down. */
const grow = (chain: TestChain, dice: ReturnType<typeof makeDice>): void => {
  const height = chain.store.tip().header.height
  if (height < 4 || dice.chance(0.7)) return void chain.mine(1, spending(chain, dice), dice.int(people))
  const other = chain.fork(height - 1 - dice.int(3))
  while (other.store.tip().header.height <= height) {
    for (const block of other.mine(1, spending(other, dice), dice.int(people)))
      expect(chain.take(block)).toBeUndefined()
  }
  expect(chain.store.tip().header.id).toBe(other.store.tip().header.id)
}

/** A payment of one coin of somebody to three others. */
const spending = (chain: TestChain, dice: ReturnType<typeof makeDice>): ReadonlyArray<PaymentTransaction> => {
  const by = dice.int(people)
  const height = chain.store.tip().header.height + 1
  const coin = dice.pick(coinsOf(chain, by).filter((one) => one.amount > 3 && spendableFrom(one, 2) <= height))
  if (coin === undefined) return []
  const outputs = [1, 2, 3].map(() => [dice.int(people), Math.floor((coin.amount - 1) / 3)] as const)
  return [payment({ inputs: [coin], outputs, by: [by] })]
}

/** What every route says that adds up coins, against the coins themselves. */
const compareMoney = async (dice: ReturnType<typeof makeDice>): Promise<void> => {
  const { accounts } = await get("accounts", "/api/accounts?limit=256")
  const balances = new Map(accounts.map((one) => [one.address, one.confirmed_balance]))
  const { stats } = await get("stats", "/api/stats")
  let counted = 0
  for (let i = 0; i < people; i++) {
    const coins = await everyCoin(text(i), 1 + dice.int(9))
    const units = coins.map(({ amount }) => amount)
    const sum = units.reduce((total, amount) => total + amount, 0)
    const { account } = await get("account", `/api/accounts/${text(i)}`)
    expect([account.confirmed_balance, account.coins, balances.get(text(i)) ?? 0]).toEqual([sum, coins.length, sum])
    expect(units).toEqual(units.toSorted((a, b) => b - a))
    expect(new Set(coins.map((coin) => `${coin.transaction_id}:${coin.index}`)).size).toBe(coins.length)
    counted += coins.length
  }
  expect([stats.coins, stats.accounts]).toEqual([counted, balances.size])
  expect(accounts.reduce((sum, one) => sum + one.confirmed_balance, 0)).toBe(stats.circulating_supply)
}

test("the state at a block is told as coins, by the names that they have everywhere", async () => {
  const { coins, accounts, state_root, page } = (await ask("stateAt", "/api/blocks/0/state")) as ReplyOf<"stateAt">
  expect([accounts, page.rows, page.next_cursor, state_root]).toEqual([
    null,
    4,
    null,
    toHex(node.tree.node.facts.rules.genesis.header.stateRoot)
  ])
  const given = [0, 1, 2, 3].map((index) => ({
    ...{ transaction_id: toHex(genesisCoin(index).id), index, owner: text(index), amount: 50, height: 0 },
    coinbase: false
  }))
  expect(coins).toEqual(given)
})

test("after any blocks and reorganisations each balance is the sum of the coins that are shown for it", async () => {
  const dice = makeDice(83)
  for (let round = 0; round < 5; round++) {
    const folder = mkdtempSync(join(tmpdir(), "cairn-coins-"))
    const chain = new TestChain(spec, join(folder, "chain.db"))
    for (let step = 0; step < 15; step++) grow(chain, dice)
    const paid = spending(chain, dice)
    chain.store.close()
    const own = await startNode({ spec, folder })
    app = appOf(own)
    await compareMoney(dice)
    // What a losing branch had is pending again, and may spend the same coin.
    for (const one of paid) await submit(one)
    await Effect.runPromise(own.tree.node.mine(keyOf(1).address))
    await compareMoney(dice)
    await own.stop()
    rmSync(folder, { recursive: true })
  }
}, 60_000)

/** Every coin of an address, page by page. */
const everyCoin = async (address: string, limit: number) => {
  const coins: Array<ReplyOf<"coins">["coins"][number]> = []
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: string = `limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`
    const reply = await get("coins", `/api/accounts/${address}/coins?${query}`)
    coins.push(...reply.coins)
    cursor = reply.page.next_cursor
  }
  return coins
}
