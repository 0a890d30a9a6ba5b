/** What carries the bytes of a link, and whom it tells: a Bun socket, TLS over one, or TLS over a stream over one. */

/** What a link needs of what carries it: a socket, or TLS over one. */
export interface Pipe {
  /** Bytes taken; below 0: none any more. What is left is offered again when `writable` is told. */
  readonly write: (bytes: Uint8Array) => number
  /** True: what was taken is not copied, and must not be written again. */
  readonly keeps?: true
  readonly pause: () => unknown
  readonly resume: () => unknown
  /** We write no more. */
  readonly shutdown: () => unknown
  readonly terminate: () => unknown
}

/** Whom a socket tells. */
export interface PipeUser {
  readonly heard: (bytes: Uint8Array) => void
  readonly writable: () => void
  /** The peer writes no more. */
  readonly finished: () => void
  readonly closed: (reason: string) => void
}

/** What a Bun socket of ours carries as its data. */
export interface Held {
  user: PipeUser | undefined
}

export type PlainSocket = Bun.Socket<Held>

/** Why a socket failed or closed, in words. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : "closed by the peer")

/** How every socket of ours tells its user, plain or TLS. */
export const heldHandlers: Omit<Bun.SocketHandler<Held>, "open" | "handshake"> = {
  data: (socket, bytes) => socket.data.user?.heard(bytes),
  drain: (socket) => socket.data.user?.writable(),
  end: (socket) => socket.data.user?.finished(),
  close: (socket, error) => socket.data?.user?.closed(reasonOf(error)),
  error: (socket, error) => {
    socket.data.user?.closed(reasonOf(error))
    socket.terminate()
  }
}
