/** Pictures of the course: boxes, arrows and lines, 360 units wide, in the colours of the page. */
import { svg } from "./draw.ts"

const width = 360
const drawing = (height: number, label: string, ...parts: ReadonlyArray<SVGElement>): SVGElement => {
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "picture", role: "img", "aria-label": label })
  drawn.append(...parts)
  return drawn
}

const words = (x: number, y: number, text: string, kind = ""): SVGElement => {
  const made = svg("text", { x, y, class: kind, "text-anchor": "middle" })
  made.textContent = text
  return made
}

/** A box with its middle at x; lines of text in it. */
const box = (x: number, y: number, wide: number, lines: ReadonlyArray<string>, kind = ""): SVGElement => {
  const made = svg("g", { class: kind })
  const height = 12 + 15 * lines.length
  made.append(svg("rect", { x: x - wide / 2, y, width: wide, height, rx: 6 }))
  made.append(...lines.map((line, i) => words(x, y + 18 + 15 * i, line)))
  return made
}

const arrow = (x: number, y: number, toX: number, toY: number): SVGElement => {
  const long = Math.hypot(toX - x, toY - y)
  const [dx, dy] = [(toX - x) / long, (toY - y) / long]
  const [backX, backY] = [toX - 6 * dx, toY - 6 * dy]
  const head = `M${toX} ${toY}L${backX - 3 * dy} ${backY + 3 * dx}L${backX + 3 * dy} ${backY - 3 * dx}Z`
  const made = svg("g", { class: "arrow" })
  made.append(svg("line", { x1: x, y1: y, x2: backX, y2: backY }), svg("path", { d: head }))
  return made
}

/** The last blocks, each with an arrow to the one before; who asks above, who else has them beside. */
export const drawOverview = (heights: ReadonlyArray<number>): SVGElement => {
  const places = heights.map((_, i) => 180 + (i - (heights.length - 1) / 2) * 110)
  return drawing(
    170,
    `You and other nodes speak to this node, which keeps a chain of blocks, the last of height ${heights.at(-1) ?? 0}`,
    box(60, 8, 100, ["page, program"]),
    box(180, 8, 100, ["this node"], "own"),
    box(300, 8, 100, ["other nodes"]),
    ...[arrow(110, 21, 128, 21), arrow(250, 21, 232, 21), arrow(180, 36, 180, 66)],
    ...heights.map((height, i) =>
      box(places[i]!, 70, 82, ["block", String(height)], i === heights.length - 1 ? "own" : "")
    ),
    ...places.slice(1).map((x, i) => arrow(x - 42, 91, places[i]! + 43, 91)),
    words(180, 140, "each names the hash of the one before:"),
    words(180, 156, "who changes one, changes all that follow")
  )
}

export const drawArchitecture = (): SVGElement =>
  drawing(
    190,
    "Sessions hand to sync, sync to the chain, the chain to the store; the pool feeds the miner and the miner the chain",
    box(60, 10, 100, ["sessions", "one a peer"]),
    box(180, 10, 90, ["sync", "what lacks"]),
    box(300, 10, 90, ["chain", "which wins"], "own"),
    box(60, 110, 100, ["HTTP", "page, programs"]),
    box(180, 110, 90, ["mempool", "what waits"]),
    box(300, 110, 90, ["store", "one writer"]),
    ...[arrow(110, 30, 134, 30), arrow(225, 30, 254, 30), arrow(300, 53, 300, 108)],
    ...[arrow(110, 130, 134, 130), arrow(220, 110, 268, 55), arrow(85, 55, 150, 108)],
    words(180, 180, "each arrow ends in a mailbox, or a writer, with a bound")
  )

export const drawTransaction = (): SVGElement =>
  drawing(
    96,
    "A key signs, the node checks and keeps it in the pool, a block takes it, further blocks bury it",
    box(45, 10, 78, ["sign", "with a key"]),
    box(135, 10, 78, ["check", "and wait"]),
    box(225, 10, 78, ["in a block", "1 deep"], "own"),
    box(315, 10, 78, ["buried", "many deep"], "own"),
    ...[arrow(85, 31, 95, 31), arrow(175, 31, 185, 31), arrow(265, 31, 275, 31)],
    words(180, 76, "without the key nobody can make or change it")
  )

/** Tries on a line from 0 to the largest hash: only what falls below the target seals. `bits`: of the target. */
export const drawMining = (bits: number): SVGElement => {
  // Drawn by the root of the part: the true one would not be seen.
  const target = Math.max(14, 320 * 2 ** (-bits / 6))
  const tries = [0.93, 0.31, 0.66, 0.48, 0.82, 0.57, 0.73, 0.41]
  return drawing(
    110,
    `Of all hashes one in ${2 ** Math.min(bits, 52)} is below the target and seals a block`,
    svg("rect", { x: 20, y: 40, width: 320, height: 14, rx: 4 }),
    svg("rect", { x: 20, y: 40, width: target, height: 14, rx: 4, class: "won" }),
    ...(bits === 0 ? [] : tries).map((part) =>
      svg("circle", { cx: 20 + target + (320 - target) * part, cy: 47, r: 4, class: "lost" })
    ),
    svg("circle", { cx: 20 + target / 2, cy: 47, r: 5, class: "hit" }),
    words(180, 24, "every try is a hash between 0 and the largest"),
    words(180, 78, `one in ${bits > 20 ? `2^${bits}` : 2 ** bits} is below the target (green)`),
    words(180, 96, "finding takes work, checking takes one hash")
  )
}

export const drawFork = (): SVGElement => {
  const places = [40, 110, 180, 250, 320]
  return drawing(
    150,
    "Two branches from one block: the one with more work is the chain, what the other had goes back to the pool",
    ...places.map((x, i) => box(x, i < 2 ? 55 : 20, 50, [["9", "10", "11", "12", "13"][i]!], "own")),
    ...[box(180, 92, 50, ["11"]), box(250, 92, 50, ["12"])],
    ...[arrow(85, 68, 66, 68), arrow(155, 38, 136, 62), arrow(225, 33, 206, 33), arrow(295, 33, 276, 33)],
    ...[arrow(155, 100, 136, 76), arrow(225, 105, 206, 105)],
    words(180, 142, "most work wins; what only the other had waits again")
  )
}

export const drawGates = (): SVGElement =>
  drawing(
    112,
    "What comes from outside passes four gates: a bound, who it is, is it allowed, is it true",
    ...[
      ["bound", "how long?"],
      ["proof", "who is it?"],
      ["price", "how much?"],
      ["rule", "is it true?"]
    ].map((lines, i) => box(45 + 90 * i, 22, 76, lines, i === 3 ? "own" : "")),
    ...[0, 1, 2].map((i) => arrow(84 + 90 * i, 43, 96 + 90 * i, 43)),
    words(180, 86, "cheap before dear: what is refused early costs little,"),
    words(180, 102, "and who sends it pays with its standing")
  )

export const drawReview = (): SVGElement =>
  drawing(
    106,
    "A rule is written, a test tries to break it, a simulation tries it under faults, a person reads it",
    ...["rule", "property", "simulation", "reader"].map((word, i) =>
      box(45 + 90 * i, 18, 78, [word], i === 3 ? "own" : "")
    ),
    ...[0, 1, 2].map((i) => arrow(85 + 90 * i, 31, 95 + 90 * i, 31)),
    words(180, 72, "a test that cannot fail proves nothing:"),
    words(180, 88, "faults are planted to see that it does")
  )
