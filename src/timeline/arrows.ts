/** Messages: arrows while they can be told apart, else how many there were, per lane and column of pixels. */
import { laneName, type Model } from "./model.ts"
import { type Plane, type Scene, widthOf, write } from "./scene.ts"
import { firstAfter, firstFrom } from "./search.ts"
import { clockText, shown, spanText } from "./text.ts"
import { isShown } from "./view.ts"

/** More arrows than this at once are no arrows but a hedge. */
export const arrowsMax = 2500
/** Up to this many get their kinds written beside them, where there is room. */
const labelledMax = 150
const columnPx = 3
/** Bars of a folded node stay below its notes: this much of its height. */
const foldedBars = 0.5

export interface Arrow {
  readonly message: number
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
  readonly self: boolean
}

export interface Traffic {
  /** Messages in the window that the filter lets through. */
  readonly inView: number
  /** Those drawn as arrows: all or none. */
  readonly arrows: ReadonlyArray<Arrow>
}

const laneScreenY = ({ layout, view }: Scene, lane: number): number => layout.laneY[lane]! + layout.head - view.scroll

export const arrowOf = (plane: Plane, scene: Scene, message: number): Arrow => {
  const { from, to, sent, end } = scene.model.messages
  const [x1, x2] = [plane.x(sent[message]!), plane.x(end[message]!)]
  const y2 = laneScreenY(scene, to[message]!)
  if (from[message]! < 0) return { message, x1: x1 - 7, y1: y2 - 12, x2, y2, self: false }
  const y1 = laneScreenY(scene, from[message]!)
  return { message, x1, y1, x2, y2, self: y1 === y2 }
}

/** The messages that reach into the window. */
const visible = ({ model: { messages }, view }: Scene): ReadonlyArray<number> => {
  const found: Array<number> = []
  const last = firstAfter(messages.sent, view.right)
  for (let i = firstFrom(messages.reach, view.left); i < last; i++)
    if (messages.end[i]! >= view.left && isShown(view, i)) found.push(i)
  return found
}

/** The node whose colour an arrow has: the sender's, or of one from outside the receiver's. */
const nodeOfMessage = ({ nodeOf, messages: { from, to } }: Model, i: number): number =>
  nodeOf[from[i]! < 0 ? to[i]! : from[i]!]!

const traceLine = (path: Path2D, { x1, y1, x2, y2, self }: Arrow, part = 1): void => {
  if (self) {
    path.moveTo(x1 - 4, y1 - 1)
    path.quadraticCurveTo(x1 - 3, y1 - 13, (x1 + x2) / 2, y1 - 10)
    path.quadraticCurveTo(x2 + 3, y1 - 9, x2, y2 - 1)
    return
  }
  path.moveTo(x1, y1)
  path.lineTo(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part)
}

const traceHead = (path: Path2D, { x1, y1, x2, y2, self }: Arrow): void => {
  const angle = self ? Math.PI / 2 : Math.atan2(y2 - y1, x2 - x1)
  const size = 6
  path.moveTo(x2, y2)
  path.lineTo(x2 - size * Math.cos(angle - 0.45), y2 - size * Math.sin(angle - 0.45))
  path.lineTo(x2 - size * Math.cos(angle + 0.45), y2 - size * Math.sin(angle + 0.45))
  path.closePath()
}

const cross = (path: Path2D, x: number, y: number, size: number): void => {
  path.moveTo(x - size, y - size)
  path.lineTo(x + size, y + size)
  path.moveTo(x + size, y - size)
  path.lineTo(x - size, y + size)
}

const openAt = 0.72

