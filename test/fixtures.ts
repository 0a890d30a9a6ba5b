/** A chain in one line: keys, transfers, sealed blocks, and a store in memory. The rules and the store are the real ones. */
import { type Block, encodeBlock } from "../src/block/block.ts"
import { type AuthorityRule, type ChainSpec, parseSpec } from "../src/block/genesis.ts"
import { type HeaderFields, makeHeader } from "../src/block/header.ts"
import { choosePlan } from "../src/chain/choose.ts"
import { runPlan } from "../src/chain/connect.ts"
import { ancestryOf, type Row } from "../src/chain/reader.ts"
import { presets } from "../src/chain/presets.ts"
import { makeRules, type Rules } from "../src/chain/rules.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { equal } from "../src/codec/bytes.ts"
import { leaderOf, slotOf } from "../src/consensus/rota.ts"
import { sealHeader } from "../src/block/seal.ts"
import { sha256 } from "../src/crypto/hash.ts"
import { type Keypair, keypairOf } from "../src/crypto/keys.ts"
import { loadEngine } from "../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../src/crypto/signature.ts"
import { type Amount, amount } from "../src/ledger/amount.ts"
import { type Coin, decodeCoin, decodeOutpoint } from "../src/ledger/coin.ts"
import type { LedgerRules } from "../src/ledger/ledger.ts"
import { noData } from "../src/ledger/payload.ts"
import { signPayment } from "../src/ledger/payment.ts"
import type {
  Millis,
  Nonce,
  Outpoint,
  PaymentTransaction,
  Transaction,
  TransferTransaction
} from "../src/ledger/transaction.ts"
import { signTransfer } from "../src/ledger/transfer.ts"
import { search } from "../src/miner/search.ts"
import { makeTemplate } from "../src/miner/template.ts"
import { Result } from "effect"
import { openDatabase } from "../src/store/db.ts"
import { ChainStore } from "../src/store/store.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const keys = new Map<number, Keypair>()

/** The i-th key of the tests, always the same. */
export const keyOf = (i: number): Keypair => {
  const known = keys.get(i) ?? keypairOf(sha256(new Uint8Array([1, i & 255, i >>> 8, i >>> 16])))
  keys.set(i, known)
  return known
}

/** 2026-11-21, when the presets begin. */
export const epoch = 1_795_219_200_000

export interface SpecWish {
  readonly accounts?: number
  readonly balance?: number
  readonly difficulty?: ChainSpec["difficulty"]
  readonly transactionsMax?: number
  readonly halving?: number
  readonly chainId?: string
  /** The money model; accounts if nothing is said. */
  readonly model?: LedgerRules["model"]
  /** Of a coinbase, on a chain of coins. */
  readonly maturity?: number
  /** Bytes of data that a transaction may carry; none if nothing is said. */
  readonly payloadBytesMax?: number
  /** Sealed by so many authorities: the test keys from 200 on. Without work, if `difficulty` asks for none. */
  readonly authorities?: number
  readonly authority?: Partial<AuthorityRule>
}

/** The number of the first test key that is an authority, where there are some. */
export const firstAuthority = 200

/** A spec that seals at once (four bits), with the first `accounts` test keys funded. */
export const specOf = (wish: SpecWish = {}): ChainSpec => {
  const parsed = parseSpec({
    ...(presets["dev"] as object),
    name: "test",
    genesis: { time: epoch, note: "", alloc: [] }
  })
  if (Result.isFailure(parsed)) throw new Error(JSON.stringify(parsed.failure))
  const spec = parsed.success
  const balance = amount(wish.balance ?? 1_000_000_000)
  const model = wish.model === "utxo" ? { model: wish.model, coinbaseMaturity: wish.maturity ?? 3 } : {}
  return {
    ...spec,
    ledger: {
      ...spec.ledger,
      ...model,
      ...(wish.payloadBytesMax === undefined ? {} : { payloadBytesMax: wish.payloadBytesMax }),
      chainId: wish.chainId ?? "test",
      feeMin: amount(1),
      reward: amount(1000),
      rewardHalvingBlocks: wish.halving ?? 0
    },
    difficulty: wish.difficulty ?? { rule: "fixed", blockMs: 1000, bits: wish.authorities === undefined ? 4 : 0 },
    ...authorityOf(wish),
    block: {
      ...spec.block,
      transactionsMax: wish.transactionsMax ?? spec.block.transactionsMax,
      // Room for evidence, as any spec with authorities must have.
      extraBytesMax: wish.authorities === undefined ? spec.block.extraBytesMax : 1024
    },
    genesis: {
      ...spec.genesis,
      alloc: Array.from({ length: wish.accounts ?? 4 }, (_, i) => ({ address: keyOf(i).address, balance }))
    }
  }
}

