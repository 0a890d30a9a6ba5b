/** Two nodes of which one speaks to no peers: it catches up by HTTP, and what comes in there reaches the other by HTTP, too. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { run, suite } from "./binary.ts"

const { home, begin } = suite()
const heightOf = async (base: string): Promise<number> => (await call(base, "stats")).stats.blocks - 1
const tipOf = async (base: string): Promise<string> => (await call(base, "stats")).stats.last_block_hash

test("five hundred blocks by HTTP, then each other's, through a restart; without the secret nothing is taken", async () => {
  const secret = join(home.path, "peer.secret")
  writeFileSync(secret, "a-secret-of-some-peers-long-enough\n")
  const first = await begin("--dev", "--data-dir", join(home.path, "a"), "--peer-secret-file", secret)
  for (let i = 0; i < 500; i++) await call(first.http, "mine", { body: {} })
  const arguments_ = ["--dev", "--data-dir", join(home.path, "b"), "--no-p2p", "--bootstrap-peers", first.http]
  const second = await begin(...arguments_, "--peer-secret-file", secret)
  await until("it has caught up", async () => (await heightOf(second.http)) === 500, 20_000)
  expect(await tipOf(second.http)).toBe(await tipOf(first.http))
  expect(second.ready["peers"]).toBeNull()

  // A transfer and its block go the other way.
  const { block } = await call(second.http, "mine", { body: {} })
  await until("the other has the block", async () => (await tipOf(first.http)) === block.hash, 20_000)

  // Stopped and behind again, and told to look now.
  await second.stop()
  for (let i = 0; i < 20; i++) await call(first.http, "mine", { body: {} })
  const again = await begin(...arguments_)
  const { snapshot, result } = await call(again.http, "resolve", {})
  expect([snapshot.tip.height, result.inspected.map(({ url }) => url)]).toEqual([521, [first.http]])

  // Without the secret it may read what everybody may, and nothing that it posts is taken.
  await call(again.http, "mine", { body: {} })
  await until("it was refused", () => again.printed().includes("it answers 401"), 20_000)
  expect(await heightOf(first.http)).toBe(521)
}, 90_000)

test("a node in production does not ask a private address that nobody allowed", async () => {
  const first = await begin("--dev", "--data-dir", join(home.path, "c"))
  const made = await run("init", "--data-dir", join(home.path, "d"), "--spec", "dev")
  expect(made.code).toBe(0)
  const second = await begin("--data-dir", join(home.path, "d"), "--no-p2p", "--bootstrap-peers", first.http)
  await until("it says so", () => second.printed().includes("address-private"), 20_000)
  expect(await heightOf(second.http)).toBe(0)
}, 60_000)
