/** A chain of coins without blocks on disk: its entries, its confirmed transactions, the moves of its tip; and a pool on it. The ledger is the real one. */
import { compare, toHex } from "../src/codec/bytes.ts"
import { type Amount, amount } from "../src/ledger/amount.ts"
import { decodeCoin, decodeOutpoint } from "../src/ledger/coin.ts"
import type { CoinRules, Ledger } from "../src/ledger/ledger.ts"
import { Overlay } from "../src/ledger/overlay.ts"
import { noData } from "../src/ledger/payload.ts"
import { makePayment } from "../src/ledger/payment.ts"
import type { TransactionReject } from "../src/ledger/reject.ts"
import type { Millis, Outpoint, PaymentTransaction, Transaction } from "../src/ledger/transaction.ts"
import { undo } from "../src/ledger/undo.ts"
import { makeCoinLedger } from "../src/ledger/utxo.ts"
import { CoinPool } from "../src/mempool/coin-pool.ts"
import type { Move, PoolBounds, View } from "../src/mempool/pool.ts"
import { epoch, keyOf } from "./fixtures.ts"

export const coinRules: CoinRules = {
  ...{ model: "utxo", chainId: "test", symbol: "TST", decimals: 0, supplyMax: amount(1_000_000_000) },
  ...{ feeMin: amount(1), noteBytesMax: 280, reward: amount(1000), rewardHalvingBlocks: 0, coinbaseMaturity: 3 }
}

/** A payment with witnesses of the right form whose signatures are void: no pool and no state asks them. */
export const unsigned = (wish: {
  readonly inputs: ReadonlyArray<Outpoint>
  readonly outputs: ReadonlyArray<readonly [to: number, units: number]>
  readonly by: ReadonlyArray<number>
  readonly note?: string
  readonly data?: Uint8Array
}): PaymentTransaction =>
  makePayment({
    chainId: "test",
    inputs: wish.inputs.map(({ id, index }) => ({ id, index })),
    outputs: wish.outputs.map(([to, units]) => ({ recipient: keyOf(to).address, amount: units as Amount })),
    note: wish.note ?? "",
    data: wish.data ?? noData,
    witnesses: [...new Set(wish.by)]
      .map(keyOf)
      .map(({ publicKey, address }) => ({ publicKey, owner: address, signature: new Uint8Array(64) }))
      .sort((a, b) => compare(a.publicKey, b.publicKey))
  })

interface Step {
  readonly transactions: ReadonlyArray<Transaction>
  readonly befores: ReadonlyArray<readonly [string, Uint8Array | undefined]>
}

export class CoinWorld {
  readonly ledger: Ledger
  readonly entries = new Map<string, Uint8Array>()
  readonly confirmed = new Set<string>()
  /** Every coin that ever was, with its owner and amount. */
  readonly coins = new Map<string, Outpoint & { readonly owner: string; readonly amount: number }>()
  private readonly steps: Array<Step> = []

  constructor(rules: Partial<CoinRules> = {}, alloc: ReadonlyArray<readonly [owner: number, units: number]> = []) {
    this.ledger = makeCoinLedger({ ...coinRules, ...rules }, amount(alloc.reduce((sum, [, units]) => sum + units, 0)))
    const state = new Overlay(() => undefined)
    this.ledger.allocate(
      state,
      alloc.map(([owner, units]) => ({ address: keyOf(owner).address, balance: amount(units) }))
    )
    this.write([...state.changes].map(([key, { after }]) => [key, after]))
  }

  /** Of the tip. */
  get height(): number {
    return this.steps.length
  }

  get view(): View {
    return {
      height: this.height + 1,
      readEntry: (key) => this.entries.get(key),
      isConfirmed: (id) => this.confirmed.has(toHex(id))
    }
  }

  /** The coins of a key in the chain. */
  coinsOf(owner: number): ReadonlyArray<Outpoint & { readonly amount: number }> {
    const address = toHex(keyOf(owner).address)
    return [...this.coins]
      .filter(([key, coin]) => this.entries.has(key) && coin.owner === address)
      .map(([, coin]) => coin)
  }

  /** The fee of a payment on some state, or why it does not fit. */
  apply(state: Overlay, transaction: Transaction): number | string {
    const outcome = this.ledger.apply(state, transaction, { height: this.height + 1 })
    return typeof outcome === "number" ? outcome : outcome.code
  }

