/** Makes a plan's faults happen, and undoes them: each lasts its time, and all end when the quiet begins. */
import { Deferred, Effect, Exit } from "effect"
import type { Rules } from "../chain/rules.ts"
import { authorityActs } from "./authority-acts.ts"
import { finalityActs } from "./finality-acts.ts"
import { acts } from "./byzantine.ts"
import { makeDice } from "./dice.ts"
import { datagramActs, datagramOf, type Spoofer } from "./datagrams.ts"
import type { Weather } from "./net.ts"
import type { SimNode, SimParts } from "./node.ts"
import { peerPort } from "./node.ts"
import type { Action } from "./plan.ts"
import { liarKey } from "./keys.ts"
import type { Act } from "./liar.ts"
import type { WalletAction } from "./wallets.ts"
import { nodeIdOf } from "../transport/hello.ts"

export type FaultAction = Exclude<Action, WalletAction | { do: "pace" | "order" | "flood" }>

export interface FaultParts extends SimParts {
  readonly nodes: ReadonlyMap<string, SimNode>
  readonly rules: Rules
  /** Called when a node runs again. */
  readonly started: (node: SimNode) => void
  /** Called before an operator lifts a ban. */
  readonly lifts: (node: SimNode, nodeId: string) => void
  /** What nodes have sent by UDP lately, as an attacker has seen it. */
  readonly caught: Spoofer["caught"]
}

/** Virtual milliseconds after which whoever runs the machines starts a process again that has given up. */
const restartMs = 5_000

export class Faults {
  private readonly parts: FaultParts
  private readonly healing = new Set<() => void>()
  private readonly restarts = new Map<string, number>()
  /** Blocks that nobody may take, by id, and what is wrong with each. */
  readonly forged = new Map<string, string>()
  private calm = false
  private liars = 0
  /** Whom operators have banned: all of it ends with the faults. */
  private readonly bans = new Map<SimNode, Set<string>>()

  constructor(parts: FaultParts) {
    this.parts = parts
    for (const node of parts.nodes.values())
      node.gaveUp = (why) => {
        parts.tracer.note(node.name, "gave up", why)
        node.kill(false)
        parts.world.home.fork(Effect.andThen(Effect.sleep(restartMs), this.start(node)))
      }
  }

  act(action: FaultAction): Effect.Effect<void, unknown> {
    if (this.calm) return Effect.void
    const { net, tracer } = this.parts
    switch (action.do) {
      case "partition":
        return this.partition(action.side, action.ms)
      case "reset":
        return Effect.sync(() => net.reset(action.a, action.b))
      case "drop":
        return this.weather("loss", action.loss, action)
      case "dup":
        return this.weather("dup", action.dup, action)
      case "reorder":
        return this.weather("shuffle", action.shuffle, action)
      case "delay":
        return this.weather("delayMs", action.delayMs, action)
      case "thread":
        return Effect.sync(() => {
          tracer.note(action.node, "thread", "the mining thread dies")
          this.node(action.node).failThreads(action.ms)
        })
      case "bug":
        return Effect.sync(() => {
          tracer.note(action.node, "bug", `${action.actor} fails ${action.times} times`)
          this.node(action.node).fail(action.actor, action.times)
        })
      case "byzantine":
        return this.lie(action)
      case "ban":
        return this.ban(this.node(action.node), this.node(action.peer), action.ms)
      case "datagrams":
        return this.flood(action)
      default:
        return this.trouble(action)
    }
  }

