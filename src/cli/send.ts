/** `cairn send`: signs a transfer here and gives it to a node. The key never leaves this process. */
import { type Address, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { call } from "../http/client.ts"
import { type Amount, format, parse } from "../ledger/amount.ts"
import type { Millis, Nonce } from "../ledger/transaction.ts"
import { signTransfer } from "../ledger/transfer.ts"
import { formatTransfer } from "../ledger/transfer-text.ts"
import { failure } from "./failure.ts"
import { print, rows } from "./output.ts"

export interface SendOptions {
  readonly node: string
  readonly key: Keypair
  readonly to: string
  /** In whole coins, as people write them. */
  readonly amount: string
  readonly fee: string | undefined
  readonly note: string
  readonly now: number
}

const units = (text: string, decimals: number, what: string): Amount => {
  const parsed = parse(text, decimals)
  if (parsed === undefined)
    throw failure("usage", "amount-invalid", `--${what} ${text} is not an amount with at most ${decimals} decimals.`)
  return parsed
}

/** Asks the node for the chain's facts and the next nonce, signs, submits. */
export const send = async (options: SendOptions): Promise<void> => {
  const { meta } = await call(options.node, "info")
  const { decimals, symbol, chain_id: chainId, address_prefix: prefix } = meta
  const recipient = parseAddress(options.to, prefix)
  if (!isAddress(recipient)) throw failure("usage", "address-invalid", `--to: the address ${recipient.wrong}.`)
  const sender = formatAddress(options.key.address, prefix)
  const { account } = await call(options.node, "account", { params: { address: sender } })
  const fee =
    options.fee === undefined
      ? ((meta.limits["min_transaction_fee"] ?? 0) as Amount)
      : units(options.fee, decimals, "fee")
  const amount = units(options.amount, decimals, "amount")
  const transaction = signTransfer(
    {
      chainId,
      recipient: recipient as Address,
      amount,
      fee,
      nonce: account.next_nonce as Nonce,
      time: options.now as Millis,
      note: options.note
    },
    options.key
  )
  const reply = await call(options.node, "submit", { body: formatTransfer(transaction, prefix) })
  print(reply.transaction, [
    `Sent ${format(amount, decimals)} ${symbol} to ${options.to}.`,
    ...rows([
      ["id", reply.transaction.id],
      ["fee", `${format(fee, decimals)} ${symbol}`],
      ["nonce", String(transaction.transfer.nonce)],
      ["look", `${options.node}/api/transactions/${reply.transaction.id}`]
    ])
  ])
}
