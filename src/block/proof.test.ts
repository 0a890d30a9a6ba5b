/** Proofs against whoever would bend one: every bit counts, and what is shown is what was asked. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { forge, keyOf, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { makeRules } from "../chain/rules.ts"
import { equal, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { asHash, zeroHash } from "../crypto/hash.ts"
import { type AccountState, encodeAccount, keyOf as entryKey } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import { type Coin, coinKey, encodeCoin, encodeOutpoint } from "../ledger/coin.ts"
import type { Nonce, Outpoint, Transaction } from "../ledger/transaction.ts"
import { proofBytesMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { type Block, transactionRootOf } from "./block.ts"
import type { BlockHash, Height } from "./header.ts"
import { sealHeader } from "./seal.ts"
import { hashNodeInto } from "./state-page.ts"
import { prove, StateTree } from "./state-tree.ts"
import {
  type AccountProof,
  type CoinProof,
  decodeProof,
  encodeProof,
  type Expected,
  formatProof,
  type Proof,
  type ProofReject,
  parseProof,
  type Proven,
  proveTransaction,
  subjectOf,
  verifyProof
} from "./proof.ts"

const { genesis } = makeRules(specOf())
const transactions = Array.from({ length: 33 }, (_, i) =>
  transfer({ from: i, to: i + 1, nonce: 1, note: "n".repeat(i % 5) })
)

const blockOf = (list: ReadonlyArray<Transaction>): Block =>
  forge({ ...genesis, transactions: list }, { height: 1 as Height, transactionRoot: transactionRootOf(list) })

/** A state of the first `size` test keys, and proofs against a header that commits to it. */
const stateOf = (size: number) => {
  const accounts = new Map<string, AccountState>()
  for (let i = 0; i < size; i++)
    accounts.set(entryKey(keyOf(i).address), { balance: (1000 + i) as Amount, nonce: i as Nonce })
  const tree = new StateTree(() => undefined)
  const stateRoot = tree.update([...accounts].map(([key, account]) => [key, encodeAccount(account)] as const))
  const pages = tree.pages()
  const { header } = forge(genesis, { height: 1 as Height, stateRoot })
  const proofOf = (i: number): AccountProof => {
    const { address } = keyOf(i)
    return { kind: "account", header, address, state: prove((name) => pages.get(name), entryKey(address)) }
  }
  return { accounts, header, proofOf }
}

const codeOf = (bytes: Uint8Array, expected: Expected = {}): ProofReject["code"] | "holds" => {
  const outcome = verifyProof(bytes, expected)
  return Result.isFailure(outcome) ? outcome.failure.code : "holds"
}
const provenOf = (proof: Proof): Proven => Result.getOrThrow(verifyProof(encodeProof(proof)))

/** Every bit of the bytes, turned over one at a time. */
function* flipped(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const out = bytes.slice()
    out[bit >> 3]! ^= 1 << (bit & 7)
    yield out
  }
}

