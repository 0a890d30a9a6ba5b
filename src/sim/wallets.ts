/** People who pay: each has a key with money from genesis, asks a node for the next nonce, signs, submits, and remembers what was acknowledged. */
import { Clock, Effect } from "effect"
import { toHex, utf8 } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import type { Amount } from "../ledger/amount.ts"
import type { Millis, Nonce, Transaction } from "../ledger/transaction.ts"
import { signTransfer } from "../ledger/transfer.ts"
import { formatTransaction } from "../ledger/transaction-text.ts"
import type { Rules } from "../chain/rules.ts"
import type { SimNode } from "./node.ts"

/** A transfer that a node has answered for. */
export interface Acknowledged {
  readonly transaction: Transaction
  readonly node: string
  readonly at: number
}

/** The i-th wallet's key, the same in every run. */
export const walletKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated wallet ${i}`)))
/** The i-th node's key. */
export const nodeKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated node ${i}`)))

/** The i-th liar's key. */
export const liarKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated liar ${i}`)))

/** Of so many transfers of a wallet one goes where nobody was ever paid: the state grows, and what is undone must shrink it. */
const newcomerEvery = 3
const newcomer = (wallet: number, nonce: number): Address =>
  sha256(utf8(`simulated newcomer ${wallet} ${nonce}`)).slice(0, 20) as Address

export class Wallets {
  /** By transaction id. What was replaced is not here any more. */
  readonly acknowledged = new Map<string, Acknowledged>()
  submitted = 0
  refused = 0
  private readonly rules: Rules
  private readonly keys: ReadonlyArray<Keypair>

  constructor(rules: Rules, count: number) {
    this.rules = rules
    this.keys = Array.from({ length: count }, (_, i) => walletKey(i))
  }

  /** Pays one after the other, each after the answer to the one before. */
  pay(wallet: number, node: SimNode, wish: { readonly count: number; readonly http: boolean }): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const key = this.keys[wallet]!
      const account = yield* Effect.exit(node.ask(({ node: shape }) => shape.account(key.address)))
      if (account._tag === "Failure") return
      const { nextNonce } = account.value
      for (let i = 0; i < wish.count; i++) {
        // Some pay more than they must: who comes first, and who has to leave a full pool, is decided by that.
        const fee = this.feeMin * (1 + ((nextNonce + i + wallet) % 3))
        const transfer = yield* this.sign(wallet, { nonce: nextNonce + i, fee })
        if (!(yield* this.submit(node, transfer, wish.http))) return
      }
    })
  }

  /** Gives two transfers of one nonce to two nodes at a time: one of them can be in the end, and one must. */
  conflict(wallet: number, nodes: readonly [SimNode, SimNode]): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const key = this.keys[wallet]!
      const account = yield* Effect.exit(nodes[0].ask(({ node }) => node.account(key.address)))
      if (account._tag === "Failure") return
      const nonce = account.value.nextNonce
      yield* Effect.forEach(
        nodes,
        (node, i) =>
          Effect.flatMap(this.sign(wallet, { nonce, fee: this.feeMin, amount: 10 + i }), (transfer) =>
            this.submit(node, transfer, false)
          ),
        { concurrency: 2, discard: true }
      )
    })
  }

  /** Pays, and then pays twice the fee for another transfer in its place. */
  replace(wallet: number, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const key = this.keys[wallet]!
      const account = yield* Effect.exit(node.ask(({ node: shape }) => shape.account(key.address)))
      if (account._tag === "Failure") return
      const nonce = account.value.nextNonce
      const first = yield* this.sign(wallet, { nonce, fee: this.feeMin })
      if (!(yield* this.submit(node, first, false))) return
      const second = yield* this.sign(wallet, { nonce, fee: this.feeMin * 2, amount: 77 })
      yield* this.submit(node, second, false)
    })
  }

  private next(wallet: number): Address {
    return this.keys[(wallet + 1) % this.keys.length]!.address
  }

  private get feeMin(): number {
    return this.rules.spec.ledger.feeMin
  }

  private sign(wallet: number, wish: { readonly nonce: number; readonly fee: number; readonly amount?: number }) {
    return Effect.map(Clock.currentTimeMillis, (now) =>
      signTransfer(
        {
          chainId: this.rules.spec.ledger.chainId,
          recipient: wish.nonce % newcomerEvery === 0 ? newcomer(wallet, wish.nonce) : this.next(wallet),
          amount: (wish.amount ?? 5) as Amount,
          fee: wish.fee as Amount,
          nonce: wish.nonce as Nonce,
          time: now as Millis,
          note: ""
        },
        this.keys[wallet]!
      )
    )
  }

  /** True: acknowledged. A node that is off, busy or full acknowledges nothing, and may have it all the same. */
  private submit(node: SimNode, transaction: Transaction, http: boolean): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      this.submitted++
      const answer = http
        ? Effect.map(
            node.fetch("POST", "/api/transactions", formatTransaction(transaction, this.rules.spec.addressPrefix)),
            ({ status }) => status === 200 || status === 201 || status === 202
          )
        : Effect.as(
            node.ask(({ node: shape }) => shape.submit(transaction)),
            true
          )
      const exit = yield* Effect.exit(answer)
      const taken = exit._tag === "Success" && exit.value
      if (taken) this.acknowledge(node.name, transaction, yield* Clock.currentTimeMillis)
      else this.refused++
      return taken
    })
  }

  private acknowledge(node: string, transaction: Transaction, at: number): void {
    this.acknowledged.set(toHex(transaction.id), { transaction, node, at })
  }
}
