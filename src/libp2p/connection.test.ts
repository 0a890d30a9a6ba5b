/** The upgrader between two ends, with parts that can be looked through: a handshake of one message a side, a muxer of one stream. */
import { describe, expect, test } from "bun:test"
import { concat, concatAll, utf8 } from "../codec/bytes.ts"
import { lingerMsMax, linkQueuedBytesMax, sealBytesMax, sealsPerFlushMax, upgradeMsMax } from "../limits.ts"
import { type ConnectionInit, type MuxerPart, makeConnection, type SecurityPart } from "./connection.ts"
import type {
  ConnectionFacts,
  ConnectionMachine,
  Identity,
  MuxedStream,
  Muxer,
  MuxerEvents,
  PeerId,
  PublicKey,
  Role,
  SecureSession,
  TlsSession
} from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { multistreamProtocol, selectLine } from "./multistream.ts"

const idOf = (name: string): PeerId => ({
  type: "Ed25519",
  bytes: utf8(name),
  publicKey: undefined,
  equals: (other) => String(other) === name,
  toString: () => name
})
const identityOf = (name: string): Identity => ({ privateKey: undefined as never, peerId: idOf(name) })
const keyOf = (name: string): PublicKey => ({ toString: () => name }) as PublicKey

/** Turns every byte over: who looks at the wire sees no plaintext. Every message has its length before it, and 0xa5. */
const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0x5a)
const sessionOf = (name: string, earlyMuxer: string | undefined): SecureSession => {
  let kept: Uint8Array = new Uint8Array(0)
  return {
    remote: keyOf(name),
    remotePeer: idOf(name),
    earlyMuxer,
    binding: new Uint8Array(32),
    seal: (parts, length) => {
      const out = concat(new Uint8Array([0xa5, 0, 0, 0, 0]), flip(concatAll(parts)))
      new DataView(out.buffer).setUint32(1, length)
      return out
    },
    open: (bytes, take) => {
      kept = concat(kept, bytes)
      while (kept.length >= 5) {
        if (kept[0] !== 0xa5) return cheapFault("protocol", "InvalidCryptoExchangeError", "not sealed")
        const end = 5 + new DataView(kept.buffer, kept.byteOffset).getUint32(1)
        if (kept.length < end) return undefined
        const plain = flip(kept.subarray(5, end))
        kept = kept.subarray(end)
        take(plain)
      }
      return undefined
    }
  }
}

/** Each side says "name;muxers;", the dialler first. */
const shake = (protocol: string, insecure = false): SecurityPart => ({
  _tag: "Handshake",
  protocol,
  insecure,
  make: (init) => {
    let heard = ""
    const own = utf8(`${init.identity.peerId};${init.muxers.join(",")};`)
    return {
      start: () => (init.role === "dialer" ? own : undefined),
      receive: (bytes) => {
        for (let at = 0; at < bytes.length; at++) {
          heard += String.fromCharCode(bytes[at]!)
          const [name, theirs, end] = heard.split(";")
          if (end === undefined) continue
          if (name === "liar")
            return { _tag: "Failed", fault: cheapFault("verify", "InvalidCryptoExchangeError", "a liar") }
          const early = theirs!.split(",").find((muxer) => init.muxers.includes(muxer))
          const send = init.role === "listener" ? own : undefined
          return { _tag: "Secured", send, session: sessionOf(name!, early), rest: bytes.slice(at + 1) }
        }
        return { _tag: "More", send: undefined }
      }
    }
  }
})

const tlsPart: SecurityPart = {
  _tag: "Tls",
  protocol: "/tls",
  certificate: () => ({ key: "key", cert: "cert" }),
  alpn: (muxers) => [...muxers, "libp2p"],
  session: (_, { certificate, alpn }) => {
    if (certificate === undefined) return cheapFault("verify", "InvalidCryptoExchangeError", "no certificate")
    return sessionOf(new TextDecoder().decode(certificate), alpn === "libp2p" ? undefined : alpn)
  }
}

