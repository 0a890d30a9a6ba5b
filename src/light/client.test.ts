/** Whatever a peer answers, nothing throws, only that peer is dropped, and beside an honest one everything is found all the same. */
import { expect, test } from "bun:test"
import { coinsOf, keyOf, payment, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { type FakePeer, LightWorld } from "../../test/light.ts"
import { coinKey } from "../ledger/coin.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import type { LightAnswer } from "../peer/message.ts"

const chain = new TestChain()
const paidAt = [3, 40, 1015, 1100]
for (let nonce = 1; nonce <= paidAt.length; nonce++) {
  chain.mine(paidAt[nonce - 1]! - 1 - chain.store.tip().header.height)
  chain.mine(1, [transfer({ from: 0, to: 1, nonce })])
}
chain.mine(30)

/** Bytes with something changed, cut to whole units of a size. */
const bent = (dice: Dice, bytes: Uint8Array, unit: number, max: number): Uint8Array => {
  const out = dice.mutate(bytes)
  return out.slice(0, Math.min(max, out.length - (out.length % unit)))
}

const lie = (dice: Dice, answer: LightAnswer): LightAnswer | undefined => {
  if (dice.chance(0.05)) return undefined
  if (dice.chance(0.4)) return answer
  switch (answer.tag) {
    case "PHD":
      return dice.chance(0.2)
        ? { ...answer, after: dice.bytes(32) }
        : { ...answer, page: bent(dice, answer.page, 1, 266_000) }
    case "PRF":
      return { ...answer, proof: bent(dice, answer.proof, 1, 16_384) }
    case "FHD":
      return { ...answer, headers: bent(dice, answer.headers, 32, 64_000) }
    case "FLT": {
      const filters = answer.filters.map((filter) => (dice.chance(0.01) ? atLeastOne(dice.mutate(filter)) : filter))
      return { ...answer, filters: dice.chance(0.5) ? filters : filters.slice(dice.int(3), dice.int(1_000)) }
    }
  }
}

/** A filter of a message has at least a byte. */
const atLeastOne = (bytes: Uint8Array): Uint8Array => (bytes.length === 0 ? new Uint8Array(1) : bytes)

const liarOf = (dice: Dice, of = chain): FakePeer => ({
  chain: of,
  lie: (answer) => lie(dice, answer),
  claim: (truth) =>
    dice.chance(0.5) ? truth : { ...truth, work: truth.work + BigInt(dice.int(1000)), hash: dice.bytes(32) },
  block: (bytes) => (dice.chance(0.2) ? undefined : dice.chance(0.5) ? bytes : keepHeader(bytes, dice.mutate(bytes)))
})

/** A session takes a block for the one that was asked for only if its header is the same. */
const keepHeader = (bytes: Uint8Array, other: Uint8Array): Uint8Array => {
  const out = new Uint8Array(Math.max(212, other.length))
  out.set(other)
  out.set(bytes.subarray(0, 212))
  return out
}

test("a peer that answers at random beside an honest one", () => {
  const dropped = new Map<string, number>()
  for (let seed = 0; seed < 60; seed++) {
    const dice = makeDice(seed)
    const honestAt = dice.int(2)
    const peers = honestAt === 0 ? [{ chain }, liarOf(dice)] : [liarOf(dice), { chain }]
    const world = new LightWorld(peers, { pageMax: 1 + dice.int(600) }).sync().sync()
    expect(world.client.chain.tip.id).toBe(chain.store.tip().header.id)
    const elements = [keyOf(1).address]
    world.run(world.client.askScan({ elements, from: 0 }, world.now))
    world.run(world.client.askProof(keyOf(1).address, world.now))
    world.now += 60_000
    world.run(world.client.tick(world.now))
    expect([
      seed,
      world.client.scan!.done,
      world.client.scan!.found.map(({ header }) => header.height as number)
    ]).toEqual([seed, true, paidAt])
    expect(world.client.prove!.outcome).toMatchObject({ _tag: "Proven" })
    expect(world.client.dropped.filter(({ session }) => session === honestAt)).toEqual([])
    for (const { code } of world.client.dropped) dropped.set(code, (dropped.get(code) ?? 0) + 1)
  }
  expect(dropped.size).toBeGreaterThan(5)
}, 60_000)

test("only such peers: nothing throws, and what was taken holds", () => {
  for (let seed = 0; seed < 40; seed++) {
    const dice = makeDice(1_000 + seed)
    const world = new LightWorld([liarOf(dice), liarOf(dice), liarOf(dice)], { pageMax: 1 + dice.int(600) }).sync()
    world.run(world.client.askScan({ elements: [keyOf(1).address], from: 0 }, world.now))
    world.run(world.client.askProof(keyOf(1).address, world.now))
    world.now += 60_000
    world.run(world.client.tick(world.now))
    const again = new LightWorld([{ chain }], { disk: world.disk }).sync()
    expect(again.client.chain.tip.id).toBe(chain.store.tip().header.id)
    expect(world.client.scan!.done || world.client.scan!.failed).toBe(true)
    expect(world.client.prove!.outcome).toBeDefined()
  }
}, 60_000)

test("the coins of an address, asked of a peer that answers at random beside an honest one", () => {
  const coins = new TestChain(specOf({ model: "utxo", maturity: 0 }))
  for (let i = 0; i < 30; i++) {
    const [coin] = coinsOf(coins, i % 3).toSorted((a, b) => b.amount - a.amount)
    const outputs = [[1, 10 + i] as const, [i % 3, coin!.amount - 11 - i] as const]
    coins.mine(1, [payment({ inputs: [coin!], outputs, by: [i % 3] })], 5 + (i % 3))
  }
  const names = coinsOf(coins, 1).map(coinKey).sort()
  const dropped = new Set<string>()
  for (let seed = 0; seed < 60; seed++) {
    const dice = makeDice(2_000 + seed)
    const honestAt = dice.int(2)
    const peers = honestAt === 0 ? [{ chain: coins }, liarOf(dice, coins)] : [liarOf(dice, coins), { chain: coins }]
    const world = new LightWorld(peers, { pageMax: 1 + dice.int(40) }).sync().sync()
    world.run(world.client.askCoins({ owner: keyOf(1).address, from: 0 }, world.now))
    for (let i = 0; i < 200 && world.client.coins!.outcome === undefined; i++) {
      world.now += 1_000
      world.run(world.client.tick(world.now))
    }
    const outcome = world.client.coins!.outcome!
    const found = outcome._tag === "Found" ? outcome.coins.map(coinKey).sort() : [outcome._tag]
    expect([seed, found]).toEqual([seed, names])
    expect(world.client.dropped.filter(({ session }) => session === honestAt)).toEqual([])
    for (const { code } of world.client.dropped) dropped.add(code)
  }
  expect(dropped.size).toBeGreaterThan(5)
}, 60_000)
