/** ChaCha20-Poly1305 by each engine that loads here: MiB that one second of CPU seals or opens, by the length of a message. */
import { aeadTagBytes } from "../../src/crypto/chacha.ts"
import { loadAeadNamed } from "../../src/crypto/chacha-engine.ts"
import { cpuRate, printTable } from "./table.ts"

const names = ["noble", "wasm", "sodium-native"] as const
const lengths = [64, 1_024, 16_384, 65_519]
const nonce = new Uint8Array(12)
const none = new Uint8Array(0)
const mebibyte = 1024 * 1024

const rows = lengths.flatMap((length) =>
  names.flatMap((name) => {
    const engine = loadAeadNamed(name)
    if (engine === undefined) return []
    const key = engine.key(new Uint8Array(32).fill(7))
    const plain = new Uint8Array(length).fill(9)
    const sealed = new Uint8Array(length + aeadTagBytes)
    const calls = Math.ceil((name === "noble" ? 2 : 24) * Math.min(mebibyte / length, 2_000))
    const row = (what: string, f: () => unknown) => ({
      name: `${name} ${what} ${length} B`,
      value: (cpuRate(f, calls) * length) / mebibyte,
      unit: "MiB/CPU-s",
      baseline: `noble ${what} ${length} B`
    })
    return [
      row("seal", () => key.seal(nonce, none, plain, sealed)),
      row("open", () => key.open(nonce, none, sealed, plain))
    ]
  })
)

printTable("ChaCha20-Poly1305 (one core; the second of CPU counts all threads)", rows)
