/** Acts of an authority that votes falsely, against three honest ones: they name it or send it away, and blocks become final. */
import { describe, expect, test } from "bun:test"
import type { MaintenanceMessage } from "../../actors/protocol.ts"
import { toHex } from "../codec/bytes.ts"
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { loadAnchors } from "../store/finality.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { authorityActs } from "./authority-acts.ts"
import { finalityActNames, finalityActs } from "./finality-acts.ts"
import { namedAt } from "./finality-checks.ts"
import { liarKey, traitorKey } from "./keys.ts"
import type { Plan } from "./plan.ts"
import { type Report, simulate } from "./run.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const second = 1_000
const lieAt = 30 * second
const endMs = lieAt + 125 * second
const checkpointBlocks = 3

/** Three honest authorities and one that lies, and one visit to the first. */
const planOf = (act: string): Plan => ({
  seed: 1,
  ledger: "account",
  authority: { bits: 0, traitors: 1, checkpointBlocks },
  nodes: [0, 1, 2].map((i) => ({
    name: `n${i}`,
    address: `10.0.0.${i + 1}`,
    seeds: i === 0 ? [] : ["n0"],
    hashesPerSecond: 20
  })),
  wallets: 3,
  blockMs: 2 * second,
  endMs,
  strategy: "uniform",
  preempt: 0.02,
  squeeze: 1,
  actions: [{ at: lieAt, do: "byzantine", act, node: "n0", seed: 1 }]
})

/** What nodes have on disk, by name. */
interface Held {
  readonly final: number
  readonly named: ReadonlyArray<string>
  readonly proven: ReadonlyArray<string>
}

interface Visit {
  readonly report: Report
  readonly held: ReadonlyMap<string, Held>
  /** Codes held against the liar at n0. */
  readonly faults: ReadonlySet<string>
}

const play = (act: string): Visit => {
  const liarId = nodeIdOf(liarKey(0).publicKey)
  const held = new Map<string, Held>()
  const sessions = new Set<number>()
  const faults = new Set<string>()
  const told = (message: MaintenanceMessage): void => {
    if (message._tag === "Admit" && message.facts.nodeId === liarId) sessions.add(message.facts.session)
    if (message._tag === "Misbehaved" && sessions.has(message.session)) faults.add(message.code)
  }
  const report = simulate(planOf(act), {
    onBegun: ({ node, actor, message }) => {
      if (node === "n0" && actor === "maintenance") told(message as MaintenanceMessage)
    },
    check: ({ name, store }) => {
      const final = loadAnchors(store.db)?.final.height ?? 0
      const named = namedAt({ store }).map(toHex)
      held.set(name, { final, named, proven: store.evidence.all().map(({ authority }) => toHex(authority)) })
      return undefined
    }
  })
  return { report, held, faults }
}

const traitor = toHex(traitorKey(0).address)

describe("authorities that vote on checkpoints", () => {
  for (const act of finalityActNames) {
    const { about, expects, code } = finalityActs[act]!
    test(`go on, and know whom to blame, with ${act}: ${about}`, () => {
      const { report, held, faults } = play(act)
      expect(report.failure).toBeUndefined()
      expect([...faults]).toEqual(expects === "ban" ? [code!] : [])
      expect(held.size).toBe(3)
      for (const [name, { final, named }] of held) {
        expect(named).toEqual(expects === "ban" ? [] : [traitor])
        const { height } = report.nodes.find((node) => node.name === name)!
        expect(final).toBeGreaterThan(height - 4 * checkpointBlocks)
      }
    }, 60_000)
  }

  test("all have the proof against one that seals twice, and go on without it", () => {
    expect(authorityActs["seal-twice"]!.expects).toBe("ignore")
    const { report, held } = play("seal-twice")
    expect(report.failure).toBeUndefined()
    for (const { proven, final } of held.values()) {
      expect(new Set(proven)).toEqual(new Set([traitor]))
      expect(final).toBeGreaterThan(30)
    }
  }, 60_000)
})
