/** Signature engines, on one core. */
import { loadEngineNamed } from "../../src/crypto/native.ts"
import { printTable, rate } from "./table.ts"

const secret = new Uint8Array(32).fill(9)
const hash = new Uint8Array(32).fill(8)

const rows = (["noble", "secp256k1-node", "libsecp256k1"] as const).flatMap((name) => {
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
    { name: `${name} sign`, value: rate(() => engine.sign(hash, secret), calls), unit: "/s", baseline: "noble verify" }
  ]
})

printTable("Signatures (secp256k1 ECDSA, one core)", rows)
