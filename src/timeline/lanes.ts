/** The lanes: a group per node, a row per actor, and over them faults, messages, notes and the cursor. */
import { hatch, paintAxis, paintCursor, paintFailure, paintForgotten } from "./axis.ts"
import { paintMessages, paintPicked, type Traffic } from "./arrows.ts"
import { tipAt } from "./model.ts"
import { type Plane, type Scene, type Spot, widthOf, within, write } from "./scene.ts"
import { firstAfter, firstFrom } from "./search.ts"
import { clockText, shortId, shown } from "./text.ts"
import { axisPx, faultPx, isNoteShown } from "./view.ts"

export interface LanesShown extends Traffic {
  readonly notes: ReadonlyArray<Spot>
}

const screenY = ({ view, layout }: Scene, y: number): number => y + layout.head - view.scroll

const paintRows = ({ ctx, width, gutter }: Plane, scene: Scene): void => {
  const { layout, ink, model, view } = scene
  for (const { node, top, height } of layout.nodes) {
    ctx.fillStyle = ink.node(node, 0.055)
    ctx.fillRect(gutter, screenY(scene, top), width - gutter, height)
    if (view.folded.has(node)) continue
    ctx.fillStyle = ink.line
    for (const lane of model.lanesOf[node]!)
      ctx.fillRect(gutter, Math.round(screenY(scene, layout.laneY[lane]!)), width - gutter, 1)
  }
}

/** Runs of neighbouring groups that a fault concerns, as `[top, bottom]` on the screen. */
const bandsOf = (scene: Scene, concerned: ReadonlyArray<number>, all: boolean): ReadonlyArray<[number, number]> => {
  const bands: Array<[number, number]> = []
  let wasIn = false
  for (const { node, top, height } of scene.layout.nodes) {
    const isIn = all || concerned.includes(node)
    const [from, to] = [screenY(scene, top), screenY(scene, top + height)]
    if (isIn && wasIn) bands.at(-1)![1] = to
    else if (isIn) bands.push([from, to])
    wasIn = isIn
  }
  return bands
}

const paintFaults = (plane: Plane, scene: Scene): void => {
  const { ctx, gutter, width } = plane
  for (const { from, to, of, nodes, tone } of scene.model.spans) {
    const [left, right] = [Math.max(gutter, plane.x(from)), Math.min(width, Math.max(plane.x(to), plane.x(from) + 2))]
    if (right < gutter || left > width) continue
    for (const [top, bottom] of bandsOf(scene, of, nodes.length === 0)) {
      ctx.fillStyle = scene.ink.fault(tone, 0.13)
      ctx.fillRect(left, top, right - left, bottom - top)
      ctx.fillStyle = hatch(plane, scene.ink.fault(0, 0.16))
      ctx.fillRect(left, top, right - left, bottom - top)
      ctx.fillStyle = scene.ink.fault(tone, 0.75)
      ctx.fillRect(left, top, right - left, 1.5)
    }
  }
}

/** Each fault as a bar with its words, above the lanes: there they are in nobody's way and are not scrolled. */
const paintFaultRows = (plane: Plane, scene: Scene): void => {
  const { model, ink, layout } = scene
  if (model.spans.length === 0) return
  plane.ctx.fillStyle = ink.line
  plane.ctx.fillRect(plane.gutter, layout.head - 1, plane.width, 1)
  for (const { kind, from, to, text, tone, row, next } of model.spans) {
    const [left, right] = [Math.max(plane.gutter, plane.x(from)), Math.min(plane.width, plane.x(to))]
    if (right < plane.gutter || left > plane.width) continue
    const y = axisPx + row * faultPx
    plane.ctx.fillStyle = ink.fault(tone, 0.26)
    plane.ctx.fillRect(left, y + 2, Math.max(2, right - left), faultPx - 4)
    const free = Math.min(plane.width, plane.x(next)) - left - 12
    if (free < 20) continue
    const words = text === "" || text === kind ? shown(kind) : `${shown(kind)}: ${shown(text)}`
    write(plane, words, left + 6, y + faultPx / 2, { color: ink.ink, px: 10.5, weight: 600, max: free })
  }
}

/** Where one is in lanes that do not all fit. */
const paintScroll = ({ ctx, width, height }: Plane, { layout, view, ink }: Scene): void => {
  if (layout.height <= layout.room) return
  const track = height - layout.head
  ctx.fillStyle = ink.muted
  ctx.globalAlpha = 0.5
  ctx.beginPath()
  ctx.roundRect(
    width - 6,
    layout.head + (track * view.scroll) / layout.height,
    4,
    (track * layout.room) / layout.height,
    2
  )
  ctx.fill()
  ctx.globalAlpha = 1
}

const diamond = ({ ctx }: Plane, x: number, y: number, size: number): void => {
  ctx.beginPath()
  ctx.moveTo(x, y - size)
  ctx.lineTo(x + size, y)
  ctx.lineTo(x, y + size)
  ctx.lineTo(x - size, y)
  ctx.closePath()
}

