/**
 * What was measured in other nodes and must not happen here, played with whole nodes: a stranger who speaks the protocol tells a
 * lie, and honest nodes go on. Defects 3 and 22 are in forks.test.ts; 4, 6, 7, 8 and 17 beside what they concern.
 */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { type Block, encodeBlock, transactionRootOf } from "../../src/block/block.ts"
import { type HeaderFields, makeHeader, type Target } from "../../src/block/header.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { Millis, Transaction } from "../../src/ledger/transaction.ts"
import { makeTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { judgedMs, liesOn, spentAtBoth } from "../sim/lies.ts"
import { heightOf, play, type Stage, tipOf } from "../sim/stage.ts"
import { nodeIdOf } from "../../src/transport/hello.ts"
import { epoch, forge, keyOf, specOf, TestChain, transfer } from "../fixtures.ts"

/** Twelve bits, so that a header that was not sealed for what it says is not sealed by luck. */
const spec = specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 12 } })
const rules = makeRules(spec)
const { lie, giving, work } = liesOn(rules)
/** Virtual milliseconds in which two nodes that know each other meet. */
const meetMs = 3_000

/** A block on genesis with other fields or other transactions than are right, sealed all the same. */
const lying = (fields: Partial<HeaderFields>, transactions: ReadonlyArray<Transaction> = []): Block => {
  const block = forge(new TestChain(spec).next(), { transactionRoot: transactionRootOf(transactions), ...fields })
  return { ...block, transactions }
}

/** The transaction with a signature that is another's. */
const unsigned = (): Transaction => {
  const signature = transfer({ from: 0, to: 1, nonce: 1, amount: 11 }).transfer.signature
  return makeTransfer({ ...transfer({ from: 0, to: 1, nonce: 1 }).transfer, signature })
}

/** The transaction with a public key that is no point of the curve. */
const keyless = (): Transaction => {
  const { transfer: fields } = transfer({ from: 0, to: 1, nonce: 1 })
  return makeTransfer({ ...fields, publicKey: new Uint8Array(33).fill(0xff).fill(2, 0, 1) })
}

/** Bytes of the transaction with an amount that reads as -1 where integers have a sign. */
const negative = (): Uint8Array => {
  const { bytes, transfer: fields } = transfer({ from: 0, to: 1, nonce: 1 })
  return bytes.slice().fill(0xff, 42 + fields.chainId.length, 50 + fields.chainId.length)
}

const stolen = (): Block => {
  const block = new TestChain(spec).next()
  return { ...block, header: makeHeader({ ...block.header, proposer: keyOf(7).address }) }
}
const easy = (): Block => lying({ target: new Uint8Array(32).fill(0xff) as Uint8Array as Target })
/** The state root is that of rules under which a block pays a thousand times as much. */
const greedy = (): Block => {
  const reward = (spec.ledger.reward * 1000) as typeof spec.ledger.reward
  const chain = new TestChain({ ...spec, ledger: { ...spec.ledger, reward } })
  return lying({ stateRoot: chain.next().header.stateRoot })
}
const jumping = (): Block => lying({}, [transfer({ from: 0, to: 1, nonce: 77 })])
const spendingTwice = (): Block =>
  lying(
    {},
    [1, 2].map((nonce) => transfer({ from: 0, to: nonce, nonce, amount: 900_000_000 }))
  )

describe("a node refuses, and goes on after it,", () => {
  test("a block whose proposer is not the one it was sealed for (defect 1)", () => {
    lie("seal-wrong", giving(stolen()))
  })

  test("a block that is not later than its ancestors (defect 2)", () => {
    lie("time-too-early", giving(lying({ time: epoch as Millis })))
  })

  test("a body that is not the one its header was sealed with (defect 9)", () => {
    const block = new TestChain(spec).next([transfer({ from: 0, to: 1, nonce: 1 })])
    for (const transactions of [
      [],
      [transfer({ from: 0, to: 2, nonce: 1 })],
      [...block.transactions, ...block.transactions]
    ])
      lie("transaction-root-wrong", (liar) => liar.announce(block, work(block), { ...block, transactions }))
  })

  test("a block of a target that is easier than the rule gives (defect 12)", () => {
    lie("seal-wrong", giving(easy()))
  })

  test("a block that pays its proposer a thousand rewards (defect 14)", () => {
    lie("state-root-wrong", giving(greedy()))
  })

  test("a block with a transfer whose nonce jumps (defect 15)", () => {
    lie("transaction-refused", giving(jumping()))
  })

  test("a block that spends the same money twice (defect 10, for accounts)", () => {
    lie("transaction-refused", giving(spendingTwice()))
  })

  test("a block with a signature that is another's, or by a key that is none (defect 16)", () => {
    lie("signature-invalid", giving(lying({}, [unsigned()])))
    lie("block-malformed", giving(lying({}, [keyless()])))
  })

  test("a block with an amount below zero (defects 11, 13)", () => {
    const block = lying({})
    const body = { ...block, transactions: [{ bytes: negative() } as Transaction] }
    lie("block-malformed", (liar) => liar.announceBytes(block.header, work(block), encodeBlock(body)))
  })

  test("a transfer of an amount below zero, with another's signature, by a key that is none (defects 11, 13, 16)", () => {
    const { id } = transfer({ from: 0, to: 1, nonce: 1 })
    lie("transaction-malformed", (liar) => liar.offer(id, negative()))
    lie("signature-invalid", (liar) => liar.offer(id, unsigned().bytes))
    lie("sender-mismatch", (liar) => liar.offer(id, keyless().bytes))
  })
})