describe("a transfer in its block", () => {
  test("is proven at every place of blocks of 1 to 33, and of no transfer beyond", () => {
    for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33]) {
      const block = blockOf(transactions.slice(0, count))
      for (let index = 0; index < count; index++) {
        const proof = proveTransaction(block, index)!
        const proven = provenOf(proof)
        expect(proven).toMatchObject({ kind: "transaction", header: block.header, transaction: transactions[index]! })
        expect(proven.kind === "transaction" && proven.way.length).toBe(proof.steps.length + 1)
      }
      expect(proveTransaction(block, count)).toBeUndefined()
      expect(proveTransaction(block, -1)).toBeUndefined()
    }
  })

  test("is not proven with any one bit of the proof turned over", () => {
    for (const [count, index] of [
      [1, 0],
      [2, 1],
      [3, 2],
      [5, 4],
      [8, 3]
    ] as const) {
      const { header, ...rest } = blockOf(transactions.slice(0, count))
      const bytes = encodeProof(proveTransaction({ header, ...rest }, index)!)
      const subject = transactions[index]!.id
      expect(codeOf(bytes, { header: header.hash, subject })).toBe("holds")
      for (const bent of flipped(bytes)) {
        expect(codeOf(bent, { header: header.hash })).not.toBe("holds")
        // Without a header that is trusted, one may be sealed anew by luck; it is then not the same header.
        const alone = verifyProof(bent)
        if (Result.isSuccess(alone)) expect(alone.success.header.id).not.toBe(header.id)
      }
    }
  })

  test("is not proven twice by a leaf doubled at the end (CVE-2012-2459)", () => {
    for (const count of [1, 3, 5, 7, 9]) {
      const block = blockOf(transactions.slice(0, count))
      const doubled = [...block.transactions, block.transactions.at(-1)!]
      const proof = proveTransaction({ ...block, transactions: doubled }, count)!
      expect(codeOf(encodeProof(proof))).toBe("proof-root-wrong")
      expect(codeOf(encodeProof({ ...proof, header: blockOf(doubled).header }))).toBe("holds")
    }
  })

  test("is not shown by another's way, by a way with a step too few or too many, or by changed sides", () => {
    const block = blockOf(transactions.slice(0, 5))
    const [first, second] = [proveTransaction(block, 0)!, proveTransaction(block, 1)!]
    const more = { ...first, steps: [...first.steps, { sibling: zeroHash, left: false }] }
    const swapped = { ...first, steps: first.steps.map(({ sibling, left }) => ({ sibling, left: !left })) }
    const reversed = { ...first, steps: first.steps.toReversed() }
    const others = { ...first, steps: second.steps }
    const fewer = { ...first, steps: first.steps.slice(1) }
    for (const wrong of [others, fewer, more, swapped, reversed])
      expect(codeOf(encodeProof(wrong))).toBe("proof-root-wrong")
    expect(codeOf(encodeProof({ ...first, transaction: second.transaction }))).toBe("proof-root-wrong")
  })

  test("is proven over 15 steps, as deep as the largest block, and not over 16, though the hashes be right", () => {
    const [transaction] = transactions as [Transaction]
    const withSteps = (count: number): Uint8Array => {
      const root = transaction.leaf.slice()
      for (let i = 0; i < count; i++) hashNodeInto(root, zeroHash, root)
      const { header } = forge(genesis, { height: 1 as Height, transactionRoot: asHash(root) })
      const steps = Array.from({ length: 15 }, () => ({ sibling: zeroHash, left: false }))
      const bytes = encodeProof({ kind: "transaction", header, transaction, steps })
      bytes[bytes.length - 15 * 32 - 3] = count
      return new Uint8Array([...bytes, ...new Uint8Array((count - 15) * 32)])
    }
    expect([codeOf(withSteps(15)), codeOf(withSteps(16))]).toEqual(["holds", "proof-malformed"])
  })

  test("cannot be a node of the tree: 64 bytes of two hashes are no transfer", () => {
    const block = blockOf(transactions.slice(0, 4))
    const proof = proveTransaction(block, 0)!
    const [a, b] = block.transactions.map(({ leaf }) => leaf)
    const bytes = new Uint8Array([...a!, ...b!])
    const out = new Uint8Array(32)
    hashNodeInto(a!, b!, out)
    const forged = encodeProof({ ...proof, transaction: { ...proof.transaction, bytes }, steps: proof.steps.slice(1) })
    expect(codeOf(forged)).toBe("proof-malformed")
    expect(toHex(out)).toBe(toHex(proveTransaction(block, 2)!.steps[1]!.sibling))
  })
})

describe("an account in the state", () => {
  test("is proven with what it has, and one that was never paid as having none", () => {
    for (const size of [0, 1, 2, 3, 17, 64]) {
      const { accounts, proofOf } = stateOf(size)
      for (let i = 0; i < size + 20; i++) {
        const proven = provenOf(proofOf(i))
        expect(proven).toMatchObject({ kind: "account", address: keyOf(i).address })
        expect(proven.kind === "account" && proven.account).toEqual(accounts.get(entryKey(keyOf(i).address)))
      }
    }
  })

  test("is not proven with any one bit turned over, but for a true word about another address", () => {
    for (const [size, i] of [
      [0, 0],
      [1, 0],
      [1, 5],
      [17, 3],
      [17, 40]
    ] as const) {
      const { accounts, header, proofOf } = stateOf(size)
      const bytes = encodeProof(proofOf(i))
      const subject = keyOf(i).address
      expect(codeOf(bytes, { header: header.hash, subject })).toBe("holds")
      for (const bent of flipped(bytes)) {
        expect(codeOf(bent, { header: header.hash, subject })).not.toBe("holds")
        const other = verifyProof(bent, { header: header.hash })
        if (Result.isFailure(other) || other.success.kind !== "account") continue
        expect(toHex(other.success.address)).not.toBe(toHex(subject))
        expect(other.success.account).toEqual(accounts.get(entryKey(other.success.address)))
      }
    }
  })

  test("with an entry that no ledger writes shows nothing", () => {
    const { address } = keyOf(0)
    for (const value of [new Uint8Array(0), new Uint8Array(17), new Uint8Array(16).fill(0xff)]) {
      const tree = new StateTree(() => undefined)
      const stateRoot = tree.update([[entryKey(address), value]])
      const pages = tree.pages()
      const { header } = forge(genesis, { height: 1 as Height, stateRoot })
      const state = prove((name) => pages.get(name), entryKey(address))
      expect(codeOf(encodeProof({ kind: "account", header, address, state }))).toBe("proof-malformed")
    }
  })
})

