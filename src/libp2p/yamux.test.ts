import { describe, expect, test } from "bun:test"
import { frame, framesOf, header, KiB, MiB, Probe } from "../../test/yamux.ts"
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
    expect(probe.hear("WINDOW SYN 517 0", "WINDOW RST 3 0", "WINDOW SYN 519 0")).toEqual(["stream 519"])
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

describe("habits of other implementations", () => {
  test("hashicorp and go: SYN, ACK and FIN on window updates of nothing", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 0", "DATA 1 5", "WINDOW FIN 1 0")
    probe.streams.get(1)!.write(new Uint8Array(5))
    probe.streams.get(1)!.closeWrite()
    expect(probe.hears()).toEqual(["stream 1", "1 data 5", "1 remote closed"])
    expect(probe.says()).toEqual(["DATA ACK 1 5", "WINDOW FIN 1 0"])
    expect(probe.hears()).toEqual(["1 ended"])
  })

  test("rust: SYN on the first data, ACK on the first answer and not before, FIN and RST on data of nothing", () => {
    const probe = dialer()
    const stream = probe.open()
    stream.write(new Uint8Array(5))
    stream.closeWrite()
    probe.says()
    expect(probe.hear("DATA ACK 1 7", "DATA FIN 1 0")).toEqual(["1 data 7", "1 remote closed", "1 ended"])
    expect(probe.hear("DATA SYN 2 9", "DATA RST 2 0")).toEqual(["stream 2", "2 data 9", "2 ended StreamResetError"])
  })

  test("a stream that is answered and finished in one frame", () => {
    const probe = dialer()
    probe.open().closeWrite()
    expect(probe.says()).toEqual(["WINDOW SYN|FIN 1 0"])
    expect(probe.hear("DATA ACK|FIN 1 3")).toEqual(["1 data 3", "1 remote closed", "1 ended"])
  })

  test("lua: a SYN whose delta is the whole window; a window update for each frame", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 262144")
    probe.streams.get(1)!.write(new Uint8Array(64))
    probe.says()
    expect(probe.hear(...times(1_000, () => "WINDOW 1 64"))).toEqual([])
  })

  test("deltas that add up to more than the field holds are as much as it holds", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 4294967295", "WINDOW 1 4294967295")
    probe.streams.get(1)!.write(new Uint8Array(300 * KiB))
    probe.says()
    expect(probe.streams.get(1)!.buffered()).toBe(0)
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
    expect(said[0]).toBe("DATA SYN 1 65507")
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

  test("such a stream does not rest while its reader uses what came, or while bytes of it go out", () => {
    const probe = new Probe("listener", { silenceMsMax: 1e9 })
    probe.uses = false
    probe.hear("DATA SYN|FIN 1 10", "WINDOW SYN|FIN 3 0")
    probe.streams.get(3)!.write(new Uint8Array(200 * KiB))
    probe.hears()
    for (let i = 0; i < 4; i++) {
      probe.tick(200_000)
      probe.streams.get(1)!.consumed(1)
      probe.says(50 * KiB)
    }
    expect(probe.hears()).toEqual([])
    probe.tick(300_000)
    expect(probe.hears()).toEqual(["1 ended TimeoutError", "3 ended TimeoutError"])
  })

  test("100,000 streams one after another leave an empty table and a quiet session", () => {
    const probe = listener()
    const four = new Uint8Array(4)
    for (let id = 1; id < 200_000; id += 2) {
      probe.muxer.receive(concatAll([header(0, 1, id, 4), four, header(1, 4, id, 0)]), 0)
      const stream = probe.streams.get(id)!
      stream.write(four)
      stream.closeWrite()
      while (probe.muxer.pull(MiB).length > 0);
      probe.muxer.receive(header(1, 0, id, 4), 0)
      probe.streams.clear()
      probe.bytes.clear()
      const told = probe.told.splice(0).join()
      if (told !== `stream ${id},${id} data 4,${id} remote closed,${id} ended`) expect(told).toBe("")
    }
    expect(probe.muxer.streams()).toEqual([])
  })

  test("who acts when he hears of an end does not overtake what led to it", () => {
    const probe = dialer()
    const wire: Array<Uint8Array> = []
    const pull = (): void => {
      for (let pulled = probe.muxer.pull(MiB); pulled.length > 0; pulled = probe.muxer.pull(MiB))
        wire.push(...pulled.parts)
    }
    probe.onEnd = pull
    const stream = probe.open()
    probe.hear("WINDOW ACK|FIN 1 0", "GO_AWAY 0 0")
    stream.write(new Uint8Array(5))
    stream.closeWrite()
    pull()
    expect(framesOf(concatAll(wire)).slice(1)).toEqual(["DATA SYN 1 5", "WINDOW FIN 1 0", "GO_AWAY 0 0"])
    expect(probe.hears().slice(-2)).toEqual(["1 ended", "ended"])
  })

  test("a stream that is reset in the very call that tells of it leaves nothing", () => {
    const probe = new Probe("listener", { receiveBytesMax: 100 })
    probe.onStream = (stream) => stream.reset()
    probe.hear("DATA SYN 1 90", "DATA SYN|FIN 3 90", "WINDOW SYN|FIN 5 0")
    probe.onStream = () => {}
    expect(probe.hear("DATA SYN 7 90")).toEqual(["stream 7", "7 data 90"])
    expect(probe.says().slice(0, 3)).toEqual(["WINDOW RST 1 0", "WINDOW RST 3 0", "WINDOW RST 5 0"])
    expect(probe.told.filter((words) => words.includes("ended"))).toEqual(
      [1, 3, 5].map((id) => `${id} ended StreamAbortedError`)
    )
  })
})
