/** Who makes the transfers of a suite that runs on any chain spec: what differs from one money model to another stands here. */
import { equal } from "../src/codec/bytes.ts"
import type { Outpoint, Transaction } from "../src/ledger/transaction.ts"
import { allocationId } from "../src/ledger/coin.ts"
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

const body = (transaction: Transaction): unknown => formatTransaction(transaction, specOf().addressPrefix)

/** The wallet of the account model: the nth transfer has nonce n. */
export const accountWallet: TestWallet = {
  pay: ({ nth, ...wish }) => transfer({ ...wish, nonce: nth }),
  body
}

/** What a test pays on a chain of coins, with its fee. */
const paid = 10
const fee = 1

/** The wallet of the coin model: the first payment spends the key's coin of the genesis, each other the change of the one before. */
export const coinWallet: TestWallet = {
  pay: ({ from, to, nth }) => {
    const { ledger, genesis } = specOf({ model: "utxo" })
    const at = genesis.alloc.findIndex(({ address }) => equal(address, keyOf(from).address))
    const whole = genesis.alloc[at]!.balance
    const make = (coin: Outpoint, n: number) =>
      payment({
        inputs: [coin],
        outputs: [
          [to, paid],
          [from, whole - n * (paid + fee)]
        ],
        by: [from]
      })
    let last = make({ id: allocationId(ledger.chainId), index: at }, 1)
    for (let n = 2; n <= nth; n++) last = make({ id: last.id, index: 1 }, n)
    return last
  },
  body
}
