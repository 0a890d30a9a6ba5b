import { describe, expect, test } from "bun:test"
import { keptBy, pieceOfMany } from "../../test/buffers.ts"
import { frame, header, KiB, MiB, Probe } from "../../test/yamux.ts"

import type { MuxedStream } from "./contract.ts"
import { makeYamux } from "./yamux.ts"

const listener = (): Probe => new Probe("listener")

describe("windows", () => {
  test("one byte more than the window ends the session with code 1, before it is read", () => {
    const probe = listener()
    probe.uses = false
    probe.hear("WINDOW SYN 1 0", frame(`DATA 1 ${256 * KiB}`))
    probe.says()
    expect(probe.hear(header(0, 0, 1, 1))).toEqual(["1 ended ProtocolError", "ended ProtocolError"])
    expect(probe.says()).toEqual(["GO_AWAY 0 1"])
  })

  test("a frame may be as long as the window, as js writes it, and is handed over as it comes", () => {
    const probe = listener()
    expect(grow(50, 50, 12, probe)).toBe(16 * MiB)
    expect(probe.hear(header(0, 0, 1, 16 * MiB), new Uint8Array(5))).toEqual(["1 data 5"])
    expect(probe.hear(new Uint8Array(16 * MiB - 5))).toEqual([`1 data ${16 * MiB - 5}`])
    expect(probe.hear(header(0, 0, 1, 16 * MiB + 1))).toEqual(["1 ended ProtocolError", "ended ProtocolError"])
  })

  test("a frame for nobody may be as long as we bear, and a longer one ends the session at its header", () => {
    expect(listener().hear(header(0, 0, 9, 2 * MiB + 1))).toEqual(["ended ProtocolError"])
    expect(listener().hear(header(0, 0, 9, MiB))).toEqual([])
  })

  test("credit comes back for what was used, half a window at a time", () => {
    const probe = listener()
    probe.uses = false
    probe.hear("WINDOW SYN 1 0", frame(`DATA 1 ${256 * KiB}`))
    expect(probe.says()).toEqual(["WINDOW ACK 1 0"])
    const stream = probe.streams.get(1)!
    stream.consumed(128 * KiB - 1)
    expect(probe.says()).toEqual([])
    stream.consumed(1)
    expect(probe.says()).toEqual([`WINDOW 1 ${128 * KiB}`])
    stream.consumed(128 * KiB)
    expect(probe.says()).toEqual([`WINDOW 1 ${128 * KiB}`])
  })

  test("what comes before a stream is taken keeps nothing of what came with it, and is handed over whole", async () => {
    const begin = (): MuxedStream => {
      const opened: Array<MuxedStream> = []
      const stream = (one: MuxedStream): void => void opened.push(one)
      const events = { stream, pending: () => {}, rtt: () => {}, remoteGoAway: () => {}, ended: () => {} }
      const session = makeYamux("listener", events, {}, 0)
      session.receive(frame("WINDOW SYN 1 0"), 0)
      for (let value = 1; value <= 3; value++) {
        const piece = pieceOfMany(14)
        piece.set(header(0, 0, 1, 2))
        piece.fill(value, 12)
        session.receive(piece, 0)
      }
      return opened[0]!
    }
    expect(await keptBy(begin)).toBeLessThan(4 * 1024 * 1024)
    const heard: Array<number> = []
    begin().handlers = {
      data: (bytes) => void heard.push(...bytes),
      remoteClosed: () => {},
      drain: () => {},
      ended: () => {}
    }
    expect(heard).toEqual([1, 1, 2, 2, 3, 3])
  })

  test("nobody can use more than came", () => {
    const probe = listener()
    probe.uses = false
    probe.hear("DATA SYN 1 5")
    expect(() => probe.streams.get(1)!.consumed(6)).toThrow("no more is used")
  })

  /** Feeds as much as the window has, each `gapMs`; the window at the end. */
  const grow = (rttMs: number, gapMs: number, rounds: number, probe = listener()): number => {
    probe.tick(1)
    probe.now += rttMs
    probe.hear("PING ACK 0 1", "WINDOW SYN 1 0")
    let window = 256 * KiB
    for (let i = 0; i < rounds; i++) {
      probe.now += gapMs
      for (let left = window; left > 0; left -= MiB) probe.hear(frame(`DATA 1 ${Math.min(left, MiB)}`))
      window = probe
        .says()
        .reduce((sum, words) => sum + (words.startsWith("WINDOW") ? Number(words.split(" ").at(-1)) : 0), 0)
    }
    return window
  }

  test("a window grows to 16 MiB where its reader uses half of it within two round trips, and to no more", () => {
    expect(grow(50, 50, 12)).toBe(16 * MiB)
    expect(grow(50, 1_000, 12)).toBe(256 * KiB)
    expect(grow(0, 1, 12)).toBe(16 * MiB)
    expect(grow(50, 50, 12, new Probe("listener", { windowBytesMax: MiB }))).toBe(MiB)
  })

  test("without a measured round trip it stays", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 0", frame(`DATA 1 ${256 * KiB}`))
    expect(probe.says()).toEqual([`WINDOW ACK 1 ${256 * KiB}`])
  })

  test("the windows of a connection grow by 32 MiB in all; a stream that ends gives its part back", () => {
    const probe = listener()
    probe.tick(1)
    probe.now += 1_000
    probe.hear("PING ACK 0 1")
    const windowOf = (id: number): number => {
      probe.hear(`WINDOW SYN ${id} 0`)
      let window = 256 * KiB
      for (let i = 0; i < 8; i++) {
        for (let left = window; left > 0; left -= MiB) probe.hear(frame(`DATA ${id} ${Math.min(left, MiB)}`))
        window = probe.says().reduce((sum, words) => sum + Number(words.split(" ").at(-1)), 0)
      }
      return window
    }
    const windows = [1, 3, 5, 7].map(windowOf)
    expect(windows.reduce((sum, window) => sum + window - 256 * KiB, 0)).toBe(32 * MiB)
    expect(windows[0]).toBe(16 * MiB)
    expect(windows[3]).toBe(256 * KiB)
    probe.streams.get(1)!.reset()
    probe.says()
    expect(windowOf(9)).toBe(windows[0]!)
  })

  test("too much of one connection unread: the stream that brings more is reset", () => {
    const probe = new Probe("listener", { receiveBytesMax: 100 })
    probe.uses = false
    probe.hear("DATA SYN 1 60", "DATA SYN 3 40", "DATA SYN 5 1", "DATA 3 0")
    expect(probe.hears().slice(4)).toEqual(["stream 5", "5 ended StreamResetError"])
    expect(probe.says()).toContain("WINDOW RST 5 0")
    probe.streams.get(1)!.consumed(1)
    expect(probe.hear("DATA SYN 7 1")).toEqual(["stream 7", "7 data 1"])
    probe.streams.get(3)!.reset()
    expect(probe.hear("DATA SYN 9 40").at(-1)).toBe("9 data 40")
  })

  test("what is used of a stream that is over counts for nothing", () => {
    const probe = new Probe("listener", { receiveBytesMax: 100 })
    probe.uses = false
    probe.hear("DATA SYN 1 50")
    probe.streams.get(1)!.reset()
    probe.streams.get(1)!.consumed(50)
    expect(probe.hear("DATA SYN 3 100", "DATA SYN 5 1").at(-1)).toBe("5 ended StreamResetError")
  })
})
