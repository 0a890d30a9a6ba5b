/** The store on a real disk: blocks of 2,000 transfers landed on 100,000 accounts, what each promise costs, reads, opening. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Block, extraHashOf, transactionRootOf } from "../../src/block/block.ts"
import { chainTag, type Header, type Height, makeHeader } from "../../src/block/header.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import type { Attached, Landing } from "../../src/chain/connect.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { Address } from "../../src/crypto/address.ts"
import { encodeAccount } from "../../src/ledger/account.ts"
import { amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce, Transaction } from "../../src/ledger/transaction.ts"
import { noData } from "../../src/ledger/payload.ts"
import { makeTransfer } from "../../src/ledger/transfer.ts"
import { encodeUndo } from "../../src/ledger/undo.ts"
import { inconsistency } from "../../src/store/consistency.ts"
import { openDatabase, openReadonly } from "../../src/store/db.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { ChainStore } from "../../src/store/store.ts"
import { specOf } from "../fixtures.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { printTable, rate, type Row } from "./table.ts"

const accounts = 100_000
const perBlock = 2_000
const senders = 1_000
const rules = makeRules(specOf())
const dice = makeDice(1)
const addresses = Array.from({ length: accounts }, () => dice.bytes(20) as Address)
const keys = addresses.map((address) => address.toHex())
const signature = dice.bytes(64)
const publicKey = dice.bytes(33)
const extra = new Uint8Array(0)

type Entry = readonly [key: string, value: Uint8Array, units: number]

/** What a block says and what it leaves behind. */
interface Content {
  readonly transactions: ReadonlyArray<Transaction>
  readonly entries: ReadonlyArray<Entry>
}

interface Variant {
  readonly name: string
  readonly blocks: number
  /** Blocks in one landing, as while catching up. */
  readonly together: number
  /** Accounts that the 1,000 senders pay. */
  readonly recipients: number
  /** Transactions in the index before. */
  readonly indexed?: number
  /** Run after the schema is there. */
  readonly sql?: string
}

const transferOf = (from: number, to: number, nonce: number): Transaction =>
  makeTransfer({
    version: 1,
    chainId: "bench",
    sender: addresses[from]!,
    recipient: addresses[to]!,
    amount: amount(10),
    fee: amount(1),
    nonce: nonce as Nonce,
    time: 0 as Millis,
    note: "",
    data: noData,
    publicKey,
    signature
  })

const entryOf = (account: number, round: number): Entry => {
  const balance = amount(1_000_000 + ((account * 7919 + round * 104_729) % 1_000_000))
  return [keys[account]!, encodeAccount({ balance, nonce: round as Nonce }), balance]
}

/** Every sender pays twice; whom, and so how many entries change, is the variant's. */
const contentOf = (recipients: number, round: number): Content => {
  const first = dice.int(accounts - senders)
  const touched = new Set<number>()
  const transactions = Array.from({ length: perBlock }, (_, i) => {
    const from = first + (i % senders)
    const to = recipients <= senders ? first + ((i + 1) % recipients) : dice.int(accounts)
    touched.add(from).add(to)
    return transferOf(from, to, round * 2 + Math.floor(i / senders))
  })
  return { transactions, entries: [...touched].map((account) => entryOf(account, round)) }
}

const headerOn = (parent: Header, transactions: ReadonlyArray<Transaction>, stateRoot: Header["stateRoot"]): Header =>
  makeHeader({
    ...parent,
    chainTag: chainTag("bench"),
    height: (parent.height + 1) as Height,
    previous: parent.hash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot,
    extraHash: extraHashOf(extra)
  })

/** The next blocks on the store's tip as one decision. The state tree is the real one, so that the pages are. */
const landingOf = (store: ChainStore, contents: ReadonlyArray<Content>): Landing => {
  const tree = new StateTree(store.readPage)
  const after = new Map<string, Entry>()
  const attached: Array<Attached> = []
  let parent = store.tip().header
  for (const { transactions, entries } of contents) {
    const changes = new Map(
      entries.map(([key, value]) => [key, { before: after.get(key)?.[1] ?? store.readEntry(key), after: value }])
    )
    for (const entry of entries) after.set(entry[0], entry)
    parent = headerOn(parent, transactions, tree.update(entries.map(([key, value]) => [key, value] as const)))
    const block: Block = { header: parent, transactions, extra }
    attached.push({ block, undo: encodeUndo(changes), fees: amount(0) })
  }
  return {
    detached: [],
    attached,
    entries: [...after.values()].map((entry) => [...entry, store.readEntry(entry[0])] as const),
    pages: tree.pages()
  }
}

const land = (store: ChainStore, landing: Landing): void =>
  store.decide(() => {
    let work = store.tip().work
    store.saveHeaders(landing.attached.map(({ block: { header } }) => ({ header, work: ++work, hasBody: false })))
    for (const { block } of landing.attached) store.saveBody(block)
    store.land(landing, 0)
  })

const withStore = <A>(use: (store: ChainStore, path: string) => A): A => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  const path = join(folder, "chain.db")
  const store = new ChainStore(openDatabase(path), rules)
  try {
    land(store, landingOf(store, [{ transactions: [], entries: keys.map((_, account) => entryOf(account, 0)) }]))
    return use(store, path)
  } finally {
    store.close()
    rmSync(folder, { recursive: true })
  }
}

