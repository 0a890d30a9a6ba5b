/** `cairn init`: makes a data folder for a chain. */
import { Effect } from "effect"
import { makeRules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { specHash } from "../block/genesis.ts"
import { isInitialised, loadSpec, saveSpec, specOf, specPath } from "./data-folder.ts"
import { type Failure, failure } from "./failure.ts"
import { attempt } from "./attempt.ts"
import { print, rows } from "./output.ts"

/** Writes the spec into an empty folder, or says what stands in its way. */
export const init = (options: { readonly spec: string; readonly dataDir: string }): Effect.Effect<void, Failure> =>
  attempt(() => {
    const spec = loadSpec(options.spec)
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
    const value = {
      data_dir: options.dataDir,
      chain: spec.ledger.chainId,
      genesis: genesis.header.id,
      spec: specPath(options.dataDir),
      created: there === undefined
    }
    print(value, [
      there === undefined
        ? `The folder ${options.dataDir} belongs to the chain "${spec.ledger.chainId}" now.`
        : `The folder ${options.dataDir} holds this chain already.`,
      ...rows([
        ["genesis", genesis.header.id],
        ["spec", specPath(options.dataDir)]
      ]),
      `  Next: cairn start --data-dir ${options.dataDir}`
    ])
  })
