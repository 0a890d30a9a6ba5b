import { describe, expect, test } from "bun:test"
import { frame, framesOf, KiB, Probe } from "../../test/yamux.ts"
import { concatAll, equal } from "../codec/bytes.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import type { MuxedStream, Muxer, Role } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { makeYamux } from "./yamux.ts"

/** Byte `i` of it is `i`: what a stream carries is a piece of it, so that each place of it is known by its content. */
const pattern = Uint8Array.from({ length: 512 * KiB }, (_, i) => i & 0xff)

/** One side's view of a stream. */
interface End {
  readonly stream: MuxedStream
  readonly seed: number
  written: number
  came: number
  unused: number
  closed: boolean
  remoteClosed: boolean
  ended: Libp2pFault | "well" | undefined
}

/** What the wire may carry of a stream one way, kept apart from the machines: their frames are judged by it. */
interface Lane {
  credit: number
  frames: number
  fin: boolean
  rst: boolean
}

class Side {
  readonly ends = new Map<number, End>()
  readonly lanes = new Map<number, Lane>()
  readonly muxer: Muxer
  readonly role: Role
  /** Bytes on the way to the other side, and the frames that are in them. */
  wire: Uint8Array = new Uint8Array(0)
  /** Told since the last pull, and whether that one left off in the middle, for all that its caller knows. */
  pending = false
  more = false
  ended: Libp2pFault | "well" | undefined

  constructor(role: Role) {
    this.role = role
    this.muxer = makeYamux(
      role,
      {
        stream: (stream) => this.watch(stream),
        pending: () => {
          expect(this.pending).toBe(false)
          this.pending = true
        },
        rtt: () => {},
        remoteGoAway: () => {},
        ended: (fault) => {
          this.ended = fault ?? "well"
        }
      },
      {},
      0
    )
  }

  watch(stream: MuxedStream): End {
    const seed = stream.id * 37 + (this.role === "dialer" ? 1 : 2)
    const theirs = stream.id * 37 + (this.role === "dialer" ? 2 : 1)
    const end: End = {
      stream,
      seed,
      written: 0,
      came: 0,
      unused: 0,
      closed: false,
      remoteClosed: false,
      ended: undefined
    }
    this.ends.set(stream.id, end)
    stream.handlers = {
      data: (bytes) => {
        expect(end.ended ?? end.remoteClosed).toBe(false)
        const from = (theirs + end.came) & 0xff
        if (!equal(bytes, pattern.subarray(from, from + bytes.length)))
          throw new Error("bytes are wrong or out of order")
        end.came += bytes.length
        end.unused += bytes.length
      },
      remoteClosed: () => {
        expect(end.ended ?? end.remoteClosed).toBe(false)
        end.remoteClosed = true
      },
      drain: () => expect(end.stream.buffered()).toBeLessThanOrEqual(128 * KiB),
      ended: (fault) => {
        expect(end.ended).toBeUndefined()
        end.ended = fault ?? "well"
      }
    }
    return end
  }

  /** Judges whole frames of ours that go out. */
  judge(bytes: Uint8Array): void {
    for (const words of framesOf(bytes)) {
      const [type, ...rest] = words.split(" ")
      if (type === "PING" || type === "GO_AWAY") continue
      const [id, length] = rest.slice(-2).map(Number) as [number, number]
      const flags = rest.length === 3 ? rest[0]! : ""
      const lane = this.lanes.get(id) ?? { credit: 256 * KiB, frames: 0, fin: false, rst: false }
      this.lanes.set(id, lane)
      const first = id % 2 === (this.role === "dialer" ? 1 : 0) ? "SYN" : "ACK"
      expect(flags.includes(first)).toBe(lane.frames === 0 && !flags.includes("RST"))
      expect(lane.rst).toBe(false)
      lane.frames++
      lane.rst = flags.includes("RST")
      if (type === "DATA") {
        lane.credit -= length
        expect(lane.fin).toBe(false)
        expect(length).toBeLessThanOrEqual(64 * KiB - 12)
        expect(lane.credit).toBeGreaterThanOrEqual(0)
      }
      lane.fin ||= flags.includes("FIN")
    }
  }

