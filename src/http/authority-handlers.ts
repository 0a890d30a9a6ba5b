/** What authorities say of each other. On a chain without them every one of these routes says so. */
import { Effect } from "effect"
import type { Header } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { encodeEvidence } from "../consensus/evidence.ts"
import { type Address, formatAddress } from "../crypto/address.ts"
import type { NodeShape } from "../node/node.ts"
import type { EvidenceView, VotesView } from "../node/authorities.ts"
import type { ReplyOf } from "./contract.ts"
import type { Handlers } from "./exchange.ts"
import { addressIn } from "./input.ts"
import { problem } from "./problem.ts"

const withoutAuthorities = problem(
  404,
  "authorities-missing",
  "This chain has no authorities: whoever does the work may seal."
)

const votesJson = (view: VotesView, text: (address: Address) => string): ReplyOf<"votes"> => ({
  height: view.height,
  authorities: view.members,
  vote_blocks: view.voteBlocks,
  wishes: view.wishes.map(({ vote, subject, since, state }) => ({ vote, subject: text(subject), since, state })),
  motions: view.motions.map(({ vote, subject, voters, lacking }) => ({
    vote,
    subject: text(subject),
    voters: voters.map(text),
    votes: voters.length,
    lacking
  }))
})

const sealedJson = ({ id, height, time, previous, bytes }: Header) => ({
  hash: id,
  height,
  time,
  previous_hash: toHex(previous),
  header: toHex(bytes)
})

const offenceJson = (
  view: EvidenceView,
  text: (address: Address) => string
): ReplyOf<"evidence">["evidence"][number] => ({
  authority: text(view.authority),
  slot: view.slot,
  found_at: view.found,
  standing: view.standing,
  ours: view.isOurs,
  evidence: toHex(encodeEvidence(view)),
  first: sealedJson(view.first),
  second: sealedJson(view.second)
})

export const authorityHandlers = (node: NodeShape): Pick<Handlers, "votes" | "vote" | "evidence"> => {
  const text = (address: Address): string => formatAddress(address, node.facts.rules.spec.addressPrefix)
  return {
    votes: () =>
      Effect.map(node.votes(), (view) => (view === undefined ? withoutAuthorities : { reply: votesJson(view, text) })),
    vote: ({ body }) => {
      const { vote, subject } = body as { readonly vote: "admit" | "expel" | "forget"; readonly subject: string }
      const address = addressIn(node, subject)
      if ("code" in address) return Effect.succeed(address)
      return Effect.map(node.vote(vote, address), (view) => ({ reply: votesJson(view, text) }))
    },
    evidence: () =>
      Effect.map(node.evidence(), (list) =>
        list === undefined
          ? withoutAuthorities
          : { reply: { evidence: list.map((view) => offenceJson(view, text)), count: list.length } }
      )
  }
}
