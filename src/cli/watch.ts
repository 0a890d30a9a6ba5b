/** `cairn testnet watch`: the heads of several nodes, again and again, until they are told to be equal. */
import { Clock, Effect } from "effect"
import { attempt } from "./attempt.ts"
import { type Failure, failure } from "./failure.ts"
import { type HeadState, type HeadView, HeadWatch, type Round, summaryOf } from "./heads.ts"
import { formatDuration, isTerminal, paint, type Style } from "./output.ts"

export interface WatchOptions {
  readonly urls: ReadonlyArray<string>
  readonly intervalMs: number
  /** End when all heads are equal; undefined: go on until Ctrl-C. `timeoutMs`: how long to wait for it. */
  readonly untilEqual: { readonly timeoutMs: number } | undefined
}

const styles: Readonly<Record<HeadState, Style>> = {
  best: "green",
  behind: "yellow",
  forked: "red",
  "other-chain": "red",
  away: "dim"
}

const remarks = { best: "best head", behind: "behind", "other-chain": "another chain", away: "away" } as const

const remarkOf = ({ state, fork_height }: HeadView): string => {
  if (state !== "forked") return remarks[state]
  return fork_height === null ? "another branch" : `another branch above height ${fork_height}`
}

/** The table of a round: columns aligned, numbers to the right. */
export const tableOf = (round: Round): ReadonlyArray<string> => {
  const isFinal = round.nodes.some(({ final_height }) => final_height !== null)
  const titles = ["node", "height", "head", ...(isFinal ? ["final"] : []), "work", "peers", "for", ""]
  const cells = round.nodes.map((node) => [
    node.url,
    String(node.height ?? "–"),
    node.hash?.slice(0, 12) ?? "–",
    ...(isFinal ? [String(node.final_height ?? "–")] : []),
    node.work ?? "–",
    String(node.peers ?? "–"),
    formatDuration(round.time - node.since),
    remarkOf(node)
  ])
  const isNumber = (column: number): boolean => ["height", "final", "work", "peers", "for"].includes(titles[column]!)
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)))
  const line = (row: ReadonlyArray<string>): string =>
    row
      .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd()
  return [
    paint("dim", line(titles)),
    ...cells.map((row, i) => paint(styles[round.nodes[i]!.state], line(row))),
    "",
    paint(round.equal ? "green" : "bold", summaryOf(round))
  ]
}

/** Prints rounds: on a terminal each in place of the one before, in a pipe a line each. */
const makeShow = (): ((round: Round) => void) => {
  let drawn = 0
  return (round) => {
    if (!isTerminal()) return void process.stdout.write(`${JSON.stringify(round)}\n`)
    const lines = tableOf(round)
    const back = drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`
    process.stdout.write(`${back}${lines.join("\n")}\n`)
    // A line that is wider than the terminal takes several of its rows.
    const columns = process.stdout.columns || 80
    drawn = lines.reduce((sum, one) => sum + Math.max(1, Math.ceil(Bun.stringWidth(one) / columns)), 0)
  }
}

/** Looks at the nodes until their heads are equal, if that is asked for. */
export const watch = ({ urls, intervalMs, untilEqual }: WatchOptions): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = (): number => clock.currentTimeMillisUnsafe()
    const heads = new HeadWatch(urls, now)
    const show = makeShow()
    const end = untilEqual === undefined ? Infinity : now() + untilEqual.timeoutMs
    for (;;) {
      const round = yield* attempt(() => heads.look())
      show(round)
      if (untilEqual !== undefined && round.equal) return
      if (now() >= end) return yield* Effect.fail(differ(round))
      yield* Effect.sleep(Math.min(intervalMs, end - now()))
    }
  })

const differ = (round: Round): Failure => {
  const isThere = round.nodes.some(({ state }) => state !== "away")
  const hint = "Start them (cairn testnet start), or name others: cairn testnet watch URL URL."
  return isThere
    ? failure("refused", "heads-differ", `The heads are not equal: ${summaryOf(round)}.`)
    : failure("unreachable", "unreachable", "None of the nodes answers.", hint)
}
