/** The machine of finality: over random votes of honest and other authorities it never contradicts itself, and it goes on. */
import { describe, expect, test } from "bun:test"
import { keyOf } from "../../test/fixtures.ts"
import type { BlockHash } from "../block/header.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { makeDice } from "../sim/dice.ts"
import { mayBeSigned, nothingSigned, type Signed } from "../validator/protection.ts"
import {
  type Checkpoint,
  type CheckpointVote,
  decodeOffence,
  decodeVote,
  encodeOffence,
  guiltyOf,
  isVoteSigned,
  type Link,
  makeVote,
  offenceOf,
  signVote
} from "./checkpoint.ts"
import { type Certificate, type Checkpoints, type Electorate, Finality, isSupermajority } from "./finality.ts"
import { votesPerAuthorityMax } from "../limits.ts"
import { Result } from "effect"

type Dice = ReturnType<typeof makeDice>
const every = 10

/** A tree of checkpoints; each has the list of authorities of its parent, if no other is given. */
class Tree implements Checkpoints {
  readonly parents = new Map<string, Checkpoint>()
  readonly lists = new Map<string, Electorate>()
  readonly genesis: Checkpoint
  private count = 0

  constructor(voters: ReadonlyArray<string>) {
    this.genesis = this.point(0)
    this.lists.set(this.genesis.id, new Set(voters))
  }

  private point(height: number): Checkpoint {
    const hash = sha256(utf8(`checkpoint ${this.count++}`)) as Uint8Array as BlockHash
    return { height, hash, id: toHex(hash) }
  }

  grow(parent: Checkpoint, voters?: ReadonlyArray<string>): Checkpoint {
    const point = this.point(parent.height + every)
    this.parents.set(point.id, parent)
    this.lists.set(point.id, voters === undefined ? this.lists.get(parent.id)! : new Set(voters))
    return point
  }

  readonly isKnown = ({ id }: Checkpoint): boolean => this.lists.has(id)
  readonly descends = (point: Checkpoint, from: Checkpoint): boolean => {
    let walk: Checkpoint | undefined = point
    while (walk !== undefined && walk.height > from.height) walk = this.parents.get(walk.id)
    return walk?.id === from.id
  }
  readonly electorates = (from: Checkpoint, to: Checkpoint): ReadonlyArray<Electorate> => {
    const lists = new Set<Electorate>()
    for (let walk: Checkpoint | undefined = to; walk !== undefined; walk = this.parents.get(walk.id)) {
      lists.add(this.lists.get(walk.id)!)
      if (walk.id === from.id) break
    }
    return [...lists]
  }
  readonly mayVote = (voter: string): boolean => [...this.lists.values()].some((list) => list.has(voter))
}

const voterOf = (i: number): string => toHex(keyOf(i).address)
const votersOf = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => voterOf(i))
/** Of the machine's concern is who votes, not how that is proven. */
const vote = (i: number, source: Checkpoint, target: Checkpoint): CheckpointVote =>
  makeVote({ source, target }, { publicKey: keyOf(i).publicKey, signature: new Uint8Array(64) })
const votes = (who: ReadonlyArray<number>, source: Checkpoint, target: Checkpoint) =>
  who.map((i) => vote(i, source, target))
const machine = (tree: Tree): Finality => new Finality(tree, { every, genesis: tree.genesis })

