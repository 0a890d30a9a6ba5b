/** The simulated network: what TCP promises holds in any weather, and each way in which it lets a program down can be had. */
import { describe, expect, test } from "bun:test"
import { Effect, Exit } from "effect"
import { concatAll } from "../codec/bytes.ts"
import type { Wire } from "../io/tcp.ts"
import { acceptedSocketsMax, handshakeMsMax, lingerMsMax, outboundBytesMax } from "../limits.ts"
import { type Choices, RecordedChoices, boring, SeededChoices } from "./choices.ts"
import { makeDice } from "./dice.ts"
import { SimNet } from "./net.ts"
import { errorOf, type Host, World } from "./world.ts"

const port = 7
const minuteMs = 60_000
const tls = { key: "", cert: "" }

/** One end of a connection as a program sees it. */
class Side {
  wire: Wire | undefined
  readonly chunks: Array<Uint8Array> = []
  readonly times: Array<number> = []
  drained = 0
  closed: string | undefined
  private readonly host: Host

  constructor(host: Host) {
    this.host = host
  }

  readonly open = (wire: Wire) => {
    this.wire = wire
    return {
      data: (bytes: Uint8Array): void => {
        this.chunks.push(bytes)
        this.times.push(this.host.now)
      },
      drained: (): void => void this.drained++,
      closed: (reason: string): void => void (this.closed = reason)
    }
  }

  get bytes(): Uint8Array {
    return concatAll(this.chunks)
  }
}

/** Machines a and b, b hears. `dial` connects them; `far` are the sides that b got. */
class Pair {
  readonly world: World
  readonly net: SimNet
  readonly a: Host
  readonly b: Host
  readonly far: Array<Side> = []

  constructor(choices: Choices) {
    this.world = new World({ choices, preempt: 0 })
    this.net = new SimNet(this.world, choices)
    this.a = this.world.host("a")
    this.b = this.world.host("b")
  }

  listen() {
    return this.net.door(this.b, "10.0.0.2").listen({ host: "", port }, tls, (wire) => {
      const side = new Side(this.b)
      this.far.push(side)
      return side.open(wire)
    })
  }

  dial(timeoutMs = 5_000) {
    return Effect.suspend(() => {
      const near = new Side(this.a)
      const to = { host: "10.0.0.2", port, timeoutMs }
      return Effect.as(this.net.door(this.a, "10.0.0.1").dial(to, tls, near.open), near)
    })
  }

  /** A connection that stands and on which something was said: its two sides. */
  meet() {
    return Effect.gen({ self: this }, function* () {
      yield* this.listen()
      const near = yield* this.dial()
      const far = this.far.at(-1)!
      near.wire!.write(byte(0))
      yield* Effect.sleep(100)
      far.chunks.length = 0
      far.times.length = 0
      return { near, far }
    })
  }
}

const run = (choices: Choices, body: (pair: Pair) => Effect.Effect<void, unknown>): void => {
  const pair = new Pair(choices)
  const exit = pair.world.run(body(pair))
  if (Exit.isFailure(exit)) throw errorOf(exit)
}
const calm = (): Choices => new RecordedChoices(boring)
/** What is drawn for a segment that is sent again so many times. */
const drawn: ReadonlyArray<number> = [0, 127, 31, 15, 7, 3, 1]
/** Boring but for what is lost: the n-th segment is sent again so many times. */
const losing = (lost: ReadonlyArray<number>): Choices => {
  const left = [...lost]
  return { pick: () => 0, rare: (stream, p) => (stream === "loss" && p > 0 ? drawn[left.shift() ?? 0]! : 0) }
}
const byte = (value: number, length = 1): Uint8Array => new Uint8Array(length).fill(value)

