/**
 * What must hold where nodes announce by UDP, and where operators ban: nothing is sent to where no node is, nobody is remembered who
 * has signed nothing, no ban ends before its time, and whatever comes by datagram alone changes nobody's standing.
 */
import { Effect, Exit } from "effect"
import { forms } from "../gossip/announcement.ts"
import { datagramBytesMax } from "../limits.ts"
import type { PeerView } from "../node/peers.ts"
import { nodeIdOf } from "../transport/hello.ts"
import type { Checker } from "./check.ts"
import { datagramActs, datagramOf, type Spoofer, spooferKey, spoofersMax } from "./datagrams.ts"
import type { SimNode } from "./node.ts"
import type { Plan } from "./plan.ts"
import type { Flying, SimUdp } from "./udp.ts"

/** Datagrams of nodes that an attacker has seen and keeps: the newest. */
const caughtMax = 400
/** Milliseconds and datagrams of the attack in the quiet. */
const attackMs = 3_000
const attackEveryMs = 10
/** Milliseconds after which a node has surely saved whom it has banned. */
const savedMs = 3 * 60_000

/** How somebody stands with a node: what no datagram may change. Points fade by themselves; our own look that fails costs, too. */
interface Standing {
  readonly failures: number
  readonly score: number
  readonly points: number
  readonly bannedUntil: number | undefined
}

const isBan = ({ state, banReason }: PeerView): boolean => state === "banned" && banReason !== "unreachable"

const standingOf = (peer: PeerView): Standing => ({
  failures: peer.failureCount,
  score: peer.score,
  points: peer.points,
  bannedUntil: isBan(peer) ? peer.bannedUntil : undefined
})

/** Watches the datagrams of nodes, all the time. */
export class GossipWatch {
  /** What nodes have sent lately. */
  readonly caught: Array<Flying> = []
  private readonly plan: Plan
  private readonly addresses: ReadonlySet<string>
  private readonly names: ReadonlySet<string>

  constructor(plan: Plan, udp: SimUdp, violated: (what: string | undefined) => void) {
    this.plan = plan
    this.addresses = new Set(plan.nodes.map(({ address }) => address))
    this.names = new Set(plan.nodes.map(({ name }) => name))
    udp.tap = (flying) => {
      if (this.names.has(flying.by)) violated(this.sent(flying))
    }
  }

  private sent(flying: Flying): string | undefined {
    const { by, to, bytes } = flying
    if (this.caught.push(flying) > caughtMax) this.caught.shift()
    if (!this.addresses.has(to.host)) return `${by} has sent a datagram to ${to.host}, where no node is`
    if (bytes.length > datagramBytesMax) return `${by} has sent a datagram of ${bytes.length} bytes`
    if (this.plan.gossip?.form === "sealed" && bytes[0] !== forms.sealed)
      return `${by} has announced something in the clear`
    return undefined
  }
}

/** A ban that a node was seen to hold, by its own clock and the world's. */
interface SeenBan {
  readonly until: number
  readonly since: number
}

/** No ban ends before its time, unless the operator lifts it; and whom nobody but datagrams spoke of has no standing at all. */
export class BanWatch {
  private readonly seen = new Map<string, Map<string, SeenBan>>()
  private readonly spoofers = new Set(Array.from({ length: spoofersMax }, (_, i) => nodeIdOf(spooferKey(i).publicKey)))
  /** The most that clocks of this plan are ahead. */
  private readonly aheadMs: number
  private readonly fills: ReadonlySet<string>

  constructor(plan: Plan) {
    this.aheadMs = Math.max(0, ...plan.actions.map((one) => (one.do === "clock-skew" ? one.by : 0)))
    this.fills = new Set(plan.actions.flatMap((one) => (one.do === "disk-full" ? [one.node] : [])))
  }

