/** Headers from peers: the most work wins, however it comes in; who breaks a rule is dropped with its own code. */
import { describe, expect, test } from "bun:test"
import { forge, specOf, TestChain } from "../../test/fixtures.ts"
import { type FakePeer, LightWorld, rowsOf } from "../../test/light.ts"
import { authorityHeaderBytes, decodeHeader, headerBytes, splitHeaders } from "../block/header.ts"
import { packPage } from "../block/packed.ts"
import { toHex } from "../codec/bytes.ts"
import type { Millis } from "../ledger/transaction.ts"
import type { Claim } from "./follow.ts"
import { Branch } from "./header-chain.ts"
import type { LightAnswer } from "../peer/message.ts"
import { makeDice } from "../sim/dice.ts"

const asert = { rule: "asert", blockMs: 1000, halfLifeMs: 60_000, bitsStart: 6, bitsMin: 4 } as const

const stands = ({ client, disk }: LightWorld, chain: TestChain): void => {
  expect(client.chain.tip.id).toBe(chain.store.tip().header.id)
  expect(client.chain.work).toBe(chain.store.tip().work)
  expect(toHex(disk)).toBe(toHex(rowsOf(chain)))
}

/** A peer that gives a page of headers of a chain as it is, without judging it. */
const giving = (chain: TestChain, bent: (answer: Extract<LightAnswer, { tag: "PHD" }>) => LightAnswer): FakePeer => ({
  chain,
  lie: (answer) => (answer.tag === "PHD" ? bent(answer) : answer)
})

describe("following", () => {
  test("a chain is followed from the genesis, page by page, and each header is asked for once", () => {
    const chain = new TestChain(specOf({ difficulty: asert }))
    chain.mine(250)
    const world = new LightWorld([{ chain }, { chain }, { chain }], { pageMax: 100 }).sync()
    stands(world, chain)
    expect(world.asks.length).toBe(3)
    expect(world.client.follow.settled).toBe(true)
  })

  test("however the pages are cut, the same headers, work and bytes come out", () => {
    for (let seed = 0; seed < 12; seed++) {
      const dice = makeDice(seed)
      const chain = new TestChain(specOf({ difficulty: asert }))
      const world = new LightWorld([{ chain }], { pageMax: 1 + dice.int(12) })
      for (let round = 0; round < 4; round++) {
        chain.now += dice.int(30_000)
        chain.mine(dice.int(30))
        world.now = chain.now
        world.sync()
        stands(world, chain)
      }
    }
  })

  test("a chain of authorities is followed through turns that were missed, in rows of its longer headers", () => {
    const chain = new TestChain(specOf({ authorities: 5 }))
    chain.mine(40)
    chain.now += 7_000
    chain.mine(23)
    const world = new LightWorld([{ chain }, { chain }], { pageMax: 20 }).sync()
    stands(world, chain)
    expect(world.disk.length).toBe(63 * authorityHeaderBytes)
    const again = new LightWorld([{ chain }], { disk: world.disk })
    expect(again.client.chain.tip.id).toBe(chain.store.tip().header.id)
    // A row whose seal is bent is cut off, with all that follow on it.
    const bent = world.disk.slice()
    bent[30 * authorityHeaderBytes + 300]! ^= 1
    expect(new LightWorld([{ chain }], { disk: bent }).client.chain.tip.height as number).toBe(30)
  })

  test("a false seal costs its sender its place, and the honest peer is followed", () => {
    const chain = new TestChain(specOf({ authorities: 5 }))
    chain.mine(30)
    const liar = giving(chain, (answer) => {
      const page = answer.page.slice()
      page[page.length - 1]! ^= 1
      return { ...answer, page }
    })
    const world = new LightWorld([liar, { chain }]).sync()
    stands(world, chain)
    expect(world.codes).toEqual(["0 signature-wrong"])
  })

  test.each([1, 10, 100])(
    "a heavier branch that parts %i blocks below the tip takes over, an equal one does not",
    (depth) => {
      const chain = new TestChain()
      chain.mine(120)
      const rival = chain.fork(120 - depth)
      rival.mine(depth, [], 7)
      const world = new LightWorld([{ chain }, { chain: rival }], { pageMax: 30 }).sync()
      stands(world, chain)
      rival.mine(1, [], 7)
      stands(world.sync(), rival)
      expect(world.undone.filter((undone) => undone > 0)).toEqual([depth])
      chain.mine(2)
      stands(world.sync(), chain)
      expect(world.undone.filter((undone) => undone > 0)).toEqual([depth, depth + 1])
      expect(world.codes).toEqual([])
    }
  )

  test("of two branches with equal work the first stays, also when the other is shown", () => {
    const [chain, rival] = [new TestChain(), new TestChain()]
    chain.mine(3)
    rival.mine(3, [], 7)
    const { client, now } = new LightWorld([{ chain }], { disk: rowsOf(chain) })
    const branch = new Branch(client.chain, 0)
    for (const row of splitHeaders(rowsOf(rival))) expect(branch.accepts(decodeHeader(row.slice())!, now)).toBe(true)
    expect([client.chain.adopt(branch), client.chain.tip.id]).toEqual([undefined, chain.store.tip().header.id])
  })

  test("a restart goes on from what is stored, and cuts off what does not hold", () => {
    const chain = new TestChain(specOf({ difficulty: asert }))
    chain.mine(60)
    const { disk } = new LightWorld([{ chain }]).sync()
    chain.mine(5)
    const again = new LightWorld([{ chain }], { disk, pageMax: 10 }).sync()
    stands(again, chain)
    expect(again.asks.length).toBe(1)
    const torn = new LightWorld([{ chain }], { disk: disk.subarray(0, 40 * headerBytes + 100) })
    expect<number>(torn.client.chain.tip.height).toBe(40)
    const bent = disk.slice()
    bent[20 * headerBytes + 90]! ^= 1
    const cut = new LightWorld([{ chain }], { disk: bent })
    expect<number>(cut.client.chain.tip.height).toBe(20)
    stands(cut.sync(), chain)
  })
})

