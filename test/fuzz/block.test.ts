/** Blocks and headers from anybody: no bytes make the decoders throw, and whatever they take has one form. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { type Block, decodeBlock, encodeBlock } from "../../src/block/block.ts"
import { decodeHeader, encodeHeader, headerBytes } from "../../src/block/header.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { specOf, transfer } from "../fixtures.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"

const { ledger, genesis } = makeRules(specOf())
const transactions = [0, 1, 2, 3].map((from) => transfer({ from, to: from + 1, nonce: 1, note: "n".repeat(from * 9) }))

const anyBlock = (dice: Dice): Block => ({
  header: genesis.header,
  transactions: transactions.slice(0, dice.int(5)),
  extra: dice.bytes(dice.int(40))
})

test("decode undoes encode, and of mutated bytes nothing throws and nothing is taken in a second form", () => {
  const dice = makeDice(21)
  let taken = 0
  for (let i = 0; i < 20_000; i++) {
    const block = anyBlock(dice)
    const bytes = encodeBlock(block)
    if (i % 10 === 0) expect(decodeBlock(bytes, ledger)).toEqual(Result.succeed(block))
    const mutated = dice.mutate(bytes)
    const decoded = decodeBlock(mutated, ledger)
    if (Result.isFailure(decoded)) continue
    taken++
    expect(toHex(encodeBlock(decoded.success))).toBe(toHex(mutated))
  }
  expect(taken).toBeGreaterThan(2_000)
})

test("wild lengths behind a header never throw", () => {
  const dice = makeDice(22)
  for (let i = 0; i < 20_000; i++) {
    const bytes = dice.bytes(headerBytes + dice.int(120))
    bytes.set(genesis.header.bytes)
    for (let at = headerBytes; at < bytes.length; at++) if (dice.chance(0.7)) bytes[at] = dice.int(4)
    const decoded = decodeBlock(bytes, ledger)
    if (Result.isSuccess(decoded)) expect(toHex(encodeBlock(decoded.success))).toBe(toHex(bytes))
  }
})

test("a header is taken in one form, whatever its bytes", () => {
  const dice = makeDice(23)
  for (let i = 0; i < 5_000; i++) {
    const bytes = dice.bytes(headerBytes)
    if (dice.chance(0.8)) for (const top of [14, 15, 22, 23, 210, 211]) bytes[top] = 0
    const header = decodeHeader(bytes)
    if (header !== undefined) expect(toHex(encodeHeader(header))).toBe(toHex(bytes))
  }
})
