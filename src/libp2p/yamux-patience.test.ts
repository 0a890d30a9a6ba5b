import { describe, expect, test } from "bun:test"
import { frame, KiB, Probe } from "../../test/yamux.ts"
import { concatAll, fromHex } from "../codec/bytes.ts"
import { Libp2pFault } from "./fault.ts"

const listener = (): Probe => new Probe("listener")
const dialer = (): Probe => new Probe("dialer")
const times = (count: number, make: (i: number) => string): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => make(i))

/** 200,000 frames of that, unless the session ends before. */
const flood = (probe: Probe, words: string): void => {
  const thousand = concatAll(Array.from({ length: 1_000 }, () => frame(words)))
  for (let i = 0; i < 200 && probe.told.at(-1) !== "ended ProtocolError"; i++) probe.hear(thousand)
}

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

  test("no more than that: who goes on writing to a stream that we reset is ended", () => {
    const probe = listener()
    probe.hear("WINDOW SYN 1 0")
    probe.streams.get(1)!.reset()
    let frames = 0
    for (; probe.told.at(-1) !== "ended ProtocolError"; frames++) probe.hear(frame(`DATA 1 ${256 * KiB}`))
    expect(frames).toBe(1 + 8)
  })

  test("nor do many resets let through more than a connection may have unread", () => {
    const probe = listener()
    for (let id = 1; id < 600; id += 2) probe.hear(`WINDOW SYN ${id} 0`)
    for (const stream of probe.streams.values()) stream.reset()
    let frames = 0
    for (; probe.told.at(-1) !== "ended ProtocolError"; frames++) probe.hear(frame(`DATA 1 ${1024 * KiB}`))
    expect(frames).toBe(64 + 2)
  })

  test.each(["DATA 7 1000", "WINDOW 7 1", "PING ACK 0 77", "PING SYN 0 1", "WINDOW RST 7 0", "GO_AWAY 0 0"])(
    "a flood of %s ends the session",
    (words) => {
      const probe = listener()
      probe.hear("WINDOW SYN 1 0")
      flood(probe, words)
      expect(probe.told.at(-1)).toBe("ended ProtocolError")
      expect(probe.says()).toEqual(["GO_AWAY 0 1"])
    }
  )

  test.each(["DATA 1 0", "WINDOW 1 0", "WINDOW FIN 1 0", "DATA FIN 1 0"])(
    "so does one of %s on an open stream",
    (words) => {
      const probe = listener()
      probe.hear("WINDOW SYN 1 0")
      flood(probe, words)
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

  test("every 30 s one goes out; 30 s without a byte end the session, any byte keeps it", () => {
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
    expect(s).toBe(last + 30)
    expect(probe.says()).toEqual(["GO_AWAY 0 0"])
  })

  test("pings that follow one another closely do not prolong the wait", () => {
    const probe = new Probe("dialer", { pingMs: 3_000 })
    probe.tick(1_000)
    probe.tick(29_000)
    expect(probe.hears()).toEqual([])
    probe.tick(1_000)
    expect(probe.hears()).toEqual(["ended TimeoutError"])
  })

  test("an answer ends the wait; one that is late, doubled or wrong is none", () => {
    const probe = dialer()
    probe.tick(1_000)
    probe.now += 40
    expect(probe.hear("PING ACK 0 2", "PING ACK 0 1", "PING ACK 0 1")).toEqual(["rtt 40"])
    probe.tick(45_000)
    expect(probe.hears()).toEqual(["rtt 40"])
  })

  test("a machine that slept does not blame the other side", () => {
    const probe = dialer()
    probe.tick(1_000)
    probe.now += 3_600_000
    probe.muxer.tick(probe.now)
    expect(probe.hears()).toEqual([])
    probe.tick(31_000)
    expect(probe.hears()).toEqual(["ended TimeoutError"])
  })
})
