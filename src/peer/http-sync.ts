/**
 * The download by HTTP from nodes that the operator has named, for when no session brings anything better. A machine: events
 * in, effects out. One node is asked at a time; it knows ids and weights only, and the chain judges.
 *
 *   due ─► headers, page by page ─► the chain checks links, seals and targets ─► heavier than our tip? ─► which bodies?
 *       ─► bodies by hash ─► the chain judges them ─► again, until none is lacking ─► rest
 *
 * So no body is fetched for work that was only claimed (L-E11). A node that fails or lies waits longer each time.
 */
import { Result } from "effect"
import type { Block } from "../block/block.ts"
import type { Header } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import {
  headersAheadMax,
  httpBackoffMsMax,
  httpPauseMs,
  httpSeldomPolls,
  peersPerMessageMax,
  rawBlocksMax,
  rawHeadersMax,
  rawLocatorMax,
  rawRestartsMax,
  rawUnjudgedMax
} from "../limits.ts"
import type { Claim } from "./claims.ts"
import { blocksUrl, headersUrl, type RawFault, readBlocksPage, readDirectory, readHeadersPage } from "./raw-page.ts"

/** Why there is no answer, as io/call-node.ts has it. */
export const callCodes = ["url-invalid", "https-required", "name-unknown", "address-private", "not-reached"] as const
export type CallCode = (typeof callCodes)[number]

/** What became of a question. */
export type CallOutcome =
  | { readonly status: number; readonly body: string }
  | { readonly code: CallCode; readonly message: string }

/** What was found at a node. */
export interface Inspected {
  readonly url: string
  /** It gave blocks, it had nothing heavier, or something was wrong. */
  readonly status: "updated" | "noop" | "failed"
  /** What was wrong. */
  readonly code: RawFault | CallCode | undefined
  readonly claim: Claim | undefined
  /** How many headers were new, and how many blocks came. */
  readonly headers: number
  readonly blocks: number
}

export type HttpSyncEffect =
  | {
      readonly _tag: "Ask"
      readonly ask: number
      readonly url: string
      readonly what: "directory" | "headers" | "bodies"
    }
  | { readonly _tag: "OfferHeaders"; readonly run: number; readonly headers: ReadonlyArray<Header> }
  /** Ask the chain which bodies the branch of this header lacks. */
  | { readonly _tag: "Look"; readonly run: number; readonly head: string }
  | { readonly _tag: "OfferBlocks"; readonly run: number; readonly blocks: ReadonlyArray<Block> }
  /** Where others are to be dialled, on the word of a node. */
  | { readonly _tag: "Found"; readonly endpoints: ReadonlyArray<string> }
  /** For the log: once when it changes, and not again. */
  | { readonly _tag: "Say"; readonly url: string; readonly code: string; readonly message: string }
  /** An order is done: each node was looked at. */
  | {
      readonly _tag: "Resolved"
      readonly inspected: ReadonlyArray<Inspected>
      readonly discovered: ReadonlyArray<string>
    }

/** What the machine reads of our chain. */
export interface OurChain {
  /** Ids of our headers, the heaviest one first and the genesis last, at most so many. */
  readonly locator: (max: number) => ReadonlyArray<string>
  /** The weight of the branch of a header that the chain knows and does not know to be invalid. */
  readonly weightOf: (id: string) => bigint | undefined
  readonly tipWeight: () => bigint
}

export interface HttpSyncWish {
  readonly urls: ReadonlyArray<string>
  readonly rules: Pick<Rules, "genesis" | "ledger">
  readonly chain: OurChain
  /** Milliseconds, as `PeerPolicy` has them. */
  readonly pollMs: number
  readonly backoffBaseMs: number
  /** Milliseconds without any progress after which a run is taken for lost. */
  readonly lostMs: number
  /** Are directories of use: do we dial anybody, and have the secret? */
  readonly isEndpoint: ((text: string) => boolean) | undefined
  /** A number from 0 up to 1. */
  readonly chance: () => number
  /** Pages in a row without a heavier header; if nothing is said, as many as the longest fork we would hold can take. */
  readonly idlePagesMax?: number
}

/** Of our sessions: how many have said what they have, and whether they bring something now. */
export interface SessionsNow {
  readonly count: number
  readonly busy: boolean
}

/** The chain's word on a page. */
export interface PageVerdict {
  /** Headers that were new. */
  readonly news: number
  /** The last good one. */
  readonly last: string | undefined
  readonly headerWork: bigint
  /** Did it break a rule, and is the sender to blame? */
  readonly refused: "no" | "nobody" | "peer"
}

