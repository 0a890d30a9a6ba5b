/** What the node looks up: transactions, proofs, accounts and coins, in the last commit and in the pool. See src/node/node.ts. */
import { Effect } from "effect"
import { assert } from "../src/assert.ts"
import { proveTransaction } from "../src/block/proof.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal, fromHex, toHex } from "../src/codec/bytes.ts"
import { type Address, addressBytes } from "../src/crypto/address.ts"
import { keyOf } from "../src/ledger/account.ts"
import {
  allocationId,
  type Coin,
  coinKey,
  decodeCoin,
  decodeOutpoint,
  outpointBytes,
  outputsOf,
  spendableFrom
} from "../src/ledger/coin.ts"
import type { Outpoint, Transaction, TransactionId } from "../src/ledger/transaction.ts"
import type { AccountView, Answer, CoinView, NodeShape, SpentCoin, TransactionView } from "../src/node/node.ts"
import type { Snapshot, UnitsPlace } from "../src/store/snapshot.ts"
import type { ActorRef } from "./actor.ts"
import type { MempoolMessage, PendingCoins } from "./protocol.ts"

/** What is looked in. */
export interface LookupPorts {
  readonly rules: Rules
  readonly snapshot: Snapshot
  readonly mempool: ActorRef<MempoolMessage>
}

export const readOf =
  ({ snapshot }: LookupPorts) =>
  <A>(f: () => A): Answer<A> =>
    Effect.sync(() => snapshot.read(f))

export const makeTransaction = (ports: LookupPorts): NodeShape["transaction"] => {
  const { snapshot } = ports
  const read = readOf(ports)
  const confirmed = (id: TransactionId): TransactionView | undefined => {
    const place = snapshot.place(id)
    const row = place === undefined ? undefined : snapshot.rowAt(place.height)
    if (place === undefined || row === undefined) return undefined
    const confirmations = snapshot.tip().header.height - place.height + 1
    const block = { hash: row.header.hash, height: row.header.height, index: place.position, confirmations }
    const { transactions } = snapshot.block(row)
    const transaction = transactions[place.position]!
    return { transaction, spends: spentIn(transaction, transactions, snapshot.befores(row)), block }
  }
  return (id) =>
    Effect.gen(function* () {
      const found = yield* read(() => confirmed(id))
      if (found !== undefined) return found
      const [transaction] = yield* findPending(ports, [toHex(id)])
      if (transaction === undefined) return undefined
      return { transaction, spends: yield* spentByPending(ports, transaction), block: undefined }
    })
}

const findPending = ({ mempool }: LookupPorts, ids: ReadonlyArray<string>) =>
  mempool.ask<ReadonlyArray<Transaction | undefined>>((reply) => ({ _tag: "Find", ids, reply }))

/** What a confirmed payment spent: as it stood before its block, or as another of that block has made it. */
const spentIn = (
  transaction: Transaction,
  block: ReadonlyArray<Transaction>,
  befores: ReadonlyMap<string, Uint8Array | undefined>
): ReadonlyArray<SpentCoin> | undefined => {
  if (transaction.kind !== "payment") return undefined
  return transaction.payment.inputs.map((input, i) => {
    const before = befores.get(transaction.spends[i]!)
    const coin =
      before === undefined
        ? madeBy(
            block.find(({ id }) => equal(id, input.id)),
            input
          )
        : decodeCoin(before)
    assert(coin !== undefined, "what a confirmed payment spends was there before its block or was made in it")
    return { ...input, owner: coin.owner, amount: coin.amount }
  })
}

/** The coin of an outpoint, if that transaction makes it. */
const madeBy = (
  transaction: Transaction | undefined,
  { index }: Outpoint
): Pick<SpentCoin, "owner" | "amount"> | undefined => {
  const output = transaction === undefined ? undefined : outputsOf(transaction)[index]
  return output === undefined ? undefined : { owner: output.recipient, amount: output.amount }
}

/** What a pending payment spends: coins of the tip, or of other pending payments. Undefined if one of them is gone meanwhile. */
const spentByPending = (ports: LookupPorts, transaction: Transaction): Answer<ReadonlyArray<SpentCoin> | undefined> =>
  Effect.gen(function* () {
    if (transaction.kind !== "payment") return undefined
    const { inputs } = transaction.payment
    const held = yield* readOf(ports)(() => inputs.map((input) => ports.snapshot.coin(input)))
    const missing = [...new Set(inputs.flatMap(({ id }, i) => (held[i] === undefined ? [toHex(id)] : [])))]
    const parents = missing.length === 0 ? [] : yield* findPending(ports, missing)
    const byId = new Map(missing.map((id, i) => [id, parents[i]]))
    const spends = inputs.flatMap((input, i) => {
      const coin = held[i] ?? madeBy(byId.get(toHex(input.id)), input)
      return coin === undefined ? [] : [{ ...input, owner: coin.owner, amount: coin.amount }]
    })
    return spends.length === inputs.length ? spends : undefined
  })

/** Proofs from one commit: header, body and state tree belong together. */
export const makeProofs = (ports: LookupPorts): Pick<NodeShape, "transactionProof" | "accountProof" | "coinProof"> => {
  const { snapshot } = ports
  const read = readOf(ports)
  return {
    transactionProof: (id) =>
      read(() => {
        const place = snapshot.place(id)
        const row = place === undefined ? undefined : snapshot.rowAt(place.height)
        if (place === undefined || row === undefined) return undefined
        const proof = proveTransaction(snapshot.block(row), place.position)
        assert(proof !== undefined, "the index names a transaction that its block has")
        const confirmations = snapshot.tip().header.height - place.height + 1
        return { proof, index: place.position, count: row.transactions, confirmations }
      }),
    accountProof: (address) =>
      read(() => {
        const { header } = snapshot.tip()
        return { kind: "account", header, address, state: snapshot.prove(keyOf(address)) }
      }),
    coinProof: (outpoint) =>
      read(() => {
        const { header } = snapshot.tip()
        return { kind: "coin", header, outpoint, state: snapshot.prove(coinKey(outpoint)) }
      })
  }
}

