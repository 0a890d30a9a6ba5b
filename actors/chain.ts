/**
 * Owns the tip. Offers in, verdicts out, moves of the tip announced after they are on disk.
 *
 *   OfferHeaders → each checked on its parent → saved (one transaction) → answered
 *   OfferBlock   → header and body checked → kept in hand
 *   settle       → which branch wins now? → its signatures, a slice at a time → one plan → one SQL transaction
 *                → answers → TipMoved
 *
 * A decision that finds no room on the disk is tried again until it does: offers wait, their senders behind them, and no
 * answer is given that is not on disk.
 */
import { Clock, Effect, Result } from "effect"
import { assert } from "../src/assert.ts"
import type { Block } from "../src/block/block.ts"
import type { Header } from "../src/block/header.ts"
import { type BranchHeader, HeaderBranch, type Lacking, lackingUpTo, pastHead } from "../src/chain/branch.ts"
import { checkBody, checkHeader } from "../src/chain/check.ts"
import { choosePlan, ForkChoice, type Plan } from "../src/chain/choose.ts"
import { type Landing, runPlan } from "../src/chain/connect.ts"
import { ancestryOf, type ChainReader, isBest, parentId, type Row } from "../src/chain/reader.ts"
import { type BlockReject, reject, verdicts } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import type { VerifiedLeaves } from "../src/chain/verified.ts"
import { equal, toHex } from "../src/codec/bytes.ts"
import type { Evidence } from "../src/consensus/evidence.ts"
import { isSent, type Transaction } from "../src/ledger/transaction.ts"
import { branchBelowMax, chainBatchMax, chainInboxMax, headersAheadMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { loadAnchors } from "../src/store/finality.ts"
import { condemnPast, isPast } from "../src/store/past.ts"
import { type DiskRoom, storageLog } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import { DoubleSigns } from "../src/store/double-signs.ts"
import type { ActorSpec, Reply } from "./actor.ts"
import {
  type BlockVerdict,
  type ChainMessage,
  chainOverflow,
  type HeadersVerdict,
  type Source,
  type TipMoved
} from "./protocol.ts"

/** Signatures checked before others get a turn: a few milliseconds with a native engine. */
const signaturesPerSlice = 64
/** Blocks landed in one transaction while catching up: enough to share a disk flush, few enough to show progress. */
const blocksPerLanding = 256

export interface ChainPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly verified: VerifiedLeaves
  readonly disk: DiskRoom
  /** Hears of every move of the tip, when it is on disk. Waits for those who must not miss it. */
  readonly moved: (move: TipMoved) => Effect.Effect<void>
  /** Hears of an authority that sealed two blocks of one slot, when the proof is on disk. */
  readonly caught?: (evidence: Evidence) => void
  /** Hears each header that is found right, on whatever branch, before it is on disk. */
  readonly accepted?: ((header: Header) => void) | undefined
}

interface Offer {
  readonly block: Block
  readonly from: Source
  readonly row: Row
  readonly reply: Reply<BlockVerdict, BlockReject>
}

interface State {
  readonly clock: Clock.Clock
  /** Bodies that passed their own checks and are not on disk yet, by block id. */
  readonly offers: Map<string, Offer>
  readonly branch: HeaderBranch
  /** Looks for authorities that seal twice, where there are some. What it found and is not told yet, by authority. */
  readonly doubles: DoubleSigns | undefined
  readonly caught: Map<string, Evidence>
  readonly choice: ForkChoice
  /** After a start, and when the past of a snapshot is proven: what is stored may win. Looked for once, without an offer. */
  resume: boolean
}

const branchHeader = ({ header, work }: Row): BranchHeader => ({
  id: header.id,
  previous: parentId(header),
  height: header.height,
  work
})

