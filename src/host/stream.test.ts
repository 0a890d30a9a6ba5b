/** A stream over a muxer's stream that a test plays: credit, order, ends. */
import { describe, expect, test } from "bun:test"
import { utf8 } from "../codec/bytes.ts"
import type { MuxedStream } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { dialSelect, multistreamProtocol, selectLine } from "../libp2p/multistream.ts"
import { componentLogger } from "./log.ts"
import { HostStream } from "./stream.ts"
import { chunkBytes } from "./unread.ts"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** `room`: bytes that go out at once; what is more waits. */
const play = (room = Number.POSITIVE_INFINITY, lazy?: string) => {
  let left = room
  let waiting = 0
  const seen = {
    written: "",
    credit: 0,
    closed: 0,
    resets: 0,
    ended: [] as Array<string | undefined>,
    held: 0,
    room: Number.POSITIVE_INFINITY,
    settled: 0,
    errors: [] as Array<string>
  }
  const soon: Array<() => void> = []
  const clock = { now: 1_000 }
  const muxed: MuxedStream = {
    id: 1,
    direction: "outbound",
    handlers: undefined,
    write: (bytes) => {
      seen.written += text(bytes)
      const out = Math.min(left, bytes.length)
      left -= out
      waiting += bytes.length - out
      return waiting === 0
    },
    buffered: () => waiting,
    consumed: (bytes) => {
      seen.credit += bytes
    },
    closeWrite: () => {
      seen.closed++
    },
    reset: () => {
      seen.resets++
      muxed.handlers?.ended(cheapFault("closed", "StreamAbortedError", "reset here"))
    }
  }
  const stream = new HostStream(
    muxed,
    dialSelect(["/a/1"]),
    {
      now: () => clock.now,
      soon: (run) => soon.push(run),
      onError: (where) => seen.errors.push(where),
      log: componentLogger().forComponent("test"),
      hold: (bytes) => {
        if (seen.held + bytes > seen.room) return false
        seen.held += bytes
        return true
      },
      settle: () => {
        seen.settled++
      },
      noRoom: () => cheapFault("resource", "ResourceLimitError", "no room"),
      selected: () => {},
      awaitFlush: () => {},
      ended: (_, fault) => seen.ended.push(fault?.name)
    },
    lazy
  )
  stream.begin()
  const drain = (): void => {
    waiting = 0
    left = room
    muxed.handlers!.drain()
  }
  const runSoon = (): void => {
    for (const run of soon.splice(0)) run()
  }
  return { stream, muxed, seen, clock, drain, runSoon, give: (bytes: string) => muxed.handlers!.data(utf8(bytes)) }
}

const agreed = text(selectLine(multistreamProtocol)) + text(selectLine("/a/1"))

