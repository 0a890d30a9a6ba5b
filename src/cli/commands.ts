/** The command tree: every command, its flags and what `--help` teaches. What they do stands in one file each. */
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { attempt } from "./attempt.ts"
import { authorityCommand } from "./authority-command.ts"
import { configCommand } from "./config-command.ts"
import { discoveryCommand } from "./discovery.ts"
import { failure } from "./failure.ts"
import { dataDir, nodeUrl, optional, presetNames, undefinedIfNone, usualFolder, whole, yes } from "./flags.ts"
import { genesisCommand, mapFlag } from "./genesis-command.ts"
import { init } from "./init.ts"
import { keysCommand } from "./keys-command.ts"
import { libp2pCommand } from "./libp2p-command.ts"
import { lightCommand } from "./light-command.ts"
import { peersCommand } from "./peers-command.ts"
import { proofCommand } from "./proof-command.ts"
import { replay } from "./replay.ts"
import { signerCommand } from "./signer.ts"
import { simCommand } from "./sim-command.ts"
import { loadSnapshotFile, makeSnapshotFile } from "./snapshot.ts"
import { makeStartCommand } from "./start-command.ts"
import { stateAt } from "./state.ts"
import { status } from "./status.ts"
import { storageCommands } from "./storage-command.ts"
import { makeTestnetCommand } from "./testnet-command.ts"
import { tokenCommand } from "./token-command.ts"
import { verify } from "./verify.ts"
import { verifyPast } from "./verify-past.ts"
import { sendCommand, walletCommand } from "./wallet-command.ts"

const initCommand = Command.make(
  "init",
  {
    spec: Flag.String("spec").pipe(
      Flag.withAlias("preset"),
      Flag.withDescription(`Chain spec: a file, or ${presetNames}`),
      Flag.optional
    ),
    genesis: optional("genesis", "In place of --spec: a chain spec, or a genesis file of ccoin"),
    map: mapFlag,
    dataDir
  },
  ({ spec, genesis, map, dataDir: folder }) =>
    init({
      spec: undefinedIfNone(spec),
      genesis: undefinedIfNone(genesis),
      map: undefinedIfNone(map),
      dataDir: folder
    })
).pipe(
  Command.withDescription("Makes a data folder for a chain"),
  Command.withExamples([
    { command: "cairn init --preset dotcoin && cairn start", description: `A chain of coins, in ./${usualFolder}` },
    { command: "cairn init --spec cairn --data-dir mine", description: "The chain of this program, in ./mine" },
    {
      command: "cairn init --genesis genesis.json --map addresses.json --data-dir mine",
      description: "The chain of a genesis file of ccoin"
    }
  ])
)

const stateCommand = Command.make(
  "state",
  {
    at: Flag.Int("at").pipe(
      Flag.withSchema(whole(Number.MAX_SAFE_INTEGER)),
      Flag.withDescription("Height of the block after which it is the state; default: the tip's"),
      Flag.optional
    ),
    node: nodeUrl
  },
  ({ at, node }) => attempt(() => stateAt(node, undefinedIfNone(at)))
).pipe(
  Command.withDescription("What everybody had after a block, checked against the state root of its header"),
  Command.withExamples([{ command: "cairn state --at 0", description: "What the genesis gave, and to whom" }])
)

const statusCommand = Command.make("status", { node: nodeUrl }, ({ node }) => attempt(() => status(node))).pipe(
  Command.withDescription("How a running node is; exit code 0 if it is ready")
)

const verifyFlags = {
  dataDir,
  past: yes("past", "Replay only what lies below a loaded snapshot, and keep what is proven"),
  from: optional("from", "With --past: the folder of a chain that has the old blocks; its node may be running")
}

