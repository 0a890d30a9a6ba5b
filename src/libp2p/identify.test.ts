/** Identify: what is told comes out the same however it is cut, several messages are one, and bytes of any sort end in a fault or an answer. */
import { describe, expect, test } from "bun:test"
import { concatAll, toHex, utf8 } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { Libp2pFault } from "./fault.ts"
import { FrameReader, frameOf } from "./frame.ts"
import {
  decodeIdentify,
  encodeIdentify,
  type IdentifyMessage,
  IdentifyReader,
  identifyAddressesMax,
  identifyMessageBytesMax,
  identifyMessagesMax,
  identifyPartBytesMax
} from "./identify.ts"
import { bytesField, message, varintField } from "./protobuf.ts"

const nothing: IdentifyMessage = {
  publicKey: undefined,
  listenAddrs: [],
  protocols: [],
  observedAddr: undefined,
  protocolVersion: undefined,
  agentVersion: undefined,
  signedPeerRecord: undefined
}
const full: IdentifyMessage = {
  publicKey: utf8("key"),
  listenAddrs: [Uint8Array.of(4, 127, 0, 0, 1, 6, 15, 161), Uint8Array.of(4, 10, 0, 0, 1, 6, 15, 161)],
  protocols: ["/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"],
  observedAddr: Uint8Array.of(4, 1, 2, 3, 4, 6, 0, 80),
  protocolVersion: "ipfs/0.1.0",
  agentVersion: "cairn/0.1.0",
  signedPeerRecord: utf8("record")
}
const fault = (value: unknown): Libp2pFault => {
  expect(value).toBeInstanceOf(Libp2pFault)
  return value as Libp2pFault
}
const read = (bytes: Uint8Array, bytesMax?: number): IdentifyMessage | Libp2pFault => {
  const reader = new IdentifyReader(bytesMax)
  return reader.receive(bytes) ?? reader.end()
}
const messagesOf = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const frames = new FrameReader(identifyMessageBytesMax)
  frames.push(bytes)
  const found: Array<Uint8Array> = []
  for (let next = frames.next(); next instanceof Uint8Array; next = frames.next()) found.push(next)
  return found
}

