/** What a link carries after a handshake of Noise: frames of at most 65,519 bytes of plaintext, each under the next nonce. */
import { assert } from "../assert.ts"
import { aeadTagBytes } from "../crypto/chacha.ts"
import type { PeerId, PublicKey, SecureSession } from "./contract.ts"
import { NoiseFrames, noiseHeadBytes, noiseMessageBytesMax, writeNoiseHead } from "./noise-frame.ts"
import { type CipherState, noiseFault } from "./noise-xx.ts"
import { takeRoom } from "./seal-room.ts"

/** Bytes of plaintext in one frame. */
export const noisePlainBytesMax = noiseMessageBytesMax - aeadTagBytes
const overhead = noiseHeadBytes + aeadTagBytes
const none = new Uint8Array(0)

/** Copies `parts` into `out` as they lie in the frames, with room for each frame's head and tag. */
const layOut = (parts: ReadonlyArray<Uint8Array>, out: Uint8Array): void => {
  let at = noiseHeadBytes
  let room = noisePlainBytesMax
  for (const part of parts) {
    for (let done = 0; done < part.length; ) {
      if (room === 0) {
        at += overhead
        room = noisePlainBytesMax
      }
      const count = Math.min(room, part.length - done)
      out.set(done === 0 && count === part.length ? part : part.subarray(done, done + count), at)
      done += count
      at += count
      room -= count
    }
  }
}

/** A session over the two ciphers of a handshake. `binding`: its hash. */
export const noiseSession = (facts: {
  readonly remote: PublicKey
  readonly remotePeer: PeerId
  readonly earlyMuxer: string | undefined
  readonly binding: Uint8Array
  readonly sending: CipherState
  readonly receiving: CipherState
}): SecureSession => {
  const { sending, receiving } = facts
  const frames = new NoiseFrames()
  return {
    remote: facts.remote,
    remotePeer: facts.remotePeer,
    earlyMuxer: facts.earlyMuxer,
    binding: facts.binding,

    // In one piece: the plaintext is copied to where its ciphertext belongs, and sealed there.
    seal: (parts, length) => {
      assert(length > 0, "something is sealed")
      const count = Math.ceil(length / noisePlainBytesMax)
      if (!sending.has(count)) return undefined
      const out = takeRoom(length + count * overhead)
      layOut(parts, out)
      for (let at = 0, rest = length; rest > 0; ) {
        const plain = Math.min(rest, noisePlainBytesMax)
        const from = at + noiseHeadBytes
        const end = at + overhead + plain
        writeNoiseHead(plain + aeadTagBytes, out, at)
        sending.seal(none, out.subarray(from, from + plain), out.subarray(from, end))
        rest -= plain
        at = end
      }
      return out
    },

    // Opened where it lies: in the piece that came, or in the one that its pieces were collected in.
    open: (bytes, take) => {
      frames.push(bytes)
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
        if (frame.length < aeadTagBytes) return noiseFault("a frame is shorter than its tag")
        const plain = frame.subarray(0, frame.length - aeadTagBytes)
        if (!receiving.open(none, frame, plain)) return noiseFault("a frame does not decrypt")
        if (plain.length > 0) take(plain)
      }
      return undefined
    }
  }
}
