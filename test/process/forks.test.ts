/** Two real nodes that mined apart and are joined: one head within a bound, nothing paid is lost, and no block is half applied. */
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import { type ChainSpec, type DifficultyRule, formatSpec } from "../../src/block/genesis.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { call } from "../../src/http/client.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import { specOf } from "../fixtures.ts"
import { until } from "../network.ts"
import { accountWallet, coinWallet, type TestWallet } from "../wallet.ts"
import { run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
/** A seed is dialled within a second; 1,000 blocks take some three more to come and to be landed, and a busy machine has its time. */
const agreeMsMax = 20_000
/** Transfers that each side confirms before they are joined, one behind the other in its branch. */
const paysMax = 3

const mine = async (node: Running, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await call(node.http, "mine", { body: {} })
}
const statsOf = async ({ http }: Running) => (await call(http, "stats")).stats
const whereabouts = async ({ http }: Running, { id }: Transaction): Promise<string> =>
  (await call(http, "transaction", { params: { id: toHex(id) } })).status

/** The suite for a chain. */
const forksOn = (name: string, spec: ChainSpec, wallet: TestWallet): void => {
  const at = (...names: ReadonlyArray<string>): string => join(home.path, name, ...names)
  const file = join(home.path, `${name}.json`)
  writeFileSync(file, JSON.stringify(formatSpec(spec)))
  // Whoever is told to mine by the clock does not also mine for each transfer.
  const open = (folder: string, ...more: ReadonlyArray<string>): Promise<Running> =>
    begin("--dev", "--spec", file, "--data-dir", at(folder), "--seal-every", "86400", ...more)

  /** Lets a node confirm its own transfers and so many blocks. */
  const grow = async (node: Running, own: ReadonlyArray<Transaction>, blocks: number): Promise<void> => {
    for (const [n, one] of own.entries()) {
      await call(node.http, "submit", { body: wallet.body(one) })
      await mine(node, Math.ceil((blocks - n) / own.length))
    }
  }

  /** Two nodes that grow apart, and then a third start of the first, which now knows the second. */
  const joinAfter = async (folder: string, blocks: { readonly losing: number; readonly winning: number }) => {
    const folders = [`${folder}-a`, `${folder}-b`] as const
    let a = await open(folders[0])
    const b = await open(folders[1])
    const time = Date.now()
    const [lost, won] = [blocks.losing, blocks.winning].map((count, from) =>
      Array.from({ length: Math.min(count, paysMax) }, (_, i) => wallet.pay({ from, to: 9, nth: i + 1, time }))
    )
    await Promise.all([grow(a, lost!, blocks.losing), grow(b, won!, blocks.winning)])
    const [ours, theirs] = [await statsOf(a), await statsOf(b)]
    expect([ours.blocks, theirs.blocks]).toEqual([blocks.losing + 1, blocks.winning + 1])
    await a.stop()
    a = await open(folders[0], "--p2p-seeds", b.peers)
    const heads = { before: ours.last_block_hash, after: theirs.last_block_hash }
    return { a, b, folders, lost: lost!, won: won!, heads }
  }

  const agree = (a: Running, head: string): Promise<void> =>
    until("both have one head", async () => (await statsOf(a)).last_block_hash === head, agreeMsMax)

  /** The folder's chain holds when it is replayed from genesis; its tip. */
  const verify = async (folder: string): Promise<string> => {
    const { code, out } = await run("verify", "--data-dir", at(folder))
    const verdict = JSON.parse(out) as { readonly valid: boolean; readonly tip: string }
    expect([code, verdict.valid]).toEqual([0, true])
    return verdict.tip
  }

  describe(`${name}: nodes that mined apart and are joined`, () => {
    test.each([
      ["5 against 3", 3, 5],
      ["1 deep", 1, 2],
      ["2 deep", 2, 3],
      ["3 deep", 3, 4],
      ["10 deep", 10, 11],
      ["100 deep", 100, 101],
      ["1,000 deep", 1000, 1001]
    ])(
      "%s: have one head, and the loser's transfers again",
      async (title, losing, winning) => {
        const { a, b, folders, lost, won, heads } = await joinAfter(title.replace(/\W+/g, "-"), { losing, winning })
        await agree(a, heads.after)
        for (const node of [a, b]) for (const one of won) expect(await whereabouts(node, one)).toBe("confirmed")
        for (const one of lost) expect(await whereabouts(a, one)).toBe("pending")
        await mine(a, 1)
        await agree(b, (await statsOf(a)).last_block_hash)
        for (const node of [a, b]) for (const one of lost) expect(await whereabouts(node, one)).toBe("confirmed")
        expect([await a.stop(), await b.stop()]).toEqual([0, 0])
        expect(await verify(folders[0])).toBe(await verify(folders[1]))
      },
      60_000
    )

    test("killed again and again while it changes branches, the loser has one or the other, whole", async () => {
      const { a, b, folders, lost, heads } = await joinAfter("killed", { losing: 300, winning: 301 })
      const seen: Array<string> = []
      let node = a
      for (let kills = 0; kills < 8 && !seen.includes(heads.after); kills++) {
        await until("blocks come", async () => {
          const { sync, last_block_hash } = await statsOf(node)
          return sync.state === "bodies" || last_block_hash === heads.after
        })
        // Each time somewhat later: while bodies come, while the branches change, after it.
        await Bun.sleep(30 * kills)
        await node.stop("SIGKILL")
        seen.push(await verify(folders[0]))
        node = await open(folders[0], "--p2p-seeds", b.peers)
      }
      expect(seen.filter((tip) => tip !== heads.before && tip !== heads.after)).toEqual([])
      await agree(node, heads.after)
      for (const one of lost) expect(await whereabouts(node, one)).toBe("pending")
    }, 60_000)
  })
}

const difficulty: DifficultyRule = { rule: "fixed", blockMs: 1000, bits: 1 }
forksOn("accounts", specOf({ difficulty }), accountWallet)

const coins = specOf({ difficulty, model: "utxo" })
forksOn("coins", coins, coinWallet(coins))
