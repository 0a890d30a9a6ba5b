/** `cairn libp2p`: its subcommands and what `--help` teaches. */
import { Effect, type Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { useFastestEngine } from "../crypto/native.ts"
import { Random } from "../io/random.ts"
import type { KeyType } from "../libp2p/contract.ts"
import { attempt } from "./attempt.ts"
import { optional, undefinedIfNone, whole } from "./flags.ts"
import { dial, type How, identifyPeer, listen, measure, newKey, pingPeer, showId } from "./libp2p.ts"
import { hearSignals } from "./signals.ts"

const address = Argument.String("multiaddr").pipe(
  Argument.withDescription("Where, and who: such as /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…")
)
const whoFlags = {
  key: optional("key", "Key file of our side; default: a new key that nobody keeps"),
  dataDir: optional("data-dir", "Use the key of the node in this folder")
}
const secondsMax = 3_600
const listensMax = 16
const gibibyte = 1 << 30
const hostFlags = {
  ...whoFlags,
  security: Flag.Literals("security", ["tls", "noise", "both"]).pipe(
    Flag.withDescription("What secures the connection; both: TLS if the other side has it"),
    Flag.withDefault("both" as const)
  ),
  timeout: Flag.Int("timeout").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: secondsMax }))),
    Flag.withDescription("Seconds to wait for the other side"),
    Flag.withDefault(10)
  )
}
interface HostInput {
  readonly key: Option.Option<string>
  readonly dataDir: Option.Option<string>
  readonly security: "tls" | "noise" | "both"
  readonly timeout: number
}

/** Runs plain code with what the flags say. */
const withHow = (input: HostInput, f: (how: How) => Promise<void>) =>
  Effect.flatMap(Effect.service(Random), (random) =>
    attempt(() => {
      useFastestEngine()
      const security = input.security === "both" ? (["tls", "noise"] as const) : [input.security]
      const who = { random, key: undefinedIfNone(input.key), dataDir: undefinedIfNone(input.dataDir) }
      return f({ ...who, security, timeoutMs: input.timeout * 1_000 })
    })
  )

const types = { ed25519: "Ed25519", secp256k1: "secp256k1", ecdsa: "ECDSA", rsa: "RSA" } as const satisfies Record<
  string,
  KeyType
>

const idCommand = Command.make(
  "id",
  {
    ...whoFlags,
    new: optional("new", "Make a key, write it to this file, and say who it is"),
    type: Flag.Literals("type", Object.keys(types) as ReadonlyArray<keyof typeof types>).pipe(
      Flag.withDescription("Type of the new key"),
      Flag.withDefault("ed25519" as const)
    )
  },
  ({ key, dataDir, new: made, type }) =>
    Effect.flatMap(Effect.service(Random), (random) =>
      attempt(async () => {
        useFastestEngine()
        const path = undefinedIfNone(made)
        if (path !== undefined) await newKey(path, types[type])
        await showId({ random, key: path ?? undefinedIfNone(key), dataDir: undefinedIfNone(dataDir) })
      })
    )
).pipe(Command.withDescription("Who a key is: its peer id in both forms; makes key files"))

const bytesFlag = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(whole(64 * gibibyte)),
    Flag.withDescription(description),
    Flag.withDefault(64 * 1_048_576)
  )

const listenCommand = Command.make(
  "listen",
  {
    ...hostFlags,
    at: Argument.String("multiaddr").pipe(
      Argument.withDescription("Where to listen, one or more; port 0: any free one; none: /ip4/127.0.0.1/tcp/0"),
      Argument.variadic({ max: listensMax })
    )
  },
  ({ at, ...input }) =>
    Effect.gen(function* () {
      const untilSignal = yield* hearSignals
      const stopped = Effect.runPromise(untilSignal)
      yield* withHow(input, (how) => listen(how, at.length === 0 ? ["/ip4/127.0.0.1/tcp/0"] : at, stopped))
    })
).pipe(Command.withDescription("Answers identify, ping and perf until Ctrl-C, and tells who connects"))

export const libp2pCommand = Command.make("libp2p").pipe(
  Command.withDescription("A libp2p host for one command: who is there, how far, how fast"),
  Command.withSubcommands([
    idCommand,
    Command.make("dial", { address, ...hostFlags }, ({ address: to, ...input }) =>
      withHow(input, (how) => dial(how, to))
    ).pipe(Command.withDescription("Connects, and tells what was agreed on")),
    Command.make("identify", { address, ...hostFlags }, ({ address: to, ...input }) =>
      withHow(input, (how) => identifyPeer(how, to))
    ).pipe(Command.withDescription("Agent, addresses and protocols of a peer")),
    Command.make(
      "ping",
      {
        address,
        ...hostFlags,
        count: Flag.Int("count").pipe(
          Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))),
          Flag.withDescription("How many round trips"),
          Flag.withDefault(5)
        )
      },
      ({ address: to, count, ...input }) => withHow(input, (how) => pingPeer(how, to, count))
    ).pipe(Command.withDescription("Round trips of 32 bytes on one stream")),
    Command.make(
      "perf",
      {
        address,
        ...hostFlags,
        up: bytesFlag("up", "Bytes to send"),
        down: bytesFlag("down", "Bytes to be sent")
      },
      ({ address: to, up, down, ...input }) => withHow(input, (how) => measure(how, to, { up, down }))
    ).pipe(Command.withDescription("How fast bytes go, each way, by /perf/1.0.0")),
    listenCommand
  ]),
  Command.withExamples([
    { command: "cairn libp2p listen", description: "A host to try the others on" },
    { command: "cairn libp2p id --new my.key", description: "A key file, and who it is" }
  ])
)
