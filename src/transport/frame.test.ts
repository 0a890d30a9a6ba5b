/** Frames of a session: what a reader keeps between two reads. How frames are cut and refused is fuzzed in test/fuzz/peer.test.ts. */
import { expect, test } from "bun:test"
import { keptBy, pieceOfMany } from "../../test/buffers.ts"
import { encodeFrame, FrameReader } from "./frame.ts"

const frame = encodeFrame({ tag: "ABC", body: new Uint8Array(20) })

test("an idle reader keeps nothing of what it has read, nor of what came with the beginning of a frame", async () => {
  for (const length of [frame.length, frame.length - 5, 2]) {
    const begun = (): FrameReader => {
      const reader = new FrameReader(100)
      const piece = pieceOfMany(length)
      piece.set(frame.subarray(0, length))
      reader.push(piece)
      while (reader.next() !== undefined);
      return reader
    }
    expect(await keptBy(begun)).toBeLessThan(4 * 1024 * 1024)
    const reader = begun()
    reader.push(frame.subarray(length))
    expect(reader.next()).toEqual(length === frame.length ? undefined : { tag: "ABC", body: new Uint8Array(20) })
  }
})
