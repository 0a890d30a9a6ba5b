/**
 * A whole dial by the real machines: multistream-select, Noise, yamux and a stream with its own choice of protocol; cut at every
 * byte, bent at every byte, broken off at every byte, and left half-open a thousand times.
 */
import { heapStats } from "bun:jsc"
import { describe, expect, test } from "bun:test"
import { concatAll, utf8 } from "../../src/codec/bytes.ts"
import { type ConnectionInit, makeConnection } from "../../src/libp2p/connection.ts"
import type { ConnectionFacts, ConnectionMachine, Identity, MuxedStream, Role } from "../../src/libp2p/contract.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { keyFromSeed } from "../../src/libp2p/key.ts"
import { dialSelect, listenSelect, type Select } from "../../src/libp2p/multistream.ts"
import { makeNoise, noiseKeys, noiseProtocol } from "../../src/libp2p/noise.ts"
import { peerIdOfKey } from "../../src/libp2p/peer-id.ts"
import { makeYamux, yamuxProtocol } from "../../src/libp2p/yamux.ts"
import { upgradeMsMax } from "../../src/limits.ts"
import { yamuxPingMs, yamuxSilenceMsMax } from "../../src/libp2p/yamux-limits.ts"
import { makeDice } from "../../src/sim/dice.ts"

const identityOf = (byte: number): Identity => {
  const key = keyFromSeed(new Uint8Array(32).fill(byte))
  if (key instanceof Libp2pFault) throw key
  return { privateKey: key, peerId: peerIdOfKey(key.publicKey) }
}
const dice = makeDice(7)
const people = { dialer: identityOf(1), listener: identityOf(2) }
const keys = {
  dialer: noiseKeys(people.dialer, dice.bytes),
  listener: noiseKeys(people.listener, dice.bytes)
}
const echo = "/echo/1.0.0"
const said = utf8("what comes back")

/** One end. The dialler says something on a stream as soon as it can, the listener says it back. */
class End {
  readonly machine: ConnectionMachine
  readonly opened: Array<ConnectionFacts> = []
  readonly ended: Array<Libp2pFault | undefined> = []
  readonly heard: Array<Uint8Array> = []
  /** For the wire. */
  readonly out: Array<Uint8Array> = []
  private wakes = 0

  constructor(role: Role, random: (length: number) => Uint8Array, changes: Partial<ConnectionInit>) {
    const init: ConnectionInit = {
      role,
      identity: people[role],
      expected: role === "dialer" ? people.listener.peerId : undefined,
      random,
      security: [{ _tag: "Handshake", protocol: noiseProtocol, make: (start) => makeNoise(start, keys[role]) }],
      muxers: [{ protocol: yamuxProtocol, make: (as, events, now) => makeYamux(as, events, {}, now) }],
      ...changes
    }
    this.machine = makeConnection(init, {
      write: (bytes) => void this.out.push(bytes),
      queued: () => 0,
      wake: () => void this.wakes++,
      upgradeTls: () => {
        throw new Error("there is no TLS here")
      },
      opened: (facts) => {
        this.opened.push(facts)
        if (role === "dialer") queueMicrotask(() => this.ask())
      },
      stream: (stream) =>
        this.speak(
          stream,
          listenSelect((protocol) => protocol === echo),
          true
        ),
      rtt: () => {},
      ended: (fault) => void this.ended.push(fault)
    })
  }

  /** Opens the stream: in the lazy form, all in one write. */
  ask(): void {
    const stream = this.machine.open()
    if (stream instanceof Libp2pFault) return
    this.speak(stream, dialSelect([echo]), false)
    stream.write(said)
    stream.closeWrite()
  }

  private speak(stream: MuxedStream, select: Select, answers: boolean): void {
    let chosen = false
    const take = (bytes: Uint8Array): void => {
      if (answers) stream.write(bytes.slice())
      else this.heard.push(bytes.slice())
    }
    stream.handlers = {
      data: (bytes) => {
        stream.consumed(bytes.length)
        if (chosen) return take(bytes)
        const step = select.receive(bytes)
        if (step.send !== undefined) stream.write(step.send)
        if (step._tag === "Failed") return stream.reset()
        if (step._tag === "More") return
        chosen = true
        if (step.rest.length > 0) take(step.rest)
      },
      remoteClosed: () => stream.closeWrite(),
      drain: () => {},
      ended: () => {}
    }
    stream.write(select.start())
  }

  /** What goes out now. */
  say(): Uint8Array {
    while (this.wakes > 0) {
      this.wakes = 0
      this.machine.flush()
    }
    return concatAll(this.out.splice(0))
  }
}

/** What a wire makes of bytes: `at` is how many went before. */
type Wire = (bytes: Uint8Array, at: number) => ReadonlyArray<Uint8Array>

interface Run {
  readonly dialer: End
  readonly listener: End
  /** Bytes that the dialler and the listener sent. */
  readonly sent: { dialer: number; listener: number }
}

const dial = async (wires: { readonly dialer?: Wire; readonly listener?: Wire }, changes = {}): Promise<Run> => {
  const chance = makeDice(11)
  const dialer = new End("dialer", chance.bytes, changes)
  const listener = new End("listener", chance.bytes, changes)
  const sent = { dialer: 0, listener: 0 }
  dialer.machine.start(0)
  listener.machine.start(0)
  for (let idle = 0; idle < 2; idle++) {
    for (const [from, to, name] of [
      [dialer, listener, "dialer"],
      [listener, dialer, "listener"]
    ] as const) {
      const bytes = from.say()
      if (bytes.length === 0) continue
      idle = -1
      const pieces = wires[name]?.(bytes, sent[name]) ?? [bytes]
      sent[name] += bytes.length
      for (const piece of pieces) to.machine.receive(piece, 1)
    }
    // The dialler asks in a turn of its own, as a program does.
    await Promise.resolve()
  }
  return { dialer, listener, sent }
}

