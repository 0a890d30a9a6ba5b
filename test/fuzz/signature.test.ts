/** Engines that disagree on one input would split the chain: mutated signatures, hashes and keys, every verdict the same. */
import { expect, test } from "bun:test"
import { toHex } from "../../src/codec/bytes.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { loadEngineNamed } from "../../src/crypto/native.ts"
import { nobleEngine } from "../../src/crypto/signature.ts"
import { makeDice } from "../../src/sim/dice.ts"

const native = (["libsecp256k1", "secp256k1-node"] as const).flatMap((name) => loadEngineNamed(name) ?? [])

/** How many of the cases noble judges too: it is a hundred times slower. */
const nobleEvery = 25

test("native engines agree with each other on 5,000 mutated cases, and with noble on every twenty-fifth", () => {
  if (native.length === 0) process.stderr.write("skipped: no native signature engine loads on this machine\n")
  const dice = makeDice(7)
  let taken = 0
  for (let i = 0; i < (native.length === 0 ? 0 : 5_000); i++) {
    const secret = sha256(dice.bytes(8))
    const hash = sha256(dice.bytes(8))
    const signer = native[0]!
    const signature = dice.chance(0.5) ? signer.sign(hash, secret) : dice.mutate(signer.sign(hash, secret))
    const publicKey = dice.chance(0.5) ? signer.publicKey(secret) : dice.mutate(signer.publicKey(secret))
    const engines = i % nobleEvery === 0 ? [...native, nobleEngine] : native
    const verdicts = engines.map((engine) => engine.verify(hash, signature, publicKey))
    expect([toHex(hash), toHex(signature), toHex(publicKey), new Set(verdicts).size]).toEqual([
      toHex(hash),
      toHex(signature),
      toHex(publicKey),
      1
    ])
    if (verdicts[0]) taken++
  }
  if (native.length > 0) expect(taken).toBeGreaterThan(500)
})
