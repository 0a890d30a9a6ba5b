/** What the tests of yamux share: frames in words, and a machine whose events are kept. */
import { concatAll } from "../src/codec/bytes.ts"
import type { MuxedStream, Muxer, Role } from "../src/libp2p/contract.ts"
import { Libp2pFault } from "../src/libp2p/fault.ts"
import { makeYamux, type YamuxOptions } from "../src/libp2p/yamux.ts"

export const KiB = 1024
export const MiB = 1024 * KiB

const types = ["DATA", "WINDOW", "PING", "GO_AWAY"]
const flags = ["SYN", "ACK", "FIN", "RST"]

/** A header as the specification draws it, written without our own writer. */
export const header = (type: number, bits: number, id: number, length: number): Uint8Array => {
  const out = new Uint8Array(12)
  const view = new DataView(out.buffer)
  view.setUint8(1, type)
  view.setUint16(2, bits)
  view.setUint32(4, id)
  view.setUint32(8, length)
  return out
}

/** "DATA SYN|FIN 1 5": a header of that; of DATA with so many bytes of payload, unless others are given. */
export const frame = (words: string, payload?: Uint8Array): Uint8Array => {
  const parts = words.split(" ")
  const bits = parts.length === 4 ? parts[1]!.split("|").reduce((sum, name) => sum + (1 << flags.indexOf(name)), 0) : 0
  const [id, length] = parts.slice(-2).map(Number) as [number, number]
  const type = types.indexOf(parts[0]!)
  return concatAll([header(type, bits, id, length), payload ?? new Uint8Array(type === 0 ? length : 0)])
}

/** Bytes of whole frames in the same words. */
export const framesOf = (bytes: Uint8Array): ReadonlyArray<string> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const out: Array<string> = []
  for (let at = 0; at < bytes.length; ) {
    const bits = view.getUint16(at + 2)
    const length = view.getUint32(at + 8)
    const names = flags.filter((_, i) => bits & (1 << i)).join("|")
    const type = view.getUint8(at + 1)
    out.push([types[type], ...(names === "" ? [] : [names]), view.getUint32(at + 4), length].join(" "))
    at += 12 + (type === 0 ? length : 0)
    if (at > bytes.length) throw new Error("the last frame is not whole")
  }
  return out
}

/** A machine, and all that it told: "stream 1", "1 data 5", "1 remote closed", "1 ended", "ended ProtocolError" … */
export class Probe {
  readonly muxer: Muxer
  readonly told: Array<string> = []
  readonly streams = new Map<number, MuxedStream>()
  readonly bytes = new Map<number, Array<Uint8Array>>()
  now = 0
  /** Whether inbound streams get handlers, and whether what comes is used at once. */
  takes = true
  uses = true
  pendings = 0
  /** Done in the very call that tells of a stream, or of the end. */
  onStream: (stream: MuxedStream) => void = () => {}
  onEnd: () => void = () => {}

  constructor(role: Role, options: YamuxOptions = {}) {
    this.muxer = makeYamux(
      role,
      {
        stream: (stream) => {
          this.told.push(`stream ${stream.id}`)
          this.streams.set(stream.id, stream)
          if (this.takes) this.handle(stream)
          this.onStream(stream)
        },
        pending: () => this.pendings++,
        rtt: (ms) => this.told.push(`rtt ${ms}`),
        remoteGoAway: (code) => this.told.push(`remote go away ${code}`),
        ended: (fault) => {
          this.told.push(fault === undefined ? "ended" : `ended ${fault.name}`)
          this.onEnd()
        }
      },
      options,
      this.now
    )
  }

  handle(stream: MuxedStream): void {
    const { id } = stream
    stream.handlers = {
      data: (bytes) => {
        this.told.push(`${id} data ${bytes.length}`)
        this.bytes.set(id, [...(this.bytes.get(id) ?? []), bytes])
        if (this.uses) stream.consumed(bytes.length)
      },
      remoteClosed: () => this.told.push(`${id} remote closed`),
      drain: () => this.told.push(`${id} drain`),
      ended: (fault) => this.told.push(fault === undefined ? `${id} ended` : `${id} ended ${fault.name}`)
    }
  }

  open(): MuxedStream {
    const stream = this.muxer.open()
    if (stream instanceof Libp2pFault) throw stream
    this.streams.set(stream.id, stream)
    this.handle(stream)
    return stream
  }

  /** Frames in words, or bytes, come; what that told is answered. */
  hear(...frames: ReadonlyArray<string | Uint8Array>): ReadonlyArray<string> {
    const before = this.told.length
    for (const each of frames) this.muxer.receive(typeof each === "string" ? frame(each) : each, this.now)
    return this.told.slice(before)
  }

  tick(ms: number): void {
    for (let left = ms; left > 0; left -= 1_000) {
      this.now += Math.min(left, 1_000)
      this.muxer.tick(this.now)
    }
  }

  /** What goes out now. A second pull that takes nothing has the owners told of it. */
  pullBytes(max = 64 * MiB): Uint8Array {
    const { parts, length } = this.muxer.pull(max)
    this.muxer.pull(0)
    const bytes = concatAll(parts)
    if (bytes.length !== length) throw new Error(`${length} bytes were told and ${bytes.length} are there`)
    return bytes
  }

  /** What goes out now, in words; the first ping of each session is left out. */
  says(max?: number): ReadonlyArray<string> {
    return framesOf(this.pullBytes(max)).filter((words) => words !== "PING SYN 0 1")
  }

  /** What was told since the last call. */
  hears(): ReadonlyArray<string> {
    return this.told.splice(0)
  }
}
