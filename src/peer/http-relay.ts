/**
 * What a node without sessions posts to the nodes that its operator has named: new transactions, and the blocks of its best
 * branch that they lack (L-E12). A machine: it queues and never waits, so no request of a client does.
 *
 *   tip moved ─► their locator ─► where do we part? ─► our blocks from there on, one by one ─► theirs is ours, or heavier
 *   transaction admitted ─► queue ─► one by one, until each was taken or refused
 */
import { Result } from "effect"
import { httpBackoffMsMax, httpPauseMs, relayedMax } from "../limits.ts"
import type { CallOutcome } from "./http-sync.ts"
import { readAnswer } from "./raw-page.ts"

export interface RelayAsk {
  readonly target: number
  readonly ask: number
  readonly method: "GET" | "POST"
  readonly url: string
  /** JSON. */
  readonly body: string | undefined
}

export type RelayEffect =
  | ({ readonly _tag: "Ask" } & RelayAsk)
  /** For the log: once when it changes, and not again. */
  | { readonly _tag: "Say"; readonly url: string; readonly code: string; readonly message: string }

/** What the machine reads of our best branch. */
export interface OurBranch {
  readonly work: () => bigint
  /** The height of a block of it; undefined: it has none of this id. */
  readonly heightOf: (id: string) => number | undefined
  /** The block at a height as hex; undefined above the tip, or where it is not kept. */
  readonly blockAt: (height: number) => string | undefined
}

export interface HttpRelayWish {
  readonly urls: ReadonlyArray<string>
  readonly branch: OurBranch
  /** What we call ourselves: our id. */
  readonly source: string
  /** Milliseconds of the first wait, and after which a question without a word is lost. */
  readonly backoffBaseMs: number
  readonly lostMs: number
  /** A number from 0 up to 1. */
  readonly chance: () => number
}

interface Target {
  readonly url: string
  readonly transactions: Map<string, string>
  /** It may lack blocks of ours. */
  tipDue: boolean
  /** The height of the next block to post, once it is known where we part. */
  next: number | undefined
  asked: { readonly ask: number; readonly what: "locator" | "block" | "transaction"; readonly id: string } | undefined
  at: number
  /** When it was looked at last. */
  lookedAt: number
  failures: number
  nextAt: number
  said: string
}

/** Whom it is worth to ask again later: the node itself had no room or no time, or stood in front of it. */
const isLater = (status: number): boolean => status === 401 || status === 429 || status >= 500

export class HttpRelay {
  private readonly wish: HttpRelayWish
  private readonly targets: ReadonlyArray<Target>
  private asks = 0

  constructor(wish: HttpRelayWish) {
    this.wish = wish
    this.targets = wish.urls.map((url) => ({
      url,
      transactions: new Map(),
      tipDue: true,
      next: undefined,
      asked: undefined,
      at: 0,
      lookedAt: Number.NEGATIVE_INFINITY,
      failures: 0,
      nextAt: 0,
      said: ""
    }))
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const used = Math.max(0, ...this.targets.map(({ transactions }) => transactions.size))
    return [{ of: "transactions", used, max: relayedMax }]
  }

  /** Transactions that have come into the pool: id and bytes as hex. */
  admitted(
    list: ReadonlyArray<{ readonly id: string; readonly bytes: string }>,
    now: number
  ): ReadonlyArray<RelayEffect> {
    for (const { transactions } of this.targets)
      for (const { id, bytes } of list) {
        transactions.set(id, bytes)
        if (transactions.size > relayedMax) transactions.delete(transactions.keys().next().value!)
      }
    return this.tick(now)
  }

  tipMoved(now: number): ReadonlyArray<RelayEffect> {
    for (const target of this.targets) {
      target.tipDue = true
      target.next = undefined
    }
    return this.tick(now)
  }

  tick(now: number): ReadonlyArray<RelayEffect> {
    return this.targets.flatMap((target, i) => {
      if (target.asked !== undefined)
        return now - target.at > this.wish.lostMs ? this.failed(target, "not-reached", "no answer", now) : []
      return target.nextAt > now ? [] : this.ask(i, now)
    })
  }

