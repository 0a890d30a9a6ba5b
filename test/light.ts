/** A light client and its peers in one call: real chains answer as a node's store does, liars change what they say. */
import { encodeBlock } from "../src/block/block.ts"
import { filterHash, filterHeaderStart, makeFilter, nextFilterHeader } from "../src/block/filter.ts"
import { concat, concatAll, toHex } from "../src/codec/bytes.ts"
import type { Hash32 } from "../src/crypto/hash.ts"
import { LightClient } from "../src/light/client.ts"
import type { LightEffect } from "../src/light/effect.ts"
import type { Claim } from "../src/light/follow.ts"
import { decodeMessage, encodeMessage, type LightAnswer, type LightAsk } from "../src/peer/message.ts"
import { answerLight } from "../src/store/light.ts"
import { Snapshot } from "../src/store/snapshot.ts"
import { Result } from "effect"
import type { TestChain } from "./fixtures.ts"

export interface FakePeer {
  readonly chain: TestChain
  /** What it says in the place of the truth. Undefined: nothing at all. */
  readonly lie?: (answer: LightAnswer, ask: LightAsk) => LightAnswer | undefined
  readonly claim?: (truth: Claim) => Claim
  readonly block?: (bytes: Uint8Array) => Uint8Array | undefined
  readonly filters?: boolean
}

const claimOf = ({ store }: TestChain): Claim => {
  const { header, work } = store.tip()
  return { height: header.height, work, hash: header.hash }
}

/** A peer whose filters of some blocks leave out everything, with the headers that follow from them. */
export const blind = (chain: TestChain, hides: (height: number) => boolean): FakePeer => {
  const filters: Array<Uint8Array> = []
  const headers: Array<Uint8Array> = []
  const fill = (): void => {
    const rows = chain.store.db.query<{ filter: Uint8Array }, []>("SELECT filter FROM filters ORDER BY height").all()
    for (const [height, row] of rows.entries()) {
      const { hash } = chain.store.bestAt(height)!.header
      const filter = hides(height) ? makeFilter(hash, []).bytes : row.filter
      filters.push(filter)
      headers.push(nextFilterHeader((headers[height - 1] ?? filterHeaderStart) as Hash32, filterHash(filter)))
    }
  }
  const headersTo = (end: number, { start, every }: Extract<LightAsk, { tag: "GFH" }>): Uint8Array => {
    const list: Array<Uint8Array> = []
    for (let height = start; ; height = Math.min(end, height + every)) {
      list.push(headers[height]!)
      if (height === end) return concatAll(list)
    }
  }
  const lie = (answer: LightAnswer, ask: LightAsk): LightAnswer => {
    if (filters.length === 0) fill()
    if (ask.tag === "GFL" && answer.tag === "FLT")
      return { ...answer, filters: filters.slice(ask.start, ask.start + answer.filters.length) }
    if (ask.tag !== "GFH" || answer.tag !== "FHD") return answer
    return { ...answer, headers: headersTo(chain.store.find(toHex(ask.stop))!.header.height, ask) }
  }
  return { chain, lie }
}

export class LightWorld {
  readonly client: LightClient
  /** What is kept: the rows above the genesis. */
  disk: Uint8Array
  readonly asks: Array<readonly [session: number, ask: LightAsk["tag"] | "GBL"]> = []
  readonly undone: Array<number> = []
  /** Bytes of bodies that peers have sent. */
  received = 0
  private readonly peers: ReadonlyArray<FakePeer>
  private readonly gone = new Set<number>()
  private readonly queue: Array<LightEffect> = []
  private running = false
  now: number

  constructor(peers: ReadonlyArray<FakePeer>, wish: { readonly pageMax?: number; readonly disk?: Uint8Array } = {}) {
    const { rules } = peers[0]!.chain
    this.peers = peers
    this.client = new LightClient(rules, wish.pageMax)
    this.now = Math.max(...peers.map(({ chain }) => chain.now))
    const taken = this.client.chain.load(wish.disk ?? new Uint8Array(0), this.now)
    this.disk = (wish.disk ?? new Uint8Array(0)).slice(0, taken * this.client.chain.rowBytes)
    for (const [session, { filters }] of peers.entries()) this.client.joined(session, { filters: filters ?? true })
  }

  /** Every peer says what it has, and all that follows from it happens. */
  sync(): this {
    for (const [session, { chain, claim }] of this.peers.entries())
      if (!this.gone.has(session))
        this.run(this.client.claimed(session, (claim ?? ((truth) => truth))(claimOf(chain)), this.now))
    return this
  }

  /** What an honest node with that chain answers. */
  static truth({ store, rules }: TestChain, ask: LightAsk): LightAnswer {
    return answerLight(new Snapshot(store.db, rules), ask)
  }

  /** Codes of the peers that were dropped, in their order. */
  get codes(): ReadonlyArray<string> {
    return this.client.dropped.map(({ session, code }) => `${session} ${code}`)
  }

  /** Does what is asked for, in order, also what is asked for by a peer in the middle of its answer: peers answer in turn. */
  run(effects: ReadonlyArray<LightEffect>): void {
    this.queue.push(...effects)
    if (this.running) return
    this.running = true
    for (let effect = this.queue.shift(); effect !== undefined; effect = this.queue.shift())
      this.queue.push(...this.perform(effect))
    this.running = false
  }

  private perform(effect: LightEffect): ReadonlyArray<LightEffect> {
    switch (effect._tag) {
      case "Store":
        this.disk = concat(this.disk.subarray(0, effect.above * this.client.chain.rowBytes), effect.headers)
        this.undone.push(effect.undone)
        return []
      case "Drop":
        this.gone.add(effect.session)
        return []
      case "Ask":
        this.asks.push([effect.session, effect.ask.tag])
        return this.gone.has(effect.session) ? [] : this.ask(effect.session, { ...effect.ask, request: 1 } as LightAsk)
      case "AskBlocks":
        return effect.hashes.flatMap((hash) => {
          this.asks.push([effect.session, "GBL"])
          return this.gone.has(effect.session) ? [] : this.askBlock(effect.session, hash)
        })
    }
  }

  private ask(session: number, ask: LightAsk): ReadonlyArray<LightEffect> {
    const { chain, lie } = this.peers[session]!
    const truth = LightWorld.truth(chain, ask)
    const said = lie === undefined ? truth : lie(truth, ask)
    if (said === undefined) {
      this.gone.add(session)
      return this.client.left(session, this.now)
    }
    const frame = encodeMessage(said)
    this.received += frame.body.length
    const heard = decodeMessage(frame)
    if (Result.isFailure(heard)) throw new Error(heard.failure)
    return this.client.answer(session, heard.success as LightAnswer, this.now)
  }

  private askBlock(session: number, hash: Uint8Array): ReadonlyArray<LightEffect> {
    const { chain, block } = this.peers[session]!
    const found = chain.store.block(toHex(hash))
    const bytes = found === undefined ? undefined : (block ?? ((same) => same))(encodeBlock(found))
    this.received += bytes?.length ?? 0
    return bytes === undefined ? this.client.notGiven(session, this.now) : this.client.block(session, bytes, this.now)
  }
}

/** The rows that a full node keeps of its best branch, above the genesis. */
export const rowsOf = ({ store, rules }: TestChain): Uint8Array =>
  concat(...new Snapshot(store.db, rules).headersFrom(1, store.tip().header.height).map(({ bytes }) => bytes))
