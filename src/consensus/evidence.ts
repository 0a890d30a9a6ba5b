/**
 * Proof that an authority sealed two blocks in one slot: their two headers. No honest one ever does, so it convicts by
 * itself, whoever shows it. See docs/protocol.md, "Evidence".
 */
import { concat, compare, equal, toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { authorityHeaderBytes, chainTag, decodeHeader, type Header } from "../block/header.ts"
import { type RotaRule, slotOf } from "./rota.ts"
import { isSealed } from "../block/seal.ts"

export interface Evidence {
  readonly authority: Address
  readonly slot: number
  /** The lower hash first: one form for one offence. */
  readonly first: Header
  readonly second: Header
}

/** Bytes of any evidence. */
export const evidenceBytes = 2 * authorityHeaderBytes

/** The two headers, one after the other. */
export const encodeEvidence = ({ first, second }: Evidence): Uint8Array => concat(first.bytes, second.bytes)

/** What two headers prove; undefined: nothing. Their seals are checked by `decodeEvidence`. */
export const evidenceOf = (rule: RotaRule, a: Header, b: Header): Evidence | undefined => {
  if (a.version !== 2 || b.version !== 2 || a.chainTag !== b.chainTag || !equal(a.proposer, b.proposer))
    return undefined
  const order = compare(a.hash, b.hash)
  const slot = slotOf(rule, a.time)
  if (order === 0 || slot < 1 || slot !== slotOf(rule, b.time)) return undefined
  return { authority: a.proposer, slot, first: order < 0 ? a : b, second: order < 0 ? b : a }
}

/** Names a piece of evidence by its bytes. */
export const evidenceId = (bytes: Uint8Array): string => toHex(sha256(bytes))

/** The evidence of its bytes, but for the two signatures and whether the guilty is an authority; undefined: it proves nothing. */
export const readEvidence = (rule: RotaRule, chainId: string, bytes: Uint8Array): Evidence | undefined => {
  if (bytes.length !== evidenceBytes) return undefined
  const first = decodeHeader(bytes.slice(0, authorityHeaderBytes))
  const second = decodeHeader(bytes.slice(authorityHeaderBytes))
  if (first === undefined || second === undefined || first.chainTag !== chainTag(chainId)) return undefined
  const evidence = evidenceOf(rule, first, second)
  return evidence?.first === first ? evidence : undefined
}

/** The same, signatures checked as well: who is named has done it. */
export const decodeEvidence = (rule: RotaRule, chainId: string, bytes: Uint8Array): Evidence | undefined => {
  const evidence = readEvidence(rule, chainId, bytes)
  return evidence !== undefined && isSealed(evidence.first) && isSealed(evidence.second) ? evidence : undefined
}
