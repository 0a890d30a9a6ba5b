/** Where two branches part, found by few questions, and what a round comes to in words. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { type Branch, forkHeight, type HeadView, type Round, summaryOf } from "./heads.ts"
import { tableOf } from "./watch.ts"

/** A branch that is like any other up to a height and then its own. It shows nothing between genesis and `floor`. */
const branch = (name: string, wish: { readonly fork: number; readonly height: number; readonly floor?: number }) => {
  const asked: Array<number> = []
  const at = async (height: number): Promise<string | undefined> => {
    asked.push(height)
    if (height > wish.height || (height > 0 && height <= (wish.floor ?? 0))) return undefined
    return height <= wish.fork ? `shared ${height}` : `${name} ${height}`
  }
  return { height: wish.height, at, asked } satisfies Branch & { asked: Array<number> }
}

describe("where two branches part", () => {
  test("is found at any depth, with few questions", async () => {
    const dice = makeDice(5)
    for (let i = 0; i < 2_000; i++) {
      const fork = dice.int(dice.pick([2, 50, 100_000]))
      const [above, more] = [dice.int(dice.pick([2, 50, 100_000])), dice.int(50)]
      const a = branch("a", { fork, height: fork + above })
      const b = branch("b", { fork, height: fork + above + more })
      expect(await forkHeight(a, b)).toBe(fork)
      expect(await forkHeight(b, a)).toBe(fork)
      // Growing steps to it, then halving the last of them.
      expect(a.asked.length / 2).toBeLessThanOrEqual(4 + 2 * Math.log2(above + 2))
    }
  })

  test("is nowhere if even the first block differs", async () => {
    const [a, b] = [branch("a", { fork: -1, height: 9 }), branch("b", { fork: -1, height: 0 })]
    expect([await forkHeight(a, b), await forkHeight(b, a), await forkHeight(a, a)]).toEqual([undefined, undefined, 9])
  })

  test("above what a node from a snapshot does not show is found; below it, it is said to be there", async () => {
    const floor = 70
    for (const [fork, found] of [
      [90, 90],
      [71, 71],
      [70, 70],
      [3, 70]
    ] as const) {
      const a = branch("a", { fork, height: 200 })
      expect(await forkHeight(a, branch("b", { fork, height: 180, floor }))).toBe(found)
    }
  })
})

const view = (url: string, wish: Partial<HeadView>): HeadView => ({
  url,
  state: "best",
  node_id: "n",
  height: 9,
  hash: "ab".repeat(32),
  work: "90",
  peers: 2,
  final_height: null,
  fork_height: 9,
  since: 1_000,
  error: null,
  ...wish
})
const away = {
  state: "away",
  height: null,
  hash: null,
  work: null,
  peers: null,
  final_height: null,
  fork_height: null,
  error: "gone"
} as const
const round = (...nodes: ReadonlyArray<HeadView>): Round => ({ time: 66_000, equal: false, fork_height: 4, nodes })

test("a round in a line", () => {
  expect(summaryOf({ ...round(view("a", {}), view("b", {})), equal: true })).toBe("one head at height 9")
  const finals = [4, null, 2].map((final_height, i) => view(String(i), { final_height }))
  expect(summaryOf({ ...round(...finals), equal: true })).toBe("one head at height 9, final up to 2")
  expect(summaryOf(round(view("a", away), view("b", away)))).toBe("no node answers")
  expect(summaryOf(round(view("a", {}), view("b", away)))).toBe("a at height 9; b away")
  const all = [view("b", { state: "behind" }), view("c", { state: "forked" }), view("d", { state: "other-chain" })]
  expect(summaryOf(round(view("a", {}), ...all))).toBe(
    "a at height 9; b behind; c on another branch; d on another chain; they share the blocks up to height 4"
  )
  expect(summaryOf({ ...round(view("a", {}), all[1]!), fork_height: null })).toBe("a at height 9; c on another branch")
})

test("a round as a table: a column is as wide as its widest, and what is away has no figures", () => {
  const forked = view("http://b:8081", { state: "forked", height: 10_000, fork_height: 4, since: 65_000 })
  const table = tableOf(round(view("http://a", {}), forked, view("http://c", away)))
  expect(table.map((line) => Bun.stripANSI(line))).toEqual([
    "node           height  head          work  peers        for",
    "http://a            9  abababababab    90      2  1 min 5 s  best head",
    "http://b:8081   10000  abababababab    90      2        1 s  another branch above height 4",
    "http://c            –  –                –      –  1 min 5 s  away",
    "",
    "http://a at height 9; http://b:8081 on another branch; http://c away; they share the blocks up to height 4"
  ])
})

test("a table has a column of what is final where there is some", () => {
  const nodes = [view("http://a", { final_height: 8 }), view("http://b", { final_height: 0 }), view("http://c", away)]
  expect(
    tableOf(round(...nodes))
      .slice(0, 4)
      .map((line) => Bun.stripANSI(line))
  ).toEqual([
    "node      height  head          final  work  peers        for",
    "http://a       9  abababababab      8    90      2  1 min 5 s  best head",
    "http://b       9  abababababab      0    90      2  1 min 5 s  best head",
    "http://c       –  –                 –     –      –  1 min 5 s  away"
  ])
})