/** Notes on the head of their node, those of no node or of several on the axis. Of many in one place one is drawn, all can be hovered. */
const paintNotes = (plane: Plane, scene: Scene, onAxis: boolean): ReadonlyArray<Spot> => {
  const { model, view, layout, ink } = scene
  const heads = new Map(layout.nodes.map(({ node, headY }) => [node, screenY(scene, headY)]))
  const spots: Array<Spot> = []
  const lastX = new Map<number, number>()
  const end = firstAfter(model.notePlaces, view.right)
  for (let i = firstFrom(model.notePlaces, view.left); i < end; i++) {
    const { place, of, kind, text, at, node } = model.notes[i]!
    if (!isNoteShown(view, i) || heads.has(of) === onAxis) continue
    const [x, y] = [plane.x(place), heads.get(of) ?? axisPx - 5]
    const crowded = x - (lastX.get(y) ?? -Infinity) < 3
    if (crowded && view.cursor.note !== i) continue
    lastX.set(y, x)
    diamond(plane, x, y, (view.cursor.note === i ? 7 : 5) - (onAxis ? 1 : 0))
    plane.ctx.fillStyle = ink.note
    plane.ctx.fill()
    plane.ctx.strokeStyle = view.cursor.note === i ? ink.ink : ink.card
    plane.ctx.lineWidth = view.cursor.note === i ? 2 : 1
    plane.ctx.stroke()
    spots.push({ x, y, note: i, lines: [`${shown(kind)}: ${shown(text)}`, `${shown(node)}, ${clockText(at)}`] })
  }
  return spots
}

/** Kinds of notes are written where the next marker leaves room. */
const paintNoteKinds = (plane: Plane, { model, ink }: Scene, spots: ReadonlyArray<Spot>): void => {
  if (spots.length > 120) return
  for (const { x, y, note } of spots) {
    const text = shown(model.notes[note!]!.kind, 40)
    const wide = widthOf(plane, text, 10)
    const free = spots.every((other) => other.y !== y || other.x <= x || other.x > x + wide + 18)
    if (free && x + wide + 12 < plane.width) write(plane, text, x + 9, y, { color: ink.ink, px: 10 })
  }
}

/** Names, left of everything. A node's name folds its lanes; its height at the cursor stands beside it. */
const paintNames = (plane: Plane, scene: Scene): void => {
  const { ctx, gutter, height: bottom } = plane
  const { layout, ink, model, view } = scene
  ctx.fillStyle = ink.card
  ctx.fillRect(0, 0, gutter, bottom)
  const small = gutter < 120
  for (const { node, top, height, headY } of layout.nodes) {
    const [y, from] = [screenY(scene, headY), screenY(scene, top)]
    if (from > bottom || from + height < 0) continue
    ctx.fillStyle = ink.node(node)
    ctx.beginPath()
    ctx.roundRect(0, from, 4, height, 2)
    ctx.fill()
    const lanes = model.lanesOf[node]!
    if (lanes.length > 0) write(plane, view.folded.has(node) ? "▸" : "▾", 10, y, { color: ink.muted, px: 10 })
    const tip = tipAt(model, node, view.cursor.at)
    const tipText = tip === undefined ? "" : Number.isNaN(tip.height) ? shortId(tip.id) : `h ${tip.height}`
    const tipWide = tipText === "" ? 0 : widthOf(plane, tipText, 10.5) + 8
    write(plane, shown(model.packed.nodes[node]!), 22, y, {
      color: ink.node(node),
      weight: 650,
      px: 12,
      max: gutter - 28 - tipWide
    })
    if (tipText !== "") write(plane, tipText, gutter - 8, y, { color: ink.muted, px: 10.5, align: "right" })
    if (view.folded.has(node)) {
      const text = `${lanes.length} actor${lanes.length === 1 ? "" : "s"} folded`
      write(plane, text, 22, y + 15, { color: ink.muted, px: 10, max: gutter - 26 })
      continue
    }
    for (const lane of lanes)
      write(plane, shown(model.packed.lanes[lane]!.actor), small ? 12 : 22, screenY(scene, layout.laneY[lane]!), {
        color: ink.muted,
        px: small ? 10 : 11,
        max: gutter - (small ? 16 : 28)
      })
  }
}

const paintHead = (plane: Plane, { ink, layout }: Scene): void => {
  const { ctx, gutter, width } = plane
  ctx.fillStyle = ink.card
  ctx.fillRect(0, 0, width, layout.head)
  if (layout.head > axisPx) write(plane, "Faults", 10, axisPx + faultPx / 2, { color: ink.muted, px: 11 })
  ctx.fillStyle = ink.line
  ctx.fillRect(0, layout.head - 1, gutter, 1)
  ctx.fillRect(0, axisPx - 1, gutter, 1)
  ctx.fillRect(gutter - 1, 0, 1, ctx.canvas.height)
}

/** Draws all lanes and says what can be pointed at. */
export const paintLanes = (plane: Plane, scene: Scene): LanesShown => {
  const { layout } = scene
  let shownNow: LanesShown | undefined
  within(plane, layout.head, plane.height, () => {
    paintRows(plane, scene)
    paintAxis(plane, scene)
    paintForgotten(plane, scene)
    paintFaults(plane, scene)
    const traffic = paintMessages(plane, scene)
    const notes = paintNotes(plane, scene, false)
    paintNoteKinds(plane, scene, notes)
    shownNow = { ...traffic, notes }
  })
  paintNames(plane, scene)
  paintHead(plane, scene)
  within(plane, 0, plane.height, () => {
    within(plane, 0, axisPx, () => paintAxis(plane, scene))
    paintFaultRows(plane, scene)
    const above = paintNotes(plane, scene, true)
    shownNow = { ...shownNow!, notes: [...shownNow!.notes, ...above] }
    // On a phone its words would hide what they are about; the panel has them too.
    paintFailure(plane, scene, plane.width < 500 ? undefined : plane.height - 42)
    paintCursor(plane, scene, 0)
    within(plane, layout.head, plane.height, () => paintPicked(plane, scene))
    paintScroll(plane, scene)
  })
  return shownNow!
}
