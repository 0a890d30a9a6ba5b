/** Watches a run: folds it into the world's digest, and keeps what a person may want to see of it. */
import { Fiber } from "effect"
import type { Tagged } from "../../actors/actor.ts"
import type { Lane, Note, Run, Sealed, Sent, Span, TipAt } from "./trace.ts"
import type { World } from "./world.ts"

/** Virtual milliseconds after which a message that is not handled is told of: handling takes none, restarts take a few tenths of a second. */
const waitMsMax = 500
/** Messages kept for the timeline: the newest. */
const messagesMax = 200_000
/** Notes, spans, blocks and tips kept of each. */
const rowsMax = 50_000

type Waiting = { -readonly [K in keyof Sent]: Sent[K] }

export interface TracerOptions {
  /** Keep messages: for a timeline or a trace. */
  readonly messages: boolean
  /** Hears what is worth a line, as it happens. */
  readonly onNote?: (note: Note) => void
  /** Hears every message as it is handled. */
  readonly onBegun?: (begun: {
    readonly at: number
    readonly step: number
    readonly node: string
    readonly actor: string
    readonly message: Tagged
  }) => void
}

export class Tracer {
  private readonly world: World
  private readonly options: TracerOptions
  private readonly lanes: Array<Lane> = []
  private readonly laneOf = new Map<string, number>()
  private readonly kinds = new Map<string, number>()
  private readonly laneOfFiber = new WeakMap<object, number>()
  private readonly waiting = new WeakMap<object, Waiting>()
  private messages: Array<Waiting> = []
  private forgotten = 0
  private numbered = 0
  private readonly spans: Array<{ -readonly [K in keyof Span]: Span[K] }> = []
  private readonly notes: Array<Note> = []
  private readonly blocks = new Map<string, Sealed>()
  private readonly tips: Array<TipAt> = []
  /** Messages handled. */
  handled = 0
  /** Hears of messages that have waited for long. */
  waited: (node: string, actor: string, kind: string, ms: number) => void = () => {}
  private readonly toldAt = new WeakMap<object, number>()
  /** What node ids and addresses are called here. */
  readonly names = new Map<string, string>()

  constructor(world: World, options: TracerOptions) {
    this.world = world
    this.options = options
  }

  /** What a node's actors are watched with. */
  spy(node: string): {
    readonly told: (actor: string, message: Tagged, taken: boolean) => void
    readonly begun: (actor: string, message: Tagged) => void
  } {
    // The digest numbers actors as they first handle something, whether or not their lanes are kept.
    const numbers = new Map<string, number>()
    const numberOf = (actor: string): number => {
      const number = numbers.get(actor) ?? this.numbered++
      numbers.set(actor, number)
      return number
    }
    const lanes = new Map<string, number>()
    const laneOf = (actor: string): number => {
      const known = lanes.get(actor)
      if (known !== undefined) return known
      const lane = this.lane(node, actor)
      lanes.set(actor, lane)
      return lane
    }
    return {
      told: (actor, message, taken) => {
        this.toldAt.set(message, this.world.elapsed)
        if (this.options.messages) this.told(laneOf(actor), message, taken)
      },
      begun: (actor, message) => {
        this.handled++
        const ms = this.world.elapsed - (this.toldAt.get(message) ?? 0)
        if (ms > waitMsMax) this.waited(node, actor, message._tag, ms)
        this.world.trace.add((numberOf(actor) << 8) ^ this.kind(message._tag))
        const { onBegun, messages } = this.options
        onBegun?.({ at: this.world.elapsed, step: this.world.steps, node, actor, message })
        if (messages) this.begun(laneOf(actor), message)
      }
    }
  }

  /** The name of a node id or address in hex; its beginning, if it has none. */
  nameOf(id: string): string {
    return this.names.get(id) ?? id.slice(0, 8)
  }

  /** Something worth a line. */
  note(node: string, kind: string, text: string): void {
    const note = { at: this.world.elapsed, step: this.world.steps, node, kind, text }
    this.world.trace.addText(`${node} ${kind} ${text}`)
    if (this.notes.length < rowsMax) this.notes.push(note)
    this.options.onNote?.(note)
  }

  /** A fault begins; the returned function ends it. */
  span(kind: string, nodes: ReadonlyArray<string>, text: string): () => void {
    const span = { kind, nodes, text, from: this.world.elapsed, to: Number.POSITIVE_INFINITY }
    if (this.spans.length < rowsMax) this.spans.push(span)
    this.note(nodes.join("+"), kind, text)
    return () => {
      if (span.to !== Number.POSITIVE_INFINITY) return
      span.to = this.world.elapsed
      this.note(nodes.join("+"), `${kind} over`, text)
    }
  }

  /** A node has a new tip. */
  tip(node: string, block: Omit<Sealed, "at">): void {
    const at = this.world.elapsed
    this.world.trace.addText(block.id)
    if (this.blocks.size < rowsMax && !this.blocks.has(block.id)) this.blocks.set(block.id, { ...block, at })
    if (this.tips.length < rowsMax) this.tips.push({ node, at, block: block.id })
  }

  /** Was this block the tip of a node? */
  wasTip(id: string): boolean {
    return this.blocks.has(id)
  }

  /** All that was kept. */
  run(facts: Pick<Run, "title" | "facts" | "failure">): Run {
    const endMs = this.world.elapsed
    return {
      ...facts,
      endMs,
      lanes: this.lanes,
      messages: this.messages,
      forgotten: this.forgotten,
      spans: this.spans.map((span) => ({ ...span, to: Math.min(span.to, endMs) })),
      notes: this.notes,
      blocks: [...this.blocks.values()],
      tips: this.tips
    }
  }

  private lane(node: string, actor: string): number {
    const name = `${node} ${actor}`
    const known = this.laneOf.get(name)
    if (known !== undefined) return known
    this.laneOf.set(name, this.lanes.length)
    return this.lanes.push({ node, actor }) - 1
  }

  private kind(tag: string): number {
    const known = this.kinds.get(tag)
    if (known !== undefined) return known
    this.kinds.set(tag, this.kinds.size)
    return this.kinds.size - 1
  }

  private told(to: number, message: Tagged, taken: boolean): void {
    const fiber = Fiber.getCurrent()
    const sent: Waiting = {
      kind: message._tag,
      from: fiber === undefined ? -1 : (this.laneOfFiber.get(fiber) ?? -1),
      to,
      sentAt: this.world.elapsed,
      begunAt: undefined,
      taken,
      step: this.world.steps
    }
    this.messages.push(sent)
    if (this.messages.length > 2 * messagesMax) {
      this.forgotten += this.messages.length - messagesMax
      this.messages = this.messages.slice(-messagesMax)
    }
    if (taken) this.waiting.set(message, sent)
  }

  private begun(lane: number, message: Tagged): void {
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined) this.laneOfFiber.set(fiber, lane)
    const sent = this.waiting.get(message)
    if (sent !== undefined) sent.begunAt = this.world.elapsed
  }
}
