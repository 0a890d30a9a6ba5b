/** Identify and its push between two ends: what is told arrives and is kept, what is not theirs is refused, and nothing hangs. */
import { describe, expect, test } from "bun:test"
import { connect, settle, TestClock, TestNode, type TestNodeInit } from "../../test/host-net.ts"
import { concatAll, utf8 } from "../codec/bytes.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { frameOf } from "../libp2p/frame.ts"
import {
  encodeIdentify,
  type IdentifyMessage,
  identifyMessageBytesMax,
  identifyMessagesMax,
  identifyProtocol,
  identifyPushProtocol
} from "../libp2p/identify.ts"
import { keyFromSeed } from "../libp2p/key.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { sealPeerRecord } from "../libp2p/peer-record.ts"
import type { StreamHandler } from "./api.ts"
import {
  type IdentifyInit,
  type IdentifyPushInit,
  identify,
  identifyPush,
  identifyTimeoutMs,
  pushDebounceMs,
  pushEveryMs,
  pushesMax
} from "./identify-service.ts"

const first = "/ip4/198.18.0.2/tcp/4001"
const second = "/ip4/198.18.0.3/tcp/4002"
const nothing: IdentifyMessage = {
  publicKey: undefined,
  listenAddrs: [],
  protocols: [],
  observedAddr: undefined,
  protocolVersion: undefined,
  agentVersion: undefined,
  signedPeerRecord: undefined
}
const good = encodeIdentify({ ...nothing, protocols: ["/good/1"] })
const keyOf = (seed: number) => {
  const privateKey = keyFromSeed(new Uint8Array(32).fill(seed))
  if (privateKey instanceof Libp2pFault) throw privateKey
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}
const record = (seed: number, seq: bigint, ...addresses: ReadonlyArray<string>) =>
  sealPeerRecord(
    keyOf(seed),
    seq,
    addresses.map((text) => multiaddr(text))
  )
const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  expect(fault).toBeInstanceOf(Libp2pFault)
  return fault as Libp2pFault
}

interface PairInit {
  readonly b?: TestNodeInit
  readonly init?: IdentifyInit
  readonly push?: IdentifyPushInit
}

const pair = async ({ b: bInit, init, push }: PairInit = {}) => {
  const clock = new TestClock()
  const a = new TestNode(clock, 1)
  const b = new TestNode(clock, 2, { bound: [first], ...bInit })
  const services = [identify(init)(a.components), identifyPush(push)(a.components)] as const
  const others = [identify(init)(b.components), identifyPush(push)(b.components)] as const
  for (const node of [a, b]) {
    node.peerStore.start()
    await node.addressManager.start()
  }
  for (const service of [...services, ...others]) await service.start!()
  return { clock, a, b, asking: services[0], pushing: others[1], all: [...services, ...others] }
}
/** A handler that says these bytes and is done. */
const saying =
  (bytes: Uint8Array): StreamHandler =>
  async (stream) => {
    stream.send(bytes)
    await stream.close().catch(() => undefined)
  }
const kept = async (node: TestNode, of: TestNode) =>
  (await node.peerStore.get(of.peerId)).addresses.map(
    ({ multiaddr: one, isCertified }) => `${one}${isCertified ? " !" : ""}`
  )

