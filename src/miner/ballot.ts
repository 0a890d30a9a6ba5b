/**
 * What a block of ours says of another authority: first that it is convicted, if there is proof against one; else what our
 * operator wishes. A vote counts for many blocks, so it is said again only when it is about to lapse.
 */
import { equal, toHex } from "../codec/bytes.ts"
import { type VoteRule, voteFault } from "../consensus/authorities.ts"
import type { Authorities, Standing } from "../consensus/consensus.ts"
import type { Address } from "../crypto/address.ts"
import type { Ballot } from "./template.ts"

export interface Wish {
  readonly vote: "admit" | "expel"
  readonly subject: Address
}

export interface Say {
  readonly us: Address
  readonly rule: VoteRule
  /** Of the block. */
  readonly height: number
  /** Evidence by hex of the guilty. */
  readonly proofs: ReadonlyMap<string, Uint8Array>
  /** In the order in which they are served: an authority has one vote at a time. */
  readonly wishes: ReadonlyArray<Wish>
}

/** Does a vote count in a block at this height? */
export const counts = (vote: Pick<Standing, "height">, { voteBlocks }: VoteRule, height: number): boolean =>
  vote.height > height - voteBlocks

/** The first of the wishes that can be. */
export const nextWish = (now: Authorities, rule: VoteRule, wishes: ReadonlyArray<Wish>): Wish | undefined =>
  wishes.find((wish) => voteFault(now, rule, wish) === undefined)

/** Proof against those who are authorities still, in the order in which it was found. */
export const unpunished = (
  { members }: Authorities,
  proofs: ReadonlyMap<string, Uint8Array>
): ReadonlyArray<readonly [guilty: string, evidence: Uint8Array]> => {
  if (proofs.size === 0) return []
  const present = new Set(members.map(toHex))
  return [...proofs].filter(([guilty]) => present.has(guilty))
}

/** The height from which on a vote is cast again: two rounds of turns before it lapses, but not before half its time is over. */
const renewedAt = ({ height }: Standing, { voteBlocks }: VoteRule, members: number): number =>
  height + Math.max(Math.ceil(voteBlocks / 2), voteBlocks - 2 * members)

export const ballotOf = (now: Authorities, say: Say): Ballot | undefined => {
  const { us, rule, height } = say
  for (const [guilty, evidence] of unpunished(now, say.proofs)) {
    const subject = now.members.find((member) => toHex(member) === guilty)!
    // Nobody convicts himself, and the last authority stays.
    if (!equal(subject, us) && voteFault(now, rule, { vote: "convict", subject }) === undefined)
      return { vote: "convict", subject, evidence }
  }
  const wish = nextWish(now, rule, say.wishes)
  if (wish === undefined) return undefined
  const ours = now.standing.get(toHex(us))
  const isCast = ours !== undefined && ours.vote === wish.vote && equal(ours.subject, wish.subject)
  return isCast && height < renewedAt(ours, rule, now.members.length)
    ? undefined
    : { vote: wish.vote, subject: wish.subject }
}
