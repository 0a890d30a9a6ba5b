/** Links over real sockets on loopback: what comes, in order; how a dial and a link end; one port for both kinds of IP; TLS beneath. */
import { afterAll, describe, expect, jest, test } from "bun:test"
import { createSocket } from "node:dgram"
import { connect, type Socket as NodeSocket } from "node:net"
import { connect as tlsConnect } from "node:tls"
import { concatAll, utf8 } from "../codec/bytes.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import type { Link, LinkEnd, LinkHandlers, Listening } from "../host/world.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { lingerMsMax, outboundBytesMax } from "../limits.ts"
import { makeBunWorld } from "./link.ts"

const world = makeBunWorld()
const listening: Array<Listening> = []
afterAll(() => {
  for (const { close } of listening) close()
})

type Session = Parameters<LinkHandlers["secured"]>[0]

/** One end, and everything that was told of it. */
class Ear {
  readonly heard: Array<Uint8Array> = []
  readonly sessions: Array<Session> = []
  readonly reasons: Array<string> = []
  drains = 0
  bytes = 0
  link!: Link
  onData: (bytes: Uint8Array) => void = () => {}
  private readonly waiting = new Set<() => void>()

  take(link: Link): LinkHandlers {
    this.link = link
    const tell = (): void => {
      for (const check of this.waiting) check()
    }
    queueMicrotask(tell)
    return {
      data: (bytes) => {
        this.heard.push(bytes)
        this.bytes += bytes.length
        this.onData(bytes)
        tell()
      },
      drained: () => {
        this.drains++
        tell()
      },
      secured: (session) => {
        this.sessions.push(session)
        tell()
      },
      closed: (reason) => {
        this.reasons.push(reason)
        tell()
      }
    }
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return
        this.waiting.delete(check)
        resolve()
      }
      this.waiting.add(check)
      check()
    })
  }

  get text(): string {
    return new TextDecoder().decode(concatAll(this.heard))
  }
}

const listen = async (onLink: (link: Link) => LinkHandlers, at: LinkEnd = { host: "127.0.0.1", port: 0 }) => {
  const one = await world.listen(at, onLink)
  listening.push(one)
  return one
}

const pair = async (): Promise<readonly [dialler: Ear, listener: Ear]> => {
  const [a, b] = [new Ear(), new Ear()]
  const { at } = await listen((link) => b.take(link))
  await world.dial({ ...at, timeoutMs: 5_000 }, (link) => a.take(link))
  await b.until(() => b.link !== undefined)
  return [a, b]
}

const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  if (!(fault instanceof Libp2pFault)) throw new Error(`not a fault: ${fault}`)
  return fault
}

const hasIpv6 = await world
  .listen({ host: "::1", port: 0 }, () => new Ear().take(undefined as never))
  .then(
    ({ close }) => {
      close()
      return true
    },
    () => false
  )

