/** Chain specs: every error at once, no key lost, and a genesis hash that covers all of it. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { makeRules } from "../chain/rules.ts"
import { presets } from "../chain/presets.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { extraHashOf } from "./block.ts"
import { formatSpec, parseSpec, specHash } from "./genesis.ts"

type Json = Record<string, unknown>
const dev = presets["dev"] as Json
/** The dev preset with some keys of one section replaced. */
const changed = (section: string, keys: Json): Json => ({ ...dev, [section]: { ...(dev[section] as Json), ...keys } })
const errorsOf = (json: unknown): ReadonlyArray<string> => {
  const parsed = parseSpec(json)
  return Result.isFailure(parsed) ? parsed.failure.map(({ path, message }) => `${path}: ${message}`) : []
}
const pathsOf = (json: unknown): ReadonlyArray<string> =>
  errorsOf(json).map((error) => error.slice(0, error.indexOf(":")))

test("parse undoes format", () => {
  for (const preset of Object.values(presets)) {
    const spec = Result.getOrThrow(parseSpec(preset))
    expect(formatSpec(spec) as unknown).toEqual(preset)
    expect(parseSpec(formatSpec(spec))).toEqual(Result.succeed(spec))
  }
})

test("a key that may be left out is of another chain when it is there", () => {
  const [plain, ...others] = [
    dev,
    changed("ledger", { payloadBytesMax: 0 }),
    changed("ledger", { payloadBytesMax: 512 })
  ]
    .map((json) => Result.getOrThrow(parseSpec(json)))
    .map((spec) => toHex(specHash(spec)))
  expect(others.includes(plain!)).toBe(false)
  expect(Result.getOrThrow(parseSpec(changed("ledger", { payloadBytesMax: 512 }))).ledger.payloadBytesMax).toBe(512)
})