describe("reading", () => {
  test("begins where the choice of the protocol ends, whatever the pieces; the choice is credited at once", () => {
    for (let cut = 0; cut <= agreed.length; cut++) {
      const { stream, seen, give } = play()
      const got: Array<string> = []
      stream.addEventListener("message", ({ data }) => got.push(text(data)))
      give(agreed.slice(0, cut))
      give(`${agreed.slice(cut)}hello`)
      expect([stream.protocol, got.join(""), seen.credit]).toEqual(["/a/1", "hello", agreed.length + 5])
    }
  })

  test("gives credit for what is read, and for nothing else", async () => {
    const { stream, seen, give, runSoon } = play()
    give(`${agreed}one`)
    give("two")
    expect([seen.credit, stream.readBufferLength]).toEqual([agreed.length, 6])
    const iterator = stream[Symbol.asyncIterator]()
    // What nobody was there to read is put together.
    expect(text((await iterator.next()).value as Uint8Array)).toBe("onetwo")
    expect([seen.credit, stream.readBufferLength]).toEqual([agreed.length + 6, 0])
    stream.unshift(utf8("zero"))
    expect(text((await iterator.next()).value as Uint8Array)).toBe("zero")
    expect(seen.credit).toBe(agreed.length + 6)
    await iterator.return?.()
    const got: Array<string> = []
    stream.pause()
    give("three")
    stream.addEventListener("message", ({ data }) => got.push(text(data)))
    runSoon()
    expect([stream.readStatus, got, seen.credit]).toEqual(["paused", [], agreed.length + 6])
    stream.resume()
    expect([stream.readStatus, got, seen.credit]).toEqual(["readable", ["three"], agreed.length + 11])
  })

  test("a listener that pauses gets no more until it resumes, in order", () => {
    const { stream, give } = play()
    const got: Array<string> = []
    give(agreed)
    stream.addEventListener("message", ({ data }) => {
      got.push(text(data))
      stream.pause()
    })
    give("1")
    give("2")
    give("3")
    expect(got).toEqual(["1"])
    stream.resume()
    expect(got).toEqual(["1", "23"])
    give("4")
    expect(got).toEqual(["1", "23"])
    stream.resume()
    expect(got).toEqual(["1", "23", "4"])
  })

  test("ends when the other side has closed and all is read, not before", async () => {
    const { stream, muxed, give } = play()
    const events: Array<string> = []
    for (const name of ["remoteCloseWrite", "end", "close"] as const)
      stream.addEventListener(name, () => events.push(name))
    give(`${agreed}last`)
    muxed.handlers!.remoteClosed()
    expect([events, stream.readStatus, stream.remoteWriteStatus]).toEqual([["remoteCloseWrite"], "readable", "closed"])
    const parts: Array<string> = []
    for await (const bytes of stream) parts.push(text(bytes))
    expect([parts, events, stream.readStatus]).toEqual([["last"], ["remoteCloseWrite", "end"], "closed"])
    muxed.handlers!.ended(undefined)
    expect([events.at(-1), stream.status]).toEqual(["close", "closed"])
  })

  test("closeRead throws away what comes and gives its credit back", async () => {
    const { stream, seen, give } = play()
    give(`${agreed}one`)
    await stream.closeRead()
    give("two")
    expect([stream.readStatus, stream.readBufferLength, seen.credit]).toEqual(["closed", 0, agreed.length + 6])
    expect((await stream[Symbol.asyncIterator]().next()).done).toBe(true)
  })

  test("more than may be unread ends the stream", () => {
    const { stream, seen, give } = play()
    stream.maxReadBufferLength = 4
    give(`${agreed}12345`)
    expect([stream.status, stream.fault?.name, seen.resets]).toEqual(["aborted", "StreamBufferError", 1])
  })

  test("who waits hears of a reset, and what was unread is gone", async () => {
    const { stream, muxed, give } = play()
    give(agreed)
    const waiting = stream[Symbol.asyncIterator]()
      .next()
      .catch((error: Error) => error.name)
    muxed.handlers!.ended(cheapFault("closed", "StreamResetError", "theirs"))
    expect([await waiting, stream.status, stream.readBufferLength]).toEqual(["StreamResetError", "reset", 0])
  })
})

