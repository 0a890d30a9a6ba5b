/** Whole hosts in memory, over Noise and yamux, under a virtual clock. */
import { describe, expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import { utf8 } from "../codec/bytes.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import type { Connection, ConnectionGater, Stream } from "./api.ts"
import { createHost, type Host } from "./host.ts"
import type { HostInit } from "./init.ts"
import { noise, plaintext } from "./parts.ts"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** All that a stream gives until its other side has ended. */
const readAll = async (stream: Stream): Promise<string> => {
  let out = ""
  for await (const bytes of stream) out += text(bytes)
  return out
}

const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const error: unknown = await promise.then(
    () => "nothing failed",
    (failure: unknown) => failure
  )
  if (error instanceof Libp2pFault) return error
  throw new Error(`not a fault: ${String(error)}`)
}

const echo = async (stream: Stream): Promise<void> => {
  for await (const bytes of stream) stream.send(bytes)
  await stream.close()
}

let machines = 0
const start = async (net: MemoryNet, init: Partial<HostInit> = {}): Promise<Host> => {
  const ip = `10.0.0.${++machines}`
  const host = createHost(
    { addresses: { listen: [`/ip4/${ip}/tcp/4001`] }, connectionEncrypters: [noise()], ...init },
    net.world(ip)
  )
  await host.start()
  return host
}

const two = async (a: Partial<HostInit> = {}, b: Partial<HostInit> = {}) => {
  const net = new MemoryNet()
  const [left, right] = [await start(net, a), await start(net, b)]
  return { net, left, right, at: right.getMultiaddrs()[0]! }
}

const eventsOf = (host: Host): Array<string> => {
  const names: Array<string> = []
  for (const name of ["peer:connect", "connection:open", "connection:close", "peer:disconnect", "connection:prune"])
    host.addEventListener(name as "peer:connect", () => names.push(name))
  return names
}

describe("a connection", () => {
  test("is made, carries a half-closed echo, is the same for a second dial, and leaves nothing behind", async () => {
    const { net, left, right, at } = await two()
    const [mine, theirs] = [eventsOf(left), eventsOf(right)]
    await right.handle("/echo/1", echo)
    const connection = await left.dial(at)
    expect([connection.encryption, connection.multiplexer, connection.direction]).toEqual([
      "/noise",
      "/yamux/1.0.0",
      "outbound"
    ])
    expect(connection.remotePeer.equals(right.peerId)).toBe(true)
    expect(await left.dial(right.peerId)).toBe(connection)
    const stream = await connection.newStream(["/nothing/1", "/echo/1"])
    expect(stream.protocol).toBe("/echo/1")
    stream.send(utf8("hello "))
    stream.send(utf8("world"))
    await stream.close()
    expect(stream.writeStatus).toBe("closed")
    expect(await readAll(stream)).toBe("hello world")
    await net.settle()
    expect(stream.status).toBe("closed")
    await left.stop()
    await net.settle()
    expect(mine).toEqual(["connection:open", "peer:connect", "connection:close", "peer:disconnect"])
    expect(theirs).toEqual(mine)
    expect(right.getConnections()).toEqual([])
    await right.stop()
    for (const host of [left, right])
      expect(host.resources()).toMatchObject({ connections: { total: 0 }, streams: { total: 0 }, refused: 0 })
    expect(net.timersLeft).toBe(0)
    expect(net.listening).toEqual([])
  })

  test("both ends have the same binding, and another connection has another", async () => {
    const { net, left, right, at } = await two()
    const first = await left.dial(at)
    const second = await left.dial(at, { force: true })
    await net.settle()
    expect(first).not.toBe(second)
    expect(right.getConnections().map(({ binding }) => binding.toHex())).toEqual([
      first.binding.toHex(),
      second.binding.toHex()
    ])
    expect(first.binding).not.toEqual(second.binding)
  })

  test("to somebody else than the address says is refused on both sides", async () => {
    const { net, left, right } = await two()
    const other = await start(net)
    const wrong = multiaddr(`${right.getMultiaddrs()[0]!.decapsulateCode(421)}/p2p/${other.peerId}`)
    const fault = await faultOf(left.dial(wrong))
    expect([fault.name, fault.kind]).toEqual(["UnexpectedPeerError", "verify"])
    await net.settle()
    expect([left.getConnections(), right.getConnections()]).toEqual([[], []])
    expect(left.resources().connections.total + right.resources().connections.total).toBe(0)
  })

  test("to oneself is refused, by name and by address", async () => {
    const { left } = await two()
    expect((await faultOf(left.dial(left.peerId))).name).toBe("DialError")
    const own = left.getMultiaddrs()[0]!.decapsulateCode(421)
    const fault = await faultOf(left.dial(own))
    expect([fault.name, fault.kind]).toEqual(["ConnectionDeniedError", "permission"])
  })

  test("is not begun without start, nor after stop", async () => {
    const { left, at } = await two()
    await left.stop()
    expect((await faultOf(left.dial(at))).name).toBe("NotStartedError")
    await left.start()
    expect((await left.dial(at)).status).toBe("open")
  })

  test("whose other side is silent ends when its time is up", async () => {
    const { net, left } = await two()
    net.silent.add("10.9.9.9 1")
    const dial = faultOf(left.dial(multiaddr("/ip4/10.9.9.9/tcp/1")))
    await net.advance(6_000)
    expect([(await dial).kind, net.timersLeft > 0]).toEqual(["timeout", true])
    expect(left.getDialQueue()).toEqual([])
    expect(left.resources().connections.total).toBe(0)
  })

  test("hangUp closes all that there are to a peer", async () => {
    const { net, left, right, at } = await two()
    await left.dial(at)
    await left.dial(at, { force: true })
    await left.hangUp(right.peerId)
    await net.settle()
    expect([left.getConnections(), right.getConnections(), left.getPeers()]).toEqual([[], [], []])
  })
})

