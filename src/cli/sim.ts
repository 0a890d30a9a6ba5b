/** `cairn sim`: runs nodes under a seed, repeats a recorded run, makes a failing one small, draws it. */
import { availableParallelism } from "node:os"
import { SeededChoices, countOf, RecordedChoices } from "../sim/choices.ts"
import { makePlan, type Plan, type SimOptions } from "../sim/plan.ts"
import { formatRecording, parseRecording, type Recording, recordingBytesMax } from "../sim/recording.ts"
import { type Report, simulate } from "../sim/run.ts"
import { shrink } from "../sim/shrink.ts"
import { runSwarm, type SwarmResult } from "../sim/swarm.ts"
import type { Note } from "../sim/trace.ts"
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { readText, writeFile } from "../io/files.ts"
import { type Mark, marks, unsimulated } from "../marks.ts"
import { failure } from "./failure.ts"
import { formatDuration, isTerminal, makeProgress, paint, print, rows } from "./output.ts"
import { commit } from "./version.ts"

/** What to look at, and where to stop. */
export interface Look {
  /** Messages to print, as `actor=chain,node=n1,kind=OfferBlock`. */
  readonly trace: string | undefined
  /** A time such as 90s, a step, or the kind of a line such as `reorganised`. */
  readonly until: string | undefined
  /** Wait for Enter after each printed message. */
  readonly step: boolean
  readonly timeline: string | undefined
  /** Print no lines of events. */
  readonly quiet: boolean
}

const clockOf = (ms: number): string => {
  const seconds = Math.floor(ms / 1000)
  const part = (value: number): string => String(value).padStart(2, "0")
  return `${part(Math.floor(seconds / 3600))}:${part(Math.floor(seconds / 60) % 60)}:${part(seconds % 60)}.${String(ms % 1000).padStart(3, "0")}`
}

const line = (note: {
  readonly at: number
  readonly node: string
  readonly kind: string
  readonly text: string
}): string =>
  `${paint("dim", clockOf(note.at))}  ${paint("blue", note.node.padEnd(6))} ${paint("bold", note.kind)} ${note.text}`

/** Clears the progress line, which stands on the error output, before something is printed under it. */
const clearProgress = (): void => {
  if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
}

const say = (value: object, text: string): void => {
  if (isTerminal()) clearProgress()
  print(value, [text])
}

type Filter = Readonly<Partial<Record<"actor" | "node" | "kind", string>>>

/** `actor=chain,node=n1`; a bare word is an actor. */
const parseFilter = (text: string): Filter =>
  Object.fromEntries(
    text.split(",").map((part) => {
      const [key, value] = part.includes("=") ? part.split("=", 2) : ["actor", part]
      if (key !== "actor" && key !== "node" && key !== "kind")
        throw failure("usage", "trace-invalid", `--trace: "${part}" is not actor=, node= or kind= and a name.`)
      return [key, value]
    })
  )

/** When to stop: a fact of time and step, or of a line. */
const parseUntil = (text: string) => {
  const time = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
  if (time !== null) {
    const at = Number(time[1]) * unit[time[2] as keyof typeof unit]
    return { clock: (elapsed: number) => elapsed >= at, note: () => false }
  }
  if (/^\d+$/.test(text)) return { clock: (_: number, steps: number) => steps >= Number(text), note: () => false }
  return { clock: () => false, note: ({ node, kind }: Note) => kind === text || `${node} ${kind}` === text }
}

/** Runs a plan and prints what happens. */
const watch = (plan: Plan, look: Look, choices?: RecordedChoices | SeededChoices): Report => {
  useEngine(loadEngine("auto") ?? nobleEngine)
  const filter = look.trace === undefined ? undefined : parseFilter(look.trace)
  const until = look.until === undefined ? undefined : parseUntil(look.until)
  const wall = performance.now.bind(performance)
  const progress = makeProgress(wall, 2_000)
  const began = wall()
  let stop = false
  return simulate(plan, {
    messages: look.timeline !== undefined,
    ...(choices === undefined ? {} : { choices }),
    onNote: (note) => {
      if (!look.quiet) say({ at: note.at, node: note.node, kind: note.kind, text: note.text }, line(note))
      stop ||= until?.note(note) === true
    },
    ...(filter === undefined
      ? {}
      : {
          onBegun: ({ at, step, node, actor, message }) => {
            const kind = message._tag
            if ((filter.node ?? node) !== node || (filter.kind ?? kind) !== kind) return
            if ((filter.actor ?? actor) !== actor) return
            say(
              { at, step, node, actor, kind },
              `${paint("dim", clockOf(at))}  ${node} ${actor} ${paint("green", kind)} ${paint("dim", `step ${step}`)}`
            )
            if (look.step && prompt("[Enter: next, q: stop] ") === "q") stop = true
          }
        }),
    onProgress: (elapsed, steps) => {
      const seconds = Math.max(0.001, (wall() - began) / 1000)
      const [hours, of] = [elapsed, plan.endMs].map((ms) => (ms / 3_600_000).toFixed(2))
      const pace = { steps_per_second: Math.round(steps / seconds), times_real: Math.round(elapsed / 1000 / seconds) }
      progress(`${hours} h of ${of} h, ${pace.steps_per_second} steps/s, ${pace.times_real}x real time`, {
        virtual_hours: elapsed / 3_600_000,
        ...pace
      })
    },
    until: (elapsed, steps) => stop || until?.clock(elapsed, steps) === true
  })
}

