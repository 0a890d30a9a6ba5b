/**
 * Blocks and transfers that no honest node makes: for each reason to refuse one that a simulated chain can come to,
 * something that is refused for that reason. The seals are real, so that nothing is refused before its time.
 */
import { assert } from "../assert.ts"
import { type Block, encodeBlock, encodeBody, extraHashOf, transactionRootOf } from "../block/block.ts"
import { type Header, type HeaderFields, type Height, makeHeader, meetsTarget, type Target } from "../block/header.ts"
import { ancestryOf, type Row } from "../chain/reader.ts"
import { makeRules } from "../chain/rules.ts"
import { concat } from "../codec/bytes.ts"
import { bitsOf, easiestTarget, targetOfBits } from "../consensus/difficulty.ts"
import type { Address } from "../crypto/address.ts"
import { asHash } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { decodeAccount, keyOf } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import type { Millis, Nonce, Transaction, TransferFields } from "../ledger/transaction.ts"
import { makeTransfer, signTransfer, transferOf } from "../ledger/transfer.ts"
import { search } from "../miner/search.ts"
import { makeTemplate } from "../miner/template.ts"
import type { Liar } from "./liar.ts"
import { walletKey } from "./wallets.ts"

/** A header and the bytes that are given for its block. */
export interface Forged {
  readonly header: Header
  readonly bytes: Uint8Array
  /** What is announced as its header; undefined: the header. */
  readonly announced?: Uint8Array
}

/** Hashes that a liar spends on one seal: far more than any simulated target takes. */
const hashesMax = 10_000_000

// ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The block with some header fields replaced and a nonce that seals it. */
export const seal = (block: Block, fields: Partial<HeaderFields> = {}): Block => {
  const header = makeHeader({ ...block.header, ...fields })
  const { nonce } = search({ header: header.bytes, target: header.target, from: 0, count: hashesMax })
  assert(nonce !== undefined, "a simulated target is met within its hashes")
  return { ...block, header: makeHeader({ ...header, nonce }) }
}

/** An honest block on the victim's tip, all its own, not sealed. */
const draft = ({ rules, victim, key, dice, host }: Liar, aheadMs = 0): Block =>
  makeTemplate({
    rules,
    reader: victim.store,
    candidates: [],
    proposer: key.address,
    now: host.now + aheadMs,
    extra: dice.bytes(8)
  })

/** A block with these transactions behind a header that commits to them, whatever they are. */
const filled = (block: Block, transactions: ReadonlyArray<Transaction>): Block =>
  seal({ ...block, transactions }, { transactionRoot: transactionRootOf(transactions) })

const given = (block: Block): Forged => ({ header: block.header, bytes: encodeBlock(block) })

/** A block on the victim's tip: valid, unless its time is too far ahead. */
export const honestBlock = (liar: Liar, aheadMs = 0): Forged => given(seal(draft(liar, aheadMs)))

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
  for (let nonce = 0; ; nonce++) {
    const tried = withNonce(block, nonce)
    if (!meetsTarget(tried.header.hash, tried.header.target)) return given(tried)
  }
}

const parentOf = ({ victim }: Liar): Header => victim.store.tip().header

const earliest = (liar: Liar): number =>
  liar.rules.consensus.earliestTime(ancestryOf(liar.victim.store, parentOf(liar)))

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
  const [one] = purseTransfers(liar, 1)
  return given(
    filled(
      draft(liar),
      Array.from({ length: Math.ceil(bytesMax / one!.bytes.length) }, () => one!)
    )
  )
}

/** The true header with a body that is not a body. */
const brokenBody = (liar: Liar): Forged => {
  const block = seal(draft(liar))
  const body = encodeBody(block)
  const broken = liar.dice.pick([
    () => concat(body, liar.dice.bytes(3)),
    () => body.subarray(0, body.length - 2),
    () => concat(new Uint8Array([255, 255, 255, 255]), body.subarray(4)),
    () => concat(body.subarray(0, body.length - 4), new Uint8Array([255, 255, 0, 0]))
  ])()
  return { header: block.header, bytes: concat(block.header.bytes, broken) }
}

/** A body with a transfer that its own encoding refutes. */
const brokenTransfer = (liar: Liar): Forged => {
  const block = filled(draft(liar), [brokenTransaction(liar)])
  return { header: block.header, bytes: encodeBlock(block) }
}

/** A valid block, and behind its header another body. */
export const twoBodies = (liar: Liar): readonly [sound: Forged, spoiled: Forged] => {
  const block = seal(draft(liar))
  return [given(block), given({ ...block, transactions: purseTransfers(liar, 1) })]
}

const withExtra = (block: Block, extra: Uint8Array): Block =>
  seal({ ...block, extra }, { extraHash: extraHashOf(extra) })

/** What a liar can make of a block: by name, the code by which it must be refused, and how it is made. */
export const forgeries: Readonly<
  Record<string, { readonly about: string; readonly code: string; readonly forge: (liar: Liar) => Forged }>
