/** The node as outsiders see it, answered by asks to actors and by reads of the last commit. See src/node.ts. */
import { Clock, Effect } from "effect"
import { assert } from "../src/assert.ts"
import { summarize, decodePage } from "../src/block/state-page.ts"
import { proveTransaction } from "../src/block/proof.ts"
import { type Address, addressBytes } from "../src/crypto/address.ts"
import { locatorHeights } from "../src/chain/locator.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal, fromHex, toHex } from "../src/codec/bytes.ts"
import { zeroHash } from "../src/crypto/hash.ts"
import { keyOf } from "../src/ledger/account.ts"
import type { Amount } from "../src/ledger/amount.ts"
import {
  allocationId,
  type Coin,
  coinKey,
  decodeCoin,
  decodeOutpoint,
  outpointBytes,
  outputsOf,
  spendableFrom
} from "../src/ledger/coin.ts"
import type { Outpoint, Transaction, TransactionId } from "../src/ledger/transaction.ts"
import type {
  AccountView,
  Answer,
  BlockView,
  Busy,
  CoinView,
  HeaderView,
  NodeFacts,
  NodeShape,
  PastView,
  PeerAdded,
  PeerView,
  ReadyView,
  SpentCoin,
  Stats,
  TransactionRefused,
  TransactionView
} from "../src/node.ts"
import { BlockRefused, Unavailable } from "../src/node.ts"
import type { NodeState, Readiness } from "../src/ready.ts"
import { readLeaders } from "../src/store/leaders.ts"
import type { Snapshot, SnapshotRow, UnitsPlace } from "../src/store/snapshot.ts"
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
  PendingCoins,
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
  readonly events: EventHub
  readonly metrics: Metrics
  readonly hashesPerSecond: () => number
  /** Does it mine all the time from the start on? */
  readonly miningActive: boolean
  readonly past: () => PastView | undefined
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

const readOf =
  ({ snapshot }: NodePorts) =>
  <A>(f: () => A): Answer<A> =>
    Effect.sync(() => snapshot.read(f))

const makeTransaction = (ports: NodePorts): NodeShape["transaction"] => {
  const { snapshot } = ports
  const read = readOf(ports)
  const confirmed = (id: TransactionId): TransactionView | undefined => {
    const place = snapshot.place(id)
    const row = place === undefined ? undefined : snapshot.rowAt(place.height)
    if (place === undefined || row === undefined) return undefined
    const confirmations = snapshot.tip().header.height - place.height + 1
    const block = { hash: row.header.hash, height: row.header.height, index: place.position, confirmations }
    const { transactions } = snapshot.block(row)
    const transaction = transactions[place.position]!
    return { transaction, spends: spentIn(transaction, transactions, snapshot.befores(row)), block }
  }
  return (id) =>
    Effect.gen(function* () {
      const found = yield* read(() => confirmed(id))
      if (found !== undefined) return found
      const [transaction] = yield* findPending(ports, [toHex(id)])
      if (transaction === undefined) return undefined
      return { transaction, spends: yield* spentByPending(ports, transaction), block: undefined }
    })
}

const findPending = ({ mempool }: NodePorts, ids: ReadonlyArray<string>) =>
  mempool.ask<ReadonlyArray<Transaction | undefined>>((reply) => ({ _tag: "Find", ids, reply }))

/** What a confirmed payment spent: as it stood before its block, or as another of that block has made it. */
const spentIn = (
  transaction: Transaction,
  block: ReadonlyArray<Transaction>,
  befores: ReadonlyMap<string, Uint8Array | undefined>
): ReadonlyArray<SpentCoin> | undefined => {
  if (transaction.kind !== "payment") return undefined
  return transaction.payment.inputs.map((input, i) => {
    const before = befores.get(transaction.spends[i]!)
    const coin =
      before === undefined
        ? madeBy(
            block.find(({ id }) => equal(id, input.id)),
            input
          )
        : decodeCoin(before)
    assert(coin !== undefined, "what a confirmed payment spends was there before its block or was made in it")
    return { ...input, owner: coin.owner, amount: coin.amount }
  })
}

/** The coin of an outpoint, if that transaction makes it. */
const madeBy = (
  transaction: Transaction | undefined,
  { index }: Outpoint
): Pick<SpentCoin, "owner" | "amount"> | undefined => {
  const output = transaction === undefined ? undefined : outputsOf(transaction)[index]
  return output === undefined ? undefined : { owner: output.recipient, amount: output.amount }
}

/** What a pending payment spends: coins of the tip, or of other pending payments. Undefined if one of them is gone meanwhile. */
const spentByPending = (ports: NodePorts, transaction: Transaction): Answer<ReadonlyArray<SpentCoin> | undefined> =>
  Effect.gen(function* () {
    if (transaction.kind !== "payment") return undefined
    const { inputs } = transaction.payment
    const held = yield* readOf(ports)(() => inputs.map((input) => ports.snapshot.coin(input)))
    const missing = [...new Set(inputs.flatMap(({ id }, i) => (held[i] === undefined ? [toHex(id)] : [])))]
    const parents = missing.length === 0 ? [] : yield* findPending(ports, missing)
    const byId = new Map(missing.map((id, i) => [id, parents[i]]))
    const spends = inputs.flatMap((input, i) => {
      const coin = held[i] ?? madeBy(byId.get(toHex(input.id)), input)
      return coin === undefined ? [] : [{ ...input, owner: coin.owner, amount: coin.amount }]
    })
    return spends.length === inputs.length ? spends : undefined
  })

