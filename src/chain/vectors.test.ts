/** The vectors in docs/vectors are what this code makes, byte for byte, and what it reads back. */
import { expect, test } from "bun:test"
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
import { verify } from "../crypto/signature.ts"
import { encodeAccount } from "../ledger/account.ts"
import { coinKey } from "../ledger/coin.ts"
import type { TransactionId } from "../ledger/transaction.ts"
import { decodeTransfer } from "../ledger/transfer.ts"
import { formatTransfer, parseTransfer } from "../ledger/transfer-text.ts"
import { presets } from "./presets.ts"
import { makeRules } from "./rules.ts"

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

test("the examples of docs/protocol.md are a transfer of these vectors and the spec of a preset (defect 17)", () => {
  const text = readFileSync(join(vectorsFolder, "../protocol.md"), "utf8")
  const [transfer, spec] = [...text.matchAll(/^```json\n(.*?)^```/gms)].map((match) => JSON.parse(match[1]!))
  expect(transfer).toEqual(JSON.parse(read("transfer.json")).valid[0].json)
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
