/** What peers say of their best branches, and what we know of those. */

/** A height and the cumulative work of a branch that ends there. */
export interface Progress {
  readonly height: number
  readonly work: bigint
}

/** Our tip. `weight`: its work, and above any work what makes it win over a heavier branch. */
export interface Tip extends Progress {
  readonly weight?: bigint
}

/** What a peer says of its best branch; `hash` is the id of its end. Believed when we know that header. */
export interface Claim extends Progress {
  readonly hash: string
}

/** A known header with the weight of its branch. */
export interface Head {
  readonly id: string
  readonly work: bigint
}

export interface Peer {
  claim: Claim
  /** Its claim names a header that we do not know. */
  unknown: boolean
  /** The heaviest header that we know its branch to have. */
  head: Head | undefined
  /** What it claimed when it was asked for headers, and when that was. */
  askedHeaders: { readonly claim: Claim; readonly at: number } | undefined
  /** Full pages in a row that led to no heavier header: a long fork, or a peer that plays for time. */
  idlePages: number
  readonly lacks: Set<string>
  stalledAt: number
  /** Did not have a block of a loaded snapshot's past: asked for none of it until it claims again. */
  bare: boolean
  /** Was told to go: nothing more is asked of it. */
  leaving: boolean
}

export const noClaim: Claim = { height: 0, work: 0n, hash: "" }

/** A peer of which nothing is known yet. */
export const newPeer = (): Peer => ({
  claim: noClaim,
  unknown: false,
  head: undefined,
  askedHeaders: undefined,
  idlePages: 0,
  lacks: new Set(),
  stalledAt: Number.NEGATIVE_INFINITY,
  bare: false,
  leaving: false
})
