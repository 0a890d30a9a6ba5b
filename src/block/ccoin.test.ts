/** Genesis files of ccoin: every field is a rule of the chain that is made of it, or refused by its name (black-box case 5). */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { firstAuthority, keyOf, leaderAt, seal, TestChain, transfer } from "../../test/fixtures.ts"
import { type Block, extraHashOf } from "./block.ts"
import { makeHeader } from "./header.ts"
import { checkAfter, checkBody } from "../chain/check.ts"
import { presets } from "../chain/presets.ts"
import { makeRules } from "../chain/rules.ts"
import { fromUtf8, toHex, utf8 } from "../codec/bytes.ts"
import { parseJsonc } from "../codec/jsonc.ts"
import { bitsOf } from "../consensus/difficulty.ts"
import { formatAddress } from "../crypto/address.ts"
import { decodeAccount, keyOf as entryOf } from "../ledger/account.ts"
import { makeDice } from "../sim/dice.ts"
import { type CcoinReading, isCcoin, parseAddressMap, readCcoin } from "./ccoin.ts"
import { type ChainSpec, formatSpec, parseSpec, peersMaxOf, specHash } from "./genesis.ts"

type Json = Record<string, unknown>
const examples = join(import.meta.dir, "../../docs/examples")
const jsonOf = (name: string): Json => Result.getOrThrow(parseJsonc(readFileSync(join(examples, name), "utf8"))) as Json
const example = jsonOf("ccoin-genesis.json")

const old = (i: number): string => String(i).repeat(40)
const ours = (i: number): string => formatAddress(keyOf(i).address, "ccoin")
const [first, second] = [firstAuthority, firstAuthority + 1]
const map = new Map([
  [old(1), ours(first)],
  [old(2), ours(second)],
  [old(3), ours(0)],
  [old(4), ours(1)]
])
const file: Json = {
  network_id: 7,
  miners: [old(1), old(2)],
  block_mining: {
    interval: 600,
    max_bound: 100,
    min_bound: 10,
    reward: 100,
    difficulty: 0,
    allow_empty: true,
    placeholder_data: ["rnd", 15]
  },
  transaction: { placeholder_data: ["predef", "none"] },
  max_peers: 0,
  genesis_block: { difficulty: 0 },
  alloc: { [old(3)]: { balance: 1_000_000, nonce: 6 }, [old(4)]: { balance: 5 } }
}
const read = (json: unknown): CcoinReading => Result.getOrThrow(readCcoin(json, map))
const specOf = (changes: Json = {}): ChainSpec => read({ ...file, ...changes }).spec
const mining = (changes: Json): Json => ({ block_mining: { ...(file["block_mining"] as Json), ...changes } })
const errorsOf = (json: unknown, table = map): ReadonlyArray<string> => {
  const reading = readCcoin(json, table)
  return Result.isSuccess(reading) ? [] : reading.failure.map(({ path, message }) => `${path} ${message}`)
}
const refused = (changes: Json): ReadonlyArray<string> => errorsOf({ ...file, ...changes })

/** The block with that data, sealed again. */
const withExtra = (block: Block, extra: Uint8Array): Block =>
  seal({ ...block, header: makeHeader({ ...block.header, extraHash: extraHashOf(extra) }), extra })

/** A chain of the file, its clock at a block that came long after the genesis. */
const begun = (changes: Json = {}): TestChain => {
  const chain = new TestChain(specOf(changes))
  chain.now += 600_000
  chain.mine()
  return chain
}
const pay = (nonce: number, text = "none") =>
  transfer({
    ...{ from: 0, to: 9, nonce, amount: 1, fee: 0, chainId: "ccoin-7", time: Number(specOf().genesis.time) },
    data: utf8(text)
  })

