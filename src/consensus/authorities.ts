/**
 * Who the authorities are at a header: those of the genesis, changed by the votes that headers carry. A header with a vote
 * says where the one before it stands, so the whole list is known from these few alone, without any block's body.
 */
import type { Header } from "../block/header.ts"
import { equal, toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { authoritiesMax } from "../limits.ts"
import type { Ancestry, Authorities, Standing } from "./consensus.ts"
import { inOrder } from "./rota.ts"

export interface VoteRule {
  /** Blocks for which a vote counts; 0: authorities are neither admitted nor expelled. */
  readonly voteBlocks: number
}

/** Height of the last vote up to a header, itself included: what its child must carry. */
export const lastVoteOf = ({ height, authority }: Header): number =>
  authority === undefined || authority.vote === "none" ? (authority?.lastVote ?? 0) : height

/** The place of somebody in the rota; -1: no authority. */
export const placeOf = ({ members }: Authorities, address: Address): number =>
  members.findIndex((member) => equal(member, address))

/** Those whose votes of this kind about a subject count at a height, as hex. */
export const votersFor = (
  { members, standing }: Authorities,
  wish: Pick<Standing, "vote" | "subject">,
  counted: { readonly height: number; readonly voteBlocks: number }
): ReadonlyArray<string> =>
  members.map(toHex).filter((voter) => {
    const vote = standing.get(voter)
    if (vote === undefined || vote.vote !== wish.vote || !equal(vote.subject, wish.subject)) return false
    return vote.height > counted.height - counted.voteBlocks
  })

/** Why a vote may not be cast, in words; undefined: it may. */
export const voteFault = (
  now: Authorities,
  rule: VoteRule,
  { vote, subject }: Pick<Standing, "vote" | "subject">
): string | undefined => {
  if (vote === "none") return subject.some((byte) => byte !== 0) ? "a subject and no vote" : undefined
  if (vote !== "convict" && rule.voteBlocks === 0) return "a vote, where the chain's authorities are fixed"
  const isMember = placeOf(now, subject) >= 0
  if (vote === "admit") {
    if (now.convicted.has(toHex(subject))) return "a vote for one who was convicted"
    if (now.members.length >= authoritiesMax) return `a vote for one more than ${authoritiesMax} authorities`
    return isMember ? "a vote for one who is an authority already" : undefined
  }
  if (!isMember) return "a vote against one who is no authority"
  return now.members.length === 1 ? "a vote against the last authority" : undefined
}

const without = ({ members, standing, convicted }: Authorities, subject: Address): Authorities => {
  const left = new Map(
    [...standing].filter(([voter, vote]) => voter !== toHex(subject) && !equal(vote.subject, subject))
  )
  return { members: members.filter((member) => !equal(member, subject)), standing: left, convicted }
}

/** After a header whose vote may be cast. More than half of the authorities admit or expel; evidence convicts at once. */
export const afterVote = (now: Authorities, { voteBlocks }: VoteRule, header: Header): Authorities => {
  const { authority, height, proposer } = header
  if (authority === undefined || authority.vote === "none") return now
  const { vote, subject } = authority
  if (vote === "convict") {
    const rest = without(now, subject)
    return { ...rest, convicted: new Set([...rest.convicted, toHex(subject)]) }
  }
  const voted = { ...now, standing: new Map(now.standing).set(toHex(proposer), { vote, subject, height }) }
  if (2 * votersFor(voted, { vote, subject }, { height, voteBlocks }).length <= now.members.length) return voted
  const rest = without(voted, subject)
  return vote === "expel" ? rest : { ...rest, members: inOrder([...rest.members, subject]) }
}

/** Remembers the authorities after each header with a vote that was asked for lately. */
export class Rolls {
  private readonly first: Authorities
  private readonly rule: VoteRule
  private readonly known = new Map<string, Authorities>()

  constructor(genesis: ReadonlyArray<Address>, rule: VoteRule) {
    this.first = { members: inOrder(genesis), standing: new Map(), convicted: new Set() }
    this.rule = rule
  }

  /** After the parent. */
  at({ parent, at }: Ancestry): Authorities {
    const votes: Array<Header> = []
    let height = lastVoteOf(parent)
    let now = this.first
    for (; height > 0; height = votes.at(-1)!.authority!.lastVote) {
      const header = height === parent.height ? parent : at(height)
      const known = this.known.get(header.id)
      if (known !== undefined) {
        now = known
        break
      }
      votes.push(header)
    }
    for (const header of votes.reverse()) {
      now = afterVote(now, this.rule, header)
      this.remember(header.id, now)
    }
    return now
  }

  private remember(id: string, after: Authorities): void {
    if (this.known.size >= rollsMax) this.known.delete(this.known.keys().next().value!)
    this.known.set(id, after)
  }
}

/** Headers with a vote whose outcome is remembered; the oldest goes first, and is counted again if asked for. */
const rollsMax = 1_024
