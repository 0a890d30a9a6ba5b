/** The node as outsiders see it, answered by asks to actors and by reads of the last commit. See src/node.ts. */
import { Clock, Effect } from "effect"
import { assert } from "../src/assert.ts"
import { summarize, decodePage } from "../src/block/state-page.ts"
import { proveTransaction } from "../src/block/proof.ts"
import type { Address } from "../src/crypto/address.ts"
import { locatorHeights } from "../src/chain/locator.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal, fromHex, toHex } from "../src/codec/bytes.ts"
import { zeroHash } from "../src/crypto/hash.ts"
import { keyOf } from "../src/ledger/account.ts"
import type { Amount } from "../src/ledger/amount.ts"
import { decodeCoin, decodeOutpoint } from "../src/ledger/coin.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import type {
  AccountView,
  Answer,
  BlockView,
  Busy,
  HeaderView,
  NodeFacts,
  NodeShape,
  PastView,
  PeerAdded,
  PeerView,
  ReadyView,
  Stats,
  TransactionRefused,
  TransactionView
} from "../src/node.ts"
import { BlockRefused, Unavailable } from "../src/node.ts"
import type { Snapshot, SnapshotRow } from "../src/store/snapshot.ts"
import type { ActorRef, Reply } from "./actor.ts"
import type { EventHub } from "./event-hub.ts"
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
  readonly events: EventHub
  readonly metrics: Metrics
  readonly hashesPerSecond: () => number
  /** Does it mine all the time from the start on? */
  readonly miningActive: boolean
  readonly past: () => PastView | undefined
  /** Reasons why the node is not ready, beside those that reading finds. */
  readonly stopping: () => boolean
  /** Who found no room on the disk when they last wrote. */
  readonly lacking: () => ReadonlyArray<string>
}

/** A node that seals a block on order may have to search for long. */
const mineMsMax = 120_000
/** Blocks behind the best claim above which the node calls itself not ready. */
const behindMax = 3
/** Blocks whose mean interval is shown. */
const averageBlocks = 100

const readOf =
  ({ snapshot }: NodePorts) =>
  <A>(f: () => A): Answer<A> =>
    Effect.sync(() => snapshot.read(f))

const makeTransaction = (ports: NodePorts): NodeShape["transaction"] => {
  const { snapshot, mempool } = ports
  const read = readOf(ports)
  return (id) =>
    Effect.flatMap(
      read(() => {
        const place = snapshot.place(id)
        const row = place === undefined ? undefined : snapshot.rowAt(place.height)
        if (place === undefined || row === undefined) return undefined
        const confirmations = snapshot.tip().header.height - place.height + 1
        const block = { hash: row.header.hash, height: row.header.height, index: place.position, confirmations }
        return { transaction: snapshot.block(row).transactions[place.position]!, block }
      }),
      (found): Answer<TransactionView | undefined> =>
        found !== undefined
          ? Effect.succeed(found)
          : Effect.map(
              mempool.ask<ReadonlyArray<Transaction | undefined>>((reply) => ({
                _tag: "Find",
                ids: [toHex(id)],
                reply
              })),
              ([pending]) => (pending === undefined ? undefined : { transaction: pending, block: undefined })
            )
    )
}

/** Proofs from one commit: header, body and state tree belong together. */
const makeProofs = (ports: NodePorts): Pick<NodeShape, "transactionProof" | "accountProof"> => {
  const { snapshot } = ports
  const read = readOf(ports)
  return {
    transactionProof: (id) =>
      read(() => {
        const place = snapshot.place(id)
        const row = place === undefined ? undefined : snapshot.rowAt(place.height)
        if (place === undefined || row === undefined) return undefined
        const proof = proveTransaction(snapshot.block(row), place.position)
        assert(proof !== undefined, "the index names a transaction that its block has")
        const confirmations = snapshot.tip().header.height - place.height + 1
        return { proof, index: place.position, count: row.transactions, confirmations }
      }),
    accountProof: (address) =>
      read(() => {
        const { header } = snapshot.tip()
        return { kind: "account", header, address, state: snapshot.prove(keyOf(address)) }
      })
  }
}

const makeAccounts = (ports: NodePorts): NodeShape["accounts"] => {
  const { snapshot, mempool } = ports
  const read = readOf(ports)
  return (cursor, limit) => {
    const after = cursor === undefined ? undefined : parseCursor(cursor)
    if (cursor !== undefined && after === undefined) return Effect.succeed(undefined)
    return Effect.flatMap(
      read(() => snapshot.entriesByUnits(after, limit)),
      (rows) => {
        const addresses = rows.map(({ key }) => fromHex(key)! as Uint8Array as Address)
        const last = rows.at(-1)
        const next = rows.length < limit || last === undefined ? undefined : `${last.units}-${last.key}`
        return Effect.map(
          mempool.ask<ReadonlyArray<AccountView>>((reply) => ({ _tag: "Accounts", rows: addresses, reply })),
          (views) => ({ rows: views, next })
        )
      }
    )
  }
}

