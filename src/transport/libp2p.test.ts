/** The channel in a libp2p stream: the connection has proven a key, and the hello must be of it. */
import { expect, test } from "bun:test"
import { keyOf } from "../../test/fixtures.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Message } from "../peer/message.ts"
import type { ChannelOutput } from "./channel.ts"
import { encodeFrame } from "./frame.ts"
import { makeHello, makeProvenHello, nodeIdOf, protocolVersion } from "./hello.ts"
import { chainProtocol, type Libp2pChannelOptions, makeLibp2pChannel } from "./libp2p.ts"

const now = 1_795_219_200_000
const genesis = sha256(new Uint8Array([1]))

/** Node `n` over a connection with node `other`. */
const optionsOf = (n: number, other: number, overrides: Partial<Libp2pChannelOptions> = {}): Libp2pChannelOptions => ({
  chainId: "test",
  genesis,
  nodeId: nodeIdOf(keyOf(n).publicKey),
  publicKey: keyOf(n).publicKey,
  remoteKey: keyOf(other).publicKey,
  endpoint: "",
  agent: "test",
  capabilities: ["transactions"],
  nonce: new Uint8Array(16).fill(n),
  ...overrides
})

const sentBy = (outputs: ReadonlyArray<ChannelOutput>): Uint8Array => {
  const [first] = outputs
  return first?._tag === "Send" ? first.bytes : new Uint8Array(0)
}

const codeOf = (outputs: ReadonlyArray<ChannelOutput>): string => {
  const [output] = outputs
  return output?._tag === "Refused" ? output.code : (output?._tag ?? "nothing")
}

test("each side hears who the connection says is there, and then messages", () => {
  const ping: Message = { tag: "PNG", nonce: 7 }
  const [one, two] = [makeLibp2pChannel(optionsOf(1, 2)), makeLibp2pChannel(optionsOf(2, 1))]
  const heard = two.receive(sentBy(one.open(now)), now)
  expect(heard).toMatchObject([
    { _tag: "Opened", remote: { nodeId: nodeIdOf(keyOf(1).publicKey), capabilities: ["transactions"] } }
  ])
  expect(two.receive(one.encode(ping), now)).toEqual([{ _tag: "Received", message: ping }])
})

test("a hello of another key than the connection's is refused, whoever made it", () => {
  const hello = sentBy(makeLibp2pChannel(optionsOf(1, 2)).open(now))
  const refusal = (overrides: Partial<Libp2pChannelOptions> = {}, at = now): string =>
    codeOf(makeLibp2pChannel(optionsOf(2, 1, overrides)).receive(hello, at))
  expect(refusal()).toBe("Opened")
  expect(refusal({ remoteKey: keyOf(3).publicKey })).toBe("node-id-mismatch")
  expect(refusal({ chainId: "other" })).toBe("chain-id-mismatch")
  expect(refusal({ genesis: sha256(new Uint8Array([2])) })).toBe("genesis-mismatch")
  expect(refusal({ nodeId: nodeIdOf(keyOf(1).publicKey) })).toBe("connected-to-self")
  expect(refusal({}, now + 120_001)).toBe("hello-stale")
})

test("the forms do not pass for each other: a signed hello is none here", () => {
  const hello = {
    ...{ version: protocolVersion, chainId: "test", genesis, nodeId: nodeIdOf(keyOf(1).publicKey) },
    ...{ publicKey: keyOf(1).publicKey, endpoint: "", agent: "", capabilities: [], gossip: "" },
    ...{ gossipKey: new Uint8Array(0), url: "", time: now, nonce: new Uint8Array(16) }
  }
  const hear = (body: Uint8Array): string =>
    codeOf(makeLibp2pChannel(optionsOf(2, 1)).receive(encodeFrame({ tag: "HEY", body }), now))
  expect(hear(makeHello(hello, keyOf(1), new Uint8Array(32)))).toBe("hello-malformed")
  expect(hear(makeProvenHello({ ...hello, nodeId: nodeIdOf(keyOf(3).publicKey) }))).toBe("node-id-mismatch")
  expect(hear(makeProvenHello(hello))).toBe("Opened")
})

test("before the hello nothing else is heard, it must come in time, and a long frame ends the session", () => {
  const early = makeLibp2pChannel(optionsOf(1, 2))
  expect(codeOf(early.receive(early.encode({ tag: "PNG", nonce: 1 }), now))).toBe("hello-expected")
  const long = makeLibp2pChannel(optionsOf(1, 2))
  expect(codeOf(long.receive(new Uint8Array([0, 0x20, 0, 0]), now))).toBe("frame-refused")
  const late = makeLibp2pChannel(optionsOf(1, 2))
  late.open(now)
  expect(codeOf(late.tick(now + 60_000))).toBe("hello-late")
})

test("a chain has a protocol of its own", () => {
  expect(chainProtocol("cairn-dev")).toBe("/cairn/cairn-dev/1")
})
