/** Peers that break the rules of the conversation: false hellos, broken frames, floods, silence. */
import { Effect } from "effect"
import { concat, utf8, writeU32 } from "../codec/bytes.ts"
import { frameBytesMax, hashesPerMessageMax, helloBytesMax, helloFreshMs } from "../limits.ts"
import type { Message } from "../peer/message.ts"
import { encodeFrame } from "../transport/frame.ts"
import { nodeIdOf } from "../transport/hello.ts"
import {
  type Act,
  type Acts,
  type Answer,
  bannedFor,
  call,
  dial,
  flood,
  helloOn,
  type Liar,
  type Line,
  second,
  sybil,
  type Talk,
  type Victim,
  visit
} from "./liar.ts"

/** The length field of a frame. */
const length = (bytes: number): Uint8Array => {
  const out = new Uint8Array(4)
  writeU32(out, 0, bytes)
  return out
}

// ── before and in the hello ──────────────────────────────────────────────────────────────────────────────────────────

/** Says these bytes where a hello should be, and waits for the door to close. */
const greeting = (
  about: string,
  code: string,
  bytes: (line: Line, liar: Liar) => Uint8Array | Effect.Effect<Uint8Array, unknown>
): Act => ({
  about,
  code,
  expects: "refuse",
  play: (liar) =>
    Effect.gen(function* () {
      const line = yield* dial(liar, liar.victim)
      const made = bytes(line, liar)
      line.write(made instanceof Uint8Array ? made : yield* made)
      yield* line.rest(20 * second)
      line.leave()
    })
})

/** What a node says first to whoever dials it: its hello. */
const helloFrom = (liar: Liar, victim: Victim): Effect.Effect<Uint8Array, unknown> =>
  Effect.gen(function* () {
    const line = yield* dial(liar, victim)
    yield* line.wait(5 * second)
    line.leave()
    return line.read()
  })

/** A hello that was believed once, on another connection. */
const replayed = (liar: Liar): Effect.Effect<Uint8Array, unknown> =>
  Effect.gen(function* () {
    const line = yield* dial(liar, liar.victim)
    const hello = helloOn(line, liar)
    line.write(hello)
    yield* line.wait(5 * second)
    line.leave()
    yield* Effect.sleep(second)
    return hello
  })

/** Writes bytes one by one for so long. */
const drip = (line: Line, bytes: Uint8Array, everyMs: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let at = 0; at < bytes.length && line.ended === undefined; at++) {
      line.write(bytes.subarray(at, at + 1))
      yield* line.rest(everyMs)
    }
  })

const flipLast = (bytes: Uint8Array): Uint8Array => {
  bytes[bytes.length - 1]! ^= 1
  return bytes
}

/** Acts that end before a conversation begins. */
export const hellos: Acts = {
  garbage: greeting("bytes that mean nothing where a hello should be", "frame-refused", (_, { dice }) =>
    dice.bytes(8 + dice.int(2_000))
  ),
  "hello-size": greeting("a hello frame above its bound", "frame-refused", () => length(helloBytesMax + 1)),
  "hello-missing": greeting("a message before the hello", "hello-expected", () =>
    encodeFrame({ tag: "PNG", body: new Uint8Array(1) })
  ),
  "hello-form": greeting("a hello with more in it than it may have", "hello-malformed", (line, liar) =>
    helloOn(line, liar, { capabilities: Array.from({ length: 33 }, () => "x") })
  ),
  "hello-version": greeting("a version of the protocol that is not known", "protocol-version", (line, liar) =>
    helloOn(line, liar, { version: 3 })
  ),
  "hello-chain": greeting("a hello of another chain", "chain-id-mismatch", (line, liar) =>
    helloOn(line, liar, { chainId: "elsewhere" })
  ),
  "hello-genesis": greeting("a hello of a chain with the same name", "genesis-mismatch", (line, liar) =>
    helloOn(line, liar, { genesis: liar.dice.bytes(32) })
  ),
  "hello-stale": greeting("a hello of two minutes ago", "hello-stale", (line, liar) =>
    helloOn(line, liar, { time: liar.host.now - helloFreshMs - second })
  ),
  "hello-future": greeting("a hello of two minutes from now", "hello-stale", (line, liar) =>
    helloOn(line, liar, { time: liar.host.now + helloFreshMs + second })
  ),
  "hello-name": greeting("another node's name over its own key", "node-id-mismatch", (line, liar) =>
    helloOn(line, liar, { nodeId: nodeIdOf(sybil(liar, 0).publicKey) })
  ),
  "hello-key": greeting("another's key and name, signed with its own", "hello-signature", (line, liar) => {
    const { publicKey } = sybil(liar, 0)
    return helloOn(line, liar, { publicKey, nodeId: nodeIdOf(publicKey) })
  }),
  "hello-signature": greeting("a signature with one bit changed", "hello-signature", (line, liar) =>
    flipLast(helloOn(line, liar))
  ),
  "hello-replayed": greeting("its own hello of another connection", "hello-signature", (_, liar) => replayed(liar)),
  "hello-stolen": greeting("the hello that an honest node has just said to it", "hello-signature", (line, liar) => {
    const [other] = liar.others
    return other === undefined ? flipLast(helloOn(line, liar)) : helloFrom(liar, other)
  }),
  "hello-mirrored": greeting("the victim's own hello", "connected-to-self", (line) =>
    Effect.map(line.wait(5 * second), () => line.read())
  ),
  "hello-dripped": {
    about: "a true hello, byte by byte",
    expects: "refuse",
    code: "hello-late",
    play: (liar) => Effect.flatMap(dial(liar, liar.victim), (line) => drip(line, helloOn(line, liar), 200))
  },
  "hello-half": greeting("half a hello, and no more", "hello-late", (line, liar) =>
    helloOn(line, liar).subarray(0, 100)
  ),
  silent: greeting("nothing at all", "nothing said in time", () => new Uint8Array(0))
}