/** Coins by their names: a cursor is the key of the last. */
const makeCoins = (ports: NodePorts): NodeShape["coins"] => {
  const { snapshot, rules } = ports
  const read = readOf(ports)
  return (owner, cursor, limit) => {
    if (cursor !== undefined && !/^[0-9a-f]{72}$/.test(cursor)) return Effect.succeed(undefined)
    if (rules.spec.ledger.model !== "utxo") return Effect.succeed({ rows: [], next: undefined })
    return read(() => {
      const rows = snapshot.entriesByKey(owner, cursor, limit)
      const next = rows.length < limit ? undefined : rows.at(-1)?.key
      return { rows: rows.map(({ key, value }) => ({ ...decodeOutpoint(fromHex(key)!), ...decodeCoin(value) })), next }
    })
  }
}

const makeStats = (ports: NodePorts, miningActive: () => boolean): NodeShape["stats"] => {
  const { snapshot, mempool } = ports
  const { ledger } = ports.rules
  const read = readOf(ports)
  return () =>
    Effect.gen(function* () {
      const base = yield* read(() => ({
        tip: snapshot.tip(),
        counts: snapshot.counts(),
        averageBlockMs: averageOf(snapshot)
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
        accounts: base.counts.entries,
        peers: peers.filter(({ state }) => state === "active").length,
        knownPeers: peers.length,
        work: base.tip.work,
        averageBlockMs: base.averageBlockMs,
        supply: ledger.supplyAt(base.tip.header.height),
        queuedFees: totals.fees as Amount,
        pendingValue: Math.min(totals.value, Number.MAX_SAFE_INTEGER) as Amount,
        hashesPerSecond: ports.hashesPerSecond(),
        miningActive: miningActive(),
        sync,
        past: ports.past()
      }
    })
}

const makeReady = (ports: NodePorts): NodeShape["ready"] => {
  return () =>
    Effect.gen(function* () {
      const reasons: Array<ReadyView["reasons"][number]> = []
      if (ports.stopping()) reasons.push({ code: "stopping", message: "The node is shutting down." })
      const consistent = yield* makeValidate(ports)
      if (!consistent.valid) reasons.push({ code: "store-inconsistent", message: consistent.reason })
      const lacking = ports.lacking()
      if (lacking.length > 0) {
        reasons.push({
          code: "disk-full",
          message: `The disk has no room for what the node writes: ${lacking.join(", ")}.`
        })
        // The download may wait for the chain, which waits for room: what it has to say can wait, too.
        return { ready: false, reasons }
      }
      const sync = yield* ports.sync.ask<Stats["sync"]>((reply) => ({ _tag: "View", reply }))
      const behind = sync.targetHeight - sync.height
      if (behind > behindMax)
        reasons.push({ code: "catching-up", message: `${behind} blocks behind the best known header.` })
      return { ready: reasons.length === 0, reasons }
    })
}

/** Tip, root page and supply agree; a full replay is `cairn verify`. */
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
  { blockView, mining }: { readonly blockView: (row: SnapshotRow) => BlockView; readonly mining: (on: boolean) => void }
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

  const blockView = (row: SnapshotRow): BlockView => ({
    block: snapshot.block(row),
    work: row.work,
    confirmations: snapshot.tip().header.height - row.header.height + 1,
    rewardUnits: (row.header.height === 0 ? 0 : ledger.rewardAt(row.header.height) + row.fees) as Amount
  })
  const headerView = ({ header, work, transactions }: SnapshotRow): HeaderView => ({
    header,
    work,
    transactionCount: transactions
  })

  return {
    facts: ports.facts,
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
    blocksDownFrom: (height, limit) => read(() => snapshot.rowsDownFrom(height, limit).map(blockView)),
    transaction: makeTransaction(ports),
    ...makeProofs(ports),
    account: (address) => mempool.ask<AccountView>((reply) => ({ _tag: "Account", address, reply })),
    accounts: makeAccounts(ports),
    coins: makeCoins(ports),
    addPeer: (endpoint) => ports.maintenance.ask<PeerAdded>((reply) => ({ _tag: "AddPeer", endpoint, reply })),
    pending: (cursor, limit) => mempool.ask((reply) => ({ _tag: "Pending", cursor, limit, reply })),
    peers: () => ports.maintenance.ask<ReadonlyArray<PeerView>>((reply) => ({ _tag: "Peers", reply })),
    stats: makeStats(ports, () => miningActive),
    validate: () => makeValidate(ports),
    ready: makeReady(ports),
    metrics: () => Effect.map(Clock.currentTimeMillis, () => ports.metrics.format()),
    listen: (afterId, onEvent) => ports.events.listen(afterId, onEvent)
  }
}

/** Sealed and attached, and undone before it could be shown. */
const overtaken = new Unavailable({ actor: "miner", reason: "another branch has won meanwhile: order again" })

const mapRow = <A>(row: SnapshotRow | undefined, f: (row: SnapshotRow) => A): A | undefined =>
  row === undefined ? undefined : f(row)

/** The place after which a page of accounts goes on: units and key. */
const parseCursor = (cursor: string): { readonly units: number; readonly key: string } | undefined => {
  const match = /^(\d{1,16})-([0-9a-f]{40})$/.exec(cursor)
  return match === null ? undefined : { units: Number(match[1]), key: match[2]! }
}

/** Mean milliseconds between the last blocks; the genesis time is not a measurement. */
const averageOf = (snapshot: Snapshot): number | undefined => {
  const top = snapshot.tip().header
  const from = Math.max(1, top.height - averageBlocks)
  const first = snapshot.rowAt(from)
  return first === undefined || top.height <= from ? undefined : (top.time - first.header.time) / (top.height - from)
}