  /** An answer has come, or none will. One to a question that is not out any more is not regarded. */
  answered(index: number, ask: number, outcome: CallOutcome, now: number): ReadonlyArray<RelayEffect> {
    const target = this.targets[index]
    const asked = target?.asked
    if (target === undefined || asked?.ask !== ask) return []
    target.asked = undefined
    if ("code" in outcome) return this.failed(target, outcome.code, outcome.message, now)
    if (isLater(outcome.status)) return this.failed(target, "answer-refused", `it answers ${outcome.status}`, now)
    target.failures = 0
    if (asked.what === "transaction") target.transactions.delete(asked.id)
    else if (asked.what === "locator") this.part(target, outcome)
    else this.posted(target, outcome.status)
    return [...this.say(target, "", "it answers again"), ...this.ask(index, now)]
  }

  /** Blocks before transactions: what they confirm need not be told. */
  private ask(index: number, now: number): ReadonlyArray<RelayEffect> {
    const target = this.targets[index]!
    const { url, transactions, next } = target
    const { branch, source } = this.wish
    if (target.tipDue && next === undefined) {
      // While we catch up the tip moves all the time.
      if (target.lookedAt + httpPauseMs > now) return []
      target.lookedAt = now
      return this.send(index, now, { what: "locator", id: "" }, `${url}/api/locator?limit=64`)
    }
    const block = next === undefined ? undefined : branch.blockAt(next)
    if (block !== undefined) {
      const body = JSON.stringify({ source_peer: source, block })
      return this.send(index, now, { what: "block", id: "" }, `${url}/api/network/blocks`, body)
    }
    if (next !== undefined) {
      target.tipDue = false
      target.next = undefined
    }
    const [first] = transactions
    if (first === undefined) return []
    const [id, transaction] = first
    const body = JSON.stringify({ source_peer: source, transaction })
    return this.send(index, now, { what: "transaction", id }, `${url}/api/network/transactions`, body)
  }

  private send(
    index: number,
    now: number,
    asked: Omit<NonNullable<Target["asked"]>, "ask">,
    url: string,
    body?: string
  ): ReadonlyArray<RelayEffect> {
    const target = this.targets[index]!
    const ask = ++this.asks
    target.asked = { ...asked, ask }
    target.at = now
    return [{ _tag: "Ask", target: index, ask, method: body === undefined ? "GET" : "POST", url, body }]
  }

  /** Where their branch leaves ours; a heavier one is theirs to keep, and for us to fetch. */
  private part(target: Target, { status, body }: Extract<CallOutcome, { status: number }>): void {
    target.tipDue = false
    const read = readAnswer(status, body)
    const locator = (Result.isSuccess(read) ? (read.success["locator"] ?? {}) : {}) as Readonly<Record<string, unknown>>
    const { hashes, cumulative_work: work } = locator
    if (!Array.isArray(hashes) || typeof work !== "string" || !/^\d{1,78}$/.test(work)) return
    if (BigInt(work) >= this.wish.branch.work()) return
    for (const hash of hashes.slice(0, 64)) {
      const height = typeof hash === "string" ? this.wish.branch.heightOf(hash) : undefined
      if (height === undefined) continue
      target.next = height + 1
      target.tipDue = true
      return
    }
  }

  /** A block that is refused is not followed by others: the next tip begins anew, and may have done so meanwhile. */
  private posted(target: Target, status: number): void {
    if (target.next === undefined) return
    if (status >= 200 && status < 300) target.next++
    else {
      target.next = undefined
      target.tipDue = false
    }
  }

  private failed(target: Target, code: string, message: string, now: number): ReadonlyArray<RelayEffect> {
    const { backoffBaseMs, chance } = this.wish
    const waitMs = Math.min(httpBackoffMsMax, backoffBaseMs * 2 ** Math.min(target.failures, 20))
    target.asked = undefined
    target.failures++
    target.next = undefined
    target.nextAt = now + waitMs * (0.75 + chance() / 2)
    return this.say(target, code, message)
  }

  private say(target: Target, code: string, message: string): ReadonlyArray<RelayEffect> {
    if (target.said === code) return []
    target.said = code
    return [{ _tag: "Say", url: target.url, code: code === "" ? "answers" : code, message }]
  }
}
