/** The handshake of Noise as libp2p does it: both roles, all key types, muxers, wrong peers, and every way to bend its messages. */
import { describe, expect, test } from "bun:test"
import { Bug } from "../assert.ts"
import { concat, equal, utf8 } from "../codec/bytes.ts"
import { loadAead } from "../crypto/chacha-engine.ts"
import { x25519KeyPair } from "../crypto/x25519.ts"
import type { Handshake, HandshakeInit, HandshakeStep, Identity, KeyType, SecureSession } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { generateKey, keyFromSeed } from "./key.ts"
import { makeNoise, type NoiseKeys, noiseKeys } from "./noise.ts"
import { noiseFrame } from "./noise-frame.ts"
import { XxHandshake } from "./noise-xx.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { bytesField, message } from "./protobuf.ts"

const types: ReadonlyArray<KeyType> = ["Ed25519", "RSA", "ECDSA", "secp256k1"]
const none = new Uint8Array(0)
/** Chance that a test repeats: a counter in each byte. */
const chance = (seed: number) => {
  let state = seed
  return (length: number): Uint8Array =>
    Uint8Array.from({ length }, () => {
      state = (state * 1_664_525 + 1_013_904_223) >>> 0
      return state >>> 24
    })
}

/** A key that a seed makes, so that a run can be repeated; of RSA whatever is generated. */
const identityOf = (type: KeyType, seed: number): Identity => {
  const privateKey = type === "Ed25519" ? keyFromSeed(chance(seed)(32)) : generateKey(type, { random: chance(seed) })
  if (privateKey instanceof Libp2pFault) throw privateKey
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}
const people = new Map(types.map((type) => [type, [identityOf(type, 1), identityOf(type, 2)] as const]))
const [alice, bob] = people.get("Ed25519")!
const mallory = identityOf("Ed25519", 3)
const aliceKeys = noiseKeys(alice, chance(1))
const bobKeys = noiseKeys(bob, chance(2))

type Wish = Partial<Pick<HandshakeInit, "expected" | "muxers">> & { readonly keys?: NoiseKeys }
const machine = (role: "dialer" | "listener", wish: Wish = {}): Handshake => {
  const keys = wish.keys ?? (role === "dialer" ? aliceKeys : bobKeys)
  const random = chance(role === "dialer" ? 3 : 4)
  const { expected, muxers = [] } = wish
  return makeNoise({ role, identity: keys.identity, expected, muxers, random }, keys)
}

interface Ends {
  readonly dialer: HandshakeStep
  readonly listener: HandshakeStep
}
const waiting: HandshakeStep = { _tag: "More", send: undefined }

/** Carries the three messages, each through `bend`, in pieces of `size`, until nobody says anything more. */
const shake = (
  dialer: Handshake,
  listener: Handshake,
  bend: (wire: Uint8Array, index: number) => Uint8Array = (wire) => wire,
  size = Number.POSITIVE_INFINITY
): Ends => {
  const ends: Record<keyof Ends, HandshakeStep> = { dialer: waiting, listener: waiting }
  let sender: keyof Ends = "dialer"
  let wire = dialer.start()
  for (let index = 0; wire !== undefined; index++) {
    const bent = bend(wire.slice(), index)
    const receiver: keyof Ends = sender === "dialer" ? "listener" : "dialer"
    const hand = receiver === "dialer" ? dialer : listener
    wire = undefined
    for (let at = 0; at < bent.length && ends[receiver]._tag === "More"; at += size) {
      const step = hand.receive(bent.slice(at, at + size))
      ends[receiver] = step
      if (step._tag !== "Failed") wire = step.send ?? wire
    }
    sender = receiver
  }
  return ends
}
const sessionOf = (step: HandshakeStep): SecureSession => {
  if (step._tag === "Failed") throw step.fault
  if (step._tag === "More") throw new Error("the handshake waits")
  return step.session
}
const faultOf = (step: HandshakeStep): Libp2pFault | undefined => (step._tag === "Failed" ? step.fault : undefined)
const say = (from: SecureSession, to: SecureSession, text: string): string => {
  let heard = ""
  const fault = to.open(from.seal([utf8(text)], text.length)!, (plain) => {
    heard += new TextDecoder().decode(plain)
  })
  return fault?.message ?? heard
}

