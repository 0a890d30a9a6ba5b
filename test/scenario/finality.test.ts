/** Whole nodes of authorities that vote on checkpoints, in the deterministic world: what becomes final, what does not, and when. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules, type Rules } from "../../src/chain/rules.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { type CheckpointVote, offenceOf, signVote } from "../../src/consensus/checkpoint.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { loadFinality } from "../../src/store/finality.ts"
import { nothingSigned, type Signed } from "../../src/validator/protection.ts"
import { localSigner, type Signer } from "../../src/validator/signer.ts"
import { heightOf, play, type Stage, type Stranger, tipOf } from "../sim/stage.ts"
import { firstAuthority, keyOf, specOf } from "../fixtures.ts"

const every = 4
const slotMs = 1_000
const rules = makeRules(specOf({ authorities: 5, authority: { finality: { checkpointBlocks: every } } }))
const genesis = rules.genesis.header.hash

/** A signer whose book is on a disk of its own, and all votes that ever left it. */
const signerOf = (i: number): Signer & { readonly signed: Array<CheckpointVote> } => {
  let book: Signed = nothingSigned
  const signer = localSigner(keyOf(firstAuthority + i), { load: () => book, save: (next) => void (book = next) })
  const signed: Array<CheckpointVote> = []
  return {
    ...signer,
    signed,
    vote: (ask, answered) =>
      signer.vote(ask, (answer) => {
        if (answer._tag === "Success") signed.push(signVote(genesis, ask, keyOf(firstAuthority + i)))
        answered(answer)
      })
  }
}

const view = (node: SimNode) =>
  Effect.map(
    node.ask((tree) => tree.node.finality()),
    (found) => found!
  )
