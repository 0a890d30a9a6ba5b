/**
 * Which peer is asked for headers, and what becomes of what it gives. The branch with the most work wins, whoever gave it; who
 * claims work must show it, and who shows a header that breaks a rule is dropped. One peer is asked at a time, the one that
 * claims most, so that no header is downloaded twice.
 */
import { unpackPage } from "../block/packed.ts"
import { equal } from "../codec/bytes.ts"
import { headersAheadMax, headersPerMessageMax, locatorHashesMax } from "../limits.ts"
import { drop, type LieCode, type LightEffect, type SessionId } from "./effect.ts"
import { Branch, type HeaderChain } from "./header-chain.ts"

/** What a peer says of its tip. */
export interface Claim {
  readonly height: number
  readonly work: bigint
  readonly hash: Uint8Array
}

interface Peer {
  claim: Claim | undefined
  /** What it has shown and what is not the best branch. */
  branch: Branch | undefined
  /** What it was asked: from which headers on, and what it claimed then. */
  asked:
    | { readonly locator: ReadonlyArray<{ readonly height: number; readonly hash: Uint8Array }>; readonly claim: Claim }
    | undefined
}

const nothing: ReadonlyArray<LightEffect> = []

export class Follow {
  readonly chain: HeaderChain
  private readonly peers = new Map<SessionId, Peer>()
  private readonly pageMax: number

  /** `pageMax`: headers asked for at a time. */
  constructor(chain: HeaderChain, pageMax = headersPerMessageMax) {
    this.chain = chain
    this.pageMax = pageMax
  }

  /** Peers that are heard. */
  get sessions(): ReadonlyArray<SessionId> {
    return [...this.peers.keys()]
  }

  /** Is this a peer that has neither left nor been dropped? */
  hears(session: SessionId): boolean {
    return this.peers.has(session)
  }

  /** Has every peer said what it has, and shown it? */
  get settled(): boolean {
    return [...this.peers.values()].every((peer) => peer.claim !== undefined && !this.wants(peer))
  }

  /** The most that a peer claims above our tip, in blocks from the genesis. */
  get claimedHeight(): number {
    return Math.max(this.chain.tip.height, ...[...this.peers.values()].map(({ claim }) => claim?.height ?? 0))
  }

  /** What a peer has claimed last. */
  claimOf(session: SessionId): Claim | undefined {
    return this.peers.get(session)?.claim
  }

  joined(session: SessionId): void {
    this.peers.set(session, { claim: undefined, branch: undefined, asked: undefined })
  }

  left(session: SessionId): ReadonlyArray<LightEffect> {
    this.peers.delete(session)
    return this.askNext()
  }

  claimed(session: SessionId, claim: Claim): ReadonlyArray<LightEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined) return nothing
    peer.claim = claim
    return this.askNext()
  }

  /** The answer to an ask for headers. */
  page(
    session: SessionId,
    answer: { readonly after: Uint8Array; readonly page: Uint8Array },
    now: number
  ): ReadonlyArray<LightEffect> {
    const peer = this.peers.get(session)
    const asked = peer?.asked
    if (peer === undefined || asked === undefined) return nothing
    peer.asked = undefined
    const from = asked.locator.find(({ hash }) => equal(hash, answer.after))
    if (from === undefined)
      return this.lied(session, "headers-unlinked", "its headers follow on a block that it was not asked for")
    const branch = this.branchAt(peer, from)
    const rows = unpackPage(branch.tip, answer.page, this.pageMax)
    if (rows === undefined) return this.lied(session, "headers-malformed", "its page of headers has another form")
    for (const rest of rows) {
      const reject = branch.extend(rest, now)
      if (reject === undefined) continue
      const height = branch.tip.height + 1
      return [...this.settle(peer, branch), ...this.lied(session, reject.code, `header ${height}: ${reject.message}`)]
    }
    const moved = this.settle(peer, branch)
    return [
      ...moved,
      ...(rows.length === this.pageMax ? this.goOn(session, peer) : this.ended(session, peer, asked.claim))
    ]
  }

  /** The peer's branch, if the page follows on it, else a new one on ours. */
  private branchAt(peer: Peer, from: { readonly height: number; readonly hash: Uint8Array }): Branch {
    if (peer.branch !== undefined && equal(peer.branch.tip.hash, from.hash)) return peer.branch
    return new Branch(this.chain, from.height)
  }

  /** What is heavier becomes the best branch; what is not is kept with its peer, for it may grow. */
  private settle(peer: Peer, branch: Branch): ReadonlyArray<LightEffect> {
    const moved = this.chain.adopt(branch)
    peer.branch = moved === undefined ? branch : undefined
    if (moved === undefined) return nothing
    return [{ _tag: "Store", above: moved.fork, headers: this.chain.bytesAbove(moved.fork), undone: moved.undone }]
  }

  private goOn(session: SessionId, peer: Peer): ReadonlyArray<LightEffect> {
    const size = peer.branch === undefined ? 0 : peer.branch.rows.end - peer.branch.rows.base
    return size > headersAheadMax
      ? this.lied(session, "too-many-headers", "its headers have no end, and less work than ours")
      : this.ask(session, peer)
  }

  /** It has no more: then it must have shown the work that it claimed. */
  private ended(session: SessionId, peer: Peer, claim: Claim): ReadonlyArray<LightEffect> {
    const shown = peer.branch?.work ?? this.chain.work
    peer.branch = undefined
    return shown >= claim.work || this.chain.work >= claim.work
      ? this.askNext()
      : this.lied(session, "work-unproven", `it claims height ${claim.height} and does not show the work of it`)
  }

  private lied(session: SessionId, code: LieCode, message: string): ReadonlyArray<LightEffect> {
    this.peers.delete(session)
    return [drop(session, code, message), ...this.askNext()]
  }

  private wants({ claim, asked }: Peer): boolean {
    if (asked !== undefined) return true
    return claim !== undefined && claim.work > this.chain.work && !this.chain.has(claim.height, claim.hash)
  }

  /** Asks the peer that claims the most, if one claims more than we have and nobody is asked. */
  private askNext(): ReadonlyArray<LightEffect> {
    if ([...this.peers.values()].some(({ asked }) => asked !== undefined)) return nothing
    const [best] = [...this.peers]
      .filter(([, peer]) => this.wants(peer))
      .sort(([, a], [, b]) => (a.claim!.work < b.claim!.work ? 1 : -1))
    return best === undefined ? nothing : this.ask(...best)
  }

  private ask(session: SessionId, peer: Peer): ReadonlyArray<LightEffect> {
    const own = peer.branch === undefined ? [] : [peer.branch.tip]
    const locator = [...own, ...this.chain.locator()]
      .slice(0, locatorHashesMax)
      .map(({ height, hash }) => ({ height, hash }))
    peer.asked = { locator, claim: peer.claim! }
    const hashes = locator.map(({ hash }) => hash)
    return [{ _tag: "Ask", session, ask: { tag: "GPH", locator: hashes, limit: this.pageMax } }]
  }
}
