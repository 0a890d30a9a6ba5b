/** What a session hears of authorities, for who judges it: proof against them, and their votes on checkpoints. */
import { decodeVote } from "../src/consensus/checkpoint.ts"
import { evidenceId } from "../src/consensus/evidence.ts"
import type { Session } from "../src/peer/session.ts"
import type { ActorRef } from "./actor.ts"
import type { BallotsMessage, FinalityMessage } from "./authority-protocol.ts"
import type { SessionId } from "./protocol.ts"

export interface AuthorityPorts {
  readonly id: SessionId
  /** Who judges authorities, and what there is against those of now; undefined: the chain has none. */
  readonly judge?: {
    readonly ballots: ActorRef<BallotsMessage>
    readonly unpunished: () => ReadonlyArray<Uint8Array>
  }
  /** Undefined: the chain's authorities do not vote on checkpoints. */
  readonly finality: ActorRef<FinalityMessage> | undefined
}

/** Whom it came from pays for what it was. */
type Punish = (code: string) => void

/** What proves nothing no honest node tells: it would not have believed it. */
export const hearEvidence = (
  { id, judge }: AuthorityPorts,
  heard: { readonly session: Session; readonly bytes: Uint8Array },
  punish: Punish
): void => {
  heard.session.know(evidenceId(heard.bytes))
  const refused = (): void => punish("evidence-false")
  if (judge === undefined) return refused()
  judge.ballots.tell({ _tag: "Told", bytes: heard.bytes.slice(), from: id, refused })
}

/** Has the peer not heard of this evidence, from us or by itself? From now on it has. */
export const isNews = (session: Session, evidence: Uint8Array): boolean =>
  session.news([evidenceId(evidence)]).length > 0

/** Votes of a form that none has are its sender's fault, and so are any where nobody votes. */
export const hearVotes = ({ id, finality }: AuthorityPorts, list: ReadonlyArray<Uint8Array>, punish: Punish): void => {
  const votes = list.map(decodeVote).filter((vote) => vote !== undefined)
  if (votes.length < list.length || finality === undefined) return punish("checkpoint-vote-malformed")
  finality.tell({ _tag: "Votes", session: id, votes })
}
