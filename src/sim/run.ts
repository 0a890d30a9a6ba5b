/**
 * Runs a plan: real nodes in one world, the plan's work and faults, the checkers all the time, and at the end a quiet in which
 * everything must come together again.
 *
 *   start nodes → the plan's actions, each at its time → faults over, everyone up → one tip, everything acknowledged in it → stop
 */
import { Cause, Effect, Exit } from "effect"
import type { Rules } from "../chain/rules.ts"
import type { NodeShape } from "../node/node.ts"
import { type Choices, SeededChoices } from "./choices.ts"
import {
  checkBounds,
  checkCondemned,
  checkHistory,
  checkMemory,
  checkTip,
  type Checker,
  heavierBranch,
  type PoolView,
  poolView,
  type Promises,
  Violation
} from "./check.ts"
import { checkersOf } from "./checkers.ts"
import { BanWatch, checkRemembered, GossipWatch, makeStandings } from "./gossip-checks.ts"
import { diskRetryMsMax } from "../limits.ts"
import { Faults } from "./faults.ts"
import { SimNet } from "./net.ts"
import { askedFor, gossipPort, peerPort, SimNode, type SimParts } from "./node.ts"
import type { Action, Plan, PlannedNode } from "./plan.ts"
import type { Run } from "./trace.ts"
import { Tracer, type TracerOptions } from "./tracer.ts"
import { nodeKey, walletKey } from "./keys.ts"
import { isAuthority, rulesOf } from "./rules.ts"
import { SimUdp } from "./udp.ts"
import type { Wallets } from "./wallets.ts"
import { checkPool, makeMoney } from "./money.ts"
import { errorOf, World } from "./world.ts"

export interface RunOptions extends Omit<TracerOptions, "messages"> {
  /** Keep messages, for a timeline. */
  readonly messages?: boolean
  /** The choices; undefined: those of the plan's seed. */
  readonly choices?: Choices
  /** Called now and then with the virtual time. */
  readonly onProgress?: (elapsed: number, steps: number) => void
  /** What else must hold, asked after every move of a tip: what is wrong in words, or nothing. */
  readonly check?: (moved: SimNode, nodes: ReadonlyMap<string, SimNode>) => string | undefined
  /** Ends the run early; asked after every step. */
  readonly until?: (elapsed: number, steps: number) => boolean
}

export interface Report {
  /** Undefined: all held. */
  readonly failure: string | undefined
  /** The kind of failure, for the shrinker: the same fault, whatever its figures. */
  readonly kind: string | undefined
  readonly digest: string
  readonly steps: number
  readonly handled: number
  readonly elapsed: number
  readonly nodes: ReadonlyArray<{
    readonly name: string
    readonly up: boolean
    readonly height: number
    readonly tip: string
    readonly restarts: number
  }>
  readonly acknowledged: number
  readonly refused: number
  readonly run: Run
}

/** Virtual milliseconds in which everything must come together when the faults are over. */
const quietMs = 30 * 60_000
/** Virtual milliseconds without mining after which everyone has everything. */
const settleMs = 15_000
/** Steps between two looks at bounds and progress; in a flood an inbox is full and empty again within few. */
const lookEvery = 256
const lookEveryInFloods = 8
/** Virtual milliseconds between two looks at the choice of branch. */
const choiceLookMs = 1_000
/** Virtual milliseconds between two looks at bans and promises. */
const banLookMs = 30_000
/** Height up to which every reorganisation is followed by a replay of all of history. */
const fullAuditHeight = 200

/** Whoever watches the run has seen enough. */
class Enough extends Error {}

/** One run of one plan. */
class Simulation {
  readonly world: World
  readonly net: SimNet
  readonly tracer: Tracer
  readonly rules: Rules
  readonly nodes = new Map<string, SimNode>()
  readonly wallets: Wallets
  private readonly promises: Promises
  private readonly checkers: ReadonlyArray<Checker>
  private readonly plan: Plan
  private readonly options: RunOptions
  private readonly faults: Faults
  private readonly bans: BanWatch
  private wrong: Violation | undefined
  /** Floods of questions that are not answered yet. */
  private floods = 0
  /** The nodes before they were stopped. */
  private final: Report["nodes"] | undefined

