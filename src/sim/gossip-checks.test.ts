/** The checkers of datagrams and bans say what they should, and nothing where nothing is wrong. */
import { expect, test } from "bun:test"
import type { PeerView } from "../node/peers.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { SeededChoices } from "./choices.ts"
import { spooferKey } from "./datagrams.ts"
import { BanWatch, GossipWatch } from "./gossip-checks.ts"
import { SimNet } from "./net.ts"
import { gossipPort } from "./node.ts"
import { type Action, makePlan, type Plan } from "./plan.ts"
import { SimUdp } from "./udp.ts"
import { World } from "./world.ts"

const planWith = (actions: ReadonlyArray<Action>, form: "plain" | "sealed" = "plain"): Plan => ({
  ...makePlan({ seed: 1, nodes: 2, ms: 60_000, faults: [], gossip: form }),
  actions
})
const peer = (nodeId: string, bannedUntil?: number, banReason = "manual"): PeerView =>
  ({
    nodeId,
    state: bannedUntil === undefined ? "active" : "banned",
    bannedUntil,
    banReason: bannedUntil === undefined ? undefined : banReason
  }) as PeerView

test("a ban that is gone before its time was lifted by somebody; one that is over was not, nor one that the operator lifts", () => {
  const watch = new BanWatch(planWith([]))
  expect(watch.told("n0", [peer("node1x", 90_000)], 30_000)).toBeUndefined()
  expect(watch.told("n1", [peer("node1x")], 60_000)).toBeUndefined()
  expect(watch.told("n0", [peer("node1x")], 60_000)).toMatch(/n0 has let node1x off 30000 ms before/)
  expect(watch.told("n0", [peer("node1x", 90_000)], 61_000)).toBeUndefined()
  expect(watch.told("n0", [peer("node1x")], 90_000)).toBeUndefined()
  expect(watch.told("n0", [peer("node1x", 200_000)], 91_000)).toBeUndefined()
  watch.lifted("n0", "node1x")
  expect(watch.told("n0", [], 92_000)).toBeUndefined()
})

test("a clock that is ahead ends a ban sooner, and who could not be reached was not banned", () => {
  const skew = { at: 1, do: "clock-skew", node: "n0", by: 40_000, ms: 10 } as const
  const watch = new BanWatch(planWith([skew]))
  watch.told("n0", [peer("node1x", 90_000)], 0)
  expect(watch.told("n0", [], 50_000)).toBeUndefined()
  watch.told("n0", [peer("node1x", 90_000)], 0)
  expect(watch.told("n0", [], 49_999)).toBeDefined()
  watch.told("n0", [peer("node1y", 900_000, "unreachable")], 50_000)
  expect(watch.told("n0", [], 51_000)).toBeUndefined()
})

test("a ban that was seen for long outlives a restart; a young one, or one on a full disk, need not", () => {
  const minutes = (n: number): number => n * 60_000
  for (const [since, full, wrong] of [
    [0, false, true],
    [3, false, false],
    [0, true, false]
  ] as const) {
    const fill = { at: 1, do: "disk-full", node: "n0", ms: 10 } as const
    const watch = new BanWatch(planWith(full ? [fill] : []))
    watch.told("n0", [peer("node1x", minutes(60))], minutes(since))
    watch.told("n0", [peer("node1x", minutes(60))], minutes(4))
    watch.started("n0", minutes(5))
    expect(watch.told("n0", [], minutes(6)) !== undefined).toBe(wrong)
  }
})

test("who has only sent datagrams is nobody's peer", () => {
  const watch = new BanWatch(planWith([]))
  expect(watch.told("n0", [peer(nodeIdOf(spooferKey(3).publicKey))], 0)).toMatch(/only sent datagrams/)
})

test("a datagram of a node goes to a node, fits, and is sealed where all are; an attacker's is his own affair", () => {
  const wrong = (form: "plain" | "sealed", by: string, host: string, bytes: Uint8Array): string | undefined => {
    const choices = new SeededChoices(1)
    const net = new SimNet(new World({ choices, preempt: 0, seed: 1, stepsMax: 1 }), choices)
    const udp = new SimUdp(net, choices)
    let said: string | undefined
    const watch = new GossipWatch(planWith([], form), udp, (what) => void (said = what))
    udp.send({ by, from: { host: "10.0.0.1", port: 1 }, to: { host, port: gossipPort }, bytes })
    expect(watch.caught.length).toBe(by === "n0" ? 1 : 0)
    return said
  }
  const [plain, sealed] = [Uint8Array.of(1, 0), Uint8Array.of(2, 0)]
  expect(wrong("plain", "n0", "10.0.0.2", plain)).toBeUndefined()
  expect(wrong("sealed", "n0", "10.0.0.2", sealed)).toBeUndefined()
  expect(wrong("sealed", "n0", "10.0.0.2", plain)).toMatch(/in the clear/)
  expect(wrong("plain", "n0", "203.0.113.99", plain)).toMatch(
    /n0 has sent a datagram to 203.0.113.99, where no node is/
  )
  expect(wrong("plain", "n0", "10.0.0.2", new Uint8Array(1_201))).toMatch(/of 1201 bytes/)
  expect(wrong("sealed", "spoofer", "203.0.113.99", new Uint8Array(2_000))).toBeUndefined()
})