describe("a link", () => {
  test("carries bytes both ways in order and knows its ends", async () => {
    const [a, b] = await pair()
    expect([a.link.remote, a.link.local]).toEqual([b.link.local, b.link.remote])
    a.link.write(utf8("one "))
    a.link.write(utf8("two"))
    b.link.write(utf8("three"))
    await b.until(() => b.text === "one two")
    await a.until(() => a.text === "three")
    a.link.terminate()
    await b.until(() => b.reasons.length === 1)
    expect(a.reasons).toEqual(["ended by us"])
  })

  test("queues what the kernel does not take, tells when it is out, and a paused reader holds it up", async () => {
    const [a, b] = await pair()
    b.link.pause()
    const chunk = new Uint8Array(1 << 20).map((_, at) => at)
    let sent = 0
    while (a.link.queued() === 0) {
      a.link.write(chunk.slice())
      sent++
    }
    expect([a.drains, b.bytes]).toEqual([0, 0])
    b.link.resume()
    await a.until(() => a.drains === 1)
    expect(a.link.queued()).toBe(0)
    await b.until(() => b.bytes === sent * chunk.length)
    expect(Bun.SHA256.hash(concatAll(b.heard))).toEqual(
      Bun.SHA256.hash(concatAll(Array.from({ length: sent }, () => chunk)))
    )
    a.link.terminate()
  })

  test("ended: what is queued goes out first", async () => {
    const [a, b] = await pair()
    b.link.pause()
    for (let count = 0; count < 12; count++) a.link.write(new Uint8Array(1 << 20))
    a.link.end()
    a.link.write(utf8("nothing after the end"))
    b.link.resume()
    await b.until(() => b.reasons.length === 1)
    expect(b.bytes).toBe(12 << 20)
    await a.until(() => a.reasons.length === 1)
  })

  test("ended, whose peer does not take what is queued, is cut off at its time", async () => {
    const [a, b] = await pair()
    b.link.pause()
    while (a.link.queued() === 0) a.link.write(new Uint8Array(1 << 20))
    jest.useFakeTimers()
    a.link.end()
    jest.advanceTimersByTime(lingerMsMax)
    jest.useRealTimers()
    await a.until(() => a.reasons.length === 1)
    expect(a.reasons).toEqual(["the peer did not close in time"])
    b.link.terminate()
  })

  test("whose peer reads nothing is cut off when its queue is full", async () => {
    const [a, b] = await pair()
    b.link.pause()
    for (let bytes = 0; bytes < outboundBytesMax + (8 << 20); bytes += 1 << 20) a.link.write(new Uint8Array(1 << 20))
    await a.until(() => a.reasons.length === 1)
    expect(a.reasons).toEqual(["the peer reads too slowly"])
    b.link.terminate()
  })
})

describe("a dial", () => {
  test("fails with its kind: refused, no IP address, called off before and while", async () => {
    const { at, close } = await world.listen({ host: "127.0.0.1", port: 0 }, (link) => new Ear().take(link))
    close()
    const never = () => {
      throw new Error("there is no link")
    }
    const refused = await faultOf(world.dial({ ...at, timeoutMs: 5_000 }, never))
    expect([refused.kind, refused.name]).toEqual(["io", "DialError"])
    const named = await faultOf(world.dial({ host: "localhost", port: at.port, timeoutMs: 5_000 }, never))
    expect(named.kind).toBe("io")
    const before = await faultOf(world.dial({ ...at, timeoutMs: 5_000, signal: AbortSignal.abort() }, never))
    expect([before.kind, before.name]).toEqual(["cancelled", "AbortError"])
  })

  test("that is called off or too late leaves no link at either end", async () => {
    const b = new Ear()
    const { at } = await listen((link) => b.take(link))
    const controller = new AbortController()
    const dialled = world.dial({ ...at, timeoutMs: 5_000, signal: controller.signal }, () => {
      throw new Error("there is no link")
    })
    controller.abort()
    expect((await faultOf(dialled)).kind).toBe("cancelled")
    await b.until(() => b.reasons.length === 1)
  })

  test("that nobody answers in time is over; who answers later finds nobody", async () => {
    const b = new Ear()
    const { at } = await listen((link) => b.take(link))
    jest.useFakeTimers()
    const dialled = world.dial({ ...at, timeoutMs: 5_000 }, () => {
      throw new Error("there is no link")
    })
    jest.advanceTimersByTime(5_000)
    jest.useRealTimers()
    const fault = await faultOf(dialled)
    expect([fault.kind, fault.name]).toEqual(["timeout", "TimeoutError"])
    await b.until(() => b.reasons.length === 1)
  })
})

