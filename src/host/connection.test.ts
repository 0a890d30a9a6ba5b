/** How connections end, and what they count, between two hosts in memory. */
import { describe, expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import type { Connection, Stream } from "./api.ts"
import { createHost, type Host } from "./host.ts"
import type { HostInit } from "./init.ts"
import { noise } from "./parts.ts"

const two = async (init: Partial<HostInit> = {}) => {
  const net = new MemoryNet()
  const make = async (ip: string): Promise<Host> => {
    const addresses = { listen: [`/ip4/${ip}/tcp/1`] }
    const host = createHost({ addresses, connectionEncrypters: [noise()], ...init }, net.world(ip))
    await host.start()
    return host
  }
  const [left, right] = [await make("10.0.0.1"), await make("10.0.0.2")]
  const mine = await left.dial(right.getMultiaddrs())
  await net.settle()
  return { net, left, right, mine, theirs: right.getConnections()[0]! }
}

const endsOf = (...connections: ReadonlyArray<Connection>): Array<unknown> => {
  const ends: Array<unknown> = []
  connections.forEach((connection, i) => {
    connection.addEventListener("close", ({ error, local }) => ends.push([i, error?.name, local]))
  })
  return ends
}

describe("a connection that is closed", () => {
  test("in peace has no error on either side", async () => {
    const { net, mine, theirs } = await two()
    const ends = endsOf(mine, theirs)
    await mine.close()
    await net.settle()
    expect(new Set(ends.map(String))).toEqual(new Set(["0,,true", "1,,false"]))
    expect([mine.status, theirs.status]).toEqual(["closed", "closed"])
    await mine.close()
    const name = await mine.newStream("/a/1").catch((error: Error) => error.name)
    expect(name).toBe("ConnectionClosedError")
  })

  test("by abort tells the other side, whose open streams end with a fault", async () => {
    const { net, right, mine, theirs } = await two()
    let held: Stream | undefined
    await right.handle("/hold/1", (stream) => {
      held = stream
    })
    await mine.newStream("/hold/1")
    const ends = endsOf(mine, theirs)
    mine.abort(new Error("enough"))
    await net.settle()
    expect(ends[0]).toEqual([0, "InternalError", true])
    expect([mine.status, held!.status !== "open", right.getConnections().length]).toEqual(["aborted", true, 0])
  })

  test("waits a second for what is written, or until its signal, and then cuts", async () => {
    for (const patient of [true, false]) {
      const { net, right, mine } = await two()
      await right.handle("/stuck/1", () => {})
      const stream = await mine.newStream("/stuck/1")
      while (stream.send(new Uint8Array(65_536)));
      await net.settle()
      const abort = new AbortController()
      const closed = mine.close({ signal: abort.signal })
      await net.advance(999)
      expect(mine.status).toBe("closing")
      if (patient) await net.advance(1)
      else abort.abort()
      await closed
      await net.settle()
      expect([mine.timeline.close !== undefined, right.getConnections()]).toEqual([true, []])
    }
  })
})

test("streams of theirs and of ours are counted apart", async () => {
  const { net, left, right, mine, theirs } = await two()
  for (const host of [left, right])
    await host.handle("/hold/1", () => {}, { maxInboundStreams: 2, maxOutboundStreams: 2 })
  const streams: Array<Stream> = []
  for (const connection of [mine, mine, theirs, theirs]) streams.push(await connection.newStream("/hold/1"))
  await net.settle()
  expect(streams.map(({ status }) => status)).toEqual(["open", "open", "open", "open"])
  const name = await mine.newStream("/hold/1").catch((error: Error) => error.name)
  expect(name).toBe("TooManyOutboundProtocolStreamsError")
})

test("so many handshakes of strangers may be under way: the oldest makes room, and each has so long", async () => {
  const { net, left, right } = await two({ connectionManager: { maxIncomingPendingConnections: 2 } })
  const failures: Array<string> = []
  right.addEventListener("connection:failure", ({ detail }) => failures.push(detail.error.name))
  const world = net.world("10.0.0.9")
  const closed: Array<number> = []
  for (let i = 0; i < 3; i++)
    await world.dial({ host: "10.0.0.2", port: 1, timeoutMs: 1_000 }, () => ({
      data: () => {},
      drained: () => {},
      secured: () => {},
      closed: () => closed.push(i)
    }))
  await net.settle()
  expect([failures, closed]).toEqual([["ResourceLimitError"], [0]])
  expect(right.resources().transientConnections.total).toBe(2)
  await net.advance(11_000)
  expect([failures, closed]).toEqual([
    ["ResourceLimitError", "TimeoutError", "TimeoutError"],
    [0, 1, 2]
  ])
  expect(right.resources().transientConnections.total).toBe(0)
  expect((await left.dial(multiaddr("/ip4/10.0.0.2/tcp/1"), { force: true })).status).toBe("open")
})
