/** Filters: everything that concerns an address is found, nothing is asked that names it, and who lies is found out. */
import { beforeAll, describe, expect, test } from "bun:test"
import { keyOf, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { blind, type FakePeer, LightWorld } from "../../test/light.ts"
import { concat } from "../codec/bytes.ts"
import { checkpointBlocks } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"

/** A chain with payments to and from key 1 at known heights, across checkpoints. */
const chain = new TestChain()
const paidAt: Array<number> = []

beforeAll(() => {
  const dice = makeDice(1)
  let nonce = 1
  while (chain.store.tip().header.height < 2 * checkpointBlocks + 300) {
    const height = chain.store.tip().header.height + 1
    const concerns = height % 211 === 5
    const to = concerns ? 1 : 2 + dice.int(40)
    chain.mine(1, dice.chance(0.1) || concerns ? [transfer({ from: 0, to, nonce: nonce++, amount: 1 })] : [])
    if (concerns) paidAt.push(height)
  }
})

const scan = (peers: ReadonlyArray<FakePeer>, from = 0, key = 1): LightWorld => {
  const world = new LightWorld(peers).sync()
  world.run(world.client.askScan({ elements: [keyOf(key).address], from }, world.now))
  return world
}
const heightsOf = ({ client }: LightWorld): ReadonlyArray<number> =>
  client.scan!.found.map(({ header }) => header.height)
const finds = (world: LightWorld, heights: ReadonlyArray<number> = paidAt): void => {
  expect([world.client.scan!.done, world.client.scan!.failed, heightsOf(world)]).toEqual([true, false, heights])
}

describe("a scan", () => {
  test("finds what concerns an address and downloads little else", () => {
    const world = scan([{ chain }, { chain }])
    finds(world)
    const { counts, agreeing } = world.client.scan!
    expect([counts.filters, agreeing.length]).toEqual([2 * checkpointBlocks + 300, 2])
    expect(counts.blocks - paidAt.length).toBeLessThan(3)
  })

  test("from a height on, and of who has sealed", () => {
    finds(
      scan([{ chain }], 1500),
      paidAt.filter((height) => height >= 1500)
    )
    const sealed = scan([{ chain }], 2250, 99)
    finds(
      sealed,
      Array.from({ length: 51 }, (_, i) => 2250 + i)
    )
    expect(sealed.client.scan!.found[0]?.kind).toBe("proposed")
  })

  test("of who has sealed on a chain of coins finds the coinbase, once a block, which says how much", () => {
    const coins = new TestChain(specOf({ model: "utxo" }))
    coins.mine(3)
    const world = new LightWorld([{ chain: coins }]).sync()
    world.run(world.client.askScan({ elements: [keyOf(99).address], from: 0 }, world.now))
    const kinds = world.client.scan!.found.map((found) => found.kind === "transaction" && found.transaction.kind)
    expect(kinds).toEqual(["coinbase", "coinbase", "coinbase"])
  })

  test("of an address that nobody has paid finds nothing", () => finds(scan([{ chain }], 0, 5000), []))

  test("begins anew when the branch that it looks at goes, and does not take answers of before for new ones", () => {
    const short = chain.fork(2290)
    short.mine(5, [], 98)
    const world = new LightWorld([{ chain: short }, { chain }])
    world.run(world.client.claimed(0, claim(short), world.now))
    expect<number>(world.client.chain.tip.height).toBe(2295)
    // The page that turns the branch comes while both are asked about the old one.
    const news = world.client.claimed(1, claim(chain), world.now)
    const elements = [keyOf(1).address, keyOf(98).address]
    world.run([...news, ...world.client.askScan({ elements, from: 0 }, world.now)])
    expect(world.codes).toEqual([])
    finds(world)
  })
})

const claim = ({ store }: TestChain) => {
  const { header, work } = store.tip()
  return { height: header.height, work, hash: header.hash }
}

/** A peer whose filters from a height on leave out everything. */
const blindFrom = (from: number): FakePeer => blind(chain, (height) => height >= from)

describe("a peer that lies is found by one block, and what it hid is found", () => {
  test.each([1, 500, 1000, 1001, 2290])(
    "filters that leave things out from height %i on, among honest peers",
    (from) => {
      for (const peers of [
        [blindFrom(from), { chain }],
        [{ chain }, { chain }, blindFrom(from)]
      ]) {
        const world = scan(peers)
        expect(world.codes).toEqual([`${peers.length === 2 ? 0 : 2} filter-header-wrong`])
        finds(world)
        expect(world.asks.filter(([, tag]) => tag === "GBL").length).toBeLessThan(paidAt.length + 5)
      }
    }
  )

  test("two liars that differ from each other", () => {
    const world = scan([blindFrom(700), { chain }, blindFrom(1700)])
    expect([...world.codes].sort()).toEqual(["0 filter-header-wrong", "2 filter-header-wrong"])
    finds(world)
  })

  test("filters that are not those of the agreed headers, malformed ones, and too many", () => {
    const bent = (change: (filters: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>): FakePeer => ({
      chain,
      lie: (answer) => (answer.tag === "FLT" ? { ...answer, filters: change(answer.filters) } : answer)
    })
    const empty = (filters: ReadonlyArray<Uint8Array>) => filters.map((one, i) => (i === 4 ? new Uint8Array([0]) : one))
    for (const [change, code] of [
      [empty, "filter-wrong"],
      [(filters) => filters.map((one, i) => (i === 3 ? concat(one, new Uint8Array(9)) : one)), "filter-malformed"],
      [(filters) => [...filters, ...filters.slice(0, 1)].slice(-1000), "filter-wrong"]
    ] as ReadonlyArray<readonly [typeof empty, string]>) {
      const world = scan([bent(change), { chain }])
      expect(world.codes).toEqual([`0 ${code}`])
      finds(world)
    }
  })

  test("a false genesis, too few headers, and single headers that contradict its own checkpoints", () => {
    const heads = (change: (headers: Uint8Array, every: number) => Uint8Array): FakePeer => ({
      chain,
      lie: (answer, ask) =>
        answer.tag === "FHD" && ask.tag === "GFH" ? { ...answer, headers: change(answer.headers, ask.every) } : answer
    })
    const bit = (at: number) => (bytes: Uint8Array) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
    const pointsOnly = (bytes: Uint8Array, every: number) => (every > 1 ? bit(40)(bytes) : bytes)
    for (const change of [bit(0), (bytes: Uint8Array) => bytes.subarray(32), bit(40), pointsOnly]) {
      const world = scan([heads(change), { chain }])
      expect(world.codes).toEqual(["0 filter-header-wrong"])
      finds(world)
    }
  })

  test("a block whose body is another than its header's", () => {
    const swapped: FakePeer = { chain, block: (bytes) => concat(bytes.subarray(0, 212), new Uint8Array(8)) }
    const world = scan([swapped, { chain }])
    expect(world.codes).toEqual(["0 transaction-root-wrong"])
    finds(world)
  })

  test("who has no filters or gives no blocks is left alone, and others are asked", () => {
    const none: FakePeer = {
      chain,
      lie: (answer) => (answer.tag === "FHD" ? { ...answer, headers: new Uint8Array(0) } : answer)
    }
    const world = scan([none, { chain, block: () => undefined }, { chain }])
    expect(world.codes).toEqual([])
    finds(world)
    expect(scan([none]).client.scan!.failed).toBe(true)
    expect(scan([{ chain, filters: false }]).client.scan!.failed).toBe(true)
  })
})
