/** `cairn replay`: runs what a recorded node did again, offline, and says whether it came out the same. */
import { findEpochs, FlightFault, readEpoch } from "../flight/epoch.ts"
import { replayEpoch, type Replayed, type ReplayOptions, type Verdict } from "../flight/replay.ts"
import { failure, type Failure } from "./failure.ts"
import { formatDuration, isTerminal, makeProgress, paint, print, rows } from "./output.ts"
import { version } from "./version.ts"

export interface ReplayWish {
  readonly folder: string
  /** A height, or `step:` and the number of an entry. */
  readonly until: string | undefined
  /** Prints the messages of this actor; "all": of every one. */
  readonly trace: string | undefined
  readonly now: () => number
}

const untilOf = (text: string | undefined): ReplayOptions["until"] => {
  if (text === undefined) return undefined
  const match = /^(step:)?(\d{1,15})$/.exec(text)
  if (match === null)
    throw failure("usage", "until-invalid", `--until: "${text}" is neither a height nor step: and a number.`)
  return match[1] === undefined ? { height: Number(match[2]) } : { entry: Number(match[2]) }
}

const secondsOf = (ms: number): string => (ms / 1000).toFixed(3)

/** Prints one message; a pipe gets JSON lines. */
const printMessage = ({ entry, atMs, task, actor, kind }: Replayed): void => {
  const place = `${String(entry).padStart(8)} ${secondsOf(atMs).padStart(10)} s`
  print({ entry, ms: atMs, task, actor, kind }, [`${paint("dim", place)}  ${actor.padEnd(12)} ${kind}`])
}

const printVerdict = (epoch: string, verdict: Verdict, ms: number): void => {
  const { outcome, entries, messages, tasks, atMs, digest, height, tip, root, stopped, torn } = verdict
  const { damage, divergence } = verdict
  const value = {
    epoch,
    outcome,
    stopped,
    height,
    tip,
    state_root: root,
    digest,
    entries,
    messages,
    tasks,
    recorded_ms: atMs,
    replay_ms: ms,
    torn_bytes: torn,
    damage: damage ?? null,
    divergence: divergence === undefined ? null : { ...divergence, at_ms: divergence.atMs, atMs: undefined }
  }
  const differs =
    divergence === undefined
      ? []
      : [
          "",
          `  ${paint("red", `The replay differs at entry ${divergence.entry}, ${secondsOf(divergence.atMs)} s`)}`,
          ...rows([
            ["expected", divergence.expected],
            ["found", divergence.found]
          ]),
          "",
          `  ${paint("bold", "Before")}`,
          ...divergence.before.map((line) => `  ${line}`)
        ]
  print(value, [
    `${paint(outcome === "identical" ? "green" : "red", outcome)} ${epoch}${stopped ? " (as far as --until)" : ""}`,
    ...rows([
      ["tip", `${height} ${tip}`],
      ["state root", root],
      ["digest", digest],
      ["journal", `${entries} entries, ${messages} messages, ${tasks} tasks`],
      ["time", `${formatDuration(atMs)}, replayed in ${formatDuration(ms)}`],
      ...(torn > 0 ? [["cut off", `${torn} bytes at the end: the node was killed while it wrote`] as const] : []),
      ...(damage === undefined ? [] : [["damage", damage] as const])
    ]),
    ...differs
  ])
}

const badEnd = (epoch: string, { divergence, damage }: Verdict): Failure =>
  divergence === undefined
    ? failure("failed", "journal-damaged", `The journal is not as it was written: ${damage}`)
    : failure(
        "failed",
        "replay-diverged",
        `${epoch} runs otherwise from entry ${divergence.entry} on: ${divergence.found} instead of ${divergence.expected}.`,
        "Was it recorded by this version of the program? Then what differs is not a function of the journal: a bug, or a disk error."
      )

/** Replays every epoch of a recording. Throws Failure for the first that does not come out as recorded. */
export const replay = async (wish: ReplayWish): Promise<void> => {
  const until = untilOf(wish.until)
  const progress = makeProgress(wish.now, 5_000)
  try {
    for (const folder of findEpochs(wish.folder)) {
      const epoch = readEpoch(folder)
      if (epoch.version !== version)
        process.stderr.write(`${folder} was recorded by version ${epoch.version}; this is ${version}.\n`)
      const began = wish.now()
      const verdict = await replayEpoch(epoch, {
        ...(until === undefined ? {} : { until }),
        ...(wish.trace === undefined
          ? {}
          : { onMessage: (one) => (wish.trace === "all" || one.actor === wish.trace ? printMessage(one) : undefined) }),
        onProgress: ({ entries, atMs, height }) =>
          progress(`replaying: ${formatDuration(atMs)} of the recording, height ${height}, ${entries} entries`, {
            entries,
            recorded_ms: atMs,
            height
          })
      })
      if (isTerminal() && process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
      printVerdict(folder, verdict, wish.now() - began)
      if (verdict.outcome !== "identical") throw badEnd(folder, verdict)
    }
  } catch (error) {
    if (error instanceof FlightFault) throw failure("failed", error.code, error.message)
    throw error
  }
}
