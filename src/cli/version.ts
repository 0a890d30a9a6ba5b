/** The version of this program, and the commit it was made from. */
import manifest from "../../package.json" with { type: "json" }

export const version: string = manifest.version

declare const CAIRN_COMMIT: string | undefined

const ask = (): string => {
  const { exitCode, stdout } = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], {
    cwd: import.meta.dir,
    stderr: "ignore"
  })
  return exitCode === 0 ? stdout.toString().trim() : version
}

/** The commit: built into the binary, or asked of git beside the sources; the version where neither is. */
export const commit = (): string => (typeof CAIRN_COMMIT === "string" ? CAIRN_COMMIT : ask())
