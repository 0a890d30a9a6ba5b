/**
 * Who sends datagrams and is nobody: an attacker without a session, who forges sources and names, signs for nodes of his own, and
 * says again what others have said. Each act gives one datagram after the other; nothing of them may move a score or lift a ban.
 */
import type { Rules } from "../chain/rules.ts"
import { concat, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { type Announcement, forms, makeAnnouncement } from "../gossip/announcement.ts"
import { datagramBytesMax } from "../limits.ts"
import type { Dice } from "./dice.ts"
import { liarKey } from "./keys.ts"
import { gossipPort, peerPort } from "./node.ts"
import type { Flying } from "./udp.ts"

/** Nobody of the simulation is there: nothing may ever be sent to it. */
export const bystander = "203.0.113.99"
/** Nodes of the attacker that sign what they say, and liars whose keys he has: as many announcers there are beside honest nodes. */
export const spoofersMax = 8
/** Names that he writes on what they never signed. */
const ghostsMax = 200
const spoofers = new Array<Keypair>()
/** The i-th of his nodes. None of them ever dials anybody. */
export const spooferKey = (i: number): Keypair => (spoofers[i] ??= keypairOf(sha256(utf8(`simulated spoofer ${i}`))))
const liars = new Array<Keypair>()

/** An attacker at work. */
export interface Spoofer {
  readonly rules: Rules
  readonly dice: Dice
  /** Milliseconds of the world's clock. */
  readonly now: () => number
  /** Whom he sends to. */
  readonly victim: { readonly address: string; readonly key: Keypair }
  /** The other nodes. */
  readonly others: ReadonlyArray<Spoofer["victim"]>
  /** What nodes have sent lately, as he has seen it. */
  readonly caught: ReadonlyArray<Flying>
}

/** Heavier than any branch of a simulation. */
const workMax = new Uint8Array(32).fill(1)

const announcing = ({ rules, now }: Spoofer, key: Keypair, wish: Partial<Announcement> = {}): Uint8Array => {
  const time = now()
  const { hash } = rules.genesis.header
  const said: Announcement = {
    ...{ chainId: rules.spec.ledger.chainId, publicKey: key.publicKey, sequence: time, time, hopsMax: 255, height: 9 },
    ...{ work: workMax, tip: hash, endpoint: `${bystander}:22`, gossipEndpoint: `${bystander}:53`, entries: [] },
    ...wish
  }
  return concat(new Uint8Array([forms.plain, 0]), makeAnnouncement(said, hash, key))
}

/** A source as an attacker would write it: a node's, the bystander's, one of his own network, any. */
const sourceOf = ({ dice, others, victim }: Spoofer): Flying["from"] => {
  const { address } = dice.pick([victim, ...others])
  const host = dice.pick([
    address,
    address,
    bystander,
    `10.66.9.${dice.int(8)}`,
    `198.51.${dice.int(250)}.${dice.int(250)}`
  ])
  return { host, port: dice.pick([gossipPort, 53]) }
}

/** Announcements with an honest signature: of the attacker's nodes, and of liars that have been banned for what they did. */
const signing = (spoofer: Spoofer): Uint8Array => {
  const { dice, others, victim } = spoofer
  const i = dice.int(spoofersMax)
  // Of real nodes he names the endpoints: that their bans and waits are over is not for him to say.
  const entries = [victim, ...others].map(({ address }) => `${address}:${peerPort}`)
  const own = `10.66.9.${i}:${peerPort}`
  const endpoint = dice.pick([own, `${bystander}:22`, dice.pick(entries)])
  return announcing(spoofer, dice.chance(0.3) ? (liars[i] ??= liarKey(i)) : spooferKey(i), {
    endpoint,
    entries: [own, ...entries].slice(0, 8)
  })
}

/** In the name of a node, or of somebody who never was; the signature is not theirs. */
const forging = (spoofer: Spoofer): Uint8Array => {
  const { dice, others, victim } = spoofer
  const ghost = concat(new Uint8Array([2]), sha256(utf8(`simulated ghost ${dice.int(ghostsMax)}`)))
  const { key } = dice.pick([victim, ...others])
  return announcing(spoofer, spooferKey(0), { publicKey: dice.chance(0.5) ? key.publicKey : ghost })
}

/** The same again, as if it had not travelled. */
const replaying = ({ dice, caught }: Spoofer): Uint8Array => {
  if (caught.length === 0) return dice.bytes(dice.int(datagramBytesMax))
  const bytes = dice.pick(caught).bytes.slice()
  // In the plain form anybody can count hops anew.
  if (bytes[0] === forms.plain) bytes[1] = 0
  return bytes
}

const junk = (spoofer: Spoofer): Uint8Array => {
  const { dice, caught } = spoofer
  const bytes = dice.bytes(dice.int(2 * datagramBytesMax))
  if (bytes.length > 0 && dice.chance(0.5)) bytes[0] = dice.pick([forms.plain, forms.sealed])
  return dice.chance(0.3) && caught.length > 0 ? dice.mutate(dice.pick(caught).bytes) : bytes
}

const makers: Readonly<Record<string, (spoofer: Spoofer) => Uint8Array>> = {
  "datagrams-signed": signing,
  "datagrams-forged": forging,
  "datagrams-replayed": replaying,
  "datagrams-junk": junk
}

export const datagramActs = Object.keys(makers)

/** The next datagram of an act. */
export const datagramOf = (act: string, spoofer: Spoofer): Flying => ({
  by: "spoofer",
  from: sourceOf(spoofer),
  to: { host: spoofer.victim.address, port: gossipPort },
  bytes: makers[act]!(spoofer)
})
