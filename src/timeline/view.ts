/** What the page shows of a run just now: the window of time, the cursor, folded nodes, the filter; and where rows lie. */
import { laneName, type Messages, type Model, type Place } from "./model.ts"
import { firstAfter, firstFrom } from "./search.ts"

export interface Cursor {
  readonly at: Place
  /** The message at the cursor, or the last one before it that the filter lets through; -1: none. */
  readonly message: number
  /** The note that the cursor was put on; -1: none. */
  readonly note: number
}

export interface View {
  left: Place
  right: Place
  /** Pixels of lanes that are scrolled away above. */
  scroll: number
  cursor: Cursor
  readonly folded: Set<number>
  query: string
  /** Per message, whether the filter lets it through; undefined: there is no filter. */
  match: Uint8Array | undefined
  matches: number
  noteMatch: Uint8Array | undefined
}

/** The narrowest window, in milliseconds: at this, 200,000 messages of one millisecond can be told apart. */
const windowMinMs = 1e-4

const margin = ({ first, last }: Model): number => (last - first) * 0.02

export const fit = (model: Model, view: View): void => {
  view.left = model.first - margin(model)
  view.right = model.last + margin(model)
}

export const makeView = (model: Model): View => {
  const { count, sent } = model.messages
  const cursor: Cursor = { at: count > 0 ? sent[count - 1]! : model.last, message: count - 1, note: -1 }
  const filter = { query: "", match: undefined, matches: count, noteMatch: undefined }
  const view: View = { left: 0, right: 1, scroll: 0, cursor, folded: new Set(), ...filter }
  fit(model, view)
  if (model.failure !== undefined) placeCursor(model, view, model.failure.place)
  return view
}

/** Sets the window, kept near the run and not narrower than it may be. */
export const showWindow = (model: Model, view: View, left: Place, right: Place): void => {
  const most = model.last - model.first + 2 * margin(model)
  const width = Math.min(most, Math.max(windowMinMs, right - left))
  const from = model.first - margin(model)
  const middle = (left + right) / 2
  view.left = Math.min(Math.max(from, middle - width / 2), from + most - width)
  view.right = view.left + width
}

/** Zooms by a factor; the place `around` stays where it is on the screen. Below 1: closer. */
export const zoom = (model: Model, view: View, factor: number, around: Place): void => {
  const wanted = (view.right - view.left) * factor
  const scale = Math.max(wanted, windowMinMs) / (view.right - view.left)
  showWindow(model, view, around - (around - view.left) * scale, around + (view.right - around) * scale)
}

export const pan = (model: Model, view: View, ms: number): void =>
  showWindow(model, view, view.left + ms, view.right + ms)

/** Scrolls so that the lanes of the message at the cursor are to be seen. */
export const followLane = ({ messages }: Model, view: View, { laneY, laneHeight, room }: Layout): void => {
  const { message, at } = view.cursor
  if (message < 0 || messages.sent[message] !== at) return
  const [from, to] = [messages.from[message]!, messages.to[message]!]
  const ends = [laneY[to]!, from < 0 ? laneY[to]! : laneY[from]!]
  view.scroll = Math.max(view.scroll, Math.max(...ends) + laneHeight - room)
  view.scroll = Math.min(view.scroll, Math.max(0, Math.min(...ends) - laneHeight - headPx))
}

const lets = (match: Uint8Array | undefined, i: number): boolean => match === undefined || match[i] === 1

/** The nearest index from `start` on in a direction that the filter lets through; -1: none. */
const seek = (match: Uint8Array | undefined, count: number, start: number, by: 1 | -1): number => {
  for (let i = start; i >= 0 && i < count; i += by) if (lets(match, i)) return i
  return -1
}

const messageBy = ({ messages: { sent, count } }: Model, { match }: View, at: Place): number =>
  seek(match, count, firstAfter(sent, at) - 1, -1)

/** Puts the cursor at a place. */
export const placeCursor = (model: Model, view: View, at: Place): void => {
  view.cursor = { at, message: messageBy(model, view, at), note: -1 }
}

export const pickMessage = (model: Model, view: View, message: number): void => {
  view.cursor = { at: model.messages.sent[message]!, message, note: -1 }
}

export const pickNote = (model: Model, view: View, note: number): void => {
  const at = model.notePlaces[note]!
  view.cursor = { at, message: messageBy(model, view, at), note }
}

/** To the message after or before the cursor; false: there is none. */
export const stepMessage = (model: Model, view: View, by: 1 | -1): boolean => {
  const { sent, count } = model.messages
  const { at } = view.cursor
  const next = seek(view.match, count, by === 1 ? firstAfter(sent, at) : firstFrom(sent, at) - 1, by)
  if (next >= 0) pickMessage(model, view, next)
  return next >= 0
}

/** To the first message (1) or the last (-1) that the filter lets through; false: there is none. */
export const stepToEnd = (model: Model, view: View, by: 1 | -1): boolean => {
  const { count } = model.messages
  const end = seek(view.match, count, by === 1 ? 0 : count - 1, by)
  if (end >= 0) pickMessage(model, view, end)
  return end >= 0
}

