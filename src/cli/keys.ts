/** `cairn keys`: keys on this machine, each in a file of its own that only its passphrase opens. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { fromHex, toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import {
  accountKey,
  accountPath,
  devMnemonic,
  isMnemonic,
  type Keypair,
  keypairOf,
  makeMnemonic
} from "../crypto/keys.ts"
import { type KeyFile, lockKey, parseKeyFile, unlockKey } from "../crypto/keystore.ts"
import { isSecret } from "../crypto/signature.ts"
import { exists, readText, writeFile } from "../io/files.ts"
import { failure } from "./failure.ts"
import { print, rows } from "./output.ts"

const keyFileBytesMax = 16 * 1024
const nameForm = /^[a-z0-9][a-z0-9-]{0,31}$/
const secretMode = 0o600

export interface KeyOptions {
  readonly keystore: string
  readonly prefix: string
  readonly random: (length: number) => Uint8Array
}

const pathOf = ({ keystore }: KeyOptions, name: string): string => join(keystore, `${name}.json`)

const read = (options: KeyOptions, name: string): KeyFile => {
  const path = pathOf(options, name)
  if (exists(path)) return readKeyFile(path)
  throw failure(
    "key",
    "key-missing",
    `There is no key "${name}" in ${options.keystore}.`,
    "cairn keys list shows what is there."
  )
}

const readKeyFile = (path: string): KeyFile => {
  let json: unknown
  try {
    json = JSON.parse(readText(path, keyFileBytesMax))
  } catch {
    json = undefined
  }
  const file = parseKeyFile(json)
  if (file === undefined) throw failure("key", "keystore-malformed", `${path} is not a key file.`)
  return file
}

const save = async (
  options: KeyOptions,
  wish: { readonly name: string; readonly key: Keypair; readonly passphrase: string }
): Promise<string> => {
  if (!nameForm.test(wish.name))
    throw failure(
      "usage",
      "name-invalid",
      `"${wish.name}" is no name for a key.`,
      "Use a-z, 0-9 and hyphen, at most 32."
    )
  if (exists(pathOf(options, wish.name)))
    throw failure(
      "key",
      "key-exists",
      `There is a key "${wish.name}" already.`,
      "Choose another name; keys are never written over."
    )
  if (wish.passphrase.length < 8)
    throw failure("key", "passphrase-short", "The passphrase must have at least 8 characters.")
  const address = formatAddress(wish.key.address, options.prefix)
  const file = await lockKey({
    secret: wish.key.secret,
    passphrase: wish.passphrase,
    name: wish.name,
    address,
    salt: options.random(32),
    iv: options.random(12)
  })
  writeFile(pathOf(options, wish.name), `${JSON.stringify(file, null, 2)}\n`, secretMode)
  return address
}

/** Makes a key from a new mnemonic, which is shown once. */
export const newKey = async (options: KeyOptions, name: string, passphrase: string): Promise<void> => {
  const mnemonic = makeMnemonic(options.random(16))
  const address = await save(options, { name, key: accountKey(mnemonic, 0), passphrase })
  print({ name, address, mnemonic, path: accountPath(0), file: pathOf(options, name) }, [
    `The key "${name}" was made.`,
    ...rows([
      ["address", address],
      ["file", pathOf(options, name)],
      ["mnemonic", mnemonic],
      ["path", accountPath(0)]
    ]),
    "  Write the mnemonic down: it is the only copy, and whoever has it has the money."
  ])
}

/** Names and addresses. */
export const listKeys = ({ keystore }: KeyOptions): void => {
  const names = exists(keystore)
    ? readdirSync(keystore)
        .filter((file) => file.endsWith(".json"))
        .sort()
    : []
  const keys = names.flatMap((file) => {
    const parsed = parseKeyFile(JSON.parse(readText(join(keystore, file), keyFileBytesMax)))
    return parsed === undefined ? [] : [{ name: parsed.name, address: parsed.address, file: join(keystore, file) }]
  })
  print(
    keys,
    keys.length === 0
      ? [`No keys in ${keystore}. Make one: cairn keys new NAME`]
      : rows(keys.map(({ name, address }) => [name, address] as const))
  )
}

/** Opens a key file. */
export const openKey = (options: KeyOptions, name: string, passphrase: string): Promise<Keypair> =>
  unlock(read(options, name), passphrase)

/** Opens the key file at a path, wherever it is. */
export const openKeyFile = async (path: string, passphrase: string): Promise<Keypair> => {
  if (exists(path)) return unlock(readKeyFile(path), passphrase)
  throw failure("key", "key-missing", `There is no key file ${path}.`, "cairn keys list shows the files of your keys.")
}

const unlock = async (file: KeyFile, passphrase: string): Promise<Keypair> => {
  const opened = await unlockKey(file, passphrase)
  if (Result.isFailure(opened)) throw failure("key", opened.failure.code, opened.failure.message)
  return keypairOf(opened.success)
}

/** Prints the secret in hex: it can be imported anywhere. */
export const exportKey = async (options: KeyOptions, name: string, passphrase: string): Promise<void> => {
  const { secret, address } = await openKey(options, name, passphrase)
  print({ name, address: formatAddress(address, options.prefix), secret: toHex(secret) }, [
    ...rows([
      ["address", formatAddress(address, options.prefix)],
      ["secret", toHex(secret)]
    ]),
    "  Whoever has the secret has the money."
  ])
}

/** Stores a secret in hex, or account 0 of a mnemonic. */
export const importKey = async (
  options: KeyOptions,
  wish: { readonly name: string; readonly secret: string; readonly passphrase: string }
): Promise<void> => {
  const text = wish.secret.trim().toLowerCase()
  const bytes = fromHex(text, 32)
  const key =
    bytes !== undefined && isSecret(bytes) ? keypairOf(bytes) : isMnemonic(text) ? accountKey(text, 0) : undefined
  if (key === undefined)
    throw failure("key", "secret-malformed", "That is neither 64 hex characters of a key nor a mnemonic.")
  const address = await save(options, { name: wish.name, key, passphrase: wish.passphrase })
  print({ name: wish.name, address }, [`The key "${wish.name}" was imported.`, ...rows([["address", address]])])
}

/** The address that a text is, or that a key of that name has: no passphrase is needed to know it. */
export const addressNamed = (options: KeyOptions, text: string): string => {
  const key = devKey(text)
  if (key !== undefined) return formatAddress(key.address, options.prefix)
  return nameForm.test(text) && exists(pathOf(options, text)) ? read(options, text).address : text
}

/** `dev:N`: account N of the public development mnemonic. */
export const devKey = (name: string): Keypair | undefined => {
  const match = /^dev:(\d{1,3})$/.exec(name)
  return match === null ? undefined : accountKey(devMnemonic, Number(match[1]))
}
