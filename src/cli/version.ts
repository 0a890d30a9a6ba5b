/** The version of this program, and the commit it was made from. */
import manifest from "../../package.json" with { type: "json" }

export const version: string = manifest.version

declare const CAIRN_COMMIT: string | undefined

const ask = (): string => {
  // Where a container is built there is neither git nor its folder: the builder says it (scripts/build.sh).
  const told = process.env["CAIRN_COMMIT"]
  if (told !== undefined && /^[0-9a-f]{7,40}$/.test(told)) return told.slice(0, 12)
  if (Bun.which("git") === null) return version
  const { exitCode, stdout } = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], {
    cwd: import.meta.dir,
    stderr: "ignore"
  })
  return exitCode === 0 ? stdout.toString().trim() : version
}

/** The commit: built into the binary, or told or asked of git beside the sources; the version where none of them is. */
export const commit = (): string => (typeof CAIRN_COMMIT === "string" ? CAIRN_COMMIT : ask())
