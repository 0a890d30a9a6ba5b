/**
 * What nodes ask each other by HTTP when there is no session: headers after a locator and blocks by their hashes, as the bytes
 * that a session would carry. See docs/protocol.md, "By HTTP". Reads answers strictly; nothing here throws.
 */
import { Result } from "effect"
import { type Block, decodeBlock } from "../block/block.ts"
import { decodeHeader, type Header, splitHeaders } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { nodeUrlCharsMax, rawBlocksMax, rawHeadersMax } from "../limits.ts"
import type { Claim } from "./claims.ts"

/** Why an answer is not used. In docs/errors.md. */
export const rawFaults = [
  "answer-refused",
  "answer-malformed",
  "chain-mismatch",
  "headers-unlinked",
  "headers-endless",
  "headers-refused",
  "body-missing",
  "body-wrong",
  "body-refused"
] as const
export type RawFault = (typeof rawFaults)[number]

/** A URL of a node, without what stands behind its path: as it is shown, compared and asked. Undefined: it is none. */
export const parseNodeUrl = (text: string): string | undefined => {
  const url = text.length > nodeUrlCharsMax ? null : URL.parse(text.trim())
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") return undefined
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`
}

export const headersUrl = (base: string, locator: ReadonlyArray<string>): string =>
  `${base}/api/headers/raw?locator=${locator.join(",")}&limit=${rawHeadersMax}`

export const blocksUrl = (base: string, ids: ReadonlyArray<string>): string =>
  `${base}/api/blocks/raw?hashes=${ids.slice(0, rawBlocksMax).join(",")}`

type Fields = Readonly<Record<string, unknown>>

/** The object of an answer that is well; else why not. */
export const readAnswer = (status: number, body: string): Result.Result<Fields, RawFault> => {
  if (status !== 200) return Result.fail("answer-refused")
  try {
    const value: unknown = JSON.parse(body)
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
    return isObject ? Result.succeed(value as Fields) : Result.fail("answer-malformed")
  } catch {
    return Result.fail("answer-malformed")
  }
}

const bytesIn = (value: unknown): Uint8Array | undefined => (typeof value === "string" ? fromHex(value) : undefined)

const readClaim = (value: unknown): Claim | undefined => {
  const { height, hash, cumulative_work: work } = (value ?? {}) as Fields
  if (!Number.isSafeInteger(height) || (height as number) < 0) return undefined
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return undefined
  return typeof work === "string" && /^\d{1,78}$/.test(work)
    ? { height: height as number, hash, work: BigInt(work) }
    : undefined
}

export interface HeadersPage {
  /** What the node says of its best branch. */
  readonly claim: Claim
  readonly headers: ReadonlyArray<Header>
  /** As many as a page has: there may be another. */
  readonly full: boolean
}

const readHeaders = (bytes: Uint8Array): ReadonlyArray<Header> | undefined => {
  const headers: Array<Header> = []
  for (const row of splitHeaders(bytes)) {
    // A copy: a header that is kept must not keep its whole page.
    const header = headers.length < rawHeadersMax ? decodeHeader(row.slice()) : undefined
    if (header === undefined) return undefined
    headers.push(header)
  }
  return headers
}

/** Does each build on the one before it, and the first on one of ours? Whether they are sealed the chain says. */
const isLinked = (headers: ReadonlyArray<Header>, locator: ReadonlyArray<string>): boolean =>
  headers.every((header, i) => {
    const before = headers[i - 1]
    const previous = toHex(header.previous)
    return before === undefined
      ? locator.includes(previous)
      : previous === before.id && header.height === before.height + 1
  })

/** A page of headers after a locator that we sent. */
export const readHeadersPage = (
  { status, body }: { readonly status: number; readonly body: string },
  { genesis }: Pick<Rules, "genesis">,
  locator: ReadonlyArray<string>
): Result.Result<HeadersPage, RawFault> => {
  const read = readAnswer(status, body)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { genesis: theirs, tip, headers: hex } = read.success
  if (typeof theirs !== "string") return Result.fail("answer-malformed")
  if (theirs !== genesis.header.id) return Result.fail("chain-mismatch")
  const claim = readClaim(tip)
  const bytes = bytesIn(hex)
  const headers = bytes === undefined ? undefined : readHeaders(bytes)
  if (claim === undefined || headers === undefined) return Result.fail("answer-malformed")
  if (!isLinked(headers, locator)) return Result.fail("headers-unlinked")
  return Result.succeed({ claim, headers, full: headers.length === rawHeadersMax })
}

/** Blocks that were asked for: the first of them in their order, one at least. */
export const readBlocksPage = (
  { status, body }: { readonly status: number; readonly body: string },
  { ledger }: Pick<Rules, "ledger">,
  ids: ReadonlyArray<string>
): Result.Result<ReadonlyArray<Block>, RawFault> => {
  const read = readAnswer(status, body)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { blocks: list } = read.success
  if (!Array.isArray(list) || list.length > ids.length) return Result.fail("answer-malformed")
  if (list.length === 0) return Result.fail("body-missing")
  const blocks: Array<Block> = []
  for (const [i, hex] of list.entries()) {
    const bytes = bytesIn(hex)
    if (bytes === undefined) return Result.fail("answer-malformed")
    const block = decodeBlock(bytes, ledger)
    if (Result.isFailure(block) || block.success.header.id !== ids[i]) return Result.fail("body-wrong")
    blocks.push(block.success)
  }
  return Result.succeed(blocks)
}

/** Endpoints that a directory names, at most `max`; what has another form is left out. */
export const readDirectory = (
  { status, body }: { readonly status: number; readonly body: string },
  isEndpoint: (text: string) => boolean,
  max: number
): ReadonlyArray<string> => {
  const read = readAnswer(status, body)
  const peers = Result.isSuccess(read) ? read.success["peers"] : undefined
  if (!Array.isArray(peers)) return []
  return peers.slice(0, max).filter((peer): peer is string => typeof peer === "string" && isEndpoint(peer))
}
