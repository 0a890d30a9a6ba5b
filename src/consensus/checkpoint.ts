/**
 * Checkpoints and the votes of authorities on them: one link from a justified checkpoint to a later one, signed. What two
 * votes of one key prove against it. See docs/protocol.md, "Finality", and Casper FFG (arXiv 1710.09437).
 */
import type { BlockHash } from "../block/header.ts"
import { concat, equal, readU64, toHex, writeU64 } from "../codec/bytes.ts"
import { addressOf } from "../crypto/address.ts"
import { taggedHash } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign, verify } from "../crypto/signature.ts"

/** A block at a height that is a multiple of the spec's `checkpointBlocks`. */
export interface Checkpoint {
  readonly height: number
  readonly hash: BlockHash
  /** Hex of the hash. */
  readonly id: string
}

/** What a vote says: the target follows from the source, which is justified. */
export interface Link {
  readonly source: Checkpoint
  readonly target: Checkpoint
}

export interface CheckpointVote extends Link {
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
  /** Hex of the address of the key. */
  readonly voter: string
  readonly bytes: Uint8Array
}

/** Two votes of one key that no honest authority gives: of one target height, or one around the other. */
export interface VoteOffence {
  readonly voter: string
  /** The lower target first, then the lower source, then the lower bytes: one form for one offence. */
  readonly first: CheckpointVote
  readonly second: CheckpointVote
}

export const checkpointOf = ({ height, hash, id }: Checkpoint): Checkpoint => ({ height, hash, id })

const linkBytes = 80
/** Bytes of any vote: the link, the key, the signature. */
export const voteBytes = linkBytes + 33 + 64

const encodeLink = ({ source, target }: Link): Uint8Array => {
  const out = new Uint8Array(linkBytes)
  writeU64(out, 0, source.height)
  out.set(source.hash, 8)
  writeU64(out, 40, target.height)
  out.set(target.hash, 48)
  return out
}

const tagged = taggedHash("cairn/vote", 32 + linkBytes)

/** What an authority signs, on the chain of a genesis. A hash of its own, so that a vote can be nothing else. */
export const voteHash = (genesis: Uint8Array, link: Link): Uint8Array => tagged(concat(genesis, encodeLink(link)))

/** The vote with a signature in its place. */
export const makeVote = (
  link: Link,
  { publicKey, signature }: Pick<CheckpointVote, "publicKey" | "signature">
): CheckpointVote => ({
  source: checkpointOf(link.source),
  target: checkpointOf(link.target),
  publicKey,
  signature,
  voter: toHex(addressOf(publicKey)),
  bytes: concat(encodeLink(link), publicKey, signature)
})

/** The vote of a key. */
export const signVote = (
  genesis: Uint8Array,
  link: Link,
  { publicKey, secret }: Pick<Keypair, "publicKey" | "secret">
): CheckpointVote => makeVote(link, { publicKey, signature: sign(voteHash(genesis, link), secret) })

const checkpointAt = (bytes: Uint8Array, offset: number): Checkpoint | undefined => {
  const height = readU64(bytes, offset)
  const hash = bytes.slice(offset + 8, offset + 40)
  return height === undefined ? undefined : { height, hash: hash as Uint8Array as BlockHash, id: toHex(hash) }
}

/** The vote of its bytes; undefined: they have another form. The signature is not looked at. */
export const decodeVote = (bytes: Uint8Array): CheckpointVote | undefined => {
  if (bytes.length !== voteBytes) return undefined
  const source = checkpointAt(bytes, 0)
  const target = checkpointAt(bytes, 40)
  const publicKey = bytes.slice(linkBytes, linkBytes + 33)
  if (source === undefined || target === undefined || source.height >= target.height) return undefined
  return {
    source,
    target,
    publicKey,
    signature: bytes.slice(linkBytes + 33),
    voter: toHex(addressOf(publicKey)),
    bytes: bytes.slice()
  }
}

/** Did the key sign this vote on the chain of a genesis? */
export const isVoteSigned = (genesis: Uint8Array, vote: CheckpointVote): boolean =>
  verify(voteHash(genesis, vote), vote.signature, vote.publicKey)

/** Do both say the same, whatever their signatures are? */
export const isSameLink = (a: Link, b: Link): boolean => a.source.id === b.source.id && a.target.id === b.target.id

const surrounds = (outer: Link, inner: Link): boolean =>
  outer.source.height < inner.source.height && inner.target.height < outer.target.height

/** What two votes prove; undefined: nothing. Their signatures were checked before. */
export const offenceOf = (a: CheckpointVote, b: CheckpointVote): VoteOffence | undefined => {
  if (a.voter !== b.voter || isSameLink(a, b)) return undefined
  if (a.target.height !== b.target.height && !surrounds(a, b) && !surrounds(b, a)) return undefined
  const [first, second] = [a, b].sort(inOrder) as [CheckpointVote, CheckpointVote]
  return { voter: a.voter, first, second }
}

const inOrder = (a: CheckpointVote, b: CheckpointVote): number =>
  a.target.height - b.target.height || a.source.height - b.source.height || (toHex(a.bytes) < toHex(b.bytes) ? -1 : 1)

/** An offence as it is kept: the two votes, one after the other. */
export const encodeOffence = ({ first, second }: VoteOffence): Uint8Array => concat(first.bytes, second.bytes)

/** The offence of its bytes, with both signatures checked; undefined: they prove nothing. */
export const decodeOffence = (genesis: Uint8Array, bytes: Uint8Array): VoteOffence | undefined => {
  const first = decodeVote(bytes.subarray(0, voteBytes))
  const second = decodeVote(bytes.subarray(voteBytes))
  if (first === undefined || second === undefined) return undefined
  const offence = offenceOf(first, second)
  const isTrue = offence !== undefined && equal(offence.first.bytes, first.bytes)
  return isTrue && isVoteSigned(genesis, first) && isVoteSigned(genesis, second) ? offence : undefined
}

/** Everybody whom the votes of two sides convict, each with one offence. */
export const guiltyOf = (
  one: ReadonlyArray<CheckpointVote>,
  other: ReadonlyArray<CheckpointVote>
): ReadonlyArray<VoteOffence> => {
  const found = new Map<string, VoteOffence>()
  const byVoter = Map.groupBy(one, ({ voter }) => voter)
  for (const vote of other)
    for (const against of byVoter.get(vote.voter) ?? []) {
      const offence = found.has(vote.voter) ? undefined : offenceOf(vote, against)
      if (offence !== undefined) found.set(vote.voter, offence)
    }
  return [...found.values()]
}
