/** How it ends between whole hosts, over simulated links: stop, abort, storms of dials, peers that are slow, silent or many. */
import { describe, expect, test } from "bun:test"
import { concatAll } from "../../src/codec/bytes.ts"
import type { Host } from "../../src/host/host.ts"
import { identify, identifyPush } from "../../src/host/identify-service.ts"
import { perf } from "../../src/host/perf-service.ts"
import { ping } from "../../src/host/ping-service.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { selectLine } from "../../src/libp2p/multistream.ts"
import { yamuxPingMs, yamuxSilenceMsMax } from "../../src/libp2p/yamux-limits.ts"
import { lingerMsMax } from "../../src/limits.ts"
import { RawLink, RawPeer } from "../raw-peer.ts"
import { frame } from "../yamux.ts"
import { addressOf, ask, echo, faultOf, play, type Stack } from "../stack.ts"

const services = { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
const two = async (stack: Stack) => [await stack.host({ services }), await stack.host({ services })] as const

describe("dials", () => {
  test("of each other at once both stand, and a storm of them is one", () => {
    play(1, async (stack) => {
      const [a, b] = await two(stack)
      await Promise.all([a.dial(addressOf(2)), b.dial(addressOf(1))])
      await stack.wait(1_000)
      const counts = [a.getConnections().length, b.getConnections().length]
      expect([counts[0], counts[0]! >= 1 && counts[0]! <= 2]).toEqual([counts[1], true])
      await a.hangUp(b.peerId)
      await stack.wait(1_000)
      stack.expectQuiet()
      const target = [addressOf(2).encapsulate(`/p2p/${b.peerId}`)]
      const all = await Promise.all(Array.from({ length: 300 }, () => a.dial(target)))
      expect(new Set(all).size).toBe(1)
      await stack.wait(1_000)
      expect(b.getConnections().length).toBe(1)
    })
  })

  test("to who is not there end in their time, each with its kind, and leave nothing", () => {
    play(1, async (stack) => {
      const [a, b] = await two(stack)
      expect((await faultOf(a.dial(addressOf(9)))).kind).toBe("io")
      stack.net.cut("a", "b")
      const began = stack.world.now
      expect((await faultOf(a.dial(addressOf(2)))).kind).toBe("timeout")
      expect(stack.world.now - began).toBeLessThanOrEqual(10_000)
      stack.net.mend("a", "b")
      const wrong = addressOf(2).encapsulate(`/p2p/${(await stack.host()).peerId}`)
      expect((await faultOf(a.dial(wrong))).name).toBe("UnexpectedPeerError")
      await stack.wait(1_000)
      stack.expectQuiet()
      expect((await a.dial(addressOf(2))).remotePeer.equals(b.peerId)).toBe(true)
    })
  })
})

/** Virtual milliseconds until the promise has settled. */
const msOf = async (stack: Stack, promise: Promise<unknown>): Promise<number> => {
  const began = stack.world.now
  await promise.catch(() => undefined)
  return stack.world.now - began
}

describe("an AbortSignal", () => {
  /** Everything that takes one, from a dial on. */
  const work = async (a: Host<never>, signal: AbortSignal): Promise<void> => {
    const { services: of } = a as unknown as Awaited<ReturnType<typeof two>>[0]
    const connection = await a.dial(addressOf(2), { signal })
    await of.identify.identify(connection, { signal })
    await of.ping.ping(connection.remotePeer, { signal })
    const stream = await connection.newStream(["/none/1", "/echo/1"], { signal })
    const off = (): void => stream.abort(signal.reason as Error)
    signal.addEventListener("abort", off)
    await ask(stream, new Uint8Array(100_000))
    signal.removeEventListener("abort", off)
    for await (const _ of of.perf.measurePerformance(addressOf(2), 100_000, 100_000, { signal }));
  }

  test("calls off at every moment what is under way; nothing hangs and nothing stays", () => {
    play(1, async (stack) => {
      const [a, b] = await two(stack)
      await b.handle("/echo/1", echo)
      const host = a as unknown as Host<never>
      const whole = await msOf(stack, work(host, new AbortController().signal))
      for (let ms = 0; ms < whole; ms += 7) {
        for (const connection of a.getConnections()) connection.abort(new Error("again"))
        await stack.wait(1_000)
        const controller = new AbortController()
        const working = work(host, controller.signal)
        const outcome = working.catch((error: unknown) => error)
        await stack.wait(ms)
        const abortedAt = stack.world.now
        controller.abort()
        const error = await outcome
        expect(stack.world.now - abortedAt).toBeLessThan(2_000)
        if (error !== undefined && !(error instanceof Libp2pFault)) throw new Error(`${ms}: ${error}`)
        await stack.wait(1)
        expect(a.getDialQueue()).toEqual([])
        await stack.wait(15_000)
        expect([a, b].flatMap((one) => one.getConnections().flatMap(({ streams }) => streams))).toEqual([])
        expect(a.getDialQueue()).toEqual([])
        expect(a.resources().transientConnections.total).toBe(0)
      }
    })
  })
})

describe("stop", () => {
  test("at every moment: each promise settles with a fault of ours, and nothing is left", () => {
    const life = (ms: number): number => {
      let whole = 0
      play(1, async (stack) => {
        const [a, b] = await two(stack)
        const c = await stack.host({ services })
        for (const host of [a, b, c]) await host.handle("/echo/1", echo)
        const tasks = (): ReadonlyArray<Promise<unknown>> => [
          a.dial(addressOf(2)).then((connection) => a.services.identify.identify(connection)),
          b.dial(addressOf(1)).then(() => b.services.ping.ping(a.peerId)),
          c.dialProtocol(addressOf(2), "/echo/1").then((stream) => ask(stream, new Uint8Array(300_000))),
          b.dialProtocol(addressOf(3), ["/none/1", "/echo/1"]).then((stream) => ask(stream, new Uint8Array(9))),
          Array.fromAsync(a.services.perf.measurePerformance(addressOf(3), 200_000, 200_000)),
          b.dial(addressOf(9))
        ]
        const outcomes = Promise.all(tasks().map((task) => task.catch((error: unknown) => error)))
        if (ms === 0) whole = await msOf(stack, outcomes)
        else await stack.wait(ms)
        const began = stack.world.now
        await b.stop()
        expect(stack.world.now - began).toBeLessThan(5_000)
        for (const error of await outcomes) if (error instanceof Error && !(error instanceof Libp2pFault)) throw error
      })
      return whole
    }
    const whole = life(0)
    for (let ms = 1; ms < whole; ms += 7) life(ms)
  })

  test("while it starts, and start while it stops, wait for each other", () => {
    play(1, async (stack) => {
      const a = await stack.host({ services })
      const [stopping, starting] = [a.stop(), a.start()]
      expect(a.status).toBe("stopping")
      const again = a.start()
      await Promise.all([stopping, starting, again])
      expect(a.status).toBe("started")
      await a.stop()
      const begun = a.start()
      await Promise.all([begun, a.stop(), a.stop()])
      expect([a.status, a.getMultiaddrs().length]).toEqual(["stopped", 0])
    })
  })
})

describe("a peer that is slow", () => {
  test("to answer a dial, to say its part of a handshake, is waited for so long and no longer", () => {
    play(1, async (stack) => {
      const a = await stack.host()
      const mute = stack.machine(2)
      const listening = await mute.listen({ host: "0.0.0.0", port: 4001 }, new RawLink().take)
      const began = stack.world.now
      expect((await faultOf(a.dial(addressOf(2)))).name).toBe("TimeoutError")
      expect(stack.world.now - began).toBeLessThanOrEqual(10_000)
      listening.close()
      const failures: Array<string> = []
      a.addEventListener("connection:failure", ({ detail }) => void failures.push(detail.error.name))
      const { link } = await RawLink.to(mute, 1)
      const hello = concatAll([selectLine("/multistream/1.0.0"), selectLine("/noise")])
      for (const byte of hello) {
        link.write(new Uint8Array([byte]))
        await stack.wait(1_000)
      }
      expect(failures).toEqual(["TimeoutError"])
      stack.expectQuiet()
    })
  })

  test("and never reads holds little, and is given up when it answers no ping", () => {
    play(1, async (stack) => {
      const a = await stack.host({ services: { perf: perf() } })
      const peer = await RawPeer.to(stack.machine(2), 1, 2)
      const ask = new Uint8Array(8)
      new DataView(ask.buffer).setUint32(0, 1)
      const select = concatAll([selectLine("/multistream/1.0.0"), selectLine("/perf/1.0.0")])
      // A window of two gigabytes for an answer of four: and then nothing is read.
      peer.send(frame(`WINDOW SYN 1 ${2 ** 31}`), frame(`DATA 1 ${select.length}`, select))
      peer.send(frame("DATA FIN 1 8", ask))
      peer.raw.link.pause()
      await stack.wait(20_000)
      expect(a.resources().streams.total).toBe(1)
      expect(stack.sent.get("a")).toBeLessThan(1024 * 1024)
      const [connection] = a.getConnections()
      const ended = new Promise<unknown>((resolve) =>
        connection!.addEventListener("close", ({ error }) => resolve(error), { once: true })
      )
      await stack.wait(yamuxPingMs + yamuxSilenceMsMax + lingerMsMax)
      expect(((await ended) as Error).name).toBe("TimeoutError")
      stack.expectQuiet()
    })
  })

  test("is left by an abort: nobody is given that connection any more, and it is over in its time", () => {
    play(1, async (stack) => {
      const a = await stack.host()
      await a.handle("/pour/1", (stream) => void stream.send(new Uint8Array(4 * 1024 * 1024)))
      const peer = await RawPeer.to(stack.machine(2), 1, 2)
      const select = concatAll([selectLine("/multistream/1.0.0"), selectLine("/pour/1")])
      peer.send(frame(`WINDOW SYN 1 ${2 ** 31}`), frame(`DATA 1 ${select.length}`, select))
      peer.raw.link.pause()
      await stack.wait(1_000)
      const [connection] = a.getConnections()
      connection!.abort(new Error("too slow"))
      expect(connection!.status).toBe("closing")
      expect((await faultOf(connection!.newStream("/pour/1"))).name).toBe("ConnectionClosedError")
      await stack.wait(lingerMsMax + 1_000)
      expect([connection!.status, a.getConnections().length]).toEqual(["aborted", 0])
    })
  })

  test("a thousand that open links and say nothing hold few places; who means it is served meanwhile", () => {
    play(1, async (stack) => {
      const [a, b] = await two(stack)
      const strangers = Array.from({ length: 200 }, (_, at) => stack.machine(3 + at))
      let open = 0
      const flood = (async () => {
        for (let round = 0; round < 5; round++) {
          for (const stranger of strangers) {
            RawLink.to(stranger, 2).catch(() => undefined)
            open++
            await stack.wait(10)
          }
        }
      })()
      for (let round = 0; round < 5; round++) {
        await stack.wait(1_500)
        const connection = await a.dial(addressOf(2))
        expect(await a.services.ping.ping(connection.remotePeer)).toBeGreaterThan(0)
        expect(b.resources().transientConnections.total).toBeLessThanOrEqual(64)
        await connection.close()
      }
      await flood
      expect(open).toBe(1_000)
      await stack.wait(15_000)
      stack.expectQuiet()
    })
  })
})
