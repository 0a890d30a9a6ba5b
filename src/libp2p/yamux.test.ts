import { describe, expect, test } from "bun:test"
import { frame, header, KiB, MiB, Probe } from "../../test/yamux.ts"
import { concatAll, fromHex, toHex } from "../codec/bytes.ts"
import { Libp2pFault } from "./fault.ts"

const listener = (): Probe => new Probe("listener")
const dialer = (): Probe => new Probe("dialer")
const times = (count: number, make: (i: number) => string): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => make(i))
const theirs = (count: number): ReadonlyArray<string> => times(count, (i) => `WINDOW SYN ${2 * i + 1} 0`)

describe("the bytes of each frame", () => {
  test("a stream opens with its first data, is half-closed by a FIN of its own, and ends with the other's", () => {
    const probe = dialer()
    const stream = probe.open()
    expect(stream.write(fromHex("68656c6c6f")!)).toBe(true)
    stream.closeWrite()
    expect(toHex(probe.pullBytes())).toBe("000000010000000100000005" + "68656c6c6f" + "000100040000000100000000")
    probe.hear(fromHex("000100020000000100000000")!, fromHex("000000000000000100000002" + "6f6b")!)
    probe.hear(fromHex("000100040000000100000000")!)
    expect(probe.hears()).toEqual(["1 data 2", "1 remote closed", "1 ended"])
    expect(probe.muxer.streams()).toEqual([])
  })

  test("a stream that only reads opens with a window update; a listener's ids are even", () => {
    const probe = listener()
    probe.open()
    probe.open()
    expect(toHex(probe.pullBytes())).toBe("000100010000000200000000" + "000100010000000400000000")
  })

  test("a ping of theirs comes back; ours is the first frame when time is told", () => {
    const probe = listener()
    probe.hear(fromHex("0002000100000000deadbeef")!)
    expect(toHex(probe.pullBytes())).toBe("000200010000000000000001" + "0002000200000000deadbeef")
    probe.now = 7
    expect(probe.hear(fromHex("000200020000000000000001")!)).toEqual(["rtt 7"])
  })

  test("go away in all three codes", () => {
    const closing = (fault?: Libp2pFault): string => {
      const probe = dialer()
      probe.muxer.close(fault)
      return toHex(probe.pullBytes())
    }
    expect(closing()).toBe("000300000000000000000000")
    expect(closing(new Libp2pFault("protocol", "ProtocolError", ""))).toBe("000300000000000000000001")
    expect(closing(new Libp2pFault("internal", "InternalError", ""))).toBe("000300000000000000000002")
  })
})

