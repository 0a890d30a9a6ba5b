import { describe, expect, test } from "bun:test"
import { frame, KiB, MiB, Probe } from "../../test/yamux.ts"
import { concatAll } from "../codec/bytes.ts"
import { Libp2pFault } from "./fault.ts"
import { yamuxFrameBytesMax } from "./yamux-limits.ts"

const listener = (): Probe => new Probe("listener")
const dialer = (): Probe => new Probe("dialer")
const times = (count: number, make: (i: number) => string): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => make(i))

describe("what goes out", () => {
  test("256 streams may be unanswered, and an answer of any kind makes room", () => {
    const probe = dialer()
    for (let i = 0; i < 256; i++) probe.open()
    expect(probe.muxer.open()).toMatchObject({ kind: "capacity", name: "TooManyOutboundProtocolStreamsError" })
    probe.hear("WINDOW ACK 1 0", "WINDOW RST 3 0", "DATA 5 1")
    for (let i = 0; i < 3; i++) probe.open()
    expect(probe.muxer.open()).toBeInstanceOf(Libp2pFault)
    probe.streams.get(7)!.reset()
    probe.open()
  })

  test("above 256 KiB a write says so, and drain comes once at half of it", () => {
    const probe = dialer()
    const stream = probe.open()
    expect(stream.write(new Uint8Array(256 * KiB))).toBe(true)
    expect(stream.write(new Uint8Array(1))).toBe(false)
    expect(stream.buffered()).toBe(256 * KiB + 1)
    probe.says(128 * KiB)
    expect(probe.hears()).toEqual([])
    probe.says(2 * KiB)
    expect(probe.hears()).toEqual(["1 drain"])
    probe.says()
    expect(probe.hears()).toEqual([])
    expect(stream.buffered()).toBe(1)
    probe.hear("WINDOW 1 1")
    expect(probe.says()).toEqual(["DATA 1 1"])
  })

  test("drain, and the end behind our FIN, come with the next call of any kind, and not within the pull", () => {
    const probe = dialer()
    const stream = probe.open()
    probe.hear("WINDOW FIN 1 0")
    probe.hears()
    stream.write(new Uint8Array(256 * KiB + 1))
    probe.muxer.pull(MiB)
    expect(probe.hears()).toEqual([])
    expect(probe.hear("WINDOW 1 1")).toEqual(["1 drain"])
    stream.closeWrite()
    probe.muxer.pull(MiB)
    expect(probe.hears()).toEqual(["1 drain"])
    probe.muxer.tick(0)
    expect(probe.hears()).toEqual(["1 ended"])
  })

  test("a pull takes whole frames within its room, and says pending once until nothing is left", () => {
    const probe = dialer()
    const stream = probe.open()
    stream.write(new Uint8Array(100 * KiB))
    stream.write(new Uint8Array(100))
    expect(probe.pendings).toBe(1)
    expect(probe.says(11)).toEqual([])
    expect(probe.says(20)).toEqual(["DATA SYN 1 8"])
    stream.write(new Uint8Array(1))
    expect(probe.says(yamuxFrameBytesMax)).toEqual([`DATA 1 ${yamuxFrameBytesMax - 12}`])
    expect(probe.pendings).toBe(1)
    expect(probe.says().length).toBe(1)
    stream.write(new Uint8Array(1))
    expect(probe.pendings).toBe(2)
  })

  test("a frame is not cut small to fill a pull, but goes whole with the next", () => {
    const probe = dialer()
    const [a, b] = [probe.open(), probe.open()]
    a.write(new Uint8Array(1_000))
    b.write(new Uint8Array(10_000))
    expect(probe.says(4_000)).toEqual(["DATA SYN 1 1000"])
    expect(probe.says(20_000)).toEqual(["DATA SYN 3 10000"])
  })

  test("1,000 streams have their turns: no stream is a frame ahead of another", () => {
    const probe = dialer()
    const streams = times(1_000, String).map((_, i) => {
      if (i === 250 || i === 500 || i === 750) {
        probe.says()
        probe.hear(...[...probe.streams.keys()].map((id) => `WINDOW ACK ${id} 0`))
      }
      return probe.open()
    })
    for (const stream of streams) stream.write(new Uint8Array(150 * KiB))
    const sent = new Map<string, number>()
    let bytes = 0
    for (let said = probe.says(64 * KiB); said.length > 0; said = probe.says(64 * KiB)) {
      for (const words of said) {
        const parts = words.split(" ")
        if (parts[0] !== "DATA") continue
        sent.set(parts.at(-2)!, (sent.get(parts.at(-2)!) ?? 0) + 1)
        bytes += Number(parts.at(-1))
      }
      const counts = [...sent.values()]
      if (sent.size === 1_000) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      else expect(Math.max(0, ...counts)).toBeLessThanOrEqual(1)
    }
    expect(bytes).toBe(1_000 * 150 * KiB)
  })

  test("large payloads go out as they were given, without a copy", () => {
    const probe = dialer()
    const bytes = new Uint8Array(10_000)
    probe.open().write(bytes)
    const { parts } = probe.muxer.pull(MiB)
    expect(parts.some((part) => part.buffer === bytes.buffer)).toBe(true)
  })

  test("payload that comes is handed over as views of the chunk", () => {
    const probe = listener()
    const chunk = concatAll([frame("WINDOW SYN 1 0"), frame("DATA 1 1000")])
    probe.hear(chunk)
    expect(probe.bytes.get(1)![0]!.buffer).toBe(chunk.buffer)
  })
})
