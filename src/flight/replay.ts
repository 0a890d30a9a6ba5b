/**
 * The replay of an epoch: the same actors on the same deck, offline, over a copy of the database as it was, fed from the
 * journal at the same places. What the node does is compared with what the journal says it did, entry by entry; the first
 * difference ends the replay.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, References } from "effect"
import { startTree } from "../../actors/tree.ts"
import { makeRules } from "../chain/rules.ts"
import { equal, toHex } from "../codec/bytes.ts"
import { addressOf } from "../crypto/address.ts"
import { openDatabase, openReadonly } from "../store/db.ts"
import { Snapshot } from "../store/snapshot.ts"
import { ChainStore } from "../store/store.ts"
import { Deck, type Tape } from "./deck.ts"
import { describe, type Entry, type EntryOf, type Fields, isInput, type Kind, valuesOf } from "./entry.ts"
import { copyDatabase, type EpochFacts } from "./epoch.ts"
import { JournalReader } from "./journal.ts"
import { nowhere } from "./outside.ts"

/** Events shown of what came before a divergence. */
const eventsShown = 20
/** Steps between two turns for others, such as a signal. */
const stepsAtATime = 2_000

/** A message as a replay tells of it. */
export interface Replayed {
  /** Number of the entry in the journal, from 1. */
  readonly entry: number
  /** Milliseconds since the epoch began. */
  readonly atMs: number
  readonly task: number
  readonly actor: string
  readonly kind: string
}

export interface Divergence {
  readonly entry: number
  readonly atMs: number
  readonly expected: string
  readonly found: string
  /** The last events before, oldest first. */
  readonly before: ReadonlyArray<string>
}

export interface Verdict {
  /** `damaged`: all that could be read was the same, and then the journal is not as it was written. */
  readonly outcome: "identical" | "diverged" | "damaged"
  readonly entries: number
  readonly messages: number
  readonly tasks: number
  readonly atMs: number
  readonly digest: string
  readonly height: number
  readonly tip: string
  readonly root: string
  /** True if `until` ended the replay. */
  readonly stopped: boolean
  /** Bytes cut off at the end: the node was killed while it wrote. */
  readonly torn: number
  readonly damage: string | undefined
  readonly divergence: Divergence | undefined
}

export interface ReplayOptions {
  /** Ends the replay when the tip has this height, or after this entry. */
  readonly until?: { readonly height: number } | { readonly entry: number }
  readonly onMessage?: (message: Replayed) => void
  /** Called every few thousand steps. */
  readonly onProgress?: (at: { readonly entries: number; readonly atMs: number; readonly height: number }) => void
}

type Found = { readonly kind: Kind; readonly at: number } & Readonly<Record<string, unknown>>

const same = (expected: Entry, found: Found): boolean =>
  expected.kind === found.kind &&
  expected.at === found.at &&
  valuesOf(expected).every(([name, value]) => {
    const other = found[name]
    return value instanceof Uint8Array ? other instanceof Uint8Array && equal(value, other) : value === other
  })

class Replayer {
  readonly deck: Deck
  readonly reader: JournalReader
  messages = 0
  stopped = false
  divergence: Divergence | undefined
  private readonly options: ReplayOptions
  private readonly names = { plain: new Array<string>(), session: new Array<string>() }
  private readonly before: Array<string> = []
  private coming: Entry | undefined
  private ended = false
  private height = 0

  constructor(folder: string, options: ReplayOptions) {
    this.reader = new JournalReader(folder)
    this.options = options
    const nobody = (): void => {}
    this.deck = new Deck({
      tape: this.tape,
      outside: nowhere,
      audience: { started: nobody, answered: nobody, stopped: nobody },
      hear: nobody,
      onWork: nobody,
      monotonicNanos: (clock) => BigInt(clock.nowMs) * 1_000_000n
    })
  }

  /** Runs until the journal ends, `until` is reached, or something differs. */
  async run(): Promise<void> {
    for (let steps = 1; this.step(); steps++) {
      if (steps % stepsAtATime !== 0) continue
      this.options.onProgress?.({ entries: this.reader.entries, atMs: this.deck.clock.nowMs, height: this.height })
      await new Promise<void>((resume) => setImmediate(resume))
    }
  }

  /** One task or one input. False: it is over. */
  private step(): boolean {
    const { deck } = this
    const next = this.peek()
    if (next === undefined) return false
    try {
      if (next.at < deck.tasks || (next.at > deck.tasks && deck.idle))
        this.diverge(next, `nothing: ${deck.tasks} tasks began, and ${deck.idle ? "none waits" : "others wait"}`)
      else if (next.at > deck.tasks) deck.next()
      else if (isInput(next)) {
        this.take(next)
        deck.apply(next)
      } else if (next.kind === "rest") this.rest(next)
      else this.diverge(next, "nothing: the task ended without it")
    } catch (error) {
      this.diverge(next, `an exception: ${String(error)}`)
    }
    return !this.over
  }

  /** The end of a slice: was all before it the same, times included? */
  private rest(next: EntryOf<"rest">): void {
    const { check } = this.deck.digest
    if (next.check === check) this.take(next)
    else this.diverge(next, { kind: "rest", at: next.at, check })
  }

  private get over(): boolean {
    return this.ended || this.stopped || this.divergence !== undefined
  }