  /** Frames of the other side have come whole: what they allow us. */
  allow(words: string): void {
    const parts = words.split(" ")
    const lane = this.lanes.get(Number(parts.at(-2))) ?? { credit: 256 * KiB, frames: 0, fin: false, rst: false }
    if (parts[0] !== "WINDOW") return
    this.lanes.set(Number(parts.at(-2)), lane)
    lane.credit += Number(parts.at(-1))
  }
}

class World {
  readonly sides = [new Side("dialer"), new Side("listener")] as const
  private readonly dice: Dice
  private now = 0
  /** Bytes that each side got and that are not a whole frame yet. */
  private readonly tails: Array<Uint8Array> = [new Uint8Array(0), new Uint8Array(0)]

  constructor(seed: number) {
    this.dice = makeDice(seed)
  }

  pull(at: 0 | 1, max: number): number {
    const side = this.sides[at]
    const { parts, length } = side.muxer.pull(max)
    expect(length).toBeLessThanOrEqual(max)
    const bytes = concatAll(parts)
    expect(bytes.length).toBe(length)
    side.judge(bytes)
    side.wire = concatAll([side.wire, bytes])
    if (length > 0) expect(side.pending || side.more).toBe(true)
    side.pending = false
    side.more = length > 0
    return length
  }

  deliver(from: 0 | 1, length: number): void {
    const side = this.sides[from]
    const other = this.sides[1 - from]!
    const bytes = side.wire.slice(0, length)
    side.wire = side.wire.slice(length)
    const known = concatAll([this.tails[from]!, bytes])
    const view = new DataView(known.buffer, known.byteOffset)
    let at = 0
    while (at + 12 <= known.length) {
      const end = at + 12 + (known[at + 1] === 0 ? view.getUint32(at + 8) : 0)
      if (end > known.length) break
      for (const words of framesOf(known.subarray(at, end))) other.allow(words)
      at = end
    }
    this.tails[from] = known.slice(at)
    // A window update that has come may be answered in the same call: it is allowed before.
    other.muxer.receive(bytes, this.now)
  }

  step(): void {
    const { dice } = this
    const at = dice.int(2) as 0 | 1
    const side = this.sides[at]
    const open = [...side.ends.values()].filter(({ ended }) => ended === undefined)
    const act = dice.int(100)
    if (act < 5) {
      const stream = side.muxer.open()
      if (!(stream instanceof Libp2pFault)) side.watch(stream)
    } else if (act < 35 && open.length > 0) this.write(dice.pick(open))
    else if (act < 38 && open.length > 0) this.close(dice.pick(open))
    else if (act < 39 && open.length > 0) dice.pick(open).stream.reset()
    else if (act < 60 && open.length > 0) this.use(dice.pick(open))
    else if (act < 80) this.pull(at, 13 + dice.int(dice.chance(0.5) ? 100 : 200 * KiB))
    else if (act < 95) this.deliver(at, dice.int(dice.chance(0.5) ? 40 : 200 * KiB))
    else {
      this.now += dice.int(100)
      side.muxer.tick(this.now)
    }
  }

  write(end: End): void {
    const length = this.dice.int(this.dice.chance(0.8) ? 1_000 : 250 * KiB)
    if (end.closed) return expect(end.stream.write(new Uint8Array(length))).toBe(false) as undefined
    const from = (end.seed + end.written) & 0xff
    const before = end.stream.buffered()
    expect(end.stream.write(pattern.subarray(from, from + length))).toBe(before + length <= 256 * KiB)
    end.written += length
  }

  close(end: End): void {
    end.closed = true
    end.stream.closeWrite()
  }

  use(end: End, bytes = this.dice.int(end.unused + 1)): void {
    end.unused -= bytes
    end.stream.consumed(bytes)
  }

