/**
 * Blocks from a file or another database, taken one after the other by a store that no node is using: each checked as one from a
 * peer, and the branch that wins then connected. Groups share a transaction; a block that is refused ends its group, and what
 * came before it is kept.
 */
import { Result } from "effect"
import type { Block } from "../block/block.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { choosePlan, ForkChoice } from "../chain/choose.ts"
import { runPlan } from "../chain/connect.ts"
import { ancestryOf, parentId, type Row } from "../chain/reader.ts"
import { type BlockReject, reject } from "../chain/reject.ts"
import type { Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { loadAnchors } from "./finality.ts"
import type { ChainStore } from "./store.ts"

/** Blocks and bytes of bodies that share a transaction. */
const group = { blocks: 256, bytes: 4 * 1024 * 1024 } as const

/** What became of a block: it was there, it was stored, or it was refused. */
export type Taken = "known" | "stored" | BlockReject

export interface Counted {
  readonly stored: number
  readonly known: number
}

export type Refused = BlockReject & { readonly height: number }

export class BlockTaker {
  private readonly store: ChainStore
  private readonly rules: Rules
  private readonly choice: ForkChoice
  private readonly now: number

  /** `now`: milliseconds since 1970, for headers that are ahead of their time. */
  constructor(store: ChainStore, rules: Rules, now: number) {
    this.store = store
    this.rules = rules
    this.now = now
    this.choice = new ForkChoice(store, loadAnchors(store.db))
  }

  /** Takes blocks until there are no more, or one is refused. What their source throws is thrown when all before it is kept. */
  all(blocks: Iterator<Block>, each: (block: Block) => void): Counted & { readonly refused?: Refused } {
    const count = { stored: 0, known: 0 }
    for (;;) {
      const end = this.store.decide(() => this.some(blocks, count, each))
      if (end === undefined) continue
      if ("thrown" in end) throw end.thrown
      return end.refused === undefined ? count : { ...count, refused: end.refused }
    }
  }

  /** A group; undefined: there may be more. */
  private some(
    blocks: Iterator<Block>,
    count: { stored: number; known: number },
    each: (block: Block) => void
  ): { readonly refused: Refused | undefined } | { readonly thrown: unknown } | undefined {
    let bytes = 0
    for (let taken = 0; taken < group.blocks && bytes < group.bytes; taken++) {
      let next: IteratorResult<Block>
      try {
        next = blocks.next()
      } catch (thrown) {
        return { thrown }
      }
      if (next.done === true) return { refused: undefined }
      const block = next.value
      const outcome = this.take(block)
      if (typeof outcome !== "string") return { refused: { ...outcome, height: block.header.height } }
      count[outcome]++
      for (const transaction of block.transactions) bytes += transaction.bytes.length
      each(block)
    }
    return undefined
  }

  /** Takes one block. */
  take(block: Block): Taken {
    const { store, rules } = this
    const known = store.find(block.header.id)
    if (known?.hasBody === true) return "known"
    const row = known ?? this.judge(block)
    if ("code" in row) return row
    const refused = checkBody(rules, block)
    if (refused !== undefined) return refused
    store.saveHeaders([row])
    store.saveBody({ ...block, header: row.header })
    return this.connect({ ...row, hasBody: true }) ?? "stored"
  }

  private judge({ header }: Block): Row | BlockReject {
    const { store, rules, now } = this
    const parent = store.find(parentId(header))
    if (parent === undefined) return reject("parent-unknown", "it builds on a block that is not here")
    const invalid = store.invalidCode(header.id) ?? store.invalidCode(parent.header.id)
    if (invalid !== undefined) return reject("known-invalid", `it was refused before: ${invalid}`)
    if (this.choice.leavesFinal(parent)) return reject("final-left", "its branch leaves the final block")
    const refused = checkHeader(rules, header, { ancestry: ancestryOf(store, parent.header), now })
    return refused ?? { header, work: parent.work + rules.consensus.work(header), hasBody: false }
  }

  /** Makes the branch that ends here the best one, if it wins and can. */
  private connect(row: Row): BlockReject | undefined {
    const { store, rules } = this
    if (!this.choice.wins(row, store.tip())) return undefined
    const plan = choosePlan(store, row)
    const whole = plan.attach.every((id) => store.find(id)?.hasBody === true)
    if (!whole || plan.forkPoint.header.height < store.bottom()) return undefined
    const outcome = runPlan(plan, { rules, reader: store, verified: new VerifiedLeaves(2) })
    if (Result.isFailure(outcome)) {
      store.markInvalid(outcome.failure.id, outcome.failure.reject.code)
      return outcome.failure.reject
    }
    store.land(outcome.success, this.now)
    return undefined
  }
}
