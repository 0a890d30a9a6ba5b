/**
 * What must hold of acknowledged and of pending payments of coins.
 *
 * A payment may go for one reason only: it cannot be any more, because a coin of its is spent by another, confirmed or pending
 * and better paid, or is not there, and then whoever made that coin must have such a reason in turn. The reason may be gone
 * again when we look: a chain that returns to a branch brings back a coin, but not who had spent it. So what a branch made
 * impossible is noted when the tip moves. And a losing branch may give back more payments of one family than may be pending.
 */
import type { Rules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { decodeCoin } from "../ledger/coin.ts"
import { Overlay } from "../ledger/overlay.ts"
import type { PaymentTransaction, Transaction } from "../ledger/transaction.ts"
import { ancestorsMax, descendantsMax } from "../limits.ts"
import type { PoolView, Promises } from "./check.ts"
import type { CoinWallets } from "./coin-wallets.ts"
import { ripeAt } from "./coins.ts"
import type { SimNode } from "./node.ts"

/** Hex digits of the id with which an outpoint's key begins. */
const idDigits = 64
const makerOf = (key: string): string => key.slice(0, idDigits)

const isPayment = (transaction: Transaction): transaction is PaymentTransaction => transaction.kind === "payment"

/**
 * What is pending can be in the next block, all of it: each payment is allowed by the tip's state and those it builds on, and no
 * coin is spent twice.
 */
export const checkPayments = (node: SimNode, rules: Rules, pool: PoolView): string | undefined => {
  const { store } = node
  const state = new Overlay(store.readEntry)
  const place = { height: store.tip().header.height + 1 }
  let left = [...pool.values()]
  for (;;) {
    const refused = left.filter((one) => typeof rules.ledger.apply(state, one, place) !== "number")
    if (refused.length === 0) return undefined
    if (refused.length === left.length) {
      const why = rules.ledger.check(state, refused[0]!, place)
      const { code } = typeof why === "number" ? { code: "" } : why
      return `${node.name}: ${left.length} payments are pending that the tip makes impossible, the first as ${code}`
    }
    left = refused
  }
}

/** One look at one node: where the coins of payments are. */
class Look {
  private readonly node: SimNode
  private readonly rules: Rules
  private readonly signed: ReadonlyMap<string, PaymentTransaction>
  private readonly pending = new Map<string, PaymentTransaction>()
  private readonly spenders = new Map<string, string>()
  private readonly reasons = new Map<string, boolean>()
  /** Of the block that comes next. */
  private readonly height: number

  constructor(node: SimNode, rules: Rules, signed: ReadonlyMap<string, PaymentTransaction>, pool: PoolView) {
    this.node = node
    this.rules = rules
    this.signed = signed
    this.height = node.store.tip().header.height + 1
    for (const payment of [...pool.values()].filter(isPayment)) {
      const id = toHex(payment.id)
      this.pending.set(id, payment)
      for (const key of payment.spends) this.spenders.set(key, id)
    }
  }

  /** Is it in the chain or in the pool? */
  has(id: string, { id: bytes }: PaymentTransaction): boolean {
    return this.pending.has(id) || this.node.store.isConfirmed(bytes)
  }

  /** May a payment that is neither confirmed nor pending be gone? */
  mayBeGone(id: string, payment: PaymentTransaction): boolean {
    const known = this.reasons.get(id)
    if (known !== undefined) return known
    // A payment builds on what was before it, so this comes to an end.
    const reason = payment.spends.some((key, i) => this.isTaken(key, id, payment.payment.inputs[i]!.id))
    this.reasons.set(id, reason)
    return reason
  }

  /** Does it build on more payments that are neither confirmed nor gone than may be pending, or does too much build on one of them? */
  isCrowded(id: string, families: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    const ancestors = this.ancestorsOf(id)
    return ancestors.size > ancestorsMax || [...ancestors].some((one) => families.get(one)!.size > descendantsMax)
  }

  /** By payment that is neither confirmed nor gone: what builds on it, however far, itself included. */
  families(): ReadonlyMap<string, ReadonlySet<string>> {
    const families = new Map<string, Set<string>>()
    for (const [id, payment] of this.signed) {
      if (this.has(id, payment) || this.mayBeGone(id, payment)) continue
      for (const one of this.ancestorsOf(id)) {
        const family = families.get(one) ?? new Set()
        families.set(one, family.add(id))
      }
    }
    return families
  }

  /** Itself and all that it builds on, as far as that is not confirmed. */
  private ancestorsOf(id: string): ReadonlySet<string> {
    const all = new Set([id])
    for (const one of all) {
      for (const key of this.signed.get(one)!.spends) {
        const maker = this.signed.get(makerOf(key))
        if (maker !== undefined && !this.node.store.isConfirmed(maker.id)) all.add(makerOf(key))
      }
    }
    return all
  }

  private isTaken(key: string, by: string, maker: Uint8Array): boolean {
    const spender = this.spenders.get(key)
    if (spender !== undefined && spender !== by) return true
    const { store } = this.node
    const value = store.readEntry(key)
    if (value !== undefined) return this.height < ripeAt(this.rules, decodeCoin(value))
    // The chain made the coin and it is not there: it is spent.
    if (store.isConfirmed(maker)) return true
    const id = makerOf(key)
    if (this.pending.has(id)) return false
    const made = this.signed.get(id)
    // Else a coinbase of another branch, or a payment of someone else.
    return made === undefined || this.mayBeGone(id, made)
  }
}

export class CoinPromises implements Promises {
  private readonly rules: Rules
  private readonly wallets: CoinWallets
  /** By node: the tip that it had last, and the payments that one of its branches made impossible. */
  private readonly seen = new Map<string, { tip: string; readonly undone: Set<string> }>()

  constructor(rules: Rules, wallets: CoinWallets) {
    this.rules = rules
    this.wallets = wallets
  }

  moved(node: SimNode): void {
    const { header } = node.store.tip()
    const seen = this.seen.get(node.name) ?? { tip: header.id, undone: new Set<string>() }
    this.seen.set(node.name, seen)
    const follows = seen.tip === header.id || seen.tip === toHex(header.previous)
    seen.tip = header.id
    if (follows) return
    const look = this.look(node, new Map())
    const families = look.families()
    for (const [id, payment] of this.wallets.signed) {
      if (seen.undone.has(id) || look.has(id, payment)) continue
      if (look.mayBeGone(id, payment) || look.isCrowded(id, families)) seen.undone.add(id)
    }
  }

  broken(node: SimNode, pool: PoolView): string | undefined {
    const look = this.look(node, pool)
    const undone = this.seen.get(node.name)?.undone
    const mayBeGone = (id: string, payment: PaymentTransaction): boolean =>
      undone?.has(id) === true || look.mayBeGone(id, payment)
    for (const [id, { transaction, node: name }] of this.wallets.acknowledged) {
      if (name !== node.name || !isPayment(transaction) || look.has(id, transaction)) continue
      if (mayBeGone(id, transaction)) continue
      // Who outbid it may be gone by now in turn.
      const rivals = this.rivalsOf(id, transaction)
      if (rivals.some((rival) => mayBeGone(toHex(rival.id), rival))) continue
      return `${name}: payment ${id.slice(0, 12)} was acknowledged and is lost`
    }
    return undefined
  }

  private look(node: SimNode, pool: PoolView): Look {
    return new Look(node, this.rules, this.wallets.signed, pool)
  }

  private rivalsOf(id: string, { spends }: PaymentTransaction): ReadonlyArray<PaymentTransaction> {
    const keys = new Set(spends)
    return [...this.wallets.signed]
      .filter(([other, payment]) => other !== id && payment.spends.some((key) => keys.has(key)))
      .map(([, payment]) => payment)
  }
}