const fillIndex = (store: ChainStore, count: number): void => {
  const insert = store.db.query("INSERT INTO transactions (id, height, position) VALUES (?, 0, ?)")
  store.decide(() => {
    for (let i = 0; i < count; i++) insert.run(crypto.getRandomValues(new Uint8Array(32)), i)
  })
}

/** Transfers a second over all blocks, the folding of the log into the database included; and of processor time alone. */
const landAll = ({ blocks, together, recipients, indexed, sql }: Variant): { wall: number; cpu: number } =>
  withStore((store) => {
    if (sql !== undefined) store.db.run(sql)
    fillIndex(store, indexed ?? 0)
    let wallMs = 0
    let cpuMs = 0
    for (let round = 1; round <= blocks; round += together) {
      const contents = Array.from({ length: together }, (_, i) => contentOf(recipients, round + i))
      const landing = landingOf(store, contents)
      const began = performance.now()
      const before = process.cpuUsage()
      land(store, landing)
      const { user, system } = process.cpuUsage(before)
      wallMs += performance.now() - began
      cpuMs += (user + system) / 1000
    }
    return { wall: (blocks * perBlock * 1000) / wallMs, cpu: (blocks * perBlock * 1000) / cpuMs }
  })

/** The better of two runs: the machine is not ours alone. */
const rowsOf = (variant: Variant, baseline?: Variant): ReadonlyArray<Row> => {
  const runs = [landAll(variant), landAll(variant)]
  const best = (pick: (run: (typeof runs)[number]) => number): number => Math.max(...runs.map(pick))
  const compared = baseline === undefined ? {} : { baseline: baseline.name }
  return [
    { name: variant.name, value: best(({ wall }) => wall), unit: "transfers/s", ...compared },
    { name: "    by processor time", value: best(({ cpu }) => cpu), unit: "transfers/CPU-s" }
  ]
}

const benchLanding = (): void => {
  const one: Variant = { name: "a block a commit", blocks: 30, together: 1, recipients: senders }
  const many: Variant = { ...one, name: "32 blocks a commit", blocks: 128, together: 32 }
  const variants: ReadonlyArray<readonly [Variant, Variant?]> = [
    [one],
    [{ ...one, name: "  without the index by units", sql: "DROP INDEX state_units" }, one],
    [{ ...one, name: "  synchronous = NORMAL", sql: "PRAGMA synchronous = NORMAL" }, one],
    [{ ...one, name: "  synchronous = OFF", sql: "PRAGMA synchronous = OFF" }, one],
    [{ ...one, name: "  each pays two strangers", recipients: accounts }, one],
    [{ ...one, name: "  two million indexed before", indexed: 2_000_000 }, one],
    [many],
    [{ ...many, name: "  32, without the index by units", sql: "DROP INDEX state_units" }, many]
  ]
  printTable(
    `Landing blocks of ${perBlock} transfers, ${senders} senders, ${accounts} accounts`,
    variants.flatMap(([variant, baseline]) => rowsOf(variant, baseline))
  )
}

const perSecond = (name: string, f: () => void, calls: number): Row => ({ name, value: rate(f, calls), unit: "/s" })

const benchReading = (): void =>
  withStore((store, path) => {
    const landings = Array.from({ length: 10 }, (_, round) => {
      const landing = landingOf(store, [contentOf(senders, round + 1)])
      land(store, landing)
      return landing
    })
    const snapshot = new Snapshot(openReadonly(path), rules)
    const { height } = store.tip().header
    const mined = landings.flatMap(({ attached }) => attached.flatMap(({ block }) => block.transactions))
    const middle = { units: 1_500_000, key: "80".repeat(20) }
    printTable(`Reading, ${accounts} accounts`, [
      perSecond("snapshot: tip", () => snapshot.tip(), 5_000),
      perSecond("snapshot: entry of a key", () => snapshot.entry(keys[dice.int(accounts)]!), 20_000),
      perSecond("snapshot: place of a transaction", () => snapshot.place(dice.pick(mined).id), 20_000),
      perSecond("snapshot: page of 100 accounts by units", () => snapshot.addressesByUnits(middle, 100), 500),
      perSecond("store: entry, in memory or not", () => store.readEntry(keys[dice.int(accounts)]!), 20_000),
      perSecond("store: best header, in memory", () => store.bestAt(height), 20_000)
    ])
    snapshot.close()
  })

const emptyBlocks = 100_000

const took = (name: string, f: () => unknown): Row => {
  const began = performance.now()
  f()
  return { name, value: performance.now() - began, unit: "ms" }
}

/** The checks of a start, and those that are too dear for it, on a long chain. */
const benchOpening = (): void =>
  withStore((store) => {
    const empty = Array.from({ length: 1_000 }, () => ({ transactions: [], entries: [] }))
    for (let at = 0; at < emptyBlocks; at += empty.length) land(store, landingOf(store, empty))
    const check = (pragma: string) => () => store.db.query(`PRAGMA ${pragma}(1)`).get()
    printTable(`Opening a store of ${emptyBlocks} blocks and ${accounts} accounts`, [
      took("checks of every start", () => inconsistency(store.db, rules.ledger)),
      took("quick_check", check("quick_check")),
      took("integrity_check", check("integrity_check"))
    ])
  })

benchLanding()
benchReading()
benchOpening()
