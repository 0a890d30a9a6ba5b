/**
 * Bytes at rest under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM seals. What stands beside the ciphertext is
 * authenticated too, so a file whose parameters were changed does not open. Key files (keystore.ts) and backups are made so.
 */
import { createCipheriv, createDecipheriv, scrypt } from "node:crypto"
import { Result } from "effect"
import { concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"

export interface Kdf {
  readonly name: "scrypt"
  readonly n: number
  readonly r: number
  readonly p: number
  /** Hex of 32 bytes. */
  readonly salt: string
}

/** All in hex: 12 bytes, 16, and the ciphertext. */
export interface Cipher {
  readonly name: "aes-256-gcm"
  readonly iv: string
  readonly tag: string
  readonly text: string
}

export interface SealedFile {
  readonly version: 1
  readonly kdf: Kdf
  readonly cipher: Cipher
}

export interface KeystoreError {
  readonly code: "keystore-malformed" | "passphrase-wrong"
  readonly message: string
}

/** 2^17: about half a second, and 128 MiB that a guesser must have too. */
export const scryptN = 2 ** 17
/** Parameters that a file may ask us to spend. */
const scryptNMax = 2 ** 20
const memoryMax = 2 ** 31 - 1

const derive = (passphrase: string, kdf: Kdf): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const options = { N: kdf.n, r: 8, p: 1, maxmem: memoryMax }
    scrypt(passphrase.normalize("NFKC"), fromHex(kdf.salt)!, 32, options, (error, key) =>
      error ? reject(error) : resolve(key)
    )
  })

/** Parameters of a new file. `salt`: 32 random bytes. */
export const makeKdf = (salt: Uint8Array, n = scryptN): Kdf => ({ name: "scrypt", n, r: 8, p: 1, salt: toHex(salt) })

/** Seals bytes. `iv`: 12 random bytes; `beside`: what is authenticated with them. */
export const seal = async (
  bytes: Uint8Array,
  wish: { readonly passphrase: string; readonly kdf: Kdf; readonly iv: Uint8Array; readonly beside: Uint8Array }
): Promise<Cipher> => {
  const cipher = createCipheriv("aes-256-gcm", await derive(wish.passphrase, wish.kdf), wish.iv)
  cipher.setAAD(wish.beside)
  const text = concat(new Uint8Array(cipher.update(bytes)), new Uint8Array(cipher.final()))
  const tag = toHex(new Uint8Array(cipher.getAuthTag()))
  return { name: "aes-256-gcm", iv: toHex(wish.iv), tag, text: toHex(text) }
}

/** The sealed bytes. A wrong passphrase and a changed file look the same: neither opens. */
export const unseal = async (
  { kdf, cipher }: { readonly kdf: Kdf; readonly cipher: Cipher },
  wish: { readonly passphrase: string; readonly beside: Uint8Array }
): Promise<Result.Result<Uint8Array, KeystoreError>> => {
  const decipher = createDecipheriv("aes-256-gcm", await derive(wish.passphrase, kdf), fromHex(cipher.iv)!)
  decipher.setAAD(wish.beside)
  decipher.setAuthTag(fromHex(cipher.tag)!)
  try {
    return Result.succeed(
      concat(new Uint8Array(decipher.update(fromHex(cipher.text)!)), new Uint8Array(decipher.final()))
    )
  } catch {
    return Result.fail({ code: "passphrase-wrong", message: "The passphrase is wrong, or the file was changed." })
  }
}

const isHex = (value: unknown, length?: number): boolean =>
  typeof value === "string" && fromHex(value, length) !== undefined

/** Has the value the form of parameters that we are willing to spend? */
export const isKdf = (value: unknown): value is Kdf => {
  const kdf = value as Kdf | undefined
  return (
    kdf?.name === "scrypt" &&
    typeof kdf.n === "number" &&
    Number.isInteger(Math.log2(kdf.n)) &&
    kdf.n >= 2 &&
    kdf.n <= scryptNMax &&
    kdf.r === 8 &&
    kdf.p === 1 &&
    isHex(kdf.salt, 32)
  )
}

/** Has the value the form of a ciphertext, of so many bytes if it is said? */
export const isCipher = (value: unknown, length?: number): value is Cipher => {
  const cipher = value as Cipher | undefined
  return cipher?.name === "aes-256-gcm" && isHex(cipher.iv, 12) && isHex(cipher.tag, 16) && isHex(cipher.text, length)
}

/** What is authenticated beside the bytes of a sealed file. */
const besideOf = ({ n, r, p, salt }: Kdf): Uint8Array => utf8(JSON.stringify(["cairn-sealed", 1, n, r, p, salt]))

/** Seals bytes as a file of their own. `salt`: 32 random bytes, `iv`: 12. */
export const sealFile = async (
  bytes: Uint8Array,
  wish: { readonly passphrase: string; readonly salt: Uint8Array; readonly iv: Uint8Array; readonly n?: number }
): Promise<SealedFile> => {
  const kdf = makeKdf(wish.salt, wish.n)
  const cipher = await seal(bytes, { passphrase: wish.passphrase, kdf, iv: wish.iv, beside: besideOf(kdf) })
  return { version: 1, kdf, cipher }
}

/** The sealed file of parsed JSON, or undefined. */
export const parseSealedFile = (json: unknown): SealedFile | undefined => {
  const file = json as SealedFile | null | undefined
  return file?.version === 1 && isKdf(file.kdf) && isCipher(file.cipher) ? file : undefined
}

/** The bytes of a sealed file. */
export const openSealedFile = (
  file: SealedFile,
  passphrase: string
): Promise<Result.Result<Uint8Array, KeystoreError>> => unseal(file, { passphrase, beside: besideOf(file.kdf) })