interface Target {
  readonly url: string
  failures: number
  /** When it was looked at last, and when it may be again after a failure. */
  doneAt: number
  nextAt: number
  /** When its directory was asked for last. */
  listedAt: number
  said: string
}

interface Run {
  readonly id: number
  readonly target: Target
  ask: number
  phase: "directory" | "headers" | "judging" | "looking" | "bodies" | "waiting"
  /** When something happened last. */
  at: number
  /** The question that is out, and when it may be asked again, if the node had too many of ours. */
  url: string
  againAt: number | undefined
  /** Our headers as they were when it began, and what the last page was asked with. */
  readonly ours: ReadonlyArray<string>
  locator: ReadonlyArray<string>
  claim: Claim | undefined
  last: string | undefined
  full: boolean
  headerWork: bigint
  idlePages: number
  restarts: number
  wanted: ReadonlyArray<string>
  /** The first body of the last look: it cannot be lacking twice. */
  looked: string | undefined
  readonly unjudged: Set<string>
  headers: number
  blocks: number
}

const longestFork = Math.ceil(headersAheadMax / rawHeadersMax)

export class HttpSync {
  private readonly wish: HttpSyncWish
  private readonly targets: ReadonlyArray<Target>
  private run: Run | undefined
  private count = 0
  private sessions: SessionsNow = { count: 0, busy: false }
  /** Nodes that an order still waits for, and what was found at the others. */
  private ordered: Set<Target> | undefined
  private inspected: Array<Inspected> = []
  private discovered = new Set<string>()

  constructor(wish: HttpSyncWish) {
    this.wish = wish
    const never = Number.NEGATIVE_INFINITY
    this.targets = wish.urls.map((url) => ({ url, failures: 0, doneAt: never, nextAt: 0, listedAt: never, said: "" }))
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    return [{ of: "unjudged", used: this.run?.unjudged.size ?? 0, max: rawUnjudgedMax }]
  }

  /** Is it one of those that the operator has named? */
  has(url: string): boolean {
    return this.targets.some((target) => target.url === url)
  }

  /** Looks at the time: who is due is asked, and a run without a word is over. */
  tick(now: number, sessions: SessionsNow): ReadonlyArray<HttpSyncEffect> {
    this.sessions = sessions
    const { run } = this
    if (run === undefined) return this.next(now)
    if (now - run.at > this.wish.lostMs) return this.fail(run, "not-reached", now)
    const isAgain = run.againAt !== undefined && run.againAt <= now
    return isAgain ? this.ask(run, run.phase as "headers" | "bodies", run.url) : []
  }

  /** Looks at every node now, those in backoff too: an operator's word. */
  order(now: number): ReadonlyArray<HttpSyncEffect> {
    this.inspected = []
    this.discovered.clear()
    this.ordered = new Set(this.targets)
    return this.run === undefined ? this.next(now) : []
  }

  /** Nobody waits for an order any more; what it has found so far. */
  giveUp(): Extract<HttpSyncEffect, { _tag: "Resolved" }> {
    this.ordered = undefined
    return { _tag: "Resolved", inspected: this.inspected, discovered: [...this.discovered] }
  }

  /** Somebody says that a node has more. Only the operator's nodes count, and not those that failed. */
  hinted(url: string, now: number): ReadonlyArray<HttpSyncEffect> {
    // One that failed has its time all the same.
    for (const target of this.targets) if (target.url === url) target.doneAt = Number.NEGATIVE_INFINITY
    return this.run === undefined ? this.next(now) : []
  }

  answered(ask: number, outcome: CallOutcome, now: number): ReadonlyArray<HttpSyncEffect> {
    const { run } = this
    if (run === undefined || run.ask !== ask) return []
    // It has had too many requests of ours. That may last no longer than another silence.
    if ("status" in outcome && outcome.status === 429 && run.phase !== "directory") {
      run.againAt = now + httpPauseMs
      return []
    }
    run.at = now
    if (run.phase === "directory") return this.directoryCame(run, outcome, now)
    if ("code" in outcome) return this.fail(run, outcome.code, now, outcome.message)
    if (run.phase === "headers") return this.pageCame(run, outcome, now)
    return run.phase === "bodies" ? this.bodiesCame(run, outcome, now) : []
  }

  headersJudged(id: number, verdict: PageVerdict, now: number): ReadonlyArray<HttpSyncEffect> {
    const run = this.runOf(id, "judging")
    if (run === undefined) return []
    run.at = now
    run.headers += verdict.news
    if (verdict.refused === "peer") return this.fail(run, "headers-refused", now)
    run.last = verdict.last ?? run.last
    run.idlePages = verdict.headerWork > run.headerWork ? 0 : run.idlePages + 1
    run.headerWork = verdict.headerWork
    if (verdict.refused === "nobody" || !run.full) return this.decide(run, now)
    const { idlePagesMax = longestFork } = this.wish
    return run.idlePages > idlePagesMax ? this.fail(run, "headers-endless", now) : this.askHeaders(run)
  }

