/** Writes to a store until it is killed. Each line on standard output is said after the commit that it speaks of. */
import { writeSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { decodeAccount, keyOf as entryKey } from "../../src/ledger/account.ts"
import { transferOf } from "../../src/ledger/transfer.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import { lockFolder } from "../../src/store/lock.ts"
import { insertPending, loadPending } from "../../src/store/pending.ts"
import { keyOf, specOf, TestChain, transfer } from "../fixtures.ts"

const folder = process.argv[2]!
const say = (kind: string, id: string): void => void writeSync(1, `${kind} ${id}\n`)

lockFolder(folder)
const chain = new TestChain(specOf(), join(folder, "chain.db"))
const { store } = chain
const waiting: Array<Transaction> = loadPending(store.db)
  .map(({ bytes }) => Result.getOrThrow(chain.rules.ledger.decode(bytes)))
  .sort((a, b) => transferOf(a).nonce - transferOf(b).nonce)
let nonce = decodeAccount(store.readEntry(entryKey(keyOf(0).address))).nonce + waiting.length
say("ready", String(process.pid))
for (;;) {
  for (let batch = 0; batch < 8; batch++) {
    const paid = Array.from({ length: 3 }, () => transfer({ from: 0, to: 1, nonce: ++nonce }))
    store.decide(() => insertPending(store.db, paid, chain.now))
    for (const { id } of paid) say("pending", id.toHex())
    waiting.push(...paid)
  }
  const [block] = chain.mine(1, waiting.splice(0))
  say("block", block!.header.id)
}
