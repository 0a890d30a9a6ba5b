/**
 * Connecting blocks to the state. One `Decision` holds all that a change of tip does, from the first detached block to
 * the last attached one, and nothing of it is anywhere else until the store lands it whole.
 *
 *   plan → detach: undo values into the decision → the fork point's state root must come out (else it is our bug)
 *        → attach: check and apply each transaction, pay the reward, assert the supply, compare the state root
 *        → landing: entries, pages, undo of each block
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import type { Block } from "../block/block.ts"
import type { Header } from "../block/header.ts"
import { StateTree } from "../block/state-tree.ts"
import { equal, toHex } from "../codec/bytes.ts"
import type { Amount } from "../ledger/amount.ts"
import { type Change, Overlay } from "../ledger/overlay.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import { encodeUndo, undo } from "../ledger/undo.ts"
import { checkAfter } from "./check.ts"
import type { Plan } from "./choose.ts"
import type { ChainReader } from "./reader.ts"
import { type BlockReject, reject } from "./reject.ts"
import type { Rules } from "./rules.ts"
import type { VerifiedLeaves } from "./verified.ts"

/** A block that fits, with what it takes to undo it. */
export interface Attached {
  readonly block: Block
  readonly undo: Uint8Array
  readonly fees: Amount
}

/** An entry that a decision changes: its value after, the units in that, and its value before. */
export type LandingEntry = readonly [
  key: string,
  value: Uint8Array | undefined,
  units: number,
  before: Uint8Array | undefined
]

/** A decision, ready to be put on disk in one transaction. */
export interface Landing {
  readonly detached: ReadonlyArray<Block>
  readonly attached: ReadonlyArray<Attached>
  readonly entries: ReadonlyArray<LandingEntry>
  readonly pages: ReadonlyMap<string, Uint8Array | undefined>
}

/** A block of a plan that does not fit. */
export interface Misfit {
  readonly id: string
  readonly reject: BlockReject
}

const entriesOf = (changes: ReadonlyMap<string, Change>): ReadonlyArray<readonly [string, Uint8Array | undefined]> => {
  const out: Array<readonly [string, Uint8Array | undefined]> = []
  for (const [key, { before, after }] of changes) if (before !== after) out.push([key, after])
  return out
}

const misfit = (index: number, refused: TransactionReject): BlockReject => ({
  ...reject("transaction-refused", `transaction ${index}: ${refused.message}`),
  transaction: { index, reject: refused }
})

export class Decision {
  private readonly rules: Rules
  private readonly verified: VerifiedLeaves
  private readonly state: Overlay
  private readonly tree: StateTree
  private readonly detached: Array<Block> = []
  private readonly attached: Array<Attached> = []

  constructor(rules: Rules, reader: Pick<ChainReader, "readEntry" | "readPage">, verified: VerifiedLeaves) {
    this.rules = rules
    this.verified = verified
    this.state = new Overlay(reader.readEntry)
    this.tree = new StateTree(reader.readPage)
  }

  /** Takes a block off. The blocks come from the tip down; `befores` is what it changed. */
  detach(block: Block, befores: Parameters<typeof undo>[1]): void {
    undo(this.state, befores)
    this.detached.push(block)
  }

  /** After the last detach: the state must be the fork point's again. */
  assertAt(stateRoot: Uint8Array): void {
    const root = this.tree.update(entriesOf(this.state.changes))
    assert(equal(root, stateRoot), "undo leads back to the state of the fork point")
  }

  /** Puts a block on its parent, or says why it does not fit; then this decision is spoilt and must be thrown away. */
  attach(block: Block, parent: Pick<Header, "time">): BlockReject | undefined {
    const misplaced = checkAfter(this.rules, block, parent)
    if (misplaced !== undefined) return misplaced
    const state = new Overlay((key) => this.state.get(key))
    const fees = this.applyAll(state, block)
    if (typeof fees !== "number") return fees
    const { header } = block
    const unpaid = this.rules.ledger.applyReward(state, header, fees, block.transactions[0])
    if (unpaid !== undefined) return misfit(0, unpaid)
    this.assertSupply(state.changes, header.height)
    const entries = entriesOf(state.changes)
    if (!equal(this.tree.update(entries), header.stateRoot)) {
      return reject("state-root-wrong", "the state after the block is not what its header says")
    }
    this.state.take(state.changes)
    this.attached.push({ block, undo: encodeUndo(state.changes), fees })
    return undefined
  }

  /** What is to be put on disk. */
  landing(): Landing {
    const { ledger } = this.rules
    const entries: Array<LandingEntry> = []
    for (const [key, { before, after }] of this.state.changes) {
      if (before !== after) entries.push([key, after, after === undefined ? 0 : ledger.unitsOf(after), before])
    }
    return { detached: this.detached, attached: this.attached, entries, pages: this.tree.pages() }
  }

  /** Every transaction in order; the fees, or the refusal of the first that does not fit. The signature is the last check. */
  private applyAll(state: Overlay, { header, transactions }: Block): Amount | BlockReject {
    const { ledger } = this.rules
    const place = { height: header.height }
    let fees = 0
    // What a block opens with is judged when the fees are known.
    for (let index = ledger.opens ? 1 : 0; index < transactions.length; index++) {
      const transaction = transactions[index]!
      const fee = ledger.apply(state, transaction, place)
      if (typeof fee !== "number") return misfit(index, fee)
      if (!this.verified.has(transaction) && !ledger.checkSignature(transaction)) {
        return reject("signature-invalid", `the signature of transaction ${index}, ${toHex(transaction.id)}, is wrong`)
      }
      fees += fee
      if (!Number.isSafeInteger(fees)) return reject("fees-overflow", "the fees add up to more than can be counted")
    }
    return fees as Amount
  }

  /** The invariant of money: a block changes the sum of all entries by its reward and by nothing else. */
  private assertSupply(changes: ReadonlyMap<string, Change>, height: number): void {
    const { ledger } = this.rules
    let delta = 0
    for (const { before, after } of changes.values()) {
      if (before === after) continue
      delta += (after === undefined ? 0 : ledger.unitsOf(after)) - (before === undefined ? 0 : ledger.unitsOf(before))
    }
    assert(delta === ledger.rewardAt(height), "a block changes the supply by its reward")
  }
}

/** Runs a plan, reading bodies one by one; a landing, or the block that spoils it. `block` also knows bodies not stored yet. */
export const runPlan = (
  plan: Plan,
  context: { readonly rules: Rules; readonly reader: ChainReader; readonly verified: VerifiedLeaves }
): Result.Result<Landing, Misfit> => {
  const { reader } = context
  const decision = new Decision(context.rules, reader, context.verified)
  for (const id of plan.detach) {
    const block = reader.block(id)
    const befores = reader.undo(id)
    assert(block !== undefined && befores !== undefined, "a block of the best branch has body and undo")
    decision.detach(block, befores)
  }
  if (plan.detach.length > 0) decision.assertAt(plan.forkPoint.header.stateRoot)
  let parent = plan.forkPoint.header
  for (const id of plan.attach) {
    const block = reader.block(id)
    assert(block !== undefined, "a plan attaches blocks whose body is here")
    const reject = decision.attach(block, parent)
    if (reject !== undefined) return Result.fail({ id, reject })
    parent = block.header
  }
  return Result.succeed(decision.landing())
}
