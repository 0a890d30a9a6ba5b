/** What a book of peers keeps for a datastore, and what it does not keep without one. */
import { expect, test } from "bun:test"
import { Libp2pFault } from "../libp2p/fault.ts"
import { keyFromSeed } from "../libp2p/key.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { PeerBook } from "./peer-book.ts"

const idOf = (seed: number) => {
  const key = keyFromSeed(new Uint8Array(32).fill(seed))
  if (key instanceof Libp2pFault) throw key
  return peerIdOfKey(key.publicKey)
}

test.each([true, false])("changes are kept for a datastore alone; there is one: %p", (recorded) => {
  const book = new PeerBook({ self: idOf(1), now: () => 0, recorded })
  for (let seed = 2; seed < 12; seed++) {
    book.put(idOf(seed), { protocols: ["/echo/1.0.0"] }, "patch")
    book.peerDisconnected(idOf(seed))
    book.delete(idOf(seed))
  }
  expect(book.size).toBe(0)
  expect(book.changed).toBe(recorded)
  expect(book.takeChanges(100).size).toBe(recorded ? 10 : 0)
})
