/** The page is small, whole, and asks no other host. */
import { expect, test } from "bun:test"
import { loadPage } from "./page.ts"

/** Bytes of the first script and the style as the browser gets them, minified and not packed: noble and the wordlist of BIP 39 are half of it. */
const scriptBytesMax = 160_000
const styleBytesMax = 8_000
/** And of what is fetched when somebody opens the course. */
const laterBytesMax = 16_000

test("the page has one style and one script of its own, and one for later, within their bounds, and names nothing else", async () => {
  const page = await loadPage()
  const files = [...page].map(([path, { type, body }]) => ({
    path,
    type,
    text: new TextDecoder().decode(body as Uint8Array)
  }))
  expect(files.map(({ type }) => type.split("/")[1]!.slice(0, 4)).toSorted()).toEqual(["css;", "html", "java", "java"])
  const [html, style] = ["html", "css"].map((type) => files.find((file) => file.type.includes(type))!)
  const scripts = files.filter(({ type }) => type.includes("javascript"))
  const first = scripts.find(({ path }) => html!.text.includes(`${path.slice(1)}"></script>`))!
  const later = scripts.find((script) => script !== first)!
  expect(first.text.length).toBeLessThan(scriptBytesMax)
  expect(later.text.length).toBeLessThan(laterBytesMax)
  expect(style!.text.length).toBeLessThan(styleBytesMax)
  expect(html!.text).toContain(style!.path.slice(1))
  expect(first.text).toMatch(new RegExp(`import\\("\\.?${later.path.replace(".", "\\.")}"\\)`))
  expect(files.flatMap(({ text }) => [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url))).toEqual(
    // The name of a drawing's language; nothing is fetched from it.
    ["http://www.w3.org"]
  )
})