interface Fake extends Muxer {
  readonly events: MuxerEvents
  readonly heard: Array<Uint8Array>
  readonly queue: Array<Uint8Array>
  readonly say: (bytes: Uint8Array) => void
}

/** A muxer without frames: what is said comes out there, a part at a time. */
const muxerPart = (protocol: string, made: Array<Fake>): MuxerPart => ({
  protocol,
  make: (_, events) => {
    let ended = false
    const end = (fault: Libp2pFault | undefined): void => {
      if (ended) return
      ended = true
      events.ended(fault)
    }
    const fake: Fake = {
      protocol,
      events,
      heard: [],
      queue: [],
      say: (bytes) => {
        fake.queue.push(bytes)
        events.pending()
      },
      receive: (bytes) => void fake.heard.push(bytes),
      pull: (max) => {
        const parts: Array<Uint8Array> = []
        let length = 0
        while (fake.queue.length > 0 && length + fake.queue[0]!.length <= max) {
          length += fake.queue[0]!.length
          parts.push(fake.queue.shift()!)
        }
        return { parts, length }
      },
      open: () => ({ id: 1 }) as MuxedStream,
      streams: () => [],
      tick: () => {},
      close: (fault) => {
        if (!ended) fake.queue.push(utf8("bye"))
        end(fault)
      },
      lost: end
    }
    made.push(fake)
    return fake
  }
})

interface Side {
  readonly machine: ConnectionMachine
  readonly wire: Array<Uint8Array>
  readonly opened: Array<ConnectionFacts>
  readonly ended: Array<Libp2pFault | undefined>
  readonly upgrades: Array<{ readonly alpn: ReadonlyArray<string>; readonly leftover: Uint8Array }>
  readonly muxers: Array<Fake>
  wakes: number
  queued: number
}

const side = (role: Role, name: string, changes: Partial<ConnectionInit> = {}, muxer = "/mux"): Side => {
  const muxers: Array<Fake> = []
  const it: Omit<Side, "machine"> = { wire: [], opened: [], ended: [], upgrades: [], muxers, wakes: 0, queued: 0 }
  const init: ConnectionInit = {
    role,
    identity: identityOf(name),
    expected: undefined,
    random: (length) => new Uint8Array(length),
    security: [shake("/shake")],
    muxers: [muxerPart(muxer, muxers)],
    ...changes
  }
  const machine = makeConnection(init, {
    write: (bytes) => void it.wire.push(bytes),
    queued: () => it.queued,
    wake: () => void it.wakes++,
    upgradeTls: ({ alpn }, leftover) => void it.upgrades.push({ alpn, leftover }),
    opened: (facts) => void it.opened.push(facts),
    stream: () => {},
    rtt: () => {},
    ended: (fault) => void it.ended.push(fault)
  })
  return Object.assign(it, { machine }) as Side
}

/** Carries what waits from one side to the other, in pieces that `cut` makes; true if anything was under way. */
const carry = (from: Side, to: Side, cut: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>): boolean => {
  const bytes = concatAll(from.wire.splice(0))
  for (const piece of cut(bytes)) to.machine.receive(piece, 0)
  return bytes.length > 0
}
const whole = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => [bytes]
const run = (a: Side, b: Side, cut = whole): void => {
  while (carry(a, b, cut) || carry(b, a, cut));
}
const started = (a: Side, b: Side, cut = whole): readonly [Side, Side] => {
  a.machine.start(0)
  b.machine.start(0)
  run(a, b, cut)
  return [a, b]
}
const only = <T>(values: ReadonlyArray<T>): T => {
  expect(values).toHaveLength(1)
  return values[0]!
}

