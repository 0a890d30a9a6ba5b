/** A run in a file: its plan, its choices, and what came of it. Whoever has the file and the commit has the run. */
import { Result, Schema } from "effect"
import { type Deviations, type Stream, streams } from "./choices.ts"
import { payloadBytesMax } from "../limits.ts"
import { traitorsMax } from "./keys.ts"
import { gossipForms, models, type Plan } from "./plan.ts"

const form = "cairn-simulation-1"
/** Bytes of a recording file that are read at most. */
export const recordingBytesMax = 64 * 1024 * 1024

const Name = Schema.String.check(Schema.isMaxLength(32))
const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))
const Rate = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const happening = { at: Count }
const onNode = { ...happening, node: Name }
const lasting = { ms: Count }

const ActionForm = Schema.Union([
  Schema.Struct({ ...onNode, do: Schema.Literal("pay"), wallet: Count, count: Count, http: Schema.Boolean }),
  Schema.Struct({ ...happening, do: Schema.Literal("conflict"), wallet: Count, nodes: Schema.Tuple([Name, Name]) }),
  Schema.Struct({ ...onNode, do: Schema.Literal("replace"), wallet: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("gather"), wallet: Count, wallets: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("spend-reward"), wallet: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("pace"), hashesPerSecond: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("flood"), count: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("order") }),
  Schema.Struct({ ...onNode, do: Schema.Literal("bug"), actor: Name, times: Count }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("thread") }),
  Schema.Struct({ ...happening, ...lasting, do: Schema.Literal("partition"), side: Schema.Array(Name) }),
  Schema.Struct({ ...happening, do: Schema.Literal("reset"), a: Name, b: Name }),
  Schema.Struct({ ...happening, ...lasting, do: Schema.Literal("drop"), loss: Share }),
  Schema.Struct({ ...happening, ...lasting, do: Schema.Literal("dup"), dup: Share }),
  Schema.Struct({ ...happening, ...lasting, do: Schema.Literal("reorder"), shuffle: Share }),
  Schema.Struct({ ...happening, ...lasting, do: Schema.Literal("delay"), delayMs: Count }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("crash"), mute: Schema.Boolean }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("restart") }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("torn-write") }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("disk-full") }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("clock-skew"), by: Schema.Int }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("slow-reader"), bytesPerSecond: Count }),
  Schema.Struct({ ...onNode, do: Schema.Literal("byzantine"), act: Name, seed: Count }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("ban"), peer: Name }),
  Schema.Struct({ ...onNode, ...lasting, do: Schema.Literal("datagrams"), act: Name, perSecond: Rate, seed: Count })
])

const PlanForm = Schema.Struct({
  seed: Schema.Int,
  /** Left out: accounts, as before there were coins. */
  ledger: Schema.optionalKey(Schema.Literals(models)),
  /** Left out: no authorities, as before there were any. */
  authority: Schema.optionalKey(
    Schema.Struct({
      bits: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 16 })),
      traitors: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: traitorsMax })),
      /** Left out: nothing becomes final, as before there were votes. */
      checkpointBlocks: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 10_000 })))
    })
  ),
  /** Left out: nobody announces by UDP, as before anybody could. */
  gossip: Schema.optionalKey(
    Schema.Struct({
      form: Schema.Literals(gossipForms),
      everyMs: Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 600_000 }))
    })
  ),
  nodes: Schema.Array(
    Schema.Struct({
      ...{ name: Name, address: Name, seeds: Schema.Array(Name), hashesPerSecond: Count },
      gossipSeeds: Schema.optionalKey(Schema.Array(Name))
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(64)),
  wallets: Count,
  blockMs: Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 600_000 })),
  endMs: Count,
  strategy: Schema.Literals(["uniform", "fifo", "sparse"]),
  preempt: Share,
  squeeze: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_024 })),
  payloadBytesMax: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: payloadBytesMax }))),
  actions: Schema.Array(ActionForm)
})

