/** Ping: what goes out comes back, cut anywhere; what does not fit is a fault. */
import { describe, expect, test } from "bun:test"
import { keptBy, pieceOfMany } from "../../test/buffers.ts"
import { concat } from "../codec/bytes.ts"
import { Libp2pFault } from "./fault.ts"
import { PingEcho, PingProbe, pingBytes } from "./ping.ts"

const payload = (seed: number): Uint8Array => Uint8Array.from({ length: pingBytes }, (_, at) => (at * 7 + seed) & 255)

describe("the side that answers", () => {
  test("gives back whole pings, cut at every place", () => {
    const two = concat(payload(1), payload(2))
    for (let at = 0; at <= two.length; at++) {
      const echo = new PingEcho()
      const first = echo.receive(two.slice(0, at)) ?? new Uint8Array(0)
      expect(first.length).toBe(at - (at % pingBytes))
      expect(concat(first, echo.receive(two.slice(at)) ?? new Uint8Array(0))).toEqual(two)
    }
  })

  test("keeps nothing of what came with the beginning of a ping", async () => {
    const kept = await keptBy(() => {
      const echo = new PingEcho()
      expect(echo.receive(pieceOfMany(pingBytes + 1))?.length).toBe(pingBytes)
      return echo
    })
    expect(kept).toBeLessThan(4 * 1024 * 1024)
  })

  test("keeps less than a ping, whatever comes in which pieces", () => {
    const echo = new PingEcho()
    const sent = Uint8Array.from({ length: 320 }, (_, at) => at & 255)
    const back = Array.from(sent).flatMap((byte) => Array.from(echo.receive(Uint8Array.of(byte)) ?? []))
    expect(back).toEqual(Array.from(sent))
    expect(echo.receive(new Uint8Array(0))).toBeUndefined()
  })
})

describe("the side that asks", () => {
  test("has the round trip when the last byte is back, cut at every place, again and again on one stream", () => {
    const probe = new PingProbe()
    for (let at = 1; at < pingBytes; at++) {
      const sent = probe.start(payload(at), at * 100)
      expect(probe.receive(sent.slice(0, at), at * 100 + 5)).toBeUndefined()
      expect(probe.receive(new Uint8Array(0), at * 100 + 6)).toBeUndefined()
      expect(probe.receive(sent.slice(at), at * 100 + 9)).toBe(9)
    }
  })

  test("refuses another answer, a longer one, and one that was not asked for", () => {
    for (let at = 0; at < pingBytes; at++) {
      const probe = new PingProbe()
      const back = probe.start(payload(3), 0).slice()
      back[at]! ^= 1
      expect(probe.receive(back, 1)).toMatchObject({ name: "ProtocolError", kind: "protocol" })
    }
    const long = new PingProbe()
    expect(long.receive(concat(long.start(payload(3), 0), Uint8Array.of(0)), 1)).toBeInstanceOf(Libp2pFault)
    expect(new PingProbe().receive(Uint8Array.of(1), 0)).toBeInstanceOf(Libp2pFault)
    const done = new PingProbe()
    expect(done.receive(done.start(payload(3), 0), 1)).toBe(1)
    expect(done.receive(payload(3), 2)).toBeInstanceOf(Libp2pFault)
  })

  test("compares with what was sent, not with memory that others may use again", () => {
    const probe = new PingProbe()
    const mine = payload(4)
    const back = probe.start(mine, 0).slice()
    mine.fill(0)
    expect(probe.receive(back, 3)).toBe(3)
  })
})