describe("listening", () => {
  test.skipIf(!hasIpv6)("IPv4 and IPv6 share a port, and each hears its own kind", async () => {
    const [four, six] = [new Ear(), new Ear()]
    const first = await listen((link) => four.take(link), { host: "0.0.0.0", port: 0 })
    const { port } = first.at
    await listen((link) => six.take(link), { host: "::", port })
    const dial = (host: string) => world.dial({ host, port, timeoutMs: 5_000 }, (link) => new Ear().take(link))
    await dial("127.0.0.1")
    await dial("::1")
    await Promise.all([four.until(() => four.link !== undefined), six.until(() => six.link !== undefined)])
    expect([four.link.remote.host, six.link.remote.host]).toEqual(["127.0.0.1", "::1"])
  })

  test("on a port in use, or at a name, is refused", async () => {
    const { at } = await listen((link) => new Ear().take(link))
    for (const wrong of [at, { host: "localhost", port: 0 }]) {
      const fault = await faultOf(world.listen(wrong, (link) => new Ear().take(link)))
      expect([fault.kind, fault.name]).toEqual(["io", "ListenError"])
    }
  })

  test("a closed listener takes nobody, and its links go on", async () => {
    const [a, b] = [new Ear(), new Ear()]
    const { at, close } = await world.listen({ host: "127.0.0.1", port: 0 }, (link) => b.take(link))
    await world.dial({ ...at, timeoutMs: 5_000 }, (link) => a.take(link))
    close()
    a.link.write(utf8("still here"))
    await b.until(() => b.text === "still here")
    expect((await faultOf(world.dial({ ...at, timeoutMs: 5_000 }, (link) => new Ear().take(link)))).kind).toBe("io")
  })
})

const { key, cert } = makeCertificate("link", { now: Date.now(), serial: world.random(16) })
const identity = { key, cert }
const offer = (role: "dialer" | "listener", alpn: ReadonlyArray<string> = ["/yamux/1.0.0", "libp2p"]) => ({
  role,
  ...identity,
  alpn
})

