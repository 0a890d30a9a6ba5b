/**
 * `cairn keys token`: lets a node spend of one account for who has its token (--compat ccoin). The folder keeps the key locked
 * anew, by the token, and the token's hash: who reads the folder can spend nothing, and the node holds no open key.
 */
import { join } from "node:path"
import { Result } from "effect"
import { fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { parseJsonc } from "../codec/jsonc.ts"
import { formatAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { lockKey, parseKeyFile, unlockKey } from "../crypto/keystore.ts"
import type { Spenders } from "../compat/ccoin.ts"
import { exists, readText, writeFile } from "../io/files.ts"
import { specOf } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { print, rows } from "./output.ts"

const fileBytesMax = 16 * 1024
const secretMode = 0o600
/** A token has 256 bits: there is nothing to guess that costs would keep from guessing. */
const scryptN = 2 ** 10

const pathOf = (folder: string, address: string): string => join(folder, "spenders", `${address}.json`)

/** Makes a token for a key's account on the folder's chain, and shows it once. One made before no longer counts. */
export const makeToken = async (wish: {
  readonly dataDir: string
  readonly key: Keypair
  readonly name: string
  readonly random: (length: number) => Uint8Array
}): Promise<void> => {
  const { dataDir, key, name, random } = wish
  const { ledger, addressPrefix } = specOf(dataDir)
  if (ledger.model !== "account")
    throw failure(
      "usage",
      "compat-needs-accounts",
      `The chain "${ledger.chainId}" has coins: a token is for an account.`
    )
  const address = formatAddress(key.address, addressPrefix)
  const token = toHex(random(32))
  const path = pathOf(dataDir, address)
  const replaced = exists(path)
  const locked = { secret: key.secret, passphrase: token, name, address, salt: random(32), iv: random(12), n: scryptN }
  const file = { version: 1, token_sha256: toHex(sha256(utf8(token))), key: await lockKey(locked) }
  writeFile(path, `${JSON.stringify(file, null, 2)}\n`, secretMode)
  print({ address, token, file: path, replaced }, [
    `A node on ${dataDir} with --compat ccoin now spends of ${address} for who has this token.`,
    ...rows([
      ["token", token],
      ["file", path]
    ]),
    `  It is shown this once.${replaced ? " The one before no longer counts." : ""} Remove the file, and no token counts.`
  ])
}

/** Whose money a folder's node may spend, as the files there say at this moment. */
export const spendersIn =
  (folder: string): Spenders =>
  (address) => {
    const path = pathOf(folder, address)
    if (!/^[a-z0-9]{1,90}$/.test(address) || !exists(path)) return undefined
    const parsed = parseJsonc(readText(path, fileBytesMax))
    const json = (Result.isSuccess(parsed) ? (parsed.success ?? {}) : {}) as Readonly<Record<string, unknown>>
    const tokenHash = fromHex(String(json["token_sha256"]), 32)
    const file = parseKeyFile(json["key"])
    if (tokenHash === undefined || file === undefined || file.address !== address) return undefined
    return {
      tokenHash,
      unlock: async (token) => {
        const opened = await unlockKey(file, token)
        return Result.isSuccess(opened) ? keypairOf(opened.success) : undefined
      }
    }
  }
