/**
 * Filter headers that all peers agree on, from the genesis, whose filter everyone can make, to a block. Where two differ, the
 * first block of the difference shows who is wrong: its filter follows from it. A checkpoint each 1,000 blocks is compared
 * first, as in BIP 157, and single headers only where those differ.
 */
import type { Block } from "../block/block.ts"
import { blockElements, filterHash, filterHeaderStart, makeFilter, nextFilterHeader } from "../block/filter.ts"
import type { Header } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import type { Hash32 } from "../crypto/hash.ts"
import { checkpointBlocks, filterHeadersPerMessageMax } from "../limits.ts"
import { drop, type LightEffect, type SessionId } from "./effect.ts"
import type { HeaderChain } from "./header-chain.ts"

/** A filter header that is agreed on. */
export interface Checkpoint {
  readonly height: number
  readonly filterHeader: Hash32
}

/** What one peer has said, and what it is being asked. */
interface Word {
  readonly points: Array<Uint8Array>
  /** Single headers of the interval where peers differ. */
  single: ReadonlyArray<Uint8Array> | undefined
  asked: "points" | "single" | undefined
}

const nothing: ReadonlyArray<LightEffect> = []
const code = "filter-header-wrong"

const split = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: bytes.length / 32 }, (_, i) => bytes.slice(i * 32, i * 32 + 32))

/** The filter header of a block on that of the one before. */
export const filterHeaderOf = (block: Block, before: Hash32): Hash32 =>
  nextFilterHeader(before, filterHash(makeFilter(block.header.hash, blockElements(block)).bytes))

export class Agree {
  /** The block up to which filter headers are asked. */
  readonly stop: Header
  private readonly chain: HeaderChain
  private readonly words = new Map<SessionId, Word>()
  /** Heights of the checkpoints: 0, 1,000, … and that of the stop. */
  private readonly heights: ReadonlyArray<number>
  /** The first block where peers differ, wanted to find out who is right. */
  private judging:
    | { readonly height: number; readonly at: number; readonly before: Uint8Array; readonly asked: SessionId }
    | undefined
  /** Agreed on by everyone who is left; undefined: not yet. */
  agreed: ReadonlyArray<Checkpoint> | undefined
  /** Nobody is left to ask. */
  failed = false

  constructor(chain: HeaderChain, stop: Header) {
    this.chain = chain
    this.stop = stop
    const full = Math.floor(stop.height / checkpointBlocks)
    const grid = Array.from({ length: full + 1 }, (_, i) => i * checkpointBlocks)
    this.heights = stop.height % checkpointBlocks === 0 ? grid : [...grid, stop.height]
  }

  /** Peers that agree, or are still asked. */
  get sessions(): ReadonlyArray<SessionId> {
    return [...this.words.keys()]
  }

  /** Is an answer of this peer still to come? */
  asks(session: SessionId): boolean {
    return this.words.get(session)?.asked !== undefined
  }

  start(peers: ReadonlyArray<SessionId>): ReadonlyArray<LightEffect> {
    for (const session of peers) this.words.set(session, { points: [], single: undefined, asked: undefined })
    return this.look()
  }

  left(session: SessionId): ReadonlyArray<LightEffect> {
    if (!this.words.delete(session)) return nothing
    if (this.judging?.asked === session) this.judging = undefined
    return this.look()
  }

  /** The answer to an ask for filter headers. */
  headers(session: SessionId, bytes: Uint8Array): ReadonlyArray<LightEffect> {
    const word = this.words.get(session)
    if (word?.asked === undefined) return nothing
    const list = split(bytes)
    // It keeps none, or is on another branch: no lie.
    if (list.length === 0) return this.left(session)
    const { asked } = word
    word.asked = undefined
    return asked === "points" ? this.points(session, word, list) : this.single(session, word, list)
  }

  /** The block that settles a difference; its body is already known to be its header's. */
  block(block: Block): ReadonlyArray<LightEffect> {
    const { judging } = this
    if (judging === undefined || block.header.height !== judging.height) return nothing
    this.judging = undefined
    const truth = filterHeaderOf(block, judging.before as Hash32)
    const isWrong = ({ single }: Word): boolean => !equal(single![judging.at]!, truth)
    const liars = [...this.words].filter(([, word]) => isWrong(word)).map(([session]) => session)
    for (const word of this.words.values()) word.single = undefined
    return [...liars.flatMap((one) => this.lied(one, judging.height)), ...this.look()]
  }

