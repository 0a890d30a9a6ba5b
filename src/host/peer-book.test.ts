/** What a book of peers keeps for a datastore, what it does not keep without one, and the bytes that all of it may take. */
import { describe, expect, test } from "bun:test"
import { Libp2pFault } from "../libp2p/fault.ts"
import { keyFromSeed } from "../libp2p/key.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import type { PeerData } from "./api.ts"
import { PeerBook, peersBytesMax } from "./peer-book.ts"
import { type KnownPeer, peerAddressesMax, peerBytes, peerProtocolsLengthMax, unknownPeer } from "./peer-data.ts"

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

/** As much as identify lets a peer say: 80 KB. */
const loud: PeerData = {
  protocols: Array.from({ length: 70 }, (_, at) => `/${at}/`.padEnd(1_000, "x")),
  multiaddrs: Array.from({ length: 500 }, (_, at) => multiaddr(`/ip4/198.18.${at >> 8}.${at & 255}/tcp/4001`)),
  peerRecordEnvelope: new Uint8Array(8_192)
}
const quiet: PeerData = { protocols: ["/echo/1.0.0"] }
const lengthOf = (protocols: ReadonlyArray<string>): number => protocols.reduce((sum, { length }) => sum + length, 0)

describe("bytes", () => {
  const bookOf = (maxBytes: number) => new PeerBook({ self: idOf(1), now: () => 0, recorded: true, maxBytes })
  const known = (book: PeerBook, seed: number): KnownPeer => book.known(idOf(seed))!
  const sum = (book: PeerBook) => book.all().reduce((all, { id }) => all + peerBytes(book.known(id)!), 0)

  test("of a peer that goes, most of what it said goes too", () => {
    const book = bookOf(peersBytesMax)
    book.peerConnected(idOf(2))
    book.put(idOf(2), loud, "patch")
    expect([known(book, 2).addresses.length, known(book, 2).protocols.length]).toEqual([500, 70])
    expect(book.bytes).toBe(sum(book))
    book.peerDisconnected(idOf(2))
    expect(known(book, 2).addresses.length).toBe(peerAddressesMax)
    expect(lengthOf(known(book, 2).protocols)).toBe(4 * 1_000)
    expect(lengthOf(known(book, 2).protocols)).toBeLessThanOrEqual(peerProtocolsLengthMax)
    expect(book.bytes).toBe(sum(book))
    expect(book.bytes).toBeLessThan(45_000)
    // Nor does somebody else leave more of a peer that is not here.
    book.put(idOf(3), loud, "patch")
    expect(peerBytes(known(book, 3))).toBe(peerBytes(known(book, 2)))
    book.delete(idOf(2))
    book.delete(idOf(3))
    expect(book.bytes).toBe(0)
  })

  test("of all peers never are more than the bound: the oldest go, not those that are held", () => {
    const book = bookOf(200_000)
    book.peerConnected(idOf(2))
    book.put(idOf(2), quiet, "patch")
    book.put(idOf(3), { ...quiet, tags: { friend: {} } }, "patch")
    for (let seed = 10; seed < 200; seed++) {
      book.put(idOf(seed), seed % 2 === 0 ? loud : quiet, "patch")
      expect(book.bytes).toBe(sum(book))
      expect(book.bytes).toBeLessThanOrEqual(200_000)
      expect(known(book, seed)).toBeDefined()
    }
    expect([known(book, 2), known(book, 3)]).not.toContain(undefined)
    expect([known(book, 10), known(book, 11)]).toEqual([undefined!, undefined!])
    // What went is to go from the datastore too.
    expect([...book.takeChanges(1_000)]).toContainEqual([idOf(10).toString(), undefined])
  })

  test("a connected peer that says much is cut, and nobody goes for what was cut", () => {
    const book = bookOf(200_000)
    for (let seed = 10; seed < 20; seed++) book.put(idOf(seed), quiet, "patch")
    book.peerConnected(idOf(2))
    book.put(idOf(2), loud, "patch")
    expect([book.size, known(book, 2).addresses.length]).toEqual([11, peerAddressesMax])
  })

  test("with all in use there is no room for one more, but for ourselves", () => {
    const book = bookOf(100_000)
    let seed = 10
    const next = (): void => {
      book.peerConnected(idOf(++seed))
      book.put(idOf(seed), loud, "patch")
    }
    expect(() => {
      for (;;) next()
    }).toThrow(Libp2pFault)
    expect([seed, known(book, seed)]).toEqual([13, undefined!])
    book.put(idOf(1), loud, "patch")
    expect(known(book, 1).addresses.length).toBe(500)
  })

  test("a datastore gives back no more than there is room for", () => {
    const book = bookOf(10_000)
    for (let seed = 2; seed < 20; seed++) book.restore({ ...unknownPeer(idOf(seed)), envelope: new Uint8Array(2_000) })
    expect([book.size, book.bytes]).toEqual([3, sum(book)])
    expect(book.takeChanges(100).size).toBe(15)
  })
})
