/**
 * What an authority can do that lies, and what those can do who would like to be one: blocks with a false seal, out of turn,
 * too early, with false votes; two blocks in one slot, a slot that is another's, slots of long ago. A minority of the
 * authorities plays these against honest nodes.
 */
import { Effect } from "effect"
import { type Block, encodeBlock, extraHashOf } from "../block/block.ts"
import { type AuthorityFields, makeHeader } from "../block/header.ts"
import { ancestryOf } from "../chain/reader.ts"
import { concat, equal } from "../codec/bytes.ts"
import { evidenceBytes } from "../consensus/evidence.ts"
import { leaderOf, slotOf, slotStart, turnIn } from "../consensus/rota.ts"
import { withSeal } from "../block/seal.ts"
import type { Address } from "../crypto/address.ts"
import type { Millis } from "../ledger/transaction.ts"
import { packHeaders } from "../peer/message.ts"
import { forgery, offer } from "./byzantine.ts"
import { accompliceOf, draft, type Forged, given, proposerOf, seal, untilTurn } from "./forge.ts"
import { traitorAt } from "./keys.ts"
import { headersOn } from "./lies.ts"
import { type Act, type Acts, call, type Liar, persist, second, sybil, type Talk, visit } from "./liar.ts"

/** What a forger does with an authority's block, and by which code it must be refused. */
interface AuthorityForgery {
  readonly about: string
  readonly code: string
  readonly forge: (liar: Liar) => Forged
  /** Made in a slot that the liar's authority leads, where it is the heaviest; or in another's. */
  readonly led: boolean
}

/** The block with another seal, whatever it is worth. */
const withSealOf = (block: Block, publicKey: Uint8Array, signature: Uint8Array): Block => ({
  ...block,
  header: withSeal(block.header, publicKey, signature)
})

/** The block with some of an authority's fields replaced, sealed. */
const claiming = (block: Block, fields: Partial<AuthorityFields>): Block =>
  seal(block, { authority: { ...block.header.authority!, ...fields } })

/** The order of secp256k1. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** The other signature of the same hash and key, which has a high S. */
export const highS = (signature: Uint8Array): Uint8Array => {
  const s = BigInt(`0x${signature.subarray(32).toHex()}`)
  return concat(signature.subarray(0, 32), Uint8Array.fromHex((order - s).toString(16).padStart(64, "0")))
}

const sealed = (liar: Liar): { readonly block: Block; readonly authority: AuthorityFields } => {
  const block = seal(draft(liar))
  return { block, authority: block.header.authority! }
}

const membersAt = ({ rules, victim: { store } }: Liar): ReadonlyArray<Address> =>
  rules.consensus.author!.authorities(ancestryOf(store, store.tip().header)).members

/** A block in the name of who leads the next slot, sealed by another authority. */
const inAnothersName = (liar: Liar): Forged => {
  const { rota } = liar.rules.consensus.author!
  const leader = leaderOf(membersAt(liar), slotOf(rota, liar.host.now) + 1)
  return given(seal(draft(liar, 0, leader), {}, sybil(liar, 0)))
}

/** Votes that may not be cast. */
const falseVote = (liar: Liar): Forged => {
  const self = proposerOf(liar)
  const nobody = liar.dice.bytes(20) as Address
  const lie = liar.dice.pick([
    { vote: "admit", subject: self },
    { vote: "expel", subject: nobody },
    { vote: "none", subject: nobody }
  ] as const)
  return given(claiming(draft(liar), lie))
}

/** A second block in a slot: on the tip, with its proposer's right turn there. */
const inParentsSlot = (liar: Liar): Forged => {
  const { rota } = liar.rules.consensus.author!
  const members = membersAt(liar)
  const proposer = proposerOf(liar)
  const place = members.findIndex((member) => equal(member, proposer))
  const slot = slotOf(rota, liar.victim.store.tip().header.time)
  const block = draft(liar)
  const { weight } = turnIn(rota, members.length, place, slot)
  const time = (slotStart(rota, slot + 1) - 1) as Millis
  return given(seal(block, { time, authority: { ...block.header.authority!, weight } }))
}