const cutAt =
  (place: number): Wire =>
  (bytes, at) =>
    place > at && place < at + bytes.length ? [bytes.slice(0, place - at), bytes.slice(place - at)] : [bytes]
const flipAt =
  (place: number, bit: number): Wire =>
  (bytes, at) => {
    const out = bytes.slice()
    if (place >= at && place < at + out.length) out[place - at]! ^= 1 << bit
    return [out]
  }
const endAt =
  (place: number): Wire =>
  (bytes, at) => [bytes.slice(0, Math.max(0, Math.min(bytes.length, place - at)))]

const early = await dial({})
const late = await dial({}, { earlyMuxer: false })

const expectDone = ({ dialer, listener }: Run): void => {
  expect(dialer.opened[0]?.remotePeer.toString()).toBe(people.listener.peerId.toString())
  expect(listener.opened[0]?.remotePeer.toString()).toBe(people.dialer.peerId.toString())
  expect(dialer.opened[0]?.binding).toEqual(listener.opened[0]!.binding)
  expect(concatAll(dialer.heard)).toEqual(said)
  expect([dialer.ended, listener.ended]).toEqual([[], []])
}

describe("a whole dial", () => {
  test("with the muxer chosen in the handshake, and after it", () => {
    expectDone(early)
    expectDone(late)
    expect(late.sent.dialer).toBeGreaterThan(early.sent.dialer)
  })

  test("cut at every byte, both ways", async () => {
    for (const [whole, changes] of [
      [early, {}],
      [late, { earlyMuxer: false }]
    ] as const)
      for (let place = 1; place < Math.max(whole.sent.dialer, whole.sent.listener); place++)
        expectDone(await dial({ dialer: cutAt(place), listener: cutAt(place) }, changes))
  })

  test("byte for byte", async () => {
    const single: Wire = (bytes) => Array.from(bytes, (byte) => new Uint8Array([byte]))
    expectDone(await dial({ dialer: single, listener: single }))
  })
})

const silentMs = upgradeMsMax + yamuxPingMs + yamuxSilenceMsMax + 2_000

/** Whatever came of it: nobody is fooled, nothing hangs beyond its time, and every end has a typed fault. */
const expectOver = ({ dialer, listener }: Run): void => {
  for (const end of [dialer, listener]) {
    end.machine.tick(upgradeMsMax)
    end.machine.lost("the link is gone")
    expect(end.ended).toHaveLength(1)
    expect(end.ended[0]).toBeInstanceOf(Libp2pFault)
    const stream = end.machine.open()
    expect(stream instanceof Libp2pFault && stream.kind).toBe("closed")
  }
}

describe("a bent dial", () => {
  for (const side of ["dialer", "listener"] as const)
    test(`a bit flipped in any byte of the ${side} ends what it reaches`, async () => {
      for (let place = 0; place < early.sent[side]; place++) {
        const run = await dial({ [side]: flipAt(place, place % 8) })
        const reached = side === "dialer" ? run.listener : run.dialer
        // A length that became a longer one is waited for: until the deadline, or until no ping is answered.
        for (let now = 0; now < silentMs && reached.ended.length === 0; now += 1_000) reached.machine.tick(now)
        if (reached.ended.length === 0) throw new Error(`byte ${place} was bent and nobody saw it`)
        expectOver(run)
      }
    })

  for (const side of ["dialer", "listener"] as const)
    test(`broken off after any byte of the ${side}, it ends at its time or with its link`, async () => {
      for (let place = 0; place < early.sent[side]; place++) {
        const run = await dial({ [side]: endAt(place) })
        expectOver(run)
      }
    })

  test("another peer than the one that was meant is not spoken to", async () => {
    const run = await dial({}, { expected: people.dialer.peerId })
    expect(run.dialer.ended[0]?.name).toBe("UnexpectedPeerError")
    expect(run.dialer.opened).toEqual([])
  })
})

test("a thousand half-open connections take little memory, and all are over at their time", () => {
  const hello = new End("dialer", dice.bytes, {})
  hello.machine.start(0)
  const first = hello.say()
  const before = heapSize()
  const listeners = Array.from({ length: 1_000 }, () => {
    const end = new End("listener", dice.bytes, {})
    end.machine.start(0)
    // The choice of security and the first message of Noise, or less of it.
    end.machine.receive(first.slice(), 0)
    end.machine.receive(new Uint8Array([0, 32, ...dice.bytes(32)]), 0)
    end.say()
    return end
  })
  expect((heapSize() - before) / 1_000).toBeLessThan(16_384)
  for (const end of listeners) end.machine.tick(upgradeMsMax - 1)
  expect(listeners.filter(({ ended }) => ended.length > 0)).toEqual([])
  for (const end of listeners) end.machine.tick(upgradeMsMax)
  for (const end of listeners) expect(end.ended[0]?.name).toBe("TimeoutError")
  expect((heapSize() - before) / 1_000).toBeLessThan(8_192)
})

function heapSize(): number {
  Bun.gc(true)
  return heapStats().heapSize
}
