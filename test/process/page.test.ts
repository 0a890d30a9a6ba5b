/** The page in a real browser, served by the built binary: a person makes a key, pays, and sees it happen. */
import { afterAll, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../network.ts"
import { folder, run, type Running, start } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

if (chromium === undefined)
  process.stderr.write("skipped: the page in a browser; there is no Chromium on this machine\n")

const home = folder()
let node: Running | undefined
let page: Page | undefined
afterAll(async () => {
  await page?.close()
  await node?.stop("SIGKILL")
  home.remove()
})

/** Where pictures go for whoever wants to look: CAIRN_PICTURES. */
const keep = async (name: string, wish: Parameters<Page["picture"]>[0]): Promise<number> => {
  const png = await page!.picture(wish)
  const place = process.env["CAIRN_PICTURES"]
  if (place !== undefined) writeFileSync(join(place, `${name}.png`), png)
  return png.length
}

test.if(chromium !== undefined)(
  "a person opens the page, takes a key, pays, and sees the block",
  async () => {
    node = await start("--dev", "--data-dir", join(home.path, "node"))
    page = await open(node.http)
    const text = (id: string): Promise<string> =>
      page!.evaluate<string>(`document.getElementById("${id}")?.textContent ?? ""`)
    await until("the page is live", async () => (await text("live")) === "live")
    expect(await page.evaluate<boolean>(`document.getElementById("send").checkVisibility()`)).toBe(false)
    const press = (label: string) =>
      page!.evaluate(
        `[...document.querySelectorAll("button")].find((b) => b.textContent === ${JSON.stringify(label)}).click()`
      )
    await press("New key")
    await until("the key has an address", async () => (await text("own-address")).startsWith("crn1"))
    const fresh = await text("own-address")
    await press("Show the key")
    const secret = await text("key-secret")
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    await press("Forget it")
    expect([await text("key-secret"), await page.evaluate(`document.getElementById("own").checkVisibility()`)]).toEqual(
      ["", false]
    )
    await page.evaluate(
      `document.getElementById("import-text").value = "${secret}"; document.getElementById("import-form").requestSubmit()`
    )
    await until("the key that was kept is the same again", async () => (await text("own-address")) === fresh)
    await press("dev:0")
    await until("the account is shown", async () => (await text("own-balance")).includes("1\u202f000\u202f000"))
    const fill = (fields: Record<string, string>) =>
      page!.evaluate(
        `for (const [id, value] of Object.entries(${JSON.stringify(fields)})) document.getElementById(id).value = value; document.getElementById("send").requestSubmit()`
      )
    const note = '<img src=x onerror=alert(1)> / \\ "stone" 🪨 \u0001\u007f\u2028'
    await fill({ to: "crn1nonsense", amount: "2" })
    await until("the typo is told", async () => (await text("outcome")).includes("checksum"))
    await fill({ to: fresh, amount: "2.5", note })
    await until("it is sent", async () => (await text("outcome")).startsWith("Sent."))
    await until("the block comes by itself", async () => (await text("height")) === "1")
    await until("the blocks are listed", async () => (await text("blocks")).includes("1 transfer"))
    await press("Prove")
    await until("the proof is checked", async () => (await text("proof-verdict")).includes("Proven here: crn1"))
    expect(await text("proof-verdict")).toContain(`paid ${fresh} 2.5`)
    expect(await page.evaluate<number>(`document.querySelectorAll("#proof-way circle").length`)).toBe(1)
    const kept = decodeURIComponent(
      await page.evaluate<string>(`document.getElementById("proof-file").getAttribute("href").split(",")[1]`)
    )
    const proofFile = join(home.path, "kept.json")
    writeFileSync(proofFile, kept)
    const checked = await run("proof", "verify", proofFile)
    const { transaction: paid } = JSON.parse(checked.out)
    expect([checked.code, paid.recipient, paid.note]).toEqual([0, fresh, note])
    const choose = (content: string) =>
      page!.evaluate(
        `{ const files = new DataTransfer(); files.items.add(new File([${JSON.stringify(content)}], "p.json"));
           const chooser = document.getElementById("proof-check"); chooser.files = files.files; chooser.dispatchEvent(new Event("change")) }`
      )
    await choose(kept.replace("cairn-proof-1", "cairn-proof-2"))
    await until("another file is refused", async () => (await text("proof-verdict")).includes("(proof-malformed)"))
    const strangers = JSON.parse(
      readFileSync(join(import.meta.dir, "../../docs/vectors/proof.json"), "utf8")
    ).transactions
    await choose(JSON.stringify({ format: "cairn-proof-1", proof: strangers[3].proof }))
    await until("a header of another branch is no proof", async () =>
      (await text("proof-verdict")).includes("does not know")
    )
    expect(await page.evaluate<boolean>(`document.querySelector("#proof-way svg") === null`)).toBe(true)
    await choose(kept)
    await until("the kept file holds", async () => (await text("proof-verdict")).includes(`paid ${fresh} 2.5`))
    await press("Mine one now")
    await until("another block", async () => (await text("height")) === "2")
    const sizes = [
      await keep("light", { width: 1100, height: 1100 }),
      await keep("dark", { width: 1100, height: 1100, dark: true }),
      await keep("narrow", { width: 380, height: 1400 })
    ]
    expect(Math.min(...sizes)).toBeGreaterThan(10_000)
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(380)
    expect(await page.evaluate<number>(`document.querySelectorAll("img").length`)).toBe(0)
    // The key is nowhere but in memory.
    expect(await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie.length]")).toEqual([
      0, 0, 0
    ])
    expect(page.problems).toEqual([])
  },
  60_000
)

test.if(chromium !== undefined)(
  "what the node is doing is shown, with the reason, and changes without a touch",
  async () => {
    const alone = await start("--dev", "--data-dir", join(home.path, "alone"), "--p2p-seeds", "127.0.0.1:1")
    const view = await open(alone.http)
    try {
      const text = (id: string): Promise<string> =>
        view.evaluate<string>(`document.getElementById("${id}")?.textContent ?? ""`)
      await until("it boots", async () => (await text("state")) === "boot")
      expect(await text("state-why")).toContain("peers are looked for")
      await until("it is ready", async () => (await text("state")) === "ready", 20_000)
      expect(await text("state-why")).toContain("No peer has answered so far")
      expect(await view.evaluate<boolean>(`document.getElementById("state-progress").checkVisibility()`)).toBe(false)
    } finally {
      await view.close()
      await alone.stop("SIGKILL")
    }
  },
  60_000
)
