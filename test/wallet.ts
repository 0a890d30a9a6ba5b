/** Who makes the transfers of a suite that runs on any chain spec: what differs from one money model to another stands here. */
import type { ChainSpec } from "../src/block/genesis.ts"
import { equal } from "../src/codec/bytes.ts"
import { allocationId } from "../src/ledger/coin.ts"
import type { PaymentTransaction, Transaction } from "../src/ledger/transaction.ts"
import { formatTransaction } from "../src/ledger/transaction-text.ts"
import { keyOf, payment, specOf, transfer } from "./fixtures.ts"

export interface TestWallet {
  /** The nth transfer (from 1) of a test key that the genesis funds, the same whoever asks; it builds on those before it. */
  readonly pay: (wish: {
    readonly from: number
    readonly to: number
    readonly nth: number
    readonly time: number
  }) => Transaction
  /** A transfer as `POST /api/transactions` takes it. */
  readonly body: (transaction: Transaction) => unknown
}

/** The wallet of the account model: the nth transfer has nonce n. */
export const accountWallet: TestWallet = {
  pay: ({ nth, ...wish }) => transfer({ ...wish, nonce: nth }),
  body: (transaction) => formatTransaction(transaction, specOf().addressPrefix)
}

/** The wallet of the coin model: the first payment of a key spends its coin of the genesis, each other the change of the one before. */
export const coinWallet = ({ ledger, genesis, addressPrefix }: ChainSpec): TestWallet => {
  const made = new Map<string, PaymentTransaction>()
  const pay = (from: number, to: number, nth: number): PaymentTransaction => {
    const name = `${from} ${to} ${nth}`
    const known = made.get(name)
    if (known !== undefined) return known
    const index = genesis.alloc.findIndex(({ address }) => equal(address, keyOf(from).address))
    const before = nth === 1 ? undefined : pay(from, to, nth - 1)
    const coin = before === undefined ? { id: allocationId(ledger.chainId), index } : { id: before.id, index: 1 }
    const held = before === undefined ? genesis.alloc[index]!.balance : before.payment.outputs[1]!.amount
    const one = payment({ inputs: [coin], outputs: [[to, 10], [from, held - 11]], by: [from], chainId: ledger.chainId })
    made.set(name, one)
    return one
  }
  return {
    pay: ({ from, to, nth }) => pay(from, to, nth),
    body: (transaction) => formatTransaction(transaction, addressPrefix)
  }
}
