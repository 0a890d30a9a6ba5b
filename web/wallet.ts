/** The wallet of the page: keys in memory, signatures made here, by the very code that the node checks them with. */
import { Result } from "effect"
import { fromHex } from "../src/codec/bytes.ts"
import { bytesOfText } from "../src/codec/text.ts"
import { type Address, formatAddress, isAddress, parseAddress } from "../src/crypto/address.ts"
import { accountKey, accountKeys, devMnemonic, isMnemonic, type Keypair, keypairOf } from "../src/crypto/keys.ts"
import { isSecret } from "../src/crypto/signature.ts"
import { type Amount, parse } from "../src/ledger/amount.ts"
import type { Filler } from "../src/ledger/filler.ts"
import { noteFault } from "../src/ledger/note.ts"
import { dataOrFiller, noData } from "../src/ledger/payload.ts"
import { signPayment } from "../src/ledger/payment.ts"
import { formatPayment, type PaymentText } from "../src/ledger/payment-text.ts"
import type { Millis, Nonce } from "../src/ledger/transaction.ts"
import { signTransfer } from "../src/ledger/transfer.ts"
import { formatTransfer, type TransferText } from "../src/ledger/transfer-text.ts"
import { devAccountsMax } from "../src/limits.ts"
import type { WalletReject } from "../src/wallet/coin.ts"
import { consolidate, select, type Selection } from "../src/wallet/select.ts"
import { costsOf, diceOf, fieldsOf, freeCoins, type ShownCoin } from "../src/wallet/spend.ts"

export interface ChainFacts {
  readonly model: "account" | "utxo"
  readonly chainId: string
  readonly prefix: string
  readonly decimals: number
  readonly symbol: string
  /** Bytes of data that a transaction may carry; 0: none. */
  readonly dataMax: number
  /** What stands there if nothing is typed; undefined: nothing. */
  readonly filler: Filler | undefined
}

/** A new key from the browser's own randomness. */
export const makeKey = (): Keypair => {
  for (;;) {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    if (isSecret(secret)) return keypairOf(secret)
  }
}

/** One of the public development accounts. */
export const devKey = (index: number): Keypair => accountKey(devMnemonic, index)

/** The key of a secret in hex or of a mnemonic's first account; undefined if it is neither. */
export const readKey = (text: string): Keypair | undefined => {
  const clean = text.trim().toLowerCase()
  const secret = fromHex(clean, 32)
  if (secret !== undefined && isSecret(secret)) return keypairOf(secret)
  return isMnemonic(clean) ? accountKey(clean, 0) : undefined
}

export const addressText = (key: Keypair, { prefix }: ChainFacts): string => formatAddress(key.address, prefix)

/** Numbers of the development accounts that have these addresses. */
export const devNames = (addresses: ReadonlyArray<string>, facts: ChainFacts): ReadonlyArray<number> =>
  addresses.length === 0
    ? []
    : accountKeys(devMnemonic, devAccountsMax).flatMap((key, i) =>
        addresses.includes(addressText(key, facts)) ? [i] : []
      )

/** What a person has typed. */
export interface Form {
  readonly to: string
  readonly amount: string
  readonly fee: string
  readonly note: string
  /** Text, or 0x and hex. */
  readonly data: string
}
type Wrong = { readonly wrong: string }

interface Wish {
  readonly recipient: Address
  readonly amount: Amount
  readonly fee: Amount
  readonly data: Uint8Array
}

const readFee = ({ fee: text }: Form, { decimals }: ChainFacts): Amount | Wrong =>
  parse(text.trim(), decimals) ?? { wrong: `The fee must be a number with at most ${decimals} decimals.` }

const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))

const readData = ({ data: text }: Form, { dataMax, filler }: ChainFacts): Uint8Array | Wrong => {
  const data = bytesOfText(text)
  if (data === undefined) return { wrong: "What follows 0x in the data must be hex, two digits a byte." }
  if (data.length > dataMax) return { wrong: `The data has ${data.length} bytes; this chain takes ${dataMax}.` }
  return dataOrFiller(data, filler, random)
}

/** What the form asks for, or what to mend in it. */
const read = (form: Form, facts: ChainFacts): Wish | Wrong => {
  const recipient = parseAddress(form.to.trim(), facts.prefix)
  if (!isAddress(recipient)) return { wrong: `The address ${recipient.wrong}.` }
  const amount = parse(form.amount.trim(), facts.decimals)
  if (amount === undefined || amount < 1)
    return { wrong: `The amount must be a number with at most ${facts.decimals} decimals.` }
  const fee = readFee(form, facts)
  if (typeof fee === "object") return fee
  const wrong = noteFault(form.note)
  if (wrong !== undefined) return { wrong }
  const data = readData(form, facts)
  return "wrong" in data ? data : { recipient, amount, fee, data }
}

/** A signed transfer as the node takes it, or what to mend in the form. */
export const sign = (
  key: Keypair,
  facts: ChainFacts,
  form: Form & { readonly nonce: number; readonly time: number }
): TransferText | Wrong => {
  const wish = read(form, facts)
  if ("wrong" in wish) return wish
  const numbers = { nonce: form.nonce as Nonce, time: form.time as Millis }
  const transaction = signTransfer({ chainId: facts.chainId, ...wish, ...numbers, note: form.note }, key)
  return formatTransfer(transaction, facts.prefix)
}

/** Coins as the node shows them, and the height of its tip. */
export interface Holding {
  readonly coins: ReadonlyArray<ShownCoin>
  readonly height: number
}

const dice = diceOf(random)

/** A signed payment and how it was chosen, or why it cannot be. */
type Paid = { readonly payment: PaymentText; readonly chosen: Selection } | Wrong

const conclude = (
  key: Keypair,
  facts: ChainFacts,
  said: { readonly note: string; readonly data: Uint8Array },
  outcome: Result.Result<Selection, WalletReject>
): Paid => {
  if (Result.isFailure(outcome)) return { wrong: `${outcome.failure.message} (${outcome.failure.code})` }
  const { chainId, prefix } = facts
  const chosen = outcome.success
  const fields = fieldsOf(chosen, { chainId, prefix, ...said, dice })
  return { payment: formatPayment(signPayment(fields, [key]), prefix), chosen }
}

/** Chooses coins for what the form asks, and signs. What is left over goes back to the key's own address. */
export const pay = (key: Keypair, facts: ChainFacts, form: Form, { coins, height }: Holding): Paid => {
  const wish = read(form, facts)
  if ("wrong" in wish) return wish
  const said = { note: form.note, data: wish.data }
  const costs = costsOf({ chainId: facts.chainId, ...said, feeMin: wish.fee, feeRate: 0 })
  const [recipient, changeTo] = [form.to.trim(), addressText(key, facts)]
  const outcome = select({ coins: freeCoins(coins, height), amount: wish.amount, recipient, changeTo, costs, dice })
  return conclude(key, facts, said, outcome)
}

/** Joins the smallest coins to one, for the fee in the form. */
export const join = (key: Keypair, facts: ChainFacts, form: Form, { coins, height }: Holding): Paid => {
  const fee = readFee(form, facts)
  if (typeof fee === "object") return fee
  const said = { note: "", data: dataOrFiller(noData, facts.filler, random) }
  const costs = costsOf({ chainId: facts.chainId, ...said, feeMin: fee, feeRate: 0 })
  const wish = { coins: freeCoins(coins, height), to: addressText(key, facts), costs, asked: true }
  return conclude(key, facts, said, consolidate(wish))
}
