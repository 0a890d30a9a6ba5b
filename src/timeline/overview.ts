/** The whole run as one strip: how much was sent when, faults, notes, the failure, and the window as a frame to drag. */
import { hatch } from "./axis.ts"
import type { Model, Place } from "./model.ts"
import { makePlane, type Plane, type Scene, upright, write } from "./scene.ts"

const columnPx = 2

interface Columns {
  readonly width: number
  readonly all: Uint32Array
  readonly lost: Uint8Array
  readonly most: number
}

let counted: Columns | undefined

/** Counted once per width of the strip: the run does not change. */
const countColumns = ({ messages }: Model, plane: Plane): Columns => {
  if (counted?.width === plane.width) return counted
  const columns = Math.ceil(Math.max(0, plane.width - plane.gutter) / columnPx) + 1
  const [all, lost] = [new Uint32Array(columns), new Uint8Array(columns)]
  for (let i = 0; i < messages.count; i++) {
    const column = Math.min(
      columns - 1,
      Math.max(0, Math.floor((plane.x(messages.sent[i]!) - plane.gutter) / columnPx))
    )
    all[column]!++
    if (messages.lost[i] === 1) lost[column] = 1
  }
  counted = { width: plane.width, all, lost, most: all.reduce((most, n) => Math.max(most, n), 1) }
  return counted
}

const paintTraffic = (plane: Plane, { model, ink }: Scene): void => {
  const { all, lost, most } = countColumns(model, plane)
  const room = plane.height - 12
  for (const [column, n] of all.entries()) {
    if (n === 0) continue
    const tall = Math.max(1.5, (room * Math.log1p(n)) / Math.log1p(most))
    plane.ctx.fillStyle = ink.muted
    plane.ctx.fillRect(plane.gutter + column * columnPx, plane.height - 3 - tall, columnPx - 0.4, tall)
    plane.ctx.fillStyle = ink.warn
    if (lost[column] === 1) plane.ctx.fillRect(plane.gutter + column * columnPx, plane.height - 3, columnPx, 3)
  }
}

const paintMarks = (plane: Plane, { model, ink, view }: Scene): void => {
  const { ctx } = plane
  for (const { from, to, tone } of model.spans) {
    ctx.fillStyle = ink.fault(tone, 0.5)
    ctx.fillRect(plane.x(from), 2, Math.max(2, plane.x(to) - plane.x(from)), 4)
  }
  ctx.fillStyle = ink.note
  let last = -Infinity
  for (const { place } of model.notes) {
    const x = plane.x(place)
    if (x - last < 2) continue
    last = x
    ctx.fillRect(x - 0.75, 7, 1.5, 5)
  }
  if (model.failure !== undefined) upright(plane, plane.x(model.failure.place), 0, plane.height, ink.warn, 2)
  upright(plane, plane.x(view.cursor.at), 0, plane.height, ink.accent, 1.5)
}

const paintFrame = (plane: Plane, { ink, view }: Scene): void => {
  const { ctx, gutter, width, height } = plane
  const left = Math.max(gutter, plane.x(view.left))
  const right = Math.min(width - 1, Math.max(left + 3, plane.x(view.right)))
  ctx.globalAlpha = 0.62
  ctx.fillStyle = ink.paper
  ctx.fillRect(gutter, 0, left - gutter, height)
  ctx.fillRect(right, 0, width - right, height)
  ctx.globalAlpha = 1
  ctx.strokeStyle = ink.accent
  ctx.lineWidth = 1
  ctx.strokeRect(left + 0.5, 0.5, right - left - 1, height - 1)
}

/** Draws the strip and gives its scale back, for dragging. */
export const paintOverview = (
  canvas: HTMLCanvasElement,
  gutter: number,
  scene: Scene,
  whole: { readonly left: Place; readonly right: Place }
): Plane => {
  const plane = makePlane(canvas, gutter, whole)
  const { model, ink } = scene
  if (model.packed.forgotten > 0) {
    plane.ctx.fillStyle = hatch(plane, ink.line)
    plane.ctx.fillRect(gutter, 0, plane.x(model.messages.sent[0] ?? model.last) - gutter, plane.height)
  }
  paintTraffic(plane, scene)
  paintMarks(plane, scene)
  paintFrame(plane, scene)
  write(plane, "Whole run", 10, plane.height / 2, { color: ink.muted, px: 11, max: gutter - 14 })
  return plane
}
