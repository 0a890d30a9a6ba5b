/**
 * What pending payments take from each address and give to it.
 *
 * Many addresses may be named, most of them once: such a one costs no more than a place in the map. Sums are kept for those
 * that several payments concern, and are exact: along a chain of payments the same units count again and again, so they can
 * leave the safe integers.
 */
import { assert } from "../assert.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import { addressBytes } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import { type Entry, outputKey } from "./package.ts"

/** What several payments do for one address. */
interface Flow {
  outgoing: bigint
  incoming: bigint
  readonly entries: Set<Entry>
}

/** A coin that a pending payment makes. */
export interface PendingCoin {
  /** Of the entry that it will be. */
  readonly key: string
  readonly amount: Amount
}

/** A sum as a number; above 2^53 - 1 it is that. */
export const clamped = (units: bigint): number =>
  units > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(units)

const addressesOf = ({ spent, transaction }: Entry): ReadonlySet<string> =>
  new Set([
    ...spent.map(([address]) => address),
    ...transaction.payment.outputs.map(({ recipient }) => toHex(recipient))
  ])

const isFlow = (known: Entry | Flow): known is Flow => "entries" in known

/** The coins that a payment makes for an address. */
function* coinsOf({ id, transaction }: Entry, address: string): Generator<PendingCoin, void, void> {
  const owner = fromHex(address, addressBytes)
  if (owner === undefined) return
  for (const [index, { recipient, amount }] of transaction.payment.outputs.entries()) {
    if (equal(recipient, owner)) yield { key: outputKey(id, index), amount }
  }
}

/** Adds what a payment does for an address, or takes it back. */
const change = (
  flow: Flow,
  entry: Entry,
  { address, sign }: { readonly address: string; readonly sign: 1n | -1n }
): void => {
  const outgoing = entry.spent.find(([owner]) => owner === address)?.[1] ?? 0
  flow.outgoing += sign * BigInt(outgoing)
  for (const { amount } of coinsOf(entry, address)) flow.incoming += sign * BigInt(amount)
  if (sign === 1n) flow.entries.add(entry)
  else flow.entries.delete(entry)
}

export class Flows {
  private readonly byAddress = new Map<string, Entry | Flow>()

  add(entry: Entry): void {
    for (const address of addressesOf(entry)) {
      const known = this.byAddress.get(address)
      if (known === undefined) this.byAddress.set(address, entry)
      else change(this.flow(address), entry, { address, sign: 1n })
    }
  }

  remove(entry: Entry): void {
    for (const address of addressesOf(entry)) {
      const known = this.byAddress.get(address)
      assert(known !== undefined, "what is removed was added")
      if (isFlow(known)) change(known, entry, { address, sign: -1n })
      if (!isFlow(known) || known.entries.size === 0) this.byAddress.delete(address)
    }
  }

  /** Units out and in of an address, its hex. */
  of(address: string): { readonly outgoing: number; readonly incoming: number } {
    const { outgoing, incoming } = this.flow(address)
    return { outgoing: clamped(outgoing), incoming: clamped(incoming) }
  }

  /** What an address is paid, coin by coin. */
  *coinsOf(address: string): Generator<PendingCoin, void, void> {
    for (const entry of this.flow(address).entries) yield* coinsOf(entry, address)
  }

  /** The sums of an address; kept from now on, if a payment concerns it. */
  private flow(address: string): Flow {
    const known = this.byAddress.get(address)
    if (known !== undefined && isFlow(known)) return known
    const flow: Flow = { outgoing: 0n, incoming: 0n, entries: new Set() }
    if (known !== undefined) {
      change(flow, known, { address, sign: 1n })
      this.byAddress.set(address, flow)
    }
    return flow
  }
}