describe("two that mean each other", () => {
  test.each(types.flatMap((a) => types.map((b) => [a, b] as const)))("%s dials %s", (a, b) => {
    const [one, two] = [people.get(a)![0], people.get(b)![1]]
    const ends = shake(
      machine("dialer", { keys: noiseKeys(one, chance(5)), expected: two.peerId }),
      machine("listener", { keys: noiseKeys(two, chance(6)), expected: one.peerId })
    )
    const [dialer, listener] = [sessionOf(ends.dialer), sessionOf(ends.listener)]
    expect(dialer.remotePeer.toString()).toBe(two.peerId.toString())
    expect(listener.remotePeer.toString()).toBe(one.peerId.toString())
    expect(equal(dialer.remote.protobuf, two.privateKey.publicKey.protobuf)).toBe(true)
    expect(dialer.binding.length).toBe(32)
    expect(equal(dialer.binding, listener.binding)).toBe(true)
    expect([say(dialer, listener, "hello"), say(listener, dialer, "world")]).toEqual(["hello", "world"])
  })

  test.each([1, 2, 3, 50, 97])("in pieces of %d bytes", (size) => {
    const ends = shake(machine("dialer"), machine("listener"), (wire) => wire, size)
    expect(say(sessionOf(ends.dialer), sessionOf(ends.listener), "hello")).toBe("hello")
  })

  test("each message cut at every place", () => {
    const lengths: Array<number> = []
    shake(machine("dialer"), machine("listener"), (wire, index) => {
      lengths[index] = wire.length
      return wire
    })
    expect(lengths[0]).toBe(34)
    for (let cut = 1; cut < Math.max(...lengths); cut++) {
      const ends = shake(machine("dialer"), machine("listener"), (wire) => wire, cut)
      expect([ends.dialer._tag, ends.listener._tag]).toEqual(["Secured", "Secured"])
    }
  })

  test("two handshakes of the same keys share nothing: other bindings, other ciphertexts", () => {
    const again = makeNoise(
      { role: "dialer", identity: alice, expected: undefined, muxers: [], random: chance(99) },
      aliceKeys
    )
    const one = shake(machine("dialer"), machine("listener"))
    const two = shake(again, machine("listener"))
    expect(equal(sessionOf(one.dialer).binding, sessionOf(two.dialer).binding)).toBe(false)
  })

  test("the listener says nothing first; who began has nothing in its first message", () => {
    expect(machine("listener").start()).toBeUndefined()
    expect(machine("dialer").start()!.length).toBe(2 + 32)
  })

  test("the identity signs once, however many handshakes there are", () => {
    let signed = 0
    const { type, publicKey, raw, equals } = alice.privateKey
    const sign = (data: Uint8Array): Uint8Array => {
      signed++
      return alice.privateKey.sign(data)
    }
    const privateKey = { type, publicKey, raw, equals, sign }
    const keys = noiseKeys({ ...alice, privateKey }, chance(7))
    for (let i = 0; i < 3; i++)
      expect(shake(machine("dialer", { keys }), machine("listener")).dialer._tag).toBe("Secured")
    expect(signed).toBe(1)
  })

  test("data that came glued to the last message is the rest, for the session to open", () => {
    const dialer = machine("dialer")
    const listener = machine("listener")
    const second = (listener.receive(dialer.start()!) as { readonly send: Uint8Array }).send
    const secured = dialer.receive(second)
    const early = sessionOf(secured).seal([utf8("early")], 5)!
    const step = listener.receive(concat((secured as { readonly send: Uint8Array }).send, early))
    expect(step._tag === "Secured" && equal(step.rest, early)).toBe(true)
    const heard: Array<Uint8Array> = []
    expect(sessionOf(step).open(early, (plain) => void heard.push(plain))).toBeUndefined()
    expect(heard).toEqual([utf8("early")])
  })
})

