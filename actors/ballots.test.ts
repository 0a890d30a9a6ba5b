/** The ballots actor by itself: what it keeps, says aloud, tells others, and refuses. */
import { describe, expect, test } from "bun:test"
import { Effect, Logger, References } from "effect"
import { offenceOf, sealedBy } from "../test/authorities.ts"
import { firstAuthority, forge, keyOf, leaderAt, specOf, TestChain } from "../test/fixtures.ts"
import { encodeEvidence, evidenceOf } from "../src/consensus/evidence.ts"
import type { Address } from "../src/crypto/address.ts"
import { DiskRoom } from "../src/store/room.ts"
import { replyWith } from "./actor.ts"
import { makeBallots, Standings } from "./ballots.ts"
import type { BallotsMessage } from "./authority-protocol.ts"
import type { TipMoved } from "./protocol.ts"

const addressOf = (i: number): Address => keyOf(firstAuthority + i).address

/** The actor's steps, run one by one, with all that it does outside. */
const stage = (us = 0, authority = {}) => {
  const chain = new TestChain(specOf({ authorities: 5, authority: { voteBlocks: 10, ...authority } }))
  const disk = new DiskRoom()
  const heard = {
    announced: [] as Array<number | undefined>,
    said: [] as Array<string>,
    logged: [] as Array<string>,
    refused: 0
  }
  const ports = {
    rules: chain.rules,
    store: chain.store,
    disk,
    us: us < 0 ? undefined : addressOf(us),
    announce: (_: Uint8Array, from: number | undefined) => void heard.announced.push(from),
    said: (_: Address, change: string) => void heard.said.push(change)
  }
  const logger = Logger.make(({ message, logLevel }) => {
    const facts = ([] as Array<unknown>).concat(message)[1] as { readonly code: string }
    heard.logged.push(`${logLevel} ${facts.code}`)
  })
  const run = <A>(effect: Effect.Effect<A, unknown>): A =>
    Effect.runSync(
      Effect.scoped(effect).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Info")
      )
    )
  const actor = makeBallots(ports)
  const open = () => run(actor.open as Effect.Effect<never, unknown>)
  const state = open()
  const step = (message: BallotsMessage): void => {
    const effect = actor.step(state, message)
    if (effect !== undefined) run(effect)
  }
  const tell = (bytes: Uint8Array): void => step({ _tag: "Told", bytes, from: 7, refused: () => void heard.refused++ })
  const vote = (wish: "admit" | "expel" | "forget", i: number): string => {
    let answer = ""
    const reply = replyWith<unknown, { readonly _tag: string; readonly code?: string }>(
      () => void (answer = "ok"),
      (error) => void (answer = error.code ?? error._tag)
    )
    step({ _tag: "Vote", wish, subject: addressOf(i), reply })
    return answer
  }
  const moved = (): void => step({ _tag: "TipMoved" } as TipMoved)
  const offence = (by: number) => offenceOf(chain, { by, now: chain.now + 20_000 })
  return { chain, heard, tell, vote, moved, open, offence, standings: new Standings(ports) }
}

describe("proof that a peer tells", () => {
  test("is kept, said, logged and told to the others, the first time", () => {
    const { heard, tell, offence, chain } = stage()
    const bytes = encodeEvidence(offence(3))
    tell(bytes)
    tell(bytes)
    expect(heard).toEqual({ announced: [7], said: ["found"], logged: ["Warn double-sign"], refused: 0 })
    expect(chain.store.evidence.size).toBe(1)
  })

  test("is the sender's fault if it proves nothing, and nobody's if it is about no authority", () => {
    const { heard, tell, chain, offence } = stage()
    const bytes = encodeEvidence(offence(3))
    tell(bytes.with(677, bytes[677]! ^ 1))
    tell(bytes.with(300, bytes[300]! ^ 1))
    tell(new Uint8Array(678))
    expect(heard.refused).toBe(3)
    const [a, b] = ["a", "b"].map(
      (text) => forge(sealedBy(chain, { by: 1, now: chain.now, text }), { proposer: keyOf(0).address }).header
    )
    tell(encodeEvidence(evidenceOf(chain.rules.consensus.author!.rota, a!, b!)!))
    expect([heard.refused, heard.announced.length, chain.store.evidence.size]).toEqual([3, 0, 0])
  })

  test("against our own key stops us, loudly, and so does every start after it", () => {
    const { heard, tell, offence, standings, open, vote } = stage(3)
    expect(standings.isGuilty()).toBe(false)
    tell(encodeEvidence(offence(3)))
    expect([standings.isGuilty(), heard.logged]).toEqual([true, ["Error own-double-sign"]])
    expect(standings.ballot(standings.now())).toBeUndefined()
    expect(vote("admit", 7)).toBe("authority-not-ours")
    open()
    expect(heard.logged).toEqual(["Error own-double-sign", "Error own-double-sign"])
  })

  test("leads to a ballot, and to one word when a block has convicted", () => {
    const { chain, heard, tell, offence, standings, moved } = stage()
    const evidence = offence(3)
    tell(encodeEvidence(evidence))
    const ballot = standings.ballot(standings.now())
    expect(ballot).toEqual({ vote: "convict", subject: addressOf(3), evidence: encodeEvidence(evidence) })
    expect(standings.unpunished()).toEqual([encodeEvidence(evidence)])
    chain.now += 1000
    const by = leaderAt(chain, chain.now) - firstAuthority
    expect(chain.take(sealedBy(chain, { by, now: chain.now, ballot: ballot! }))).toBeUndefined()
    moved()
    moved()
    expect([heard.said, heard.logged.at(-1)]).toEqual([["found", "convicted"], "Warn authority-convicted"])
    expect([standings.ballot(standings.now()), standings.unpunished()]).toEqual([undefined, []])
    expect(standings.evidence()[0]).toMatchObject({ standing: "convicted", isOurs: false, slot: evidence.slot })
  })
})

describe("a wish", () => {
  test("is refused by who is no authority, where the list is fixed, and if it is so already", () => {
    expect(stage(-1).vote("admit", 7)).toBe("authority-not-ours")
    expect(stage(8).vote("admit", 7)).toBe("authority-not-ours")
    expect(stage(0, { voteBlocks: 0 }).vote("admit", 7)).toBe("authorities-fixed")
    const { vote } = stage()
    expect([vote("admit", 2), vote("expel", 7), vote("forget", 7), vote("admit", 7)]).toEqual([
      "vote-wrong",
      "vote-wrong",
      "wish-missing",
      "ok"
    ])
  })

  test("that came true is kept until that is two rounds of turns deep", () => {
    const { chain, vote, moved, standings } = stage()
    expect(vote("admit", 7)).toBe("ok")
    for (let said = 0; said < 3; said++) {
      chain.now += 1000
      const by = leaderAt(chain, chain.now) - firstAuthority
      const ballot = { vote: "admit", subject: addressOf(7) } as const
      expect(chain.take(sealedBy(chain, { by, now: chain.now, ballot }))).toBeUndefined()
    }
    const states = (): ReadonlyArray<string> => standings.votes().wishes.map(({ state }) => state)
    expect([standings.now().members.length, states()]).toEqual([6, ["done"]])
    for (let i = 0; i < 11; i++) {
      chain.mine()
      moved()
    }
    expect(states()).toEqual(["done"])
    chain.mine()
    moved()
    expect(states()).toEqual([])
  })

  test("finds no room on a full disk, and says so", () => {
    const { chain, vote } = stage()
    const full = (): never => {
      throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" })
    }
    Object.assign(chain.store.wishes, { set: full })
    expect(vote("admit", 7)).toBe("disk-full")
  })
})