/** The chain actor: a mailbox around src/chain. */
export const makeChain = (ports: ChainPorts): ActorSpec<State, ChainMessage> => {
  const { rules, store } = ports

  /** The store with the blocks in hand on top: a plan may attach what is not on disk yet. */
  const readerOf = (state: State): ChainReader => ({
    ...store,
    tip: store.tip,
    find: (id) => state.offers.get(id)?.row ?? store.find(id),
    block: (id) => state.offers.get(id)?.block ?? store.block(id)
  })

  const judgeHeader = (state: State, header: Header, find: ChainReader["find"]): Row | BlockReject => {
    const judged = judge(state, header, find)
    const evidence = state.doubles?.look(header, "code" in judged ? judged.code : undefined)
    if (evidence !== undefined) state.caught.set(toHex(evidence.authority), evidence)
    return judged
  }

  const judge = (state: State, header: Header, find: ChainReader["find"]): Row | BlockReject => {
    const invalid = store.invalidCode(header.id)
    if (invalid !== undefined) return reject("known-invalid", `the block was refused before: ${invalid}`)
    const parent = find(parentId(header))
    if (parent === undefined) return reject("parent-unknown", "the parent is not known here")
    if (store.invalidCode(parent.header.id) !== undefined)
      return reject("parent-invalid", "the parent was refused before")
    if (state.choice.leavesFinal(parent, find)) {
      reached("final-left")
      return reject("final-left", `the branch leaves the final block at height ${state.choice.anchors?.final.height}`)
    }
    const ancestry = ancestryOf({ find, bestAt: store.bestAt }, parent.header)
    const refused = checkHeader(rules, header, { ancestry, now: state.clock.currentTimeMillisUnsafe() })
    if (refused !== undefined) return refused
    ports.accepted?.(header)
    return { header, work: parent.work + rules.consensus.work(header), hasBody: false }
  }

  const offerHeaders = (state: State, headers: ReadonlyArray<Header>, reply: Reply<HeadersVerdict>): void => {
    const fresh = new Map<string, Row>()
    const find: ChainReader["find"] = (id) => fresh.get(id) ?? readerOf(state).find(id)
    let last: Row | undefined
    let refused: BlockReject | undefined
    const room = headersAheadMax - (state.branch.heaviest.height - store.tip().header.height)
    for (const header of headers) {
      if (fresh.size >= room) {
        refused = reject("too-many-headers", `${headersAheadMax} headers wait for their bodies already`)
        break
      }
      const known = find(header.id)
      const judged = known ?? judgeHeader(state, header, find)
      if ("code" in judged) {
        refused = judged
        break
      }
      last = judged
      if (known === undefined) fresh.set(header.id, judged)
    }
    store.decide(() => {
      store.saveHeaders([...fresh.values()])
      keepCaught(ports, state)
    })
    if (refused !== undefined) reached("headers-refused")
    for (const row of fresh.values()) state.branch.grow(branchHeader(row), (id) => branchHeader(store.find(id)!))
    if (refused !== undefined)
      condemn(state, refused, headers.find(({ id }) => !fresh.has(id) && store.find(id) === undefined)?.id)
    reply.succeed({
      known: fresh.size,
      last: last?.header,
      reject: refused,
      heaviest: { height: state.branch.heaviest.height, work: state.branch.heaviest.work }
    })
  }

  /** Remembers a hash that is bad for ever. Without room on the disk it is judged again the next time. */
  const condemn = (state: State, refused: BlockReject, id: string | undefined): void => {
    if (id === undefined || !verdicts[refused.code].condemns || refused.code === "known-invalid") return
    const done = ports.disk.try(writer, state.clock.currentTimeMillisUnsafe(), () => forget(store, state, id, refused))
    if (Result.isFailure(done)) return
    for (const { reply } of done.success) reply.fail(reject("parent-invalid", "an ancestor was refused"))
  }

  const offerBlock = (state: State, block: Block, from: Source, reply: Reply<BlockVerdict, BlockReject>): void => {
    const { id } = block.header
    const known = readerOf(state).find(id)
    if (known?.hasBody === true) return reply.succeed({ outcome: "known" })
    const row = known ?? judgeHeader(state, block.header, readerOf(state).find)
    if ("code" in row) {
      condemn(state, row, id)
      return reply.fail(row)
    }
    const refused =
      store.invalidCode(id) === undefined
        ? checkBody(rules, block)
        : reject("known-invalid", "the block was refused before")
    if (refused !== undefined) {
      condemn(state, refused, id)
      return reply.fail(refused)
    }
    if (known !== undefined && !equal(known.header.bytes, block.header.bytes)) reached("seal-other")
    // The hash does not cover an authority's seal: of a known header the seal that was checked stays, whatever came now.
    const checked = { ...block, header: row.header }
    state.offers.set(id, { block: checked, from, row: { ...row, hasBody: true }, reply })
  }

  /** Bodies that a branch lacks, with turns for others on a long way. Undefined: it cannot become ours. */
  const missing = (state: State, head: string, limit: number): Effect.Effect<Lacking | undefined> =>
    Effect.gen(function* () {
      if (head === pastHead) return missingOfPast(state, limit)
      if (store.invalidCode(head) !== undefined) return undefined
      const walk = lackingUpTo(readerOf(state), state.branch, { head, limit })
      for (;;) {
        const { done, value } = walk.next()
        if (done === true) return value
        yield* Effect.yieldNow
      }
    })

  /** Bodies that the next blocks to be replayed of a loaded snapshot's past lack: a window that moves as they are. */
  const missingOfPast = ({ offers }: State, limit: number): Lacking => {
    const ids: Array<string> = []
    const proven = store.proven() ?? store.floor()
    const end = Math.min(store.floor(), proven + limit)
    for (let height = proven + 1; height <= end; height++) {
      const row = store.bestAt(height)
      assert(row !== undefined, "the best branch has a header at every height")
      if (!row.hasBody && !offers.has(row.header.id)) ids.push(row.header.id)
    }
    return { ids, walked: end - proven }
  }

  return {
    name: "chain",
    inboxMax: chainInboxMax,
    overflow: chainOverflow,
    batchMax: chainBatchMax,
    open: Effect.map(Clock.Clock, (clock) => {
      const branch = new HeaderBranch(branchHeader(store.tip()))
      branch.grow(branchHeader(store.heaviest()), (id) => branchHeader(store.find(id)!))
      const doubles = rules.consensus.author === undefined ? undefined : new DoubleSigns(rules, store)
      const choice = new ForkChoice(store, loadAnchors(store.db))
      return { clock, offers: new Map(), branch, doubles, caught: new Map(), choice, resume: true }
    }),
    step: (state, message) => {
      switch (message._tag) {
        case "OfferHeaders":
          return whenRoom(ports, state, () => offerHeaders(state, message.headers, message.reply))
        case "OfferBlock":
          return offerBlock(state, message.block, message.from, message.reply)
        case "MissingBodies":
          return Effect.map(missing(state, message.head, message.limit), message.reply.succeed)
        case "Resume":
          state.resume = true
          return
        case "Anchored":
          state.choice.anchor(message.anchors)
          if (state.choice.rankOf(store.tip()) < 2) state.resume = true
      }
    },
    settle: (state) => {
      const told = state.caught.size > 0 ? tellCaught(ports, state) : undefined
      const landed = state.offers.size > 0 || state.resume ? land(ports, state, readerOf(state)) : undefined
      return told === undefined || landed === undefined ? (told ?? landed) : Effect.andThen(told, landed)
    },
    bounds: ({ offers, branch, doubles }) => [
      ...(doubles?.bounds ?? []),
      { of: "offers", used: offers.size, max: chainBatchMax },
      { of: "header-branch", used: branch.size, max: headersAheadMax + branchBelowMax },
      { of: "verified-leaves", used: ports.verified.size, max: ports.verified.max }
    ]
  }
}

