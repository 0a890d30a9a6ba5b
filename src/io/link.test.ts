/** Links over real sockets on loopback: what comes, in order; how a dial and a link end; one port for both kinds of IP */
import { afterAll, describe, expect, jest, test } from "bun:test"
import { closeAll, Ear, faultOf, listen, pair, world } from "../../test/link-ear.ts"
import { concatAll, utf8 } from "../codec/bytes.ts"
import { lingerMsMax, outboundBytesMax } from "../limits.ts"
import { makeBunWorld } from "./link.ts"

afterAll(closeAll)

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

  test("that is called off leaves no link at either end", async () => {
    const b = new Ear()
    const { at } = await listen((link) => b.take(link))
    const controller = new AbortController()
    const a = new Ear()
    const dialled = world.dial({ ...at, timeoutMs: 5_000, signal: controller.signal }, (link) => a.take(link))
    controller.abort()
    expect((await faultOf(dialled)).kind).toBe("cancelled")
    await b.until(() => b.reasons.length === 1)
    expect(a.link).toBeUndefined()
  })

  test("that nobody answers in time is over; who answers later finds nobody", async () => {
    const b = new Ear()
    const { at } = await listen((link) => b.take(link))
    jest.useFakeTimers()
    const a = new Ear()
    const dialled = world.dial({ ...at, timeoutMs: 5_000 }, (link) => a.take(link))
    jest.advanceTimersByTime(5_000)
    jest.useRealTimers()
    const fault = await faultOf(dialled)
    expect([fault.kind, fault.name]).toEqual(["timeout", "TimeoutError"])
    await b.until(() => b.reasons.length === 1)
    expect(a.link).toBeUndefined()
  })
})

/** An address of this machine that is not loopback. */
const outward = world.interfaces().find((host) => host !== "127.0.0.1" && host !== "::1")

describe("a door", () => {
  /** Dials until the door has turned two away; how many came through, and what was told of the others. */
  const crowd = async (host: string, linksMax: number, addressLinksMax: number) => {
    const came: Array<Ear> = []
    const told: Array<string> = []
    const twice = Promise.withResolvers<void>()
    const own = makeBunWorld()
    const { at, close } = await own.listen(
      { host, port: 0 },
      (link) => {
        const ear = new Ear()
        came.push(ear)
        return ear.take(link)
      },
      {
        linksMax,
        addressLinksMax,
        refused: (remote, busy) => {
          told.push(`${remote.host} ${remote.port > 0} ${busy}`)
          if (told.length === 2) twice.resolve()
        }
      }
    )
    const diallers: Array<Ear> = []
    const dial = async (): Promise<Ear> => {
      const ear = new Ear()
      diallers.push(ear)
      await own.dial({ ...at, timeoutMs: 5_000 }, (link) => ear.take(link))
      return ear
    }
    await dial()
    await dial()
    // Who is cut off so soon may not even have its link.
    for (let count = 0; count < 2; count++) await dial().catch(() => undefined)
    await twice.promise
    expect(came).toHaveLength(2)
    // A place that is left is free again.
    diallers[0]!.link.terminate()
    await came[0]!.until(() => came[0]!.reasons.length === 1)
    const late = await dial()
    late.link.write(utf8("here"))
    while (came.length < 3) await new Promise((resolve) => setImmediate(resolve))
    await came[2]!.until(() => came[2]!.text === "here")
    for (const { link } of diallers as ReadonlyArray<Partial<Ear>>) link?.terminate()
    close()
    return told
  }

  test("turns away what is too much from everywhere, and says so", async () => {
    expect(await crowd("127.0.0.1", 2, 1)).toEqual(Array(2).fill("127.0.0.1 true everywhere"))
  })

  test.skipIf(outward === undefined)("turns away what is too much from one address, and says so", async () => {
    expect(await crowd(outward!, 10, 2)).toEqual(Array(2).fill(`${outward} true address`))
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

test("the machine's own addresses hold loopback, and none that needs an interface's name", () => {
  expect(world.interfaces()).toContain("127.0.0.1")
  expect(world.interfaces().filter((address) => address.startsWith("fe80"))).toEqual([])
})