/** A state of `size` coins, and proofs of coins, there or not, against a header that commits to it. */
const coinsOf = (size: number) => {
  const outpointOf = (i: number): Outpoint => ({ id: transactions[i % 33]!.id, index: Math.floor(i / 33) })
  const coins = new Map<string, Coin>()
  for (let i = 0; i < size; i++) {
    const coin = { owner: keyOf(i).address, amount: (1 + i) as Amount, height: i, coinbase: i % 2 === 1 }
    coins.set(coinKey(outpointOf(i)), coin)
  }
  const tree = new StateTree(() => undefined)
  const stateRoot = tree.update([...coins].map(([key, coin]) => [key, encodeCoin(coin)] as const))
  const pages = tree.pages()
  const { header } = forge(genesis, { height: 1 as Height, stateRoot })
  const proofOf = (i: number): CoinProof => {
    const outpoint = outpointOf(i)
    return { kind: "coin", header, outpoint, state: prove((name) => pages.get(name), coinKey(outpoint)) }
  }
  return { coins, header, outpointOf, proofOf }
}

describe("a coin in the state", () => {
  test("is proven with all that it is, and one that is spent or was never made as not being there", () => {
    for (const size of [0, 1, 2, 17, 40]) {
      const { coins, outpointOf, proofOf } = coinsOf(size)
      for (let i = 0; i < size + 20; i++) {
        const proven = provenOf(proofOf(i))
        expect(proven).toMatchObject({ kind: "coin", outpoint: outpointOf(i) })
        expect(proven.kind === "coin" && proven.coin).toEqual(coins.get(coinKey(outpointOf(i))))
        expect(toHex(subjectOf(proven))).toBe(coinKey(outpointOf(i)))
        expect(toHex(proven.way.at(-1)!)).toBe(toHex(proven.header.stateRoot))
        expect(proven.way.length).toBe(proven.steps.length + 1)
      }
    }
  })

  test("is not proven with any one bit turned over, but for a true word about another coin", () => {
    for (const [size, i] of [
      [0, 0],
      [1, 0],
      [17, 3],
      [17, 35]
    ] as const) {
      const { coins, header, outpointOf, proofOf } = coinsOf(size)
      const bytes = encodeProof(proofOf(i))
      const subject = encodeOutpoint(outpointOf(i))
      expect(codeOf(bytes, { header: header.hash, subject })).toBe("holds")
      for (const bent of flipped(bytes)) {
        expect(codeOf(bent, { header: header.hash, subject })).not.toBe("holds")
        const other = verifyProof(bent, { header: header.hash })
        if (Result.isFailure(other) || other.success.kind !== "coin") continue
        expect(other.success.coin).toEqual(coins.get(coinKey(other.success.outpoint)))
      }
    }
  })

  test("with an entry that no ledger writes shows nothing", () => {
    const outpoint = { id: transactions[0]!.id, index: 0 }
    const good = encodeCoin({ owner: keyOf(0).address, amount: 1 as Amount, height: 1, coinbase: true })
    for (const value of [new Uint8Array(0), new Uint8Array(16), new Uint8Array(34), good.with(32, 2), good.with(27, 255)]) {
      const tree = new StateTree(() => undefined)
      const stateRoot = tree.update([[coinKey(outpoint), value]])
      const pages = tree.pages()
      const { header } = forge(genesis, { height: 1 as Height, stateRoot })
      const state = prove((name) => pages.get(name), coinKey(outpoint))
      expect(codeOf(encodeProof({ kind: "coin", header, outpoint, state }))).toBe("proof-malformed")
    }
  })
})

test("a proof beyond its limit is refused, though its hashes be right", () => {
  const beside = (length: number): Uint8Array => {
    const tree = new StateTree(() => undefined)
    const stateRoot = tree.update([[entryKey(keyOf(1).address), new Uint8Array(length)]])
    const pages = tree.pages()
    const { header } = forge(genesis, { height: 1 as Height, stateRoot })
    const { address } = keyOf(0)
    const state = prove((name) => pages.get(name), entryKey(address))
    return encodeProof({ kind: "account", header, address, state })
  }
  const rest = beside(0).length
  expect(codeOf(beside(proofBytesMax - rest))).toBe("holds")
  expect(codeOf(beside(proofBytesMax - rest + 1))).toBe("proof-malformed")
})

test("a reader who trusts a header, or asks for one thing, is not served another", () => {
  const block = blockOf(transactions.slice(0, 3))
  const bytes = encodeProof(proveTransaction(block, 1)!)
  expect(codeOf(bytes, { header: genesis.header.hash })).toBe("proof-header-other")
  expect(codeOf(bytes, { header: new Uint8Array(0) as Uint8Array as BlockHash })).toBe("proof-header-other")
  expect(codeOf(bytes, { subject: transactions[0]!.id })).toBe("proof-subject-other")
  expect(codeOf(bytes, { subject: keyOf(1).address })).toBe("proof-subject-other")
  expect(toHex(subjectOf(Result.getOrThrow(decodeProof(bytes))))).toBe(toHex(transactions[1]!.id))
})