describe("writing", () => {
  test("says when it is enough, and when it may go on", async () => {
    const { stream, give, drain } = play(100)
    const events: Array<string> = []
    for (const name of ["drain", "idle"] as const) stream.addEventListener(name, () => events.push(name))
    give(agreed)
    expect([stream.send(utf8("x")), stream.writableNeedsDrain]).toEqual([true, false])
    expect([stream.send(new Uint8Array(100)), stream.writableNeedsDrain]).toEqual([false, true])
    let drained = false
    const waiting = stream.onDrain().then(() => {
      drained = true
    })
    await Promise.resolve()
    expect(drained).toBe(false)
    drain()
    await waiting
    expect([events, stream.writeBufferLength]).toEqual([["drain", "idle"], 0])
    await stream.onDrain()
  })

  test("takes lists of bytes as well, and nothing after close", async () => {
    const { stream, seen, give } = play()
    give(agreed)
    stream.send({ byteLength: 2, subarray: () => utf8("ab") })
    await stream.close()
    expect([seen.written.endsWith("ab"), seen.closed, stream.writeStatus]).toEqual([true, 1, "closed"])
    expect(() => stream.send(utf8("c"))).toThrow("closed for writing")
  })

  test("close waits for what is written; its signal ends only the waiting", async () => {
    const { stream, give, seen } = play(60)
    give(agreed)
    stream.send(new Uint8Array(100))
    const abort = new AbortController()
    const waits = stream.close({ signal: abort.signal }).catch((error: Error) => error.name)
    const closed = stream.close()
    abort.abort()
    expect([await waits, stream.writeStatus, seen.closed]).toEqual(["AbortError", "closing", 1])
    expect(stream.flushed()).toBe(false)
    stream.abort(new Error("now"))
    expect(await closed.catch((error: Error) => error.message)).toBe("now")
  })

  test("what is unread and unsent is told of as held, is given back as it goes, and all of it at the end", async () => {
    const { stream, seen, drain, give } = play(10)
    give(`${agreed}12345`)
    stream.send(utf8("1".repeat(20)))
    // What the stream said of its protocol took the ten that went out at once, and waits in part.
    const waiting = stream.writeBufferLength
    // What is unread is put into the smallest room that there is.
    const unread = 64 + chunkBytes
    expect(seen.held).toBe(unread + waiting)
    drain()
    expect([seen.held, stream.writeBufferLength]).toEqual([unread, 0])
    await stream[Symbol.asyncIterator]().next()
    expect(seen.held).toBe(0)
    stream.unshift(utf8("123"))
    expect(seen.held).toBe(3 + chunkBytes)
    stream.abort(new Error("enough"))
    expect(seen.held).toBe(0)
  })

  test("that for which there is no room ends the stream, after the others were asked for theirs", () => {
    const { stream, seen, give } = play()
    give(agreed)
    seen.room = 64 + chunkBytes
    give("1".repeat(32))
    give("2".repeat(32))
    expect([stream.status, seen.settled]).toEqual(["open", 0])
    give("3")
    expect([stream.status, stream.fault?.name, seen.settled, seen.held]).toEqual([
      "aborted",
      "ResourceLimitError",
      1,
      0
    ])
    const other = play(0)
    other.give(agreed)
    other.seen.room = 0
    expect(() => other.stream.send(utf8("1".repeat(100)))).toThrow("no room")
    expect([other.stream.status, other.seen.held]).toEqual(["aborted", 0])
  })

  test("more than may wait ends the stream", () => {
    const { stream, give, seen } = play(10)
    give(agreed)
    stream.maxWriteBufferLength = 1_000
    expect(() => stream.send(new Uint8Array(2_000))).toThrow("more than 1000 bytes wait")
    expect([stream.status, seen.ended]).toEqual(["aborted", ["StreamBufferError"]])
  })
})

describe("the end", () => {
  test("is told once, with our own reason", () => {
    const { stream, seen, muxed, give } = play()
    const closes: Array<unknown> = []
    stream.addEventListener("close", ({ error, local }) => closes.push([error?.message, local]))
    give(agreed)
    stream.abort(new Error("ours"))
    stream.abort(new Error("again"))
    muxed.handlers!.ended(undefined)
    expect([closes, seen.resets, seen.ended]).toEqual([[["ours", true]], 1, ["InternalError"]])
  })

  test("comes when no protocol is agreed on, in time or at all", () => {
    const slow = play()
    slow.clock.now += 10_000
    slow.stream.tick(slow.clock.now)
    expect(slow.stream.fault?.name).toBe("TimeoutError")
    const gone = play()
    gone.muxed.handlers!.remoteClosed()
    expect(gone.stream.fault?.name).toBe("ProtocolError")
    const wrong = play()
    wrong.give("\x03xx\n")
    expect(wrong.stream.fault?.kind).toBe("protocol")
  })

  test("comes after silence, but not while bytes go", () => {
    const { stream, clock, give } = play()
    give(agreed)
    stream.inactivityTimeout = 5_000
    for (let i = 0; i < 10; i++) {
      clock.now += 1_000
      if (i < 4) stream.send(utf8("x"))
      stream.tick(clock.now)
      if (i === 7) expect(stream.status).toBe("open")
    }
    expect([stream.status, stream.fault instanceof Libp2pFault]).toEqual(["aborted", true])
  })

  test("a listener that throws is told of, and the others hear", () => {
    const { stream, seen, give } = play()
    let heard = 0
    stream.addEventListener("message", () => {
      throw new Error("oh")
    })
    stream.addEventListener("message", { handleEvent: () => heard++ }, { once: true })
    give(`${agreed}1`)
    give("2")
    expect([heard, seen.errors, stream.listenerCount("message")]).toEqual([
      1,
      ["a listener of message", "a listener of message"],
      1
    ])
  })
})