const authorityOf = ({ authorities, authority }: SpecWish): Partial<ChainSpec> =>
  authorities === undefined
    ? {}
    : {
        time: { futureMsMax: 500 },
        authority: {
          members: Array.from({ length: authorities }, (_, i) => keyOf(firstAuthority + i).address),
          outOfTurnMs: 500,
          voteBlocks: 0,
          ...authority
        }
      }

/** A signed transfer between test keys. */
export const transfer = (wish: {
  readonly from: number
  readonly to: number
  readonly nonce: number
  readonly amount?: number
  readonly fee?: number
  readonly note?: string
  readonly data?: Uint8Array
  readonly chainId?: string
  readonly time?: number
}): TransferTransaction =>
  signTransfer(
    {
      chainId: wish.chainId ?? "test",
      recipient: keyOf(wish.to).address,
      amount: (wish.amount ?? 10) as Amount,
      fee: (wish.fee ?? 1) as Amount,
      nonce: wish.nonce as Nonce,
      time: (wish.time ?? epoch) as Millis,
      note: wish.note ?? "",
      data: wish.data ?? noData
    },
    keyOf(wish.from)
  )

/** The coins of a test key after the tip of a chain, in the order of their names. */
export const coinsOf = (chain: TestChain, owner: number): ReadonlyArray<Coin & Outpoint> =>
  chain.store.db
    .query<{ key: Uint8Array; value: Uint8Array }, [Uint8Array]>(
      "SELECT key, value FROM state WHERE owner = ? ORDER BY key"
    )
    .all(keyOf(owner).address)
    .map(({ key, value }) => ({ ...decodeOutpoint(key), ...decodeCoin(value) }))

/** A signed payment between test keys. What the inputs hold above outputs and fee is lost to the fee, as the rules have it. */
export const payment = (wish: {
  readonly inputs: ReadonlyArray<Outpoint>
  readonly outputs: ReadonlyArray<readonly [to: number, amount: number]>
  readonly by: ReadonlyArray<number>
  readonly note?: string
  readonly data?: Uint8Array
  readonly chainId?: string
}): PaymentTransaction =>
  signPayment(
    {
      chainId: wish.chainId ?? "test",
      inputs: wish.inputs.map(({ id, index }) => ({ id, index })),
      outputs: wish.outputs.map(([to, units]) => ({ recipient: keyOf(to).address, amount: units as Amount })),
      note: wish.note ?? "",
      data: wish.data ?? noData
    },
    wish.by.map(keyOf)
  )

/** The block with a nonce that seals it. */
export const seal = (block: Block): Block => {
  const { nonce } = search({ header: block.header.bytes, target: block.header.target, from: 0, count: 100_000_000 })
  if (nonce === undefined) throw new Error("no nonce in a hundred million")
  const header = makeHeader({ ...block.header, nonce })
  if (header.authority === undefined) return { ...block, header }
  const key = [...keys.values()].find(({ address }) => equal(address, header.proposer))
  if (key === undefined) throw new Error("the proposer is none of the test keys")
  return { ...block, header: sealHeader(header, key) }
}