test("a header that nobody worked for carries nothing; a genesis needs no seal", () => {
  const { proofOf } = stateOf(2)
  const proof = proofOf(0)
  const unsealed = proof.header.bytes.slice()
  unsealed.fill(0, 120, 152)
  const bytes = encodeProof(proof)
  bytes.set(unsealed, 1)
  expect(codeOf(bytes)).toBe("proof-seal-wrong")
  bytes.fill(0, 9, 17)
  expect(codeOf(bytes)).toBe("holds")
})

test("a header of authorities carries only what its proposer has signed; a genesis needs no seal", () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  const [block] = chain.mine(1, [transfer({ from: 0, to: 1, nonce: 1 })])
  const bytes = encodeProof(proveTransaction(block!, 0)!)
  expect([block!.header.version, codeOf(bytes)]).toEqual([2, "holds"])
  for (const offset of [1 + 242, 1 + 275, 1 + 338]) {
    const bent = bytes.slice()
    bent[offset]! ^= 1
    expect([offset, codeOf(bent)]).toEqual([offset, "proof-seal-wrong"])
  }
  // Another authority's seal of the same header is none.
  const stolen = sealHeader(block!.header, keyOf(201))
  const mine = sealHeader(block!.header, keyOf(200))
  const other = equal(stolen.proposer, keyOf(201).address) ? mine : stolen
  expect(codeOf(encodeProof({ ...proveTransaction(block!, 0)!, header: other }))).toBe("proof-seal-wrong")
  const { address } = keyOf(0)
  const state = prove(() => undefined, entryKey(address))
  const { header } = chain.rules.genesis
  expect(codeOf(encodeProof({ kind: "account", header, address, state }))).toBe("proof-root-wrong")
})

describe("from anybody", () => {
  const samples = [
    ...[0, 3, 7].map((index) => encodeProof(proveTransaction(blockOf(transactions.slice(0, 8)), index)!)),
    ...[0, 20].map((i) => encodeProof(stateOf(17).proofOf(i))),
    ...[0, 20].map((i) => encodeProof(coinsOf(17).proofOf(i))),
    encodeProof(proveTransaction(new TestChain(specOf({ authorities: 3 })).mine(1, transactions.slice(0, 2))[0]!, 1)!)
  ]

  test("no bytes make the reader throw, and none are taken in a second form", () => {
    const dice = makeDice(31)
    let taken = 0
    for (let i = 0; i < 20_000; i++) {
      const bytes = dice.chance(0.1) ? dice.bytes(dice.int(600)) : dice.mutate(dice.mutate(dice.pick(samples)))
      verifyProof(bytes)
      const decoded = decodeProof(bytes)
      if (Result.isFailure(decoded)) continue
      taken++
      expect(toHex(encodeProof(decoded.success))).toBe(toHex(bytes))
    }
    expect(taken).toBeGreaterThan(2_000)
  })

  test("every beginning of a proof, and a proof with more behind it, is refused", () => {
    for (const bytes of samples) {
      for (let length = 0; length < bytes.length; length++) expect(codeOf(bytes.subarray(0, length))).not.toBe("holds")
      expect(codeOf(new Uint8Array([...bytes, 0]))).not.toBe("holds")
    }
    expect(codeOf(new Uint8Array(proofBytesMax + 1))).toBe("proof-malformed")
  })

  test("a file is read in its one form, and no other text makes the reader throw", () => {
    const [bytes] = samples as [Uint8Array]
    expect(parseProof(formatProof(bytes))).toEqual(Result.succeed(fromHex(toHex(bytes))!))
    const refused = [
      "",
      "null",
      "7",
      "[]",
      "{}",
      `{"format":"cairn-proof-2","proof":"00"}`,
      `{"format":"cairn-proof-1","proof":"0"}`,
      `{"format":"cairn-proof-1","proof":7}`,
      `{"format":"cairn-proof-1","proof":"00","amount":"a lot"}`,
      formatProof(bytes) + " ".repeat(40_000)
    ]
    for (const text of refused) {
      const parsed = parseProof(text)
      const code = Result.isFailure(parsed) && parsed.failure.code
      expect([text.slice(0, 60), code]).toEqual([text.slice(0, 60), "proof-malformed"])
    }
    const dice = makeDice(32)
    const good = utf8(formatProof(bytes))
    for (let i = 0; i < 2_000; i++) {
      const parsed = parseProof(new TextDecoder().decode(dice.mutate(good)))
      if (Result.isSuccess(parsed)) verifyProof(parsed.success)
    }
  })
})
