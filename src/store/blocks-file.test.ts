/** Files of blocks: what is written is read, a change is found where it stands, and a file that was cut off goes on. */
import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync, truncateSync, writeFileSync } from "node:fs"
import { Home } from "../../test/backups.ts"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { encodeBlock } from "../block/block.ts"
import { concat } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { BlocksFault, BlocksReader, BlocksWriter, needChain } from "./blocks-file.ts"
import { BlockTaker } from "./take.ts"

const home = new Home()
afterAll(home.remove)

const chain = new TestChain()
chain.mine(3, [transfer({ from: 0, to: 1, nonce: 1 })])
chain.mine(4)
const blocks = Array.from({ length: 7 }, (_, i) => chain.store.block(chain.store.bestAt(i + 1)!.header.id)!)
const head = { chainId: "test", genesis: chain.rules.genesis.header.hash as Uint8Array }

const writeAll = (path: string, from = 0, to = blocks.length): void => {
  const out = BlocksWriter.begin(path, head)
  for (const block of blocks.slice(from, to)) out.write(encodeBlock(block))
  out.flush()
  out.close()
}
/** Heights that can be read, and the code of what ends it. */
const readAll = (path: string): { heights: ReadonlyArray<number>; end: string; torn: number } => {
  const heights: Array<number> = []
  let read: BlocksReader | undefined
  try {
    read = new BlocksReader(path)
    for (const { header } of read.blocks(chain.rules.ledger)) heights.push(header.height)
    return { heights, end: "end", torn: read.torn }
  } catch (error) {
    if (!(error instanceof BlocksFault)) throw error
    return { heights, end: error.code, torn: 0 }
  } finally {
    read?.close()
  }
}

const path = home.at("blocks")
writeAll(path)
const good = readFileSync(path)

test("blocks are read as they were written", () => {
  expect(readAll(path)).toEqual({ heights: [1, 2, 3, 4, 5, 6, 7], end: "end", torn: 0 })
  const read = new BlocksReader(path)
  expect([read.head.chainId, read.head.genesis.toHex()]).toEqual(["test", head.genesis.toHex()])
  expect(() => needChain(read.head, { ...head, chainId: "else" })).toThrow("is of chain")
  read.close()
})

test("every changed byte is found, at its own record or before; what stands before it is read", () => {
  const other = home.at("changed")
  const dice = makeDice(2)
  for (let at = 0; at < good.length; at++) {
    const bytes = Buffer.from(good)
    bytes[at]! ^= 1 << dice.int(8)
    writeFileSync(other, bytes)
    const { heights, end, torn } = readAll(other)
    // A length that became longer looks like a record that is cut off.
    expect([at, end !== "end" || torn > 0, heights.length < 7]).toEqual([at, true, true])
  }
})

test("records that are moved, doubled or left out are found", () => {
  const record = (i: number): Uint8Array => {
    const read = new BlocksReader(path)
    let [from, to] = [read.bytes, read.bytes]
    for (let n = 0; n <= i; n++) {
      from = read.bytes
      read.next()
      to = read.bytes
    }
    read.close()
    return good.subarray(from, to)
  }
  const start = good.subarray(0, good.indexOf(record(0)))
  const other = home.at("moved")
  for (const order of [
    [1, 0],
    [0, 0],
    [0, 2]
  ]) {
    writeFileSync(other, concat(start, ...order.map(record)))
    expect(readAll(other).end).toBe("blocks-damaged")
  }
})

test("cut off anywhere, the whole records are read, and a writer that goes on makes the same file", () => {
  const other = home.at("cut")
  for (let length = 0; length < good.length; length += 13) {
    writeFileSync(other, good)
    truncateSync(other, length)
    const { heights, end } = readAll(other)
    if (end === "blocks-malformed") continue
    expect(end).toBe("end")
    const read = new BlocksReader(other)
    while (read.next() !== undefined);
    const out = BlocksWriter.after(other, read)
    read.close()
    for (const block of blocks.slice(heights.length)) out.write(encodeBlock(block))
    out.close()
    expect(Buffer.compare(readFileSync(other), good)).toBe(0)
  }
})

test("any bytes are no file of blocks, and none is a throw of another kind", () => {
  const dice = makeDice(3)
  for (let i = 0; i < 300; i++) {
    const start = dice.int(2) === 0 ? new Uint8Array(0) : good.subarray(0, dice.int(120))
    writeFileSync(home.at("fuzz"), concat(start, dice.bytes(dice.int(200))))
    readAll(home.at("fuzz"))
  }
  writeFileSync(home.at("newer"), concat(good.subarray(0, 8), new Uint8Array([2, 0, 0, 0]), good.subarray(12)))
  expect(readAll(home.at("newer")).end).toBe("blocks-version")
})

describe("blocks that are taken", () => {
  const take = (file: string, other: TestChain) => {
    const read = new BlocksReader(file)
    try {
      return new BlockTaker(other.store, other.rules, chain.now).all(read.blocks(other.rules.ledger), () => {})
    } finally {
      read.close()
    }
  }

  test("make the same chain, also in parts and a second time", () => {
    const other = new TestChain()
    const part = home.at("part")
    writeAll(part, 0, 3)
    expect(take(part, other)).toEqual({ stored: 3, known: 0 })
    expect(take(path, other)).toEqual({ stored: 4, known: 3 })
    expect(take(path, other)).toEqual({ stored: 0, known: 7 })
    expect(other.dump()).toBe(chain.dump())
  })

  test("are refused as those of peers are; those before stay", () => {
    const other = new TestChain()
    writeAll(home.at("gap"), 3)
    expect(take(home.at("gap"), other)).toMatchObject({ stored: 0, refused: { code: "parent-unknown", height: 4 } })
    const liar = new TestChain(specOf({ accounts: 4, balance: 1_000_000_001 }))
    const bad = liar.mine(1)[0]!
    const out = BlocksWriter.begin(home.at("bad"), head)
    for (const block of [...blocks.slice(0, 2), bad]) out.write(encodeBlock(block))
    out.close()
    expect(take(home.at("bad"), other)).toMatchObject({ stored: 2, refused: { code: "parent-unknown" } })
    expect<number>(other.store.tip().header.height).toBe(2)
  })

  test("before a damaged record are kept", () => {
    const other = new TestChain()
    const bytes = Buffer.from(good)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(home.at("damaged"), bytes)
    expect(() => take(home.at("damaged"), other)).toThrow("damaged")
    expect<number>(other.store.tip().header.height).toBe(6)
  })

  test("switch to the branch that wins", () => {
    const other = chain.fork(3)
    other.mine(2)
    expect(take(path, other)).toMatchObject({ stored: 4, known: 3 })
    expect(other.store.tip().header.id).toBe(chain.store.tip().header.id)
  })
})
