/** Two processes with one key, which nothing stops: whoever hears both knows, keeps the proof, shows it, and seals without them. */
import { afterAll, expect, test } from "bun:test"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { run, suite } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

const { home, begin } = suite()
const at = (name: string): string => join(home.path, name)
const spec = ["--dev", "--spec", "dev-authorities"]
const guilty = "crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv"
let page: Page | undefined
afterAll(() => page?.close())

test("evidence end to end: found by a third node, convicted by its block, shown by API, command and page", async () => {
  // Neither knows of the other, so neither listens for it.
  const one = await begin(...spec, "--data-dir", at("one"))
  const two = await begin(...spec, "--data-dir", at("two"))
  const heightOf = async (http: string): Promise<number> => (await call(http, "stats")).stats.blocks - 1
  await until("both have sealed", async () => Math.min(await heightOf(one.http), await heightOf(two.http)) >= 2, 30_000)
  const honest = ["--role", "validator", "--authority-key", "dev:1", "--p2p-seeds", `${one.peers},${two.peers}`]
  const third = await begin(...spec, "--data-dir", at("three"), ...honest)

  const evidence = async () => (await call(third.http, "evidence")).evidence
  await until("the proof is found", async () => (await evidence()).length > 0, 30_000)
  const [found] = await evidence()
  expect(found).toMatchObject({ authority: guilty, ours: false })
  expect(found!.first.hash).not.toBe(found!.second.hash)
  await until("a block has convicted", async () => (await evidence())[0]!.standing === "convicted", 60_000)
  const { members, convicted } = await call(third.http, "authorities")
  expect([members.some(({ address }) => address === guilty), convicted]).toEqual([false, [guilty]])
  const told = JSON.parse((await run("authority", "evidence", "--node", third.http)).out)
  expect(told.evidence[0].authority).toBe(guilty)
  // Those with the guilty key hear of it, too, and seal no more.
  await until("who sealed twice follows", async () => (await call(one.http, "authorities")).convicted.length === 1, 60_000)

  if (chromium === undefined) return
  page = await open(third.http)
  const rota = (): Promise<string> => page!.evaluate(`document.getElementById("rota")?.textContent ?? ""`)
  await until("the page tells", async () => /sealed twice in slot \d+: seals no more/.test(await rota()))
  expect(page.problems).toEqual([])
}, 180_000)
