/** Frames under the session: every length and cut, forged, replayed, reordered and missing ones, and the end of the nonces. */
import { describe, expect, test } from "bun:test"
import { Bug } from "../assert.ts"
import { concat, concatAll, equal } from "../codec/bytes.ts"
import { loadAeadNamed } from "../crypto/chacha-engine.ts"
import type { PeerId, PublicKey, SecureSession } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { noisePlainBytesMax, noiseSession } from "./noise-session.ts"
import { CipherState, noncesMax } from "./noise-xx.ts"

const engines = (["sodium-native", "wasm", "noble"] as const).flatMap((name) => loadAeadNamed(name) ?? [])
const bytes = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff)

/** Who speaks is judged by the handshake; a session only carries it. */
const facts = { remote: {} as PublicKey, remotePeer: {} as PeerId, earlyMuxer: undefined, binding: new Uint8Array(32) }
const sessions = (engine = engines[0]!, counter = 0): readonly [SecureSession, SecureSession] => {
  const cipher = (seed: number): CipherState => new CipherState(engine.key(bytes(32, seed)), counter)
  return [
    noiseSession({ ...facts, sending: cipher(1), receiving: cipher(2) }),
    noiseSession({ ...facts, sending: cipher(2), receiving: cipher(1) })
  ]
}
const opened = (session: SecureSession, pieces: ReadonlyArray<Uint8Array>): Uint8Array | Libp2pFault => {
  const out: Array<Uint8Array> = []
  for (const piece of pieces) {
    const fault = session.open(piece.slice(), (plain) => void out.push(plain))
    if (fault !== undefined) return fault
  }
  return concatAll(out)
}
const sealed = (session: SecureSession, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  session.seal(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0)
  )!

describe.each(engines.map((engine) => [engine.name, engine] as const))("with %s", (_, engine) => {
  test("lengths around the limit of a frame come whole, in frames that are as few as they can be", () => {
    const [a, b] = sessions(engine)
    for (const length of [1, 2, 65_518, 65_519, 65_520, 131_037, 131_038, 131_039, 300_000]) {
      const plain = bytes(length, length)
      const wire = sealed(a, plain)
      expect(wire.length).toBe(length + 18 * Math.ceil(length / noisePlainBytesMax))
      expect(equal(opened(b, [wire]) as Uint8Array, plain)).toBe(true)
    }
  })

  test("parts are joined, wherever the frames end", () => {
    const [a, b] = sessions(engine)
    const parts = [1, 65_518, 1, 0, 65_519, 65_520, 70_000, 3, 200_000].map((length, i) => bytes(length, i))
    expect(equal(opened(b, [sealed(a, ...parts)]) as Uint8Array, concatAll(parts))).toBe(true)
  })

  test("both directions at once", () => {
    const [a, b] = sessions(engine)
    for (let i = 1; i <= 20; i++) {
      expect(opened(b, [sealed(a, bytes(i, i))])).toEqual(bytes(i, i))
      expect(opened(a, [sealed(b, bytes(i, i + 1))])).toEqual(bytes(i, i + 1))
    }
  })
})

const small = (): { readonly frames: ReadonlyArray<Uint8Array>; readonly plain: Uint8Array; reader: SecureSession } => {
  const [a, reader] = sessions()
  const plains = [bytes(5, 1), bytes(40, 2), bytes(1, 3)]
  return { frames: plains.map((plain) => sealed(a, plain)), plain: concatAll(plains), reader }
}

test("every cut in two, and byte by byte", () => {
  const length = concatAll(small().frames).length
  for (let cut = 0; cut <= length; cut++) {
    const { frames, plain, reader } = small()
    const wire = concatAll(frames)
    expect(opened(reader, [wire.subarray(0, cut), wire.subarray(cut)])).toEqual(plain)
  }
  const { frames, plain, reader } = small()
  expect(
    opened(
      reader,
      [...concatAll(frames)].map((byte) => Uint8Array.of(byte))
    )
  ).toEqual(plain)
})