describe("an upgrade", () => {
  test("agrees on security and muxer, tells who it is, once, and carries bytes both ways", () => {
    for (const earlyMuxer of [true, false]) {
      const [a, b] = started(side("dialer", "alice", { earlyMuxer }), side("listener", "bob", { earlyMuxer }))
      for (const [self, other] of [
        [a, "bob"],
        [b, "alice"]
      ] as const) {
        const facts = only(self.opened)
        expect([`${facts.remotePeer}`, facts.encryption, facts.multiplexer]).toEqual([other, "/shake", "/mux"])
        expect(self.ended).toEqual([])
      }
      a.muxers[0]!.say(utf8("one "))
      a.muxers[0]!.say(utf8("two"))
      expect(a.wakes).toBe(1)
      expect(a.wire).toEqual([])
      a.machine.flush()
      expect(a.wire).toHaveLength(1)
      run(a, b)
      expect(concatAll(b.muxers[0]!.heard)).toEqual(utf8("one two"))
    }
  })

  test("comes to the same at every length of pieces", () => {
    for (let size = 1; size < 60; size++) {
      const pieces = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
        Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.slice(at * size, (at + 1) * size))
      const [a, b] = started(
        side("dialer", "alice", { security: [shake("/other"), shake("/shake")], earlyMuxer: false }),
        side("listener", "bob"),
        pieces
      )
      expect([a.opened.length, b.opened.length, a.ended.length, b.ended.length]).toEqual([1, 1, 0, 0])
    }
  })

  test("the dialler's order decides", () => {
    const both = [shake("/one"), shake("/two")]
    const [, b] = started(
      side("dialer", "alice", { security: both }),
      side("listener", "bob", { security: [...both].reverse() })
    )
    expect(only(b.opened).encryption).toBe("/one")
  })

  test("takes two writes of the dialler and three of the listener when the muxer is chosen early", () => {
    const [a, b] = [side("dialer", "alice"), side("listener", "bob")]
    a.machine.start(0)
    b.machine.start(0)
    const writes = [0, 0]
    while (a.wire.length + b.wire.length > 0) {
      writes[0]! += a.wire.length
      writes[1]! += b.wire.length
      const [toB, toA] = [concatAll(a.wire.splice(0)), concatAll(b.wire.splice(0))]
      b.machine.receive(toB, 0)
      a.machine.receive(toA, 0)
    }
    expect(writes).toEqual([2, 3])
  })

  test("hands on what comes glued: a handshake behind the proposal, streams behind the choice of the muxer", () => {
    const listener = side("listener", "bob")
    listener.machine.start(0)
    const proposal = concat(selectLine(multistreamProtocol), selectLine("/shake"))
    listener.machine.receive(concat(proposal, utf8("alice;;")), 0)
    const { seal } = sessionOf("", undefined)
    const glued = [selectLine(multistreamProtocol), selectLine("/mux"), utf8("first frame")]
    listener.machine.receive(seal(glued, concatAll(glued).length)!, 0)
    only(listener.opened)
    expect(concatAll(listener.muxers[0]!.heard)).toEqual(utf8("first frame"))
  })

  test("over TLS asks the link for it, hands it what was read already, and goes on with what ALPN chose", () => {
    const tls = { security: [tlsPart] }
    const listener = side("listener", "bob", tls)
    listener.machine.start(0)
    const hello = new Uint8Array([22, 3, 1])
    listener.machine.receive(concat(selectLine(multistreamProtocol), selectLine("/tls"), hello), 0)
    expect(concatAll(listener.wire)).toEqual(concat(selectLine(multistreamProtocol), selectLine("/tls")))
    expect(only(listener.upgrades)).toEqual({ alpn: ["/mux", "libp2p"], leftover: hello })
    const stands: TlsSession = { certificate: utf8("alice"), alpn: "/mux", binding: new Uint8Array(32) }
    listener.machine.secured(stands, 1)
    expect(only(listener.opened)).toMatchObject({ encryption: "/tls", multiplexer: "/mux" })
    listener.machine.secured(stands, 1)
    only(listener.opened)
  })
})