/** One stroke for all arrows of a colour. */
const strokeArrows = (
  { ctx }: Plane,
  { model: { messages }, ink }: Scene,
  arrows: ReadonlyArray<Arrow>,
  color: string,
  px: number
): void => {
  const [lines, heads, lost, rings] = [new Path2D(), new Path2D(), new Path2D(), new Path2D()]
  for (const arrow of arrows) {
    const { message, x1, y1, x2, y2, self } = arrow
    if (messages.lost[message] === 1) {
      traceLine(lost, arrow)
      continue
    }
    const open = messages.wait[message]! < 0
    traceLine(lines, arrow, open ? openAt : 1)
    if (!open) traceHead(heads, arrow)
    else rings.roundRect(x1 + (x2 - x1) * openAt - 2.5, self ? y2 - 4 : y1 + (y2 - y1) * openAt - 2.5, 5, 5, 2.5)
  }
  ctx.lineWidth = px
  ctx.strokeStyle = ctx.fillStyle = color
  ctx.stroke(lines)
  ctx.fill(heads)
  ctx.stroke(rings)
  ctx.strokeStyle = ink.warn
  ctx.setLineDash([4, 3])
  ctx.stroke(lost)
  ctx.setLineDash([])
}

const paintCrosses = ({ ctx }: Plane, { model, ink }: Scene, arrows: ReadonlyArray<Arrow>): void => {
  const path = new Path2D()
  for (const { message, x2, y2 } of arrows) if (model.messages.lost[message] === 1) cross(path, x2, y2, 4)
  ctx.strokeStyle = ink.warn
  ctx.lineWidth = 2
  ctx.stroke(path)
}

/** Kinds beside arrows, each where nothing else is written yet. */
const paintKinds = (plane: Plane, { model, ink, view }: Scene, arrows: ReadonlyArray<Arrow>): void => {
  const taken: Array<readonly [left: number, right: number, y: number]> = []
  for (const { message, x1, x2, y1, y2 } of arrows) {
    if (message === view.cursor.message) continue
    const text = shown(model.packed.kinds[model.messages.kind[message]!]!, 40)
    const [x, y] = [Math.max(x1, x2) + 5, y2 > y1 ? y2 - 8 : y2 + 8]
    const right = x + widthOf(plane, text, 10)
    if (right > plane.width || taken.some(([l, r, at]) => x < r + 4 && right > l - 4 && Math.abs(at - y) < 11)) continue
    taken.push([x, right, y])
    write(plane, text, x, y, { color: ink.muted, px: 10, halo: ink.card })
  }
}

const paintArrows = (plane: Plane, scene: Scene, found: ReadonlyArray<number>): ReadonlyArray<Arrow> => {
  const arrows = found.map((i) => arrowOf(plane, scene, i))
  const byNode = Map.groupBy(arrows, ({ message }) => nodeOfMessage(scene.model, message))
  const alpha = Math.max(0.4, 1 - arrows.length / 3000)
  for (const [node, own] of byNode)
    strokeArrows(plane, scene, own, scene.ink.node(node, alpha), arrows.length > 400 ? 1 : 1.4)
  paintCrosses(plane, scene, arrows)
  if (arrows.length <= labelledMax) paintKinds(plane, scene, arrows)
  return arrows
}

/** Counts by lane and column. A folded node's lanes are counted together. */
const countCells = (plane: Plane, { model: { messages, nodeOf }, layout }: Scene, found: ReadonlyArray<number>) => {
  const columns = Math.ceil(Math.max(0, plane.width - plane.gutter) / columnPx) + 1
  const rows = new Map<number, { readonly node: number; readonly all: Uint32Array; readonly lost: Uint32Array }>()
  const rowOf = nodeOf.map((node, lane) => {
    const y = layout.laneY[lane]!
    const row = rows.get(y) ?? { node, all: new Uint32Array(columns), lost: new Uint32Array(columns) }
    rows.set(y, row)
    return row
  })
  for (const i of found) {
    const row = rowOf[messages.to[i]!]!
    const column = Math.max(0, Math.floor((plane.x(messages.sent[i]!) - plane.gutter) / columnPx))
    row.all[column]!++
    row.lost[column]! += messages.lost[i]!
  }
  return rows
}

