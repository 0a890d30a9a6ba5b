/** The checkpoints of a chain, as its headers have them: who stands on whom, and who the authorities are there. */
import { assert } from "../assert.ts"
import type { Header } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { lastVoteOf } from "../consensus/authorities.ts"
import type { Checkpoint } from "../consensus/checkpoint.ts"
import type { AuthorRules } from "../consensus/consensus.ts"
import type { Checkpoints, Electorate } from "../consensus/finality.ts"
import { ancestryOf, type ChainReader } from "./reader.ts"

type Reader = Pick<ChainReader, "find" | "bestAt" | "tip"> & {
  readonly invalidCode: (id: string) => string | undefined
}

/** Answers remembered of each kind; the oldest goes first, and is found again if asked for. */
const rememberedMax = 1_024

export class ChainCheckpoints implements Checkpoints {
  private readonly reader: Reader
  private readonly author: AuthorRules
  private readonly every: number
  private readonly lines = new Map<string, boolean>()
  private readonly lists = new Map<string, ReadonlyArray<Electorate>>()

  /** `every`: blocks from a checkpoint to the next. */
  constructor(reader: Reader, author: AuthorRules, every: number) {
    this.reader = reader
    this.author = author
    this.every = every
  }

  /** The newest on the best branch. */
  newest(): Header {
    const { height } = this.reader.tip().header
    return this.reader.bestAt(height - (height % this.every))!.header
  }

  readonly isKnown = ({ id, height }: Checkpoint): boolean =>
    this.reader.find(id)?.header.height === height && this.reader.invalidCode(id) === undefined

  readonly descends = (point: Checkpoint, from: Checkpoint): boolean => {
    if (point.height <= from.height) return point.id === from.id
    const key = point.id + from.id
    const known = this.lines.get(key)
    if (known !== undefined) return known
    return remember(this.lines, key, ancestryOf(this.reader, this.header(point.id)).at(from.height).id === from.id)
  }

  readonly electorates = (from: Checkpoint, to: Checkpoint): ReadonlyArray<Electorate> => {
    const key = from.id + to.id
    const known = this.lists.get(key)
    if (known !== undefined) return known
    const at = ancestryOf(this.reader, this.header(to.id)).at
    const lists = new Map<string, Electorate>()
    const add = (header: Header): void => {
      const members = this.membersAfter(header)
      lists.set(members.join(), new Set(members))
    }
    add(this.header(from.id))
    // Only a header that votes can change the list: those that do name each other.
    for (let top = to.height; top > from.height; ) {
      const header = at(top)
      const before = this.lists.get(from.id + header.id)
      for (const list of before ?? []) lists.set([...list].join(), list)
      const vote = lastVoteOf(header)
      if (before !== undefined || vote <= from.height) break
      const point = Math.ceil(vote / this.every) * this.every
      add(at(point))
      top = point - this.every
    }
    return remember(this.lists, key, [...lists.values()])
  }

  readonly mayVote = (voter: string, final: Checkpoint, target: Checkpoint): boolean => {
    const isPlaced = this.isKnown(target) && this.descends(target, final)
    const lists = isPlaced ? this.electorates(final, target) : this.electorates(final, final)
    return (
      lists.some((list) => list.has(voter)) ||
      (!isPlaced && this.membersAfter(this.reader.tip().header).includes(voter))
    )
  }

  /** Hex addresses of the authorities after a header. */
  membersAfter(header: Header): ReadonlyArray<string> {
    return this.author.authorities(ancestryOf(this.reader, header)).members.map(toHex)
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    return [
      { of: "lines", used: this.lines.size, max: rememberedMax },
      { of: "electorates", used: this.lists.size, max: rememberedMax }
    ]
  }

  private header(id: string): Header {
    const row = this.reader.find(id)
    assert(row !== undefined, "a checkpoint that is asked about is known")
    return row.header
  }
}

const remember = <A>(map: Map<string, A>, key: string, value: A): A => {
  if (map.size >= rememberedMax) map.delete(map.keys().next().value!)
  map.set(key, value)
  return value
}