describe("votes", () => {
  const tree = new Tree(votersOf(1))
  const target = tree.grow(tree.genesis)
  const genesis = sha256(utf8("a genesis"))

  test("come back from their bytes, and hold on their own chain only", () => {
    const signed = signVote(genesis, { source: tree.genesis, target }, keyOf(3))
    const read = decodeVote(signed.bytes)!
    expect(read).toEqual(signed)
    expect(isVoteSigned(genesis, read)).toBe(true)
    expect(isVoteSigned(sha256(utf8("another")), read)).toBe(false)
    for (let at = 0; at < signed.bytes.length; at++) {
      const bent = signed.bytes.slice()
      bent[at]! ^= 1
      const bad = decodeVote(bent)
      expect(bad === undefined || !isVoteSigned(genesis, bad)).toBe(true)
    }
  })

  test("of other bytes are refused without a throw", () => {
    const dice = makeDice(1)
    for (let i = 0; i < 2_000; i++) {
      const bytes = dice.bytes(dice.int(2) === 0 ? 177 : dice.int(400))
      const read = decodeVote(bytes)
      if (read !== undefined) expect(read.source.height).toBeLessThan(read.target.height)
      expect(decodeOffence(genesis, bytes)).toBeUndefined()
    }
    expect(decodeVote(signVote(genesis, { source: target, target: tree.genesis }, keyOf(3)).bytes)).toBeUndefined()
  })

  test("convict by one target height or by surrounding, whoever is shown first, and by nothing else", () => {
    const [a, b] = [tree.grow(target), tree.grow(target)]
    const c = tree.grow(a)
    const sign = (link: Link) => signVote(genesis, link, keyOf(3))
    const double = offenceOf(sign({ source: target, target: a }), sign({ source: target, target: b }))!
    expect(offenceOf(double.second, double.first)).toEqual(double)
    expect(decodeOffence(genesis, encodeOffence(double))).toEqual(double)
    expect(offenceOf(sign({ source: tree.genesis, target: c }), sign({ source: target, target: a }))).toBeDefined()
    expect(offenceOf(sign({ source: tree.genesis, target: a }), sign({ source: target, target: a }))).toBeDefined()
    expect(offenceOf(double.first, double.first)).toBeUndefined()
    expect(offenceOf(sign({ source: tree.genesis, target }), sign({ source: target, target: a }))).toBeUndefined()
    expect(
      offenceOf(sign({ source: tree.genesis, target: a }), sign({ source: tree.genesis, target: c }))
    ).toBeUndefined()
    const other = signVote(genesis, { source: target, target: b }, keyOf(4))
    expect(offenceOf(double.first, other)).toBeUndefined()
    const forged = encodeOffence({ ...double, second: { ...double.second, bytes: other.bytes } })
    expect(decodeOffence(genesis, forged)).toBeUndefined()
    const bent = encodeOffence(double)
    bent[bent.length - 1]! ^= 1
    expect(decodeOffence(genesis, bent)).toBeUndefined()
  })
})