describe("streams of the other side", () => {
  test("data may come with the SYN; the ACK rides on the answer, or goes alone", () => {
    const probe = listener()
    expect(probe.hear("DATA SYN 1 3", "WINDOW SYN 3 0")).toEqual(["stream 1", "1 data 3", "stream 3"])
    probe.streams.get(1)!.write(new Uint8Array(4))
    expect(probe.says()).toEqual(["WINDOW ACK 3 0", "DATA ACK 1 4"])
  })

  test("a SYN's delta widens the window, and the ACK may come late: no write waits for it", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 65536")
    probe.streams.get(1)!.write(new Uint8Array(MiB))
    const sent = probe.says().reduce((sum, words) => sum + Number(words.split(" ").at(-1)), 0)
    expect(sent).toBe(320 * KiB)

    const mine = dialer()
    mine.open().write(new Uint8Array(256 * KiB))
    expect(mine.says().length).toBe(5)
    expect(mine.hear("WINDOW ACK 1 0", "DATA 1 2")).toEqual(["1 data 2"])
  })

  test("a larger window of ours is told with SYN and with ACK", () => {
    const probe = new Probe("dialer", { windowBytes: 512 * KiB })
    probe.open()
    probe.hear("WINDOW SYN 2 0", frame(`DATA 2 ${512 * KiB}`))
    expect(probe.says()).toEqual(["WINDOW SYN 1 262144", `WINDOW ACK 2 ${256 * KiB + 512 * KiB}`])
  })

  test.each(["WINDOW SYN 2 0", "DATA SYN 2 0", "WINDOW SYN 0 0"])("%s from a dialer ends the session", (words) => {
    const probe = listener()
    expect(probe.hear(words)).toEqual(["ended ProtocolError"])
    expect(probe.says()).toEqual(["GO_AWAY 0 1"])
  })

  test("a listener may not open odd ids, nor anybody a stream twice", () => {
    expect(dialer().hear("WINDOW SYN 1 0")).toEqual(["ended ProtocolError"])
    expect(dialer().hear("WINDOW SYN 0 0")).toEqual(["ended ProtocolError"])
    expect(listener().hear("WINDOW SYN 1 0", "WINDOW SYN 1 0")).toEqual([
      "stream 1",
      "1 ended ProtocolError",
      "ended ProtocolError"
    ])
  })

  test("ids need not come in order: go sends SYN from several threads", () => {
    expect(listener().hear("WINDOW SYN 5 0", "WINDOW SYN 1 0")).toEqual(["stream 5", "stream 1"])
  })

  test("beyond 1,000 a stream is reset, and only that one", () => {
    const probe = listener()
    probe.hear(...theirs(1_001), "DATA 2001 100", "DATA 1 1")
    expect(probe.hears().slice(1_000)).toEqual(["1 data 1"])
    expect(probe.says()[0]).toBe("WINDOW RST 2001 0")
    probe.hear("WINDOW RST 1 0", "WINDOW SYN 2003 0")
    expect(probe.hears()).toEqual(["1 ended StreamResetError", "stream 2003"])
  })

  test("beyond 256 that nobody took a stream is reset; what came for the others is kept until they are taken", () => {
    const probe = listener()
    probe.takes = false
    probe.hear("DATA SYN|FIN 1 3", ...theirs(257).slice(1))
    expect(probe.hears().length).toBe(256)
    expect(probe.says()).toContain("WINDOW RST 513 0")
    probe.handle(probe.streams.get(1)!)
    expect(probe.hears()).toEqual(["1 data 3", "1 remote closed"])
    expect(probe.hear("WINDOW SYN 515 0")).toEqual(["stream 515"])
  })

  test("a stream that ended before it was taken says so when it is", () => {
    const probe = listener()
    probe.takes = false
    probe.hear("DATA SYN 1 3", "WINDOW RST 1 0")
    probe.hears()
    probe.handle(probe.streams.get(1)!)
    expect(probe.hears()).toEqual(["1 data 3", "1 ended StreamResetError"])
  })

  test("who opens streams that are refused and reads nothing is ended", () => {
    const probe = new Probe("listener", { inboundStreamsMax: 0 })
    const told = probe.hear(...theirs(1_025))
    expect(told).toEqual(["ended ResourceLimitError"])
    expect(probe.says()).toEqual(["GO_AWAY 0 2"])
  })

  test("who opens streams and resets them is ended, though it may do so now and then", () => {
    const probe = listener()
    for (let i = 0; i < 20_000 && !probe.told.includes("ended ProtocolError"); i++)
      probe.hear(`WINDOW SYN ${2 * i + 1} 0`, `WINDOW RST ${2 * i + 1} 0`)
    expect(probe.streams.size).toBeGreaterThan(4_000)
    expect(probe.streams.size).toBeLessThan(4_200)

    const patient = listener()
    for (let i = 0; i < 20_000; i++) {
      patient.now += 8
      patient.hear(`WINDOW SYN ${2 * i + 1} 0`, `WINDOW RST ${2 * i + 1} 0`)
    }
    expect(patient.streams.size).toBe(20_000)
    expect(patient.told).not.toContain("ended ProtocolError")
  })
})

