/** The timeline in a real browser, from a file: drawn, stepped through, filtered, folded, with a large run and with hostile texts. */
import { afterAll, afterEach, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { renderTimeline } from "../../src/timeline/render.ts"
import type { Shown } from "../../src/timeline/page.ts"
import type { Run } from "../../src/sim/trace.ts"
import { until } from "../network.ts"
import { generatedRun, handMadeRun } from "../timeline-runs.ts"
import { folder } from "./binary.ts"
import { chromium, open, type Page } from "./browser.ts"

if (chromium === undefined)
  process.stderr.write("skipped: the timeline in a browser; there is no Chromium on this machine\n")

const home = folder()
let page: Page | undefined
afterEach(async () => {
  await page?.close()
  page = undefined
})
afterAll(home.remove)

const desk = { width: 1280, height: 720 }
const arrowsMax = 2500

/** What the page says of its last picture. */
const drawn = (): Promise<Shown> => page!.evaluate<Shown>("({ ...cairnTimeline })")

/** Waits for a picture that is younger than the last one. */
const nextPicture = async (act: () => Promise<unknown>): Promise<Shown> => {
  const { pictures } = await drawn()
  await act()
  await until("the next picture", async () => (await drawn()).pictures > pictures)
  return drawn()
}

const load = async (name: string, run: Run): Promise<Page> => {
  const path = join(home.path, `${name}.html`)
  writeFileSync(path, renderTimeline(run))
  page = await open(pathToFileURL(path).href)
  await until("the first picture", () => page!.evaluate<boolean>(`"cairnTimeline" in globalThis`))
  await nextPicture(() => page!.picture(desk))
  return page
}

const press = (key: string, shiftKey = false): Promise<unknown> =>
  page!.evaluate(`dispatchEvent(new KeyboardEvent("keydown", { key: ${JSON.stringify(key)}, shiftKey: ${shiftKey} }))`)
const text = (id: string): Promise<string> => page!.evaluate<string>(`document.getElementById("${id}").innerText`)
const type = (words: string): Promise<unknown> =>
  page!.evaluate(
    `{ const field = document.getElementById("filter"); field.value = ${JSON.stringify(words)}; field.dispatchEvent(new Event("input")) }`
  )
const point = (kind: string, x: number, y: number): Promise<unknown> =>
  page!.evaluate(`{
    const lanes = document.getElementById("lanes")
    const { left, top } = lanes.getBoundingClientRect()
    lanes.setPointerCapture = () => {}
    lanes.dispatchEvent(new PointerEvent("${kind}", { clientX: left + ${x}, clientY: top + ${y}, pointerId: 1, bubbles: true }))
  }`)

/** Where pictures go for whoever wants to look: CAIRN_PICTURES. */
const keep = async (name: string, wish: Parameters<Page["picture"]>[0]): Promise<number> => {
  const png = await page!.picture(wish)
  const place = process.env["CAIRN_PICTURES"]
  if (place !== undefined) writeFileSync(join(place, `${name}.png`), png)
  return png.length
}

describe.if(chromium !== undefined)("a run made by hand", () => {
  test("opens at the failure and says what was there; keys step, and the tips follow", async () => {
    await load("steps", handMadeRun)
    expect(await drawn()).toMatchObject({ inView: 9, arrows: 9, blocks: 4 })
    expect(await text("counts")).toBe(
      "9 messages in 100 ms · 1 lost · 1 never begun · 2 notes · 1 fault · 3 blocks · failed at 0:00.095"
    )
    expect(await text("now")).toContain("yew never handled Tick")
    expect(await text("tips")).toMatch(/oak\s+height 2\s+a2\s+best\s+yew\s+height 2\s+a2\s+best/)
    await press("ArrowLeft")
    expect(await text("now")).toMatch(
      /^0:00\.070\s+step 12\s+Block\s+from\s+yew \/ session\s+to\s+yew \/ chain\s+then\s+waited 20 ms/
    )
    expect(await text("tips")).toMatch(/yew\s+height 1\s+b1\s+side/)
    for (const _ of [1, 2]) await press("ArrowLeft")
    expect(await text("now")).toContain("lost: not taken by the inbox")
    expect(await text("now")).toContain("Under way: partition: oak | yew")
    await press("ArrowRight", true)
    expect(await text("now")).toContain("yew: reorganised. 1 block undone, 2 connected")
    await press("Home")
    expect(await text("now")).toMatch(/^0:00\.010\s+step 1\s+Mined\s+from\s+outside/)
    expect(page!.problems).toEqual([])
  }, 60_000)

  test("the filter keeps back arrows and steps; escape brings them back; zooming and folding change the picture", async () => {
    await load("filter", handMadeRun)
    expect(await nextPicture(() => type("tipmoved"))).toMatchObject({ inView: 2, arrows: 2 })
    expect(await text("hint")).toBe("filter lets 2 through")
    expect(await text("now")).toContain("yew / chain")
    for (const _ of [1, 2]) await press("ArrowLeft")
    expect(await text("now")).toContain("oak / chain")
    expect(await nextPicture(() => type("zzz"))).toMatchObject({ inView: 0 })
    expect(await text("hint")).toBe("nothing matches the filter")
    expect(await nextPicture(() => press("Escape"))).toMatchObject({ inView: 9 })
    let closer = await drawn()
    for (let i = 0; i < 8; i++) closer = await nextPicture(() => press("+"))
    expect(closer.inView).toBeLessThan(9)
    expect(await nextPicture(() => press("0"))).toMatchObject({ inView: 9 })
    await nextPicture(() => press("c"))
    expect(await page!.evaluate<number>("cairnTimeline.view.folded.size")).toBe(2)
    expect(page!.problems).toEqual([])
  }, 60_000)

  test("the pointer is told what it is over, and a click takes the cursor there", async () => {
    await load("pointer", handMadeRun)
    const scale = (at: number): Promise<number> =>
      page!.evaluate<number>(
        `148 + (${at} - cairnTimeline.view.left) / (cairnTimeline.view.right - cairnTimeline.view.left) * (document.getElementById("lanes").clientWidth - 148)`
      )
    const middle = await scale(80)
    const y = await page!.evaluate<number>(`document.getElementById("lanes").clientHeight`)
    let found = ""
    for (let at = 40; at < y && found === ""; at += 5) {
      await point("pointermove", middle, at)
      found = await page!.evaluate<string>(
        `document.getElementById("hover").hidden ? "" : document.getElementById("hover").innerText`
      )
      if (found !== "") for (const kind of ["pointerdown", "pointerup"]) await point(kind, middle, at)
    }
    expect(found).toMatch(/Block\s+yew \/ session → yew \/ chain\s+0:00\.070, step 12, waited 20 ms/)
    expect((await drawn()).view.cursor).toEqual({ at: 70, message: 7, note: -1 })
    expect(page!.problems).toEqual([])
  }, 60_000)

  test("is drawn light, dark and on a phone, where nothing is wider than the screen", async () => {
    await load("pictures", handMadeRun)
    const sizes = [
      await keep("timeline-light", desk),
      await keep("timeline-dark", { ...desk, dark: true }),
      await keep("timeline-phone", { width: 390, height: 800 })
    ]
    expect(Math.min(...sizes)).toBeGreaterThan(15_000)
    expect(await page!.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390)
    expect(page!.problems).toEqual([])
  }, 60_000)
})

describe.if(chromium !== undefined)("runs that are hard", () => {
  test("200,000 messages: counts far out, arrows closer in, never more than can be told apart", async () => {
    await load("large", generatedRun(200_000, 5, 7_200_000))
    expect(await drawn()).toMatchObject({ inView: 200_000, arrows: 0, pictures: expect.any(Number) })
    expect(await text("hint")).toContain("200\u202f000 messages in view; zoom in for arrows")
    await press("Home")
    let now = await drawn()
    for (let i = 0; i < 40 && now.inView > 100; i++) {
      now = await nextPicture(() => press("+"))
      expect(now.arrows).toBe(now.inView <= arrowsMax ? now.inView : 0)
    }
    expect(now.arrows).toBeGreaterThan(0)
    expect(await page!.evaluate<number>(`document.querySelectorAll("*").length`)).toBeLessThan(400)
    expect(await nextPicture(() => type("lost chain"))).toMatchObject({ inView: expect.any(Number) })
    const lost = await nextPicture(() => press("0"))
    expect(lost.arrows).toBe(lost.inView)
    expect(lost.inView).toBeGreaterThan(5)
    expect(page!.problems).toEqual([])
  }, 60_000)

  test("what was not kept is said", async () => {
    await load("forgotten", { ...handMadeRun, forgotten: 12_345 })
    expect(await text("counts")).toContain("12\u202f345 earlier messages not kept")
    expect(await text("now")).toContain("12\u202f354 of 12\u202f354")
    await press("Home")
    await nextPicture(() => point("pointerdown", 160, 200).then(() => point("pointerup", 160, 200)))
    expect(await text("now")).toContain("No message before the cursor; 12\u202f345 earlier messages not kept.")
  }, 60_000)

  test("hostile texts are shown and nothing of them runs", async () => {
    const evil = "</script><script>globalThis.evil = 1</script><img src=x onerror='globalThis.evil = 1'>"
    const lanes = [{ node: evil, actor: evil }]
    const messages = handMadeRun.messages.slice(0, 1).map((message) => ({ ...message, kind: evil }))
    const notes = [{ at: 50, step: 9, node: evil, kind: evil, text: evil }]
    const tips = [{ node: evil, at: 0, block: evil }]
    const blocks = [{ id: evil, parent: "", height: 1, by: evil, at: 0 }]
    const spans = [{ kind: evil, from: 1, to: 60, nodes: [evil], text: evil }]
    const failure = { at: 55, text: evil }
    await load("hostile", {
      ...handMadeRun,
      title: evil,
      facts: [[evil, evil]],
      lanes,
      messages,
      notes,
      tips,
      blocks,
      spans,
      failure
    })
    for (const key of ["ArrowLeft", "f"]) await press(key)
    await press("ArrowLeft", true)
    expect(await page!.evaluate<string>("document.title")).toBe(evil)
    expect(await text("now")).toContain(evil)
    expect(await page!.evaluate<boolean>(`"evil" in globalThis || document.querySelector("img") !== null`)).toBe(false)
    expect(page!.problems).toEqual([])
  }, 60_000)
})

test("bundled as for the binary, it needs none of its sources", async () => {
  const bundle = join(home.path, "bundled.js")
  const source = join(import.meta.dir, "../../src/timeline/render.ts")
  const built = Bun.spawnSync([process.execPath, "build", source, "--target=bun", "--minify", "--outfile", bundle])
  expect(built.exitCode).toBe(0)
  const bundled = (await import(bundle)) as { renderTimeline: typeof renderTimeline }
  expect(bundled.renderTimeline(handMadeRun)).toBe(renderTimeline(handMadeRun))
  expect(await Bun.file(bundle).text()).not.toContain("import.meta.dir")
})
