/** Journals on a real disk: segments, a torn end, damage anywhere, trouble while writing. */
import { afterAll, describe, expect, test } from "bun:test"
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Entry } from "./entry.ts"
import { JournalReader, JournalWriter, segmentPath } from "./journal.ts"

const root = mkdtempSync(join(tmpdir(), "cairn-journal-"))
afterAll(() => rmSync(root, { recursive: true }))
let folders = 0
const fresh = (): string => mkdtempSync(join(root, `${folders++}-`))

const data = (at: number, length = 100): Entry => ({
  kind: "data",
  at,
  wire: 1,
  bytes: new Uint8Array(length).fill(at % 251)
})

/** A journal of blocks, each of the entries given. */
const write = (folder: string, blocks: ReadonlyArray<ReadonlyArray<Entry>>, bytesMax = 1e9): JournalWriter => {
  const writer = new JournalWriter({ folder, bytesMax, onFault: (reason) => faults.push(reason) })
  for (const block of blocks) {
    for (const entry of block) writer.append(entry)
    writer.flush()
  }
  writer.close()
  return writer
}
let faults: Array<string> = []

const readAll = (folder: string) => {
  const reader = new JournalReader(folder)
  const entries: Array<Entry> = []
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) entries.push(entry)
  const { torn, damage } = reader
  return { entries, torn, damage }
}

const blocks = [[data(1), data(2)], [data(3)], [data(4), data(5), data(6)]]
const all = blocks.flat()

describe("a journal", () => {
  test("comes back block by block, in files that only their owner may read", () => {
    const folder = fresh()
    const { entries, bytes } = write(folder, blocks)
    expect(readAll(folder)).toEqual({ entries: all, torn: 0, damage: undefined })
    expect([entries, bytes]).toEqual([6, statSync(segmentPath(folder, 1)).size])
    expect(statSync(segmentPath(folder, 1)).mode & 0o777).toBe(0o600)
  })

  test("goes on in further segments, and entries go on counting tasks over their edge", () => {
    const folder = fresh()
    const many = Array.from({ length: 30 }, (_, i) => [data(i * 3, 1_000_000)])
    write(folder, many)
    expect(readdirSync(folder).length).toBeGreaterThan(2)
    const { entries, torn, damage } = readAll(folder)
    expect([entries.map(({ at }) => at), torn, damage]).toStrictEqual([many.map((_, i) => i * 3), 0, undefined])
  })

  test("a block that grows large is written before its slice ends", () => {
    const folder = fresh()
    const writer = new JournalWriter({ folder, bytesMax: 1e9, onFault: () => {} })
    for (let i = 0; i < 3; i++) writer.append(data(i, 600_000))
    expect(writer.bytes).toBeGreaterThan(1_000_000)
    writer.close()
    writer.append(data(4))
    writer.flush()
    expect(readAll(folder).entries.length).toBe(3)
  })

  test("of nothing is nothing", () => {
    const folder = fresh()
    write(folder, [])
    expect(readAll(folder)).toEqual({ entries: [], torn: 0, damage: undefined })
  })
})

describe("an end that is cut off", () => {
  test("gives every whole block, and how many bytes were none", () => {
    const folder = fresh()
    write(folder, blocks)
    const path = segmentPath(folder, 1)
    const whole = readFileSync(path)
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      const { entries, torn, damage } = readAll(folder)
      expect(damage).toBeUndefined()
      expect(entries).toEqual(all.slice(0, entries.length))
      expect([0, 2, 3]).toContain(entries.length)
      expect(torn).toBeLessThan(length + 1)
    }
    writeFileSync(path, whole.subarray(0, whole.length - 1))
    expect(readAll(folder).entries.length).toBe(3)
    expect(readAll(folder).torn).toBeGreaterThan(300)
  })

  test("of zeros, as a machine without power leaves it, is an end too", () => {
    const folder = fresh()
    write(folder, blocks)
    appendFileSync(segmentPath(folder, 1), new Uint8Array(500))
    expect(readAll(folder)).toEqual({ entries: all, torn: 500, damage: undefined })
  })
})

