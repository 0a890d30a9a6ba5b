/** A signer that others ask: it reads the header itself, so it seals and votes for only what is one, of its chain, in its time. */
import { Result } from "effect"
import { decodeHeader, type Header } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { chainTag } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import { slotOf } from "../consensus/rota.ts"
import { sealHash } from "../block/seal.ts"
import { type Checkpoint, voteHash } from "../consensus/checkpoint.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Unsigned } from "./protection.ts"
import { type SignedBook, signOnce } from "./signer.ts"
import { decodeVoteAsk, formatAnswer, parseQuestion, type Question, type SigningAnswer } from "./signing-lines.ts"

export interface Holder {
  readonly rules: Rules
  readonly key: Keypair
  readonly book: SignedBook
  readonly now: () => number
}

type Outcome = Result.Result<Uint8Array, Unsigned>

const malformed: Unsigned = { code: "header-malformed", message: "the bytes are no header of version 2" }
const foreign = (message: string): Unsigned => ({ code: "header-foreign", message })

/** Why no authority of this chain seals, or has sealed, this header by now; undefined: one may. */
const headerFault = ({ rules, now }: Holder, header: Header): Unsigned | undefined => {
  const { consensus, spec, genesis } = rules
  if (header.authority === undefined) return malformed
  if (header.chainTag !== chainTag(spec.ledger.chainId)) return foreign("the header is of another chain")
  if (header.height === 0) return foreign("the header is of a genesis")
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

/** Why no honest authority votes so, whatever the chain is; undefined: one may. */
const voteFault = ({ rules }: Holder, every: number, source: Checkpoint, target: Header): Unsigned | undefined => {
  const { genesis, consensus } = rules
  const { height } = target
  if (source.height % every !== 0 || height % every !== 0)
    return { code: "vote-malformed", message: `heights ${source.height} and ${height} are not both of checkpoints` }
  if (source.height === 0 && !equal(source.hash, genesis.header.hash)) return foreign("the source is another genesis")
  // Else one wrong question with a huge height would be the last that is answered.
  if (height > slotOf(consensus.author!.rota, target.time) + 1)
    return foreign("the target is higher than a block a slot can have made it")
  return undefined
}

const seal = (holder: Holder, bytes: Uint8Array): Outcome => {
  // The hash is made of the bytes: what the asker calls it does not matter.
  const header = decodeHeader(bytes)
  if (header === undefined) return Result.fail(malformed)
  const isOurs = equal(header.proposer, holder.key.address)
  const fault =
    headerFault(holder, header) ?? (isOurs ? undefined : foreign("the header is for another authority to seal"))
  if (fault !== undefined) return Result.fail(fault)
  const slot = slotOf(holder.rules.consensus.author!.rota, header.time)
  const signed = signOnce(holder.key, holder.book, { next: { kind: "seal", slot }, hash: sealHash(header.hash) })
  return Result.map(signed, ({ signature }) => signature)
}

const vote = (holder: Holder, every: number, bytes: Uint8Array): Outcome => {
  const asked = decodeVoteAsk(bytes)
  if (asked === undefined) return Result.fail(malformed)
  const { source, target } = asked
  const { consensus, genesis } = holder.rules
  const fault = headerFault(holder, target) ?? voteFault(holder, every, source, target)
  if (fault !== undefined) return Result.fail(fault)
  const slot = slotOf(consensus.author!.rota, target.time)
  const signed = signOnce(holder.key, holder.book, {
    next: { kind: "vote", source: source.height, target: target.height, slot },
    hash: voteHash(genesis.header.hash, asked)
  })
  return Result.map(signed, ({ signature }) => signature)
}

const outcomeOf = (holder: Holder, { kind, bytes }: Question): Outcome => {
  const every = holder.rules.spec.authority?.finality?.checkpointBlocks
  if (kind === "seal") return seal(holder, bytes)
  if (kind === "vote" && every !== undefined) return vote(holder, every, bytes)
  const message = kind === "vote" ? "nobody votes on this chain" : "this signer gives seals and votes only"
  return Result.fail({ code: "kind-unknown", message })
}

/** What the signer answers to one line. Ends the connection: undefined, for a line that is no question. */
export const answerTo = (holder: Holder, line: string): string | undefined => {
  const question = parseQuestion(line)
  if (question === undefined) return undefined
  const { id } = question
  const outcome = outcomeOf(holder, question)
  const answer: SigningAnswer = Result.isSuccess(outcome)
    ? { id, signature: outcome.success }
    : { id, refused: outcome.failure }
  return formatAnswer(answer)
}

/** The answer to a line that is no question, before the connection ends. */
export const lineRefused = formatAnswer({
  id: 0,
  refused: { code: "line-malformed", message: "that is no question; see docs/protocol.md, Signing socket" }
})