  constructor(plan: Plan, options: RunOptions) {
    this.plan = plan
    this.options = options
    const choices = options.choices ?? new SeededChoices(plan.seed, plan.strategy)
    this.world = new World({ choices, preempt: plan.preempt, seed: plan.seed, stepsMax: Number.MAX_SAFE_INTEGER })
    this.rules = rulesOf(plan)
    this.net = new SimNet(this.world, choices)
    const udp = plan.gossip === undefined ? undefined : new SimUdp(this.net, choices)
    this.tracer = new Tracer(this.world, { ...options, messages: options.messages ?? false })
    const { wallets, promises } = makeMoney(this.rules, plan.wallets)
    this.wallets = wallets
    wallets.violated = (what) => this.violated(what)
    this.promises = promises
    const parts = { world: this.world, net: this.net, choices, tracer: this.tracer, udp }
    plan.nodes.forEach((planned, i) => this.nodes.set(planned.name, this.makeNode(parts, planned, i)))
    this.bans = new BanWatch(plan)
    const watch = udp && new GossipWatch(plan, udp, (what) => this.violated(what))
    this.faults = new Faults({
      ...{ ...parts, nodes: this.nodes, rules: this.rules, caught: watch?.caught ?? [] },
      started: (node) => this.started(node),
      lifts: (node, nodeId) => this.bans.lifted(node.name, nodeId)
    })
    const spoofer = (node: SimNode) => this.faults.spoofer(node, plan.seed)
    this.checkers = [...checkersOf(this.rules), ...(udp === undefined ? [] : [makeStandings(udp, spoofer)])]
    this.tracer.waited = (...late) => this.waited(...late)
    this.world.audit = () => this.look()
  }

  private makeNode(parts: SimParts, planned: PlannedNode, i: number): SimNode {
    const { plan } = this
    const { name, address, hashesPerSecond } = planned
    const placesOf = (names: ReadonlyArray<string>, port: number): ReadonlyArray<string> =>
      names.map((other) => `${plan.nodes.find((one) => one.name === other)!.address}:${port}`)
    const { form, everyMs } = plan.gossip ?? {}
    const node = new SimNode(parts, {
      ...{ name, address, key: nodeKey(i), rules: this.rules, hashesPerSecond },
      seeds: placesOf(planned.seeds, peerPort),
      // Where no work is asked for, the first try is the block.
      ...(plan.authority?.bits === 0 ? { triesInPlace: 1 } : {}),
      isAuthority: isAuthority(plan, i),
      squeeze: plan.squeeze,
      ...(everyMs === undefined
        ? {}
        : {
            gossip: { plaintext: form === "plain", everyMs, seeds: placesOf(planned.gossipSeeds ?? [], gossipPort) }
          })
    })
    node.moved = () => this.tipMoved(node)
    node.sealed = (header) => this.checkers.forEach((one) => this.violated(one.sealed?.(node, header)))
    node.voted = (link) => this.checkers.forEach((one) => this.violated(one.voted?.(node, link)))
    node.crashed = (what) => this.crashed(name, what)
    node.died = (why) => this.violated(`${name}: a call died: ${why}`)
    return node
  }

  run(): Report {
    const exit = this.attempt()
    const ended = Exit.isFailure(exit) ? errorOf(exit) : undefined
    const error = this.wrong ?? (ended instanceof Enough ? undefined : ended)
    const report = this.report(error)
    for (const { disk } of this.nodes.values()) disk.remove()
    return report
  }

  private attempt(): Exit.Exit<void, unknown> {
    try {
      return this.world.run(this.program())
    } catch (error) {
      return Exit.die(error)
    }
  }

  /** The run is over, and why. The first reason counts. */
  private violated(what: string | undefined): void {
    if (what !== undefined && this.wrong === undefined) this.wrong = new Violation(what)
  }

  /** No actor dies but of a bug that the plan asks for. */
  private crashed(name: string, what: string): void {
    if (!what.includes(askedFor)) this.violated(`${name}: ${what}`)
  }

  /** Nobody lets a message lie, but who waits for room on his disk, and who waits for him. */
  private waited(name: string, actor: string, kind: string, ms: number): void {
    if (!this.lacksRoom(name, ms)) this.violated(`${name}: a ${kind} has waited for ${actor} for ${ms} ms`)
  }

  /** Did a node's disk have no room so many milliseconds ago, or has it not been tried again since? */
  private lacksRoom(name: string, ms: number): boolean {
    const { elapsed } = this.world
    return this.plan.actions.some(
      (one) =>
        one.do === "disk-full" &&
        one.node === name &&
        elapsed > one.at &&
        elapsed < one.at + one.ms + diskRetryMsMax + ms
    )
  }

  private look(): void {
    if (this.wrong !== undefined) throw this.wrong
    const { steps } = this.world
    if (this.options.until?.(this.world.elapsed, steps) === true) throw new Enough()
    if (steps % (this.floods > 0 ? lookEveryInFloods : lookEvery) !== 0) return
    for (const node of this.up()) this.violated(checkBounds(node))
    if (steps % lookEvery === 0) this.options.onProgress?.(this.world.elapsed, steps)
  }

  private up(): ReadonlyArray<SimNode> {
    return [...this.nodes.values()].filter(({ up }) => up)
  }

