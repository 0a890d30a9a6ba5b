/**
 * Blocks that no honest node makes: for each reason to refuse one that a simulated chain can come to, something that is
 * refused for that reason. The seals are real, so that nothing is refused before its time. What is about money stands in
 * transfer-lies.ts and payment-lies.ts.
 */
import { assert } from "../assert.ts"
import { type Block, encodeBlock, encodeBody, extraHashOf } from "../block/block.ts"
import { type Header, type HeaderFields, type Height, makeHeader, meetsTarget, type Target } from "../block/header.ts"
import { ancestryOf, type Row } from "../chain/reader.ts"
import { makeRules } from "../chain/rules.ts"
import { concat, writeU32 } from "../codec/bytes.ts"
import { lastVoteOf } from "../consensus/authorities.ts"
import { bitsOf, easiestTarget, targetOfBits } from "../consensus/difficulty.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import { asHash } from "../crypto/hash.ts"
import type { Amount } from "../ledger/amount.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { Millis } from "../ledger/transaction.ts"
import { draft, filled, type Forged, type Forgeries, given, type MoneyLies, proposerOf, seal } from "./forge.ts"
import type { Liar } from "./liar.ts"
import { paymentLies } from "./payment-lies.ts"
import { transferLies } from "./transfer-lies.ts"

/** By money model. */
export const moneyLies = { account: transferLies, utxo: paymentLies } as const satisfies Record<
  LedgerRules["model"],
  MoneyLies
>

/** The lies about money that fit the liar's chain. */
export const lies = ({ rules }: Liar): MoneyLies => moneyLies[rules.spec.ledger.model]

/** A header with a field changed, sealed. */
const bent =
  (change: (block: Block, liar: Liar) => Partial<HeaderFields>) =>
  (liar: Liar): Forged => {
    const block = draft(liar)
    return given(seal(block, change(block, liar)))
  }

const withNonce = (block: Block, nonce: number): Block => ({ ...block, header: makeHeader({ ...block.header, nonce }) })

/** The first nonce that does not seal. */
const unsealed = (liar: Liar): Forged => {
  const block = draft(liar)
  assert(!asksNoWork(liar), "where no work is asked for, every nonce seals")
  for (let nonce = 0; ; nonce++) {
    const tried = withNonce(block, nonce)
    if (!meetsTarget(tried.header.hash, tried.header.target)) return given(tried)
  }
}

const parentOf = ({ victim }: Liar): Header => victim.store.tip().header

const earliest = (liar: Liar): number =>
  liar.rules.consensus.earliestTime(ancestryOf(liar.victim.store, parentOf(liar)))

/** Is any target the easiest? Then a header without work is no lie. */
export const asksNoWork = ({ rules }: Liar): boolean => bitsOf(easiestTarget(rules.spec.difficulty)) === 0

/** Acts that are none where no work is asked for. */
export const workLies: ReadonlyArray<string> = ["block-no-seal", "block-easy-seal"]

/** Height, time or nonce above what a number can hold: as bytes, since no number of ours is. */
const overflowing = (liar: Liar): Forged => {
  const { header } = seal(draft(liar))
  const announced = header.bytes.slice()
  announced[liar.dice.pick([8, 16, 204]) + 7] = 0x80
  return { header, bytes: concat(announced, new Uint8Array(8)), announced }
}

/** A block of a ledger that pays its proposer twice. */
const overpaid = (liar: Liar): Forged => {
  const { spec } = liar.rules
  const richer = makeRules({ ...spec, ledger: { ...spec.ledger, reward: (spec.ledger.reward * 2) as Amount } })
  return given(seal(draft({ ...liar, rules: { ...liar.rules, ledger: richer.ledger } })))
}

/** More bytes than the spec allows a block, and fewer than a frame may have. */
const oversize = (liar: Liar): Forged => {
  const { bytesMax } = liar.rules.spec.block
  const [one] = lies(liar).sound(liar, 1)
  return given(
    filled(
      draft(liar),
      Array.from({ length: Math.ceil(bytesMax / one!.bytes.length) }, () => one!)
    )
  )
}

/** The body with a false number of transactions. */
const countingTo = (count: number, body: Uint8Array, extraLength: number): Uint8Array => {
  const out = body.slice()
  writeU32(out, 4 + extraLength, count)
  return out
}

/** The true header with a body that is not a body. */
const brokenBody = (liar: Liar): Forged => {
  const block = seal(draft(liar))
  const body = encodeBody(block)
  const broken = liar.dice.pick([
    () => concat(body, liar.dice.bytes(3)),
    () => body.subarray(0, body.length - 2),
    () => concat(new Uint8Array([255, 255, 255, 255]), body.subarray(4)),
    () => countingTo(0xffff, body, block.extra.length)
  ])()
  return { header: block.header, bytes: concat(block.header.bytes, broken) }
}

/** A body with a transfer that its own encoding refutes. */
const brokenTransfer = (liar: Liar): Forged => {
  const block = filled(draft(liar), [lies(liar).broken(liar)])
  return { header: block.header, bytes: encodeBlock(block) }
}

/** A valid block, and behind its header another body. */
export const twoBodies = (liar: Liar): readonly [sound: Forged, spoiled: Forged] => {
  const block = seal(draft(liar))
  return [given(block), given({ ...block, transactions: lies(liar).sound(liar, 1) })]
}

const withExtra = (block: Block, extra: Uint8Array): Block =>
  seal({ ...block, extra }, { extraHash: extraHashOf(extra) })

