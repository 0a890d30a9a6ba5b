/** Bytes that connections hold: against a plain count, under chance; and between hosts, where each limit is met. */
import { expect, test } from "bun:test"
import { bufferBytes } from "../../test/buffers.ts"
import { MemoryNet } from "../../test/memory-world.ts"
import type { MuxedStream } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { makeYamux } from "../libp2p/yamux.ts"
import type { Stream } from "./api.ts"
import { createHost, type Host } from "./host.ts"
import { Memory, type MemoryLimits, type MemoryScope } from "./memory.ts"
import { noise } from "./parts.ts"
import { defaultResourceLimits } from "./resources.ts"

test("what is held stays within every limit, and nothing is left when all is given back", () => {
  const limits = { system: 1_000, peer: 600, connection: 400, windows: 0 }
  let state = 7
  const roll = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const memory = new Memory(limits)
  const met = new Set<string | undefined>()
  let open: Array<{ scope: MemoryScope; peer: string; bytes: number }> = []
  const sum = (list: typeof open) => list.reduce((total, { bytes }) => total + bytes, 0)
  for (let step = 0; step < 5_000; step++) {
    if (open.length < 8 && roll(10) === 0) {
      const peer = `peer${roll(3)}`
      open.push({ scope: memory.open(peer), peer, bytes: 0 })
    }
    const one = open[roll(Math.max(1, open.length))]
    if (one === undefined) continue
    const change = roll(200) - Math.min(one.bytes, 90)
    const before = { own: one.bytes, peer: sum(open.filter(({ peer }) => peer === one.peer)), all: sum(open) }
    const full = one.scope.hold(change)
    met.add(full)
    if (full === undefined) one.bytes += change
    else expect({ connection: before.own > 200, peer: before.peer > 400, system: before.all > 800 }[full]).toBe(true)
    expect([one.scope.bytes, memory.bytes]).toEqual([one.bytes, sum(open)])
    expect(memory.bytes).toBeLessThanOrEqual(limits.system)
    expect(one.bytes).toBeLessThanOrEqual(limits.connection)
    if (roll(40) !== 0) continue
    one.scope.done()
    one.scope.done()
    expect(one.scope.hold(5)).toBeUndefined()
    open = open.filter((other) => other !== one)
  }
  expect([...met].sort()).toEqual(["connection", "peer", "system", undefined])
  for (const { scope } of open) scope.done()
  expect([memory.bytes, memory.remembered]).toEqual([0, 0])
  expect(memory.peak).toBeGreaterThan(limits.system - 200)
})

const piece = 64 * 1024
const wide = { system: 1 << 30, peer: 1 << 30, connection: 1 << 30, windows: 1 << 30 }
let machines = 0
const start = async (net: MemoryNet, memory: Partial<MemoryLimits> = {}): Promise<Host> => {
  const ip = `10.0.8.${++machines}`
  const init = { addresses: { listen: [`/ip4/${ip}/tcp/4001`] }, connectionEncrypters: [noise()] }
  const host = createHost(
    { ...init, resources: { ...defaultResourceLimits, memory: { ...wide, ...memory } } },
    net.world(ip)
  )
  await host.start()
  return host
}
const resting = async (hosts: ReadonlyArray<Host>): Promise<void> => {
  for (const host of hosts) await host.stop()
  for (const host of hosts) expect(host.resources().memory).toMatchObject({ bytes: 0, windows: 0 })
}
const errorOf = (stream: Stream): Promise<Error | undefined> =>
  new Promise((resolve) => stream.addEventListener("close", ({ error }) => resolve(error), { once: true }))

test("what nobody reads is bounded over all streams of a connection, of a peer and of the host", async () => {
  for (const [place, scope] of [
    ["connection", "inbound bytes of one connection"],
    ["peer", "inbound bytes of one peer"],
    ["system", "inbound bytes of all streams"]
  ] as const) {
    const net = new MemoryNet()
    const [left, right] = [await start(net), await start(net, { [place]: 8 * piece })]
    const ends: Array<Promise<Error | undefined>> = []
    await right.handle("/deaf/1", (stream) => void ends.push(errorOf(stream)))
    const at = right.getMultiaddrs()[0]!
    const connections = [await left.dial(at), await left.dial(at, { force: true })]
    // Each stream keeps within its window; together they are too much.
    for (let i = 0; i < 6; i++) {
      const stream = await connections[place === "connection" ? 0 : i % 2]!.newStream("/deaf/1")
      for (let sent = 0; sent < 2; sent++) stream.send(new Uint8Array(piece).fill(i))
      await stream.onDrain().catch(() => undefined)
    }
    const fault = await Promise.race(ends)
    expect(fault instanceof Libp2pFault && [fault.kind, fault.name]).toEqual(["resource", "ResourceLimitError"])
    const { memory, refusals } = right.resources()
    expect([memory.bytes <= 8 * piece, memory.peak <= 8 * piece, memory.peak > 6 * piece]).toEqual([true, true, true])
    expect(refusals[scope]).toBeGreaterThanOrEqual(2)
    // The others go on, and what ended gave its bytes back.
    expect(right.getConnections().length).toBe(2)
    await resting([left, right])
  }
})

