/** A snapshot comes back as the chain that it was made of, and nothing that is wrong in it gets past the rules. */
import { describe, expect, test } from "bun:test"
import { compare, concat, readU32, writeU32 } from "../codec/bytes.ts"
import { type Header, headerBytes, type HeaderFields, makeHeader, meetsTarget } from "../block/header.ts"
import { encodeBlock } from "../block/block.ts"
import { buildTree } from "../block/state-build.ts"
import { pathOf } from "../block/state-tree.ts"
import { encodeAccount, keyOf as entryKey } from "../ledger/account.ts"
import { amount } from "../ledger/amount.ts"
import type { Nonce } from "../ledger/transaction.ts"
import { snapshotBlocksMax } from "../limits.ts"
import { forge, keyOf, seal, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { about, authoritiesOf, land } from "../../test/rota.ts"
import { load, make, memory, readerOf } from "../../test/snapshots.ts"
import {
  ChunkReader,
  ChunkWriter,
  decodeEntries,
  decodeHead,
  encodeEntry,
  encodeHead,
  type Entry,
  type Head,
  kinds,
  SnapshotFault
} from "./snapshot-file.ts"
import type { ChainStore } from "./store.ts"

/** Code and words of a refusal. */
const refusalOf = (f: () => unknown): string => {
  try {
    f()
    return "taken"
  } catch (error) {
    if (!(error instanceof SnapshotFault)) throw error
    return `${error.code}: ${error.message}`
  }
}
const codeOf = (f: () => unknown): string => refusalOf(f).split(":")[0]!

/** What a snapshot says, to be written again with something else in it. */
interface Parts {
  head: Head
  headers: ReadonlyArray<Uint8Array>
  entries: ReadonlyArray<Entry>
  blocks: ReadonlyArray<Uint8Array>
}

const partsOf = (bytes: Uint8Array): Parts => {
  const file = new ChunkReader(readerOf(bytes))
  const head = decodeHead(file.expect(kinds.head))
  const all = (kind: 2 | 3 | 4): ReadonlyArray<Uint8Array> => {
    const found: Array<Uint8Array> = []
    for (let payload = file.next(kind); payload !== undefined; payload = file.next(kind)) found.push(payload)
    return found
  }
  const joined = concat(...all(kinds.headers))
  const headers = Array.from({ length: joined.length / headerBytes }, (_, i) =>
    joined.slice(i * headerBytes, (i + 1) * headerBytes)
  )
  const entries = [...decodeEntries(concat(...all(kinds.entries)))]
  return { head, headers, entries, blocks: all(kinds.block) }
}

const fileOf = ({ head, headers, entries, blocks }: Parts): Uint8Array => {
  const out = memory()
  const file = new ChunkWriter(out)
  file.put(kinds.head, encodeHead(head))
  if (headers.length > 0) file.put(kinds.headers, concat(...headers))
  if (entries.length > 0) file.put(kinds.entries, concat(...entries.map(encodeEntry)))
  for (const block of blocks) file.put(kinds.block, block)
  file.end()
  return out.bytes()
}

/** A chain longer than the blocks of a snapshot, with transfers old and new. */
const longChain = (): TestChain => {
  const easy = { windowBlocks: 50, prefixStart: 1, prefixMin: 1, prefixMax: 1 }
  const chain = new TestChain(specOf({ difficulty: { rule: "prefix-window", blockMs: 1000, ...easy } }))
  let nonce = 1
  while (chain.store.tip().header.height < snapshotBlocksMax + 20) {
    const { height } = chain.store.tip().header
    const payments = height % 7 === 0 ? [transfer({ from: 0, to: 1 + (height % 30), nonce: nonce++ })] : []
    chain.mine(1, payments, 99 + (height % 5))
  }
  return chain
}
const chain = longChain()
const { bytes: good, made } = make(chain)
const height = chain.store.tip().header.height
const base = height - snapshotBlocksMax

const dumpState = (store: ChainStore): unknown => [
  store.tip().header.id,
  String(store.tip().work),
  store.db.query("SELECT hex(key) k, hex(value) v, units FROM state ORDER BY key").all(),
  store.db.query("SELECT name, hex(page) p FROM pages ORDER BY name").all(),
  store.db.query("SELECT value FROM meta WHERE key = 'entries'").get()
]

describe("what is loaded", () => {
  test("is the chain: tip, work, entries, pages, counts", () => {
    const store = load(good, chain)
    expect(dumpState(store)).toEqual(dumpState(chain.store))
    expect(made).toMatchObject({ height, stateHeight: base, entries: partsOf(good).entries.length })
    expect([store.floor(), store.proven()]).toEqual([base, 0])
    expect(store.undo(store.tip().header.id)).toEqual(chain.store.undo(chain.store.tip().header.id)!)
    expect(store.block(store.bestAt(base)!.header.id)).toBeUndefined()
  })

  test("goes on: it takes the next block, and a branch that parts above its floor", () => {
    const store = load(good, chain)
    const other = new TestChain(chain.rules.spec)
    Object.assign(other, { store, now: chain.now })
    const [block] = other.mine(1, [transfer({ from: 2, to: 3, nonce: 1 })])
    expect(store.tip().header.id).toBe(block!.header.id)
    const rival = chain.fork(height - 5)
    const branch = rival.mine(8, [], 7)
    for (const one of branch) expect(other.take(one)).toBeUndefined()
    expect(store.tip().header.id).toBe(branch.at(-1)!.header.id)
  })

  test.each([0, 1, 5, base + 3])("is height %i, if that was asked for", (wanted) => {
    const { bytes, made: lower } = make(chain, wanted)
    const store = load(bytes, chain)
    expect(lower.height).toBe(wanted)
    expect(dumpState(store)).toEqual(dumpState(chain.fork(wanted).store))
    // Nothing lies below a state that is the genesis's.
    expect(store.floor()).toBe(Math.max(0, wanted - snapshotBlocksMax))
    if (wanted <= snapshotBlocksMax) expect(store.proven()).toBeUndefined()
  })

  test("is a chain of authorities, whose list an old vote has changed, and goes on by it", () => {
    const sealed = new TestChain(specOf({ authorities: 3, authority: { voteBlocks: 50 } }))
    land(sealed, { ballot: about("admit", 210) })
    land(sealed, { ballot: about("admit", 210) })
    sealed.mine(snapshotBlocksMax + 20)
    const store = load(make(sealed).bytes, sealed)
    expect(dumpState(store)).toEqual(dumpState(sealed.store))
    expect(store.floor()).toBe(22)
    const other = new TestChain(sealed.rules.spec)
    Object.assign(other, { store, now: sealed.now })
    expect(authoritiesOf(other).members.length).toBe(4)
    const blocks = other.mine(4)
    expect(new Set(blocks.map(({ header }) => header.proposer.toHex())).size).toBe(4)
    for (const block of blocks) expect(sealed.take(block)).toBeUndefined()
    expect(sealed.store.tip().header.id).toBe(store.tip().header.id)
  })

  test("can be made a snapshot of again, down to its floor and no further", () => {
    const store = load(good, chain)
    const again = { ...chain, rules: chain.rules, store } as unknown as TestChain
    expect(make(again).made).toMatchObject({ stateHeight: base, height })
    expect(Number(load(make(again, base + 1).bytes, chain).tip().header.height)).toBe(base + 1)
    expect(codeOf(() => make(again, base))).toBe("snapshot-height-wrong")
    expect(codeOf(() => make(again, height + 1))).toBe("snapshot-height-wrong")
  })

  test("is the same file whoever makes it", () => {
    expect(make(chain.fork(height)).bytes).toEqual(good)
  })
})

describe("a file that is damaged", () => {
  const refused = /^snapshot-(malformed|damaged|version)$/

  test("in any byte is refused", () => {
    const small = new TestChain()
    small.mine(3, [transfer({ from: 0, to: 9, nonce: 1 })])
    const whole = make(small).bytes
    for (let at = 0; at < whole.length; at += 7) {
      const bytes = whole.slice()
      bytes[at]! ^= 1 << (at % 8)
      expect([at, codeOf(() => load(bytes, small))]).toEqual([at, expect.stringMatching(refused)])
    }
  })

  test("by an end that is missing or not the end is refused", () => {
    for (const length of [0, 7, 8, 20, 1000, good.length - 1])
      expect(codeOf(() => load(good.slice(0, length), chain))).toBe("snapshot-malformed")
    expect(codeOf(() => load(concat(good, new Uint8Array(1)), chain))).toBe("snapshot-malformed")
  })

  test("or is of another version says so", () => {
    const bytes = encodeHead(partsOf(good).head)
    writeU32(bytes, 0, 2)
    expect(codeOf(() => decodeHead(bytes))).toBe("snapshot-version")
  })

  test("or lacks a part, or has one too long, is refused", () => {
    const out = memory()
    new ChunkWriter(out).end()
    expect(codeOf(() => load(out.bytes(), chain))).toBe("snapshot-malformed")
    const long = good.slice()
    writeU32(long, 9, 0xffff_ffff)
    expect(refusalOf(() => load(long, chain))).toContain("a part of 4294967295 bytes")
  })

  test("or has its parts in another order, or lacks a whole one, is refused", () => {
    const parts: Array<Uint8Array> = []
    for (let at = 8; at < good.length; ) {
      const end = at + 5 + readU32(good, at + 1) + 32
      parts.push(good.slice(at, end))
      at = end
    }
    const fileOfParts = (order: ReadonlyArray<Uint8Array>): Uint8Array => concat(good.slice(0, 8), ...order)
    expect(fileOfParts(parts)).toEqual(good)
    const at = parts.length - 5
    const swapped = [...parts.slice(0, at), parts[at + 1]!, parts[at]!, ...parts.slice(at + 2)]
    expect(codeOf(() => load(fileOfParts(swapped), chain))).toBe("snapshot-damaged")
    expect(codeOf(() => load(fileOfParts(parts.filter((_, i) => i !== at)), chain))).toBe("snapshot-damaged")
  })
})

describe("a file whose checksums are right and that lies", () => {
  const parts = partsOf(good)
  const lie = (change: Partial<Parts>): string => codeOf(() => load(fileOf({ ...parts, ...change }), chain))
  const without = <A>(list: ReadonlyArray<A>, at: number): ReadonlyArray<A> => list.filter((_, i) => i !== at)

  test("nothing changed is the same file but for where parts end, and is taken", () => {
    expect(lie({})).toBe("taken")
  })

  test("about its chain", () => {
    const genesis = parts.head.genesis.slice()
    genesis[0]! ^= 1
    expect(lie({ head: { ...parts.head, genesis } })).toBe("snapshot-chain-mismatch")
    expect(codeOf(() => load(good, new TestChain(specOf({ accounts: 5 }))))).toBe("snapshot-chain-mismatch")
    expect(lie({ head: { ...parts.head, chainId: "other" } })).toBe("snapshot-malformed")
  })

  test("about what its head counts", () => {
    const { head } = parts
    expect(lie({ head: { ...head, entries: head.entries + 1 } })).toBe("snapshot-malformed")
    expect(lie({ head: { ...head, height: head.height + 1 } })).toBe("snapshot-malformed")
    expect(lie({ head: { ...head, height: head.height - 1 } })).toBe("snapshot-malformed")
    expect(lie({ head: { ...head, stateHeight: head.stateHeight - 1 } })).toBe("snapshot-state-wrong")
    expect(lie({ head: { ...head, stateHeight: head.height } })).toBe("snapshot-malformed")
    expect(lie({ head: { ...head, tip: head.genesis } })).toBe("snapshot-malformed")
    expect(lie({ head: { ...head, stateRoot: head.genesis } })).toBe("snapshot-state-wrong")
  })

  test("about a header: its link, its seal, its target, its time, its height", () => {
    const at = 30
    const original = chain.store.bestAt(at + 1)!.header
    const put = (header: Header): string => {
      const headers = parts.headers.map((bytes, i) => (i === at ? header.bytes : bytes))
      return refusalOf(() => load(fileOf({ ...parts, headers }), chain))
    }
    const sealed = (fields: Partial<HeaderFields>): Header =>
      seal({ header: makeHeader({ ...original, ...fields }), transactions: [], extra: new Uint8Array(0) }).header
    const target = original.target.slice() as typeof original.target
    target[31]! ^= 1
    const lies = {
      "parent-unknown": sealed({ previous: chain.store.bestAt(at - 1)!.header.hash }),
      "target-wrong": sealed({ target }),
      "time-too-early": sealed({ time: chain.store.bestAt(1)!.header.time }),
      "time-too-far-ahead": sealed({ time: (chain.now + 10_000_000) as Header["time"] }),
      "height-wrong": sealed({ height: (original.height + 1) as Header["height"] }),
      "seal-wrong": unsealed(original)
    }
    for (const [code, header] of Object.entries(lies))
      expect(put(header)).toStartWith(`snapshot-header-refused: Header ${at + 1} breaks the rules: ${code}`)
    expect(lie({ headers: without(parts.headers, at) })).toBe("snapshot-header-refused")
    expect(lie({ headers: parts.headers.slice(0, -1) })).toBe("snapshot-malformed")
  })

  test("about an entry: its value, one missing, one too many, out of order, twice, without form", () => {
    const { entries, head } = parts
    const first = entries[0]!
    const richer = { key: first.key, value: encodeAccount({ balance: amount(7), nonce: 0 as Nonce }) }
    expect(lie({ entries: [richer, ...entries.slice(1)] })).toBe("snapshot-state-wrong")
    expect(lie({ entries: entries.slice(1), head: { ...head, entries: head.entries - 1 } })).toBe("snapshot-state-wrong")
    const extra = { key: new Uint8Array(20), value: encodeAccount({ balance: amount(0), nonce: 0 as Nonce }) }
    const more = [...entries, extra].sort((a, b) => compare(pathOf(a.key.toHex()), pathOf(b.key.toHex())))
    expect(lie({ entries: more, head: { ...head, entries: head.entries + 1 } })).toBe("snapshot-state-wrong")
    expect(lie({ entries: [entries[1]!, first, ...entries.slice(2)] })).toBe("snapshot-malformed")
    expect(lie({ entries: [first, ...entries] })).toBe("snapshot-malformed")
    expect(lie({ entries: [{ key: first.key, value: new Uint8Array(3) }, ...entries.slice(1)] })).toBe("snapshot-malformed")
    expect(lie({ entries: [] })).toBe("snapshot-state-wrong")
  })

  test("about a block: another body, one missing, another's place, a body that is none", () => {
    const { blocks } = parts
    const at = blocks.findIndex((bytes) => bytes.length > headerBytes + 100)
    const stolen = concat(blocks[at]!.slice(0, headerBytes), blocks[at + 1]!.slice(headerBytes))
    const put = (bytes: Uint8Array): string => {
      const changed = blocks.map((block, i) => (i === at ? bytes : block))
      return refusalOf(() => load(fileOf({ ...parts, blocks: changed }), chain))
    }
    expect(put(stolen)).toContain("snapshot-block-refused: Block")
    expect(put(stolen)).toContain("transaction-root-wrong")
    expect(put(blocks[at]!.slice(0, -1))).toContain("block-malformed")
    expect(put(blocks[at + 1]!)).toContain("parent-unknown")
    expect(lie({ blocks: without(blocks, at) })).toBe("snapshot-block-refused")
    expect(lie({ blocks: blocks.slice(0, -1) })).toBe("snapshot-malformed")
    expect(lie({ blocks: [...blocks, blocks.at(-1)!] })).toBe("snapshot-block-refused")
  })
})

/** The header with a nonce that does not seal it. */
const unsealed = (header: Header): Header => {
  for (let nonce = 0; ; nonce++) {
    const other = makeHeader({ ...header, nonce })
    if (!meetsTarget(other.hash, other.target)) return other
  }
}

test("a folder whose state is damaged makes no snapshot", () => {
  const broken = new TestChain()
  broken.mine(2)
  broken.store.db.run("UPDATE state SET value = zeroblob(16) WHERE key = (SELECT key FROM state LIMIT 1)")
  expect(() => make(broken, 0)).toThrow("the state does not have the root of its header")
})

/** Headers sealed by someone who has the work, over a state of his own. */
const forgedChain = () => {
  const chain = new TestChain()
  const first = chain.next()
  const entries = [0, 1].map((i) => ({
    key: Uint8Array.fromHex(entryKey(keyOf(i).address)),
    value: encodeAccount({ balance: amount(5_000_000_000), nonce: 0 as Nonce })
  }))
  entries.sort((a, b) => compare(pathOf(a.key.toHex()), pathOf(b.key.toHex())))
  const stateRoot = buildTree(entries.map(({ key, value }) => ({ path: pathOf(key.toHex()), value })).values(), () => {})
  const base = forge(first, { stateRoot })
  chain.store.saveHeaders([chain.rowFor(base)])
  chain.now += 1000
  const tip = forge(
    first,
    { height: 2 as Header["height"], previous: base.header.hash, time: chain.now as Header["time"], stateRoot }
  )
  const head: Head = {
    chainId: "test",
    genesis: chain.rules.genesis.header.hash,
    stateHeight: 1,
    stateRoot,
    entries: 2,
    height: 2,
    tip: tip.header.hash
  }
  const headers = [base.header.bytes, tip.header.bytes]
  return { chain, file: fileOf({ head, headers, entries, blocks: [encodeBlock(tip)] }) }
}

test("money from nowhere is refused, even under a root that a sealed header carries", () => {
  const { chain: forged, file } = forgedChain()
  expect(codeOf(() => load(file, forged))).toBe("snapshot-supply-wrong")
})

test("a block above the state whose own state root is wrong is refused, sealed or not", () => {
  const mine = new TestChain()
  const [first] = mine.mine(1)
  const lying = forge(mine.next(), { stateRoot: first!.header.stateRoot })
  const parts = partsOf(make(mine).bytes)
  const head = { ...parts.head, height: 2, tip: lying.header.hash }
  const file = fileOf({
    ...parts,
    head,
    headers: [...parts.headers, lying.header.bytes],
    blocks: [...parts.blocks, encodeBlock(lying)]
  })
  expect(codeOf(() => load(file, mine))).toBe("snapshot-block-refused")
})