const RecordingForm = Schema.Struct({
  form: Schema.Literal(form),
  commit: Schema.String,
  plan: PlanForm,
  /** Base64 of the deviations of each stream; left out: the choices are those of the plan's seed. */
  choices: Schema.optionalKey(Schema.Struct(Object.fromEntries(streams.map((stream) => [stream, Schema.String])))),
  digest: Schema.String,
  failure: Schema.optionalKey(Schema.String)
})

export interface Recording {
  /** The commit of the program, or its version. Another one may run another way. */
  readonly commit: string
  readonly plan: Plan
  /** Undefined: the choices of the plan's seed. */
  readonly choices: Deviations | undefined
  readonly digest: string
  readonly failure: string | undefined
}

/** Pairs as varints: the distance from the place before, and the value. */
const pack = (pairs: ReadonlyArray<readonly [number, number]>): string => {
  const bytes: Array<number> = []
  const put = (value: number): void => {
    for (let left = value; ; left = Math.floor(left / 128)) {
      if (left < 128) return void bytes.push(left)
      bytes.push((left % 128) + 128)
    }
  }
  let last = 0
  for (const [place, value] of pairs) {
    put(place - last)
    put(value)
    last = place
  }
  return Buffer.from(bytes).toString("base64")
}

const unpack = (text: string): ReadonlyArray<readonly [number, number]> | undefined => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, "base64")
  const numbers: Array<number> = []
  let value = 0
  let scale = 1
  for (const byte of bytes) {
    value += (byte & 127) * scale
    scale *= 128
    if (!Number.isSafeInteger(value)) return undefined
    if (byte > 127) continue
    numbers.push(value)
    value = 0
    scale = 1
  }
  if (scale !== 1 || numbers.length % 2 !== 0) return undefined
  const pairs: Array<readonly [number, number]> = []
  let place = 0
  for (let at = 0; at < numbers.length; at += 2) {
    place += numbers[at]!
    pairs.push([place, numbers[at + 1]!])
  }
  return pairs
}

/** The text of the file. */
export const formatRecording = ({ commit, plan, choices, digest, failure }: Recording): string =>
  `${JSON.stringify({
    form,
    commit,
    plan,
    ...(choices === undefined
      ? {}
      : { choices: Object.fromEntries(streams.map((stream) => [stream, pack(choices[stream])])) }),
    digest,
    ...(failure === undefined ? {} : { failure })
  })}\n`

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The recording of a text, or what is wrong with it in words. */
export const parseRecording = (text: string): Recording | { readonly wrong: string } => {
  const decoded = Schema.decodeUnknownResult(RecordingForm)(parseJson(text))
  if (Result.isFailure(decoded)) return { wrong: String(decoded.failure) }
  const { commit, choices, digest, failure } = decoded.success
  const plan = { ledger: "account", ...decoded.success.plan } as Plan
  const names = new Set(plan.nodes.map(({ name }) => name))
  if (namesOf(plan).some((name) => !names.has(name))) return { wrong: "an action names a node that is none" }
  if (choices === undefined) return { commit, plan, choices, digest, failure }
  const unpacked = streams.map((stream) => [stream, unpack((choices as Record<Stream, string>)[stream])] as const)
  if (unpacked.some(([, pairs]) => pairs === undefined)) return { wrong: "its choices are damaged" }
  return { commit, plan, choices: Object.fromEntries(unpacked) as Deviations, digest, failure }
}

/** Every node that a plan speaks of. */
const namesOf = ({ nodes, actions }: Plan): ReadonlyArray<string> => [
  ...nodes.flatMap(({ seeds, gossipSeeds = [] }) => [...seeds, ...gossipSeeds]),
  ...actions.flatMap((action) => {
    if (action.do === "ban") return [action.node, action.peer]
    if ("node" in action) return [action.node]
    if (action.do === "conflict") return action.nodes
    if (action.do === "partition") return action.side
    return action.do === "reset" ? [action.a, action.b] : []
  })
]
