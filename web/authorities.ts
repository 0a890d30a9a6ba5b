/** The rota as a picture: a lane for each authority, a place for each slot; who sealed, who was late, who is next, and when. */
import type { ReplyOf } from "../src/http/contract.ts"
import { drawLane, type Mark } from "./draw.ts"
import { counted, element, fill, link, make, row, short } from "./text.ts"

type View = ReplyOf<"authorities">
type Offences = ReplyOf<"evidence">["evidence"]

/** Slots shown before the present one and after it. */
const before = 15
const after = 8
/** Lanes drawn; the others are one line. */
const lanesMax = 12
/** Milliseconds between two looks at the clock. */
const lookMs = 100
/** And between two questions to the node. */
const askMs = 1_000

/** What a member has of each slot of the picture: undefined where it has nothing to do with it. */
const marksOf = (view: View, address: string): ReadonlyArray<Mark | undefined> => {
  const bySlot = new Map<number, Mark>()
  for (const { slot, leader, block } of view.recent) {
    if (block?.sealer === address) bySlot.set(slot, block.in_turn ? "sealed" : "instead")
    else if (leader === address) bySlot.set(slot, slot === view.present.slot && block === null ? "now" : "late")
  }
  for (const { slot, leader } of view.next) if (leader === address) bySlot.set(slot, "next")
  return Array.from({ length: before + 1 + after }, (_, i) => bySlot.get(view.present.slot - before + i))
}

const laneOf = (view: View, member: View["members"][number]): HTMLLIElement => {
  const { address, in_turn: inTurn, out_of_turn: outOfTurn, missed } = member
  const told = `${inTurn} in turn · ${outOfTurn} out · ${missed} missed`
  const name = link(member.is_self ? `${short(address)} · this node` : short(address), `#at/${address}`, address)
  const lane = make("li", "lane", make("div", "row spread", name, make("span", "muted", told)))
  lane.append(drawLane(marksOf(view, address), before, `${short(address)}: ${told}`))
  return lane
}

/** What is known against authorities; the page has room for the last ones. */
const offenceRows = (offences: Offences): ReadonlyArray<HTMLLIElement> =>
  offences.slice(-lanesMax).map(({ authority, slot, standing }) => {
    const left = standing === "member" ? "no block has convicted it yet" : "seals no more"
    return row(short(authority), `sealed twice in slot ${slot}: ${left}`, `#at/${authority}`, authority)
  })

const extrasOf = (view: View, offences: Offences): ReadonlyArray<HTMLLIElement> => {
  const more = view.members.length - lanesMax
  const known = new Set(offences.map(({ authority }) => authority))
  return [
    ...(more > 0 ? [row(`and ${more} more`, "")] : []),
    ...view.tallies.map(({ vote, subject, votes, needed }) =>
      row(`${vote} ${short(subject)}`, `${votes} of ${counted(needed, "vote")}`, `#at/${subject}`, subject)
    ),
    ...offenceRows(offences),
    ...view.convicted
      .filter((address) => !known.has(address))
      .map((address) => row(short(address), "convicted", `#at/${address}`, address))
  ]
}

const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`

/** What is to be said of a slot at a time of the node's clock. */
const sayNow = ({ present, next }: View, now: number): string => {
  const follower = next[0]
  const then = follower === undefined ? "" : `, then ${short(follower.leader)}`
  if (now >= present.end) return `Slot ${present.slot} is over${then}.`
  if (!present.open) return `Slot ${present.slot} is sealed. Next in ${seconds(present.end - now)}${then}.`
  const others = present.turns[1]
  const wait = others === undefined || others.from <= now ? "" : ` Others may in ${seconds(others.from - now)}.`
  return `Slot ${present.slot}: ${short(present.leader)} leads, ${seconds(present.end - now)} left${then}.${wait}`
}

/** The panel, from the first view on. `ask` gets the next, `askOffences` what is known against authorities. */
export const makePanel = (ask: () => Promise<View>, askOffences: () => Promise<ReplyOf<"evidence">>): { readonly show: () => Promise<void> } => {
  let view: View | undefined
  let askedAt = 0
  /** How far the node's clock is ahead of ours. */
  let ahead = 0

  const show = async (): Promise<void> => {
    askedAt = Date.now()
    const [got, { evidence }] = await Promise.all([ask(), askOffences()])
    view = got
    ahead = got.time - Date.now()
    element("authorities").hidden = false
    const lanes = got.members.slice(0, lanesMax).map((member) => laneOf(got, member))
    fill(element("rota"), [...lanes, ...extrasOf(got, evidence)], "nobody")
  }

  const look = (): void => {
    if (view === undefined || document.hidden) return
    const now = Date.now() + ahead
    const { start, end } = view.present
    element("rota-now").textContent = sayNow(view, now)
    element("rota").style.setProperty("--gone", String(Math.min(1, Math.max(0, (now - start) / (end - start)))))
    // A slot that passes without a block moves no tip: nobody tells us.
    if (now >= end && Date.now() - askedAt >= askMs) void show().catch(() => {})
  }
  setInterval(look, lookMs)
  return { show }
}