/** Proofs from one commit: header, body and state tree belong together. */
const makeProofs = (ports: NodePorts): Pick<NodeShape, "transactionProof" | "accountProof" | "coinProof"> => {
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
      }),
    coinProof: (outpoint) =>
      read(() => {
        const { header } = snapshot.tip()
        return { kind: "coin", header, outpoint, state: snapshot.prove(coinKey(outpoint)) }
      })
  }
}

const makeAccounts = (ports: NodePorts): NodeShape["accounts"] => {
  const { snapshot, mempool } = ports
  const read = readOf(ports)
  return (cursor, limit) => {
    const after = cursor === undefined ? undefined : parseCursor(cursor, addressBytes)
    if (cursor !== undefined && after === undefined) return Effect.succeed(undefined)
    return Effect.flatMap(
      read(() => snapshot.addressesByUnits(after, limit)),
      (rows) => {
        const addresses = rows.map(({ key }) => fromHex(key)! as Uint8Array as Address)
        const next = rows.length < limit ? undefined : cursorOf(rows.at(-1))
        return Effect.map(
          mempool.ask<ReadonlyArray<AccountView>>((reply) => ({ _tag: "Accounts", rows: addresses, reply })),
          (views) => ({ rows: views, next })
        )
      }
    )
  }
}

const idOf = (hex: string | undefined): TransactionId | undefined =>
  hex === undefined ? undefined : (fromHex(hex)! as Uint8Array as TransactionId)

/** Coins from one commit, and then what is pending of them: a block between the two makes a coin look free that is spent. */
const makeCoins = (ports: NodePorts): Pick<NodeShape, "coins" | "coin"> => {
  const { snapshot, mempool } = ports
  const { ledger } = ports.rules.spec
  const maturity = ledger.model === "utxo" ? ledger.coinbaseMaturity : 0
  const read = readOf(ports)
  const view = (coin: Outpoint & Coin, spender: string | undefined): CoinView => ({
    ...coin,
    spendableFrom: spendableFrom(coin, maturity),
    spentBy: idOf(spender)
  })
  const ask = (keys: ReadonlyArray<string>, address: Address | undefined) =>
    mempool.ask<PendingCoins>((reply) => ({ _tag: "Coins", keys, address, reply }))
  return {
    coins: (address, cursor, limit) =>
      Effect.gen(function* () {
        const after = cursor === undefined ? undefined : parseCursor(cursor, outpointBytes)
        if (cursor !== undefined && after === undefined) return undefined
        const { coins, height } = yield* read(() => ({
          coins: snapshot.coinsOf(address, after, limit),
          height: snapshot.tip().header.height
        }))
        const { spenders, paid } = yield* ask(coins.map(coinKey), address)
        const last = coins.at(-1)
        const next = coins.length < limit || last === undefined ? undefined : { units: last.amount, key: coinKey(last) }
        const pending = paid.map(({ key, amount }) => ({ ...decodeOutpoint(fromHex(key)!), amount }))
        return { rows: coins.map((coin, i) => view(coin, spenders[i])), next: cursorOf(next), height, pending }
      }),
    coin: (outpoint) =>
      Effect.gen(function* () {
        const found = yield* read(() => snapshot.coin(outpoint) ?? (wasMade(ports, outpoint) ? "spent" : undefined))
        if (found === "spent") return found
        if (found !== undefined) {
          const { spenders } = yield* ask([coinKey(outpoint)], undefined)
          return view({ ...outpoint, ...found }, spenders[0])
        }
        const [pending] = yield* findPending(ports, [toHex(outpoint.id)])
        return madeBy(pending, outpoint) === undefined ? "unknown" : "pending"
      })
  }
}

/** Has the best branch made this coin, as far as its blocks are here? */
const wasMade = ({ snapshot, rules }: NodePorts, outpoint: Outpoint): boolean => {
  const { ledger, genesis } = rules.spec
  if (equal(outpoint.id, allocationId(ledger.chainId))) return outpoint.index < genesis.alloc.length
  const place = snapshot.place(outpoint.id)
  const row = place === undefined ? undefined : snapshot.rowAt(place.height)
  if (place === undefined || row === undefined) return false
  return madeBy(snapshot.block(row).transactions[place.position], outpoint) !== undefined
}