describe("a failed upgrade", () => {
  const answer = concat(selectLine(multistreamProtocol), selectLine("/tls"))

  test("has its kind and name, once at each end", () => {
    const other = { security: [shake("/other")] }
    const cases: ReadonlyArray<readonly [Side, Side, kind: string, name: string]> = [
      [side("dialer", "alice", other), side("listener", "bob"), "unsupported", "UnsupportedProtocolError"],
      [side("dialer", "alice", { expected: idOf("carol") }), side("listener", "bob"), "verify", "UnexpectedPeerError"],
      [side("dialer", "alice"), side("listener", "liar"), "verify", "InvalidCryptoExchangeError"],
      [side("dialer", "alice", {}, "/else"), side("listener", "bob"), "unsupported", "UnsupportedProtocolError"]
    ]
    for (const [a, b, kind, name] of cases) {
      started(a, b)
      const fault = only(a.ended)
      expect([fault?.kind, fault?.name]).toEqual([kind as never, name as never])
      expect(a.opened).toEqual([])
    }
  })

  test("a plain link is refused unless it is allowed", () => {
    const plain = { security: [shake("/plain", true)] }
    const refused = side("dialer", "alice", plain)
    refused.machine.start(0)
    expect(only(refused.ended)?.name).toBe("InvalidParametersError")
    const mixed = side("listener", "bob", { security: [shake("/plain", true), shake("/shake")] })
    const [a] = started(side("dialer", "alice", { ...plain, allowInsecure: true }), mixed)
    expect(only(a.ended)?.name).toBe("UnsupportedProtocolError")
    const [c] = started(
      side("dialer", "alice", { ...plain, allowInsecure: true }),
      side("listener", "bob", { ...plain, allowInsecure: true })
    )
    expect(only(c.opened).encryption).toBe("/plain")
  })

  test("TLS: no certificate, bytes before it stands, a listener that speaks first", () => {
    const tls = { security: [tlsPart] }
    const dial = (): Side => {
      const a = side("dialer", "alice", tls)
      a.machine.start(0)
      return a
    }
    const nobody = dial()
    nobody.machine.receive(answer, 0)
    nobody.machine.secured({ certificate: undefined, alpn: undefined, binding: new Uint8Array(32) }, 0)
    expect(only(nobody.ended)?.kind).toBe("verify")
    const early = dial()
    early.machine.receive(answer, 0)
    early.machine.receive(new Uint8Array([1]), 0)
    expect(only(early.ended)?.kind).toBe("internal")
    const first = dial()
    first.machine.receive(concat(answer, new Uint8Array([1])), 0)
    expect(only(first.ended)?.kind).toBe("protocol")
  })

  test("is told what it waited for when time is up, not a millisecond before", () => {
    const [a] = [side("dialer", "alice")]
    a.machine.start(1_000)
    a.machine.tick(1_000 + upgradeMsMax - 1)
    expect(a.ended).toEqual([])
    a.machine.receive(concat(selectLine(multistreamProtocol), selectLine("/shake")), 1_000 + upgradeMsMax - 1)
    a.machine.tick(1_000 + upgradeMsMax)
    expect(only(a.ended)?.name).toBe("TimeoutError")
    expect(only(a.ended)?.context.phase).toBe("handshake")
  })

  test("a thousand half-open connections end at their time, and none says anything after it", () => {
    const bytes = concat(selectLine(multistreamProtocol), selectLine("/shake"))
    const sides = Array.from({ length: 1_000 }, (_, at) => {
      const it = side("listener", "bob")
      it.machine.start(at)
      it.machine.receive(bytes.subarray(0, at % (bytes.length + 1)), at)
      return it
    })
    for (let now = 0; now < upgradeMsMax + 1_000; now += 250) {
      for (const it of sides) it.machine.tick(now)
      const open = sides.filter(({ ended }) => ended.length === 0).length
      expect(open).toBe(Math.min(1_000, Math.max(0, 1_000 - Math.max(0, now - upgradeMsMax + 1))))
    }
    for (const it of sides) {
      it.wire.length = 0
      it.machine.tick(99_999)
      it.machine.receive(bytes, 99_999)
      it.machine.flush()
      it.machine.lost("gone")
      it.machine.close()
      expect(only(it.ended)?.name).toBe("TimeoutError")
      expect([it.wire.length, it.wakes]).toEqual([0, 0])
    }
  })
})

