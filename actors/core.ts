/**
 * Makes the actors around chain and pool, and what they tell one another: a moved tip to everyone who builds on it, what came
 * into the pool to peers, miner and listeners, evidence to those who judge.
 */
import { Effect } from "effect"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { toHex } from "../src/codec/bytes.ts"
import { bytesOfText } from "../src/codec/text.ts"
import { httpNodesOf } from "../src/config.ts"
import type { Evidence } from "../src/consensus/evidence.ts"
import { type Address, formatAddress } from "../src/crypto/address.ts"
import { summaryOf } from "../src/ledger/summary.ts"
import { verifiedSignaturesMax } from "../src/limits.ts"
import { Actor, type ActorRef } from "./actor.ts"
import { type Ballots, startBallots } from "./ballots.ts"
import type { Base, Core } from "./base.ts"
import { makeChain } from "./chain.ts"
import { type FinalityPorts, makeFinality } from "./finality.ts"
import { type Admittance, makeMempool } from "./mempool.ts"
import { makeMiner } from "./miner.ts"
import { makeHttpRelay } from "./http-relay.ts"
import type { HttpRelayMessage } from "./http-sync-protocol.ts"
import type { Source, TipMoved } from "./protocol.ts"
import { squeezed, squeezedPool } from "./squeeze.ts"
import { makeSync } from "./sync.ts"

/** Nonces tried in place: a millisecond. */
const triesInPlace = 8_192
/** Transactions announced in one message. */
const announceMax = 256

/** Tells everyone who builds on the tip; the mempool must not miss it, the others want the latest only. */
const tellTip =
  (base: Base, { mempool, miner, sync, ballots, finality, relay }: Core) =>
  (move: TipMoved): Effect.Effect<void> =>
    Effect.flatMap(mempool.offer(move), () => {
      const { events, sessions, slots } = base
      base.gave(move.from, "block")
      miner.tell(move)
      sync.tell(move)
      for (const actor of ballots.actors) actor.tell(move)
      finality?.tell(move)
      relay?.tell({ _tag: "Moved" })
      sessions.each((session) =>
        session.tell({ _tag: "AnnounceTip", headers: move.attached, work: move.work, from: move.from })
      )
      const { tip, detached } = move
      // What opens a block was never pending, and is counted nowhere.
      const transactions = move.confirmed.filter(({ kind }) => kind !== "coinbase").length
      const counts = { detached, attached: move.attached.length, transactions }
      events.publish({ type: "tip", height: tip.height, hash: tip.id, time: tip.time, ...counts })
      return slots?.moved(move) ?? Effect.void
    })

/** Tells peers, the miner and listeners of what came into the pool. */
const tellAdmitted =
  (base: Base, { miner, relay }: Core) =>
  (admitted: ReadonlyArray<Admittance>, from: Source): void => {
    const { events, sessions, options } = base
    base.gave(from, "transaction")
    const ids = admitted.map(({ transaction }) => toHex(transaction.id))
    for (let at = 0; at < ids.length; at += announceMax) {
      const part = ids.slice(at, at + announceMax)
      sessions.each((session, id) => id !== from && session.tell({ _tag: "AnnounceTransactions", ids: part, from }))
    }
    miner.tell({ _tag: "PoolGrew" })
    if (relay !== undefined) {
      const transactions = admitted.map(({ transaction }, i) => ({ id: ids[i]!, bytes: toHex(transaction.bytes) }))
      relay.tell({ _tag: "Admitted", transactions })
    }
    const text = (address: Address | undefined): string =>
      address === undefined ? "" : formatAddress(address, options.rules.spec.addressPrefix)
    for (const [i, { transaction, fee }] of admitted.entries()) {
      const { payer, recipient, amount } = summaryOf(transaction)
      const parties = { sender: text(payer), recipient: text(recipient) }
      events.publish({ type: "transaction", transactionId: ids[i]!, ...parties, amount, fee })
    }
  }

const makeBallotsOf = ({ options, watch, sessions, disk, metrics, events }: Base): Ballots => {
  const { rules, store, signer } = options
  const announce = (evidence: Uint8Array, from: Source): void =>
    sessions.each((session, id) => id !== from && session.tell({ _tag: "AnnounceEvidence", evidence }))
  return startBallots({ rules, store, disk, us: signer?.address, announce }, { watch, metrics, events })
}

/** Who posts to the operator's nodes: only where no sessions tell them. */
const makeRelay = ({ options, watch, fork, nodeId }: Base): Core["relay"] => {
  const { config, store, doors } = options
  const { urls, ...nodes } = httpNodesOf(config)
  const { callNode: call } = doors
  if (config.peers !== undefined || urls.length === 0 || call === undefined) return undefined
  const self = (): ActorRef<HttpRelayMessage> => actor
  const actor: NonNullable<Core["relay"]> = new Actor(
    makeHttpRelay({ urls, ...nodes, nodeId, store, call, fork, self }),
    watch
  ) as never
  return actor
}

/** The actors around chain and pool, in the order in which they lean on each other. */
export const makeCore = (base: Base): Core => {
  const { options, watch, sessions, disk } = base
  const { rules, store, config, signer } = options
  const verified = new VerifiedLeaves(verifiedSignaturesMax)
  const moved = (move: TipMoved): Effect.Effect<void> => tellTip(base, core)(move)
  const { squeeze = 1 } = options
  const ballots = makeBallotsOf(base)
  const caught = (evidence: Evidence): void =>
    ballots.actors.forEach((actor) => actor.tell({ _tag: "Caught", evidence }))
  const judge = makeChain({ rules, store, verified, disk, moved, caught, accepted: options.signer?.saw })
  const chain = new Actor(squeezed(squeeze, judge), watch)
  const admitted = (list: ReadonlyArray<Admittance>, from: Source): void => tellAdmitted(base, core)(list, from)
  const retell = (ids: ReadonlyArray<string>): void =>
    sessions.each((session) => session.tell({ _tag: "AnnounceTransactions", ids, from: undefined, again: true }))
  const pool = squeezedPool(squeeze, options.config.pendingMax)
  const mempool = new Actor(
    squeezed(squeeze, makeMempool({ rules, store, verified, disk, admitted, retell, pool })),
    watch
  )
  const extra = bytesOfText(config.mining.blockData ?? options.facts.agent)!
  const own = { extra, triesInPlace: options.triesInPlace ?? triesInPlace }
  const mining = { ...config.mining, proposer: options.proposer, ...own }
  const { startThread } = options.doors
  const miner = new Actor(
    makeMiner({
      rules,
      store,
      chain,
      mempool,
      self: () => core.miner,
      startThread,
      signer: options.signer,
      options: mining,
      ...(ballots.standings === undefined
        ? {}
        : { ballot: ballots.standings.ballot, isGuilty: ballots.standings.isGuilty }),
      hashed: base.hashes.add
    }),
    watch
  )
  const rejoin = (): void => sessions.each((session) => session.tell({ _tag: "Rejoin" }))
  const saw = base.health.readiness.hear
  const download = makeSync({ store, chain, self: () => core.sync, session: sessions.find, rejoin, saw })
  const sync = new Actor(squeezed(squeeze, download), watch)
  const votes = (): FinalityPorts => ({ rules, store, disk, chain, sync, sessions, signer, self: () => core.finality! })
  const hasVotes = rules.spec.authority?.finality !== undefined
  const finality = hasVotes ? new Actor(squeezed(squeeze, makeFinality(votes())), watch) : undefined
  const relay = makeRelay(base)
  const core = { chain, mempool, miner, sync, ballots, finality, relay } as unknown as Core
  return core
}