/** This actor's name as one who writes to the disk. */
const writer = "chain"

/** Runs a decision; while it finds no room on the disk, waits and tries again. */
const whenRoom = <A>({ disk }: ChainPorts, { clock }: State, decision: () => A): Effect.Effect<A> =>
  Effect.gen(function* () {
    for (;;) {
      const done = disk.try(writer, clock.currentTimeMillisUnsafe(), decision)
      if (Result.isSuccess(done)) return done.success
      const { code, first, retryMs } = done.failure
      if (first) yield* Effect.logError(`${storageLog[code]}: the chain waits`)
      yield* Effect.sleep(retryMs)
    }
  })

/** Puts what was found against authorities on disk. */
const keepCaught = ({ store }: ChainPorts, { caught, clock }: State): void => {
  for (const evidence of caught.values()) store.evidence.add(evidence, clock.currentTimeMillisUnsafe())
}

const tellCaught = (ports: ChainPorts, state: State): Effect.Effect<void> =>
  Effect.map(
    whenRoom(ports, state, () => ports.store.decide(() => keepCaught(ports, state))),
    () => {
      for (const evidence of state.caught.values()) ports.caught?.(evidence)
      state.caught.clear()
    }
  )

/** Lands the best branch that the blocks in hand complete, again until there is no better; stores the rest; answers. */
const land = (ports: ChainPorts, state: State, reader: ChainReader): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { store } = ports
    const offers = new Map(state.offers)
    const attached = new Set<string>()
    const refused = new Map<string, BlockReject>()
    for (let best = candidate(store, state, reader); best !== undefined; best = candidate(store, state, reader)) {
      const plan = firstPart(choosePlan(reader, best))
      if (state.resume && !plan.attach.some((id) => offers.has(id))) reached("stored-resumed")
      yield* verifyInSlices(ports, plan, reader)
      if (best.work <= store.tip().work) reached("lighter-won")
      const now = state.clock.currentTimeMillisUnsafe()
      const outcome = yield* whenRoom(ports, state, () => commit(ports, { state, plan, reader, now }))
      if (Result.isSuccess(outcome)) {
        markReorg(plan.detach.length)
        for (const { block } of outcome.success.attached) attached.add(block.header.id)
        yield* ports.moved(moveOf(outcome.success, store.tip(), offers))
      } else {
        const { id, reject: why } = outcome.failure
        refused.set(id, why)
        reached("block-condemned")
        yield* whenRoom(ports, state, () => forget(store, state, id, why))
      }
    }
    state.resume = false
    yield* whenRoom(ports, state, () =>
      store.decide(() => {
        for (const { row, block } of state.offers.values()) {
          store.saveHeaders([row])
          store.saveBody(block)
        }
      })
    )
    for (const { row } of state.offers.values())
      state.branch.grow(branchHeader(row), (id) => branchHeader(reader.find(id)!))
    state.offers.clear()
    for (const [id, { reply }] of offers) {
      const why =
        refused.get(id) ??
        (store.invalidCode(id) === undefined ? undefined : reject("parent-invalid", "an ancestor was refused"))
      if (why !== undefined) reply.fail(why)
      else reply.succeed({ outcome: attached.has(id) ? "attached" : "stored" })
    }
  })