  /** What the branch lacks, oldest first; undefined: it cannot become ours. */
  missing(id: number, ids: ReadonlyArray<string> | undefined, now: number): ReadonlyArray<HttpSyncEffect> {
    const run = this.runOf(id, "looking")
    if (run === undefined) return []
    run.at = now
    if (ids === undefined) return this.fail(run, "body-refused", now)
    const [first] = ids
    if (first === undefined) return this.done(run, now)
    if (first === run.looked) return this.fail(run, "body-missing", now)
    run.looked = first
    run.wanted = ids
    return this.askBodies(run)
  }

  bodyJudged(id: number, body: string, refused: boolean, now: number): ReadonlyArray<HttpSyncEffect> {
    const { run } = this
    if (run === undefined || run.id !== id || !run.unjudged.delete(body)) return []
    run.at = now
    if (refused) return this.fail(run, "body-refused", now)
    return run.phase === "waiting" ? this.askBodies(run) : []
  }

  // ── who is asked ───────────────────────────────────────────────────────────────────────────────────────────────────

  private runOf(id: number, phase: Run["phase"]): Run | undefined {
    return this.run?.id === id && this.run.phase === phase ? this.run : undefined
  }

  private isDue({ failures, doneAt, nextAt }: Target, now: number): boolean {
    const { pollMs } = this.wish
    if (failures > 0) return nextAt <= now
    return doneAt + (this.sessions.count === 0 ? pollMs : pollMs * httpSeldomPolls) <= now
  }

  private next(now: number): ReadonlyArray<HttpSyncEffect> {
    const [ordered] = this.ordered ?? []
    if (ordered !== undefined) return this.begin(ordered, now)
    if (this.sessions.busy) return []
    // Who was looked at longest ago comes first, so that each has its turn.
    const [due] = this.targets.filter((target) => this.isDue(target, now)).sort((a, b) => a.doneAt - b.doneAt)
    return due === undefined ? [] : this.begin(due, now)
  }

  private begin(target: Target, now: number): ReadonlyArray<HttpSyncEffect> {
    const { chain, isEndpoint } = this.wish
    const ours = chain.locator(rawLocatorMax)
    const run: Run = {
      id: ++this.count,
      target,
      ask: 0,
      phase: "headers",
      at: now,
      url: "",
      againAt: undefined,
      ours,
      locator: ours,
      claim: undefined,
      last: undefined,
      full: false,
      headerWork: 0n,
      idlePages: 0,
      restarts: 0,
      wanted: [],
      looked: undefined,
      unjudged: new Set(),
      headers: 0,
      blocks: 0
    }
    this.run = run
    // Whom to dial is asked where nobody is there, now and then, and when the operator says so.
    const isLong = target.listedAt + this.wish.pollMs * httpSeldomPolls <= now
    const wants = this.ordered !== undefined || (this.sessions.count === 0 && isLong)
    if (isEndpoint === undefined || !wants) return this.askHeaders(run)
    target.listedAt = now
    return this.ask(run, "directory", `${target.url}/api/network/peers?limit=${peersPerMessageMax}`)
  }

  private ask(
    run: Run,
    what: Extract<HttpSyncEffect, { _tag: "Ask" }>["what"],
    url: string
  ): ReadonlyArray<HttpSyncEffect> {
    run.phase = what
    run.ask = ++this.count
    run.url = url
    run.againAt = undefined
    return [{ _tag: "Ask", ask: run.ask, url, what }]
  }

  // ── headers ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What is wrong with a directory is no fault of the blocks. */
  private directoryCame(run: Run, outcome: CallOutcome, now: number): ReadonlyArray<HttpSyncEffect> {
    if ("code" in outcome) return this.fail(run, outcome.code, now, outcome.message)
    const endpoints = readDirectory(outcome, this.wish.isEndpoint!, peersPerMessageMax)
    for (const endpoint of endpoints) if (this.ordered !== undefined) this.discovered.add(endpoint)
    const found: ReadonlyArray<HttpSyncEffect> = endpoints.length === 0 ? [] : [{ _tag: "Found", endpoints }]
    return [...found, ...this.askHeaders(run)]
  }

  private askHeaders(run: Run): ReadonlyArray<HttpSyncEffect> {
    run.locator = run.last === undefined ? run.ours : [run.last, ...run.ours.slice(0, -2), ...run.ours.slice(-1)]
    return this.ask(run, "headers", headersUrl(run.target.url, run.locator))
  }

