/** The command tree: every command, its flags and what `--help` teaches. What they do stands in one file each. */
import { resolve } from "node:path"
import { Clock, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { presets } from "../chain/presets.ts"
import { defaults, type NodeConfig, parseEndpoint } from "../config.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { parseService } from "../discovery/client.ts"
import type { Recording } from "../flight/record.ts"
import { compatSystems } from "../http/compat.ts"
import { readText } from "../io/files.ts"
import { Random } from "../io/random.ts"
import { discoveryServicesMax } from "../limits.ts"
import { makeToken } from "./account-token.ts"
import { attempt } from "./attempt.ts"
import { authorityCommand } from "./authority-command.ts"
import { discoveryCommand } from "./discovery.ts"
import { failure } from "./failure.ts"
import { ask, keyFlags, nodeUrl, optional, passphraseOf, prefix, undefinedIfNone, withKeys, yes } from "./flags.ts"
import { genesisCommand, mapFlag } from "./genesis-command.ts"
import { init } from "./init.ts"
import { devKey, exportKey, importKey, listKeys, newKey, openKey } from "./keys.ts"
import { lightCommand } from "./light-command.ts"
import { checkProof, getProof } from "./proof.ts"
import { replay } from "./replay.ts"
import { sealingFlags, sealingOf } from "./sealing.ts"
import { signerCommand } from "./signer.ts"
import { simCommand } from "./sim-command.ts"
import { freshFolder, start } from "./start.ts"
import { loadSnapshotFile, makeSnapshotFile } from "./snapshot.ts"
import { stateAt } from "./state.ts"
import { status } from "./status.ts"
import { makeTestnetCommand } from "./testnet-command.ts"
import { verify } from "./verify.ts"
import { verifyPast } from "./verify-past.ts"
import { sendCommand, walletCommand } from "./wallet-command.ts"

const presetNames = Object.keys(presets).join(", ")

/** Where a node lives that is told no other place. */
const usualFolder = "cairn-data"
const dataDir = Flag.String("data-dir").pipe(
  Flag.withDescription("Folder of the chain, the keys and the lock"),
  Flag.withDefault(usualFolder)
)
const whole = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const port = (name: string, description: string, value: number) =>
  Flag.Int(name).pipe(Flag.withSchema(whole(65_535)), Flag.withDescription(description), Flag.withDefault(value))

const startFlags = {
  dev: yes("dev", "Development node: funded public accounts, sealing on the first pending transfer"),
  dataDir: optional("data-dir", `Folder of the chain; default: ${usualFolder}, of a development node a fresh one`),
  spec: optional("spec", `Initialise an empty folder with this spec: a file, or ${presetNames}`),
  httpHost: Flag.String("http-host").pipe(
    Flag.withDescription("Address of page and API"),
    Flag.withDefault(defaults.httpHost)
  ),
  httpPort: port("http-port", "Port of page and API; 0: any free one", defaults.httpPort),
  p2pHost: Flag.String("p2p-host").pipe(
    Flag.withDescription("Address to hear peers on"),
    Flag.withDefault(defaults.peerHost)
  ),
  p2pPort: port("p2p-port", "Port to hear peers on; 0: any free one", defaults.peerPort),
  p2pAdvertise: optional("p2p-advertise", "host:port that others should dial"),
  p2pSeeds: optional("p2p-seeds", "Peers to keep a session with: host:port, separated by commas"),
  discovery: Flag.String("discovery").pipe(
    Flag.withDescription(`Discovery service to find peers in, such as http://127.0.0.1:4444; up to ${discoveryServicesMax} times`),
    Flag.atMost(discoveryServicesMax)
  ),
  noP2p: yes("no-p2p", "Speak to no peers"),
  noFilters: yes("no-filters", "Make and serve no block filters: light clients that scan ask others"),
  mineThreads: Flag.Int("mine-threads").pipe(
    Flag.withSchema(whole(64)),
    Flag.withDescription("Threads that mine all the time"),
    Flag.withDefault(0)
  ),
  mineTo: optional("mine-to", "Address that gets rewards and fees"),
  blockData: optional("block-data", "Data of the blocks sealed here: text, or 0x and hex; default: the program's name"),
  sealEvery: Flag.Finite("seal-every").pipe(Flag.withDescription("Seal at least every so many seconds"), Flag.optional),
  adminTokenFile: optional(
    "admin-token-file",
    "File with the token of admin routes; default: admin.token in the data folder"
  ),
  compat: Flag.Literals("compat", compatSystems).pipe(
    Flag.withDescription(
      "Serve the routes of this system, too: ccoin on a chain of accounts, the others on one of coins"
    ),
    Flag.optional
  ),
  compatGetActs: yes("compat-get-acts", "With --compat: let GET routes mine and spend, as they do there"),
  ...sealingFlags,
  record: optional("record", "Journal every input into this folder, so that cairn replay can run this node again"),
  recordMaxMb: Flag.Int("record-max-mb").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 1_048_576 }))),
    Flag.withDescription("Megabytes of journal to keep, in two epochs; each begins with a copy of the database on top"),
    Flag.withDefault(1024)
  ),
  signatureEngine: Flag.Literals("signature-engine", ["auto", "libsecp256k1", "secp256k1-node", "noble"]).pipe(
    Flag.withDescription("Who checks signatures; auto takes the fastest that loads"),
    Flag.withDefault("auto" as const)
  )
}

