/**
 * The light client as one machine: what comes from peers goes in, what is to be asked, stored or dropped comes out. Headers are
 * followed always; one question for a proof and one scan may be put beside, or one for the coins of an address, which is both.
 */
import { Result } from "effect"
import { decodeBlock } from "../block/block.ts"
import type { Rules } from "../chain/rules.ts"
import { headersPerMessageMax } from "../limits.ts"
import type { LightAnswer } from "../peer/message.ts"
import { Coins, type CoinWish } from "./coins.ts"
import { drop, type LieCode, type LightEffect, type SessionId } from "./effect.ts"
import { type Claim, Follow } from "./follow.ts"
import { HeaderChain } from "./header-chain.ts"
import { Prove } from "./prove.ts"
import { Scan } from "./scan.ts"

/** A peer that was dropped, and why. */
export interface Dropped {
  readonly session: SessionId
  readonly code: LieCode
  readonly message: string
}

export class LightClient {
  readonly chain: HeaderChain
  readonly follow: Follow
  readonly dropped: Array<Dropped> = []
  prove: Prove | undefined
  scan: Scan | undefined
  coins: Coins | undefined
  private readonly filterers = new Set<SessionId>()

  constructor(rules: Rules, pageMax = headersPerMessageMax) {
    this.chain = new HeaderChain(rules)
    this.follow = new Follow(this.chain, pageMax)
  }

  /** A conversation begins. `filters`: the peer has said that it serves them. */
  joined(session: SessionId, peer: { readonly filters: boolean }): void {
    this.follow.joined(session)
    if (peer.filters) this.filterers.add(session)
  }

  left(session: SessionId, now: number): ReadonlyArray<LightEffect> {
    return this.spread(this.gone(session), now)
  }

  /** The peer says what its best branch is. */
  claimed(session: SessionId, claim: Claim, now: number): ReadonlyArray<LightEffect> {
    return this.spread(this.follow.claimed(session, claim), now)
  }

  /** An answer that was asked for. */
  answer(session: SessionId, answer: LightAnswer, now: number): ReadonlyArray<LightEffect> {
    return this.follow.hears(session) ? this.spread(this.hear(session, answer, now), now) : []
  }

  /** The bytes of a block that was asked for by its hash. */
  block(session: SessionId, bytes: Uint8Array, now: number): ReadonlyArray<LightEffect> {
    if (!this.follow.hears(session)) return []
    const decoded = decodeBlock(bytes, this.chain.rules.ledger)
    if (Result.isFailure(decoded)) return this.spread([drop(session, "block-malformed", decoded.failure.what)], now)
    return this.spread(this.scan?.block(session, decoded.success) ?? [], now)
  }

  /** The peer does not give the blocks that it was asked for. */
  notGiven(session: SessionId, now: number): ReadonlyArray<LightEffect> {
    return this.spread(this.scan?.notGiven(session) ?? [], now)
  }

  tick(now: number): ReadonlyArray<LightEffect> {
    return this.spread(this.prove?.tick(now) ?? [], now)
  }

  /** Asks for a proof about a transaction id, an address or an outpoint. */
  askProof(subject: Uint8Array, now: number): ReadonlyArray<LightEffect> {
    return this.spread(this.beginProof(subject).start(), now)
  }

  /** Looks for what concerns these elements, in blocks from a height up to the tip. */
  askScan(
    wish: { readonly elements: ReadonlyArray<Uint8Array>; readonly from: number },
    now: number
  ): ReadonlyArray<LightEffect> {
    return this.spread(this.beginScan(wish).start(), now)
  }

  /** Finds the coins of an address in blocks from a height on, and proves each; on a chain of coins. */
  askCoins(wish: CoinWish, now: number): ReadonlyArray<LightEffect> {
    const scan = this.beginScan({ elements: [wish.owner], from: wish.from })
    this.coins = new Coins(this.chain, wish, {
      scan,
      settled: () => this.follow.settled,
      prove: (subject) => this.beginProof(subject)
    })
    return this.spread(scan.start(), now)
  }

  private beginProof(subject: Uint8Array): Prove {
    const { sessions } = this.follow
    // Who has proven something last is in step with us, and is asked first.
    const last = this.prove?.outcome?._tag === "Proven" ? this.prove.outcome.from : undefined
    const order = [...sessions.filter((session) => session === last), ...sessions.filter((session) => session !== last)]
    this.prove = new Prove(this.chain, subject, order)
    return this.prove
  }

  private beginScan(wish: { readonly elements: ReadonlyArray<Uint8Array>; readonly from: number }): Scan {
    const peers = this.follow.sessions.filter((session) => this.filterers.has(session))
    this.scan = new Scan(this.chain, wish, peers)
    return this.scan
  }

  private hear(session: SessionId, answer: LightAnswer, now: number): ReadonlyArray<LightEffect> {
    switch (answer.tag) {
      case "PHD":
        return this.follow.page(session, answer, now)
      case "PRF":
        return this.prove?.proof(session, answer.proof, now) ?? []
      case "FHD":
        return this.scan?.filterHeaders(session, answer.headers) ?? []
      case "FLT":
        return this.scan?.filters(session, answer.filters) ?? []
    }
  }

  private gone(session: SessionId): ReadonlyArray<LightEffect> {
    this.filterers.delete(session)
    return [...this.follow.left(session), ...(this.prove?.left(session) ?? []), ...(this.scan?.left(session) ?? [])]
  }

  /** What one part has found out concerns the others: who is dropped is gone for all, and proofs stand on headers. */
  private spread(effects: ReadonlyArray<LightEffect>, now: number): ReadonlyArray<LightEffect> {
    const out: Array<LightEffect> = []
    const queue = [...effects]
    do {
      for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
        out.push(effect)
        queue.push(...this.follows(effect, now))
      }
    } while (this.coins?.goOn((next) => queue.push(...next)) === true)
    return out
  }

  /** What an effect of one part is to the others. */
  private follows(effect: LightEffect, now: number): ReadonlyArray<LightEffect> {
    if (effect._tag === "Drop") {
      const { session, code, message } = effect
      this.dropped.push({ session, code, message })
      return this.gone(session)
    }
    if (effect._tag !== "Store") return []
    const proofs = this.prove?.moved(now) ?? []
    const blocks = this.scan?.moved(effect.undone) ?? []
    return [...proofs, ...blocks, ...(this.coins?.moved(effect.undone) ?? [])]
  }
}
