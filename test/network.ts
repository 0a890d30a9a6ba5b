/** Whole nodes in one process, over real sockets and real files: what integration tests start in one line. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { startTree, type Tree } from "../actors/tree.ts"
import type { ChainSpec } from "../src/block/genesis.ts"
import { makeRules } from "../src/chain/rules.ts"
import { backupWorld } from "../src/cli/backups.ts"
import { saveSpec } from "../src/cli/data-folder.ts"
import { type BackupConfig, defaults, type GossipConfig, type Libp2pConfig, type NodeConfig, type PeerPolicy } from "../src/config.ts"
import { makeCertificate } from "../src/crypto/certificate.ts"
import type { CallNode } from "../src/io/call-node.ts"
import { makeBunWorld } from "../src/io/link.ts"
import { streamsIn } from "../src/io/streams.ts"
import { bunTcp } from "../src/io/tcp.ts"
import { bunUdp } from "../src/io/udp.ts"
import { startBunThread } from "../src/io/worker.ts"
import { openDatabase, openReadonly } from "../src/store/db.ts"
import { Snapshot } from "../src/store/snapshot.ts"
import { ChainStore } from "../src/store/store.ts"
import type { Signer } from "../src/validator/signer.ts"
import { keyOf, specOf } from "./fixtures.ts"

export interface TestNode {
  readonly tree: Tree
  readonly store: ChainStore
  readonly endpoint: string
  /** Its multiaddr, where it hears by libp2p. */
  readonly address: string
  readonly stop: () => Promise<void>
}

export interface NodeWish {
  readonly spec?: ChainSpec
  readonly key?: number
  readonly seeds?: ReadonlyArray<string>
  readonly folder?: string
  readonly mining?: Partial<NodeConfig["mining"]>
  readonly signer?: Signer
  /** What the operator chose of the HTTP interface. */
  readonly http?: Partial<NodeConfig["http"]>
  /** Divides bounds: see TreeOptions. */
  readonly squeeze?: number
  /** Nodes to ask by HTTP, and the way to them. */
  readonly nodes?: { readonly urls: ReadonlyArray<string>; readonly callNode: CallNode }
  /** The address that it listens on. */
  readonly host?: string
  readonly gossip?: Partial<GossipConfig>
  /** Makes backups of itself, in its folder. */
  readonly backups?: Partial<BackupConfig>
  /** Undefined: that of nodes where nothing is said. */
  readonly policy?: PeerPolicy
  /** By what it speaks to peers; undefined: by our own TLS only. */
  readonly by?: { readonly native?: boolean; readonly libp2p?: Libp2pConfig }
}

let keys = 200

/** Starts a node on a free port. */
export const startNode = async (wish: NodeWish = {}): Promise<TestNode> => {
  const folder = wish.folder ?? mkdtempSync(join(tmpdir(), "cairn-test-"))
  const path = join(folder, "chain.db")
  const rules = makeRules(wish.spec ?? specOf())
  const store = new ChainStore(openDatabase(path), rules)
  const snapshot = new Snapshot(openReadonly(path), rules)
  const key = keyOf(wish.key ?? keys++)
  const host = wish.host ?? "127.0.0.1"
  const plain = { host, port: 0, advertise: undefined, seeds: [], plaintext: true }
  const now = await Effect.runPromise(Clock.currentTimeMillis)
  const config: NodeConfig = {
    dataDir: folder,
    dev: true,
    http: { host: "127.0.0.1", port: 0, adminToken: undefined, ...wish.http },
    peers: {
      ...{ host, port: 0, advertise: undefined, seeds: wish.seeds ?? [] },
      ...(wish.policy === undefined ? {} : { policy: wish.policy }),
      ...wish.by
    },
    httpPeers: wish.nodes,
    gossip: wish.gossip && { ...defaults.gossip, ...plain, ...wish.gossip },
    ...(wish.backups === undefined ? {} : { backup: { ...defaults.backup, ...wish.backups } }),
    mining: { threads: 0, proposer: undefined, onDemand: false, everyMs: undefined, ...wish.mining },
    signatureEngine: "auto"
  }
  const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
  if (wish.backups !== undefined) saveSpec(folder, rules.spec)
  const tree = await Effect.runPromise(
    startTree({
      config,
      rules,
      store,
      snapshot,
      key,
      proposer: key.address,
      tls: makeCertificate("test", { now, serial: random(16) }),
      ...(wish.backups === undefined ? {} : { backups: backupWorld({ config, rules, key, httpUrl: "", random }) }),
      ...(wish.signer === undefined ? {} : { signer: wish.signer }),
      ...(wish.squeeze === undefined ? {} : { squeeze: wish.squeeze }),
      doors: {
        tcp: bunTcp,
        startThread: startBunThread,
        udp: bunUdp,
        streams: streamsIn(makeBunWorld),
        ...(wish.nodes === undefined ? {} : { callNode: wish.nodes.callNode })
      },
      facts: {
        version: "test",
        agent: "cairn/test",
        dev: true,
        dataDir: folder,
        httpUrl: "",
        signatureEngine: "test",
        hashEngine: "test",
        mineThreads: 0,
        startedAt: now
      }
    })
  )
  return {
    tree,
    store,
    endpoint: tree.node.facts.p2pEndpoint!,
    address: tree.node.facts.libp2p?.addresses()[0] ?? "",
    stop: async () => {
      await Effect.runPromise(tree.stop)
      snapshot.close()
      store.close()
      if (wish.folder === undefined) rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** Waits until a fact holds; gives up with its name after `ms`. For process-level suites only. */
export const until = async (what: string, fact: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> => {
  const end = performance.now() + ms
  while (!(await fact())) {
    if (performance.now() > end) throw new Error(`not in ${ms} ms: ${what}`)
    await Bun.sleep(5)
  }
}
