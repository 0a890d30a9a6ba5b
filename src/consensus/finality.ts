/**
 * Which checkpoints are justified and final: a machine over the votes of authorities, in the manner of Casper FFG. A link
 * from a justified checkpoint that more than two thirds vote for justifies its target; a link to the very next checkpoint
 * makes its source final. It holds no chain: what it needs of one it asks.
 *
 * The authorities can change by votes in blocks. So a link is counted in every list of them that was in force at a
 * checkpoint from the last final one up to its target, and needs more than two thirds of each. Two final blocks that
 * contradict each other have then one list in common, a third of which has signed what no honest authority signs.
 */
import { finalLinksMax, justifiedMax, votesPerAuthorityMax } from "../limits.ts"
import {
  type Checkpoint,
  type CheckpointVote,
  checkpointOf,
  isSameLink,
  type Link,
  offenceOf,
  type VoteOffence
} from "./checkpoint.ts"

/** Hex addresses of the authorities after a checkpoint. */
export type Electorate = ReadonlySet<string>

/** What is known of the chain's checkpoints. */
export interface Checkpoints {
  /** Is its header known, at this height, and not known to be invalid? */
  readonly isKnown: (point: Checkpoint) => boolean
  /** Does a known one stand on another, or is it the same? */
  readonly descends: (point: Checkpoint, from: Checkpoint) => boolean
  /** The different lists of authorities after the checkpoints from one up to another that stands on it. */
  readonly electorates: (from: Checkpoint, to: Checkpoint) => ReadonlyArray<Electorate>
  /** Can somebody's vote for a target count, as far as is known? Nobody else's are held. */
  readonly mayVote: (voter: string, final: Checkpoint, target: Checkpoint) => boolean
}

/** A link with votes of more than two thirds: its target is justified, and its source final if the target is the next. */
export interface Certificate extends Link {
  readonly votes: ReadonlyArray<CheckpointVote>
}

/** What came of votes. */
export interface Heard {
  /** What others should hear as well. */
  readonly news: ReadonlyArray<CheckpointVote>
  readonly offences: ReadonlyArray<VoteOffence>
}

const keyOf = ({ source, target }: Link): string => `${source.id}${target.id}`

/** Are these more than two thirds of each list? */
export const isSupermajority = (
  votes: ReadonlyArray<Pick<CheckpointVote, "voter">>,
  electorates: ReadonlyArray<Electorate>
): boolean => {
  const voters = new Set(votes.map(({ voter }) => voter))
  return electorates.every((electorate) => 3 * electorate.intersection(voters).size > 2 * electorate.size)
}

export class Finality {
  private readonly points: Checkpoints
  private readonly every: number
  private readonly genesis: Checkpoint
  private last: Checkpoint
  private lastBy: Certificate | undefined
  /** Links to justified checkpoints that stand on the final one, by target. */
  private readonly justifying = new Map<string, Certificate>()
  /** Links that made a checkpoint final while the list of authorities changed: whoever comes later follows them. */
  private changes: Array<Certificate> = []
  private readonly votes = new Map<string, ReadonlyArray<CheckpointVote>>()
  private readonly latest = new Map<string, CheckpointVote>()
  private readonly guilt = new Map<string, VoteOffence>()
  private against: Certificate | undefined

  /** `every`: blocks from a checkpoint to the next. The genesis is final. */
  constructor(points: Checkpoints, { every, genesis }: { readonly every: number; readonly genesis: Checkpoint }) {
    this.points = points
    this.every = every
    this.genesis = checkpointOf(genesis)
    this.last = this.genesis
  }

  /** The highest final checkpoint. */
  get final(): Checkpoint {
    return this.last
  }

  /** The highest justified checkpoint; of one height, the first. */
  get justified(): Checkpoint {
    let best = this.last
    for (const { target } of this.justifying.values()) if (target.height > best.height) best = target
    return best
  }

  /** Who has signed what no honest authority signs, once each. */
  get offences(): ReadonlyArray<VoteOffence> {
    return [...this.guilt.values()]
  }

  /** What would make a block final that contradicts ours: a third or more of the authorities have broken the rules. */
  get conflict(): Certificate | undefined {
    return this.against
  }

  /** Links that prove what is final and justified, in the order in which another can follow them. */
  get certificates(): ReadonlyArray<Certificate> {
    const all = [...this.changes, ...(this.lastBy === undefined ? [] : [this.lastBy]), ...this.justifying.values()]
    const once = new Map(all.map((certificate) => [keyOf(certificate), certificate]))
    return [...once.values()].sort((a, b) => a.target.height - b.target.height)
  }

  /** Votes that may justify something yet, and those for blocks not known here, of each authority by target. */
  get held(): ReadonlyArray<CheckpointVote> {
    return [...this.votes.values()].flat()
  }

  /** The newest vote heard of somebody, counted or not. */
  newest(voter: string): CheckpointVote | undefined {
    return this.latest.get(voter)
  }

  /** Can a vote be one of this chain, and of somebody whose votes are held? Its signature is not looked at. */
  isFit({ source, target, voter }: CheckpointVote): boolean {
    const isPlaced = source.height % this.every === 0 && target.height % this.every === 0
    return isPlaced && this.points.mayVote(voter, this.last, target)
  }

  /** Is it held, or in a certificate? */
  knows(vote: CheckpointVote): boolean {
    return this.knownOf(vote.voter).some((known) => isSameLink(known, vote))
  }

