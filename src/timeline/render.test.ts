/** The timeline without a browser: what the file holds, that texts stay texts, and that the page's model says what the run said. */
import { describe, expect, test } from "bun:test"
import { generatedRun, handMadeRun } from "../../test/timeline-runs.ts"
import { renderTimeline } from "./render.ts"
import { laneName, type Model, readModel, tipAt } from "./model.ts"
import { pack, type Packed } from "./packed.ts"
import { clockText, shown } from "./text.ts"
import {
  filter,
  followLane,
  foldMany,
  layOut,
  makeView,
  pan,
  pickMessage,
  placeCursor,
  stepMessage,
  stepNote,
  stepToEnd,
  zoom
} from "./view.ts"
import type { Run } from "../sim/trace.ts"

const dataOf = (html: string): Packed =>
  JSON.parse(/<script type="application\/json" id="run">(.*?)<\/script>/s.exec(html)![1]!) as Packed
const modelOf = (run: Run): Model => readModel(dataOf(renderTimeline(run)))
const model = modelOf(handMadeRun)
const emptyRun: Run = {
  title: "nothing",
  facts: [],
  endMs: 0,
  lanes: [],
  messages: [],
  forgotten: 0,
  spans: [],
  notes: [],
  blocks: [],
  tips: [],
  failure: undefined
}

describe("the file", () => {
  const html = renderTimeline(handMadeRun)

  test("may run its own script and style and load nothing: the policy has their hashes and no host", () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!
    const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("base64")
    const script = /<script>(.*)<\/script>\n<\/body>/s.exec(html)![1]!
    const style = /<style>(.*?)<\/style>/s.exec(html)![1]!
    expect(policy).toBe(
      `default-src 'none'; style-src 'sha256-${hashOf(style)}'; script-src 'sha256-${hashOf(script)}'; img-src data:`
    )
    expect(html.match(/\b(src|href)="(?!data:,")/g)).toBeNull()
    expect(html).not.toMatch(/https?:\/\/|@import|\bimport\(|\{\{\w+\}\}/)
  })

  const hostile = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]></title><img src=x onerror=alert(1)>",
    "$& $` $' {{run}} {{script}}",
    "\u2028\u2029\ud800 \u202eevil\u0000"
  ]
  for (const text of hostile)
    test(`a text is data: ${JSON.stringify(text)}`, () => {
      const lanes = [{ node: text, actor: text }]
      const notes = [{ at: 1, step: 1, node: text, kind: text, text }]
      const messages = [{ kind: text, from: -1, to: 0, sentAt: 1, begunAt: 1, taken: true, step: 1 }]
      const blocks = [{ id: text, parent: `${text}!`, height: 1, by: text, at: 1 }]
      const failure = { at: 1, text }
      const run: Run = { ...emptyRun, title: text, facts: [[text, text]], lanes, notes, messages, blocks, failure }
      const bad = renderTimeline(run)
      for (const tag of [/<script/g, /<\/script/g, /<!--/g, /<img/g, /<title/g])
        expect(bad.match(tag)?.length).toBe(html.match(tag)?.length)
      const data = dataOf(bad)
      expect(data).toMatchObject({
        title: text,
        kinds: [text],
        nodes: [text],
        ids: [text, `${text}!`],
        lanes,
        notes,
        failure
      })
    })

  test("a sign that is not seen or turns the text around is shown as a box", () => {
    expect(shown("a\u202eb\u0000c\u200bd")).toBe("a\u25afb\u25afc\u25afd")
    expect(shown("x".repeat(301))).toBe(`${"x".repeat(300)}…`)
  })

  test("200,000 messages are less than 20 bytes each", () => {
    const run = generatedRun(200_000, 5, 7_200_000)
    const empty = renderTimeline({ ...run, messages: [] }).length
    expect(renderTimeline(run).length - empty).toBeLessThan(200_000 * 20)
  })
})

