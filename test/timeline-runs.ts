/** Runs for the timeline's tests: one made by hand whose every line is known, and generated ones of any size. */
import { toHex } from "../src/codec/bytes.ts"
import { makeDice } from "../src/sim/dice.ts"
import type { Lane, Note, Run, Sealed, Sent, TipAt } from "../src/sim/trace.ts"

const sent = (step: number, sentAt: number, kind: string, from: number, to: number, begunAt?: number): Sent => ({
  kind,
  from,
  to,
  sentAt,
  begunAt,
  taken: true,
  step
})

/**
 * Two nodes, parted from 20 to 60 ms. Each seals a block of height 1; oak's second block wins when they meet again. One message is
 * lost at a full inbox, one is never begun, three are of one millisecond.
 */
export const handMadeRun: Run = {
  title: "partition, seed 7",
  facts: [
    ["seed", "7"],
    ["nodes", "2"]
  ],
  endMs: 100,
  lanes: [
    { node: "oak", actor: "chain" },
    { node: "oak", actor: "session" },
    { node: "yew", actor: "chain" },
    { node: "yew", actor: "session" }
  ],
  messages: [
    sent(1, 10, "Mined", -1, 0, 10),
    sent(2, 10, "TipMoved", 0, 1, 10),
    sent(3, 10, "Announce", 0, 1, 12),
    sent(5, 30, "Mined", -1, 2, 30),
    sent(6, 30, "TipMoved", 2, 3, 34),
    { ...sent(8, 40, "Block", 1, 0), taken: false },
    sent(9, 50, "Mined", -1, 0, 50),
    sent(12, 70, "Block", 3, 2, 90),
    sent(14, 95, "Tick", -1, 3)
  ],
  forgotten: 0,
  spans: [{ kind: "partition", from: 20, to: 60, nodes: ["oak", "yew"], text: "oak | yew" }],
  notes: [
    { at: 40, step: 8, node: "oak", kind: "full", text: "the inbox of chain was full" },
    { at: 90, step: 13, node: "yew", kind: "reorganised", text: "1 block undone, 2 connected" }
  ],
  blocks: [
    { id: "a1", parent: "genesis", height: 1, by: "oak", at: 10 },
    { id: "b1", parent: "genesis", height: 1, by: "yew", at: 30 },
    { id: "a2", parent: "a1", height: 2, by: "oak", at: 50 }
  ],
  tips: [
    { node: "oak", at: 0, block: "genesis" },
    { node: "yew", at: 0, block: "genesis" },
    { node: "oak", at: 10, block: "a1" },
    { node: "yew", at: 30, block: "b1" },
    { node: "oak", at: 50, block: "a2" },
    { node: "yew", at: 90, block: "a2" }
  ],
  failure: { at: 95, text: "yew never handled Tick" }
}

const actors = ["chain", "mempool", "miner", "sync", "peers", "session"]
const names = ["oak", "elm", "fir", "ash", "yew", "bay", "box", "fig"]
/** Kind, from, to: what moves in a node, by places in `actors`. */
const talk: ReadonlyArray<readonly [kind: string, from: number, to: number]> = [
  ["Frame", -1, 5],
  ["HeadersReceived", 5, 3],
  ["BodyReceived", 5, 3],
  ["Offer", 3, 0],
  ["TipMoved", 0, 1],
  ["TipMoved", 0, 2],
  ["TipMoved", 0, 3],
  ["Submit", -1, 1],
  ["Admitted", 1, 5],
  ["Mined", -1, 2],
  ["Sealed", 2, 0],
  ["Tick", -1, 4],
  ["Dial", 4, 5],
  ["Reply", 0, 5]
]

/** Blocks every ten seconds; each fifth height is sealed twice, and the nodes of the second half follow the loser for a while. */
const chainOf = (
  nodes: ReadonlyArray<string>,
  endMs: number
): { readonly blocks: Array<Sealed>; readonly tips: Array<TipAt> } => {
  const dice = makeDice(3)
  const blocks: Array<Sealed> = []
  const tips: Array<TipAt> = nodes.map((node) => ({ node, at: 0, block: "genesis" }))
  let parent = "genesis"
  for (let height = 1; height * 10_000 < endMs; height++) {
    const at = height * 10_000 + dice.int(4000)
    const [id, rival] = [toHex(dice.bytes(32)), toHex(dice.bytes(32))]
    const isFork = height % 5 === 0
    blocks.push({ id, parent, height, by: dice.pick(nodes), at })
    if (isFork) blocks.push({ id: rival, parent, height, by: dice.pick(nodes), at: at + 1200 })
    for (const [i, node] of nodes.entries()) {
      const misled = isFork && i >= nodes.length / 2
      if (misled) tips.push({ node, at: at + 1300 + dice.int(300), block: rival })
      tips.push({ node, at: at + 40 + dice.int(400) + (misled ? 5000 : 0), block: id })
    }
    parent = id
  }
  return { blocks, tips }
}

/** `count` messages over `endMs` in bursts, with losses, waits and unbegun ones. */
export const generatedRun = (count: number, nodeCount: number, endMs: number): Run => {
  const dice = makeDice(1)
  const nodes = names.slice(0, nodeCount)
  const lanes: Array<Lane> = nodes.flatMap((node) => actors.map((actor) => ({ node, actor })))
  const perBurst = 8
  const bursts = Math.ceil(count / perBurst)
  const messages = Array.from({ length: count }, (_, i): Sent => {
    const [kind, from, to] = dice.pick(talk)
    const base = dice.int(nodes.length) * actors.length
    const at = Math.floor((endMs * Math.floor(i / perBurst)) / bursts) + Math.floor((i % perBurst) / 3)
    const taken = !dice.chance(0.001)
    const begunAt = !taken || dice.chance(0.0005) ? undefined : at + (dice.chance(0.2) ? dice.int(40) : 0)
    return { kind, from: from < 0 ? -1 : base + from, to: base + to, sentAt: at, begunAt, taken, step: i * 3 }
  })
  const notes = Array.from({ length: 40 }, (_, i): Note => ({
    at: Math.floor((endMs * (i + 0.5)) / 40),
    step: Math.floor((count * 3 * (i + 0.5)) / 40),
    node: dice.pick(nodes),
    kind: dice.pick(["crash", "ban", "reorganised", "refused"]),
    text: dice.pick(["depth 2, 3 blocks connected", "the inbox was full", "restarted after 250 ms"])
  }))
  return {
    title: `generated: ${count} messages`,
    facts: [
      ["seed", "1"],
      ["nodes", String(nodes.length)],
      ["preemption", "0.1"]
    ],
    endMs,
    lanes,
    messages,
    forgotten: 0,
    spans: [
      {
        kind: "partition",
        from: endMs * 0.2,
        to: endMs * 0.34,
        nodes: nodes.slice(0, 2),
        text: `${nodes.slice(0, 2).join(" ")} | the others`
      },
      { kind: "slow disk", from: endMs * 0.5, to: endMs * 0.58, nodes: nodes.slice(2, 3), text: "40 ms per write" },
      { kind: "latency", from: endMs * 0.7, to: endMs * 0.75, nodes: [], text: "up to 900 ms" }
    ],
    notes,
    ...chainOf(nodes, endMs),
    failure: undefined
  }
}
