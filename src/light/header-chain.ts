/**
 * The best branch of a light client: headers only, each checked by the rules that a full node checks it by, from the genesis
 * that the chain spec makes. A heavier branch takes its place, of any depth.
 */
import { assert } from "../assert.ts"
import { chainTag, decodeHeader, type Header, type Height, makeHeader, splitHeaders } from "../block/header.ts"
import type { HeaderRest } from "../block/packed.ts"
import { checkHeader } from "../chain/check.ts"
import { wins } from "../chain/choose.ts"
import { locatorHeights } from "../chain/locator.ts"
import type { BlockReject } from "../chain/reject.ts"
import type { Rules } from "../chain/rules.ts"
import { equal } from "../codec/bytes.ts"
import type { Ancestry } from "../consensus/consensus.ts"
import { lastVoteOf } from "../consensus/authorities.ts"
import { HeaderRows } from "./header-rows.ts"

/** Heights from one remembered sum of work to the next. */
const sumBlocks = 1_000

/** What a change of the best branch is: from `fork` on, rows are others than before. */
export interface Moved {
  /** Height of the last header that stayed. */
  readonly fork: number
  /** Headers that went. */
  readonly undone: number
}

export class HeaderChain {
  readonly rules: Rules
  /** Bytes of each of its headers. */
  readonly rowBytes: number
  private readonly rows: HeaderRows
  /** Cumulative work of the headers at multiples of `sumBlocks`. */
  private readonly sums: Array<bigint> = []
  private total = 0n
  readonly tag: number

  constructor(rules: Rules) {
    this.rules = rules
    this.rowBytes = rules.genesis.header.bytes.length
    this.rows = new HeaderRows(0, this.rowBytes)
    this.tag = chainTag(rules.spec.ledger.chainId)
    this.push(rules.genesis.header)
  }

  get tip(): Header {
    return this.rows.at(this.rows.end - 1)!
  }

  /** Cumulative work, genesis included. */
  get work(): bigint {
    return this.total
  }

  readonly at = (height: number): Header | undefined => this.rows.at(height)

  /** Is this header on the best branch? */
  has(height: number, hash: Uint8Array): boolean {
    const header = this.at(height)
    return header !== undefined && equal(header.hash, hash)
  }

  /** The bytes of rows above a height: what is kept on disk from there on. */
  bytesAbove(height: number): Uint8Array {
    return this.rows.slice(height + 1, this.rows.end).slice()
  }

  /** Headers of the best branch by which another finds where it parts, the highest first. */
  locator(): ReadonlyArray<Header> {
    return locatorHeights(this.tip.height).map((height) => this.at(height)!)
  }

  /** Takes stored rows again, from height 1 up, as many as hold; gives how many. */
  load(bytes: Uint8Array, now: number): number {
    const branch = new Branch(this, 0)
    let taken = 0
    for (const row of splitHeaders(bytes)) {
      const header = decodeHeader(row.slice())
      if (header === undefined || !branch.accepts(header, now)) break
      taken++
    }
    if (taken > 0) this.adopt(branch)
    return taken
  }

  /** Makes a heavier branch the best one; undefined: it is not heavier. */
  adopt(branch: Branch): Moved | undefined {
    if (!wins(branch, this)) return undefined
    const { fork, rows } = branch
    const undone = this.tip.height - fork
    this.total = this.workAt(fork)
    this.rows.cut(fork + 1)
    this.sums.length = Math.floor(fork / sumBlocks) + 1
    for (let height = fork + 1; height < rows.end; height++) this.push(rows.at(height)!)
    assert(this.total === branch.work, "a branch has the work that was counted")
    return { fork, undone }
  }

  /** Cumulative work up to a height of the best branch. */
  workAt(height: number): bigint {
    const known = Math.floor(height / sumBlocks)
    let work = this.sums[known]!
    for (let at = known * sumBlocks + 1; at <= height; at++) work += this.rules.consensus.work(this.at(at)!)
    return work
  }

  private push(header: Header): void {
    this.rows.push(header)
    this.total += this.rules.consensus.work(header)
    if (header.height % sumBlocks === 0) this.sums.push(this.total)
  }
}

/** Do two say the same, whatever their signatures are? */
const sameRank = (a: Header["authority"], b: HeaderRest["authority"]): boolean =>
  a?.weight === b?.weight && a?.vote === b?.vote && (a === undefined || equal(a.subject, b!.subject))

/** Headers that build on one of the best branch, checked but not best. */
export class Branch {
  private root: number
  private own: HeaderRows
  private readonly chain: HeaderChain
  private sum: bigint

  constructor(chain: HeaderChain, fork: number) {
    this.chain = chain
    this.root = fork
    this.own = new HeaderRows(fork + 1, chain.rowBytes)
    this.sum = chain.workAt(fork)
  }

  /** Height of the last header that it shares with the best branch. */
  get fork(): number {
    return this.root
  }

  /** Its headers above that. */
  get rows(): HeaderRows {
    return this.own
  }

  get tip(): Header {
    return this.own.at(this.own.end - 1) ?? this.chain.at(this.root)!
  }

  get work(): bigint {
    return this.sum
  }

  /** Adds the header of what a page says; why not, if it breaks a rule. */
  extend(rest: HeaderRest, now: number): BlockReject | undefined {
    if (this.shares(rest)) return undefined
    const { rules } = this.chain
    const ancestry = this.ancestry()
    const { parent } = ancestry
    const { authority, ...fields } = rest
    const header = makeHeader({
      ...fields,
      ...(authority === undefined ? {} : { authority: { ...authority, lastVote: lastVoteOf(parent) } }),
      version: rules.consensus.version,
      chainTag: this.chain.tag,
      height: (parent.height + 1) as Height,
      previous: parent.hash,
      target: rules.consensus.nextTarget(ancestry)
    })
    return this.add(header, ancestry, now)
  }

  /** Adds a whole header. False: it breaks a rule, or does not build on the last. */
  accepts(header: Header, now: number): boolean {
    return equal(header.previous, this.tip.hash) && this.add(header, this.ancestry(), now) === undefined
  }

  /** A locator names some of our headers: what a page begins with may be ours too, and is not a branch yet. */
  private shares(rest: HeaderRest): boolean {
    const ours = this.own.end === this.own.base ? this.chain.at(this.root + 1) : undefined
    if (ours === undefined || ours.time !== rest.time || ours.nonce !== rest.nonce) return false
    const hashes = ["transactionRoot", "stateRoot", "proposer", "extraHash"] as const
    if (!hashes.every((field) => equal(ours[field], rest[field]))) return false
    if (!sameRank(ours.authority, rest.authority)) return false
    this.root++
    this.own = new HeaderRows(this.root + 1, this.chain.rowBytes)
    this.sum += this.chain.rules.consensus.work(ours)
    return true
  }

  private add(header: Header, ancestry: Ancestry, now: number): BlockReject | undefined {
    const reject = checkHeader(this.chain.rules, header, { ancestry, now })
    if (reject !== undefined) return reject
    this.own.push(header)
    this.sum += this.chain.rules.consensus.work(header)
    return undefined
  }

  private ancestry(): Ancestry {
    const at = (height: number): Header => {
      const header = height > this.root ? this.own.at(height) : this.chain.at(height)
      assert(header !== undefined, "a header has an ancestor at every height below it")
      return header
    }
    return { parent: this.tip, at }
  }
}
