/** Who makes the transfers of a suite that runs on any chain spec: what differs from one money model to another stands here. */
import type { Transaction } from "../src/ledger/transaction.ts"
import { formatTransfer } from "../src/ledger/transfer-text.ts"
import { specOf, transfer } from "./fixtures.ts"

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
  body: (transaction) => formatTransfer(transaction, specOf().addressPrefix)
}
