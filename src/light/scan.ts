/**
 * Which transactions concern some addresses, found without naming them to anybody: the filters of all blocks are downloaded
 * and held against filter headers that the peers agree on; only blocks that match are downloaded, and held against our headers.
 */
import { Result } from "effect"
import type { Block } from "../block/block.ts"
import { decodeFilter, filterHash, matchesAny, nextFilterHeader } from "../block/filter.ts"
import type { Header } from "../block/header.ts"
import { checkBody } from "../chain/check.ts"
import { equal, toHex } from "../codec/bytes.ts"
import type { Hash32 } from "../crypto/hash.ts"
import { partiesOf } from "../ledger/summary.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { filtersPerMessageMax } from "../limits.ts"
import { Agree, type Checkpoint } from "./agree.ts"
import { drop, type LieCode, type LightEffect, type SessionId } from "./effect.ts"
import type { HeaderChain } from "./header-chain.ts"

/** A transaction of a block of ours that concerns an address, or a block that one of them has sealed if no coinbase says so. */
export type Found =
  | { readonly kind: "transaction"; readonly header: Header; readonly index: number; readonly transaction: Transaction }
  | { readonly kind: "proposed"; readonly header: Header }

/** Filters from one checkpoint to the next, as far as one peer has given them. */
interface Interval {
  readonly from: Checkpoint
  readonly to: Checkpoint
  height: number
  filterHeader: Hash32
  readonly matches: Array<number>
}

const nothing: ReadonlyArray<LightEffect> = []
/** Matching blocks asked for at a time of one peer. */
const blocksAtOnce = 16

export class Scan {
  readonly found: Array<Found> = []
  /** Filters that were held against their headers, and blocks that were downloaded. */
  readonly counts = { filters: 0, blocks: 0 }
  private readonly chain: HeaderChain
  private readonly elements: ReadonlyArray<Uint8Array>
  private first: number
  private agree: Agree
  private readonly peers: Set<SessionId>
  private todo: Array<Interval> | undefined
  private readonly busy = new Map<SessionId, Interval>()
  /** Heights of blocks that match, and of whom they were asked. */
  private readonly wanted = new Map<number, SessionId | undefined>()
  /** Answers still to come to what is no longer asked. Peers answer in order, so the next ones are they. */
  private readonly late = { headers: new Map<SessionId, number>(), filters: new Map<SessionId, number>() }

  /** `from`: the first height that may concern the addresses; it is looked from the checkpoint below on. */
  constructor(
    chain: HeaderChain,
    wish: { readonly elements: ReadonlyArray<Uint8Array>; readonly from: number },
    peers: ReadonlyArray<SessionId>
  ) {
    this.chain = chain
    this.elements = wish.elements
    this.first = wish.from
    this.agree = new Agree(chain, chain.tip)
    this.peers = new Set(peers)
  }

  /** The height from which on is looked. */
  get from(): number {
    return this.first
  }

  /** The block up to which is looked. */
  get stop(): Header {
    return this.agree.stop
  }

  /** Peers whose filter headers agree. */
  get agreeing(): ReadonlyArray<SessionId> {
    return this.agree.sessions
  }

  get done(): boolean {
    return this.todo?.length === 0 && this.busy.size === 0 && this.wanted.size === 0
  }

  /** Nobody is left who gives what is lacking. */
  get failed(): boolean {
    return !this.done && (this.agree.failed || (this.todo !== undefined && this.givers().length === 0))
  }

  start(): ReadonlyArray<LightEffect> {
    return this.goOn(this.agree.start([...this.peers]))
  }

  left(session: SessionId): ReadonlyArray<LightEffect> {
    return this.peers.delete(session) ? this.lacks(session) : nothing
  }

  filterHeaders(session: SessionId, bytes: Uint8Array): ReadonlyArray<LightEffect> {
    return isLate(this.late.headers, session) ? nothing : this.goOn(this.agree.headers(session, bytes))
  }

  /** The best branch has changed. What stood on headers that went is forgotten, and looked for on those that came. */
  moved(undone: number): ReadonlyArray<LightEffect> {
    return undone === 0 || this.chain.has(this.stop.height, this.stop.hash) ? nothing : this.again(this.first)
  }

  /** Looks anew, from a height up to what is the tip now. */
  again(from: number): ReadonlyArray<LightEffect> {
    this.first = from
    for (const session of this.peers) {
      if (this.agree.asks(session)) add(this.late.headers, session)
      if (this.busy.has(session)) add(this.late.filters, session)
    }
    this.found.length = 0
    this.todo = undefined
    this.busy.clear()
    this.wanted.clear()
    this.agree = new Agree(this.chain, this.chain.tip)
    return this.start()
  }

  /** The answer to an ask for filters. */
  filters(session: SessionId, list: ReadonlyArray<Uint8Array>): ReadonlyArray<LightEffect> {
    const interval = isLate(this.late.filters, session) ? undefined : this.busy.get(session)
    if (interval === undefined) return nothing
    // It does not have them: another is asked.
    if (list.length === 0) {
      this.busy.delete(session)
      this.todo!.unshift(fresh(interval.from, interval.to))
      return this.lacks(session)
    }
    for (const bytes of list) {
      const wrong = this.take(interval, bytes)
      if (wrong !== undefined) return this.lied(session, ...wrong)
    }
    if (interval.height < interval.to.height) return this.ask(session, interval)
    this.busy.delete(session)
    for (const height of interval.matches) this.wanted.set(height, undefined)
    this.counts.filters += interval.to.height - interval.from.height
    return this.goOn(nothing)
  }

