/** A block out of a body: its bytes in hex, or the JSON that this interface gives of blocks. */
import { Result } from "effect"
import { type Block, decodeBlock, encodeBlock, extraHashOf } from "../block/block.ts"
import {
  type AuthorityFields,
  type BlockHash,
  chainTag,
  type Header,
  type Height,
  makeHeader,
  type Target,
  type VoteKind,
  voteKinds
} from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { fromHex } from "../codec/bytes.ts"
import { lastVoteOf } from "../consensus/authorities.ts"
import { type Address, addressBytes, isAddress, parseAddress } from "../crypto/address.ts"
import type { Hash32 } from "../crypto/hash.ts"
import { type Amount, isAmount } from "../ledger/amount.ts"
import { makeCoinbase } from "../ledger/payment.ts"
import { parseTransaction } from "../ledger/transaction-text.ts"
import type { Millis, Transaction } from "../ledger/transaction.ts"
import { blockTransactionsMax, chainIdBytesMax } from "../limits.ts"

/** The header of a hash, if it is known here. */
type FindHeader = (hash: BlockHash) => Header | undefined
type Fields = Readonly<Record<string, unknown>>

/** Leaves the reading of a block. */
class Wrong extends Error {}

const wrong = (what: string): never => {
  throw new Wrong(what)
}
const objectIn = (value: unknown, what: string): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : wrong(what)
const countIn = (fields: Fields, name: string): number => {
  const value = fields[name]
  return isAmount(value) ? value : wrong(`${name} must be a whole number`)
}
const bytesIn = (fields: Fields, name: string, length?: number): Uint8Array => {
  const value = fields[name]
  const bytes = typeof value === "string" ? fromHex(value, length) : undefined
  return bytes ?? wrong(`${name} must be${length === undefined ? "" : ` ${length} bytes of`} lower-case hex`)
}
const addressIn = (value: unknown, name: string, prefix: string): Address => {
  const address = typeof value === "string" ? parseAddress(value, prefix) : undefined
  return address !== undefined && isAddress(address) ? address : wrong(`${name} must be an address`)
}

const coinbaseIn = (fields: Fields, prefix: string): Transaction => {
  const { chain_id: chainId, outputs } = fields
  if (typeof chainId !== "string" || chainId.length > chainIdBytesMax || !/^[a-z0-9-]+$/.test(chainId))
    return wrong("a coinbase has a chain_id")
  // A valid one has one at most; a longer list would be no coinbase that can be written down.
  if (!Array.isArray(outputs) || outputs.length > 1) return wrong("a coinbase has one output, or none")
  return makeCoinbase({
    chainId,
    height: countIn(fields, "height"),
    outputs: outputs.map((one) => {
      const output = objectIn(one, "an output is an object")
      const amount = countIn(output, "amount") as Amount
      return { recipient: addressIn(output["recipient"], "recipient", prefix), amount }
    })
  })
}

/** The reward of a chain of accounts is derived, and no transaction of the block. */
const transactionsIn = ({ spec }: Rules, value: unknown): ReadonlyArray<Transaction> => {
  if (!Array.isArray(value) || value.length > blockTransactionsMax + 1) return wrong("transactions must be a list")
  return value.flatMap((one, i): ReadonlyArray<Transaction> => {
    const fields = objectIn(one, `transactions[${i}] must be an object`)
    if (fields["kind"] === "reward" && spec.ledger.model === "account") return []
    if (fields["kind"] === "coinbase") return [coinbaseIn(fields, spec.addressPrefix)]
    const parsed = parseTransaction(fields, spec.addressPrefix, spec.ledger.model)
    return Result.isSuccess(parsed) ? [parsed.success] : wrong(`transactions[${i}]: ${parsed.failure.message}`)
  })
}

/** What an authority's header has more. Where the last vote stands its parent says. */
const authorityIn = ({ spec }: Rules, value: unknown, parent: Header | undefined): AuthorityFields | undefined => {
  if (value === null || value === undefined) return undefined
  const fields = objectIn(value, "authority must be an object")
  if (parent === undefined) return wrong("the parent is not known here: send the block as hex")
  const vote = fields["vote"] === null ? undefined : objectIn(fields["vote"], "vote must be an object")
  const kind = (vote?.["kind"] ?? "none") as VoteKind
  if (!voteKinds.includes(kind)) return wrong("vote.kind is none")
  return {
    weight: countIn(fields, "weight") & 255,
    vote: kind,
    subject:
      vote === undefined
        ? (new Uint8Array(addressBytes) as Address)
        : addressIn(vote["subject"], "vote.subject", spec.addressPrefix),
    lastVote: lastVoteOf(parent),
    publicKey: bytesIn(fields, "public_key", 33),
    signature: bytesIn(fields, "signature", 64)
  }
}

const blockIn = (rules: Rules, fields: Fields, find: FindHeader): Block => {
  const { spec } = rules
  const extra = bytesIn(fields, "extra")
  const previous = bytesIn(fields, "previous_hash", 32) as BlockHash
  const authority = authorityIn(rules, fields["authority"], find(previous))
  const version = countIn(fields, "version")
  if (version !== rules.consensus.version || (version === 2) !== (authority !== undefined))
    return wrong(`version must be ${rules.consensus.version}, with an authority or without as the chain has it`)
  const header = makeHeader({
    version,
    chainTag: chainTag(spec.ledger.chainId),
    height: countIn(fields, "height") as Height,
    time: countIn(fields, "time") as Millis,
    previous,
    transactionRoot: bytesIn(fields, "transaction_root", 32) as Hash32,
    stateRoot: bytesIn(fields, "state_root", 32) as Hash32,
    target: bytesIn(fields, "target", 32) as Target,
    proposer: addressIn(fields["mined_by"], "mined_by", spec.addressPrefix),
    extraHash: extraHashOf(extra),
    nonce: countIn(fields, "proof"),
    ...(authority === undefined ? {} : { authority })
  })
  if (fields["hash"] !== undefined && fields["hash"] !== header.id) return wrong("hash is not that of these fields")
  return { header, transactions: transactionsIn(rules, fields["transactions"]), extra }
}

/** The block, or in words why it is none. What JSON lets through that bytes do not is refused as those would be. */
export const readBlock = (rules: Rules, value: unknown, find: FindHeader): Result.Result<Block, string> => {
  const decode = (bytes: Uint8Array): Result.Result<Block, string> =>
    Result.mapError(decodeBlock(bytes, rules.ledger), ({ what }) => what)
  if (typeof value === "string") {
    const bytes = fromHex(value)
    return bytes === undefined ? Result.fail("a block as text is lower-case hex") : decode(bytes)
  }
  try {
    return decode(encodeBlock(blockIn(rules, objectIn(value, "a block is hex, or an object"), find)))
  } catch (error) {
    if (error instanceof Wrong) return Result.fail(error.message)
    throw error
  }
}