/** A conviction of an honest authority, with bytes that prove nothing. */
const falseConviction = (liar: Liar): Forged => {
  const extra = liar.dice.bytes(evidenceBytes)
  const subject = membersAt(liar).find((member) => traitorAt(member) === undefined)!
  const block = draft(liar)
  const authority = { ...block.header.authority!, vote: "convict", subject } as const
  return given(seal({ ...block, extra }, { extraHash: extraHashOf(extra), authority }))
}

/** By name, as `forgeries` of lies.ts. */
export const authorityForgeries: Readonly<Record<string, AuthorityForgery>> = {
  unsealed: {
    about: "no seal",
    code: "signature-wrong",
    led: true,
    forge: (liar) => given(withSealOf(sealed(liar).block, new Uint8Array(33), new Uint8Array(64)))
  },
  "seal-foreign": {
    about: "the seal of somebody else, under the proposer's key",
    code: "signature-wrong",
    led: true,
    forge: (liar) => {
      const { block, authority } = sealed(liar)
      const { signature } = seal(block, {}, liar.key).header.authority!
      return given(withSealOf(block, authority.publicKey, signature))
    }
  },
  "seal-replayed": {
    about: "the seal of another header of the same authority",
    code: "signature-wrong",
    led: true,
    forge: (liar) => {
      const { publicKey, signature } = sealed(liar).authority
      return given(withSealOf(sealed(liar).block, publicKey, signature))
    }
  },
  "seal-high": {
    about: "the other form of its seal",
    code: "signature-wrong",
    led: true,
    forge: (liar) => {
      const { block, authority } = sealed(liar)
      return given(withSealOf(block, authority.publicKey, highS(authority.signature)))
    }
  },
  "leader-forged": {
    about: "an authority's name, and the key of somebody else",
    code: "signature-wrong",
    led: true,
    forge: inAnothersName
  },
  "signer-foreign": {
    about: "the seal of one who is no authority",
    code: "signer-unknown",
    led: true,
    forge: (liar) => given(seal(draft(liar), { proposer: liar.key.address }, liar.key))
  },
  "turn-claimed": {
    about: "the weight of a turn that is another's",
    code: "turn-wrong",
    led: false,
    forge: (liar) => given(claiming(draft(liar), { weight: liar.dice.pick([2, 255]) }))
  },
  "slot-again": {
    about: "its parent's slot",
    code: "time-too-early",
    led: true,
    forge: inParentsSlot
  },
  "turn-early": {
    about: "a time before its delay is over",
    code: "turn-early",
    led: false,
    forge: (liar) => given(seal(draft(liar), { time: liar.host.now as Millis }))
  },
  "vote-false": { about: "a vote that may not be cast", code: "vote-wrong", led: true, forge: falseVote },
  "vote-hidden": {
    about: "a false height of the last vote",
    code: "vote-wrong",
    led: true,
    forge: (liar) => {
      const block = draft(liar)
      return given(claiming(block, { lastVote: block.header.authority!.lastVote + 1 }))
    }
  },
  "conviction-false": {
    about: "a conviction that nothing proves",
    code: "evidence-wrong",
    led: true,
    forge: falseConviction
  },
  "version-old": {
    about: "a header that no authority seals",
    code: "version-unsupported",
    led: true,
    forge: (liar) => given(seal(draft(liar), { version: 1 }))
  }
}

/** Waits for a slot as it is asked for, and says something in it, while its authority is one. */
const inSlot = (led: boolean, say: (talk: Talk, liar: Liar) => Effect.Effect<void, unknown>, rounds: number) =>
  function (talk: Talk, liar: Liar): Effect.Effect<void, unknown> {
    return Effect.gen(function* () {
      for (let i = 0; i < rounds && !talk.over; i++) {
        yield* talk.converse(untilTurn(liar, led))
        if (accompliceOf(liar) === undefined) return
        yield* say(talk, liar)
      }
    })
  }

/** Another conversation, with another node if there is one. */
const twinOf = (liar: Liar): Effect.Effect<Talk, unknown> => {
  const [other = liar.victim] = liar.others
  return call(liar, other, other === liar.victim ? { key: sybil(liar, 0) } : {})
}

