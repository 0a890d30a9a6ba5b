/** Frames of Noise out of pieces of any size. */
import { expect, test } from "bun:test"
import { concat, concatAll } from "../codec/bytes.ts"
import { NoiseFrames, noiseFrame, noiseMessageBytesMax } from "./noise-frame.ts"

const bytes = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff)
const drain = (frames: NoiseFrames, piece: Uint8Array): Array<Uint8Array> => {
  const out: Array<Uint8Array> = []
  frames.push(piece)
  for (let next = frames.next(); next !== undefined; next = frames.next()) out.push(next)
  return out
}

const messages = [bytes(0, 1), bytes(1, 2), bytes(255, 3), bytes(0, 4), bytes(256, 5), bytes(3, 6)]
const wire = concatAll(messages.map(noiseFrame))

test("every cut in two gives the same messages", () => {
  for (let cut = 0; cut <= wire.length; cut++) {
    const frames = new NoiseFrames()
    const got = [...drain(frames, wire.slice(0, cut)), ...drain(frames, wire.slice(cut))]
    expect(got).toEqual(messages)
    expect(frames.rest().length).toBe(0)
  }
})

test.each([1, 2, 3, 7, 100, 257, 258])("pieces of %d bytes give the same messages", (size) => {
  const frames = new NoiseFrames()
  const got: Array<Uint8Array> = []
  for (let at = 0; at < wire.length; at += size) got.push(...drain(frames, wire.slice(at, at + size)))
  expect(got).toEqual(messages)
})

test("a message that is whole in its piece is a view of it, and what is behind it is the rest", () => {
  const frames = new NoiseFrames()
  const piece = concat(noiseFrame(bytes(10, 1)), bytes(5, 9))
  frames.push(piece)
  expect(frames.next()!.buffer).toBe(piece.buffer)
  expect(frames.rest()).toEqual(bytes(5, 9))
  // The same when the message had begun in an earlier piece.
  const late = new NoiseFrames()
  expect(drain(late, piece.slice(0, 4))).toEqual([])
  late.push(piece.slice(4))
  expect(late.next()).toEqual(bytes(10, 1))
  expect(late.rest()).toEqual(bytes(5, 9))
})

test("nothing of a piece is held when all of it was taken: an idle link would hold what came last", () => {
  for (const cut of [0, 1, 5, 11]) {
    const frames = new NoiseFrames()
    const wire = concat(noiseFrame(bytes(10, 1)), noiseFrame(bytes(4, 2)))
    const [first, second] = [wire.slice(0, cut), wire.slice(cut)]
    expect(drain(frames, first).length).toBe(0)
    expect(drain(frames, second).length).toBe(2)
    expect(frames.rest().buffer).not.toBe(second.buffer)
    expect(frames.rest().length).toBe(0)
  }
})

test("the longest message, byte by byte: each byte is moved a few times, never all of them for one", () => {
  const message = bytes(noiseMessageBytesMax, 7)
  const whole = noiseFrame(message)
  const frames = new NoiseFrames()
  const set = Uint8Array.prototype.set
  let moved = 0
  // What the collecting copies is what costs: so it is counted.
  Uint8Array.prototype.set = function (this: Uint8Array, from: ArrayLike<number>, offset?: number) {
    moved += from.length
    set.call(this, from, offset)
  }
  const got: Array<Uint8Array> = []
  try {
    for (let at = 0; at < whole.length; at++) got.push(...drain(frames, whole.subarray(at, at + 1)))
  } finally {
    Uint8Array.prototype.set = set
  }
  expect(got).toEqual([message])
  expect(moved).toBeGreaterThanOrEqual(whole.length)
  expect(moved).toBeLessThan(3 * whole.length)
})
