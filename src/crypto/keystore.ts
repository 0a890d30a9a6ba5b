/**
 * A secret at rest: JSON with the passphrase's parameters and the sealed secret (sealed.ts). The fields beside the
 * ciphertext are authenticated too, so a file whose name, address or parameters were changed does not open.
 */
import type { Result } from "effect"
import { utf8 } from "../codec/bytes.ts"
import { type Cipher, isCipher, isKdf, type Kdf, type KeystoreError, makeKdf, seal, unseal } from "./sealed.ts"

export interface KeyFile {
  readonly version: 1
  readonly name: string
  readonly address: string
  readonly kdf: Kdf
  readonly cipher: Cipher
}

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
  const kdf = makeKdf(wish.salt, wish.n)
  const head = { version: 1, name: wish.name, address: wish.address, kdf } as const
  const { passphrase, iv } = wish
  return { ...head, cipher: await seal(wish.secret, { passphrase, kdf, iv, beside: authenticated(head) }) }
}

/** The key file of parsed JSON, or undefined. */
export const parseKeyFile = (json: unknown): KeyFile | undefined => {
  const file = json as KeyFile | null | undefined
  const sound =
    file?.version === 1 &&
    typeof file.name === "string" &&
    typeof file.address === "string" &&
    isKdf(file.kdf) &&
    isCipher(file.cipher, 32)
  return sound ? file : undefined
}

/** The secret in a key file. A wrong passphrase and a changed file look the same: neither opens. */
export const unlockKey = (file: KeyFile, passphrase: string): Promise<Result.Result<Uint8Array, KeystoreError>> =>
  unseal(file, { passphrase, beside: authenticated(file) })