/** The number of the key whose turn it is on the tip of a chain, at a time. */
export const leaderAt = ({ rules, store }: Pick<TestChain, "rules" | "store">, now: number): number => {
  const { author } = rules.consensus
  if (author === undefined) return 99
  const { members } = author.authorities(ancestryOf(store, store.tip().header))
  const leader = leaderOf(members, slotOf(author.rota, now))
  for (let i = firstAuthority; i < firstAuthority + 300; i++) if (equal(keyOf(i).address, leader)) return i
  throw new Error("the leader is none of the test keys")
}

/** The block with some header fields replaced, sealed again: what a liar would send. */
export const forge = (block: Block, fields: Partial<HeaderFields>): Block =>
  seal({ ...block, header: makeHeader({ ...block.header, ...fields }) })

/** A chain with its store, its clock and one line for what tests do. */
export class TestChain {
  readonly rules: Rules
  readonly store: ChainStore
  readonly verified = new VerifiedLeaves(1000)
  /** Milliseconds; each block moves it on by the spec's interval. */
  now: number

  constructor(spec: ChainSpec = specOf(), path = ":memory:") {
    this.rules = makeRules(spec)
    this.store = new ChainStore(openDatabase(path), this.rules)
    this.now = this.store.tip().header.time
  }

  /** A sealed block on the tip. */
  next(transactions: ReadonlyArray<Transaction> = [], by?: number): Block {
    this.now += this.rules.spec.difficulty.blockMs
    const { rules, store, now } = this
    const proposer = by ?? leaderAt(this, now)
    return seal(
      makeTemplate({
        rules,
        reader: store,
        candidates: transactions,
        proposer: keyOf(proposer).address,
        now,
        extra: new Uint8Array(0)
      })
    )
  }

  rowFor(block: Block): Row {
    const parent = this.store.find(block.header.previous.toHex())!
    return { header: block.header, work: parent.work + this.rules.consensus.work(block.header), hasBody: true }
  }

  /** Stores a block and, if its branch wins, makes it the tip. Refused: the misfit's code. */
  take(block: Block): string | undefined {
    const { store, rules, verified } = this
    store.saveHeaders([this.rowFor(block)])
    store.saveBody(block)
    const row = store.find(block.header.id)!
    if (row.work <= store.tip().work) return undefined
    const outcome = runPlan(choosePlan(store, row), { rules, reader: store, verified })
    if (Result.isFailure(outcome)) {
      store.markInvalid(outcome.failure.id, outcome.failure.reject.code)
      return outcome.failure.reject.code
    }
    store.land(outcome.success, this.now)
    return undefined
  }

  /** Mines blocks on the tip, the given transactions in the first. */
  mine(count = 1, transactions: ReadonlyArray<Transaction> = [], proposer?: number): ReadonlyArray<Block> {
    return Array.from({ length: count }, (_, i) => {
      const block = this.next(i === 0 ? transactions : [], proposer)
      const refused = this.take(block)
      if (refused !== undefined) throw new Error(`our own block was refused: ${refused}`)
      return block
    })
  }

  /** A second chain with the same rules, having taken the blocks of this one up to a height. */
  fork(height: number): TestChain {
    const other = new TestChain(this.rules.spec)
    for (let at = 1; at <= height; at++) other.take(this.store.block(this.store.bestAt(at)!.header.id)!)
    other.now = this.now
    return other
  }

  /** Everything the state is, as text: entries and what owners have of them, pages and tip. */
  dump(): string {
    const rows = this.store.db
      .query("SELECT hex(key) k, hex(value) v, units, hex(owner) o FROM state ORDER BY key")
      .all()
    const balances = this.store.db.query("SELECT hex(owner) o, units, coins FROM balances ORDER BY owner").all()
    const pages = this.store.db.query("SELECT name, hex(page) p FROM pages ORDER BY name").all()
    const index = this.store.db.query("SELECT hex(id) i, height, position FROM transactions ORDER BY id").all()
    return JSON.stringify([this.store.tip().header.id, rows, balances, pages, index])
  }

  encoded(block: Block): Uint8Array {
    return encodeBlock(block)
  }
}
