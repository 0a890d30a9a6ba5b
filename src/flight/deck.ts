/**
 * Where a recorded node runs, live or in a replay: its scheduler, its clock, and every door between it and the outside.
 * The deck is the same both times; what differs is the tape, which writes down or compares, and the outside, which is
 * there or is not.
 *
 * Tasks run in the order in which they were scheduled. Inputs come between two of them, and a fiber that an input wakes
 * does not run in the input's stack: it waits in the queue like all others. So the number of tasks begun is a place in the
 * run that means the same in a replay.
 */
import { Clock, Context, Effect, type Exit, type Fiber, Scheduler } from "effect"
import type { ActorWatch } from "../../actors/actor.ts"
import { RunQueue, type Task } from "../../actors/scheduler.ts"
import type { Tree, TreeFault } from "../../actors/tree.ts"
import type { Header } from "../block/header.ts"
import { type Call, type CallNode, callFaultOf } from "../io/call-node.ts"
import { type Fetch, type FetchAnswer, FetchFault, type Posted } from "../io/fetch.ts"
import { Random } from "../io/random.ts"
import { type OnWire, type Tcp, TcpFault, type TlsIdentity, type Wire, type WireHandlers } from "../io/tcp.ts"
import type { StartThread, Thread } from "../io/worker.ts"
import { callOf, outcomeOf } from "./calls.ts"
import { FlightClock } from "./clock.ts"
import { Digest } from "./digest.ts"
import type { Fields, Input, Kind } from "./entry.ts"

/** What the deck tells of and asks. Every method is called at one place of the run: `at` tasks had begun. */
export interface Tape {
  /** Something the node did. */
  readonly event: <K extends Kind>(kind: K, at: number, fields: Fields<K>) => void
  /** Something the outside says when it is asked; `live` asks it. */
  readonly answer: <K extends Kind>(kind: K, at: number, live: () => Fields<K>) => Fields<K>
  /** Something that rarely happens; `live` finds out. */
  readonly rare: <K extends Kind>(kind: K, at: number, fields: Fields<K>, live: () => boolean) => boolean
  /** Is the slice over before this operation of the task? */
  readonly over: (at: number, operation: number) => boolean
}

type Hear = (input: Input) => void

/** The doors as they are, by number. A replay has stand-ins that do nothing. */
export interface Outside {
  readonly listen: (
    at: { readonly host: string; readonly port: number },
    identity: TlsIdentity,
    hear: Hear
  ) => { readonly port: number; readonly fault: string; readonly close: () => void }
  /** Gives what calls the dial off. */
  readonly dial: (dial: number, to: Parameters<Tcp["dial"]>[0], identity: TlsIdentity, hear: Hear) => () => void
  /** What to do with a connection that was told of. Asked once. */
  readonly wire: (wire: number) => Omit<Wire, "remoteHost" | "binding" | "fingerprint">
  readonly thread: (thread: number, file: string, hear: Hear) => Thread<unknown, unknown>
  /** Gives what calls the question off. */
  readonly fetch: (fetch: number, posted: Posted, hear: Hear) => () => void
  readonly callNode: (fetch: number, call: Call, hear: Hear) => () => void
  readonly random: (length: number) => Uint8Array
}

/** Who hears how the node's own affairs end: the live side only. */
export interface Audience {
  readonly started: (exit: Exit.Exit<Tree, TreeFault>) => void
  readonly answered: (call: number, exit: Exit.Exit<unknown, unknown>) => void
  readonly stopped: () => void
}

