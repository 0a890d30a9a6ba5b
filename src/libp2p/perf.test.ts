/** Perf: the size first, then the upload, and only after its end the download; sizes that do not fit are faults. */
import { describe, expect, test } from "bun:test"
import { concatAll, toHex } from "../codec/bytes.ts"
import { Libp2pFault } from "./fault.ts"
import { PerfClient, PerfServer } from "./perf.ts"

const allOf = (side: { readonly next: () => Uint8Array | undefined }): ReadonlyArray<Uint8Array> => {
  const found: Array<Uint8Array> = []
  for (let block = side.next(); block !== undefined; block = side.next()) found.push(block)
  return found
}
const lengthOf = (blocks: ReadonlyArray<Uint8Array>): number => blocks.reduce((sum, { length }) => sum + length, 0)

describe("perf", () => {
  test("says in eight bytes, big-endian, what it wants back", () => {
    expect(toHex(new PerfClient(0, 0x1_0203_0405).next()!)).toBe("0000000102030405")
  })

  test.each([
    [0, 0],
    [1, 0],
    [0, 1],
    [1_000, 2_500],
    [64, 64]
  ])("%i bytes up and %i down go both ways, cut at every place", (up, down) => {
    const sent = concatAll(allOf(new PerfClient(up, down, 64)))
    expect(sent.length).toBe(8 + up)
    for (let at = 0; at <= Math.min(sent.length, 80); at++) {
      const server = new PerfServer({ blockBytes: 64 })
      server.receive(sent.slice(0, at))
      expect(server.next()).toBeUndefined()
      server.receive(sent.slice(at))
      expect(server.next()).toBeUndefined()
      expect(server.uploaded()).toBe(up)
      expect(server.remoteClosed()).toBeUndefined()
      const blocks = allOf(server)
      expect(blocks.every(({ length }) => length > 0 && length <= 64)).toBe(true)
      expect(lengthOf(blocks)).toBe(down)
      const client = new PerfClient(up, down)
      for (const block of blocks) expect(client.receive(block)).toBeUndefined()
      expect(client.remoteClosed()).toBeUndefined()
      expect(client.downloaded()).toBe(down)
    }
  })

  test("an upload that ends before the size was told is a fault", () => {
    for (let length = 0; length < 8; length++) {
      const server = new PerfServer()
      server.receive(new Uint8Array(length))
      expect(server.remoteClosed()).toMatchObject({ kind: "decode" })
      expect(server.next()).toBeUndefined()
    }
  })

  test("a download above the limit is refused, up to the largest number that eight bytes hold", () => {
    const asking = (bytes: Uint8Array): Libp2pFault | undefined => {
      const server = new PerfServer({ bytesMax: 100 })
      server.receive(bytes)
      return server.remoteClosed()
    }
    expect(asking(new PerfClient(0, 100).next()!)).toBeUndefined()
    expect(asking(new PerfClient(0, 101).next()!)).toMatchObject({ name: "ResourceLimitError", kind: "resource" })
    expect(asking(new Uint8Array(8).fill(255))).toMatchObject({ kind: "resource" })
  })

  test("a download of another length than asked for is a fault", () => {
    const client = new PerfClient(0, 10)
    expect(client.receive(new Uint8Array(9))).toBeUndefined()
    expect(client.remoteClosed()).toBeInstanceOf(Libp2pFault)
    expect(client.receive(new Uint8Array(2))).toMatchObject({ name: "ProtocolError" })
  })
})
