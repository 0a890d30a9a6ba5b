/** What an operator does from the page, and the course, in a real browser: a token for the tab, what it opens, and seven lessons. */
import { afterAll, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../network.ts"
import { suite } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

if (chromium === undefined)
  process.stderr.write("skipped: the operator's page in a browser; there is no Chromium on this machine\n")

const { home, begin } = suite()
const pages: Array<Page> = []
afterAll(async () => {
  for (const page of pages) await page.close()
})

const visit = async (url: string) => {
  const page = await open(url)
  pages.push(page)
  const ask = <A>(expression: string): Promise<A> => page.evaluate<A>(expression)
  const text = (id: string): Promise<string> => ask(`document.getElementById("${id}")?.textContent ?? ""`)
  await until("the page is live", async () => (await text("live")) === "live")
  return {
    page,
    ask,
    text,
    shown: (id: string): Promise<boolean> => ask(`document.getElementById("${id}").checkVisibility()`),
    press: (selector: string): Promise<unknown> => ask(`document.querySelector(${JSON.stringify(selector)}).click()`),
    fill: (form: string, id: string, value: string): Promise<unknown> =>
      ask(
        `document.getElementById("${id}").value = ${JSON.stringify(value)}; document.getElementById("${form}").requestSubmit()`
      ),
    /** Four pictures, kept for whoever sets CAIRN_PICTURES; none may be wider than its screen. */
    pictures: async (name: string): Promise<void> => {
      for (const width of [390, 1280])
        for (const dark of [false, true]) {
          const png = await page.picture({ width, height: 900, dark })
          const place = process.env["CAIRN_PICTURES"]
          if (place !== undefined) writeFileSync(join(place, `${name}-${width}-${dark ? "dark" : "light"}.png`), png)
          expect(await ask<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width)
        }
    }
  }
}

test.if(chromium !== undefined)(
  "an operator shows the token once a tab: without it nothing can be pressed, with a wrong one it is said",
  async () => {
    const folder = join(home.path, "node")
    const node = await begin("--spec", "dev", "--data-dir", folder)
    const { page, ask, text, shown, press, fill, pictures } = await visit(node.http)
    const locked = (): Promise<ReadonlyArray<boolean>> =>
      ask(
        `[...document.querySelectorAll("button[data-admin]")].map((b) => b.disabled && b.hasAttribute("aria-describedby"))`
      )
    expect(new Set(await locked())).toEqual(new Set([true]))
    expect(await text("operator-hint")).toContain("need its admin token")
    await press("#validate")
    await until(
      "everyone may have the chain checked",
      async () => (await text("operator-outcome")) === "The chain is valid."
    )

    await fill("token-form", "token", "not the token")
    expect(new Set(await locked())).toEqual(new Set([false]))
    await press("#mine-form button")
    await until("a wrong token is said", async () => (await text("operator-outcome")).includes("token"))
    expect(await text("height")).toBe("0")

    await fill("token-form", "token", readFileSync(join(folder, "admin.token"), "utf8"))
    expect(await ask<string>(`document.getElementById("token").value`)).toBe("")
    await press("#mine-form button")
    await until("a block is sealed", async () => (await text("operator-outcome")) === "Block 1 was sealed.")
    await fill("mine-form", "mine-to", "crn1nonsense")
    await until("a typo is told", async () => (await text("operator-outcome")).includes("address"))
    expect(await ask<ReadonlyArray<string>>("[Object.keys(localStorage).length, document.cookie.length]")).toEqual([
      0, 0
    ] as never)

    for (const id of ["resolve", "backup-form", "peer-form"]) expect([id, await shown(id)]).toEqual([id, true])
    const outcome = (part: string): Promise<void> =>
      until(`it is said: ${part}`, async () => (await text("operator-outcome")).includes(part))
    await fill("backup-form", "backup-label", "by hand")
    await until("a backup is made", () => shown("operator-reply"))
    expect(await text("operator-reply")).toContain('"tip_hash"')
    await press("#resolve")
    await outcome("Nobody had a heavier branch.")
    const other = await begin("--spec", "dev", "--data-dir", join(home.path, "other"), "--p2p-seeds", node.peers)
    const rowOf = (part: string): Promise<boolean> =>
      ask(`document.getElementById("peers").textContent.includes(${JSON.stringify(part)})`)
    await until("the other node is shown", () => rowOf("active · inbound · score"))
    const buttons = (): Promise<ReadonlyArray<string>> =>
      ask(`[...document.querySelectorAll("#peers button")].map((b) => b.firstChild.textContent)`)
    expect(await buttons()).toEqual(["Ban"])
    await press("#peers button")
    await until("it is banned", async () => (await rowOf("banned")) && (await buttons())[0] === "Unban")
    await press("#peers button")
    await outcome("is unbanned.")
    await fill("peer-form", "peer-name", "nonsense")
    await until(
      "a wrong name is refused",
      async () => (await ask<string>(`document.getElementById("operator-outcome").className`)) === "bad"
    )
    await fill("peer-form", "peer-name", other.peers)
    await until(
      "an endpoint is taken",
      async () =>
        (await ask<string>(`document.getElementById("operator-outcome").className`)) === "good" &&
        (await text("operator-outcome")) !== "…"
    )
    await pictures("operator")

    await press("#token-clear")
    expect(new Set(await locked())).toEqual(new Set([true]))
    expect(await ask<number>("sessionStorage.getItem('cairn-admin-token') === null ? 0 : 1")).toBe(0)
    // The refusals that were provoked are in the browser's log, and nothing else is.
    expect(page.problems.filter((problem) => !/status of 40[01]/.test(problem))).toEqual([])
  },
  60_000
)

test.if(chromium !== undefined)(
  "the course is fetched when it is opened, shows this node, counts what is declared, and is there again after a reload",
  async () => {
    const node = await begin("--dev", "--data-dir", join(home.path, "course"))
    const { page, ask, text, shown, press, pictures } = await visit(node.http)
    const scripts = (): Promise<number> =>
      ask(`performance.getEntriesByType("resource").filter((one) => one.name.endsWith(".js")).length`)
    const first = await scripts()
    expect(await shown("learn")).toBe(false)
    await press("#tab-learn")
    await until("the course is there", async () => (await text("learn")).includes("1. Overview"))
    expect([await scripts(), await shown("console")]).toEqual([first + 1, false])
    const names = await ask<ReadonlyArray<string>>(
      `[...document.querySelectorAll(".steps button")].map((b) => b.textContent)`
    )
    expect(names).toEqual(["Overview", "Architecture", "Transactions", "Mining", "Consensus", "Security", "Review"])
    for (const [i, name] of names.entries()) {
      await press(`.steps li:nth-child(${i + 1}) button`)
      expect(await ask<string>("document.activeElement.textContent")).toBe(`${i + 1}. ${name}`)
      expect(await ask<string>(`document.querySelector("svg.picture").getAttribute("aria-label")`)).not.toBe("")
      expect(await ask<number>(`document.querySelectorAll(".facts dd").length`)).toBeGreaterThan(3)
      expect(await text("learn")).not.toMatch(/undefined|NaN|\[object/)
      if (process.env["CAIRN_PICTURES"] !== undefined) await pictures(`lesson-${i + 1}`)
      await press(".finding input")
    }
    expect(await ask<number>(`document.querySelector("#learn progress").value`)).toBe(7)
    await press(".steps li:nth-child(5) button")
    const facts = (): Promise<string> => ask(`document.querySelector(".facts").textContent`)
    expect(await facts()).toContain("height0 of 0")
    await ask(`fetch("/api/mine", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })`)
    await until("the facts are of the moment", async () => (await facts()).includes("height1 of 1"))
    expect(await ask<number>(`document.querySelectorAll(".glossary dt").length`)).toBeGreaterThanOrEqual(8)
    const routes = await ask<number>(`fetch("/api/info").then((r) => r.json()).then((i) => Object.keys(i.api).length)`)
    expect(await ask<number>(`document.querySelectorAll("#learn details .list li").length`)).toBe(routes)
    await pictures("learn")

    await ask("window.before = true, location.reload()")
    const again = `window.before === undefined ? document.getElementById("learn").textContent : ""`
    await until(
      "the last view comes back",
      async () => (await ask<string>(again).catch(() => ""))?.includes("5. Consensus") ?? false
    )
    expect(await text("learn")).toContain("7 of 7 findings declared")
    await ask(`document.getElementById("tab-learn").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }))`)
    expect([await shown("console"), await ask<string>("document.activeElement.id")]).toEqual([
      true,
      "tab-console"
    ] as never)
    expect(page.problems).toEqual([])
  },
  60_000
)
