/** Server-sent events: what the node tells as it happens, with replay after `Last-Event-ID` and `resync` when that is too old. */
import type { Context as HonoContext } from "hono"
import { eventStreamsPerClientMax } from "../limits.ts"
import type { NodeEvent, NodeShape, Subscription } from "../node/node.ts"
import { strangerOf } from "./caller.ts"

/** A comment so often keeps proxies and idle timers from closing a quiet stream. */
const keepAliveMs = 15_000
/** Events queued to a reader that does not read; then its stream ends, and it may come back with its last id. */
const queuedMax = 256

const format = (event: NodeEvent): string => {
  const { id, type, ...data } = event
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}

/** Streams that are open, by client. */
export class StreamCrowd {
  private readonly open = new Map<string, number>()

  /** Counts one more and gives what ends it; undefined: the client has too many. */
  enter(c: HonoContext): (() => void) | undefined {
    const client = strangerOf(c)
    if (client === undefined) return () => {}
    const count = this.open.get(client) ?? 0
    if (count >= eventStreamsPerClientMax) return undefined
    this.open.set(client, count + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      const rest = this.open.get(client)! - 1
      if (rest === 0) this.open.delete(client)
      else this.open.set(client, rest)
    }
  }
}

/** The stream; undefined if too many are open. */
export const streamEvents = (c: HonoContext, node: NodeShape, crowd: StreamCrowd): Response | undefined => {
  const leave = crowd.enter(c)
  if (leave === undefined) return undefined
  const last = Number(c.req.header("last-event-id") ?? Number.NaN)
  let subscription: Subscription | undefined
  let keepAlive: ReturnType<typeof setInterval> | undefined
  const encoder = new TextEncoder()
  const close = (): void => {
    clearInterval(keepAlive)
    subscription?.close()
    leave()
  }
  const early: Array<NodeEvent> = []
  let push = (event: NodeEvent): void => void early.push(event)
  subscription = node.listen(Number.isSafeInteger(last) ? last : undefined, (event) => push(event))
  if (subscription === undefined) {
    leave()
    return undefined
  }
  const { replay, missed } = subscription
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const send = (text: string): void => {
          if ((controller.desiredSize ?? 0) <= 0) {
            close()
            controller.close()
            return
          }
          controller.enqueue(encoder.encode(text))
        }
        send(": cairn\nretry: 2000\n\n")
        if (missed) send("event: resync\ndata: {}\n\n")
        push = (event) => send(format(event))
        for (const event of [...replay, ...early.splice(0)]) push(event)
        keepAlive = setInterval(() => send(": still here\n\n"), keepAliveMs)
      },
      cancel: close
    },
    new CountQueuingStrategy({ highWaterMark: queuedMax + replay.length })
  )
  return c.body(stream, 200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no"
  })
}
