/** Snapshots with the built binary: made of a running node, loaded, refused, served at once, and their past proven both ways. */
import { beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { saveSpec } from "../../src/cli/data-folder.ts"
import { snapshotBlocksMax } from "../../src/limits.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { specOf, TestChain } from "../fixtures.ts"
import { until } from "../network.ts"
import { make, steal } from "../snapshots.ts"
import { binary, run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const at = (...names: ReadonlyArray<string>): string => join(home.path, ...names)
const file = at("chain.snapshot")

const height = snapshotBlocksMax + 40
const below = height - snapshotBlocksMax
let source: Running
let made: { readonly tip: string; readonly check: string; readonly state_root: string; readonly genesis: string }

const errorOf = ({ code, err }: Awaited<ReturnType<typeof run>>): unknown => [
  code,
  JSON.parse(err.trim().split("\n").at(-1)!).error?.code
]
const statsOf = async (node: Running) => (await call(node.http, "stats")).stats
const metric = async (node: Running, name: string): Promise<string | undefined> =>
  new RegExp(`^${name} (.*)$`, "m").exec(await (await fetch(`${node.http}/metrics`)).text())?.[1]

beforeAll(async () => {
  source = await begin("--dev", "--data-dir", at("source"))
  for (let i = 0; i < height; i++) await call(source.http, "mine", { body: {} })
}, 120_000)

test("is made beside a running node", async () => {
  const ended = await run("snapshot", "make", "--data-dir", at("source"), "--out", file)
  expect(ended.code).toBe(0)
  made = JSON.parse(ended.out)
  expect(made).toMatchObject({ height, state_height: below, tip: (await statsOf(source)).last_block_hash })
  expect(errorOf(await run("snapshot", "make", "--data-dir", at("source"), "--out", file))).toEqual([3, "file-exists"])
  const high = ["--height", String(height + 1), "--out", at("high")]
  const refused = await run("snapshot", "make", "--data-dir", at("source"), ...high)
  expect([errorOf(refused), readdirSync(home.path).sort()]).toEqual([
    [3, "snapshot-height-wrong"],
    ["chain.snapshot", "source"]
  ])
}, 60_000)

test("is refused where anything is wrong, and then nothing has changed", async () => {
  const good = readFileSync(file)
  const dice = makeDice(3)
  mkdirSync(at("kept"))
  writeFileSync(at("kept", "mine.txt"), "mine")
  for (let i = 0; i < 5; i++) {
    const bytes = new Uint8Array(good)
    bytes[8 + dice.int(bytes.length - 8)]! ^= 1 << dice.int(8)
    writeFileSync(at("bad.snapshot"), bytes)
    for (const name of ["kept", "absent"]) {
      const refused = await run("snapshot", "load", at("bad.snapshot"), "--data-dir", at(name))
      expect(errorOf(refused)).toEqual([3, expect.stringMatching(/^snapshot-(damaged|malformed)$/)])
    }
  }
  writeFileSync(at("bad.snapshot"), good.subarray(0, good.length / 2))
  const cut = await run("snapshot", "load", at("bad.snapshot"), "--data-dir", at("kept"))
  expect(errorOf(cut)).toEqual([3, "snapshot-malformed"])
  expect([readdirSync(at("kept")), existsSync(at("absent"))]).toEqual([["mine.txt"], false])

  expect((await run("init", "--spec", "cairn", "--data-dir", at("other"))).code).toBe(0)
  const before = readdirSync(at("other"))
  expect(errorOf(await run("snapshot", "load", file, "--data-dir", at("other")))).toEqual([3, "snapshot-chain-mismatch"])
  expect(errorOf(await run("snapshot", "load", file, "--data-dir", at("absent"), "--spec", "cairn"))).toEqual([
    3,
    "snapshot-chain-mismatch"
  ])
  expect([readdirSync(at("other")), existsSync(at("absent"))]).toEqual([before, false])
  expect(errorOf(await run("snapshot", "load", file, "--data-dir", at("source")))).toEqual([5, "store-exists"])
}, 60_000)

test("killed while it loads, it leaves no chain, and can be loaded again", async () => {
  const args = ["snapshot", "load", file, "--data-dir", at("killed")]
  const child = Bun.spawn([binary, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  // The first word on how far it is.
  await child.stderr.getReader().read()
  child.kill("SIGKILL")
  await child.exited
  expect(child.signalCode).toBe("SIGKILL")
  expect(readdirSync(at("killed"))).toEqual([expect.stringMatching(/^\.loading-\d+$/)])
  expect((await run(...args)).code).toBe(0)
}, 60_000)

test("loaded, it is the chain; its past can be proven from another folder, and then all is as if replayed", async () => {
  const loaded = await run("snapshot", "load", file, "--data-dir", at("offline"))
  expect([loaded.code, JSON.parse(loaded.out)]).toEqual([
    0,
    expect.objectContaining({ height, tip: made.tip, check: made.check, state_root: made.state_root, past_proven: false })
  ])
  expect(readdirSync(at("offline")).sort()).toEqual(["LOCK.db", "LOCK.pid", "chain.db", "spec.json"])
  const verify = (...more: ReadonlyArray<string>) => run("verify", "--data-dir", at("offline"), ...more)
  expect(errorOf(await verify())).toEqual([3, "past-unproven"])
  expect(errorOf(await verify("--past"))).toEqual([3, "past-missing"])
  const proven = await verify("--past", "--from", at("source"))
  expect([proven.code, JSON.parse(proven.out)]).toEqual([0, expect.objectContaining({ past_proven: true, blocks: below })])
  expect(JSON.parse((await verify("--past")).out)).toMatchObject({ past_proven: true, blocks: 0 })
  const whole = await verify()
  expect([whole.code, JSON.parse(whole.out)]).toEqual([0, expect.objectContaining({ valid: true, tip: made.tip })])
}, 60_000)

test("a node from it is ready at once, follows the chain, and proves the past with what its peers have", async () => {
  expect((await run("snapshot", "load", file, "--data-dir", at("online"))).code).toBe(0)
  let node = await begin("--data-dir", at("online"))
  const past = { height: 0, target_height: below, eta_ms: null }
  expect(JSON.parse((await run("status", "--node", node.http)).out)).toMatchObject({ ready: true, stats: { past } })
  expect(await metric(node, "cairn_past_proven_blocks")).toBe("0")
  expect((await fetch(`${node.http}/api/blocks/3`)).status).toBe(404)
  expect(await node.stop()).toBe(0)
  await call(source.http, "mine", { body: {} })
  node = await begin("--data-dir", at("online"), "--p2p-seeds", source.peers)
  await until("it has the new block", async () => (await statsOf(node)).blocks === (await statsOf(source)).blocks)
  await until("the past is proven", async () => (await metric(node, "cairn_past_proven_blocks")) === String(below), 30_000)
  expect([(await statsOf(node)).past, (await fetch(`${node.http}/api/blocks/3`)).status]).toEqual([null, 200])
  expect(await node.stop()).toBe(0)
  expect((await run("verify", "--data-dir", at("online"))).code).toBe(0)
}, 90_000)

test("a past that is a lie ends the node, and no node starts on it again", async () => {
  const liar = new TestChain(specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 1 } }))
  steal(liar)
  liar.mine(snapshotBlocksMax + 5)
  const { bytes } = make(liar)
  writeFileSync(at("lie.snapshot"), bytes)
  saveSpec(at("liar"), liar.rules.spec)
  expect((await run("snapshot", "load", at("lie.snapshot"), "--data-dir", at("liar"))).code).toBe(0)
  // The bodies as peers would have brought them.
  const { openDatabase } = await import("../../src/store/db.ts")
  const { ChainStore } = await import("../../src/store/store.ts")
  const store = new ChainStore(openDatabase(at("liar", "chain.db")), makeRules(liar.rules.spec))
  for (let one = 1; one <= store.floor(); one++) store.saveBody(liar.store.block(liar.store.bestAt(one)!.header.id)!)
  store.close()
  const args = ["start", "--data-dir", at("liar"), "--no-p2p", "--http-port", "0"]
  expect(errorOf(await run(...args))).toEqual([6, "past-invalid"])
  expect(errorOf(await run(...args))).toEqual([6, "past-invalid"])
}, 60_000)
