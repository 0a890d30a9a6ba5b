/**
 * Blocks and transactions in the JSON of two reference systems, with our values in their fields; and back, where the other
 * way is theirs. docs/compat.md says which value stands where.
 */
import { Effect, Result } from "effect"
import { type Block, extraHashOf } from "../block/block.ts"
import { decodeHeader } from "../block/header.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import { bitsOf } from "../consensus/difficulty.ts"
import { type Address, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import { allocationId, coinKey, outputsOf } from "../ledger/coin.ts"
import { makeCoinbase } from "../ledger/payment.ts"
import { formatData } from "../ledger/payload.ts"
import { parsePayment } from "../ledger/payment-text.ts"
import { reject, type TransactionReject, type TransactionRejectCode } from "../ledger/reject.ts"
import type { CoinbaseTransaction, Output, PaymentTransaction, Transaction } from "../ledger/transaction.ts"
import type { Answer, NamedCoin, NodeShape } from "../node/node.ts"

/** A payment's transaction, and who owns the coin of each input. */
interface Owned {
  readonly transaction: Transaction
  readonly owners: ReadonlyArray<Address>
}

/** Who owns the coin that an input names: the transaction that made it says so. */
const ownerOf = (node: NodeShape, { payment }: PaymentTransaction, input: number): Answer<Address> => {
  const { spec } = node.facts.rules
  const { id, index } = payment.inputs[input]!
  const first = payment.witnesses[0]!.owner
  if (equal(id, allocationId(spec.ledger.chainId))) return Effect.succeed(spec.genesis.alloc[index]?.address ?? first)
  return Effect.map(node.transaction(id), (made) =>
    made === undefined ? first : (outputsOf(made.transaction)[index]?.recipient ?? first)
  )
}

/** The owners of what a transaction spends. One signature for all of them needs no look at the chain. */
const owned = (node: NodeShape, transaction: Transaction): Answer<Owned> => {
  if (transaction.kind !== "payment") return Effect.succeed({ transaction, owners: [] })
  const { inputs, witnesses } = transaction.payment
  const [only, ...others] = witnesses
  const owners: Answer<ReadonlyArray<Address>> =
    others.length === 0
      ? Effect.succeed(inputs.map(() => only!.owner))
      : Effect.forEach(inputs, (_, i) => ownerOf(node, transaction, i))
  return Effect.map(owners, (list) => ({ transaction, owners: list }))
}

const witnessOf = ({ payment }: PaymentTransaction, owner: Address | undefined) =>
  payment.witnesses.find((witness) => owner !== undefined && equal(witness.owner, owner)) ?? payment.witnesses[0]!

const seconds = (ms: number): number => Math.floor(ms / 1000)
const prefixOf = ({ facts }: NodeShape): string => facts.rules.spec.addressPrefix

// ── dotcoin ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const dotcoinInputs = ({ transaction, owners }: Owned): ReadonlyArray<unknown> => {
  if (transaction.kind === "coinbase") return [{ txOutId: "", txOutIndex: transaction.coinbase.height, signature: "" }]
  if (transaction.kind !== "payment") return []
  return transaction.payment.inputs.map(({ id, index }, i) => ({
    txOutId: toHex(id),
    txOutIndex: index,
    signature: toHex(witnessOf(transaction, owners[i]).signature)
  }))
}

/** A transaction of row D-M4. */
export const dotcoinTransaction = (node: NodeShape, transaction: Transaction): Answer<unknown> =>
  Effect.map(owned(node, transaction), (one) => ({
    id: toHex(transaction.id),
    txIns: dotcoinInputs(one),
    txOuts: outputsOf(transaction).map(({ recipient, amount }) => ({
      address: formatAddress(recipient, prefixOf(node)),
      amount
    }))
  }))

/** A block of row D-M1. */
export const dotcoinBlock = (node: NodeShape, { header, transactions }: Block): Answer<unknown> =>
  Effect.map(
    Effect.forEach(transactions, (one) => dotcoinTransaction(node, one)),
    (data) => ({
      index: header.height,
      hash: header.id,
      previousHash: toHex(header.previous),
      timestamp: seconds(header.time),
      data,
      difficulty: bitsOf(header.target),
      nonce: header.nonce
    })
  )

/** A coin of row D-R6. */
export const dotcoinCoin = (node: NodeShape, { id, index, owner, amount }: NamedCoin): unknown => ({
  txOutId: toHex(id),
  txOutIndex: index,
  address: formatAddress(owner, prefixOf(node)),
  amount
})