describe("streams", () => {
  test("for what nobody there speaks are refused, and the connection goes on", async () => {
    const { left, right, at } = await two()
    await right.handle("/echo/1", echo)
    const connection = await left.dial(at)
    const fault = await faultOf(connection.newStream("/other/1"))
    expect([fault.name, fault.kind]).toEqual(["UnsupportedProtocolError", "unsupported"])
    const stream = await connection.newStream("/echo/1")
    await stream.close()
    expect(await readAll(stream)).toBe("")
    expect(connection.status).toBe("open")
  })

  test("many at once do not mix", async () => {
    const { left, right, at } = await two()
    await right.handle("/echo/1", echo, { maxInboundStreams: 64 })
    const connection = await left.dial(at)
    const answers = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const stream = await connection.newStream("/echo/1")
        for (let part = 0; part < 5; part++) stream.send(utf8(`${i}.${part} `))
        await stream.close()
        return readAll(stream)
      })
    )
    expect(answers).toEqual(
      Array.from({ length: 64 }, (_, i) => [0, 1, 2, 3, 4].map((part) => `${i}.${part} `).join(""))
    )
    expect(left.resources().streams.total).toBe(0)
  })

  test("beyond what the handler allows are reset; beyond what we allow they are not begun", async () => {
    const { net, left, right, at } = await two()
    await right.handle("/hold/1", () => {}, { maxInboundStreams: 2 })
    const connection = await left.dial(at)
    const [first] = [await connection.newStream("/hold/1"), await connection.newStream("/hold/1")]
    const third = await connection.newStream("/hold/1")
    const ended = faultOf(readAll(third))
    expect([(await ended).name, third.status]).toEqual(["StreamResetError", "reset"])
    const refused = await faultOf(connection.newStream("/hold/1", { maxOutboundStreams: 2 }))
    expect([refused.name, refused.kind]).toEqual(["TooManyOutboundProtocolStreamsError", "resource"])
    first.abort(new Error("enough"))
    await net.settle()
    expect((await connection.newStream("/hold/1", { maxOutboundStreams: 2 })).status).toBe("open")
  })

  test("that are reset in the middle tell both sides why", async () => {
    const { net, left, right, at } = await two()
    const ends: Array<unknown> = []
    await right.handle("/hold/1", (stream) => {
      stream.addEventListener("close", ({ error, local }) => ends.push([error?.name, local]))
    })
    const stream = await left.dialProtocol(at, "/hold/1")
    stream.send(utf8("half of a mess"))
    stream.addEventListener("close", ({ error, local }) => ends.push([error?.message, local]))
    stream.abort(new Error("no more"))
    await net.settle()
    expect(ends).toEqual([
      ["no more", true],
      ["StreamResetError", false]
    ])
    expect(() => stream.send(utf8("x"))).toThrow("the stream is aborted")
  })

  test("that are lazy go out with their first bytes; a refusal is told where they are read", async () => {
    const { net, left, right, at } = await two()
    await right.handle("/echo/1", echo)
    const connection = await left.dial(at)
    const stream = await connection.newStream("/echo/1", { negotiateFully: false })
    stream.send(utf8("at once"))
    await stream.close()
    expect(await readAll(stream)).toBe("at once")
    const refused = await connection.newStream("/other/1", { negotiateFully: false })
    expect((await faultOf(readAll(refused))).name).toBe("UnsupportedProtocolError")
    await net.settle()
    expect(left.resources().streams.total).toBe(0)
  })

  test("can be called off before and while they are agreed upon", async () => {
    const { net, left, right, at } = await two()
    await right.handle("/echo/1", echo)
    const connection = await left.dial(at)
    const gone = new AbortController()
    gone.abort()
    expect((await faultOf(connection.newStream("/echo/1", { signal: gone.signal }))).name).toBe("AbortError")
    const going = new AbortController()
    const opening = faultOf(connection.newStream("/echo/1", { signal: going.signal }))
    going.abort()
    expect([(await opening).name, (await opening).kind]).toEqual(["AbortError", "cancelled"])
    await net.settle()
    expect(left.resources().streams.total + right.resources().streams.total).toBe(0)
  })

  test("whose reader is slow hold up their writer, and nothing is lost", async () => {
    const { net, left, right, at } = await two()
    let theirs: Stream | undefined
    await right.handle("/sink/1", (stream) => {
      theirs = stream
    })
    const stream = await left.dialProtocol(at, "/sink/1")
    let sent = 0
    while (stream.send(new Uint8Array(65_536)) && sent < 1_000) sent++
    await net.settle()
    expect(sent).toBeLessThan(1_000)
    const unread = theirs!.readBufferLength
    expect(unread).toBeLessThanOrEqual(16 * 1024 * 1024)
    let got = 0
    theirs!.addEventListener("message", ({ data }) => {
      got += data.length
    })
    await stream.onDrain()
    await stream.close()
    await net.settle()
    expect(got).toBe((sent + 1) * 65_536)
  })

  test("without a word for two minutes are ended; on request they are not", async () => {
    const { net, left, right, at } = await two()
    await right.handle("/hold/1", (stream) => {
      stream.inactivityTimeout = 0
    })
    const [short, long] = [await left.dialProtocol(at, "/hold/1"), await left.dialProtocol(at, "/hold/1")]
    long.inactivityTimeout = 0
    const ended = faultOf(readAll(short))
    await net.advance(122_000)
    expect([(await ended).name, short.status, long.status]).toEqual(["TimeoutError", "aborted", "open"])
  })

  test("a handler that throws resets its stream, and the host tells", async () => {
    const { net, left, right, at } = await two()
    const errors: Array<string> = []
    right.addEventListener("host:error", ({ detail }) => errors.push(`${detail.where}: ${detail.error}`))
    await right.handle("/bad/1", () => {
      throw new Error("oh")
    })
    expect((await faultOf(left.dialProtocol(at, "/bad/1").then(readAll))).name).toBe("StreamResetError")
    await net.settle()
    expect(errors).toEqual(["the handler of /bad/1: Error: oh"])
  })

  test("middleware runs before the handler, in order, and may keep the stream", async () => {
    const { net, left, right, at } = await two()
    const seen: Array<string> = []
    right.use("/echo/1", (stream, connection, next) => {
      seen.push("first")
      next(stream, connection)
    })
    await right.handle("/echo/1", echo, {
      middleware: [
        (stream, connection, next) => {
          seen.push("second")
          if (seen.length < 4) next(stream, connection)
          else stream.abort(new Error("kept"))
        }
      ]
    })
    const stream = await left.dialProtocol(at, "/echo/1")
    await stream.close()
    expect(await readAll(stream)).toBe("")
    expect((await faultOf(left.dialProtocol(at, "/echo/1").then(readAll))).name).toBe("StreamResetError")
    await net.settle()
    expect(seen).toEqual(["first", "second", "first", "second"])
  })

  test("a protocol has one handler, until it is forced or gone", async () => {
    const { left } = await two()
    await left.handle(["/a/1", "/b/1"], echo)
    expect((await faultOf(left.handle("/a/1", echo))).kind).toBe("state")
    await left.handle("/a/1", echo, { force: true })
    await left.unhandle("/a/1")
    expect(left.getProtocols()).toEqual(["/b/1"])
    expect((await left.peerStore.get(left.peerId)).protocols).toEqual(["/b/1"])
    expect((await faultOf(left.handle("not\na protocol", echo))).kind).toBe("input")
  })
})