describe("windows", () => {
  test("one byte more than the window ends the session with code 1, before it is read", () => {
    const probe = listener()
    probe.uses = false
    probe.hear("WINDOW SYN 1 0", frame(`DATA 1 ${256 * KiB}`))
    probe.says()
    expect(probe.hear(header(0, 0, 1, 1))).toEqual(["1 ended ProtocolError", "ended ProtocolError"])
    expect(probe.says()).toEqual(["GO_AWAY 0 1"])
  })

  test("a frame above 1 MiB ends the session at its header, whomever it is for", () => {
    expect(listener().hear(header(0, 0, 9, MiB + 1))).toEqual(["ended ProtocolError"])
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
})

describe("what is not wanted is ignored, within bounds", () => {
  test("frames for streams that nobody knows", () => {
    const probe = listener()
    expect(
      probe.hear("WINDOW RST 7 0", "DATA 7 10", "WINDOW 7 10", "WINDOW FIN 7 0", "WINDOW ACK 7 0", "PING ACK 0 99")
    ).toEqual([])
    expect(probe.says()).toEqual([])
    expect(probe.hear("DATA SYN 7 1")).toEqual(["stream 7", "7 data 1"])
  })

  test("what was on its way when we reset a stream, however much the window let through", () => {
    const probe = listener()
    for (let i = 0; i < 40; i++) {
      const id = 2 * i + 1
      probe.hear(`WINDOW SYN ${id} 0`)
      probe.streams.get(id)!.reset()
      probe.hear(frame(`DATA ${id} ${256 * KiB}`))
    }
    expect(probe.told).not.toContain("ended ProtocolError")
  })

  test.each(["DATA 7 1000", "WINDOW 7 1", "PING ACK 0 77", "PING SYN 0 1", "WINDOW RST 7 0", "GO_AWAY 0 0"])(
    "a flood of %s ends the session",
    (words) => {
      const probe = listener()
      probe.hear("WINDOW SYN 1 0")
      for (let i = 0; i < 100_000 && !probe.told.includes("ended ProtocolError"); i++) probe.hear(words)
      expect(probe.told.at(-1)).toBe("ended ProtocolError")
      expect(probe.says()).toEqual(["GO_AWAY 0 1"])
    }
  )

  test.each(["DATA 1 0", "WINDOW 1 0", "WINDOW FIN 1 0", "DATA FIN 1 0"])(
    "so does one of %s on an open stream",
    (words) => {
      const probe = listener()
      probe.hear("WINDOW SYN 1 0")
      for (let i = 0; i < 100_000 && !probe.told.includes("ended ProtocolError"); i++) probe.hear(words)
      expect(probe.told.at(-1)).toBe("ended ProtocolError")
    }
  )

  test("data behind a FIN is not handed over", () => {
    const probe = listener()
    expect(probe.hear("DATA SYN|FIN 1 3", "DATA 1 3")).toEqual(["stream 1", "1 data 3", "1 remote closed"])
  })

  test("a FIN with payload closes behind the payload, however it is cut", () => {
    const whole = frame("DATA FIN 1 5")
    for (let cut = 0; cut <= whole.length; cut++) {
      const probe = listener()
      const told = probe.hear("WINDOW SYN 1 0", whole.subarray(0, cut), whole.subarray(cut))
      expect(told.at(-1)).toBe("1 remote closed")
      expect(concatAll(probe.bytes.get(1)!).length).toBe(5)
    }
  })

  test.each([
    ["a version of 1", "010000000000000100000000"],
    ["a type of 4", "000400000000000100000000"]
  ])("%s ends the session", (_, hex) => {
    const probe = listener()
    expect(probe.hear(fromHex(hex)!)).toEqual(["ended ProtocolError"])
  })

  test("nothing is heard after the end", () => {
    const probe = listener()
    probe.hear(fromHex("010000000000000100000000")!)
    probe.hears()
    expect(probe.hear("WINDOW SYN 1 0", "GO_AWAY 0 0")).toEqual([])
    probe.muxer.close()
    probe.muxer.lost(new Libp2pFault("closed", "ConnectionClosedError", ""))
    probe.tick(60_000)
    expect(probe.hears()).toEqual([])
  })
})

describe("pings", () => {
  test("32 are answered at once, then 16 a second, ahead of data", () => {
    const probe = listener()
    probe.open().write(new Uint8Array(100))
    probe.hear(...times(100, (i) => `PING SYN 0 ${i + 1_000}`))
    const said = probe.says()
    expect(said.filter((words) => words.startsWith("PING ACK")).length).toBe(32)
    expect(said[31]).toBe("PING ACK 0 1031")
    expect(said[32]).toBe("DATA SYN 2 100")
    probe.now = 1_000
    probe.hear(...times(100, (i) => `PING SYN 0 ${i}`))
    expect(probe.says().length).toBe(16)
  })

  test("every 30 s one goes out; 10 s without a byte end the session, any byte keeps it", () => {
    const probe = dialer()
    const pings: Array<number> = []
    for (let s = 1; s <= 100; s++) {
      probe.tick(1_000)
      if (probe.pullBytes().length > 0) pings.push(s)
      if (s % 9 === 0) probe.hear("WINDOW RST 8 0")
    }
    expect(pings).toEqual([1, 31, 61, 91])
    expect(probe.hears()).toEqual([])
    const last = 99
    let s = 100
    for (; s < 200 && probe.told.length === 0; s++) probe.tick(1_000)
    expect(probe.hears()).toEqual(["ended TimeoutError"])
    expect(s).toBe(last + 10)
    expect(probe.says()).toEqual(["GO_AWAY 0 0"])
  })

  test("an answer ends the wait; one that is late, doubled or wrong is none", () => {
    const probe = dialer()
    probe.tick(1_000)
    probe.now += 40
    expect(probe.hear("PING ACK 0 2", "PING ACK 0 1", "PING ACK 0 1")).toEqual(["rtt 40"])
    probe.tick(29_000)
    expect(probe.hears()).toEqual(["rtt 40"])
  })

  test("a machine that slept does not blame the other side", () => {
    const probe = dialer()
    probe.tick(1_000)
    probe.now += 3_600_000
    probe.muxer.tick(probe.now)
    expect(probe.hears()).toEqual([])
    probe.tick(11_000)
    expect(probe.hears()).toEqual(["ended TimeoutError"])
  })
})

describe("the end", () => {
  test("close sends what was written, then GO_AWAY, and ends all streams as closed", () => {
    const probe = dialer()
    const stream = probe.open()
    stream.write(new Uint8Array(300 * KiB))
    probe.muxer.close()
    expect(probe.hears()).toEqual(["1 ended", "ended"])
    const said = probe.says()
    expect(said[0]).toBe("DATA SYN 1 65524")
    expect(said.at(-1)).toBe("GO_AWAY 0 0")
    expect(said.slice(0, -1).reduce((sum, words) => sum + Number(words.split(" ").at(-1)), 0)).toBe(256 * KiB)
    expect(probe.says()).toEqual([])
    expect(probe.muxer.open()).toMatchObject({ name: "MuxerClosedError", kind: "closed" })
    expect(stream.write(new Uint8Array(1))).toBe(false)
  })

  test("close with a fault sends nothing but GO_AWAY", () => {
    const probe = dialer()
    probe.open().write(new Uint8Array(300))
    probe.muxer.close(new Libp2pFault("timeout", "TimeoutError", ""))
    expect(probe.hears()).toEqual(["1 ended TimeoutError", "ended TimeoutError"])
    expect(probe.says()).toEqual(["GO_AWAY 0 0"])
  })

  test("a lost link leaves nothing to send", () => {
    const probe = dialer()
    probe.open().write(new Uint8Array(300))
    probe.muxer.lost(new Libp2pFault("io", "ConnectionClosedError", ""))
    expect(probe.hears()).toEqual(["1 ended ConnectionClosedError", "ended ConnectionClosedError"])
    expect(probe.pullBytes().length).toBe(0)
  })

  test("their GO_AWAY stops new streams both ways; what is open goes on, and its end is that of the session", () => {
    const probe = dialer()
    const stream = probe.open()
    probe.says()
    expect(probe.hear("GO_AWAY 0 0", "WINDOW SYN 2 0", "DATA ACK 1 5")).toEqual(["remote go away 0", "1 data 5"])
    expect(probe.muxer.open()).toMatchObject({ name: "MuxerClosedError" })
    stream.write(new Uint8Array(2))
    stream.closeWrite()
    expect(probe.says()).toEqual(["WINDOW RST 2 0", "DATA 1 2", "WINDOW FIN 1 0"])
    probe.hears()
    expect(probe.hear("WINDOW FIN 1 0")).toEqual(["1 remote closed", "1 ended", "ended"])
    expect(probe.says()).toEqual(["GO_AWAY 0 0"])
  })

  test("their GO_AWAY with a code and no stream open is the end with a fault", () => {
    const probe = dialer()
    expect(probe.hear("GO_AWAY 0 1")).toEqual(["remote go away 1", "ended MuxerClosedError"])
  })

  test("a reset goes out at once and nothing of the stream behind it; before the SYN nothing goes out at all", () => {
    const probe = dialer()
    const stream = probe.open()
    stream.write(new Uint8Array(100))
    probe.says()
    stream.write(new Uint8Array(100))
    stream.reset()
    stream.reset()
    const unborn = probe.open()
    unborn.write(new Uint8Array(9))
    unborn.reset()
    expect(probe.says()).toEqual(["WINDOW RST 1 0"])
    expect(probe.hears()).toEqual(["1 ended StreamAbortedError", "3 ended StreamAbortedError"])
    probe.open()
    expect(probe.says()).toEqual(["WINDOW SYN 5 0"])
  })

  test("a stream that one side closed and that rests for five minutes is reset", () => {
    const probe = new Probe("listener", { silenceMsMax: 1e9 })
    probe.hear("WINDOW SYN|FIN 1 0", "WINDOW SYN 3 0", "WINDOW SYN 5 0")
    probe.streams.get(3)!.closeWrite()
    probe.says()
    probe.hears()
    probe.tick(299_000)
    probe.hear("WINDOW 3 1")
    expect(probe.hears()).toEqual([])
    probe.tick(1_000)
    expect(probe.hears()).toEqual(["1 ended TimeoutError"])
    probe.tick(299_000)
    expect(probe.hears()).toEqual(["3 ended TimeoutError"])
    expect(probe.says().filter((words) => words.startsWith("WINDOW RST"))).toEqual(["WINDOW RST 1 0", "WINDOW RST 3 0"])
    expect(probe.muxer.streams().map(({ id }) => id)).toEqual([5])
  })

  test("100,000 streams one after another leave an empty table and a quiet session", () => {
    const probe = listener()
    for (let i = 0; i < 100_000; i++) {
      const id = 2 * i + 1
      probe.muxer.receive(frame(`DATA SYN ${id} 4`), 0)
      const stream = probe.streams.get(id)!
      stream.write(new Uint8Array(4))
      stream.closeWrite()
      probe.muxer.pull(MiB)
      probe.muxer.receive(frame(`WINDOW FIN ${id} 0`), 0)
      probe.muxer.receive(frame(`WINDOW ${id} 4`), 0)
      probe.streams.clear()
      probe.bytes.clear()
      expect(probe.told.splice(0)).toEqual([`stream ${id}`, `${id} data 4`, `${id} remote closed`, `${id} ended`])
    }
    expect(probe.muxer.streams()).toEqual([])
  })
})

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

  test("a pull takes whole frames within its room, and says pending once until nothing is left", () => {
    const probe = dialer()
    const stream = probe.open()
    stream.write(new Uint8Array(100 * KiB))
    stream.write(new Uint8Array(100))
    expect(probe.pendings).toBe(1)
    expect(probe.says(11)).toEqual([])
    expect(probe.says(20)).toEqual(["DATA SYN 1 8"])
    expect(probe.says(64 * KiB)).toEqual([`DATA 1 ${64 * KiB - 12}`])
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
