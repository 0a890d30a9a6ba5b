/**
 * Bad input between whole hosts, over simulated links: Noise and plaintext broken off and bent at every byte, and at some a stand-in
 * for TLS (the real one is bent in libp2p-tls-bent.test.ts). Whatever comes, a side has a typed fault in bounded time, and all counts
 * are back at nothing.
 */
import { describe, expect, test } from "bun:test"
import { concatAll, utf8 } from "../../src/codec/bytes.ts"
import type { Stream } from "../../src/host/api.ts"
import type { Host } from "../../src/host/host.ts"
import { identify } from "../../src/host/identify-service.ts"
import type { HostInit } from "../../src/host/init.ts"
import { type EncrypterFactory, noise, plaintext } from "../../src/host/parts.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { frameOf } from "../../src/libp2p/frame.ts"
import { selectLine } from "../../src/libp2p/multistream.ts"
import { yamuxPingMs, yamuxSilenceMsMax } from "../../src/libp2p/yamux-limits.ts"
import { upgradeMsMax } from "../../src/limits.ts"
import { RawLink, RawPeer } from "../raw-peer.ts"
import { frame, framesOf } from "../yamux.ts"
import { addressOf, type Bend, echo, keyOf, play, playedTls, type Stack } from "../stack.ts"

/** The muxer is agreed upon after the handshake. */
const late =
  (make: EncrypterFactory): EncrypterFactory =>
  (components) => {
    const part = make(components)
    return part._tag === "Tls"
      ? { ...part, alpn: () => part.alpn([]) }
      : { ...part, make: (init) => part.make({ ...init, muxers: [] }) }
  }

/** Why connections of a host came to nothing or ended, as it tells: it is for the caller to empty. */
const endsOf = (host: Host): Array<unknown> => {
  const ends: Array<unknown> = []
  host.addEventListener("connection:failure", ({ detail }) => void ends.push(detail.error))
  host.addEventListener("connection:open", ({ detail }) =>
    detail.addEventListener("close", ({ error }) => void ends.push(error))
  )
  return ends
}

const flipAt =
  (place: number, sender: string): Bend =>
  (bytes, at, from) => {
    const out = bytes.slice()
    if (from === sender && place >= at && place < at + out.length) out[place - at]! ^= 1 << (place % 8)
    return out
  }
const endAt =
  (place: number, sender: string): Bend =>
  (bytes, at, from) =>
    from === sender ? bytes.slice(0, Math.max(0, Math.min(bytes.length, place - at))) : bytes

/** Bends every byte of one side, then of the other. `whole`: also what follows the handshake, as far as two idle hosts speak. */
const sweep = (
  encrypter: EncrypterFactory,
  bend: (place: number, sender: string) => Bend,
  every: number,
  whole: boolean
): void => {
  play(1, async (stack) => {
    const init = { connectionEncrypters: [encrypter], allowInsecure: true }
    const [a, b] = [await stack.host(init), await stack.host(init)]
    const ends = [endsOf(a), endsOf(b)]
    let lengths = new Map<string, number>()
    for (const [name, host] of [
      ["a", a],
      ["b", b]
    ] as const)
      host.addEventListener("connection:open", () => lengths.set(name, stack.sent.get(name)!), { once: true })
    await a.dial(addressOf(2))
    await stack.wait(1_000)
    expect([a.getConnections().length, b.getConnections().length]).toEqual([1, 1])
    if (whole) lengths = new Map(stack.sent)
    await a.hangUp(b.peerId)
    for (const [sender, length] of lengths)
      for (let place = 0; place < length; place += every) {
        stack.bend = bend(place, sender)
        for (const list of ends) list.length = 0
        await oneDial(stack, [a, b], ends, `byte ${place} of ${sender}`)
      }
    stack.bend = undefined
    expect((await a.dial(addressOf(2))).status).toBe("open")
  })
}

const upgradeMs = upgradeMsMax + 1_000
const silenceMs = yamuxPingMs + yamuxSilenceMsMax + 5_000

