/** A process that seals as fast as it may, by the real file and the real clock, and says each slot after its book is on disk. */
import { openBook } from "../../src/store/signed-book.ts"
import { startSlotOf } from "../../src/validator/book.ts"
import { slotOf } from "../../src/consensus/rota.ts"
import { keyOf } from "../fixtures.ts"
import { signOnce } from "../../src/validator/signer.ts"
import { Result } from "effect"

const [path, slotMs] = process.argv.slice(2)
const rota = { genesisTime: 1_795_219_200_000, slotMs: Number(slotMs), outOfTurnMs: 0 }
const owner = { address: "crn1one", chainId: "test", genesis: "ab".repeat(32) }
const { book } = openBook({
  path: path!,
  keyPath: undefined,
  owner,
  startSlot: startSlotOf(rota, Date.now(), 0),
  isNew: false,
  wasUsed: () => false
})
const key = keyOf(1)
process.stdout.write("ready\n")
for (;;) {
  const slot = slotOf(rota, Date.now())
  const sealed = signOnce(key, book, { next: { kind: "seal", slot }, hash: new Uint8Array(32).fill(slot) })
  if (Result.isSuccess(sealed)) process.stdout.write(`${slot}\n`)
  Bun.sleepSync(1)
}
