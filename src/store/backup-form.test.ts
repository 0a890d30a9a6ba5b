/** Labels, stamps and manifests: what a name may be, and that no byte of a manifest can change unnoticed. */
import { describe, expect, test } from "bun:test"
import { backupLabelCharsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { BackupFault, backupLabel, formatManifest, type Manifest, parseManifest, stampOf } from "./backup-form.ts"

const manifest: Manifest = {
  format: "cairn-backup",
  version: 1,
  created_at: "2026-11-21T17:00:00.123Z",
  label: "nightly",
  chain: {
    chain_id: "test",
    genesis: "ab".repeat(32),
    blocks: 8,
    height: 7,
    cumulative_work: "2048",
    tip_hash: "cd".repeat(32)
  },
  node: { node_id: "node1x", node_url: "http://127.0.0.1:8080" },
  program: { name: "cairn", version: "0.1.0", schema: 6 },
  keys: "sealed",
  files: {
    database: { name: "chain.db", bytes: 4_096, sha256: "01".repeat(32) },
    spec: { name: "spec.json", bytes: 10, sha256: "02".repeat(32) },
    keys: { name: "keys.json", bytes: 11, sha256: "03".repeat(32) }
  }
}

const codeOf = (text: string): string => {
  const parsed = parseManifest(text)
  return parsed instanceof BackupFault ? parsed.code : "ok"
}

describe("a label", () => {
  test("is reduced to letters, digits, _ and -, and is never empty or long", () => {
    expect([backupLabel("ni ght/ly_1-é"), backupLabel(undefined), backupLabel("../..")]).toEqual([
      "nightly_1-",
      "snapshot",
      "snapshot"
    ])
    const dice = makeDice(1)
    for (let i = 0; i < 500; i++) {
      const label = backupLabel(String.fromCharCode(...Array.from({ length: dice.int(80) }, () => dice.int(0x300))))
      expect(label).toMatch(/^[A-Za-z0-9_-]+$/)
      expect([label.length <= backupLabelCharsMax, backupLabel(label)]).toEqual([true, label])
    }
  })
})

test("a stamp is UTC to the second", () => {
  expect(stampOf(Date.UTC(2026, 10, 21, 17, 0, 9, 999))).toBe("20261121T170009Z")
})

describe("a manifest", () => {
  test("is read back as it was, with keys and without", () => {
    const { keys: _, ...files } = manifest.files
    for (const one of [manifest, { ...manifest, keys: "left-out" as const, files }])
      expect(parseManifest(formatManifest(one))).toEqual(one)
  })

  test("with any byte changed, left out or added is no manifest", () => {
    const text = formatManifest(manifest)
    for (let i = 0; i < text.length; i++) {
      for (const bit of [1, 2, 32]) {
        const byte = String.fromCharCode(text.charCodeAt(i) ^ bit)
        expect([i, codeOf(text.slice(0, i) + byte + text.slice(i + 1))]).not.toEqual([i, "ok"])
      }
      expect(codeOf(text.slice(0, i) + text.slice(i + 1))).not.toBe("ok")
      expect(codeOf(`${text.slice(0, i)} ${text.slice(i)}`)).not.toBe("ok")
    }
  })

  test("of another form is a value and no throw; of a later version it says so", () => {
    for (const text of ["", "null", "[]", "{}", "1", '{"version":1}', '{"version":1,"chain":null,"files":{}}'])
      expect(codeOf(text)).toBe("backup-malformed")
    expect(codeOf('{"version":2}')).toBe("backup-newer")
    const wrong: ReadonlyArray<Record<string, unknown>> = [
      { label: "a/b" },
      { keys: "left-out" },
      { created_at: "yesterday" },
      { files: { ...manifest.files, spec: { ...manifest.files.spec, name: "../spec.json" } } }
    ]
    for (const change of wrong)
      expect(codeOf(formatManifest({ ...manifest, ...change } as Manifest))).toBe("backup-malformed")
  })
})