describe("muxers", () => {
  const choose = (dialer: ReadonlyArray<string>, listener: ReadonlyArray<string>) => {
    const ends = shake(machine("dialer", { muxers: dialer }), machine("listener", { muxers: listener }))
    return [ends.dialer, ends.listener].map((step) =>
      step._tag === "Secured" ? step.session.earlyMuxer : (faultOf(step)?.name ?? step._tag)
    )
  }

  test("the first of whoever began that the other speaks", () => {
    expect(choose(["/yamux/1.0.0"], ["/yamux/1.0.0"])).toEqual(["/yamux/1.0.0", "/yamux/1.0.0"])
    expect(choose(["/a", "/b", "/c"], ["/c", "/b"])).toEqual(["/b", "/b"])
    expect(choose(["/c", "/b"], ["/a", "/b", "/c"])).toEqual(["/c", "/c"])
  })

  test("whoever tells none leaves it to multistream", () => {
    expect(choose([], ["/b"])).toStrictEqual([undefined, undefined])
    expect(choose(["/b"], [])).toStrictEqual([undefined, undefined])
    expect(choose([], [])).toStrictEqual([undefined, undefined])
  })

  test("none that both speak: the handshake fails, and the listener never hears who dialled", () => {
    expect(choose(["/a"], ["/b"])).toEqual(["UnsupportedProtocolError", "More"])
  })

  test("the listener, too, fails by itself at a dialer that goes on", () => {
    const { xx, listener } = stranger({ muxers: ["/b"] })
    const claim = message(aliceClaim, bytesField(4, bytesField(2, "/a")))
    const step = listener.receive(noiseFrame(xx.write(claim) as Uint8Array))
    expect(faultOf(step)?.name).toBe("UnsupportedProtocolError")
  })
})

describe("who is not who it must be", () => {
  test("another peer than the dialled one", () => {
    const ends = shake(machine("dialer", { expected: mallory.peerId }), machine("listener"))
    const fault = faultOf(ends.dialer)
    expect([fault?.kind, fault?.name]).toEqual(["verify", "UnexpectedPeerError"])
    expect(fault?.context).toEqual({ expected: mallory.peerId.toString(), actual: bob.peerId.toString() })
    expect(ends.listener._tag).toBe("More")
  })

  test("a signature over another static key, and an identity that did not sign", () => {
    const other = x25519KeyPair(chance(8)(32))
    const stolen = { ...bobKeys, staticKey: other }
    const first = shake(machine("dialer"), machine("listener", { keys: stolen }))
    expect(faultOf(first.dialer)?.message).toBe("noise: the peer's signature is not its own")
    const second = shake(machine("dialer", { keys: { ...aliceKeys, staticKey: other } }), machine("listener"))
    expect(faultOf(second.listener)?.message).toBe("noise: the peer's signature is not its own")
  })

  test("the keys of another identity are a bug of the caller", () => {
    const init = { role: "dialer", identity: alice, expected: undefined, muxers: [], random: chance(1) } as const
    expect(() => makeNoise(init, bobKeys)).toThrow(Bug)
  })
})

const aliceClaim = aliceKeys.claim

/** A dialer of whom every payload can be written by hand, before its third message; and the listener that it meets. */
function stranger(wish: Wish = {}): { readonly xx: XxHandshake; readonly listener: Handshake } {
  const listener = machine("listener", wish)
  const ephemeral = x25519KeyPair(chance(9)(32))
  const engine = loadAead("auto")!
  const xx = new XxHandshake({ initiator: true, prologue: none, staticKey: aliceKeys.staticKey, ephemeral, engine })
  const step = listener.receive(noiseFrame(xx.write(none) as Uint8Array)) as { readonly send: Uint8Array }
  xx.read(step.send.subarray(2))
  return { xx, listener }
}
const judged = (claim: Uint8Array): HandshakeStep => {
  const { xx, listener } = stranger()
  return listener.receive(noiseFrame(xx.write(claim) as Uint8Array))
}

