/**
 * A node that is recorded, as `startTree` would give it: the same calls, answers and end. When the journal of an epoch is
 * full, the actors are stopped and started anew over the same store, and the next epoch begins; that takes a moment, in
 * which callers hear Unavailable and peers are told goodbye. Nothing acknowledged is lost: that is a restart as any other.
 */
import { Clock, type Context, Deferred, Effect, Exit, Fiber } from "effect"
import { Metrics } from "../../actors/metrics.ts"
import type { Escalation } from "../../actors/supervisor.ts"
import type { TreeOptions } from "../../actors/base.ts"
import { startTree, type Tree, type TreeFault } from "../../actors/tree.ts"
import { Random } from "../io/random.ts"
import { type NodeEvent, type NodeShape, type Subscription, Unavailable } from "../node/node.ts"
import { type Method, methods, packArgs } from "./calls.ts"
import { beginEpoch, FlightFault } from "./epoch.ts"
import { liveOutside } from "./outside.ts"
import { type Machine, machineWith, Recorder } from "./recorder.ts"

export interface Recording {
  /** Where epochs are kept. */
  readonly folder: string
  /** Bytes of journal that the epochs may hold together; each gets half. Copies of the database come on top. */
  readonly bytesMax: number
  readonly machine?: Machine
}

/** A journal may exceed its half while the actors stop; beyond this share of it the recording ends. */
const overrun = 1.5
/** Attempts to start the actors of a new epoch, and milliseconds between them: a port may be taken for a moment. */
const attemptsMax = 5
const retryMs = 500

/** Why a caller has to come again. */
const between = new Unavailable({ actor: "node", reason: "a new epoch of the recording begins" })

/** One epoch that runs. */
interface Running {
  readonly tree: Tree
  readonly recorder: Recorder
  readonly number: number
}

/** One who hears events, over all epochs. */
interface Listener {
  readonly onEvent: (event: NodeEvent) => void
  subscription: Subscription | undefined
}

class Flights {
  /** Undefined between two epochs. */
  running: Running | undefined
  /** Completed when the actors have given up, or a new epoch cannot be begun. */
  readonly failed = Deferred.makeUnsafe<never, Escalation>()
  private readonly options: TreeOptions
  private readonly recording: Recording
  private readonly context: Context.Context<never>
  private readonly random: (length: number) => Uint8Array
  private readonly machine: Machine
  private readonly calls = new Map<number, (exit: Exit.Exit<unknown, unknown>) => void>()
  private readonly listeners = new Set<Listener>()
  private lastCall = 0
  private stopped: (() => void) | undefined
  private change: Fiber.Fiber<void> | undefined
  private fault: string | undefined
  /** The port that the first epoch got stays ours. */
  private port: number | undefined

  constructor(
    options: TreeOptions,
    recording: Recording,
    world: {
      readonly context: Context.Context<never>
      readonly random: (length: number) => Uint8Array
      readonly machine: Machine
    }
  ) {
    this.options = options
    this.recording = recording
    this.context = world.context
    this.random = world.random
    this.machine = world.machine
  }

