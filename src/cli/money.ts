/** Amounts, and the data beside them, as people write them on the command line, and as it tells them. */
import { bytesOfText, shownBytes } from "../codec/text.ts"
import { call } from "../http/client.ts"
import type { ReplyOf } from "../http/contract.ts"
import { type Amount, format, parse } from "../ledger/amount.ts"
import { failure } from "./failure.ts"

/** What a node says of its chain. */
export type ChainMeta = ReplyOf<"info">["meta"]

export const metaOf = async (node: string): Promise<ChainMeta> =>
  (await call(node, "info", { query: { limit: 0 } })).meta

/** Base units of a flag's text. */
export const units = (text: string, { decimals }: ChainMeta, flag: string): Amount => {
  const parsed = parse(text, decimals)
  if (parsed === undefined)
    throw failure("usage", "amount-invalid", `--${flag} ${text} is not an amount with at most ${decimals} decimals.`)
  return parsed
}

/** Units with their symbol, such as 1.50 CRN. */
export const money = (value: number, { decimals, symbol }: Pick<ChainMeta, "decimals" | "symbol">): string =>
  `${format(value as Amount, decimals)} ${symbol}`

/** Bytes of a flag's text: 0x and hex, or any other text as UTF-8. At most so many, as the chain has it. */
export const dataOf = (text: string | undefined, flag: string, most: number): Uint8Array => {
  const data = bytesOfText(text ?? "")
  if (data === undefined)
    throw failure("usage", "data-invalid", `--${flag}: what follows 0x is not hex, two digits a byte.`)
  if (data.length > most && most === 0)
    throw failure("refused", "data-not-allowed", `--${flag}: transactions of this chain carry no data.`)
  if (data.length > most)
    throw failure("refused", "data-too-long", `--${flag}: ${data.length} bytes; this chain takes at most ${most}.`)
  return data
}

/** The row of a table that shows data, if there is any. */
export const dataRow = (data: Uint8Array): ReadonlyArray<readonly [string, string]> =>
  data.length === 0 ? [] : [["data", shownBytes(data)]]

/** How a fee is asked for: a whole fee, base units a byte, or the least that the chain takes. */
export interface FeeWish {
  readonly fee: string | undefined
  readonly feeRate: string | undefined
}

/** The least fee in units, and units a byte. A fee that was named is both bounds: nothing is added by the byte. */
export const feeOf = (
  { fee, feeRate }: FeeWish,
  meta: ChainMeta
): { readonly feeMin: Amount; readonly feeRate: number } => {
  if (fee !== undefined && feeRate !== undefined)
    throw failure("usage", "fee-invalid", "--fee names the whole fee, --fee-rate one by the byte: give one of them.")
  const least = (meta.limits["min_transaction_fee"] ?? 0) as Amount
  if (fee !== undefined) return { feeMin: units(fee, meta, "fee"), feeRate: 0 }
  if (feeRate !== undefined && !/^\d{1,9}(\.\d{1,6})?$/.test(feeRate))
    throw failure("usage", "fee-invalid", `--fee-rate ${feeRate} is not a number of base units a byte.`)
  return { feeMin: least, feeRate: Number(feeRate ?? 0) }
}