  private pageCame(
    run: Run,
    outcome: Extract<CallOutcome, { status: number }>,
    now: number
  ): ReadonlyArray<HttpSyncEffect> {
    const page = readHeadersPage(outcome, this.wish.rules, run.locator)
    if (Result.isFailure(page)) return this.fail(run, page.failure, now)
    const { claim, headers, full } = page.success
    run.claim = claim
    run.full = full
    const [first] = headers
    if (first === undefined) return this.decide(run, now)
    // It may have left its branch since the last page; who does so all the time has none.
    const goesOn = run.last === undefined || first.previous.toHex() === run.last
    if (!goesOn && ++run.restarts > rawRestartsMax) return this.fail(run, "headers-endless", now)
    run.phase = "judging"
    return [{ _tag: "OfferHeaders", run: run.id, headers }]
  }

  /** All headers are there and judged: the heaviest that it has, as the chain has counted it, is worth its bodies, or not. */
  private decide(run: Run, now: number): ReadonlyArray<HttpSyncEffect> {
    const { chain } = this.wish
    // Those that it claims may be known from before, and their bodies lacking.
    const heads = [run.last, run.claim?.hash].flatMap((id) => {
      const weight = id === undefined ? undefined : chain.weightOf(id)
      return weight === undefined ? [] : [{ id: id!, weight }]
    })
    const best = heads.reduce<(typeof heads)[number] | undefined>(
      (a, b) => (a && a.weight >= b.weight ? a : b),
      undefined
    )
    if (best === undefined || best.weight <= chain.tipWeight()) return this.done(run, now)
    return this.look(run, best.id)
  }

  // ── bodies ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private look(run: Run, head: string): ReadonlyArray<HttpSyncEffect> {
    run.phase = "looking"
    run.last = head
    return [{ _tag: "Look", run: run.id, head }]
  }

  private askBodies(run: Run): ReadonlyArray<HttpSyncEffect> {
    run.phase = "waiting"
    if (run.wanted.length === 0) return run.unjudged.size === 0 ? this.look(run, run.last!) : []
    if (run.unjudged.size > rawUnjudgedMax - rawBlocksMax) return []
    return this.ask(run, "bodies", blocksUrl(run.target.url, run.wanted))
  }

  private bodiesCame(
    run: Run,
    outcome: Extract<CallOutcome, { status: number }>,
    now: number
  ): ReadonlyArray<HttpSyncEffect> {
    const page = readBlocksPage(outcome, this.wish.rules, run.wanted.slice(0, rawBlocksMax))
    if (Result.isFailure(page)) return this.fail(run, page.failure, now)
    const blocks = page.success
    run.wanted = run.wanted.slice(blocks.length)
    run.blocks += blocks.length
    for (const { header } of blocks) run.unjudged.add(header.id)
    return [{ _tag: "OfferBlocks", run: run.id, blocks }, ...this.askBodies(run)]
  }

  // ── the end of a run ───────────────────────────────────────────────────────────────────────────────────────────────

  private done(run: Run, now: number): ReadonlyArray<HttpSyncEffect> {
    const { target } = run
    target.failures = 0
    target.doneAt = now
    const isNew = run.blocks > 0
    return [...this.say(target, "", "it answers again"), ...this.ended(run, isNew ? "updated" : "noop", undefined, now)]
  }

  private fail(
    run: Run,
    code: RawFault | CallCode,
    now: number,
    message: string = code
  ): ReadonlyArray<HttpSyncEffect> {
    const { target } = run
    const { backoffBaseMs, chance } = this.wish
    const waitMs = Math.min(httpBackoffMsMax, backoffBaseMs * 2 ** Math.min(target.failures, 20))
    target.failures++
    target.doneAt = now
    target.nextAt = now + waitMs * (0.75 + chance() / 2)
    return [...this.say(target, code, message), ...this.ended(run, "failed", code, now)]
  }

  private say(target: Target, code: string, message: string): ReadonlyArray<HttpSyncEffect> {
    if (target.said === code) return []
    target.said = code
    return [{ _tag: "Say", url: target.url, code: code === "" ? "answers" : code, message }]
  }

  private ended(
    { target, claim, headers, blocks }: Run,
    status: Inspected["status"],
    code: Inspected["code"],
    now: number
  ): ReadonlyArray<HttpSyncEffect> {
    this.run = undefined
    if (this.ordered?.delete(target) !== true) return this.next(now)
    this.inspected.push({ url: target.url, status, code, claim, headers, blocks })
    return this.ordered.size > 0 ? this.next(now) : [this.giveUp(), ...this.next(now)]
  }
}
