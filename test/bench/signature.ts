/** Signature engines and SHA-256, on one core. */
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js"
import { sha256, sha256Into } from "../../src/crypto/hash.ts"
import { loadEngineNamed } from "../../src/crypto/native.ts"
import { printTable, rate } from "./table.ts"

const secret = new Uint8Array(32).fill(9)
const hash = new Uint8Array(32).fill(8)

const signatures = (["noble", "secp256k1-node", "libsecp256k1"] as const).flatMap((name) => {
  const engine = loadEngineNamed(name)
  if (engine === undefined) return []
  const signature = engine.sign(hash, secret)
  const publicKey = engine.publicKey(secret)
  const calls = name === "noble" ? 300 : 5_000
  return [
    {
      name: `${name} verify`,
      value: rate(() => engine.verify(hash, signature, publicKey), calls),
      unit: "/s",
      baseline: "noble verify"
    },
    { name: `${name} sign`, value: rate(() => engine.sign(hash, secret), calls), unit: "/s", baseline: "noble sign" }
  ]
})

printTable("Signatures (secp256k1 ECDSA, one core)", signatures)

const header = new Uint8Array(212).fill(7)
const out = new Uint8Array(32)
const variants = {
  noble: () => nobleSha256(header),
  sha256: () => sha256(header),
  sha256Into: () => sha256Into(header, out)
}

printTable(
  "SHA-256 of a header, 212 bytes (one core)",
  Object.entries(variants).map(([name, f]) => ({ name, value: rate(f, 50_000), unit: "/s", baseline: "noble" }))
)