/** To the note after or before the cursor; notes of one place are gone through one by one. */
export const stepNote = (model: Model, view: View, by: 1 | -1): boolean => {
  const { at, note } = view.cursor
  const places = model.notePlaces
  const start = note >= 0 ? note + by : by === 1 ? firstAfter(places, at) : firstFrom(places, at) - 1
  const next = seek(view.noteMatch, places.length, start, by)
  if (next >= 0) pickNote(model, view, next)
  return next >= 0
}

/** Moves the window so that the cursor is in it. */
export const follow = (model: Model, view: View): void => {
  const { left, right, cursor } = view
  const edge = (right - left) * 0.04
  if (cursor.at >= left + edge && cursor.at <= right - edge) return
  pan(model, view, cursor.at - (left + (right - left) * 0.4))
}

const fate = ({ lost, wait }: Messages, i: number): string =>
  lost[i] === 1 ? "lost" : wait[i]! < 0 ? "never begun" : ""

/** Applies a filter: words that must all occur in a message's kind, its lanes or its fate, or in a note. Empty: none. */
export const filter = (model: Model, view: View, query: string): void => {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
  const fits = (text: string): number => (words.every((word) => text.toLowerCase().includes(word)) ? 1 : 0)
  const { packed, messages } = model
  const known = new Map<string, number>()
  const fitsMessage = (i: number): number => {
    const [kind, from, to, end] = [messages.kind[i]!, messages.from[i]!, messages.to[i]!, fate(messages, i)]
    const key = `${kind} ${from} ${to} ${end}`
    const found = known.get(key) ?? fits(`${packed.kinds[kind]} ${laneName(model, from)} ${laneName(model, to)} ${end}`)
    known.set(key, found)
    return found
  }
  view.query = query
  view.match =
    words.length === 0
      ? undefined
      : messages.kind.reduce((match, _, i) => {
          match[i] = fitsMessage(i)
          return match
        }, new Uint8Array(messages.count))
  view.matches = view.match?.reduce((sum, one) => sum + one, 0) ?? messages.count
  view.noteMatch =
    words.length === 0
      ? undefined
      : Uint8Array.from(model.notes, ({ kind, node, text }) => fits(`${kind} ${node} ${text}`))
  placeCursor(model, view, view.cursor.at)
}

export const isShown = ({ match }: View, message: number): boolean => lets(match, message)
export const isNoteShown = ({ noteMatch }: View, note: number): boolean => lets(noteMatch, note)

/** Rows of lanes, in pixels from the top of all. A folded node has one row for all its lanes. */
export interface Layout {
  readonly laneY: Float64Array
  readonly laneHeight: number
  readonly foldedHeight: number
  readonly nodes: ReadonlyArray<{
    readonly node: number
    readonly top: number
    readonly height: number
    readonly headY: number
  }>
  readonly height: number
  /** What stands above the lanes and is not scrolled: the axis and the rows of faults. */
  readonly head: number
  readonly room: number
}

export const axisPx = 26
export const faultPx = 18
const headPx = 20
const foldedPx = 34
const foldedMaxPx = 68
const gapPx = 7
const laneMinPx = 15

/** Folds all nodes if their lanes would be much more than fits into `total` pixels. */
export const foldMany = (model: Model, view: View, total: number): void => {
  const { height, room, nodes } = layOut(model, view, total)
  if (height > room * 2.5) for (const { node } of nodes) view.folded.add(node)
}

/** Lays out rows for `total` pixels: lanes share what is there, within reason; what is over is scrolled to. */
export const layOut = (model: Model, { folded }: View, total: number): Layout => {
  const faultRows = model.spans.reduce((rows, { row }) => Math.max(rows, row + 1), 0)
  const head = axisPx + faultRows * faultPx
  const room = total - head
  const shownNodes = [...model.packed.nodes.keys()].filter(
    (node) => model.lanesOf[node]!.length > 0 || model.tips[node]!.at.length > 0
  )
  const isFolded = (node: number): boolean => folded.has(node) || model.lanesOf[node]!.length === 0
  const open = shownNodes.filter((node) => !isFolded(node))
  const lanes = open.reduce((sum, node) => sum + model.lanesOf[node]!.length, 0)
  const closed = shownNodes.length - open.length
  const spare = room - shownNodes.length * gapPx - open.length * headPx - lanes * laneMinPx
  const foldedHeight = Math.min(foldedMaxPx, Math.max(foldedPx, spare / Math.max(1, closed)))
  const taken = open.length * headPx + closed * foldedHeight + shownNodes.length * gapPx
  const laneHeight = Math.min(52, Math.max(laneMinPx, (room - taken) / Math.max(1, lanes)))
  const laneY = new Float64Array(model.nodeOf.length)
  let top = gapPx / 2
  const nodes = shownNodes.map((node) => {
    const own = model.lanesOf[node]!
    const height = isFolded(node) ? foldedHeight : headPx + own.length * laneHeight
    const y = top
    for (const [i, lane] of own.entries())
      laneY[lane] = isFolded(node) ? y + foldedHeight * 0.72 : y + headPx + (i + 0.5) * laneHeight
    top += height + gapPx
    return { node, top: y, height, headY: y + headPx / 2 }
  })
  return { laneY, laneHeight, foldedHeight, nodes, height: top - gapPx / 2, head, room }
}
