/** Key files: they open with their passphrase and with nothing else; a changed one does not open. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { makeDice } from "../sim/dice.ts"
import { fromUtf8, toHex, utf8 } from "../codec/bytes.ts"
import { type KeyFile, lockKey, parseKeyFile, unlockKey } from "./keystore.ts"

const dice = makeDice(3)
const secret = dice.bytes(32)
const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(fromUtf8(bytes) ?? "")
  } catch {
    return undefined
  }
}

/** A light derivation: the tests are of the form, not of the cost. */
const lock = () =>
  lockKey({
    secret,
    passphrase: "correct horse",
    name: "main",
    address: "crn1x",
    salt: dice.bytes(32),
    iv: dice.bytes(12),
    n: 16
  })

test("a key file survives JSON and opens with its passphrase", async () => {
  const file = parseKeyFile(JSON.parse(JSON.stringify(await lock())))!
  const opened = await unlockKey(file, "correct horse")
  expect(Result.isSuccess(opened) && toHex(opened.success)).toBe(toHex(secret))
})

test("a wrong passphrase and every changed field are refused", async () => {
  const file = await lock()
  const flip = (hex: string): string => (hex[0] === "0" ? "1" : "0") + hex.slice(1)
  const changed: ReadonlyArray<KeyFile> = [
    { ...file, name: "other" },
    { ...file, address: "crn1y" },
    { ...file, kdf: { ...file.kdf, n: 32 } },
    { ...file, kdf: { ...file.kdf, salt: flip(file.kdf.salt) } },
    ...(["iv", "tag", "text"] as const).map((field) => ({
      ...file,
      cipher: { ...file.cipher, [field]: flip(file.cipher[field]) }
    }))
  ]
  for (const other of changed) expect(Result.isFailure(await unlockKey(other, "correct horse"))).toBe(true)
  expect(Result.isFailure(await unlockKey(file, "wrong horse"))).toBe(true)
})

test("no bit of a key file can be flipped: it is no key file any more, or it does not open", async () => {
  const bytes = utf8(JSON.stringify(await lock()))
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice()
    changed[bit >> 3]! ^= 1 << (bit & 7)
    const file = parseKeyFile(parseJson(changed))
    const opens = file !== undefined && Result.isSuccess(await unlockKey(file, "correct horse"))
    expect([bit, opens]).toEqual([bit, false])
  }
})

test("what is no key file, or asks for too much work, is refused before any work", async () => {
  const file = await lock()
  const bad: ReadonlyArray<unknown> = [
    null,
    1,
    {},
    [],
    { ...file, version: 2 },
    { ...file, kdf: { ...file.kdf, n: 2 ** 24 } },
    { ...file, kdf: { ...file.kdf, n: 3 } },
    { ...file, kdf: { ...file.kdf, n: "16" } },
    { ...file, kdf: { ...file.kdf, n: [16] } }
  ]
  for (const json of bad) expect(parseKeyFile(json)).toBeUndefined()
})
