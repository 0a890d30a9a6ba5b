/** The node as outsiders see it, answered by asks to actors and by reads of the last commit. See src/node/node.ts. */
import { Clock, Effect } from "effect"
import { assert } from "../src/assert.ts"
import { decodePage, summarize } from "../src/block/state-page.ts"
import { decodeHeader, type Target } from "../src/block/header.ts"
import { locatorHeights } from "../src/chain/locator.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal } from "../src/codec/bytes.ts"
import type { Address } from "../src/crypto/address.ts"
import { zeroHash } from "../src/crypto/hash.ts"
import type { Amount } from "../src/ledger/amount.ts"
import {
  type AccountView,
  type Answer,
  BackupRefused,
  type BackupsView,
  BlockRefused,
  type BlockView,
  type Busy,
  type HeaderView,
  type NodeFacts,
  type NodeShape,
  type PastView,
  type ReadyView,
  type Stats,
  type TransactionRefused,
  Unavailable
} from "../src/node/node.ts"
import type { PeerAdded, PeerBookView, PeerView, ToldPeer } from "../src/node/peers.ts"
import type { Readiness } from "../src/ready.ts"
import { readLeaders } from "../src/store/leaders.ts"
import type { Snapshot, SnapshotRow } from "../src/store/snapshot.ts"
import type { ActorRef, Reply } from "./actor.ts"
import type { EventHub } from "./event-hub.ts"
import { makeAccounts, makeCoins, makeEveryCoin, makeProofs, makeTransaction, readOf } from "./lookups.ts"
import type { Metrics } from "./metrics.ts"
import type {
  Admitted,
  BlockVerdict,
  ChainMessage,
  MaintenanceMessage,
  MempoolMessage,
  MinerMessage,
  PoolTotals,
  SyncMessage
} from "./protocol.ts"

export interface NodePorts {
  readonly facts: NodeFacts
  readonly rules: Rules
  readonly snapshot: Snapshot
  readonly mempool: ActorRef<MempoolMessage>
  readonly chain: ActorRef<ChainMessage>
  readonly miner: ActorRef<MinerMessage>
  readonly sync: ActorRef<SyncMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
  /** What authorities say of each other. */
  readonly ballots: Pick<NodeShape, "vote" | "votes" | "evidence">
  readonly finality: NodeShape["finality"]
  /** What other nodes and the operator may set off by HTTP. */
  readonly network: Pick<NodeShape, "resolve" | "inventory" | "heard">
  /** Without them gossip is off. */
  readonly gossip: Pick<NodeShape, "announce" | "gossip">
  readonly events: EventHub
  readonly metrics: Metrics
  readonly hashesPerSecond: () => number
  /** Does it mine all the time from the start on? */
  readonly miningActive: boolean
  readonly past: () => PastView | undefined
  /** Undefined: this node makes no backups of itself. */
  readonly backups: { readonly backup: NodeShape["backup"]; readonly view: () => Answer<BackupsView> } | undefined
  readonly readiness: Readiness
  /** Looks whether anything keeps the node from its work. */
  readonly check: () => void
  readonly stateAt: NodeShape["stateAt"]
  /** Why it seals nothing though it should. */
  readonly unsealing: () => ReadyView["reasons"][number] | undefined
  /** For whom this node seals, where authorities do. */
  readonly sealer: Address | undefined
}

/** A node that seals a block on order may have to search for long. */
const mineMsMax = 120_000
/** Blocks whose mean interval is shown. */
const averageBlocks = 100

