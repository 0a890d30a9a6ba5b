/**
 * Who leads, who has led and who will: the rota as it looks from the tip of a branch at a time. All of it follows from
 * headers and the time, so nodes with one tip and one clock see the same.
 */
import type { Header } from "../block/header.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { leaderBlocksMax, leaderSlotsMax } from "../limits.ts"
import { lastVoteOf, votersFor } from "./authorities.ts"
import type { Ancestry, Authorities, AuthorRules, Standing } from "./consensus.ts"
import { inTurnWeight, leaderOf, slotOf, slotStart, turnIn } from "./rota.ts"

/** What an authority has done in the window of the last headers. */
export interface MemberView {
  readonly address: Address
  /** In the order of turns: it leads the slots that leave this when divided by the number of members. */
  readonly place: number
  /** Its newest block in the window. */
  readonly lastSealed: { readonly height: number; readonly slot: number; readonly time: number } | undefined
  readonly inTurn: number
  readonly outOfTurn: number
  /** Slots that it led and that are over without a block of its own on this branch. */
  readonly missed: number
}

/** A slot and who leads it. */
export interface SlotView {
  readonly slot: number
  /** Milliseconds. */
  readonly start: number
  readonly leader: Address
}

/** A slot that is over, or the present one. */
export interface PastSlotView extends SlotView {
  /** The branch's block of the slot. */
  readonly block:
    | { readonly sealer: Address; readonly height: number; readonly hash: string; readonly weight: number }
    | undefined
}

/** From when somebody may seal in the present slot, and with what weight. */
export interface TurnView {
  readonly address: Address
  readonly from: number
  readonly weight: number
}

export interface VoteView extends Standing {
  readonly voter: Address
  /** The first height whose header does not count it any more. */
  readonly lapsesAt: number
}

/** Votes of one kind about one address. */
export interface TallyView extends Pick<Standing, "vote" | "subject"> {
  readonly votes: number
  /** So many carry it. */
  readonly needed: number
}

export interface LeaderView {
  readonly tip: Header
  readonly now: number
  readonly members: ReadonlyArray<MemberView>
  readonly convicted: ReadonlyArray<Address>
  /** What members' counts are of: blocks from this height up, slots from this one up to the present, which is not counted. */
  readonly window: { readonly blocks: number; readonly fromHeight: number; readonly fromSlot: number }
  readonly present: SlotView & {
    readonly end: number
    /** No block of the branch stands in it, or after it: it may still be sealed. */
    readonly open: boolean
    /** The leader first. */
    readonly turns: ReadonlyArray<TurnView>
  }
  /** The last slots up to the present one, oldest first. Slots before the first block are none. */
  readonly recent: ReadonlyArray<PastSlotView>
  /** As it will be if no vote changes the list meanwhile. */
  readonly next: ReadonlyArray<SlotView>
  /** Those that count in the next header. */
  readonly votes: ReadonlyArray<VoteView>
  readonly tallies: ReadonlyArray<TallyView>
}

/** Who led a slot that is over, and the branch's block of it. Walks down from the tip, so it is for the last slots. */
export const slotOutcome = (
  { rota, authorities }: AuthorRules,
  { parent, at }: Ancestry,
  slot: number
): { readonly leader: Address; readonly block: Header | undefined } => {
  let header = parent
  while (header.height > 0 && slotOf(rota, header.time) > slot) header = at(header.height - 1)
  const isBlock = header.height > 0 && slotOf(rota, header.time) === slot
  const before = isBlock ? at(header.height - 1) : header
  const { members } = authorities({ parent: before, at })
  return { leader: leaderOf(members, slot), block: isBlock ? header : undefined }
}

interface Count {
  lastSealed: MemberView["lastSealed"]
  inTurn: number
  outOfTurn: number
  missed: number
}

/** How many of the slots from one to another leave a place when divided by a number: those that the place leads. */
const ledBetween = (place: number, count: number, from: number, to: number): number =>
  Math.floor((to - place) / count) - Math.floor((from - 1 - place) / count)

/** Walks over the last headers and counts. */
class Window {
  readonly counts = new Map<string, Count>()
  readonly recent: Array<PastSlotView> = []
  /** The first slot that is counted. */
  from = Number.POSITIVE_INFINITY
  private readonly author: AuthorRules
  private readonly present: number

  constructor(author: AuthorRules, present: number) {
    this.author = author
    this.present = present
  }

  private of(address: Address): Count {
    const key = toHex(address)
    const count = this.counts.get(key) ?? { lastSealed: undefined, inTurn: 0, outOfTurn: 0, missed: 0 }
    this.counts.set(key, count)
    return count
  }

  private keep(members: ReadonlyArray<Address>, slot: number, block: PastSlotView["block"]): void {
    if (slot <= this.present - leaderSlotsMax || slot > this.present) return
    this.recent.push({ slot, start: slotStart(this.author.rota, slot), leader: leaderOf(members, slot), block })
  }

