/**
 * Peers that lie: of their history, of their blocks, of other people's money. With the acts of misconduct.ts these are
 * all that a simulation lets loose on a node. Each says what an honest node must make of it, so that a test can hold it
 * to that.
 */
import { Effect } from "effect"
import { encodeBlock } from "../block/block.ts"
import type { Header } from "../block/header.ts"
import { concat, toHex } from "../codec/bytes.ts"
import { toTarget } from "../consensus/difficulty.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { hashesPerMessageMax } from "../limits.ts"
import { type Message, packHeaders } from "../peer/message.ts"
import {
  type Act,
  type Acts,
  type Answer,
  bannedFor,
  call,
  flood,
  type Liar,
  persist,
  second,
  sybil,
  type Talk,
  visit
} from "./liar.ts"
import { type Forged, honestBlock, oldBlocks, untilTurn } from "./forge.ts"
import { forgeries, headersOn, moneyLies, nonsenseIds, twoBodies, workOf } from "./lies.ts"
import { conduct, hellos } from "./misconduct.ts"
import { paymentLies } from "./payment-lies.ts"

type Model = LedgerRules["model"]

// ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A status with the work of these headers on top of the victim's tip. */
const claim = (liar: Liar, headers: ReadonlyArray<Header>): Message => {
  const last = headers.at(-1)!
  return {
    tag: "STS",
    height: last.height,
    work: toTarget(liar.victim.store.tip().work + workOf(liar, headers)),
    tip: last.hash
  }
}

/** Gives a page of headers and the bodies that there are to whoever asks for them. */
const serving =
  (page: Uint8Array, bodies: ReadonlyMap<string, Uint8Array>): Answer =>
  (message) => {
    if (message.tag === "GHD") return [{ tag: "HDR", request: message.request, headers: page }]
    if (message.tag !== "GBL") return undefined
    return message.hashes.map((hash): Message => {
      const block = bodies.get(toHex(hash))
      return block === undefined
        ? { tag: "NFD", request: message.request, hashes: [hash] }
        : { tag: "BLK", request: message.request, block }
    })
  }

/** Gives a body to whoever asks first, and after that has it no more. */
const givingOnce = ({ header, bytes }: Forged): Answer => {
  const bodies = new Map([[header.id, bytes]])
  const answer = serving(header.bytes, bodies)
  return (message) => {
    const answers = answer(message)
    if (message.tag === "GBL") bodies.clear()
    return answers
  }
}

/** Claims a block, announces its header, and gives what is asked of it and of those `given` before. */
export const offer = (
  talk: Talk,
  liar: Liar,
  { header, bytes, announced = header.bytes }: Forged,
  given = new Map<string, Uint8Array>()
): Effect.Effect<void> => {
  given.set(header.id, bytes)
  talk.say(claim(liar, [header]), { tag: "HDR", request: 0, headers: announced })
  return talk.converse(4 * second, serving(announced, given))
}

/** A block is asked for only while its header is the heaviest: some of so many are, within the time of a visit. */
const offersMax = 25

/**
 * Offers blocks like this one until the door stays shut. Where authorities seal, at the beginning of a slot that the liar's
 * authority leads, or of one that it does not.
 */
export const forgery = (about: string, code: string, forge: (liar: Liar) => Forged, led = true): Act => ({
  about: `a block with ${about}`,
  expects: "ban",
  code,
  play: (liar) => {
    const given = new Map<string, Uint8Array>()
    const { author } = liar.rules.consensus
    return persist(liar, offersMax, (talk) => {
      const lie = (): Effect.Effect<void> => {
        const block = forge(liar)
        liar.forged(block.header, about)
        // Who may seal later in the slot is believed later.
        const aheadMs = author === undefined ? 0 : block.header.time - liar.host.now
        const say = (): Effect.Effect<void> => offer(talk, liar, block, given)
        return aheadMs <= 0 ? say() : Effect.flatMap(talk.converse(aheadMs), say)
      }
      const waitMs = untilTurn(liar, led)
      return waitMs === 0 ? lie() : Effect.flatMap(talk.converse(waitMs), lie)
    })
  }
})

/** Gives blocks that it really has, and each answer just before its time is over. */
const late = (talk: Talk, liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const slowly = (answers: ReadonlyArray<Message>): Effect.Effect<void> =>
      Effect.andThen(
        Effect.sleep(9_900),
        Effect.sync(() => talk.say(...answers))
      )
    for (let i = 0; i < 4; i++) {
      const block = honestBlock(liar)
      const answer = serving(block.header.bytes, new Map([[block.header.id, block.bytes]]))
      const until = liar.host.now + 21 * second
      talk.say(claim(liar, [block.header]))
      while (!talk.over && liar.host.now < until) {
        const message = yield* talk.hear(until - liar.host.now)
        const answers = message === undefined ? undefined : answer(message)
        if (answers !== undefined) yield* Effect.forkDetach(slowly(answers))
      }
    }
  })

