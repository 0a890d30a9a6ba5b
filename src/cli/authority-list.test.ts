/** The table of authorities: whose turn it is, by the node's clock. */
import { expect, test } from "bun:test"
import type { ReplyOf } from "../http/contract.ts"
import { authorityLines } from "./authority-list.ts"

type View = ReplyOf<"authorities">
const member = (address: string, place: number): View["members"][number] => ({
  ...{ address, place, is_self: address === "b", last_sealed: null, in_turn: place, out_of_turn: 0, missed: 7 }
})

const view = (time: number, open: boolean): View => ({
  rule: { slot_ms: 2000, out_of_turn_ms: 1000, vote_blocks: 9, allow_empty: true, pace: null, checkpoint_blocks: null },
  ...{ height: 4, hash: "00", time },
  members: [{ ...member("a", 0), last_sealed: { height: 4, slot: 5, time: 9_000 } }, member("b", 1), member("c", 2)],
  convicted: ["d"],
  window: { blocks: 4, from_height: 1, from_slot: 2 },
  present: {
    ...{ slot: 5, start: 10_000, end: 12_000, leader: "a", open },
    turns: [
      { address: "a", from: 10_000, weight: 2, may_seal: open },
      { address: "b", from: 11_000, weight: 1, may_seal: open && time >= 11_000 },
      { address: "c", from: 11_500, weight: 1, may_seal: open && time >= 11_500 }
    ]
  },
  recent: [],
  next: [{ slot: 6, start: 12_000, leader: "b" }],
  votes: [],
  tallies: [{ vote: "expel", subject: "c", votes: 1, needed: 2 }]
})

const rowsOf = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.map((line) => line.replace(/\s+/g, " ").trim())

test("an open slot counts down to its end and to when others may; the next turn of each is told", () => {
  const lines = rowsOf(authorityLines(view(10_400, true)))
  expect(lines).toContain("slot 5, of a: open, ends in 1.6 s, others in 0.6 s")
  expect(lines).toContain("a 0 0 7 4, 1.4 s ago now")
  expect(lines).toContain("* b 1 0 7 - in 1.6 s")
  expect(lines).toContain("c 2 0 7 - later")
  expect(lines).toContain("convicted d")
  expect(lines).toContain("expel c: 1 of 2 votes")
  expect(rowsOf(authorityLines(view(11_000, true)))).toContain("slot 5, of a: open, ends in 1.0 s")
})

test("a slot that is sealed is nobody's any more", () => {
  const lines = rowsOf(authorityLines(view(10_400, false)))
  expect(lines).toContain("slot 5, of a: sealed, ends in 1.6 s")
  expect(lines).toContain("a 0 0 7 4, 1.4 s ago later")
})
