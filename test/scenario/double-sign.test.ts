/** An authority that seals twice, among whole nodes in the deterministic world: found, told, convicted, gone for ever. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Block } from "../../src/block/block.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { ancestryOf } from "../../src/chain/reader.ts"
import { concat } from "../../src/codec/bytes.ts"
import { placeOf } from "../../src/consensus/authorities.ts"
import type { Authorities } from "../../src/consensus/consensus.ts"
import { encodeEvidence, evidenceOf } from "../../src/consensus/evidence.ts"
import type { Message } from "../../src/peer/message.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { offenceOf, sealedBy, signerOf } from "../authorities.ts"
import { firstAuthority, forge, keyOf, specOf } from "../fixtures.ts"
import { heightOf, play, type Stage } from "../sim/stage.ts"

const slotMs = 10_000
const spec = (voteBlocks = 0) => ({
  ...specOf({
    authorities: 5,
    difficulty: { rule: "fixed", blockMs: slotMs, bits: 0 },
    authority: { outOfTurnMs: slotMs / 2, voteBlocks }
  }),
  time: { futureMsMax: 2_000 }
})
const rules = makeRules(spec())
const author = rules.consensus.author!
const addressOf = (i: number) => keyOf(firstAuthority + i).address
const authoritiesOf = ({ store }: SimNode): Authorities => author.authorities(ancestryOf(store, store.tip().header))
const isAuthority = (node: SimNode, i: number): boolean => placeOf(authoritiesOf(node), addressOf(i)) >= 0
const workAfter = ({ store }: SimNode, { header }: Block): bigint => store.tip().work + rules.consensus.work(header)

/** Five nodes in a ring, each with the key of one authority. */
const ring = (stage: Stage) =>
  Effect.gen(function* () {
    const nodes: Array<SimNode> = []
    for (let i = 0; i < 5; i++) nodes.push(yield* stage.node(`n${i}`, { knows: nodes.slice(-2), signer: signerOf(i) }))
    yield* stage.until("the chain grows", () => nodes.every((node) => heightOf(node) >= 3))
    return nodes
  })

const maySeal = ({ now }: Stage, { store }: SimNode, i: number): boolean =>
  (author.turn(ancestryOf(store, store.tip().header), addressOf(i), now)?.from ?? Infinity) <= now

/** Another machine with the key of authority 4 seals two blocks of one slot on a node's tip. */
const twice = (stage: Stage, node: SimNode): readonly [Block, Block] => {
  const on = { rules, store: node.store }
  const one = (text: string) => sealedBy(on, { by: 4, now: stage.now, text })
  return [one("one"), one("two")]
}

describe("an authority that seals two blocks of one slot", () => {
  test("is known to every node, convicted by a block, out of the rota for ever, and sealed for by nobody any more", () => {
    for (let seed = 0; seed < 2; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const nodes = yield* ring(stage)
          const [a, , c] = nodes as [SimNode, SimNode, SimNode]
          yield* stage.until("authority 4 may seal", () => maySeal(stage, a, 4))
          const blocks = twice(stage, a)
          const strangers = [yield* stage.stranger("x", { to: a }), yield* stage.stranger("y", { to: c })]
          strangers.forEach((one, i) => one.announce(blocks[i]!, workAfter(a, blocks[i]!)))
          yield* stage.until("every node has the proof", () => nodes.every(({ store }) => store.evidence.size > 0))
          // The honest machine with that key hears of it, and seals no more.
          const refused = yield* Effect.flip(nodes[4]!.ask(({ node }) => node.mine(undefined)))
          expect(refused).toMatchObject({ _tag: "Unavailable", reason: "this authority has sealed twice" })
          yield* stage.until("it is convicted everywhere", () => nodes.every((node) => !isAuthority(node, 4)))
          for (const node of nodes) {
            expect(authoritiesOf(node).convicted).toEqual(new Set([addressOf(4).toHex()]))
            expect(authoritiesOf(node).members.length).toBe(4)
          }
          const { replay } = nodes[1]!.tree.node.listen(0, () => {})!
          expect(replay.flatMap((event) => (event.type === "double-sign" ? event.change : []))).toEqual([
            "found",
            "convicted"
          ])
          const figures = yield* nodes[1]!.ask(({ node }) => node.metrics())
          for (const change of ["found", "convicted"])
            expect(figures).toContain(`cairn_double_signs_total{change="${change}"} 1`)
          // Its later blocks are of no authority.
          const height = heightOf(a)
          yield* stage.until("the others go on", () => nodes.every((node) => heightOf(node) > height + 6))
          expect(nodes.every(({ store }) => store.find(store.tip().header.id)!.header.authority!.vote === "none")).toBe(
            true
          )
          for (let at = height + 1; at <= heightOf(a); at++)
            expect(a.store.bestAt(at)!.header.proposer).not.toEqual(addressOf(4))
          const late = yield* stage.stranger("z", { to: a })
          const block = forge(a.store.block(a.store.tip().header.id)!, { proposer: addressOf(4) })
          late.announce(block, workAfter(a, block))
          yield* stage.until("it is refused", () => late.refused.length > 0)
          expect(late.refused[0]).toBe("signer-unknown")
        })
      )
    }
  }, 120_000)

  test("is found after a restart of the node that heard of the first block before", () => {
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        yield* stage.until("authority 4 may seal", () => maySeal(stage, a, 4))
        const blocks = twice(stage, a)
        const first = yield* stage.stranger("x", { to: a })
        first.announce(blocks[0], workAfter(a, blocks[0]))
        yield* stage.until("the first is taken", () => heightOf(a) === 1)
        yield* a.stop()
        yield* a.start()
        expect(a.store.evidence.size).toBe(0)
        const second = yield* stage.stranger("y", { to: a })
        second.announce(blocks[1], a.store.tip().work + 5n)
        yield* stage.until("the second is an offence", () => a.store.evidence.size === 1)
        yield* a.stop()
        yield* a.start()
        const [kept] = (yield* a.ask(({ node }) => node.evidence())) ?? []
        expect([kept?.standing, kept?.authority]).toEqual(["member", addressOf(4)])
      })
    )
  }, 60_000)
})

