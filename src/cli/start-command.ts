/** `cairn start` on the command line: its flags, and the configuration that they make. */
import { resolve } from "node:path"
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { defaults, type NodeConfig, parseEndpoint } from "../config.ts"
import { parseService } from "../discovery/client.ts"
import type { Recording } from "../flight/record.ts"
import { compatSystems } from "../http/compat.ts"
import { readText } from "../io/files.ts"
import { bootstrapMax, discoveryServicesMax } from "../limits.ts"
import { parseNodeUrl } from "../peer/raw-page.ts"
import { attempt } from "./attempt.ts"
import { failure } from "./failure.ts"
import { optional, port, presetNames, undefinedIfNone, usualFolder, whole, yes } from "./flags.ts"
import { sealingFlags, sealingOf } from "./sealing.ts"
import { freshFolder, start } from "./start.ts"

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
  bootstrapPeers: optional("bootstrap-peers", "Nodes to ask for blocks by HTTP: URLs, separated by commas"),
  peerSecretFile: optional("peer-secret-file", "File with what peers show at /api/network"),
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

const urlsOf = (text: string | undefined): ReadonlyArray<string> => {
  const urls = (text ?? "").split(",").flatMap((one) => (one.trim() === "" ? [] : [parseNodeUrl(one)]))
  const known = urls.filter((url) => url !== undefined)
  if (known.length === urls.length && known.length <= bootstrapMax) return known
  throw failure("usage", "node-url-invalid", `--bootstrap-peers: up to ${bootstrapMax} URLs such as http://host:port.`)
}

const secretOf = (path: string | undefined): string | undefined =>
  path === undefined ? undefined : readText(path, 4096).trim()

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
      adminToken: secretOf(tokenFile),
      peerSecret: secretOf(undefinedIfNone(input.peerSecretFile))
    },
    httpPeers: { urls: urlsOf(undefinedIfNone(input.bootstrapPeers)) },
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

/** The command. `startedAt`: when the process began. */
export const makeStartCommand = (startedAt: number) =>
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
