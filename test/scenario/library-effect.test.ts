/** The library's Effect layer: hosts, streams and handlers live as long as their scopes, and faults come by the error channel. */
import { expect, test } from "bun:test"
import { Cause, Effect, Exit, Fiber, Stream as Bytes } from "effect"
import { noise } from "../../src/host/parts.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { multiaddr } from "../../src/libp2p/multiaddr.ts"
import { bytesOf, dial, dialProtocol, handle, Libp2p, scopedHost, send } from "../../src/library-effect.ts"
import { MemoryNet } from "../memory-world.ts"

const initAt = (ip: string) => ({ addresses: { listen: [`/ip4/${ip}/tcp/1`] }, connectionEncrypters: [noise()] })
const at = multiaddr("/ip4/10.0.0.2/tcp/1")
const text = (parts: Iterable<Uint8Array>): string =>
  [...parts].map((bytes) => new TextDecoder().decode(bytes)).join("")

/** A host in the context, and another that it can dial, which answers with `answer`. */
const withTwo = <A, E>(net: MemoryNet, run: Effect.Effect<A, E, Libp2p>): Promise<Exit.Exit<A, E | Libp2pFault>> =>
  Effect.runPromiseExit(
    Effect.scoped(
      Effect.gen(function* () {
        const other = yield* scopedHost(initAt("10.0.0.2"), net.world("10.0.0.2"))
        yield* Effect.provideService(
          handle("/shout/1", (stream) =>
            Bytes.runForEach(bytesOf(stream), (bytes) =>
              send(
                stream,
                bytes.map((byte) => byte & 0xdf)
              )
            )
          ),
          Libp2p,
          other
        )
        yield* Effect.provideService(
          handle("/fail/1", () => Effect.fail("no")),
          Libp2p,
          other
        )
        return yield* Effect.provide(run, Libp2p.layer(initAt("10.0.0.1"), net.world("10.0.0.1")))
      })
    )
  )

test("a scoped stream carries bytes both ways; the layer stops its host", async () => {
  const net = new MemoryNet()
  const exit = await withTwo(
    net,
    Effect.scoped(
      Effect.gen(function* () {
        const stream = yield* dialProtocol(at, "/shout/1")
        yield* send(stream, new TextEncoder().encode("hello"))
        yield* Effect.promise(() => stream.close())
        return text(yield* Bytes.runCollect(bytesOf(stream)))
      })
    )
  )
  expect(exit).toEqual(Exit.succeed("HELLO"))
  await net.settle()
  expect([net.listening, net.timersLeft]).toEqual([[], 0])
})

test("a scope that fails aborts its stream, one that ends well closes it", async () => {
  const net = new MemoryNet()
  const seen: Array<string> = []
  const exit = await withTwo(
    net,
    Effect.gen(function* () {
      const well = yield* Effect.scoped(dialProtocol(at, "/shout/1"))
      seen.push(well.writeStatus)
      let badly = well
      yield* Effect.exit(
        Effect.scoped(
          Effect.gen(function* () {
            badly = yield* dialProtocol(at, "/shout/1")
            return yield* Effect.fail("oh")
          })
        )
      )
      seen.push(badly.status)
    })
  )
  expect([Exit.isSuccess(exit), seen]).toEqual([true, ["closed", "aborted"]])
})

test("faults are in the error channel, also those of a handler that fails on the other side", async () => {
  const faults = await withTwo(
    new MemoryNet(),
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(Effect.scoped(dialProtocol(at, "/other/1")))
      const refused = yield* Effect.flip(dial(multiaddr("/ip4/10.0.0.3/tcp/1")))
      const failed = yield* Effect.flip(
        Effect.scoped(Effect.flatMap(dialProtocol(at, "/fail/1"), (stream) => Bytes.runDrain(bytesOf(stream))))
      )
      return [unknown, refused, failed].map((fault) => (fault instanceof Libp2pFault ? fault.name : "no fault"))
    })
  )
  expect(faults).toEqual(Exit.succeed(["UnsupportedProtocolError", "ConnectionFailedError", "StreamResetError"]))
})

test("who is interrupted calls off what he waits for", async () => {
  const net = new MemoryNet()
  net.silent.add("10.0.0.9 1")
  const exit = await withTwo(
    net,
    Effect.gen(function* () {
      const host = yield* Libp2p
      const fiber = yield* Effect.forkChild(dial(multiaddr("/ip4/10.0.0.9/tcp/1")))
      yield* Effect.promise(() => net.settle())
      const before = host.getDialQueue().length
      const ended = yield* Fiber.interrupt(fiber).pipe(Effect.andThen(Fiber.await(fiber)))
      yield* Effect.promise(() => net.settle())
      const interrupted = Exit.isFailure(ended) && Cause.hasInterrupts(ended.cause)
      return [before, host.getDialQueue().length, interrupted]
    })
  )
  expect(exit).toEqual(Exit.succeed([1, 0, true]))
})