  /** Everything is closed, read and delivered. */
  settle(): void {
    for (let quiet = false; !quiet; ) {
      quiet = true
      for (const at of [0, 1] as const) {
        for (const end of this.sides[at].ends.values()) {
          if (!end.closed) this.close(end)
          if (end.unused > 0 && end.ended === undefined) this.use(end, end.unused)
        }
        while (this.pull(at, 100 * KiB) > 0) quiet = false
        if (this.sides[at].wire.length > 0) quiet = false
        this.deliver(at, this.sides[at].wire.length)
      }
    }
  }
}

describe("two machines and a wire that is cut anywhere", () => {
  test("all that is written comes, in order, within its window; at the end there are no streams", () => {
    let moved = 0
    let finished = 0
    for (let seed = 1; seed <= 60; seed++) {
      const world = new World(seed)
      for (let i = 0; i < 600; i++) world.step()
      world.settle()
      const [a, b] = world.sides
      expect([a.ended, b.ended, a.muxer.streams().length, b.muxer.streams().length]).toEqual([
        undefined,
        undefined,
        0,
        0
      ])
      for (const [id, mine] of a.ends) {
        const theirs = b.ends.get(id)
        if (mine.ended !== "well" || theirs === undefined) continue
        expect(mine.came).toBe(theirs.written)
        // Who has closed may still reset before the other's FIN has come.
        if (theirs.ended !== "well") expect(theirs.ended).toMatchObject({ name: "StreamAbortedError" })
        else expect(theirs.came).toBe(mine.written)
        moved += mine.came + theirs.came
        finished++
      }
      a.muxer.close()
      world.settle()
      expect(a.ended).toBe("well")
      expect(b.ended).toBe("well")
    }
    expect(moved).toBeGreaterThan(4_000_000)
    expect(finished).toBeGreaterThan(200)
  })
})

/** What was told, the pieces of a payload joined. */
const joined = (told: ReadonlyArray<string>): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (const words of told) {
    const [id, what, length] = words.split(" ")
    const [lastId, lastWhat, before] = out.at(-1)?.split(" ") ?? []
    if (what === "data" && lastWhat === "data" && id === lastId)
      out[out.length - 1] = `${id} data ${Number(before) + Number(length)}`
    else out.push(words)
  }
  return out
}

describe("every point at which bytes can be cut", () => {
  const talk = concatAll(
    ["DATA SYN 1 20", "WINDOW SYN 3 70", "PING SYN 0 5", "DATA 1 30", "DATA FIN 3 9", "DATA 8 40", "WINDOW FIN 1 0"]
      .concat(["DATA SYN|FIN 5 0", "WINDOW RST 3 0", "DATA 3 11", "PING ACK 0 1", "DATA SYN 7 300", "GO_AWAY 0 0"])
      .map((words) => frame(words))
  )
  const whole = new Probe("listener")
  whole.tick(1)
  whole.hear(talk)
  const answer = whole.says()
  const told = joined(whole.told)

  test("the talk says what it should", () => {
    expect(told).toEqual([
      "stream 1",
      "1 data 20",
      "stream 3",
      "1 data 30",
      "3 data 9",
      "3 remote closed",
      "1 remote closed",
      "stream 5",
      "5 remote closed",
      "3 ended StreamResetError",
      "rtt 0",
      "stream 7",
      "7 data 300",
      "remote go away 0"
    ])
    expect(answer).toEqual(["PING ACK 0 5", "WINDOW ACK 1 0", "WINDOW ACK 5 0", "WINDOW ACK 7 0"])
  })

  test("in two pieces, in pieces of each size", () => {
    for (let size = 1; size <= talk.length; size++) {
      const cuts = [
        [talk.subarray(0, size), talk.subarray(size)],
        Array.from({ length: Math.ceil(talk.length / size) }, (_, i) => talk.subarray(i * size, (i + 1) * size))
      ]
      for (const pieces of cuts) {
        const probe = new Probe("listener")
        probe.tick(1)
        probe.hear(...pieces)
        expect(joined(probe.told)).toEqual(told)
        expect(probe.says()).toEqual(answer)
      }
    }
  })
})
