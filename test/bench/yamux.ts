/** Yamux, machine to machine in one process: frames and bytes a second with one stream and with 64, beside a plain copy. */
import { concatAll } from "../../src/codec/bytes.ts"
import type { MuxedStream, Muxer, MuxerEvents } from "../../src/libp2p/contract.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { makeYamux } from "../../src/libp2p/yamux.ts"
import { printTable, type Row } from "./table.ts"

const MiB = 1024 * 1024
/** Bytes of one pull, as a connection seals them. */
const pullBytes = 64 * 1024

const eventsOf = (stream: (stream: MuxedStream) => void): MuxerEvents => ({
  stream,
  pending: () => {},
  rtt: () => {},
  remoteGoAway: () => {},
  ended: (fault) => {
    throw fault ?? new Error("the session ended")
  }
})

interface Pair {
  readonly dialer: Muxer
  readonly listener: Muxer
  readonly received: () => number
}

const makePair = (): Pair => {
  let received = 0
  const listener = makeYamux(
    "listener",
    eventsOf((stream) => {
      stream.handlers = {
        data: (bytes) => {
          received += bytes.length
          stream.consumed(bytes.length)
        },
        remoteClosed: () => stream.closeWrite(),
        drain: () => {},
        ended: () => {}
      }
    }),
    {},
    0
  )
  const dialer = makeYamux(
    "dialer",
    eventsOf(() => {}),
    {},
    0
  )
  return { dialer, listener, received: () => received }
}

const silent = { data: () => {}, remoteClosed: () => {}, drain: () => {}, ended: () => {} }

const opened = (pair: Pair): MuxedStream => {
  const stream = pair.dialer.open()
  if (stream instanceof Libp2pFault) throw stream
  stream.handlers = silent
  return stream
}

/** Carries what waits from one to the other, joined as a link would; the bytes of it. */
const carry = (from: Muxer, to: Muxer): number => {
  const { parts, length } = from.pull(pullBytes)
  if (length > 0) to.receive(parts.length === 1 ? parts[0]! : concatAll(parts), performance.now())
  return length
}

interface Rate {
  readonly bytes: number
  readonly frames: number
}

/** `total` bytes in writes of `size` over so many streams; the best of some runs. */
const measure = (streams: number, size: number, total: number): Rate => {
  let best: Rate = { bytes: 0, frames: 0 }
  for (let run = 0; run < 7; run++) {
    const pair = makePair()
    const open = Array.from({ length: streams }, () => opened(pair))
    const chunk = new Uint8Array(size)
    const writes = Math.ceil(total / size)
    const began = performance.now()
    for (let i = 0; i < writes; ) {
      for (const stream of open) if (i < writes && stream.write(chunk)) i++
      // Each write of a small message goes out by itself, as it does where its writer waits for the answer.
      while (carry(pair.dialer, pair.listener) > 0) while (carry(pair.listener, pair.dialer) > 0);
    }
    while (pair.received() < writes * size) {
      while (carry(pair.dialer, pair.listener) > 0);
      while (carry(pair.listener, pair.dialer) > 0);
    }
    const seconds = (performance.now() - began) / 1_000
    const bytes = (writes * size) / seconds
    if (bytes > best.bytes) best = { bytes, frames: (writes * Math.ceil(size / (64 * 1024 - 12))) / seconds }
  }
  return best
}

/** The same bytes copied once, as `carry` joins them: the least that the harness itself does. */
const copied = (size: number, total: number): number => {
  let best = 0
  for (let run = 0; run < 7; run++) {
    const chunk = new Uint8Array(size)
    const began = performance.now()
    for (let done = 0; done < total; done += size) concatAll([chunk])
    best = Math.max(best, total / ((performance.now() - began) / 1_000))
  }
  return best
}

/** A stream for each request: opened, four bytes each way, closed by both. */
const requests = (count: number): number => {
  let best = 0
  for (let run = 0; run < 5; run++) {
    const pair = makePair()
    const chunk = new Uint8Array(4)
    const began = performance.now()
    for (let i = 0; i < count; i++) {
      const stream = opened(pair)
      stream.write(chunk)
      stream.closeWrite()
      while (carry(pair.dialer, pair.listener) + carry(pair.listener, pair.dialer) > 0);
    }
    best = Math.max(best, (count * 1_000) / (performance.now() - began))
  }
  return best
}

const copyRow = "copy of 64 KiB"
const bulk: ReadonlyArray<Row> = [
  { name: copyRow, value: copied(pullBytes, 1024 * MiB) / MiB, unit: "MiB/s" },
  ...[1, 64].map((streams) => ({
    name: `${streams} stream${streams > 1 ? "s" : ""}, writes of 64 KiB`,
    value: measure(streams, 64 * 1024, 1024 * MiB).bytes / MiB,
    unit: "MiB/s",
    baseline: copyRow
  }))
]
printTable("Yamux, bulk from machine to machine (one core)", bulk)

const smallRow = "copy of 100 B"
printTable("Yamux, messages of 100 B (one core)", [
  { name: smallRow, value: copied(100, 50 * MiB) / 100, unit: "/s" },
  ...[1, 64].map((streams) => ({
    name: `${streams} stream${streams > 1 ? "s" : ""}`,
    value: measure(streams, 100, 20 * MiB).frames,
    unit: "frames/s",
    baseline: smallRow
  })),
  { name: "a stream for each request", value: requests(50_000), unit: "streams/s" }
])