/** What a liar can make of a block: by name, the code by which it must be refused, and how it is made. */
const general: Forgeries = {
  version: { about: "a version that is not known", code: "version-unsupported", forge: bent(() => ({ version: 3 })) },
  "chain-tag": {
    about: "the tag of another chain",
    code: "chain-tag-mismatch",
    forge: bent(({ header }) => ({ chainTag: (header.chainTag ^ 1) >>> 0 }))
  },
  height: {
    about: "a height that is not its parent's plus one",
    code: "height-wrong",
    forge: bent(({ header }, { dice }) => ({ height: (header.height + dice.pick([-1, 1, 1e9])) as Height }))
  },
  overflow: { about: "a number above 2^53 in its header", code: "block-malformed", forge: overflowing },
  "no-seal": { about: "a nonce that does not seal", code: "seal-wrong", forge: unsealed },
  "easy-seal": {
    about: "a target easier than any that the rule can give",
    code: "seal-wrong",
    forge: bent((_, { rules }) => ({ target: targetOfBits(bitsOf(easiestTarget(rules.spec.difficulty)) - 1) }))
  },
  target: {
    about: "a target that does not follow from its ancestors: twice the work",
    code: "target-wrong",
    forge: bent(({ header }) => ({ target: targetOfBits(bitsOf(header.target) + 1) as Target }))
  },
  early: {
    about: "a time not above the median of its ancestors",
    code: "time-too-early",
    forge: bent((_, liar) => ({ time: (earliest(liar) - 1) as Millis }))
  },
  "state-root": {
    about: "a state root out of nowhere",
    code: "state-root-wrong",
    forge: bent((_, { dice }) => ({ stateRoot: asHash(dice.bytes(32)) }))
  },
  reward: { about: "the state of a ledger that pays its proposer twice", code: "state-root-wrong", forge: overpaid },
  "transaction-root": {
    about: "a transaction root out of nowhere",
    code: "transaction-root-wrong",
    forge: bent((_, { dice }) => ({ transactionRoot: asHash(dice.bytes(32)) }))
  },
  "other-body": {
    about: "the body of another block",
    code: "transaction-root-wrong",
    forge: (liar) => twoBodies(liar)[1]
  },
  "extra-hash": {
    about: "a hash of other extra data",
    code: "extra-hash-wrong",
    forge: bent((_, { dice }) => ({ extraHash: asHash(dice.bytes(32)) }))
  },
  "extra-size": {
    about: "more extra data than the chain allows",
    code: "extra-too-large",
    forge: (liar) => given(withExtra(draft(liar), liar.dice.bytes(liar.rules.spec.block.extraBytesMax + 1)))
  },
  oversize: { about: "more bytes than the chain allows", code: "block-too-large", forge: oversize },
  "broken-body": {
    about: "a body that is cut, longer, or false of its lengths",
    code: "block-malformed",
    forge: brokenBody
  },
  "broken-transfer": { about: "a transfer that refutes itself", code: "block-malformed", forge: brokenTransfer },
  duplicate: {
    about: "one transfer twice",
    code: "transaction-duplicate",
    forge: (liar) =>
      given(
        filled(
          draft(liar),
          lies(liar)
            .sound(liar, 1)
            .flatMap((one) => [one, one])
        )
      )
  }
}

const account = { ...general, ...transferLies.forgeries }
const utxo = { ...general, ...paymentLies.forgeries }
/** What a liar can make of a block of a money model, by name. */
export const forgeries = { account, utxo } as const satisfies Record<keyof typeof moneyLies, Forgeries>

/** What an authority's header says of its place, where there are authorities. */
const ranked = (parent: Header, weight: number): Partial<Pick<HeaderFields, "authority">> =>
  parent.authority === undefined
    ? {}
    : { authority: { ...parent.authority, weight, vote: "none", subject: noAddress, lastVote: lastVoteOf(parent) } }

const noAddress = new Uint8Array(addressBytes) as Uint8Array as Address

/** So many sealed headers on a parent, whose bodies nobody has. */
export const headersOn = (liar: Liar, parent: Header, count: number): ReadonlyArray<Header> => {
  const { rules, victim, dice } = liar
  const { consensus, spec } = rules
  const proposer = proposerOf(liar)
  const fresh = new Map<string, Row>()
  const find = (id: string): Row | undefined => fresh.get(id) ?? victim.store.find(id)
  const headers: Array<Header> = []
  for (let last = parent; headers.length < count; last = headers.at(-1)!) {
    const ancestry = ancestryOf({ find, bestAt: victim.store.bestAt }, last)
    const turn = consensus.author?.turn(ancestry, proposer, consensus.earliestTime(ancestry))
    const paced = Math.max(last.time + spec.difficulty.blockMs, consensus.earliestTime(ancestry))
    const time = (turn?.from ?? paced) as Millis
    const fields = {
      ...last,
      ...ranked(last, turn?.weight ?? 0),
      height: (last.height + 1) as Height,
      time,
      previous: last.hash,
      stateRoot: asHash(dice.bytes(32)),
      target: consensus.nextTarget(ancestry),
      proposer
    }
    const { header } = seal({ header: makeHeader(fields), transactions: [], extra: new Uint8Array(0) })
    fresh.set(header.id, { header, work: 0n, hasBody: false })
    headers.push(header)
  }
  return headers
}

/** Work of some headers. */
export const workOf = ({ rules }: Liar, headers: ReadonlyArray<Header>): bigint =>
  headers.reduce((sum, header) => sum + rules.consensus.work(header), 0n)

/** Ids of nothing. */
export const nonsenseIds = (liar: Liar, count: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, () => liar.dice.bytes(32))
