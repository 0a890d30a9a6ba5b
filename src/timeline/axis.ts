/** The time axis: its ticks, and what stands upright over all lanes: forgotten time, the failure, the cursor. */
import { type Plane, type Scene, upright, widthOf, write, writePlate } from "./scene.ts"
import { clockText, counted, shown } from "./text.ts"
import { axisPx } from "./view.ts"

const second = 1000
const minute = 60 * second
const hour = 60 * minute
/** Steps between ticks that read well, in milliseconds. */
const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .concat([1, 2, 5, 10, 15, 30].map((n) => n * second))
  .concat([1, 2, 5, 10, 15, 30].map((n) => n * minute))
  .concat([1, 2, 3, 6, 12, 24, 48, 120, 240, 720].map((n) => n * hour))

/** The step for a scale: the shortest that leaves `room` pixels between two ticks. */
export const tickStep = (msPerPx: number, room: number): number =>
  steps.find((step) => step / msPerPx >= room) ?? steps.at(-1)!

/** Ticks and faint lines under everything. */
export const paintAxis = (plane: Plane, { ink, view }: Scene): void => {
  const { ctx, gutter, width, height } = plane
  const msPerPx = (view.right - view.left) / (width - gutter)
  const step = tickStep(msPerPx, 84)
  for (let at = Math.ceil(Math.max(0, view.left) / step) * step; at <= view.right; at += step) {
    upright(plane, Math.round(plane.x(at)) + 0.5, axisPx, height, ink.line)
    if (plane.x(at) + 60 < width) write(plane, clockText(at, step), plane.x(at) + 4, axisPx / 2, { color: ink.muted })
  }
  ctx.fillStyle = ink.line
  ctx.fillRect(gutter, axisPx - 1, width - gutter, 1)
  if (view.right - view.left < 2) {
    const text = "within a millisecond: order, not time"
    write(plane, text, width - 8, axisPx / 2, { color: ink.muted, align: "right" })
  }
}

/** By colour; there are two per light or dark. */
const hatchings = new Map<string, CanvasPattern>()

/** Slanted lines of a colour. */
export const hatch = ({ ctx }: Plane, color: string): CanvasPattern => {
  const known = hatchings.get(color)
  if (known !== undefined) return known
  const tile = document.createElement("canvas")
  Object.assign(tile, { width: 8, height: 8 })
  const pen = tile.getContext("2d")!
  pen.strokeStyle = color
  pen.lineWidth = 1
  pen.beginPath()
  for (const x of [-4, 4, 12]) {
    pen.moveTo(x - 5, 9)
    pen.lineTo(x + 5, -1)
  }
  pen.stroke()
  const pattern = ctx.createPattern(tile, "repeat")!
  hatchings.set(color, pattern)
  return pattern
}

/** Time of which the messages were not kept. */
export const paintForgotten = (plane: Plane, { model, ink }: Scene): void => {
  const { packed, messages } = model
  if (packed.forgotten === 0) return
  const { ctx, gutter, height } = plane
  const right = plane.x(messages.count > 0 ? messages.sent[0]! : model.last)
  if (right <= gutter) return
  ctx.fillStyle = hatch(plane, ink.line)
  ctx.fillRect(gutter, axisPx, right - gutter, height - axisPx)
  const text = `${counted(packed.forgotten, "earlier message")} not kept`
  if (right - gutter > widthOf(plane, text) + 16)
    writePlate(plane, text, gutter + 10, height - 14, { color: ink.muted, plate: ink.card })
}

/** The failure, and its words where there is room for them. */
export const paintFailure = (plane: Plane, { model, ink }: Scene, textY: number | undefined): void => {
  const { failure } = model
  if (failure === undefined) return
  const x = plane.x(failure.place)
  if (x < plane.gutter || x > plane.width) return
  upright(plane, x, 0, plane.height, ink.failure, 8)
  upright(plane, x, 0, plane.height, ink.warn, 2)
  if (textY === undefined) return
  const text = `failed: ${shown(failure.text, 120)}`
  const wide = Math.min(widthOf(plane, text, 11, 600), Math.max(plane.width - x, x - plane.gutter) - 24)
  const left = x + wide + 20 < plane.width ? x + 10 : x - wide - 10
  writePlate(plane, text, left, textY, { color: ink.card, plate: ink.warn, weight: 600, max: wide })
}

/** The cursor, on the axis with its time. */
export const paintCursor = (plane: Plane, { view, ink }: Scene, top: number): void => {
  const x = plane.x(view.cursor.at)
  upright(plane, x, top, plane.height, ink.accent, 1.5)
  if (top > 0 || x < plane.gutter || x > plane.width) return
  const text = clockText(view.cursor.at)
  const wide = widthOf(plane, text, 11, 600)
  const left = Math.min(plane.width - wide - 6, Math.max(plane.gutter + 6, x - wide / 2))
  writePlate(plane, text, left, axisPx / 2, { color: ink.card, plate: ink.accent, weight: 600 })
}