/** Claims a branch and shows its headers; what is asked of its bodies is not heard. */
const withhold =
  (count: number) =>
  (talk: Talk, liar: Liar): Effect.Effect<void> =>
    Effect.gen(function* () {
      const until = liar.host.now + 80 * second
      while (!talk.over && liar.host.now < until) {
        const headers = headersOn(liar, liar.victim.store.tip().header, count)
        const page = packHeaders(headers)
        talk.say(claim(liar, headers), { tag: "HDR", request: 0, headers: headers[0]!.bytes })
        yield* talk.converse(25 * second, (message) => (message.tag === "GBL" ? [] : serving(page, new Map())(message)))
      }
    })

/** One block that is condemned, then the same or children of it, again and again. */
const condemned = (next: (liar: Liar, bad: Header) => ReadonlyArray<Header>) => (liar: Liar) =>
  Effect.gen(function* () {
    const { forge } = forgeries.account["version"]!
    const bad = forge(liar)
    yield* persist(liar, 12, (talk, round) => {
      if (round === 0) return offer(talk, liar, bad)
      talk.say({ tag: "HDR", request: 0, headers: packHeaders(next(liar, bad.header)) })
      return talk.converse(second)
    })
  })

/** A valid block, given to another node, and behind its header another body for the victim. */
const spoil = (liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const [other] = liar.others
    const twin = other === undefined ? undefined : yield* call(liar, other)
    yield* persist(liar, offersMax, (talk) => {
      const [sound, spoiled] = twoBodies(liar)
      const offers = [offer(talk, liar, spoiled), ...(twin === undefined ? [] : [offer(twin, liar, sound)])]
      return Effect.all(offers, { concurrency: 2, discard: true })
    })
    twin?.line.leave()
  })

/** Children of a block that was refused for its body, whose header is known therefore. */
const disowned = (liar: Liar): Effect.Effect<void, unknown> => {
  let bad: Forged | undefined
  return persist(liar, 12, (talk, round) =>
    Effect.gen(function* () {
      if (bad === undefined || round % 4 === 0) {
        bad = forgeries.account["extra-size"]!.forge(liar)
        talk.say(claim(liar, [bad.header]), { tag: "HDR", request: 0, headers: bad.header.bytes })
        yield* talk.converse(second, givingOnce(bad))
      }
      talk.say({ tag: "HDR", request: 0, headers: packHeaders(headersOn(liar, bad.header, 1)) })
      yield* talk.converse(second)
    })
  )
}

/** Two valid blocks on one parent, one for each node. */
const equivocate = (talk: Talk, liar: Liar): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const [other = liar.victim] = liar.others
    const twin = yield* call(liar, other, other === liar.victim ? { key: sybil(liar, 0) } : {})
    for (let i = 0; i < 4; i++) {
      const blocks = [honestBlock(liar), honestBlock(liar)] as const
      yield* Effect.all([offer(talk, liar, blocks[0]), offer(twin, liar, blocks[1])], { concurrency: 2 })
    }
    twin.line.leave()
  })

const boast = (liar: Liar): Message => ({
  tag: "STS",
  height: 1_000_000,
  work: new Uint8Array(32).fill(0x7f),
  tip: liar.dice.bytes(32)
})

/** Claims more work than there is, every second, and answers so when it is asked for headers. */
const boasting = (talk: Talk, liar: Liar, answer?: Answer): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let i = 0; i < 40 && !talk.over; i++) {
      talk.say(boast(liar))
      yield* talk.converse(second, answer)
    }
  })

