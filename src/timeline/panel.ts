/** The parts of the page that are text: header, what is at the cursor, tips, notes, kinds. All text enters as text nodes. */
import { fateText } from "./arrows.ts"
import type { Ink } from "./ink.ts"
import { laneName, type Model, tipAt } from "./model.ts"
import { firstAfter } from "./search.ts"
import { clockText, counted, grouped, shortId, shown, spanText } from "./text.ts"
import type { View } from "./view.ts"

export const byId = <E extends HTMLElement = HTMLElement>(id: string): E => document.getElementById(id) as E

const make = (tag: string, text = "", className = ""): HTMLElement => {
  const made = document.createElement(tag)
  made.textContent = text
  if (className !== "") made.className = className
  return made
}

const pair = (name: string, value: string, className = ""): ReadonlyArray<HTMLElement> => [
  make("dt", name),
  make("dd", value, className)
]

const showCounts = ({ packed, messages }: Model): void => {
  const never = messages.wait.reduce((sum, wait, i) => sum + (wait < 0 && messages.lost[i] === 0 ? 1 : 0), 0)
  const lost = packed.messages.lost.length
  const parts: Array<string | Node> = [
    `${counted(messages.count, "message")} in ${spanText(packed.endMs)}`,
    ...(lost > 0 ? [make("span", `${grouped(lost)} lost`, "bad")] : []),
    ...(never > 0 ? [`${grouped(never)} never begun`] : []),
    counted(packed.notes.length, "note"),
    counted(packed.spans.length, "fault"),
    counted(packed.blocks.id.length, "block"),
    ...(packed.forgotten > 0 ? [make("span", `${counted(packed.forgotten, "earlier message")} not kept`, "bad")] : []),
    ...(packed.failure === null ? [] : [make("b", `failed at ${clockText(packed.failure.at)}`, "bad")])
  ]
  byId("counts").replaceChildren(...parts.flatMap((part, i) => (i === 0 ? [part] : [" · ", part])))
}

/** What stays the same while the page is open. */
export const showHeader = (model: Model): void => {
  const facts = model.packed.facts.map(([name, value]) => {
    const entry = make("div")
    entry.append(...pair(shown(name, 60), shown(value, 120)))
    entry.title = shown(value, 1000)
    return entry
  })
  byId("facts").replaceChildren(...facts)
  showCounts(model)
  byId("to-failure").hidden = model.packed.failure === null
}

const kindsMax = 40

/** Kinds by how often they were sent; a click filters by one. */
export const showKinds = ({ packed, messages }: Model, choose: (kind: string) => void): void => {
  const counts = new Uint32Array(packed.kinds.length)
  for (const kind of messages.kind) counts[kind]!++
  const order = [...counts.keys()].sort((a, b) => counts[b]! - counts[a]!)
  const items = order.slice(0, kindsMax).map((kind) => {
    const button = make("button")
    const bar = make("i")
    bar.style.width = `${(100 * counts[kind]!) / counts[order[0]!]!}%`
    button.append(make("span", shown(packed.kinds[kind]!, 60)), make("span", grouped(counts[kind]!), "muted"), bar)
    button.addEventListener("click", () => choose(packed.kinds[kind]!))
    const item = make("li")
    item.append(button)
    return item
  })
  if (order.length > kindsMax) items.push(make("li", `and ${order.length - kindsMax} more`, "muted"))
  byId("kinds").replaceChildren(...(items.length > 0 ? items : [make("li", "none", "muted")]))
}

const messageParts = (model: Model, { cursor }: View): ReadonlyArray<HTMLElement> => {
  const { messages, packed } = model
  const { message: i, at } = cursor
  if (i < 0) {
    const unkept = packed.forgotten > 0 ? `; ${counted(packed.forgotten, "earlier message")} not kept` : ""
    return [make("p", `No message before the cursor${unkept}.`, "muted")]
  }
  const list = make("dl")
  const before = Math.round(at - messages.at[i]!)
  const isHere = messages.sent[i] === at
  const fated = messages.lost[i] === 1 || messages.wait[i]! < 0
  list.append(
    ...pair("from", shown(laneName(model, messages.from[i]!))),
    ...pair("to", shown(laneName(model, messages.to[i]!))),
    ...(isHere ? [] : pair("sent", before < 1 ? "just before the cursor" : `${spanText(before)} before the cursor`)),
    ...pair("then", fateText(model, i), fated ? "bad" : ""),
    ...pair("number", `${grouped(packed.forgotten + i + 1)} of ${grouped(packed.forgotten + messages.count)}`)
  )
  return [make("p", shown(packed.kinds[messages.kind[i]!]!), "kind"), list]
}

