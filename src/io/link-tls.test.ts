/** TLS beneath a link over real sockets on loopback: both ways to it, and each way in which it does not come about. */
import { afterAll, describe, expect, jest, test } from "bun:test"
import { connect, type Socket as NodeSocket } from "node:net"
import { connect as tlsConnect } from "node:tls"
import { closeAll, closing, Ear, listen, pair, world } from "../../test/link-ear.ts"
import { concatAll, utf8 } from "../codec/bytes.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { lingerMsMax } from "../limits.ts"

afterAll(closeAll)

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

  /** A listener of TLS from the first byte. */
  const secure = async () => {
    const b = new Ear()
    const { at } = await listen((link) => {
      const handlers = b.take(link)
      link.upgradeTls(offer("listener"), new Uint8Array(0))
      return handlers
    })
    return { b, at }
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
    expect(b.reasons[0]).toContain("the TLS handshake failed")
    expect(b.reasons[0]).not.toContain("TLS 1.3")
    expect(b.sessions).toEqual([])
  })

  test("with one who says nothing, or stops in the middle, can be ended at any time", async () => {
    const clientHello = new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1])
    for (const [early, later] of [
      [new Uint8Array(0), undefined],
      [new Uint8Array(0), clientHello],
      [clientHello, undefined]
    ] as const)
      for (const how of ["terminate", "end"] as const) {
        const [a, b] = await pair()
        b.link.upgradeTls(offer("listener"), early.slice())
        if (later !== undefined) a.link.write(later.slice())
        await new Promise<void>((resolve) => setImmediate(resolve))
        jest.useFakeTimers()
        b.link[how]()
        jest.advanceTimersByTime(lingerMsMax)
        jest.useRealTimers()
        await Promise.all([a.until(() => a.reasons.length === 1), b.until(() => b.reasons.length === 1)])
        expect([b.sessions, b.heard]).toEqual([[], []])
      }
  })

  test("fails with TLS 1.2, and with no protocol in common", async () => {
    for (const peer of [{ maxVersion: "TLSv1.2" as const, ALPNProtocols: ["libp2p"] }, { ALPNProtocols: ["h2"] }]) {
      const { b, at } = await secure()
      const stranger = tlsConnect({ ...at, ...identity, rejectUnauthorized: false, ...peer })
      stranger.on("error", () => {})
      await b.until(() => b.reasons.length === 1)
      expect(b.sessions).toEqual([])
      stranger.destroy()
    }
  })

  test("tells that the other side showed no certificate", async () => {
    const { b, at } = await secure()
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
    closing(() => front.stop(true))
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
      stranger.pause()
      let sent = 0
      while (b.link.queued() === 0) {
        b.link.write(new Uint8Array(1 << 20))
        sent += 1 << 20
      }
      const came = new Promise<void>((resolve) => {
        let bytes = 0
        stranger.on("data", (piece) => {
          bytes += piece.length
          if (bytes === sent) resolve()
        })
      })
      stranger.resume()
      await b.until(() => b.drains === 1)
      await came
      b.link.end()
      await b.until(() => b.reasons.length === 1)
      stranger.destroy()
    }
  })
})