  /** Nobody gave the block: another is asked, as long as there is one. */
  notGiven(session: SessionId): ReadonlyArray<LightEffect> {
    return this.judging?.asked === session ? this.left(session) : nothing
  }

  private points(session: SessionId, word: Word, list: ReadonlyArray<Uint8Array>): ReadonlyArray<LightEffect> {
    const due = Math.min(filterHeadersPerMessageMax, this.heights.length - word.points.length)
    if (list.length !== due) return [...this.lied(session, this.heights[word.points.length]!), ...this.look()]
    word.points.push(...list)
    const genesis = filterHeaderOf(this.chain.rules.genesis, filterHeaderStart)
    return equal(word.points[0]!, genesis) ? this.look() : [...this.lied(session, 0), ...this.look()]
  }

  private single(session: SessionId, word: Word, list: ReadonlyArray<Uint8Array>): ReadonlyArray<LightEffect> {
    const interval = this.differing()
    if (interval === undefined) return this.look()
    const isWhole = list.length === interval.to - interval.from && equal(list.at(-1)!, word.points[interval.index]!)
    if (!isWhole) return [...this.lied(session, interval.to), ...this.look()]
    word.single = list
    return this.look()
  }

  /** The first interval between checkpoints at whose end two peers differ; its beginning is agreed on. */
  private differing(): { readonly index: number; readonly from: number; readonly to: number } | undefined {
    const [first, ...others] = [...this.words.values()]
    if (first === undefined) return undefined
    const index = first.points.findIndex((point, i) => others.some(({ points }) => !equal(points[i]!, point)))
    return index < 1 ? undefined : { index, from: this.heights[index - 1]!, to: this.heights[index]! }
  }

  /** What is to be asked next, once everybody has answered. */
  private look(): ReadonlyArray<LightEffect> {
    if (this.words.size === 0) this.failed = this.agreed === undefined
    if (this.agreed !== undefined || this.judging !== undefined) return nothing
    const more = this.askPoints()
    if (more.length > 0 || this.words.size === 0 || this.isAsking()) return more
    const interval = this.differing()
    if (interval !== undefined) return this.narrow(interval)
    const [word] = [...this.words.values()]
    this.agreed = this.heights.map((height, i) => ({ height, filterHeader: word!.points[i] as Hash32 }))
    return nothing
  }

  private isAsking(): boolean {
    return [...this.words.values()].some(({ asked }) => asked !== undefined)
  }

  private askPoints(): ReadonlyArray<LightEffect> {
    return [...this.words].flatMap(([session, word]) => {
      if (word.asked !== undefined || word.points.length === this.heights.length) return []
      word.asked = "points"
      const start = this.heights[word.points.length]!
      const ask = { tag: "GFH" as const, start, every: checkpointBlocks, stop: this.stop.hash }
      return [{ _tag: "Ask" as const, session, ask }]
    })
  }

  private narrow({ from, to }: { readonly from: number; readonly to: number }): ReadonlyArray<LightEffect> {
    const unsaid = [...this.words].filter(([, { single }]) => single === undefined)
    if (unsaid.length === 0) return this.judge(from)
    return unsaid.map(([session, word]) => {
      word.asked = "single"
      return {
        _tag: "Ask" as const,
        session,
        ask: { tag: "GFH" as const, start: from + 1, every: 1, stop: this.chain.at(to)!.hash }
      }
    })
  }

  /** All have said every header of the interval: the first that differs is settled by its block. */
  private judge(from: number): ReadonlyArray<LightEffect> {
    const [first, ...others] = [...this.words.values()].map(({ single, points }) => ({ single: single!, points }))
    const at = first!.single.findIndex((header, i) => others.some(({ single }) => !equal(single[i]!, header)))
    const before = at === 0 ? first!.points[this.heights.indexOf(from)]! : first!.single[at - 1]!
    const height = from + 1 + at
    const [asked] = this.words.keys()
    this.judging = { height, at, before, asked: asked! }
    return [{ _tag: "AskBlocks", session: asked!, hashes: [this.chain.at(height)!.hash] }]
  }

  private lied(session: SessionId, height: number): ReadonlyArray<LightEffect> {
    this.words.delete(session)
    return [drop(session, code, `its filter header at height ${height} is not the one that follows from the blocks`)]
  }
}
