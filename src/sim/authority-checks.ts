/**
 * What must hold where authorities seal, said a second time and plainly: the whole list of authorities counted again from every
 * header, turns from the definition. Of the rules under test it shares hashes, signatures and the bytes of a header.
 */
import { Effect } from "effect"
import { assert } from "../assert.ts"
import type { AuthorityRule, ChainSpec } from "../block/genesis.ts"
import { decodeHeader, type Header, type VoteKind } from "../block/header.ts"
import { ancestryOf, parentId } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { type Address, addressOf } from "../crypto/address.ts"
import { taggedHash } from "../crypto/hash.ts"
import { verify } from "../crypto/signature.ts"
import type { Checker } from "./check.ts"
import { traitorAt } from "./keys.ts"
import type { SimNode } from "./node.ts"

/** Who the authorities are after a header, and what they have voted. Addresses are hex. */
interface Roll {
  readonly members: ReadonlyArray<string>
  readonly votes: ReadonlyArray<{
    readonly by: string
    readonly vote: VoteKind
    readonly subject: string
    readonly height: number
  }>
  readonly convicted: ReadonlyArray<string>
  /** Height of the last header with a vote. */
  readonly lastVote: number
}

export const firstRoll = ({ members }: AuthorityRule): Roll => ({
  members: members.map(toHex).sort(),
  votes: [],
  convicted: [],
  lastVote: 0
})

/** The roll without somebody, and without what was voted by or about it. */
const dropping = (roll: Roll, who: string): Roll => ({
  ...roll,
  members: roll.members.filter((member) => member !== who),
  votes: roll.votes.filter(({ by, subject }) => by !== who && subject !== who)
})

/** The roll after a header that follows it. */
export const nextRoll = (roll: Roll, { voteBlocks = 0 }: AuthorityRule, header: Header): Roll => {
  const { vote, subject: about } = header.authority!
  if (vote === "none") return roll
  const { height } = header
  const by = toHex(header.proposer)
  const subject = toHex(about)
  const marked = { ...roll, lastVote: height }
  if (vote === "convict") {
    const rest = dropping(marked, subject)
    return { ...rest, convicted: [...rest.convicted, subject] }
  }
  const votes = [...roll.votes.filter((one) => one.by !== by), { by, vote, subject, height }]
  const count = votes.filter(
    (one) =>
      one.vote === vote && one.subject === subject && one.height > height - voteBlocks && roll.members.includes(one.by)
  ).length
  const voted = { ...marked, votes }
  if (count <= roll.members.length / 2) return voted
  const rest = dropping(voted, subject)
  return vote === "admit" ? { ...rest, members: [...rest.members, subject].sort() } : rest
}

const sealTag = taggedHash("cairn/seal", 32)

const slotAt = ({ genesis, difficulty }: ChainSpec, time: number): number =>
  Math.floor((time - genesis.time) / difficulty.blockMs)

/** What is wrong with who sealed a header, and when; undefined: nothing. */
export const wrongSeal = (spec: ChainSpec, roll: Roll, header: Header, parent: Header): string | undefined => {
  const { blockMs } = spec.difficulty
  const { outOfTurnMs } = spec.authority!
  const { authority, time, proposer, hash } = header
  if (authority === undefined) return "no seal"
  const slot = slotAt(spec, time)
  if (slot <= slotAt(spec, parent.time)) return `slot ${slot}, its parent's or an earlier one`
  const { members } = roll
  const who = toHex(proposer)
  if (!members.includes(who)) return "a proposer that is no authority"
  const behind = members.indexOf(who) - (slot % members.length)
  const rank = behind < 0 ? behind + members.length : behind
  const delay = rank === 0 ? 0 : outOfTurnMs + Math.floor(((blockMs - outOfTurnMs) * (rank - 1)) / (members.length - 1))
  const into = time - spec.genesis.time - slot * blockMs
  if (into < delay) return `${into} ms into a slot where its proposer waits ${delay} ms`
  if (authority.weight !== (rank === 0 ? 2 : 1)) return `weight ${authority.weight} of a proposer of rank ${rank}`
  if (authority.lastVote !== roll.lastVote) return `a last vote at ${authority.lastVote}, not ${roll.lastVote}`
  if (toHex(addressOf(authority.publicKey)) !== who) return "a key that is not its proposer's"
  return verify(sealTag(hash), authority.signature, authority.publicKey) ? undefined : "a false seal"
}

