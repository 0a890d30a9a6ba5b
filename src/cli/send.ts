/** `cairn send`: signs a transaction here and gives it to a node. The key never leaves this process. */
import { type Address, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { call } from "../http/client.ts"
import type { Amount } from "../ledger/amount.ts"
import { dataOrFiller } from "../ledger/payload.ts"
import type { Millis, Nonce } from "../ledger/transaction.ts"
import { signTransfer } from "../ledger/transfer.ts"
import { formatTransfer } from "../ledger/transfer-text.ts"
import { failure } from "./failure.ts"
import { type ChainMeta, dataOf, dataRow, feeOf, type FeeWish, metaOf, money, units } from "./money.ts"
import { print, rows } from "./output.ts"
import { payWithCoins } from "./wallet.ts"

export interface SendOptions extends FeeWish {
  readonly node: string
  readonly key: Keypair
  readonly to: string
  /** In whole coins, as people write them; undefined: all there is. */
  readonly amount: string | undefined
  readonly note: string
  /** As people write it: 0x and hex, or text; undefined: none. */
  readonly dataText: string | undefined
  /** Address of the change on a chain of coins; undefined: the sender's. */
  readonly changeTo: string | undefined
  /** Prints what is signed and submits nothing. */
  readonly signOnly: boolean
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

/** Asks the node for the chain's facts, signs what they call for, submits. */
export const send = async (options: SendOptions): Promise<void> => {
  const meta = await metaOf(options.node)
  for (const [flag, text] of Object.entries({ to: options.to, "change-to": options.changeTo })) {
    const address = text === undefined ? undefined : parseAddress(text, meta.address_prefix)
    if (address !== undefined && !isAddress(address))
      throw failure("usage", "address-invalid", `--${flag}: the address ${address.wrong}.`)
  }
  const own = dataOf(options.dataText, "data", meta.limits["max_transaction_data_bytes"] ?? 0)
  const data = dataOrFiller(own, meta.data_filler ?? undefined, options.random)
  if (meta.model === "utxo") return payWithCoins({ ...options, data }, meta)
  if (options.changeTo !== undefined)
    throw failure("usage", "change-unneeded", "--change-to is of chains of coins: on accounts nothing is left over.")
  return transfer({ ...options, data }, meta)
}

const transfer = async (options: SendOptions & { readonly data: Uint8Array }, meta: ChainMeta): Promise<void> => {
  const { node, key, note, data, now } = options
  const prefix = meta.address_prefix
  const sender = formatAddress(key.address, prefix)
  const { account } = await call(node, "account", { params: { address: sender } })
  const { feeMin, feeRate } = feeOf(options, meta)
  const signed = (amount: Amount, fee: Amount) =>
    signTransfer(
      {
        chainId: meta.chain_id,
        recipient: parseAddress(options.to, prefix) as Address,
        amount,
        fee,
        nonce: account.next_nonce as Nonce,
        time: now as Millis,
        note,
        data
      },
      key
    )
  // A transfer has as many bytes whatever its amounts are.
  const { length } = signed(1 as Amount, 0 as Amount).bytes
  const fee = Math.max(feeMin, Math.ceil(feeRate * length)) as Amount
  const held = account.confirmed_balance - account.pending_outgoing
  const amount = options.amount === undefined ? held - fee : units(options.amount, meta, "amount")
  if (amount < 1) throw failure("refused", "funds-too-low", `${money(held, meta)} do not pay the fee.`)
  const transaction = signed(amount as Amount, fee)
  const body = formatTransfer(transaction, prefix)
  if (options.signOnly) return print(body, [JSON.stringify(body)])
  const reply = await call(node, "submit", { body })
  print(reply.transaction, [
    `Sent ${money(amount, meta)} to ${options.to}.`,
    ...rows([
      ["id", reply.transaction.id],
      ...dataRow(data),
      ["fee", money(fee, meta)],
      ["nonce", String(transaction.transfer.nonce)],
      ["look", `${node}/api/transactions/${reply.transaction.id}`]
    ])
  ])
}