test("who gives a block that no honest node gives is banned", () => {
  for (const block of [stolen(), easy()]) expect(lie("seal-wrong", giving(block))).toBe("banned")
  for (const block of [jumping(), spendingTwice()]) expect(lie("transaction-refused", giving(block))).toBe("banned")
  expect(lie("state-root-wrong", giving(greedy()))).toBe("banned")
})

test("the true body is taken from the next who has it, though another gave a false one first (defect 9)", () => {
  const block = new TestChain(spec).next([transfer({ from: 0, to: 1, nonce: 1 })])
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const liar = yield* stage.stranger("liar", { to: a })
      liar.announce(block, work(block), { ...block, transactions: [] })
      yield* Effect.sleep(judgedMs)
      const honest = yield* stage.stranger("honest", { to: a })
      honest.announce(block, work(block))
      yield* stage.until("the true block is the tip", () => tipOf(a) === block.header.id)
      expect(yield* stage.whereabouts(a, block.transactions[0]!)).toBe("confirmed")
    })
  )
})

test("a block whose body nobody gives does not keep a node from another of the same work", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const b = yield* stage.node("b", { knows: [a] })
      const liar = yield* stage.stranger("liar", { to: a })
      const block = lying({})
      liar.announceBytes(block.header, work(block), undefined)
      yield* Effect.sleep(judgedMs)
      yield* stage.mine(b)
      yield* stage.agree()
      expect(heightOf(a)).toBe(1)
    })
  )
})

test("a block of the year 2999 is believed by nobody; one of tomorrow when its time has come (defect 2)", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const b = yield* stage.node("b", { knows: [a] })
      const early = yield* stage.stranger("early", { to: a })
      const never = lying({ time: Date.UTC(2999, 0, 1) as Millis })
      const soon = lying({ time: (epoch + 7_260_000) as Millis })
      for (const block of [never, soon]) early.announce(block, work(block))
      yield* Effect.sleep(60_000)
      expect([heightOf(a), (yield* stage.opinion(a, early.nodeId))?.state]).toEqual([0, "active"])
      for (const block of [never, soon]) early.announce(block, work(block))
      yield* stage.agree()
      yield* stage.until("the block of now is the tip", () => tipOf(a) === soon.header.id)
      yield* stage.agree([a, b])
    })
  )
})

describe("a ban (defect 5)", () => {
  /** A node that has banned a liar, and an honest one that it knows. */
  const banned = (stage: Stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const b = yield* stage.node("b", { knows: [a] })
      yield* Effect.sleep(meetMs)
      const liar = yield* stage.stranger("liar", { to: a })
      for (let i = 0; i < 10; i++) liar.say({ tag: "PRS", request: 99, peers: [] })
      yield* stage.until("the liar is sent away", () => liar.left !== undefined)
      return { a, b, liar }
    })

  test("is not lifted by coming again, nor by what others say", () => {
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const { a, liar } = yield* banned(stage)
        const until = (yield* stage.opinion(a, liar.nodeId))?.bannedUntil
        const again = yield* stage.stranger("again", { to: a, key: liar.self.key })
        yield* stage.until("it is sent away again", () => again.left !== undefined)
        yield* stage.stranger("friend", { to: a, tells: [{ endpoint: "10.66.0.1:19100", nodeId: liar.nodeId }] })
        yield* Effect.sleep(judgedMs)
        expect(yield* stage.opinion(a, liar.nodeId)).toMatchObject({ state: "banned", bannedUntil: until as never })
      })
    )
  })

  test("is neither got nor lifted in another's name", () => {
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const { a, b, liar } = yield* banned(stage)
        const honest = nodeIdOf(b.key.publicKey)
        for (const nodeId of [honest, liar.nodeId]) {
          const before = yield* stage.opinion(a, nodeId)
          const forger = yield* stage.stranger(`forger of ${nodeId}`, { to: a, nodeId })
          yield* stage.until("the forger is sent away", () => forger.left !== undefined)
          const { state, score, bannedUntil } = (yield* stage.opinion(a, nodeId))!
          expect({ state, score, bannedUntil }).toMatchObject({
            state: before!.state,
            score: before!.score,
            bannedUntil: before!.bannedUntil as never
          })
        }
        expect((yield* stage.opinion(a, honest))?.state).toBe("active")
      })
    )
  })
})

test("of two transfers of the same money, given to two nodes, one is paid, and both nodes are whole (defect 21)", () => {
  const spend = (to: number, time: number) => transfer({ from: 0, to, nonce: 1, amount: 900_000_000, time })
  spentAtBoth(rules, 10, (now) => [spend(8, now), spend(9, now)])
})

test("whatever is posted as a transfer is answered with a code, and the node goes on (defects 11, 13, 16)", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const good = formatTransfer(transfer({ from: 0, to: 1, nonce: 1, time: stage.now }), spec.addressPrefix)
      const posted = function* (body: unknown) {
        const { status, body: answer } = yield* a.fetch("POST", "/api/transactions", body)
        return [status, (answer as { code?: string }).code]
      }
      expect(yield* posted({ ...good, amount: -5 })).toEqual([400, "amount-invalid"])
      expect(yield* posted({ ...good, signature: "00" })).toEqual([400, "signature-invalid"])
      expect(yield* posted({ ...good, public_key: "ff".repeat(33) })).toEqual([400, "sender-mismatch"])
      expect(yield* posted({ ...good, id: undefined, nonce: 2 })).toEqual([400, "signature-invalid"])
      expect(yield* posted(good)).toStrictEqual([201, undefined])
      yield* stage.mine(a)
      const { balance } = yield* a.ask(({ node }) => node.account(keyOf(1).address))
      expect(balance as number).toBe(1_000_000_010)
    })
  )
})
