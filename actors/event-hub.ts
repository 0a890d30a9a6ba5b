/** What the node tells the outside as it happens: a bounded memory of events and the listeners of now. Not an actor: it only passes on. */
import { assert } from "../src/assert.ts"
import { eventStreamsMax, eventsKeptMax } from "../src/limits.ts"
import type { NodeEvent, Subscription } from "../src/node/node.ts"

type Unnumbered = NodeEvent extends infer E ? (E extends NodeEvent ? Omit<E, "id"> : never) : never

/** Numbers events from `firstId` (the clock at start, so ids rise over restarts and an old id is known as missed). */
export class EventHub {
  private readonly kept: Array<NodeEvent> = []
  private readonly listeners = new Set<(event: NodeEvent) => void>()
  private nextId: number

  constructor(firstId: number) {
    this.nextId = firstId
  }

  get keptCount(): number {
    return this.kept.length
  }

  get streamCount(): number {
    return this.listeners.size
  }

  /** Numbers an event, keeps it, and hands it to every listener. */
  publish(event: Unnumbered): void {
    const numbered = { ...event, id: this.nextId++ } as NodeEvent
    this.kept.push(numbered)
    if (this.kept.length > eventsKeptMax) this.kept.shift()
    for (const listener of this.listeners) listener(numbered)
  }

  /** Hears events from now on, with those after `afterId` that are still kept; undefined if too many listen already. */
  listen(afterId: number | undefined, onEvent: (event: NodeEvent) => void): Subscription | undefined {
    if (this.listeners.size >= eventStreamsMax) return undefined
    const listener = (event: NodeEvent): void => onEvent(event)
    this.listeners.add(listener)
    const oldest = this.kept[0]?.id ?? this.nextId
    assert(oldest <= this.nextId, "kept events are older than the next")
    return {
      replay: afterId === undefined ? [] : this.kept.filter((event) => event.id > afterId),
      missed: afterId !== undefined && (afterId < oldest - 1 || afterId >= this.nextId),
      close: () => void this.listeners.delete(listener)
    }
  }
}