const makeStats = (ports: NodePorts, miningActive: () => boolean): NodeShape["stats"] => {
  const { snapshot, mempool } = ports
  const { ledger } = ports.rules
  const read = readOf(ports)
  return () =>
    Effect.gen(function* () {
      const base = yield* read(() => ({
        tip: snapshot.tip(),
        counts: snapshot.counts(),
        finalHeight: snapshot.finalHeight(),
        averageBlockMs: averageOf(snapshot),
        nextTarget: nextTargetOf(snapshot, ports.rules)
      }))
      const totals = yield* mempool.ask<PoolTotals>((reply) => ({ _tag: "Totals", reply }))
      const peers = yield* ports.maintenance.ask<ReadonlyArray<PeerView>>((reply) => ({ _tag: "Peers", reply }))
      const sync = yield* ports.sync.ask<Stats["sync"]>((reply) => ({ _tag: "View", reply }))
      return {
        blocks: base.tip.header.height + 1,
        pendingTransactions: totals.count,
        pendingBytes: totals.bytes,
        committedTransactions: base.counts.transactions,
        committedValue: base.counts.value,
        accounts: ledger.rules.model === "utxo" ? base.counts.owners : base.counts.entries,
        coins: ledger.rules.model === "utxo" ? base.counts.entries : undefined,
        peers: peers.filter(({ state }) => state === "active").length,
        knownPeers: peers.length,
        work: base.tip.work,
        averageBlockMs: base.averageBlockMs,
        nextTarget: base.nextTarget,
        supply: ledger.supplyAt(base.tip.header.height),
        queuedFees: totals.fees as Amount,
        pendingValue: Math.min(totals.value, Number.MAX_SAFE_INTEGER) as Amount,
        hashesPerSecond: ports.hashesPerSecond(),
        miningActive: miningActive(),
        state: ports.readiness.hear({ _tag: "Saw", ...sync }),
        sync,
        finalHeight: base.finalHeight,
        past: ports.past(),
        backups: yield* backupsOf(ports)
      }
    })
}

/** The state after a look around: what is asked now is answered of now, and not of the last second. */
const lookAround = (ports: NodePorts): Answer<Pick<ReadyView, "state" | "sync">> => {
  const { readiness, sync } = ports
  ports.check()
  const { name } = readiness.state
  // The download may wait for the chain, which waits for room: what it has to say can wait, too.
  if (name === "failed" || name === "stopping" || name === "dead")
    return Effect.succeed({ state: readiness.state, sync: undefined })
  return Effect.map(
    sync.ask<Stats["sync"]>((reply) => ({ _tag: "View", reply })),
    (sync) => ({ state: readiness.hear({ _tag: "Saw", ...sync }), sync })
  )
}

const backupsOf = ({ backups }: NodePorts): Answer<BackupsView | undefined> =>
  backups === undefined ? Effect.succeed(undefined) : backups.view()

/** A node that is recorded or simulated. */
const withoutBackups = new BackupRefused({
  code: "backups-none",
  message: "This node makes no backups of itself. Copy its folder with cairn backup --data-dir DIR."
})

/** By state: the code of why it is not ready; a failed node has that of its fault. */
const notReady = { genesis: "booting", boot: "booting", syncing: "catching-up", stopping: "stopping", dead: "stopping" }

const makeReady = (ports: NodePorts): NodeShape["ready"] => {
  return () =>
    Effect.gen(function* () {
      const reasons: Array<ReadyView["reasons"][number]> = []
      const consistent = yield* makeValidate(ports)
      const { state, sync } = yield* lookAround(ports)
      const { name, reason, message } = state
      if (name !== "ready") reasons.push({ code: name === "failed" ? reason : notReady[name], message })
      if (!consistent.valid) reasons.push({ code: "store-inconsistent", message: consistent.reason })
      const unsealing = ports.unsealing()
      if (unsealing !== undefined)
        reasons.push({ code: unsealing.code, message: `No block is sealed: ${unsealing.message}.` })
      const settled = yield* ports.finality()
      if (settled?.onBranch === false || settled?.conflict !== undefined)
        reasons.push({
          code: "finality-broken",
          message: "What the authorities have made final contradicts this node."
        })
      return { ready: reasons.length === 0, state, reasons, sync, backups: yield* backupsOf(ports) }
    })
}