export class Deck implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  readonly clock: FlightClock
  /** Tasks begun. */
  tasks = 0
  tree: Tree | undefined
  /** True while a task or an input is being carried out: an input that comes meanwhile has to wait. */
  busy = false
  private inTask = false
  private operations = 0
  private gaveWay = false
  private readonly queue = new RunQueue()
  private readonly names = new Map<string, Map<string, number>>()
  private context: Context.Context<never> = Context.empty()
  private listening: OnWire | undefined
  private dials = 0
  private threads = 0
  private fetches = 0
  private readonly fetching = new Map<number, (heard: Fields<"fetched">) => void>()
  private readonly dialling = new Map<
    number,
    { readonly onWire: OnWire; readonly resume: (effect: Effect.Effect<void, TcpFault>) => void }
  >()
  private readonly wires = new Map<number, WireHandlers>()
  /** Of the connection that comes next. */
  private shown: Fields<"shown"> | undefined
  private readonly heard = new Map<number, Parameters<StartThread>[1]>()
  private readonly calls = new Map<number, Fiber.Fiber<unknown, unknown>>()
  private readonly tape: Tape
  private readonly outside: Outside
  private readonly audience: Audience
  private readonly hear: Hear
  private readonly onWork: () => void

  constructor(options: {
    readonly tape: Tape
    readonly outside: Outside
    readonly audience: Audience
    /** Takes inputs as they come from outside. */
    readonly hear: Hear
    /** Hears that there is a task to run. */
    readonly onWork: () => void
    readonly monotonicNanos: (clock: FlightClock) => bigint
  }) {
    this.tape = options.tape
    this.outside = options.outside
    this.audience = options.audience
    this.hear = options.hear
    this.onWork = options.onWork
    this.clock = new FlightClock(() => options.monotonicNanos(this.clock))
  }

  // ── scheduler ──────────────────────────────────────────────────────────────────────────────────────────────────────

  get idle(): boolean {
    return this.queue.empty
  }

  /** Effect asks before every operation. Outside a task a fiber always gives way: that is a rule, and needs no entry. */
  shouldYield(): boolean {
    if (!this.inTask) return true
    this.operations++
    return this.gaveWay || (this.gaveWay = this.tape.over(this.tasks, this.operations))
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task: Task) => {
        this.queue.push(task)
        if (!this.busy) this.onWork()
      },
      flush: () => {
        while (!this.queue.empty) this.next()
      }
    }
  }

  /** Runs the oldest task. */
  next(): void {
    const task = this.queue.shift()
    this.tasks++
    this.operations = 0
    this.gaveWay = false
    this.within(task, true)
    this.queue.tidy()
  }

  private within(f: () => void, inTask: boolean): void {
    const before = [this.busy, this.inTask] as const
    this.busy = true
    this.inTask = inTask
    try {
      f()
    } finally {
      ;[this.busy, this.inTask] = before
    }
  }

  /** Runs an effect as part of the node, from its next task on. */
  private fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  // ── trace ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Of all that the node did so far: messages handled and bytes sent, each with its task and its time. */
  readonly digest = new Digest()

  /** Follows the actors. */
  readonly spy: Required<Pick<ActorWatch, "told" | "begun">> = {
    told: () => {},
    begun: (actor, message) => {
      const session = actor.startsWith("session-") ? Number(actor.slice(8)) : 0
      const name = this.nameOf(session === 0 ? actor : "session", message._tag)
      this.tape.event("message", this.tasks, { name, session })
      this.digest.add(name, session, this.tasks, this.clock.nowMs)
      if (actor === "mempool" && message._tag === "TipMoved") this.tipMoved((message as unknown as { tip: Header }).tip)
    }
  }

  private tipMoved({ height, stateRoot }: Header): void {
    this.tape.event("tip", this.tasks, { height, root: stateRoot, digest: this.digest.text })
  }

  private nameOf(actor: string, tag: string): number {
    let tags = this.names.get(actor)
    if (tags === undefined) this.names.set(actor, (tags = new Map<string, number>()))
    const known = tags.get(tag)
    if (known !== undefined) return known
    const ofSession = actor === "session"
    let name = 0
    for (const [other, { size }] of this.names) if ((other === "session") === ofSession) name += size
    tags.set(tag, name)
    this.tape.event("name", this.tasks, { actor, tag })
    return name
  }

  // ── doors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  readonly random = (length: number): Uint8Array =>
    this.tape.answer("random", this.tasks, () => ({ bytes: this.outside.random(length) })).bytes

  readonly tcp: Tcp = {
    listen: (at, identity, onWire) =>
      Effect.suspend(() => {
        this.listening = onWire
        let close = (): void => {}
        const { port, fault } = this.tape.answer("listening", this.tasks, () => {
          const opened = this.outside.listen(at, identity, this.hear)
          close = opened.close
          return { port: opened.port, fault: opened.fault }
        })
        return fault === ""
          ? Effect.succeed({ port, close: () => close() })
          : Effect.fail(new TcpFault({ code: "listen-failed", message: fault }))
      }),
    dial: (to, identity, onWire) =>
      Effect.callback<void, TcpFault>((resume) => {
        const dial = ++this.dials
        this.dialling.set(dial, { onWire, resume })
        const callOff = this.outside.dial(dial, to, identity, this.hear)
        return Effect.sync(() => {
          this.dialling.delete(dial)
          callOff()
        })
      })
  }

  readonly startThread: StartThread = (file, on) => {
    const thread = ++this.threads
    this.heard.set(thread, on as Parameters<StartThread>[1])
    const { post, terminate } = this.outside.thread(thread, file, this.hear)
    return {
      post,
      terminate: () => {
        this.heard.delete(thread)
        terminate()
      }
    }
  }

  readonly fetch: Fetch = (posted) =>
    this.asking(
      (fetch) => this.outside.fetch(fetch, posted, this.hear),
      (fault) => new FetchFault({ message: fault })
    )

  readonly callNode: CallNode = (call) =>
    this.asking((fetch) => this.outside.callNode(fetch, call, this.hear), callFaultOf)

  /** A question to another machine, until it is answered or called off. */
  private asking<E>(ask: (fetch: number) => () => void, faultOf: (text: string) => E): Effect.Effect<FetchAnswer, E> {
    return Effect.callback<FetchAnswer, E>((resume) => {
      const fetch = ++this.fetches
      this.fetching.set(fetch, ({ status, body, fault }) =>
        resume(fault === "" ? Effect.succeed({ status, body }) : Effect.fail(faultOf(fault)))
      )
      const callOff = ask(fetch)
      return Effect.sync(() => {
        this.fetching.delete(fetch)
        callOff()
      })
    })
  }

  private wireOf({ wire, host, binding }: Fields<"wire">): Wire {
    const { write, queued, ...rest } = this.outside.wire(wire)
    let writes = 0
    return {
      ...rest,
      remoteHost: host,
      binding,
      fingerprint: this.shown?.wire === wire ? this.shown.fingerprint : undefined,
      write: (bytes) => {
        // The first is the hello, signed with a key that a replay does not have.
        const check = writes++ === 0 ? bytes.length : Bun.hash.crc32(bytes)
        this.tape.event("wrote", this.tasks, { wire, check })
        this.digest.add(wire, check, this.tasks, this.clock.nowMs)
        return !this.tape.rare("refused", this.tasks, { wire }, () => !write(bytes))
      },
      queued: () => this.tape.answer("queued", this.tasks, () => ({ bytes: queued() })).bytes
    }
  }

  // ── inputs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Starts the node: what comes before all inputs. */
  start(tree: Effect.Effect<Tree, TreeFault>, context: Context.Context<never>): void {
    const world = Context.make(Clock.Clock, this.clock).pipe(
      Context.add(Random, this.random),
      Context.add(Scheduler.Scheduler, this as Scheduler.Scheduler)
    )
    this.context = Context.merge(context, world) as Context.Context<never>
    this.within(() => {
      this.fork(tree).addObserver((exit) => {
        if (exit._tag === "Success") this.tree = exit.value
        this.audience.started(exit)
      })
    }, false)
  }

  /** Carries an input out, between two tasks. */
  apply(input: Input): void {
    this.within(() => this.enter(input), false)
  }

  private enter(input: Input): void {
    switch (input.kind) {
      case "time":
        return this.clock.pass(input.ms)
      case "wall":
        this.clock.originMs = input.unixMs - this.clock.nowMs
        return
      case "shown":
        this.shown = input
        return
      case "wire":
        return this.connected(input)
      case "data":
        return this.wires.get(input.wire)?.data(input.bytes)
      case "drained":
        return this.wires.get(input.wire)?.drained()
      case "closed": {
        const handlers = this.wires.get(input.wire)
        this.wires.delete(input.wire)
        return handlers?.closed(input.reason)
      }
      case "dialled":
        return this.dialled(input)
      case "report":
        return this.heard.get(input.thread)?.message(parse(input.json) as never)
      case "ended": {
        const on = this.heard.get(input.thread)
        this.heard.delete(input.thread)
        return on?.failed(input.reason)
      }
      case "call":
        return this.call(input)
      case "cancel":
        return this.calls.get(input.call)?.interruptUnsafe()
      case "fetched":
        return this.fetched(input)
      case "stop":
        if (this.tree !== undefined) this.fork(this.tree.stop).addObserver(() => this.audience.stopped())
    }
  }

  private connected(input: Fields<"wire">): void {
    const onWire = input.dial === 0 ? this.listening : this.dialling.get(input.dial)?.onWire
    const wire = this.wireOf(input)
    if (onWire === undefined) wire.terminate()
    else this.wires.set(input.wire, onWire(wire))
  }

  private dialled({ dial, fault }: Fields<"dialled">): void {
    const waiting = this.dialling.get(dial)
    this.dialling.delete(dial)
    waiting?.resume(fault === "" ? Effect.void : Effect.fail(new TcpFault({ code: "dial-failed", message: fault })))
  }

  private fetched(heard: Fields<"fetched">): void {
    const resume = this.fetching.get(heard.fetch)
    this.fetching.delete(heard.fetch)
    resume?.(heard)
  }

  private call(input: Fields<"call">): void {
    const { call } = input
    if (this.tree === undefined) return
    const { node } = this.tree
    const fiber = this.fork(callOf(node, node.facts.rules.ledger, input))
    this.calls.set(call, fiber)
    fiber.addObserver((exit) => {
      this.calls.delete(call)
      this.tape.event("answered", this.tasks, { call, as: outcomeOf(exit) })
      this.audience.answered(call, exit)
    })
  }
}

/** What a thread said; a journal may hold anything. */
const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return {}
  }
}
