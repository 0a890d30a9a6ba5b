/**
 * What must hold where authorities vote on checkpoints, said a second time and plainly: from what keys have signed and from what
 * nodes hold final, and not from how they count.
 */
import { Effect } from "effect"
import type { AuthorityRule } from "../block/genesis.ts"
import { ancestryOf } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import type { Checkpoint, Link } from "../consensus/checkpoint.ts"
import type { Address } from "../crypto/address.ts"
import { loadAnchors } from "../store/finality.ts"
import { graceMs } from "./authority-checks.ts"
import type { Checker } from "./check.ts"
import { traitorAt } from "./keys.ts"
import type { SimNode } from "./node.ts"

type Finality = NonNullable<AuthorityRule["finality"]>

const surrounds = (outer: Link, inner: Link): boolean =>
  outer.source.height < inner.source.height && outer.target.height > inner.target.height

/** No honest authority ever signs two votes for one height, nor one around another, whatever it has lived through. */
export const makeVotedOnce = (): Checker => {
  const signed = new Map<string, Array<Link>>()
  return {
    voted: ({ name }, link) => {
      const before = signed.get(name) ?? []
      signed.set(name, [...before, link])
      const other = before.find(
        (one) => one.target.height === link.target.height || surrounds(one, link) || surrounds(link, one)
      )
      return other && `${name} has voted for ${linkText(other)}, and for ${linkText(link)}`
    }
  }
}

const linkText = ({ source, target }: Link): string =>
  `${source.height} to ${target.height} (${target.id.slice(0, 12)})`

/** Who of the authorities after a block could have voted on a link: those that have signed it, and those that lie. */
const mayHaveVoted = (members: ReadonlyArray<Address>, signers: ReadonlySet<string>): number =>
  members.filter((member) => traitorAt(member) !== undefined || signers.has(toHex(member))).length

/**
 * Over all nodes and all time there is one final block of a height. A node that has it on its best branch keeps it, through every
 * crash, and holds none final that is lower. More than two thirds can have voted on what makes a block final. Nobody honest is named
 * for votes that exclude each other, and no node sees a second history made final.
 */
export const makeFinalBlocks = (rules: Rules, { checkpointBlocks }: Finality): Checker => {
  const genesis = rules.genesis.header
  const finals = new Map<number, string>([[0, genesis.id]])
  const reached = new Map<string, Checkpoint>()
  const based = new Map<string, Checkpoint>()
  /** Keys that have signed links, by source and target. */
  const signers = new Map<string, Set<string>>()

  /** Every checkpoint below a final one is final as well. */
  const contradiction = ({ name, store }: SimNode, final: Checkpoint): string | undefined => {
    const row = store.find(final.id)
    if (row === undefined) return `${name} does not know block ${final.height}, which it holds final`
    const { at } = ancestryOf(store, row.header)
    for (let { height } = final; height > 0; height -= checkpointBlocks) {
      const { id } = at(height)
      const known = finals.get(height)
      if (known === id) return undefined
      if (known !== undefined) return `${name} holds ${id} final at height ${height}, where ${known} is final`
      finals.set(height, id)
    }
    return undefined
  }

  const unvoted = ({ name, store }: SimNode, final: Checkpoint): string | undefined => {
    if (final.height === 0) return undefined
    const links = [...signers].filter(([link]) => link.startsWith(final.id))
    const { author } = rules.consensus
    const { members } = author!.authorities(ancestryOf(store, store.find(final.id)!.header))
    const votes = Math.max(0, ...links.map(([, keys]) => mayHaveVoted(members, keys)))
    return 3 * votes > 2 * members.length
      ? undefined
      : `${name} holds block ${final.height} final on ${votes} votes of ${members.length} authorities`
  }

  const undone = ({ name, store }: SimNode, final: Checkpoint): string | undefined => {
    const before = reached.get(name)
    if (before !== undefined && before.height > final.height)
      return `${name} held block ${before.height} final, and now ${final.height}`
    const kept = based.get(name)
    if (kept !== undefined && store.bestAt(kept.height)?.header.id !== kept.id)
      return `${name} has left block ${kept.height}, which is final`
    if (store.bestAt(final.height)?.header.id === final.id) based.set(name, final)
    return undefined
  }

  const wrong = (node: SimNode): string | undefined => {
    const { final } = loadAnchors(node.store.db) ?? { final: genesis }
    const isNew = reached.get(node.name)?.id !== final.id
    const found = undone(node, final) ?? (isNew ? (contradiction(node, final) ?? unvoted(node, final)) : undefined)
    reached.set(node.name, final)
    return found
  }

  return {
    voted: ({ key }, { source, target }) => {
      if (target.height - source.height !== checkpointBlocks) return undefined
      const link = `${source.id} ${target.id}`
      signers.set(link, (signers.get(link) ?? new Set()).add(toHex(key.address)))
      return undefined
    },
    moved: wrong,
    looked: (node) => wrong(node) ?? accused(node)
  }
}