// ── full-node ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FullNodeTransaction {
  readonly hash?: string
  readonly inputs: ReadonlyArray<{
    readonly prev_tx_hash: string
    readonly output_index: number
    readonly address: string
    readonly index: number
    readonly signature: string
    readonly public_key?: string
  }>
  readonly outputs: ReadonlyArray<{
    readonly amount: number
    readonly address: string
    readonly index: number
    readonly input_hash: string
  }>
  readonly timestamp: number
  readonly note?: string
  readonly data?: string
}

export interface FullNodeBlock {
  readonly index: number
  readonly nonce: number
  readonly timestamp: number
  readonly prev_hash: string
  readonly txs: ReadonlyArray<FullNodeTransaction>
  readonly hash?: string
  readonly header?: string
  readonly extra?: string
}

/** What stands in place of a coin where a coinbase has none. */
const coinbaseName = "COINBASE"

const fullNodeInputs = (node: NodeShape, { transaction, owners }: Owned): FullNodeTransaction["inputs"] => {
  if (transaction.kind === "coinbase")
    return [{ prev_tx_hash: coinbaseName, output_index: 0, address: "", index: 0, signature: "" }]
  if (transaction.kind !== "payment") return []
  return transaction.payment.inputs.map(({ id, index }, i) => {
    const { owner, signature, publicKey } = witnessOf(transaction, owners[i])
    return {
      prev_tx_hash: toHex(id),
      output_index: index,
      address: formatAddress(owner, prefixOf(node)),
      index: 0,
      signature: toHex(signature),
      public_key: toHex(publicKey)
    }
  })
}

const fullNodeTransaction = (
  node: NodeShape,
  transaction: Transaction,
  timestamp: number
): Answer<FullNodeTransaction> =>
  Effect.map(owned(node, transaction), (one) => ({
    hash: toHex(transaction.id),
    inputs: fullNodeInputs(node, one),
    outputs: outputsOf(transaction).map(({ recipient, amount }) => ({
      amount,
      address: formatAddress(recipient, prefixOf(node)),
      index: 0,
      input_hash: toHex(transaction.id)
    })),
    timestamp,
    ...(transaction.kind === "payment" && transaction.payment.note !== "" ? { note: transaction.payment.note } : {}),
    ...(transaction.kind === "payment" ? formatData(transaction.payment.data) : {})
  }))

/** A block of row F-D4, with the bytes of our header beside it. */
export const fullNodeBlock = (node: NodeShape, { header, transactions, extra }: Block): Answer<FullNodeBlock> =>
  Effect.map(
    Effect.forEach(transactions, (one) => fullNodeTransaction(node, one, seconds(header.time))),
    (txs) => ({
      index: header.height,
      nonce: header.nonce,
      timestamp: seconds(header.time),
      prev_hash: toHex(header.previous),
      txs,
      hash: header.id,
      header: toHex(header.bytes),
      extra: toHex(extra)
    })
  )

/** A coin of row F-R6. */
export const fullNodeCoin = (coin: NamedCoin): unknown => ({
  tx: toHex(coin.id),
  output_index: coin.index,
  out_hash: coinKey(coin),
  amount: coin.amount
})

const fail = (message: string, code: TransactionRejectCode = "transaction-malformed") =>
  Result.fail(reject(code, message))

/** The witnesses that the inputs name: one for each address, the same wherever the address is. */
const witnessesOf = (inputs: FullNodeTransaction["inputs"]) => {
  const byOwner = new Map<string, { readonly public_key: string; readonly signature: string; readonly owner: string }>()
  for (const [i, { address, signature, public_key }] of inputs.entries()) {
    if (public_key === undefined)
      return fail(`inputs[${i}] lacks public_key: an address of this chain is only its hash.`)
    const known = byOwner.get(address)
    if (known !== undefined && (known.signature !== signature || known.public_key !== public_key))
      return fail(`inputs[${i}]: one owner signs the whole transaction once; its other inputs carry another signature.`)
    byOwner.set(address, { public_key, signature, owner: address })
  }
  return Result.succeed([...byOwner.values()])
}

/** Are the fields that follow from others what they must be? */
const checkDerived = (
  one: FullNodeTransaction,
  made: PaymentTransaction | CoinbaseTransaction
): TransactionReject | undefined => {
  const id = toHex(made.id)
  const wrong = (what: string): TransactionReject => reject("transaction-malformed", what)
  if (one.hash !== undefined && one.hash !== id)
    return wrong(`hash is not ${id}, the id of these fields on this chain.`)
  const other = one.outputs.find(({ input_hash }) => input_hash !== "" && input_hash !== id)
  if (other !== undefined) return wrong(`input_hash is not ${id}, the id of the transaction. It may be left empty.`)
  const indexed = [...one.inputs, ...one.outputs].some(({ index }) => index !== 0)
  return indexed ? wrong("index is 0 everywhere.") : undefined
}

