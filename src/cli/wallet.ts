/**
 * Payments out of coins: asks a node for the coins of an address, chooses among them, signs, submits. Change goes back to the
 * sender unless another address is named: a key file holds one key and no mnemonic, so no fresh one follows from it.
 */
import { Result } from "effect"
import { formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { call } from "../http/client.ts"
import type { ReplyOf } from "../http/contract.ts"
import { dataOrFiller, noData } from "../ledger/payload.ts"
import { signPayment } from "../ledger/payment.ts"
import { formatPayment } from "../ledger/payment-text.ts"
import { httpPageMax, walletCoinsMax } from "../limits.ts"
import type { Coin, WalletReject } from "../wallet/coin.ts"
import { consolidate, select, type Selection, sendAll } from "../wallet/select.ts"
import { costsOf, diceOf, fieldsOf, freeCoins } from "../wallet/spend.ts"
import { type Failure, failure } from "./failure.ts"
import { type ChainMeta, dataRow, feeOf, type FeeWish, metaOf, money, units } from "./money.ts"
import { print, rows } from "./output.ts"

/** Coins told one by one to a person. */
const coinsTold = 8

interface Holding {
  readonly coins: ReplyOf<"coins">["coins"]
  readonly pending: ReplyOf<"coins">["pending_coins"]
  readonly height: number
  /** There are more than were asked for. */
  readonly more: boolean
}

/** The coins of an address, page by page, the largest first, at most `walletCoinsMax`. */
const holdingOf = async (node: string, address: string): Promise<Holding> => {
  const ask = (cursor: string | null) =>
    call(node, "coins", { params: { address }, query: { limit: httpPageMax, ...(cursor === null ? {} : { cursor }) } })
  let page = await ask(null)
  // A block between two pages may show a coin twice.
  const byName = new Map<string, Holding["coins"][number]>()
  for (;;) {
    for (const coin of page.coins) byName.set(`${coin.transaction_id}:${coin.index}`, coin)
    const { next_cursor: next } = page.page
    const { pending_coins: pending, height } = page
    const more = next !== null
    if (!more || byName.size >= walletCoinsMax) return { coins: [...byName.values()], pending, height, more }
    page = await ask(next)
  }
}

const sum = (amounts: ReadonlyArray<{ readonly amount: number }>): number =>
  amounts.reduce((total, { amount }) => total + amount, 0)

/** What a wallet's refusal means on the command line, in money. */
const refusal = (reject: WalletReject, { coins, pending, more }: Holding, meta: ChainMeta): Failure => {
  const usage = reject.code === "amount-invalid" || reject.code === "costs-invalid"
  const waiting = pending.length === 0 ? "" : ` ${money(sum(pending), meta)} are pending: wait for a block.`
  const unasked = more ? ` Only the ${coins.length} largest coins were looked at.` : ""
  const hint: Readonly<Partial<Record<WalletReject["code"], string>>> = {
    "funds-too-low": `The address has ${money(sum(coins), meta)} in ${coins.length} coins.${waiting}${unasked}`,
    "too-many-coins": `Join small ones: cairn wallet consolidate.${unasked}`,
    "amount-is-dust": "Pay more, or at a lower --fee-rate.",
    "consolidation-does-not-pay": "There must be two coins that are free and worth their cost."
  }
  return failure(usage ? "usage" : "refused", reject.code, reject.message, hint[reject.code])
}

export interface WalletOptions extends FeeWish {
  readonly node: string
  readonly key: Keypair
  readonly note: string
  /** Empty: none. */
  readonly data: Uint8Array
  readonly random: (length: number) => Uint8Array
  /** Prints what is signed and submits nothing. */
  readonly signOnly?: boolean
}

interface Session {
  readonly options: WalletOptions
  readonly meta: ChainMeta
  readonly sender: string
  readonly holding: Holding
  readonly free: ReadonlyArray<Coin>
}

const open = async (options: WalletOptions, meta: ChainMeta): Promise<Session> => {
  const sender = formatAddress(options.key.address, meta.address_prefix)
  const holding = await holdingOf(options.node, sender)
  return { options, meta, sender, holding, free: freeCoins(holding.coins, holding.height) }
}

const costs = ({ options, meta }: Session) =>
  costsOf({ chainId: meta.chain_id, note: options.note, data: options.data, ...feeOf(options, meta) })

/** Signs what was chosen, submits it, and tells of it. */
const conclude = async (
  { options, meta, holding }: Session,
  outcome: Result.Result<Selection, WalletReject>,
  sentence: (chosen: Selection) => string
): Promise<void> => {
  if (Result.isFailure(outcome)) throw refusal(outcome.failure, holding, meta)
  const chosen = outcome.success
  const { node, key, note, data, random } = options
  const prefix = meta.address_prefix
  const fields = fieldsOf(chosen, { chainId: meta.chain_id, note, data, prefix, dice: diceOf(random) })
  const body = formatPayment(signPayment(fields, [key]), prefix)
  if (options.signOnly === true) return print(body, [JSON.stringify(body)])
  const { transaction } = await call(node, "submit", { body })
  const { inputs, outputs, fee, change, bytes } = chosen
  const spends = inputs.map(({ id, units: amount }) => ({
    transaction_id: id.slice(0, 64),
    index: Number(id.slice(65)),
    amount
  }))
  const told = inputs.slice(0, coinsTold).map((coin) => money(coin.units, meta))
  const rest = inputs.length - told.length
  print({ ...transaction, spends, fee, change, bytes }, [
    sentence(chosen),
    ...rows([
      ["id", transaction.id],
      ["spends", `${told.join(" + ")}${rest > 0 ? ` and ${rest} more` : ""}`],
      ...outputs.map(
        ({ owner, units: paid }, i) => [i === 0 ? "pays" : "change", `${money(paid, meta)} to ${owner}`] as const
      ),
      ...dataRow(data),
      ["fee", `${money(fee, meta)} for ${bytes} bytes`],
      ["look", `${node}/api/transactions/${transaction.id}`]
    ])
  ])
}

/** Pays an amount, or all there is, with the coins of the key's address. */
export const payWithCoins = async (
  options: WalletOptions & {
    readonly to: string
    /** Undefined: all there is. */
    readonly amount: string | undefined
    readonly changeTo: string | undefined
  },
  meta: ChainMeta
): Promise<void> => {
  const session = await open(options, meta)
  const { sender, free: coins } = session
  const { to: recipient, changeTo = sender } = options
  const dice = diceOf(options.random)
  const outcome =
    options.amount === undefined
      ? sendAll({ coins, recipient, costs: costs(session) })
      : select({
          coins,
          amount: units(options.amount, meta, "amount"),
          recipient,
          changeTo,
          costs: costs(session),
          dice
        })
  await conclude(session, outcome, ({ outputs }) => `Sent ${money(outputs[0]!.units, meta)} to ${recipient}.`)
}

/** Joins the smallest coins of the key's address, as many as fit a payment, to one of its own. */
export const joinCoins = async (options: Omit<WalletOptions, "data">): Promise<void> => {
  const meta = await metaOf(options.node)
  const data = dataOrFiller(noData, meta.data_filler ?? undefined, options.random)
  const session = await open({ ...options, data }, meta)
  const { sender: to, free: coins } = session
  const outcome = consolidate({ coins, to, costs: costs(session), asked: true })
  await conclude(session, outcome, ({ inputs }) => {
    const left = coins.length - inputs.length
    return `Joined ${inputs.length} coins to one.${left > 0 ? ` ${left} larger ones are as they were.` : ""}`
  })
}

const stateOf = (coin: Holding["coins"][number], height: number): string => {
  if (coin.spent_by !== null) return `being spent by ${coin.spent_by}`
  return coin.spendable_from > height + 1
    ? `a reward, ripe at height ${coin.spendable_from}`
    : `of height ${coin.height}`
}

/** Tells the coins of an address. */
export const listCoins = async (node: string, address: string): Promise<void> => {
  const meta = await metaOf(node)
  const parsed = parseAddress(address, meta.address_prefix)
  if (!isAddress(parsed))
    throw failure("usage", "address-invalid", `${address} is no key, and as an address it ${parsed.wrong}.`)
  const { coins, pending, height, more } = await holdingOf(node, address)
  const free = freeCoins(coins, height).length
  const told = [
    ...coins.map((coin) => [money(coin.amount, meta), stateOf(coin, height)] as const),
    ...pending.map(({ amount, transaction_id: id }) => [money(amount, meta), `pending in ${id}`] as const)
  ]
  print({ address, height, coins, pending_coins: pending, free, more }, [
    `${money(sum(coins), meta)} in ${coins.length} coins, ${free} of them free to be spent.`,
    ...(more ? ["There are more; these are the largest."] : []),
    ...(told.length === 0 ? [] : rows(told))
  ])
}
