/** The blocks as a tree: height upwards, time to the right, the best branch at the end in full colour. */
import { paintCursor, paintFailure } from "./axis.ts"
import { type Block, type Model, tipAt } from "./model.ts"
import { type Plane, type Scene, type Spot, widthOf, within, write } from "./scene.ts"
import { clockText, shortId, shown } from "./text.ts"

/** The nodes whose tip is a block at the cursor. */
interface Pin {
  readonly block: Block
  readonly nodes: ReadonlyArray<number>
}

interface Heights {
  readonly low: number
  readonly high: number
  readonly rowPx: number
  readonly y: (block: Block) => number
  readonly lineY: (height: number) => number
}

const parentOf = ({ blocks }: Model, { parent }: Block): Block | undefined => blocks[parent]

const visibleBlocks = ({ model, view }: Scene): ReadonlyArray<Block> =>
  model.blocks.filter(
    (block) =>
      !Number.isNaN(block.height) &&
      block.at >= view.left &&
      (parentOf(model, block) ?? block).at <= view.right &&
      block.at <= view.right + (view.right - view.left)
  )

const pinsOf = ({ model, view, layout }: Scene): ReadonlyArray<Pin> => {
  const byBlock = new Map<Block, Array<number>>()
  for (const { node } of layout.nodes) {
    const tip = tipAt(model, node, view.cursor.at)
    if (tip === undefined || Number.isNaN(tip.height)) continue
    byBlock.set(tip, [...(byBlock.get(tip) ?? []), node])
  }
  return [...byBlock].map(([block, nodes]) => ({ block, nodes }))
}

const cellPx = 3
const topPx = 24
const bottomPx = 14

const makeHeights = ({ height }: Plane, blocks: ReadonlyArray<Block>, pins: ReadonlyArray<Pin>): Heights => {
  let [low, high] = [Infinity, -Infinity]
  for (const block of [...blocks, ...pins.map(({ block }) => block)]) {
    low = Math.min(low, block.height)
    high = Math.max(high, block.height)
  }
  const room = height - topPx - bottomPx
  const rows = Math.max(1, high - low + 1)
  const rowPx = Math.min(40, room / rows)
  const under = bottomPx + (room - rows * rowPx) / 2
  const lineY = (at: number): number => height - under - (at - low + 0.5) * rowPx
  const y = ({ height: at, rank }: Block): number => lineY(at) + rowPx * Math.min(0.44, rank * 0.3)
  return { low, high, rowPx, y, lineY }
}

const paintLevels = (plane: Plane, { ink }: Scene, { low, high, rowPx, lineY }: Heights): void => {
  if (low > high) return
  const every = Math.max(1, Math.ceil(16 / rowPx))
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000].find((n) => n >= every) ?? every
  for (let height = Math.ceil(low / step) * step; height <= high; height += step) {
    plane.ctx.fillStyle = ink.line
    plane.ctx.fillRect(plane.gutter, Math.round(lineY(height)), plane.width - plane.gutter, 1)
    write(plane, String(height), plane.gutter - 8, lineY(height), { color: ink.muted, px: 10, align: "right" })
  }
}

/** Of blocks that would lie in one small cell the best one is kept: more could not be told apart. */
const thinned = (plane: Plane, blocks: ReadonlyArray<Block>, { y }: Heights): ReadonlyArray<Block> => {
  const cells = new Map<string, Block>()
  for (const block of blocks) {
    const cell = `${Math.round(plane.x(block.at) / cellPx)} ${Math.round(y(block) / cellPx)}`
    if (block.best || !cells.has(cell)) cells.set(cell, block)
  }
  // Sides first: where blocks lie on one another, the best branch is on top.
  return [...cells.values()].sort((a, b) => Number(a.best) - Number(b.best))
}

const traceLink = (path: Path2D, plane: Plane, from: Block, to: Block, { y }: Heights): void => {
  const [x1, x2] = [plane.x(from.at), plane.x(to.at)]
  const bend = Math.min(40, (x2 - x1) / 2)
  path.moveTo(x1, y(from))
  path.bezierCurveTo(x1 + bend, y(from), x2 - bend, y(to), x2, y(to))
}

const paintLinks = (plane: Plane, { model, ink }: Scene, blocks: ReadonlyArray<Block>, heights: Heights): void => {
  const [best, side] = [new Path2D(), new Path2D()]
  for (const block of blocks) {
    const parent = parentOf(model, block)
    if (parent !== undefined && !Number.isNaN(parent.height))
      traceLink(block.best ? best : side, plane, parent, block, heights)
  }
  const { ctx } = plane
  ctx.strokeStyle = ink.muted
  ctx.lineWidth = 1
  ctx.setLineDash([3, 3])
  ctx.stroke(side)
  ctx.setLineDash([])
  ctx.strokeStyle = ink.ink
  ctx.lineWidth = 2
  ctx.stroke(best)
}

