/**
 * Proof of authority: a block is sealed by the signature of an authority, in its turn of the rota or after a delay in
 * another's. Asks the difficulty rule for work too; of 0 bits it asks for none. See docs/decisions/0022.
 */
import { assert } from "../assert.ts"
import type { Block } from "../block/block.ts"
import type { AuthorityRule, ChainSpec } from "../block/genesis.ts"
import type { Header } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import { isSent } from "../ledger/transaction.ts"
import { lastVoteOf, placeOf, Rolls, voteFault } from "./authorities.ts"
import type { Ancestry, AuthorFault, AuthorRules, Consensus } from "./consensus.ts"
import { decodeEvidence } from "./evidence.ts"
import { makePow } from "./pow.ts"
import { nextTurn, type RotaRule, slotOf, slotStart, turnIn } from "./rota.ts"
import { isSealed } from "../block/seal.ts"

const fault = (code: AuthorFault["code"], message: string): AuthorFault => ({ code, message })

/** Blocks that are worth little may not come often: `pendingMin` transactions, or `idleMs` after the parent (C-N6). */
const checkPace = (
  { allowEmpty = true, pace }: AuthorityRule,
  sent: number,
  sinceParent: number
): AuthorFault | undefined => {
  if (!allowEmpty && sent === 0) return fault("block-empty", "the chain has no empty blocks")
  if (pace === undefined || sent >= pace.pendingMin || sinceParent >= pace.idleMs) return undefined
  return fault(
    "block-hasty",
    `${sent} transactions ${sinceParent} ms after the parent; ${pace.pendingMin} or ${pace.idleMs} ms are asked for`
  )
}

const makeAuthor = (spec: ChainSpec, rule: AuthorityRule): AuthorRules => {
  const rota: RotaRule = {
    genesisTime: spec.genesis.time,
    slotMs: spec.difficulty.blockMs,
    outOfTurnMs: rule.outOfTurnMs
  }
  const { voteBlocks = 0 } = rule
  const rolls = new Rolls(rule.members, { voteBlocks })
  const authorities: AuthorRules["authorities"] = (ancestry) => rolls.at(ancestry)
  const evidence: AuthorRules["evidence"] = (bytes) => decodeEvidence(rota, spec.ledger.chainId, bytes)

  const checkTurn = (header: Header, ancestry: Ancestry): AuthorFault | undefined => {
    const now = authorities(ancestry)
    const place = placeOf(now, header.proposer)
    if (place < 0) return fault("signer-unknown", "who sealed the block is no authority here")
    const turn = turnIn(rota, now.members.length, place, slotOf(rota, header.time))
    const { weight, vote, subject, lastVote } = header.authority!
    if (weight !== turn.weight)
      return fault(
        "turn-wrong",
        `the header claims weight ${weight}; its sealer's turn in slot ${turn.slot} has ${turn.weight}`
      )
    if (header.time < turn.from)
      return fault("turn-early", `sealed at ${header.time}; in slot ${turn.slot} its sealer may from ${turn.from} on`)
    const wrong = voteFault(now, { voteBlocks }, { vote, subject })
    if (wrong !== undefined) return fault("vote-wrong", `the header carries ${wrong}`)
    if (lastVote !== lastVoteOf(ancestry.parent))
      return fault("vote-wrong", `the last vote is not at height ${lastVote}`)
    return undefined
  }

  const checkBlock = (
    { header, transactions, extra }: Block,
    parent: Pick<Header, "time">
  ): AuthorFault | undefined => {
    const { vote, subject } = header.authority!
    if (vote === "convict") {
      const proof = evidence(extra)
      if (proof === undefined || !equal(proof.authority, subject))
        return fault("evidence-wrong", "the block convicts, and its extra data proves nothing against whom it names")
    }
    // What authorities say of each other does not wait for transactions.
    if (vote !== "none") return undefined
    return checkPace(rule, transactions.filter(isSent).length, header.time - parent.time)
  }

  return {
    rota,
    voteBlocks,
    authorities,
    evidence,
    turn: (ancestry, address, now) => {
      const { members } = authorities(ancestry)
      const place = members.findIndex((member) => equal(member, address))
      const after = slotOf(rota, ancestry.parent.time)
      return place < 0 ? undefined : nextTurn(rota, { count: members.length, place }, { after, now })
    },
    checkHeader: (header, ancestry) => {
      const wrong = checkTurn(header, ancestry)
      if (wrong !== undefined) return wrong
      return isSealed(header)
        ? undefined
        : fault("signature-wrong", "the seal is not its proposer's signature of this header")
    },
    checkBlock,
    checkPace: (sent, time, parent) => checkPace(rule, sent, time - parent.time)
  }
}

/** Authority beside the work of the spec's difficulty rule. */
export const makePoa = (spec: ChainSpec): Consensus => {
  assert(spec.authority !== undefined, "a chain of authorities names them")
  const work = makePow(spec)
  const author = makeAuthor(spec, spec.authority)
  return {
    ...work,
    version: 2,
    earliestTime: ({ parent }) => slotStart(author.rota, slotOf(author.rota, parent.time) + 1),
    work: (header) => work.work(header) * BigInt(Math.max(1, header.authority?.weight ?? 1)),
    author
  }
}
