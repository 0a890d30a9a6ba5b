/** Mnemonics and derivation are those of every other wallet: published vectors of BIP 39, BIP 32 and BIP 44. */
import { expect, test } from "bun:test"
import { Bug } from "../assert.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { accountKey, accountPath, isMnemonic, keypairOf, makeMnemonic } from "./keys.ts"

/** From the reference file that BIP 39 links to: entropy, words. */
const mnemonics: ReadonlyArray<readonly [entropy: string, words: string]> = [
  ["00".repeat(16), `${"abandon ".repeat(11)}about`],
  ["7f".repeat(16), "legal winner thank year wave sausage worth useful legal winner thank yellow"],
  ["80".repeat(16), "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"],
  ["ff".repeat(16), `${"zoo ".repeat(11)}wrong`],
  ["00".repeat(32), `${"abandon ".repeat(23)}art`],
  ["ff".repeat(32), `${"zoo ".repeat(23)}vote`]
]

test.each(mnemonics)("entropy %s gives the published words (BIP 39)", (entropy, words) => {
  expect(makeMnemonic(fromHex(entropy)!)).toBe(words)
  expect(isMnemonic(words)).toBe(true)
})

test("words with a wrong checksum, of another number or of no list are no mnemonic", () => {
  for (const words of [`${"abandon ".repeat(11)}abandon`, "abandon about", "", `${"abandon ".repeat(11)}aboot`])
    expect(isMnemonic(words)).toBe(false)
})

test("account 0 has the public key that other wallets derive at m/44'/1'/0'/0/0 (BIP 32, BIP 44)", () => {
  // The test network address mkpZhYtJu2r87Js3pDiWJDmPte2NRZ8bJV belongs to this key.
  const { publicKey } = accountKey(mnemonics[0]![1], 0)
  expect(accountPath(0)).toBe("m/44'/1'/0'/0/0")
  expect(toHex(publicKey)).toBe("02a7451395735369f2ecdfc829c0f774e88ef1303dfe5b2f04dbaab30a535dfdd6")
})

test("each account has a key of its own", () => {
  const secrets = Array.from({ length: 10 }, (_, index) => toHex(accountKey(mnemonics[1]![1], index).secret))
  expect(new Set(secrets).size).toBe(10)
})

test("a key pair of what is no secret is our bug", () => {
  for (const length of [0, 31, 32, 33]) expect(() => keypairOf(new Uint8Array(length))).toThrow(Bug)
})