const history: Acts = {
  "block-future": visit("blocks more than the allowed time ahead of our clock", "ignore", undefined, (talk, liar) =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) {
        yield* offer(talk, liar, honestBlock(liar, liar.rules.spec.time.futureMsMax + 60 * second))
      }
    })
  ),
  "block-orphan": visit("blocks whose parent nobody knows", "ignore", undefined, (talk, liar) =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) {
        const stray = honestBlock(liar)
        const [header] = headersOn(liar, stray.header, 1)
        yield* offer(talk, liar, { header: header!, bytes: concat(header!.bytes, new Uint8Array(8)) })
      }
    })
  ),
  "block-again": {
    about: "a header that was refused, again and again",
    expects: "ban",
    code: "known-invalid",
    play: condemned((_, bad) => [bad])
  },
  "block-disowned": {
    about: "children of a block that was refused",
    expects: "ban",
    code: "parent-invalid",
    play: disowned
  },
  "block-spoiled": {
    about: "another body for a block that an honest node has whole",
    expects: "ban",
    code: "transaction-root-wrong",
    play: spoil
  },
  "block-stale": flood("blocks of the best branch, again and again", "answer-unasked", 20, (i, liar) => {
    const old = oldBlocks(liar, 5)
    const block = old.length === 0 ? honestBlock(liar).bytes : encodeBlock(old[i % old.length]!)
    return { tag: "BLK", request: 0, block }
  }),
  "header-stale": visit("headers of the best branch, again and again", "ignore", undefined, (talk, liar) =>
    Effect.gen(function* () {
      for (let i = 0; i < 30 && !talk.over; i++) {
        const headers = packHeaders(oldBlocks(liar, 16).map(({ header }) => header))
        talk.say({ tag: "HDR", request: 0, headers })
        yield* talk.converse(second)
      }
    })
  ),
  "body-withheld": visit("a header whose body it never gives", "drop", "too slow to give blocks", withhold(1)),
  "branch-withheld": visit("headers whose bodies it never gives", "drop", "too slow to give blocks", withhold(12)),
  "body-lacking": visit("the header of a block, and that it has no body", "ignore", undefined, (talk, liar) =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) {
        const { header } = honestBlock(liar)
        talk.say(claim(liar, [header]), { tag: "HDR", request: 0, headers: header.bytes })
        yield* talk.converse(4 * second, serving(header.bytes, new Map()))
      }
    })
  ),
  "body-late": visit("answers all that is asked, at the last moment", "ignore", undefined, late),
  equivocation: visit("two valid blocks on one parent, to two nodes", "ignore", undefined, equivocate),
  "work-claimed": visit("claims more work than there is, and shows none", "ignore", undefined, boasting),
  "work-unshown": visit("claims more work than there is, and is silent", "drop", "no headers in time", (talk, liar) =>
    boasting(talk, liar, (message) => (message.tag === "GHD" ? [] : undefined))
  ),
  "work-lower": visit("claims more work, and shows a long branch of less", "ignore", undefined, (talk, liar) => {
    const { store } = liar.victim
    const page = packHeaders(headersOn(liar, store.bestAt(0)!.header, Math.max(1, store.tip().header.height >> 1)))
    return boasting(talk, liar, serving(page, new Map()))
  })
}

// ── transfers ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Names ids, and gives these bytes when it is asked for them. */
const push = (talk: Talk, ids: ReadonlyArray<Uint8Array>, list: ReadonlyArray<Uint8Array>): Effect.Effect<void> => {
  talk.say({ tag: "INV", transactions: ids })
  return talk.converse(2 * second, (message) =>
    message.tag === "GTX" ? [{ tag: "TXN", request: message.request, transactions: list }] : undefined
  )
}

const bytesOf = (list: ReadonlyArray<Transaction>): ReadonlyArray<Uint8Array> => list.map(({ bytes }) => bytes)

const dishonest = (about: string, code: string | undefined, make: (liar: Liar) => Transaction): Act =>
  bannedFor(about, code, (talk, liar) =>
    push(
      talk,
      nonsenseIds(liar, 4),
      Array.from({ length: 4 }, () => make(liar).bytes)
    )
  )

const allowed = (about: string, make: (liar: Liar) => ReadonlyArray<Transaction>): Act =>
  visit(about, "ignore", undefined, (talk, liar) =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) yield* push(talk, nonsenseIds(liar, 8), bytesOf(make(liar)))
    })
  )

const withheld = visit("names transactions and never gives them", "ignore", undefined, (talk, liar) =>
  Effect.gen(function* () {
    for (let i = 0; i < 20 && !talk.over; i++) {
      talk.say({ tag: "INV", transactions: nonsenseIds(liar, hashesPerMessageMax) })
      yield* talk.converse(2 * second, (message) => (message.tag === "GTX" ? [] : undefined))
    }
  })
)

/** Acts from a table, by the names that they have there. */
const actsFrom = <A>(table: Readonly<Record<string, A>>, make: (row: A) => Act): Acts =>
  Object.fromEntries(Object.entries(table).map(([name, row]) => [name, make(row)]))

/** The acts of a money model. */
const actsOn = (model: Model): Acts => {
  const lies = moneyLies[model]
  return {
    ...hellos,
    ...conduct,
    ...Object.fromEntries(
      Object.entries(forgeries[model]).map(([name, { about, code, forge }]) => [
        `block-${name}`,
        forgery(about, code, forge)
      ])
    ),
    ...history,
    ...actsFrom(lies.dishonest, ({ about, code, make }) => dishonest(about, code, make)),
    ...actsFrom(lies.useless, ({ about, make }) => allowed(about, make)),
    "transfer-withheld": withheld
  }
}

/** Every act by its name, on a chain of each money model. */
export const acts: Readonly<Record<Model, Acts>> = { account: actsOn("account"), utxo: actsOn("utxo") }

/** The acts that are about coins. */
export const coinActNames: ReadonlyArray<string> = [
  ...Object.keys(paymentLies.forgeries).map((name) => `block-${name}`),
  ...Object.keys(paymentLies.dishonest),
  ...Object.keys(paymentLies.useless)
]

export const actNamesOf = (model: Model): ReadonlyArray<string> => Object.keys(acts[model])
