/** Ping over streams: round trips by the clock, one stream for several, limits of the other side, and ends of every sort. */
import { describe, expect, test } from "bun:test"
import { connect, settle, TestClock, TestNode } from "../../test/host-net.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { pingBytes, pingProtocol } from "../libp2p/ping.ts"
import type { Stream } from "./api.ts"
import { type PingInit, ping, pingStreamAgeMax, pingStreamIdleMs, pingTimeoutMs } from "./ping-service.ts"

const pair = async (init: PingInit = {}) => {
  const clock = new TestClock()
  const [a, b] = [new TestNode(clock, 1), new TestNode(clock, 2)]
  const [ours, theirs] = connect(a, b)
  const [asking, answering] = [ping(init)(a.components), ping()(b.components)]
  await asking.start!()
  await answering.start!()
  return { clock, a, b, ours, theirs, asking, answering }
}
const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  expect(fault).toBeInstanceOf(Libp2pFault)
  return fault as Libp2pFault
}

describe("ping", () => {
  test("has the milliseconds that passed between the question and its answer", async () => {
    const { clock, b, asking } = await pair()
    let release: () => void = () => {}
    b.handlers.set(pingProtocol, {
      options: {},
      handler: (stream) =>
        stream.addEventListener("message", ({ data }) => {
          release = () => stream.send(data)
        })
    })
    const rtt = asking.ping(b.peerId)
    await settle()
    clock.now += 7
    release()
    expect(await rtt).toBe(7)
  })

  test("goes over one stream again and again, asked one by one or all at once", async () => {
    const { b, ours, theirs, asking } = await pair()
    for (let round = 0; round < 3; round++) expect(await asking.ping(b.peerId)).toBe(0)
    expect(await Promise.all([1, 2, 3, 4].map(() => asking.ping(b.peerId)))).toEqual([0, 0, 0, 0])
    expect([ours.opened, ours.streams.length, theirs.streams.length]).toEqual([1, 1, 1])
  })

  test("closes its stream when nobody has pinged for a while, and takes a new one when it has grown old", async () => {
    const { clock, b, ours, theirs, asking } = await pair()
    await asking.ping(b.peerId)
    await clock.advance(pingStreamIdleMs)
    expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
    await asking.ping(b.peerId)
    expect(ours.opened).toBe(2)
    for (let passed = 0; passed < pingStreamAgeMax; passed += 1_000) {
      await clock.advance(1_000)
      await asking.ping(b.peerId)
    }
    expect([ours.opened, ours.streams.length]).toEqual([3, 1])
  })

  test("begins again when the stream that was kept was reset", async () => {
    const { b, ours, theirs, asking } = await pair()
    await asking.ping(b.peerId)
    theirs.streams[0]!.abort(new Error("gone"))
    expect(await asking.ping(b.peerId)).toBe(0)
    expect(ours.opened).toBe(2)
  })

  test("a peer that says nothing is a timeout, and leaves no stream", async () => {
    const { clock, b, ours, theirs, asking } = await pair()
    b.handlers.set(pingProtocol, { handler: () => {}, options: {} })
    const waiting = faultOf(asking.ping(b.peerId))
    await clock.advance(pingTimeoutMs)
    expect(await waiting).toMatchObject({ kind: "timeout", name: "TimeoutError" })
    await settle()
    expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
  })

  test("a wrong answer, and one without end, are faults of the protocol", async () => {
    for (const bytes of [new Uint8Array(pingBytes), new Uint8Array(pingBytes + 1)]) {
      const { b, ours, asking } = await pair()
      const handler = (stream: Stream): void => void stream.send(bytes)
      b.handlers.set(pingProtocol, { handler, options: {} })
      expect(await faultOf(asking.ping(b.peerId))).toMatchObject({ kind: "protocol", name: "ProtocolError" })
      expect([ours.opened, ours.streams.length]).toEqual([1, 0])
    }
  })

  test("a peer that ends the stream, and one that does not speak it, are faults", async () => {
    const { b, asking } = await pair()
    b.handlers.set(pingProtocol, { handler: (stream) => stream.close().catch(() => undefined), options: {} })
    expect((await faultOf(asking.ping(b.peerId))).kind).toBe("closed")
    b.handlers.delete(pingProtocol)
    expect((await faultOf(asking.ping(b.peerId))).name).toBe("UnsupportedProtocolError")
  })

  test("the caller's signal calls it off at once, and the next ping goes well", async () => {
    const { b, theirs, asking } = await pair()
    expect((await faultOf(asking.ping(b.peerId, { signal: AbortSignal.abort() }))).name).toBe("AbortError")
    theirs.stalled = true
    const controller = new AbortController()
    const waiting = faultOf(asking.ping(b.peerId, { signal: controller.signal }))
    await settle()
    controller.abort()
    expect(await waiting).toMatchObject({ kind: "cancelled", name: "AbortError" })
    theirs.stalled = false
    expect(await asking.ping(b.peerId)).toBe(0)
  })

  test("the side that answers takes two streams, echoes pieces as whole pings, and ends one that is silent", async () => {
    const { clock, ours, theirs } = await pair()
    const streams = [await ours.newStream(pingProtocol), await ours.newStream(pingProtocol)]
    await ours.newStream(pingProtocol).catch(() => undefined)
    await settle()
    expect(ours.streams.length).toBe(2)
    const [stream] = streams
    const back: Array<number> = []
    stream!.addEventListener("message", ({ data }) => back.push(data.length))
    stream!.send(new Uint8Array(20))
    await settle()
    expect(back).toEqual([])
    stream!.send(new Uint8Array(50))
    await settle()
    expect(back).toEqual([64])
    await clock.advance(pingTimeoutMs)
    expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
  })

  test("stop closes what is open and answers no more", async () => {
    const { clock, b, ours, asking, answering } = await pair()
    await asking.ping(b.peerId)
    await asking.stop!()
    await settle()
    expect([ours.streams.length, clock.waiting]).toEqual([0, 0])
    await answering.stop!()
    expect(b.handlers.size).toBe(0)
  })
})
