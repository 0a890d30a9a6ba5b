/** What an authority can do that votes falsely on checkpoints, and what those can do who would like to be one. */
import { Effect } from "effect"
import type { BlockHash } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { type Checkpoint, makeVote, signVote } from "../consensus/checkpoint.ts"
import type { Keypair } from "../crypto/keys.ts"
import { loadAnchors } from "../store/finality.ts"
import { accompliceOf } from "./forge.ts"
import { traitorAt } from "./keys.ts"
import { type Acts, bannedFor, call, type Liar, second, sybil, type Talk, type Victim, visit } from "./liar.ts"

const everyOf = ({ rules }: Liar): number => rules.spec.authority!.finality!.checkpointBlocks

/** The newest checkpoint of a node's best branch, or one so many before it. */
const newest = (liar: Liar, { store }: Victim, before = 0): Checkpoint | undefined => {
  const every = everyOf(liar)
  const { height } = store.tip().header
  return store.bestAt(height - (height % every) - before * every)?.header
}

/** A checkpoint that nobody has. */
const nowhere = ({ dice }: Liar, height: number): Checkpoint => {
  const hash = dice.bytes(32) as Uint8Array as BlockHash
  return { height, hash, id: toHex(hash) }
}

const sourceOf = ({ rules }: Liar, { store }: Victim): Checkpoint =>
  loadAnchors(store.db)?.final ?? rules.genesis.header

const vote = ({ rules }: Liar, key: Keypair, source: Checkpoint, target: Checkpoint): Uint8Array =>
  signVote(rules.genesis.header.hash, { source, target }, key).bytes

/** Says something with the key of an authority that lies, while there is one, at a few checkpoints one after the other. */
const voting = (say: (liar: Liar, key: Keypair, talk: Talk, twin: Talk) => void) => (talk: Talk, liar: Liar) =>
  Effect.gen(function* () {
    const [other = liar.victim] = liar.others
    const twin = yield* call(liar, other, other === liar.victim ? { key: sybil(liar, 0) } : {})
    for (let i = 0; i < 4 && !talk.over; i++) {
      const accomplice = accompliceOf(liar)
      const key = accomplice && traitorAt(accomplice)
      if (key === undefined) break
      say(liar, key, talk, twin)
      const pause = everyOf(liar) * liar.rules.spec.difficulty.blockMs
      yield* Effect.all([talk.converse(pause), twin.converse(pause)], { concurrency: 2, discard: true })
    }
    twin.line.leave()
  })

/** Votes for the branch of each node; where both have one, for a block that nobody has as well. */
const both = (liar: Liar, key: Keypair, talk: Talk, twin: Talk): void => {
  const [other = liar.victim] = liar.others
  const source = sourceOf(liar, liar.victim)
  const target = newest(liar, liar.victim)!
  if (target.height <= source.height) return
  const theirs = other.store.bestAt(target.height)?.header
  const sibling = theirs === undefined || theirs.id === target.id ? nowhere(liar, target.height) : theirs
  talk.say({ tag: "VOT", votes: [vote(liar, key, source, target)] })
  twin.say({ tag: "VOT", votes: [vote(liar, key, source, sibling)] })
}

/** A vote over everything since the genesis, and one within it. */
const around = (liar: Liar, key: Keypair, talk: Talk, twin: Talk): void => {
  const [target, source] = [newest(liar, liar.victim)!, newest(liar, liar.victim, 1)]
  if (source === undefined || source.height === 0) return
  const beyond = nowhere(liar, target.height + everyOf(liar))
  talk.say({ tag: "VOT", votes: [vote(liar, key, liar.rules.genesis.header, beyond)] })
  twin.say({ tag: "VOT", votes: [vote(liar, key, source, target)] })
}

/** A vote in the name of an authority whose key the liar has not. */
const forged = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  const target = newest(liar, liar.victim)!
  const { publicKey } = liar.victim.store.bestAt(1)?.header.authority ?? liar.key
  const link = { source: liar.rules.genesis.header, target: target.height > 0 ? target : nowhere(liar, everyOf(liar)) }
  talk.say({ tag: "VOT", votes: [makeVote(link, { publicKey, signature: liar.dice.bytes(64) }).bytes] })
  return talk.converse(2 * second)
}

/** Acts on a chain whose authorities vote on checkpoints. */
export const finalityActs: Acts = {
  "votes-both": visit("votes of one key for two blocks of one height", "ignore", undefined, voting(both)),
  "votes-around": visit("votes of one key, one around the other", "ignore", undefined, voting(around)),
  "votes-forged": bannedFor("votes in another's name", "checkpoint-vote-forged", forged)
}

export const finalityActNames: ReadonlyArray<string> = Object.keys(finalityActs)