describe("payloads of strangers", () => {
  const key = alice.privateKey.publicKey.protobuf

  test("as it should be, with fields that nobody knows and hashes of certificates, which are for others", () => {
    const extensions = message(bytesField(1, utf8("a certificate's hash")), bytesField(9, utf8("?")))
    const step = judged(message(aliceClaim, bytesField(4, extensions), bytesField(77, utf8("?"))))
    expect(sessionOf(step).remotePeer.toString()).toBe(alice.peerId.toString())
    expect(sessionOf(step).earlyMuxer).toBeUndefined()
  })

  test.each([
    ["nothing", none, "InvalidCryptoExchangeError"],
    ["no key", bytesField(2, new Uint8Array(64)), "InvalidCryptoExchangeError"],
    ["no signature", bytesField(1, key), "InvalidCryptoExchangeError"],
    ["an empty signature", message(bytesField(1, key), bytesField(2, none)), "InvalidCryptoExchangeError"],
    ["no protobuf", Uint8Array.of(0xff, 0xff, 0xff), "InvalidMessageError"],
    ["no protobuf as extensions", message(aliceClaim, bytesField(4, Uint8Array.of(0x0a, 9))), "InvalidMessageError"]
  ] as const)("%s", (_, claim, name) => expect(faultOf(judged(claim))?.name).toBe(name))

  test("a key that is none, and one of a type that nobody knows", () => {
    for (const bad of [none, Uint8Array.of(1, 2, 3), Uint8Array.of(8, 9, 18, 0), key.subarray(0, -1)])
      expect(faultOf(judged(message(bytesField(1, bad), bytesField(2, new Uint8Array(64)))))).toBeInstanceOf(
        Libp2pFault
      )
  })

  test("a muxer that is no text is passed over", () => {
    const { xx, listener } = stranger({ muxers: ["/b"] })
    const muxers = message(bytesField(2, Uint8Array.of(0xff, 0xfe)), bytesField(2, "/b"))
    const step = listener.receive(noiseFrame(xx.write(message(aliceClaim, bytesField(4, muxers))) as Uint8Array))
    expect(sessionOf(step).earlyMuxer).toBe("/b")
  })

  test("the longest message that there can be is read; what a first payload says is not", () => {
    const room = 65_535 - 32 - 16 - 16 - aliceClaim.length - 5
    expect(judged(message(aliceClaim, bytesField(9, new Uint8Array(room))))._tag).toBe("Secured")
    const xx = new XxHandshake({
      initiator: true,
      prologue: none,
      staticKey: aliceKeys.staticKey,
      ephemeral: x25519KeyPair(chance(9)(32)),
      engine: aliceKeys.engine
    })
    const listener = machine("listener", { muxers: ["/b"] })
    const first = xx.write(message(aliceClaim, bytesField(4, bytesField(2, "/z")))) as Uint8Array
    xx.read((listener.receive(noiseFrame(first)) as { readonly send: Uint8Array }).send.subarray(2))
    const step = listener.receive(noiseFrame(xx.write(aliceClaim) as Uint8Array))
    expect(sessionOf(step).earlyMuxer).toBeUndefined()
  })
})

