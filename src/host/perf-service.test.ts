/** Perf over streams: what goes up and down arrives, is reported by the clock, and never runs ahead of the stream. */
import { describe, expect, test } from "bun:test"
import { connect, settle, TestClock, TestNode } from "../../test/host-net.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { perfProtocol } from "../libp2p/perf.ts"
import { type PerfInit, type PerfOutput, perf } from "./perf-service.ts"

const pair = async (init: PerfInit = {}, serving: PerfInit = {}) => {
  const clock = new TestClock()
  const [a, b] = [new TestNode(clock, 1), new TestNode(clock, 2)]
  const [ours, theirs] = connect(a, b)
  const [client, server] = [perf(init)(a.components), perf(serving)(b.components)]
  await server.start!()
  return { clock, a, b, ours, theirs, client, server }
}
const allOf = async (outputs: AsyncGenerator<PerfOutput>): Promise<ReadonlyArray<PerfOutput>> =>
  Array.fromAsync(outputs)
const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  expect(fault).toBeInstanceOf(Libp2pFault)
  return fault as Libp2pFault
}
const reuse = { reuseExistingConnection: true }

describe("perf", () => {
  test.each([
    [0, 0],
    [1, 1],
    [3_000_000, 0],
    [0, 3_000_000],
    [500_000, 700_001]
  ])("%i bytes up and %i down", async (up, down) => {
    const { ours, theirs, client } = await pair()
    const outputs = await allOf(client.measurePerformance(ours.remoteAddr, up, down, reuse))
    expect(outputs).toEqual([{ type: "final", timeSeconds: 0, uploadBytes: up, downloadBytes: down }])
    await settle()
    expect([ours.streams.length, theirs.streams.length, ours.status]).toEqual([0, 0, "open"])
  })

  test("a connection of its own is closed at the end", async () => {
    const { ours, client } = await pair()
    await allOf(client.measurePerformance(ours.remoteAddr, 10, 10))
    expect(ours.status).toBe("closed")
  })

  test("a report each second says what went since the last one, up and then down", async () => {
    const { clock, ours, client } = await pair({ writeBlockSize: 100 }, { writeBlockSize: 5_000 })
    const outputs: Array<PerfOutput> = []
    const generator = client.measurePerformance(ours.remoteAddr, 3_000, 250_000, reuse)
    // Whoever looks at the clock takes his time.
    const start = clock.now
    let calls = 0
    Object.defineProperty(clock, "now", { get: () => start + 100 * calls++, set: () => {} })
    for await (const output of generator) outputs.push(output)
    const sum = (of: "uploadBytes" | "downloadBytes", type: string): number =>
      outputs.filter((output) => output.type === type).reduce((all, output) => all + output[of], 0)
    const during = outputs.filter(({ type }) => type === "intermediary")
    expect(outputs.at(-1)).toMatchObject({ type: "final", uploadBytes: 3_000, downloadBytes: 250_000 })
    expect(outputs.at(-1)!.timeSeconds).toBeGreaterThan(during.reduce((all, { timeSeconds }) => all + timeSeconds, 0))
    expect(during.every(({ timeSeconds }) => timeSeconds >= 1 && timeSeconds < 1.5)).toBe(true)
    for (const [of, most] of [
      ["uploadBytes", 3_000],
      ["downloadBytes", 250_000]
    ] as const) {
      expect(sum(of, "intermediary")).toBeGreaterThan(most / 4)
      expect(sum(of, "intermediary")).toBeLessThanOrEqual(most)
    }
  })

  test("writes wait for the stream: a peer that reads nothing holds little of a large upload", async () => {
    const { b, ours, client } = await pair()
    b.handlers.set(perfProtocol, { handler: () => {}, options: {} })
    const controller = new AbortController()
    const options = { ...reuse, signal: controller.signal }
    const waiting = faultOf(allOf(client.measurePerformance(ours.remoteAddr, 1_000_000_000, 0, options)))
    await settle()
    const [measured] = ours.streams
    expect(measured!.writeBufferLength).toBeLessThan(400_000)
    controller.abort()
    expect((await waiting).name).toBe("AbortError")
    await settle()
    expect(ours.streams.length).toBe(0)
  })

  test("a peer that is asked for too much resets, one that gives another length is a fault", async () => {
    const greedy = await pair({}, { maxDownloadBytes: 99 })
    expect((await faultOf(allOf(greedy.client.measurePerformance(greedy.ours.remoteAddr, 0, 100, reuse)))).kind).toBe(
      "closed"
    )
    for (const length of [9, 11]) {
      const { b, ours, client } = await pair()
      b.handlers.set(perfProtocol, {
        options: {},
        handler: async (stream) => {
          for await (const _ of stream);
          stream.send(new Uint8Array(length))
          await stream.close()
        }
      })
      const fault = await faultOf(allOf(client.measurePerformance(ours.remoteAddr, 5, 10, reuse)))
      expect(fault).toMatchObject({ kind: "protocol", name: "ProtocolError" })
    }
  })

  test("an upload that ends too early is reset", async () => {
    const { ours, theirs } = await pair()
    const stream = await ours.newStream(perfProtocol)
    stream.send(new Uint8Array(7))
    await stream.close().catch(() => undefined)
    await settle()
    expect([stream.status, theirs.streams.length]).toEqual(["reset", 0])
  })

  test("who leaves in the middle leaves no stream", async () => {
    const { ours, theirs, client } = await pair()
    const outputs = client.measurePerformance(ours.remoteAddr, 0, 1_000_000, reuse)
    const first = outputs.next()
    await outputs.return(undefined)
    await first
    await settle()
    expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
  })

  test.each([
    [-1, 0],
    [0, 0.5],
    [Number.NaN, 0]
  ])("%p and %p are no numbers of bytes", async (up, down) => {
    const { ours, client } = await pair()
    expect((await faultOf(allOf(client.measurePerformance(ours.remoteAddr, up, down, reuse)))).kind).toBe("input")
  })

  test("stopped, it answers nobody", async () => {
    const { b, server } = await pair()
    await server.stop!()
    expect(b.handlers.size).toBe(0)
  })
})
