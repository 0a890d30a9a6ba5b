/** Event targets that know their events and count their listeners. A listener that throws is told of, and the others still run. */
import type { EventHandler, StreamCloseEvent, StreamMessageEvent, TypedEventTarget } from "./api.ts"

interface Listening {
  readonly type: string
  readonly handler: EventHandler<Event>
  readonly once: boolean
}

/** Whom a listener's error is told to. */
export type OnError = (where: string, error: unknown) => void

const aim = (event: Event, target: EventTarget): void => {
  for (const name of ["target", "currentTarget"])
    Object.defineProperty(event, name, { value: target, configurable: true })
}

/**
 * An EventTarget of its own making: no native listener list, so that thousands of idle streams cost little, and so that a
 * throwing listener cannot end the process.
 */
export class Emitter<M extends Record<string, Event>> extends EventTarget implements TypedEventTarget<M> {
  private listeners: ReadonlyArray<Listening> = []
  protected onError: OnError

  constructor(onError: OnError) {
    super()
    this.onError = onError
  }

  override addEventListener<K extends keyof M>(
    type: K,
    handler: EventHandler<M[K]> | null,
    options?: boolean | AddEventListenerOptions
  ): void {
    const { once = false, signal } = typeof options === "object" ? options : {}
    if (handler === null || signal?.aborted === true) return
    const plain = handler as EventHandler<Event>
    if (this.listeners.some((other) => other.type === type && other.handler === plain)) return
    this.listeners = [...this.listeners, { type: String(type), handler: plain, once }]
    signal?.addEventListener("abort", () => this.removeEventListener(String(type), plain), { once: true })
  }

  override removeEventListener(type: keyof M | string, handler?: unknown): void {
    this.listeners = this.listeners.filter((other) => other.type !== type || other.handler !== handler)
  }

  listenerCount(type: string): number {
    let count = 0
    for (const listening of this.listeners) if (listening.type === type) count++
    return count
  }

  override dispatchEvent(event: Event): boolean {
    if (!this.listeners.some(({ type }) => type === event.type)) return true
    if (!(event instanceof StreamMessage)) aim(event, this)
    for (const listening of this.listeners) {
      if (listening.type !== event.type) continue
      if (listening.once) this.listeners = this.listeners.filter((other) => other !== listening)
      try {
        if (typeof listening.handler === "function") listening.handler(event)
        else listening.handler.handleEvent(event)
      } catch (error) {
        this.onError(`a listener of ${event.type}`, error)
      }
    }
    return !event.defaultPrevented
  }

  /** An event that says nothing but its name; it is not even made where nobody listens. */
  protected tell(type: keyof M & string): void {
    if (this.listenerCount(type) > 0) this.dispatchEvent(new Event(type))
  }

  safeDispatchEvent<Detail>(type: keyof M, detail?: CustomEventInit<Detail>): boolean {
    if (this.listenerCount(String(type)) === 0) return true
    return this.dispatchEvent(new CustomEvent<Detail>(String(type), detail))
  }
}

/** Bytes of a stream. */
export class StreamMessage extends Event implements StreamMessageEvent {
  data: Uint8Array

  constructor(data: Uint8Array) {
    super("message")
    this.data = data
  }
}

/** The end of a stream or of a connection. */
export class StreamClose extends Event implements StreamCloseEvent {
  readonly error?: Error
  readonly local?: boolean

  constructor(error: Error | undefined, local: boolean) {
    super("close")
    this.local = local
    if (error !== undefined) this.error = error
  }
}