describe("identify", () => {
  test("runs when a connection opens, both ways; what is told is kept and said", async () => {
    const { a, b } = await pair()
    for (const type of ["peer:identify", "identify:response"] as const) a.listen(type)
    const [ours] = connect(a, b)
    await settle()
    const peer = await a.peerStore.get(b.peerId)
    expect(await kept(a, b)).toEqual([`${first} !`])
    expect(peer.protocols).toEqual([identifyProtocol, identifyPushProtocol])
    expect(peer.metadata).toEqual(
      new Map([
        ["AgentVersion", utf8("test/2")],
        ["ProtocolVersion", utf8("ipfs/0.1.0")]
      ])
    )
    const found = a.told.find(({ type }) => type === "peer:identify")!.detail
    expect(found).toMatchObject({ agentVersion: "test/2", protocolVersion: "ipfs/0.1.0", connection: ours })
    expect(found).toMatchObject({ signedPeerRecord: { seq: BigInt(a.clock.now) } })
    expect(String((found as { observedAddr: unknown }).observedAddr)).toBe("/ip4/198.18.0.1/tcp/50000")
    expect(a.told.filter(({ type }) => type === "identify:response").length).toBe(1)
    expect((await b.peerStore.get(a.peerId)).protocols).toEqual([identifyProtocol, identifyPushProtocol])
    expect(ours.streams.length).toBe(0)
  })

  test("does not run by itself when it is told not to; asked twice at once it asks once", async () => {
    const { a, b, asking } = await pair({ init: { runOnConnectionOpen: false } })
    const [ours] = connect(a, b)
    await settle()
    expect(ours.opened).toBe(0)
    const results = await Promise.all([asking.identify(ours), asking.identify(ours)])
    expect(results[0]).toBe(results[1])
    expect(ours.opened).toBe(1)
    await asking.identify(ours)
    expect(ours.opened).toBe(2)
  })

  test("another prefix is another protocol", async () => {
    const { a, b } = await pair({ init: { protocolPrefix: "cairn" } })
    connect(a, b)
    await settle()
    expect((await a.peerStore.get(b.peerId)).protocols).toContain("/cairn/id/1.0.0")
  })

  test.each([
    ["the key of another peer", { ...nothing, publicKey: keyOf(7).privateKey.publicKey.protobuf }, "verify"],
    ["a key that is none", { ...nothing, publicKey: utf8("key") }, "decode"],
    ["a record of another peer", { ...nothing, signedPeerRecord: record(7, 1n, first) }, "verify"],
    ["a record that is none", { ...nothing, signedPeerRecord: utf8("record") }, "decode"]
  ] as const)("%s is refused, and nothing of the answer is kept", async (_, message, kind) => {
    const { a, b } = await pair()
    a.listen("peer:identify:failure")
    b.handlers.set(identifyProtocol, {
      handler: saying(encodeIdentify({ ...message, agentVersion: "bad" })),
      options: {}
    })
    const [ours] = connect(a, b)
    await settle()
    expect(a.told).toMatchObject([{ detail: { connection: ours, error: { kind } } }])
    expect(await a.peerStore.has(b.peerId)).toBe(false)
  })

  test.each([
    ["whose message says that it is too long", frameOf(new Uint8Array(identifyMessageBytesMax + 1)), "decode"],
    [
      "that is good, and goes on with a message that is too long",
      concatAll([good, frameOf(new Uint8Array(identifyMessageBytesMax + 1))]),
      "decode"
    ],
    [
      "of more messages than one may have",
      concatAll(Array.from({ length: identifyMessagesMax + 1 }, () => good)),
      "protocol"
    ]
  ] as const)("an answer %s is told of as a failure, and nothing of it is kept", async (_, bytes, kind) => {
    const { a, b } = await pair()
    for (const type of ["peer:identify:failure", "peer:identify", "peer:update"] as const) a.listen(type)
    b.handlers.set(identifyProtocol, { handler: saying(bytes), options: {} })
    const [ours, theirs] = connect(a, b)
    await settle()
    expect(a.told).toMatchObject([
      { type: "peer:identify:failure", detail: { connection: ours, error: { kind, name: "InvalidMessageError" } } }
    ])
    expect(await a.peerStore.has(b.peerId)).toBe(false)
    expect([ours.status, ours.streams.length, theirs.streams.length]).toEqual(["open", 0, 0])
    // The same answer within its limits is kept: it was its length alone.
    b.handlers.set(identifyProtocol, { handler: saying(good), options: {} })
    a.events.safeDispatchEvent("connection:open", { detail: ours })
    await settle()
    expect((await a.peerStore.get(b.peerId)).protocols).toEqual(["/good/1"])
  })

  test.each([
    ["nothing", new Uint8Array(0), "decode"],
    ["half a message", Uint8Array.of(9, 1), "decode"],
    ["too long a message", Uint8Array.of(0xff, 0xff, 0x03), "decode"],
    ["too many messages", concatAll(Array.from({ length: 11 }, () => Uint8Array.of(0))), "protocol"]
  ] as const)("%s is a fault, and the stream is gone", async (_, bytes, kind) => {
    const { a, b, asking } = await pair({ init: { runOnConnectionOpen: false } })
    b.handlers.set(identifyProtocol, { handler: saying(bytes), options: {} })
    const [ours, theirs] = connect(a, b)
    expect(await faultOf(asking.identify(ours))).toMatchObject({ kind, name: "InvalidMessageError" })
    await settle()
    expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
  })

  test("a peer that says nothing, and one whose link stalls, are timeouts; the caller's signal is sooner", async () => {
    const { clock, a, b, asking } = await pair({ init: { runOnConnectionOpen: false } })
    b.handlers.set(identifyProtocol, { handler: () => {}, options: {} })
    const [ours, theirs] = connect(a, b)
    for (const stalled of [false, true]) {
      theirs.stalled = stalled
      const waiting = faultOf(asking.identify(ours))
      await clock.advance(identifyTimeoutMs)
      expect(await waiting).toMatchObject({ kind: "timeout", name: "TimeoutError" })
      await settle()
      expect([ours.streams.length, theirs.streams.length]).toEqual([0, 0])
    }
    const controller = new AbortController()
    const waiting = faultOf(asking.identify(ours, { signal: controller.signal }))
    controller.abort()
    expect((await waiting).name).toBe("AbortError")
  })

  test("a peer that does not take our answer in time loses its stream", async () => {
    const { clock, a, b } = await pair({ init: { runOnConnectionOpen: false } })
    const [ours, theirs] = connect(a, b)
    theirs.stalled = true
    const refused = faultOf(ours.newStream(identifyProtocol))
    await clock.advance(identifyTimeoutMs - 1)
    expect(theirs.streams.length).toBe(1)
    await clock.advance(1)
    expect([theirs.streams.length, (await refused).kind]).toEqual([0, "closed"])
  })

  test("what a peer says to who only answers is thrown away, and its credit goes back", async () => {
    const { clock, a, b } = await pair({ init: { runOnConnectionOpen: false } })
    const [ours, theirs] = connect(a, b)
    const stream = await ours.newStream(identifyProtocol)
    const answer: Array<Uint8Array> = []
    for await (const bytes of stream) answer.push(bytes)
    expect(concatAll(answer).length).toBeGreaterThan(0)
    const [their] = theirs.streams
    stream.send(new Uint8Array(1_000))
    await clock.advance(0)
    expect([their?.readStatus, their?.readBufferLength]).toEqual(["closed", 0])
  })

  test("an older record changes no address, the same one keeps them alive, unsigned ones stand beside the signed", async () => {
    const { clock, a, b, asking } = await pair({ init: { runOnConnectionOpen: false } })
    const [ours] = connect(a, b)
    const tell = async (message: Partial<IdentifyMessage>): Promise<ReadonlyArray<string>> => {
      b.handlers.set(identifyProtocol, { handler: saying(encodeIdentify({ ...nothing, ...message })), options: {} })
      await asking.identify(ours)
      return kept(a, b)
    }
    const unsigned = { listenAddrs: [multiaddr(second).bytes, utf8("no address")] }
    expect(await tell(unsigned)).toEqual([second])
    expect(await tell({ ...unsigned, signedPeerRecord: record(2, 5n, first) })).toEqual([`${first} !`])
    expect(await tell({ signedPeerRecord: record(2, 4n, second) })).toEqual([`${first} !`])
    expect(await tell(unsigned)).toEqual([`${first} !`, second])
    a.events.safeDispatchEvent("peer:disconnect", { detail: b.peerId })
    await clock.advance(3_000_000)
    expect(await tell({ signedPeerRecord: record(2, 5n, first) })).toEqual([`${first} !`])
    await clock.advance(3_000_000)
    expect(await kept(a, b)).toEqual([`${first} !`])
    expect(await tell({ signedPeerRecord: record(2, 6n, second) })).toEqual([`${second} !`])
  })

  test("who dialled us says which address led to us; several networks must say so", async () => {
    const { a, b } = await pair()
    const seen = "/ip4/8.8.8.8/tcp/4001"
    const from = [1, 2, 3, 4].map((n) => `/ip4/9.9.9.${n}/tcp/50000`)
    connect(a, b, [from[0]!, seen])
    connect(a, b, [from[0]!, seen])
    await settle()
    const verified = () => b.addressManager.getAddressesWithMetadata().filter(({ type }) => type === "observed")
    b.addressManager.addObservedAddr(multiaddr(seen), "one")
    expect(b.addressManager.getObservedAddrs().map(String)).toEqual([seen])
    expect(a.addressManager.getObservedAddrs()).toEqual([])
    expect(verified().map(({ verified: is }) => is)).toEqual([false])
  })
})