describe("an open connection", () => {
  test("takes no more from its muxer than the link carries, and goes on when the link is empty", () => {
    const [a] = started(side("dialer", "alice"), side("listener", "bob"))
    const muxer = a.muxers[0]!
    const chunk = new Uint8Array(sealBytesMax / 2)
    for (let count = 0; count < 64; count++) muxer.say(chunk)
    a.machine.flush()
    expect(a.wire).toHaveLength(sealsPerFlushMax)
    expect(a.wakes).toBe(2)
    a.queued = linkQueuedBytesMax
    a.machine.flush()
    expect(a.wire).toHaveLength(sealsPerFlushMax)
    a.queued = 0
    for (let turn = 0; turn < 20; turn++) a.machine.flush()
    expect(a.wire).toHaveLength(32)
    expect(muxer.queue).toEqual([])
  })

  test("closed: the muxer's farewell goes out, then it is over and silent", () => {
    const [a, b] = started(side("dialer", "alice"), side("listener", "bob"))
    a.machine.close()
    expect(only(a.ended)).toBeUndefined()
    run(a, b)
    expect(concatAll(b.muxers[0]!.heard)).toEqual(utf8("bye"))
    a.machine.close()
    a.machine.lost("gone")
    expect(a.ended).toHaveLength(1)
    const stream = a.machine.open()
    expect(stream instanceof Libp2pFault && stream.name).toBe("ConnectionClosedError")
  })

  test("closed with much to say: all of it goes out as the link takes it, but not for ever, and not with a fault", () => {
    const full = (): Side => {
      const [a] = started(side("dialer", "alice"), side("listener", "bob"))
      for (let count = 0; count < 20; count++) a.muxers[0]!.say(new Uint8Array(sealBytesMax))
      a.queued = linkQueuedBytesMax
      a.machine.close()
      expect([a.ended.length, a.wire.length]).toEqual([0, 0])
      return a
    }
    const drained = full()
    drained.queued = 0
    for (let turn = 0; turn < 5; turn++) drained.machine.flush()
    expect(drained.ended).toEqual([])
    drained.machine.flush()
    expect([drained.ended.length, drained.wire.length]).toEqual([1, 21])
    const slow = full()
    slow.machine.tick(lingerMsMax - 1)
    expect(slow.ended).toEqual([])
    slow.machine.tick(lingerMsMax)
    expect(only(slow.ended)).toBeUndefined()
    const cut = full()
    cut.machine.close()
    expect(cut.ended).toEqual([])
    cut.machine.close(cheapFault("closed", "ConnectionClosedError", "now"))
    expect(only(cut.ended)?.message).toBe("now")
  })

  test("a muxer that ends while it is asked: what it gave comes before what it says last", () => {
    const [a] = started(side("dialer", "alice"), side("listener", "bob"))
    const muxer = a.muxers[0]!
    const { pull } = muxer
    Object.assign(muxer, {
      pull: (max: number) => {
        const pulled = pull(max)
        if (pulled.length > 3) muxer.close()
        return pulled
      }
    })
    muxer.say(utf8("data"))
    a.machine.flush()
    const plain: Array<Uint8Array> = []
    sessionOf("", undefined).open(concatAll(a.wire), (bytes) => void plain.push(bytes))
    expect(plain).toEqual([utf8("data"), utf8("bye")])
    expect(only(a.ended)).toBeUndefined()
  })

  test("a link that is gone ends it without a further write; bytes that do not open end it too", () => {
    const [a, b] = started(side("dialer", "alice"), side("listener", "bob"))
    a.muxers[0]!.say(utf8("too late"))
    a.machine.lost("reset")
    expect([only(a.ended)?.kind, a.wire.length]).toEqual(["closed", 0])
    b.machine.receive(new Uint8Array(8), 0)
    expect(only(b.ended)?.name).toBe("InvalidCryptoExchangeError")
  })

  test("opens no stream before it stands", () => {
    const stream = side("dialer", "alice").machine.open()
    expect(stream instanceof Libp2pFault && stream.kind).toBe("state")
  })
})
