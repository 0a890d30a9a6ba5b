/** The door of unix sockets that carry lines of text: only the owner of the file may connect, and no line is longer than the bound. */
import { lstatSync, rmSync } from "node:fs"
import { utf8 } from "../codec/bytes.ts"
import { Lines } from "../codec/lines.ts"
import { FileFault } from "./files.ts"

/** One connection. */
export interface UnixLink {
  /** Sends a line. False: the connection is over, or was just ended because the other side does not read. */
  readonly write: (line: string) => boolean
  readonly end: () => void
}

export interface UnixHandlers {
  readonly line: (text: string) => void
  /** A line was longer than the bound; the connection ends after this. */
  readonly tooLong?: () => void
  readonly closed: (reason: string) => void
}

interface Held {
  readonly lines: Lines
  handlers: UnixHandlers | undefined
  reason: string
}

type Socket = Bun.Socket<Held>

const stop = (socket: Socket, reason: string): void => {
  if (socket.data.reason === "") socket.data.reason = reason
  socket.end()
}

/** A line is far shorter than what the kernel keeps: what it does not take at once, nobody reads. */
const linkOf = (socket: Socket): UnixLink => ({
  write: (line) => {
    if (socket.data.reason !== "") return false
    const bytes = utf8(`${line}\n`)
    if (socket.write(bytes) === bytes.length) return true
    stop(socket, "the other side does not read")
    return false
  },
  end: () => stop(socket, "ended by us")
})

const handlersOf = (opened: (socket: Socket) => void): Bun.SocketHandler<Held> => ({
  open: opened,
  data: (socket, bytes) => {
    const held = socket.data
    if (held.reason !== "") return
    const lines = held.lines.push(bytes)
    if (lines === undefined) {
      held.handlers?.tooLong?.()
      return stop(socket, "a line is too long")
    }
    for (const line of lines) if (held.reason === "") held.handlers?.line(line)
  },
  close: ({ data }, error) => {
    const { handlers } = data
    data.handlers = undefined
    if (data.reason === "") data.reason = error?.message ?? "closed by the other side"
    handlers?.closed(data.reason)
  },
  error: (socket, error) => stop(socket, error.message)
})

/** Is it a socket at which nobody listens any more? */
const isLeft = async (path: string): Promise<boolean> => {
  if (!lstatSync(path).isSocket()) return false
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => {} } })
    socket.end()
    return false
  } catch (error) {
    return (error as { code?: string }).code === "ECONNREFUSED"
  }
}

/**
 * Binds a socket file that only its owner may open: mode 0600 from its first moment on, for one that is set later is too late. A file
 * that a dead process left is taken over. Throws FileFault.
 */
export const bindUnix = async <A>(path: string, bind: () => A): Promise<A> => {
  const closed = (): A => {
    const before = process.umask(0o177)
    try {
      return bind()
    } finally {
      process.umask(before)
    }
  }
  try {
    return closed()
  } catch (error) {
    if ((error as { code?: string }).code !== "EADDRINUSE" || !(await isLeft(path)))
      throw new FileFault("file-failed", `Cannot listen on ${path}: ${(error as Error).message}`)
    rmSync(path, { force: true })
    return closed()
  }
}

/** Hears whoever may open the file (bindUnix). Throws FileFault. */
export const listenUnix = async (
  path: string,
  lineBytesMax: number,
  onLink: (link: UnixLink) => UnixHandlers
): Promise<{ readonly close: () => void }> => {
  const socket = handlersOf((opened) => {
    opened.data = { lines: new Lines(lineBytesMax), handlers: undefined, reason: "" }
    opened.data.handlers = onLink(linkOf(opened))
  })
  const listener = await bindUnix(path, () => Bun.listen<Held>({ unix: path, socket }))
  return { close: () => listener.stop(true) }
}

/** Connects. `closed` is called once, also if nobody is there; `opened` before any line. */
export const dialUnix = (
  path: string,
  lineBytesMax: number,
  handlers: UnixHandlers & { readonly opened: (link: UnixLink) => void }
): void => {
  const data: Held = { lines: new Lines(lineBytesMax), handlers, reason: "" }
  Bun.connect<Held>({ unix: path, data, socket: handlersOf((socket) => handlers.opened(linkOf(socket))) }).catch(
    (error: unknown) => {
      if (data.handlers === undefined) return
      data.handlers = undefined
      handlers.closed(error instanceof Error ? error.message : String(error))
    }
  )
}
