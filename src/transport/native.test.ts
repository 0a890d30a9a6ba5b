/** Two real ends over TLS on loopback: they prove who they are to each other, here and nowhere else. */
import { expect, test } from "bun:test"
import { X509Certificate } from "node:crypto"
import { Effect } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { sha256 } from "../crypto/hash.ts"
import { bunTcp, type Wire } from "../io/tcp.ts"
import type { Message } from "../peer/message.ts"
import type { ChannelOutput } from "./channel.ts"
import { nodeIdOf, SeenNonces } from "./hello.ts"
import { makeNativeChannel, type NativeOptions } from "./native.ts"

const now = 1_795_219_200_000
const genesis = sha256(new Uint8Array([1]))
const identity = (n: number) => makeCertificate(`node-${n}`, { now: Date.now(), serial: new Uint8Array(16).fill(n) })

const optionsOf = (n: number, binding: Uint8Array, overrides: Partial<NativeOptions> = {}): NativeOptions => ({
  chainId: "test",
  genesis,
  key: keyOf(n),
  nodeId: nodeIdOf(keyOf(n).publicKey),
  endpoint: "",
  agent: "test",
  capabilities: [],
  binding,
  nonce: new Uint8Array(16).fill(n),
  seen: new SeenNonces(),
  ...overrides
})

/** A pair of TLS wires on loopback, each with a queue of the bytes that came. */
const connect = async (listens = identity(1), dials = identity(2)) => {
  const ends: Array<{ wire: Wire; received: Array<Uint8Array>; closed: string | undefined; wake: () => void }> = []
  let ready = (): void => {}
  const both = new Promise<void>((resolve) => (ready = resolve))
  const onWire = (wire: Wire) => {
    const end = { wire, received: [] as Array<Uint8Array>, closed: undefined as string | undefined, wake: () => {} }
    ends.push(end)
    if (ends.length === 2) ready()
    return {
      data: (bytes: Uint8Array) => {
        end.received.push(bytes)
        end.wake()
      },
      drained: () => {},
      closed: (reason: string) => {
        end.closed = reason
        end.wake()
      }
    }
  }
  const listener = await Effect.runPromise(bunTcp.listen({ host: "127.0.0.1", port: 0 }, listens, onWire))
  await Effect.runPromise(bunTcp.dial({ host: "127.0.0.1", port: listener.port, timeoutMs: 5000 }, dials, onWire))
  await both
  return { ends: [ends[0]!, ends[1]!] as const, close: () => listener.close() }
}

const sendsOf = (outputs: ReadonlyArray<ChannelOutput>): Uint8Array => {
  const [first] = outputs
  return first?._tag === "Send" ? first.bytes : new Uint8Array(0)
}

test("both sides prove themselves over one TLS session, and then speak", async () => {
  const { ends, close } = await connect()
  const gossip = { endpoint: "192.0.2.7:19090", key: new Uint8Array(32).fill(9) }
  const channels = [
    makeNativeChannel(optionsOf(1, ends[0].wire.binding)),
    makeNativeChannel(optionsOf(2, ends[1].wire.binding, { gossip, url: "https://node.example" }))
  ]
  const heard: Array<Array<ChannelOutput>> = [[], []]
  const done = new Promise<void>((resolve) => {
    ends.forEach((end, i) => {
      end.wake = () => {
        for (const bytes of end.received.splice(0)) heard[i]!.push(...channels[i]!.receive(bytes, now))
        if (heard.every((list) => list.length === 2)) resolve()
      }
    })
  })
  const ping: Message = { tag: "PNG", nonce: 7 }
  ends.forEach(({ wire }, i) => {
    for (const output of channels[i]!.open(now)) if (output._tag === "Send") wire.write(output.bytes)
    wire.write(channels[i]!.encode(ping))
  })
  ends.forEach((end) => end.wake())
  await done
  expect(heard[0]).toEqual([
    {
      _tag: "Opened",
      remote: {
        nodeId: nodeIdOf(keyOf(2).publicKey),
        endpoint: undefined,
        agent: "test",
        capabilities: [],
        gossipEndpoint: gossip.endpoint,
        gossipKey: gossip.key,
        nodeUrl: "https://node.example"
      }
    },
    { _tag: "Received", message: ping }
  ])
  const [opened] = heard[1]! as [Extract<ChannelOutput, { _tag: "Opened" }>]
  const { gossipEndpoint, gossipKey, nodeUrl } = opened.remote
  expect([gossipEndpoint, gossipKey, nodeUrl]).toEqual([undefined, undefined, undefined])
  close()
})

test("each side sees the certificate that the other one showed (L-P5)", async () => {
  const fingerprint = ({ cert }: ReturnType<typeof identity>): string =>
    new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase()
  const [listens, dials] = [identity(1), identity(2)]
  const { ends, close } = await connect(listens, dials)
  const shown = ends.map(({ wire }) => wire.fingerprint).sort()
  expect(shown).toEqual([fingerprint(listens), fingerprint(dials)].sort())
  close()
})

