/** Seeded chance for fuzz and property tests: the same seed throws the same dice on every machine. */

export interface Dice {
  /** 0 to n - 1. */
  readonly int: (n: number) => number
  readonly chance: (probability: number) => boolean
  readonly bytes: (length: number) => Uint8Array
  readonly pick: <A>(values: ReadonlyArray<A>) => A
  /** A copy with some bytes flipped, cut off, doubled or added. */
  readonly mutate: (bytes: Uint8Array) => Uint8Array
}

/** Dice from a seed (mulberry32). */
export const makeDice = (seed: number): Dice => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  const int = (n: number): number => next() % n
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => int(256))
  const mutate = (input: Uint8Array): Uint8Array => {
    const out = input.slice()
    const kind = int(10)
    if (kind < 7 || out.length === 0) {
      for (let i = 0; i <= int(3) && out.length > 0; i++) out[int(out.length)]! ^= 1 << int(8)
      return out
    }
    if (kind === 7) return out.subarray(0, int(out.length))
    if (kind === 8) return Uint8Array.from([...out, ...bytes(1 + int(8))])
    out.copyWithin(int(out.length), int(out.length))
    return out
  }
  return {
    int,
    bytes,
    mutate,
    chance: (p) => next() / 0x1_0000_0000 < p,
    pick: (values) => values[int(values.length)]!
  }
}
