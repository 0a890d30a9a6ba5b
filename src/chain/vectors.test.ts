/** The vectors in docs/vectors are what this code makes, byte for byte, and what it reads back. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { makeVectors, vectorsFolder } from "../../test/vectors/data.ts"
import { decodeBlock } from "../block/block.ts"
import { decodeHeader } from "../block/header.ts"
import { parseSpec } from "../block/genesis.ts"
import { subjectOf, verifyProof } from "../block/proof.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { isAddress, parseAddress } from "../crypto/address.ts"
import { decodeOffence, decodeVote, isVoteSigned } from "../consensus/checkpoint.ts"
import { verify } from "../crypto/signature.ts"
import { StateTree } from "../block/state-tree.ts"
import { encodeAccount } from "../ledger/account.ts"
import { coinKey, encodeOutpoint } from "../ledger/coin.ts"
import { Overlay } from "../ledger/overlay.ts"
import { decodePayment } from "../ledger/payment.ts"
import { formatCoinbase, formatPayment, parsePayment } from "../ledger/payment-text.ts"
import type { CoinbaseTransaction, PaymentTransaction, TransactionId } from "../ledger/transaction.ts"
import { decodeTransfer } from "../ledger/transfer.ts"
import { formatTransfer, parseTransfer } from "../ledger/transfer-text.ts"
import { checkBody } from "./check.ts"
import { Decision } from "./connect.ts"
import { presets } from "./presets.ts"
import { genesisState, makeRules } from "./rules.ts"
import { VerifiedLeaves } from "./verified.ts"

const read = (name: string): string => readFileSync(join(vectorsFolder, name), "utf8")
const dev = makeRules(Result.getOrThrow(parseSpec(presets["dev"])))

test.each(Object.entries(makeVectors()))(
  "%s is up to date; if a change of the protocol is meant, run test/vectors/data.ts",
  (name, made) => {
    expect(read(name)).toBe(made)
  }
)

test("each valid transfer is read from its bytes and from its JSON, and its signature holds", () => {
  const { prefix, valid } = JSON.parse(read("transfer.json"))
  for (const { json, bytes, id } of valid) {
    const transaction = Result.getOrThrow(decodeTransfer(fromHex(bytes)!))
    expect(toHex(transaction.id)).toBe(id)
    expect(formatTransfer(transaction, prefix)).toEqual(json)
    expect(parseTransfer(json, prefix)).toEqual(Result.succeed(transaction))
    expect(verify(transaction.id, transaction.transfer.signature, transaction.transfer.publicKey)).toBe(true)
  }
})

test("each refused transfer is refused for its reason, and each refused address is no address", () => {
  for (const { name, bytes, code } of JSON.parse(read("transfer.json")).refused) {
    const decoded = dev.ledger.decode(fromHex(bytes)!)
    expect([name, Result.isFailure(decoded) && decoded.failure.code]).toEqual([name, code])
  }
  for (const text of Object.values<string>(JSON.parse(read("address.json")).refused)) {
    expect([text, isAddress(parseAddress(text, "crn"))]).toEqual([text, false])
  }
})

describe("payments:", () => {
  const vectors = JSON.parse(read("payment.json"))
  const rules = makeRules(Result.getOrThrow(parseSpec(vectors.spec)))
  const { ledger } = rules
  const hexOf = (entries: Iterable<readonly [key: string, value: Uint8Array | undefined]>) =>
    [...entries].map(([key, value]) => [key, toHex(value!)])

  test("each valid one is read from its bytes and from its JSON, and its signatures hold", () => {
    for (const { json, bytes, id, signed, leaf } of vectors.valid) {
      const transaction = Result.getOrThrow(decodePayment(fromHex(bytes)!)) as PaymentTransaction
      expect([toHex(transaction.id), toHex(transaction.leaf)]).toEqual([id, leaf])
      expect(bytes.startsWith(signed)).toBe(true)
      expect(formatPayment(transaction, vectors.prefix)).toEqual(json)
      expect(parsePayment(json, vectors.prefix)).toEqual(Result.succeed(transaction))
      expect(ledger.checkSignature(transaction)).toBe(true)
    }
    for (const { json, bytes, id } of vectors.coinbases) {
      const transaction = Result.getOrThrow(decodePayment(fromHex(bytes)!)) as CoinbaseTransaction
      expect([toHex(transaction.id), formatCoinbase(transaction, vectors.prefix)]).toEqual([id, json])
    }
    for (const { transaction_id, index, key } of vectors.coin_keys)
      expect(toHex(encodeOutpoint({ id: fromHex(transaction_id)! as TransactionId, index }))).toBe(key)
  })

  test("each refused one is refused for its reason, and a signature fits nothing but what it signed", () => {
    for (const { name, bytes, code } of vectors.refused) {
      const decoded = ledger.decode(fromHex(bytes)!)
      expect([name, Result.isFailure(decoded) && decoded.failure.code]).toEqual([name, code])
    }
    for (const { name, bytes } of vectors.unsigned)
      expect([name, ledger.checkSignature(Result.getOrThrow(ledger.decode(fromHex(bytes)!)))]).toEqual([name, false])
  })

  test("the block leads from the genesis of its spec to its state, on which the others are refused", () => {
    const { genesis, block: made, refused_in_block_2, refused_openings_of_block_1 } = vectors
    const start = [...genesisState(ledger, rules.spec).changes].map(([key, { after }]) => [key, after!] as const)
    expect([rules.genesis.header.id, hexOf(start)]).toEqual([genesis.hash, genesis.state])
    const tree = new StateTree(() => undefined)
    tree.update(start)
    const [entries, pages] = [new Map(start), tree.pages()]
    const reader = { readEntry: (key: string) => entries.get(key), readPage: (name: string) => pages.get(name) }
    const block = Result.getOrThrow(decodeBlock(fromHex(made.bytes)!, ledger))
    expect([block.header.id, toHex(block.header.stateRoot)]).toEqual([made.hash, made.state_root])
    for (const { name, bytes, code } of refused_openings_of_block_1) {
      const opening = Result.getOrThrow(ledger.decode(fromHex(bytes)!))
      const wrong = { ...block, transactions: [opening, ...block.transactions.slice(1)] }
      const said = new Decision(rules, reader, new VerifiedLeaves(9)).attach(wrong, rules.genesis.header)
      expect([name, said?.transaction]).toEqual([name, { index: 0, reject: expect.objectContaining({ code }) }])
    }
    const decision = new Decision(rules, reader, new VerifiedLeaves(9))
    expect([checkBody(rules, block), decision.attach(block, rules.genesis.header)]).toStrictEqual([undefined, undefined])
    for (const [key, value] of decision.landing().entries)
      value === undefined ? entries.delete(key) : entries.set(key, value)
    expect(hexOf([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))).toEqual(made.state)
    for (const { name, bytes, code } of refused_in_block_2) {
      const sent = Result.getOrThrow(ledger.decode(fromHex(bytes)!))
      expect([name, ledger.check(new Overlay(reader.readEntry), sent, { height: 2 })]).toEqual([
        name,
        expect.objectContaining({ code })
      ])
    }
  })
})

test("the examples of docs/protocol.md are transactions of these vectors and the spec of a preset (defect 17)", () => {
  const text = readFileSync(join(vectorsFolder, "../protocol.md"), "utf8")
  const [transfer, payment, coinbase, spec] = [...text.matchAll(/^```json\n(.*?)^```/gms)].map((match) =>
    JSON.parse(match[1]!)
  )
  expect(transfer).toEqual(JSON.parse(read("transfer.json")).valid[0].json)
  expect(payment).toEqual(JSON.parse(read("payment.json")).valid[0].json)
  expect(coinbase).toEqual(JSON.parse(read("payment.json")).coinbases[0].json)
  expect(spec).toEqual(presets["cairn"])
})

test("headers and the block are read from their bytes", () => {
  for (const { bytes, hash } of JSON.parse(read("header.json")).headers)
    expect(decodeHeader(fromHex(bytes)!)?.id).toBe(hash)
  const { bytes, hash, transaction_ids } = JSON.parse(read("block.json")).block
  const block = Result.getOrThrow(decodeBlock(fromHex(bytes)!, dev.ledger))
  expect([block.header.id, block.transactions.map(({ id }) => toHex(id))]).toEqual([hash, transaction_ids])
})

test("each proof holds for its header and subject alone, and what is no proof is refused for its reason", () => {
  const { transactions, accounts, coins, refused } = JSON.parse(read("proof.json"))
  for (const { id, address, header, proof } of [...transactions, ...accounts]) {
    const proven = Result.getOrThrow(verifyProof(fromHex(proof)!))
    expect([toHex(subjectOf(proven)), proven.header.id]).toEqual([id ?? address, header])
  }
  for (const { id, index, header, coin, proof } of coins) {
    const proven = Result.getOrThrow(verifyProof(fromHex(proof)!))
    const name = coinKey({ id: fromHex(id)! as Uint8Array as TransactionId, index })
    const shown = proven.kind === "coin" && proven.coin
    expect([toHex(subjectOf(proven)), proven.header.id]).toEqual([name, header])
    expect(shown && { ...shown, owner: toHex(shown.owner) }).toEqual(coin ?? undefined)
  }
  expect(coins.filter(({ coin }: { coin: unknown }) => coin === null).length).toBe(2)
  const block = Result.getOrThrow(decodeBlock(fromHex(JSON.parse(read("block.json")).block.bytes)!, dev.ledger))
  const state = new Map<string, string>(JSON.parse(read("block.json")).block.state)
  for (const { address, proof } of accounts) {
    const proven = Result.getOrThrow(verifyProof(fromHex(proof)!, { header: block.header.hash }))
    const account = proven.kind === "account" ? proven.account : undefined
    expect(account === undefined ? undefined : toHex(encodeAccount(account))).toBe(state.get(address))
  }
  expect(accounts.filter(({ address }: { address: string }) => !state.has(address)).length).toBe(2)
  for (const { name, code, proof } of refused) {
    const outcome = verifyProof(fromHex(proof)!)
    expect([name, Result.isFailure(outcome) && outcome.failure.code]).toEqual([name, code])
  }
})

test("each vote is read from its bytes, what two prove is found, and what is none is refused", () => {
  const { genesis, votes, refused, offences } = JSON.parse(read("finality.json"))
  const isVote = (hex: string): boolean => {
    const vote = decodeVote(fromHex(hex)!)
    return vote !== undefined && isVoteSigned(fromHex(genesis)!, vote)
  }
  for (const { source, target, vote } of votes) {
    const { source: from, target: to } = decodeVote(fromHex(vote)!)!
    expect([from.height, from.id, to.height, to.id]).toEqual([source.height, source.hash, target.height, target.hash])
    expect(isVote(vote)).toBe(true)
  }
  expect(refused.filter(({ vote }: { vote: string }) => isVote(vote))).toEqual([])
  for (const { offence } of offences)
    if (offence !== null) expect(decodeOffence(fromHex(genesis)!, fromHex(offence)!)).toBeDefined()
})
