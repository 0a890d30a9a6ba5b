/** Frames: any messages in any pieces come out as they went in, for work that grows with their bytes and not with their square. */
import { expect, test } from "bun:test"
import { concat, concatAll } from "../codec/bytes.ts"
import { keptBy, pieceOfMany } from "../../test/buffers.ts"
import { makeDice } from "../sim/dice.ts"
import { Libp2pFault } from "./fault.ts"
import { FrameReader, frameOf } from "./frame.ts"
import { encodeVarint } from "./varint.ts"

const take = (reader: FrameReader): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let next = reader.next(); next instanceof Uint8Array; next = reader.next()) out.push(next)
  return out
}

test("a frame is the length and the bytes", () => {
  expect(frameOf(new Uint8Array(0)).toHex()).toBe("00")
  expect(frameOf(Uint8Array.of(1, 2)).toHex()).toBe("020102")
  expect(frameOf(new Uint8Array(300)).subarray(0, 3).toHex()).toBe("ac0200")
})

test("any messages in any pieces come out whole and in order, and later bytes do not change them", () => {
  const dice = makeDice(1)
  for (let round = 0; round < 300; round++) {
    const messages = Array.from({ length: 1 + dice.int(6) }, () => dice.bytes(dice.int(dice.pick([2, 200, 1_000]))))
    const tail = dice.bytes(dice.int(3)).fill(0x80)
    const stream = concatAll([...messages.map(frameOf), tail])
    const reader = new FrameReader(1_000)
    const out: Array<Uint8Array> = []
    for (let at = 0; at < stream.length; ) {
      const size = 1 + dice.int(dice.pick([1, 7, 400, 3_000]))
      reader.push(stream.slice(at, at + size))
      at += size
      if (dice.chance(0.7)) out.push(...take(reader))
    }
    out.push(...take(reader))
    expect(out).toEqual(messages)
    expect(reader.rest()).toEqual(tail)
  }
})

test("every split of two frames into three pieces", () => {
  const first = Uint8Array.from({ length: 130 }, (_, i) => i)
  const second = Uint8Array.of(9, 8)
  const stream = concat(frameOf(first), frameOf(second))
  for (let a = 0; a <= stream.length; a++) {
    for (let b = a; b <= stream.length; b += 3) {
      const reader = new FrameReader(200)
      const out: Array<Uint8Array> = []
      for (const piece of [stream.slice(0, a), stream.slice(a, b), stream.slice(b)]) {
        reader.push(piece)
        out.push(...take(reader))
      }
      expect(out).toEqual([first, second])
    }
  }
})

test("the longest message passes, one byte more is refused before it comes, and stays refused", () => {
  const reader = new FrameReader(100)
  reader.push(frameOf(new Uint8Array(100)))
  expect(reader.next()).toEqual(new Uint8Array(100))
  reader.push(encodeVarint(101))
  for (let i = 0; i < 2; i++) {
    const refused = reader.next()
    expect(refused).toBeInstanceOf(Libp2pFault)
    expect(String(refused)).toBe("InvalidMessageError (decode): a message of 101 bytes, 100 at most")
    reader.push(new Uint8Array(101))
  }
})

test("a length that is no varint is refused", () => {
  for (const text of ["8000", "ffffffffffffffffff01"]) {
    const reader = new FrameReader(100)
    for (const byte of Uint8Array.fromHex(text)) reader.push(Uint8Array.of(byte))
    expect(reader.next()).toBeInstanceOf(Libp2pFault)
  }
})

test("a message of 4 MiB in pieces of 16 bytes is copied a few times, not once for each piece", () => {
  const bytes = 4 * 1024 * 1024
  const frame = frameOf(new Uint8Array(bytes).fill(7))
  const reader = new FrameReader(bytes)
  // Counts what `set` copies: the work itself, whatever the machine's speed.
  const set = Uint8Array.prototype.set
  let copied = 0
  let allowed: Uint8Array | Libp2pFault | undefined
  Uint8Array.prototype.set = function (this: Uint8Array, from: ArrayLike<number>, offset?: number) {
    copied += from.length
    set.call(this, from, offset)
  }
  try {
    for (let at = 0; at < frame.length; at += 16) {
      reader.push(frame.subarray(at, at + 16))
      const next = reader.next()
      if (next !== undefined) allowed = next
    }
  } finally {
    Uint8Array.prototype.set = set
  }
  expect((allowed as Uint8Array).length).toBe(bytes)
  expect(copied).toBeLessThan(4 * bytes)
})

test("messages that came whole in one piece are views of it", () => {
  const piece = concat(frameOf(Uint8Array.of(1)), frameOf(Uint8Array.of(2, 3)))
  const reader = new FrameReader(10)
  reader.push(piece)
  expect(take(reader).map((message) => message.buffer === piece.buffer)).toEqual([true, true])
  expect(reader.rest().length).toBe(0)
})

test("no bytes make it throw", () => {
  const dice = makeDice(3)
  for (let i = 0; i < 3_000; i++) {
    const reader = new FrameReader(64)
    for (let pieces = 0; pieces < 6; pieces++) {
      reader.push(dice.mutate(frameOf(dice.bytes(dice.int(70)))))
      for (const message of take(reader)) expect(message.length).toBeLessThanOrEqual(64)
    }
  }
})

test("a message that has only begun keeps nothing of what came with it", async () => {
  const begun = (): FrameReader => {
    const reader = new FrameReader(100)
    const piece = pieceOfMany(10)
    piece[0] = 90
    reader.push(piece)
    expect(reader.next()).toBeUndefined()
    return reader
  }
  expect(await keptBy(begun)).toBeLessThan(4 * 1024 * 1024)
  const reader = begun()
  reader.push(new Uint8Array(81))
  expect(reader.next()).toEqual(new Uint8Array(90))
})
