/** Proofs on the page: checked here, by the very code that nodes and the command line check them with, and drawn. */
import { Result } from "effect"
import type { Header } from "../src/block/header.ts"
import { formatProof, parseProof, type ProofReject, type Proven, verifyProof } from "../src/block/proof.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import { formatAddress } from "../src/crypto/address.ts"
import { format } from "../src/ledger/amount.ts"
import { summaryOf } from "../src/ledger/summary.ts"
import { drawWay } from "./draw.ts"
import type { ChainFacts } from "./wallet.ts"

/** What the page shows of a proof: one sentence, and if it holds its header, the file and its way up. */
export interface Shown {
  readonly sentence: string
  readonly held?: {
    readonly header: Header
    readonly file: string
    readonly way: SVGElement
  }
}

const sentenceOf = (proven: Proven, { prefix, decimals, symbol }: ChainFacts): string => {
  const { height, id } = proven.header
  if (proven.kind === "transaction") {
    const { payer, recipient, amount } = summaryOf(proven.transaction)
    const [from, to] = [payer, recipient].map((address) => address && formatAddress(address, prefix))
    return `${from ?? "A coinbase"} paid ${to ?? "nobody"} ${format(amount, decimals)} ${symbol}. Header ${id} of height ${height} commits to it.`
  }
  if (proven.kind === "coin") {
    const { coin, outpoint } = proven
    const name = `The coin ${toHex(outpoint.id)}:${outpoint.index}`
    const is = coin && `holds ${format(coin.amount, decimals)} ${symbol} of ${formatAddress(coin.owner, prefix)}`
    return `${name} ${is ?? "is spent, or was never made"}. Header ${id} of height ${height} commits to it.`
  }
  const { account, address } = proven
  const has = account === undefined ? "was never paid" : `has ${format(account.balance, decimals)} ${symbol}`
  return `${formatAddress(address, prefix)} ${has}. Header ${id} of height ${height} commits to it.`
}

const judge = (bytes: Uint8Array, facts: ChainFacts, subject?: Uint8Array): Shown => {
  const outcome = verifyProof(bytes, { subject })
  if (Result.isFailure(outcome)) return refused(outcome.failure)
  const proven = outcome.success
  const held = { header: proven.header, file: formatProof(bytes), way: drawWay(proven) }
  return { sentence: `✓ Proven here: ${sentenceOf(proven, facts)}`, held }
}

const refused = ({ code, message }: ProofReject): Shown => ({ sentence: `✗ ${message} (${code})` })

/** A proof may stand on a header that somebody made up: its hashes hold, and it shows nothing of this chain. */
export const strange = ({ id, height }: Header): Shown => ({
  sentence: `✗ Its hashes hold, but this node has another block at height ${height}, or none: it does not know header ${id}.`
})

/** Judges the proof that the node gave for a transaction id or a coin. */
export const judgeReply = (proof: string, subject: Uint8Array, facts: ChainFacts): Shown =>
  judge(fromHex(proof) ?? new Uint8Array(0), facts, subject)

/** Judges the text of a proof file. */
export const judgeFile = (text: string, facts: ChainFacts): Shown => {
  const bytes = parseProof(text)
  return Result.isFailure(bytes) ? refused(bytes.failure) : judge(bytes.success, facts)
}
