/** The prebuilt ChaCha20-Poly1305 is inside a compiled binary, and where it cannot be unpacked the kernel takes its place. */
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dir, "../..")
const folder = mkdtempSync(join(tmpdir(), "cairn-aead-"))
afterAll(() => rmSync(folder, { recursive: true }))

const run = (command: ReadonlyArray<string>, env: Record<string, string> = {}): string => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command], { cwd: folder, env, timeout: 60_000 })
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`)
  return stdout.toString().trim()
}

test.skipIf(process.platform !== "linux" || !["x64", "arm64"].includes(process.arch))(
  "a binary without node_modules beside it has the engine within",
  async () => {
    const entry = join(folder, "probe.ts")
    const engine = JSON.stringify(join(root, "src/crypto/chacha-engine.ts"))
    await Bun.write(entry, `import { loadAead } from ${engine}\nprocess.stdout.write(loadAead("auto")!.name)\n`)
    const probe = join(folder, "probe")
    const flags = ["--compile", "--minify", "--bytecode", "--format=esm", "--no-compile-autoload-bunfig"]
    run([process.execPath, "build", ...flags, entry, "--outfile", probe], { PATH: process.env["PATH"]!, HOME: folder })
    // Loaded from where the binary unpacks it to: this folder, which is empty of packages.
    expect(run([probe], { BUN_TMPDIR: folder })).toBe("sodium-native")
    expect(run([probe], { BUN_TMPDIR: "/proc", TMPDIR: "/proc" })).toBe("wasm")
  },
  120_000
)