  private peek(): Entry | undefined {
    if (this.over) return undefined
    this.coming ??= this.reader.next()
    if (this.coming === undefined) this.ended = true
    return this.coming
  }

  /** The entry has come true. */
  private take(entry: Entry): void {
    this.coming = undefined
    const { until } = this.options
    if (entry.kind === "name") this.names[entry.actor === "session" ? "session" : "plain"].push(wordsOfName(entry))
    if (entry.kind === "tip") this.height = entry.height
    if (entry.kind !== "rest" && entry.kind !== "time" && entry.kind !== "name") {
      this.before.push(`${this.reader.entries} at ${this.deck.clock.nowMs} ms: ${this.wordsOf(entry)}`)
      if (this.before.length > eventsShown) this.before.shift()
    }
    if (until === undefined) return
    this.stopped =
      "entry" in until ? this.reader.entries >= until.entry : entry.kind === "tip" && this.height >= until.height
  }

  private wordsOf(entry: Entry | Found): string {
    if (entry.kind !== "message") return describe(entry)
    const { name, session } = entry as Fields<"message">
    const words = this.names[session === 0 ? "plain" : "session"][name] ?? `message ${name}`
    return session === 0 ? words : words.replace("session", `session-${session}`)
  }

  private diverge(expected: Entry, found: Found | string): void {
    this.divergence ??= {
      entry: this.reader.entries,
      atMs: this.deck.clock.nowMs,
      expected: `${this.wordsOf(expected)} (task ${expected.at})`,
      found: typeof found === "string" ? found : `${this.wordsOf(found)} (task ${found.at})`,
      before: [...this.before]
    }
  }

  private readonly tape: Tape = {
    event: (kind, at, fields) => {
      const next = this.peek()
      if (next === undefined) return
      const found = { kind, at, ...fields } as unknown as Found
      if (!same(next, found)) return this.diverge(next, found)
      this.take(next)
      if (next.kind === "message") this.tell(next)
    },
    answer: (kind, at, live) => {
      const next = this.peek()
      if (next !== undefined && next.kind === kind && next.at === at) {
        this.take(next)
        return next as never
      }
      // A stand-in, so that the task may end: nobody looks at what comes of it.
      const fields = live()
      if (next !== undefined) this.diverge(next, { kind, at, ...fields } as unknown as Found)
      return fields
    },
    rare: (kind, at, fields) => {
      const next = this.peek()
      if (next === undefined || !same(next, { kind, at, ...fields } as unknown as Found)) return false
      this.take(next)
      return true
    },
    over: (at, operation) => {
      const next = this.peek()
      if (next?.kind !== "yield" || next.operation !== operation || next.at !== at) return false
      this.take(next)
      return true
    }
  }

  private tell(entry: EntryOf<"message">): void {
    this.messages++
    const { onMessage } = this.options
    if (onMessage === undefined) return
    const [actor = "", kind = ""] = this.wordsOf(entry).split(" ")
    onMessage({ entry: this.reader.entries, atMs: this.deck.clock.nowMs, task: entry.at, actor, kind })
  }
}

const wordsOfName = ({ actor, tag }: Fields<"name">): string => `${actor} ${tag}`

/** A folder that goes when `f` is done. */
const withScratch = async <A>(f: (folder: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-replay-"))
  try {
    return await f(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Replays an epoch on a copy of its database. Throws FlightFault, FileFault or StoreFault if it cannot be begun. */
export const replayEpoch = (epoch: EpochFacts, options: ReplayOptions = {}): Promise<Verdict> =>
  withScratch(async (scratch) => {
    const path = join(scratch, "chain.db")
    await copyDatabase(epoch.folder, path)
    const rules = makeRules(epoch.spec)
    const store = new ChainStore(openDatabase(path), rules, { filters: epoch.config.filters !== false })
    const snapshot = new Snapshot(openReadonly(path), rules)
    // It is thrown away: nobody waits for a disk.
    store.db.run("PRAGMA synchronous = OFF")
    try {
      const replayer = new Replayer(epoch.folder, options)
      const { deck } = replayer
      deck.start(startTree({ ...treeOf(epoch), rules, store, snapshot, doors: deck, spy: deck.spy }), silent)
      await replayer.run()
      return verdictOf(replayer, store)
    } finally {
      snapshot.close()
      store.close()
    }
  })

const silent = Context.make(References.MinimumLogLevel, "None") as Context.Context<never>

/** What the node was, without its secrets: what it signs in a replay goes nowhere, so any key signs it. */
const treeOf = ({ config, facts, publicKey, proposer }: EpochFacts) => ({
  config,
  facts,
  proposer,
  key: { secret: new Uint8Array(32).fill(1), publicKey, address: addressOf(publicKey) },
  tls: { key: "", cert: "" }
})

const verdictOf = ({ deck, reader, messages, stopped, divergence }: Replayer, store: ChainStore): Verdict => {
  const { header } = store.tip()
  const { damage } = reader
  return {
    outcome: divergence !== undefined ? "diverged" : damage !== undefined ? "damaged" : "identical",
    entries: reader.entries,
    messages,
    tasks: deck.tasks,
    atMs: deck.clock.nowMs,
    digest: deck.digest.text,
    height: header.height,
    tip: header.id,
    root: toHex(header.stateRoot),
    stopped,
    torn: reader.torn,
    damage,
    divergence
  }
}
