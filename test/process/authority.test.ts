/** A chain of authorities as its users see it: the same rota from two nodes, on the page, and a light client that needs neither. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { authorityHeaderBytes } from "../../src/block/header.ts"
import { formatProof, parseProof } from "../../src/block/proof.ts"
import { call } from "../../src/http/client.ts"
import { Result } from "effect"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

const { home, begin } = suite()
const at = (name: string): string => join(home.path, name)
const payee = "crn1qhd5kppc0rh37u6cdxj554pz0wezxvhp45sa769"
const spec = ["--spec", "dev-authorities"]
let [sealing, following]: ReadonlyArray<Running> = []
let paid = ""
let page: Page | undefined
afterAll(() => page?.close())

const heightOf = async (node: Running): Promise<number> => (await call(node.http, "stats")).stats.blocks - 1

beforeAll(async () => {
  sealing = await begin("--dev", ...spec, "--data-dir", at("A"))
  following = await begin(...spec, "--data-dir", at("B"), "--p2p-seeds", sealing.peers)
  const sent = await run("send", "--from", "dev:0", "--to", payee, "--amount", "1.5", "--node", sealing.http)
  paid = JSON.parse(sent.out).id
  await until("both have some blocks", async () => (await heightOf(following!)) >= 3, 30_000)
  await until(
    "it is paid",
    async () => (await call(following!.http, "transaction", { params: { id: paid } })).block !== null
  )
}, 60_000)

test("two nodes with one tip tell one rota, but for who asks the time when, and whose node it is", async () => {
  const view = async ({ http }: Running) => {
    const { time: _, present, members, recent, next: __, ...rest } = await call(http, "authorities")
    const theirs = members.map(({ is_self: ___, missed: ____, ...member }) => member)
    return {
      ...rest,
      leader: [present.slot, present.leader],
      members: theirs,
      slots: recent.filter(({ block }) => block)
    }
  }
  await until("they stand at one tip in one slot, and say the same", async () =>
    Bun.deepEquals(await view(sealing!), await view(following!))
  )
  const { members } = await call(sealing!.http, "authorities")
  expect(members.map(({ is_self }) => is_self)).toEqual([true, false, false])
  const listed = await run("authority", "list", "--node", following!.http)
  expect(JSON.parse(listed.out).members.map(({ is_self }: { is_self: boolean }) => is_self)).toEqual([
    false,
    false,
    false
  ])
  const { meta } = await call(sealing!.http, "info")
  expect([meta.consensus, meta.fork_choice]).toEqual(["proof-of-authority", "most-cumulative-weight"])
})

test("a light client keeps the longer headers, proves a payment, and believes no other seal", async () => {
  const peers = `${sealing!.peers},${following!.peers}`
  const light = async (...args: ReadonlyArray<string>) =>
    JSON.parse((await run("light", ...args, "--peer", peers, "--data-dir", at("phone"))).out)
  const synced = await light("sync", ...spec)
  expect(synced).toMatchObject({ chain: "cairn-dev-poa", undone: 0 })
  expect(statSync(at("phone/headers.bin")).size).toBe(synced.height * authorityHeaderBytes)
  const proven = await light("tx", paid)
  expect(proven).toMatchObject({ kind: "transaction", transaction: { id: paid, recipient: payee } })

  expect((await run("proof", "get", paid, "--node", following!.http, "--out", at("paid.json"))).code).toBe(0)
  expect((await run("proof", "verify", at("paid.json"), "--of", paid)).code).toBe(0)
  const bytes = Result.getOrThrow(parseProof(readFileSync(at("paid.json"), "utf8")))
  // The last byte of the header: of its signature.
  bytes[authorityHeaderBytes]! ^= 1
  writeFileSync(at("bent.json"), formatProof(bytes))
  const bent = await run("proof", "verify", at("bent.json"))
  expect([bent.code, JSON.parse(bent.err).error.code]).toEqual([3, "proof-seal-wrong"])
}, 60_000)

test.if(chromium !== undefined)(
  "the page draws the rota, counts down, and says in whose turn a block was sealed",
  async () => {
    page = await open(sealing!.http)
    const text = (id: string): Promise<string> => page!.evaluate(`document.getElementById("${id}")?.textContent ?? ""`)
    await until("the slot is told", async () => /^Slot \d+/.test(await text("rota-now")))
    const said = await text("rota-now")
    await until("the time passes", async () => (await text("rota-now")) !== said)
    const count = (css: string) => page!.evaluate<number>(`document.querySelectorAll("#rota ${css}").length`)
    expect([await count("svg.slots"), (await count("rect.next")) >= 6]).toEqual([3, true])
    expect(await count("rect.sealed, #rota rect.instead")).toBeGreaterThanOrEqual(3)
    await page.evaluate(`location.hash = "#block/1"`)
    await until("the block's turn is told", async () =>
      /in slot \d+, (in its turn|out of turn)/.test(await text("view"))
    )
    const width = { width: 390, height: 800, dark: true }
    expect((await page.picture(width)).length).toBeGreaterThan(1_000)
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390)
    expect(page.problems).toEqual([])
  },
  60_000
)
