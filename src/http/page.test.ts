/** The page is small, whole, and asks no other host. */
import { expect, test } from "bun:test"
import { loadPage } from "./page.ts"

/** Bytes of script and style as the browser gets them, minified and not packed: noble and the wordlist of BIP 39 are half of it. */
const scriptBytesMax = 160_000
const styleBytesMax = 8_000

test("the page has one script and one style of its own, within their bounds, and names nothing else", async () => {
  const page = await loadPage()
  const files = [...page].map(([path, { type, body }]) => ({
    path,
    type,
    text: new TextDecoder().decode(body as Uint8Array)
  }))
  expect(files.map(({ type }) => type.split("/")[1]!.slice(0, 4)).toSorted()).toEqual(["css;", "html", "java"])
  const of = (type: string) => files.find((file) => file.type.includes(type))!
  expect(of("javascript").text.length).toBeLessThan(scriptBytesMax)
  expect(of("css").text.length).toBeLessThan(styleBytesMax)
  for (const name of ["javascript", "css"]) expect(of("html").text).toContain(of(name).path.slice(1))
  expect(files.flatMap(({ text }) => [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url))).toEqual(
    // The name of a drawing's language; nothing is fetched from it.
    ["http://www.w3.org"]
  )
})
