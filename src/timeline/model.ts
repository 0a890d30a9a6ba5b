/** A packed run as the page asks it: typed columns, places on the axis, the tree of blocks, tips by time. */
import type { Note, Span } from "../sim/trace.ts"
import { natural, type Packed } from "./packed.ts"
import { firstAfter, firstFrom } from "./search.ts"

/**
 * A place on the time axis in milliseconds. What happened in one millisecond is spread over it in the order of its steps,
 * so that zooming in shows an order where there is no time.
 */
export type Place = number

export interface Messages {
  readonly count: number
  readonly at: Float64Array
  readonly step: Float64Array
  readonly kind: Uint32Array
  readonly from: Int32Array
  readonly to: Int32Array
  /** Milliseconds; -1: never begun. */
  readonly wait: Float64Array
  readonly lost: Uint8Array
  readonly sent: Float64Array
  readonly end: Float64Array
  /** The latest end of this message and those before it: where a search for what reaches into a window begins. */
  readonly reach: Float64Array
}

export interface Block {
  readonly id: string
  /** A place in `Model.blocks`; -1: none known. */
  readonly parent: number
  readonly height: number
  /** A node; -1: it was there before the run. */
  readonly by: number
  readonly at: number
  best: boolean
  /** Among blocks of its height: 0 is the best branch's. */
  rank: number
}

export interface Fault extends Span {
  /** The numbers of `nodes`; -1: one that is not known. */
  readonly of: ReadonlyArray<number>
  /** The number of its kind, for its colour. */
  readonly tone: number
  /** Its row above the lanes. */
  readonly row: number
  /** Where the next one of its row begins. */
  readonly next: number
}

export interface Tips {
  readonly at: ReadonlyArray<number>
  readonly block: ReadonlyArray<number>
}

export interface Model {
  readonly packed: Packed
  readonly first: number
  readonly last: number
  readonly messages: Messages
  /** The node of each lane. */
  readonly nodeOf: ReadonlyArray<number>
  /** The lanes of each node, in the order of their actors' names. */
  readonly lanesOf: ReadonlyArray<ReadonlyArray<number>>
  readonly notes: ReadonlyArray<Note & { readonly place: Place; readonly of: number }>
  readonly notePlaces: ReadonlyArray<Place>
  /** After all messages of its millisecond. */
  readonly failure: { readonly place: Place; readonly text: string } | undefined
  readonly spans: ReadonlyArray<Fault>
  /** By number of their id. */
  readonly blocks: ReadonlyArray<Block>
  /** By node. */
  readonly tips: ReadonlyArray<Tips>
}

const summed = (differences: ReadonlyArray<number>): Float64Array => {
  let sum = 0
  return Float64Array.from(differences, (difference) => (sum = Math.round((sum + difference) * 1000) / 1000))
}

/** How much of a millisecond its messages take. The rest is a gap that shows where the next one begins. */
const spreadMs = 0.9

const placesOf = (at: Float64Array): Float64Array => {
  const places = new Float64Array(at.length)
  for (let i = 0; i < at.length; ) {
    const next = firstAfter(at, at[i]!)
    const room = spreadMs * Math.min(1, next < at.length ? at[next]! - at[i]! : 1)
    for (let j = i; j < next; j++) places[j] = at[j]! + (room * (j - i)) / (next - i)
    i = next
  }
  return places
}

const readMessages = ({ messages: { lost, ...columns } }: Packed): Messages => {
  const at = summed(columns.at)
  const count = at.length
  const sent = placesOf(at)
  const wait = Float64Array.from(columns.wait)
  const end = sent.map((place, i) => (wait[i]! < 0 ? place : Math.max(place, at[i]! + wait[i]!)))
  let latest = -Infinity
  const reach = end.map((place) => (latest = Math.max(latest, place)))
  const isLost = new Uint8Array(count)
  for (const i of lost) isLost[i] = 1
  const [kind, from, to] = [Uint32Array.from(columns.kind), Int32Array.from(columns.from), Int32Array.from(columns.to)]
  return { count, at, step: summed(columns.step), kind, from, to, wait, lost: isLost, sent, end, reach }
}

/** The place of a step: before the first message of its millisecond that was sent later. */
const placeOf = ({ at, step, sent }: Messages, ms: number, atStep: number): Place => {
  const begin = firstFrom(at, ms)
  const end = firstAfter(at, ms)
  if (begin === end) return ms
  const later = begin + firstAfter(step.subarray(begin, end), atStep)
  return later < end ? sent[later]! : sent[end - 1]!
}

/** Faults at one time beyond this share the last row. */
const faultRowsMax = 3

/** Faults that overlap get rows of their own, and room for their words up to the next one of their row. */
const readSpans = ({ spans }: Packed, numberOf: (node: string) => number): Model["spans"] => {
  const kinds = [...new Set(spans.map(({ kind }) => kind))]
  const ends: Array<number> = Array.from({ length: faultRowsMax }, () => -Infinity)
  const rows = spans
    .toSorted((a, b) => a.from - b.from)
    .map((span) => {
      const free = ends.findIndex((end) => end <= span.from)
      const row = free === -1 ? faultRowsMax - 1 : free
      ends[row] = Math.max(ends[row]!, span.to)
      return { ...span, of: span.nodes.map(numberOf), tone: kinds.indexOf(span.kind), row, next: Infinity }
    })
  const next = ends.map(() => Infinity)
  for (const span of rows.toReversed()) {
    span.next = next[span.row]!
    next[span.row] = span.from
  }
  return rows
}

