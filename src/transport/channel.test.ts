/** What both channels promise over real sockets on loopback, in one table: our own TLS, and a stream of libp2p by each handshake. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { sha256 } from "../crypto/hash.ts"
import { type EncrypterFactory, noise, tls } from "../host/parts.ts"
import { makeBunWorld } from "../io/link.ts"
import { type StreamWire, streamsIn } from "../io/streams.ts"
import { bunTcp, type OnWire, type Wire } from "../io/tcp.ts"
import type { Message } from "../peer/message.ts"
import type { Channel, ChannelOutput } from "./channel.ts"
import type { ChannelOptions } from "./framed.ts"
import { nodeIdOf, SeenNonces } from "./hello.ts"
import { makeLibp2pChannel } from "./libp2p.ts"
import { makeNativeChannel } from "./native.ts"

const now = 1_795_219_200_000
const genesis = sha256(new Uint8Array([1]))

const optionsOf = (n: number, overrides: Partial<ChannelOptions> = {}): ChannelOptions => ({
  chainId: "test",
  genesis,
  nodeId: nodeIdOf(keyOf(n).publicKey),
  publicKey: keyOf(n).publicKey,
  endpoint: "",
  agent: "test",
  capabilities: [],
  nonce: new Uint8Array(16).fill(n),
  ...overrides
})

interface Transport {
  /** Node 2 dials node 1; each wire is told with the node at its end. Resolves to what closes both. */
  readonly meet: (listens: OnWire, dials: OnWire) => Promise<() => Promise<void>>
  readonly channel: (wire: Wire, n: number, options: ChannelOptions) => Channel
}

const identity = (n: number) => makeCertificate(`node-${n}`, { now: Date.now(), serial: new Uint8Array(16).fill(n) })

const native: Transport = {
  meet: async (listens, dials) => {
    const listener = await Effect.runPromise(bunTcp.listen({ host: "127.0.0.1", port: 0 }, identity(1), listens))
    const to = { host: "127.0.0.1", port: listener.port, timeoutMs: 5_000 }
    await Effect.runPromise(bunTcp.dial(to, identity(2), dials))
    return async () => listener.close()
  },
  channel: ({ binding }, n, options) =>
    makeNativeChannel({ ...options, key: keyOf(n), binding, seen: new SeenNonces() })
}

const libp2p = (security: EncrypterFactory): Transport => ({
  meet: async (listens, dials) => {
    const door = (n: number, listen: ReadonlyArray<string>, onWire: OnWire) =>
      Effect.runPromise(
        streamsIn(makeBunWorld, [security])(
          { secret: keyOf(n).secret, listen, announce: [], protocol: "/cairn/test/1", agent: "test" },
          onWire
        )
      )
    const [one, two] = [await door(1, ["/ip4/127.0.0.1/tcp/0"], listens), await door(2, [], dials)]
    await Effect.runPromise(two.dial(one.addresses()[0]!, 5_000, dials))
    return async () => {
      await Effect.runPromise(two.close)
      await Effect.runPromise(one.close)
    }
  },
  channel: (wire, _, options) => makeLibp2pChannel({ ...options, remoteKey: (wire as StreamWire).remoteKey })
})

interface End {
  wire: Wire
  readonly received: Array<Uint8Array>
  closed: string | undefined
  wake: () => void
}

/** Both ends, that of node 1 first, each with a queue of the bytes that came. */
const connect = async ({ meet }: Transport) => {
  const take = () => {
    const { promise, resolve } = Promise.withResolvers<End>()
    const onWire = (wire: Wire) => {
      const end: End = { wire, received: [], closed: undefined, wake: () => {} }
      resolve(end)
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
    return { onWire, end: promise }
  }
  const [one, two] = [take(), take()]
  const close = await meet(one.onWire, two.onWire)
  return { ends: [await one.end, await two.end] as const, close }
}

const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["our own TLS", native],
  ["libp2p by TLS", libp2p(tls())],
  ["libp2p by Noise", libp2p(noise())]
]

describe.each(transports)("over %s", (_, transport) => {
  test("both sides prove themselves, and then speak", async () => {
    const { ends, close } = await connect(transport)
    const gossip = { endpoint: "192.0.2.7:19090", key: new Uint8Array(32).fill(9) }
    const channels = [
      transport.channel(ends[0].wire, 1, optionsOf(1)),
      transport.channel(ends[1].wire, 2, optionsOf(2, { gossip, url: "https://node.example" }))
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
    expect([gossipEndpoint, gossipKey, nodeUrl]).toStrictEqual([undefined, undefined, undefined])
    await close()
  })

  test("26 MB pass a reader that pauses, whole and in order", async () => {
    const { ends, close } = await connect(transport)
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
    await close()
  })

  test("a reader that never reads is dropped when the queue is full", async () => {
    const { ends, close } = await connect(transport)
    ends[1].wire.pause()
    const chunk = new Uint8Array(1 << 20)
    let accepted = 0
    while (accepted < 64 && ends[0].wire.write(chunk)) accepted++
    expect(accepted).toBeLessThan(64)
    await new Promise((resolve) => setImmediate(resolve))
    expect(ends[0].closed).toBe("the peer reads too slowly")
    await close()
  })

  test("who ends is heard by the other, once, after what was said; who cuts off at once", async () => {
    for (const how of ["end", "terminate"] as const) {
      const { ends, close } = await connect(transport)
      const over = new Promise<void>((resolve) => {
        ends[0].wake = () => {
          if (ends[0].closed !== undefined) resolve()
        }
      })
      ends[1].wire.write(new Uint8Array(10))
      ends[1].wire[how]()
      expect(ends[1].wire.write(new Uint8Array(1))).toBe(false)
      await over
      const heard = ends[0].received.reduce((sum, { length }) => sum + length, 0)
      if (how === "end") expect(heard).toBe(10)
      await close()
    }
  })
})
