/**
 * One question about a transaction id, an address or a coin, put to one peer after the other until one proves its answer against a
 * header of ours. That a peer has no proof of a transaction is its word, and shows nothing.
 */
import { Result } from "effect"
import { isOfState, type Proven, verifyProof } from "../block/proof.ts"
import { requestMsMax } from "../limits.ts"
import { drop, type LieCode, type LightEffect, type SessionId } from "./effect.ts"
import type { HeaderChain } from "./header-chain.ts"

/** How the question ended. `absent`: so many peers say that there is no such transaction. `stale`: so many know older blocks only, or others. */
export type ProofOutcome =
  | { readonly _tag: "Proven"; readonly proven: Proven; readonly from: SessionId }
  | { readonly _tag: "Unproven"; readonly absent: number; readonly stale: number; readonly lied: number }

const nothing: ReadonlyArray<LightEffect> = []

export class Prove {
  private readonly chain: HeaderChain
  private readonly subject: Uint8Array
  private readonly waiting: Array<SessionId>
  private asked: { readonly session: SessionId; readonly tipHeight: number } | undefined
  /** A proof against a header that we do not have: it may have been sealed just now. */
  private held: { readonly session: SessionId; readonly bytes: Uint8Array; readonly until: number } | undefined
  private readonly counts = { absent: 0, stale: 0, lied: 0 }
  outcome: ProofOutcome | undefined

  /** `peers`: whom to ask, in that order. */
  constructor(chain: HeaderChain, subject: Uint8Array, peers: ReadonlyArray<SessionId>) {
    this.chain = chain
    this.subject = subject
    this.waiting = [...peers]
  }

  private get isOfState(): boolean {
    return isOfState(this.subject, this.chain.rules.spec.ledger.model)
  }

  /** Begins. */
  start(): ReadonlyArray<LightEffect> {
    return this.next()
  }

  left(session: SessionId): ReadonlyArray<LightEffect> {
    const at = this.waiting.indexOf(session)
    if (at >= 0) this.waiting.splice(at, 1)
    if (this.asked?.session !== session) return nothing
    this.held = undefined
    return this.next()
  }

  /** The answer to an ask for a proof. */
  proof(session: SessionId, bytes: Uint8Array, now: number): ReadonlyArray<LightEffect> {
    if (this.asked?.session !== session || this.outcome !== undefined) return nothing
    if (bytes.length > 0) return this.judge(session, bytes, now + requestMsMax)
    // Of what the state may hold there is always a proof: that it is there, or that it is not.
    if (this.isOfState) return this.lied(session, "proof-malformed", "it gave no proof of what its state says")
    this.counts.absent++
    return this.next()
  }

  /** Our best branch has moved: a proof that was held may stand on it now. */
  moved(now: number): ReadonlyArray<LightEffect> {
    return this.held === undefined || now > this.held.until
      ? this.tick(now)
      : this.judge(this.held.session, this.held.bytes, this.held.until)
  }

  /** Time passes. */
  tick(now: number): ReadonlyArray<LightEffect> {
    const { held } = this
    if (held === undefined || now <= held.until) return nothing
    // Its best branch may be another than ours with as much work, or has changed since: that is no lie.
    this.held = undefined
    this.counts.stale++
    return this.next()
  }

  private judge(session: SessionId, bytes: Uint8Array, until: number): ReadonlyArray<LightEffect> {
    const verified = verifyProof(bytes, { subject: this.subject })
    if (Result.isFailure(verified)) return this.lied(session, verified.failure.code, verified.failure.message)
    const { kind, header } = verified.success
    if (kind !== "transaction" && !this.isOfState)
      return this.lied(session, "proof-malformed", "the chain has the other ledger, and its state nothing of that kind")
    if (!this.chain.has(header.height, header.hash)) {
      this.held = { session, bytes, until }
      return nothing
    }
    this.held = undefined
    // What the state was long ago is true and no answer: it is asked for as it is after our tip.
    if (kind !== "transaction" && header.height < this.asked!.tipHeight) {
      this.counts.stale++
      return this.next()
    }
    this.outcome = { _tag: "Proven", proven: verified.success, from: session }
    return nothing
  }

  private lied(session: SessionId, code: LieCode, message: string): ReadonlyArray<LightEffect> {
    this.counts.lied++
    this.held = undefined
    return [drop(session, code, message), ...this.next()]
  }

  private next(): ReadonlyArray<LightEffect> {
    const session = this.waiting.shift()
    if (session === undefined) {
      this.asked = undefined
      this.outcome ??= { _tag: "Unproven", ...this.counts }
      return nothing
    }
    this.asked = { session, tipHeight: this.chain.tip.height }
    return [{ _tag: "Ask", session, ask: { tag: "GPF", of: this.subject } }]
  }
}