const readBlocks = ({ ids, blocks }: Packed): ReadonlyArray<Block> => {
  const nothing = { parent: -1, by: -1, at: 0, best: false, rank: 0 }
  const read: Array<Block> = ids.map((id) => ({ ...nothing, id, height: NaN }))
  for (const [i, own] of blocks.id.entries()) {
    const [parent, height] = [blocks.parent[i]!, blocks.height[i]!]
    read[own] = { ...nothing, id: ids[own]!, parent, height, by: blocks.by[i]!, at: blocks.at[i]! }
    if (Number.isNaN(read[parent]!.height)) read[parent] = { ...read[parent]!, height: height - 1 }
  }
  return read
}

const readTips = ({ tips, nodes }: Packed): ReadonlyArray<Tips> => {
  const read = nodes.map(() => ({ at: [] as Array<number>, block: [] as Array<number> }))
  const at = summed(tips.at)
  for (const [i, node] of tips.node.entries()) {
    read[node]!.at.push(at[i]!)
    read[node]!.block.push(tips.block[i]!)
  }
  return read
}

/** The block that most nodes ended with; of those the highest. Without tips, the highest block of all. */
const bestEnd = (blocks: ReadonlyArray<Block>, tips: ReadonlyArray<Tips>): number => {
  const votes = new Map<number, number>()
  for (const { block } of tips) if (block.length > 0) votes.set(block.at(-1)!, (votes.get(block.at(-1)!) ?? 0) + 1)
  const candidates = votes.size > 0 ? [...votes.keys()] : [...blocks.keys()]
  const weight = (i: number): number => (votes.get(i) ?? 0) * 1e9 + (blocks[i]!.height || 0)
  return candidates.reduce((best, i) => (best === -1 || weight(i) > weight(best) ? i : best), -1)
}

const markBranches = (blocks: ReadonlyArray<Block>, tips: ReadonlyArray<Tips>): void => {
  // A block that names itself or a descendant as its parent must not turn us in circles.
  for (let i = bestEnd(blocks, tips); i >= 0 && !blocks[i]!.best; i = blocks[i]!.parent) blocks[i]!.best = true
  const ranks = new Map<number, number>()
  for (const block of blocks.toSorted((a, b) => a.at - b.at)) {
    if (block.best) continue
    block.rank = (ranks.get(block.height) ?? 0) + 1
    ranks.set(block.height, block.rank)
  }
}

/** The last moment that anything is known of; never 0, so that an empty run has an axis too. */
const lastOf = ({ endMs, failure, notes, spans }: Packed, { count, reach }: Messages): number => {
  const ends = [endMs, failure?.at ?? 0, notes.at(-1)?.at ?? 0, count > 0 ? reach[count - 1]! : 0]
  return Math.max(
    1,
    spans.reduce((end, { to }) => Math.max(end, to), Math.max(...ends))
  )
}

/** Unpacks a run for the page. */
export const readModel = (packed: Packed): Model => {
  const numbers = new Map(packed.nodes.map((node, i) => [node, i]))
  const numberOf = (node: string): number => numbers.get(node) ?? -1
  const messages = readMessages(packed)
  const nodeOf = packed.lanes.map(({ node }) => numberOf(node))
  const blocks = readBlocks(packed)
  const tips = readTips(packed)
  markBranches(blocks, tips)
  const { failure } = packed
  const lanes = [...nodeOf.keys()].sort((a, b) => natural(packed.lanes[a]!.actor, packed.lanes[b]!.actor))
  const notes = packed.notes.map((note) => ({
    ...note,
    place: placeOf(messages, note.at, note.step),
    of: numberOf(note.node)
  }))
  return {
    packed,
    first: 0,
    last: lastOf(packed, messages),
    messages,
    nodeOf,
    lanesOf: packed.nodes.map((_, node) => lanes.filter((lane) => nodeOf[lane] === node)),
    notes,
    notePlaces: notes.map(({ place }) => place),
    failure: failure === null ? undefined : { place: placeOf(messages, failure.at, Infinity), text: failure.text },
    spans: readSpans(packed, numberOf),
    blocks,
    tips
  }
}

/** The tip of a node at a place; undefined: not known yet. */
export const tipAt = ({ tips, blocks }: Model, node: number, place: Place): Block | undefined => {
  const { at, block } = tips[node]!
  const i = firstAfter(at, place) - 1
  return i < 0 ? undefined : blocks[block[i]!]
}

/** The name of a lane, or of what is outside. */
export const laneName = ({ packed: { lanes } }: Model, lane: number): string => {
  const named = lanes[lane]
  return named === undefined ? "outside" : `${named.node} / ${named.actor}`
}
