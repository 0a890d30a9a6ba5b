/** Writes what docs/ has from the contract: the Postman collection and the file of requests. `bun run contract`. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { makeCollection, makeRequestFile } from "../src/http/collection.ts"

/** Their paths in docs/, and what they must hold. */
export const contractFiles = (): Readonly<Record<string, string>> => ({
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