const paintCounts = (plane: Plane, scene: Scene, found: ReadonlyArray<number>): void => {
  const { ctx, gutter } = plane
  const { ink, view, layout } = scene
  const rows = countCells(plane, scene, found)
  let most = 1
  for (const { all } of rows.values()) for (const n of all) if (n > most) most = n
  for (const [laneY, { node, all, lost }] of rows) {
    const tallest = view.folded.has(node) ? layout.foldedHeight * foldedBars : layout.laneHeight * 0.84
    const tall = (n: number): number => 1.5 + ((tallest - 1.5) * Math.log1p(n)) / Math.log1p(most)
    const base = laneY + layout.head - view.scroll + tallest / 2
    const bars = new Path2D()
    const losses = new Path2D()
    all.forEach((n, column) => n > 0 && bars.rect(gutter + column * columnPx, base - tall(n), columnPx - 0.5, tall(n)))
    lost.forEach(
      (n, column) =>
        n > 0 &&
        losses.rect(gutter + column * columnPx, base - Math.max(4, tall(n)), columnPx - 0.5, Math.max(4, tall(n)))
    )
    ctx.fillStyle = ink.node(node, 0.72)
    ctx.fill(bars)
    ctx.fillStyle = ink.warn
    ctx.fill(losses)
  }
}

/** Draws what the window holds. */
export const paintMessages = (plane: Plane, scene: Scene): Traffic => {
  const found = visible(scene)
  if (found.length <= arrowsMax) return { inView: found.length, arrows: paintArrows(plane, scene, found) }
  paintCounts(plane, scene, found)
  return { inView: found.length, arrows: [] }
}

/** The message at the cursor, over all others. */
export const paintPicked = (plane: Plane, scene: Scene): void => {
  const { view, ink, model } = scene
  const { message, at } = view.cursor
  if (message < 0 || model.messages.sent[message] !== at) return
  const arrow = arrowOf(plane, scene, message)
  const halo = new Path2D()
  traceLine(halo, arrow)
  plane.ctx.lineWidth = 7
  plane.ctx.strokeStyle = ink.card
  plane.ctx.stroke(halo)
  strokeArrows(plane, scene, [arrow], ink.ink, 2.2)
  paintCrosses(plane, scene, [arrow])
  const text = shown(model.packed.kinds[model.messages.kind[message]!]!, 40)
  const wide = widthOf(plane, text, 11, 600)
  const right = Math.max(arrow.x1, arrow.x2) + 9
  const x = right + wide < plane.width ? right : Math.min(arrow.x1, arrow.x2) - wide - 9
  write(plane, text, x, (arrow.y1 + arrow.y2) / 2, { color: ink.ink, weight: 600, halo: ink.card })
}

const distance = (x: number, y: number, { x1, y1, x2, y2, self }: Arrow): number => {
  if (self) return Math.hypot(x - (x1 + x2) / 2, y - y1 + 6)
  const [dx, dy] = [x2 - x1, y2 - y1]
  const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)))
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy)
}

/** The arrow under the pointer. */
export const arrowAt = (arrows: ReadonlyArray<Arrow>, x: number, y: number): Arrow | undefined => {
  let [nearest, best]: [Arrow | undefined, number] = [undefined, 6]
  for (const arrow of arrows) {
    const away = distance(x, y, arrow)
    if (away < best) [nearest, best] = [arrow, away]
  }
  return nearest
}

/** How a message fared, in words. */
export const fateText = ({ messages: { lost, wait } }: Model, i: number): string => {
  if (lost[i] === 1) return "lost: not taken by the inbox"
  if (wait[i]! < 0) return "never begun"
  return wait[i] === 0 ? "begun in the same millisecond" : `waited ${spanText(wait[i]!)}`
}

/** What the pointer is told of a message. */
export const messageLines = (model: Model, i: number): ReadonlyArray<string> => {
  const { kind, from, to, at, step } = model.messages
  return [
    shown(model.packed.kinds[kind[i]!]!),
    `${shown(laneName(model, from[i]!))} → ${shown(laneName(model, to[i]!))}`,
    `${clockText(at[i]!)}, step ${step[i]}, ${fateText(model, i)}`
  ]
}
