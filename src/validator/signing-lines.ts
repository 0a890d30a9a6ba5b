/** The lines of the signing socket, as bytes have them. See docs/protocol.md, "Signing socket". */
import { fromHex, toHex } from "../codec/bytes.ts"
import { authorityHeaderBytes } from "../block/header.ts"
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

/** A question. What is asked for is the kind's own: for a seal, the bytes of the header. */
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

const questionForm = new RegExp(`^([a-z]{1,16}) (\\d+) ((?:[0-9a-f]{2}){1,${authorityHeaderBytes}})$`)

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
