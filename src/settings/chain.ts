/** What settings say about the chain: a spec for a chain that begins with them, or what contradicts the one that is there. */
import { Result } from "effect"
import { type ChainSpec, parseSpec } from "../block/genesis.ts"
import { presets } from "../chain/presets.ts"
import { format, parse } from "../ledger/amount.ts"
import type { Resolved, SettingError } from "./resolve.ts"
import { type ChainKey, chainKeys, table, type Values } from "./table.ts"
import type { Setting } from "./setting.ts"

/** The chain of the reference system. */
export const presetName = "lua-blockchain"

/** Do the settings begin a chain by themselves, as in the reference system, when the folder has none? */
export const beginsChain = ({ values, origins }: Resolved): boolean =>
  values.spec === undefined &&
  !values.dev &&
  (chainKeys.some((key) => origins[key].source !== "default") ||
    Object.values(origins).some(({ name }) => name.startsWith("BLOCKCHAIN_")))

type PresetJson = Record<"ledger" | "difficulty" | "block", Record<string, unknown>>

/** The spec that begins a chain: the preset with what is said. Undefined members are the preset's. */
export const chainSpec = (values: Values): Result.Result<ChainSpec, ReadonlyArray<SettingError>> => {
  const preset = presets[presetName] as PresetJson & { readonly ledger: { readonly decimals: number } }
  const { decimals } = preset.ledger
  const errors: Array<SettingError> = []
  const unitsOf = (key: "reward" | "feeMin"): number | undefined => {
    const said = values[key]
    const units = said === undefined ? undefined : parse(said, decimals)
    if (said !== undefined && units === undefined) {
      const { variable } = table[key]
      errors.push({
        code: "amount-invalid",
        name: variable,
        message: `${variable}: the chain has ${decimals} decimals, and ${said} cannot be said with them.`,
        hint: "Nothing is rounded. Choose another amount."
      })
    }
    return units
  }
  const put = (fields: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  const json = {
    ...preset,
    ledger: {
      ...preset.ledger,
      ...put({
        chainId: values.chainId,
        reward: unitsOf("reward"),
        feeMin: unitsOf("feeMin"),
        noteBytesMax: values.noteBytes
      })
    },
    difficulty: {
      ...preset.difficulty,
      ...put({
        blockMs: values.targetMs,
        windowBlocks: values.windowBlocks,
        prefixStart: values.difficulty,
        prefixMin: values.prefixMin,
        prefixMax: values.prefixMax
      })
    },
    block: {
      ...preset.block,
      // There the reward counts as one.
      ...put({ transactionsMax: values.blockTransactions === undefined ? undefined : values.blockTransactions - 1 })
    }
  }
  if (errors.length > 0) return Result.fail(errors)
  return Result.mapError(parseSpec(json), (wrong) =>
    wrong.map(({ path, message }) => ({
      code: "spec-malformed",
      name: path,
      message: `The settings make no chain: ${path} ${message}.`
    }))
  )
}

/** What a chain has for each parameter, as its setting writes it; undefined: it has no such thing. */
export const chainTexts = ({
  ledger,
  difficulty,
  block
}: ChainSpec): Readonly<Record<ChainKey, string | undefined>> => {
  const prefix = difficulty.rule === "prefix-window" ? difficulty : undefined
  const zeros = (count: number | undefined): string | undefined => (count === undefined ? undefined : "0".repeat(count))
  const number = (value: number | undefined): string | undefined => (value === undefined ? undefined : String(value))
  return {
    chainId: ledger.chainId,
    difficulty: zeros(prefix?.prefixStart),
    targetMs: String(difficulty.blockMs / 1000),
    windowBlocks: number(prefix?.windowBlocks),
    prefixMin: number(prefix?.prefixMin),
    prefixMax: number(prefix?.prefixMax),
    reward: format(ledger.reward, ledger.decimals),
    blockTransactions: String(block.transactionsMax + 1),
    feeMin: format(ledger.feeMin, ledger.decimals),
    noteBytes: String(ledger.noteBytesMax)
  }
}

const isAmount = (key: ChainKey): key is "reward" | "feeMin" => key === "reward" || key === "feeMin"

/** Every parameter that is said and that the chain has otherwise. */
export const chainConflicts = (
  { values, origins }: Pick<Resolved, "values" | "origins">,
  spec: ChainSpec
): ReadonlyArray<SettingError> => {
  const texts = chainTexts(spec)
  const { decimals } = spec.ledger
  return chainKeys.flatMap((key) => {
    const value = values[key]
    if (value === undefined) return []
    const said = (table[key] as unknown as Setting<unknown>).kind.format(value)
    const has = texts[key]
    const same = isAmount(key) ? parse(said, decimals) === spec.ledger[key] : said === has
    if (same) return []
    const { name } = origins[key]
    return [
      {
        code: "chain-parameter-differs",
        key,
        name,
        message: `${name} says ${said}; the chain "${spec.ledger.chainId}" has ${has ?? "no such thing"}.`,
        hint: "A chain keeps what it began with. Leave the setting out, or name another folder with --data-dir."
      }
    ]
  })
}
