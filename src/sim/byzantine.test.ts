/** Every act of every liar against two honest nodes: they do with it what they must, and nothing happens to them. */
import { describe, expect, test } from "bun:test"
import type { MaintenanceMessage } from "../../actors/protocol.ts"
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { actNamesOf, acts } from "./byzantine.ts"
import { type Model, models, type Plan } from "./plan.ts"
import { type Report, simulate } from "./run.ts"
import { liarKey, nodeKey } from "./keys.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const second = 1_000
/** When the liar comes, and when the honest nodes are left alone with what it has done. */
const lieAt = 45 * second
const endMs = lieAt + 125 * second

/** Two nodes that mine, wallets that pay, and one visit to the first node. */
const planOf = (model: Model, act: string, seed: number): Plan => ({
  seed,
  ledger: model,
  nodes: [
    { name: "n0", address: "10.0.0.1", seeds: [], hashesPerSecond: 20 },
    { name: "n1", address: "10.0.0.2", seeds: ["n0"], hashesPerSecond: 20 }
  ],
  wallets: 3,
  blockMs: 10 * second,
  endMs,
  strategy: "uniform",
  preempt: 0.02,
  squeeze: 1,
  actions: [
    { at: 5 * second, do: "pay", wallet: 0, node: "n0", count: 3, http: false },
    { at: lieAt, do: "byzantine", act, node: "n0", seed },
    { at: lieAt + 10 * second, do: "pay", wallet: 1, node: "n1", count: 3, http: false },
    { at: lieAt + 90 * second, do: "pay", wallet: 2, node: "n0", count: 2, http: false }
  ]
})

interface Visit {
  readonly report: Report
  /** Reasons with which the victim's sessions ended: with the liar, and with those who never said who they are. */
  readonly ends: { readonly liar: ReadonlyArray<string>; readonly unproven: ReadonlyArray<string> }
  /** Codes that were held against the liar, and against honest nodes. */
  readonly faults: { readonly liar: ReadonlyArray<string>; readonly honest: ReadonlyArray<string> }
  /** Blocks that became the victim's tip while the liar was about. */
  readonly tips: number
}

const idOf = ({ publicKey }: { readonly publicKey: Uint8Array }): string => nodeIdOf(publicKey)
const liarId = idOf(liarKey(0))
const honest = new Set([idOf(nodeKey(0)), idOf(nodeKey(1))])

/** Plays an act, and listens to what the nodes' directories are told. */
const play = (model: Model, act: string, seed = 1): Visit => {
  const ends = { liar: new Array<string>(), unproven: new Array<string>() }
  const faults = { liar: new Array<string>(), honest: new Array<string>() }
  const ids = new Map<string, string>()
  const told = (node: string, message: MaintenanceMessage): void => {
    if (message._tag === "Admit") ids.set(`${node} ${message.facts.session}`, message.facts.nodeId)
    if (message._tag !== "SessionEnded" && message._tag !== "Misbehaved") return
    const id = ids.get(`${node} ${message.session}`)
    if (message._tag === "Misbehaved") {
      if (id === liarId) faults.liar.push(message.code)
      else if (honest.has(id ?? "")) faults.honest.push(message.code)
    } else if (node === "n0") {
      if (id === liarId) ends.liar.push(message.reason)
      else if (id === undefined) ends.unproven.push(message.reason)
    }
  }
  const report = simulate(planOf(model, act, seed), {
    onBegun: ({ node, actor, message }) => {
      if (actor === "maintenance") told(node, message as MaintenanceMessage)
    }
  })
  const tips = report.run.tips.filter(({ node, at }) => node === "n0" && at > lieAt && at < endMs).length
  return { report, ends, faults, tips }
}

/** The liar went by itself, every time. */
const left = ({ ends }: Visit): boolean => ends.liar.every((reason) => reason === "closed by the peer")

/** What is not as the act says it must be; undefined: all is. */
const wrong = (model: Model, act: string, visit: Visit): string | undefined => {
  const { ends, faults } = visit
  const { expects, code = "" } = acts[model][act]!
  const priced = faults.liar.length > 0
  switch (expects) {
    case "refuse":
      if (!ends.unproven.some((reason) => reason.startsWith(code))) return "it was not refused for that"
      return priced || !left(visit) ? "it was let in" : undefined
    case "ignore":
      if (ends.liar.length === 0) return "it was not let in"
      return priced || !left(visit) ? "it was held against it" : undefined
    case "drop":
      if (!ends.liar.some((reason) => reason.startsWith(code))) return "it was not dropped for that"
      return ends.liar.some((reason) => reason.startsWith("banned")) ? "it was banned" : undefined
    case "ban":
      if (code !== "" && !faults.liar.includes(code)) return "it was not blamed for that"
      return ends.liar.at(-1) === "banned: there is no place for this session" ? undefined : "it was let in again"
  }
}

/** What is no lie about money is the same on both: it is told on one. */
const toldOn = (model: Model): ReadonlyArray<string> =>
  actNamesOf(model).filter((name) => model === "account" || acts.utxo[name] !== acts.account[name])

describe.each(models.map((model) => [model] as const))("an honest node with the ledger %s", (model) => {
  for (const name of toldOn(model)) {
    const { expects, about } = acts[model][name]!
    test(`${expects}s ${name}: ${about}`, () => {
      const visit = play(model, name)
      const { report, faults, tips, ends } = visit
      const { liar } = ends
      expect({ failure: report.failure, wrong: wrong(model, name, visit), liar }).toEqual({
        failure: undefined,
        wrong: undefined,
        liar
      })
      expect(faults.honest).toEqual([])
      expect(tips).toBeGreaterThan(2)
    })
  }
})

test("one seed lies in one way, another in another", () => {
  const [once, again, other] = [7, 7, 8].map((seed) => play("account", "frame-mutated", seed))
  expect(once!.report.digest).toBe(again!.report.digest)
  expect(once!.report.digest).not.toBe(other!.report.digest)
})