/** Two valid blocks of one slot, one for each node. */
const sealTwice = (talk: Talk, liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const twin = yield* twinOf(liar)
    const give = (once: Talk, _: unknown) =>
      Effect.all([offer(once, liar, given(seal(draft(liar)))), offer(twin, liar, given(seal(draft(liar))))], {
        concurrency: 2,
        discard: true
      })
    yield* inSlot(true, give, 4)(talk, liar)
    twin.line.leave()
  })

/** A block out of turn, as soon as that is allowed, though the leader has sealed its own long ago. */
const grab = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  const block = seal(draft(liar))
  const wait = Math.max(0, block.header.time - liar.host.now)
  return Effect.andThen(talk.converse(wait), () => offer(talk, liar, given(block)))
}

/** Blocks of slots that are long over, on an ancestor of the tip. */
const oldSlots = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  const { store } = liar.victim
  const parent = store.bestAt(Math.max(0, store.tip().header.height - 6))!.header
  const headers = headersOn(liar, parent, 3)
  for (const header of headers) talk.say({ tag: "HDR", request: 0, headers: packHeaders([header]) })
  return talk.converse(3 * second)
}

/** Seals its blocks and keeps them; gives them away when others have sealed the same slots. */
const withheld = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  const block = given(seal(draft(liar)))
  const { blockMs } = liar.rules.spec.difficulty
  return Effect.andThen(talk.converse(2 * blockMs), () => offer(talk, liar, block))
}

/** Votes that may be cast, and that a minority casts in vain: against an honest authority, and for one of its own. */
const vote = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  const subject = membersAt(liar).find((member) => traitorAt(member) === undefined)
  const wish =
    subject === undefined || liar.dice.chance(0.5)
      ? ({ vote: "admit", subject: sybil(liar, 1).address } as const)
      : ({ vote: "expel", subject } as const)
  const block = claiming(draft(liar), wish)
  const { header, bytes } = given(block)
  // The body comes under another seal than the header: the seal that was checked is the one that counts.
  const other = liar.dice.chance(0.5) ? encodeBlock(withSealOf(block, new Uint8Array(33), new Uint8Array(64))) : bytes
  return offer(talk, liar, { header, bytes: other })
}

/** A valid block of its own turn, for the victim under a false seal; another node has the true one with its header before. */
const spoilSeal = (liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const twin = yield* twinOf(liar)
    yield* persist(liar, 12, (talk) =>
      Effect.andThen(
        Effect.all([talk.converse(untilTurn(liar, true)), twin.converse(untilTurn(liar, true))], { concurrency: 2 }),
        () => {
          const block = seal(draft(liar))
          const { authority } = block.header
          const spoiled = makeHeader({ ...block.header, authority: { ...authority!, signature: liar.dice.bytes(64) } })
          const bytes = encodeBlock({ ...block, header: spoiled })
          const offers = [offer(talk, liar, { header: spoiled, bytes }), offer(twin, liar, { header: block.header, bytes })]
          return Effect.all(offers, { concurrency: 2, discard: true })
        }
      )
    )
    twin.line.leave()
  })

const forged: Acts = Object.fromEntries(
  Object.entries(authorityForgeries).map(([name, { about, code, forge, led }]): [string, Act] => [
    `block-${name}`,
    forgery(about, code, forge, led)
  ])
)

/** Acts on a chain of authorities, beside those on every chain. */
export const authorityActs: Acts = {
  ...forged,
  "seal-twice": visit(
    "two valid blocks of one slot, to two nodes, until it is convicted",
    "ignore",
    undefined,
    sealTwice
  ),
  "seal-withheld": visit("blocks of its turns, slots later", "ignore", undefined, inSlot(true, withheld, 4)),
  "seal-spoiled": {
    about: "a valid block under a false seal",
    expects: "ban",
    code: "signature-wrong",
    play: spoilSeal
  },
  "vote-cast": visit("votes against honest authorities, and for its own", "ignore", undefined, inSlot(true, vote, 4)),
  "turn-grabbed": visit("blocks out of turn, as soon as may be", "ignore", undefined, inSlot(false, grab, 8)),
  "slots-old": visit("blocks of slots that are long over", "ignore", undefined, inSlot(false, oldSlots, 6))
}

export const authorityActNames: ReadonlyArray<string> = Object.keys(authorityActs)
