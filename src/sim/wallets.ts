/** People who pay: keys with money from genesis. What they give to nodes, and what a node has acknowledged, is remembered here. */
import { Clock, Effect } from "effect"
import { toHex, utf8 } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { noData } from "../ledger/payload.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { formatTransaction } from "../ledger/transaction-text.ts"
import type { Rules } from "../chain/rules.ts"
import { walletKey } from "./keys.ts"
import type { SimNode } from "./node.ts"
import type { Action } from "./plan.ts"

/** A transaction that a node has answered for. */
export interface Acknowledged {
  readonly transaction: Transaction
  readonly node: string
  readonly at: number
}

/** Of so many payments of a wallet one goes where nobody was ever paid: the state grows, and what is undone must shrink it. */
const newcomerEvery = 3
const newcomer = (wallet: number, count: number): Address =>
  sha256(utf8(`simulated newcomer ${wallet} ${count}`)).slice(0, 20) as Address

/** What of a plan wallets do. */
export type WalletAction = Extract<Action, { readonly wallet: number }>
export type Pay = Extract<WalletAction, { readonly do: "pay" }>

/** The wallets of a money model. */
export abstract class Wallets {
  /** By transaction id. What was replaced is not here any more. */
  readonly acknowledged = new Map<string, Acknowledged>()
  /** Hears of an answer that no node may give. */
  violated: (what: string) => void = () => {}
  submitted = 0
  refused = 0
  protected readonly rules: Rules
  protected readonly keys: ReadonlyArray<Keypair>

  constructor(rules: Rules, count: number) {
    this.rules = rules
    this.keys = Array.from({ length: count }, (_, i) => walletKey(i))
  }

  /** Does what a plan wants, at nodes that run. */
  abstract act(action: WalletAction, nodes: ReadonlyArray<SimNode>): Effect.Effect<void>

  /** Whom a wallet pays with its payment number `count`. */
  protected recipient(wallet: number, count: number): Address {
    if (count % newcomerEvery === 0) return newcomer(wallet, count)
    return this.keys[(wallet + 1) % this.keys.length]!.address
  }

  /** Data of payment number `count`, where the chain takes some: none, a byte, up to all it takes. */
  protected data(count: number): Uint8Array {
    const most = this.rules.spec.ledger.payloadBytesMax ?? 0
    if (most === 0 || count % 3 === 0) return noData
    return sha256(utf8(`simulated data ${count}`)).slice(0, 1 + (count % Math.min(most, 32)))
  }

  protected get feeMin(): number {
    return this.rules.spec.ledger.feeMin
  }

  /** True: acknowledged. A node that is off, busy or full acknowledges nothing, and may have it all the same. */
  protected submit(node: SimNode, transaction: Transaction, http = false): Effect.Effect<boolean> {
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