> = {
  version: { about: "a version that is not known", code: "version-unsupported", forge: bent(() => ({ version: 2 })) },
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
          purseTransfers(liar, 1).flatMap((one) => [one, one])
        )
      )
  },
  "double-spend": {
    about: "two transfers with one nonce",
    code: "transaction-refused",
    forge: (liar) =>
      given(
        filled(
          draft(liar),
          [1, 7].flatMap((amount) => purseTransfers(liar, 1, { amount }))
        )
      )
  },
  "nonce-gap": {
    about: "a transfer whose nonce comes later",
    code: "transaction-refused",
    forge: (liar) => given(filled(draft(liar), purseTransfers(liar, 2).slice(1)))
  },
  overdraft: {
    about: "a transfer of more than its sender has",
    code: "transaction-refused",
    forge: (liar) => given(filled(draft(liar), purseTransfers(liar, 1, { amount: 1e15 })))
  },
  replay: {
    about: "a transfer that is confirmed already",
    code: "transaction-refused",
    forge: (liar) => given(filled(draft(liar), confirmed(liar).slice(0, 1)))
  },
  theft: {
    about: "a transfer of another's money with a signature that is not theirs",
    code: "signature-invalid",
    forge: (liar) =>
      given(
        filled(
          draft(liar),
          purseTransfers(liar, 1).map((one) => missigned(one, liar))
        )
      )
  }
}

/** So many sealed headers on a parent, whose bodies nobody has. */
export const headersOn = ({ rules, victim, key, dice }: Liar, parent: Header, count: number): ReadonlyArray<Header> => {
  const { consensus, spec } = rules
  const fresh = new Map<string, Row>()
  const find = (id: string): Row | undefined => fresh.get(id) ?? victim.store.find(id)
  const headers: Array<Header> = []
  for (let last = parent; headers.length < count; last = headers.at(-1)!) {
    const ancestry = ancestryOf({ find, bestAt: victim.store.bestAt }, last)
    const time = Math.max(last.time + spec.difficulty.blockMs, consensus.earliestTime(ancestry)) as Millis
    const fields = {
      ...last,
      height: (last.height + 1) as Height,
      time,
      previous: last.hash,
      stateRoot: asHash(dice.bytes(32)),
      target: consensus.nextTarget(ancestry),
      proposer: key.address
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

/** Blocks of the best branch, the newest first, at most so many. Genesis is not among them. */
export const oldBlocks = ({ victim: { store } }: Liar, max: number): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  for (let { height } = store.tip().header; height > 0 && blocks.length < max; height--)
    blocks.push(store.block(store.bestAt(height)!.header.id)!)
  return blocks
}

// ── transfers ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A wallet that lends the liar its key: a user who cheats. */
const purse = (): Keypair => walletKey(0)

export type TransferWish = Partial<Pick<TransferFields, "chainId" | "note">> & {
  readonly amount?: number
  readonly fee?: number
}

/** So many transfers of the purse to the liar, from the next nonce on. */
export const purseTransfers = (liar: Liar, count: number, wish: TransferWish = {}): ReadonlyArray<Transaction> => {
  const { nonce } = decodeAccount(liar.victim.store.readEntry(keyOf(purse().address)))
  return Array.from({ length: count }, (_, i) => signed(liar, purse(), nonce + 1 + i, wish))
}

/** A transfer of whomever, signed. */
export const signed = (liar: Liar, from: Keypair, nonce: number, wish: TransferWish = {}): Transaction => {
  const { ledger } = liar.rules.spec
  return signTransfer(
    {
      chainId: wish.chainId ?? ledger.chainId,
      recipient: liar.dice.bytes(20) as Address,
      amount: (wish.amount ?? 1) as Amount,
      fee: (wish.fee ?? ledger.feeMin) as Amount,
      nonce: nonce as Nonce,
      time: liar.host.now as Millis,
      note: wish.note ?? ""
    },
    from
  )
}

/** The transfer with another's signature: same id, nobody's will. */
export const missigned = (transaction: Transaction, liar: Liar): Transaction => {
  const transfer = transferOf(transaction)
  const other = signed(liar, liar.key, transfer.nonce)
  return makeTransfer({ ...transfer, signature: transferOf(other).signature })
}

/** Places of a transfer's numbers, behind version and chain id. */
const amountOffset = 2 + 40

/** A transfer whose own bytes refute it: what `decode` refuses, so no state is asked. */
export const brokenTransaction = (liar: Liar): Transaction => {
  const { dice, rules } = liar
  const sound = signed(liar, purse(), 1)
  const transfer = transferOf(sound)
  const edited = (edit: (bytes: Uint8Array) => void): Transaction => {
    const bytes = sound.bytes.slice()
    edit(bytes)
    return { ...sound, bytes }
  }
  const numbers = amountOffset + rules.spec.ledger.chainId.length
  return dice.pick([
    () => edited((bytes) => bytes.fill(0xff, numbers, numbers + 8)),
    () => edited((bytes) => void (bytes[numbers + 8 * dice.int(4) + 7] = 0x80)),
    () => edited((bytes) => bytes.fill(0, numbers, numbers + 8)),
    () => edited((bytes) => void (bytes[0] = 2)),
    () => edited((bytes) => void (bytes[1] = 200)),
    () => makeTransfer({ ...transfer, recipient: transfer.sender }),
    () => makeTransfer({ ...transfer, sender: liar.key.address }),
    () => signed(liar, purse(), 1, { chainId: "elsewhere" }),
    () => signed(liar, purse(), 1, { fee: rules.spec.ledger.feeMin - 1 }),
    () => signed(liar, purse(), 0)
  ])()
}

/** Transfers of the last blocks. */
export const confirmed = (liar: Liar): ReadonlyArray<Transaction> =>
  oldBlocks(liar, 50).flatMap(({ transactions }) => transactions)

/** Ids of nothing. */
export const nonsenseIds = (liar: Liar, count: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, () => liar.dice.bytes(32))
