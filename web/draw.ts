/** Pictures of the page: coins as bars, a transaction as a stream from what is spent to what is made, and the way of a proof. */
import { toHex } from "../src/codec/bytes.ts"
import type { Proven } from "../src/block/proof.ts"
import { make } from "./text.ts"

export const svg = (
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  title?: string
): SVGElement => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  if (title !== undefined) made.append(Object.assign(svg("title", {}), { textContent: title }))
  return made
}

/** A bar over a part of the width; what is there can still be seen if it is next to nothing. */
export const drawBar = (part: number, kind: string): SVGElement => {
  const drawn = svg("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" })
  drawn.append(svg("rect", { width: Math.max(12, 1000 * part), height: 10, class: kind }))
  return drawn
}

/** What an authority has of a slot: its own block, one in another's place, none where it led; or its turn is now or to come. */
export type Mark = "sealed" | "instead" | "late" | "now" | "next"

/** A lane of slots, oldest first; the one at `present` is framed, and fills as it goes by. */
export const drawLane = (marks: ReadonlyArray<Mark | undefined>, present: number, label: string): SVGElement => {
  const drawn = svg("svg", {
    viewBox: `0 0 ${10 * marks.length} 12`,
    preserveAspectRatio: "none",
    class: "slots",
    role: "img",
    "aria-label": label
  })
  drawn.append(svg("rect", { x: 10 * present, width: 10, height: 12, class: "present" }))
  drawn.append(svg("rect", { x: 10 * present, width: 10, height: 12, class: "gone" }))
  for (const [i, mark] of marks.entries())
    if (mark !== undefined) drawn.append(svg("rect", { x: 10 * i + 1, y: 2, width: 8, height: 8, rx: 1, class: mark }))
  return drawn
}

/** One end of a stream: how much, and what to say of it. */
export interface End {
  readonly units: number
  readonly label: ReadonlyArray<Node | string>
  readonly kind: "spent" | "paid" | "change" | "fee"
}

/** Height of one end, as style.css has it, and of all of them together where they meet. */
const endHeight = 48
const trunkHeight = 36

const sum = (ends: ReadonlyArray<End>): number => ends.reduce((total, { units }) => total + units, 0)

/** The bands from ends on one side to the trunk: each as thick as its part of the whole. */
const bands = (ends: ReadonlyArray<End>, side: "left" | "right", height: number): ReadonlyArray<SVGElement> => {
  const whole = Math.max(1, sum(ends))
  const [outer, bend, inner] = side === "left" ? [0, 25, 50] : [100, 75, 50]
  const first = (height - ends.length * endHeight) / 2 + endHeight / 2
  let top = (height - trunkHeight) / 2
  return ends.map(({ units, kind }, i) => {
    const thick = Math.max(1, (trunkHeight * units) / whole)
    const middle = first + i * endHeight
    const [a, b, c, d] = [middle - thick / 2, top, top + thick, middle + thick / 2]
    top += (trunkHeight * units) / whole
    const way = `M${outer} ${a}C${bend} ${a} ${bend} ${b} ${inner} ${b}V${c}C${bend} ${c} ${bend} ${d} ${outer} ${d}Z`
    return svg("path", { d: way, class: kind })
  })
}

/** What is spent on the left, what is made of it on the right. Both sides hold the same. */
export const drawStream = (spent: ReadonlyArray<End>, made: ReadonlyArray<End>): HTMLElement => {
  const height = Math.max(spent.length, made.length) * endHeight
  const label = `${spent.length} on the left become ${made.length} on the right`
  const drawn = svg("svg", {
    viewBox: `0 0 100 ${height}`,
    preserveAspectRatio: "none",
    height,
    role: "img",
    "aria-label": label
  })
  drawn.append(...bands(spent, "left", height), ...bands(made, "right", height))
  const side = (ends: ReadonlyArray<End>): HTMLElement =>
    make("ol", "", ...ends.map(({ label: text, kind }) => make("li", kind, ...text)))
  const stream = make("div", "stream", side(spent))
  stream.append(drawn, side(made))
  return stream
}

const levelHeight = 44
const spread = 40
const radius = 8

const dot = (x: number, y: number, kind: "way" | "beside", hash: Uint8Array): SVGElement =>
  svg("circle", { cx: x, cy: y, r: radius, class: kind }, toHex(hash))

/** The root on top, what is proven below; filled what is computed here, hollow what the proof brings. */
export const drawWay = ({ kind, way, steps }: Proven): SVGElement => {
  const lines: Array<SVGElement> = []
  const dots = [dot(0, 0, "way", way.at(-1)!)]
  const xs = [0]
  let x = 0
  for (let level = steps.length - 1, y = 0; level >= 0; level--, y += levelHeight) {
    const { sibling, left } = steps[level]!
    const [own, other] = left ? [x + spread, x - spread] : [x - spread, x + spread]
    const below = y + levelHeight
    lines.push(svg("line", { x1: x, y1: y, x2: other, y2: below }))
    lines.push(svg("line", { x1: x, y1: y, x2: own, y2: below, class: "way" }))
    dots.push(dot(other, below, "beside", sibling), dot(own, below, "way", way[level]!))
    xs.push(own, other)
    x = own
  }
  const margin = 2 * radius
  const from = Math.min(...xs) - margin
  const width = Math.max(...xs) - from + margin
  const height = steps.length * levelHeight + 2 * margin
  const root = kind === "transaction" ? "transaction root" : "state root"
  const label = `The way from the ${kind} up to the ${root} of the header, in ${steps.length} steps`
  const viewBox = `${from} ${-margin} ${width} ${height}`
  const drawn = svg("svg", { viewBox, width, height, role: "img", "aria-label": label })
  drawn.append(...lines, ...dots)
  return drawn
}
