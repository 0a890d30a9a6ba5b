/** A signer that others ask: it reads the header itself, so it signs only what is one, of its chain and its key, in its time. */
import { Result } from "effect"
import { decodeHeader, type Header } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { chainTag } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import { slotOf } from "../consensus/rota.ts"
import { sealHash } from "../block/seal.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Unsigned } from "./protection.ts"
import { type SignedBook, signOnce } from "./signer.ts"
import { formatAnswer, parseQuestion, type SigningAnswer } from "./signing-lines.ts"

export interface Holder {
  readonly rules: Rules
  readonly key: Keypair
  readonly book: SignedBook
  readonly now: () => number
}

/** Why this is no header that the key's owner would seal; undefined: it is one. */
export const headerFault = (
  { rules, key, now }: Omit<Holder, "book">,
  header: Header | undefined
): Unsigned | undefined => {
  const { consensus, spec, genesis } = rules
  if (header === undefined || header.authority === undefined)
    return { code: "header-malformed", message: "the bytes are no header of version 2" }
  const foreign = (message: string): Unsigned => ({ code: "header-foreign", message })
  if (header.chainTag !== chainTag(spec.ledger.chainId)) return foreign("the header is of another chain")
  if (!equal(header.proposer, key.address)) return foreign("the header is for another authority to seal")
  if (header.height === 0) return foreign("nobody seals a genesis")
  if (header.height === 1 && !equal(header.previous, genesis.header.hash))
    return foreign("the header stands on another genesis")
  if (header.time <= spec.genesis.time) return foreign("the header is not later than the genesis")
  if (!consensus.checkSeal(header)) return foreign("the header lacks the work that its target asks for")
  const ahead = header.time - now()
  return ahead > spec.time.futureMsMax
    ? {
        code: "slot-ahead",
        message: `the header is ${ahead} ms ahead of our clock; the chain allows ${spec.time.futureMsMax}`
      }
    : undefined
}

/** What the signer answers to one line. Ends the connection: undefined, for a line that is no question. */
export const answerTo = (holder: Holder, line: string): string | undefined => {
  const question = parseQuestion(line)
  if (question === undefined) return undefined
  const { kind, id, bytes } = question
  const answer = (outcome: Result.Result<Uint8Array, Unsigned>): SigningAnswer =>
    Result.isSuccess(outcome) ? { id, signature: outcome.success } : { id, refused: outcome.failure }
  if (kind !== "seal") {
    const unknown = { code: "kind-unknown", message: "this signer gives seals only" } as const
    return formatAnswer(answer(Result.fail(unknown)))
  }
  // The hash is made of the bytes: what the asker calls it does not matter.
  const header = decodeHeader(bytes)
  const fault = headerFault(holder, header)
  if (fault !== undefined) return formatAnswer(answer(Result.fail(fault)))
  const slot = slotOf(holder.rules.consensus.author!.rota, header!.time)
  const sealed = signOnce(holder.key, holder.book, { next: { kind: "seal", slot }, hash: sealHash(header!.hash) })
  return formatAnswer(answer(Result.map(sealed, ({ signature }) => signature)))
}

/** The answer to a line that is no question, before the connection ends. */
export const lineRefused = formatAnswer({
  id: 0,
  refused: { code: "line-malformed", message: "that is no question; see docs/protocol.md, Signing socket" }
})