describe("the machine", () => {
  test("justifies with more than two thirds, and makes final what the next follows on", () => {
    const tree = new Tree(votersOf(5))
    const one = tree.grow(tree.genesis)
    const two = tree.grow(one)
    const it = machine(tree)
    it.hear(votes([0, 1, 2], tree.genesis, one))
    expect(it.justified.height).toBe(0)
    it.hear(votes([3], tree.genesis, one))
    expect([it.justified.height, it.final.height]).toEqual([10, 0])
    it.hear(votes([0, 1, 2, 4], one, two))
    expect([it.justified.height, it.final.height]).toEqual([20, 10])
  })

  test("exactly two thirds are too few, and nobody counts twice", () => {
    const tree = new Tree(votersOf(6))
    const one = tree.grow(tree.genesis)
    const it = machine(tree)
    it.hear([...votes([0, 1, 2, 3], tree.genesis, one), vote(0, tree.genesis, one)])
    expect(it.justified.height).toBe(0)
    it.hear(votes([4], tree.genesis, one))
    expect(it.justified.height).toBe(10)
    expect(isSupermajority([], [new Set(votersOf(1))])).toBe(false)
  })

  test("a link over several checkpoints justifies and makes nothing final", () => {
    const tree = new Tree(votersOf(3))
    const one = tree.grow(tree.genesis)
    const two = tree.grow(one)
    const it = machine(tree)
    it.hear(votes([0, 1, 2], one, tree.grow(two)))
    expect(it.justified.height).toBe(0)
    it.hear(votes([0, 1, 2], tree.genesis, two))
    expect([it.justified.height, it.final.height]).toEqual([20, 0])
  })

  test("votes for blocks that are not known wait until they are", () => {
    const tree = new Tree(votersOf(3))
    const one = tree.grow(tree.genesis)
    const list = tree.lists.get(one.id)!
    tree.lists.delete(one.id)
    const it = machine(tree)
    expect(it.hear(votes([0, 1, 2], tree.genesis, one)).news).toHaveLength(3)
    expect(it.justified.height).toBe(0)
    tree.lists.set(one.id, list)
    it.look()
    expect(it.justified.height).toBe(10)
  })

  test("keeps few votes of each, whatever one signs, and tells others of each offender once", () => {
    const tree = new Tree(votersOf(4))
    const it = machine(tree)
    let told = 0
    for (let i = 0; i < 200; i++) {
      const fork = tree.grow(tree.genesis)
      const { news, offences } = it.hear([vote(0, tree.genesis, fork)])
      told += news.length
      expect(offences).toHaveLength(i === 1 ? 1 : 0)
    }
    expect(told).toBe(2)
    expect(it.held).toHaveLength(1)
    let top = tree.genesis
    for (let i = 0; i < 50; i++) it.hear([vote(1, tree.genesis, (top = tree.grow(top)))])
    expect(it.held.length).toBe(1 + votesPerAuthorityMax)
    expect(it.newest(voterOf(1))!.target.id).toBe(top.id)
  })

  test("a list that changes needs two thirds of the old and of the new, until a block is final", () => {
    const old = votersOf(5)
    const tree = new Tree(old)
    const fresh = [4, 5, 6, 7, 8]
    const one = tree.grow(tree.genesis, fresh.map(voterOf))
    const two = tree.grow(one)
    const three = tree.grow(two)
    const it = machine(tree)
    it.hear(votes([4, 5, 6, 7, 8], tree.genesis, one))
    expect(it.justified.height).toBe(0)
    it.hear(votes([0, 1, 2], tree.genesis, one))
    expect(it.justified.height).toBe(10)
    it.hear(votes([4, 5, 6, 7, 8], one, two))
    expect(it.final.height).toBe(0)
    it.hear(votes([0, 1, 3], one, two))
    expect(it.final.height).toBe(10)
    it.hear(votes([5, 6, 7, 8], two, three))
    expect(it.final.height).toBe(20)
    // Who comes later follows the links, and ends where the others are.
    const late = machine(tree)
    for (const certificate of it.certificates) late.hear(certificate.votes)
    expect([late.final.id, late.justified.id]).toEqual([it.final.id, it.justified.id])
  })

  test("a final block of another branch is a conflict, and the first stays", () => {
    const tree = new Tree(votersOf(3))
    const [a, b] = [tree.grow(tree.genesis), tree.grow(tree.genesis)]
    const it = machine(tree)
    for (const [one, two] of [
      [a, tree.grow(a)],
      [b, tree.grow(b)]
    ] as const) {
      it.hear(votes([0, 1, 2], tree.genesis, one))
      it.hear(votes([0, 1, 2], one, two))
    }
    expect(it.final.id).toBe(a.id)
    expect(it.conflict?.source.id).toBe(b.id)
    expect(it.offences).toHaveLength(3)
  })
})

/** An honest authority with its own machine, its book, and the votes that have not reached it. */
interface Honest {
  readonly i: number
  readonly it: Finality
  readonly mail: Array<CheckpointVote>
  book: Signed
}

/** A world of random branches, in which the first `bad` of some authorities sign what they like. */
class Schedule {
  readonly dice: Dice
  readonly tree: Tree
  readonly points: Array<Checkpoint>
  readonly honest: ReadonlyArray<Honest>
  private readonly bad: number
  private readonly side = new Map<string, number>()
  private parted = false