describe("the model", () => {
  test("gives back every message, in order of time and step", () => {
    const rows = (read: Model): ReadonlyArray<unknown> =>
      [...read.messages.kind].map((kind, i) => {
        const { from, to, at, wait, lost, step } = read.messages
        const begunAt = wait[i]! < 0 ? undefined : at[i]! + wait[i]!
        const [source, target] = [from[i]!, to[i]!]
        return {
          kind: read.packed.kinds[kind],
          from: source,
          to: target,
          sentAt: at[i],
          begunAt,
          taken: lost[i] === 0,
          step: step[i]
        }
      })
    expect(rows(model)).toEqual([...handMadeRun.messages])
    expect(rows(modelOf({ ...handMadeRun, messages: handMadeRun.messages.toReversed() }))).toEqual([
      ...handMadeRun.messages
    ])
    const large = generatedRun(20_000, 8, 3_600_000)
    const sorted = large.messages.toSorted((a, b) => a.sentAt - b.sentAt || a.step - b.step)
    expect(rows(modelOf(large))).toEqual(sorted)
  })

  test("times that are no whole milliseconds do not drift", () => {
    const messages = Array.from({ length: 5000 }, (_, i) => ({
      ...handMadeRun.messages[0]!,
      sentAt: i * 0.1,
      begunAt: i * 0.1,
      step: i
    }))
    const { at } = modelOf({ ...handMadeRun, messages }).messages
    expect([...at]).toEqual(messages.map(({ sentAt }) => Math.round(sentAt * 1000) / 1000))
  })

  test("spreads a millisecond in the order of its steps, and no message lies on another or in the next millisecond", () => {
    expect([...model.messages.sent.subarray(0, 4)]).toEqual([10, 10.3, 10.6, 30])
    const messages = Array.from({ length: 3000 }, (_, i) => ({
      ...handMadeRun.messages[0]!,
      sentAt: 7_000_000 + (i >> 11),
      step: i
    }))
    const { sent } = modelOf({ ...handMadeRun, messages }).messages
    for (let i = 1; i < sent.length; i++) expect(sent[i]!).toBeGreaterThan(sent[i - 1]!)
    expect(sent[2047]!).toBeLessThan(7_000_001)
    expect(sent[2048]).toBe(7_000_001)
  })

  test("knows the best branch, the side branch, and the height of a block that was there before", () => {
    const told = model.blocks.map(({ id, height, best, rank }) => [id, height, best, rank])
    expect(told).toEqual([
      ["a1", 1, true, 0],
      ["b1", 1, false, 1],
      ["a2", 2, true, 0],
      ["genesis", 0, true, 0]
    ])
  })

  test("most nodes decide which branch was the best, not the height of a block that few or none ended with", () => {
    const higher = { id: "b2", parent: "b1", height: 9, by: "yew", at: 60 }
    const best = modelOf({ ...handMadeRun, blocks: [...handMadeRun.blocks, higher] }).blocks.filter(
      (block) => block.best
    )
    expect(best.map(({ id }) => id)).toEqual(["a1", "a2", "genesis"])
    const strays = [...handMadeRun.tips, { node: "fir", at: 95, block: "b2" }]
    const voted = modelOf({ ...handMadeRun, tips: strays, blocks: [...handMadeRun.blocks, higher] }).blocks
    expect(voted.filter((block) => block.best).map(({ id }) => id)).toEqual(["a1", "a2", "genesis"])
  })

  test("says every node's tip at a time", () => {
    const tips = [-1, 0, 29, 30, 89, 90].map((at) => [0, 1].map((node) => tipAt(model, node, at)?.id))
    expect(tips).toEqual([
      [undefined, undefined],
      ["genesis", "genesis"],
      ["a1", "genesis"],
      ["a1", "b1"],
      ["a2", "b1"],
      ["a2", "a2"]
    ])
  })

  test("blocks that are each other's parents end", () => {
    const blocks = [
      { id: "x", parent: "y", height: 2, by: "oak", at: 1 },
      { id: "y", parent: "x", height: 1, by: "oak", at: 2 }
    ]
    expect(modelOf({ ...emptyRun, blocks }).blocks.every(({ best }) => best)).toBe(true)
  })

  test("a run of nothing has an axis and a view", () => {
    const nothing = modelOf(emptyRun)
    const view = makeView(nothing)
    expect(view.right).toBeGreaterThan(view.left)
    expect(stepMessage(nothing, view, 1) || stepNote(nothing, view, -1)).toBe(false)
    expect(layOut(nothing, view, 400).nodes).toEqual([])
    expect(laneName(nothing, 0)).toBe("outside")
  })
})