  // ── epochs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Begins an epoch. Fails as `startTree` does. */
  readonly begin: Effect.Effect<Running, TreeFault | FlightFault> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const options = this.here()
    return Effect.flatMap(beginEpoch(this.recording.folder, options, now), ({ folder, number }) =>
      this.launch(options, folder, number)
    )
  })

  /** Begins an epoch or, where the disk does not allow it, goes on without. */
  private readonly beginOrGoOn = Effect.catchTag(this.begin, "FlightFault", ({ message }) => {
    this.lost(message)
    return this.launch(this.here(), undefined, 0)
  })

  /** The options, with the port that we have. */
  private here(): TreeOptions {
    const { config } = this.options
    if (config.peers === undefined || this.port === undefined) return this.options
    return { ...this.options, config: { ...config, peers: { ...config.peers, port: this.port } } }
  }

  private launch(options: TreeOptions, folder: string | undefined, number: number): Effect.Effect<Running, TreeFault> {
    const half = this.recording.bytesMax / 2
    const outside = liveOutside({ ...options.doors, random: this.random })
    return Effect.callback<Running, TreeFault>((resume) => {
      const recorder: Recorder = new Recorder({
        folder,
        bytesWanted: half,
        bytesMax: half * overrun,
        outside: { ...outside, listen: (...at) => this.listened(outside.listen(...at)) },
        audience: {
          started: (exit) => resume(Exit.map(exit, (tree) => ({ tree, recorder, number }))),
          answered: (call, exit) => this.answered(call, exit),
          stopped: () => this.stopped?.()
        },
        onFull: () => void (this.change ??= this.fork(this.changeEpoch)),
        onFault: (reason) => this.lost(reason),
        machine: this.machine
      })
      const { deck } = recorder
      const doors = { tcp: deck.tcp, startThread: deck.startThread, fetch: deck.fetch, callNode: deck.callNode }
      recorder.start(startTree({ ...options, doors, spy: deck.spy }), this.context)
    }).pipe(
      Effect.tap((running) =>
        Effect.sync(() => {
          this.running = running
          if (folder !== undefined) this.fault = running.recorder.journal.fault
          // An end that the actors chose themselves; our own stop completes nothing.
          this.fork(running.tree.failed).addObserver((exit) => Deferred.doneUnsafe(this.failed, exit))
          for (const listener of this.listeners)
            listener.subscription = running.tree.node.listen(undefined, listener.onEvent)
        })
      )
    )
  }

  private listened<L extends { readonly port: number }>(listener: L): L {
    this.port = listener.port
    return listener
  }

  /** Stops the actors of the epoch that runs, and ends its journal. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    const { running } = this
    if (running === undefined) return Effect.void
    return Effect.callback<void>((resume) => {
      this.stopped = () => resume(Effect.void)
      running.recorder.hear({ kind: "stop" })
    }).pipe(
      Effect.andThen(
        Effect.sync(() => {
          this.running = undefined
          running.recorder.close()
          for (const call of [...this.calls.keys()]) this.answered(call, Exit.fail(between))
        })
      )
    )
  })

  private readonly changeEpoch: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* Effect.logInfo("the journal is full: a new epoch of the recording begins")
    yield* this.end
    for (let attempt = 1; ; attempt++) {
      const exit = yield* Effect.exit(this.beginOrGoOn)
      if (Exit.isSuccess(exit)) break
      yield* Effect.logError("the new epoch of the recording could not begin", { cause: String(exit.cause) })
      if (attempt === attemptsMax) {
        Deferred.doneUnsafe(this.failed, Exit.die(new Error("the actors could not be started again")))
        break
      }
      yield* Effect.sleep(retryMs)
    }
    this.change = undefined
  })

  /** The node's own end: a change of epochs that is under way comes first. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    const { change } = this
    this.change ??= this.fork(Effect.void)
    return Effect.andThen(change === undefined ? Effect.void : Fiber.await(change), this.end)
  })

  private lost(reason: string): void {
    this.fault = reason
    this.fork(Effect.logWarning("the recording has ended; the node goes on", { reason }))
  }

  private fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  // ── the node ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private answered(call: number, exit: Exit.Exit<unknown, unknown>): void {
    const resume = this.calls.get(call)
    this.calls.delete(call)
    resume?.(exit)
  }

  /** A call as an input: the actors hear it between two tasks, and whoever calls runs elsewhere. */
  private call(method: Method, args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      const { running } = this
      if (running === undefined) return resume(Effect.fail(between))
      const call = ++this.lastCall
      this.calls.set(call, resume)
      running.recorder.hear({ kind: "call", call, method, args: packArgs(method, args as never) })
      return Effect.sync(() => {
        if (this.calls.delete(call)) running.recorder.hear({ kind: "cancel", call })
      })
    })
  }

  private listen(afterId: number | undefined, onEvent: Listener["onEvent"]): Subscription | undefined {
    const subscription = this.running?.tree.node.listen(afterId, onEvent)
    if (subscription === undefined) return undefined
    const listener: Listener = { onEvent, subscription }
    this.listeners.add(listener)
    return {
      ...subscription,
      close: () => {
        this.listeners.delete(listener)
        listener.subscription?.close()
      }
    }
  }

  private readonly figures = (): string => {
    const metrics = new Metrics()
    const { running, fault } = this
    const writes = running !== undefined && fault === undefined
    metrics.gauge("cairn_flight_recording", "1 while a journal is written.", () => (writes ? 1 : 0))
    metrics.gauge("cairn_flight_epoch", "Number of the epoch.", () => running?.number ?? 0)
    const bytes = running?.recorder.journal.bytes ?? 0
    metrics.gauge("cairn_flight_journal_bytes", "Bytes of the epoch's journal.", () => bytes)
    return metrics.format()
  }

  /** The node of whatever epoch runs. Reads of the last commit do not reach actors, and are recorded nowhere. */
  node(first: NodeShape): NodeShape {
    const recorded = Object.fromEntries(
      methods.map((method) => [method, (...args: ReadonlyArray<unknown>) => this.call(method, args)])
    ) as unknown as Pick<NodeShape, Method>
    // One by one: a call that is added to the node must be put on one side or the other.
    const { facts, tip, blockAt, blockOf, headersFrom, headersAfter, locator, blocksDownFrom, validate } = first
    // A recorded node makes no backups: of those nothing would stand in the journal.
    const { transactionProof, accountProof, coinProof, everyCoin, stateAt, votes, evidence, authorities, backup } =
      first
    return {
      ...{ facts, tip, blockAt, blockOf, headersFrom, headersAfter, locator, blocksDownFrom, validate },
      ...{ transactionProof, accountProof, coinProof, everyCoin, stateAt, votes, evidence, authorities, backup },
      ...recorded,
      metrics: () => Effect.map((this.running?.tree.node ?? first).metrics(), (text) => text + this.figures()),
      listen: (afterId, onEvent) => this.listen(afterId, onEvent)
    }
  }
}

/** Starts a node's actors and records them. */
export const startRecorded = (
  options: TreeOptions,
  recording: Recording
): Effect.Effect<Tree, TreeFault | FlightFault> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const flights = new Flights(options, recording, {
      context: yield* Effect.context<never>(),
      random: yield* Random,
      machine: recording.machine ?? machineWith(() => clock.currentTimeMillisUnsafe())
    })
    const { tree } = yield* flights.begin
    return {
      node: flights.node(tree.node),
      failed: Deferred.await(flights.failed),
      stop: flights.stop,
      bounds: () => flights.running?.tree.bounds() ?? []
    }
  })
