/**
 * The coins of an address. Blocks that match by filters tell which coins were made and which of them were spent; then each that
 * is left is proven by a peer to be in the state. So filters that hide a spend are found out: the coin is not there. That no
 * coin was left out rests on the filter headers that all peers agreed on.
 */
import type { Header } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { allocationId, type Coin, coinKey, encodeOutpoint, outputsOf } from "../ledger/coin.ts"
import type { Outpoint, Transaction } from "../ledger/transaction.ts"
import { drop, type LightEffect } from "./effect.ts"
import type { HeaderChain } from "./header-chain.ts"
import type { Prove } from "./prove.ts"
import type { Scan } from "./scan.ts"

/** Whose coins, and the first height that may concern them; from 0 on the allocation of the genesis is looked at too. */
export interface CoinWish {
  readonly owner: Address
  readonly from: number
}

/** How it ended. `unfound`: nobody gives the filters and blocks that are needed. `stale`: peers know older blocks only than our tip, or others. */
export type CoinsOutcome =
  | {
      readonly _tag: "Found"
      readonly coins: ReadonlyArray<Outpoint & Coin>
      /** The block after which they are there. */
      readonly header: Header
    }
  | { readonly _tag: "Unfound" }
  | { readonly _tag: "Unproven"; readonly stale: number }

interface Candidate {
  readonly outpoint: Outpoint
  /** Proven to be there, as of a block of that height. */
  proven: { readonly coin: Coin; readonly height: number } | undefined
}

interface Doors {
  /** Of the owner, from the first height; already begun. */
  readonly scan: Scan
  /** Has every peer shown what it claims? */
  readonly settled: () => boolean
  /** A question for a proof, not yet begun. */
  readonly prove: (subject: Uint8Array) => Prove
}

type Emit = (effects: ReadonlyArray<LightEffect>) => void

export class Coins {
  private readonly chain: HeaderChain
  private readonly wish: CoinWish
  private readonly doors: Doors
  /** Made and, as far as is looked, not spent; by the key of the entry. */
  private readonly candidates = new Map<string, Candidate>()
  /** The last block of the scan whose findings are among the candidates. */
  private scanned: Header | undefined
  /** `void`: the branch has changed since it was asked. */
  private asked: { readonly key: string; readonly prove: Prove; void: boolean } | undefined
  /** A coin that a proof says is not there. */
  private missing: { readonly key: string; readonly header: Header } | undefined
  private lied = false
  outcome: CoinsOutcome | undefined

  constructor(chain: HeaderChain, wish: CoinWish, doors: Doors) {
    this.chain = chain
    this.wish = wish
    this.doors = doors
    this.reset()
  }

  /** How many coins are to be proven, and how many are. */
  get progress(): { readonly proven: number; readonly of: number } {
    const proven = [...this.candidates.values()].filter((candidate) => this.isProven(candidate)).length
    return { proven, of: this.scanned === undefined ? 0 : this.candidates.size }
  }

  /** The best branch has moved: what stood on headers that went is void. */
  moved(undone: number): ReadonlyArray<LightEffect> {
    if (undone === 0 || this.outcome !== undefined) return []
    this.missing = undefined
    if (this.asked !== undefined) this.asked.void = true
    for (const candidate of this.candidates.values()) candidate.proven = undefined
    if (this.scanned === undefined || this.chain.has(this.scanned.height, this.scanned.hash)) return []
    this.reset()
    // The scan has begun anew by itself, but from where it began last.
    return this.doors.scan.from === this.wish.from ? [] : this.doors.scan.again(this.wish.from)
  }

  /** Does the next thing that can be done; false: there is nothing to do but wait. */
  goOn(emit: Emit): boolean {
    const { scan } = this.doors
    if (this.outcome !== undefined) return false
    if (this.lied) {
      this.lied = false
      this.reset()
      emit(scan.again(this.wish.from))
      return true
    }
    // Who lacks the blocks may be on a branch that we are about to hear of.
    if (scan.failed) return this.doors.settled() && this.end({ _tag: "Unfound" })
    if (!scan.done) return false
    if (this.scanned !== scan.stop) return this.take()
    if (this.missing !== undefined) return this.judge(this.missing, emit)
    return this.asked === undefined ? this.askNext(emit) : this.hear(this.asked)
  }

  private end(outcome: CoinsOutcome): false {
    this.outcome = outcome
    return false
  }

  private reset(): void {
    this.scanned = undefined
    this.missing = undefined
    this.candidates.clear()
    if (this.asked !== undefined) this.asked.void = true
    if (this.wish.from > 0) return
    const { spec } = this.chain.rules
    const id = allocationId(spec.ledger.chainId)
    for (const [index, { address }] of spec.genesis.alloc.entries())
      if (equal(address, this.wish.owner)) this.note({ id, index })
  }

  private note(outpoint: Outpoint): void {
    this.candidates.set(coinKey(outpoint), { outpoint, proven: undefined })
  }

  /** What a scan has found: coins are made, and coins are spent. */
  private take(): boolean {
    const { found, stop } = this.doors.scan
    const transactions = found.flatMap((one) => (one.kind === "transaction" ? [one.transaction] : []))
    for (const transaction of transactions) this.takeMade(transaction)
    for (const transaction of transactions)
      if (transaction.kind === "payment") for (const key of transaction.spends) this.candidates.delete(key)
    this.scanned = stop
    return true
  }

  private takeMade(transaction: Transaction): void {
    for (const [index, { recipient }] of outputsOf(transaction).entries())
      if (equal(recipient, this.wish.owner)) this.note({ id: transaction.id, index })
  }

  /** A coin is not there. If it was spent after the last block that was looked at, the scan goes on; if not, a block was hidden. */
  private judge({ key, header }: { readonly key: string; readonly header: Header }, emit: Emit): boolean {
    const { scan } = this.doors
    if (header.height > this.scanned!.height) {
      emit(scan.again(this.scanned!.height + 1))
      return true
    }
    this.missing = undefined
    if (!this.candidates.has(key)) return true
    const message = `its filters leave out a block that spends the coin ${key.slice(0, 64)}:${this.indexOf(key)}`
    this.lied = true
    emit(scan.agreeing.map((session) => drop(session, "spend-hidden", message)))
    return true
  }

  private indexOf(key: string): number {
    return this.candidates.get(key)!.outpoint.index
  }

  private isProven({ proven }: Candidate): boolean {
    return proven !== undefined && this.scanned !== undefined && proven.height >= this.scanned.height
  }

  private askNext(emit: Emit): boolean {
    const next = [...this.candidates].find(([, candidate]) => !this.isProven(candidate))
    if (next === undefined) return this.end(this.found())
    const [key, { outpoint }] = next
    const prove = this.doors.prove(encodeOutpoint(outpoint))
    this.asked = { key, prove, void: false }
    emit(prove.start())
    return true
  }

  private hear({ key, prove, void: isVoid }: NonNullable<Coins["asked"]>): boolean {
    const { outcome } = prove
    if (outcome === undefined) return false
    this.asked = undefined
    if (isVoid) return true
    if (outcome._tag === "Unproven") return this.end({ _tag: "Unproven", stale: outcome.stale })
    const { proven } = outcome
    if (proven.kind !== "coin") return true
    const { header, coin } = proven
    if (coin === undefined) this.missing = { key, header }
    else this.candidates.get(key)!.proven = { coin, height: header.height }
    return true
  }

  private found(): CoinsOutcome {
    const coins = [...this.candidates.values()].map(({ outpoint, proven }) => ({ ...outpoint, ...proven!.coin }))
    return { _tag: "Found", coins, header: this.scanned! }
  }
}
