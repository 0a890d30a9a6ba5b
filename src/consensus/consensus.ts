/**
 * The contract of who may write: is the seal right, what target is next, what weight has it. `pow.ts` is the first answer,
 * `poa.ts` the second, which leans on the first: both together are work that only authorities may do.
 */
import type { Block } from "../block/block.ts"
import type { Header, HeaderFields, HeaderVersion, Target, VoteKind } from "../block/header.ts"
import type { Address } from "../crypto/address.ts"
import type { Evidence } from "./evidence.ts"
import type { RotaRule, Turn } from "./rota.ts"

/** The ancestors of a header not yet judged, reached by height. `at(tip.height)` is the parent. */
export interface Ancestry {
  readonly parent: Header
  /** The ancestor at a height from 0 to the parent's; a miss is our bug. */
  readonly at: (height: number) => Header
}

/** What an authority last voted for. Its next vote replaces it. */
export interface Standing {
  readonly vote: VoteKind
  readonly subject: Address
  readonly height: number
}

/** After a header. */
export interface Authorities {
  /** In the order of their turns. Never empty. */
  readonly members: ReadonlyArray<Address>
  /** By hex of the voter's address. */
  readonly standing: ReadonlyMap<string, Standing>
  /** Hex of addresses that were convicted. They never come back. */
  readonly convicted: ReadonlySet<string>
}

/** What is wrong with who sealed a header, and when; or with what its block may hold at that time. */
export interface AuthorFault {
  readonly code:
    | "signer-unknown"
    | "turn-wrong"
    | "turn-early"
    | "vote-wrong"
    | "signature-wrong"
    | "evidence-wrong"
    | "block-empty"
    | "block-hasty"
  readonly message: string
}

/** What a chain has whose blocks are sealed by authorities. */
export interface AuthorRules {
  readonly rota: RotaRule
  readonly voteBlocks: number
  /** Who may seal the child of the parent. */
  readonly authorities: (ancestry: Ancestry) => Authorities
  /** The first turn of somebody on the parent that is not over; undefined: no authority. */
  readonly turn: (ancestry: Ancestry, address: Address, now: number) => Turn | undefined
  /** Everything but target and work, by the header alone. The signature comes last. */
  readonly checkHeader: (header: Header, ancestry: Ancestry) => AuthorFault | undefined
  /** What the body must be for its header's vote and time. */
  readonly checkBlock: (block: Block, parent: Pick<Header, "time">) => AuthorFault | undefined
  /** May a block with so many sent transactions be sealed at a time on the parent? */
  readonly checkPace: (sent: number, time: number, parent: Pick<Header, "time">) => AuthorFault | undefined
  /** The evidence of bytes that prove something against somebody. */
  readonly evidence: (bytes: Uint8Array) => Evidence | undefined
}

export interface Consensus {
  /** The only version that a header may have. */
  readonly version: HeaderVersion
  /** The only target that the next header may carry (defect 12). */
  readonly nextTarget: (ancestry: Ancestry) => Target
  /** The target of the genesis header. */
  readonly genesisTarget: Target
  /** The earliest time that the next header may carry, by the spec's rule: above a median, not far behind the parent, or a slot later. */
  readonly earliestTime: (ancestry: Ancestry) => number
  /** Is there as much work in the header as its target asks for, and that not below what the rule ever asks? */
  readonly checkSeal: (header: Header) => boolean
  /** Expected hashes behind a header, 2^256 / (target + 1), by the weight of its sealer's turn where there are authorities. */
  readonly work: (header: Pick<HeaderFields, "target" | "authority">) => bigint
  /** Undefined: whoever does the work may seal. */
  readonly author?: AuthorRules
}
