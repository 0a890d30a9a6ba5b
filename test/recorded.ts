/** A recorded node in one line: a real store and real actors, on a machine whose time, peers and threads the test plays. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, References } from "effect"
import type { TreeOptions } from "../actors/base.ts"
import type { Tree } from "../actors/tree.ts"
import { makeRules } from "../src/chain/rules.ts"
import { startRecorded } from "../src/flight/record.ts"
import type { Machine } from "../src/flight/recorder.ts"
import type { CallNode } from "../src/io/call-node.ts"
import type { Fetch } from "../src/io/fetch.ts"
import { type OnWire, type Tcp, TcpFault, type WireHandlers } from "../src/io/tcp.ts"
import type { StartThread } from "../src/io/worker.ts"
import { search } from "../src/miner/search.ts"
import { openDatabase, openReadonly } from "../src/store/db.ts"
import { Snapshot } from "../src/store/snapshot.ts"
import { ChainStore } from "../src/store/store.ts"
import { keyOf, specOf } from "./fixtures.ts"

/** Where all of them live. */
export const root = mkdtempSync(join(tmpdir(), "cairn-flight-"))
/** What their wall clock shows at the start. */
export const started = Date.UTC(2026, 10, 21)

/** A machine whose time passes by `stepMs` at each look, and jumps to the next timer when there is nothing to do. */
const machineOf = (stepMs: number): Machine & { halted: boolean } => {
  let nowMs = 0
  const machine = {
    halted: false,
    monotonicMs: () => (nowMs += stepMs),
    wallMs: () => started + Math.floor(nowMs),
    soon: (f: () => void) => void setImmediate(f),
    later: (ms: number, f: () => void) => {
      const timer = setImmediate(() => {
        if (machine.halted) return
        nowMs += ms
        f()
      })
      return () => clearImmediate(timer)
    }
  }
  return machine
}

/** A peer that the test plays itself. */
interface Puppet {
  readonly handlers: WireHandlers
  readonly sent: Array<Uint8Array>
  cut: boolean
  /** Takes nothing: whoever writes is told so, and that it is over, in one. */
  readonly full: boolean
}

/** A door at which nobody is, but whom the test sends. Dials fail. */
const puppets = () => {
  let onWire: OnWire | undefined
  let bindings = 0
  const tcp: Tcp = {
    listen: ({ port }, _, on) =>
      Effect.sync(() => {
        onWire = on
        return { port: port === 0 ? 4711 : port, close: () => {} }
      }),
    dial: ({ host, port }) =>
      Effect.suspend(() => {
        door.dials++
        return Effect.fail(new TcpFault({ code: "dial-failed", message: `nobody at ${host}:${port}` }))
      })
  }
  const door = { tcp, dials: 0 }
  const come = (full = false): Puppet => {
    const puppet = { sent: new Array<Uint8Array>(), cut: false, full } as { -readonly [K in keyof Puppet]: Puppet[K] }
    puppet.handlers = onWire!({
      remoteHost: "10.0.0.7",
      binding: new Uint8Array(32).fill(++bindings),
      write: (bytes) => {
        if (full) puppet.handlers.closed("the peer reads too slowly")
        return !full && !puppet.cut && puppet.sent.push(bytes) > 0
      },
      queued: () => 0,
      pause: () => {},
      resume: () => {},
      end: () => {
        puppet.cut = true
        // In the very call, as a socket that is torn down does.
        puppet.handlers.closed("closed")
      },
      terminate: () => (puppet.cut = true)
    })
    return puppet
  }
  return Object.assign(door, { come })
}

/** A mining thread that answers in its own time, as a thread does. */
const thread: StartThread = (_, on) => ({
  post: (job) => {
    const { header, target, job: number, from } = job as never as Parameters<typeof search>[0] & { job: number }
    if (number === 0) return
    const found = search({ header, target, from: from * 1_000_000, count: 1_000_000 })
    setImmediate(() => on.message({ job: number, hashes: found.hashes, nonce: found.nonce } as never))
  },
  terminate: () => {}
})

export interface Recorded {
  readonly tree: Tree
  readonly folder: string
  readonly machine: ReturnType<typeof machineOf>
  readonly door: ReturnType<typeof puppets>
  readonly store: ChainStore
  readonly end: () => Promise<void>
}

const open: Array<Recorded> = []

/** Ends those that run, and removes what they wrote. */
export const endAll = async (): Promise<void> => {
  for (const node of open.splice(0)) await node.end()
  rmSync(root, { recursive: true, force: true })
}

/** Starts a recorded node. `bits`: above 13 a thread has to search. */
export const record = async (
  wish: {
    readonly bits?: number
    readonly bytesMax?: number
    readonly stepMs?: number
    readonly model?: "account" | "utxo"
    /** The way to a discovery service. */
    readonly fetch?: Fetch
    /** The way to nodes that are asked by HTTP. */
    readonly callNode?: CallNode
  } = {}
): Promise<Recorded> => {
  const home = mkdtempSync(join(root, "node-"))
  const path = join(home, "chain.db")
  const folder = join(home, "flight")
  const rules = makeRules(
    specOf({ model: wish.model ?? "account", difficulty: { rule: "fixed", blockMs: 1000, bits: wish.bits ?? 4 } })
  )
  const store = new ChainStore(openDatabase(path), rules)
  const snapshot = new Snapshot(openReadonly(path), rules)
  const machine = machineOf(wish.stepMs ?? 0.001)
  const door = puppets()
  const key = keyOf(77)
  const options: TreeOptions = {
    config: {
      dataDir: home,
      dev: true,
      http: { host: "127.0.0.1", port: 0, adminToken: "the-admin-token" },
      peers: {
        host: "127.0.0.1",
        port: 0,
        advertise: undefined,
        seeds: ["10.0.0.9:1"],
        discovery: wish.fetch === undefined ? [] : ["http://127.0.0.1:4444/"]
      },
      ...(wish.callNode === undefined ? {} : { httpPeers: { urls: ["http://a.test", "http://b.test"] } }),
      mining: { threads: 0, proposer: undefined, onDemand: false, everyMs: undefined, blockData: "recorded" },
      signatureEngine: "auto"
    },
    rules,
    store,
    snapshot,
    key,
    proposer: key.address,
    tls: { key: "the-tls-key", cert: "the-tls-cert" },
    doors: {
      tcp: door.tcp,
      startThread: thread,
      ...(wish.fetch === undefined ? {} : { fetch: wish.fetch }),
      ...(wish.callNode === undefined ? {} : { callNode: wish.callNode })
    },
    facts: {
      version: "test",
      agent: "cairn/test",
      dev: true,
      dataDir: home,
      httpUrl: "",
      signatureEngine: "test",
      hashEngine: "test",
      mineThreads: 0,
      startedAt: started
    }
  }
  const recording = { folder, bytesMax: wish.bytesMax ?? 1e9, machine }
  const tree = await Effect.runPromise(
    Effect.provideService(startRecorded(options, recording), References.MinimumLogLevel, "None")
  )
  let ended = false
  const node: Recorded = {
    tree,
    folder,
    machine,
    door,
    store,
    end: async () => {
      if (ended) return
      ended = true
      await Effect.runPromise(tree.stop)
      machine.halted = true
      snapshot.close()
      store.close()
    }
  }
  open.push(node)
  return node
}