  /** The faults of one machine. */
  private trouble(
    action: Exclude<
      Extract<FaultAction, { node: string; ms: number }>,
      { do: "byzantine" | "thread" | "ban" | "datagrams" }
    >
  ): Effect.Effect<void, unknown> {
    const node = this.node(action.node)
    if (!node.up) return Effect.void
    switch (action.do) {
      case "crash":
        return this.during(
          "crash",
          [node.name],
          action.mute ? "the power goes" : "the process is killed",
          () => node.kill(action.mute),
          action.ms,
          () => this.start(node)
        )
      case "restart":
        return this.restart(node, action.ms)
      case "torn-write":
        return this.tear(node, action.ms)
      case "disk-full":
        return this.during(
          "disk-full",
          [node.name],
          "no room on the disk",
          () => node.disk.fill(true),
          action.ms,
          () => Effect.sync(() => node.disk.fill(false))
        )
      case "clock-skew":
        return this.during(
          "clock-skew",
          [node.name],
          `its clock is off by ${action.by} ms`,
          () => node.skew(action.by),
          action.ms,
          () => Effect.sync(() => node.skew(0))
        )
      case "slow-reader":
        return this.during(
          "slow-reader",
          [node.name],
          `it reads ${action.bytesPerSecond} bytes a second`,
          () => this.parts.net.slow(node.name, action.bytesPerSecond),
          action.ms,
          () => Effect.sync(() => this.parts.net.slow(node.name, undefined))
        )
    }
  }