describe("TLS beneath a link", () => {
  /** Plain words first, then the listener upgrades with what came behind them, the dialler when it is told to. */
  const upgraded = async (): Promise<readonly [Ear, Ear]> => {
    const [a, b] = await pair()
    b.onData = (bytes) => {
      b.onData = () => {}
      b.link.write(utf8("go"))
      b.link.upgradeTls(offer("listener"), bytes.subarray(2))
    }
    a.onData = () => {
      a.onData = () => {}
      a.link.upgradeTls(offer("dialer"), new Uint8Array(0))
    }
    a.link.write(utf8("hi"))
    await Promise.all([a.until(() => a.sessions.length === 1), b.until(() => b.sessions.length === 1)])
    a.heard.length = 0
    b.heard.length = 0
    a.bytes = b.bytes = 0
    return [a, b]
  }

  test("stands at both ends with certificate, ALPN and one binding; then bytes go both ways", async () => {
    const [a, b] = await upgraded()
    const [[at], [bt]] = [a.sessions, b.sessions]
    expect(at!.binding).toEqual(bt!.binding)
    expect(at!.binding).toHaveLength(32)
    expect([at!.alpn, bt!.alpn]).toEqual(["/yamux/1.0.0", "/yamux/1.0.0"])
    expect(at!.certificate).toEqual(bt!.certificate)
    expect(at!.certificate![0]).toBe(0x30)
    a.link.write(utf8("secret"))
    await b.until(() => b.text === "secret")
    b.link.write(utf8("answer"))
    await a.until(() => a.text === "answer")
    a.link.end()
    await Promise.all([a.until(() => a.reasons.length === 1), b.until(() => b.reasons.length === 1)])
  })

  test("leaves the other links of its listener as they are, whoever ends first", async () => {
    const ears: Array<Ear> = []
    const arrived = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
    const waiting = [...arrived]
    const { at } = await listen((link) => {
      const ear = new Ear()
      ears.push(ear)
      waiting.shift()!.resolve()
      return ear.take(link)
    })
    const dial = async (): Promise<readonly [Ear, Ear]> => {
      const ear = new Ear()
      await world.dial({ ...at, timeoutMs: 5_000 }, (link) => ear.take(link))
      ear.link.write(utf8("hello"))
      await arrived.shift()!.promise
      return [ear, ears.at(-1)!]
    }
    const [a, far] = await dial()
    await far.until(() => far.text === "hello")
    const [plain, farPlain] = await dial()
    far.link.upgradeTls(offer("listener"), new Uint8Array(0))
    a.link.upgradeTls(offer("dialer"), new Uint8Array(0))
    await Promise.all([a.until(() => a.sessions.length === 1), far.until(() => far.sessions.length === 1)])
    const [after, farAfter] = await dial()
    for (const [near, other] of [
      [plain, farPlain],
      [after, farAfter],
      [a, far]
    ] as const) {
      near.heard.length = other.heard.length = 0
      near.link.write(utf8("there"))
      other.link.write(utf8("back"))
      await Promise.all([near.until(() => near.text === "back"), other.until(() => other.text.endsWith("there"))])
      near.link.terminate()
      await other.until(() => other.reasons.length === 1)
      expect(near.reasons).toEqual(["ended by us"])
    }
  })

  test("holds up a writer whose reader is paused, and loses nothing", async () => {
    const [a, b] = await upgraded()
    b.link.pause()
    const chunk = new Uint8Array(1 << 20).map((_, at) => at >> 3)
    let sent = 0
    while (a.link.queued() === 0) {
      a.link.write(chunk.slice())
      sent++
    }
    b.link.resume()
    await a.until(() => a.drains === 1)
    a.link.end()
    await b.until(() => b.reasons.length === 1)
    expect(b.bytes).toBe(sent * chunk.length)
    expect(Bun.SHA256.hash(concatAll(b.heard))).toEqual(
      Bun.SHA256.hash(concatAll(Array.from({ length: sent }, () => chunk)))
    )
  })

  test("comes after what is still queued in plain", async () => {
    const [a, b] = await pair()
    let plain = 0
    b.link.pause()
    while (a.link.queued() === 0) {
      a.link.write(new Uint8Array(1 << 20))
      plain += 1 << 20
    }
    a.link.upgradeTls(offer("dialer"), new Uint8Array(0))
    b.onData = () => {
      if (b.bytes < plain) return
      b.onData = () => {}
      b.link.upgradeTls(offer("listener"), concatAll(b.heard).slice(plain))
    }
    b.link.resume()
    await Promise.all([a.until(() => a.sessions.length === 1), b.until(() => b.sessions.length === 1)])
    expect(a.sessions[0]!.binding).toEqual(b.sessions[0]!.binding)
    a.link.terminate()
  })

  test("fails, typed by its reason, with one who speaks no TLS", async () => {
    const [a, b] = await pair()
    b.link.upgradeTls(offer("listener"), new Uint8Array(0))
    a.link.write(utf8("GET / HTTP/1.1\r\n\r\n"))
    await b.until(() => b.reasons.length === 1)
    expect(b.reasons[0]).toContain("TLS")
    expect(b.sessions).toEqual([])
  })

  test("fails with TLS 1.2, and with no protocol in common", async () => {
    for (const peer of [{ maxVersion: "TLSv1.2" as const, ALPNProtocols: ["libp2p"] }, { ALPNProtocols: ["h2"] }]) {
      const b = new Ear()
      const { at } = await listen((link) => {
        const handlers = b.take(link)
        link.upgradeTls(offer("listener"), new Uint8Array(0))
        return handlers
      })
      const stranger = tlsConnect({ ...at, ...identity, rejectUnauthorized: false, ...peer })
      stranger.on("error", () => {})
      await b.until(() => b.reasons.length === 1)
      expect(b.sessions).toEqual([])
      stranger.destroy()
    }
  })

  test("tells that the other side showed no certificate", async () => {
    const b = new Ear()
    const { at } = await listen((link) => {
      const handlers = b.take(link)
      link.upgradeTls(offer("listener"), new Uint8Array(0))
      return handlers
    })
    const stranger = tlsConnect({ ...at, rejectUnauthorized: false, ALPNProtocols: ["libp2p"] })
    stranger.on("error", () => {})
    await b.until(() => b.sessions.length === 1)
    expect(b.sessions[0]).toMatchObject({ certificate: undefined, alpn: "libp2p" })
    stranger.destroy()
  })

  /** A listener that is given the first `early` bytes of TLS with the plain words before it. */
  const leftover = async (early: number, serve: (ear: Ear) => void) => {
    const b = new Ear()
    let upgraded = false
    const { at } = await listen((link) => {
      const handlers = b.take(link)
      return {
        ...handlers,
        data: (bytes) => {
          if (upgraded) return handlers.data(bytes)
          upgraded = true
          link.upgradeTls(offer("listener"), bytes.slice(2))
        },
        secured: (session) => {
          handlers.secured(session)
          serve(b)
        }
      }
    })
    // Between the two stands a pipe that glues the words to the first bytes of TLS, as a lazy dialler does.
    const carrier = connect(at) as NodeSocket
    const front = Bun.listen<NodeSocket>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = carrier
          carrier.on("data", (bytes) => void socket.write(bytes))
          carrier.on("close", () => socket.end())
          carrier.on("error", () => {})
        },
        data: (socket, bytes) => {
          if (socket.data.bytesWritten > 0) return void socket.data.write(bytes)
          socket.data.setNoDelay(true)
          socket.data.write(Buffer.concat([Buffer.from("hi"), bytes.subarray(0, early)]))
          socket.data.write(bytes.subarray(early))
        },
        close: (socket) => void socket.data.end()
      }
    })
    listening.push({ at, close: () => front.stop(true) })
    const stranger = tlsConnect({
      host: "127.0.0.1",
      port: front.port,
      ...identity,
      rejectUnauthorized: false,
      ALPNProtocols: ["libp2p"]
    })
    stranger.on("error", () => {})
    return { b, stranger }
  }

  test("stands too when its first bytes were read already, whole or in part", async () => {
    for (const early of [1, 100, 100_000]) {
      const { b, stranger } = await leftover(early, (ear) => ear.link.write(utf8("welcome")))
      const welcome = await new Promise<string>((resolve) => stranger.once("data", (bytes) => resolve(String(bytes))))
      expect(welcome).toBe("welcome")
      expect(b.sessions[0]!.alpn).toBe("libp2p")
      expect(b.sessions[0]!.binding).toEqual(
        new Uint8Array(stranger.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0)))
      )
      const big = Buffer.alloc(3 << 20, 7)
      stranger.write(big)
      await b.until(() => b.bytes === big.length)
      b.link.end()
      await b.until(() => b.reasons.length === 1)
      stranger.destroy()
    }
  })
})

