/** The pattern XX against the published transcripts of its exact protocol name, with every engine that loads. */
import { describe, expect, test } from "bun:test"
import { Bug } from "../assert.ts"
import { concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { loadAeadNamed } from "../crypto/chacha-engine.ts"
import { x25519KeyPair } from "../crypto/x25519.ts"
import { Libp2pFault } from "./fault.ts"
import { CipherState, noncesMax, XxHandshake } from "./noise-xx.ts"

/**
 * The four transcripts of Noise_XX_25519_ChaChaPoly_SHA256 in vectors.txt of github.com/flynn/noise v1.1.0 (BSD-3-Clause): the
 * library that go-libp2p uses. They differ in prologue and payloads; keys and the two messages after the handshake are the same.
 */
const secrets = {
  initStatic: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  respStatic: "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
  initEphemeral: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
  respEphemeral: "4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60"
}
const ephemerals = {
  init: "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254",
  resp: "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466"
}
const statics = {
  resp: "3414af878d3e46a2f58911a816d6e8346d4ea17a6f2a0bb4ef4ed56c133cff45",
  init: "87f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d9"
}
const after = [
  ["yellowsubmarine", "a52ef02ba60e12696d1d6b9ef4245c88fca757b6134ad6e76b56e310a6adf6"],
  ["submarineyellow", "2445aa438ebd649281c636cc7269ca82f1d9023d72520943aeabf909cdf521"]
] as const
/** Prologue, payloads, and what follows the keys in the second and in the third message. */
const transcripts = [
  {
    prologue: "",
    payloads: ["", "", ""],
    second: "60a34e36ea82109f26cf2e5a5caf992b608d55c747f615e5a3425a7a19eefb8f",
    third: "7e5ea11b16f3968710b23a3be3202dc1b5e1ce3c963347491e74f5c0768a9b42"
  },
  {
    prologue: "",
    payloads: ["test_msg_0", "test_msg_1", "test_msg_2"],
    second: "72e7a2ba5123ac30618b3d205f5c2d17f50cbca216483ac56bcc78e33bf520303278db641e5e731b2e3a",
    third: "f27e318e43ba630594c4d08eeb3b36d97c7377a2f4f9144b2f0c8095ad92140505b2ab53eff244b14138"
  },
  {
    prologue: "notsecret",
    payloads: ["", "", ""],
    second: "88f043d1e49a3289b1beeab8f96b0551a48cddf9f38b1a12e46c6908644198f3",
    third: "5a04fa1f1c41fb3f00d496f242c1e44ce5b749b3d54bf74cea2dad086d601fb6"
  },
  {
    prologue: "notsecret",
    payloads: ["test_msg_0", "test_msg_1", "test_msg_2"],
    second: "45958c588d17d6373e0c1dcfa3755d37f50cbca216483ac56bcc98f5095870aa814ba40c08079c11f087",
    third: "c1e9a1a313d02b78871cfd178a521a4c7c7377a2f4f9144b2f0ccedc84d379151b466741e4b266db6023"
  }
] as const

const names = ["sodium-native", "wasm", "noble"] as const
const engines = names.flatMap((name) => loadAeadNamed(name) ?? [])
const none = new Uint8Array(0)
const pair = (hex: string) => x25519KeyPair(fromHex(hex)!)
const sides = (prologue: Uint8Array, engine = engines[0]!) =>
  [
    new XxHandshake({
      initiator: true,
      prologue,
      staticKey: pair(secrets.initStatic),
      ephemeral: pair(secrets.initEphemeral),
      engine
    }),
    new XxHandshake({
      initiator: false,
      prologue,
      staticKey: pair(secrets.respStatic),
      ephemeral: pair(secrets.respEphemeral),
      engine
    })
  ] as const
const written = (message: Uint8Array | Libp2pFault): Uint8Array => {
  if (message instanceof Libp2pFault) throw message
  return message
}
/** The text of a fault, or "" of anything else. */
const faultOf = (result: Uint8Array | Libp2pFault): string => (result instanceof Libp2pFault ? result.message : "")

describe.each(engines.map((engine) => [engine.name, engine] as const))("with %s", (_, engine) => {
  test.each(transcripts)("a transcript, byte for byte: %#", ({ prologue, payloads, second, third }) => {
    const [initiator, responder] = sides(utf8(prologue), engine)
    const expected = [
      ephemerals.init + toHex(utf8(payloads[0])),
      ephemerals.resp + statics.resp + second,
      statics.init + third
    ]
    const turns = [
      [initiator, responder],
      [responder, initiator],
      [initiator, responder]
    ] as const
    turns.forEach(([writer, reader], i) => {
      const message = written(writer.write(utf8(payloads[i]!)))
      expect(toHex(message)).toBe(expected[i]!)
      expect(toHex(written(reader.read(message)))).toBe(toHex(utf8(payloads[i]!)))
    })
    expect(initiator.remoteStatic).toEqual(pair(secrets.respStatic).publicKey)
    expect(responder.remoteStatic).toEqual(pair(secrets.initStatic).publicKey)

    const [one, two] = [initiator.split(), responder.split()]
    expect(one.hash).toEqual(two.hash)
    const ways = [
      [one.sending, two.receiving],
      [two.sending, one.receiving]
    ] as const
    ways.forEach(([sending, receiving], i) => {
      const plain = utf8(after[i]![0])
      const sealed = new Uint8Array(plain.length + 16)
      sending.seal(none, plain, sealed)
      expect(toHex(sealed)).toBe(after[i]![1])
      const out = new Uint8Array(plain.length)
      expect(receiving.open(none, sealed, out)).toBe(true)
      expect(toHex(out)).toBe(toHex(plain))
    })
  })
})

test("another prologue on one side ends with the second message", () => {
  const [initiator] = sides(utf8("a"))
  const [, responder] = sides(utf8("b"))
  responder.read(written(initiator.write(none)))
  expect(initiator.read(written(responder.write(none)))).toBeInstanceOf(Libp2pFault)
})

/** Points of small order on Curve25519: with them every secret comes to zero (RFC 7748, section 6.1). */
const weak = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`
]

test.each(weak)("a key with which every secret is zero is refused: %s", (hex) => {
  const [initiator, responder] = sides(none)
  // To the responder: it notices as it makes its answer.
  responder.read(fromHex(hex)!)
  expect(faultOf(responder.write(none))).toBe("noise: a key of the peer is no key")
  // To the initiator, who notices before there is anything to decrypt.
  written(initiator.write(none))
  const refused = initiator.read(concat(fromHex(hex)!, new Uint8Array(64)))
  expect(faultOf(refused)).toBe("noise: a key of the peer is no key")
})

test("messages out of turn, a fourth one, and a split before the end are bugs of the caller", () => {
  const [initiator, responder] = sides(none)
  expect(() => responder.write(none)).toThrow(Bug)
  expect(() => initiator.read(new Uint8Array(32))).toThrow(Bug)
  expect(() => initiator.split()).toThrow(Bug)
  responder.read(written(initiator.write(none)))
  initiator.read(written(responder.write(none)))
  responder.read(written(initiator.write(none)))
  expect(() => initiator.write(none)).toThrow(Bug)
})

test("a message that ends within a key is too short", () => {
  const [initiator, responder] = sides(none)
  expect(faultOf(responder.read(new Uint8Array(31)))).toBe("noise: a message of the handshake is too short")
  written(initiator.write(none))
  const second = sides(none)[1]
  second.read(written(sides(none)[0].write(none)))
  const cut = written(second.write(none)).subarray(0, 32 + 47)
  expect(faultOf(initiator.read(cut))).toBe("noise: a message of the handshake is too short")
})

test("a cipher counts in 64 bits, and ends before a nonce comes twice", () => {
  const key = engines[0]!.key(new Uint8Array(32))
  const out = new Uint8Array(16)
  const nonces = [
    [1, "000000000100000000000000"],
    [0xffff_ffff, "00000000ffffffff00000000"],
    [0x1_0000_0000, "000000000000000001000000"],
    [noncesMax - 1, "00000000feffffffffff1f00"]
  ] as const
  for (const [counter, nonce] of nonces) {
    new CipherState(key, counter).seal(none, none, out)
    expect(key.open(fromHex(nonce)!, none, out, none)).toBe(true)
  }
  const last = new CipherState(key, noncesMax - 1)
  expect(last.has(1)).toBe(true)
  expect(last.has(2)).toBe(false)
  last.seal(none, none, out)
  expect(last.has(1)).toBe(false)
  expect(last.open(none, out, none)).toBe(false)
  expect(() => last.seal(none, none, out)).toThrow(Bug)
})
