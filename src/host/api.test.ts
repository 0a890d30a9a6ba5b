/**
 * Held against `@libp2p/interface` by the compiler: what is assignable here is what code written for js-libp2p may be given. Its peer
 * ids, keys and addresses are other classes than ours, and their CIDs and digests are those of a package, so wherever one of them
 * stands in a type, ours is put in its place before the two are compared.
 */
import { expect, test } from "bun:test"
import type * as js from "@libp2p/interface"
import type { Multiaddr as JsMultiaddr } from "@multiformats/multiaddr"
import type { Multiaddr, PeerId, PrivateKey, PublicKey } from "../libp2p/contract.ts"
import type {
  Connection,
  ConnectionGater,
  DialOptions,
  HostEvents,
  IdentifyResult,
  Libp2p,
  NewStreamOptions,
  Peer,
  PeerData,
  PeerStore,
  Stream,
  StreamHandler,
  StreamHandlerOptions,
  StreamMiddleware,
  Topology
} from "./api.ts"

type Args<A extends ReadonlyArray<unknown>> = { [K in keyof A]: Ours<A[K]> }

type Plain = Uint8Array | AbortSignal | Event | Error | string | number | bigint | boolean | null | undefined | symbol

/** A type of js-libp2p with our peer ids, keys and addresses, our streams and connections in place of its own. */
type Ours<T> = unknown extends T
  ? T
  : T extends js.PublicKey
    ? PublicKey
    : T extends js.PrivateKey
      ? PrivateKey
      : T extends js.PeerId
        ? PeerId
        : T extends JsMultiaddr
          ? Multiaddr
          : T extends js.Stream
            ? Stream
            : T extends js.Connection
              ? Connection
              : T extends Plain
                ? T
                : T extends Map<infer K, infer V>
                  ? Map<K, Ours<V>>
                  : T extends Promise<infer R>
                    ? Promise<Ours<R>>
                    : T extends (...args: infer A) => infer R
                      ? (...args: Args<A> extends ReadonlyArray<unknown> ? [...Args<A>] : never) => Ours<R>
                      : { [K in keyof T]: Ours<T[K]> }

/** Compiles only where a value of ours does as one of theirs. */
const does = <Theirs, Mine extends Theirs>(_: (mine: Mine) => Theirs = (mine) => mine): boolean =>
  typeof _ === "function"

/** What comes with the second half of the library. */
type Absent = "peerRouting" | "contentRouting" | "metrics"
/** Events and overloads that are compared one by one below. */
type ByHand = keyof js.TypedEventTarget<js.Libp2pEvents> | "getPublicKey" | "services" | "logger"
type JsLibp2p = Pick<js.Libp2p, Exclude<keyof js.Libp2p, Absent | ByHand>>

test("a stream of ours is a stream of js-libp2p, whole", () => {
  expect(does<js.Stream, Stream>()).toBe(true)
})

test("a connection is one but for its peer id, its address and the streams that it gives", () => {
  type Rest = Omit<js.Connection, "remotePeer" | "remoteAddr" | "newStream" | "limits">
  expect(does<Rest, Connection>()).toBe(true)
  expect(does<Ours<js.Connection["newStream"]>, Connection["newStream"]>()).toBe(true)
  expect(does<Required<Ours<js.ConnectionLimits>>, Required<NonNullable<Connection["limits"]>>>()).toBe(true)
})

test("a host has all the members, but for those of routing and metrics", () => {
  expect(does<{ [K in keyof JsLibp2p]: Ours<JsLibp2p[K]> }, Libp2p>()).toBe(true)
  expect(does<js.ComponentLogger, Libp2p["logger"]>()).toBe(true)
  type Missing = Exclude<keyof js.Libp2p, keyof Libp2p>
  const missing: Record<Missing, true> = { peerRouting: true, contentRouting: true, metrics: true }
  expect(Object.keys(missing)).toHaveLength(3)
})

test("a peer store is one, and so is all that it takes and gives", () => {
  expect(does<{ [K in keyof js.PeerStore]: Ours<js.PeerStore[K]> }, PeerStore>()).toBe(true)
  expect(does<Ours<js.Peer>, Peer>()).toBe(true)
  expect(does<PeerData, Ours<js.PeerData>>()).toBe(true)
})

test("every event is there under its name, with its detail", () => {
  type Events = Omit<js.Libp2pEvents, "start" | "stop" | "transport:listening" | "transport:close">
  type Missing = Exclude<keyof js.Libp2pEvents, keyof HostEvents>
  const missing: Record<Missing, true> = {}
  expect(missing).toEqual({})
  type Detail<E> = E extends CustomEvent<infer D> ? D : never
  type Wrong = {
    [K in keyof Events]: Detail<HostEvents[K]> extends Ours<Detail<Events[K]>> ? never : K
  }[keyof Events]
  const wrong: Record<Wrong, true> = {}
  expect(wrong).toEqual({})
  expect(does<Ours<Omit<js.IdentifyResult, "connection">>, Omit<IdentifyResult, "connection">>()).toBe(true)
})

test("what a user passes in for js-libp2p is taken here", () => {
  expect(does<DialOptions, js.DialOptions>()).toBe(true)
  expect(does<NewStreamOptions, js.NewStreamOptions>()).toBe(true)
  expect(does<StreamHandlerOptions, Omit<js.StreamHandlerOptions, "middleware">>()).toBe(true)
  expect(does<StreamHandler, (stream: Stream, connection: Connection) => void | Promise<void>>()).toBe(true)
  expect(does<StreamMiddleware, Ours<js.StreamMiddleware>>()).toBe(true)
  expect(does<keyof ConnectionGater, keyof js.ConnectionGater>()).toBe(true)
  expect(does<keyof js.ConnectionGater, keyof ConnectionGater>()).toBe(true)
  expect(does<keyof Topology, keyof js.Topology>()).toBe(true)
})

test("the comparison sees what does not fit", () => {
  // @ts-expect-error a stream without send is none
  does<js.Stream, Omit<Stream, "send">>()
  // @ts-expect-error a host is hung up by peer id or address, not by text
  does<Ours<js.Libp2p["hangUp"]>, (target: string) => Promise<void>>()
  // @ts-expect-error a dial gives a connection
  does<Ours<js.Libp2p["dial"]>, (target: PeerId) => Promise<string>>()
  // @ts-expect-error an address is no peer id
  expect(does<Ours<js.PeerId>, Multiaddr>()).toBe(true)
})
