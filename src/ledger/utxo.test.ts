/** The coin model: what each rule refuses and by which code, that refusals change nothing, and what a block must open with. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Result } from "effect"
import {
  coinsOf as coinsOfKey,
  epoch,
  forge,
  keyOf,
  payment,
  specOf,
  TestChain,
  transfer
} from "../../test/fixtures.ts"
import { type Block, decodeBlock, encodeBlock, transactionRootOf } from "../block/block.ts"
import { Decision } from "../chain/connect.ts"
import { concat, toHex, writeU32 } from "../codec/bytes.ts"
import { type Amount, amount } from "./amount.ts"
import { allocationId, coinKey, decodeCoin, encodeCoin } from "./coin.ts"
import type { Allocation, CoinRules, Place } from "./ledger.ts"
import { Overlay } from "./overlay.ts"
import { makeCoinbase, makePayment } from "./payment.ts"
import { blame, type TransactionReject } from "./reject.ts"
import type {
  Coinbase,
  Millis,
  Outpoint,
  Payment,
  PaymentTransaction,
  Transaction,
  TransactionId
} from "./transaction.ts"
import { makeCoinLedger } from "./utxo.ts"

const rules: CoinRules = {
  ...(specOf({ model: "utxo" }).ledger as CoinRules),
  supplyMax: amount(1_000_000),
  feeMin: amount(2),
  noteBytesMax: 10
}
const allocation: ReadonlyArray<Allocation> = [0, 1, 2].map((i) => ({
  address: keyOf(i).address,
  balance: amount(1_000)
}))
const ledger = makeCoinLedger(rules, amount(3_000))

/** The coin that the genesis gives key i. */
const given = (i: number): Outpoint => ({ id: allocationId("test"), index: i })
const elsewhere = (index: number): Outpoint => ({ id: new Uint8Array(32).fill(7) as TransactionId, index })
const funded = (): Overlay => {
  const state = new Overlay(() => undefined)
  ledger.allocate(state, allocation)
  return state
}
/** The entries that are there, whatever has only been read. */
const dump = (state: Overlay): string =>
  [...state.changes]
    .flatMap(([key, { after }]) => (after === undefined ? [] : [`${key} ${toHex(after)}`]))
    .sort()
    .join("\n")
const codeOf = (outcome: Amount | TransactionReject | undefined): string | undefined =>
  typeof outcome === "object" ? outcome.code : undefined

/** Codes that a test of this file has met. */
const met = new Set<string>()
const meet = (code: string | undefined): string | undefined => {
  if (code !== undefined) met.add(code)
  return code
}
const decodeCode = (bytes: Uint8Array): string | undefined => {
  const decoded = ledger.decode(bytes)
  return Result.isFailure(decoded) ? meet(decoded.failure.code) : undefined
}
/** What `apply` says after the bytes were read as a peer's are; check must say the same, and a refusal writes nothing. */
const applyCode = (state: Overlay, sent: Transaction, place: Place = { height: 1 }): string | undefined => {
  const decoded = ledger.decode(sent.bytes)
  if (Result.isFailure(decoded)) return meet(decoded.failure.code)
  const before = dump(state)
  const said = ledger.check(state, decoded.success, place)
  expect(dump(state)).toBe(before)
  expect(ledger.apply(state, decoded.success, place)).toEqual(said)
  if (typeof said !== "number") expect(dump(state)).toBe(before)
  return meet(codeOf(said))
}

const fair = payment({
  inputs: [given(0)],
  outputs: [
    [1, 900],
    [0, 98]
  ],
  by: [0]
})
const changed = (fields: Partial<Payment>, of = fair): PaymentTransaction => makePayment({ ...of.payment, ...fields })