/** Height up to which a node's disk says that all is final. */
const finalOf = ({ store }: SimNode): number => {
  const bytes = store.db.query<{ value: Uint8Array }, []>("SELECT value FROM meta WHERE key = 'final'").get()?.value
  return bytes === undefined ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/** Five authorities that all know each other. */
const five = (stage: Stage) =>
  Effect.gen(function* () {
    const signers = [0, 1, 2, 3, 4].map(signerOf)
    const nodes: Array<SimNode> = []
    for (const [i, signer] of signers.entries()) nodes.push(yield* stage.node(`v${i}`, { knows: [...nodes], signer }))
    return { nodes, signers }
  })

/** No two nodes have final blocks that exclude each other, and no authority has signed what convicts it. */
const checkSafe = (
  nodes: ReadonlyArray<SimNode>,
  signers: ReadonlyArray<{ readonly signed: ReadonlyArray<CheckpointVote> }>
) => {
  const settled = Math.min(...nodes.map(finalOf))
  expect(new Set(nodes.map(({ store }) => store.bestAt(settled)!.header.id)).size).toBe(1)
  for (const { store } of nodes) {
    const { certificates } = loadFinality(store.db, genesis)
    for (const { source, target } of certificates)
      if (target.height === source.height + every) expect(store.bestAt(source.height)!.header.id).toBe(source.id)
  }
  for (const { signed } of signers)
    for (const a of signed) for (const b of signed) expect(offenceOf(a, b)).toBeUndefined()
}

describe("five authorities", () => {
  test("make block after block final, and all agree", () => {
    for (let seed = 0; seed < 3; seed++)
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const { nodes, signers } = yield* five(stage)
          yield* stage.until("height 20 is final", () => nodes.every((node) => finalOf(node) >= 20), 60_000)
          // Two checkpoints and what is on its way.
          for (const node of nodes) expect(heightOf(node) - finalOf(node)).toBeLessThanOrEqual(3 * every)
          checkSafe(nodes, signers)
          const { votes, guilty, onBranch, conflict } = yield* view(nodes[0]!)
          expect(votes.filter(({ vote }) => vote !== undefined)).toHaveLength(5)
          expect([guilty.length, onBranch, conflict]).toStrictEqual([0, true, undefined])
          const block = yield* nodes[0]!.ask((tree) => tree.node.blockAt(8))
          expect(block!.final).toBe(true)
          const { body } = yield* nodes[0]!.fetch("GET", "/api/finality")
          expect((body as { final: { height: number } }).final.height).toBeGreaterThanOrEqual(20)
        })
      )
  }, 120_000)

  test("of whom one is dead go on; with two dead blocks come and none is final, until one is back", () => {
    play(rules, 4, (stage) =>
      Effect.gen(function* () {
        const { nodes, signers } = yield* five(stage)
        const [a, b, c, d, e] = nodes as [SimNode, SimNode, SimNode, SimNode, SimNode]
        e.kill(true)
        const four = [a, b, c, d]
        yield* stage.until("final with four", () => four.every((node) => finalOf(node) >= 12), 60_000)
        d.kill(true)
        const three = [a, b, c]
        yield* Effect.sleep(3 * every * slotMs)
        const stuck = three.map(finalOf)
        const height = heightOf(a)
        yield* Effect.sleep(60_000)
        expect(three.map(finalOf)).toEqual(stuck)
        expect(heightOf(a) - height).toBeGreaterThan(50)
        yield* d.start()
        // Two checkpoints that four vote for, after the one that comes next.
        yield* stage.until("it catches up", () => four.every((node) => finalOf(node) > height + 50), 6 * every * slotMs)
        checkSafe(four, signers)
      })
    )
  }, 120_000)

  test("parted three and two make nothing final, and go on when they are one again", () => {
    for (let seed = 0; seed < 3; seed++)
      play(rules, 10 + seed, (stage) =>
        Effect.gen(function* () {
          const { nodes, signers } = yield* five(stage)
          yield* stage.until("a block is final", () => nodes.every((node) => finalOf(node) >= 4), 60_000)
          stage.part(nodes.slice(0, 3), nodes.slice(3))
          yield* Effect.sleep(3 * every * slotMs)
          const stuck = nodes.map(finalOf)
          yield* Effect.sleep(30_000)
          expect(nodes.map(finalOf)).toEqual(stuck)
          expect(tipOf(nodes[0]!)).not.toBe(tipOf(nodes[4]!))
          const top = Math.max(...nodes.map(heightOf))
          stage.heal()
          yield* stage.until("blocks are final again", () => nodes.every((node) => finalOf(node) > top), 180_000)
          checkSafe(nodes, signers)
        })
      )
  }, 120_000)

  test("that are restarted one after the other, or all at once, break no rule and go on", () => {
    play(rules, 20, (stage) =>
      Effect.gen(function* () {
        const { nodes, signers } = yield* five(stage)
        for (const node of nodes) {
          yield* Effect.sleep(2_300)
          node.kill(true)
          yield* Effect.sleep(1_700)
          yield* node.start()
        }
        yield* stage.until("a block is final", () => nodes.every((node) => finalOf(node) >= 8), 120_000)
        const before = nodes.map(finalOf)
        for (const node of nodes) node.kill(true)
        for (const node of nodes) yield* node.start()
        // What was final stays so, before anybody is heard.
        expect(nodes.every((node, i) => finalOf(node) >= before[i]!)).toBe(true)
        const shown = yield* view(nodes[2]!)
        expect(shown.final.height).toBe(before[2]!)
        yield* stage.until("and more", () => nodes.every((node) => finalOf(node) > before[0]! + 8), 120_000)
        checkSafe(nodes, signers)
      })
    )
  }, 120_000)

  test("whose clocks differ by less than a slot go on", () => {
    play(rules, 30, (stage) =>
      Effect.gen(function* () {
        const { nodes, signers } = yield* five(stage)
        for (const [i, node] of nodes.entries()) node.skew((i - 2) * 200)
        yield* stage.until("height 20 is final", () => nodes.every((node) => finalOf(node) >= 20), 120_000)
        checkSafe(nodes, signers)
      })
    )
  }, 120_000)

  test("one that votes for both sides is named everywhere, and no two final blocks contradict each other", () => {
    for (let seed = 0; seed < 3; seed++)
      play(rules, 40 + seed, (stage) =>
        Effect.gen(function* () {
          const { nodes, signers } = yield* five(stage)
          yield* stage.until("a block is final", () => nodes.every((node) => finalOf(node) >= 4), 60_000)
          const liar = keyOf(firstAuthority + 4)
          const [left, right] = [nodes.slice(0, 2), nodes.slice(2, 4)]
          nodes[4]!.kill(true)
          stage.part(left, right)
          yield* Effect.sleep(10_000)
          // It gives each side the vote that the side would like, on the branch of that side.
          const strangers: Array<Stranger> = []
          for (const side of [left, right]) {
            const stranger: Stranger = yield* stage.stranger(`liar-${strangers.length}`, { to: side[0]! })
            const { justified } = yield* view(side[0]!)
            const height = heightOf(side[0]!)
            const { header } = side[0]!.store.bestAt(height - (height % every))!
            const source = side[0]!.store.bestAt(justified.height)!.header
            stranger.say({ tag: "VOT", votes: [signVote(genesis, { source, target: header }, liar).bytes] })
            strangers.push(stranger)
          }
          yield* Effect.sleep(5_000)
          stage.heal()
          const four = nodes.slice(0, 4)
          const top = Math.max(...four.map(heightOf))
          yield* stage.until("blocks are final again", () => four.every((node) => finalOf(node) > top), 180_000)
          checkSafe(four, signers)
          for (const node of four) {
            const { guilty } = yield* view(node)
            expect(guilty.map(({ authority }) => toHex(authority))).toEqual([toHex(liar.address)])
          }
        })
      )
  }, 120_000)

  test("let one in that was away for long, which learns what is final without a vote of that time", () => {
    play(rules, 50, (stage) =>
      Effect.gen(function* () {
        const { nodes, signers } = yield* five(stage)
        yield* stage.until("much is final", () => nodes.every((node) => finalOf(node) >= 40), 120_000)
        const late = yield* stage.node("late", { knows: nodes })
        yield* stage.until("it knows", () => finalOf(late) >= 40 && heightOf(late) >= finalOf(late), 30_000)
        checkSafe([...nodes, late], signers)
      })
    )
  }, 120_000)

  test("do not leave what is final for a heavier branch, and who is on that one comes over", () => {
    for (let seed = 0; seed < 3; seed++)
      play(rules, 60 + seed, (stage) =>
        Effect.gen(function* () {
          const { nodes, signers } = yield* five(stage)
          const [alone, four] = [nodes[4]!, nodes.slice(0, 4)]
          const seals = (node: SimNode, on: boolean) => node.ask((tree) => tree.node.setMining(on))
          yield* stage.until("a block is final", () => nodes.every((node) => finalOf(node) >= 4), 60_000)
          stage.part(four, [alone])
          const parted = heightOf(alone)
          yield* stage.until("more is final", () => four.every((node) => finalOf(node) > parted + every), 60_000)
          yield* Effect.forEach(four, (node) => seals(node, false), { discard: true })
          yield* stage.agree(four)
          const settled = four[0]!.store.bestAt(finalOf(four[0]!))!.header
          const { work, header } = four[0]!.store.tip()
          yield* stage.until("the other branch is heavier", () => alone.store.tip().work > work + 20n, 240_000)
          // No session lives so long without a word: what was announced meanwhile is lost.
          yield* Effect.sleep(130_000)
          yield* seals(alone, false)
          const left = tipOf(alone)
          expect(alone.store.find(settled.id)).toBeUndefined()
          stage.heal()
          yield* stage.until("it comes over", () => tipOf(alone) === header.id, 180_000)
          expect(alone.store.find(left)!.work).toBeGreaterThan(work)
          for (const node of four) expect(tipOf(node)).toBe(header.id)
          yield* Effect.forEach(nodes, (node) => seals(node, true), { discard: true })
          yield* stage.until("all go on", () => nodes.every((node) => finalOf(node) > settled.height + every), 120_000)
          checkSafe(nodes, signers)
          // Its own branch was higher, and is nothing to catch up with.
          expect(yield* alone.ask((tree) => tree.node.ready())).toMatchObject({ ready: true, reasons: [] })
        })
      )
  }, 120_000)

  test("make strangers pay for votes that nobody signed, and for votes where nobody votes", () => {
    const told = (made: Rules, votes: ReadonlyArray<Uint8Array>): string | undefined => {
      let error: string | undefined
      play(made, 70, (stage) =>
        Effect.gen(function* () {
          const node = yield* stage.node("v0", {})
          const stranger: Stranger = yield* stage.stranger("liar", { to: node })
          stranger.say({ tag: "VOT", votes })
          yield* Effect.sleep(2_000)
          error = (yield* stage.opinion(node, stranger.nodeId))!.lastError
        })
      )
      return error
    }
    const first = {
      ...rules.genesis.header,
      height: every,
      id: "11".repeat(32),
      hash: rules.genesis.header.stateRoot as never
    }
    const { bytes } = signVote(genesis, { source: rules.genesis.header, target: first }, keyOf(firstAuthority))
    const forged = bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1)
    expect(told(rules, [bytes])).toBeUndefined()
    expect(told(rules, [forged])).toContain("checkpoint-vote-forged")
    expect(told(rules, [bytes.with(0, 9).with(40, 4)])).toContain("checkpoint-vote-malformed")
    expect(told(makeRules(specOf({ authorities: 5 })), [bytes])).toContain("checkpoint-vote-malformed")
  }, 60_000)
})
