/** Events of a host for who reads them one by one, in his own time: a queue with an end, which loses the oldest when it is full. */
import { onAbort } from "./abort.ts"
import type { AbortOptions, HostEvents, TypedEventTarget } from "./api.ts"
import { queuedEventsMax } from "./limits.ts"

export type HostEventName = keyof HostEvents & string

export interface EventQueueOptions extends AbortOptions {
  /** Events that wait at most: 256. */
  readonly max?: number | undefined
}

/** Ends when it is returned from, or by its signal: quietly, with what waits thrown away. */
export interface EventQueue<K extends HostEventName> extends AsyncIterableIterator<HostEvents[K]> {
  /** Events that were lost so far, for nobody read them. */
  readonly lost: number
  return(): Promise<IteratorReturnResult<undefined>>
}

const done = { done: true, value: undefined } as const

/** From now on, all events of these names in the order in which they come. */
export const hostEvents = <K extends HostEventName>(
  host: Pick<TypedEventTarget<HostEvents>, "addEventListener" | "removeEventListener">,
  names: ReadonlyArray<K>,
  { max = queuedEventsMax, signal }: EventQueueOptions = {}
): EventQueue<K> => {
  const waiting: Array<HostEvents[K]> = []
  const readers: Array<(result: IteratorResult<HostEvents[K], undefined>) => void> = []
  let lost = 0
  let open = true
  const take = (event: HostEvents[K]): void => {
    const reader = readers.shift()
    if (reader !== undefined) {
      reader({ done: false, value: event })
      return
    }
    waiting.push(event)
    if (waiting.length <= max) return
    waiting.shift()
    lost++
  }
  const end = (): void => {
    if (!open) return
    open = false
    off()
    for (const name of names) host.removeEventListener(name, take)
    waiting.length = 0
    for (const reader of readers.splice(0)) reader(done)
  }
  for (const name of names) host.addEventListener(name, take)
  let off = (): void => {}
  off = onAbort(signal, end)
  return {
    get lost() {
      return lost
    },
    next: () => {
      const event = waiting.shift()
      if (event !== undefined) return Promise.resolve({ done: false, value: event })
      return open ? new Promise((resolve) => readers.push(resolve)) : Promise.resolve(done)
    },
    return: async () => {
      end()
      return done
    },
    [Symbol.asyncIterator]() {
      return this
    }
  }
}
