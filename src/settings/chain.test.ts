/** A chain that settings describe is exactly that one; a chain that is there is never talked into another. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { formatSpec, parseSpec, specHash } from "../block/genesis.ts"
import { makeRules } from "../chain/rules.ts"
import { presets } from "../chain/presets.ts"
import { toHex } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { beginsChain, chainConflicts, chainSpec, chainTexts, presetName } from "./chain.ts"
import { resolve } from "./resolve.ts"
import { chainKeys, table } from "./table.ts"

const found = (environment: Readonly<Record<string, string>>, flags: Readonly<Record<string, string | boolean>> = {}) =>
  resolve({ flags, sets: [], environment, file: undefined, readFile: () => Result.fail("none") })
const preset = (name: string) => Result.getOrThrow(parseSpec(presets[name]))

const all = {
  BLOCKCHAIN_CHAIN_ID: "vector-chain",
  BLOCKCHAIN_DIFFICULTY: "00",
  BLOCKCHAIN_TARGET_BLOCK_SECONDS: "2.5",
  BLOCKCHAIN_DIFFICULTY_ADJUSTMENT_WINDOW: "2",
  BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "1",
  BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH: "3",
  BLOCKCHAIN_REWARD: "2.50",
  BLOCKCHAIN_MAX_TRANSACTIONS_PER_BLOCK: "10",
  BLOCKCHAIN_MIN_TRANSACTION_FEE: "0.1",
  BLOCKCHAIN_MAX_TRANSACTION_NOTE_BYTES: "100"
}

describe("a chain that begins with the environment", () => {
  test("is the preset where nothing is said of it, to the hash", () => {
    const spec = Result.getOrThrow(chainSpec(found({ BLOCKCHAIN_NODE_ID: "a" }).values))
    expect(toHex(specHash(spec))).toBe(toHex(specHash(preset(presetName))))
  })

  test("has each parameter that is said, exactly: zeros, milliseconds, base units, and the reward counted as one", () => {
    const spec = Result.getOrThrow(chainSpec(found(all).values))
    expect(formatSpec(spec)).toMatchObject({
      name: presetName,
      ledger: { chainId: "vector-chain", reward: 250, feeMin: 10, noteBytesMax: 100, decimals: 2 },
      difficulty: {
        rule: "prefix-window",
        blockMs: 2_500,
        windowBlocks: 2,
        prefixStart: 2,
        prefixMin: 1,
        prefixMax: 3
      },
      block: { transactionsMax: 9 }
    })
    // Two nodes with the same environment are of one chain.
    const other = Result.getOrThrow(chainSpec(found({ ...all }).values))
    expect(makeRules(other).genesis.header.id).toBe(makeRules(spec).genesis.header.id)
    expect(makeRules(spec).genesis.header.id).not.toBe(makeRules(preset(presetName)).genesis.header.id)
  })

  test("is never rounded: an amount with more decimals than the chain has makes none", () => {
    for (const name of ["BLOCKCHAIN_REWARD", "BLOCKCHAIN_MIN_TRANSACTION_FEE"]) {
      expect(chainSpec(found({ [name]: "0.001" }).values)).toMatchObject({
        failure: [{ code: "amount-invalid", name }]
      })
      expect(Result.isSuccess(chainSpec(found({ [name]: "0.010" }).values))).toBe(true)
      expect(chainSpec(found({ [name]: "99999999999999999" }).values)).toMatchObject({ _tag: "Success" })
      expect(found({ [name]: "99999999999999999" }).errors).toMatchObject([{ name }])
    }
    expect(chainSpec(found({ BLOCKCHAIN_REWARD: "9999999999999999" }).values)).toMatchObject({
      failure: [{ code: "amount-invalid" }]
    })
  })

  test("begins only where nobody names another, and where the reference system's names are used", () => {
    expect(beginsChain(found({}))).toBe(false)
    expect(beginsChain(found({ CAIRN_MINE_THREADS: "1" }, { "http-port": "1" }))).toBe(false)
    expect(beginsChain(found({ BLOCKCHAIN_PORT: "81" }))).toBe(true)
    expect(beginsChain(found({ BLOCKCHAIN_PORT: "81" }, { dev: true }))).toBe(false)
    expect(beginsChain(found({ BLOCKCHAIN_PORT: "81", CAIRN_SPEC: "cairn" }))).toBe(false)
    const file = { name: "f", value: { chain: { id: "a" } } }
    expect(beginsChain(resolve({ flags: {}, sets: [], environment: {}, file, readFile: () => Result.fail("") }))).toBe(
      true
    )
  })
})

describe("a chain that is there", () => {
  test("agrees with its own parameters, whatever the chain, and with any part of them", () => {
    const dice = makeDice(3)
    const chains = [...Object.keys(presets).map(preset), Result.getOrThrow(chainSpec(found(all).values))]
    for (const spec of chains) {
      const texts = chainTexts(spec)
      for (let round = 0; round < 20; round++) {
        const environment = Object.fromEntries(
          chainKeys.flatMap((key) => {
            const text = texts[key]
            return text === undefined || dice.chance(0.5) ? [] : [[table[key].variable, text]]
          })
        )
        // A chain of another system may have longer notes or rewards than the variables can say, and none of our presets does.
        const said = found(environment)
        expect(said.errors).toEqual([])
        expect(chainConflicts(said, spec)).toEqual([])
      }
    }
  })

  test("refuses each other value, names both, and says what to do", () => {
    const spec = preset(presetName)
    expect(chainConflicts(found(all), spec).length).toBe(chainKeys.length)
    for (const [name, value] of Object.entries(all)) {
      const [conflict, ...more] = chainConflicts(found({ [name]: value }), spec)
      expect([more, conflict]).toMatchObject([[], { code: "chain-parameter-differs", name }])
      const key = chainKeys.find((one) => table[one].variable === name)!
      expect(conflict!.message).toContain(` says ${value.replace(/^2\.50$/, "2.50")};`)
      expect(conflict!.message).toContain(` has ${chainTexts(spec)[key]}.`)
      expect(conflict!.hint).toContain("--data-dir")
    }
  })

  test("writes amounts in its own way: 1, 1.0 and 1.00 are one reward", () => {
    const spec = preset(presetName)
    for (const said of ["1", "1.0", "1.00", "1.000"])
      expect(chainConflicts(found({ BLOCKCHAIN_REWARD: said }), spec)).toEqual([])
    expect(chainConflicts(found({ BLOCKCHAIN_REWARD: "1.001" }), spec).length).toBe(1)
  })

  test("of another rule has no zeros to agree on", () => {
    const [conflict] = chainConflicts(found({ BLOCKCHAIN_DIFFICULTY: "0000" }), preset("cairn"))
    expect(conflict!.message).toContain("has no such thing")
  })
})
