/** The vectors of checkpoint votes: signed votes, what two of them prove, what is refused, and when a link justifies. */
import type { BlockHash } from "../../src/block/header.ts"
import { concat, toHex, utf8 } from "../../src/codec/bytes.ts"
import {
  type Checkpoint,
  type CheckpointVote,
  decodeVote,
  encodeOffence,
  isVoteSigned,
  offenceOf,
  signVote,
  voteHash
} from "../../src/consensus/checkpoint.ts"
import { isSupermajority } from "../../src/consensus/finality.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"

const genesis = sha256(utf8("the genesis of a chain"))
const point = (name: string, height: number): Checkpoint => {
  const hash = sha256(utf8(name)) as Uint8Array as BlockHash
  return { height, hash, id: toHex(hash) }
}
const key = accountKey(devMnemonic, 0)
const [start, one, two, fork, three] = [
  { height: 0, hash: genesis as Uint8Array as BlockHash, id: toHex(genesis) },
  point("checkpoint 10", 10),
  point("checkpoint 20", 20),
  point("another checkpoint 20", 20),
  point("checkpoint 30", 30)
] as const

/** A vote, which another implementation makes from the same key. */
export const sampleVote: CheckpointVote = signVote(genesis, { source: start, target: one }, key)

const shown = ({ height, id }: Checkpoint) => ({ height, hash: id })
const voteOf = (source: Checkpoint, target: Checkpoint): CheckpointVote => signVote(genesis, { source, target }, key)

const refusals = () => {
  const { bytes } = sampleVote
  const turned = concat(bytes.subarray(40, 80), bytes.subarray(0, 40), bytes.subarray(80))
  const forged = bytes.slice()
  forged[176]! ^= 1
  const rows = {
    "cut off": bytes.subarray(1),
    "a byte more": concat(bytes, new Uint8Array(1)),
    "a target below its source": turned,
    "another signature": forged
  }
  return Object.entries(rows).map(([name, bad]) => {
    const read = decodeVote(bad)
    if (read !== undefined && isVoteSigned(genesis, read)) throw new Error(`a vote: ${name}`)
    return { name, vote: toHex(bad) }
  })
}

export const finality = () => ({
  about: "Finality, docs/protocol.md. The key is the first of address.json.",
  genesis: toHex(genesis),
  votes: [sampleVote, voteOf(one, two), voteOf(start, three)].map((vote) => ({
    source: shown(vote.source),
    target: shown(vote.target),
    signed: toHex(voteHash(genesis, vote)),
    vote: toHex(vote.bytes)
  })),
  refused: refusals(),
  offences: [
    { name: "one target height", ...pair(voteOf(one, two), voteOf(one, fork)) },
    { name: "one target of two sources", ...pair(voteOf(one, two), voteOf(start, two)) },
    { name: "one around the other", ...pair(voteOf(start, three), voteOf(one, two)) },
    { name: "none: one after the other", ...pair(voteOf(start, one), voteOf(one, two)) },
    { name: "none: a later target of one source", ...pair(voteOf(one, two), voteOf(one, three)) },
    { name: "none: the same vote", ...pair(voteOf(one, two), voteOf(one, two)) }
  ],
  justified: [3, 4, 5, 6, 7].map((count) => ({ authorities: count, votes: fewest(count) }))
})

const pair = (a: CheckpointVote, b: CheckpointVote) => {
  const offence = offenceOf(a, b)
  return {
    votes: [toHex(a.bytes), toHex(b.bytes)],
    offence: offence === undefined ? null : toHex(encodeOffence(offence))
  }
}

/** The fewest votes that justify. */
const fewest = (count: number): number => {
  const all = Array.from({ length: count }, (_, i) => ({ voter: String(i) }))
  const electorate = new Set(all.map(({ voter }) => voter))
  return all.findIndex((_, i) => isSupermajority(all.slice(0, i + 1), [electorate])) + 1
}
