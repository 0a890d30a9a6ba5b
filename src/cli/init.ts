/** `cairn init`: makes a data folder for a chain. */
import { Effect } from "effect"
import { makeRules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { type ChainSpec, specHash } from "../block/genesis.ts"
import { Random } from "../io/random.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { isInitialised, loadIdentity, loadSpec, saveSpec, specOf, specPath } from "./data-folder.ts"
import { type Failure, failure } from "./failure.ts"
import { attempt } from "./attempt.ts"
import { specOfGenesis } from "./genesis.ts"
import { print, rows } from "./output.ts"

export interface InitOptions {
  /** A preset's name, or a file. */
  readonly spec: string | undefined
  /** A file: a chain spec, or a genesis file of ccoin. One of the two is named. */
  readonly genesis: string | undefined
  readonly map: string | undefined
  readonly dataDir: string
}

const chosen = ({
  spec,
  genesis,
  map
}: InitOptions): { readonly spec: ChainSpec; readonly notes: ReadonlyArray<string> } => {
  if ((spec === undefined) === (genesis === undefined))
    throw failure("usage", "spec-missing", "Name the chain: --spec PRESET, or --genesis FILE, and not both.")
  if (genesis !== undefined) return specOfGenesis({ file: genesis, map })
  if (map !== undefined) throw failure("usage", "map-unneeded", "--map goes with --genesis and a file of ccoin.")
  return { spec: loadSpec(spec!), notes: [] }
}

/** Writes spec and identity into an empty folder, or says what stands in its way. */
export const init = (options: InitOptions): Effect.Effect<void, Failure> =>
  Effect.flatMap(Random, (random) => attempt(() => make(options, random)))

const make = (options: InitOptions, random: (length: number) => Uint8Array): void => {
  const { spec, notes } = chosen(options)
  const hash = toHex(specHash(spec))
  const there = isInitialised(options.dataDir) ? toHex(specHash(specOf(options.dataDir))) : undefined
  if (there !== undefined && there !== hash) {
    throw failure(
      "dataFolder",
      "chain-mismatch",
      `${options.dataDir} holds another chain already.`,
      "Choose another folder; a chain is never written over."
    )
  }
  if (there === undefined) saveSpec(options.dataDir, spec)
  const { genesis } = makeRules(spec)
  // Made now, so that others can be told whom to let in before the node starts.
  const nodeId = nodeIdOf(loadIdentity(options.dataDir, random).publicKey)
  const value = {
    data_dir: options.dataDir,
    chain: spec.ledger.chainId,
    genesis: genesis.header.id,
    spec: specPath(options.dataDir),
    node_id: nodeId,
    created: there === undefined,
    notes
  }
  print(value, [
    there === undefined
      ? `The folder ${options.dataDir} belongs to the chain "${spec.ledger.chainId}" now.`
      : `The folder ${options.dataDir} holds this chain already.`,
    ...rows([
      ["genesis", genesis.header.id],
      ["spec", specPath(options.dataDir)],
      ["node id", nodeId]
    ]),
    ...notes.map((note) => `  ${note}`),
    `  Next: cairn start --data-dir ${options.dataDir}`
  ])
}