test("what a peer does not take is bounded too, and what has gone out makes room by itself", async () => {
  const net = new MemoryNet()
  const [left, right] = [await start(net, { connection: 16 * piece }), await start(net)]
  await right.handle("/deaf/1", () => {})
  await right.handle(
    "/sink/1",
    async (stream) => {
      for await (const bytes of stream) void bytes
    },
    { maxInboundStreams: 64 }
  )
  const connection = await left.dial(right.getMultiaddrs()[0]!)
  // Ten times the limit goes through, for it does not stay.
  const sink = await connection.newStream("/sink/1")
  for (let i = 0; i < 160; i++) if (!sink.send(new Uint8Array(piece))) await sink.onDrain()
  // So do streams that stay open and never wait for `drain`: each is asked what it still holds before one is refused.
  for (let i = 0; i < 40; i++) {
    const stream = await connection.newStream("/sink/1", { negotiateFully: true })
    stream.send(new Uint8Array(piece))
  }
  expect(left.resources()).toMatchObject({ streams: { outbound: 41 }, refused: 0 })
  const faults: Array<unknown> = []
  for (let i = 0; i < 4; i++) {
    const stream = await connection.newStream("/deaf/1")
    try {
      for (let sent = 0; sent < 12; sent++) stream.send(new Uint8Array(piece))
    } catch (error) {
      faults.push(error)
      expect(stream.status).toBe("aborted")
    }
  }
  expect(faults.length).toBeGreaterThan(0)
  for (const fault of faults) expect(fault).toMatchObject({ kind: "resource", name: "ResourceLimitError" })
  expect(left.resources().refusals).toEqual({ "outbound bytes of one connection": faults.length })
  expect(left.resources().memory.bytes).toBeLessThanOrEqual(16 * piece)
  connection.abort(new Error("enough"))
  await resting([left, right])
})

test("what nobody reads costs the memory that is told, whatever came with it", async () => {
  for (const reads of [false, true]) {
    const net = new MemoryNet()
    const [left, right] = [await start(net), await start(net)]
    await right.handle("/sink/1", async (stream) => {
      for await (const bytes of stream) void bytes
    })
    // One does not read, the other began to and stands still.
    await right.handle("/idle/1", async (stream) => {
      if (reads) for await (const bytes of stream) await new Promise(() => void bytes)
    })
    const connection = await left.dial(right.getMultiaddrs()[0]!)
    const sink = await connection.newStream("/sink/1")
    const idle = await connection.newStream("/idle/1", { negotiateFully: true })
    const before = await bufferBytes()
    const big = new Uint8Array(60_000)
    // Each byte is a view of all that came with it: 60 MB.
    for (let i = 0; i < 1_000; i++) {
      idle.send(new Uint8Array(1))
      if (!sink.send(big)) await sink.onDrain()
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    const kept = (await bufferBytes()) - before
    const told = right.resources().memory.bytes
    expect(told).toBeGreaterThan(900)
    expect(told).toBeLessThan(256 * 1024)
    // A few rooms in which the links have sealed, and what came last.
    expect(kept).toBeLessThan(told + 4 * 1024 * 1024)
    connection.abort(new Error("enough"))
    await resting([left, right])
  }
})

test("bytes that come one by one to a stream that nobody reads cost little more than they are", async () => {
  const net = new MemoryNet()
  const [left, right] = [await start(net), await start(net)]
  await right.handle("/deaf/1", () => {})
  const connection = await left.dial(right.getMultiaddrs()[0]!)
  const stream = await connection.newStream("/deaf/1", { negotiateFully: true })
  const before = await bufferBytes()
  for (let i = 0; i < 100_000; i++) {
    stream.send(new Uint8Array(1))
    if (i % 1_000 === 999) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const told = right.resources().memory.bytes
  expect(told).toBeGreaterThanOrEqual(100_000)
  expect(told).toBeLessThan(200_000)
  expect((await bufferBytes()) - before).toBeLessThan(2 * 1024 * 1024)
  connection.abort(new Error("enough"))
  await resting([left, right])
})

test("the windows of all connections grow out of one store, and give it back", () => {
  const memory = new Memory({ ...wide, windows: 300_000 })
  const growth = { room: () => memory.room(), grow: (bytes: number) => memory.grow(bytes) }
  let granted = 0
  const pair = () => {
    let far: MuxedStream | undefined
    const stream = (opened: MuxedStream): void => {
      far = opened
    }
    const events = { stream, pending: () => {}, rtt: () => {}, remoteGoAway: () => {}, ended: () => {} }
    const reader = makeYamux("dialer", events, { growth }, 0)
    const writer = makeYamux("listener", events, {}, 0)
    const carry = (now: number): void => {
      for (let moved = 1; moved > 0; ) {
        moved = 0
        for (const [from, to] of [
          [reader, writer],
          [writer, reader]
        ] as const) {
          const { parts, length } = from.pull(1 << 20)
          moved += length
          for (const part of parts) to.receive(part, now)
        }
      }
    }
    return { reader, carry, write: (bytes: Uint8Array) => far?.write(bytes) }
  }
  const pairs = [pair(), pair()]
  for (const { reader, carry, write } of pairs) {
    reader.tick(0)
    const stream = reader.open()
    if (stream instanceof Libp2pFault) throw stream
    stream.handlers = {
      data: (bytes) => {
        granted += bytes.length
        stream.consumed(bytes.length)
      },
      remoteClosed: () => {},
      drain: () => {},
      ended: () => {}
    }
    stream.write(new Uint8Array(1))
    carry(1)
    for (let i = 0; i < 20; i++) {
      write(new Uint8Array(256 * 1024))
      carry(2)
    }
  }
  expect(granted).toBe(2 * 20 * 256 * 1024)
  // Without the store each would have grown by more than that.
  expect(memory.grown).toBe(300_000)
  pairs[0]!.reader.close()
  expect(memory.grown).toBeLessThan(300_000)
  pairs[1]!.reader.lost(new Libp2pFault("io", "ConnectionClosedError", "gone"))
  expect(memory.grown).toBe(0)
})