describe("identify", () => {
  test("the fields have the numbers that go, js and rust give them", () => {
    expect(toHex(encodeIdentify({ ...full, listenAddrs: full.listenAddrs.slice(0, 1), protocols: ["/a"] }))).toBe(
      [
        "3e",
        `0a03${toHex(utf8("key"))}`,
        `2a0a${toHex(utf8("ipfs/0.1.0"))}`,
        `320b${toHex(utf8("cairn/0.1.0"))}`,
        "22080401020304060050",
        `1a02${toHex(utf8("/a"))}`,
        "1208047f000001060fa1",
        `4206${toHex(utf8("record"))}`
      ].join("")
    )
  })

  test("what is told is read, cut at every place", () => {
    const bytes = encodeIdentify(full)
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new IdentifyReader()
      expect(reader.receive(bytes.slice(0, at))).toBeUndefined()
      if (at < bytes.length) expect(fault(reader.end()).kind).toBe("decode")
      expect(reader.receive(bytes.slice(at))).toBeUndefined()
      expect(reader.end()).toEqual(full)
    }
  })

  test("an answer that breaks off in a later message is none", () => {
    const whole = concatAll([encodeIdentify(full), encodeIdentify(full)])
    expect(read(whole)).toMatchObject({ agentVersion: full.agentVersion })
    for (let cut = 1; cut < whole.length / 2; cut++) expect(fault(read(whole.slice(0, -cut))).kind).toBe("decode")
  })

  test("a message alone has no field that was not told", () => {
    expect(read(frameOf(new Uint8Array(0)))).toEqual(nothing)
    expect(fault(read(new Uint8Array(0))).message).toContain("without a message")
  })

  test("several messages are one: the later single field wins, repeated ones are joined and protocols told once", () => {
    const parts: ReadonlyArray<Partial<IdentifyMessage>> = [
      { agentVersion: "a", protocols: ["/x", "/y"], listenAddrs: [utf8("1")] },
      { agentVersion: "b", protocols: ["/y", "/z"], listenAddrs: [utf8("2")], signedPeerRecord: utf8("r") },
      { publicKey: utf8("k") }
    ]
    expect(read(concatAll(parts.map((part) => encodeIdentify({ ...nothing, ...part }))))).toEqual({
      ...nothing,
      agentVersion: "b",
      protocols: ["/x", "/y", "/z"],
      listenAddrs: [utf8("1"), utf8("2")],
      publicKey: utf8("k"),
      signedPeerRecord: utf8("r")
    })
  })

  test("ten messages are read, the eleventh is a fault, and so is one byte more than a message may have", () => {
    const one = encodeIdentify({ ...nothing, protocols: ["/x"] })
    const times = (count: number): Uint8Array => concatAll(Array.from({ length: count }, () => one))
    expect(read(times(identifyMessagesMax))).toEqual({ ...nothing, protocols: ["/x"] })
    expect(fault(read(times(identifyMessagesMax + 1)))).toMatchObject({ kind: "protocol", name: "InvalidMessageError" })
    const sized = (length: number): Uint8Array => frameOf(bytesField(8, new Uint8Array(length - 3)))
    expect(read(sized(identifyMessageBytesMax))).toMatchObject({ signedPeerRecord: { length: 8_189 } })
    expect(fault(read(sized(identifyMessageBytesMax + 1))).kind).toBe("decode")
    expect(fault(read(sized(300), 299)).kind).toBe("decode")
    expect(read(sized(300), 300)).toMatchObject({ signedPeerRecord: { length: 297 } })
  })

  test("an oversized length is refused before its bytes come", () => {
    expect(fault(new IdentifyReader().receive(Uint8Array.of(0xff, 0xff, 0x7f))).kind).toBe("decode")
  })

  test("much to tell goes out in messages that rust reads too, the key in the first", () => {
    const told = {
      ...full,
      listenAddrs: Array.from({ length: 300 }, (_, at) => Uint8Array.of(4, 10, 0, at >> 8, at & 255, 6, 15, 161)),
      protocols: Array.from({ length: 200 }, (_, at) => `/protocol/number/${at}`),
      signedPeerRecord: new Uint8Array(4_000).fill(7)
    }
    const bytes = encodeIdentify(told)
    const parts = messagesOf(bytes)
    expect(parts.length).toBeGreaterThan(2)
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(identifyPartBytesMax)
    expect(decodeIdentify(parts[0]!)).toMatchObject({ publicKey: told.publicKey, agentVersion: told.agentVersion })
    expect(read(bytes)).toEqual(told)
  })

  test("what fits no ten messages is left out, and what is kept has its limits", () => {
    const protocols = Array.from({ length: 10_000 }, (_, at) => `/protocol/number/${at}`)
    const bytes = encodeIdentify({ ...nothing, protocols })
    expect(messagesOf(bytes).length).toBe(identifyMessagesMax)
    expect((read(bytes) as IdentifyMessage).protocols).toEqual(protocols.slice(0, 1_000))
    const addresses = message(...Array.from({ length: 4_000 }, () => bytesField(2, new Uint8Array(0))))
    expect((decodeIdentify(addresses) as IdentifyMessage).listenAddrs.length).toBe(identifyAddressesMax)
    const twice = (read(concatAll([frameOf(addresses), frameOf(addresses)]), 65_536) as IdentifyMessage).listenAddrs
    expect(twice.length).toBe(identifyAddressesMax)
    expect(decodeIdentify(bytesField(6, "v".repeat(5_000)))).toEqual({ ...nothing, agentVersion: "v".repeat(128) })
  })

  test("unknown fields, wrong wire types, texts that are none and empty names are passed over", () => {
    const odd = message(
      varintField(1, 5),
      bytesField(7, "old"),
      varintField(99, 1),
      bytesField(3, Uint8Array.of(0xff)),
      bytesField(3, ""),
      bytesField(3, `/${"x".repeat(1_024)}`),
      bytesField(5, Uint8Array.of(0xc0)),
      bytesField(3, "/known")
    )
    expect(decodeIdentify(odd)).toEqual({ ...nothing, protocols: ["/known"] })
  })

  test("any bytes end in an answer or a fault, and what is kept is not the sender's memory", () => {
    const dice = makeDice(11)
    const base = encodeIdentify(full)
    for (let round = 0; round < 4_000; round++) {
      const got = read(dice.mutate(base))
      if (!(got instanceof Libp2pFault)) expect(Array.isArray(got.protocols)).toBe(true)
    }
    const bytes = base.slice()
    const got = read(bytes)
    bytes.fill(0)
    expect(got).toEqual(full)
  })
})
