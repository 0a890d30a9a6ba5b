/** The wallet of the page: keys in memory, signatures made here, by the very code that the node checks them with. */
import { fromHex } from "../src/codec/bytes.ts"
import { type Address, formatAddress, isAddress, parseAddress } from "../src/crypto/address.ts"
import { accountKey, devMnemonic, isMnemonic, type Keypair, keypairOf } from "../src/crypto/keys.ts"
import { isSecret } from "../src/crypto/signature.ts"
import { type Amount, parse } from "../src/ledger/amount.ts"
import type { Millis, Nonce } from "../src/ledger/transaction.ts"
import { signTransfer } from "../src/ledger/transfer.ts"
import { formatTransfer, type TransferText } from "../src/ledger/transfer-text.ts"

export interface ChainFacts {
  readonly chainId: string
  readonly prefix: string
  readonly decimals: number
  readonly symbol: string
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

/** A signed transfer as the node takes it, or what to mend in the form. */
export const sign = (
  key: Keypair,
  facts: ChainFacts,
  form: {
    readonly to: string
    readonly amount: string
    readonly fee: string
    readonly note: string
    readonly nonce: number
    readonly time: number
  }
): TransferText | { readonly wrong: string } => {
  const recipient = parseAddress(form.to.trim(), facts.prefix)
  if (!isAddress(recipient)) return { wrong: `The address ${recipient.wrong}.` }
  const amount = parse(form.amount.trim(), facts.decimals)
  const fee = parse(form.fee.trim(), facts.decimals)
  if (amount === undefined || amount < 1)
    return { wrong: `The amount must be a number with at most ${facts.decimals} decimals.` }
  if (fee === undefined) return { wrong: `The fee must be a number with at most ${facts.decimals} decimals.` }
  const transaction = signTransfer(
    {
      chainId: facts.chainId,
      recipient: recipient as Address,
      amount: amount as Amount,
      fee,
      nonce: form.nonce as Nonce,
      time: form.time as Millis,
      note: form.note
    },
    key
  )
  return formatTransfer(transaction, facts.prefix)
}
