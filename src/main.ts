/** The front door: reads the command line, runs one command, turns failure into an exit code. */
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as NodeStdio from "@effect/platform-node-shared/NodeStdio"
import * as NodeTerminal from "@effect/platform-node-shared/NodeTerminal"
import { Cause, Effect, Exit, Layer } from "effect"
import { Command } from "effect/cli"
import { makeRoot } from "./cli/commands.ts"
import { exits, Failure } from "./cli/failure.ts"
import { printFailure } from "./cli/output.ts"
import { version } from "./cli/version.ts"

/** When the process began, on the clock of Date. */
const startedAt = performance.timeOrigin

const world = NodeChildProcessSpawner.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeStdio.layer, NodeTerminal.layer))
)

/** `cairn help send` is `cairn send --help`; `cairn` alone is `cairn --help`. */
const argumentsOf = (given: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first, ...rest] = given
  if (first === undefined) return ["--help"]
  return first === "help" ? [...rest, "--help"] : given
}

const exitCodeOf = (exit: Exit.Exit<void, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const reason = exit.cause.reasons.find((one) => "error" in one)
  const error = reason !== undefined && "error" in reason ? reason.error : undefined
  if (error instanceof Failure) {
    printFailure(error)
    return exits[error.exit]
  }
  const shown = error as { readonly _tag?: string; readonly errors?: ReadonlyArray<unknown> } | undefined
  if (shown?._tag === "ShowHelp") return shown.errors?.length === 0 ? 0 : exits.usage
  process.stderr.write(`${Cause.pretty(exit.cause)}\nThis is a bug of cairn.\n`)
  return exits.failed
}

const program = Command.runWith(makeRoot(startedAt), { version })(argumentsOf(process.argv.slice(2))).pipe(
  Effect.provide(world)
)

Effect.runFork(program as Effect.Effect<void, unknown>).addObserver((exit) => process.exit(exitCodeOf(exit)))