/** Is the state tree that of the tip? The supply is looked at when a store is opened; a full replay is `cairn verify`. */
const makeValidate = (ports: NodePorts) => {
  const { snapshot } = ports
  return readOf(ports)(() => {
    const page = snapshot.page("")
    const root = page === undefined ? zeroHash : summarize(decodePage(page), 0, 16).hash
    const valid = equal(root, snapshot.tip().header.stateRoot)
    return {
      valid,
      reason: valid ? "the state tree is the one that the tip commits to" : "the state tree is not the tip's"
    }
  })
}

/** What changes the chain: transactions, blocks that are sealed here or given, and whether to mine. */
const makeOrders = (
  ports: NodePorts,
  {
    blockView,
    mining
  }: { readonly blockView: (row: SnapshotRow) => BlockView | undefined; readonly mining: (on: boolean) => void }
): Pick<NodeShape, "submit" | "mine" | "setMining" | "offerBlock"> => {
  const { snapshot, mempool } = ports
  const read = readOf(ports)
  return {
    submit: (one) =>
      Effect.map(
        mempool.ask<Admitted, TransactionRefused | Unavailable>((reply) => ({
          _tag: "Submit",
          transaction: one,
          reply
        })),
        ({ pending, account }) => ({ nextHeight: snapshot.tip().header.height + 1, pending, account })
      ),
    mine: (proposer) =>
      Effect.flatMap(
        ports.miner.ask(
          (reply: Reply<BlockView["block"], BlockRefused | Busy | Unavailable>) => ({
            _tag: "MineNow",
            proposer,
            reply
          }),
          mineMsMax
        ),
        ({ header }) =>
          Effect.flatMap(
            read(() => mapRow(snapshot.rowOf(header.hash), blockView)),
            (view): Answer<BlockView> => (view === undefined ? Effect.fail(overtaken) : Effect.succeed(view))
          )
      ),
    setMining: (on) =>
      Effect.map(
        ports.miner.ask<void>((reply) => ({ _tag: "SetMining", on, reply })),
        () => mining(on)
      ),
    offerBlock: (block) =>
      Effect.mapBoth(
        ports.chain.ask((reply: Reply<BlockVerdict, BlockReject | Unavailable>) => ({
          _tag: "OfferBlock",
          block,
          from: undefined,
          reply
        })),
        {
          onSuccess: ({ outcome }) => outcome,
          onFailure: (error) => ("_tag" in error ? error : new BlockRefused({ reject: error }))
        }
      )
  }
}