export const makeAccounts = (ports: LookupPorts): NodeShape["accounts"] => {
  const { snapshot, mempool } = ports
  const read = readOf(ports)
  return (cursor, limit) => {
    const after = cursor === undefined ? undefined : parseCursor(cursor, addressBytes)
    if (cursor !== undefined && after === undefined) return Effect.succeed(undefined)
    return Effect.flatMap(
      read(() => snapshot.addressesByUnits(after, limit)),
      (rows) => {
        const addresses = rows.map(({ key }) => fromHex(key)! as Uint8Array as Address)
        const next = rows.length < limit ? undefined : cursorOf(rows.at(-1))
        return Effect.map(
          mempool.ask<ReadonlyArray<AccountView>>((reply) => ({ _tag: "Accounts", rows: addresses, reply })),
          (views) => ({ rows: views, next })
        )
      }
    )
  }
}

const idOf = (hex: string | undefined): TransactionId | undefined =>
  hex === undefined ? undefined : (fromHex(hex)! as Uint8Array as TransactionId)

/** Coins from one commit, and then what is pending of them: a block between the two makes a coin look free that is spent. */
export const makeCoins = (ports: LookupPorts): Pick<NodeShape, "coins" | "coin"> => {
  const { snapshot, mempool } = ports
  const { ledger } = ports.rules.spec
  const maturity = ledger.model === "utxo" ? ledger.coinbaseMaturity : 0
  const read = readOf(ports)
  const view = (coin: Outpoint & Coin, spender: string | undefined): CoinView => ({
    ...coin,
    spendableFrom: spendableFrom(coin, maturity),
    spentBy: idOf(spender)
  })
  const ask = (keys: ReadonlyArray<string>, address: Address | undefined) =>
    mempool.ask<PendingCoins>((reply) => ({ _tag: "Coins", keys, address, reply }))
  return {
    coins: (address, cursor, limit) =>
      Effect.gen(function* () {
        const after = cursor === undefined ? undefined : parseCursor(cursor, outpointBytes)
        if (cursor !== undefined && after === undefined) return undefined
        const { coins, height } = yield* read(() => ({
          coins: snapshot.coinsOf(address, after, limit),
          height: snapshot.tip().header.height
        }))
        const { spenders, paid } = yield* ask(coins.map(coinKey), address)
        const last = coins.at(-1)
        const next = coins.length < limit || last === undefined ? undefined : { units: last.amount, key: coinKey(last) }
        const pending = paid.map(({ key, amount }) => ({ ...decodeOutpoint(fromHex(key)!), amount }))
        return { rows: coins.map((coin, i) => view(coin, spenders[i])), next: cursorOf(next), height, pending }
      }),
    coin: (outpoint) =>
      Effect.gen(function* () {
        const found = yield* read(() => snapshot.coin(outpoint) ?? (wasMade(ports, outpoint) ? "spent" : undefined))
        if (found === "spent") return found
        if (found !== undefined) {
          const { spenders } = yield* ask([coinKey(outpoint)], undefined)
          return view({ ...outpoint, ...found }, spenders[0])
        }
        const [pending] = yield* findPending(ports, [toHex(outpoint.id)])
        return madeBy(pending, outpoint) === undefined ? "unknown" : "pending"
      })
  }
}

/** Has the best branch made this coin, as far as its blocks are here? */
const wasMade = ({ snapshot, rules }: LookupPorts, outpoint: Outpoint): boolean => {
  const { ledger, genesis } = rules.spec
  if (equal(outpoint.id, allocationId(ledger.chainId))) return outpoint.index < genesis.alloc.length
  const place = snapshot.place(outpoint.id)
  const row = place === undefined ? undefined : snapshot.rowAt(place.height)
  if (place === undefined || row === undefined) return false
  return madeBy(snapshot.block(row).transactions[place.position], outpoint) !== undefined
}

/** Coins of everybody, by their names: a cursor is the key of the last. */
export const makeEveryCoin = (ports: LookupPorts): NodeShape["everyCoin"] => {
  const { snapshot, rules } = ports
  const read = readOf(ports)
  return (cursor, limit) => {
    if (cursor !== undefined && !/^[0-9a-f]{72}$/.test(cursor)) return Effect.succeed(undefined)
    if (rules.spec.ledger.model !== "utxo") return Effect.succeed({ rows: [], next: undefined })
    return read(() => {
      const rows = snapshot.entriesByKey(cursor, limit)
      const next = rows.length < limit ? undefined : rows.at(-1)?.key
      return { rows: rows.map(({ key, value }) => ({ ...decodeOutpoint(fromHex(key)!), ...decodeCoin(value) })), next }
    })
  }
}

const parseCursor = (cursor: string, keyBytes: number): UnitsPlace | undefined => {
  const match = /^(\d{1,16})-([0-9a-f]+)$/.exec(cursor)
  return match?.[2]?.length === 2 * keyBytes ? { units: Number(match[1]), key: match[2] } : undefined
}
const cursorOf = (place: UnitsPlace | undefined): string | undefined =>
  place === undefined ? undefined : `${place.units}-${place.key}`
