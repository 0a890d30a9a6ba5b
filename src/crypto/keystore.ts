/**
 * A secret at rest: JSON with scrypt (RFC 7914) over the passphrase and AES-256-GCM over the secret. The fields beside the
 * ciphertext are authenticated too, so a file whose name, address or parameters were changed does not open.
 */
import { createCipheriv, createDecipheriv, scrypt } from "node:crypto"
import { Result } from "effect"
import { concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"

export interface KeyFile {
  readonly version: 1
  readonly name: string
  readonly address: string
  readonly kdf: {
    readonly name: "scrypt"
    readonly n: number
    readonly r: number
    readonly p: number
    readonly salt: string
  }
  readonly cipher: { readonly name: "aes-256-gcm"; readonly iv: string; readonly tag: string; readonly text: string }
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

const derive = (passphrase: string, kdf: { readonly n: number; readonly salt: Uint8Array }): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    scrypt(passphrase.normalize("NFKC"), kdf.salt, 32, { N: kdf.n, r: 8, p: 1, maxmem: memoryMax }, (error, key) =>
      error ? reject(error) : resolve(key)
    )
  })

const authenticated = (file: Pick<KeyFile, "version" | "name" | "address" | "kdf">): Uint8Array =>
  utf8(
    JSON.stringify([
      file.version,
      file.name,
      file.address,
      file.kdf.name,
      file.kdf.n,
      file.kdf.r,
      file.kdf.p,
      file.kdf.salt
    ])
  )

/** The file of a secret. `salt`: 32 random bytes, `iv`: 12. */
export const lockKey = async (wish: {
  readonly secret: Uint8Array
  readonly passphrase: string
  readonly name: string
  readonly address: string
  readonly salt: Uint8Array
  readonly iv: Uint8Array
  readonly n?: number
}): Promise<KeyFile> => {
  const n = wish.n ?? scryptN
  const kdf = { name: "scrypt", n, r: 8, p: 1, salt: toHex(wish.salt) } as const
  const head = { version: 1, name: wish.name, address: wish.address, kdf } as const
  const cipher = createCipheriv("aes-256-gcm", await derive(wish.passphrase, { n, salt: wish.salt }), wish.iv)
  cipher.setAAD(authenticated(head))
  const text = concat(new Uint8Array(cipher.update(wish.secret)), new Uint8Array(cipher.final()))
  const tag = toHex(new Uint8Array(cipher.getAuthTag()))
  return { ...head, cipher: { name: "aes-256-gcm", iv: toHex(wish.iv), tag, text: toHex(text) } }
}

/** The key file of parsed JSON, or undefined. */
export const parseKeyFile = (json: unknown): KeyFile | undefined => {
  const file = json as KeyFile
  const hex = (value: unknown, length: number): boolean =>
    typeof value === "string" && fromHex(value, length) !== undefined
  const sound =
    typeof json === "object" &&
    json !== null &&
    file.version === 1 &&
    typeof file.name === "string" &&
    typeof file.address === "string" &&
    file.kdf?.name === "scrypt" &&
    typeof file.kdf.n === "number" &&
    Number.isInteger(Math.log2(file.kdf.n)) &&
    file.kdf.n >= 2 &&
    file.kdf.n <= scryptNMax &&
    file.kdf.r === 8 &&
    file.kdf.p === 1 &&
    hex(file.kdf.salt, 32) &&
    file.cipher?.name === "aes-256-gcm" &&
    hex(file.cipher.iv, 12) &&
    hex(file.cipher.tag, 16) &&
    hex(file.cipher.text, 32)
  return sound ? file : undefined
}

/** The secret in a key file. A wrong passphrase and a changed file look the same: neither opens. */
export const unlockKey = async (
  file: KeyFile,
  passphrase: string
): Promise<Result.Result<Uint8Array, KeystoreError>> => {
  const key = await derive(passphrase, { n: file.kdf.n, salt: fromHex(file.kdf.salt)! })
  const decipher = createDecipheriv("aes-256-gcm", key, fromHex(file.cipher.iv)!)
  decipher.setAAD(authenticated(file))
  decipher.setAuthTag(fromHex(file.cipher.tag)!)
  try {
    return Result.succeed(
      concat(new Uint8Array(decipher.update(fromHex(file.cipher.text)!)), new Uint8Array(decipher.final()))
    )
  } catch {
    return Result.fail({ code: "passphrase-wrong", message: "The passphrase is wrong, or the file was changed." })
  }
}
