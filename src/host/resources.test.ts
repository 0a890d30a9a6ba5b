/** The resource manager against a plain count, under chance: never above a limit, and nothing is left when all is given back. */
import { expect, test } from "bun:test"
import { Libp2pFault } from "../libp2p/fault.ts"
import { type ConnectionScope, type ResourceLimits, Resources, type StreamScope } from "./resources.ts"

const limits: ResourceLimits = {
  connections: {
    system: { inbound: 4, outbound: 5, total: 7 },
    transient: { inbound: 2, outbound: 3, total: 4 },
    peer: { inbound: 2, outbound: 2, total: 3 }
  },
  streams: {
    system: { inbound: 12, outbound: 14, total: 20 },
    transient: { inbound: 4, outbound: 5, total: 7 },
    peer: { inbound: 5, outbound: 6, total: 9 },
    protocol: { inbound: 6, outbound: 7, total: 10 },
    protocolPeer: { inbound: 3, outbound: 3, total: 4 }
  }
}

const dice = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
}

test("streams stay within every scope, and each refusal has a full scope to show for it", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const roll = dice(seed)
    const resources = new Resources(limits)
    const open: Array<{ scope: StreamScope; peer: string; direction: "inbound" | "outbound"; protocol?: string }> = []
    const full = (
      max: { inbound: number; outbound: number; total: number },
      direction: string,
      match: (entry: (typeof open)[number]) => boolean
    ) => {
      const those = open.filter(match)
      const same = those.filter((entry) => entry.direction === direction).length
      return those.length >= max.total || same >= (direction === "inbound" ? max.inbound : max.outbound)
    }
    for (let step = 0; step < 400; step++) {
      const direction = roll(2) === 0 ? "inbound" : "outbound"
      const peer = `peer${roll(3)}`
      if (roll(5) < 3) {
        const scope = resources.openStream(peer, direction)
        const expected =
          full(limits.streams.system, direction, () => true) ||
          full(limits.streams.transient, direction, ({ protocol }) => protocol === undefined) ||
          full(limits.streams.peer, direction, (entry) => entry.peer === peer)
        expect(scope instanceof Libp2pFault).toBe(expected)
        if (!(scope instanceof Libp2pFault)) open.push({ scope, peer, direction })
      }
      const entry = open[roll(Math.max(1, open.length))]
      if (entry === undefined) continue
      if (entry.protocol === undefined && roll(3) > 0) {
        const protocol = `/p/${roll(2)}`
        const expected =
          full(limits.streams.protocol, entry.direction, (other) => other.protocol === protocol) ||
          full(
            limits.streams.protocolPeer,
            entry.direction,
            (other) => other.protocol === protocol && other.peer === entry.peer
          )
        expect(entry.scope.setProtocol(protocol) !== undefined).toBe(expected)
        if (!expected) entry.protocol = protocol
      } else if (roll(3) === 0) {
        entry.scope.done()
        entry.scope.done()
        open.splice(open.indexOf(entry), 1)
      }
      expect(resources.stats().streams.total).toBe(open.length)
    }
    for (const { scope } of open) scope.done()
    expect([resources.stats().streams.total, resources.stats().transientStreams.total, resources.remembered]).toEqual([
      0, 0, 0
    ])
  }
})

test("connections leave the unknown for their peer; a peer has so many", () => {
  const resources = new Resources(limits)
  const open = (): ConnectionScope => {
    const scope = resources.openConnection("inbound")
    if (scope instanceof Libp2pFault) throw scope
    return scope
  }
  const [first, second] = [open(), open()]
  expect(open).toThrow("no more inbound connections to unknown peers")
  expect([first.setPeer("a"), second.setPeer("a")]).toStrictEqual([undefined, undefined])
  const third = open()
  expect(third.setPeer("a")?.context.scope).toBe("connections of one peer")
  third.done()
  first.done()
  expect(open().setPeer("a")).toBe(undefined)
  expect(resources.stats()).toMatchObject({
    connections: { inbound: 2, total: 2 },
    transientConnections: { total: 0 },
    refused: 2
  })
})
