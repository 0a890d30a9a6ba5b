/**
 * Bad input between whole hosts, over simulated links: every handshake broken off at every byte and bent at every byte. Whatever
 * comes, a side has a typed fault in bounded time, and all counts are back at nothing.
 */
import { describe, expect, test } from "bun:test"
import type { Host } from "../../src/host/host.ts"
import { type EncrypterFactory, noise, plaintext } from "../../src/host/parts.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { yamuxPingMs, yamuxSilenceMsMax } from "../../src/libp2p/yamux-limits.ts"
import { upgradeMsMax } from "../../src/limits.ts"
import { addressOf, type Bend, play, playedTls, type Stack } from "../stack.ts"

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
  (bytes, at, from) => (from === sender ? bytes.slice(0, Math.max(0, Math.min(bytes.length, place - at))) : bytes)

/** Bends every byte of one side, then of the other. `whole`: also what follows the handshake, as far as two idle hosts speak. */
const sweep = (encrypter: EncrypterFactory, bend: (place: number, sender: string) => Bend, every: number, whole: boolean): void => {
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
  if (![...faults, ...ends.flat()].some((fault) => fault instanceof Libp2pFault)) throw new Error(`${what}: no fault at either side`)
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