type StartInput = Command.Command.Config.Infer<typeof startFlags>

const seedsOf = (text: string | undefined): ReadonlyArray<string> => {
  const seeds = (text ?? "")
    .split(",")
    .map((seed) => seed.trim())
    .filter((seed) => seed !== "")
  const wrong = seeds.find((seed) => parseEndpoint(seed) === undefined)
  if (wrong !== undefined) throw failure("usage", "endpoint-invalid", `--p2p-seeds: "${wrong}" is not host:port.`)
  return seeds
}

const servicesOf = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.map((text) => {
    const service = parseService(text)
    if (service === undefined)
      throw failure("usage", "service-invalid", `--discovery: "${text}" is not http://host:port.`)
    return service
  })

const configOf = (input: StartInput): NodeConfig => {
  const folder = undefinedIfNone(input.dataDir) ?? (input.dev ? freshFolder() : usualFolder)
  const tokenFile = undefinedIfNone(input.adminTokenFile)
  const everyMs = undefinedIfNone(input.sealEvery)
  return {
    dataDir: folder,
    dev: input.dev,
    http: {
      host: input.httpHost,
      port: input.httpPort,
      adminToken: tokenFile === undefined ? undefined : readText(tokenFile, 4096).trim()
    },
    peers: input.noP2p
      ? undefined
      : {
          host: input.p2pHost,
          port: input.p2pPort,
          advertise: undefinedIfNone(input.p2pAdvertise),
          seeds: seedsOf(undefinedIfNone(input.p2pSeeds)),
          discovery: servicesOf(input.discovery)
        },
    mining: {
      threads: input.mineThreads,
      proposer: undefinedIfNone(input.mineTo),
      onDemand: input.dev && everyMs === undefined,
      everyMs: everyMs === undefined ? undefined : everyMs * 1000,
      blockData: undefinedIfNone(input.blockData)
    },
    filters: !input.noFilters,
    signatureEngine: input.signatureEngine
  }
}

const recordingOf = ({ record, recordMaxMb }: StartInput): Recording | undefined =>
  Option.isNone(record) ? undefined : { folder: resolve(record.value), bytesMax: recordMaxMb * 1024 * 1024 }

const startCommand = (startedAt: number) =>
  Command.make("start", startFlags, (input) =>
    Effect.flatMap(
      Effect.all([attempt(() => configOf(input)), sealingOf(input)]),
      ([config, sealing]) =>
        start({
          config,
          sealing,
          spec: undefinedIfNone(input.spec) ?? (config.dev ? "dev" : undefined),
          recording: recordingOf(input),
          compat: Option.isNone(input.compat)
            ? undefined
            : { system: input.compat.value, actsOnGet: input.compatGetActs },
          startedAt
        })
    )
  ).pipe(
    Command.withDescription("Runs a node until it is told to stop (SIGTERM or Ctrl-C)"),
    Command.withExamples([
      { command: "cairn start --dev", description: "A node to play with: funded accounts, instant blocks, a page" },
      {
        command: "cairn start --data-dir mine --mine-threads 2",
        description: "A node that mines, in a folder made by cairn init"
      },
      {
        command: "cairn start --dev --data-dir B --http-port 8081 --p2p-port 19101 --p2p-seeds 127.0.0.1:19100",
        description: "A second node that follows the first"
      },
      {
        command: "cairn start --dev --discovery http://127.0.0.1:4444",
        description: "A node that finds its peers in a discovery service: cairn discovery"
      },
      {
        command: "cairn start --spec dotcoin --data-dir coins --compat dotcoin",
        description: "A chain of coins with the routes of dotcoin"
      },
      {
        command: "cairn start --dev --spec dev-authorities --role validator --authority-key dev:1",
        description: "One of three authorities that take turns; docs/validators.md has the real ones"
      },
      {
        command: "cairn start --data-dir mine --record mine-flight",
        description: "Journals every input; later: cairn replay mine-flight"
      }
    ])
  )

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

