/** The route of the rota: who leads on a chain of authorities. */
import { Effect } from "effect"
import { equal } from "../codec/bytes.ts"
import { inTurnWeight } from "../consensus/rota.ts"
import { type Address, formatAddress } from "../crypto/address.ts"
import type { AuthoritiesView, NodeFacts, NodeShape } from "../node/node.ts"
import type { ReplyOf } from "./contract.ts"
import type { Handlers } from "./exchange.ts"
import { voteJson } from "./json.ts"
import { problem } from "./problem.ts"

/** Slots to come that are shown if nobody says how many. */
const slotsAhead = 16

export const withoutAuthorities = problem(
  404,
  "authorities-missing",
  "Whoever does the work may seal on this chain: it has no authorities."
)

type Reply = ReplyOf<"authorities">

const ruleJson = ({ spec, consensus }: NodeFacts["rules"]): Reply["rule"] => {
  const { outOfTurnMs, voteBlocks = 0, allowEmpty = true, pace, finality } = spec.authority!
  return {
    slot_ms: consensus.author!.rota.slotMs,
    out_of_turn_ms: outOfTurnMs,
    vote_blocks: voteBlocks,
    allow_empty: allowEmpty,
    pace: pace === undefined ? null : { pending_min: pace.pendingMin, idle_ms: pace.idleMs },
    checkpoint_blocks: finality?.checkpointBlocks ?? null
  }
}

/** Who seals, by name. */
const membersJson = (view: AuthoritiesView, text: (address: Address) => string): Reply["members"] =>
  view.members.map(({ address, place, lastSealed, inTurn, outOfTurn, missed }) => ({
    address: text(address),
    place,
    is_self: view.self !== undefined && equal(view.self, address),
    last_sealed: lastSealed ?? null,
    in_turn: inTurn,
    out_of_turn: outOfTurn,
    missed
  }))

const slotsJson = (
  { now, present, recent, next }: AuthoritiesView,
  text: (address: Address) => string
): Pick<Reply, "present" | "recent" | "next"> => ({
  present: {
    ...{ slot: present.slot, start: present.start, end: present.end, leader: text(present.leader), open: present.open },
    turns: present.turns.map(({ address, from, weight }) => ({
      ...{ address: text(address), from, weight },
      may_seal: present.open && from <= now
    }))
  },
  recent: recent.map(({ slot, start, leader, block }) => ({
    ...{ slot, start, leader: text(leader) },
    block:
      block === undefined
        ? null
        : {
            ...{ sealer: text(block.sealer), height: block.height, hash: block.hash },
            in_turn: block.weight === inTurnWeight
          }
  })),
  next: next.map(({ slot, start, leader }) => ({ slot, start, leader: text(leader) }))
})

const authoritiesJson = ({ rules }: NodeFacts, view: AuthoritiesView): Reply => {
  const text = (address: Address): string => formatAddress(address, rules.spec.addressPrefix)
  const { window } = view
  return {
    rule: ruleJson(rules),
    ...{ height: view.tip.height, hash: view.tip.id, time: view.now },
    members: membersJson(view, text),
    convicted: view.convicted.map(text),
    window: { blocks: window.blocks, from_height: window.fromHeight, from_slot: window.fromSlot },
    ...slotsJson(view, text),
    votes: view.votes.map(({ voter, vote, subject, height, lapsesAt }) => ({
      ...{ voter: text(voter), vote: voteJson(vote), subject: text(subject), height },
      lapses_at: lapsesAt
    })),
    tallies: view.tallies.map(({ vote, subject, votes, needed }) => ({
      ...{ vote: voteJson(vote), subject: text(subject), votes, needed }
    }))
  }
}

export const rotaHandlers = (node: NodeShape): Pick<Handlers, "authorities"> => ({
  authorities: ({ query }) =>
    Effect.map(node.authorities((query["slots"] as number | undefined) ?? slotsAhead), (view) =>
      view === undefined ? withoutAuthorities : { reply: authoritiesJson(node.facts, view) }
    )
})
