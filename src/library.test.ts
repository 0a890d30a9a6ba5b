/** Two hosts of the library over real sockets, by TLS and by Noise, and what a user of it may get wrong. */
import { describe, expect, test } from "bun:test"
import { loadEngine } from "./crypto/native.ts"
import { engine, nobleEngine, useEngine } from "./crypto/signature.ts"
import type { Connection, Stream } from "./host/api.ts"
import type { HostInit } from "./host/init.ts"
import {
  createLibp2p,
  engines,
  generateKeyPair,
  generateKeyPairFromSeed,
  identify,
  identifyPush,
  Libp2pFault,
  multiaddr,
  noise,
  peerIdFromPrivateKey,
  peerIdFromString,
  perf,
  ping,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
  tcp,
  tls,
  yamux
} from "./library.ts"

const services = () => ({ identify: identify(), push: identifyPush(), ping: ping(), perf: perf() })

const node = (init: Omit<HostInit, "services">) =>
  createLibp2p({ addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] }, ...init, services: services() })

const utf8 = new TextEncoder()
const readAll = async (stream: Stream): Promise<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for await (const bytes of stream) parts.push(bytes)
  return new Uint8Array(await new Blob(parts as Array<BlobPart>).arrayBuffer())
}
/** As an application must: it waits when it is told to. */
const echo = async (stream: Stream): Promise<void> => {
  for await (const bytes of stream) if (!stream.send(bytes)) await stream.onDrain()
  await stream.close()
}
const nameOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing failed",
    (error: unknown) => (error instanceof Libp2pFault ? error.name : `no fault: ${error}`)
  )

/** Runs with two hosts, and expects that nothing of them is left. */
const withTwo = async (
  init: Omit<HostInit, "services" | "addresses">,
  run: (left: Awaited<ReturnType<typeof node>>, right: Awaited<ReturnType<typeof node>>) => Promise<void>
): Promise<void> => {
  const [left, right] = [await node(init), await node(init)]
  const errors: Array<unknown> = []
  for (const host of [left, right]) host.addEventListener("host:error", ({ detail }) => errors.push(detail))
  try {
    await run(left, right)
  } finally {
    await Promise.all([left.stop(), right.stop()])
  }
  expect(errors).toEqual([])
  for (const host of [left, right])
    expect(host.resources()).toMatchObject({ connections: { total: 0 }, streams: { total: 0 } })
}

for (const [name, encrypter, protocol] of [
  ["tls", tls, "/tls/1.0.0"],
  ["noise", noise, "/noise"]
] as const)
  describe(`over ${name}`, () => {
    const init = { transports: [tcp()], connectionEncrypters: [encrypter()], streamMuxers: [yamux()] }

    test("an echo with half-close, 64 streams at once, a refusal, a reset, an abort", async () => {
      await withTwo(init, async (left, right) => {
        await right.handle("/echo/1", echo, { maxInboundStreams: 64 })
        await right.handle("/reset/1", (stream) => stream.abort(new Error("no")))
        const connection = await left.dial(right.getMultiaddrs())
        expect([connection.encryption, connection.multiplexer]).toEqual([protocol, "/yamux/1.0.0"])
        expect(connection.remotePeer.toString()).toBe(right.peerId.toString())
        const bodies = Array.from({ length: 64 }, (_, i) => new Uint8Array(10_000).fill(i))
        const answers = await Promise.all(
          bodies.map(async (body) => {
            const stream = await connection.newStream("/echo/1")
            stream.send(body.slice())
            await stream.close()
            return readAll(stream)
          })
        )
        expect(answers).toEqual(bodies)
        expect(await nameOf(connection.newStream("/other/1"))).toBe("UnsupportedProtocolError")
        expect(await nameOf(connection.newStream("/reset/1").then(readAll))).toBe("StreamResetError")
        const stream = await connection.newStream("/echo/1")
        stream.send(utf8.encode("half"))
        stream.abort(new Error("enough"))
        expect([stream.status, connection.status]).toEqual(["aborted", "open"])
      })
    })

    test("eight megabytes each way arrive whole, with a writer that heeds the drain", async () => {
      await withTwo(init, async (left, right) => {
        await right.handle("/echo/1", echo)
        const stream = await left.dialProtocol(right.getMultiaddrs(), "/echo/1")
        const block = new Uint8Array(65_536).map((_, i) => i * 7)
        const answer = readAll(stream)
        for (let i = 0; i < 128; i++) if (!stream.send(block.slice())) await stream.onDrain()
        await stream.close()
        const got = await answer
        expect(got.length).toBe(128 * block.length)
        for (let i = 0; i < 128; i++) expect(Bun.hash(got.subarray(i * 65_536, (i + 1) * 65_536))).toBe(Bun.hash(block))
      })
    })

    test("the services meet: identify, ping, and a peer store that knows the other", async () => {
      await withTwo(init, async (left, right) => {
        const identified = new Promise<ReadonlyArray<string>>((resolve) =>
          left.addEventListener("peer:identify", ({ detail }) => resolve(detail.protocols))
        )
        await left.dial(right.getMultiaddrs())
        expect(await identified).toContain("/ipfs/ping/1.0.0")
        expect(await left.services.ping.ping(right.peerId)).toBeGreaterThan(0)
        expect((await left.peerStore.get(right.peerId)).addresses.length).toBe(1)
      })
    })

    test("another peer than the address says is refused", async () => {
      await withTwo(init, async (left, right) => {
        const other = peerIdFromPrivateKey(await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(9)))
        const address = right.getMultiaddrs()[0]!.decapsulate("/p2p").encapsulate(`/p2p/${other}`)
        expect(await nameOf(left.dial(address))).toBe("UnexpectedPeerError")
      })
    })
  })

