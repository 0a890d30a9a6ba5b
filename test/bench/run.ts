/** `bun run bench [name …]`: every benchmark, or the named ones, each in a process of its own so that none warms another. */
import { join } from "node:path"
import { Glob, spawnSync } from "bun"

const notBenches = new Set(["chains.ts", "run.ts", "table.ts"])
const all = [...new Glob("*.ts").scanSync(import.meta.dir)].filter((file) => !notBenches.has(file)).sort()
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !all.includes(`${name}.ts`))

if (unknown.length > 0) {
  process.stderr.write(
    `no benchmark ${unknown.join(", ")}; there are: ${all.map((file) => file.slice(0, -3)).join(", ")}\n`
  )
  process.exit(2)
}

const failed = all
  .filter((file) => wanted.length === 0 || wanted.includes(file.slice(0, -3)))
  .filter(
    (file) => !spawnSync(["bun", join(import.meta.dir, file)], { stdio: ["ignore", "inherit", "inherit"] }).success
  )

if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(", ")}\n`)
  process.exit(1)
}