const table = (report: Report, took: number): void => {
  const value = {
    digest: report.digest,
    failure: report.failure ?? null,
    virtual_ms: report.elapsed,
    steps: report.steps,
    messages: report.handled,
    acknowledged: report.acknowledged,
    refused: report.refused,
    nodes: report.nodes,
    ms: Math.round(took)
  }
  clearProgress()
  print(value, [
    "",
    ...rows(
      report.nodes.map(({ name, up, height, tip, restarts }) => [
        name,
        `${up ? `height ${height}, tip ${tip.slice(0, 12)}` : "down"}, ${restarts} restarts`
      ])
    ),
    ...rows([
      [
        "virtual time",
        `${formatDuration(report.elapsed)} in ${(took / 1000).toFixed(1)} s (${Math.round(report.elapsed / took)}x)`
      ],
      ["steps", `${report.steps}, ${report.handled} messages`],
      ["transfers", `${report.acknowledged} acknowledged, ${report.refused} refused`],
      ["digest", report.digest]
    ])
  ])
}

const write = (path: string, text: string, what: string): void => {
  writeFile(path, text)
  say({ written: path, what }, `${what} written to ${path}`)
}

/** The page is made when it is first wanted: from sources that takes a moment. */
const draw = async (report: Report, path: string | undefined): Promise<void> => {
  if (path === undefined) return
  const { renderTimeline } = await import("../timeline/render.ts")
  write(path, renderTimeline(report.run), "timeline")
}

const conclude = async (
  recording: Recording,
  report: Report,
  { took, look, file }: { readonly took: number; readonly look: Look; readonly file: string | undefined }
): Promise<void> => {
  table(report, took)
  await draw(report, look.timeline)
  const path = file ?? (report.failure === undefined ? undefined : `cairn-sim-${recording.plan.seed}.json`)
  if (path !== undefined) write(path, formatRecording(recording), "recording")
  if (report.failure === undefined) return
  throw failure(
    "failed",
    "simulation-failed",
    `Seed ${recording.plan.seed} at commit ${recording.commit}: ${report.failure}`,
    `Again: cairn sim --replay ${path ?? ""}   Smaller: cairn sim --shrink ${path ?? ""}`
  )
}

/** Runs one seed. */
export const simOne = async (options: SimOptions, look: Look, file: string | undefined): Promise<void> => {
  const plan = makePlan(options)
  const choices = file === undefined ? undefined : new SeededChoices(plan.seed, plan.strategy, true)
  const began = performance.now()
  const report = watch(plan, look, choices)
  const { digest, failure: wrong } = report
  const recording = { commit: commit(), plan, choices: choices?.deviations(), digest, failure: wrong }
  await conclude(recording, report, { took: performance.now() - began, look, file })
}

const load = (path: string): Recording => {
  const recording = parseRecording(readText(path, recordingBytesMax))
  if ("wrong" in recording) throw failure("usage", "recording-invalid", `${path} is no recording: ${recording.wrong}`)
  return recording
}

/** Runs a recording again and compares the digests. */
export const simReplay = async (path: string, look: Look): Promise<void> => {
  const { plan, choices, digest, commit: recorded } = load(path)
  const began = performance.now()
  const report = watch(plan, look, choices === undefined ? undefined : new RecordedChoices(choices))
  table(report, performance.now() - began)
  await draw(report, look.timeline)
  if (look.until !== undefined || look.step) return
  if (report.digest !== digest)
    throw failure(
      "failed",
      "replay-differs",
      `The run is another one: digest ${report.digest}, recorded ${digest}.`,
      recorded === commit()
        ? "The same program must give the same run: this is a bug of cairn."
        : `It was recorded with ${recorded}; this is ${commit()}.`
    )
  say(
    { identical: true, digest, failure: report.failure ?? null },
    `${paint("green", "identical")}${report.failure === undefined ? "" : `: ${report.failure}`}`
  )
}

