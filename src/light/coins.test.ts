/** The coins of an address: all are found and proven, also while the chain moves; who hides a spend is dropped, who is of yesterday is not believed. */
import { describe, expect, test } from "bun:test"
import { coinsOf, keyOf, payment, specOf, TestChain } from "../../test/fixtures.ts"
import { blind, type FakePeer, LightWorld } from "../../test/light.ts"
import { toHex } from "../codec/bytes.ts"
import { coinKey } from "../ledger/coin.ts"
import type { LightAnswer, LightAsk } from "../peer/message.ts"
import type { PaymentTransaction } from "../ledger/transaction.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import type { CoinsOutcome } from "./coins.ts"

const newChain = (accounts = 4): TestChain => new TestChain(specOf({ model: "utxo", maturity: 0, accounts }))

/** Key `from` spends its largest coin: so much to `to`, the rest but for the fee back. */
const pay = (chain: TestChain, from: number, to: number, units: number): PaymentTransaction => {
  const coin = coinsOf(chain, from).toSorted((a, b) => b.amount - a.amount)[0]!
  const outputs: Array<readonly [number, number]> = [[to, units]]
  if (coin.amount > units + 1) outputs.push([from, coin.amount - units - 1])
  return payment({ inputs: [coin], outputs, by: [from] })
}

/** The chain of most tests: key 9 is paid at 3, 5 and 7, and spends the coin of 5 at 8. */
const makeChain = (): { readonly chain: TestChain; readonly spent: PaymentTransaction } => {
  const chain = newChain()
  chain.mine(2)
  for (const units of [100, 300, 200]) {
    chain.mine(1, [pay(chain, 0, 9, units)])
    if (units !== 200) chain.mine(1)
  }
  const spent = pay(chain, 9, 2, 299)
  chain.mine(1, [spent])
  chain.mine(2)
  return { chain, spent }
}
const { chain, spent } = makeChain()

const ask = (world: LightWorld, key: number, from = 0): LightWorld => {
  world.run(world.client.askCoins({ owner: keyOf(key).address, from }, world.now))
  return world
}
/** Tells it the time until there is an outcome, as a driver does. */
const outcomeOf = (world: LightWorld): CoinsOutcome => {
  for (let i = 0; i < 1_000 && world.client.coins!.outcome === undefined; i++) {
    world.now += 100
    world.run(world.client.tick(world.now))
  }
  return world.client.coins!.outcome!
}
const amountsOf = (outcome: CoinsOutcome): ReadonlyArray<number> =>
  outcome._tag === "Found" ? outcome.coins.map(({ amount }) => amount as number).sort((a, b) => a - b) : []
const heightOf = (outcome: CoinsOutcome): number => (outcome._tag === "Found" ? outcome.header.height : -1)
const truthOf = (of: TestChain, key: number): ReadonlyArray<number> =>
  coinsOf(of, key)
    .map(({ amount }) => amount as number)
    .sort((a, b) => a - b)
/** That the answer is the state's own, to the coin. */
const finds = (world: LightWorld, of: TestChain, key: number): void => {
  const outcome = outcomeOf(world)
  expect([amountsOf(outcome), heightOf(outcome)]).toEqual([truthOf(of, key), of.store.tip().header.height])
  const names = outcome._tag === "Found" ? outcome.coins.map(coinKey).sort() : []
  expect(names).toEqual(coinsOf(of, key).map(coinKey).sort())
}
/** A peer whose proofs are those of another chain. */
const provingAs = (of: TestChain, other: TestChain): FakePeer => ({
  chain: of,
  lie: (answer, question) => (answer.tag === "PRF" ? LightWorld.truth(other, question) : answer)
})

describe("the coins of an address", () => {
  test("are found and proven: paid, given by the genesis, change, rewards; those that were spent are not there", () => {
    for (const key of [9, 0, 1, 2, 99, 77]) {
      const world = ask(new LightWorld([{ chain }, { chain }]).sync(), key)
      finds(world, chain, key)
      expect(world.codes).toEqual([])
    }
    expect(truthOf(chain, 9)).toEqual([100, 200])
  })

  test("from a height on: what was made below it is left out, the genesis too", () => {
    const world = ask(new LightWorld([{ chain }]).sync(), 9, 6)
    expect(amountsOf(outcomeOf(world))).toEqual([200])
    expect(amountsOf(outcomeOf(ask(new LightWorld([{ chain }]).sync(), 1, 1)))).toEqual([])
  })

  test("of any chain of payments are those of its state", () => {
    for (let seed = 0; seed < 25; seed++) {
      const dice = makeDice(seed)
      const own = newChain(3)
      for (let i = 0; i < 20; i++) {
        const from = dice.int(3)
        const held = coinsOf(own, from).some(({ amount }) => amount > 1_000)
        own.mine(1, held && dice.chance(0.8) ? [pay(own, from, dice.int(4), 1 + dice.int(900))] : [], dice.int(5))
      }
      for (const key of [0, 2, 3, 4]) finds(ask(new LightWorld([{ chain: own }, { chain: own }]).sync(), key), own, key)
    }
  }, 60_000)

  test("are proven one by one, and it says how many are", () => {
    const own = newChain()
    const [coin] = coinsOf(own, 0)
    const outputs = Array.from({ length: 120 }, () => [9, 10] as const)
    own.mine(1, [payment({ inputs: [coin!], outputs, by: [0] })])
    let left = 50
    const slow = {
      chain: own,
      lie: (answer: LightAnswer) => (answer.tag === "PRF" && left-- === 0 ? undefined : answer)
    }
    const world = ask(new LightWorld([slow]).sync(), 9)
    expect(world.client.coins!.progress).toEqual({ proven: 50, of: 120 })
    expect(outcomeOf(world)).toEqual({ _tag: "Unproven", stale: 0 })
    finds(ask(new LightWorld([{ chain: own }]).sync(), 9), own, 9)
  })

  test("cannot be told if nobody keeps filters", () => {
    expect(outcomeOf(ask(new LightWorld([{ chain, filters: false }]).sync(), 9))).toEqual({ _tag: "Unfound" })
  })
})