describe("a payment without any state is refused for", () => {
  const out = (...amounts: ReadonlyArray<number>) =>
    amounts.map((units) => ({ recipient: keyOf(1).address, amount: units as Amount }))
  const cases: ReadonlyArray<readonly [name: string, fields: Partial<Payment>, code: string | undefined]> = [
    ["nothing, if it is fair", {}, undefined],
    ["another chain", { chainId: "other" }, "chain-id-mismatch"],
    ["spending nothing", { inputs: [] }, "inputs-missing"],
    ["paying nobody", { outputs: [] }, "outputs-missing"],
    ["being signed by nobody", { witnesses: [] }, "witness-missing"],
    ["naming a coin twice (defect 20)", { inputs: [given(0), given(1), given(0)] }, "input-duplicate"],
    ["an output of nothing", { outputs: out(900, 0) }, "amount-invalid"],
    ["an output above the largest supply", { outputs: out(1_000_001) }, "amount-invalid"],
    ["outputs above the largest supply together", { outputs: out(500_000, 500_001) }, "amount-invalid"],
    [
      "outputs that add up beyond what can be counted",
      { outputs: out(1, ...Array(9).fill(2 ** 53 - 1)) },
      "amount-invalid"
    ],
    ["nothing, at the largest supply", { outputs: out(500_000, 500_000) }, undefined],
    ["a note longer than the chain allows, in bytes", { note: "é".repeat(5) + "x" }, "note-too-long"],
    ["nothing, at the longest note", { note: "é".repeat(5) }, undefined]
  ]
  test.each(cases)("%s", (_, fields, code) => {
    expect(decodeCode(changed(fields).bytes)).toBe(code)
  })

  test("being of the other ledger, on both sides", () => {
    const accounts = new TestChain().rules.ledger
    const move = transfer({ from: 0, to: 1, nonce: 1 })
    expect(decodeCode(move.bytes)).toBe("version-unsupported")
    expect([codeOf(ledger.check(funded(), move, { height: 1 })), ledger.checkSignature(move)]).toEqual([
      "version-unsupported",
      false
    ])
    const decoded = accounts.decode(fair.bytes)
    expect(Result.isFailure(decoded) && decoded.failure.code).toBe("version-unsupported")
    for (const judge of [accounts.check, accounts.apply])
      expect(codeOf(judge(funded(), fair, { height: 1 }))).toBe("version-unsupported")
    expect(accounts.checkSignature(fair)).toBe(false)
  })
})