const keyName = Argument.String("name").pipe(Argument.withDescription("Name of the key: a-z, 0-9, hyphen"))

const keysCommand = Command.make("keys").pipe(
  Command.withDescription("Keys on this machine, each locked by a passphrase (scrypt, AES-256-GCM)"),
  Command.withSubcommands([
    Command.make("new", { name: keyName, ...keyFlags }, (input) =>
      Effect.flatMap(passphraseOf(input.passphraseFile, true), (passphrase) =>
        withKeys(input, (options) => newKey(options, input.name, passphrase))
      )
    ).pipe(Command.withDescription("Makes a key and shows its mnemonic once")),
    Command.make("list", keyFlags, (input) => withKeys(input, listKeys)).pipe(
      Command.withDescription("Names and addresses")
    ),
    Command.make("export", { name: keyName, ...keyFlags }, (input) =>
      Effect.flatMap(passphraseOf(input.passphraseFile, false), (passphrase) =>
        withKeys(input, (options) => exportKey(options, input.name, passphrase))
      )
    ).pipe(Command.withDescription("Shows a key's secret in hex")),
    Command.make("token", { name: keyName, dataDir, ...keyFlags }, (input) =>
      Effect.gen(function* () {
        const random = yield* Random
        const known = devKey(input.name)
        const passphrase = known === undefined ? yield* passphraseOf(input.passphraseFile, false) : ""
        yield* withKeys(input, async (options) => {
          const key = known ?? (await openKey(options, input.name, passphrase))
          return makeToken({ dataDir: input.dataDir, key, name: input.name, random })
        })
      })
    ).pipe(
      Command.withDescription("Lets the node of a folder spend of the key's account for who has a token, shown once")
    ),
    Command.make(
      "import",
      {
        name: keyName,
        secretFile: optional("secret-file", "File with the secret or mnemonic; else it is asked for"),
        ...keyFlags
      },
      (input) =>
        Effect.gen(function* () {
          const secret = Option.isSome(input.secretFile)
            ? yield* attempt(() => readText(Option.getOrThrow(input.secretFile), 4096))
            : yield* ask("Secret in hex, or mnemonic")
          const passphrase = yield* passphraseOf(input.passphraseFile, true)
          yield* withKeys(input, (options) => importKey(options, { name: input.name, secret, passphrase }))
        })
    ).pipe(Command.withDescription("Stores a secret in hex or a mnemonic's first account"))
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

const proofGetCommand = Command.make(
  "get",
  {
    subject: Argument.String("id").pipe(Argument.withDescription("Transaction id, address of an account, or a coin: ID:INDEX")),
    node: nodeUrl,
    out: Flag.String("out").pipe(Flag.withDescription("File to write"))
  },
  (input) => attempt(() => getProof(input))
).pipe(Command.withDescription("Takes a proof from a node and checks it"))

const proofVerifyCommand = Command.make(
  "verify",
  {
    file: Argument.String("file").pipe(Argument.withDescription("File that cairn proof get or the page wrote")),
    header: optional("header", "Block hash or whole header, in hex, that you trust: the proof must be against it"),
    of: optional("of", "Transaction id, coin (ID:INDEX) or address that the proof must be about"),
    prefix
  },
  ({ file, header, of, prefix: addresses }) =>
    attempt(() =>
      checkProof({ file, header: undefinedIfNone(header), of: undefinedIfNone(of), prefix: addresses })
    )
).pipe(Command.withDescription("Checks a proof without a node: what it shows, against which header; exit code 3 if it does not hold"))

const proofCommand = Command.make("proof").pipe(
  Command.withDescription("Proofs that a transaction is in a block, of what an account has, or of a coin, that hold without trust in a node"),
  Command.withSubcommands([proofGetCommand, proofVerifyCommand]),
  Command.withExamples([
    {
      command: "cairn proof get crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv --out account.json",
      description: "What the first development account has, with the way to the tip's state root"
    },
    { command: "cairn proof verify account.json", description: "Checks it, offline" }
  ])
)

const snapshotCommand = Command.make("snapshot").pipe(
  Command.withDescription("A chain's headers, state and last blocks in one file: a node from it need not replay the past"),
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
        spec: optional("spec", `Chain spec of a folder without one: a file, or ${presetNames}; default: the preset it fits`)
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
      startCommand(startedAt),
      initCommand,
      genesisCommand,
      keysCommand,
      sendCommand,
      walletCommand,
      statusCommand,
      signerCommand,
      stateCommand,
      authorityCommand,
      verifyCommand,
      proofCommand,
      snapshotCommand,
      lightCommand,
      replayCommand,
      discoveryCommand,
      simCommand,
      makeTestnetCommand(startedAt)
    ])
  )
