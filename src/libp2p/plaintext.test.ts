/** The exchange without any protection: who it says it is, every cut, and what is refused. */
import { expect, test } from "bun:test"
import { concat, equal } from "../codec/bytes.ts"
import type { Handshake, HandshakeStep, Identity, SecureSession } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { frameOf } from "./frame.ts"
import { keyFromSeed } from "./key.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { makePlaintext, plaintextExchangeBytesMax } from "./plaintext.ts"
import { bytesField, message } from "./protobuf.ts"
import { encodeVarint } from "./varint.ts"

const identityOf = (seed: number): Identity => {
  const privateKey = keyFromSeed(new Uint8Array(32).fill(seed))
  if (privateKey instanceof Libp2pFault) throw privateKey
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}
const [alice, bob] = [identityOf(1), identityOf(2)]
const machine = (role: "dialer" | "listener", expected = undefined as Identity | undefined): Handshake =>
  makePlaintext({
    role,
    identity: role === "dialer" ? alice : bob,
    expected: expected?.peerId,
    muxers: [],
    random: (length) => new Uint8Array(length)
  })
const sessionOf = (step: HandshakeStep): SecureSession => {
  if (step._tag !== "Secured") throw new Error(`the exchange is ${step._tag}`)
  return step.session
}
const nameOf = (step: HandshakeStep): string => (step._tag === "Failed" ? step.fault.name : step._tag)

test("both say who they are, at once, and what follows goes through as it is", () => {
  const [dialer, listener] = [machine("dialer", bob), machine("listener", alice)]
  const [one, two] = [sessionOf(dialer.receive(listener.start()!)), sessionOf(listener.receive(dialer.start()!))]
  expect(one.remotePeer.equals(bob.peerId) && two.remotePeer.equals(alice.peerId)).toBe(true)
  expect(one.earlyMuxer).toBeUndefined()
  expect(one.binding.length).toBe(32)
  expect(equal(one.binding, two.binding)).toBe(true)
  const wire = one.seal([Uint8Array.of(1), Uint8Array.of(2, 3)], 3)!
  expect(wire).toEqual(Uint8Array.of(1, 2, 3))
  const heard: Array<Uint8Array> = []
  expect(two.open(wire, (plain) => void heard.push(plain))).toBeUndefined()
  two.open(new Uint8Array(0), (plain) => void heard.push(plain))
  expect(heard).toEqual([Uint8Array.of(1, 2, 3)])
})

test("every cut of the exchange, and the rest behind it", () => {
  const wire = machine("listener").start()!
  for (let cut = 1; cut < wire.length; cut++) {
    const dialer = machine("dialer")
    expect(dialer.receive(wire.slice(0, cut))).toEqual({ _tag: "More", send: undefined })
    const step = dialer.receive(concat(wire.slice(cut), Uint8Array.of(7, 8)))
    expect(step._tag === "Secured" && step.rest).toEqual(Uint8Array.of(7, 8))
  }
})

test("a flipped bit at any byte never makes the peer that was meant into another", () => {
  const wire = machine("listener").start()!
  for (let at = 0; at < wire.length; at++) {
    const bent = wire.slice()
    bent[at] = bent[at]! ^ 4
    expect(machine("dialer", bob).receive(bent)._tag).not.toBe("Secured")
  }
})

test("who is refused", () => {
  const key = alice.privateKey.publicKey.protobuf
  const judged = (exchange: Uint8Array): string => nameOf(machine("dialer").receive(exchange))
  expect(judged(frameOf(message(bytesField(1, alice.peerId.bytes), bytesField(2, key))))).toBe("Secured")
  expect(judged(frameOf(message(bytesField(1, bob.peerId.bytes), bytesField(2, key))))).toBe(
    "InvalidCryptoExchangeError"
  )
  expect(judged(frameOf(bytesField(2, key)))).toBe("InvalidCryptoExchangeError")
  expect(judged(frameOf(bytesField(1, bob.peerId.bytes)))).toBe("InvalidCryptoExchangeError")
  expect(judged(frameOf(new Uint8Array(0)))).toBe("InvalidCryptoExchangeError")
  expect(judged(frameOf(Uint8Array.of(0xff)))).toBe("InvalidMessageError")
  expect(judged(frameOf(message(bytesField(1, bob.peerId.bytes), bytesField(2, "?"))))).not.toBe("Secured")
  expect(judged(encodeVarint(plaintextExchangeBytesMax + 1))).toBe("InvalidMessageError")
  expect(nameOf(machine("dialer", alice).receive(machine("listener").start()!))).toBe("UnexpectedPeerError")
})