describe("a spec is refused", () => {
  test("with all errors of its form at once", () => {
    const bad = {
      ...changed("ledger", { feeMin: 1.5, decimals: "8", chainId: "A b", supplyMax: -1 }),
      name: "",
      time: { medianBlocks: 4, futureMsMax: 1e9 }
    }
    expect([...pathsOf(bad)].sort()).toEqual(
      [
        "ledger.chainId",
        "ledger.decimals",
        "ledger.feeMin",
        "ledger.supplyMax",
        "name",
        "time.futureMsMax",
        "time.medianBlocks"
      ].sort()
    )
  })

  test("in plain words", () => {
    expect(errorsOf(changed("time", { medianBlocks: 4 }))).toEqual(["time.medianBlocks: Expected an odd number"])
    const one = "time: names one of medianBlocks and behindMsMax, and not both"
    expect(errorsOf(changed("time", { behindMsMax: 1 }))).toEqual([one])
    expect(errorsOf({ ...dev, time: { futureMsMax: 1 } })).toEqual([one])
    expect(errorsOf(null)).toEqual([": Expected object"])
    const { difficulty: _, ...rest } = dev
    expect(errorsOf(rest)).toEqual(["difficulty: Missing key"])
  })

  test("with a key that nobody knows, at any depth: a misspelt rule must not be lost", () => {
    expect(pathsOf({ ...dev, extra: 1 })).toEqual(["extra"])
    expect(pathsOf(changed("ledger", { feemin: 1 }))).toEqual(["ledger.feemin"])
    expect(pathsOf(changed("difficulty", { bitsStart: 8 }))).toEqual(["difficulty.bitsStart"])
  })

  test.each([
    ["difficulty", { rule: "pow" }, "difficulty"],
    ["difficulty", { blockMs: 0 }, "difficulty.blockMs"],
    ["difficulty", { bits: 241 }, "difficulty.bits"],
    ["block", { transactionsMax: 20_001 }, "block.transactionsMax"],
    ["block", { bytesMax: 5_000_000 }, "block.bytesMax"],
    ["block", { bytesMax: 1_300, extraBytesMax: 256 }, "block.bytesMax"],
    ["block", { extraBytesMax: 31 }, "block.extraBytesMax"],
    ["ledger", { noteBytesMax: 281 }, "ledger.noteBytesMax"],
    ["ledger", { payloadBytesMax: 513 }, "ledger.payloadBytesMax"],
    ["ledger", { payloadBytesMax: -1 }, "ledger.payloadBytesMax"],
    ["ledger", { decimals: 13 }, "ledger.decimals"],
    ["ledger", { symbol: "crn" }, "ledger.symbol"],
    ["ledger", { model: "utxo" }, "ledger.coinbaseMaturity"],
    ["ledger", { model: "barter" }, "ledger"],
    ["ledger", { reward: -1 }, "ledger.reward"],
    ["ledger", { feeMin: 2_100_000_000_000_001 }, "ledger.feeMin"],
    ["ledger", { reward: 2_100_000_000_000_001 }, "ledger.reward"],
    ["genesis", { time: 2 ** 52 }, "genesis.time"],
    ["genesis", { note: "\ud800" }, "genesis.note"],
    ["genesis", { alloc: {} }, "genesis.alloc"]
  ] as const)("%s %j", (section, keys, path) => {
    expect(pathsOf(changed(section, keys))).toEqual([path])
  })

  test("with bounds that contradict each other", () => {
    const difficulty = (rule: Json): Json => ({ ...dev, difficulty: { blockMs: 1000, ...rule } })
    const window = { rule: "prefix-window", windowBlocks: 10, prefixStart: 4 }
    const interval = { rule: "interval-bits", intervalBlocks: 10, bitsStart: 4 }
    expect(pathsOf(difficulty({ ...window, prefixMin: 5, prefixMax: 6 }))).toEqual(["difficulty"])
    expect(pathsOf(difficulty({ ...window, prefixMin: 1, prefixMax: 3 }))).toEqual(["difficulty"])
    expect(pathsOf(difficulty({ ...interval, bitsMin: 5, bitsMax: 6 }))).toEqual(["difficulty"])
    expect(pathsOf(difficulty({ rule: "asert", halfLifeMs: 1, bitsStart: 3, bitsMin: 4 }))).toEqual(["difficulty"])
    expect(pathsOf(difficulty({ ...window, prefixMin: 4, prefixMax: 4 }))).toEqual([])
  })

  test("with an allocation above the supply, to nobody, of nothing, or twice to one", () => {
    const [first] = (dev["genesis"] as { alloc: ReadonlyArray<Json> }).alloc as [Json]
    const alloc = (...rows: ReadonlyArray<Json>): ReadonlyArray<string> => pathsOf(changed("genesis", { alloc: rows }))
    expect(alloc({ ...first, balance: 2_100_000_000_000_001 })).toEqual(["genesis.alloc"])
    expect(alloc({ ...first, balance: 0 })).toEqual(["genesis.alloc[0].balance"])
    expect(alloc({ ...first, balance: -1 })).toEqual(["genesis.alloc[0].balance"])
    expect(alloc(first, first)).toEqual(["genesis.alloc[1].address"])
    expect(alloc(first, { ...first, address: "lbc1x" })).toEqual(["genesis.alloc[1].address"])
  })
})

