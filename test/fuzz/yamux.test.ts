/** Yamux: nothing thrown at any bytes, whatever its owner does meanwhile. */
import { expect, test } from "bun:test"
import { concatAll } from "../../src/codec/bytes.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"
import { frame, header, MiB, Probe } from "../yamux.ts"

const words = ["DATA", "WINDOW", "PING", "GO_AWAY"]
const flags = ["SYN", "ACK", "FIN", "RST", "SYN|FIN", "SYN|RST", "SYN|ACK|FIN|RST", "ACK|FIN"]

/** Frames that are nearly right: of few streams, with few bytes. */
const talkOf = (dice: Dice): Uint8Array =>
  concatAll(
    Array.from({ length: 1 + dice.int(30) }, () => {
      if (dice.chance(0.02)) return header(dice.int(5), dice.int(16), dice.int(6), dice.int(0xffff_ffff))
      const type = dice.chance(0.03) ? "GO_AWAY" : dice.pick(words.slice(0, 3))
      const bits = dice.chance(0.5) ? `${dice.pick(flags)} ` : ""
      return frame(`${type} ${bits}${dice.chance(0.9) ? 1 + 2 * dice.int(4) : dice.int(9)} ${dice.int(40)}`)
    })
  )

/** What an owner does meanwhile. */
const act = (probe: Probe, dice: Dice): void => {
  const stream = [...probe.streams.values()][dice.int(probe.streams.size + 1)]
  const what = dice.int(8)
  if (what === 0 && !(probe.muxer.open() instanceof Libp2pFault)) probe.tick(dice.int(3_000))
  else if (what === 1) stream?.write(dice.bytes(dice.int(50)))
  else if (what === 2) stream?.closeWrite()
  else if (what === 3) stream?.reset()
  else if (what < 6) probe.pullBytes(13 + dice.int(500))
}

test("a session never throws at what comes: it goes on, or it ends once, with a fault or because the other side went", () => {
  const ends = new Map<string, number>()
  for (let seed = 1; seed <= 4_000; seed++) {
    const dice = makeDice(seed)
    const probe = new Probe(dice.pick(["listener", "listener", "dialer"] as const), { receiveBytesMax: 300 })
    for (let round = 0; round < 4; round++) {
      const talk = talkOf(dice)
      const bytes = dice.chance(0.2) ? dice.bytes(200) : dice.chance(0.5) ? dice.mutate(talk) : talk
      const cut = dice.int(bytes.length + 1)
      probe.hear(bytes.subarray(0, cut))
      act(probe, dice)
      probe.hear(bytes.subarray(cut))
      act(probe, dice)
    }
    const endings = probe.told.filter((each) => each.startsWith("ended"))
    expect(endings.length).toBeLessThanOrEqual(1)
    const ending = endings[0] ?? "goes on"
    ends.set(ending, (ends.get(ending) ?? 0) + 1)
    if (endings.length === 0) continue
    expect(probe.told.at(-1)).toBe(ending)
    expect(probe.muxer.streams()).toEqual([])
    // Nothing is behind its GO_AWAY.
    const last = probe.pullBytes(MiB)
    expect(last.length === 0 || last.at(-11) === 3).toBe(true)
  }
  expect([...ends.keys()].sort()).toEqual(["ended", "ended MuxerClosedError", "ended ProtocolError", "goes on"])
})