describe("a connection", () => {
  test("gives every byte once and in order, whatever the weather", () => {
    let broken = 0
    let recut = 0
    for (let seed = 0; seed < 40; seed++) {
      run(new SeededChoices(seed), (pair) =>
        Effect.gen(function* () {
          const dice = makeDice(seed)
          const { near, far } = yield* pair.meet()
          Object.assign(pair.net.weather, { loss: 0.1, delayMs: 800, shuffle: 0.5 })
          const sent = Array.from({ length: 200 }, () => dice.bytes(1 + dice.int(300)))
          for (const bytes of sent) {
            near.wire!.write(bytes)
            if (dice.chance(0.3)) yield* Effect.sleep(dice.int(50))
          }
          yield* Effect.sleep(10 * minuteMs)
          const all = concatAll(sent)
          const got = far.bytes
          // A connection that broke gave what came before; one that stands gave all.
          expect(got).toEqual(all.subarray(0, far.closed === undefined ? all.length : got.length))
          broken += Number(far.closed !== undefined)
          recut += Number(far.chunks.some((bytes, i) => bytes.length !== sent[i]?.length))
        })
      )
    }
    expect([broken > 5, broken < 35, recut > 30]).toEqual([true, true, true])
  })

  test("keeps what was written as it was when it was written", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        const bytes = byte(1)
        near.wire!.write(bytes)
        bytes[0] = 2
        yield* Effect.sleep(100)
        expect(far.bytes).toEqual(byte(1))
      })
    )
  })

  test("takes 1 to 40 ms each way on a good day, and not always the same", () => {
    const took = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      run(new SeededChoices(seed), (pair) =>
        Effect.gen(function* () {
          const { near, far } = yield* pair.meet()
          const sent = pair.world.now
          near.wire!.write(byte(1))
          yield* Effect.sleep(100)
          took.add(far.times[0]! - sent)
        })
      )
    }
    expect([Math.min(...took) >= 1, Math.max(...took) <= 40, took.size > 10]).toEqual([true, true, true])
  })

  test("is late by a lost segment's retransmission, and so is what comes behind it", () => {
    run(losing([1, 0, 2]), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.weather.loss = 1e-9
        const sent = pair.world.now
        for (let i = 0; i < 3; i++) near.wire!.write(byte(i))
        yield* Effect.sleep(5_000)
        expect(far.times.map((at) => at - sent)).toEqual([201, 201, 601])
      })
    )
  })

  test("breaks for both when a segment is lost too often", () => {
    run(losing([6]), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.weather.loss = 1e-9
        near.wire!.write(byte(1))
        yield* Effect.sleep(5_000)
        expect([far.closed, near.closed, far.chunks]).toEqual(["too many segments were lost", "closed by the peer", []])
      })
    )
  })

  test("over a way that is cut holds what is sent until every cut is mended", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.cut("a", "b")
        pair.net.cut("b", "a")
        near.wire!.write(byte(1))
        far.wire!.write(byte(2))
        yield* Effect.sleep(minuteMs)
        pair.net.mend("a", "b")
        yield* Effect.sleep(minuteMs)
        expect([near.chunks, far.chunks]).toEqual([[], []])
        pair.net.mend("a", "b")
        yield* Effect.sleep(100)
        expect([near.bytes, far.bytes]).toEqual([byte(2), byte(1)])
      })
    )
  })

  test("that is reset ends for both", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.reset("a", "b")
        yield* Effect.sleep(100)
        expect([near.closed, far.closed, pair.net.open]).toEqual(["the connection was reset", "closed by the peer", 0])
      })
    )
  })

  test("that is ended gives what was queued before it closes", () => {
    run(new SeededChoices(1), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        for (let i = 0; i < 50; i++) near.wire!.write(byte(i))
        near.wire!.end()
        expect(near.wire!.write(byte(99))).toBe(false)
        yield* Effect.sleep(1_000)
        expect([far.bytes, far.closed]).toEqual([Uint8Array.from({ length: 50 }, (_, i) => i), "closed by the peer"])
        expect(near.closed).toBe("closed by the peer")
      })
    )
  })

  test("that is ended over a cut way is closed after a while all the same", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.cut("a", "b")
        near.wire!.end()
        yield* Effect.sleep(lingerMsMax - 1)
        expect(near.closed).toBeUndefined()
        yield* Effect.sleep(2)
        expect([near.closed, far.closed]).toStrictEqual(["the peer did not close in time", undefined])
      })
    )
  })
})