describe("damage", () => {
  test("any flipped byte is found, and nothing beyond it is believed", () => {
    const folder = fresh()
    write(folder, blocks)
    const path = segmentPath(folder, 1)
    const whole = readFileSync(path)
    for (let i = 0; i < whole.length; i++) {
      const flipped = Buffer.from(whole)
      flipped[i]! ^= 0x10
      writeFileSync(path, flipped)
      const { entries, damage } = readAll(folder)
      expect([i, damage !== undefined]).toEqual([i, true])
      expect(damage).toContain(path)
      expect(entries).toEqual(all.slice(0, entries.length))
      expect(entries.length).toBeLessThan(all.length)
    }
  })

  test("a segment that is cut off, missing, exchanged or far too long is no end", () => {
    const many = Array.from({ length: 20 }, (_, i) => [data(i, 1_000_000)])
    const cut = fresh()
    write(cut, many)
    const first = readFileSync(segmentPath(cut, 1))
    writeFileSync(segmentPath(cut, 1), first.subarray(0, first.length - 1))
    expect(readAll(cut).damage).toContain("cut off")

    const exchanged = fresh()
    write(exchanged, many)
    writeFileSync(segmentPath(exchanged, 2), first)
    expect(readAll(exchanged).damage).toContain("does not begin")

    const long = fresh()
    write(long, [[data(1)]])
    appendFileSync(segmentPath(long, 1), new Uint8Array(20_000_000))
    expect(readAll(long).damage).toContain("longer")
  })

  test("a block whose entries make no sense is damage, not an error", () => {
    const folder = fresh()
    const sink: Array<Uint8Array> = []
    const writer = new JournalWriter({
      folder,
      bytesMax: 1e9,
      onFault: () => {},
      open: () => ({ write: (bytes) => void sink.push(bytes.slice()), close: () => {} })
    })
    writer.append({ kind: "closed", at: 1, wire: 1, reason: "a" })
    writer.close()
    const [head, block] = sink as [Uint8Array, Uint8Array]
    block[block.length - 1] = 0xff
    const crc = new DataView(block.buffer)
    crc.setUint32(4, Bun.hash.crc32(block.subarray(12)), true)
    crc.setUint32(8, Bun.hash.crc32(block.subarray(0, 8)), true)
    writeFileSync(segmentPath(folder, 1), Buffer.concat([head, block]))
    expect(readAll(folder).damage).toContain("UTF-8")
  })
})

describe("trouble while writing", () => {
  test("ends the journal once, with the reason, and never throws; what was written stays", () => {
    const folder = fresh()
    faults = []
    let room = 2
    const writer = new JournalWriter({
      folder,
      bytesMax: 1e9,
      onFault: (reason) => faults.push(reason),
      open: () => ({
        write: () => {
          if (room-- === 0) throw new Error("ENOSPC: no space left on device")
        },
        close: () => {
          throw new Error("EIO")
        }
      })
    })
    for (let i = 0; i < 5; i++) {
      writer.append(data(i))
      writer.flush()
    }
    writer.close()
    expect(faults).toEqual(["ENOSPC: no space left on device"])
    expect(writer.fault).toBe(faults[0]!)
  })

  test("a folder that is not there, and a full journal, are faults too", () => {
    faults = []
    write(join(fresh(), "none"), blocks)
    expect(faults[0]).toContain("ENOENT")
    faults = []
    const folder = fresh()
    const writer = write(folder, blocks, 300)
    expect(faults).toEqual(["the journal is full"])
    expect(writer.bytes).toBeLessThanOrEqual(300)
    expect(readAll(folder)).toEqual({ entries: [data(1), data(2)], torn: 0, damage: undefined })
  })

  test("an entry that has no form ends it as well", () => {
    faults = []
    write(fresh(), [[{ kind: "time", at: 0, ms: -5 }]])
    expect(faults.length).toBe(1)
  })
})