test("an end in the middle gives what was whole before, and never more", () => {
  const { frames } = small()
  const wire = concatAll(frames)
  for (let end = 0; end < wire.length; end++) {
    const { reader, plain } = small()
    const got = opened(reader, [wire.subarray(0, end)]) as Uint8Array
    const whole = end < 23 ? 0 : end < 23 + 58 ? 5 : 45
    expect(got).toEqual(plain.subarray(0, whole))
  }
})

test("a bit flipped anywhere never gives other bytes: a fault, or a frame that does not end", () => {
  const length = concatAll(small().frames).length
  for (let at = 0; at < length; at++) {
    for (const bit of [0, 7]) {
      const { frames, plain, reader } = small()
      const wire = concatAll(frames)
      wire[at] = wire[at]! ^ (1 << bit)
      const got = opened(reader, [wire])
      if (got instanceof Libp2pFault) {
        expect([got.name, got.kind]).toEqual(["InvalidCryptoExchangeError", "verify"])
        continue
      }
      expect(got).toEqual(plain.subarray(0, got.length))
      expect(got.length).toBeLessThan(plain.length)
    }
  }
})

test("a frame that is replayed, reordered, left out or of the other direction is refused", () => {
  const fault = (pick: (frames: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>): string | undefined => {
    const { frames, reader } = small()
    const got = opened(reader, pick(frames))
    return got instanceof Libp2pFault ? got.message : undefined
  }
  expect(fault((frames) => frames)).toBeUndefined()
  const undecryptable = "noise: a frame does not decrypt"
  expect(fault(([a, b]) => [a!, a!, b!])).toBe(undecryptable)
  expect(fault(([a, b, c]) => [b!, a!, c!])).toBe(undecryptable)
  expect(fault(([a, , c]) => [a!, c!])).toBe(undecryptable)
  const [a] = sessions()
  expect((opened(a, [sealed(sessions()[0], bytes(9, 9))]) as Libp2pFault).message).toBe(undecryptable)
})

test("a frame without plaintext is legal and gives nothing; one shorter than a tag is none", () => {
  const cipher = new CipherState(engines[0]!.key(bytes(32, 1)))
  const tag = new Uint8Array(16)
  cipher.seal(new Uint8Array(0), new Uint8Array(0), tag)
  const last = new Uint8Array(19)
  cipher.seal(new Uint8Array(0), bytes(3, 3), last)
  const [, reader] = sessions()
  const wire = concat(Uint8Array.of(0, 16), tag, Uint8Array.of(0, 19), last)
  let calls = 0
  expect(reader.open(wire, () => void calls++)).toBeUndefined()
  expect(calls).toBe(1)
  for (const length of [0, 1, 15]) {
    const got = opened(sessions()[1], [concat(Uint8Array.of(0, length), bytes(length, 1))])
    expect((got as Libp2pFault).message).toBe("noise: a frame is shorter than its tag")
  }
})

test("what is opened lies in the piece that came: nothing is copied", () => {
  const [a, b] = sessions()
  const wire = sealed(a, bytes(1_000, 1))
  b.open(wire, (plain) => {
    expect(plain.buffer).toBe(wire.buffer)
    expect(plain).toEqual(bytes(1_000, 1))
  })
  expect.assertions(2)
})

test("at the end of the nonces nothing more is sealed or opened, and nothing is sealed in part", () => {
  const [a, b] = sessions(engines[0], noncesMax - 2)
  expect(a.seal([bytes(3 * noisePlainBytesMax, 1)], 3 * noisePlainBytesMax)).toBeUndefined()
  const wire = sealed(a, bytes(noisePlainBytesMax + 1, 1))
  expect(equal(opened(b, [wire]) as Uint8Array, bytes(noisePlainBytesMax + 1, 1))).toBe(true)
  expect(a.seal([bytes(1, 1)], 1)).toBeUndefined()
  expect(opened(b, [wire])).toBeInstanceOf(Libp2pFault)
})

test("to seal nothing is a bug of the caller", () => {
  expect(() => sessions()[0].seal([], 0)).toThrow(Bug)
})
