/**
 * The library for programs of Effect: `import { Libp2p } from "cairn/libp2p/effect"`. A host lives as long as its layer, a
 * connection's stream as long as its scope; faults are in the error channel; who is interrupted aborts what he waits for. Bytes go
 * through the host's plain calls: there is a fiber for a stream that is handled, and none for what comes over it.
 */
import { Context, Effect, Exit, FiberSet, Layer, type Scope, Stream as Bytes } from "effect"
import { useFastestEngine } from "./crypto/native.ts"
import { faultOf } from "./host/abort.ts"
import type {
  Connection,
  DialOptions,
  DialProtocolOptions,
  DialTarget,
  ServiceMap,
  Stream,
  StreamHandlerOptions
} from "./host/api.ts"
import { createHost, type Host } from "./host/host.ts"
import type { HostInit } from "./host/init.ts"
import type { World } from "./host/world.ts"
import { makeBunWorld } from "./io/link.ts"
import type { Libp2pFault } from "./libp2p/fault.ts"

const attempt = <A>(what: string, run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, Libp2pFault> =>
  Effect.tryPromise({ try: run, catch: (error) => faultOf(error, what) })

const opened = <T extends ServiceMap>(
  init: HostInit<T>,
  world: World
): Effect.Effect<Host<T>, Libp2pFault, Scope.Scope> =>
  Effect.acquireRelease(
    attempt("starting a host", async () => {
      useFastestEngine()
      const host = createHost(init, world)
      await host.start()
      return host
    }),
    (host) => Effect.promise(() => host.stop())
  )

/** A started host, in the context. */
export class Libp2p extends Context.Service<Libp2p, Host>()("cairn/libp2p") {
  /** A host over Bun's sockets, or over another world; stopped with the layer's scope. */
  static layer<T extends ServiceMap = Record<string, never>>(
    init: HostInit<T>,
    world: World = makeBunWorld()
  ): Layer.Layer<Libp2p, Libp2pFault> {
    return Layer.effect(Libp2p, opened(init, world))
  }
}

/** A host with the types of its services, for as long as the scope. */
export const scopedHost = <T extends ServiceMap = Record<string, never>>(
  init: HostInit<T>,
  world: World = makeBunWorld()
): Effect.Effect<Host<T>, Libp2pFault, Scope.Scope> => opened(init, world)

/** The connection belongs to the host: it outlives the caller. */
export const dial = (target: DialTarget, options: DialOptions = {}): Effect.Effect<Connection, Libp2pFault, Libp2p> =>
  Effect.flatMap(Libp2p, (host) => attempt("dialling", (signal) => host.dial(target, { ...options, signal })))

/** A stream that is closed with the scope, or aborted when the scope ends in a failure or an interruption. */
export const dialProtocol = (
  target: DialTarget,
  protocols: string | ReadonlyArray<string>,
  options: DialProtocolOptions = {}
): Effect.Effect<Stream, Libp2pFault, Libp2p | Scope.Scope> =>
  Effect.flatMap(Libp2p, (host) =>
    Effect.acquireRelease(
      attempt("opening a stream", (signal) => host.dialProtocol(target, protocols, { ...options, signal })),
      ended,
      { interruptible: true }
    )
  )

const ended = (stream: Stream, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Exit.isSuccess(exit)
    ? Effect.ignore(attempt("closing a stream", () => stream.close()))
    : Effect.sync(() => stream.abort(faultOf(undefined, "the scope of the stream ended early")))

/** What the other side sends, until it has closed. What nobody pulls fills its window, and it waits. */
export const bytesOf = (stream: Stream): Bytes.Stream<Uint8Array, Libp2pFault> =>
  Bytes.fromAsyncIterable(stream, (error) => faultOf(error, "reading a stream"))

/** Sends, and waits where the stream says that it is enough. */
export const send = (stream: Stream, bytes: Uint8Array): Effect.Effect<void, Libp2pFault> =>
  Effect.flatMap(
    Effect.try({ try: () => stream.send(bytes), catch: (error) => faultOf(error, "writing to a stream") }),
    (more) => (more ? Effect.void : attempt("waiting for a stream", (signal) => stream.onDrain({ signal })))
  )

/**
 * Answers a protocol until the scope ends: a fiber for each stream, whose failure aborts the stream. When the scope ends the
 * protocol is gone, and its fibers are interrupted.
 */
export const handle = <E, R>(
  protocol: string | ReadonlyArray<string>,
  handler: (stream: Stream, connection: Connection) => Effect.Effect<void, E, R>,
  options?: StreamHandlerOptions
): Effect.Effect<void, Libp2pFault, Libp2p | Scope.Scope | R> =>
  Effect.gen(function* () {
    const host = yield* Libp2p
    const fibers = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(fibers)<R>()
    const answer = (stream: Stream, connection: Connection): void => {
      run(Effect.ignore(Effect.onExit(handler(stream, connection), (exit) => ended(stream, exit))))
    }
    yield* Effect.acquireRelease(
      attempt("handling a protocol", () => host.handle(protocol, answer, options)),
      () => Effect.ignore(attempt("letting a protocol go", () => host.unhandle(protocol)))
    )
  })
