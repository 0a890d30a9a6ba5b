/** One node of real actors, rules and store, alone in a world: what tests of its actors start in one line. */
import { Effect } from "effect"
import { startTree, type Tree } from "../../actors/tree.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { ChainSpec } from "../../src/block/genesis.ts"
import type { CallNode } from "../../src/io/call-node.ts"
import { type OnWire, type Tcp, TcpFault, type Wire, type WireHandlers } from "../../src/io/tcp.ts"
import type { StartThread } from "../../src/io/worker.ts"
import { outboundBytesMax } from "../../src/limits.ts"
import { openDatabase } from "../../src/store/db.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { ChainStore } from "../../src/store/store.ts"
import type { Signer } from "../../src/validator/signer.ts"
import { keyOf, specOf } from "../fixtures.ts"
import type { SimService } from "./service.ts"

/** A socket in the hand of a test: what the node has written, and whether it has ended it. */
export interface HeldWire {
  readonly handlers: WireHandlers
  readonly written: Array<Uint8Array>
  readonly ended: () => boolean
  readonly binding: Uint8Array
  /** From now on the stranger reads nothing: what the node writes stays in its queue. */
  readonly fill: () => void
}

export interface AloneNode {
  readonly tree: Tree
  readonly store: ChainStore
  /** A stranger connects. */
  readonly connect: () => HeldWire
}

export interface AloneWish {
  readonly spec?: ChainSpec
  readonly store?: ChainStore
  readonly threads?: number
  readonly startThread?: StartThread
  readonly triesInPlace?: number
  readonly signer?: Signer
  /** The address that it hears peers on. */
  readonly host?: string
  readonly asks?: SimService
  /** Nodes that it asks by HTTP, and what is behind them. */
  readonly nodes?: { readonly urls: ReadonlyArray<string>; readonly callNode: CallNode }
  /** Speaks to no peers. */
  readonly peerless?: boolean
}

const noThreads: StartThread = () => {
  throw new Error("a target of four bits needs no thread")
}

/** A door at which only tests knock. */
const makeDoor = (): { readonly tcp: Tcp; readonly connect: () => HeldWire } => {
  let onWire: OnWire | undefined
  let count = 0
  const tcp: Tcp = {
    listen: (_at, _tls, heard) =>
      Effect.sync(() => {
        onWire = heard
        return { port: 1, close: () => {} }
      }),
    dial: (to) => Effect.fail(new TcpFault({ code: "dial-failed", message: `nobody at ${to.host}` }))
  }
  const connect = (): HeldWire => {
    const written: Array<Uint8Array> = []
    let ended = false
    let queued = 0
    const end = (): void => void (ended = true)
    const wire: Wire = {
      remoteHost: "10.0.0.9",
      binding: new Uint8Array(32).fill(++count),
      write: (bytes) => written.push(bytes) > 0,
      queued: () => queued,
      pause: () => {},
      resume: () => {},
      end,
      terminate: end
    }
    return { handlers: onWire!(wire), written, ended: () => ended, binding: wire.binding, fill: () => void (queued = outboundBytesMax) }
  }
  return { tcp, connect }
}

/** Starts a node that mines on order. */
export const startAlone = (wish: AloneWish = {}): Effect.Effect<AloneNode, unknown> =>
  Effect.suspend(() => {
    const rules = makeRules(wish.spec ?? specOf())
    const store = wish.store ?? new ChainStore(openDatabase(":memory:"), rules)
    const { tcp, connect } = makeDoor()
    const key = keyOf(300)
    const discovery = wish.asks === undefined ? [] : [wish.asks.url]
    const tree = startTree({
      config: {
        dataDir: "",
        dev: true,
        signatureEngine: "auto",
        http: { host: "", port: 0, adminToken: undefined, peerSecret: "a secret" },
        peers: wish.peerless
          ? undefined
          : { host: wish.host ?? "10.0.0.1", port: 0, advertise: undefined, seeds: [], discovery },
        httpPeers: wish.nodes,
        mining: { threads: wish.threads ?? 0, proposer: undefined, onDemand: false, everyMs: undefined }
      },
      rules,
      store,
      snapshot: new Snapshot(store.db, rules),
      key,
      proposer: key.address,
      tls: { key: "", cert: "" },
      doors: {
        tcp,
        startThread: wish.startThread ?? noThreads,
        ...(wish.asks === undefined ? {} : { fetch: wish.asks.fetch }),
        ...(wish.nodes === undefined ? {} : { callNode: wish.nodes.callNode })
      },
      ...(wish.signer === undefined ? {} : { signer: wish.signer }),
      ...(wish.triesInPlace === undefined ? {} : { triesInPlace: wish.triesInPlace }),
      facts: {
        version: "sim",
        agent: "alone",
        dev: true,
        dataDir: "",
        httpUrl: "",
        signatureEngine: "sim",
        hashEngine: "sim",
        mineThreads: 0,
        startedAt: 0
      }
    })
    // A turn for everyone to begin: sessions that are older than the directory's actor are closed by it.
    return Effect.map(Effect.tap(tree, () => Effect.sleep(1)), (started) => ({ tree: started, store, connect }))
  })
