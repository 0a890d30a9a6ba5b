/**
 * The data of a transaction: bytes that its sender signs and no rule looks into (C-T6), where the chain's spec allows some. Where
 * the spec has a filler, too, no transaction is without.
 *
 * Transfers and payments with data have a form of their own: as the form without, and `u16 length ‖ data` right after the
 * note. The data is then never empty, so a transaction has one encoding, and chains that allow none know the old forms alone.
 */
import { fromHex, toHex } from "../codec/bytes.ts"
import { payloadBytesMax } from "../limits.ts"
import { type Filler, fillerBytes, makeFiller } from "./filler.ts"
import type { MoneyRules } from "./ledger.ts"
import { reject, type TransactionReject } from "./reject.ts"

/** The data of a transaction that has none. */
export const noData = new Uint8Array(0)

/** What is written after the note: the length and the data, or nothing at all. */
export const dataBytes = (data: Uint8Array): number => (data.length === 0 ? 0 : 2 + data.length)

/** Writes what `dataBytes` counts, and gives the place after it. */
export const writeData = (out: Uint8Array, offset: number, data: Uint8Array): number => {
  if (data.length === 0) return offset
  out[offset] = data.length & 0xff
  out[offset + 1] = data.length >>> 8
  out.set(data, offset + 2)
  return offset + dataBytes(data)
}

/** Longer than any chain may allow: refused before a chain is asked. */
export const tooLong = (): TransactionReject =>
  reject("data-too-long", `Data has at most ${payloadBytesMax} bytes. Shorten it.`)

/** What a sender signs as data: his own, or if he has none what the chain's filler makes of so many random bytes. */
export const dataOrFiller = (
  data: Uint8Array,
  filler: Filler | undefined,
  random: (length: number) => Uint8Array
): Uint8Array => (data.length > 0 || filler === undefined ? data : makeFiller(filler, random(32)))

/** Why the chain does not take this data, or takes no transaction without any. */
export const checkData = (
  { payloadBytesMax: most = 0, filler }: Pick<MoneyRules, "payloadBytesMax" | "filler">,
  data: Uint8Array
): TransactionReject | undefined => {
  if (data.length === 0 && fillerBytes(filler) > 0)
    return reject("data-missing", "Each transaction of this chain carries data. Write some, or the chain's filler.")
  if (data.length <= most) return undefined
  return most === 0
    ? reject("data-not-allowed", "Transactions of this chain carry no data. Leave it out.")
    : reject("data-too-long", `Data has at most ${most} bytes on this chain. Shorten it.`, { payloadBytesMax: most })
}

/** The field `data` of a transaction as JSON, if there is any. */
export const formatData = (data: Uint8Array): { readonly data?: string } =>
  data.length === 0 ? {} : { data: toHex(data) }

/** The data of that field; one that is absent or empty is none. */
export const readData = (value: unknown): Uint8Array | TransactionReject => {
  if (value === undefined) return noData
  if (typeof value === "string" && value.length > 2 * payloadBytesMax) return tooLong()
  const data = typeof value === "string" ? fromHex(value) : undefined
  return data ?? reject("transaction-malformed", "data must be bytes in lower-case hex.")
}

/** Was data read, and not a refusal? */
export const isData = (read: Uint8Array | TransactionReject): read is Uint8Array => read instanceof Uint8Array