// ── frames, floods, silence ──────────────────────────────────────────────────────────────────────────────────────────

const frame = (about: string, code: string, make: (talk: Talk, liar: Liar) => Uint8Array): Act =>
  bannedFor(about, code, (talk, liar) => {
    talk.line.write(make(talk, liar))
    return talk.converse(2 * second)
  })

const isAnswer = (i: number, { dice }: Liar): Message => {
  const request = 1_000_000 + i
  const answers: ReadonlyArray<Message> = [
    { tag: "HDR", request, headers: dice.bytes(212) },
    { tag: "BLK", request, block: dice.bytes(300) },
    { tag: "NFD", request, hashes: [dice.bytes(32)] },
    { tag: "TXN", request, transactions: [dice.bytes(100)] },
    { tag: "PRS", request, peers: [{ endpoint: "10.9.9.9:9", nodeId: "node1nobody" }] }
  ]
  return answers[i % answers.length]!
}

/** Every kind of message, all sound. */
const samples = ({ dice }: Liar): ReadonlyArray<Message> => [
  { tag: "STS", height: dice.int(100), work: new Uint8Array(32), tip: dice.bytes(32) },
  { tag: "PNG", nonce: dice.int(1e9) },
  { tag: "GHD", request: 1, locator: [dice.bytes(32)], limit: 10 },
  { tag: "HDR", request: 0, headers: dice.bytes(212) },
  { tag: "GBL", request: 2, hashes: [dice.bytes(32)] },
  { tag: "BLK", request: 3, block: dice.bytes(300) },
  { tag: "NFD", request: 3, hashes: [dice.bytes(32)] },
  { tag: "INV", transactions: [dice.bytes(32)] },
  { tag: "GTX", request: 4, hashes: [dice.bytes(32)] },
  { tag: "TXN", request: 4, transactions: [dice.bytes(200)] },
  { tag: "GPR", request: 5 },
  { tag: "PRS", request: 5, peers: [{ endpoint: "10.9.9.9:9", nodeId: "node1nobody" }] },
  { tag: "REJ", code: "seal-wrong", message: "no", blame: "peer", about: dice.bytes(32) }
]

const mutated = (talk: Talk, liar: Liar): Effect.Effect<void> => {
  for (let i = 0; i < 20; i++) talk.line.write(liar.dice.mutate(talk.frame(liar.dice.pick(samples(liar)))))
  return talk.converse(2 * second)
}

/** Asks for blocks that the victim has, and reads none of them; pings so that it is not silent. */
const unread = (talk: Talk, liar: Liar): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hashes = Array.from({ length: hashesPerMessageMax }, () => liar.victim.store.tip().header.hash)
    talk.line.wire?.pause()
    for (let i = 0; i < 8; i++) {
      talk.say({ tag: "GBL", request: i + 1, hashes }, { tag: "PNG", nonce: i })
      yield* Effect.sleep(10 * second)
    }
  })