describe("while the chain moves", () => {
  test("a reorganisation takes a coin away, and gives one back that was spent", () => {
    const short = chain.fork(7)
    short.mine(1, [pay(short, 0, 9, 5_000)])
    short.mine(1)
    const world = new LightWorld([{ chain: short }, { chain: short }]).sync()
    finds(ask(world, 9), short, 9)
    const before = truthOf(short, 9)
    expect([before.includes(5_000), before.includes(300)]).toEqual([true, true])
    // The heavier branch comes when coins are being proven, or while filters are asked.
    for (const at of ["GPF", "GFL", "GFH"]) {
      const turning = new TurningWorld([{ chain: short }, { chain }], ({ tag }) => tag === at)
      finds(ask(turning.sync(), 9), chain, 9)
      expect([turning.turned, turning.codes, truthOf(chain, 9).includes(5_000)]).toEqual([1, [], false])
    }
  })

  test("a coin that is spent while it is proven is not taken for a hidden spend, and what came in its place is found", () => {
    const grown = chain.fork(10)
    grown.mine(1, [pay(grown, 9, 9, 50)])
    const turning = new TurningWorld([{ chain }, { chain: grown }], ({ tag }) => tag === "GPF")
    finds(ask(turning.sync(), 9), grown, 9)
    expect([truthOf(grown, 9), turning.codes]).toEqual([[50, 100, 149], []])
  })

  test("what was proven before a block came is proven anew as of it", () => {
    // One coin is proven; then both are spent, of which the filters tell only the second.
    const grown = chain.fork(10)
    const [first, second] = coinsOf(grown, 9).toSorted((a, b) => a.height - b.height)
    grown.mine(1, [payment({ inputs: [second!], outputs: [[2, second!.amount - 1]], by: [9] })])
    grown.mine(1, [payment({ inputs: [first!], outputs: [[2, first!.amount - 1]], by: [9] })])
    const hiding = blind(grown, (height) => height === 12)
    const turning = new TurningWorld([{ chain }, hiding], ({ tag }, count) => tag === "GPF" && count > 1)
    expect(outcomeOf(ask(turning.sync(), 9))).toEqual({ _tag: "Unfound" })
    expect(turning.codes).toEqual(["0 spend-hidden", "1 spend-hidden"])
  })

  test("whenever blocks come and branches turn: what is told is what the state has after the block that is named", () => {
    const turns = { of: 0, late: 0 }
    for (let seed = 0; seed < 150; seed++) {
      const dice = makeDice(seed)
      const chains = [newChain()]
      chains[0]!.mine(4, [split(chains[0]!)])
      for (let i = 0; i < 5; i++) chains.push(next(chains.at(-1)!, dice))
      const often = 0.1 + dice.int(4) / 10
      const world = new TurningWorld(
        chains.map((one) => ({ chain: one })),
        () => dice.chance(often)
      )
      const outcome = outcomeOf(ask(world.sync(), 9))
      expect([seed, outcome._tag, world.codes]).toEqual([seed, "Found", []])
      if (outcome._tag !== "Found") continue
      const { header } = outcome
      const of = chains.find(({ store }) => store.bestAt(header.height)?.header.id === header.id)!
      expect([seed, amountsOf(outcome)]).toEqual([seed, truthOf(of.fork(header.height), 9)])
      turns.of += world.turned
      turns.late += header.id === chains[0]!.store.tip().header.id ? 0 : 1
    }
    expect([turns.of > 300, turns.late > 100]).toEqual([true, true])
  }, 60_000)
})

/** Key 0 gives key 9 six coins. */
const split = (of: TestChain): PaymentTransaction => {
  const outputs = [1, 2, 3, 4, 5, 6].map((i) => [9, 100 * i] as const)
  return payment({ inputs: [coinsOf(of, 0)[0]!], outputs, by: [0] })
}

