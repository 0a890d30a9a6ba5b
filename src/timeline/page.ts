/** The page: reads the run that lies in it, draws it, and turns keys, pointer and wheel into views of it. */
import { arrowAt, messageLines } from "./arrows.ts"
import { paintForks } from "./forks.ts"
import { type Ink, readInk } from "./ink.ts"
import { type LanesShown, paintLanes } from "./lanes.ts"
import { type Model, readModel } from "./model.ts"
import { paintOverview } from "./overview.ts"
import type { Packed } from "./packed.ts"
import { byId, showHeader, showHover, showKinds, showPanel } from "./panel.ts"
import { makePlane, type Plane, type Scene, type Spot } from "./scene.ts"
import { grouped } from "./text.ts"
import * as look from "./view.ts"

/** What the last picture holds: `cairnTimeline` in the page, for tests and for the curious at the console. */
export interface Shown {
  readonly view: look.View
  readonly inView: number
  readonly arrows: number
  readonly blocks: number
  readonly pictures: number
}

const model: Model = readModel(JSON.parse(byId("run").textContent) as Packed)
const view = look.makeView(model)
const whole = { left: view.left, right: view.right }
const canvas = {
  overview: byId<HTMLCanvasElement>("overview"),
  lanes: byId<HTMLCanvasElement>("lanes"),
  forks: byId<HTMLCanvasElement>("forks")
}
const filterInput = byId<HTMLInputElement>("filter")

let ink: Ink = readInk()
let scene: Scene
let lanes: LanesShown
let lanesPlane: Plane
let overviewPlane: Plane
let blockSpots: ReadonlyArray<Spot> = []
let pictures = 0
let asked = false

const hintText = ({ inView, arrows }: LanesShown): string => {
  if (view.match !== undefined && view.matches === 0) return "nothing matches the filter"
  const filtered = view.match === undefined ? "" : ` · filter lets ${grouped(view.matches)} through`
  if (inView === 0 && model.messages.count > 0) return `no message in view${filtered}`
  return inView > arrows.length
    ? `${grouped(inView)} messages in view; zoom in for arrows${filtered}`
    : filtered.slice(3)
}

const paint = (): void => {
  asked = false
  const layout = look.layOut(model, view, canvas.lanes.clientHeight)
  view.scroll = Math.max(0, Math.min(view.scroll, layout.height - layout.room))
  scene = { model, view, ink, layout }
  const gutter = innerWidth < 740 ? 92 : 148
  lanesPlane = makePlane(canvas.lanes, gutter, view)
  lanes = paintLanes(lanesPlane, scene)
  blockSpots = paintForks(makePlane(canvas.forks, gutter, view), scene)
  overviewPlane = paintOverview(canvas.overview, gutter, scene, whole)
  byId("hint").textContent = hintText(lanes)
  const { inView, arrows } = lanes
  pictures++
  const drawn: Shown = { view, inView, arrows: arrows.length, blocks: blockSpots.length, pictures }
  Object.assign(globalThis, { cairnTimeline: drawn })
}

/** A picture at the next frame, however often it is asked for until then. */
const repaint = (): void => {
  if (!asked) requestAnimationFrame(paint)
  asked = true
}

const chooseNote = (note: number): void => {
  look.pickNote(model, view, note)
  moved()
}

const panel = (): void =>
  showPanel(
    model,
    view,
    ink,
    scene.layout.nodes.map(({ node }) => node),
    chooseNote
  )

/** After the cursor was moved by other means than the pointer. */
const moved = (): void => {
  look.follow(model, view)
  look.followLane(model, view, scene.layout)
  panel()
  repaint()
}

const setFilter = (query: string): void => {
  if (filterInput.value !== query) filterInput.value = query
  look.filter(model, view, query)
  panel()
  repaint()
}

const toFailure = (): void => {
  if (model.failure === undefined) return
  look.placeCursor(model, view, model.failure.place)
  moved()
}

const foldAll = (): void => {
  const nodes = scene.layout.nodes.map(({ node }) => node)
  if (view.folded.size > 0) view.folded.clear()
  else for (const node of nodes) view.folded.add(node)
  repaint()
}

