/** What peers may send: nothing throws, every message comes back as it was, frames survive any cut. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { concat, toHex } from "../../src/codec/bytes.ts"
import { decodeMessage, encodeMessage, type Message, type Tag } from "../../src/peer/message.ts"
import { encodeFrame, type Frame, FrameReader } from "../../src/transport/frame.ts"
import {
  checkHello,
  checkProvenHello,
  makeHello,
  makeProvenHello,
  nodeIdOf,
  SeenNonces
} from "../../src/transport/hello.ts"
import { makeNativeChannel } from "../../src/transport/native.ts"
import { keyOf } from "../fixtures.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"

const hashes = (dice: Dice): ReadonlyArray<Uint8Array> => Array.from({ length: dice.int(5) }, () => dice.bytes(32))

const samples = (dice: Dice): ReadonlyArray<Message> => [
  { tag: "STS", height: dice.int(1e9), work: dice.bytes(32), tip: dice.bytes(32) },
  { tag: "PNG", nonce: dice.int(1e9) },
  { tag: "PON", nonce: dice.int(1e9) },
  { tag: "GHD", request: 1, locator: hashes(dice), limit: 2000 },
  { tag: "HDR", request: 1, headers: dice.bytes(212 * dice.int(4)) },
  { tag: "GBL", request: 2, hashes: hashes(dice) },
  { tag: "BLK", request: 2, block: dice.bytes(212 + dice.int(500)) },
  { tag: "NFD", request: 2, hashes: hashes(dice) },
  { tag: "INV", transactions: hashes(dice) },
  { tag: "GTX", request: 3, hashes: hashes(dice) },
  { tag: "TXN", request: 3, transactions: [dice.bytes(1 + dice.int(1024))] },
  { tag: "GPR", request: 4 },
  { tag: "PRS", request: 4, peers: [{ endpoint: "127.0.0.1:1", nodeId: "node1x" }] },
  { tag: "REJ", code: "seal-wrong", message: "no", blame: "peer", about: dice.bytes(32) },
  { tag: "BYE", reason: "enough" },
  { tag: "EVD", evidence: dice.bytes(678) },
  { tag: "GPH", request: 5, locator: hashes(dice), limit: 2000 },
  { tag: "PHD", request: 5, after: dice.bytes(32), page: dice.bytes(dice.int(300)) },
  { tag: "GPF", request: 6, of: dice.bytes(dice.pick([20, 32, 36])) },
  { tag: "PRF", request: 6, proof: dice.bytes(dice.int(600)) },
  { tag: "GFH", request: 7, start: dice.int(1e6), every: 1 + dice.int(1000), stop: dice.bytes(32) },
  { tag: "FHD", request: 7, headers: dice.bytes(32 * dice.int(5)) },
  { tag: "GFL", request: 8, start: dice.int(1e6), stop: dice.bytes(32) },
  { tag: "FLT", request: 8, filters: Array.from({ length: dice.int(4) }, () => dice.bytes(1 + dice.int(60))) },
  { tag: "GVT", above: dice.int(1e6) },
  { tag: "VOT", votes: Array.from({ length: dice.int(4) }, () => dice.bytes(177)) }
]

test("every message comes back as it was, and a changed one is refused or is another message", () => {
  for (let seed = 0; seed < 40; seed++) {
    const dice = makeDice(seed)
    for (const message of samples(dice)) {
      const { tag, body } = encodeMessage(message)
      const back = decodeMessage({ tag, body })
      expect(Result.isSuccess(back) && toHex(encodeMessage(back.success).body)).toBe(toHex(body))
      const changed = dice.mutate(body)
      const other = decodeMessage({ tag, body: changed })
      if (Result.isSuccess(other)) expect(toHex(encodeMessage(other.success).body)).toBe(toHex(changed))
    }
  }
})

test("what is out of bounds is refused: an unknown tag, a missing or a further field, too long a list", () => {
  const dice = makeDice(1)
  const refused = (tag: string, body: Uint8Array): boolean => Result.isFailure(decodeMessage({ tag, body }))
  const [status] = samples(dice)
  expect(refused("XXX", encodeMessage(status!).body)).toBe(true)
  expect(refused("PNG", encodeMessage(status!).body)).toBe(true)
  expect(
    refused(
      "GTX",
      encodeMessage({ tag: "GBL", request: 1, hashes: Array.from({ length: 513 }, () => dice.bytes(32)) }).body
    )
  ).toBe(true)
  expect(refused("HDR", encodeMessage({ tag: "HDR", request: 1, headers: dice.bytes(213) }).body)).toBe(true)
  expect(refused("__proto__", new Uint8Array([0x80]))).toBe(true)
})

const framesOf = (reader: FrameReader): ReadonlyArray<Frame | string> => {
  const out: Array<Frame | string> = []
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    out.push(frame)
    if (typeof frame === "string") break
  }
  return out
}
const textOf = (frames: ReadonlyArray<Frame | string>): string =>
  frames.map((frame) => (typeof frame === "string" ? frame : frame.tag + toHex(frame.body))).join(" ")

test("a stream of frames cut anywhere gives the same frames", () => {
  const dice = makeDice(2)
  const bytes = concat(...samples(dice).map((message) => encodeFrame(encodeMessage(message))))
  const whole = new FrameReader(10_000)
  whole.push(bytes)
  const expected = textOf(framesOf(whole))
  for (let round = 0; round < 60; round++) {
    const reader = new FrameReader(10_000)
    const frames: Array<Frame | string> = []
    for (let at = 0; at < bytes.length; ) {
      const size = round === 0 ? 1 : 1 + dice.int(700)
      reader.push(bytes.subarray(at, at + size))
      frames.push(...framesOf(reader))
      at += size
    }
    expect(textOf(frames)).toBe(expected)
  }
})

test("a frame that is too long is refused by its length alone, and random bytes never throw", () => {
  const long = new FrameReader(100)
  long.push(new Uint8Array([101, 0, 0, 0]))
  expect(long.next()).toContain("101 bytes")
  const dice = makeDice(3)
  for (let i = 0; i < 2000; i++) {
    const reader = new FrameReader(1000)
    reader.push(dice.bytes(dice.int(80)))
    framesOf(reader)
  }
})

test("a hello is taken only as it was signed, whatever is changed in it", () => {
  const dice = makeDice(4)
  const binding = dice.bytes(32)
  const key = keyOf(1)
  const genesis = dice.bytes(32)
  const hello = {
    version: 1,
    chainId: "test",
    genesis,
    nodeId: nodeIdOf(key.publicKey),
    publicKey: key.publicKey,
    endpoint: "",
    agent: "a",
    capabilities: [],
    gossip: "127.0.0.1:19090",
    gossipKey: new Uint8Array(32).fill(9),
    url: "https://node.example",
    time: 1000,
    nonce: dice.bytes(16)
  }
  const body = makeHello(hello, key, binding)
  const check = (bytes: Uint8Array) =>
    checkHello(bytes, { chainId: "test", genesis, nodeId: "node1other", binding, now: 1000, seen: new SeenNonces() })
  expect(Result.isSuccess(check(body))).toBe(true)
  for (let i = 0; i < 1000; i++) {
    const changed = dice.mutate(body)
    if (toHex(changed) !== toHex(body)) expect(Result.isFailure(check(changed))).toBe(true)
    check(dice.bytes(dice.int(300)))
  }
})

test("a hello without a signature is of the key that the connection has proven, whatever is changed in it", () => {
  const dice = makeDice(5)
  const { publicKey } = keyOf(1)
  const genesis = dice.bytes(32)
  const body = makeProvenHello({
    ...{ version: 1, chainId: "test", genesis, nodeId: nodeIdOf(publicKey), publicKey },
    ...{ endpoint: "/ip4/192.0.2.7/tcp/4001/p2p/16Uiu2HAmFyscSqSJNAMesP2A3jLd2ahB8zPeBbX2idoBvURWXYuX", agent: "a" },
    ...{ capabilities: ["transactions"], gossip: "", gossipKey: new Uint8Array(0), url: "" },
    ...{ time: 1000, nonce: dice.bytes(16) }
  })
  const check = (bytes: Uint8Array) =>
    checkProvenHello(bytes, { chainId: "test", genesis, nodeId: "node1other", now: 1000, remoteKey: publicKey })
  expect(Result.isSuccess(check(body))).toBe(true)
  let taken = 0
  for (let i = 0; i < 2000; i++) {
    const checked = check(dice.mutate(body))
    check(dice.bytes(dice.int(300)))
    if (Result.isFailure(checked)) continue
    taken++
    const { success } = checked
    expect([toHex(success.publicKey), success.nodeId]).toEqual([toHex(publicKey), nodeIdOf(publicKey)])
    expect([toHex(success.genesis), success.chainId, success.version]).toEqual([toHex(genesis), "test", 1])
  }
  // What it only says of itself may be anything that has the form.
  expect(taken).toBeGreaterThan(0)
  for (let length = 0; length < body.length; length++)
    expect(Result.isFailure(check(body.subarray(0, length)))).toBe(true)
})

/** Every tag there is: a message without a sample does not compile. */
const everyTag: { readonly [T in Tag]: true } = {
  STS: true,
  PNG: true,
  PON: true,
  GHD: true,
  HDR: true,
  GBL: true,
  BLK: true,
  NFD: true,
  INV: true,
  GTX: true,
  TXN: true,
  GPR: true,
  PRS: true,
  REJ: true,
  BYE: true,
  EVD: true,
  GPH: true,
  PHD: true,
  GPF: true,
  PRF: true,
  GFH: true,
  FHD: true,
  GFL: true,
  FLT: true,
  GVT: true,
  VOT: true
}

