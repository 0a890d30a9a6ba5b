/** A run as the page carries it: columns of small numbers, differences instead of times, every text once. */
import type { Lane, Run, Span } from "../sim/trace.ts"

type Numbers = ReadonlyArray<number>

/** Times are milliseconds, rounded to thousandths. Columns of one table have the same length. */
export interface Packed {
  readonly title: string
  readonly facts: Run["facts"]
  readonly endMs: number
  readonly forgotten: number
  readonly failure: NonNullable<Run["failure"]> | null
  readonly lanes: ReadonlyArray<Lane>
  /** Texts that the columns name by number: kinds of messages, names of nodes, ids of blocks. */
  readonly kinds: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<string>
  readonly ids: ReadonlyArray<string>
  /** `at` and `step` are differences to the row before; `wait` is -1 if never begun; `lost` lists rows not taken. */
  readonly messages: {
    readonly at: Numbers
    readonly step: Numbers
    readonly kind: Numbers
    readonly from: Numbers
    readonly to: Numbers
    readonly wait: Numbers
    readonly lost: Numbers
  }
  readonly notes: Run["notes"]
  readonly spans: ReadonlyArray<Span>
  readonly blocks: {
    readonly id: Numbers
    readonly parent: Numbers
    readonly height: Numbers
    readonly by: Numbers
    readonly at: Numbers
  }
  /** `at` is a difference to the row before. */
  readonly tips: { readonly node: Numbers; readonly block: Numbers; readonly at: Numbers }
}

const thousandths = (ms: number): number => Math.round(ms * 1000) / 1000

/** Numbers texts in the order in which they are first asked for. */
const makeNumbering = () => {
  const numbers = new Map<string, number>()
  const numberOf = (text: string): number => {
    const known = numbers.get(text)
    if (known !== undefined) return known
    numbers.set(text, numbers.size)
    return numbers.size - 1
  }
  return { numberOf, texts: () => [...numbers.keys()] }
}

/** As people sort names: n2 before n10. */
export const natural = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true })

const differences = (values: Numbers): Numbers => values.map((value, i) => thousandths(value - (values[i - 1] ?? 0)))
const byTime = <A extends { readonly at: number }>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
  rows.toSorted((a, b) => a.at - b.at)

/** Packs a run. Rows are put in order of time, those of one time in order of their steps. */
export const pack = (run: Run): Packed => {
  const kinds = makeNumbering()
  const nodes = makeNumbering()
  const ids = makeNumbering()
  for (const node of run.lanes.map((lane) => lane.node).sort(natural)) nodes.numberOf(node)
  const sent = run.messages.toSorted((a, b) => a.sentAt - b.sentAt || a.step - b.step)
  const notes = run.notes.toSorted((a, b) => a.at - b.at || a.step - b.step)
  const blocks = byTime(run.blocks)
  const tips = byTime(run.tips)
  const packed = {
    messages: {
      at: differences(sent.map(({ sentAt }) => thousandths(sentAt))),
      step: differences(sent.map(({ step }) => step)),
      kind: sent.map(({ kind }) => kinds.numberOf(kind)),
      from: sent.map(({ from }) => from),
      to: sent.map(({ to }) => to),
      wait: sent.map(({ sentAt, begunAt }) => (begunAt === undefined ? -1 : thousandths(begunAt - sentAt))),
      lost: sent.flatMap(({ taken }, i) => (taken ? [] : [i]))
    },
    blocks: {
      id: blocks.map(({ id }) => ids.numberOf(id)),
      parent: blocks.map(({ parent }) => ids.numberOf(parent)),
      height: blocks.map(({ height }) => height),
      by: blocks.map(({ by }) => nodes.numberOf(by)),
      at: blocks.map(({ at }) => thousandths(at))
    },
    tips: {
      node: tips.map(({ node }) => nodes.numberOf(node)),
      block: tips.map(({ block }) => ids.numberOf(block)),
      at: differences(tips.map(({ at }) => thousandths(at)))
    }
  }
  const { title, facts, endMs, forgotten, failure = null, lanes, spans } = run
  const texts = { kinds: kinds.texts(), nodes: nodes.texts(), ids: ids.texts() }
  return { title, facts, endMs, forgotten, failure, lanes, notes, spans, ...texts, ...packed }
}