describe("a genesis file of ccoin", () => {
  test("with remarks and without a transaction key is read, whole (defect 17)", () => {
    const table = Result.getOrThrow(parseAddressMap(jsonOf("ccoin-addresses.json")))
    expect(["transaction" in example, isCcoin(example)]).toEqual([false, true])
    const { spec, notes, addresses } = Result.getOrThrow(readCcoin(example, table))
    expect(notes).toEqual(["genesis_block.coinbase is empty: nobody gets genesis_block.coinbase_reward."])
    expect(addresses.size).toBe(3)
    expect(spec).toMatchObject({
      ledger: {
        chainId: "ccoin-1",
        reward: 100,
        noteBytesMax: 0,
        payloadBytesMax: 512,
        filler: { rule: "random", characters: 15 }
      },
      difficulty: { rule: "fixed", bits: 20, blockMs: 5_000 },
      authority: { allowEmpty: true, pace: { pendingMin: 10, idleMs: 600_000 }, voteBlocks: 0 },
      block: { transactionsMax: 100, filler: { rule: "random", characters: 15 } },
      genesis: { bits: 16 }
    })
    expect(spec.genesis.alloc.map(({ balance, nonce }) => [balance, nonce]) as unknown).toEqual([
      [10_000_000, undefined],
      [100, undefined],
      [9_999, 7]
    ])
    expect(makeRules(spec).genesis.header.id).toBe("36675af4ea51b4d836840172616ba25c4bf5182f11bca19104afac52c9796578")
  })

  test("is known by its keys, and a chain spec is none", () => {
    expect([isCcoin(file), isCcoin({ miners: [] }), ...Object.values(presets).map(isCcoin)]).toEqual([
      true,
      true,
      ...Object.values(presets).map(() => false)
    ])
    expect([null, [], 1, {}].map(isCcoin)).toEqual([false, false, false, false])
  })

  test("has one hash, whatever the order of its keys, and another with any other value", () => {
    const reversed = Object.fromEntries(Object.entries(file).reverse())
    const hash = (json: Json): string => makeRules(read(json).spec).genesis.header.id
    expect(hash(reversed)).toBe(hash(file))
    const others: ReadonlyArray<Json> = [
      { network_id: 8 },
      { miners: [old(1)] },
      mining({ interval: 601 }),
      mining({ max_bound: 99 }),
      mining({ min_bound: 9 }),
      mining({ reward: 101 }),
      mining({ difficulty: 1 }),
      mining({ allow_empty: false }),
      mining({ placeholder_data: ["rnd", 14] }),
      { transaction: { placeholder_data: ["predef", "other"] } },
      { max_peers: 3 },
      { genesis_block: { difficulty: 1 } },
      { genesis_block: { difficulty: 0, coinbase: old(4), coinbase_reward: 1 } },
      { alloc: { [old(3)]: { balance: 1_000_000, nonce: 7 }, [old(4)]: { balance: 5 } } },
      { alloc: { [old(3)]: { balance: 1_000_001, nonce: 6 }, [old(4)]: { balance: 5 } } }
    ]
    const hashes = [file, ...others.map((changes) => ({ ...file, ...changes }))].map(hash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test("is read or refused, whatever has become of it: nothing throws", () => {
    const text = JSON.stringify(file)
    const dice = makeDice(21)
    let read = 0
    for (let i = 0; i < 3_000; i++) {
      const json = parseJsonc(new TextDecoder().decode(dice.mutate(utf8(text))))
      if (Result.isSuccess(json) && Result.isSuccess(readCcoin(json.success, map))) read++
    }
    const values = [null, true, -1, 1.5, 1e400, "x", [], {}, [[]], { a: {} }, ["rnd"], ["rnd", "15"]]
    for (const key of Object.keys(file))
      for (const value of values) {
        readCcoin({ ...file, [key]: value }, map)
        for (const inner of Object.keys(file[key] as object))
          readCcoin({ ...file, [key]: { ...(file[key] as object), [inner]: value } }, map)
      }
    expect(read).toBeGreaterThan(10)
  })

  test("makes a spec that is one: it can be written down and read again", () => {
    const spec = specOf({ max_peers: 9, genesis_block: { difficulty: 2 } })
    expect(Result.getOrThrow(parseSpec(formatSpec(spec)))).toEqual(spec)
    expect(toHex(specHash(Result.getOrThrow(parseSpec(JSON.parse(JSON.stringify(formatSpec(spec)))))))).toBe(
      toHex(specHash(spec))
    )
  })
})

describe("of its fields is enforced", () => {
  test("interval and min_bound: no block before its time, but for so many transactions", () => {
    const chain = begun()
    const many = Array.from({ length: 10 }, (_, i) => pay(7 + i))
    const { header } = chain.store.tip()
    const code = (block: Block): string | undefined => checkAfter(chain.rules, block, header)?.code
    expect(code(chain.next(many.slice(0, 9)))).toBe("block-hasty")
    expect(code(chain.next(many))).toBeUndefined()
    chain.now = header.time + 595_000 - 5_000
    expect(code(chain.next())).toBe("block-hasty")
    expect(code(chain.next())).toBeUndefined()
  })

  test("interval: a slot is five seconds, or as long as a shorter interval", () => {
    const slots = [600, 5, 2, 0.5, 0.002].map((interval) => {
      const { difficulty, authority, time } = specOf(mining({ interval }))
      return [difficulty.blockMs, authority!.outOfTurnMs, time.futureMsMax, authority!.pace!.idleMs]
    })
    expect(slots).toEqual([
      [5_000, 2_500, 2_500, 600_000],
      [5_000, 2_500, 2_500, 5_000],
      [2_000, 1_000, 1_000, 2_000],
      [500, 250, 250, 500],
      [2, 1, 1, 2]
    ])
  })

  test("max_bound", () => {
    const chain = begun(mining({ max_bound: 10 }))
    const more = Array.from({ length: 11 }, (_, i) => pay(7 + i))
    expect(chain.next(more).transactions.length).toBe(10)
    const other = begun(mining({ max_bound: 11 }))
    expect(checkBody(chain.rules, other.next(more))?.code).toBe("too-many-transactions")
  })

  test("allow_empty", () => {
    const chain = new TestChain(specOf(mining({ allow_empty: false })))
    chain.now += 600_000
    expect(chain.take(chain.next())).toBe("block-empty")
    expect(chain.take(chain.next([pay(7)]))).toBeUndefined()
  })

  test("miners and reward: they are the authorities, and who of them seals has the reward", () => {
    const chain = begun()
    const by = leaderAt(chain, chain.now)
    const { address } = keyOf(by)
    expect(decodeAccount(chain.store.readEntry(entryOf(address))).balance as number).toBe(100)
    expect(specOf().authority!.members).toEqual([keyOf(first).address, keyOf(second).address])
    expect(chain.rules.ledger.supplyAt(50) as number).toBe(1_000_005 + 5_000)
  })

  test("difficulty: four bits for each zero, also of the genesis", () => {
    const { rules } = new TestChain(specOf({ ...mining({ difficulty: 3 }), genesis_block: { difficulty: 2 } }))
    expect([bitsOf(rules.consensus.genesisTarget), bitsOf(rules.genesis.header.target)]).toEqual([12, 8])
  })

  test("placeholder_data of blocks: each block's data has its form, and no other", () => {
    const chain = begun()
    const block = chain.store.block(chain.store.tip().header.id)!
    expect(fromUtf8(block.extra)).toMatch(/^[A-Za-z0-9]{15}$/)
    for (const text of ["", "short", "fifteen letters", "x".repeat(16)])
      expect([text, checkBody(chain.rules, withExtra(block, utf8(text)))?.code]).toEqual([text, "extra-wrong"])
    expect(checkBody(chain.rules, withExtra(block, utf8("fifteenLetters1")))).toBeUndefined()
    const said = begun(mining({ placeholder_data: ["predef", "hello"] }))
    expect(fromUtf8(said.store.block(said.store.tip().header.id)!.extra)).toBe("hello")
  })

  test("placeholder_data of transactions: none is without data, which may be the sender's own", () => {
    const codeOf = (text: string, changes: Json = {}): string | undefined => {
      const decoded = makeRules(specOf(changes)).ledger.decode(pay(7, text).bytes)
      return Result.isFailure(decoded) ? decoded.failure.code : undefined
    }
    expect(["", "none", "hello world!", "x".repeat(512)].map((text) => codeOf(text))).toEqual([
      "data-missing",
      ...Array(3).fill(undefined)
    ])
    for (const form of [
      ["rnd", 0],
      ["predef", ""]
    ])
      expect(codeOf("", { transaction: { placeholder_data: form } })).toBeUndefined()
    const chain = begun()
    chain.now += 600_000
    expect(chain.take(chain.next([pay(7)]))).toBeUndefined()
  })

  test("alloc with balance and nonce: the next transfer has the nonce above", () => {
    const chain = begun()
    const held = (i: number) => decodeAccount(chain.store.readEntry(entryOf(keyOf(i).address)))
    expect([held(0), held(1)] as unknown).toEqual([
      { balance: 1_000_000, nonce: 6 },
      { balance: 5, nonce: 0 }
    ])
    chain.now += 600_000
    expect(chain.next([pay(1)]).transactions).toEqual([])
    chain.mine(1, [pay(7)])
    expect(held(0).nonce as number).toBe(7)
    const spent = specOf({ alloc: { [old(3)]: { balance: 0, nonce: 9 } } })
    expect(spent.genesis.alloc as unknown).toEqual([{ address: keyOf(0).address, balance: 0, nonce: 9 }])
  })

  test("genesis_block.coinbase and coinbase_reward: the coins are there from the start", () => {
    const alloc = (coinbase: string) =>
      specOf({ genesis_block: { coinbase, coinbase_reward: 30 } }).genesis.alloc.map(({ balance }) => balance as number)
    expect([alloc(old(4)), alloc(old(1)), alloc("")]).toEqual([
      [1_000_000, 35],
      [1_000_000, 5, 30],
      [1_000_000, 5]
    ])
  })

  test("max_peers: 0 is as many as a node can", () => {
    expect([0, 3, 65_535].map((max_peers) => peersMaxOf(specOf({ max_peers })))).toEqual([64, 3, 64])
  })

  test("network_id: what is signed for one network is not for another", () => {
    const chain = begun({ network_id: 8 })
    const outcome = chain.rules.ledger.decode(pay(7).bytes)
    expect(Result.isFailure(outcome) ? outcome.failure.code : "").toBe("chain-id-mismatch")
  })
})

describe("is refused by name", () => {
  test.each([
    [{ network_id: "1" }, ['network_id is "1"']],
    [{ network_id: -1 }, ["network_id is -1"]],
    [{ miners: [] }, ["miners is not a list of addresses"]],
    [{ miners: [old(1), old(1)] }, ["miners stands here twice"]],
    [mining({ interval: 0 }), ["block_mining.interval is no time between blocks"]],
    [mining({ interval: "600" }), ["block_mining.interval is no time between blocks"]],
    [mining({ max_bound: 0 }), [expect.stringContaining("block_mining.max_bound is 0"), expect.anything()]],
    [mining({ min_bound: 0 }), ["block_mining.min_bound is 0"]],
    [
      mining({ min_bound: 101 }),
      ["block_mining.min_bound is 101, more than max_bound, 100: no block could ever have so many"]
    ],
    [mining({ reward: 1.5 }), ["block_mining.reward is 1.5"]],
    [mining({ reward: -100 }), ["block_mining.reward is -100"]],
    [mining({ difficulty: 61 }), ["block_mining.difficulty is 61"]],
    [mining({ allow_empty: "yes" }), ["block_mining.allow_empty is neither true nor false"]],
    [mining({ placeholder_data: ["rnd", 1025] }), ["block_mining.placeholder_data is no placeholder"]],
    [mining({ placeholder_data: ["other", 1] }), ["block_mining.placeholder_data is no placeholder"]],
    [
      mining({ placeholder_data: ["predef", "x".repeat(1025)] }),
      [expect.stringMatching(/^block_mining.placeholder_data /)]
    ],
    [{ transaction: { placeholder_data: 15 } }, ["transaction.placeholder_data is no placeholder"]],
    [
      { transaction: { placeholder_data: ["predef", "é".repeat(257)] } },
      [expect.stringMatching(/^transaction.placeholder_data has 514 bytes/)]
    ],
    [{ transaction: { placeholder_data: ["rnd", 513] } }, ["transaction.placeholder_data is no placeholder"]],
    [{ max_peers: -1 }, ["max_peers is -1"]],
    [{ max_peers: 1e300 }, ["max_peers is 1e+300"]],
    [{ genesis_block: { difficulty: "4" } }, ['genesis_block.difficulty is "4"']],
    [{ genesis_block: { coinbase: old(1) } }, ["genesis_block.coinbase gets nothing"]],
    [{ alloc: [] }, ["alloc is not an object of addresses"]],
    [
      { alloc: { [old(3)]: { balance: -5 } } },
      [expect.stringMatching(/balance is -5$/), expect.stringMatching(/has nothing/)]
    ],
    [{ alloc: { [old(3)]: {} } }, [`alloc.${old(3)} has nothing and has sent nothing`]],
    [
      { alloc: { [old(3)]: { balance: 2 ** 53 } } },
      [expect.stringMatching(/balance is 9007199254740992$/), expect.anything()]
    ],
    [
      { alloc: { [old(3)]: { balance: 2 ** 53 - 1 }, [old(4)]: { balance: 1 } } },
      [expect.stringMatching(/^alloc allocates/)]
    ],
    [
      { alloc: { [ours(0)]: { balance: 1 }, [old(3)]: { balance: 1 } } },
      [expect.stringMatching(/has the new address of/)]
    ],
    [{ alloc: { me: { balance: 1 } } }, [expect.stringMatching(/^alloc.me /)]],
    [
      { alloc: { [old(3)]: { balance: 1, owner: "x" } } },
      [`alloc.${old(3)}.owner is a key that no rule here stands behind`]
    ],
    [{ max_peer: 3 }, ["max_peer is a key that no rule here stands behind"]],
    [mining({ intervall: 3 }), ["block_mining.intervall is a key that no rule here stands behind"]]
  ] as ReadonlyArray<readonly [Json, ReadonlyArray<string>]>)("%j", (changes, said) => {
    expect(refused(changes)).toEqual([...said])
  })

  test("all of it at once, and an address that the table does not name with the entry that lacks", () => {
    const table = new Map([[old(1), ours(first)]])
    const reading = readCcoin({ ...file, max_peers: -1 }, table)
    const failed = Result.isFailure(reading) ? reading.failure : []
    expect(failed.map(({ path }) => path)).toEqual(["miners[1]", "max_peers", `alloc.${old(3)}`, `alloc.${old(4)}`])
    expect(failed[0]!.hint).toContain(`{"${old(2)}": "ccoin1…"}`)
    for (const { hint } of failed) expect(hint!.length).toBeGreaterThan(10)
  })

  test("a table of addresses that is none", () => {
    const wrong = (json: unknown): ReadonlyArray<string> => {
      const parsed = parseAddressMap(json)
      return Result.isSuccess(parsed) ? [] : parsed.failure.map(({ path }) => path)
    }
    expect(wrong([])).toEqual([""])
    expect(wrong({ short: ours(1), [old(1)]: "crn1x", [old(2)]: 3, [old(3)]: ours(3) })).toEqual([
      "short",
      old(1),
      old(2)
    ])
  })

  test("but no public key in place of its address", () => {
    const key = toHex(keyOf(5).publicKey)
    expect(Result.getOrThrow(readCcoin({ ...file, miners: [key] }, map)).spec.authority!.members).toEqual([
      keyOf(5).address
    ])
    expect(Result.getOrThrow(parseAddressMap({ ["AB".repeat(20)]: key })).get("ab".repeat(20))).toBe(key)
  })
})