describe("push", () => {
  const changed = async (node: TestNode): Promise<void> => {
    node.addressManager.addRelayAddr(multiaddr(`${second}/p2p/${keyOf(9).peerId}/p2p-circuit`))
    await settle()
  }
  const relayed = `${second}/p2p/${keyOf(9).peerId}/p2p-circuit`

  test("tells connected peers what is new of us, once for several changes", async () => {
    const { clock, a, b } = await pair()
    const [, theirs] = connect(a, b)
    await clock.advance(pushDebounceMs * 3)
    const before = theirs.opened
    await changed(b)
    await b.peerStore.merge(b.peerId, { protocols: ["/new"] })
    expect(await kept(a, b)).toEqual([`${first} !`])
    await clock.advance(pushDebounceMs * 3)
    expect(await kept(a, b)).toEqual([`${first} !`, `${relayed} !`])
    expect(theirs.opened - before).toBe(1)
  })

  test("goes to nobody who does not want it, and only over one connection of a peer", async () => {
    const { clock, a, b, pushing } = await pair({ push: { runOnSelfUpdate: false } })
    const links = [connect(a, b)[1], connect(a, b)[1]]
    await settle()
    const opened = () => links.reduce((sum, link) => sum + link.opened, 0)
    const before = opened()
    await pushing.push()
    await pushing.push()
    await clock.advance(pushDebounceMs)
    expect(opened() - before).toBe(1)
    await b.peerStore.patch(a.peerId, { protocols: [identifyProtocol] })
    await pushing.push()
    await clock.advance(pushDebounceMs)
    expect(opened() - before).toBe(1)
  })

  test("what it leaves out is unchanged", async () => {
    const { a, b } = await pair()
    const [, theirs] = connect(a, b)
    await settle()
    const before = await a.peerStore.get(b.peerId)
    const stream = await theirs.newStream(identifyPushProtocol)
    stream.send(encodeIdentify({ ...nothing, agentVersion: "new" }))
    await stream.close()
    await settle()
    const after = await a.peerStore.get(b.peerId)
    expect([after.protocols, after.addresses.map(String)]).toEqual([before.protocols, before.addresses.map(String)])
    expect(after.metadata).toEqual(new Map([...before.metadata, ["AgentVersion", utf8("new")]]))
    expect(after.peerRecordEnvelope).toEqual(before.peerRecordEnvelope!)
  })

  test("with a record of another peer it is refused", async () => {
    const { a, b } = await pair()
    const [, theirs] = connect(a, b)
    await settle()
    const stream = await theirs.newStream(identifyPushProtocol)
    stream.send(encodeIdentify({ ...nothing, signedPeerRecord: record(7, 99n, second) }))
    await stream.close().catch(() => undefined)
    await settle()
    expect(await kept(a, b)).toEqual([`${first} !`])
    expect(await a.peerStore.has(keyOf(7).peerId)).toBe(false)
  })

  test("is heard so often on one connection, and again with time; what is beyond is reset and not kept", async () => {
    const { clock, a, b } = await pair()
    const [, theirs] = connect(a, b)
    const [, others] = connect(a, b)
    await settle()
    a.listen("peer:identify")
    let pushed = 0
    const push = async (connection = theirs): Promise<string> => {
      const stream = await connection.newStream(identifyPushProtocol)
      stream.send(encodeIdentify({ ...nothing, agentVersion: `agent ${++pushed}` }))
      await stream.close().catch(() => undefined)
      await settle()
      expect(connection.streams).toEqual([])
      return stream.status
    }
    const agent = async () => new TextDecoder().decode((await a.peerStore.get(b.peerId)).metadata.get("AgentVersion"))
    for (let count = 1; count <= pushesMax; count++) expect(await push()).toBe("closed")
    expect([a.told.length, await agent()]).toEqual([pushesMax, `agent ${pushesMax}`])
    for (let count = 0; count < 3; count++) expect(await push()).toBe("reset")
    expect([a.told.length, await agent()]).toEqual([pushesMax, `agent ${pushesMax}`])
    // Another connection has its own; and one more is heard when its time has come, not two.
    expect(await push(others)).toBe("closed")
    await clock.advance(pushEveryMs)
    expect([await push(), await push()]).toEqual(["closed", "reset"])
    await clock.advance(pushEveryMs * pushesMax * 2)
    for (let count = 0; count < pushesMax; count++) expect(await push()).toBe("closed")
    expect(await push()).toBe("reset")
  })

  test("so many peers at once and no more; one that stalls holds up its own lane, for so long", async () => {
    const { clock, b, pushing } = await pair({ push: { concurrency: 2, runOnSelfUpdate: false } })
    const peers = Array.from({ length: 5 }, (_, at) => new TestNode(clock, 10 + at))
    let open = 0
    let most = 0
    const links = []
    for (const peer of peers) {
      const [, theirs] = connect(peer, b)
      links.push(theirs)
      await b.peerStore.patch(peer.peerId, { protocols: [identifyPushProtocol] })
      theirs.stalled = true
      const { newStream } = theirs
      theirs.newStream = (...args) => {
        most = Math.max(most, ++open)
        return newStream.apply(theirs, args).finally(() => open--)
      }
    }
    await clock.advance(identifyTimeoutMs)
    await pushing.push()
    await clock.advance(pushDebounceMs)
    expect([open, most]).toEqual([2, 2])
    await clock.advance(identifyTimeoutMs * 3)
    expect([open, most]).toEqual([0, 2])
    expect(links.flatMap(({ streams }) => streams)).toEqual([])
  })
})

test("stopped, the services answer nobody and wait for nothing", async () => {
  const { clock, a, b, all } = await pair()
  connect(a, b)
  await settle()
  for (const service of all) await service.stop!()
  for (const node of [a, b]) {
    node.addressManager.stop()
    node.peerStore.stop()
    expect(node.handlers.size).toBe(0)
  }
  expect(clock.waiting).toBe(0)
})