describe("a peer that lies is dropped, and an honest one is followed all the same", () => {
  const honest = new TestChain(specOf({ difficulty: asert }))
  honest.mine(40)
  const more = (truth: Claim): Claim => ({
    ...truth,
    work: truth.work + 10_000n
  })
  const codesOf = (liar: FakePeer): ReadonlyArray<string> => {
    const world = new LightWorld([{ ...liar, claim: more }, { chain: honest }])
    // The liar claims the most, so it is asked first.
    world.run(
      world.client.claimed(0, more({ height: 99, work: honest.store.tip().work, hash: new Uint8Array(32) }), world.now)
    )
    world.sync()
    stands(world, honest)
    return world.codes
  }

  test("more work than it can show", () => {
    expect(codesOf({ chain: honest })).toEqual(["0 work-unproven"])
    expect(codesOf(giving(honest, (answer) => ({ ...answer, page: new Uint8Array(0) })))).toEqual(["0 work-unproven"])
  })

  test("a page that follows on a block that it was not asked for, and one of another form", () => {
    const elsewhere = (answer: LightAnswer): LightAnswer =>
      ({ ...answer, after: new Uint8Array(32).fill(7) }) as LightAnswer
    expect(codesOf(giving(honest, elsewhere))).toEqual(["0 headers-unlinked"])
    const cut = giving(honest, (answer) => ({ ...answer, page: answer.page.subarray(0, -1) }))
    expect(codesOf(cut)).toEqual(["0 headers-malformed"])
  })

  test("headers without the work: one bit of one, or a chain of an easier difficulty", () => {
    const bent = giving(honest, (answer) => {
      const page = answer.page.slice()
      page[60]! ^= 1
      return { ...answer, page }
    })
    expect(codesOf(bent)).toEqual(["0 seal-wrong"])
    const easy = new TestChain(specOf({ difficulty: { ...asert, bitsStart: 4 } }))
    easy.mine(40)
    const rows = easy.store.db.query<{ header: Uint8Array }, []>("SELECT header FROM headers ORDER BY height").all()
    const [genesis, ...blocks] = rows.map(({ header }) => header)
    const after = honest.store.bestAt(0)!.header.hash
    expect(codesOf(giving(honest, (answer) => ({ ...answer, after, page: packPage(genesis!, blocks) })))).toEqual([
      "0 seal-wrong"
    ])
  })

  test("times that the rules forbid, with the work done", () => {
    const fork = honest.fork(30)
    const tip = fork.store.tip().header
    const codeAt = (time: number): ReadonlyArray<string> => {
      const { header } = forge(fork.next(), { time: time as Millis })
      const page = packPage(tip.bytes, [header.bytes])
      const liar = giving(honest, (answer) => ({ ...answer, after: tip.hash, page }))
      // Who has the honest headers up to the fork asks from there.
      return new LightWorld([{ ...liar, claim: more }], { disk: rowsOf(fork) }).sync().codes
    }
    expect(codeAt(tip.time - 20_000)).toEqual(["0 time-too-early"])
    expect(codeAt(tip.time + 3 * 60 * 60 * 1000)).toEqual(["0 time-too-far-ahead"])
  })
})
