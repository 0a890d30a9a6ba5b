/** Entries come back as they were put; bytes of anyone's making never throw and never give more than they hold. */
import { describe, expect, test } from "bun:test"
import { type Entry, EntryReader, EntryWriter, namesMax } from "./entry.ts"

/** Chance from a seed. */
const chance = (seed: number): ((n: number) => number) => {
  let state = seed
  return (n) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 0x1_0000_0000) * n)
  }
}

const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill)

/** One of each kind, with values at their edges. */
const samples: ReadonlyArray<Entry> = [
  { kind: "time", at: 0, ms: 0 },
  { kind: "wall", at: 0, unixMs: 1_795_219_200_000 },
  { kind: "wire", at: 1, wire: 1, dial: 0, host: "::1", binding: bytes(32) },
  { kind: "data", at: 1, wire: 127, bytes: bytes(300, 1) },
  { kind: "drained", at: 2, wire: 128 },
  { kind: "closed", at: 2, wire: 16_384, reason: "☃" },
  { kind: "dialled", at: 2, dial: 3, fault: "" },
  { kind: "report", at: 300, thread: 1, json: '{"job":1}' },
  { kind: "ended", at: 300, thread: 1, reason: "it has ended" },
  { kind: "call", at: 300, call: 1, method: "submit", args: bytes(0) },
  { kind: "cancel", at: 300, call: 1 },
  { kind: "fetched", at: 300, fetch: 1, status: 200, body: "{}", fault: "" },
  { kind: "shown", at: 300, wire: 1, fingerprint: "0f".repeat(32) },
  { kind: "yield", at: 301, operation: 4_000_000_000 },
  { kind: "random", at: 301, bytes: bytes(16) },
  { kind: "refused", at: 301, wire: 1 },
  { kind: "queued", at: 301, bytes: Number.MAX_SAFE_INTEGER },
  { kind: "listening", at: 301, port: 65_535, fault: "" },
  { kind: "name", at: 301, actor: "session", tag: "Bytes" },
  { kind: "wrote", at: 301, wire: 1, check: 0xffff_ffff },
  { kind: "tip", at: 301, height: 7, root: bytes(32), digest: "0123456789abcdef" },
  { kind: "answered", at: 301, call: 1, as: "ok" },
  { kind: "message", at: 301, name: 0, session: 0 },
  { kind: "message", at: 302, name: namesMax - 1, session: 0 },
  { kind: "message", at: 302, name: 0, session: 1 },
  { kind: "message", at: 302, name: namesMax - 1, session: 1_000_000 },
  { kind: "stop", at: 302 },
  { kind: "rest", at: 5_000_000_000, check: 0x3fff }
]

const written = (entries: ReadonlyArray<Entry>): Uint8Array => {
  const writer = new EntryWriter()
  for (const entry of entries) writer.put(entry)
  return writer.view.slice()
}

const readAll = (input: Uint8Array): { readonly entries: ReadonlyArray<Entry>; readonly wrong: string | undefined } => {
  const reader = new EntryReader()
  reader.push(input)
  const entries: Array<Entry> = []
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) entries.push(entry)
  return { entries, wrong: reader.wrong }
}

describe("entries", () => {
  test("every kind comes back as it was put", () => {
    expect(readAll(written(samples))).toEqual({ entries: samples, wrong: undefined })
  })

  test("a message of an actor takes two bytes, one of a session three", () => {
    const at = 9
    expect(written([{ kind: "message", at, name: 95, session: 0 }]).length).toBe(2)
    expect(written([{ kind: "message", at, name: 95, session: 100 }]).length).toBe(3)
  })

  test("what an entry holds is a copy: its block may be used again", () => {
    const input = written([{ kind: "data", at: 0, wire: 1, bytes: bytes(5) }])
    const { entries } = readAll(input)
    input.fill(0)
    expect(entries).toEqual([{ kind: "data", at: 0, wire: 1, bytes: bytes(5) }])
  })

  test("what cannot be said is refused when it is put", () => {
    expect(() => written([{ kind: "time", at: 0, ms: -1 }])).toThrow()
    expect(() => written([{ kind: "time", at: 0, ms: 1.5 }])).toThrow()
    expect(() => written([{ kind: "message", at: 0, name: namesMax, session: 0 }])).toThrow()
  })
})

describe("bytes of anyone's making", () => {
  test("cut off anywhere but between entries they are wrong, and what stood before is given", () => {
    const whole = written(samples.slice(0, 3))
    const first = written(samples.slice(0, 1)).length
    const second = written(samples.slice(0, 2)).length
    for (let length = 0; length < whole.length; length++) {
      const { entries, wrong } = readAll(whole.subarray(0, length))
      const clean = [0, first, second].includes(length)
      expect([length, wrong === undefined, entries.length]).toEqual([
        length,
        clean,
        length < first ? 0 : length < second ? 1 : 2
      ])
    }
  })

  test("an unknown kind, a number without an end, text that is none, a session 0 are named", () => {
    expect(readAll(new Uint8Array([14, 0])).wrong).toContain("14")
    expect(readAll(new Uint8Array(20).fill(0xff).with(0, 1)).wrong).toContain("does not end")
    expect(readAll(new Uint8Array([6, 0, 1, 1, 0xff])).wrong).toContain("UTF-8")
    expect(readAll(new Uint8Array([160, 0, 0])).wrong).toContain("session")
    expect(readAll(new Uint8Array([4, 0, 1, 0xff, 0xff, 0xff, 0x7f])).wrong).toContain("longer")
  })

  test("random bytes and mutated entries never throw, and give no more than they hold", () => {
    const dice = chance(1)
    const good = written(samples)
    for (let round = 0; round < 3_000; round++) {
      const input =
        round % 2 === 0 ? Uint8Array.from({ length: dice(64) }, () => dice(256)) : good.slice(dice(good.length))
      for (let flips = dice(4); flips > 0 && input.length > 0; flips--) input[dice(input.length)]! ^= 1 << dice(8)
      const { entries } = readAll(input)
      const sizeOf = (entry: Entry): number =>
        entry.kind === "data" || entry.kind === "random" ? entry.bytes.length + 2 : 2
      const held = entries.reduce((sum, entry) => sum + sizeOf(entry), 0)
      expect(held).toBeLessThanOrEqual(input.length)
    }
  })
})