describe("what a peer says against an authority", () => {
  const offence = (stage: Stage, { store }: SimNode, by: number) => offenceOf({ rules, store }, { by, now: stage.now })

  test("is taken if it is proven, told to the others once each, and told to who comes later", () => {
    play(rules, 2, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const [x, y] = [yield* stage.stranger("x", { to: a }), yield* stage.stranger("y", { to: a })]
        const evidence = encodeEvidence(offence(stage, a, 4))
        for (let i = 0; i < 3; i++) x.say({ tag: "EVD", evidence })
        yield* stage.until("both have it", () => a.store.evidence.size === 1 && b.store.evidence.size === 1)
        const late = yield* stage.stranger("z", { to: a })
        late.say({ tag: "STS", height: 0, work: new Uint8Array(32), tip: rules.genesis.header.hash })
        // Who tells it himself is told nothing.
        const knows = yield* stage.stranger("k", { to: a })
        knows.say({ tag: "EVD", evidence })
        knows.say({ tag: "STS", height: 0, work: new Uint8Array(32), tip: rules.genesis.header.hash })
        yield* Effect.sleep(5_000)
        const told = (one: { readonly heard: ReadonlyArray<Message> }) =>
          one.heard.filter(({ tag }) => tag === "EVD").length
        expect([told(x), told(y), told(late), told(knows)]).toEqual([0, 1, 1, 0])
        expect((yield* stage.opinion(a, x.nodeId))?.points || 0).toBe(0)
      })
    )
  }, 60_000)

  test("stops the authority that it is about, if that hears of it", () => {
    play(rules, 5, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a", { signer: signerOf(4) })
        yield* stage.until("it seals, alone", () => heightOf(a) >= 2)
        const x = yield* stage.stranger("x", { to: a })
        x.say({ tag: "EVD", evidence: encodeEvidence(offence(stage, a, 4)) })
        yield* stage.until("it knows", () => a.store.evidence.size === 1)
        yield* Effect.sleep(slotMs)
        const height = heightOf(a)
        yield* Effect.sleep(10 * slotMs)
        expect(heightOf(a)).toBe(height)
      })
    )
  }, 60_000)

  test("costs it the session if it is false, and nothing is kept", () => {
    play(rules, 3, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const bytes = encodeEvidence(offence(stage, a, 4))
        const lies = [
          bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1),
          // One header twice, and both in the wrong order.
          concat(bytes.subarray(0, 339), bytes.subarray(0, 339)),
          concat(bytes.subarray(339), bytes.subarray(0, 339))
        ]
        for (const [i, evidence] of lies.entries()) {
          const liar = yield* stage.stranger(`liar${i}`, { to: a })
          liar.say({ tag: "EVD", evidence })
          yield* stage.until("it is thrown out", () => liar.left !== undefined)
          const opinion = yield* stage.opinion(a, liar.nodeId)
          expect([opinion?.state, opinion?.lastError]).toEqual(["banned", "evidence-false"])
        }
        expect(a.store.evidence.size).toBe(0)
      })
    )
  }, 60_000)

  test("is passed over, and costs nothing, if it is about somebody who is no authority here", () => {
    play(rules, 4, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const [one, two] = ["one", "two"].map(
          (text) =>
            forge(sealedBy({ rules, store: a.store }, { by: 1, now: stage.now, text }), { proposer: keyOf(0).address })
              .header
        )
        const x = yield* stage.stranger("x", { to: a })
        x.say({ tag: "EVD", evidence: encodeEvidence(evidenceOf(author.rota, one!, two!)!) })
        yield* Effect.sleep(2_000)
        expect([a.store.evidence.size, x.left, (yield* stage.opinion(a, x.nodeId))?.points || 0]).toEqual([
          0,
          undefined,
          0
        ])
      })
    )
  }, 60_000)
})