/** Those whom a node names for two votes that exclude each other. */
export const namedAt = ({ store }: Pick<SimNode, "store">): ReadonlyArray<Address> =>
  store.db
    .query<{ voter: Uint8Array }, []>("SELECT voter FROM vote_offences")
    .all()
    .map(({ voter }) => voter as Address)

const accused = (node: SimNode): string | undefined => {
  const honest = namedAt(node).find((voter) => traitorAt(voter) === undefined)
  return honest && `${node.name} names ${toHex(honest)}, which is honest, for two votes`
}

/** Checkpoints after which something new is final, when all is well. */
const checkpointsMax = 4
/** How many of a chain's slots may pass without a block, where work is asked for beside. */
const slotsABlock = 3

/**
 * With more than two thirds of the authorities here, honest and in time, blocks become final again: above the highest that any of
 * them has voted for, a few checkpoints later. Where fewer are here nothing is asked.
 */
export const makeFinalityResumes = (rules: Rules, { checkpointBlocks }: Finality): Checker => {
  let highest = 0
  const { blockMs } = rules.spec.difficulty

  const finalOf = ({ store }: SimNode): Checkpoint => loadAnchors(store.db)?.final ?? rules.genesis.header

  /** Are there enough of those who vote in every list of authorities since the final block? */
  const isEnough = (nodes: ReadonlyArray<SimNode>): boolean => {
    const here = new Set(nodes.filter(({ pace }) => pace.hashesPerSecond > 0).map(({ key }) => toHex(key.address)))
    return nodes.every(({ store }) => {
      const from = loadAnchors(store.db)?.final.height ?? 0
      const tip = store.tip().header
      const { at } = ancestryOf(store, tip)
      for (let height = from; height <= tip.height; height++) {
        const { members } = rules.consensus.author!.authorities(ancestryOf(store, at(height)))
        if (3 * members.filter((member) => here.has(toHex(member))).length <= 2 * members.length) return false
      }
      return true
    })
  }

  return {
    voted: (_, { target }) => void (highest = Math.max(highest, target.height)),
    quiet: (nodes) =>
      Effect.gen(function* () {
        if (!isEnough(nodes)) return undefined
        const heights = nodes.map(({ store }) => store.tip().header.height)
        const goal = Math.max(highest, ...heights)
        const blocks = goal - Math.min(...heights) + checkpointsMax * checkpointBlocks
        const isBehind = (node: SimNode): boolean => finalOf(node).height <= goal
        const endMs = graceMs + slotsABlock * blocks * blockMs
        for (let waited = 0; waited < endMs && nodes.some(isBehind); waited += blockMs) yield* Effect.sleep(blockMs)
        const behind = nodes.find(isBehind)
        return behind === undefined || !isEnough(nodes)
          ? undefined
          : `${behind.name} holds nothing final above height ${goal} after ${blocks} blocks of calm, but ${finalOf(behind).height}`
      })
  }
}