describe("names", () => {
  test("localhost has addresses; who stops waiting is told so", async () => {
    expect(await world.resolve("localhost", "A")).toContain("127.0.0.1")
    const fault = await faultOf(world.resolve("localhost", "A", AbortSignal.abort()))
    expect([fault.kind, fault.name]).toEqual(["cancelled", "AbortError"])
  })

  test("TXT texts longer than a piece are joined, and one may stop waiting for a server that is silent", async () => {
    const server = createSocket("udp4")
    const asked = Promise.withResolvers<void>()
    const long = "dnsaddr=/ip4/".padEnd(300, "1")
    server.on("message", (query, from) => {
      if (query.includes("silent")) return asked.resolve()
      const answer = Buffer.from(query.subarray(0, query.indexOf(0, 12) + 5))
      answer.writeUInt16BE(0x8180, 2)
      answer.writeUInt16BE(2, 6)
      answer.writeUInt32BE(0, 8)
      const record = (...pieces: ReadonlyArray<string>): Buffer => {
        const text = Buffer.concat(
          pieces.map((piece) => Buffer.from(String.fromCharCode(piece.length) + piece, "latin1"))
        )
        return Buffer.concat([
          Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, text.length >> 8, text.length & 255]),
          text
        ])
      }
      server.send(
        Buffer.concat([answer, record(long.slice(0, 255), long.slice(255)), record("b")]),
        from.port,
        from.address
      )
    })
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve))
    const own = makeBunWorld({ servers: [`127.0.0.1:${server.address().port}`] })
    expect(await own.resolve("_dnsaddr.cairn.test", "TXT")).toEqual([long, "b"])
    const controller = new AbortController()
    const waiting = own.resolve("_dnsaddr.silent.test", "TXT", controller.signal)
    await asked.promise
    controller.abort()
    expect((await faultOf(waiting)).kind).toBe("cancelled")
    server.close()
  })

  test("the machine's own addresses hold loopback, and none that needs an interface's name", () => {
    expect(world.interfaces()).toContain("127.0.0.1")
    expect(world.interfaces().filter((address) => address.startsWith("fe80"))).toEqual([])
  })
})
