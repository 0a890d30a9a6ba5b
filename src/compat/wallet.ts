/** The wallet that a reference system's node has: it pays from the coins of one key. One payment is made at a time. */
import { Effect, Result, Semaphore } from "effect"
import { toHex } from "../codec/bytes.ts"
import { type Address, formatAddress } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Amount } from "../ledger/amount.ts"
import { coinKey } from "../ledger/coin.ts"
import { dataOrFiller, noData } from "../ledger/payload.ts"
import { paymentBytes, signPayment } from "../ledger/payment.ts"
import type { Outpoint, PaymentTransaction } from "../ledger/transaction.ts"
import { httpPageMax, transactionBytesMax, walletCoinsMax } from "../limits.ts"
import type { Answer, CoinsView, NamedCoin, NodeShape, TransactionRefused } from "../node/node.ts"
import { inputBytes, outputBytes, witnessBytes } from "../wallet/coin.ts"
import { select, type Selection } from "../wallet/select.ts"
import { problem, type Problem } from "../http/problem.ts"

export interface WalletPorts {
  readonly node: NodeShape
  readonly key: Keypair
  readonly random: (length: number) => Uint8Array
}

interface Wish {
  readonly to: Address
  readonly amount: Amount
  readonly data: Uint8Array
}

export class Wallet {
  readonly key: Keypair
  /** Its address, as text. */
  readonly address: string
  private readonly node: NodeShape
  private readonly random: (length: number) => Uint8Array
  private readonly turn = Semaphore.makeUnsafe(1)

  constructor({ node, key, random }: WalletPorts) {
    this.node = node
    this.key = key
    this.random = random
    this.address = formatAddress(key.address, node.facts.rules.spec.addressPrefix)
  }

  /** Signs and submits a payment; the pending transaction, or why there is none. */
  pay(to: Address, amount: number): Answer<PaymentTransaction | Problem, TransactionRefused> {
    // Two at a time would choose the same coins.
    return this.turn.withPermits(1)(
      Effect.flatMap(this.spendable(), (coins): Answer<PaymentTransaction | Problem, TransactionRefused> => {
        const wish = { to, amount: amount as Amount, data: this.data() }
        const chosen = this.choose(coins, wish)
        if ("detail" in chosen) return Effect.succeed(chosen)
        const transaction = this.sign(chosen, coins, wish)
        return Effect.map(this.node.submit(transaction), () => transaction)
      })
    )
  }

  /** None, unless the chain asks for some: those systems have no such field. */
  private data(): Uint8Array {
    return dataOrFiller(noData, this.node.facts.rules.spec.ledger.filler, this.random)
  }

  private choose(coins: ReadonlyMap<string, NamedCoin>, { to, amount, data }: Wish): Selection | Problem {
    const { chainId, feeMin } = this.node.facts.rules.spec.ledger
    const fixedBytes = paymentBytes({ chainId, note: "", data, inputs: 0, outputs: 0, witnesses: 0 })
    const room = transactionBytesMax - fixedBytes - 2 * outputBytes - witnessBytes
    const chosen = select({
      coins: [...coins].map(([id, coin]) => ({ id, units: coin.amount, owner: this.address, height: coin.height })),
      amount,
      recipient: toHex(to),
      changeTo: this.address,
      costs: { feeRate: 0, feeMin, fixedBytes, inputsMax: Math.floor(room / inputBytes) },
      dice: { int: (n) => this.throwDie(n) }
    })
    return Result.isSuccess(chosen) ? chosen.success : problem(400, chosen.failure.code, chosen.failure.message)
  }

  private sign(chosen: Selection, coins: ReadonlyMap<string, NamedCoin>, { to, amount, data }: Wish) {
    const inputs = chosen.inputs.map(({ id }): Outpoint => coins.get(id)!)
    const payment = { recipient: to, amount }
    const change = chosen.change > 0 ? [{ recipient: this.key.address, amount: chosen.change }] : []
    const { chainId } = this.node.facts.rules.spec.ledger
    return signPayment({ chainId, inputs, outputs: [payment, ...change], note: "", data }, [this.key])
  }

  /** A number below n, of as many bytes as keep it even enough. */
  private throwDie(n: number): number {
    return this.random(6).reduce((value, byte) => value * 256 + byte, 0) % n
  }

  /** The coins that may be spent in the next block and that nothing pending spends, by their keys. */
  private spendable(): Answer<ReadonlyMap<string, NamedCoin>> {
    const { node, key } = this
    return Effect.gen(function* () {
      const coins = new Map<string, NamedCoin>()
      for (let cursor: string | undefined = undefined; coins.size < walletCoinsMax; ) {
        const page: CoinsView | undefined = yield* node.coins(key.address, cursor, httpPageMax)
        if (page === undefined) break
        for (const coin of page.rows)
          if (coin.spendableFrom <= page.height + 1 && coin.spentBy === undefined) coins.set(coinKey(coin), coin)
        cursor = page.next
        if (cursor === undefined) break
      }
      return coins
    })
  }
}