describe("a payment on a state", () => {
  test("takes whole coins, makes new ones under its own name, and leaves the rest as the fee", () => {
    const state = funded()
    expect(ledger.apply(state, fair, { height: 5 })).toBe(amount(2))
    expect(state.get(coinKey(given(0)))).toBeUndefined()
    const made = [0, 1].map((index) => decodeCoin(state.get(coinKey({ id: fair.id, index }))!))
    expect(made).toEqual([
      { owner: keyOf(1).address, amount: amount(900), height: 5, coinbase: false },
      { owner: keyOf(0).address, amount: amount(98), height: 5, coinbase: false }
    ])
  })

  test("may spend in its own block what a payment before it made", () => {
    const state = funded()
    const then = payment({ inputs: [{ id: fair.id, index: 0 }, given(1)], outputs: [[2, 1_898]], by: [1] })
    expect(applyCode(state, then)).toBe("coin-unknown")
    expect([applyCode(state, fair), applyCode(state, then)]).toStrictEqual([undefined, undefined])
  })

  type Wish = Parameters<typeof payment>[0]
  const cases: ReadonlyArray<readonly [name: string, wish: Wish, code: string | undefined]> = [
    ["a coin that never was", { inputs: [elsewhere(0)], outputs: [[1, 5]], by: [0] }, "coin-unknown"],
    [
      "a coin beside one that is there",
      { inputs: [given(0), elsewhere(1)], outputs: [[1, 5]], by: [0] },
      "coin-unknown"
    ],
    ["a coin whose owner has not signed", { inputs: [given(1)], outputs: [[0, 998]], by: [0] }, "coin-not-owned"],
    ["one such coin of two", { inputs: [given(0), given(1)], outputs: [[0, 1_998]], by: [0] }, "coin-not-owned"],
    ["a signature of who owns none", { inputs: [given(0)], outputs: [[1, 998]], by: [0, 1] }, "witness-unneeded"],
    [
      "paying a unit more than it spends",
      { inputs: [given(0)], outputs: [[1, 1_001]], by: [0] },
      "outputs-exceed-inputs"
    ],
    [
      "paying more in parts",
      {
        inputs: [given(0)],
        outputs: [
          [1, 999],
          [2, 2]
        ],
        by: [0]
      },
      "outputs-exceed-inputs"
    ],
    ["no fee", { inputs: [given(0)], outputs: [[1, 1_000]], by: [0] }, "fee-too-low"],
    ["a fee a unit below the least", { inputs: [given(0)], outputs: [[1, 999]], by: [0] }, "fee-too-low"],
    ["nothing, at the least fee", { inputs: [given(0)], outputs: [[1, 998]], by: [0] }, undefined],
    [
      "nothing, when one owner signs once for two coins",
      { inputs: [given(0), given(1)], outputs: [[2, 1]], by: [0, 1] },
      undefined
    ]
  ]
  test.each(cases)("is refused for %s", (_, wish, code) => {
    expect(applyCode(funded(), payment(wish))).toBe(code)
  })

  test("signs once for all the coins of one owner", () => {
    const state = funded()
    state.set(
      coinKey(elsewhere(0)),
      encodeCoin({ owner: keyOf(0).address, amount: amount(5), height: 1, coinbase: false })
    )
    const both = payment({ inputs: [given(0), elsewhere(0)], outputs: [[1, 1_003]], by: [0] })
    expect([both.payment.witnesses.length, applyCode(state, both)]).toStrictEqual([1, undefined])
  })

  test("is refused for a coin that is spent, told from one that never was as far as it can be", () => {
    const state = funded()
    expect(applyCode(state, fair)).toBeUndefined()
    expect(applyCode(state, payment({ inputs: [given(0)], outputs: [[2, 998]], by: [0] }))).toBe("coin-spent")
    const old = encodeCoin({ owner: keyOf(0).address, amount: amount(9), height: 1, coinbase: false })
    const above = new Overlay((key) => (key === coinKey(elsewhere(0)) ? old : undefined))
    expect(above.get(coinKey(elsewhere(0)))).toBe(old)
    const twice = [1, 2].map((to) => payment({ inputs: [elsewhere(0)], outputs: [[to, 7]], by: [0] }))
    expect(twice.map((one) => applyCode(above, one))).toEqual([undefined, "coin-spent"])
    const later = new Overlay(() => undefined)
    expect(applyCode(later, fair)).toBe("coin-spent")
    const child = payment({ inputs: [{ id: fair.id, index: 0 }], outputs: [[2, 898]], by: [1] })
    expect(applyCode(later, child, { height: 2, isConfirmed: (id) => toHex(id) === toHex(fair.id) })).toBe("coin-spent")
    expect(applyCode(later, child, { height: 2, isConfirmed: () => false })).toBe("coin-unknown")
  })

  test("that names a coin twice could make no money even past decode: the supply of its block would not hold", () => {
    const chain = new TestChain(specOf({ model: "utxo" }))
    const [coin] = coinsOfKey(chain, 0)
    const doubled = payment({ inputs: [coin!, coin!], outputs: [[0, 2 * coin!.amount - 1]], by: [0] })
    const outputs = [{ recipient: keyOf(99).address, amount: amount(1_001) }]
    const block = blockOf(chain, [opening(chain, { outputs }), doubled])
    expect(() =>
      new Decision(chain.rules, chain.store, chain.verified).attach(block, chain.store.tip().header)
    ).toThrow("supply")
  })

  test.each([0, 1, 2, 7])("ripens: of a coinbase, after a maturity of %i blocks and no earlier", (coinbaseMaturity) => {
    const { apply } = makeCoinLedger({ ...rules, coinbaseMaturity }, amount(3_000))
    for (const [height, coinbase] of [
      [5, true],
      [5, false]
    ] as const) {
      const at = (place: number) => {
        const state = new Overlay(() => undefined)
        state.set(coinKey(elsewhere(0)), encodeCoin({ owner: keyOf(0).address, amount: amount(9), height, coinbase }))
        return codeOf(apply(state, payment({ inputs: [elsewhere(0)], outputs: [[1, 7]], by: [0] }), { height: place }))
      }
      expect(at(height + coinbaseMaturity)).toBeUndefined()
      if (coinbaseMaturity > 0)
        expect(meet(at(height + coinbaseMaturity - 1))).toBe(coinbase ? "coin-immature" : undefined)
    }
  })

  test("is refused in words that a person can act on", () => {
    const said = (wish: Wish) => (ledger.check(funded(), payment(wish), { height: 1 }) as TransactionReject).message
    expect(said({ inputs: [given(0)], outputs: [[1, 1_001]], by: [0] })).toBe(
      "It pays 0.00001001 CRN out of 0.00001000 CRN."
    )
    expect(said({ inputs: [given(0)], outputs: [[1, 999]], by: [0] })).toBe("The fee must be at least 0.00000002 CRN.")
  })
})