const paintBlocks = (
  plane: Plane,
  { model, ink, view }: Scene,
  blocks: ReadonlyArray<Block>,
  heights: Heights
): ReadonlyArray<Spot> => {
  const { ctx } = plane
  const room = (plane.width - plane.gutter) / Math.max(1, blocks.length)
  const size = Math.max(4, Math.min(18, heights.rowPx * 0.8, Math.max(7, room)))
  return blocks.flatMap((block) => {
    const [x, y] = [plane.x(block.at), heights.y(block)]
    if (block.at > view.right) return []
    ctx.beginPath()
    ctx.roundRect(x - size / 2, y - size / 2, size, size, size * 0.28)
    ctx.fillStyle = block.best ? ink.node(block.by) : ink.card
    ctx.fill()
    ctx.strokeStyle = block.best ? ink.card : ink.node(block.by)
    ctx.lineWidth = size > 8 ? 1.6 : 1
    if (size > 8 || !block.best) ctx.stroke()
    const by =
      block.by < 0
        ? "there before the run"
        : `sealed by ${shown(model.packed.nodes[block.by]!)}, ${clockText(block.at)}`
    const branch = block.best ? "best branch" : "side branch"
    return [{ x, y, place: block.at, lines: [`block ${block.height}, ${shortId(block.id)}`, by, branch] }]
  })
}

/** Every node's tip at the cursor: markers over the block, held at the edge if the block is out of the window. */
const paintPins = (plane: Plane, { model, ink }: Scene, pins: ReadonlyArray<Pin>, heights: Heights): void => {
  const { ctx } = plane
  for (const { block, nodes } of pins) {
    const x = Math.min(plane.width - 12, Math.max(plane.gutter + 8, plane.x(block.at)))
    const y = heights.y(block) - Math.max(4, Math.min(9, heights.rowPx * 0.4)) - 2
    const wished = x - ((nodes.length - 1) * 10) / 2
    const left = Math.max(plane.gutter + 8, Math.min(wished, plane.width - nodes.length * 10))
    for (const [i, node] of nodes.entries()) {
      ctx.beginPath()
      ctx.moveTo(left + i * 10, y)
      ctx.lineTo(left + i * 10 - 5, y - 9)
      ctx.lineTo(left + i * 10 + 5, y - 9)
      ctx.closePath()
      ctx.fillStyle = ink.node(node)
      ctx.fill()
      ctx.strokeStyle = ink.card
      ctx.lineWidth = 1
      ctx.stroke()
    }
    const names = nodes.map((node) => shown(model.packed.nodes[node]!)).join(" ")
    const wide = widthOf(plane, names, 10)
    const right = left + nodes.length * 10
    if (wide > 130) continue
    const at = right + wide + 4 < plane.width ? right : left - wide - 9
    write(plane, names, at, y - 5, { color: ink.ink, px: 10, halo: ink.card })
  }
}

const paintGutter = (plane: Plane, { ink, model }: Scene): void => {
  const { ctx, gutter, height } = plane
  ctx.fillStyle = ink.card
  ctx.fillRect(0, 0, gutter, height)
  ctx.fillStyle = ink.line
  ctx.fillRect(gutter - 1, 0, 1, height)
  const sealed = model.packed.blocks.id.length
  write(plane, "Blocks", 10, 14, { color: ink.ink, weight: 650, px: 12 })
  if (sealed === 0) write(plane, "none sealed", 10, 30, { color: ink.muted, px: 10.5 })
  else if (gutter > 100) write(plane, "by height", 10, 30, { color: ink.muted, px: 10.5 })
}

/** Draws the tree and says which blocks can be pointed at. */
export const paintForks = (plane: Plane, scene: Scene): ReadonlyArray<Spot> => {
  const visible = visibleBlocks(scene)
  const pins = pinsOf(scene)
  const heights = makeHeights(plane, visible, pins)
  const blocks = thinned(plane, visible, heights)
  let spots: ReadonlyArray<Spot> = []
  paintGutter(plane, scene)
  paintLevels(plane, scene, heights)
  within(plane, 0, plane.height, () => {
    for (const { from, to, tone } of scene.model.spans) {
      const left = Math.max(plane.gutter, plane.x(from))
      plane.ctx.fillStyle = scene.ink.fault(tone, 0.08)
      if (plane.x(to) > left) plane.ctx.fillRect(left, 0, plane.x(to) - left, plane.height)
    }
    paintLinks(plane, scene, visible, heights)
    spots = paintBlocks(plane, scene, blocks, heights)
    paintFailure(plane, scene, undefined)
    paintCursor(plane, scene, 1)
    paintPins(plane, scene, pins, heights)
  })
  return spots
}