  constructor(seed: number) {
    this.dice = makeDice(seed)
    const count = 4 + this.dice.int(6)
    this.bad = Math.ceil(count / 3) - 1
    this.tree = new Tree(votersOf(count))
    this.points = [this.tree.genesis]
    this.honest = Array.from({ length: count - this.bad }, (_, i) => ({
      i: this.bad + i,
      it: machine(this.tree),
      mail: [],
      book: nothingSigned
    }))
  }

  /** Mostly the list stays; else it is another, of which fewer than a third are dishonest too. */
  private list(): ReadonlyArray<string> | undefined {
    if (this.dice.int(4) > 0) return undefined
    const honest = this.honest.filter(() => this.dice.int(4) > 0).map(({ i }) => i)
    const bad = Array.from({ length: this.bad }, (_, i) => i).slice(0, Math.ceil(honest.length / 2) - 1)
    return honest.length === 0 ? undefined : [...bad, ...honest].map(voterOf)
  }

  send(votes: ReadonlyArray<CheckpointVote>, to: ReadonlyArray<Honest>): void {
    for (const { mail } of to) mail.push(...votes)
  }

  /** An honest vote for a checkpoint of the branch that it follows. */
  vote(one: Honest, target: Checkpoint): void {
    const link = one.it.choice(target)
    if (link === undefined || !this.tree.descends(target, one.it.justified)) return
    const next = mayBeSigned(one.book, {
      kind: "vote",
      source: link.source.height,
      target: link.target.height,
      slot: 0
    })
    if (Result.isFailure(next)) return
    one.book = next.success
    const [signed] = votes([one.i], link.source, link.target)
    one.it.hear([signed!])
    this.send([signed!], this.reach(one))
  }

  /** Who hears somebody now: everybody, or in times of partition those on its side. */
  private reach({ i }: Pick<Honest, "i">): ReadonlyArray<Honest> {
    return this.honest.filter((other) => !this.parted || other.i % 2 === i % 2)
  }

  /** The highest checkpoint that one may vote for, of its side's branch in times of partition. */
  private top(one: Honest): Checkpoint {
    const isOurs = ({ id }: Checkpoint): number => Number(!this.parted || this.side.get(id) === one.i % 2)
    const follows = this.points.filter((point) => this.tree.descends(point, one.it.justified))
    return follows.reduce((a, b) => ((isOurs(b) - isOurs(a) || b.height - a.height) > 0 ? b : a))
  }

  step(): void {
    const { dice, points, tree } = this
    const one = dice.pick(this.honest)
    if (dice.int(60) === 0) this.parted = !this.parted
    const draw = dice.int(20)
    const top = this.top(one)
    const some = (): Checkpoint =>
      points[Math.max(0, points.length - 1 - dice.int(dice.int(3) === 0 ? points.length : 4))]!
    if (draw === 0) {
      const point = tree.grow(dice.int(4) > 0 ? top : some(), this.list())
      this.side.set(point.id, one.i % 2)
      points.push(point)
    } else if (draw < 8) this.vote(one, dice.int(6) > 0 ? top : some())
    else if (draw < 11) {
      // Each side hears what suits it.
      const sided = dice.int(3) > 0 ? this.honest.filter(({ i }) => i % 2 === one.i % 2) : this.honest
      const source = dice.int(3) > 0 ? one.it.justified : some()
      const target = dice.int(3) > 0 ? top : some()
      if (source.height < target.height) this.send(votes([dice.int(this.bad)], source, target), sided)
    } else {
      const taken = one.mail.splice(0, 1 + dice.int(one.mail.length + 1))
      // What is late comes in any order, or not at all.
      one.it.hear(taken.filter(() => dice.int(16) > 0).sort(() => dice.int(3) - 1))
    }
  }

  /** Everybody hears what anybody can prove or has kept, as peers do that ask each other. */
  meet(): void {
    for (let round = 0; round < 2; round++)
      for (const { it } of this.honest)
        for (const other of this.honest) {
          for (const { votes: proof } of it.certificates) other.it.hear(proof)
          other.it.hear(it.held)
        }
    for (const { mail } of this.honest) mail.length = 0
  }
}