describe("of the optional keys", () => {
  const coins = presets["dev-coins"] as Json
  const [first] = (dev["genesis"] as { alloc: ReadonlyArray<Json> }).alloc as [Json]

  test("each may be there, and is then part of the hash", () => {
    const specs = [
      dev,
      { ...dev, network: { peersMax: 8 } },
      changed("genesis", { bits: 4 }),
      changed("genesis", { alloc: [{ ...first, nonce: 3 }] }),
      changed("genesis", { alloc: [{ ...first, balance: 0, nonce: 3 }] }),
      changed("block", { filler: { rule: "random", characters: 9 } }),
      changed("block", { filler: { rule: "text", text: "é" } }),
      changed("ledger", { filler: { rule: "text", text: "" } }),
      changed("ledger", { payloadBytesMax: 2, filler: { rule: "text", text: "é" } })
    ]
    const hashes = specs.map((json) => specHash(Result.getOrThrow(parseSpec(json))).toHex())
    expect(new Set(hashes).size).toBe(specs.length)
    for (const json of specs) expect(formatSpec(Result.getOrThrow(parseSpec(json))) as unknown).toEqual(json)
  })

  test.each([
    [{ ...dev, network: { peersMax: 0 } }, "network.peersMax"],
    [{ ...dev, network: { peersMax: 9, more: 1 } }, "network.more"],
    [changed("genesis", { bits: 241 }), "genesis.bits"],
    [{ ...(presets["cairn"] as Json), genesis: { time: 0, note: "", bits: 4, alloc: [] } }, "genesis.bits"],
    [changed("genesis", { alloc: [{ ...first, nonce: 0 }] }), "genesis.alloc[0].nonce"],
    [changed("genesis", { alloc: [{ ...first, nonce: 2 ** 49 }] }), "genesis.alloc[0].nonce"],
    [{ ...coins, genesis: { ...(dev["genesis"] as Json), alloc: [{ ...first, nonce: 1 }] } }, "genesis.alloc[0].nonce"],
    [changed("block", { filler: { rule: "random", characters: 1_025 } }), "block.filler.characters"],
    [changed("block", { filler: { rule: "random", characters: 257 } }), "block.filler"],
    [changed("ledger", { filler: { rule: "random", characters: 1 } }), "ledger.filler"],
    [changed("ledger", { payloadBytesMax: 1, filler: { rule: "text", text: "é" } }), "ledger.filler"]
  ])("%#: none says what cannot be", (json, path) => {
    expect(pathsOf(json)).toEqual([path])
  })
})

describe("the hash of a spec", () => {
  const hashOf = (json: unknown): string => specHash(Result.getOrThrow(parseSpec(json))).toHex()

  test("is that of its JSON as RFC 8785 writes it, so the order of keys does not matter", () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value) || typeof value !== "object" || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, item]) => [key, reversed(item)])
      )
    }
    expect(hashOf(reversed(dev))).toBe(hashOf(dev))
    const least = { ...(presets["cairn"] as Json), name: 'a"\u0001é🪨' }
    const text =
      '{"addressPrefix":"crn","block":{"bytesMax":2097152,"extraBytesMax":256,"transactionsMax":10000},' +
      '"difficulty":{"bitsMin":16,"bitsStart":24,"blockMs":10000,"halfLifeMs":3600000,"rule":"asert"},' +
      '"genesis":{"alloc":[],"note":"One stone upon another.","time":1795219200000},' +
      '"ledger":{"chainId":"cairn","decimals":8,"feeMin":1000,"model":"account","noteBytesMax":280,' +
      '"reward":500000000,"rewardHalvingBlocks":2100000,"supplyMax":2100000000000000,"symbol":"CRN"},' +
      '"name":"a\\"\\u0001é🪨","time":{"futureMsMax":7200000,"medianBlocks":11}}'
    expect(hashOf(least)).toBe(sha256(utf8(text)).toHex())
  })

  test("covers every value, and the genesis hash covers it (L-B17)", () => {
    const specs: ReadonlyArray<Json> = [
      dev,
      { ...dev, name: "x" },
      changed("ledger", { feeMin: 1 }),
      changed("ledger", { symbol: "X" }),
      changed("difficulty", { blockMs: 1 }),
      changed("time", { futureMsMax: 1 }),
      changed("block", { transactionsMax: 1 }),
      changed("genesis", { note: "" }),
      changed("genesis", { alloc: [] })
    ]
    expect(new Set(specs.map(hashOf)).size).toBe(specs.length)
    const genesisOf = (json: Json): string => makeRules(Result.getOrThrow(parseSpec(json))).genesis.header.id
    expect(new Set(specs.map(genesisOf)).size).toBe(specs.length)
    const { extra, header } = makeRules(Result.getOrThrow(parseSpec(dev))).genesis
    expect([extra.toHex(), header.extraHash]).toEqual([hashOf(dev), extraHashOf(extra)])
  })
})
