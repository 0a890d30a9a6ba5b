/** `cairn authority list`: who seals on a chain of authorities, as a node has it. */
import { call } from "../http/client.ts"
import type { ReplyOf } from "../http/contract.ts"
import { paint, print, rows } from "./output.ts"

type View = ReplyOf<"authorities">

/** Seconds until a time of the node's clock. */
const inSeconds = (view: View, at: number): string => `${Math.max(0, (at - view.time) / 1000).toFixed(1)} s`

/** Columns of cells, each as wide as its widest; the first row is the head. */
const table = (cells: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  const lines = cells.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ")}`.trimEnd())
  return [paint("dim", lines[0]!), ...lines.slice(1)]
}

/** The first turn of somebody that is to come, or is now and not taken yet. */
const turnOf = ({ present, next }: View, address: string): number | undefined =>
  present.open && present.leader === address ? present.start : next.find(({ leader }) => leader === address)?.start

const membersOf = (view: View): ReadonlyArray<string> =>
  table([
    ["", "address", "in turn", "out", "missed", "last block", "next turn"],
    ...view.members.map((one) => {
      const turn = turnOf(view, one.address)
      const last = one.last_sealed
      return [
        one.is_self ? "*" : "",
        one.address,
        String(one.in_turn),
        String(one.out_of_turn),
        String(one.missed),
        last === null ? "-" : `${last.height}, ${((view.time - last.time) / 1000).toFixed(1)} s ago`,
        turn === undefined ? "later" : turn <= view.time ? "now" : `in ${inSeconds(view, turn)}`
      ]
    })
  ])

const presentOf = (view: View): string => {
  const { present } = view
  const left = `ends in ${inSeconds(view, present.end)}`
  if (!present.open) return `${present.slot}, of ${present.leader}: sealed, ${left}`
  const others = present.turns[1]
  const open = others === undefined || others.from <= view.time ? "" : `, others in ${inSeconds(view, others.from)}`
  return `${present.slot}, of ${present.leader}: open, ${left}${open}`
}

const ruleText = ({ rule }: View): string => {
  const votes = rule.vote_blocks === 0 ? "the list is fixed" : `votes count for ${rule.vote_blocks} blocks`
  return `slots of ${rule.slot_ms} ms, others from ${rule.out_of_turn_ms} ms on, ${votes}`
}

/** What a view says, for people. */
export const authorityLines = (view: View): ReadonlyArray<string> => [
  ...rows([
    ["rule", ruleText(view)],
    ["tip", `${view.height}, ${view.hash}`],
    ["slot", presentOf(view)],
    ["counted", `${view.window.blocks} blocks, from height ${view.window.from_height} on`]
  ]),
  "",
  ...membersOf(view),
  ...(view.convicted.length === 0 ? [] : ["", ...view.convicted.map((address) => `  convicted  ${address}`)]),
  ...(view.tallies.length === 0 ? [] : [""]),
  ...view.tallies.map(({ vote, subject, votes, needed }) => `  ${vote} ${subject}: ${votes} of ${needed} votes`)
]

/** As many slots as show everybody's next turn, if so many are given. */
const slotsMax = 64

/** Asks the node and prints. */
export const listAuthorities = async (node: string): Promise<void> => {
  const view = await call(node, "authorities", { query: { slots: slotsMax } })
  print(view, authorityLines(view))
}