test("an encrypter that the other side has not is refused by both", async () => {
  const [left, right] = [await node({ connectionEncrypters: [tls()] }), await node({ connectionEncrypters: [noise()] })]
  expect(await nameOf(left.dial(right.getMultiaddrs()))).toBe("UnsupportedProtocolError")
  await Promise.all([left.stop(), right.stop()])
})

test("a dial is called off by its signal, also by one that is a time limit", async () => {
  const host = await node({})
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } })
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${silent.port}`)
  const abort = new AbortController()
  const dial = nameOf(host.dial(address, { signal: abort.signal }))
  abort.abort()
  expect(await dial).toBe("AbortError")
  expect(await nameOf(host.dial(address, { signal: AbortSignal.timeout(20) }))).toBe("TimeoutError")
  expect(host.resources().connections.total).toBe(0)
  await host.stop()
  silent.stop(true)
})

test("IPv4 and IPv6 share a port, and both are dialled", async () => {
  const first = await node({ addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] } })
  const port = first.getMultiaddrs()[0]!.getComponents()[1]!.value
  await first.stop()
  const right = await node({ addresses: { listen: [`/ip4/127.0.0.1/tcp/${port}`, `/ip6/::1/tcp/${port}`] } })
  const left = await node({})
  const dialled: Array<Connection> = []
  for (const address of right.getMultiaddrs()) dialled.push(await left.dial(address, { force: true }))
  expect(dialled.map(({ remoteAddr }) => remoteAddr.getComponents()[0]!.name)).toEqual(["ip4", "ip6"])
  await Promise.all([left.stop(), right.stop()])
})

test("an address that is taken fails the start, and frees those that were bound", async () => {
  const holder = await node({})
  const taken = holder.getMultiaddrs()[0]!.decapsulate("/p2p").toString()
  const free = await node({})
  const wanted = free.getMultiaddrs()[0]!.decapsulate("/p2p").toString()
  await free.stop()
  const listen = [wanted, taken]
  expect(await nameOf(node({ addresses: { listen } }))).toBe("ListenError")
  const again = await node({ addresses: { listen: [wanted] } })
  expect(again.getMultiaddrs()).toHaveLength(1)
  await Promise.all([again.stop(), holder.stop()])
})

test("keys and peer ids read what they write, and throw faults at the rest", async () => {
  for (const type of ["Ed25519", "secp256k1", "ECDSA"] as const) {
    const key = await generateKeyPair(type)
    expect(privateKeyFromProtobuf(privateKeyToProtobuf(key)).equals(key)).toBe(true)
    const id = peerIdFromPrivateKey(key)
    expect(peerIdFromString(id.toString()).equals(id)).toBe(true)
  }
  expect(() => peerIdFromString("nobody")).toThrow(Libp2pFault)
  expect(() => multiaddr("/ip4/999.0.0.1")).toThrow(Libp2pFault)
  expect(() => privateKeyFromProtobuf(new Uint8Array([8, 1]))).toThrow(Libp2pFault)
})

test("the fastest engine for secp256k1 is loaded when such a key is met, and never in place of one that was chosen", async () => {
  const before = engine()
  const fastest = loadEngine("auto")!.name
  try {
    useEngine(nobleEngine)
    await (await createLibp2p({ start: false })).stop()
    const key = await generateKeyPair("secp256k1")
    const said = new Uint8Array([1, 2, 3])
    expect(key.publicKey.verify(said, key.sign(said))).toBe(true)
    expect([engine().name, engines().secp256k1]).toEqual([fastest, fastest])
    const chosen = { ...nobleEngine }
    useEngine(chosen)
    await (await createLibp2p({ start: false })).stop()
    expect(engine()).toBe(chosen)
    expect(["sodium-native", "wasm", "noble"]).toContain(engines().aead)
  } finally {
    useEngine(before)
  }
})
