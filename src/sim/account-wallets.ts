/** Wallets of the account model: each asks a node for the next nonce, signs, and submits. */
import { Clock, Effect } from "effect"
import type { Amount } from "../ledger/amount.ts"
import type { Millis, Nonce } from "../ledger/transaction.ts"
import { signTransfer } from "../ledger/transfer.ts"
import type { SimNode } from "./node.ts"
import { type Pay, type WalletAction, Wallets } from "./wallets.ts"

export class AccountWallets extends Wallets {
  act(action: WalletAction, nodes: ReadonlyArray<SimNode>): Effect.Effect<void> {
    switch (action.do) {
      case "pay":
        return this.pay(action, nodes[0]!)
      case "conflict":
        return this.conflict(action.wallet, nodes)
      case "replace":
        return this.replace(action.wallet, nodes[0]!)
      default:
        // Of coins only.
        return Effect.void
    }
  }

  /** Pays one after the other, each after the answer to the one before. */
  private pay({ wallet, count, http }: Pay, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const first = yield* this.nextNonce(wallet, node)
      if (first === undefined) return
      for (let nonce = first; nonce < first + count; nonce++) {
        // Some pay more than they must: who comes first, and who has to leave a full pool, is decided by that.
        const fee = this.feeMin * (1 + ((nonce + wallet) % 3))
        const transfer = yield* this.sign(wallet, { nonce, fee })
        if (!(yield* this.submit(node, transfer, http))) return
      }
    })
  }

  /** Gives two transfers of one nonce to two nodes at a time: one of them can be in the end, and one must. */
  private conflict(wallet: number, nodes: ReadonlyArray<SimNode>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const nonce = yield* this.nextNonce(wallet, nodes[0]!)
      if (nonce === undefined) return
      yield* Effect.forEach(
        nodes,
        (node, i) =>
          Effect.flatMap(this.sign(wallet, { nonce, fee: this.feeMin, amount: 10 + i }), (transfer) =>
            this.submit(node, transfer)
          ),
        { concurrency: 2, discard: true }
      )
    })
  }

  /** Pays, and then pays twice the fee for another transfer in its place. */
  private replace(wallet: number, node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const nonce = yield* this.nextNonce(wallet, node)
      if (nonce === undefined) return
      const first = yield* this.sign(wallet, { nonce, fee: this.feeMin })
      if (!(yield* this.submit(node, first))) return
      const second = yield* this.sign(wallet, { nonce, fee: this.feeMin * 2, amount: 77 })
      yield* this.submit(node, second)
    })
  }

  private nextNonce(wallet: number, node: SimNode): Effect.Effect<number | undefined> {
    const { address } = this.keys[wallet]!
    return Effect.map(Effect.exit(node.ask(({ node: shape }) => shape.account(address))), (exit) =>
      exit._tag === "Failure" ? undefined : exit.value.nextNonce
    )
  }

  private sign(wallet: number, wish: { readonly nonce: number; readonly fee: number; readonly amount?: number }) {
    return Effect.map(Clock.currentTimeMillis, (now) =>
      signTransfer(
        {
          chainId: this.rules.spec.ledger.chainId,
          recipient: this.recipient(wallet, wish.nonce),
          amount: (wish.amount ?? 5) as Amount,
          fee: wish.fee as Amount,
          nonce: wish.nonce as Nonce,
          time: now as Millis,
          note: "",
          data: this.data(wallet + wish.nonce)
        },
        this.keys[wallet]!
      )
    )
  }
}
