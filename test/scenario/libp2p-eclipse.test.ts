/** Strangers who want the places of peers: a node's sessions stay, however many come, and who has none goes first. */
import { expect, test } from "bun:test"
import { Effect, Exit } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import type { Connection } from "../../src/host/api.ts"
import { createHost } from "../../src/host/host.ts"
import { highWater } from "../../src/host/limits.ts"
import { noise } from "../../src/host/parts.ts"
import { streamsIn } from "../../src/io/streams.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { generateKey } from "../../src/libp2p/key.ts"
import { multiaddr } from "../../src/libp2p/multiaddr.ts"
import { linkWorld } from "../../src/sim/links.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { nodeKey } from "../../src/sim/keys.ts"
import { specOf } from "../fixtures.ts"
import { play, type Stage } from "../sim/stage.ts"

const rules = makeRules(specOf())
const crowd = highWater + 8
const graceAndMore = 75_000

/** A host on a machine of its own that knows nothing of the chain. */
const strangerAt = (stage: Stage, i: number, type: "Ed25519" | "secp256k1" = "secp256k1") => {
  const address = `10.66.${i >> 8}.${i & 255}`
  const world = linkWorld(stage.net, stage.world.host(`stranger ${i}`), address)
  const privateKey = generateKey(type, { random: world.random })
  if (privateKey instanceof Libp2pFault) throw privateKey
  const addresses = { listen: [`/ip4/${address}/tcp/4001`] }
  return createHost({ privateKey, addresses, connectionEncrypters: [noise()] }, world)
}

/** As the node's own metrics have it: by direction and encryption. */
const connectionsOf = (node: SimNode) =>
  Effect.map(
    node.ask((tree) => tree.node.metrics()),
    (text) =>
      [...text.matchAll(/^cairn_libp2p_connections\S* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
  )

test("a crowd that fills the node does not put out its sessions, old or young, but goes itself when it is old enough", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const node = yield* stage.node("a", { by: "libp2p" })
      const old = yield* stage.node("b", { by: "libp2p", seeds: [node.multiaddr] })
      yield* stage.until("a session", () => node.sessionChanges === 1)
      // From now on it would be closed for being worth nothing: a minute is what everybody gets.
      yield* Effect.sleep(graceAndMore)
      const protocol = node.tree.node.facts.libp2p!.protocol
      const hosts = Array.from({ length: crowd }, (_, i) => strangerAt(stage, i))
      const at = multiaddr(node.multiaddr)
      for (const host of hosts) {
        yield* Effect.promise(() => host.start())
        // Who had a stream of the chain once is not protected for it afterwards.
        const looking = yield* Effect.promise(() => host.dialProtocol(at, protocol))
        looking.abort(new Error("only looking"))
        yield* stage.until("it is gone", () => host.getConnections().length === 0)
      }
      for (const host of hosts) {
        yield* Effect.promise(() => host.dial(at))
        yield* Effect.sleep(20)
      }
      expect(yield* connectionsOf(node)).toBe(crowd + 1)
      yield* stage.node("c", { by: "libp2p", seeds: [node.multiaddr] })
      yield* Effect.sleep(2_000)
      const sessions = yield* node.ask((tree) => tree.node.peers())
      expect(sessions.filter(({ state }) => state === "active")).toHaveLength(2)
      yield* Effect.sleep(graceAndMore)
      const left = hosts.filter((host) => host.getConnections().length > 0).length
      expect([yield* connectionsOf(node), left <= highWater - 2]).toEqual([left + 2, true])
      // Each began once, and none ended.
      expect(node.sessionChanges).toBe(2)
      yield* stage.mine(old)
      yield* stage.agree()
      for (const host of hosts) yield* Effect.promise(() => host.stop())
    })
  )
}, 60_000)

test("a connection that was dialled for a session does not stay when none comes of it", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const settled = stage.world.promised()
      const protocol = "/chain/1"
      const world = linkWorld(stage.net, stage.world.host("node"), "10.0.0.1")
      const wish = { secret: nodeKey(0).secret, listen: [], announce: [], protocol, agent: "sim/a" }
      const wires: Array<string> = []
      const onStream = () => {
        wires.push("one")
        return { data: () => {}, drained: () => {}, closed: () => {} }
      }
      const door = yield* streamsIn(() => world, [noise()])(wish, onStream)
      const others = [strangerAt(stage, 1), strangerAt(stage, 2, "Ed25519")]
      // The second would take the stream, but its key is no node's.
      yield* Effect.promise(() => others[1]!.handle(protocol, () => {}))
      for (const host of others) {
        const stood: Array<Connection> = []
        host.addEventListener("connection:open", ({ detail }) => void stood.push(detail))
        yield* Effect.promise(() => host.start())
        const exit = yield* Effect.exit(door.dial(`${host.getMultiaddrs()[0]}`, 5_000, onStream))
        expect(Exit.isFailure(exit)).toBe(true)
        yield* Effect.sleep(1_000)
        expect([stood.length, host.getConnections().length, door.connections().length]).toEqual([1, 0, 0])
      }
      expect(wires).toEqual([])
      yield* door.close
      for (const host of others) yield* Effect.promise(() => host.stop())
      settled()
    })
  )
}, 60_000)