export const makeNode = (ports: NodePorts): NodeShape => {
  const { snapshot, rules, mempool } = ports
  const { ledger } = rules
  const read = readOf(ports)

  let { miningActive } = ports

  const blockView = (row: SnapshotRow): BlockView | undefined => {
    const block = snapshot.blockOf(row)
    if (block === undefined) return undefined
    return {
      block,
      work: row.work,
      confirmations: snapshot.tip().header.height - row.header.height + 1,
      final: mapRow(snapshot.finalHeight(), (height) => row.header.height <= height),
      rewardUnits: (row.header.height === 0 ? 0 : ledger.rewardAt(row.header.height) + row.fees) as Amount
    }
  }
  const headerView = ({ header, work, transactions }: SnapshotRow): HeaderView => ({
    header,
    work,
    transactionCount: rules.ledger.opens && header.height > 0 ? transactions - 1 : transactions
  })

  return {
    facts: ports.facts,
    ...ports.ballots,
    ...ports.network,
    ...makeOrders(ports, { blockView, mining: (on) => void (miningActive = on) }),
    tip: () => read(() => snapshot.tip()),
    blockAt: (height) => read(() => mapRow(snapshot.rowAt(height), blockView)),
    blockOf: (hash) => read(() => mapRow(snapshot.rowOf(hash), blockView)),
    headersFrom: (height, limit) => read(() => snapshot.rowsFrom(height, limit).map(headerView)),
    headersAfter: (locator, limit) =>
      read(() => {
        const known = locator.map((hash) => snapshot.rowOf(hash)).find((row) => row !== undefined)
        return snapshot.rowsFrom((known?.header.height ?? 0) + 1, limit).map(headerView)
      }),
    locator: (limit) =>
      read(() =>
        locatorHeights(snapshot.tip().header.height, limit).flatMap(
          // The past of a loaded snapshot is not shown before it is proven.
          (height) => snapshot.rowAt(height)?.header.hash ?? []
        )
      ),
    blocksDownFrom: (height, limit) =>
      read(() => snapshot.rowsDownFrom(height, limit).flatMap((row) => blockView(row) ?? [])),
    transaction: makeTransaction(ports),
    ...makeProofs(ports),
    account: (address) => mempool.ask<AccountView>((reply) => ({ _tag: "Account", address, reply })),
    accounts: makeAccounts(ports),
    ...makeCoins(ports),
    everyCoin: makeEveryCoin(ports),
    stateAt: ports.stateAt,
    authorities: (ahead) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        read(() => readLeaders(snapshot, rules, { now, ahead, self: ports.sealer }))
      ),
    addPeer: (endpoint, host) =>
      ports.maintenance.ask<PeerAdded>((reply) => ({ _tag: "AddPeer", endpoint, host, reply })),
    pending: (cursor, limit) => mempool.ask((reply) => ({ _tag: "Pending", cursor, limit, reply })),
    peers: () => ports.maintenance.ask<ReadonlyArray<PeerView>>((reply) => ({ _tag: "Peers", reply })),
    peerBook: () => ports.maintenance.ask<PeerBookView>((reply) => ({ _tag: "Book", reply })),
    toldPeers: (max, except, host) =>
      ports.maintenance.ask<ReadonlyArray<ToldPeer>>((reply) => ({ _tag: "Tell", max, except, host, reply })),
    banPeer: (nodeId, ms, reason) =>
      ports.maintenance.ask<PeerView>((reply) => ({ _tag: "Ban", nodeId, ms, reason, reply })),
    unbanPeer: (nodeId) => ports.maintenance.ask<PeerView | undefined>((reply) => ({ _tag: "Unban", nodeId, reply })),
    removePeer: (name) => ports.maintenance.ask<boolean>((reply) => ({ _tag: "RemovePeer", name, reply })),
    stats: makeStats(ports, () => miningActive),
    validate: () => makeValidate(ports),
    ready: makeReady(ports),
    backup: (label) => ports.backups?.backup(label) ?? Effect.fail(withoutBackups),
    finality: ports.finality,
    ...ports.gossip,
    metrics: () => Effect.map(Clock.currentTimeMillis, () => ports.metrics.format()),
    listen: (afterId, onEvent) => ports.events.listen(afterId, onEvent)
  }
}

/** Sealed and attached, and undone before it could be shown. */
const overtaken = new Unavailable({ actor: "miner", reason: "another branch has won meanwhile: order again" })

const mapRow = <R, A>(row: R | undefined, f: (row: R) => A): A | undefined => (row === undefined ? undefined : f(row))

/** Of the block after the tip, from as many headers as the rule looks back. */
const nextTargetOf = (snapshot: Snapshot, { consensus }: Rules): Target =>
  consensus.nextTarget({
    parent: snapshot.tip().header,
    at: (height) => {
      const [found] = snapshot.headersFrom(height, 1)
      const header = found === undefined ? undefined : decodeHeader(found.bytes)
      assert(header !== undefined, "the best branch has a header at each height")
      return header
    }
  })

/** Mean milliseconds between the last blocks; the genesis time is not a measurement. */
const averageOf = (snapshot: Snapshot): number | undefined => {
  const top = snapshot.tip().header
  const from = Math.max(1, top.height - averageBlocks)
  const first = snapshot.rowAt(from)
  return first === undefined || top.height <= from ? undefined : (top.time - first.header.time) / (top.height - from)
}