const stepBy = (by: 1 | -1, notes: boolean): void => {
  if (notes ? look.stepNote(model, view, by) : look.stepMessage(model, view, by)) moved()
}

const toEnd = (by: 1 | -1): void => {
  if (look.stepToEnd(model, view, by)) moved()
}

const zoomAtCursor = (factor: number): void => {
  look.follow(model, view)
  look.zoom(model, view, factor, view.cursor.at)
  repaint()
}

const scrollBy = (px: number): void => {
  view.scroll += px
  repaint()
}

const showAll = (): void => {
  look.fit(model, view)
  repaint()
}

const keys: Readonly<Record<string, (event: KeyboardEvent) => void>> = {
  ArrowLeft: ({ shiftKey }) => stepBy(-1, shiftKey),
  ArrowRight: ({ shiftKey }) => stepBy(1, shiftKey),
  ArrowUp: () => scrollBy(-60),
  ArrowDown: () => scrollBy(60),
  Home: () => toEnd(1),
  End: () => toEnd(-1),
  "+": () => zoomAtCursor(0.6),
  "=": () => zoomAtCursor(0.6),
  "-": () => zoomAtCursor(1 / 0.6),
  "0": showAll,
  "/": () => filterInput.focus(),
  c: foldAll,
  f: toFailure,
  "?": () => byId<HTMLDialogElement>("help").showModal(),
  Escape: () => setFilter("")
}

const onKey = (event: KeyboardEvent): void => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId<HTMLDialogElement>("help").open) return
  if (event.target === filterInput) {
    if (event.key === "Enter" || event.key === "Escape") filterInput.blur()
    if (event.key === "Escape") setFilter("")
    return
  }
  const act = keys[event.key]
  if (act === undefined) return
  event.preventDefault()
  act(event)
}

/** The spot or arrow under the pointer. */
const spotAt = (spots: ReadonlyArray<Spot>, x: number, y: number): Spot | undefined =>
  spots.find((spot) => Math.hypot(spot.x - x, spot.y - y) < 9)

const under = (target: HTMLCanvasElement, x: number, y: number) => {
  if (x < lanesPlane.gutter) return {}
  if (target === canvas.forks) return { spot: spotAt(blockSpots, x, y) }
  const spot = spotAt(lanes.notes, x, y)
  return spot === undefined ? { arrow: arrowAt(lanes.arrows, x, y) } : { spot }
}

const hover = (target: HTMLCanvasElement, { offsetX: x, offsetY: y, clientX, clientY }: PointerEvent): void => {
  const { spot, arrow } = under(target, x, y)
  const lines = spot?.lines ?? (arrow === undefined ? undefined : messageLines(model, arrow.message))
  showHover(lines, clientX, clientY)
  canvas.lanes.classList.toggle("over-names", x < lanesPlane.gutter)
}

const foldAt = (y: number): void => {
  const at = y - scene.layout.head + view.scroll
  const group = scene.layout.nodes.find(({ top, height }) => at >= top && at < top + height)
  if (group === undefined || model.lanesOf[group.node]!.length === 0) return
  if (!view.folded.delete(group.node)) view.folded.add(group.node)
  repaint()
}

const click = (target: HTMLCanvasElement, { offsetX: x, offsetY: y }: PointerEvent): void => {
  if (x < lanesPlane.gutter) return target === canvas.lanes ? foldAt(y) : undefined
  const { spot, arrow } = under(target, x, y)
  if (spot?.note !== undefined) look.pickNote(model, view, spot.note)
  else if (arrow !== undefined) look.pickMessage(model, view, arrow.message)
  else look.placeCursor(model, view, spot?.place ?? Math.min(model.last, Math.max(model.first, lanesPlane.place(x))))
  panel()
  repaint()
}

