/** The store: blocks of 2,000 transfers landed on 100,000 accounts, on a real disk, and what each promise costs. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Block, extraHashOf, transactionRootOf } from "../../src/block/block.ts"
import { type BlockHash, chainTag, type Height, makeHeader } from "../../src/block/header.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import type { Landing } from "../../src/chain/connect.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { Address } from "../../src/crypto/address.ts"
import { encodeAccount } from "../../src/ledger/account.ts"
import { amount } from "../../src/ledger/amount.ts"
import { encodeUndo } from "../../src/ledger/undo.ts"
import { makeTransaction, type Millis, type Nonce, type Transaction } from "../../src/ledger/transaction.ts"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { specOf } from "../fixtures.ts"
import { makeDice } from "../fuzz/dice.ts"

const accounts = 100_000
const perBlock = 2000
const senders = 1000
const blocks = 30
const rules = makeRules(specOf())
const dice = makeDice(1)
const addresses = Array.from({ length: accounts }, () => dice.bytes(20) as Address)
const signature = dice.bytes(64)
const publicKey = dice.bytes(33)

interface Variant {
  readonly name: string
  /** Accounts that the 1,000 senders pay. */
  readonly recipients: number
  /** Run after the schema is there. */
  readonly sql?: ReadonlyArray<string>
}

const transferOf = (from: number, to: number, nonce: number): Transaction =>
  makeTransaction({
    version: 1,
    chainId: "bench",
    sender: addresses[from]!,
    recipient: addresses[to]!,
    amount: amount(10),
    fee: amount(1),
    nonce: nonce as Nonce,
    time: 0 as Millis,
    note: "",
    publicKey,
    signature
  })

type Entries = Landing["entries"]

/** The next block on the store's tip that leaves these entries behind, and its landing. */
const landingOf = (store: ChainStore, transactions: ReadonlyArray<Transaction>, entries: Entries): Landing => {
  const tree = new StateTree(store.readPage)
  const stateRoot = tree.update(entries.map(([key, value]) => [key, value] as const))
  const tip = store.tip().header
  const header = makeHeader({
    ...tip,
    chainTag: chainTag("bench"),
    height: (tip.height + 1) as Height,
    previous: tip.hash as BlockHash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot,
    extraHash: extraHashOf(new Uint8Array(0))
  })
  const block: Block = { header, transactions, extra: new Uint8Array(0) }
  const changes = new Map(entries.map(([key, after]) => [key, { before: store.readEntry(key), after }]))
  return {
    detached: [],
    attached: [{ block, undo: encodeUndo(changes), fees: amount(0) }],
    entries,
    pages: tree.pages()
  }
}

const entryOf = (account: number, round: number): Entries[number] => {
  const balance = amount(1_000_000 + ((account * 7919 + round * 104_729) % 1_000_000))
  return [addresses[account]!.toHex(), encodeAccount({ balance, nonce: round as Nonce }), balance]
}

/** Every sender pays twice; whom, and so how many entries change, is the variant's. */
const blockOf = (store: ChainStore, { recipients }: Variant, round: number): Landing => {
  const first = dice.int(accounts - senders)
  const touched = new Set<number>()
  const transactions = Array.from({ length: perBlock }, (_, i) => {
    const from = first + (i % senders)
    const to = recipients <= senders ? first + ((i + 1) % recipients) : dice.int(accounts)
    touched.add(from).add(to)
    return transferOf(from, to, round * 2 + Math.floor(i / senders))
  })
  return landingOf(
    store,
    transactions,
    [...touched].map((account) => entryOf(account, round))
  )
}

const land = (store: ChainStore, landing: Landing): void =>
  store.decide(() => {
    for (const { block } of landing.attached) {
      const { header } = block
      store.saveHeaders([{ header, work: store.tip().work + 1n, hasBody: false }])
      store.saveBody(block)
    }
    store.land(landing, 0)
  })

interface Took {
  readonly wallMs: number
  readonly cpuMs: number
  readonly rows: number
}

const timed = (store: ChainStore, landing: Landing): Took => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  land(store, landing)
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs, cpuMs: (user + system) / 1000, rows: landing.entries.length + landing.pages.size + perBlock }
}

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const run = (variant: Variant): void => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  const store = new ChainStore(openDatabase(join(folder, "chain.db")), rules)
  try {
    for (const sql of variant.sql ?? []) store.db.run(sql)
    land(
      store,
      landingOf(
        store,
        [],
        addresses.map((_, account) => entryOf(account, 0))
      )
    )
    const took = Array.from({ length: blocks }, (_, round) => timed(store, blockOf(store, variant, round + 1)))
    const wall = took.map(({ wallMs }) => wallMs)
    const rate = (ms: number): string =>
      Math.round((perBlock / ms) * 1000)
        .toLocaleString("en")
        .padStart(9)
    const cpu = median(took.map(({ cpuMs }) => cpuMs))
      .toFixed(1)
      .padStart(6)
    const rows = median(took.map((one) => one.rows))
    process.stdout.write(
      `${variant.name.padEnd(46)}${rate(median(wall))} transfers/s median${rate([...wall].sort((a, b) => a - b)[1]!)} best` +
        `${cpu} ms cpu/block ${String(rows).padStart(6)} rows\n`
    )
  } finally {
    store.close()
    rmSync(folder, { recursive: true })
  }
}

const noIndex = "DROP INDEX state_units"
run({ name: "senders pay one another", recipients: senders })
run({ name: "  without the index by units", recipients: senders, sql: [noIndex] })
run({ name: "  synchronous = NORMAL", recipients: senders, sql: ["PRAGMA synchronous = NORMAL"] })
run({ name: "  synchronous = OFF", recipients: senders, sql: ["PRAGMA synchronous = OFF"] })
run({ name: "senders pay strangers", recipients: accounts })
run({ name: "  without the index by units", recipients: accounts, sql: [noIndex] })
