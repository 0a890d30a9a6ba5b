/** Simulated authorities, counted: how many slots have a block, and how many of these their leader has sealed. */
import type { Action, Plan } from "../../src/sim/plan.ts"
import { type Report, simulate } from "../../src/sim/run.ts"
import { rulesOf } from "../../src/sim/rules.ts"
import { slotOf } from "../../src/consensus/rota.ts"

export interface SlotsWish {
  readonly authorities: number
  readonly blockMs: number
  readonly minutes: number
  readonly actions?: ReadonlyArray<Action>
  readonly seed?: number
}

export interface Slots {
  readonly report: Report
  /** Of each slot of n0's best branch that has a block, up to the end of the work: who sealed it, and its weight. */
  readonly blocks: ReadonlyMap<number, { readonly by: string; readonly weight: number; readonly id: string }>
  /** Slots that were over by then. */
  readonly slots: number
  /** Milliseconds from a time until all nodes have one tip. */
  readonly agreedAfter: (at: number) => number
}

/** So many authorities that all know each other, without faults but those that are wished for. */
export const planOf = ({ authorities, blockMs, minutes, actions = [], seed = 1 }: SlotsWish): Plan => {
  const names = Array.from({ length: authorities }, (_, i) => `n${i}`)
  return {
    seed,
    ledger: "account",
    authority: { bits: 0, traitors: 0 },
    nodes: names.map((name, i) => ({
      name,
      address: `10.0.0.${i + 1}`,
      seeds: names.slice(0, i),
      hashesPerSecond: 20
    })),
    wallets: 2,
    blockMs,
    endMs: minutes * 60_000,
    strategy: "uniform",
    preempt: 0.02,
    squeeze: 1,
    actions
  }
}

/** The node is off from the beginning to the end. */
export const dead = (node: string, { minutes }: Pick<SlotsWish, "minutes">): Action => ({
  at: 1,
  do: "crash",
  node,
  mute: true,
  ms: minutes * 60_000
})

/** Runs them. What fails in a run is in its report. */
export const runSlots = (wish: SlotsWish): Slots => {
  const plan = planOf(wish)
  const rules = rulesOf(plan)
  const { rota } = rules.consensus.author!
  const slots = Math.floor(plan.endMs / wish.blockMs) - 1
  const agreed: Array<number> = []
  let blocks = new Map<number, { by: string; weight: number; id: string }>()
  const report = simulate(plan, {
    check: (moved, nodes) => {
      const up = [...nodes.values()].filter((node) => node.up)
      const at = moved.host.now - moved.skewMs - rota.genesisTime
      if (new Set(up.map(({ store }) => store.tip().header.id)).size === 1) agreed.push(at)
      if (moved.name !== "n0" || at > plan.endMs) return undefined
      const before = blocks
      blocks = new Map()
      for (let { height } = moved.store.tip().header; height > 0; height--) {
        const { time, proposer, authority, id } = moved.store.bestAt(height)!.header
        const slot = slotOf(rota, time)
        if (before.get(slot)?.id === id) {
          for (const [known, block] of before) if (known <= slot) blocks.set(known, block)
          break
        }
        if (slot <= slots) blocks.set(slot, { by: proposer.toHex(), weight: authority!.weight, id })
      }
      return undefined
    }
  })
  return {
    report,
    blocks,
    slots,
    agreedAfter: (at) => (agreed.find((one) => one >= at) ?? Number.POSITIVE_INFINITY) - at
  }
}

/** Blocks a slot, and the share of them that their leader sealed. */
export const ratesOf = ({ blocks, slots }: Slots): { readonly perSlot: number; readonly inTurn: number } => {
  const led = [...blocks.values()].filter(({ weight }) => weight === 2).length
  return { perSlot: blocks.size / slots, inTurn: led / blocks.size }
}