/** Makes a failing recording small. */
export const simShrink = (path: string, out: string, seconds: number): void => {
  useEngine(loadEngine("auto") ?? nobleEngine)
  const { plan, choices } = load(path)
  const wall = performance.now.bind(performance)
  const end = wall() + seconds * 1000
  const progress = makeProgress(wall, 2_000)
  const shrunk = shrink(plan, choices, {
    spent: () => wall() > end,
    onProgress: (state) =>
      progress(
        `run ${state.runs}: ${state.actions} actions, ${state.nodes} nodes, ${state.deviations ?? "all"} choices, ${formatDuration(end - wall())} left`,
        state
      )
  })
  if (shrunk === undefined)
    throw failure("failed", "shrink-passes", `${path} does not fail here: there is nothing to shrink.`)
  const { report } = shrunk
  clearProgress()
  const facts = {
    actions: [plan.actions.length, shrunk.plan.actions.length],
    nodes: [plan.nodes.length, shrunk.plan.nodes.length],
    virtual_ms: [plan.endMs, shrunk.plan.endMs],
    deviations: shrunk.choices === undefined ? null : countOf(shrunk.choices),
    runs: shrunk.runs,
    failure: report.failure
  }
  print(facts, [
    `${report.failure}`,
    ...rows([
      ["actions", `${plan.actions.length} → ${shrunk.plan.actions.length}`],
      ["nodes", `${plan.nodes.length} → ${shrunk.plan.nodes.length}`],
      ["time", `${formatDuration(plan.endMs)} → ${formatDuration(shrunk.plan.endMs)}`],
      ["choices", `${facts.deviations ?? "all those"} that are not the boring ones`],
      ["runs", String(shrunk.runs)]
    ]),
    ...shrunk.plan.actions.map((action) => `  ${JSON.stringify(action)}`)
  ])
  const recording = {
    commit: commit(),
    plan: shrunk.plan,
    choices: shrunk.choices,
    digest: report.digest,
    failure: report.failure
  }
  write(out, formatRecording(recording), "scenario")
}

/** Runs many seeds. */
export const simSwarm = async (wish: {
  readonly from: number
  readonly count: number
  readonly ms: number
  readonly fixed: Partial<SimOptions>
  readonly twice: boolean
  /** Fail unless every rare path was reached. */
  readonly reach: boolean
  readonly folder: string
}): Promise<void> => {
  const wall = performance.now.bind(performance)
  const began = wall()
  const progress = makeProgress(wall, 5_000)
  let done = 0
  const failed: Array<SwarmResult> = []
  const onResult = (result: SwarmResult): void => {
    done++
    if (result.failure !== undefined) {
      failed.push(result)
      say(
        { seed: result.seed, failure: result.failure },
        `${paint("red", "failed")} seed ${result.seed}: ${result.failure}`
      )
    }
    const left = ((wall() - began) / done) * (wish.count - done)
    progress(`${done} of ${wish.count} runs, ${failed.length} failed, ${formatDuration(left)} left`, {
      done,
      of: wish.count,
      failed: failed.length,
      eta_ms: Math.round(left)
    })
  }
  const threads = availableParallelism()
  const { results, marks: totals } = await runSwarm({ ...wish, threads }, onResult)
  clearProgress()
  for (const { options, digest, failure: why } of failed) {
    const path = `${wish.folder}/seed-${options.seed}.json`
    write(
      path,
      formatRecording({ commit: commit(), plan: makePlan(options), choices: undefined, digest, failure: why }),
      "recording"
    )
  }
  const sum = (f: (one: SwarmResult) => number): number => results.reduce((total, one) => total + f(one), 0)
  const unreached = (Object.keys(marks) as Array<Mark>).filter(
    (mark) => unsimulated[mark] === undefined && (totals.get(mark) ?? 0) === 0
  )
  const took = wall() - began
  const value = {
    runs: results.length,
    failed: failed.map(({ seed, failure: why }) => ({ seed, failure: why })),
    virtual_ms: sum(({ elapsed }) => elapsed),
    steps: sum(({ steps }) => steps),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    marks: Object.fromEntries(totals),
    unreached,
    ms: Math.round(took)
  }
  print(value, [
    `${results.length} runs, ${failed.length} failed`,
    ...rows([
      [
        "virtual time",
        `${formatDuration(value.virtual_ms)} in ${formatDuration(took)} on ${threads} threads (${Math.round(value.virtual_ms / took)}x)`
      ],
      ["steps", String(value.steps)],
      ["transfers", `${value.acknowledged} acknowledged`],
      ["rare paths", `${totals.size - unreached.length} of ${Object.keys(marks).length} reached`]
    ]),
    ...unreached.map((mark) => `  ${paint("yellow", "not reached")} ${mark}: ${marks[mark]}`)
  ])
  if (failed.length > 0)
    throw failure(
      "failed",
      "simulation-failed",
      `${failed.length} of ${results.length} seeds failed.`,
      `Look at one: cairn sim --replay ${wish.folder}/seed-${failed[0]!.seed}.json --timeline out.html`
    )
  if (wish.reach && unreached.length > 0)
    throw failure(
      "failed",
      "paths-unreached",
      `${unreached.length} rare paths were reached by no run: ${unreached.join(", ")}.`,
      "Run more seeds, or give the simulator what leads there."
    )
}