/** What came of a dial over a bent link. */
const oneDial = async (
  stack: Stack,
  [a, b]: readonly [Host, Host],
  ends: ReadonlyArray<ReadonlyArray<unknown>>,
  what: string
): Promise<void> => {
  const faults: Array<unknown> = []
  const began = stack.world.now
  await a.dial(addressOf(2)).catch((error: unknown) => faults.push(error))
  if (stack.world.now - began > upgradeMs) throw new Error(`${what}: the dial took too long`)
  const idle = (): boolean => [a, b].every((host) => host.resources().connections.total === 0)
  while (!idle() && stack.world.now - began < upgradeMs + silenceMs) await stack.wait(1_000)
  if (!idle()) throw new Error(`${what}: nobody saw it`)
  if (![...faults, ...ends.flat()].some((fault) => fault instanceof Libp2pFault))
    throw new Error(`${what}: no fault at either side`)
  stack.expectQuiet()
}

describe("a handshake", () => {
  for (const [name, encrypter, every, whole] of [
    ["noise", noise(), 1, true],
    // What differs is the end: its bytes are tried one by one between two machines in dial.test.ts.
    ["noise, the muxer later", late(noise()), 3, true],
    ["plaintext", plaintext(), 1, false],
    // One long message, with a hash over it.
    ["tls", playedTls(), 3, false],
    ["tls, the muxer later", late(playedTls()), 5, false]
  ] as const) {
    test(`of ${name} broken off at its bytes`, () => sweep(encrypter, endAt, every, whole))
    test(`of ${name} bent at its bytes`, () => sweep(encrypter, flipAt, every, whole))
  }
})

