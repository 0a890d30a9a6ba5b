/** What is unread, against a plain queue of bytes: any mix of pieces, readers and looks; and what it costs is what is there. */
import { expect, test } from "bun:test"
import { keptBy, pieceOfMany } from "../../test/buffers.ts"
import { makeDice } from "../sim/dice.ts"
import { chunkBytes, Unread } from "./unread.ts"

test("bytes and credit come out as they went in, in order, and what a reader has is never written again", () => {
  const dice = makeDice(3)
  for (let round = 0; round < 200; round++) {
    const unread = new Unread()
    let queue: Array<number> = []
    let credit = 0
    const taken: Array<{ bytes: Uint8Array; was: Uint8Array }> = []
    const take = (): void => {
      const chunk = unread.shift()
      expect(chunk === undefined).toBe(queue.length === 0)
      if (chunk === undefined) return
      expect([...chunk.bytes]).toEqual(queue.slice(0, chunk.bytes.length))
      queue = queue.slice(chunk.bytes.length)
      credit -= chunk.credit
      taken.push({ bytes: chunk.bytes, was: chunk.bytes.slice() })
    }
    for (let step = 0; step < 60; step++) {
      const read = dice.bytes(1 + dice.int(dice.pick([4, 200, 6_000])))
      const piece = read.subarray(dice.int(read.length))
      const at = dice.int(10)
      if (at < 4) {
        // One read is often of several pieces.
        const cut = dice.int(piece.length)
        unread.push(piece.subarray(0, cut), cut)
        unread.push(piece.subarray(cut), piece.length - cut)
        unread.rest(dice.chance(0.5))
        queue.push(...piece)
        credit += piece.length
      } else if (at < 5) {
        unread.unshift(piece)
        queue.unshift(...piece)
      } else if (at < 6) unread.settle()
      else take()
      expect(unread.length).toBe(queue.length)
      expect(unread.cost).toBeGreaterThanOrEqual(unread.length)
    }
    while (queue.length > 0) take()
    expect(unread.shift()).toBeUndefined()
    expect([unread.length, unread.cost, credit]).toEqual([0, 0, 0])
    for (const { bytes, was } of taken) expect(bytes).toEqual(was)
  }
})

test("a large piece that fills its buffer is not copied, nor are the pieces of one read that are about to be taken", () => {
  const unread = new Unread()
  const read = new Uint8Array(100_000)
  unread.push(read.subarray(12), 1)
  unread.rest(false)
  expect(unread.cost).toBe(100_000 + chunkBytes)
  expect(unread.shift()!.bytes.buffer).toBe(read.buffer)
  for (let at = 0; at < 5; at++) unread.push(read.subarray(at * 20_000, (at + 1) * 20_000), 1)
  unread.rest(true)
  expect(unread.cost).toBe(100_000 + 5 * chunkBytes)
  expect(unread.shift()!.bytes.buffer).toBe(read.buffer)
  // With the next read they have waited too long.
  unread.push(new Uint8Array(10_000), 1)
  unread.rest(true)
  expect(unread.cost).toBe(90_000 + 5 * chunkBytes)
  expect(unread.shift()!.bytes.buffer.byteLength).toBe(20_000)
})

test("no piece keeps the read that it came with, and many small ones are few", async () => {
  for (const length of [1, 5_000])
    for (const put of ["push", "unshift"] as const) {
      const kept = await keptBy(() => {
        const unread = new Unread()
        unread[put](pieceOfMany(length), length)
        unread.rest(false)
        return unread
      })
      expect([put, length, kept < 4 * 1024 * 1024]).toEqual([put, length, true])
    }
  const unread = new Unread()
  for (let i = 0; i < 100_000; i++) {
    unread.push(new Uint8Array(1), 1)
    unread.rest(false)
  }
  expect(unread.cost).toBeLessThan(120_000)
  // Nor may a reader who is about to come have too many pieces of one read.
  const read = new Uint8Array(100_000)
  for (let i = 0; i < 100_000; i++) {
    unread.push(read.subarray(i, i + 1), 1)
    unread.rest(true)
  }
  expect(unread.cost).toBeLessThan(350_000)
  unread.clear()
  expect([unread.length, unread.cost, unread.shift()]).toEqual([0, 0, undefined])
})