  private tipMoved(node: SimNode): void {
    this.promises.moved(node)
    const forged = this.faults.forged.get(node.store.tip().header.id)
    this.violated(
      checkTip(node, this.rules) ??
        (forged === undefined ? undefined : `${node.name} has taken a block with ${forged}`) ??
        this.options.check?.(node, this.nodes)
    )
    for (const checker of this.checkers) this.violated(checker.moved?.(node, this.nodes))
  }

  /** After each start: what the disk has is what the rules give, and nothing that was promised is gone. */
  private started(node: SimNode): void {
    this.bans.started(node.name, this.world.now)
    if (node.store.tip().header.height <= fullAuditHeight) this.violated(checkHistory(node, this.rules))
    this.violated(this.checkPromises(node, poolView(node, this.rules)))
  }

  /** In a squeezed pool a transfer may have to leave for a better one; else what was promised is kept. */
  private checkPromises(node: SimNode, pool: PoolView): string | undefined {
    return this.plan.squeeze > 1 ? undefined : this.promises.broken(node, pool)
  }

  private program(): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.forEach(this.nodes.values(), (node) => node.start(), { concurrency: "unbounded", discard: true })
      yield* Effect.forkDetach(this.watchBans())
      yield* Effect.forkDetach(this.watchChoice())
      for (const action of this.plan.actions) {
        const wait = action.at - this.world.elapsed
        if (wait > 0) yield* Effect.sleep(wait)
        yield* Effect.forkDetach(this.guarded(this.act(action)))
      }
      const rest = this.plan.endMs - this.world.elapsed
      if (rest > 0) yield* Effect.sleep(rest)
      yield* this.quiet()
    })
  }

  /** What an action dies of is a violation, not silence. */
  private guarded(effect: Effect.Effect<void, unknown>): Effect.Effect<void> {
    return Effect.catchCause(effect, (cause) =>
      Effect.sync(() => this.violated(`an action failed: ${Cause.pretty(cause)}`))
    )
  }

  private act(action: Action): Effect.Effect<void, unknown> {
    const at = (name: string): SimNode => this.nodes.get(name)!
    switch (action.do) {
      case "pay":
      case "conflict":
      case "replace":
      case "gather":
      case "spend-reward": {
        const nodes = ("nodes" in action ? action.nodes : [action.node]).map(at)
        return nodes.every(({ up }) => up) ? this.wallets.act(action, nodes) : Effect.void
      }
      case "order":
        return this.ignoring(at(action.node), (node) => node.mine(undefined))
      case "flood": {
        const account = walletKey(0).address
        const one = this.ignoring(at(action.node), (node) => node.account(account))
        const asked = Array.from({ length: action.count }, () => one)
        const all = Effect.all(asked, { concurrency: "unbounded", discard: true })
        this.floods++
        return Effect.ensuring(
          all,
          Effect.sync(() => void this.floods--)
        )
      }
      case "pace":
        return Effect.sync(() => void (at(action.node).pace.hashesPerSecond = action.hashesPerSecond))
      default:
        return this.faults.act(action)
    }
  }

  /** Asks a node something of which the answer does not matter; that the node dies of it does, and is heard of. */
  private ignoring(node: SimNode, ask: (shape: NodeShape) => Effect.Effect<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => (node.up ? Effect.exit(node.ask(({ node: shape }) => ask(shape))) : Effect.void)).pipe(
      Effect.asVoid
    )
  }

  private watchBans(): Effect.Effect<void> {
    return Effect.forever(
      Effect.gen({ self: this }, function* () {
        yield* Effect.sleep(banLookMs)
        for (const node of this.up()) {
          this.violated(checkCondemned(node, (id) => this.tracer.wasTip(id)))
          this.violated(this.checkPromises(node, poolView(node, this.rules)))
          yield* this.checkBans(node)
          if (this.plan.gossip !== undefined) this.violated(yield* checkRemembered(node, this.plan))
        }
      })
    )
  }

  /** A heavier branch that is here may be under way to be the tip at one look, but not still at the next. */
  private watchChoice(): Effect.Effect<void> {
    const last = new Map<string, string>()
    const look = Effect.sync(() => {
      for (const node of this.up()) {
        const heavier = heavierBranch(node)
        if (heavier !== undefined && last.get(node.name) === heavier && !this.lacksRoom(node.name, choiceLookMs))
          this.violated(`${node.name}: ${heavier} has more work than the tip, and all its blocks are here`)
        last.set(node.name, heavier ?? "")
        for (const checker of this.checkers) this.violated(checker.looked?.(node))
      }
    })
    return Effect.forever(Effect.andThen(Effect.sleep(choiceLookMs), look))
  }

  private checkBans(node: SimNode): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const exit = yield* Effect.exit(node.ask(({ node: shape }) => shape.peers()))
      if (Exit.isFailure(exit)) return
      this.violated(this.bans.told(node.name, exit.value, this.world.now))
      for (const { nodeId, state, banReason } of exit.value) {
        const name = this.tracer.nameOf(nodeId)
        const wasAsked = banReason === "manual" && this.faults.hasBanned(node, nodeId)
        // Who could not be reached for long is looked for less often, and let in when it comes.
        if (this.nodes.has(name) && state === "banned" && banReason !== "unreachable" && !wasAsked)
          this.violated(`${node.name} has banned ${name}, which is honest`)
      }
    })
  }

  /** Faults over, everyone up: one tip, and in it all that was promised. Then nobody mines, and all stop. */
  private quiet(): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      yield* this.faults.heal()
      this.tracer.note("", "quiet", "faults are over")
      const [first] = this.nodes.values()
      if (![...this.nodes.values()].some(({ pace }) => pace.hashesPerSecond > 0)) first!.pace.hashesPerSecond = 20
      yield* this.eventually("everything that was acknowledged is confirmed everywhere", () => this.allConfirmed())
      for (const { quiet } of this.checkers) if (quiet !== undefined) this.violated(yield* quiet(this.up()))
      yield* this.agree()
      for (const node of this.up()) {
        this.violated(checkHistory(node, this.rules) ?? checkBounds(node))
        const { pendingTransactions } = yield* node.ask(({ node: shape }) => shape.stats())
        const pool = poolView(node, this.rules)
        this.violated(checkPool(node, this.rules, pool) ?? checkMemory(node, pool, pendingTransactions))
        yield* this.checkBans(node)
      }
      yield* this.stopAll()
    })
  }

  /** One tip everywhere, and it stays when nobody mines. Two branches of equal work are not wrong: the next block decides. */
  private agree(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const paces = [...this.nodes.values()].map(({ pace }) => [pace, pace.hashesPerSecond] as const)
      const same = (): boolean => new Set(this.up().map(tipOf)).size === 1
      for (const end = this.world.elapsed + quietMs; this.wrong === undefined; ) {
        yield* this.eventually("all nodes have one tip", same)
        for (const [pace] of paces) pace.hashesPerSecond = 0
        yield* Effect.sleep(settleMs)
        if (same()) return
        if (this.world.elapsed > end) return this.violated("tips part again and again, with no fault left")
        for (const [pace, hashesPerSecond] of paces) pace.hashesPerSecond = hashesPerSecond
      }
    })
  }

  private allConfirmed(): boolean {
    for (const node of this.up()) {
      const pool = poolView(node, this.rules)
      this.violated(this.checkPromises(node, pool))
      if (pool.size > 0 && this.plan.squeeze === 1) return false
    }
    return true
  }

  private stopAll(): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.final = this.faults.summary()
      for (const node of this.up()) {
        const { host } = node
        yield* node.stop()
        if (host.waiting > 0) this.violated(`${node.name} has stopped and ${host.waiting} of its timers are still set`)
      }
    })
  }

  private eventually(what: string, fact: () => boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const end = this.world.elapsed + quietMs
      while (!fact() && this.wrong === undefined) {
        if (this.world.elapsed > end) return this.violated(`not within ${quietMs / 60_000} minutes of quiet: ${what}`)
        yield* Effect.sleep(1_000)
      }
    })
  }

  private report(error: Error | undefined): Report {
    const { world, tracer, wallets, plan } = this
    const failure =
      error === undefined ? undefined : error instanceof Violation ? error.message : `${error.name}: ${error.message}`
    if (failure !== undefined) tracer.note("", "failed", failure)
    return {
      failure,
      kind: failure?.replace(/[0-9a-f]{6,}|\d+/g, "#").slice(0, 120),
      digest: world.digest,
      steps: world.steps,
      handled: tracer.handled,
      elapsed: world.elapsed,
      nodes: this.final ?? this.faults.summary(),
      acknowledged: wallets.acknowledged.size,
      refused: wallets.refused,
      run: tracer.run({
        title: `seed ${plan.seed}, ${plan.nodes.length} nodes`,
        facts: [
          ["seed", String(plan.seed)],
          ["digest", world.digest],
          ["steps", String(world.steps)],
          ["transfers acknowledged", String(wallets.acknowledged.size)]
        ],
        failure: failure === undefined ? undefined : { at: world.elapsed, text: failure }
      })
    }
  }
}

const tipOf = ({ store }: SimNode): string => store.tip().header.id

/** Runs a plan to its end, or to the first thing that does not hold. */
export const simulate = (plan: Plan, options: RunOptions = {}): Report => new Simulation(plan, options).run()
