/** Writes what docs/ has from the contract: the Postman collection, the file of requests, the table of routes. `bun run contract`. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { makeCollection, makeRequestFile, makeRouteTable } from "../src/http/collection.ts"

/** A page with the table where its heading is, up to the next one. */
const withRoutes = (page: string): string =>
  page.replace(/(?<=\n## Every route\n\n)[\s\S]*?(?=\n## |$)/, () => `${makeRouteTable()}\n`)

/** Their paths in docs/, and what they must hold. */
export const contractFiles = (): Readonly<Record<string, string>> => ({
  "api.md": withRoutes(readFileSync(join(import.meta.dir, "../docs/api.md"), "utf8")),
  "postman/cairn.postman_collection.json": `${JSON.stringify(makeCollection(), null, 2)}\n`,
  "api.http": makeRequestFile()
})

if (import.meta.main) {
  for (const [path, text] of Object.entries(contractFiles())) {
    const file = join(import.meta.dir, "../docs", path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.log(file)
  }
}
