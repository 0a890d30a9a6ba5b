/** Lies about transfers: false ones in blocks, and what is sent of them. */
import type { Address } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { decodeAccount, keyOf } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import { noData } from "../ledger/payload.ts"
import type { Millis, Nonce, Transaction, TransferFields } from "../ledger/transaction.ts"
import { makeTransfer, signTransfer, transferOf } from "../ledger/transfer.ts"
import { confirmed, draft, filled, type Forgery, given, type MoneyLies, repeated } from "./forge.ts"
import type { Liar } from "./liar.ts"
import { walletKey } from "./keys.ts"

/** A wallet that lends the liar its key: a user who cheats. */
const purse = (): Keypair => walletKey(0)

type TransferWish = Partial<Pick<TransferFields, "chainId" | "note" | "data">> & {
  readonly amount?: number
  readonly fee?: number
}

/** So many transfers of the purse to the liar, from the next nonce on. */
const purseTransfers = (liar: Liar, count: number, wish: TransferWish = {}): ReadonlyArray<Transaction> => {
  const { nonce } = decodeAccount(liar.victim.store.readEntry(keyOf(purse().address)))
  return Array.from({ length: count }, (_, i) => signed(liar, purse(), nonce + 1 + i, wish))
}

const one = (liar: Liar, wish: TransferWish = {}): Transaction => purseTransfers(liar, 1, wish)[0]!

/** A transfer of whomever, signed. */
const signed = (liar: Liar, from: Keypair, nonce: number, wish: TransferWish = {}): Transaction => {
  const { ledger } = liar.rules.spec
  return signTransfer(
    {
      chainId: wish.chainId ?? ledger.chainId,
      recipient: liar.dice.bytes(20) as Address,
      amount: (wish.amount ?? 1) as Amount,
      fee: (wish.fee ?? ledger.feeMin) as Amount,
      nonce: nonce as Nonce,
      time: liar.host.now as Millis,
      note: wish.note ?? "",
      data: wish.data ?? noData
    },
    from
  )
}

/** The transfer with another's signature: same id, nobody's will. */
const missigned = (transaction: Transaction, liar: Liar): Transaction => {
  const transfer = transferOf(transaction)
  const other = signed(liar, liar.key, transfer.nonce)
  return makeTransfer({ ...transfer, signature: transferOf(other).signature })
}

/** Places of a transfer's numbers, behind version and chain id. */
const amountOffset = 2 + 40

const broken = (liar: Liar): Transaction => {
  const { dice, rules } = liar
  const sound = signed(liar, purse(), 1)
  const transfer = transferOf(sound)
  const edited = (edit: (bytes: Uint8Array) => void): Transaction => {
    const bytes = sound.bytes.slice()
    edit(bytes)
    return { ...sound, bytes }
  }
  const numbers = amountOffset + rules.spec.ledger.chainId.length
  return dice.pick([
    () => edited((bytes) => bytes.fill(0xff, numbers, numbers + 8)),
    () => edited((bytes) => void (bytes[numbers + 8 * dice.int(4) + 7] = 0x80)),
    () => edited((bytes) => bytes.fill(0, numbers, numbers + 8)),
    () => edited((bytes) => void (bytes[0] = dice.pick([2, 4]))),
    () => signed(liar, purse(), 1, { data: dice.bytes(1 + (rules.spec.ledger.payloadBytesMax ?? 0)) }),
    () => edited((bytes) => void (bytes[1] = 200)),
    () => makeTransfer({ ...transfer, recipient: transfer.sender }),
    () => makeTransfer({ ...transfer, sender: liar.key.address }),
    () => signed(liar, purse(), 1, { chainId: "elsewhere" }),
    () => signed(liar, purse(), 1, { fee: rules.spec.ledger.feeMin - 1 }),
    () => signed(liar, purse(), 0)
  ])()
}

const refused = (about: string, because: string, make: (liar: Liar) => ReadonlyArray<Transaction>): Forgery => ({
  about,
  code: "transaction-refused",
  because,
  forge: (liar) => given(filled(draft(liar), make(liar)))
})

export const transferLies: MoneyLies = {
  sound: purseTransfers,
  broken,
  forgeries: {
    "double-spend": refused("two transfers with one nonce", "nonce-too-low", (liar) =>
      [1, 7].map((amount) => one(liar, { amount }))
    ),
    "nonce-gap": refused("a transfer whose nonce comes later", "nonce-too-high", (liar) =>
      purseTransfers(liar, 2).slice(1)
    ),
    overdraft: refused("a transfer of more than its sender has", "balance-too-low", (liar) => [
      one(liar, { amount: 1e15 })
    ]),
    replay: refused("a transfer that is confirmed already", "nonce-too-low", (liar) =>
      repeated(liar, purseTransfers(liar, 1))
    ),
    theft: {
      about: "a transfer of another's money with a signature that is not theirs",
      code: "signature-invalid",
      forge: (liar) => given(filled(draft(liar), [missigned(one(liar), liar)]))
    }
  },
  dishonest: {
    "transfer-theft": {
      about: "transfers of another's money, signed by nobody",
      code: "signature-invalid",
      make: (liar) => missigned(one(liar), liar)
    },
    "transfer-elsewhere": {
      about: "transfers of another chain",
      code: "chain-id-mismatch",
      make: (liar) => one(liar, { chainId: "elsewhere" })
    },
    "transfer-dust": {
      about: "transfers below the least fee",
      code: "fee-too-low",
      make: (liar) => one(liar, { fee: 1 })
    },
    "transfer-broken": { about: "transfers that refute themselves", make: broken }
  },
  useless: {
    "transfer-replayed": {
      about: "transfers that are confirmed already",
      make: (liar) => confirmed(liar).slice(0, 200)
    },
    "transfer-unfunded": {
      about: "transfers of those who have nothing",
      make: (liar) => Array.from({ length: 100 }, (_, i) => signed(liar, liar.key, i + 1))
    },
    "transfer-gaps": {
      about: "transfers by the hundred, the last nonce first",
      make: (liar) => purseTransfers(liar, 200).toReversed()
    }
  }
}
