/** The list of authorities by the votes of headers, against a naive model that replays every header; over forks, too. */
import { describe, expect, test } from "bun:test"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { type AuthorityFields, type Header, type Height, makeHeader } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import type { Millis } from "../ledger/transaction.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { lastVoteOf, Rolls, voteFault } from "./authorities.ts"
import type { Ancestry, Authorities } from "./consensus.ts"

const genesis = new TestChain(specOf({ authorities: 5 })).store.tip().header
const people = Array.from({ length: 9 }, (_, i) => keyOf(firstAuthority + i).address)
const nobody = new Uint8Array(20) as Uint8Array as Address
type Vote = Pick<AuthorityFields, "vote" | "subject">
const none: Vote = { vote: "none", subject: nobody }

/** A header that says something; its seal is no matter here. */
const child = (parent: Header, by: Address, { vote, subject }: Vote, nonce = 0): Header =>
  makeHeader({
    ...parent,
    height: (parent.height + 1) as Height,
    time: (parent.time + 1000) as Millis,
    previous: parent.hash,
    proposer: by,
    nonce,
    authority: {
      weight: 1,
      vote,
      subject,
      lastVote: lastVoteOf(parent),
      publicKey: new Uint8Array(33),
      signature: new Uint8Array(64)
    }
  })

/** What is told of votes in docs/protocol.md, as slowly as it can be done: from the whole branch, each time anew. */
const naive = (branch: ReadonlyArray<Header>, voteBlocks: number) => {
  let members = people.slice(0, 5).map(toHex)
  const convicted = new Set<string>()
  let votes: ReadonlyArray<{ by: string; vote: string; subject: string; height: number }> = []
  const strike = (who: string): void => {
    members = members.filter((one) => one !== who)
    votes = votes.filter(({ by, subject }) => by !== who && subject !== who)
  }
  for (const { height, proposer, authority } of branch) {
    const { vote, subject } = { vote: authority!.vote, subject: toHex(authority!.subject) }
    if (vote === "none") continue
    if (vote === "convict") {
      strike(subject)
      convicted.add(subject)
      continue
    }
    const by = toHex(proposer)
    votes = [...votes.filter((one) => one.by !== by), { by, vote, subject, height }]
    const alike = votes.filter(
      (one) => one.vote === vote && one.subject === subject && height - one.height < voteBlocks
    )
    if (alike.length <= members.length / 2) continue
    strike(subject)
    if (vote === "admit") members = [...members, subject]
  }
  return { members: members.sort(), convicted: [...convicted].sort(), votes }
}

const textOf = ({ members, convicted, standing }: Authorities): unknown => ({
  members: members.map(toHex),
  convicted: [...convicted].sort(),
  votes: [...standing].map(([by, { vote, subject, height }]) => `${by} ${vote} ${toHex(subject)} ${height}`).sort()
})
const textOfNaive = ({ members, convicted, votes }: ReturnType<typeof naive>): unknown => ({
  members,
  convicted,
  votes: votes.map(({ by, vote, subject, height }) => `${by} ${vote} ${subject} ${height}`).sort()
})

const ancestryOf = (branch: ReadonlyArray<Header>): Ancestry => ({
  parent: branch.at(-1) ?? genesis,
  at: (height) => (height === 0 ? genesis : branch[height - 1]!)
})

/** A vote that may be cast now, or none. */
const anyVote = (dice: Dice, now: Authorities, voteBlocks: number): Vote => {
  if (dice.int(3) === 0) return none
  // Half of them join another's vote, or nothing would ever be agreed on.
  const others = [...now.standing.values()]
  const joined = others.length > 0 && dice.int(2) === 0 ? dice.pick(others) : undefined
  const wish = joined ?? {
    vote: dice.pick(["admit", "expel", "admit", "expel", "convict"] as const),
    subject: dice.pick(people.slice(3, 8))
  }
  // Few are convicted: a list of one has nothing to say.
  if (wish.vote === "convict" && dice.int(12) > 0) return none
  return voteFault(now, { voteBlocks }, wish) === undefined ? wish : none
}