/** Every block of a best branch is sealed as the rules have it, with as much weight as its seals give. */
export const makeTurns = ({ spec, genesis }: Rules): Checker => {
  const rule = spec.authority
  assert(rule !== undefined, "a chain of authorities has their rule")
  const after = new Map<string, { readonly roll: Roll; readonly weight: bigint }>([
    [genesis.header.id, { roll: firstRoll(rule), weight: 0n }]
  ])
  const unit = 1n << BigInt(spec.difficulty.rule === "fixed" ? spec.difficulty.bits : 0)
  return {
    moved: ({ name, store }) => {
      const fresh: Array<Header> = []
      let walk = store.tip().header
      for (; !after.has(walk.id); walk = store.find(parentId(walk))!.header) fresh.push(walk)
      for (const header of fresh.reverse()) {
        const { roll, weight } = after.get(walk.id)!
        const wrong = wrongSeal(spec, roll, header, walk)
        if (wrong !== undefined) return `${name} has taken block ${header.height} with ${wrong}`
        after.set(header.id, {
          roll: nextRoll(roll, rule, header),
          weight: weight + unit * BigInt(header.authority!.weight)
        })
        walk = header
      }
      const { weight } = after.get(walk.id)!
      const known = store.tip().work - store.bestAt(0)!.work
      return known === weight ? undefined : `${name} counts ${known} for a branch of weight ${weight}`
    }
  }
}

/** No honest authority ever gives its seal to two headers of one slot, whatever it has lived through. */
export const makeSealedOnce = ({ spec }: Rules): Checker => {
  const sealed = new Map<string, string>()
  return {
    sealed: ({ name }, { time, id }) => {
      const slot = slotAt(spec, time)
      const known = sealed.get(`${name} ${slot}`)
      sealed.set(`${name} ${slot}`, id)
      return known === undefined || known === id ? undefined : `${name} has sealed two headers of slot ${slot}`
    }
  }
}

/** Virtual milliseconds after which nobody's clock was wrong long enough ago: blocks of a clock ahead are in time by then. */
export const graceMs = 120_000
/** Slots that are looked at, and how many of them may pass without a block. */
const slotsLooked = 20
export const slotsLost = 1

/** With all honest authorities connected and in time, nearly every slot has a block, whether its leader is there or not. */
export const makeLiveness = ({ spec }: Rules): Checker => ({
  quiet: (nodes) =>
    Effect.gen(function* () {
      const heights = (): ReadonlyArray<number> => nodes.map(({ store }) => store.tip().header.height)
      yield* Effect.sleep(graceMs)
      const before = heights()
      yield* Effect.sleep(slotsLooked * spec.difficulty.blockMs)
      const grown = heights().map((height, i) => height - before[i]!)
      const slow = grown.findIndex((blocks) => blocks < slotsLooked - slotsLost || blocks > slotsLooked + slotsLost)
      return slow < 0
        ? undefined
        : `${nameOf(nodes, slow)} has ${grown[slow]} blocks more after ${slotsLooked} slots of calm`
    })
})

/** The authorities after a node's tip. */
export const membersOf = ({ consensus }: Rules, { store }: SimNode): ReadonlyArray<Address> =>
  consensus.author!.authorities(ancestryOf(store, store.tip().header)).members

/** Who has sealed two headers of one slot that a node has, or is proven there to have done so. */
const caughtAt = ({ spec }: Rules, { store }: SimNode): ReadonlyMap<string, string> => {
  const caught = new Map(store.evidence.all().map(({ authority, slot }) => [toHex(authority), `slot ${slot}`]))
  const seen = new Map<string, string>()
  for (const { header: bytes } of store.db.query<{ header: Uint8Array }, []>("SELECT header FROM headers").all()) {
    const { proposer, time, id, height } = decodeHeader(bytes)!
    if (height === 0) continue
    const [who, slot] = [toHex(proposer), `slot ${slotAt(spec, time)}`]
    if ((seen.get(`${who} ${slot}`) ?? id) !== id) caught.set(who, slot)
    seen.set(`${who} ${slot}`, id)
  }
  return caught
}

/** Virtual milliseconds until an authority that is caught is out: everyone has a turn, and each takes one block to convict. */
const convictedMs = ({ blockMs }: ChainSpec["difficulty"]): number => graceMs + 40 * blockMs

/**
 * Whoever is caught sealing twice is no authority within a bound, on every node: both headers at one node are enough, and so is
 * proof at one node. Nobody honest is ever accused.
 */
export const makeConvictions = (rules: Rules): Checker => {
  const innocent = (node: SimNode): string | undefined => {
    const accused = node.store.evidence.all().find(({ authority }) => traitorAt(authority as Address) === undefined)
    return accused && `${node.name} has proof against an honest authority, ${toHex(accused.authority)}`
  }
  const escaped = (nodes: ReadonlyArray<SimNode>): string | undefined => {
    const caught = new Map(nodes.flatMap((node) => [...caughtAt(rules, node)]))
    for (const node of nodes)
      for (const who of membersOf(rules, node).map(toHex))
        if (caught.has(who)) return `${node.name} has ${who} for an authority, caught in ${caught.get(who)}`
    return undefined
  }
  return {
    looked: innocent,
    quiet: (nodes) =>
      Effect.gen(function* () {
        for (
          let waited = 0;
          waited < convictedMs(rules.spec.difficulty) && escaped(nodes) !== undefined;
          waited += 1_000
        )
          yield* Effect.sleep(1_000)
        return nodes.map(innocent).find((wrong) => wrong !== undefined) ?? escaped(nodes)
      })
  }
}

const nameOf = (nodes: ReadonlyArray<SimNode>, i: number): string => nodes[i]!.name