describe("the gater", () => {
  const hooks: ReadonlyArray<readonly [keyof ConnectionGater, "left" | "right", string]> = [
    ["denyDialPeer", "left", "DialDeniedError"],
    ["denyDialMultiaddr", "left", "DialDeniedError"],
    ["denyOutboundConnection", "left", "ConnectionDeniedError"],
    ["denyOutboundEncryptedConnection", "left", "ConnectionDeniedError"],
    ["denyOutboundUpgradedConnection", "left", "ConnectionDeniedError"],
    ["denyInboundConnection", "right", "ConnectionFailedError"],
    ["denyInboundEncryptedConnection", "right", ""],
    ["denyInboundUpgradedConnection", "right", ""]
  ]
  for (const [hook, side, name] of hooks)
    for (const [how, verdict] of [
      ["at once", () => true],
      ["later", async () => true],
      ["by throwing", () => Promise.reject(new Error("oh"))]
    ] as const)
      test(`${hook} denies ${how}`, async () => {
        const gated = { connectionGater: { [hook]: verdict } }
        const { net, left, right, at } = await two(side === "left" ? gated : {}, side === "right" ? gated : {})
        const failures: Array<string> = []
        right.addEventListener("connection:failure", ({ detail }) => failures.push(String(detail.error.context.hook)))
        const dial = left.dial(at)
        const outcome = await dial.then(
          () => "",
          (error: Error) => error.name
        )
        expect(outcome).toBe(name)
        await net.settle()
        expect(right.getConnections()).toEqual([])
        expect(left.getConnections()).toEqual([])
        if (side === "right") expect(failures).toEqual([hook])
      })

  test("streams wait while it thinks", async () => {
    let allow: (denied: boolean) => void = () => {}
    const verdict = new Promise<boolean>((resolve) => {
      allow = resolve
    })
    const { net, left, right, at } = await two(
      {},
      { connectionGater: { denyInboundUpgradedConnection: () => verdict } }
    )
    await right.handle("/echo/1", echo)
    const stream = await left.dialProtocol(at, "/echo/1", { negotiateFully: false })
    stream.send(utf8("early"))
    await stream.close()
    await net.settle()
    expect(right.getConnections()).toEqual([])
    allow(false)
    expect(await readAll(stream)).toBe("early")
  })
})