/** What a block on the tip must open with, if it has no fees. */
const opening = (chain: TestChain, fields: Partial<Coinbase> = {}) => {
  const { transactions } = chain.next()
  return makeCoinbase({ ...(transactions[0] as ReturnType<typeof makeCoinbase>).coinbase, ...fields })
}

/** A sealed block with those transactions and no others, whatever the rules say. */
const blockOf = (chain: TestChain, transactions: ReadonlyArray<Transaction>): Block => ({
  ...forge(chain.next(), { transactionRoot: transactionRootOf(transactions) }),
  transactions
})

/** How a peer's block with those transactions is refused: index and code of the transaction, or the block's own code. */
const refusalOf = (chain: TestChain, transactions: ReadonlyArray<Transaction>): string | undefined => {
  const decoded = decodeBlock(encodeBlock(blockOf(chain, transactions)), chain.rules.ledger)
  const refused = Result.isFailure(decoded)
    ? decoded.failure
    : new Decision(chain.rules, chain.store, chain.verified).attach(decoded.success, chain.store.tip().header)
  if (refused?.transaction === undefined) return refused === undefined ? undefined : (refused as { code: string }).code
  return `${refused.transaction.index} ${meet(refused.transaction.reject.code)}`
}

describe("a block opens with a coinbase", () => {
  const chain = new TestChain(specOf({ model: "utxo" }))
  chain.mine(2)
  const [coin] = coinsOfKey(chain, 0)
  const paid = payment({ inputs: [coin!], outputs: [[1, coin!.amount - 7]], by: [0] })
  const right = opening(chain).coinbase
  const [only] = right.outputs as [Coinbase["outputs"][0]]
  const richer = { ...only, amount: amount(1_007) }
  const cases: ReadonlyArray<readonly [name: string, ReadonlyArray<Transaction>, refusal: string]> = [
    ["none in an empty block", [], "0 coinbase-missing"],
    ["none before a payment", [paid], "0 coinbase-missing"],
    ["another height", [opening(chain, { height: right.height + 1 })], "0 coinbase-height-wrong"],
    ["an older height", [opening(chain, { height: right.height - 1 })], "0 coinbase-height-wrong"],
    ["two outputs", [opening(chain, { outputs: [only, only] })], "0 coinbase-outputs-wrong"],
    [
      "its sum in two outputs",
      [opening(chain, { outputs: [500, 500].map((units) => ({ ...only, amount: amount(units) })) })],
      "0 coinbase-outputs-wrong"
    ],
    ["no output", [opening(chain, { outputs: [] })], "0 coinbase-outputs-wrong"],
    [
      "a unit more than reward and fees",
      [opening(chain, { outputs: [{ ...only, amount: amount(1_001) }] })],
      "0 coinbase-amount-wrong"
    ],
    ["a unit less", [opening(chain, { outputs: [{ ...only, amount: amount(999) }] })], "0 coinbase-amount-wrong"],
    ["the fees left out", [opening(chain), paid], "0 coinbase-amount-wrong"],
    ["fees that nobody paid", [opening(chain, { outputs: [richer] })], "0 coinbase-amount-wrong"],
    [
      "another recipient than the header's proposer",
      [opening(chain, { outputs: [{ ...only, recipient: keyOf(7).address }] })],
      "0 coinbase-recipient-wrong"
    ],
    ["another chain", [opening(chain, { chainId: "other" })], "0 chain-id-mismatch"],
    ["a second one", [opening(chain), opening(chain, { height: 77 })], "1 coinbase-misplaced"],
    ["one at the end", [paid, opening(chain, { outputs: [richer] })], "1 coinbase-misplaced"]
  ]
  test.each(cases)("and not with %s", (_, transactions, refusal) => {
    expect(refusalOf(chain, transactions)).toBe(refusal)
  })

  test("with reward and fees for the proposer, and no output where there is nothing to pay", () => {
    expect(refusalOf(chain, [opening(chain, { outputs: [richer] }), paid])).toBe("state-root-wrong")
    expect(chain.take(chain.next([paid]))).toBeUndefined()
    const poor = new TestChain({
      ...specOf({ model: "utxo" }),
      ledger: { ...specOf({ model: "utxo" }).ledger, reward: amount(0), feeMin: amount(0) }
    })
    const [free] = coinsOfKey(poor, 0)
    const gift = payment({ inputs: [free!], outputs: [[1, free!.amount]], by: [0] })
    const [first, second] = poor.mine(2, [gift])
    expect(
      [first, second].map((block) => (block!.transactions[0] as ReturnType<typeof makeCoinbase>).coinbase)
    ).toEqual([
      { chainId: "test", height: 1, outputs: [] },
      { chainId: "test", height: 2, outputs: [] }
    ])
    expect(refusalOf(poor, [opening(poor, { outputs: [only] })])).toBe("0 coinbase-outputs-wrong")
  })

  test("which nobody sends: as a transaction it is refused, and it needs no signature (defect 19)", () => {
    const minted = makeCoinbase({
      chainId: "test",
      height: 1,
      outputs: [{ recipient: keyOf(0).address, amount: amount(50) }]
    })
    expect([decodeCode(minted.bytes), applyCode(funded(), minted)]).toEqual([undefined, "coinbase-misplaced"])
    expect(ledger.checkSignature(minted)).toBe(true)
  })

  test("and no payment passes for one, whatever it calls itself or spends (defect 19)", () => {
    const bytes = fair.bytes.slice()
    bytes[0] = 3
    expect(decodeCode(bytes)).toBe("transaction-malformed")
    // What names a coinbase in other systems: an outpoint of zeros, or with the largest index.
    const nothing = new Uint8Array(36)
    writeU32(nothing, 32, 0xffff_ffff)
    for (const index of [0, 0xffff_ffff]) {
      const minting = payment({
        inputs: [{ id: new Uint8Array(32) as TransactionId, index }],
        outputs: [[0, 998]],
        by: [0]
      })
      expect(applyCode(funded(), minting)).toBe("coin-unknown")
      expect(refusalOf(chain, [minting])).toBe("0 coinbase-missing")
    }
  })

  test("that pays more than can be counted to nobody", () => {
    const { opening: open, applyReward } = ledger
    const facts = { height: 1, time: epoch as Millis, proposer: keyOf(0).address }
    const state = funded()
    const before = dump(state)
    expect(open(facts, amount(Number.MAX_SAFE_INTEGER))).toBeUndefined()
    expect(codeOf(applyReward(state, facts, amount(Number.MAX_SAFE_INTEGER), undefined))).toBe("coinbase-amount-wrong")
    for (const wrong of [undefined, makeCoinbase({ chainId: "test", height: 2, outputs: [] })])
      expect(codeOf(applyReward(state, facts, amount(0), wrong))).toBeDefined()
    expect(dump(state)).toBe(before)
  })
})

