/** `cairn proof`: takes a proof from a node, and checks one with nobody's help but a header's. */
import { Result } from "effect"
import { type Expected, formatProof, parseProof, type Proven, proofTextMax, verifyProof } from "../block/proof.ts"
import { type BlockHash, decodeHeader } from "../block/header.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { bitsOf } from "../consensus/difficulty.ts"
import { type Address, addressBytes, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { call } from "../http/client.ts"
import { readText, writeFile } from "../io/files.ts"
import { decodeOutpoint, encodeOutpoint } from "../ledger/coin.ts"
import { summaryOf } from "../ledger/summary.ts"
import { formatTransaction } from "../ledger/transaction-text.ts"
import type { Outpoint, TransactionId } from "../ledger/transaction.ts"
import { failure } from "./failure.ts"
import { print, rows } from "./output.ts"

const idForm = /^[0-9a-fA-F]{64}$/
const coinForm = /^([0-9a-fA-F]{64}):(\d{1,10})$/

/** The transaction id, the coin (36 bytes) or the address that a text names. */
export const subjectIn = (text: string, prefix: string): Uint8Array => {
  if (idForm.test(text)) return fromHex(text.toLowerCase())!
  const coin = coinForm.exec(text)
  if (coin !== null && Number(coin[2]) <= 0xffff_ffff) {
    const id = fromHex(coin[1]!.toLowerCase())! as Uint8Array as TransactionId
    return encodeOutpoint({ id, index: Number(coin[2]) })
  }
  const address = parseAddress(text, prefix)
  if (isAddress(address)) return address
  throw failure(
    "usage",
    "subject-invalid",
    `${text} is no transaction id and no coin (ID:INDEX); as an address it ${address.wrong}.`
  )
}

/** The hash of a header, given as such or as the header's bytes. */
const headerIn = (text: string): BlockHash => {
  const bytes = fromHex(text.toLowerCase())
  if (bytes?.length === 32) return bytes as BlockHash
  const header = bytes === undefined ? undefined : decodeHeader(bytes)
  if (header !== undefined) return header.hash
  throw failure("usage", "header-invalid", "--header takes a block hash or a whole header, in hex.")
}

const verified = (bytes: Uint8Array, expected: Expected): Proven => {
  const outcome = verifyProof(bytes, expected)
  if (Result.isSuccess(outcome)) return outcome.success
  throw failure("refused", outcome.failure.code, outcome.failure.message)
}

const coinText = ({ id, index }: Outpoint): string => `${toHex(id)}:${index}`

const sentenceOf = (proven: Proven, prefix: string): string => {
  if (proven.kind === "transaction") {
    const { payer, recipient, amount } = summaryOf(proven.transaction)
    const [from, to] = [payer, recipient].map((address) => address && formatAddress(address, prefix))
    return `${from ?? "A coinbase"} paid ${to ?? "nobody"} ${amount} base units: the transaction is in the block.`
  }
  if (proven.kind === "coin") {
    const { coin, outpoint } = proven
    const name = `The coin ${coinText(outpoint)}`
    return coin === undefined
      ? `${name} is not there after the block: it is spent, or was never made.`
      : `${name} is there after the block: ${coin.amount} base units of ${formatAddress(coin.owner, prefix)}.`
  }
  const address = formatAddress(proven.address, prefix)
  const { account } = proven
  return account === undefined
    ? `${address} has no account after the block: it was never paid.`
    : `${address} has ${account.balance} base units and has sent ${account.nonce} transfers after the block.`
}

const factsOf = (proven: Proven, prefix: string) => {
  switch (proven.kind) {
    case "transaction":
      return { kind: proven.kind, transaction: formatTransaction(proven.transaction, prefix) }
    case "account":
      return { kind: proven.kind, address: formatAddress(proven.address, prefix), account: proven.account ?? null }
    case "coin": {
      const { kind, outpoint, coin } = proven
      const shown = coin === undefined ? null : { ...coin, owner: formatAddress(coin.owner, prefix) }
      return { kind, transaction_id: toHex(outpoint.id), index: outpoint.index, coin: shown }
    }
  }
}

/** A header from anybody may say a time that no calendar has. */
const timeText = (ms: number): string => (ms <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`)

/** What a proof has shown, for programs and for people. `trust`: why its header is trusted; undefined: it is not. */
export const describeProof = (
  proven: Proven,
  { prefix, trust }: { readonly prefix: string; readonly trust: string | undefined }
): { readonly value: Readonly<Record<string, unknown>>; readonly lines: ReadonlyArray<string> } => {
  const { header } = proven
  const sealBits = header.height === 0 ? 0 : bitsOf(header.target)
  return {
    value: {
      ...{ valid: true, ...factsOf(proven, prefix) },
      header: {
        hash: header.id,
        height: header.height,
        time: header.time,
        seal_bits: sealBits,
        trusted: trust !== undefined
      }
    },
    lines: [
      sentenceOf(proven, prefix),
      ...rows([
        ...(proven.kind === "transaction" ? ([["id", toHex(proven.transaction.id)]] as const) : []),
        ["header", header.id],
        ["height", `${header.height}, ${timeText(header.time)}`],
        ["sealed", header.height === 0 ? "no: a genesis" : `with about 2^${sealBits} hashes`],
        ["trusted", trust === undefined ? "no: the file brings it; compare it, or use --header" : `yes: ${trust}`]
      ])
    ]
  }
}

const show = (proven: Proven, how: Parameters<typeof describeProof>[1]): void => {
  const { value, lines } = describeProof(proven, how)
  print(value, lines)
}

/** The proof's bytes, as the node gives them, by what they are to be about: 32 bytes are an id, 36 a coin, 20 an address. */
const fetchProof = async (node: string, subject: Uint8Array, prefix: string): Promise<string> => {
  if (subject.length === 32) {
    return (await call(node, "transactionProof", { params: { id: toHex(subject) } })).proof
  }
  if (subject.length === addressBytes) {
    const address = formatAddress(subject as Address, prefix)
    return (await call(node, "accountProof", { params: { address } })).proof
  }
  const { id, index } = decodeOutpoint(subject)
  return (await call(node, "coinProof", { params: { id: toHex(id), index } })).proof
}

/** Takes a proof of a transaction, a coin or an address, checks it and writes it to a file. */
export const getProof = async (options: {
  readonly subject: string
  readonly node: string
  readonly out: string
}): Promise<void> => {
  const { meta } = await call(options.node, "info", { query: { limit: 0 } })
  const prefix = meta.address_prefix
  const subject = subjectIn(options.subject, prefix)
  const bytes = fromHex(await fetchProof(options.node, subject, prefix)) ?? new Uint8Array(0)
  const proven = verified(bytes, { subject })
  writeFile(options.out, formatProof(bytes))
  show(proven, { prefix, trust: undefined })
}

/** Checks a proof file and says what it proves, against which header. */
export const checkProof = (options: {
  readonly file: string
  /** Hash or bytes, in hex, of a header that the reader trusts. */
  readonly header: string | undefined
  /** Transaction id, coin or address that the proof must be about. */
  readonly of: string | undefined
  readonly prefix: string
}): void => {
  const { file, header, of: subject, prefix } = options
  const expected = {
    header: header === undefined ? undefined : headerIn(header),
    subject: subject === undefined ? undefined : subjectIn(subject, prefix)
  }
  const bytes = parseProof(readText(file, proofTextMax))
  if (Result.isFailure(bytes)) throw failure("refused", bytes.failure.code, bytes.failure.message)
  const trust = header === undefined ? undefined : "it is the header that you named"
  show(verified(bytes.success, expected), { prefix, trust })
}