test("who dials and shows no certificate has no session (L-P5)", async () => {
  let wires = 0
  const onWire = () => {
    wires++
    return { data: () => {}, drained: () => {}, closed: () => {} }
  }
  const listener = await Effect.runPromise(bunTcp.listen({ host: "127.0.0.1", port: 0 }, identity(1), onWire))
  const dial = (tls: Bun.TLSOptions) =>
    new Promise<string>((resolve, reject) => {
      const socket = { data: () => {}, close: () => resolve("closed"), error: () => {} }
      Bun.connect({
        hostname: "127.0.0.1",
        port: listener.port,
        tls: { rejectUnauthorized: false, ...tls },
        socket
      }).catch(reject)
    })
  expect([await dial({}), wires]).toEqual(["closed", 0])
  const shows = dial(identity(2))
  while (wires === 0) await new Promise((resolve) => setImmediate(resolve))
  listener.close()
  expect(await Promise.race([shows, Promise.resolve("stands")])).toBe("stands")
})

test("26 MB pass a reader that pauses, whole and in order", async () => {
  const { ends, close } = await connect()
  const sent = new Uint8Array(1 << 20).map((_, i) => i * 7)
  let received = 0
  const hasher = new Bun.CryptoHasher("sha256")
  const done = new Promise<void>((resolve) => {
    ends[1].wake = () => {
      for (const bytes of ends[1].received.splice(0)) {
        hasher.update(bytes)
        received += bytes.length
      }
      if (received % 5 === 0) {
        ends[1].wire.pause()
        setImmediate(() => ends[1].wire.resume())
      }
      if (received === 26 * sent.length) resolve()
    }
  })
  for (let i = 0; i < 26; ) {
    if (i * sent.length - received < 8 << 20 && ends[0].wire.write(sent)) i++
    else await new Promise((resolve) => setImmediate(resolve))
  }
  await done
  const expected = new Bun.CryptoHasher("sha256")
  for (let i = 0; i < 26; i++) expected.update(sent)
  expect(hasher.digest("hex")).toBe(expected.digest("hex"))
  close()
})

test("a reader that never reads is dropped when the queue is full", async () => {
  const { ends, close } = await connect()
  ends[1].wire.pause()
  const chunk = new Uint8Array(1 << 20)
  let accepted = 0
  while (accepted < 64 && ends[0].wire.write(chunk)) accepted++
  expect(accepted).toBeLessThan(64)
  await new Promise((resolve) => setImmediate(resolve))
  expect(ends[0].closed).toBe("the peer reads too slowly")
  close()
})

test("a hello taken from one session is refused in another, and twice in its own", () => {
  const [here, there] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const hello = sendsOf(makeNativeChannel(optionsOf(1, here)).open(now))
  const refusal = (binding: Uint8Array, overrides: Partial<NativeOptions> = {}, at = now): string => {
    const [output] = makeNativeChannel(optionsOf(2, binding, overrides)).receive(hello, at)
    return output?._tag === "Refused" ? output.code : (output?._tag ?? "nothing")
  }
  const seen = new SeenNonces()
  expect(refusal(there)).toBe("hello-signature")
  expect([refusal(here, { seen }), refusal(here, { seen })]).toEqual(["Opened", "hello-replayed"])
  expect(refusal(here, {}, now + 120_001)).toBe("hello-stale")
  expect(refusal(here, { chainId: "other" })).toBe("chain-id-mismatch")
  expect(refusal(here, { genesis: sha256(new Uint8Array([2])) })).toBe("genesis-mismatch")
  const [said] = makeNativeChannel(optionsOf(2, here, { genesis: sha256(new Uint8Array([2])) })).receive(hello, now)
  expect(said?._tag === "Refused" ? said.message : "").toBe(
    `it is on chain "test", genesis ${genesis.toHex()}; this node is on chain "test", genesis ${sha256(new Uint8Array([2])).toHex()}`
  )
  expect(refusal(here, { nodeId: nodeIdOf(keyOf(1).publicKey) })).toBe("connected-to-self")
})

test("before the hello nothing else is heard, and a long frame ends the session before it is read", () => {
  const binding = new Uint8Array(32)
  const early = makeNativeChannel(optionsOf(1, binding))
  expect(early.receive(early.encode({ tag: "PNG", nonce: 1 }), now)).toMatchObject([
    { _tag: "Refused", code: "hello-expected", blame: true }
  ])
  const long = makeNativeChannel(optionsOf(1, binding))
  expect(long.receive(new Uint8Array([0, 0x20, 0, 0]), now)).toMatchObject([
    { _tag: "Refused", code: "frame-refused", blame: true }
  ])
  expect(long.receive(new Uint8Array(100), now)).toEqual([])
})