describe("a block", () => {
  const chain = new TestChain(specOf({ model: "utxo", maturity: 3 }))
  chain.mine(1, [], 5)
  const [coin] = coinsOfKey(chain, 0)
  const spend = (to: number, fee: number) => payment({ inputs: [coin!], outputs: [[to, coin!.amount - fee]], by: [0] })
  const after = (fees: number) =>
    opening(chain, { outputs: [{ recipient: keyOf(99).address, amount: amount(1_000 + fees) }] })

  test("with two payments of one coin is refused at the second (defect 10)", () => {
    expect(refusalOf(chain, [after(3), spend(1, 1), spend(2, 2)])).toBe("2 coin-spent")
  })

  test("with one payment twice is refused", () => {
    expect(refusalOf(chain, [after(2), spend(1, 1), spend(1, 1)])).toBe("2 coin-spent")
  })

  test("with a payment after what it builds on is taken, and refused the other way round", () => {
    const first = spend(1, 1)
    const second = payment({ inputs: [{ id: first.id, index: 0 }], outputs: [[2, coin!.amount - 2]], by: [1] })
    expect(refusalOf(chain, [after(2), second, first])).toBe("1 coin-unknown")
    expect(refusalOf(chain, [after(2), first, second])).toBe("state-root-wrong")
  })

  test("with a wrong signature is refused for that, after everything else", () => {
    const bent = changed({ outputs: [{ recipient: keyOf(5).address, amount: amount(coin!.amount - 1) }] }, spend(1, 1))
    expect(refusalOf(chain, [after(1), bent])).toBe("signature-invalid")
  })

  test("spends a reward when it is ripe, and not the block before", () => {
    const [reward] = coinsOfKey(chain, 5)
    const early = payment({ inputs: [reward!], outputs: [[1, 999]], by: [5] })
    expect(reward).toMatchObject({ height: 1, coinbase: true })
    const [, second] = chain.fork(1).mine(2)
    chain.mine(1)
    expect([chain.store.tip().header.height as number, refusalOf(chain, [after(1), early])]).toEqual([
      2,
      "1 coin-immature"
    ])
    chain.mine(1)
    expect(second!.header.height as number).toBe(3)
    expect(chain.take(chain.next([early]))).toBeUndefined()
    expect(coinsOfKey(chain, 5)).toEqual([])
  })
})