/** What comes after a chain: more blocks, or a heavier branch from some blocks below; key 9 spends and is paid in them. */
const next = (of: TestChain, dice: Dice): TestChain => {
  const { height } = of.store.tip().header
  const fork = dice.chance(0.5) ? height : Math.max(1, height - 1 - dice.int(5))
  const other = of.fork(fork)
  for (let added = 0; added <= height - fork + dice.int(2); added++) {
    const held = coinsOf(other, 9)
    const coin = held.length === 0 || dice.chance(0.4) ? undefined : dice.pick(held)
    const spend = (from: typeof coin & object) =>
      payment({ inputs: [from], outputs: [[dice.pick([2, 9]), from.amount - 1]], by: [9] })
    other.mine(1, coin === undefined || coin.amount < 2 ? [] : [spend(coin)], 50 + dice.int(3))
  }
  return other
}

/** Two peers that have the next chain of a list from some asks on; `turns` says from which, given how many there were of its kind. */
class TurningWorld extends LightWorld {
  turned = 0
  constructor(stages: ReadonlyArray<FakePeer>, turns: (ask: LightAsk, count: number) => boolean) {
    const counts = new Map<string, number>()
    const lie = (_: LightAnswer, ask: LightAsk): LightAnswer | undefined => {
      const count = (counts.get(ask.tag) ?? 0) + 1
      counts.set(ask.tag, count)
      if (this.turned + 1 < stages.length && turns(ask, count)) this.turn(peers, stages[++this.turned]!.chain)
      const { chain: now, lie: bend } = stages[this.turned]!
      const truth = LightWorld.truth(now, ask)
      return bend === undefined ? truth : bend(truth, ask)
    }
    const peers = [0, 1].map(() => ({ chain: stages[0]!.chain, lie }))
    super(peers)
  }

  private turn(peers: ReadonlyArray<{ chain: TestChain }>, to: TestChain): void {
    for (const peer of peers) peer.chain = to
    this.now = Math.max(this.now, to.now)
    this.sync()
  }
}

describe("a peer that lies", () => {
  const yesterday = chain.fork(7)
  const coin = { id: spent.payment.inputs[0]!.id, index: spent.payment.inputs[0]!.index }

  test("and hides a spend by its filters is found out by a proof of the state, with nobody else to ask", () => {
    const liar = blind(chain, (height) => height === 8)
    const world = ask(new LightWorld([liar]).sync(), 9)
    expect(outcomeOf(world)).toEqual({ _tag: "Unfound" })
    expect(world.codes).toEqual(["0 spend-hidden"])
    expect(world.client.dropped[0]!.message).toContain(`${toHex(coin.id)}:${coin.index}`)
  })

  test("with another that says the same: both go", () => {
    const liar = blind(chain, (height) => height === 8)
    const world = ask(new LightWorld([liar, liar, { chain, filters: false }]).sync(), 9)
    expect(outcomeOf(world)._tag).toBe("Unfound")
    expect(world.codes).toEqual(["0 spend-hidden", "1 spend-hidden"])
  })

  test("and hides a spend or a payment by its filters beside an honest one is found out by the block", () => {
    for (const hidden of [8, 3]) {
      const world = ask(new LightWorld([blind(chain, (height) => height === hidden), { chain }]).sync(), 9)
      finds(world, chain, 9)
      expect(world.codes).toEqual(["0 filter-header-wrong"])
    }
  })

  test("and alone hides a payment takes it from what is found: that is what the word of one peer is worth", () => {
    const world = ask(new LightWorld([blind(chain, (height) => height === 3)]).sync(), 9)
    expect([amountsOf(outcomeOf(world)), world.codes]).toEqual([[200], []])
  })

  test("and proves a coin that is spent by the state of an older block is out of date, and the next is asked", () => {
    // It hides the spend and vouches for the coin as it was; alone it can prove nothing of today.
    const hiding = blind(chain, (height) => height === 8)
    const liar: FakePeer = {
      chain,
      lie: (answer, question) =>
        question.tag === "GPF" ? LightWorld.truth(yesterday, question) : hiding.lie!(answer, question)
    }
    expect(outcomeOf(ask(new LightWorld([liar]).sync(), 9))).toEqual({ _tag: "Unproven", stale: 1 })
    const world = ask(new LightWorld([liar, { chain, filters: false }]).sync(), 9)
    expect(outcomeOf(world)._tag).toBe("Unfound")
    expect(world.codes).toEqual(["0 spend-hidden"])
    finds(ask(new LightWorld([provingAs(chain, yesterday), { chain }]).sync(), 9), chain, 9)
  })

  test("and proves a coin by the state of a branch of its own is not believed, one that bends a bit is dropped, and the next is asked", () => {
    const own = chain.fork(7)
    own.mine(2, [], 50)
    const bent: FakePeer = {
      chain,
      lie: (answer) =>
        answer.tag === "PRF"
          ? { ...answer, proof: answer.proof.map((byte, i) => (i === 270 ? byte ^ 1 : byte)) }
          : answer
    }
    for (const [liar, codes] of [
      [provingAs(chain, own), []],
      [bent, ["0 proof-root-wrong"]]
    ] as const) {
      const world = ask(new LightWorld([liar, { chain }]).sync(), 9)
      finds(world, chain, 9)
      expect(world.codes).toEqual([...codes])
    }
  })
})
