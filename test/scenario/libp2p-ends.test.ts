/** How it ends between whole hosts, over simulated links: stop, abort, storms of dials, peers that are slow, silent or many. */
import { describe, expect, test } from "bun:test"
import type { Host } from "../../src/host/host.ts"
import { identify, identifyPush } from "../../src/host/identify-service.ts"
import { perf } from "../../src/host/perf-service.ts"
import { ping } from "../../src/host/ping-service.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
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

/** How many steps the world makes until the promise has settled, at most. */
const stepsOf = async (stack: Stack, promise: Promise<unknown>): Promise<number> => {
  const began = stack.world.steps
  await promise.catch(() => undefined)
  return stack.world.steps - began
}
const afterSteps = async (stack: Stack, steps: number): Promise<void> => {
  const until = stack.world.steps + steps
  while (stack.world.steps < until) await stack.wait(1)
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
      const whole = await stepsOf(stack, work(host, new AbortController().signal))
      console.log(whole)
      for (let steps = 0; steps < whole; steps += 7) {
        for (const connection of a.getConnections()) connection.abort(new Error("again"))
        await stack.wait(1_000)
        const controller = new AbortController()
        const working = work(host, controller.signal)
        const outcome = working.catch((error: unknown) => error)
        await afterSteps(stack, steps)
        const abortedAt = stack.world.now
        controller.abort()
        const error = await outcome
        expect(stack.world.now - abortedAt).toBeLessThan(2_000)
        if (error !== undefined && !(error instanceof Libp2pFault)) throw new Error(`${steps}: ${error}`)
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
    const life = (stepsUntil: number): number => {
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
        if (stepsUntil === 0) whole = await stepsOf(stack, outcomes)
        else await afterSteps(stack, stepsUntil)
        const began = stack.world.now
        await b.stop()
        expect(stack.world.now - began).toBeLessThan(5_000)
        for (const error of await outcomes)
          if (error instanceof Error && !(error instanceof Libp2pFault)) throw error
      })
      return whole
    }
    const whole = life(0)
    console.log(whole)
    for (let steps = 1; steps < whole; steps += 11) life(steps)
  })
})