  /** What a node tells of its peers at this time of the world. */
  told(name: string, peers: ReadonlyArray<PeerView>, now: number): string | undefined {
    const bans = peers.filter(isBan)
    const ids = new Set(bans.map(({ nodeId }) => nodeId))
    for (const [id, { until }] of this.seen.get(name) ?? [])
      if (!ids.has(id) && until > now + this.aheadMs)
        return `${name} has let ${id.slice(0, 12)} off ${until - now} ms before its ban was over`
    const last = this.seen.get(name)
    const kept = bans.map(({ nodeId, bannedUntil = 0 }) => {
      return [nodeId, { until: bannedUntil, since: last?.get(nodeId)?.since ?? now }] as const
    })
    this.seen.set(name, new Map(kept))
    const stranger = peers.find(({ nodeId }) => this.spoofers.has(nodeId))
    return stranger === undefined ? undefined : `${name} thinks to have met somebody who has only sent datagrams`
  }

  /** The operator of a node has lifted a ban. */
  lifted(name: string, nodeId: string): void {
    this.seen.get(name)?.delete(nodeId)
  }

  /** A node starts again. Of what it was not seen to have banned for long nothing may be on its disk. */
  started(name: string, now: number): void {
    for (const [id, { since }] of this.seen.get(name) ?? [])
      if (this.fills.has(name) || now - since < savedMs) this.seen.get(name)!.delete(id)
  }
}

/** Nobody is remembered who has not signed: there are the nodes, the attacker's own, and liars. */
export const checkRemembered = (node: SimNode, plan: Plan): Effect.Effect<string | undefined> =>
  Effect.map(Effect.exit(node.ask(({ node: shape }) => shape.gossip!())), (exit) => {
    const max = plan.nodes.length - 1 + 2 * spoofersMax
    return Exit.isFailure(exit) || exit.value.nodes <= max
      ? undefined
      : `${node.name} remembers what ${exit.value.nodes} nodes have announced; ${max} have`
  })

/** In the quiet a burst of every kind of datagram goes to every node: nobody stands otherwise afterwards whose session went on. */
export const makeStandings = (udp: SimUdp, spoofers: (victim: SimNode) => Spoofer): Checker => {
  const standings = (node: SimNode) =>
    Effect.map(
      node.ask(({ node: shape }) => shape.peers()),
      (peers) => new Map(peers.map((peer) => [peer.nodeId, standingOf(peer)]))
    )
  const attack = (nodes: ReadonlyArray<SimNode>) =>
    Effect.gen(function* () {
      const all = nodes.map(spoofers)
      for (let ms = 0; ms < attackMs; ms += attackEveryMs) {
        for (const spoofer of all) udp.send(datagramOf(spoofer.dice.pick(datagramActs), spoofer))
        yield* Effect.sleep(attackEveryMs)
      }
    })
  const changed = (node: SimNode, before: Map<string, Standing>, after: Map<string, Standing>): string | undefined => {
    for (const [id, now] of after) {
      const then = before.get(id)
      // A dial of worse times may come to its end only now.
      if (then !== undefined && then.failures !== now.failures) continue
      const same =
        then !== undefined &&
        then.score === now.score &&
        then.points >= now.points &&
        then.bannedUntil === now.bannedUntil
      if (!same) return `${node.name} thinks otherwise of ${id.slice(0, 12)} after nothing but datagrams`
    }
    return undefined
  }
  return {
    quiet: (nodes) =>
      Effect.gen(function* () {
        const sessions = new Map(nodes.map((node) => [node, node.sessionChanges]))
        const before = yield* Effect.forEach(nodes, standings)
        yield* attack(nodes)
        yield* Effect.sleep(1_000)
        for (const [i, node] of nodes.entries()) {
          const after = yield* standings(node)
          const wrong = changed(node, before[i]!, after)
          if (wrong !== undefined && sessions.get(node) === node.sessionChanges) return wrong
        }
        return undefined
      }).pipe(Effect.orDie)
  }
}
