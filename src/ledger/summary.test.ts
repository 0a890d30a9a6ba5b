/** A transaction in one line: the same whether it is made of the transaction or of its JSON. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf, payment, transfer } from "../../test/fixtures.ts"
import { formatAddress } from "../crypto/address.ts"
import { makeDice } from "../sim/dice.ts"
import { amount } from "./amount.ts"
import { allocationId } from "./coin.ts"
import { decodeTransaction } from "./decode.ts"
import { makeCoinbase } from "./payment.ts"
import { type Summary, summaryOf } from "./summary.ts"
import { isSent, type Transaction } from "./transaction.ts"
import { formatTransaction, lineOf, parseTransaction } from "./transaction-text.ts"

const given = (index: number) => ({ id: allocationId("test"), index })
const address = (i: number) => keyOf(i).address
const minted = makeCoinbase({ chainId: "test", height: 1, outputs: [{ recipient: address(9), amount: amount(50) }] })
const idle = makeCoinbase({ chainId: "test", height: 1, outputs: [] })
const toSelf = payment({ inputs: [given(0)], outputs: [[0, 5]], by: [0] })
const several = payment({
  inputs: [given(0), given(1)],
  outputs: [
    [0, 5],
    [2, 6],
    [1, 7],
    [3, 8]
  ],
  by: [0, 1]
})

test("says who pays whom how much; what goes back to a payer is change, and a coinbase has no payer", () => {
  const [payer] = several.payment.witnesses.map(({ owner }) => owner)
  const cases: ReadonlyArray<readonly [Transaction, Summary]> = [
    [
      transfer({ from: 0, to: 1, nonce: 1, amount: 7 }),
      { payer: address(0), recipient: address(1), amount: amount(7) }
    ],
    [several, { payer, recipient: address(2), amount: amount(14) }],
    [toSelf, { payer: address(0), recipient: address(0), amount: amount(0) }],
    [minted, { payer: undefined, recipient: address(9), amount: amount(50) }],
    [idle, { payer: undefined, recipient: undefined, amount: amount(0) }]
  ]
  for (const [transaction, summary] of cases) expect(summaryOf(transaction)).toEqual(summary)
  expect(cases.map(([transaction]) => isSent(transaction))).toEqual([true, true, true, false, false])
})

test("its JSON says the same, and is read as the same by the ledger of its form", () => {
  const dice = makeDice(51)
  for (let i = 0; i < 200; i++) {
    const owners = [0, 1, 2].filter(() => dice.chance(0.5))
    const outputs = Array.from({ length: 1 + dice.int(4) }, (): [number, number] => [dice.int(5), 1 + dice.int(99)])
    const one = dice.pick<Transaction>([
      payment({ inputs: [given(i)], outputs, by: owners, note: "n" }),
      transfer({ from: dice.int(3), to: 4, nonce: i + 1, note: "n" }),
      minted,
      idle
    ])
    const text = formatTransaction(one, "crn")
    const { payer, recipient, amount: units } = summaryOf(one)
    const textOf = (of: typeof payer) => (of === undefined ? "" : formatAddress(of, "crn"))
    expect(lineOf(text)).toEqual({
      from: textOf(payer),
      to: textOf(recipient),
      amount: units,
      note: isSent(one) ? "n" : ""
    })
    expect(decodeTransaction(one.bytes)).toEqual(Result.succeed(one) as never)
    const model = one.kind === "transfer" ? "account" : "utxo"
    const parsed = parseTransaction(text, "crn", model)
    if (isSent(one)) expect(parsed).toEqual(Result.succeed(one))
    else expect(Result.isFailure(parsed)).toBe(true)
    expect(Result.isFailure(parseTransaction(text, "crn", model === "account" ? "utxo" : "account"))).toBe(true)
  }
})