const verifyCommand = Command.make("verify", verifyFlags, ({ dataDir: folder, past, from }) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    attempt(() => {
      const now = () => clock.currentTimeMillisUnsafe()
      if (past) return verifyPast({ dataDir: folder, from: undefinedIfNone(from), now })
      if (Option.isSome(from)) throw failure("usage", "past-missing", "--from goes with --past.")
      verify({ dataDir: folder, now })
    })
  )
).pipe(
  Command.withDescription("Replays the whole stored chain by its rules and compares the result with what is stored")
)

const snapshotCommand = Command.make("snapshot").pipe(
  Command.withDescription(
    "A chain's headers, state and last blocks in one file: a node from it need not replay the past"
  ),
  Command.withSubcommands([
    Command.make(
      "make",
      {
        dataDir,
        out: Flag.String("out").pipe(Flag.withDescription("File to write; must not be there")),
        height: Flag.Int("height").pipe(
          Flag.withSchema(whole(Number.MAX_SAFE_INTEGER)),
          Flag.withDescription("Height of its last block; default: the tip"),
          Flag.optional
        )
      },
      ({ dataDir: folder, out, height }) =>
        Effect.flatMap(Clock.Clock, (clock) =>
          attempt(() =>
            makeSnapshotFile({
              dataDir: folder,
              out,
              height: undefinedIfNone(height),
              now: () => clock.currentTimeMillisUnsafe()
            })
          )
        )
    ).pipe(Command.withDescription("Writes a snapshot; the folder's node may be running")),
    Command.make(
      "load",
      {
        file: Argument.String("file").pipe(Argument.withDescription("Snapshot to load")),
        dataDir,
        spec: optional(
          "spec",
          `Chain spec of a folder without one: a file, or ${presetNames}; default: the preset it fits`
        )
      },
      ({ file, dataDir: folder, spec }) =>
        Effect.flatMap(Clock.Clock, (clock) =>
          attempt(() =>
            loadSnapshotFile({
              file,
              dataDir: folder,
              spec: undefinedIfNone(spec),
              now: () => clock.currentTimeMillisUnsafe()
            })
          )
        )
    ).pipe(Command.withDescription("Makes a data folder of a snapshot, after checking all that can be checked"))
  ])
)

const replayCommand = Command.make(
  "replay",
  {
    folder: Argument.String("dir").pipe(
      Argument.withDescription("Folder of a recording, or of one of its epochs; it is only read")
    ),
    until: optional("until", "Stop when the tip has this height; or after an entry of the journal: step:4711"),
    trace: optional("trace", "Print every message that this actor handled: chain, mempool, session-3, …; all: of all")
  },
  ({ folder, until, trace }) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      attempt(() => {
        useEngine(loadEngine("auto")!)
        return replay({
          folder,
          until: undefinedIfNone(until),
          trace: undefinedIfNone(trace),
          now: () => clock.currentTimeMillisUnsafe()
        })
      })
    )
).pipe(
  Command.withDescription(
    "Runs a recorded node again, offline, and stops at the first thing that it does otherwise; exit code 1 if there is one"
  ),
  Command.withExamples([
    { command: "cairn replay mine-flight", description: "Every epoch of a recording: same state root, same digest?" },
    {
      command: "cairn replay mine-flight/epoch-000002 --until 1200 --trace chain",
      description: "What the chain actor handled until the tip had height 1200"
    }
  ])
)

/** The command tree. */
export const makeRoot = (startedAt: number) =>
  Command.make("cairn").pipe(
    Command.withDescription("A blockchain node: cairn start --dev starts one to play with"),
    Command.withSubcommands([
      makeStartCommand(startedAt),
      configCommand,
      initCommand,
      genesisCommand,
      keysCommand,
      tokenCommand,
      sendCommand,
      walletCommand,
      statusCommand,
      signerCommand,
      stateCommand,
      authorityCommand,
      peersCommand,
      verifyCommand,
      proofCommand,
      snapshotCommand,
      ...storageCommands,
      lightCommand,
      replayCommand,
      discoveryCommand,
      libp2pCommand,
      simCommand,
      makeTestnetCommand(startedAt)
    ])
  )