  /** Leaves some blocks and attaches others, each a list of payments and who makes it; what does not fit is left out. */
  move(
    leave: number,
    blocks: ReadonlyArray<{ readonly payments: ReadonlyArray<Transaction>; readonly by: number }>
  ): Move {
    const before = new Map(this.entries)
    const returned = this.steps.splice(this.steps.length - leave, leave).reverse()
    for (const { transactions, befores } of returned) {
      const state = new Overlay((key) => this.entries.get(key))
      undo(state, befores)
      this.write([...state.changes].map(([key, { after }]) => [key, after]))
      for (const { id } of transactions) this.confirmed.delete(toHex(id))
    }
    for (const block of blocks) this.attach(block.payments, block.by)
    const keys = new Set([...before.keys(), ...this.entries.keys()])
    return {
      touched: [...keys].filter((key) => before.get(key) !== this.entries.get(key)),
      returned: returned.flatMap(({ transactions }) => transactions).filter(({ id }) => !this.confirmed.has(toHex(id))),
      view: this.view,
      now: epoch
    }
  }

  private attach(payments: ReadonlyArray<Transaction>, by: number): void {
    const state = new Overlay((key) => this.entries.get(key))
    const facts = { height: this.height + 1, time: epoch as Millis, proposer: keyOf(by).address }
    const fitting: Array<Transaction> = []
    let fees = 0
    for (const payment of payments) {
      const fee = this.apply(state, payment)
      if (typeof fee !== "number") continue
      fitting.push(payment)
      fees += fee
    }
    const opening = this.ledger.opening(facts, amount(fees))!
    this.ledger.applyReward(state, facts, amount(fees), opening)
    const transactions = [opening, ...fitting]
    this.steps.push({ transactions, befores: [...state.changes].map(([key, change]) => [key, change.before]) })
    this.write([...state.changes].map(([key, { after }]) => [key, after]))
    for (const { id } of transactions) this.confirmed.add(toHex(id))
  }

  private write(entries: ReadonlyArray<readonly [string, Uint8Array | undefined]>): void {
    for (const [key, value] of entries) {
      if (value === undefined) this.entries.delete(key)
      else this.entries.set(key, value)
      if (value !== undefined) this.remember(key, value)
    }
  }

  private remember(key: string, value: Uint8Array): void {
    const { owner, amount: units } = decodeCoin(value)
    this.coins.set(key, { ...decodeOutpoint(Uint8Array.fromHex(key)), owner: toHex(owner), amount: units })
  }
}

export const idOf = ({ id }: Transaction): string => toHex(id)
export const output = ({ id }: Transaction, index = 0): Outpoint => ({ id, index })
const everything = { transactionsMax: 1e6, bytesMax: 1e9 }

/** A chain of which key 0 holds some coins, and a pool on it. */
export const setUp = (coins = 8, bounds: Partial<PoolBounds> = {}, feeMin = 1, units = 1_000) => {
  const alloc = Array.from({ length: coins }, () => [0, units] as const)
  const world = new CoinWorld({ feeMin: amount(feeMin) }, alloc)
  const pool = new CoinPool(world.ledger, bounds)
  const submit = (transaction: Transaction, checkSignature = true): TransactionReject | ReadonlyArray<string> => {
    const outcome = pool.admit({ transaction, view: world.view, now: epoch, checkSignature: () => checkSignature })
    return "code" in outcome ? outcome : outcome.removed
  }
  /** The code of the refusal, or how many had to go. */
  const admit = (transaction: Transaction): string | number => {
    const outcome = submit(transaction)
    return "code" in outcome ? outcome.code : outcome.length
  }
  const mined = (limits = everything): ReadonlyArray<string> => pool.select(limits).map(idOf)
  return { world, pool, submit, admit, mined, coins: world.coinsOf(0) }
}

/** Key 0 pays itself: the coins, less the fee, in so many outputs. */
export const pay = (
  inputs: ReadonlyArray<Outpoint>,
  held: number,
  fee: number,
  { outputs = 1, note = "" } = {}
): PaymentTransaction => {
  const each = Math.floor((held - fee) / outputs)
  const first = held - fee - each * (outputs - 1)
  return unsigned({
    ...{ inputs, by: [0], note },
    outputs: Array.from({ length: outputs }, (_, i) => [0, i === 0 ? first : each] as const)
  })
}

/** Payments each of which spends the first output of the one before. */
export const chainOf = (coin: Outpoint, fees: ReadonlyArray<number>, note = ""): ReadonlyArray<PaymentTransaction> => {
  let held = 1_000
  let from = coin
  return fees.map((fee) => {
    const link = pay([from], held, fee, { note })
    held -= fee
    from = output(link)
    return link
  })
}