  /** Slots that are over and that nobody sealed; of a gap of years no more is done than of one of some slots. */
  skipped({ members }: Authorities, from: number, before: number): void {
    const to = Math.min(before, this.present) - 1
    if (from > to) return
    this.from = Math.min(this.from, from)
    for (const [place, member] of members.entries())
      this.of(member).missed += ledBetween(place, members.length, from, to)
    for (let slot = Math.max(from, this.present - leaderSlotsMax + 1); slot <= to; slot++)
      this.keep(members, slot, undefined)
  }

  /** A block of a slot, judged by the list before it. */
  sealed({ members }: Authorities, header: Header): void {
    const slot = slotOf(this.author.rota, header.time)
    this.from = Math.min(this.from, slot)
    const weight = header.authority?.weight ?? 0
    const isInTurn = weight === inTurnWeight
    const count = this.of(header.proposer)
    count.lastSealed = { height: header.height, slot, time: header.time }
    count[isInTurn ? "inTurn" : "outOfTurn"]++
    if (!isInTurn && slot < this.present) this.of(leaderOf(members, slot)).missed++
    this.keep(members, slot, { sealer: header.proposer, height: header.height, hash: header.id, weight })
  }

  /** The present slot, in which nobody has sealed yet. */
  unsealed({ members }: Authorities, slot: number): void {
    this.keep(members, slot, undefined)
  }
}

/** The headers of the window and the one before them, oldest first. */
const headersOf = ({ parent: tip, at }: Ancestry): ReadonlyArray<Header> => {
  const base = Math.max(0, tip.height - leaderBlocksMax)
  return Array.from({ length: tip.height - base }, (_, i) => at(base + i)).concat(tip)
}

/** Counts the window up to the slot before the present one. */
const countWindow = (author: AuthorRules, ancestry: Ancestry, present: number): Window => {
  const { rota } = author
  const window = new Window(author, present)
  const headers = headersOf(ancestry)
  const after = author.authorities(ancestry)
  let now = author.authorities({ parent: headers[0]!, at: ancestry.at })
  for (const [i, header] of headers.entries()) {
    const before = headers[i - 1]
    if (before === undefined) continue
    // Nobody was late before the first block: a genesis may be of any time.
    if (before.height > 0) window.skipped(now, slotOf(rota, before.time) + 1, slotOf(rota, header.time))
    window.sealed(now, header)
    if (lastVoteOf(header) !== lastVoteOf(before)) now = author.authorities({ parent: header, at: ancestry.at })
  }
  const last = slotOf(rota, ancestry.parent.time)
  if (ancestry.parent.height > 0) window.skipped(after, last + 1, present)
  if (last < present) window.unsealed(after, present)
  return window
}

const votesOf = (now: Authorities, voteBlocks: number, height: number): Pick<LeaderView, "votes" | "tallies"> => {
  const counted = { height, voteBlocks }
  const votes = now.members.flatMap((voter) => {
    const standing = now.standing.get(toHex(voter))
    const counts = standing !== undefined && votersFor(now, standing, counted).includes(toHex(voter))
    return counts ? [{ ...standing, voter, lapsesAt: standing.height + voteBlocks }] : []
  })
  const needed = Math.floor(now.members.length / 2) + 1
  const tallies: Array<TallyView> = []
  for (const { vote, subject } of votes) {
    if (tallies.some((one) => one.vote === vote && equal(one.subject, subject))) continue
    tallies.push({ vote, subject, needed, votes: votersFor(now, { vote, subject }, counted).length })
  }
  return { votes, tallies }
}

/** The rota from a tip, the parent of the ancestry, at a time, with so many of the slots to come. */
export const leaderView = (
  author: AuthorRules,
  ancestry: Ancestry,
  { now, ahead }: { readonly now: number; readonly ahead: number }
): LeaderView => {
  const { rota } = author
  const { parent: tip } = ancestry
  const authorities = author.authorities(ancestry)
  const { members } = authorities
  const present = Math.max(0, slotOf(rota, now))
  const window = countWindow(author, ancestry, present)
  const slotAt = (slot: number): SlotView => ({ slot, start: slotStart(rota, slot), leader: leaderOf(members, slot) })
  const turns = members.map((_, rank) => {
    const place = (present + rank) % members.length
    const { from, weight } = turnIn(rota, members.length, place, present)
    return { address: members[place]!, from, weight }
  })
  const blocks = Math.min(tip.height, leaderBlocksMax)
  return {
    tip,
    now,
    members: members.map((address, place) => ({
      ...{ address, place, lastSealed: undefined, inTurn: 0, outOfTurn: 0, missed: 0 },
      ...window.counts.get(toHex(address))
    })),
    convicted: [...authorities.convicted].sort().map((hex) => fromHex(hex)! as Uint8Array as Address),
    window: { blocks, fromHeight: tip.height - blocks + 1, fromSlot: Math.min(window.from, present) },
    present: {
      ...slotAt(present),
      end: slotStart(rota, present + 1),
      open: slotOf(rota, tip.time) < present,
      turns
    },
    recent: window.recent,
    next: Array.from({ length: Math.min(ahead, leaderSlotsMax) }, (_, i) => slotAt(present + 1 + i)),
    ...votesOf(authorities, author.voteBlocks, tip.height + 1)
  }
}