const markReorg = (depth: number): void => {
  if (depth === 1) reached("reorg-1")
  if (depth > 3) reached("reorg-above-3")
  if (depth > 10) reached("reorg-above-10")
}

/** A plan that only extends the tip may be done in parts; a reorganisation is one. */
const firstPart = (plan: Plan): Plan =>
  plan.detach.length === 0 && plan.attach.length > blocksPerLanding
    ? { ...plan, attach: plan.attach.slice(0, blocksPerLanding) }
    : plan

/** The heaviest block above the tip whose every ancestor's body is here, reached from the blocks in hand or from what is stored. */
const candidate = (store: ChainStore, state: State, reader: ChainReader): Row | undefined => {
  const byParent = new Map<string, Array<Row>>()
  const whole = new Set<string>()
  const stack: Array<Row> = state.resume ? [...resumable(store, state, reader)] : []
  for (const { row } of [...state.offers.values()].sort((a, b) => a.row.header.height - b.row.header.height)) {
    const parent = parentId(row.header)
    byParent.set(parent, [...(byParent.get(parent) ?? []), row])
    if (!whole.has(parent) && !isWhole(store, reader, row)) continue
    whole.add(row.header.id)
    stack.push(row)
  }
  let best: Row | undefined
  const seen = new Set<string>()
  for (let row = stack.pop(); row !== undefined; row = stack.pop()) {
    const { id } = row.header
    if (seen.has(id) || store.invalidCode(id) !== undefined) continue
    seen.add(id)
    if (state.choice.wins(row, best ?? store.tip(), reader.find)) best = row
    stack.push(...(byParent.get(id) ?? []), ...store.children(id).filter(({ hasBody }) => hasBody))
  }
  return best
}

/**
 * Stored blocks that could be the tip, or lead to it: the heaviest, where a landing was cut off before it or waited for the past
 * of a snapshot; and those that the tip should have, if it has not.
 */
const resumable = (store: ChainStore, { choice }: State, reader: ChainReader): ReadonlyArray<Row> => {
  const torn = new Set<string>()
  const found: Array<Row> = []
  const rank = choice.rankOf(store.tip())
  for (const row of store.heavier()) {
    if (choice.rankOf(row) < rank || !isWhole(store, reader, row, torn)) continue
    found.push(row)
    break
  }
  if (rank === 2 || choice.anchors === undefined) return found
  for (const { id } of [choice.anchors.final, choice.anchors.justified]) {
    const row = reader.find(id)
    if (row !== undefined && !isBest(reader, row.header) && isWhole(store, reader, row, torn)) found.push(row)
  }
  return found
}