  /** Fit votes whose signatures are right. All of them are counted together: a certificate that comes whole is one. */
  hear(votes: ReadonlyArray<CheckpointVote>): Heard {
    const fresh: Array<CheckpointVote> = []
    const offences: Array<VoteOffence> = []
    for (const vote of votes) {
      const known = this.knownOf(vote.voter)
      if (known.some((other) => isSameLink(other, vote))) continue
      fresh.push(vote)
      const offence = this.guilt.has(vote.voter) ? undefined : firstOffence(vote, known)
      if (offence !== undefined) {
        this.guilt.set(vote.voter, offence)
        offences.push(offence)
      }
      this.votes.set(vote.voter, [...(this.votes.get(vote.voter) ?? []), vote])
      if (vote.target.height > (this.latest.get(vote.voter)?.target.height ?? 0)) this.latest.set(vote.voter, vote)
    }
    if (fresh.length === 0) return { news: [], offences }
    this.look()
    const proving = new Set(offences.flatMap(({ first, second }) => [first, second]))
    return { news: fresh.filter((vote) => proving.has(vote) || this.knows(vote)), offences }
  }

  /** Guilt that was proven before, as from the disk. */
  remember(offence: VoteOffence): void {
    this.guilt.set(offence.voter, offence)
  }

  /** Counts anew: blocks may be known that were not. */
  look(): void {
    while (this.links().some((link) => this.count(link)));
    this.prune()
  }

  /** What an honest authority votes for when this checkpoint is the newest of its best branch; undefined: not for it. */
  choice(target: Checkpoint): Link | undefined {
    if (!this.points.isKnown(target) || !this.points.descends(target, this.last)) return undefined
    let source = this.last
    for (const { target: point } of this.justifying.values())
      if (point.height > source.height && this.points.descends(target, point)) source = point
    return source.height < target.height ? { source, target: checkpointOf(target) } : undefined
  }

  private isJustified({ id }: Checkpoint): boolean {
    return id === this.last.id || this.justifying.has(id)
  }

  /** Everything known of somebody that a new vote may contradict. */
  private knownOf(voter: string): ReadonlyArray<CheckpointVote> {
    const proven = [...this.justifying.values(), ...(this.lastBy === undefined ? [] : [this.lastBy])]
    const used = proven.flatMap(({ votes }) => votes.filter((vote) => vote.voter === voter))
    return [...(this.votes.get(voter) ?? []), ...used]
  }

  private links(): ReadonlyArray<Certificate> {
    const byLink = Map.groupBy(this.held, keyOf)
    return [...byLink.values()].map((votes) => ({ source: votes[0]!.source, target: votes[0]!.target, votes }))
  }

  /** True: something is justified or final that was not. */
  private count(link: Certificate): boolean {
    const { points, last } = this
    const { source, target, votes } = link
    if (!points.isKnown(source) || !points.isKnown(target) || !points.descends(target, source)) return false
    const isNext = target.height - source.height === this.every
    const finalises = isNext && source.height > last.height
    if (!finalises && this.justifying.has(target.id)) return false
    if (!points.descends(source, last)) {
      if (isNext && !points.descends(last, source)) this.contradict(link)
      return false
    }
    // Among so many who say that the source is justified is an honest one who has seen why, if we have not.
    if (!this.isJustified(source) && !isNext) return false
    if (!isSupermajority(votes, points.electorates(last, target))) return false
    if (!this.justifying.has(target.id)) this.justifying.set(target.id, link)
    if (finalises) this.finalise(link)
    return true
  }

  private finalise(link: Certificate): void {
    if (this.points.electorates(this.last, link.target).length > 1) this.changes.push(link)
    this.last = link.source
    this.lastBy = link
  }

  /** A link between checkpoints of another branch than the final one. */
  private contradict(link: Certificate): void {
    const finals = [this.genesis, ...this.changes.map(({ source }) => source)]
    const shared = finals.findLast((point) => this.points.descends(link.source, point))!
    if (isSupermajority(link.votes, this.points.electorates(shared, link.target))) this.against ??= link
  }

  /** Of each authority the votes for the highest targets, one a height; nothing that the final checkpoint has settled. */
  private prune(): void {
    const { last, points } = this
    for (const [id, { target }] of this.justifying)
      if (target.height <= last.height || !points.descends(target, last)) this.justifying.delete(id)
    const highest = [...this.justifying.values()].sort((a, b) => b.target.height - a.target.height)
    for (const { target } of highest.slice(justifiedMax)) this.justifying.delete(target.id)
    this.changes = this.changes.slice(-finalLinksMax)
    for (const [voter, { target }] of this.latest) if (!points.mayVote(voter, last, target)) this.latest.delete(voter)
    for (const [voter, votes] of this.votes) {
      const heights = new Map<number, CheckpointVote>()
      for (const vote of votes)
        if (vote.target.height > last.height && !heights.has(vote.target.height)) heights.set(vote.target.height, vote)
      const left = [...heights.values()].sort((a, b) => a.target.height - b.target.height).slice(-votesPerAuthorityMax)
      const newest = left.at(-1)
      if (newest === undefined || !points.mayVote(voter, last, newest.target)) this.votes.delete(voter)
      else this.votes.set(voter, left)
    }
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const most = Math.max(0, ...[...this.votes.values()].map(({ length }) => length))
    return [
      { of: "votes-of-one", used: most, max: votesPerAuthorityMax },
      { of: "justified", used: this.justifying.size, max: justifiedMax },
      { of: "final-links", used: this.changes.length, max: finalLinksMax }
    ]
  }
}

const firstOffence = (vote: CheckpointVote, known: ReadonlyArray<CheckpointVote>): VoteOffence | undefined => {
  for (const other of known) {
    const offence = offenceOf(vote, other)
    if (offence !== undefined) return offence
  }
  return undefined
}