describe("start", () => {
  test("listens on all addresses, or on none", async () => {
    const net = new MemoryNet()
    const other = await start(net)
    const taken = other.getMultiaddrs()[0]!.decapsulateCode(421).toString()
    const host = createHost({ addresses: { listen: ["/ip4/10.1.1.1/tcp/1", taken] } }, net.world("10.1.1.1"))
    const fault = await faultOf(host.start())
    expect([fault.name, fault.kind, fault.context.address]).toEqual(["ListenError", "io", taken])
    expect(net.listening.length).toBe(1)
    expect(host.status).toBe("stopped")
    await other.stop()
    await host.start()
    expect(host.status).toBe("started")
  })

  test("refuses encrypters that leave links plain, and a host without parts", () => {
    const world = new MemoryNet().world("10.0.0.1")
    expect(() => createHost({ connectionEncrypters: [plaintext()] }, world)).toThrow("for tests only")
    expect(() => createHost({ streamMuxers: [] }, world)).toThrow("needs a transport")
  })

  test("runs services in the order of their needs, and undoes what it has done when one fails", async () => {
    const net = new MemoryNet()
    const steps: Array<string> = []
    const service =
      (name: string, gives: string, needs: ReadonlyArray<string>, fails = false) =>
      () => ({
        [Symbol.for("@libp2p/service-capabilities")]: [gives],
        [Symbol.for("@libp2p/service-dependencies")]: needs,
        start: () => {
          steps.push(`start ${name}`)
          if (fails) throw new Error("no")
        },
        stop: () => {
          steps.push(`stop ${name}`)
        }
      })
    const init = { addresses: { listen: ["/ip4/10.2.2.2/tcp/1"] } }
    const services = { b: service("b", "B", ["A"]), a: service("a", "A", []) }
    const host = createHost({ ...init, services }, net.world("10.2.2.2"))
    await host.start()
    await host.stop()
    expect(steps.splice(0)).toEqual(["start a", "start b", "stop b", "stop a"])
    const failing = { ...services, c: service("c", "C", ["B"], true) }
    const broken = createHost({ ...init, services: failing }, net.world("10.2.2.2"))
    expect(await broken.start().catch((error: Error) => error.message)).toBe("no")
    expect(steps).toEqual(["start a", "start b", "start c", "stop c", "stop b", "stop a"])
    expect([net.listening, net.timersLeft]).toEqual([[], 0])
  })

  test("a service whose need nobody gives, and services that need each other, are refused", () => {
    const world = new MemoryNet().world("10.0.0.1")
    const service = (gives: string, needs: string) => () => ({
      [Symbol.for("@libp2p/service-capabilities")]: [gives],
      [Symbol.for("@libp2p/service-dependencies")]: [needs]
    })
    const kindOf = (services: Record<string, () => unknown>): string => {
      try {
        createHost({ services }, world)
        return "none"
      } catch (error) {
        return error instanceof Libp2pFault ? `${error.kind}: ${error.message}` : "no fault"
      }
    }
    expect(kindOf({ a: service("A", "B") })).toBe("dependency: the service a needs B, and no service gives it")
    expect(kindOf({ a: service("A", "B"), b: service("B", "A") })).toBe("dependency: the services a, b need each other")
    expect(kindOf({ a: service("A", "@libp2p/transport"), b: service("B", "A") })).toBe("none")
  })
})

describe("topologies", () => {
  test("hear once of a peer that speaks, and of its going", async () => {
    const { net, left, right, at } = await two()
    const heard: Array<string> = []
    const seen = new Set<string>()
    await left.register("/echo/1", {
      filter: {
        has: (peer) => seen.has(`${peer}`),
        add: (peer) => seen.add(`${peer}`),
        remove: (peer) => seen.delete(`${peer}`)
      },
      onConnect: (peer: Connection["remotePeer"]) => {
        heard.push(`+${peer.equals(right.peerId)}`)
      },
      onDisconnect: () => {
        heard.push("-")
      }
    })
    const connection = await left.dial(at)
    const detail = { peerId: right.peerId, listenAddrs: [], protocols: ["/echo/1"], connection }
    left.safeDispatchEvent("peer:identify", { detail })
    left.safeDispatchEvent("peer:identify", { detail })
    await connection.close()
    await net.settle()
    expect([heard, seen.size]).toEqual([["+true", "-"], 0])
  })
})
