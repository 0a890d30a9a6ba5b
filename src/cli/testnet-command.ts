/** The `cairn testnet` commands: a few nodes on one machine, and the heads of any nodes side by side. */
import { Clock, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { defaults } from "../config.ts"
import { attempt } from "./attempt.ts"
import { failure } from "./failure.ts"
import { freshFolder } from "./start.ts"
import { startTestnet, testnetUrls } from "./testnet.ts"
import { watch } from "./watch.ts"

/** Nodes of a testnet on one machine, if no other number is given: as many as can differ from a majority. */
const nodesUsual = 3
const nodesMax = 16
/** Nodes that one table still shows. */
const urlsMax = 64

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const dayMs = 86_400_000

/** Milliseconds of a time such as 500ms, 2s, 1.5m; at most a day. Throws Failure. */
const parseMs = (name: string, text: string): number => {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text)
  const ms = match === null ? 0 : Math.round(Number(match[1]) * unitMs[match[2]!]!)
  if (ms > 0 && ms <= dayMs) return ms
  throw failure("usage", "duration-invalid", `--${name}: "${text}" is not a time such as 500ms, 2s or 1m, up to 24h.`)
}

/** An URL without a path, as nodes have it; host:port alone means http. Throws Failure. */
const parseUrl = (text: string): string => {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`)
  if (url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/") return url.origin
  throw failure("usage", "endpoint-invalid", `"${text}" is not the URL of a node, such as ${testnetUrls(1)[0]}.`)
}

const watchFlags = {
  urls: Argument.String("url").pipe(
    Argument.withDescription(`Nodes to look at; default: ${testnetUrls(nodesUsual).join(", ")}`),
    Argument.variadic({ max: urlsMax })
  ),
  interval: Flag.String("interval").pipe(
    Flag.withDescription("Time between two looks, such as 500ms or 2s"),
    Flag.withDefault("2s")
  ),
  untilEqual: Flag.Boolean("until-equal").pipe(
    Flag.withDescription("End as soon as every node is there and all heads are equal; exit code 3 if they never are"),
    Flag.withDefault(false)
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.withDescription("With --until-equal: how long to wait for it"),
    Flag.withDefault("60s")
  )
}

const watchCommand = Command.make("watch", watchFlags, ({ urls, interval, untilEqual, timeout }) =>
  Effect.flatMap(
    attempt(() => ({
      urls: [...new Set(urls.map(parseUrl))],
      intervalMs: parseMs("interval", interval),
      timeoutMs: parseMs("timeout", timeout)
    })),
    ({ urls: named, intervalMs, timeoutMs }) =>
      watch({
        urls: named.length === 0 ? testnetUrls(nodesUsual) : named,
        intervalMs,
        untilEqual: untilEqual ? { timeoutMs } : undefined
      })
  )
).pipe(
  Command.withDescription("The heads of several nodes side by side: which differ, and where they part"),
  Command.withExamples([
    { command: "cairn testnet watch", description: "The nodes of cairn testnet start, every two seconds" },
    {
      command: "cairn testnet watch http://127.0.0.1:8080 http://127.0.0.1:8081 --until-equal --timeout 30s",
      description: "Wait until two nodes agree, at most half a minute"
    }
  ])
)

const port = (name: string, description: string, value: number) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_536 - nodesMax }))),
    Flag.withDescription(description),
    Flag.withDefault(value)
  )

const startFlags = {
  nodes: Flag.Int("nodes").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: nodesMax }))),
    Flag.withDescription("How many"),
    Flag.withDefault(nodesUsual)
  ),
  spec: Flag.String("spec").pipe(
    Flag.withDescription("Chain: a file, or a preset; where authorities seal, node 1 has the key dev:0, node 2 dev:1, …"),
    Flag.withDefault("dev")
  ),
  sealEvery: Flag.String("seal-every").pipe(
    Flag.withDescription("How often the first node seals a block, where no authorities do"),
    Flag.withDefault("2s")
  ),
  dataDir: Flag.String("data-dir").pipe(
    Flag.withDescription("Folder in which each node has its own; default: a fresh one"),
    Flag.optional
  ),
  httpPort: port(
    "http-port",
    "Port of the first node's page and API, then upwards; 0: any free ones",
    defaults.httpPort
  ),
  p2pPort: port(
    "p2p-port",
    "Port on which the first node hears peers, then upwards; 0: any free ones",
    defaults.peerPort
  )
}

const startCommand = (startedAt: number) =>
  Command.make("start", startFlags, (input) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const sealEveryMs = yield* attempt(() => parseMs("seal-every", input.sealEvery))
      const { nodes, spec, httpPort, p2pPort: peerPort } = input
      const folder = Option.getOrElse(input.dataDir, freshFolder)
      const options = { nodes, spec, httpPort, peerPort, sealEveryMs, folder, startedAt }
      yield* startTestnet(options, () => clock.currentTimeMillisUnsafe())
    })
  ).pipe(
    Command.withDescription(
      "Starts a few nodes of a development chain in one process, joined; the first one mines, or authorities take turns"
    ),
    Command.withExamples([
      { command: "cairn testnet start --nodes 3", description: "Three nodes, of which the first mines" },
      {
        command: "cairn testnet start --spec dev-authorities --nodes 3",
        description: "Three authorities that take turns, a slot every two seconds"
      }
    ])
  )

/** The commands. */
export const makeTestnetCommand = (startedAt: number) =>
  Command.make("testnet").pipe(
    Command.withDescription("Several nodes at once: started on this machine, and watched wherever they are"),
    Command.withSubcommands([startCommand(startedAt), watchCommand])
  )
