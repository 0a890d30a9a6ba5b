/**
 * A stage for stories: a few whole nodes in one world, and words for what happens to them. A story ends as every simulation does:
 * each node's history is replayed, no honest node has banned another, all stop and leave nothing behind.
 */
import { Effect, Exit } from "effect"
import type { Rules } from "../chain/rules.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { checkBounds, checkHistory, checkPool, checkTip, poolView, Violation } from "./check.ts"
import { SeededChoices } from "./choices.ts"
import { SimNet } from "./net.ts"
import { SimNode, type SimParts } from "./node.ts"
import { Tracer } from "./tracer.ts"
import { nodeKey } from "./wallets.ts"
import { errorOf, World } from "./world.ts"

/** Nonces a node tries at once: more than any block of a few bits takes. */
const triesInPlace = 65_536
/** Virtual milliseconds between two looks at a fact. */
const lookMs = 50
const minuteMs = 60_000
const stepsMax = 20_000_000
/** The probability that a fiber is preempted between two operations. */
const preempt = 0.05

export const tipOf = ({ store }: SimNode): string => store.tip().header.id
export const heightOf = ({ store }: SimNode): number => store.tip().header.height

export interface NodeWish {
  /** Nodes that it knows from the beginning. */
  readonly knows?: ReadonlyArray<SimNode>
  /** It mines all the time, at this pace. */
  readonly hashesPerSecond?: number
  /** It seals a block whenever it has transfers. */
  readonly onDemand?: boolean
}

export class Stage {
  readonly world: World
  readonly net: SimNet
  readonly rules: Rules
  readonly parts: SimParts
  readonly nodes: Array<SimNode> = []
  private readonly cuts: Array<readonly [string, string]> = []
  private wrong: string | undefined

  constructor(rules: Rules, seed: number) {
    const choices = new SeededChoices(seed)
    this.rules = rules
    this.world = new World({ choices, preempt, seed, stepsMax })
    this.net = new SimNet(this.world, choices)
    this.parts = { world: this.world, net: this.net, choices, tracer: new Tracer(this.world, { messages: false }) }
  }

  /** Virtual milliseconds since 1970. */
  get now(): number {
    return this.world.now
  }

  /** Starts a node. It seals a block when it is told to, if nothing else is wished. */
  node(name: string, wish: NodeWish = {}): Effect.Effect<SimNode, unknown> {
    return Effect.suspend(() => {
      const i = this.nodes.length
      const node = new SimNode(this.parts, {
        name,
        address: `10.0.0.${i + 1}`,
        key: nodeKey(i),
        rules: this.rules,
        seeds: (wish.knows ?? []).map(({ endpoint }) => endpoint),
        hashesPerSecond: wish.hashesPerSecond ?? 0,
        mining: { threads: wish.hashesPerSecond === undefined ? 0 : 1, onDemand: wish.onDemand ?? false },
        triesInPlace: wish.hashesPerSecond === undefined ? triesInPlace : 0
      })
      node.moved = () => void (this.wrong ??= checkTip(node, this.rules))
      this.nodes.push(node)
      return Effect.as(node.start(), node)
    })
  }

  /** Lets a node seal so many blocks, one on the other, each so many virtual milliseconds after the one before. */
  mine(node: SimNode, count = 1, everyMs = 0): Effect.Effect<void, unknown> {
    const one = node.ask(({ node: shape }) => shape.mine(undefined))
    return Effect.forEach(Array.from({ length: count }), () => Effect.andThen(Effect.sleep(everyMs), one), {
      discard: true
    })
  }

  /** Gives a transfer to a node, which acknowledges it. */
  submit(node: SimNode, transaction: Transaction) {
    return node.ask(({ node: shape }) => shape.submit(transaction))
  }

  /** Where a node has a transfer: in a block of its branch, in its pool, or nowhere. */
  whereabouts(node: SimNode, { id }: Transaction) {
    return Effect.map(
      node.ask(({ node: shape }) => shape.transaction(id)),
      (found) => (found === undefined ? "nowhere" : found.block === undefined ? "pending" : "confirmed")
    )
  }

  /** Waits, in virtual time, until a fact holds. */
  until(what: string, fact: () => boolean, patienceMs = 10 * minuteMs): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const end = this.world.elapsed + patienceMs
      while (!fact()) {
        if (this.world.elapsed > end)
          return yield* Effect.die(new Error(`not within ${patienceMs / minuteMs} minutes: ${what}`))
        yield* Effect.sleep(lookMs)
      }
    })
  }

  /** Waits until these nodes, or all, have one tip. */
  agree(nodes: ReadonlyArray<SimNode> = this.nodes): Effect.Effect<void> {
    const names = nodes.map(({ name }) => name).join(", ")
    return this.until(`${names} agree`, () => new Set(nodes.map(tipOf)).size === 1)
  }

  /** Breaks every way between the two sides. */
  part(side: ReadonlyArray<SimNode>, other: ReadonlyArray<SimNode>): void {
    for (const a of side)
      for (const b of other) {
        this.net.cut(a.name, b.name)
        this.cuts.push([a.name, b.name])
      }
  }

  /** Mends every way. */
  heal(): void {
    for (const [a, b] of this.cuts.splice(0)) this.net.mend(a, b)
  }

  /** The story, and the end that every story has. */
  whole(story: (stage: Stage) => Effect.Effect<void, unknown>): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.world.audit = () => {
        if (this.wrong !== undefined) throw new Violation(this.wrong)
      }
      yield* story(this)
      const up = this.nodes.filter((node) => node.up)
      for (const node of up) {
        this.wrong ??= checkHistory(node, this.rules) ?? checkBounds(node) ?? checkPool(node, poolView(node, this.rules))
        yield* this.checkBans(node)
      }
      for (const node of up) yield* this.stop(node)
      if (this.wrong !== undefined) return yield* Effect.die(new Violation(this.wrong))
    })
  }

  private checkBans(node: SimNode): Effect.Effect<void, unknown> {
    const honest = new Set(this.nodes.map(({ name }) => name))
    return Effect.map(
      node.ask(({ node: shape }) => shape.peers()),
      (peers) => {
        const banned = peers.find(({ nodeId, state }) => state === "banned" && honest.has(this.parts.tracer.nameOf(nodeId)))
        if (banned !== undefined) this.wrong ??= `${node.name} has banned ${this.parts.tracer.nameOf(banned.nodeId)}, which is honest`
      }
    )
  }

  private stop(node: SimNode): Effect.Effect<void> {
    const { host } = node
    return Effect.map(node.stop(), () => {
      if (host.waiting > 0) this.wrong ??= `${node.name} has stopped and ${host.waiting} of its timers are still set`
    })
  }
}

/** Plays a story with one seed. Gives the digest of the run; throws what went wrong, with the seed. */
export const play = (rules: Rules, seed: number, story: (stage: Stage) => Effect.Effect<void, unknown>): string => {
  const stage = new Stage(rules, seed)
  try {
    const exit = stage.world.run(stage.whole(story))
    if (Exit.isFailure(exit)) throw errorOf(exit)
    return stage.world.digest
  } catch (error) {
    if (error instanceof Error) error.message += `\n  seed ${seed}`
    throw error
  } finally {
    for (const { disk } of stage.nodes) disk.remove()
  }
}
