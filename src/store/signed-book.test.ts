/** Protection files on a real disk: made once, locked, never begun afresh by themselves. */
import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { type BookWish, hasSealed, openBook, SignedFault } from "./signed-book.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-book-"))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const wishOf = (more: Partial<BookWish> = {}): BookWish => ({
  path: join(folder, `new-${files++}`, "one.signed.json"),
  keyPath: undefined,
  owner: { address: "crn1one", chainId: "test", genesis: "ab".repeat(32) },
  startSlot: 10,
  isNew: false,
  wasUsed: () => false,
  ...more
})
const codeOf = (wish: BookWish): string => {
  try {
    openBook(wish).release()
    return "opened"
  } catch (error) {
    return error instanceof SignedFault ? error.code : String(error)
  }
}

describe("a protection file", () => {
  test("is made with the start slot, readable by its owner only, and keeps what is saved", () => {
    const wish = wishOf()
    const first = openBook(wish)
    expect([first.book.load().slot, statSync(wish.path).mode & 0o777]).toEqual([10, 0o600])
    first.book.save({ slot: 12, source: 3, target: 4 })
    first.release()
    const again = openBook({ ...wish, startSlot: 11, wasUsed: () => true })
    expect(again.book.load()).toEqual({ slot: 12, source: 3, target: 4 })
    again.release()
    const later = openBook({ ...wish, startSlot: 20 })
    expect(later.book.load()).toEqual({ slot: 20, source: 3, target: 4 })
    later.release()
    expect(readdirSync(join(wish.path, "..")).filter((name) => name.endsWith(".tmp"))).toEqual([])
  })

  test("that is missing for a key that was used is an error, unless the operator says so", () => {
    const wish = wishOf({ wasUsed: () => true })
    expect([codeOf(wish), existsSync(wish.path), codeOf({ ...wish, isNew: true })]).toEqual([
      "signed-missing",
      false,
      "opened"
    ])
    expect(codeOf({ ...wish, isNew: true })).toBe("signed-exists")
  })

  test("that is damaged, or another's, is an error, and is left as it is", () => {
    const wish = wishOf()
    expect(codeOf(wish)).toBe("opened")
    expect(codeOf({ ...wish, owner: { ...wish.owner, chainId: "other" } })).toBe("signed-mismatch")
    writeFileSync(wish.path, "{}")
    expect([codeOf(wish), codeOf({ ...wish, isNew: true }), statSync(wish.path).size]).toEqual([
      "signed-malformed",
      "signed-exists",
      2
    ])
  })

  test("is one process's at a time, and so is the key file, wherever the books stand", () => {
    const wish = wishOf({ keyPath: join(folder, "key.json") })
    const { release } = openBook(wish)
    expect(codeOf(wish)).toBe("key-locked")
    expect(codeOf({ ...wishOf(), keyPath: wish.keyPath! })).toBe("key-locked")
    expect(() => openBook(wish)).toThrow(`pid ${process.pid}`)
    release()
    expect(codeOf({ ...wishOf(), keyPath: wish.keyPath! })).toBe("opened")
    expect(codeOf(wish)).toBe("opened")
  })

  test("whose folder cannot be written gives no signature", () => {
    const wish = wishOf()
    const { book, release } = openBook(wish)
    rmSync(join(wish.path, ".."), { recursive: true })
    writeFileSync(join(wish.path, ".."), "a file in the way")
    expect(() => book.save({ slot: 30, source: -1, target: -1 })).toThrow()
    expect(book.load().slot).toBe(10)
    rmSync(join(wish.path, ".."))
    mkdirSync(join(wish.path, ".."))
    release()
  })
})

test("a key was used if a header on any branch is sealed by it", () => {
  const chain = new TestChain(specOf({ authorities: 2 }))
  const [one, two] = [keyOf(firstAuthority).address, keyOf(firstAuthority + 1).address]
  chain.mine(1, [], firstAuthority)
  expect([hasSealed(chain.store.db, one), hasSealed(chain.store.db, two)]).toEqual([true, false])
  const old = new TestChain(specOf())
  const [block] = old.mine(1, [], 1)
  expect(hasSealed(old.store.db, block!.header.proposer)).toBe(false)
})
