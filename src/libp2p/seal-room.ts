/**
 * Room for what a session seals. Fresh memory for each seal costs a fifth of a bulk transfer; so where the link copies what it is
 * given, the room comes back here and serves the next seal, of whichever session.
 */
import { sealBytesMax } from "../limits.ts"

/** Smaller ones are quickly made, and would keep a whole room. */
const lentBytesMin = 32 * 1024
/** The most that a connection seals at a time, and the heads and tags of its frames. */
const roomBytes = sealBytesMax + 1_024
/** Rooms that wait to be used again: half a MiB of the process. */
const freeMax = 4

const free: Array<Uint8Array> = []
/** What was lent and has not come back. What never does is forgotten with its memory. */
const lent = new WeakSet<Uint8Array>()

/** `length` bytes that nobody else has. They hold anything. */
export const takeRoom = (length: number): Uint8Array => {
  if (length < lentBytesMin || length > roomBytes) return new Uint8Array(length)
  const view = (free.pop() ?? new Uint8Array(roomBytes)).subarray(0, length)
  lent.add(view)
  return view
}

/** Nobody reads these bytes any more. Those that were not lent, or came back before, are left alone. */
export const giveRoomBack = (bytes: Uint8Array): void => {
  if (lent.delete(bytes) && free.length < freeMax) free.push(new Uint8Array(bytes.buffer))
}