const stepOf = (model: Model, { cursor }: View): string => {
  const note = model.notes[cursor.note]
  if (note !== undefined) return `step ${grouped(note.step)}`
  return cursor.message < 0 ? "" : `step ${grouped(model.messages.step[cursor.message]!)}`
}

const showNow = (model: Model, view: View): void => {
  const { at } = view.cursor
  const time = make("p", "", "time")
  time.append(make("b", clockText(at)), make("span", stepOf(model, view), "muted"))
  const parts: Array<HTMLElement> = [time, ...messageParts(model, view)]
  const note = model.notes[view.cursor.note]
  if (note !== undefined)
    parts.push(make("p", `${shown(note.node)}: ${shown(note.kind)}. ${shown(note.text, 2000)}`, "note"))
  const { failure } = model
  if (failure !== undefined && at >= failure.place) parts.push(make("p", shown(failure.text, 4000), "failure"))
  const faults = model.spans.filter(({ from, to }) => from <= at && at < to)
  if (faults.length > 0)
    parts.push(
      make(
        "p",
        `Under way: ${faults.map(({ kind, text }) => shown(text === "" ? kind : `${kind}: ${text}`)).join("; ")}`,
        "muted"
      )
    )
  byId("now").replaceChildren(...parts)
}

const showTips = (model: Model, view: View, ink: Ink, nodes: ReadonlyArray<number>): void => {
  const rows = nodes.map((node) => {
    const tip = tipAt(model, node, view.cursor.at)
    const row = make("tr")
    const name = make("td")
    const swatch = make("span", "", "swatch")
    swatch.style.background = ink.node(node)
    name.append(swatch, shown(model.packed.nodes[node]!))
    const id = make("td")
    if (tip !== undefined) id.append(make("code", shortId(tip.id)))
    id.title = tip === undefined ? "" : shown(tip.id)
    const height = tip === undefined ? "no tip yet" : Number.isNaN(tip.height) ? "" : `height ${tip.height}`
    row.append(
      name,
      make("td", height, tip === undefined ? "muted" : ""),
      id,
      make("td", tip === undefined ? "" : tip.best ? "best" : "side", "muted")
    )
    return row
  })
  byId("tips").replaceChildren(...rows)
}

const notesShown = 6

const showNotes = (model: Model, view: View, choose: (note: number) => void): void => {
  byId("notes-section").hidden = model.notes.length === 0
  const { note, at } = view.cursor
  const here = note >= 0 ? note : firstAfter(model.notePlaces, at) - 1
  const start = Math.max(0, Math.min(here - notesShown / 2 + 1, model.notes.length - notesShown))
  const items = model.notes.slice(start, start + notesShown).map(({ kind, text, node, at: noteAt }, i) => {
    const button = make("button", `${clockText(noteAt)} ${shown(node, 30)} ${shown(kind, 60)}: ${shown(text, 90)}`)
    if (start + i === note) button.setAttribute("aria-current", "true")
    button.addEventListener("click", () => choose(start + i))
    const item = make("li")
    item.append(button)
    return item
  })
  byId("notes").replaceChildren(...items)
}

/** What follows the cursor. */
export const showPanel = (
  model: Model,
  view: View,
  ink: Ink,
  nodes: ReadonlyArray<number>,
  choose: (note: number) => void
): void => {
  showNow(model, view)
  showTips(model, view, ink, nodes)
  showNotes(model, view, choose)
}

/** A text beside the pointer; undefined: none. */
export const showHover = (lines: ReadonlyArray<string> | undefined, x: number, y: number): void => {
  const hover = byId("hover")
  hover.hidden = lines === undefined
  if (lines === undefined) return
  hover.replaceChildren(...lines.map((line) => make("p", line)))
  const { offsetWidth, offsetHeight } = hover
  hover.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - offsetWidth - 6))}px`
  hover.style.top = `${y + 18 + offsetHeight < innerHeight ? y + 14 : Math.max(4, y - offsetHeight - 10)}px`
}
