/** Whole nodes over real TLS: they find each other, agree, relay, part and meet again. */
import { afterEach, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, transfer } from "../fixtures.ts"
import { startNode, type TestNode, until } from "../network.ts"

const nodes: Array<TestNode> = []
const start = async (...wish: Parameters<typeof startNode>): Promise<TestNode> => {
  const node = await startNode(...wish)
  nodes.push(node)
  return node
}
afterEach(async () => {
  for (const node of nodes.splice(0).reverse()) await node.stop()
})

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)
const tipOf = ({ store }: TestNode): string => store.tip().header.id
const now = Date.now()

describe("one node", () => {
  test("takes a signed transfer, seals it on demand, and shows it in the account", async () => {
    const node = await start({ mining: { onDemand: true } })
    const paid = transfer({ from: 0, to: 1, nonce: 1, amount: 50, fee: 2, time: now })
    const { pending } = await run(node.tree.node.submit(paid))
    // It may be in a block by the time of the answer.
    expect(pending).toBeLessThanOrEqual(1)
    await until(
      "the transfer is in a block",
      async () => (await run(node.tree.node.transaction(paid.id)))?.block !== undefined
    )
    expect((await run(node.tree.node.account(keyOf(1).address))).balance).toBe(1_000_000_050 as never)
    expect((await run(node.tree.node.account(keyOf(0).address))).nonce).toBe(1 as never)
  })

  test("refuses what it must with its own code, and nothing changes", async () => {
    const node = await start()
    const codeOf = async (one: ReturnType<typeof transfer>) => {
      const error = await run(Effect.flip(node.tree.node.submit(one)))
      return error._tag === "TransactionRefused" ? error.reject.code : error._tag
    }
    await run(node.tree.node.submit(transfer({ from: 0, to: 1, nonce: 1, time: now })))
    expect(await codeOf(transfer({ from: 0, to: 1, nonce: 1, time: now }))).toBe("already-pending")
    expect(await codeOf(transfer({ from: 0, to: 2, nonce: 1, time: now }))).toBe("replacement-underpriced")
    expect(await codeOf(transfer({ from: 1, to: 2, nonce: 90, time: now }))).toBe("nonce-too-high")
    expect(await codeOf(transfer({ from: 1, to: 2, nonce: 1, amount: 2_000_000_000, time: now }))).toBe(
      "balance-too-low"
    )
    expect((await run(node.tree.node.stats())).pendingTransactions).toBe(1)
  })

  test("queues 40 transfers and opens its store again without walking the chain (defect 7: 22.7 s and 1.2 s there)", async () => {
    const node = await start({ mining: { onDemand: true } })
    const began = performance.now()
    for (let nonce = 1; nonce <= 40; nonce++)
      await run(node.tree.node.submit(transfer({ from: 0, to: 1, nonce, time: now })))
    const queued = performance.now() - began
    await until("they are in blocks", () =>
      node.store.isConfirmed(transfer({ from: 0, to: 1, nonce: 40, time: now }).id)
    )
    const opening = performance.now()
    new ChainStore(openDatabase(node.store.db.filename), node.tree.node.facts.rules).close()
    expect([queued < 5_000, performance.now() - opening < 300]).toEqual([true, true])
  })

  test("mines with a thread against a real target, and stops the thread with itself", async () => {
    const { specOf } = await import("../fixtures.ts")
    const node = await start({
      spec: specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 18 } }),
      mining: { threads: 1 }
    })
    await until("three blocks", () => node.store.tip().header.height >= 3, 60_000)
  })
})

describe("two nodes", () => {
  test("the second catches up headers first, then both follow each other's blocks and transfers", async () => {
    const first = await start()
    for (let i = 0; i < 30; i++) await run(first.tree.node.mine(undefined))
    const second = await start({ seeds: [first.endpoint] })
    await until("the second has caught up", () => tipOf(second) === tipOf(first))
    await run(second.tree.node.mine(undefined))
    await until("the first follows", () => tipOf(first) === tipOf(second))
    const paid = transfer({ from: 0, to: 1, nonce: 1, time: Date.now() })
    await run(first.tree.node.submit(paid))
    await until(
      "the second has the transfer",
      async () => (await run(second.tree.node.transaction(paid.id))) !== undefined
    )
    await run(second.tree.node.mine(undefined))
    await until(
      "the first has it confirmed",
      async () => (await run(first.tree.node.transaction(paid.id)))?.block !== undefined
    )
  })

  test("that grew apart agree on the heavier branch, and the lighter one's transfers wait again", async () => {
    const first = await start()
    const lost = transfer({ from: 0, to: 1, nonce: 1, time: Date.now() })
    await run(first.tree.node.submit(lost))
    await run(first.tree.node.mine(undefined))
    const lonely = await start()
    for (let i = 0; i < 4; i++) await run(lonely.tree.node.mine(undefined))
    const meeting = await start({ seeds: [first.endpoint, lonely.endpoint] })
    await until("all agree", () => tipOf(first) === tipOf(lonely) && tipOf(meeting) === tipOf(lonely))
    const found = await run(first.tree.node.transaction(lost.id))
    expect([found !== undefined, found?.block]).toStrictEqual([true, undefined])
  })

  test("of different chains do not speak", async () => {
    const { specOf } = await import("../fixtures.ts")
    const first = await start()
    const other = await start({ spec: specOf({ chainId: "other" }), seeds: [first.endpoint] })
    await until("the dial has failed", async () => (await run(other.tree.node.stats())).peers === 0)
    await run(first.tree.node.mine(undefined))
    await Bun.sleep(300)
    expect(other.store.tip().header.height as number).toBe(0)
  })
})

test("a block crosses five hops", async () => {
  const line = [await start()]
  for (let i = 0; i < 5; i++) line.push(await start({ seeds: [line.at(-1)!.endpoint] }))
  await until("a line of sessions", async () => {
    const stats = await Promise.all(line.map((node) => run(node.tree.node.stats())))
    return stats.every(({ peers }, i) => peers >= (i === 0 || i === 5 ? 1 : 2))
  })
  await run(line[0]!.tree.node.mine(undefined))
  await until("the last has it", () => tipOf(line[5]!) === tipOf(line[0]!), 3000)
})
