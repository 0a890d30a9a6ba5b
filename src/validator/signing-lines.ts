/** The lines of the signing socket, as bytes have them. See docs/protocol.md, "Signing socket". */
import { concat, fromHex, readU64, toHex, writeU64 } from "../codec/bytes.ts"
import { authorityHeaderBytes, type BlockHash, decodeHeader, type Header } from "../block/header.ts"
import type { Checkpoint } from "../consensus/checkpoint.ts"
import { type Unsigned, unsignedCodes } from "./protection.ts"

export const signingVersion = 1

/** What a signer says of itself when somebody connects. */
export interface Greeting {
  readonly chainId: string
  /** Hex of 32 bytes. */
  readonly genesis: string
  /** 33 bytes. */
  readonly publicKey: Uint8Array
}

export const formatGreeting = ({ chainId, genesis, publicKey }: Greeting): string =>
  `cairn-signer ${signingVersion} ${chainId} ${genesis} ${toHex(publicKey)}`

/** Undefined: no greeting, or of another version. */
export const parseGreeting = (line: string): Greeting | undefined => {
  const match = /^cairn-signer 1 ([a-z0-9-]{1,32}) ([0-9a-f]{64}) ([0-9a-f]{66})$/.exec(line)
  if (match === null) return undefined
  return { chainId: match[1]!, genesis: match[2]!, publicKey: fromHex(match[3]!, 33)! }
}

/** A question. What is asked for is the kind's own: for a seal, the bytes of the header; for a vote, see `encodeVoteAsk`. */
export interface Question {
  readonly kind: string
  /** The asker's number for it, which the answer repeats. */
  readonly id: number
  readonly bytes: Uint8Array
}

export const formatQuestion = ({ kind, id, bytes }: Question): string => `${kind} ${id} ${toHex(bytes)}`

const idForm = /^(?:0|[1-9]\d{0,15})$/
const idOf = (text: string | undefined): number | undefined =>
  text !== undefined && idForm.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER ? Number(text) : undefined

const sourceBytes = 40
/** Bytes of what is asked for, at most: those of a vote. */
const askBytesMax = sourceBytes + authorityHeaderBytes

/** What is asked for in a vote: u64 height and 32 bytes hash of the source, the bytes of the target's header. */
export const encodeVoteAsk = ({
  source,
  target
}: {
  readonly source: Checkpoint
  readonly target: Pick<Header, "bytes">
}): Uint8Array => {
  const height = new Uint8Array(8)
  writeU64(height, 0, source.height)
  return concat(height, source.hash, target.bytes)
}

/** Undefined: the bytes are no vote's, or their target no header. */
export const decodeVoteAsk = (
  bytes: Uint8Array
): { readonly source: Checkpoint; readonly target: Header } | undefined => {
  if (bytes.length !== askBytesMax) return undefined
  const height = readU64(bytes, 0)
  const hash = bytes.slice(8, sourceBytes)
  const target = decodeHeader(bytes.slice(sourceBytes))
  if (height === undefined || target === undefined) return undefined
  return { source: { height, hash: hash as BlockHash, id: toHex(hash) }, target }
}

const questionForm = new RegExp(`^([a-z]{1,16}) (\\d+) ((?:[0-9a-f]{2}){1,${askBytesMax}})$`)

/** Undefined: no question in any version. */
export const parseQuestion = (line: string): Question | undefined => {
  const match = questionForm.exec(line)
  const id = idOf(match?.[2])
  return match === null || id === undefined ? undefined : { kind: match[1]!, id, bytes: fromHex(match[3]!)! }
}

/** The answer to one question. */
export type SigningAnswer =
  | { readonly id: number; readonly signature: Uint8Array }
  | { readonly id: number; readonly refused: Unsigned }

/** Characters of the words of a refusal. */
const messageCharsMax = 200

export const formatAnswer = (answer: SigningAnswer): string => {
  if ("signature" in answer) return `signed ${answer.id} ${toHex(answer.signature)}`
  const { code, message } = answer.refused
  return `refused ${answer.id} ${code} ${message.replace(/[^\x20-\x7e]/g, "?").slice(0, messageCharsMax)}`
}

/** Undefined: no answer. */
export const parseAnswer = (line: string): SigningAnswer | undefined => {
  const signed = /^signed (\d+) ([0-9a-f]{128})$/.exec(line)
  const id = idOf((signed ?? /^refused (\d+) /.exec(line))?.[1])
  if (id === undefined) return undefined
  if (signed !== null) return { id, signature: fromHex(signed[2]!, 64)! }
  const refused = /^refused \d+ ([a-z-]{1,32}) ([\x20-\x7e]{0,200})$/.exec(line)
  if (refused === null) return undefined
  const code = unsignedCodes.find((known) => known === refused[1]) ?? "signer-refused"
  return { id, refused: { code, message: refused[2]! } }
}