describe("fewer than a third are dishonest", () => {
  test("no two nodes ever make blocks final that exclude each other, and nobody honest is named", () => {
    let finals = 0
    let named = 0
    for (let seed = 0; seed < 120; seed++) {
      const run = new Schedule(seed)
      const bad = new Set(votersOf(20).slice(0, run.honest[0]!.i))
      for (let step = 0; step < 500; step++) run.step()
      const tops = run.honest.map(({ it }) => it.final)
      for (const a of tops) for (const b of tops) expect(run.tree.descends(a, b) || run.tree.descends(b, a)).toBe(true)
      for (const { it } of run.honest) {
        expect(it.conflict).toBeUndefined()
        for (const { voter } of it.offences) expect(bad.has(voter)).toBe(true)
        named += it.offences.length
      }
      finals += Math.max(...tops.map(({ height }) => height)) > 0 ? 1 : 0
    }
    // The schedules reach what they are about.
    expect(finals).toBeGreaterThan(20)
    expect(named).toBeGreaterThan(100)
  }, 60_000)

  test("from any state three checkpoints are enough, once the honest hear each other", () => {
    for (let seed = 0; seed < 120; seed++) {
      const run = new Schedule(seed)
      for (let step = 0; step < 300; step++) run.step()
      run.meet()
      const best = run.honest.map(({ it }) => it.justified).reduce((a, b) => (b.height > a.height ? b : a))
      for (const { it } of run.honest) expect(it.justified.height).toBe(best.height)
      let top = best
      const signed = Math.max(...run.honest.map(({ book }) => book.target))
      while (top.height < signed) top = run.tree.grow(top)
      const before = top.height
      for (let i = 0; i < 3; i++) {
        top = run.tree.grow(top)
        for (const one of run.honest) run.vote(one, top)
        run.meet()
      }
      for (const { it } of run.honest) expect(it.final.height).toBeGreaterThan(before)
    }
  }, 60_000)
})

describe("a third or more are dishonest", () => {
  /** Links of one branch that end with a final block: each over one checkpoint or more, the last over one. */
  const branch = (tree: Tree, who: ReadonlyArray<number>, dice: Dice): ReadonlyArray<CheckpointVote> => {
    const all: Array<CheckpointVote> = []
    let source = tree.genesis
    const links = 1 + dice.int(4)
    for (let i = 0; i <= links; i++) {
      let target = source
      for (let gap = i === links ? 1 : 1 + dice.int(4); gap > 0; gap--) target = tree.grow(target)
      all.push(...votes(who, source, target))
      source = target
    }
    return all
  }

  test("and make two blocks final: at least a third is named, and nobody honest", () => {
    for (let seed = 0; seed < 300; seed++) {
      const dice = makeDice(seed)
      const count = 3 + dice.int(12)
      const tree = new Tree(votersOf(count))
      const quorum = Math.floor((2 * count) / 3) + 1
      const bad = 2 * quorum - count + dice.int(count - quorum + 1)
      const split = quorum - bad > 0 ? quorum - bad : 0
      const all = Array.from({ length: count }, (_, i) => i)
      const [liars, left, right] = [all.slice(0, bad), all.slice(bad, bad + split), all.slice(bad + split)]
      const sides = [
        [...liars, ...left],
        [...liars, ...right]
      ].map((who) => branch(tree, who, dice))
      const finals: Array<ReadonlyArray<Certificate>> = sides.map((side) => {
        const it = machine(tree)
        it.hear(side)
        expect(it.final.height).toBeGreaterThan(0)
        return it.certificates
      })
      expect(finals[0]!.at(-1)!.target.id).not.toBe(finals[1]!.at(-1)!.target.id)
      const named = guiltyOf(sides[0]!, sides[1]!).map(({ voter }) => voter)
      expect(3 * new Set(named).size).toBeGreaterThanOrEqual(count)
      const honest = new Set([...left, ...right].map(voterOf))
      expect(named.filter((voter) => honest.has(voter))).toEqual([])
    }
  }, 30_000)
})
