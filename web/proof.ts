/** Proofs on the page: checked here, by the very code that nodes and the command line check them with, and drawn. */
import { Result } from "effect"
import type { Header } from "../src/block/header.ts"
import { formatProof, parseProof, type ProofReject, type Proven, verifyProof } from "../src/block/proof.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import { formatAddress } from "../src/crypto/address.ts"
import { format } from "../src/ledger/amount.ts"
import { summaryOf } from "../src/ledger/summary.ts"
import type { ChainFacts } from "./wallet.ts"

/** What the page shows of a proof: one sentence, and if it holds its header, the file and, of a transfer, its way up. */
export interface Shown {
  readonly sentence: string
  readonly held?: {
    readonly header: Header
    readonly file: string
    readonly way: SVGElement | undefined
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
  const way = proven.kind === "transaction" ? drawWay(proven) : undefined
  const held = { header: proven.header, file: formatProof(bytes), way }
  return { sentence: `✓ Proven here: ${sentenceOf(proven, facts)}`, held }
}

const refused = ({ code, message }: ProofReject): Shown => ({ sentence: `✗ ${message} (${code})` })

/** A proof may stand on a header that somebody made up: its hashes hold, and it shows nothing of this chain. */
export const strange = ({ id, height }: Header): Shown => ({
  sentence: `✗ Its hashes hold, but this node has another block at height ${height}, or none: it does not know header ${id}.`
})

/** Judges the proof that the node gave for a transaction id. */
export const judgeReply = (proof: string, id: string, facts: ChainFacts): Shown =>
  judge(fromHex(proof) ?? new Uint8Array(0), facts, fromHex(id))

/** Judges the text of a proof file. */
export const judgeFile = (text: string, facts: ChainFacts): Shown => {
  const bytes = parseProof(text)
  return Result.isFailure(bytes) ? refused(bytes.failure) : judge(bytes.success, facts)
}

const levelHeight = 44
const spread = 40
const radius = 8

const svg = (name: string, attributes: Readonly<Record<string, string | number>>, title?: string): SVGElement => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  if (title !== undefined) made.append(Object.assign(svg("title", {}), { textContent: title }))
  return made
}

const dot = (x: number, y: number, kind: "way" | "beside", hash: Uint8Array): SVGElement =>
  svg("circle", { cx: x, cy: y, r: radius, class: kind }, toHex(hash))

/** The root on top, the transfer below; filled what is computed here, hollow what the proof brings. */
const drawWay = ({ way, steps }: Extract<Proven, { readonly kind: "transaction" }>): SVGElement => {
  const lines: Array<SVGElement> = []
  const dots = [dot(0, 0, "way", way.at(-1)!)]
  const xs = [0]
  let x = 0
  for (let level = steps.length - 1, y = 0; level >= 0; level--, y += levelHeight) {
    const { sibling, left } = steps[level]!
    const [own, other] = left ? [x + spread, x - spread] : [x - spread, x + spread]
    const below = y + levelHeight
    lines.push(svg("line", { x1: x, y1: y, x2: other, y2: below }))
    lines.push(svg("line", { x1: x, y1: y, x2: own, y2: below, class: "way" }))
    dots.push(dot(other, below, "beside", sibling), dot(own, below, "way", way[level]!))
    xs.push(own, other)
    x = own
  }
  const margin = 2 * radius
  const from = Math.min(...xs) - margin
  const width = Math.max(...xs) - from + margin
  const height = steps.length * levelHeight + 2 * margin
  const label = `The way from the transfer up to the transaction root of the header, in ${steps.length} steps`
  const viewBox = `${from} ${-margin} ${width} ${height}`
  const drawn = svg("svg", { viewBox, width, height, role: "img", "aria-label": label })
  drawn.append(...lines, ...dots)
  return drawn
}