/** Endpoints that lead nowhere, to the victim itself, to others under a wrong name. */
const poison: (liar: Liar) => Answer = (liar) => (message) => {
  if (message.tag !== "GPR") return undefined
  const { dice, victim, others } = liar
  const nodeId = nodeIdOf(liar.key.publicKey)
  const real = [victim, ...others].map(({ host, port }) => ({ endpoint: `${host}:${port}`, nodeId }))
  const odd = ["", ":", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:99999", "[::1]:x", "localhost:19100", "\u0000:1"]
  const peers = Array.from({ length: 64 - real.length }, (_, i) => ({
    endpoint: odd[i] ?? `10.77.${dice.int(256)}.${dice.int(256)}:${dice.int(65_536)}`,
    nodeId: nodeIdOf(sybil(liar, i).publicKey)
  }))
  return [{ tag: "PRS", request: message.request, peers: [...real, ...peers] }]
}

const poisoning = (liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    for (let i = 0; i < 16; i++) {
      const endpoint = i % 2 === 0 ? "no endpoint at all" : `10.77.0.${i}:1`
      const talk = yield* call(liar, liar.victim, { key: i === 0 ? liar.key : sybil(liar, i), endpoint })
      yield* talk.converse(3 * second, poison(liar))
      talk.line.leave()
    }
  })

/** Comes in a crowd of identities from one address. */
const crowd = (talk: Talk, liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const others: Array<Talk> = []
    for (let i = 0; i < 12; i++) others.push(yield* call(liar, liar.victim, { key: sybil(liar, i) }))
    yield* Effect.all([talk, ...others].map((one) => one.converse(30 * second)), { concurrency: "unbounded" })
    for (const { line } of others) line.leave()
  })

/** Acts of a peer that was believed who it is. */
export const conduct: Acts = {
  "frame-size": frame("a frame above its bound: its length only", "frame-refused", () => length(frameBytesMax + 1)),
  "frame-empty": frame("a frame that has no room for a tag", "frame-refused", () => length(2)),
  "frame-tag": frame("a tag that is not three letters", "frame-refused", () =>
    encodeFrame({ tag: "p!g", body: utf8("x") })
  ),
  "frame-unknown": frame("a tag that nobody knows", "message-malformed", () =>
    encodeFrame({ tag: "XYZ", body: utf8("x") })
  ),
  "frame-hello": frame("a second hello", "message-malformed", ({ line }, liar) => helloOn(line, liar)),
  "frame-number": frame("a number below zero", "message-malformed", (talk) =>
    talk.frame({ tag: "STS", height: -1, work: new Uint8Array(32), tip: new Uint8Array(32) })
  ),
  "frame-mutated": bannedFor("true frames with some bytes changed", undefined, mutated),
  "frame-dripped": visit("the largest frame, byte by byte", "drop", "silent for too long", ({ line }) =>
    drip(line, concat(length(frameBytesMax), utf8("BLK"), new Uint8Array(200)), second)
  ),
  mute: visit("a true hello, and not a word after it", "drop", "silent for too long", ({ line }) =>
    line.rest(90 * second)
  ),
  unread: visit("asks for blocks and reads nothing", "ignore", undefined, unread),
  goodbye: visit("says goodbye, and goes on", "drop", "the peer left", (talk) => {
    talk.say({ tag: "BYE", reason: "enough" }, { tag: "PNG", nonce: 1 })
    return talk.converse(10 * second)
  }),
  "ping-flood": flood("pings without end", "announces-too-much", 4_500, (i) => ({ tag: "PNG", nonce: i })),
  "header-flood": flood("asks for headers without end", "asks-too-often", 260, (i, { rules }) => ({
    tag: "GHD",
    request: i + 1,
    locator: [rules.genesis.header.hash],
    limit: 2_000
  })),
  "block-flood": flood("asks for blocks without end", "asks-too-often", 160, (i, { victim }) => ({
    tag: "GBL",
    request: i + 1,
    hashes: Array.from({ length: hashesPerMessageMax }, () => victim.store.tip().header.hash)
  })),
  "peer-flood": flood("asks for peers without end", "asks-too-often", 450, (i) => ({ tag: "GPR", request: i + 1 })),
  "answer-flood": flood("answers that nobody asked for", "answer-unasked", 20, isAnswer),
  "pong-flood": flood("pongs that nobody asked for", "pong-unasked", 40, (i) => ({ tag: "PON", nonce: 1_000 + i })),
  "announce-flood": flood("more headers at once than are announced", "announces-too-much", 8, (_, { dice }) => ({
    tag: "HDR",
    request: 0,
    headers: dice.bytes(212 * 17)
  })),
  slander: visit("says that all of ours was refused", "ignore", undefined, (talk, { dice }) => {
    for (let i = 0; i < 200; i++)
      talk.say({ tag: "REJ", code: "seal-wrong", message: "x".repeat(512), blame: "peer", about: dice.bytes(32) })
    return talk.converse(10 * second)
  }),
  crowd: visit("a dozen identities at one address", "ignore", undefined, crowd),
  poisoning: { about: "names peers that are none", expects: "ignore", play: poisoning }
}