describe("the view", () => {
  test("opens at the failure, and steps through every message and note once, there and back", () => {
    const view = makeView(model)
    expect(view.cursor).toEqual({ at: 95, message: 8, note: -1 })
    const seen = [view.cursor.message]
    while (stepMessage(model, view, -1)) seen.push(view.cursor.message)
    expect(seen).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0])
    placeCursor(model, view, -Infinity)
    let steps = 0
    while (stepMessage(model, view, 1)) steps++
    expect([steps, view.cursor.message]).toEqual([9, 8])
    const notes: Array<number> = []
    while (stepNote(model, view, -1)) notes.push(view.cursor.note)
    expect(notes).toEqual([1, 0])
    expect([stepToEnd(model, view, 1), view.cursor.message]).toEqual([true, 0])
    expect([stepToEnd(model, view, -1), view.cursor.message]).toEqual([true, 8])
  })

  test("notes of one step are gone through one by one", () => {
    const note = handMadeRun.notes[0]!
    const same = modelOf({ ...handMadeRun, notes: [note, { ...note, kind: "again" }, { ...note, kind: "and again" }] })
    const view = makeView(same)
    placeCursor(same, view, 0)
    const seen: Array<number> = []
    while (stepNote(same, view, 1)) seen.push(view.cursor.note)
    expect(seen).toEqual([0, 1, 2])
  })

  const letsThrough = (query: string): ReadonlyArray<number> => {
    const view = makeView(model)
    filter(model, view, query)
    expect(view.matches).toBe(view.match?.reduce((sum, one) => sum + one, 0) ?? 9)
    return [...model.messages.kind.keys()].filter((i) => view.match === undefined || view.match[i] === 1)
  }
  test("filters by kind, actor and fate; all words must fit", () => {
    expect(letsThrough("")).toHaveLength(9)
    expect(letsThrough("tipmoved")).toEqual([1, 4])
    expect(letsThrough("TIP yew")).toEqual([4])
    expect(letsThrough("lost")).toEqual([5])
    expect(letsThrough("never begun")).toEqual([8])
    expect(letsThrough("outside miner")).toEqual([])
    expect(letsThrough("outside session")).toEqual([8])
  })

  test("stepping passes over what the filter keeps back, notes too", () => {
    const view = makeView(model)
    filter(model, view, "block")
    expect(view.cursor.message).toBe(7)
    expect(stepMessage(model, view, -1)).toBe(true)
    expect(stepMessage(model, view, -1)).toBe(true)
    expect([view.cursor.message, stepMessage(model, view, -1)]).toEqual([5, false])
    filter(model, view, "inbox")
    placeCursor(model, view, 100)
    expect([stepNote(model, view, -1), view.cursor.note, stepNote(model, view, -1)]).toEqual([true, 0, false])
  })

  test("zooming keeps the place under the pointer, down to where 200,000 messages of a millisecond are apart", () => {
    const view = makeView(model)
    const share = (): number => (30 - view.left) / (view.right - view.left)
    const before = share()
    zoom(model, view, 0.01, 30)
    expect(share()).toBeCloseTo(before, 9)
    for (let i = 0; i < 99; i++) zoom(model, view, 0.5, 30)
    expect(view.right - view.left).toBeCloseTo(1e-4, 9)
    expect(share()).toBeCloseTo(before, 6)
  })

  test("the window stays at the run", () => {
    const view = makeView(model)
    const whole = [view.left, view.right]
    zoom(model, view, 50, 40)
    expect([view.left, view.right]).toEqual([expect.closeTo(whole[0]!, 9), expect.closeTo(whole[1]!, 9)])
    zoom(model, view, 0.1, 50)
    pan(model, view, 1e9)
    expect(view.right).toBeCloseTo(whole[1]!, 9)
    expect(view.right - view.left).toBeCloseTo((whole[1]! - whole[0]!) / 10, 6)
  })

  test("a folded node has one row for its lanes, the others share the room that is left", () => {
    const view = makeView(model)
    const open = layOut(model, view, 400)
    expect(new Set(open.laneY).size).toBe(4)
    view.folded.add(0)
    const folded = layOut(model, view, 400)
    expect(folded.laneY[0]).toBe(folded.laneY[1]!)
    expect(folded.height).toBeLessThan(open.height)
    expect(layOut(model, view, 0).laneHeight).toBeGreaterThanOrEqual(15)
  })

  test("names are in the order people give them", () => {
    const lanes = ["n10", "n2"].flatMap((node) =>
      ["session-10", "session-9", "chain"].map((actor) => ({ node, actor }))
    )
    const { packed, lanesOf } = modelOf({ ...emptyRun, lanes })
    expect(packed.nodes).toEqual(["n2", "n10"])
    expect(lanesOf[0]!.map((lane) => packed.lanes[lane]!.actor)).toEqual(["chain", "session-9", "session-10"])
  })

  test("faults that overlap get three rows, and their words end where the next one of the row begins", () => {
    const span = handMadeRun.spans[0]!
    const spans = [20, 30, 40, 50, 60].map((from) => ({ ...span, from, to: from + 40 }))
    const rows = modelOf({ ...handMadeRun, spans }).spans.map(({ row, next }) => [row, next])
    expect(rows).toEqual([
      [0, 60],
      [1, Infinity],
      [2, 50],
      [2, Infinity],
      [0, Infinity]
    ])
  })

  test("the lanes of a message that is stepped to are scrolled into sight", () => {
    const view = makeView(model)
    const layout = layOut(model, view, 120)
    expect(layout.height).toBeGreaterThan(layout.room)
    pickMessage(model, view, 7)
    followLane(model, view, layout)
    expect(view.scroll).toBeGreaterThan(0)
    expect(layout.laneY[2]! - view.scroll).toBeGreaterThan(0)
    expect(layout.laneY[3]! - view.scroll).toBeLessThan(layout.room)
    pickMessage(model, view, 0)
    followLane(model, view, layout)
    expect(view.scroll).toBe(0)
  })

  test("all nodes are folded from the start if their lanes are far more than fits", () => {
    const view = makeView(model)
    foldMany(model, view, 400)
    expect(view.folded.size).toBe(0)
    foldMany(model, view, 80)
    expect(view.folded.size).toBe(2)
  })

  test("the cursor on a message is its place, so that tips and times are those when it was sent", () => {
    const view = makeView(model)
    pickMessage(model, view, 2)
    expect(view.cursor).toEqual({ at: 10.6, message: 2, note: -1 })
    expect(clockText(view.cursor.at)).toBe("0:00.010")
  })
})

test("a large run is packed in columns of one length", () => {
  const { messages } = pack(generatedRun(5000, 3, 60_000))
  const { lost, ...columns } = messages
  expect(Object.values(columns).map(({ length }) => length)).toEqual([5000, 5000, 5000, 5000, 5000, 5000])
  expect(lost.length).toBeGreaterThan(0)
})
