/** What every drawing needs: the run, the view, the colours, and a canvas with a scale of time. */
import type { Ink } from "./ink.ts"
import type { Model, Place } from "./model.ts"
import type { Layout, View } from "./view.ts"

/** Something under which the pointer may find a text. */
export interface Spot {
  readonly x: number
  readonly y: number
  readonly lines: ReadonlyArray<string>
  /** The note that it stands for, or the place to which a click takes the cursor. */
  readonly note?: number
  readonly place?: Place
}

export interface Scene {
  readonly model: Model
  readonly view: View
  readonly ink: Ink
  readonly layout: Layout
}

/** A canvas of `width` and `height` CSS pixels; times begin right of the gutter, which holds names. */
export interface Plane {
  readonly ctx: CanvasRenderingContext2D
  readonly width: number
  readonly height: number
  readonly gutter: number
  readonly x: (place: Place) => number
  readonly place: (x: number) => Place
}

const font = (px: number, weight = 400): string => `${weight} ${px}px system-ui, -apple-system, "Segoe UI", sans-serif`

/** Readies a canvas for a new picture. */
export const makePlane = (
  canvas: HTMLCanvasElement,
  gutter: number,
  { left, right }: Pick<View, "left" | "right">
): Plane => {
  const { clientWidth: width, clientHeight: height } = canvas
  const ratio = Math.min(3, window.devicePixelRatio || 1)
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)]
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows })
  const ctx = canvas.getContext("2d")!
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
  ctx.clearRect(0, 0, width, height)
  ctx.textBaseline = "middle"
  const scale = Math.max(1, width - gutter) / (right - left)
  return {
    ctx,
    width,
    height,
    gutter,
    x: (place) => gutter + (place - left) * scale,
    place: (x) => left + (x - gutter) / scale
  }
}

export interface Wording {
  readonly color: string
  readonly px?: number
  readonly weight?: number
  readonly align?: CanvasTextAlign
  /** Cut with an ellipsis beyond this width. */
  readonly max?: number
  /** A colour around the letters, where they stand over lines. */
  readonly halo?: string
}

/** Writes a line of text, cut to fit. */
export const write = ({ ctx }: Plane, text: string, x: number, y: number, how: Wording): void => {
  ctx.font = font(how.px ?? 11, how.weight)
  ctx.fillStyle = how.color
  ctx.textAlign = how.align ?? "left"
  const fitting = how.max === undefined ? text : cut(ctx, text, how.max)
  if (how.halo !== undefined) {
    ctx.strokeStyle = how.halo
    ctx.lineWidth = 3
    ctx.lineJoin = "round"
    ctx.strokeText(fitting, x, y)
  }
  ctx.fillText(fitting, x, y)
}

const cut = (ctx: CanvasRenderingContext2D, text: string, max: number): string => {
  if (ctx.measureText(text).width <= max) return text
  let length = Math.min(text.length, Math.floor(max / 4))
  while (length > 0 && ctx.measureText(`${text.slice(0, length)}…`).width > max) length--
  return length > 0 ? `${text.slice(0, length)}…` : ""
}

/** The width of a text as `write` would write it. */
export const widthOf = ({ ctx }: Plane, text: string, px = 11, weight = 400): number => {
  ctx.font = font(px, weight)
  return ctx.measureText(text).width
}

/** A text on a plate of the paper's colour, so that it can be read over lines. */
export const writePlate = (
  plane: Plane,
  text: string,
  x: number,
  y: number,
  how: Wording & { readonly plate: string }
): number => {
  const { ctx } = plane
  const width = Math.min(how.max ?? Infinity, widthOf(plane, text, how.px, how.weight))
  ctx.fillStyle = how.plate
  ctx.beginPath()
  ctx.roundRect(x - 4, y - 8, width + 8, 16, 4)
  ctx.fill()
  write(plane, text, x, y, { ...how, align: "left", max: width + 1 })
  return width + 8
}

/** A line from top to bottom of what shows times. */
export const upright = (
  { ctx, gutter, width }: Plane,
  x: number,
  from: number,
  to: number,
  color: string,
  px = 1
): void => {
  if (x < gutter - 1 || x > width + 1) return
  ctx.strokeStyle = color
  ctx.lineWidth = px
  ctx.beginPath()
  ctx.moveTo(x, from)
  ctx.lineTo(x, to)
  ctx.stroke()
}

/** Keeps drawing right of the names. */
export const within = ({ ctx, gutter, width }: Plane, top: number, bottom: number, draw: () => void): void => {
  ctx.save()
  ctx.beginPath()
  ctx.rect(gutter, top, width - gutter, bottom - top)
  ctx.clip()
  draw()
  ctx.restore()
}
