/** Which history wins, and that nothing is lost on the way: plans, undo, supply, and the defects that others showed. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { forge, keyOf, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import type { Block } from "../block/block.ts"
import { parseSpec } from "../block/genesis.ts"
import { makeHeader, type Target } from "../block/header.ts"
import { bitsOf, targetOfBits } from "../consensus/difficulty.ts"
import { sha256, type Hash32 } from "../crypto/hash.ts"
import { decodeAccount, keyOf as entryKey } from "../ledger/account.ts"
import type { Millis } from "../ledger/transaction.ts"
import { makeTransfer } from "../ledger/transfer.ts"
import { loadPending } from "../store/pending.ts"
import { checkBody, checkHeader } from "./check.ts"
import { presets } from "./presets.ts"
import { ancestryOf } from "./reader.ts"

const judge = (chain: TestChain, block: Block, now = chain.now): string | undefined => {
  const parent = chain.store.find(block.header.previous.toHex())!.header
  const refused =
    checkHeader(chain.rules, block.header, { ancestry: ancestryOf(chain.store, parent), now }) ??
    checkBody(chain.rules, block)
  return refused?.code
}

const balance = (chain: TestChain, key: number): number =>
  decodeAccount(chain.store.readEntry(entryKey(keyOf(key).address))).balance

describe("a header", () => {
  test("commits to everything: a nonce stolen for another proposer does not seal (defect 1)", () => {
    const chain = new TestChain(specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 12 } }))
    const block = chain.next()
    const thief = makeHeader({ ...block.header, proposer: keyOf(7).address })
    expect(judge(chain, block)).toBeUndefined()
    expect(judge(chain, { ...block, header: thief })).toBe("seal-wrong")
  })

  test("must be later than the median of its ancestors and at most two hours ahead (defect 2)", () => {
    const chain = new TestChain()
    chain.mine(12)
    const block = chain.next()
    const median = chain.store.bestAt(7)!.header.time
    const at = (time: number): string | undefined => judge(chain, forge(block, { time: time as Millis }))
    expect([at(median), at(median + 1)]).toStrictEqual(["time-too-early", undefined])
    expect([at(chain.now + 7_200_000), at(chain.now + 7_200_001)]).toEqual([undefined, "time-too-far-ahead"])
  })

  test("of dotcoin is less than 60 s behind its parent and less than 60 s ahead of the clock (D-V3)", () => {
    const chain = new TestChain(Result.getOrThrow(parseSpec(presets["dotcoin"])))
    chain.mine(12)
    const block = chain.next()
    const parent = chain.store.tip().header.time
    const at = (time: number): string | undefined => judge(chain, forge(block, { time: time as Millis }))
    expect([-61, -60, -59].map((s) => at(parent + s * 1_000))).toStrictEqual(["time-too-early", "time-too-early", undefined])
    expect([59, 60, 61].map((s) => at(chain.now + s * 1_000))).toEqual([
      undefined,
      "time-too-far-ahead",
      "time-too-far-ahead"
    ])
  })

  test("of full-node is not earlier than its parent (F-D10)", () => {
    const spec = Result.getOrThrow(parseSpec(presets["full-node"]))
    const chain = new TestChain({ ...spec, difficulty: { rule: "fixed", blockMs: 1000, bits: 2 } })
    chain.mine(3)
    const block = chain.next()
    const parent = chain.store.tip().header.time
    const at = (time: number): string | undefined => judge(chain, forge(block, { time: time as Millis }))
    expect([at(parent - 1), at(parent)]).toStrictEqual(["time-too-early", undefined])
  })

  test("of dotcoin carries one bit more after ten blocks in under 50 s, one fewer after over 200 s (D-V5)", () => {
    const spec = Result.getOrThrow(parseSpec(presets["dotcoin"]))
    const chain = new TestChain(spec)
    const bitsAfter = (blocks: number, gapMs: number): number => {
      for (let i = 0; i < blocks; i++) {
        chain.now += gapMs - spec.difficulty.blockMs
        chain.mine()
      }
      const { now } = chain
      const bits = bitsOf(chain.next().header.target)
      chain.now = now
      return bits
    }
    expect([bitsAfter(10, 4_999), bitsAfter(10, 4_999)]).toEqual([1, 2])
    expect([bitsAfter(10, 5_001), bitsAfter(10, 20_000)]).toEqual([2, 2])
    expect([bitsAfter(10, 20_002), bitsAfter(10, 60_000), bitsAfter(10, 60_000)]).toEqual([1, 0, 0])
    const easier = forge(chain.next(), { target: targetOfBits(1) })
    expect([judge(chain, chain.next()), judge(chain, easier)]).toEqual([undefined, "target-wrong"])
  })

  test("may carry no target but the one that follows (defect 12)", () => {
    const rule = {
      rule: "interval-bits",
      blockMs: 1000,
      intervalBlocks: 10,
      bitsStart: 4,
      bitsMin: 0,
      bitsMax: 8
    } as const
    const chain = new TestChain(specOf({ difficulty: rule }))
    const easier = new Uint8Array(32).fill(0xff) as Uint8Array as Target
    expect(judge(chain, forge(chain.next(), { target: easier }))).toBe("target-wrong")
  })
})

describe("a body", () => {
  test("is bound to its header: other transactions, other extra data, the same transaction twice", () => {
    const chain = new TestChain()
    const paid = transfer({ from: 0, to: 1, nonce: 1 })
    const block = chain.next([paid])
    expect(judge(chain, { ...block, transactions: [] })).toBe("transaction-root-wrong")
    expect(judge(chain, { ...block, transactions: [paid, paid] })).toBe("transaction-root-wrong")
    expect(judge(chain, { ...block, extra: new Uint8Array([1]) })).toBe("extra-hash-wrong")
  })

  test("with any state root but the true one is refused, so no reward can be claimed (defect 14)", () => {
    const chain = new TestChain()
    const lie = forge(chain.next([transfer({ from: 0, to: 1, nonce: 1 })]), {
      stateRoot: sha256(new Uint8Array([9])) as Hash32
    })
    const before = chain.dump()
    expect(chain.take(lie)).toBe("state-root-wrong")
    expect(chain.dump()).toBe(before)
    expect(chain.store.invalidCode(lie.header.id)).toBe("state-root-wrong")
  })
})

describe("a change of tip", () => {
  test.each([1, 2, 3, 10, 100])(
    "takes back %d blocks for a heavier branch, and everything is as if they never were (defect 22)",
    (depth) => {
      const chain = new TestChain()
      chain.mine(3, [transfer({ from: 0, to: 1, nonce: 1 })])
      const rival = chain.fork(2)
      chain.mine(depth, [transfer({ from: 1, to: 2, nonce: 1, amount: 5 })])
      const heavier = rival.mine(depth + 2, [transfer({ from: 2, to: 3, nonce: 1, amount: 7 })], 98)
      for (const block of heavier) expect(chain.take(block)).toBeUndefined()
      expect(chain.dump()).toBe(rival.dump())
    }
  )

  test("returns the losing branch's transfers to the pool, and confirms them once (defect 3)", () => {
    const chain = new TestChain()
    const rival = chain.fork(0)
    const lost = transfer({ from: 0, to: 1, nonce: 1 })
    const common = transfer({ from: 1, to: 2, nonce: 1 })
    chain.mine(1, [lost, common])
    expect(loadPending(chain.store.db)).toEqual([])
    for (const block of rival.mine(2, [common])) chain.take(block)
    expect(loadPending(chain.store.db).map(({ bytes }) => bytes.toHex())).toEqual([lost.bytes.toHex()])
  })

  test("that fails in the middle leaves nothing behind (defect 21)", () => {
    const chain = new TestChain()
    const rival = chain.fork(0)
    chain.mine(2, [transfer({ from: 0, to: 1, nonce: 1 })])
    const [first, second] = rival.mine(2, [transfer({ from: 0, to: 2, nonce: 1 })])
    const overdrawn = forge(rival.next(), { stateRoot: sha256(new Uint8Array([1])) as Hash32 })
    chain.take(first!)
    const before = chain.dump()
    chain.take(second!)
    expect(chain.dump()).toBe(before)
    expect(chain.take(overdrawn)).toBe("state-root-wrong")
    expect(chain.dump()).toBe(before)
  })

  test("of equal work stays with the first seen", () => {
    const chain = new TestChain()
    const rival = chain.fork(0)
    const [mine] = chain.mine(1)
    chain.take(rival.mine(1, [], 98)[0]!)
    expect(chain.store.tip().header.id).toBe(mine!.header.id)
  })
})

test("any order of arrival ends at a tip of the most work, with the state of its own replay", () => {
  for (let seed = 0; seed < 12; seed++) {
    const dice = makeDice(seed)
    const branches = [new TestChain()]
    const blocks: Array<Block> = []
    for (let i = 0; i < 25; i++) {
      const from = dice.pick(branches)
      const branch = dice.chance(0.25) ? from.fork(dice.int(from.store.tip().header.height + 1)) : from
      if (branch !== from) branches.push(branch)
      const [a, b] = [dice.int(4), 4 + dice.int(4)]
      const nonce = decodeAccount(branch.store.readEntry(entryKey(keyOf(a).address))).nonce + 1
      blocks.push(...branch.mine(1, [transfer({ from: a, to: b, nonce, amount: 1 + dice.int(50) })], 90 + dice.int(5)))
    }
    const chain = new TestChain()
    const waiting = [...blocks]
    while (waiting.length > 0) {
      const i = dice.int(waiting.length)
      if (chain.store.find(waiting[i]!.header.previous.toHex()) === undefined) continue
      expect(chain.take(waiting.splice(i, 1)[0]!)).toBeUndefined()
    }
    const most = blocks.reduce((best, block) => (chain.rowFor(block).work > best ? chain.rowFor(block).work : best), 0n)
    expect(chain.store.tip().work).toBe(most)
    const replay = new TestChain()
    for (let height = 1; height <= chain.store.tip().header.height; height++) {
      expect(replay.take(chain.store.block(chain.store.bestAt(height)!.header.id)!)).toBeUndefined()
    }
    expect(replay.dump()).toBe(chain.dump())
  }
})

test("a block moves money and issues its reward, nothing else", () => {
  const chain = new TestChain(specOf({ accounts: 2, balance: 500 }))
  chain.mine(1, [transfer({ from: 0, to: 1, nonce: 1, amount: 100, fee: 7 })])
  expect([balance(chain, 0), balance(chain, 1), balance(chain, 99)]).toEqual([393, 600, 1007])
})

test("a jumped nonce, an overdraft and a wrong signature are refused in a block (defects 13, 15, 16)", () => {
  const chain = new TestChain(specOf({ balance: 100 }))
  const honest = chain.next()
  const withRoot = (transactions: Parameters<TestChain["mine"]>[1]): Block => {
    const { next } = { next: chain.next([]) }
    const root = transactions!.length === 1 ? transactions![0]!.leaf : next.header.transactionRoot
    return {
      ...forge({ ...next, transactions: transactions! }, { transactionRoot: root }),
      transactions: transactions!
    }
  }
  const good = transfer({ from: 0, to: 1, nonce: 1 })
  const unsigned = transfer({ from: 0, to: 1, nonce: 1, amount: 11 })
  const swapped = makeTransfer({ ...good.transfer, signature: unsigned.transfer.signature })
  expect(chain.take(withRoot([transfer({ from: 0, to: 1, nonce: 77 })]))).toBe("transaction-refused")
  expect(chain.take(withRoot([transfer({ from: 0, to: 1, nonce: 1, amount: 1000 })]))).toBe("transaction-refused")
  expect(chain.take(withRoot([swapped]))).toBe("signature-invalid")
  expect(chain.take(honest)).toBeUndefined()
})