describe("messages that are bent", () => {
  const wires: Array<Uint8Array> = []
  shake(machine("dialer", { muxers: ["/b"] }), machine("listener", { muxers: ["/b"] }), (wire, index) => {
    wires[index] = wire.slice()
    return wire
  })
  const bent = (index: number, bend: (wire: Uint8Array) => Uint8Array): Ends =>
    shake(machine("dialer", { muxers: ["/b"] }), machine("listener", { muxers: ["/b"] }), (wire, at) =>
      at === index ? bend(wire) : wire
    )
  const codes = new Set(["InvalidCryptoExchangeError", "InvalidMessageError", "UnexpectedPeerError"])

  /** Nobody may come to speak with bytes that were changed: one side at least ends with a fault, or waits for what never comes. */
  const broken = ({ dialer, listener }: Ends): boolean => {
    const faults = [faultOf(dialer), faultOf(listener)].filter((fault) => fault !== undefined)
    if (!faults.every((fault) => codes.has(fault.name))) return false
    return faults.length > 0 || dialer._tag === "More" || listener._tag === "More"
  }

  test.each([0, 1, 2])("a bit flipped at every byte of message %d", (index) => {
    const whole: Array<string> = []
    for (let at = 0; at < wires[index]!.length; at++) {
      for (const bit of [0, 3, 7]) {
        const ends = bent(index, (wire) => {
          wire[at] = wire[at]! ^ (1 << bit)
          return wire
        })
        if (!broken(ends)) whole.push(`${at}.${bit}`)
        // Only a length can make somebody wait.
        if (at >= 2 && faultOf(ends.dialer) === undefined && faultOf(ends.listener) === undefined)
          whole.push(`${at}.${bit} waits`)
      }
    }
    // The highest bit of an X25519 key means nothing to the agreement (RFC 7748), but all that was said is hashed.
    expect(whole).toEqual([])
  })

  test.each([0, 1, 2])(
    "message %d ends at every byte: its receiver waits; with its length made to fit, it refuses",
    (index) => {
      const receiver = index === 1 ? "dialer" : "listener"
      for (let end = 0; end < wires[index]!.length; end++) {
        const waits = bent(index, (wire) => wire.subarray(0, end))
        expect(waits[receiver]._tag).toBe("More")
        if (end < 2) continue
        const short = bent(index, (wire) => noiseFrame(wire.subarray(2, end)))
        expect(broken(short)).toBe(true)
        expect(faultOf(short.dialer) ?? faultOf(short.listener)).toBeInstanceOf(Libp2pFault)
      }
    }
  )

  test("messages of another handshake, replayed", () => {
    const old: Array<Uint8Array> = []
    const other = makeNoise(
      { role: "dialer", identity: alice, expected: undefined, muxers: ["/b"], random: chance(50) },
      aliceKeys
    )
    shake(other, machine("listener", { muxers: ["/b"] }), (wire, index) => {
      old[index] = wire.slice()
      return wire
    })
    // The first message is anybody's: a listener answers it, and the dialer cannot read the answer.
    expect(faultOf(bent(0, () => old[0]!).dialer)?.name).toBe("InvalidCryptoExchangeError")
    expect(faultOf(bent(1, () => old[1]!).dialer)?.name).toBe("InvalidCryptoExchangeError")
    expect(faultOf(bent(2, () => old[2]!).listener)?.name).toBe("InvalidCryptoExchangeError")
    // A message sent back to whoever sent it, and one that comes twice.
    const dialer = machine("dialer")
    expect(faultOf(dialer.receive(dialer.start()!))?.name).toBe("InvalidCryptoExchangeError")
    expect(faultOf(machine("listener").receive(concat(old[0]!, old[0]!)))?.name).toBe("InvalidCryptoExchangeError")
  })

  test("bytes of no meaning never throw and never make a session", () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = chance(seed)
      for (const role of ["dialer", "listener"] as const) {
        const hand = machine(role)
        hand.start()
        const step = hand.receive(concat(Uint8Array.of(0, random(1)[0]!), random(400)))
        expect(step._tag).not.toBe("Secured")
      }
    }
  })
})

test("a run is a function of its chance: the same three messages, byte for byte", () => {
  const run = (): ReadonlyArray<Uint8Array> => {
    const wires: Array<Uint8Array> = []
    const keys = noiseKeys(alice, chance(1))
    shake(machine("dialer", { keys }), machine("listener"), (wire) => {
      wires.push(wire.slice())
      return wire
    })
    return wires
  }
  expect(run()).toEqual(run())
})
