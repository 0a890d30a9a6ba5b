/** `cairn discovery`: a place where nodes of a chain find each other first. */
import { Clock, Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { defaults } from "../config.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { makeDiscovery } from "../http/discovery.ts"
import { serveHttp } from "../http/server.ts"
import { StoreFault } from "../store/db.ts"
import { openMembers } from "../store/members.ts"
import { failureOfStore } from "./attempt.ts"
import { failure } from "./failure.ts"
import { optional, undefinedIfNone } from "./flags.ts"
import { isTerminal, paint, print, rows } from "./output.ts"
import { hearSignals } from "./signals.ts"
import { version } from "./version.ts"

interface DiscoveryInput {
  readonly host: string
  readonly port: number
  readonly data: string | undefined
}

const openStore = (data: string | undefined) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => openMembers(data ?? ":memory:"),
      catch: (error) => {
        if (error instanceof StoreFault) return failureOfStore(error)
        throw error
      }
    }),
    (store) => Effect.sync(() => store.close())
  )

const banner = (url: string, { data, host }: DiscoveryInput): void => {
  const kept = data ?? "in memory: forgotten when it stops"
  const far = host === defaults.httpHost || host === "::1"
  print({ ready: true, http: url, data: data ?? null }, [
    `${paint("green", "cairn discovery")} ${version} listens`,
    "",
    ...rows([
      ["nodes join with", paint("blue", `cairn start --discovery ${url}`)],
      ["members", kept],
      ["reach", far ? "this machine only; --host 0.0.0.0 for others" : "whoever can reach this address"]
    ]),
    "",
    "  Ctrl-C stops it; nodes that have met stay together."
  ])
}

const run = (input: DiscoveryInput) =>
  Effect.scoped(
    Effect.gen(function* () {
      const untilSignal = yield* hearSignals
      const clock = yield* Clock.Clock
      useEngine(loadEngine("auto")!)
      const store = yield* openStore(input.data)
      const hosts = input.host === "127.0.0.1" || input.host === "::1" ? ["localhost"] : []
      const now = (): number => clock.currentTimeMillisUnsafe()
      const app = makeDiscovery({ store, version, now, hosts })
      const server = yield* Effect.mapError(
        serveHttp(input, () => Promise.resolve(app)),
        ({ message }) => failure("failed", "listen-failed", message, "Choose another port with --port.")
      )
      banner(server.url, input)
      yield* untilSignal
      if (isTerminal()) process.stderr.write("\nstopping …\n")
      yield* server.stop(500)
    })
  )

/** The command. */
export const discoveryCommand = Command.make(
  "discovery",
  {
    host: Flag.String("host").pipe(Flag.withDescription("Address to listen on"), Flag.withDefault(defaults.httpHost)),
    port: Flag.Int("port").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
      Flag.withDescription("Port to listen on; 0: any free one"),
      Flag.withDefault(defaults.discoveryPort)
    ),
    data: optional("data", "File to keep members in over a restart; default: in memory")
  },
  ({ host, port, data }) => run({ host, port, data: undefinedIfNone(data) })
).pipe(
  Command.withDescription(
    "A place where nodes that know nobody find each other: they register there, signed and for minutes, and ask who else is of their chain"
  ),
  Command.withExamples([
    { command: "cairn discovery", description: "For nodes on this machine, in memory" },
    {
      command: "cairn discovery --host 0.0.0.0 --port 4444 --data members.db",
      description: "For everyone who can reach this machine; members outlast a restart"
    },
    {
      command: "cairn start --discovery http://192.0.2.7:4444 --p2p-host 0.0.0.0 --p2p-advertise 192.0.2.9:19100",
      description: "A node that finds its peers there, and is found"
    }
  ])
)
