/** The state tree: what a block of 2,000 changed accounts costs, in pages and microseconds, and what a proof costs. */
import { checkProof, encodeProof, prove, rootOf, StateTree, update } from "../../src/block/state-tree.ts"
import { makeDice } from "../../src/sim/dice.ts"

interface Row {
  readonly name: string
  readonly value: number
  readonly unit: string
}

const rounds = 40
const dice = makeDice(1)
const keyOf = (i: number): string => i.toString(16).padStart(40, "0")

type Change = readonly [key: string, value: Uint8Array]

/** Distinct keys of chance with new values. */
const makeChanges = (count: number, among: number): ReadonlyArray<Change> => {
  const changes = new Map<string, Uint8Array>()
  while (changes.size < count) changes.set(keyOf(dice.int(among)), dice.bytes(16))
  return [...changes]
}

/** Microseconds of each run; the second best and the median, for the machine is not ours alone. */
const measure = (runs: number, run: (round: number) => void): { readonly best: number; readonly median: number } => {
  const took = Array.from({ length: runs }, (_, round) => {
    const start = performance.now()
    run(round)
    return (performance.now() - start) * 1000
  }).sort((a, b) => a - b)
  return { best: took[1]!, median: took[runs >> 1]! }
}

const perKey = (name: string, keys: number, { best, median }: { best: number; median: number }): ReadonlyArray<Row> => [
  { name: `${name}, best`, value: best / keys, unit: "µs/key" },
  { name: `${name}, median`, value: median / keys, unit: "µs/key" }
]

const benchSize = (accounts: number): ReadonlyArray<Row> => {
  const stored = new Map<string, Uint8Array>()
  const read = (name: string): Uint8Array | undefined => stored.get(name)
  const store = (pages: ReadonlyMap<string, Uint8Array | undefined>): void => {
    for (const [name, bytes] of pages) bytes === undefined ? stored.delete(name) : stored.set(name, bytes)
  }
  store(
    update(
      read,
      Array.from({ length: accounts }, (_, i) => [keyOf(i), dice.bytes(16)] as const)
    ).pages
  )

  const batches = Array.from({ length: rounds }, () => makeChanges(2000, accounts + 2000))
  const cold = measure(rounds, (round) => void update(read, batches[round]!))
  const tree = new StateTree(read)
  const warm = measure(rounds, (round) => void tree.update(batches[round]!))
  const few = batches.map((batch) => batch.slice(0, 10))
  const block = measure(rounds, (round) => void tree.update(few[round]!))
  const { pages } = update(read, batches[0]!)
  const written = [...pages.values()].reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0)

  const root = rootOf(read)
  const proofs = Array.from({ length: 1000 }, (_, i) => prove(read, keyOf(accounts + 10_000 + i)))
  const proving = measure(10, () => proofs.forEach((_, i) => prove(read, keyOf(accounts + 10_000 + i))))
  const checking = measure(10, () =>
    proofs.forEach((proof, i) => {
      const key = keyOf(accounts + 10_000 + i)
      if (!checkProof({ root, key, value: undefined, proof })) throw new Error("a proof of ours fails")
    })
  )
  const named = (text: string): string => `${accounts.toLocaleString("en")} accounts: ${text}`
  return [
    ...perKey(named("2,000 changes, pages from store to store"), 2000, cold),
    ...perKey(named("2,000 more in the same decision"), 2000, warm),
    ...perKey(named("10 more in the same decision"), 10, block),
    { name: named("pages written for 2,000 changes"), value: pages.size, unit: "pages" },
    { name: named("bytes written for 2,000 changes"), value: written / 1000, unit: "kB" },
    { name: named("prove"), value: proving.best / 1000, unit: "µs" },
    { name: named("check a proof"), value: checking.best / 1000, unit: "µs" },
    { name: named("a proof"), value: proofs.reduce((sum, p) => sum + encodeProof(p).length, 0) / 1000, unit: "bytes" }
  ]
}

for (const { name, value, unit } of [...benchSize(1000), ...benchSize(100_000)]) {
  process.stdout.write(`${name.padEnd(62)}${value.toFixed(2).padStart(10)} ${unit}\n`)
}
