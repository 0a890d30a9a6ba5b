/** A TCP proxy in front of a host that breaks one connection off at a byte, or flips a bit of that byte, whoever sent it. */

export interface Bend {
  readonly from: Sender
  /** The byte that is struck, counted from 0 in what its sender says. */
  readonly place: number
  readonly how: "cut" | "flip"
}
export type Sender = "dialer" | "listener"

interface Flow {
  readonly from: Sender
  other: End | undefined
}
type End = Bun.Socket<Flow>

/** One door of the proxy, for one connection at a time. */
export interface BendingProxy {
  readonly port: number
  /** The next connection is bent so. Undefined: nothing is. What was noted of the one before is forgotten. */
  readonly expect: (bend: Bend | undefined) => void
  /** Whether the byte came by. */
  readonly struck: () => boolean
  /** What each side has said. */
  readonly said: (from: Sender) => Uint8Array
  /** The port by which the host behind the proxy knows the connection. */
  readonly shownPort: () => Promise<number>
  /** Sockets that are open. */
  readonly open: () => number
  readonly stop: () => void
}

export const bendingProxy = (behind: number): BendingProxy => {
  let bend: Bend | undefined
  let struck = false
  let said: Record<Sender, Array<Uint8Array>> = { dialer: [], listener: [] }
  let shown = Promise.withResolvers<number>()
  const sockets = new Set<End>()
  const cut = (): void => {
    for (const socket of sockets) socket.end()
  }
  const lengthOf = (from: Sender): number => said[from].reduce((sum, { length }) => sum + length, 0)
  const pass = (from: Sender, bytes: Uint8Array, to: End): void => {
    const at = lengthOf(from)
    const out = bytes.slice()
    said[from].push(out)
    const hit = bend?.from === from && bend.place >= at && bend.place < at + out.length ? bend.place - at : undefined
    struck ||= hit !== undefined
    if (hit !== undefined && bend?.how === "flip") out[hit]! ^= 1 << (bend.place % 8)
    const whole = hit === undefined || bend?.how === "flip"
    // A handshake fits what the kernel takes at once.
    to.write(whole ? out : out.subarray(0, hit))
    if (!whole) cut()
  }
  // Sockets of one listener share their handlers: what differs is with the socket.
  const handlers = {
    data: (socket: End, bytes: Uint8Array) => {
      const { from, other } = socket.data
      if (other !== undefined) pass(from, bytes, other)
    },
    close: (socket: End) => {
      sockets.delete(socket)
      // Who goes takes the other along.
      socket.data.other?.end()
    },
    error: (socket: End) => void socket.terminate()
  }
  const accepted = (dialer: End): void => {
    dialer.data = { from: "dialer", other: undefined }
    sockets.add(dialer)
    dialer.setNoDelay(true)
    dialer.pause()
    const open = (listener: End): void => {
      sockets.add(listener)
      listener.setNoDelay(true)
      shown.resolve(listener.localPort)
      dialer.data.other = listener
      if (sockets.has(dialer)) dialer.resume()
      else listener.end()
    }
    const data: Flow = { from: "listener", other: dialer }
    void Bun.connect<Flow>({ hostname: "127.0.0.1", port: behind, data, socket: { ...handlers, open } })
  }
  const server = Bun.listen<Flow>({ hostname: "127.0.0.1", port: 0, socket: { ...handlers, open: accepted } })
  return {
    port: server.port,
    expect: (next) => {
      bend = next
      struck = false
      said = { dialer: [], listener: [] }
      shown = Promise.withResolvers<number>()
    },
    struck: () => struck,
    said: (from) => Buffer.concat(said[from]),
    shownPort: () => shown.promise,
    open: () => sockets.size,
    stop: () => server.stop(true)
  }
}
