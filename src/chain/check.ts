/** What a header must be on its parent, and what a body must be behind its header. Cheap checks first. */
import type { Block } from "../block/block.ts"
import { extraHashOf, transactionRootOf } from "../block/block.ts"
import { chainTag, type Header } from "../block/header.ts"
import { equal, toHex } from "../codec/bytes.ts"
import type { Ancestry } from "../consensus/consensus.ts"
import { fillerText, isFiller } from "../ledger/filler.ts"
import { type BlockReject, reject } from "./reject.ts"
import type { Rules } from "./rules.ts"

const tags = new WeakMap<Rules, number>()

const tagOf = (rules: Rules): number => {
  const known = tags.get(rules)
  if (known !== undefined) return known
  const tag = chainTag(rules.spec.ledger.chainId)
  tags.set(rules, tag)
  return tag
}

/** A header against its parent and the clock `now`. The seal comes before what costs ancestors: forging it costs the forger. */
export const checkHeader = (
  rules: Rules,
  header: Header,
  facts: { readonly ancestry: Ancestry; readonly now: number }
): BlockReject | undefined => {
  const { consensus, spec } = rules
  const { parent } = facts.ancestry
  if (header.version !== consensus.version)
    return reject("version-unsupported", `header version ${header.version}; this chain has ${consensus.version}`)
  if (header.chainTag !== tagOf(rules)) return reject("chain-tag-mismatch", "the header is of another chain")
  if (header.height !== parent.height + 1)
    return reject("height-wrong", `height ${header.height} on parent ${parent.height}`)
  if (!consensus.checkSeal(header)) return reject("seal-wrong", "the hash is above the header's target")
  if (!equal(header.target, consensus.nextTarget(facts.ancestry))) {
    return reject("target-wrong", `target ${toHex(header.target)} is not the one that follows from the ancestors`)
  }
  const earliest = consensus.earliestTime(facts.ancestry)
  if (header.time < earliest)
    return reject("time-too-early", `time ${header.time}; the ancestors allow ${earliest} and later`)
  if (header.time > facts.now + spec.time.futureMsMax) {
    return reject(
      "time-too-far-ahead",
      `time ${header.time} is more than ${spec.time.futureMsMax} ms ahead of our clock ${facts.now}`
    )
  }
  const fault = consensus.author?.checkHeader(header, facts.ancestry)
  return fault && reject(fault.code, fault.message)
}

/** Bytes of a block's encoding. */
export const blockBytes = (block: Block): number =>
  block.header.bytes.length +
  8 +
  block.extra.length +
  block.transactions.reduce((sum, { bytes }) => sum + 2 + bytes.length, 0)

/** A body against its header: bound to it bit by bit, and within the spec's limits. State is not asked. */
export const checkBody = ({ spec, ledger }: Rules, block: Block): BlockReject | undefined => {
  const { header, transactions, extra } = block
  if (blockBytes(block) > spec.block.bytesMax)
    return reject("block-too-large", `more than ${spec.block.bytesMax} bytes`)
  if (!equal(extraHashOf(extra), header.extraHash))
    return reject("extra-hash-wrong", "the extra data is not the header's")
  if (!equal(transactionRootOf(transactions), header.transactionRoot)) {
    return reject("transaction-root-wrong", "the transactions are not the header's")
  }
  if (extra.length > spec.block.extraBytesMax)
    return reject("extra-too-large", `more than ${spec.block.extraBytesMax} bytes of extra data`)
  const { filler } = spec.block
  if (filler !== undefined && header.authority?.vote !== "convict" && !isFiller(filler, extra))
    return reject("extra-wrong", `the extra data is not ${fillerText(filler)}, as this chain asks for`)
  const transactionsMax = spec.block.transactionsMax + (ledger.opens ? 1 : 0)
  if (transactions.length > transactionsMax) {
    return reject("too-many-transactions", `${transactions.length}; the chain allows ${transactionsMax}`)
  }
  if (new Set(transactions.map(({ id }) => toHex(id))).size !== transactions.length) {
    return reject("transaction-duplicate", "a transaction stands in the block twice")
  }
  return undefined
}

/** What a block must be after its parent: how full, how soon, and what must prove its header's vote. */
export const checkAfter = (
  { consensus }: Rules,
  block: Block,
  parent: Pick<Header, "time">
): BlockReject | undefined => {
  const fault = consensus.author?.checkBlock(block, parent)
  return fault && reject(fault.code, fault.message)
}