/** Does the branch of a row reach the best branch through bodies that are here, where it can be undone? `torn`: known not to. */
const isWhole = (store: ChainStore, reader: ChainReader, row: Row, torn = new Set<string>()): boolean => {
  const path: Array<string> = []
  let walk: Row | undefined = row
  while (walk !== undefined && !isBest(reader, walk.header)) {
    const { id }: Row["header"] = walk.header
    path.push(id)
    walk =
      walk.hasBody && !torn.has(id) && store.invalidCode(id) === undefined
        ? reader.find(parentId(walk.header))
        : undefined
  }
  // Below the floor of a loaded snapshot nothing can be undone until its past is proven, and below what was pruned nothing ever.
  if (walk !== undefined && walk.header.height >= store.bottom()) return true
  for (const id of path) torn.add(id)
  return false
}

/** Checks signatures not checked before, with a turn for others between slices. A wrong one is left for the plan to find. */
const verifyInSlices = ({ rules, verified }: ChainPorts, plan: Plan, reader: ChainReader): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const id of plan.attach) {
      const { transactions } = reader.block(id)!
      for (let from = 0; from < transactions.length; from += signaturesPerSlice) {
        for (const transaction of transactions.slice(from, from + signaturesPerSlice)) {
          if (!verified.has(transaction) && rules.ledger.checkSignature(transaction)) verified.add(transaction)
        }
        yield* Effect.yieldNow
      }
    }
  })

/** Runs a plan and puts it on disk: headers, bodies and all, in one transaction. Refused: nothing is on disk. */
const commit = (
  { rules, store, verified }: ChainPorts,
  job: { readonly state: State; readonly plan: Plan; readonly reader: ChainReader; readonly now: number }
) => {
  const outcome = runPlan(job.plan, { rules, reader: job.reader, verified })
  if (Result.isFailure(outcome)) return outcome
  store.decide(() => {
    for (const { block } of outcome.success.attached) {
      const offer = job.state.offers.get(block.header.id)
      if (offer === undefined) continue
      store.saveHeaders([offer.row])
      store.saveBody(block)
    }
    store.land(outcome.success, job.now)
  })
  for (const { block } of outcome.success.attached) job.state.offers.delete(block.header.id)
  job.state.branch.grow(branchHeader(store.tip()), (id) => branchHeader(store.find(id)!))
  job.state.branch.trim(store.tip().header.height)
  return outcome
}

/**
 * A block that breaks a rule: it and its descendants are invalid from now on, and the heaviest branch is one without it.
 * Gives the blocks in hand that went with it. In the past of a loaded snapshot it takes the whole chain with it: that is
 * remembered, and the actor of the past ends the node.
 */
const forget = (store: ChainStore, state: State, id: string, refused: BlockReject): ReadonlyArray<Offer> => {
  const header = store.find(id)?.header
  if (header !== undefined && isPast(store, header)) {
    condemnPast(store, header, refused)
    return []
  }
  const offer = state.offers.get(id)
  const gone: Array<Offer> = []
  store.decide(() => {
    if (offer !== undefined) store.saveHeaders([offer.row])
    store.markInvalid(id, refused.code)
    for (const other of [...state.offers.values()].sort((a, b) => a.row.header.height - b.row.header.height)) {
      if (store.invalidCode(parentId(other.row.header)) === undefined) continue
      store.markInvalid(other.row.header.id, "parent-invalid")
      gone.push(other)
    }
  })
  for (const other of [id, ...gone.map(({ row }) => row.header.id)]) state.offers.delete(other)
  if (store.find(id) !== undefined) {
    state.branch.begin(branchHeader(store.tip()))
    state.branch.grow(branchHeader(store.heaviest()), (parent) => branchHeader(store.find(parent)!))
  }
  return gone
}

const moveOf = (landing: Landing, tip: Row, offers: ReadonlyMap<string, Offer>): TipMoved => {
  const confirmed = landing.attached.flatMap(({ block }) => block.transactions)
  const ids = new Set(confirmed.map(({ id }) => toHex(id)))
  const returned: ReadonlyArray<Transaction> = landing.detached
    .flatMap(({ transactions }) => transactions)
    .filter((transaction) => isSent(transaction) && !ids.has(toHex(transaction.id)))
  const top = landing.attached.at(-1)
  assert(top !== undefined, "a tip moves to an attached block")
  return {
    _tag: "TipMoved",
    tip: tip.header,
    work: tip.work,
    detached: landing.detached.length,
    attached: landing.attached.map(({ block }) => block.header),
    confirmed,
    returned,
    touched: landing.entries.map(([key]) => key),
    from: offers.get(top.block.header.id)?.from
  }
}
