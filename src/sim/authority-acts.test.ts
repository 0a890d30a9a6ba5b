/** Every act of an authority that lies, against two honest ones: they do with it what they must, and go on. */
import { describe, expect, test } from "bun:test"
import type { MaintenanceMessage } from "../../actors/protocol.ts"
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { marksReached } from "../marks.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { authorityActNames, authorityActs } from "./authority-acts.ts"
import { liarKey, nodeKey } from "./keys.ts"
import type { Model, Plan } from "./plan.ts"
import { type Report, simulate } from "./run.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const second = 1_000
const lieAt = 20 * second
const endMs = lieAt + 125 * second

/** Two honest authorities and one that lies, and one visit to the first. */
const planOf = (act: string, ledger: Model): Plan => ({
  seed: 1,
  ledger,
  authority: { bits: 0, traitors: 1 },
  nodes: [
    { name: "n0", address: "10.0.0.1", seeds: [], hashesPerSecond: 20 },
    { name: "n1", address: "10.0.0.2", seeds: ["n0"], hashesPerSecond: 20 }
  ],
  wallets: 3,
  blockMs: 2 * second,
  endMs,
  strategy: "uniform",
  preempt: 0.02,
  squeeze: 1,
  actions: [
    { at: 5 * second, do: "pay", wallet: 0, node: "n0", count: 3, http: false },
    { at: lieAt, do: "byzantine", act, node: "n0", seed: 1 },
    { at: lieAt + 60 * second, do: "pay", wallet: 1, node: "n1", count: 3, http: false }
  ]
})

const liarId = nodeIdOf(liarKey(0).publicKey)
const honest = new Set([0, 1].map((i) => nodeIdOf(nodeKey(i).publicKey)))

interface Visit {
  readonly report: Report
  /** Why n0's sessions with the liar ended. */
  readonly ends: ReadonlyArray<string>
  /** Codes held against the liar at n0, and against honest nodes anywhere. */
  readonly faults: ReadonlyArray<string>
  readonly wronged: ReadonlyArray<string>
}

const play = (act: string, ledger: Model): Visit => {
  const [ends, faults, wronged] = [new Array<string>(), new Array<string>(), new Array<string>()]
  const ids = new Map<string, string>()
  const told = (node: string, message: MaintenanceMessage): void => {
    if (message._tag === "Admit") ids.set(`${node} ${message.facts.session}`, message.facts.nodeId)
    if (message._tag !== "SessionEnded" && message._tag !== "Misbehaved") return
    const id = ids.get(`${node} ${message.session}`) ?? ""
    if (message._tag === "Misbehaved" && honest.has(id)) wronged.push(message.code)
    if (node !== "n0" || id !== liarId) return
    if (message._tag === "Misbehaved") faults.push(message.code)
    else ends.push(message.reason)
  }
  const report = simulate(planOf(act, ledger), {
    onBegun: ({ node, actor, message }) => {
      if (actor === "maintenance") told(node, message as MaintenanceMessage)
    }
  })
  return { report, ends, faults, wronged }
}

const check = (act: string, ledger: Model): void => {
  const { expects, code = "" } = authorityActs[act]!
  const { report, ends, faults, wronged } = play(act, ledger)
  expect(report.failure).toBeUndefined()
  expect(wronged).toEqual([])
  expect(ends).not.toBeEmpty()
  if (expects === "ban") {
    expect(faults).toContain(code)
    expect(ends.at(-1)).toBe("banned: there is no place for this session")
  } else expect([expects, faults, new Set(ends)]).toEqual(["ignore", [], new Set(["closed by the peer"])])
  const { height } = report.nodes[0]!
  const slots = Math.floor(report.elapsed / (2 * second))
  // Whatever an authority of three does: of its slots some may be lost, of the others none.
  expect(height).toBeGreaterThan((slots * 2) / 3)
}

describe("an honest authority", () => {
  for (const act of authorityActNames) {
    const { expects, about } = authorityActs[act]!
    test(`${expects}s ${act}: ${about}`, () => check(act, "account"), 30_000)
  }
  test("keeps the seal that it has checked, whatever seal a body brings", () => {
    const before = marksReached()["seal-other"]
    check("vote-cast", "account")
    expect(marksReached()["seal-other"]).toBeGreaterThan(before)
  }, 30_000)

  test("holds on a chain of coins too", () => check("block-unsealed", "utxo"), 30_000)
})