/** A host with a peer that keeps no rule, and what the host heard of its ends. */
const besieged = async (stack: Stack, init: Partial<HostInit> = {}) => {
  const host = await stack.host(init)
  return { host, world: stack.machine(2), ends: endsOf(host) }
}
const namesOf = (ends: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  ends.map((end) => (end instanceof Libp2pFault ? end.name : String(end)))
const select = (protocol: string): Uint8Array => concatAll([selectLine("/multistream/1.0.0"), selectLine(protocol)])
const data = (id: number, payload: Uint8Array): Uint8Array => frame(`DATA ${id} ${payload.length}`, payload)
const syn = (id: number): Uint8Array => frame(`WINDOW SYN ${id} 0`)

describe("a stranger", () => {
  const words: ReadonlyArray<readonly [string, Uint8Array, string]> = [
    ["that speaks HTTP", utf8(`GET /${"x".repeat(100)} HTTP/1.1\r\n`), "ProtocolError"],
    [
      "with a line that is too long",
      concatAll([selectLine("/multistream/1.0.0"), new Uint8Array([0xff, 0x7f])]),
      "InvalidMessageError"
    ],
    ["with a length that has no end", new Uint8Array(12).fill(0xff), "InvalidMessageError"],
    [
      "that proposes without end",
      concatAll([selectLine("/multistream/1.0.0"), ...Array.from({ length: 70 }, (_, at) => selectLine(`/x/${at}`))]),
      "UnsupportedProtocolError"
    ],
    ["whose handshake is noise", concatAll([select("/noise"), new Uint8Array(200).fill(0x11)]), "TimeoutError"]
  ]
  for (const [what, bytes, name] of words)
    test(`${what} is refused with ${name}`, () => {
      play(1, async (stack) => {
        const { world, ends } = await besieged(stack)
        const { link } = await RawLink.to(world, 1)
        link.write(bytes.slice())
        await stack.wait(upgradeMs + 1_000)
        expect(namesOf(ends)).toEqual([name])
        stack.expectQuiet()
      })
    })
})

describe("a peer", () => {
  test("with a stream whose lines are too long loses that stream, and only that", () => {
    play(1, async (stack) => {
      const { host, world } = await besieged(stack)
      await host.handle("/echo/1", echo)
      const peer = await RawPeer.to(world, 1, 2)
      peer.send(syn(1), data(1, concatAll([selectLine("/multistream/1.0.0"), new Uint8Array(2_000).fill(0x7f)])))
      peer.send(syn(3), data(3, concatAll([select("/echo/1"), utf8("still here")])))
      await stack.wait(1_000)
      const heard = framesOf(peer.heard)
      expect(heard.filter((words) => words.includes("RST"))).toEqual(["WINDOW RST 1 0"])
      expect(new TextDecoder().decode(peer.heard)).toContain("still here")
      expect(host.resources().streams.total).toBe(1)
      peer.raw.link.terminate()
    })
  })

  test("that sends more than its window loses the connection", () => {
    play(1, async (stack) => {
      const { host, world, ends } = await besieged(stack)
      await host.handle("/hold/1", () => {})
      const peer = await RawPeer.to(world, 1, 2)
      peer.send(syn(1), data(1, select("/hold/1")))
      for (let sent = 0; sent < 5; sent++) peer.send(data(1, new Uint8Array(65_536)))
      await stack.wait(1_000)
      expect(namesOf(ends)).toEqual(["ProtocolError"])
      stack.expectQuiet()
    })
  })

  test("that opens more streams than anybody takes has the others reset; those without a protocol end in time", () => {
    play(1, async (stack) => {
      const { host, world } = await besieged(stack)
      const peer = await RawPeer.to(world, 1, 2)
      for (let at = 0; at < 300; at++) peer.send(syn(2 * at + 1))
      await stack.wait(1_000)
      const resets = framesOf(peer.heard).filter((words) => words.includes("RST"))
      expect([resets.length, host.resources().streams.total]).toEqual([44, 256])
      await stack.wait(12_000)
      expect([host.resources().streams.total, host.getConnections().length]).toEqual([0, 1])
      peer.raw.link.terminate()
    })
  })

  test("whose sealed frame comes twice is not heard twice", () => {
    play(1, async (stack) => {
      const { host, world, ends } = await besieged(stack)
      const heard: Array<Uint8Array> = []
      await host.handle("/hold/1", async (stream) => {
        for await (const bytes of stream) heard.push(bytes)
      })
      let again = false
      stack.bend = (bytes, _, from) => (again && from === "b" ? concatAll([bytes, bytes]) : bytes)
      const peer = await RawPeer.to(world, 1, 2)
      peer.send(syn(1), data(1, select("/hold/1")))
      await stack.wait(1_000)
      again = true
      peer.send(data(1, utf8("once")))
      await stack.wait(1_000)
      expect(heard.map(String)).toEqual([String(utf8("once"))])
      expect(namesOf(ends)).toEqual(["InvalidCryptoExchangeError"])
      stack.expectQuiet()
    })
  })

  test("whose identify is too large, too slow, or of another is told of, and stays", () => {
    play(1, async (stack) => {
      const [a, b] = [await stack.host({ services: { identify: identify() } }), await stack.host()]
      const failures: Array<string> = []
      a.addEventListener("peer:identify:failure", ({ detail }) => void failures.push(detail.error.name))
      let answer: (stream: Stream) => unknown = () => {}
      await b.handle("/ipfs/id/1.0.0", (stream) => void answer(stream))
      const answers: ReadonlyArray<(stream: Stream) => unknown> = [
        (stream) => stream.send(concatAll([new Uint8Array([0xff, 0xff, 0x03]), new Uint8Array(70_000)])),
        async (stream) => {
          for (let at = 0; at < 60 && stream.status === "open"; at++) {
            stream.send(new Uint8Array([0x42]))
            await stack.wait(1_000)
          }
        },
        (stream) => {
          stream.send(frameOf(concatAll([new Uint8Array([0x0a, 36]), keyOf(9).publicKey.protobuf])))
          return stream.close()
        },
        (stream) => stream.abort(new Error("no"))
      ]
      for (const one of answers) {
        answer = one
        const connection = await a.dial(addressOf(2))
        await stack.wait(8_000)
        expect([connection.status, connection.streams.length]).toEqual(["open", 0])
        await connection.close()
        await stack.wait(1_000)
        stack.expectQuiet()
      }
      expect(failures).toEqual(["InvalidMessageError", "TimeoutError", "InvalidMessageError", "StreamResetError"])
    })
  })
})