/** Coins of everybody, by their names: a cursor is the key of the last. */
const makeEveryCoin = (ports: NodePorts): NodeShape["everyCoin"] => {
  const { snapshot, rules } = ports
  const read = readOf(ports)
  return (cursor, limit) => {
    if (cursor !== undefined && !/^[0-9a-f]{72}$/.test(cursor)) return Effect.succeed(undefined)
    if (rules.spec.ledger.model !== "utxo") return Effect.succeed({ rows: [], next: undefined })
    return read(() => {
      const rows = snapshot.entriesByKey(cursor, limit)
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
        finalHeight: snapshot.finalHeight(),
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
        accounts: ledger.rules.model === "utxo" ? base.counts.owners : base.counts.entries,
        coins: ledger.rules.model === "utxo" ? base.counts.entries : undefined,
        peers: peers.filter(({ state }) => state === "active").length,
        knownPeers: peers.length,
        work: base.tip.work,
        averageBlockMs: base.averageBlockMs,
        supply: ledger.supplyAt(base.tip.header.height),
        queuedFees: totals.fees as Amount,
        pendingValue: Math.min(totals.value, Number.MAX_SAFE_INTEGER) as Amount,
        hashesPerSecond: ports.hashesPerSecond(),
        miningActive: miningActive(),
        state: ports.readiness.hear({ _tag: "Saw", ...sync }),
        sync,
        finalHeight: base.finalHeight,
        past: ports.past()
      }
    })
}

/** The state after a look around: what is asked now is answered of now, and not of the last second. */
const lookAround = (ports: NodePorts): Answer<NodeState> => {
  const { readiness, sync } = ports
  ports.check()
  const { name } = readiness.state
  // The download may wait for the chain, which waits for room: what it has to say can wait, too.
  if (name === "failed" || name === "stopping" || name === "dead") return Effect.succeed(readiness.state)
  return Effect.map(
    sync.ask<Stats["sync"]>((reply) => ({ _tag: "View", reply })),
    (view) => readiness.hear({ _tag: "Saw", ...view })
  )
}

/** By state: the code of why it is not ready; a failed node has that of its fault. */
const notReady = { genesis: "booting", boot: "booting", syncing: "catching-up", stopping: "stopping", dead: "stopping" }

const makeReady = (ports: NodePorts): NodeShape["ready"] => {
  return () =>
    Effect.gen(function* () {
      const reasons: Array<ReadyView["reasons"][number]> = []
      const consistent = yield* makeValidate(ports)
      const state = yield* lookAround(ports)
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
      return { ready: reasons.length === 0, state, reasons }
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
    final: mapRow(snapshot.finalHeight(), (height) => row.header.height <= height),
    rewardUnits: (row.header.height === 0 ? 0 : ledger.rewardAt(row.header.height) + row.fees) as Amount
  })
  const headerView = ({ header, work, transactions }: SnapshotRow): HeaderView => ({
    header,
    work,
    transactionCount: rules.ledger.opens && header.height > 0 ? transactions - 1 : transactions
  })

  return {
    facts: ports.facts,
    ...ports.ballots,
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
    ...makeCoins(ports),
    everyCoin: makeEveryCoin(ports),
    stateAt: ports.stateAt,
    authorities: (ahead) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        read(() => readLeaders(snapshot, rules, { now, ahead, self: ports.sealer }))
      ),
    addPeer: (endpoint) => ports.maintenance.ask<PeerAdded>((reply) => ({ _tag: "AddPeer", endpoint, reply })),
    pending: (cursor, limit) => mempool.ask((reply) => ({ _tag: "Pending", cursor, limit, reply })),
    peers: () => ports.maintenance.ask<ReadonlyArray<PeerView>>((reply) => ({ _tag: "Peers", reply })),
    stats: makeStats(ports, () => miningActive),
    validate: () => makeValidate(ports),
    ready: makeReady(ports),
    finality: ports.finality,
    metrics: () => Effect.map(Clock.currentTimeMillis, () => ports.metrics.format()),
    listen: (afterId, onEvent) => ports.events.listen(afterId, onEvent)
  }
}

/** Sealed and attached, and undone before it could be shown. */
const overtaken = new Unavailable({ actor: "miner", reason: "another branch has won meanwhile: order again" })

const mapRow = <R, A>(row: R | undefined, f: (row: R) => A): A | undefined => (row === undefined ? undefined : f(row))

/** The place after which a page goes on: units, and a key of so many bytes. */
const parseCursor = (cursor: string, keyBytes: number): UnitsPlace | undefined => {
  const match = /^(\d{1,16})-([0-9a-f]+)$/.exec(cursor)
  return match?.[2]?.length === 2 * keyBytes ? { units: Number(match[1]), key: match[2] } : undefined
}
const cursorOf = (place: UnitsPlace | undefined): string | undefined =>
  place === undefined ? undefined : `${place.units}-${place.key}`

/** Mean milliseconds between the last blocks; the genesis time is not a measurement. */
const averageOf = (snapshot: Snapshot): number | undefined => {
  const top = snapshot.tip().header
  const from = Math.max(1, top.height - averageBlocks)
  const first = snapshot.rowAt(from)
  return first === undefined || top.height <= from ? undefined : (top.time - first.header.time) / (top.height - from)
}