describe("the list of authorities", () => {
  test("is that of the naive model at every header of a random tree, in whatever order it is asked for", () => {
    let changes = 0
    for (let seed = 0; seed < 30; seed++) {
      const dice = makeDice(seed)
      const voteBlocks = 3 + dice.int(25)
      const rule = { voteBlocks }
      const rolls = new Rolls(people.slice(0, 5), rule)
      const branches: Array<ReadonlyArray<Header>> = [[]]
      for (let i = 0; i < 150; i++) {
        const branch = dice.pick(branches.slice(-6))
        const cut = dice.int(5) === 0 ? branch.slice(0, Math.max(0, branch.length - dice.int(12))) : branch
        const now = rolls.at(ancestryOf(cut))
        expect(textOf(now)).toEqual(textOfNaive(naive(cut, voteBlocks)))
        const header = child(cut.at(-1) ?? genesis, dice.pick([...now.members]), anyVote(dice, now, voteBlocks), i)
        branches.push([...cut, header])
        if (rolls.at(ancestryOf(branches.at(-1)!)).members.length !== now.members.length) changes++
      }
      // One that remembers nothing says the same.
      for (let i = 0; i < 10; i++) {
        const branch = dice.pick(branches)
        expect(textOf(new Rolls(people.slice(0, 5), rule).at(ancestryOf(branch)))).toEqual(
          textOf(rolls.at(ancestryOf(branch)))
        )
      }
    }
    expect(changes).toBeGreaterThan(60)
  })

  test("never has a convicted one again, changes by no minority, and by no vote that has lapsed", () => {
    for (let seed = 100; seed < 120; seed++) {
      const dice = makeDice(seed)
      const voteBlocks = 4 + dice.int(12)
      const rolls = new Rolls(people.slice(0, 5), { voteBlocks })
      let branch: ReadonlyArray<Header> = []
      const out = new Set<string>()
      for (let i = 0; i < 200; i++) {
        const before = rolls.at(ancestryOf(branch))
        const header = child(
          branch.at(-1) ?? genesis,
          dice.pick([...before.members]),
          anyVote(dice, before, voteBlocks)
        )
        branch = [...branch, header]
        const after = rolls.at(ancestryOf(branch))
        const { vote, subject } = header.authority!
        if (vote === "convict") out.add(toHex(subject))
        expect(after.members.map(toHex).filter((one) => out.has(one))).toEqual([])
        if (vote === "convict" || after.members.length === before.members.length) continue
        const recent = branch.slice(-voteBlocks)
        const voters = before.members
          .map(toHex)
          .filter((member) =>
            recent.some(
              (one) =>
                toHex(one.proposer) === member &&
                one.authority!.vote === vote &&
                toHex(one.authority!.subject) === toHex(subject)
            )
          )
        expect(2 * voters.length).toBeGreaterThan(before.members.length)
      }
    }
  })

  const tell = (
    rolls: Rolls,
    votes: ReadonlyArray<readonly [by: number, vote: Vote["vote"], about: number] | undefined>
  ): Authorities => {
    let branch: ReadonlyArray<Header> = []
    for (const one of votes) {
      const [by, vote, about] = one ?? [0, "none", -1]
      branch = [...branch, child(branch.at(-1) ?? genesis, people[by]!, { vote, subject: people[about] ?? nobody })]
    }
    return rolls.at(ancestryOf(branch))
  }
  const count = (votes: Parameters<typeof tell>[1], voteBlocks = 10): number =>
    tell(new Rolls(people.slice(0, 5), { voteBlocks }), votes).members.length

  test("grows and shrinks by more than half: three of five, and not two however often they say so", () => {
    expect(
      count([
        [0, "admit", 7],
        [1, "admit", 7]
      ])
    ).toBe(5)
    expect(
      count([
        [0, "admit", 7],
        [1, "admit", 7],
        [0, "admit", 7],
        [1, "admit", 7]
      ])
    ).toBe(5)
    expect(
      count([
        [0, "admit", 7],
        [1, "admit", 7],
        [2, "admit", 7]
      ])
    ).toBe(6)
    expect(
      count([
        [0, "expel", 4],
        [1, "expel", 4],
        [2, "expel", 4]
      ])
    ).toBe(4)
    expect(
      count([
        [0, "admit", 7],
        [1, "expel", 4],
        [2, "admit", 7]
      ])
    ).toBe(5)
  })

  test("forgets a vote after its blocks, and one that its voter has changed", () => {
    const pause = (blocks: number) => Array.from({ length: blocks }, () => undefined)
    expect(count([[0, "admit", 7], [1, "admit", 7], ...pause(7), [2, "admit", 7]])).toBe(6)
    expect(count([[0, "admit", 7], [1, "admit", 7], ...pause(8), [2, "admit", 7]])).toBe(5)
    expect(
      count([
        [0, "admit", 7],
        [0, "expel", 4],
        [1, "admit", 7],
        [2, "admit", 7]
      ])
    ).toBe(5)
  })
})