test("an entry is 36 bytes of outpoint and 33 of coin, and nothing else is", () => {
  const key = concat(elsewhere(1).id, new Uint8Array([1, 0, 0, 0]))
  const value = encodeCoin({ owner: keyOf(0).address, amount: amount(1), height: 1, coinbase: true })
  expect(ledger.isEntry(key, value)).toBe(true)
  expect(ledger.isEntry(key.subarray(1), value)).toBe(false)
  expect(ledger.isEntry(key, value.subarray(1))).toBe(false)
  expect([ledger.unitsOf(value), ledger.ownerOf(value)]).toEqual([amount(1), keyOf(0).address])
})

test("the genesis gives each address one coin, that is ripe at once", () => {
  const state = funded()
  expect(state.changes.size).toBe(3)
  expect(decodeCoin(state.get(coinKey(given(2)))!)).toEqual({
    owner: keyOf(2).address,
    amount: amount(1_000),
    height: 0,
    coinbase: false
  })
})

/** Codes of refusals that stand in a source file of this folder. */
const codesIn = (file: string): ReadonlyArray<string> => {
  const source = readFileSync(new URL(file, import.meta.url), "utf8")
  return [...new Set([...source.matchAll(/"([a-z]+(?:-[a-z]+)+)"/g)].map((match) => match[1]!))].filter(
    (code) => code in blame
  )
}

test("every code that the coin ledger gives has been met by a test of this file", () => {
  expect(codesIn("utxo.ts").length).toBeGreaterThan(15)
  expect(codesIn("utxo.ts").filter((code) => !met.has(code))).toEqual([])
})
