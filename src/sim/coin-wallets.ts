/**
 * Wallets of the coin model: each looks at the coins of a node's tip and pool, chooses some, signs, and submits. Which it chooses
 * depends on how many payments were made before: now the change that is still pending, now an old coin, now several.
 */
import { Effect } from "effect"
import { equal, toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { type Amount, amount } from "../ledger/amount.ts"
import { signPayment } from "../ledger/payment.ts"
import type { Output, PaymentTransaction } from "../ledger/transaction.ts"
import { confirmedCoins, type NamedCoin, paidBy, ripeAt, spendableCoins } from "./coins.ts"
import { nodeKey } from "./keys.ts"
import type { SimNode } from "./node.ts"
import { type Pay, type WalletAction, Wallets } from "./wallets.ts"

/** A wallet with fewer coins makes more of its change. */
const coinsMin = 4
/** Parts into which it then cuts its change. */
const changeParts = 3
/** Coins of one wallet that are gathered at a time. */
const gatheredMax = 12
/** One of so many rewards is spent too early. */
const hurriesEvery = 4
/** As many miners give their rewards away: all that a swarm has. */
const minersMax = 6
/** Units that leave the wallet with an ordinary payment. */
const paid = 5
/** The highest fee of an ordinary payment is so many times the least; and what replaces one pays so many times it. */
const feeSteps = 3
const outbidding = 8

interface Spending {
  readonly coins: ReadonlyArray<NamedCoin>
  readonly by: ReadonlyArray<Keypair>
  readonly to: ReadonlyArray<Output>
  readonly fee: number
  /** What is left goes there, in so many parts. */
  readonly change: Address
  readonly parts?: number
}

const held = (coins: ReadonlyArray<NamedCoin>): number => coins.reduce((sum, coin) => sum + coin.amount, 0)

export class CoinWallets extends Wallets {
  /** Every payment that was ever signed here, by id: a node may have those that it has not acknowledged. */
  readonly signed = new Map<string, PaymentTransaction>()

  /** Miners who lend the wallets their keys. */
  private readonly miners = Array.from({ length: minersMax }, (_, i) => nodeKey(i))

  act(action: WalletAction, nodes: ReadonlyArray<SimNode>): Effect.Effect<void> {
    const [node] = nodes
    switch (action.do) {
      case "pay":
        return this.pay(action, node!)
      case "conflict":
        return this.conflict(action.wallet, nodes)
      case "replace":
        return this.replace(action.wallet, node!)
      case "gather":
        return this.gather(action, node!)
      case "spend-reward":
        return this.submitted % hurriesEvery === 0
          ? this.hurry(action.wallet, node!)
          : this.spendReward(action.wallet, node!)
    }
  }

  /** Pays one after the other, each after the answer to the one before. */
  private pay({ wallet, count, http }: Pay, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (let i = 0; i < count && node.up; i++) {
        const payment = this.ordinary(wallet, node, this.feeMin * (1 + ((this.submitted + wallet) % feeSteps)))
        if (payment === undefined || !(yield* this.submit(node, payment, http))) return
      }
    })
  }

  /** Gives payments of one coin to two nodes at a time: one of them can be in the end. One may pay more, or spend another coin, too. */
  private conflict(wallet: number, nodes: ReadonlyArray<SimNode>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const key = this.keys[wallet]!
      const [coin, other] = this.payable(nodes[0]!, key)
      if (coin === undefined) return Effect.void
      const turn = this.submitted
      const payments = nodes.map((_, i) =>
        this.sign({
          coins: i === 1 && turn % 3 === 0 && other !== undefined ? [coin, other] : [coin],
          by: [key],
          to: [{ recipient: this.recipient(wallet, turn), amount: amount(10 + i) }],
          fee: this.feeMin * (i === 1 && turn % 2 === 0 ? outbidding : 1),
          change: key.address
        })
      )
      return Effect.forEach(nodes, (node, i) => this.submit(node, payments[i]!), { concurrency: 2, discard: true })
    })
  }

  /** Pays, maybe builds on that, and then pays much more for another payment of the same coin. */
  private replace(wallet: number, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const key = this.keys[wallet]!
      const coin = this.payable(node, key)[this.submitted % 2]
      if (coin === undefined) return
      const to = [{ recipient: this.recipient(wallet, this.submitted), amount: amount(paid) }]
      const wish = { coins: [coin], by: [key], to, fee: this.feeMin, change: key.address }
      const first = this.sign(wish)
      if (!(yield* this.submit(node, first))) return
      if (this.submitted % 2 === 0) {
        const change = paidBy(first, 0).at(-1)!
        yield* this.submit(node, this.sign({ ...wish, coins: [change] }))
      }
      yield* this.submit(node, this.sign({ ...wish, fee: this.feeMin * outbidding }))
    })
  }

  /** Many coins become one: of one owner, or of several who sign one payment. The smallest go first. */
  private gather(
    { wallet, wallets }: Extract<WalletAction, { readonly do: "gather" }>,
    node: SimNode
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const owners = Array.from(
        { length: Math.min(wallets, this.keys.length) },
        (_, i) => this.keys[(wallet + i) % this.keys.length]!
      )
      const theirs = owners.map((key) => this.coins(node, key).toSorted((a, b) => a.amount - b.amount))
      const coins = theirs.flatMap((list) => list.slice(0, gatheredMax))
      const by = owners.filter((_, i) => theirs[i]!.length > 0)
      const fee = this.feeMin * feeSteps
      if (held(coins) <= fee) return Effect.void
      return Effect.asVoid(this.submit(node, this.sign({ coins, by, to: [], fee, change: this.keys[wallet]!.address })))
    })
  }

  /** A reward that may be spent one block later is offered already: no node may take it. */
  private hurry(wallet: number, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const next = (): number => node.store.tip().header.height + 1
      const before = next()
      const coin = this.miners
        .flatMap(({ address }) => confirmedCoins(node.store, address))
        .find((one) => ripeAt(this.rules, one) === before + 1)
      const by = this.miners.filter(({ address }) => coin !== undefined && equal(coin.owner, address))
      if (coin === undefined || coin.amount <= this.feeMin) return
      const { address: change } = this.keys[wallet]!
      const taken = yield* this.submit(node, this.sign({ coins: [coin], by, to: [], fee: this.feeMin, change }))
      // A block may have come in between.
      if (taken && node.up && Math.max(before, next()) === before)
        this.violated(`${node.name}: a payment of a reward was acknowledged a block before it may be spent`)
    })
  }

  /** The youngest rewards that may be spent, whoever has mined them, go to a wallet, which may spend them on at once. */
  private spendReward(wallet: number, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const key = this.keys[wallet]!
      const rewards = this.coins(node, ...this.miners).toSorted((a, b) => b.height - a.height)
      const coins = rewards.slice(0, 1 + (this.submitted % 3))
      if (held(coins) <= this.feeMin) return
      const by = this.miners.filter(({ address }) => coins.some(({ owner }) => equal(owner, address)))
      const first = this.sign({ coins, by, to: [], fee: this.feeMin, change: key.address })
      if (!(yield* this.submit(node, first)) || this.submitted % 2 === 0) return
      const [coin] = paidBy(first, 0)
      if (coin!.amount <= this.feeMin + paid) return
      const to = [{ recipient: this.recipient(wallet, this.submitted), amount: amount(paid) }]
      yield* this.submit(node, this.sign({ coins: [coin!], by: [key], to, fee: this.feeMin, change: key.address }))
    })
  }

  /** A payment of one coin, sometimes of two. */
  private ordinary(wallet: number, node: SimNode, fee: number): PaymentTransaction | undefined {
    const key = this.keys[wallet]!
    const turn = this.submitted
    const coins = this.payable(node, key)
    const first = turn % 3 === 0 ? coins.at(-1) : coins[turn % coins.length]
    if (first === undefined) return undefined
    const second = turn % 5 === 0 ? coins.find((coin) => coin !== first) : undefined
    const to = [{ recipient: this.recipient(wallet, turn), amount: amount(paid) }]
    const parts = coins.length < coinsMin ? changeParts : 1
    return this.sign({
      coins: second === undefined ? [first] : [first, second],
      ...{ by: [key], to, fee, parts, change: key.address }
    })
  }

  /** Coins that pay for any of our payments alone. */
  private payable(node: SimNode, key: Keypair): ReadonlyArray<NamedCoin> {
    return this.coins(node, key).filter((coin) => coin.amount > this.feeMin * outbidding + 2 * paid + 10)
  }

  private coins(node: SimNode, ...keys: ReadonlyArray<Keypair>): ReadonlyArray<NamedCoin> {
    return node.up ? spendableCoins(node.store, this.rules, ...keys.map(({ address }) => address)) : []
  }

  private sign({ coins, by, to, fee, change, parts = 1 }: Spending): PaymentTransaction {
    const left = held(coins) - fee - to.reduce((sum, output) => sum + output.amount, 0)
    const part = Math.floor(left / parts)
    const backs = Array.from({ length: parts }, (_, i) => (i === 0 ? left - part * (parts - 1) : part))
    const payment = signPayment(
      {
        chainId: this.rules.spec.ledger.chainId,
        inputs: coins.map(({ id, index }) => ({ id, index })),
        outputs: [
          ...to,
          ...backs.filter((units) => units > 0).map((units) => ({ recipient: change, amount: units as Amount }))
        ],
        note: "",
        data: this.data(this.submitted)
      },
      by
    )
    this.signed.set(toHex(payment.id), payment)
    return payment
  }
}