/** The payment of their JSON. Its timestamp is not ours: nobody signs it, and it is not kept. */
export const readFullNodePayment = (
  one: FullNodeTransaction,
  { rules }: NodeShape["facts"]
): Result.Result<PaymentTransaction, TransactionReject> => {
  const { addressPrefix, ledger } = rules.spec
  const witnesses = witnessesOf(one.inputs)
  if (Result.isFailure(witnesses)) return Result.fail(witnesses.failure)
  const parsed = parsePayment(
    {
      chain_id: ledger.chainId,
      inputs: one.inputs.map(({ prev_tx_hash, output_index }) => ({
        transaction_id: prev_tx_hash,
        index: output_index
      })),
      outputs: one.outputs.map(({ address, amount }) => ({ recipient: address, amount })),
      note: one.note ?? "",
      ...(one.data === undefined ? {} : { data: one.data }),
      witnesses: witnesses.success
    },
    addressPrefix
  )
  if (Result.isFailure(parsed)) return parsed
  const owners = new Set(parsed.success.payment.witnesses.map(({ owner }) => formatAddress(owner, addressPrefix)))
  const stranger = one.inputs.find(({ address }) => !owners.has(address))
  if (stranger !== undefined) return fail("An input's address is not that of its public_key.", "sender-mismatch")
  const wrong = checkDerived(one, parsed.success)
  return wrong === undefined ? parsed : Result.fail(wrong)
}

const readCoinbase = (
  one: FullNodeTransaction,
  height: number,
  { rules }: NodeShape["facts"]
): Result.Result<CoinbaseTransaction, TransactionReject> => {
  const { addressPrefix, ledger } = rules.spec
  const outputs: Array<Output> = []
  if (one.outputs.length > 1) return fail("A coinbase has at most one output.", "coinbase-outputs-wrong")
  for (const { address, amount } of one.outputs) {
    const recipient = parseAddress(address, addressPrefix)
    if (!isAddress(recipient)) return fail(`The coinbase's address ${recipient.wrong}.`)
    // The route's schema lets only whole numbers of 0 to 2^53 - 1 in.
    outputs.push({ recipient, amount: amount as Amount })
  }
  const made = makeCoinbase({ chainId: ledger.chainId, height, outputs })
  const wrong = checkDerived(one, made)
  return wrong === undefined ? Result.succeed(made) : Result.fail(wrong)
}

const readTransactions = (
  { txs, index }: FullNodeBlock,
  facts: NodeShape["facts"]
): Result.Result<ReadonlyArray<Transaction>, TransactionReject> => {
  const transactions: Array<Transaction> = []
  for (const one of txs) {
    const opens = one.inputs[0]?.prev_tx_hash === coinbaseName
    const read: Result.Result<Transaction, TransactionReject> = opens
      ? readCoinbase(one, index, facts)
      : readFullNodePayment(one, facts)
    if (Result.isFailure(read)) return Result.fail(read.failure)
    const decoded = facts.rules.ledger.decode(read.success.bytes)
    if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
    transactions.push(decoded.success)
  }
  return Result.succeed(transactions)
}

/** The block of their JSON, whose `header` must be ours, and say what the fields beside it say; or what is wrong, in words. */
export const readFullNodeBlock = (one: FullNodeBlock, facts: NodeShape["facts"]): Result.Result<Block, string> => {
  const bytes = fromHex(one.header ?? "")
  const extra = fromHex(one.extra ?? "")
  const header = bytes === undefined ? undefined : decodeHeader(bytes)
  if (header === undefined || extra === undefined) {
    return Result.fail(
      "A block of this chain needs header, its bytes in hex that /chain/sync gives, and extra: their fields alone do not make one."
    )
  }
  const { height, nonce, previous, time, id } = header
  const same =
    one.index === height &&
    one.nonce === nonce &&
    one.prev_hash === toHex(previous) &&
    one.timestamp === seconds(time) &&
    (one.hash === undefined || one.hash === id)
  if (!same) return Result.fail("index, nonce, timestamp, prev_hash and hash must be those of header.")
  if (!equal(extraHashOf(extra), header.extraHash)) return Result.fail("extra is not that of header.")
  const transactions = readTransactions(one, facts)
  return Result.isFailure(transactions)
    ? Result.fail(transactions.failure.message)
    : Result.succeed({ header, transactions: transactions.success, extra })
}