  /** A block that was asked for. */
  block(session: SessionId, block: Block): ReadonlyArray<LightEffect> {
    const { header } = block
    const reject = checkBody(this.chain.rules, block)
    if (reject !== undefined) return this.lied(session, reject.code, `block ${header.height}: ${reject.message}`)
    const settled = this.agree.block(block)
    if (this.wanted.has(header.height) && this.chain.has(header.height, header.hash)) {
      this.wanted.delete(header.height)
      this.counts.blocks++
      this.search(block)
    }
    return this.goOn(settled)
  }

  notGiven(session: SessionId): ReadonlyArray<LightEffect> {
    return [...this.agree.notGiven(session), ...this.lacks(session)]
  }

  /** One filter more; why it is wrong, if it is. */
  private take(interval: Interval, bytes: Uint8Array): readonly [code: LieCode, message: string] | undefined {
    const height = interval.height + 1
    if (height > interval.to.height) return ["filter-wrong", "it gave more filters than it was asked for"]
    const decoded = decodeFilter(this.chain.at(height)!.hash, bytes)
    if (Result.isFailure(decoded)) return [decoded.failure.code, `filter ${height}: ${decoded.failure.what}`]
    interval.height = height
    interval.filterHeader = nextFilterHeader(interval.filterHeader, filterHash(bytes))
    if (height >= this.first && matchesAny(decoded.success, this.elements)) interval.matches.push(height)
    return height === interval.to.height && !equal(interval.filterHeader, interval.to.filterHeader)
      ? ["filter-wrong", `its filters up to height ${height} do not give the filter header that was agreed on`]
      : undefined
  }

  private search({ header, transactions }: Block): void {
    const ours = new Set(this.elements.map(toHex))
    // A coinbase that pays the proposer says it too, and how much.
    const isPaid = transactions[0]?.kind === "coinbase" && partiesOf(transactions[0]).length > 0
    if (ours.has(toHex(header.proposer)) && !isPaid) this.found.push({ kind: "proposed", header })
    for (const [index, transaction] of transactions.entries())
      if (partiesOf(transaction).some((element) => ours.has(toHex(element))))
        this.found.push({ kind: "transaction", header, index, transaction })
    this.found.sort((a, b) => a.header.height - b.header.height)
  }

  private lied(session: SessionId, code: LieCode, message: string): ReadonlyArray<LightEffect> {
    return [drop(session, code, message), ...this.left(session)]
  }

  /** It has not what this scan needs; after a reorganisation it may. */
  private lacks(session: SessionId): ReadonlyArray<LightEffect> {
    this.giveBack(session)
    return this.goOn(this.agree.left(session))
  }

  /** What a peer was to give is asked of others. */
  private giveBack(session: SessionId): void {
    const interval = this.busy.get(session)
    if (interval !== undefined) {
      this.busy.delete(session)
      this.todo!.unshift(fresh(interval.from, interval.to))
      add(this.late.filters, session)
    }
    for (const [height, asked] of this.wanted) if (asked === session) this.wanted.set(height, undefined)
  }

  private givers(): ReadonlyArray<SessionId> {
    return this.agree.sessions.filter((session) => this.peers.has(session))
  }

  /** Once filter headers are agreed on: filters, and blocks that match, of whoever has nothing to do. */
  private goOn(before: ReadonlyArray<LightEffect>): ReadonlyArray<LightEffect> {
    const { agreed } = this.agree
    if (agreed === undefined) return before
    this.todo ??= this.intervals(agreed)
    const effects = [...before]
    for (const session of this.givers()) {
      effects.push(...this.askBlocks(session))
      if (this.busy.has(session)) continue
      const interval = this.todo.shift()
      if (interval === undefined) continue
      this.busy.set(session, interval)
      effects.push(...this.ask(session, interval))
    }
    return effects
  }

  /** The genesis block concerns nobody but by its allocation, which the chain spec tells. */
  private intervals(agreed: ReadonlyArray<Checkpoint>): Array<Interval> {
    return agreed.slice(1).flatMap((to, i) => (to.height < this.first ? [] : [fresh(agreed[i]!, to)]))
  }

  private ask(session: SessionId, { height, to }: Interval): ReadonlyArray<LightEffect> {
    const end = this.chain.at(Math.min(to.height, height + filtersPerMessageMax))!
    return [{ _tag: "Ask", session, ask: { tag: "GFL", start: height + 1, stop: end.hash } }]
  }

  /** The next ones once all that were asked have come: one question for many costs the peer less than one for each. */
  private askBlocks(session: SessionId): ReadonlyArray<LightEffect> {
    if ([...this.wanted.values()].includes(session)) return nothing
    const free = [...this.wanted].flatMap(([height, asked]) => (asked === undefined ? [height] : []))
    const heights = free.slice(0, blocksAtOnce)
    if (heights.length === 0) return nothing
    for (const height of heights) this.wanted.set(height, session)
    return [{ _tag: "AskBlocks", session, hashes: heights.map((height) => this.chain.at(height)!.hash) }]
  }
}

const add = (counts: Map<SessionId, number>, session: SessionId): void =>
  void counts.set(session, (counts.get(session) ?? 0) + 1)

/** Is the next answer of this peer one that is no longer asked for? Then it has come. */
const isLate = (counts: Map<SessionId, number>, session: SessionId): boolean => {
  const count = counts.get(session) ?? 0
  counts.set(session, Math.max(0, count - 1))
  return count > 0
}

const fresh = (from: Checkpoint, to: Checkpoint): Interval => ({
  from,
  to,
  height: from.height,
  filterHeader: from.filterHeader,
  matches: []
})
