/**
 * What pending payments take from each address and give to it. Sums are exact: along a chain of payments the same units count
 * again and again, so they can leave the safe integers.
 */
import { addressBytes } from "../crypto/address.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import type { Amount } from "../ledger/amount.ts"
import { type Entry, outputKey } from "./package.ts"

interface Flow {
  outgoing: bigint
  incoming: bigint
  /** Those that pay it. */
  readonly payers: Set<Entry>
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

export class Flows {
  private readonly byAddress = new Map<string, Flow>()

  add(entry: Entry): void {
    for (const [address, units] of entry.spent) this.flow(address).outgoing += BigInt(units)
    for (const { recipient, amount } of entry.transaction.payment.outputs) {
      const flow = this.flow(toHex(recipient))
      flow.incoming += BigInt(amount)
      flow.payers.add(entry)
    }
  }

  remove(entry: Entry): void {
    for (const [address, units] of entry.spent) {
      this.flow(address).outgoing -= BigInt(units)
      this.tidy(address)
    }
    for (const { recipient, amount } of entry.transaction.payment.outputs) {
      const address = toHex(recipient)
      const flow = this.flow(address)
      flow.incoming -= BigInt(amount)
      flow.payers.delete(entry)
      this.tidy(address)
    }
  }

  /** Units out and in of an address, its hex. */
  of(address: string): { readonly outgoing: number; readonly incoming: number } {
    const { outgoing, incoming } = this.byAddress.get(address) ?? { outgoing: 0n, incoming: 0n }
    return { outgoing: clamped(outgoing), incoming: clamped(incoming) }
  }

  /** What an address is paid, coin by coin. */
  *coinsOf(address: string): Generator<PendingCoin, void, void> {
    const owner = fromHex(address, addressBytes)
    if (owner === undefined) return
    for (const { id, transaction } of this.byAddress.get(address)?.payers ?? []) {
      for (const [index, { recipient, amount }] of transaction.payment.outputs.entries()) {
        if (equal(recipient, owner)) yield { key: outputKey(id, index), amount }
      }
    }
  }

  private flow(address: string): Flow {
    const known = this.byAddress.get(address)
    if (known !== undefined) return known
    const flow = { outgoing: 0n, incoming: 0n, payers: new Set<Entry>() }
    this.byAddress.set(address, flow)
    return flow
  }

  private tidy(address: string): void {
    const flow = this.byAddress.get(address)
    if (flow?.outgoing === 0n && flow.incoming === 0n) this.byAddress.delete(address)
  }
}
