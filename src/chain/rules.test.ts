/** The presets that ship, and the genesis that follows from a spec. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { type ChainSpec, parseSpec } from "../block/genesis.ts"
import { makeHeader } from "../block/header.ts"
import { checkProof, prove, StateTree } from "../block/state-tree.ts"
import { toHex } from "../codec/bytes.ts"
import { prefixOf, targetOfPrefix } from "../consensus/difficulty.ts"
import { zeroHash } from "../crypto/hash.ts"
import { accountKey, devMnemonic } from "../crypto/keys.ts"
import { encodeAccount, keyOf } from "../ledger/account.ts"
import { amount } from "../ledger/amount.ts"
import type { Nonce } from "../ledger/transaction.ts"
import { presets } from "./presets.ts"
import { genesisState, makeRules } from "./rules.ts"

const specOf = (name: string): ChainSpec => Result.getOrThrow(parseSpec(presets[name]))

test("every preset is a spec, makes rules, and no two are one chain (defect 17)", () => {
  const all = Object.keys(presets).map((name) => makeRules(specOf(name)))
  expect(Object.keys(presets).sort()).toEqual([
    "cairn",
    "dev",
    "dev-authorities",
    "dev-coins",
    "dotcoin",
    "full-node",
    "lua-blockchain"
  ])
  for (const distinct of [
    all.map(({ spec }) => spec.ledger.chainId),
    all.map(({ genesis }) => genesis.header.id),
    all.map(({ genesis }) => String(genesis.header.chainTag))
  ]) {
    expect(new Set(distinct).size).toBe(all.length)
  }
})

test("cairn issues five coins a block, halved each 2,100,000 blocks, and never 21,000,000", () => {
  const { ledger, genesis } = makeRules(specOf("cairn"))
  expect([1, 2_100_000, 2_100_001, 4_200_001].map(ledger.rewardAt)).toEqual([5e8, 5e8, 2.5e8, 1.25e8].map(amount))
  expect(ledger.supplyAt(0)).toBe(amount(0))
  expect(ledger.supplyAt(1e12)).toBe(amount(2_099_999_972_700_000))
  expect(genesis.header.stateRoot).toEqual(zeroHash)
})

test("lua-blockchain keeps the figures of the chain it is named after", () => {
  const { ledger, difficulty, block } = specOf("lua-blockchain")
  expect(ledger).toMatchObject({
    chainId: "lua-blockchain-mainnet",
    decimals: 2,
    feeMin: 1,
    reward: 100,
    noteBytesMax: 280
  })
  expect(difficulty).toEqual({
    rule: "prefix-window",
    blockMs: 30_000,
    windowBlocks: 10,
    prefixStart: 4,
    prefixMin: 2,
    prefixMax: 6
  })
  expect(block.transactionsMax).toBe(249)
})

test("lua-blockchain asks for a zero more or fewer as the chain does that it is named after (L-B5, L-B6)", () => {
  const spec = specOf("lua-blockchain")
  const difficulty = { ...spec.difficulty, windowBlocks: 2 } as ChainSpec["difficulty"]
  const { consensus, genesis } = makeRules({ ...spec, difficulty })
  const after = (gapMs: number): number => {
    const headers = [genesis.header]
    for (const height of [1, 2]) {
      const parent = headers.at(-1)!
      const target = consensus.nextTarget({ parent, at: (wanted) => headers[wanted]! })
      const time = (parent.time + gapMs) as typeof parent.time
      headers.push(makeHeader({ ...parent, height: height as typeof parent.height, time, target }))
    }
    return prefixOf(consensus.nextTarget({ parent: headers.at(-1)!, at: (wanted) => headers[wanted]! }))
  }
  expect([300_000, 60_000, 30_000, 15_000, 10_000].map(after)).toEqual([3, 3, 4, 5, 5])
  const works = [2, 3, 4, 5, 6].map((zeros) =>
    consensus.work(makeHeader({ ...genesis.header, target: targetOfPrefix(zeros) }))
  )
  expect(works).toEqual([2n, 3n, 4n, 5n, 6n].map((zeros) => 16n ** zeros))
})

test("dotcoin keeps the figures of the chain it is named after (D-M6, D-V3, D-V5)", () => {
  const { ledger, difficulty, time, genesis } = specOf("dotcoin")
  expect(ledger).toMatchObject({ model: "utxo", decimals: 0, feeMin: 0, reward: 50, coinbaseMaturity: 0 })
  const bits = { bitsStart: 0, bitsMin: 0, bitsMax: 240 }
  expect(difficulty).toEqual({ rule: "interval-bits", blockMs: 10_000, intervalBlocks: 10, ...bits })
  expect([time, genesis.alloc]).toEqual([{ behindMsMax: 59_999, futureMsMax: 59_999 }, []])
  const { rewardAt } = makeRules(specOf("dotcoin")).ledger
  expect([1, 2, 1e9].map(rewardAt)).toEqual([50, 50, 50].map(amount))
})

test("full-node keeps the figures of the chain it is named after (F-D6, F-D7, F-D8, F-D10)", () => {
  const { ledger, difficulty, time, block } = specOf("full-node")
  expect(ledger).toMatchObject({ model: "utxo", decimals: 0, feeMin: 0, reward: 25, rewardHalvingBlocks: 0 })
  expect(difficulty).toEqual({ rule: "fixed", blockMs: 10_000, bits: 22 })
  expect([time.behindMsMax, block.transactionsMax]).toEqual([0, 4])
})

test("dev-coins is dev with coins: the same accounts, the same money", () => {
  const [dev, coins] = [specOf("dev"), specOf("dev-coins")]
  expect(coins.genesis).toEqual(dev.genesis)
  expect({ ...coins.ledger, model: "account", chainId: "cairn-dev" }).toMatchObject(dev.ledger)
  expect([coins.difficulty, coins.time, coins.block]).toEqual([dev.difficulty, dev.time, dev.block])
  const { ledger } = makeRules(coins)
  const entries = [...genesisState(ledger, coins).changes.values()].map(({ after }) => ledger.unitsOf(after!))
  expect(entries).toEqual(Array(3).fill(amount(1_000_000e8)))
})

test("dev gives a million coins to each of the first three accounts of its public mnemonic", () => {
  const { alloc } = specOf("dev").genesis
  expect(alloc.map(({ address }) => toHex(address))).toEqual(
    [0, 1, 2].map((i) => toHex(accountKey(devMnemonic, i).address))
  )
  expect(alloc.map(({ balance }) => balance)).toEqual(Array(3).fill(amount(1_000_000e8)))
  expect(makeRules(specOf("dev")).ledger.supplyAt(0)).toBe(amount(3_000_000e8))
})

test("a genesis commits to its allocation, whatever the order, and to nothing else", () => {
  const spec = specOf("dev")
  const { genesis, ledger } = makeRules(spec)
  const reversed = { ...spec, genesis: { ...spec.genesis, alloc: [...spec.genesis.alloc].reverse() } }
  expect(makeRules(reversed).genesis.header.stateRoot).toEqual(genesis.header.stateRoot)

  const tree = new StateTree(() => undefined)
  tree.update([...genesisState(ledger, spec).changes].map(([key, { after }]) => [key, after] as const))
  const pages = tree.pages()
  for (const { address, balance } of spec.genesis.alloc) {
    const key = keyOf(address)
    const claim = { root: genesis.header.stateRoot, key, proof: prove((name) => pages.get(name), key) }
    expect(checkProof({ ...claim, value: encodeAccount({ balance, nonce: 0 as Nonce }) })).toBe(true)
    expect(checkProof({ ...claim, value: encodeAccount({ balance, nonce: 1 as Nonce }) })).toBe(false)
  }
})

test("a genesis is at height 0, before everything, by nobody, with the first target", () => {
  const { genesis, consensus, spec } = makeRules(specOf("cairn"))
  const { height, time, nonce, previous, proposer, target } = genesis.header
  expect({ height, time, nonce }).toEqual({ height, time: spec.genesis.time, nonce: 0 })
  expect([height as number, previous, toHex(proposer), target]).toEqual([
    0,
    zeroHash as typeof previous,
    "00".repeat(20),
    consensus.genesisTarget
  ])
  expect(genesis.transactions).toEqual([])
})