test("there is a sample of every message, and it comes back field by field", () => {
  const messages = samples(makeDice(5))
  expect(messages.map(({ tag }) => tag).sort()).toEqual(Object.keys(everyTag).sort() as Array<Tag>)
  for (const message of messages) expect(decodeMessage(encodeMessage(message))).toEqual(Result.succeed(message))
})

test("random bodies never throw, under any tag", () => {
  const dice = makeDice(6)
  const tags = [...Object.keys(everyTag), "HEY", "ZZZ"]
  for (let i = 0; i < 10_000; i++) decodeMessage({ tag: dice.pick(tags), body: dice.bytes(dice.int(80)) })
})

test("two frames cut in two at every byte are the same frames", () => {
  const dice = makeDice(7)
  for (const message of samples(dice)) {
    const frame = encodeFrame(encodeMessage(message))
    const bytes = concat(frame, frame)
    const whole = new FrameReader(10_000)
    whole.push(bytes)
    const expected = textOf(framesOf(whole))
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new FrameReader(10_000)
      reader.push(bytes.subarray(0, cut))
      const before = framesOf(reader)
      reader.push(bytes.subarray(cut))
      expect(textOf([...before, ...framesOf(reader)])).toBe(expected)
    }
  }
})

test("a channel never throws, is refused at most once, and hears nothing after that", () => {
  const genesis = new Uint8Array(32).fill(3)
  const binding = new Uint8Array(32).fill(4)
  const channelOf = (of: number) =>
    makeNativeChannel({
      chainId: "test",
      genesis,
      key: keyOf(of),
      nodeId: nodeIdOf(keyOf(of).publicKey),
      endpoint: "",
      agent: "a",
      capabilities: [],
      binding,
      nonce: new Uint8Array(16).fill(of),
      seen: new SeenNonces()
    })
  const [hello] = channelOf(1).open(1000)
  const greeting = hello?._tag === "Send" ? hello.bytes : new Uint8Array(0)
  let opened = 0
  for (let seed = 0; seed < 500; seed++) {
    const dice = makeDice(seed)
    const channel = channelOf(2)
    channel.open(1000)
    const frames = samples(dice).map((message) => channel.encode(message))
    const stream = concat(dice.chance(0.7) ? greeting : dice.mutate(greeting), ...frames.map((f) => dice.mutate(f)))
    const outputs = []
    for (let at = 0; at < stream.length; ) {
      const size = 1 + dice.int(400)
      outputs.push(...channel.receive(stream.subarray(at, at + size), 1000))
      at += size
    }
    const kinds = outputs.map(({ _tag }) => _tag)
    if (kinds[0] === "Opened") opened++
    else expect(kinds).not.toContain("Received")
    const refused = kinds.indexOf("Refused")
    if (refused < 0) continue
    expect(refused).toBe(kinds.length - 1)
    expect(channel.receive(greeting, 1000)).toEqual([])
  }
  expect(opened).toBeGreaterThan(200)
})