  /** Ends every fault and starts whoever is down. */
  heal(): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.calm = true
      for (const end of [...this.healing]) end()
      yield* Effect.sleep(1_000)
      for (const node of this.parts.nodes.values()) yield* this.start(node)
      for (const [node, peers] of this.bans) for (const id of peers) yield* this.lift(node, id)
    })
  }

  /** Has the operator of a node banned another at some time? */
  hasBanned(node: SimNode, nodeId: string): boolean {
    return this.bans.get(node)?.has(nodeId) === true
  }

  /** Each node as it is at the end. */
  summary() {
    return [...this.parts.nodes.values()].map((node) => ({
      name: node.name,
      up: node.up,
      height: node.up ? node.store.tip().header.height : 0,
      tip: node.up ? node.store.tip().header.id : "",
      restarts: this.restarts.get(node.name) ?? 0
    }))
  }

  private node(name: string): SimNode {
    return this.parts.nodes.get(name)!
  }

  private start(node: SimNode): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      if (node.up) return Effect.void
      this.restarts.set(node.name, (this.restarts.get(node.name) ?? 0) + 1)
      return Effect.map(node.start(), () => {
        this.parts.tracer.note(node.name, "started", `height ${node.store.tip().header.height}`)
        this.parts.started(node)
      })
    })
  }

  /** A fault from now for so long, or until the quiet. */
  private during(
    kind: string,
    nodes: ReadonlyArray<string>,
    text: string,
    begin: () => void,
    ms: number,
    end: () => Effect.Effect<void, unknown>
  ): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      const over = this.parts.tracer.span(kind, nodes, text)
      begin()
      yield* this.pause(ms)
      over()
      yield* end()
    })
  }

  private pause(ms: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const healed = Deferred.makeUnsafe<void>()
      const heal = (): void => void Deferred.doneUnsafe(healed, Exit.void)
      this.healing.add(heal)
      if (this.calm) heal()
      return Effect.map(
        Effect.raceFirst(Effect.sleep(ms), Deferred.await(healed)),
        () => void this.healing.delete(heal)
      )
    })
  }

  private partition(side: ReadonlyArray<string>, ms: number): Effect.Effect<void, unknown> {
    const { net, nodes } = this.parts
    const pairs = side.flatMap((a) => [...nodes.keys()].filter((b) => !side.includes(b)).map((b) => [a, b] as const))
    return this.during(
      "partition",
      side,
      `${side.join(", ")} alone`,
      () => pairs.forEach(([a, b]) => net.cut(a, b)),
      ms,
      () => Effect.sync(() => pairs.forEach(([a, b]) => net.mend(a, b)))
    )
  }

  private weather(kind: keyof Weather, value: number, { ms, do: name }: { readonly ms: number; readonly do: string }) {
    const { weather } = this.parts.net
    return this.during(
      name,
      [],
      `${kind} ${value}`,
      () => void (weather[kind] += value),
      ms,
      () => Effect.sync(() => void (weather[kind] = Math.max(0, weather[kind] - value)))
    )
  }

  private restart(node: SimNode, ms: number): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      const over = this.parts.tracer.span("restart", [node.name], "it is stopped in good order")
      yield* Effect.exit(node.stop())
      yield* this.pause(ms)
      over()
      yield* this.start(node)
    })
  }

  /** Power is lost within the node's next commit. */
  private tear(node: SimNode, ms: number): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      const torn = Deferred.makeUnsafe<void>()
      const over = this.parts.tracer.span("torn-write", [node.name], "the power goes within a commit")
      node.tear(() => void Deferred.doneUnsafe(torn, Exit.void))
      yield* Effect.raceFirst(Deferred.await(torn), this.pause(60_000))
      if (!node.disk.tearing && node.up) return over()
      node.kill(true)
      yield* this.pause(ms)
      over()
      yield* this.start(node)
    })
  }

  /** The ban ends by itself, or when faults do. */
  private ban(node: SimNode, peer: SimNode, ms: number): Effect.Effect<void, unknown> {
    if (!node.up) return Effect.void
    const id = nodeIdOf(peer.key.publicKey)
    this.bans.set(node, (this.bans.get(node) ?? new Set()).add(id))
    this.parts.tracer.note(node.name, "ban", `${peer.name}, for ${ms} ms`)
    this.parts.lifts(node, id)
    return Effect.asVoid(Effect.exit(node.ask(({ node: shape }) => shape.banPeer(id, ms, "planned"))))
  }

  private lift(node: SimNode, id: string): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      this.parts.lifts(node, id)
      return Effect.asVoid(Effect.exit(node.ask(({ node: shape }) => shape.unbanPeer(id))))
    })
  }

  /** What an attacker needs to send datagrams to a node. */
  spoofer(victim: SimNode, seed: number): Spoofer {
    const { world, rules, nodes, caught } = this.parts
    const others = [...nodes.values()].filter((node) => node !== victim)
    return { rules, dice: makeDice(seed), now: () => world.now, victim, others, caught }
  }

  private flood(action: Extract<FaultAction, { do: "datagrams" }>): Effect.Effect<void, unknown> {
    const { udp, tracer, world } = this.parts
    const { act, node, perSecond, ms } = action
    if (udp === undefined || !datagramActs.includes(act)) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const spoofer = this.spoofer(this.node(node), action.seed)
      const over = tracer.span("datagrams", [node], `${perSecond} a second of ${act}`)
      const end = world.elapsed + ms
      // The more a second, the more at once.
      const atOnce = Math.max(1, Math.floor(perSecond / 20))
      while (!this.calm && world.elapsed < end) {
        for (let i = 0; i < atOnce; i++) udp.send(datagramOf(act, spoofer))
        yield* Effect.sleep((1_000 * atOnce) / perSecond)
      }
      over()
    })
  }

  private actOfAuthority(name: string): Act | undefined {
    const { authority } = this.parts.rules.spec
    return authority && (authorityActs[name] ?? (authority.finality && finalityActs[name]))
  }

  private lie(action: Extract<FaultAction, { do: "byzantine" }>): Effect.Effect<void, unknown> {
    const { world, net, tracer, rules } = this.parts
    const victim = this.node(action.node)
    const target = ({ address, store }: SimNode) => ({ host: address, port: peerPort, store })
    const others = [...this.parts.nodes.values()].filter((node) => node !== victim && node.up)
    const act = acts[rules.spec.ledger.model][action.act] ?? this.actOfAuthority(action.act)
    if (act === undefined || !victim.up) return Effect.void
    const i = this.liars++
    const host = world.host(`liar${i}`)
    const address = `10.66.${i >> 8}.${i & 255}`
    tracer.note(victim.name, "byzantine", `${action.act} from ${host.name}`)
    host.fork(
      act.play({
        host,
        address,
        tcp: net.door(host, address),
        key: liarKey(i),
        rules,
        dice: makeDice(action.seed),
        victim: target(victim),
        others: others.map(target),
        forged: ({ id }, about) => void this.forged.set(id, about)
      })
    )
    return Effect.andThen(
      this.pause(lieMs),
      Effect.sync(() => {
        host.kill()
        net.lose(host.name, false)
      })
    )
  }
}

/** Virtual milliseconds after which a liar's machine is switched off. */
const lieMs = 2 * 60_000
