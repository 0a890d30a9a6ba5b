/** Who gets which memory to seal in. */
import { expect, test } from "bun:test"
import { sealBytesMax } from "../limits.ts"
import { giveRoomBack, takeRoom } from "./seal-room.ts"

test("what came back serves again, what did not is never given twice", () => {
  const first = takeRoom(100_000)
  expect(first.length).toBe(100_000)
  giveRoomBack(first)
  const second = takeRoom(sealBytesMax)
  expect(second.buffer).toBe(first.buffer)
  const third = takeRoom(sealBytesMax)
  expect(third.buffer).not.toBe(second.buffer)
  giveRoomBack(second)
  // It came back once.
  giveRoomBack(second)
  expect(takeRoom(sealBytesMax).buffer).toBe(second.buffer)
  expect(takeRoom(sealBytesMax).buffer).not.toBe(second.buffer)
})

test("memory of others is not taken, whatever its size", () => {
  const lent = takeRoom(sealBytesMax)
  const foreign = new Uint8Array(lent.buffer.byteLength)
  giveRoomBack(foreign)
  giveRoomBack(lent.subarray(0))
  for (let i = 0; i < 8; i++) {
    const { buffer } = takeRoom(sealBytesMax)
    expect(buffer === foreign.buffer || buffer === lent.buffer).toBe(false)
  }
})

test("small and very large ones have memory of their own, and no more than a few rooms wait", () => {
  for (const length of [1, 32 * 1024 - 1, 2 * sealBytesMax]) expect(takeRoom(length).buffer.byteLength).toBe(length)
  const many = Array.from({ length: 10 }, () => takeRoom(sealBytesMax))
  for (const room of many) giveRoomBack(room)
  const again = new Set(Array.from({ length: 10 }, () => takeRoom(sealBytesMax).buffer))
  expect(many.filter(({ buffer }) => again.has(buffer)).length).toBe(4)
})