/** Dragging pans, two fingers zoom, and what did not move was a click. */
const listenTo = (target: HTMLCanvasElement): void => {
  const fingers = new Map<number, PointerEvent>()
  let travelled = 0
  target.addEventListener("pointerdown", (event) => {
    if (fingers.size === 0) travelled = 0
    fingers.set(event.pointerId, event)
    target.setPointerCapture(event.pointerId)
    showHover(undefined, 0, 0)
  })
  target.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId)
    if (before === undefined) return hover(target, event)
    travelled += Math.abs(event.offsetX - before.offsetX) + Math.abs(event.offsetY - before.offsetY)
    if (travelled < 4) return
    document.body.classList.add("dragging")
    const other = [...fingers.values()].find(({ pointerId }) => pointerId !== event.pointerId)
    if (other !== undefined) {
      const spread = (e: PointerEvent): number => Math.max(20, Math.abs(e.offsetX - other.offsetX))
      look.zoom(model, view, spread(before) / spread(event), lanesPlane.place((event.offsetX + other.offsetX) / 2))
    }
    const share = other === undefined ? 1 : 0.5
    const ms = lanesPlane.place(before.offsetX) - lanesPlane.place(event.offsetX)
    look.pan(model, view, ms * share)
    if (target === canvas.lanes) view.scroll += (before.offsetY - event.offsetY) * share
    fingers.set(event.pointerId, event)
    repaint()
  })
  const lift = (event: PointerEvent): void => {
    if (!fingers.delete(event.pointerId) || fingers.size > 0) return
    document.body.classList.remove("dragging")
    if (travelled < 4 && event.type === "pointerup") click(target, event)
  }
  target.addEventListener("pointerup", lift)
  target.addEventListener("pointercancel", lift)
  target.addEventListener("pointerleave", () => showHover(undefined, 0, 0))
  target.addEventListener("wheel", (event) => wheel(target, event), { passive: false })
}

const wheel = (target: HTMLCanvasElement, event: WheelEvent): void => {
  event.preventDefault()
  const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 300 : 1
  const [dx, dy] = [event.deltaX * unit, event.deltaY * unit]
  showHover(undefined, 0, 0)
  // Browsers turn shift and the wheel into a sideways wheel; a trackpad's own sideways move pans.
  if (target === canvas.lanes && (event.shiftKey || event.offsetX < lanesPlane.gutter)) return scrollBy(dy || dx)
  if (Math.abs(dx) > Math.abs(dy)) look.pan(model, view, lanesPlane.place(dx) - lanesPlane.place(0))
  else look.zoom(model, view, Math.exp(Math.max(-1, Math.min(1, dy * 0.002))), lanesPlane.place(event.offsetX))
  repaint()
}

const listenToOverview = (): void => {
  const move = ({ buttons, offsetX }: PointerEvent): void => {
    if (buttons === 0) return
    const half = (view.right - view.left) / 2
    const middle = overviewPlane.place(offsetX)
    look.showWindow(model, view, middle - half, middle + half)
    repaint()
  }
  canvas.overview.addEventListener("pointerdown", (event) => {
    canvas.overview.setPointerCapture(event.pointerId)
    move(event)
  })
  canvas.overview.addEventListener("pointermove", move)
  canvas.overview.addEventListener("wheel", (event) => {
    event.preventDefault()
    look.zoom(model, view, Math.exp(event.deltaY * 0.002), overviewPlane.place(event.offsetX))
    repaint()
  })
}

const listenToButtons = (): void => {
  const press = (id: string, act: () => void): void => byId(id).addEventListener("click", act)
  press("back", () => stepBy(-1, false))
  press("on", () => stepBy(1, false))
  press("note-back", () => stepBy(-1, true))
  press("note-on", () => stepBy(1, true))
  press("to-failure", toFailure)
  press("fit", showAll)
  press("help-open", () => byId<HTMLDialogElement>("help").showModal())
  filterInput.addEventListener("input", () => setFilter(filterInput.value))
}

const start = (): void => {
  showHeader(model)
  showKinds(model, setFilter)
  look.foldMany(model, view, canvas.lanes.clientHeight)
  paint()
  panel()
  listenTo(canvas.lanes)
  listenTo(canvas.forks)
  listenToOverview()
  listenToButtons()
  addEventListener("keydown", onKey)
  new ResizeObserver(repaint).observe(canvas.lanes)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    ink = readInk()
    panel()
    repaint()
  })
}

start()
