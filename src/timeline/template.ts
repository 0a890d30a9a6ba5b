/** The page without its run, as one text. render.ts calls this as a macro, so a binary holds the finished text. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const file = (name: string): string => join(import.meta.dir, name)
const hashOf = (text: string): string => `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`

/** The script of the page. A child does it: while Bun bundles for us, it cannot bundle for a macro. */
const bundle = (): string => {
  const args = ["build", file("page.ts"), "--target=browser", "--format=iife", "--minify"]
  const { stdout, stderr, success } = Bun.spawnSync([process.execPath, ...args])
  if (!success) throw new Error(`the timeline's script does not build: ${stderr.toString()}`)
  return stdout.toString().trim()
}

/** The page with its style and script inside, and `{{title}}` and `{{run}}` to be filled. It may reach nothing else. */
export const pageTemplate = (): string => {
  const style = readFileSync(file("page.css"), "utf8").trim()
  const script = bundle()
  const policy = `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; img-src data:`
  const parts: Readonly<Record<string, string>> = { policy, style, script }
  return readFileSync(file("page.html"), "utf8").replace(/\{\{(policy|style|script)\}\}/g, (_, name) => parts[name]!)
}