describe("a reader", () => {
  test("that pauses gets nothing, and all of it in order when it goes on", () => {
    run(new SeededChoices(2), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        far.wire!.pause()
        for (let i = 0; i < 20; i++) near.wire!.write(byte(i))
        yield* Effect.sleep(minuteMs)
        expect(far.chunks).toEqual([])
        far.wire!.resume()
        yield* Effect.sleep(1_000)
        expect(far.bytes).toEqual(Uint8Array.from({ length: 20 }, (_, i) => i))
      })
    )
  })

  test("that is slow backs its writer up, who hears when there is room again", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        pair.net.slow("b", 100_000)
        for (let i = 0; i < 10; i++) near.wire!.write(byte(i, 100_000))
        expect(near.wire!.queued()).toBeGreaterThan(700_000)
        yield* Effect.sleep(4_500)
        expect([far.bytes.length, near.drained]).toEqual([500_000, 0])
        yield* Effect.sleep(10_000)
        expect([far.bytes.length, near.drained, near.wire!.queued()]).toEqual([1_000_000, 1, 0])
        pair.net.slow("b", undefined)
        near.wire!.write(byte(1, 100_000))
        yield* Effect.sleep(10)
        expect(far.bytes.length).toBe(1_100_000)
      })
    )
  })

  test("that never reads is cut off at the bound, not before", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near, far } = yield* pair.meet()
        far.wire!.pause()
        const chunk = byte(1, 1024 * 1024)
        let written = 0
        while (near.wire!.write(chunk)) {
          written += chunk.length
          expect(near.wire!.queued()).toBeLessThanOrEqual(outboundBytesMax)
        }
        expect(written).toBeGreaterThanOrEqual(outboundBytesMax)
        yield* Effect.sleep(100)
        expect([near.closed, far.closed]).toEqual(["the peer reads too slowly", "closed by the peer"])
      })
    )
  })
})

describe("a dial", () => {
  const failing = (pair: Pair) => Effect.map(Effect.flip(pair.dial()), (fault) => (fault as Error).message)

  test("where nobody listens fails at once; over a cut way when its time is over", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        pair.net.door(pair.b, "10.0.0.2")
        expect(yield* failing(pair)).toContain("nobody listens")
        yield* pair.listen()
        pair.net.cut("a", "b")
        const began = pair.world.now
        expect([yield* failing(pair), pair.world.now - began]).toEqual(["10.0.0.2:7: no answer in time", 5_000])
      })
    )
  })

  test("that arrives twice leaves the listener with a connection on which nothing comes, until its time is over", () => {
    run(new SeededChoices(3), (pair) =>
      Effect.gen(function* () {
        pair.net.weather.dup = 1
        const { near, far } = yield* pair.meet()
        near.wire!.write(byte(1))
        yield* Effect.sleep(100)
        const [dead] = pair.far
        expect([pair.far.length, dead === far, far.bytes, dead!.chunks]).toEqual([2, false, byte(1), []])
        yield* Effect.sleep(handshakeMsMax)
        expect([dead!.closed, far.closed, pair.net.open]).toEqual(["nothing said in time", undefined, 1])
      })
    )
  })

  test("is refused where too many connections stand, and taken when one of them has ended", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const { near } = yield* pair.meet()
        for (let i = 1; i < acceptedSocketsMax; i++) yield* pair.dial()
        expect(yield* failing(pair)).toContain("closed by the peer")
        near.wire!.terminate()
        yield* Effect.sleep(100)
        yield* pair.dial()
      })
    )
  })

  test("has the same secret binding at both ends, and another in every connection", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        const first = yield* pair.meet()
        const second = yield* pair.dial()
        expect(first.near.wire!.binding).toEqual(first.far.wire!.binding)
        expect(first.near.wire!.binding).not.toEqual(second.wire!.binding)
      })
    )
  })

  test("to a port that is taken: the second listener is refused", () => {
    run(calm(), (pair) =>
      Effect.gen(function* () {
        yield* pair.listen()
        expect((yield* Effect.flip(pair.listen())).code).toBe("listen-failed")
      })
    )
  })
})

describe("a machine whose process ends", () => {
  test("is heard of by its peers; one that loses power says nothing more", () => {
    for (const mute of [false, true]) {
      run(calm(), (pair) =>
        Effect.gen(function* () {
          const { near, far } = yield* pair.meet()
          far.wire!.write(byte(1))
          pair.b.kill()
          pair.net.lose("b", mute)
          near.wire!.write(byte(2))
          yield* Effect.sleep(10 * minuteMs)
          expect([near.closed, far.closed, far.chunks]).toEqual([mute ? undefined : "closed by the peer", undefined, []])
          expect(yield* failingDial(pair)).toContain("nobody listens")
        })
      )
    }
  })

  const failingDial = (pair: Pair) => Effect.map(Effect.flip(pair.dial()), (fault) => (fault as Error).message)
})
