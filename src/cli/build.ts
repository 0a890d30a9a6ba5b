/** Makes dist/cairn: one binary with workers, presets, page and the prebuilt signature engine inside. Run by `bun run build`. */
import { $ } from "bun"
import { join } from "node:path"
import { commit } from "./version.ts"

const root = join(import.meta.dir, "../..")

/**
 * The working directory's .env and bunfig.toml are not read by the binary: a preload named there would be run.
 * Workers are entry points of their own; their names in the binary are relative to the root that all entries share.
 */
const build = async (): Promise<void> => {
  const outfile = process.argv[2] ?? "dist/cairn"
  const flags = [
    "--compile",
    "--minify",
    // What the page fetches only when it is asked for stays a file of its own.
    "--splitting",
    "--sourcemap",
    "--bytecode",
    "--format=esm",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    `--define=CAIRN_COMMIT=${JSON.stringify(commit())}`
  ]
  await $`bun build ${flags} ./src/main.ts ./actors/pow-worker.ts ./actors/backup-worker.ts ./src/sim/swarm-worker.ts --outfile ${outfile}`
    .cwd(root)
    .quiet()
  const megabytes = Bun.file(join(root, outfile)).size / 1e6
  process.stdout.write(`built ${outfile} (${megabytes.toFixed(0)} MB). Try: ${outfile} start --dev\n`)
}

await build()
