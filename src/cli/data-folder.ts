/**
 * The data folder of a node: spec.json (the chain), chain.db, identity/ (the node's own key and its TLS certificate),
 * keystore/ (people's keys), admin.token, admin.tokens, session.token (with --compat: of this start), LOCK.db. Secret files have mode 0600.
 */
import { join } from "node:path"
import { Result } from "effect"
import { isCcoin } from "../block/ccoin.ts"
import { type ChainSpec, formatSpec, parseSpec } from "../block/genesis.ts"
import { presets } from "../chain/presets.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import type { FilesConfig } from "../config.ts"
import { parseJsonc } from "../codec/jsonc.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { isSecret } from "../crypto/signature.ts"
import { exists, FileFault, readText, writeFile } from "../io/files.ts"
import type { TlsIdentity } from "../io/tcp.ts"
import { specBytesMax } from "../limits.ts"
import { layout } from "../store/layout.ts"
import { failure } from "./failure.ts"

const secretMode = 0o600
const smallFileBytesMax = 16 * 1024

export const specPath = (folder: string): string => join(folder, layout.spec)
export const databasePath = (folder: string): string => join(folder, layout.database)
export const keystorePath = (folder: string): string => join(folder, "keystore")
export const tokenPath = (folder: string): string => join(folder, "admin.token")
/** Named tokens of admin routes, by their hashes. */
export const tokensPath = (folder: string): string => join(folder, "admin.tokens")

/** Is there a chain in this folder? */
export const isInitialised = (folder: string): boolean => exists(specPath(folder))

/** The value of a file's text: JSON, comments allowed. Throws Failure. */
export const parseFile = (text: string, name: string): unknown => {
  const parsed = parseJsonc(text)
  if (Result.isSuccess(parsed)) return parsed.success
  const { line, column, message } = parsed.failure
  throw failure("usage", "spec-malformed", `${name} is not JSON: line ${line}, column ${column}: ${message}`)
}

/** The spec of a file's text. Throws Failure. */
export const parseSpecText = (text: string, name: string): ChainSpec => {
  const json = parseFile(text, name)
  if (isCcoin(json))
    throw failure(
      "usage",
      "spec-malformed",
      `${name} is a genesis file of ccoin, not a chain spec.`,
      `Make a data folder of it: cairn init --genesis ${name} --data-dir DIR.`
    )
  const parsed = parseSpec(json)
  if (Result.isSuccess(parsed)) return parsed.success
  const lines = parsed.failure.map(({ path, message }) => `${path === "" ? "" : `${path}: `}${message}`)
  throw failure(
    "usage",
    "spec-malformed",
    `${name} is not a chain spec:\n  ${lines.join("\n  ")}`,
    "docs/protocol.md describes every field."
  )
}

/** The spec of a preset's name or of a file. Throws Failure. */
export const loadSpec = (nameOrPath: string): ChainSpec => {
  const preset = presets[nameOrPath]
  if (preset !== undefined) return parseSpecText(JSON.stringify(preset), `preset ${nameOrPath}`)
  try {
    return parseSpecText(readText(nameOrPath, specBytesMax), nameOrPath)
  } catch (error) {
    if (!(error instanceof FileFault)) throw error
    throw failure(
      "usage",
      "spec-missing",
      error.message,
      `Name a file, or a preset: ${Object.keys(presets).join(", ")}.`
    )
  }
}

/** The spec that a folder was initialised with. Throws Failure. */
export const specOf = (folder: string): ChainSpec => {
  if (isInitialised(folder)) return parseSpecText(readText(specPath(folder), specBytesMax), specPath(folder))
  throw failure(
    "dataFolder",
    "store-missing",
    `There is no chain in ${folder}.`,
    `Make one: cairn init --spec cairn --data-dir ${folder}. Or start a development node: cairn start --dev.`
  )
}

/** Writes the spec: from now on the folder belongs to this chain. */
export const saveSpec = (folder: string, spec: ChainSpec): void =>
  writeFile(specPath(folder), `${JSON.stringify(formatSpec(spec), null, 2)}\n`)

/** PEM, as the reference system and OpenSSL write keys. */
const pem = /^-----BEGIN [A-Z ]+-----/

/** Another system's key is not read as damaged: its owner must know that it will never be one of ours. */
const refuseForeign = (path: string, text: string): void => {
  if (!pem.test(text.trimStart())) return
  throw failure(
    "dataFolder",
    "identity-foreign",
    `${path} is a PEM file, such as lua-blockchain has: its keys are of the curve P-256, and a node of cairn has one of secp256k1.`,
    "Name another path, or leave the setting out: the node makes a key, and its id is a new one."
  )
}

/** Writes the public key where the operator wants it, or checks the one that is there. */
const savePublic = (path: string, publicKey: Uint8Array): void => {
  if (!exists(path)) return writeFile(path, `${toHex(publicKey)}\n`)
  const text = readText(path, smallFileBytesMax)
  refuseForeign(path, text)
  if (text.trim() === toHex(publicKey)) return
  throw failure(
    "dataFolder",
    "identity-other",
    `${path} holds another public key than the node's.`,
    "Remove that file, or name another."
  )
}

/** The node's own key, made at the first start. */
export const loadIdentity = (
  folder: string,
  random: (length: number) => Uint8Array,
  files?: Pick<FilesConfig, "identityKey" | "identityPublic">
): Keypair => {
  const path = files?.identityKey ?? join(folder, "identity", "node.key")
  if (!exists(path)) {
    let secret = random(32)
    while (!isSecret(secret)) secret = random(32)
    writeFile(path, `${toHex(secret)}\n`, secretMode)
  }
  const text = readText(path, smallFileBytesMax)
  refuseForeign(path, text)
  const secret = fromHex(text.trim(), 32)
  if (secret === undefined || !isSecret(secret)) {
    throw failure(
      "dataFolder",
      "identity-malformed",
      `${path} does not hold a key.`,
      "Restore it from a backup, or remove it: the node then gets a new identity."
    )
  }
  const key = keypairOf(secret)
  if (files?.identityPublic !== undefined) savePublic(files.identityPublic, key.publicKey)
  return key
}

/** The node's TLS certificate, made at the first start. One that the operator has named is never written over. */
export const loadTls = (
  folder: string,
  facts: { readonly now: number; readonly random: (length: number) => Uint8Array },
  files?: Pick<FilesConfig, "tlsCert" | "tlsKey">
): TlsIdentity => {
  const keyPath = files?.tlsKey ?? join(folder, "identity", "tls.key.pem")
  const certPath = files?.tlsCert ?? join(folder, "identity", "tls.cert.pem")
  if (files?.tlsKey !== undefined && exists(keyPath) !== exists(certPath))
    throw failure(
      "dataFolder",
      "certificate-incomplete",
      `Of ${certPath} and ${keyPath} only one is there.`,
      "Bring the other, or remove both names: the node then makes a certificate."
    )
  if (!exists(keyPath) || !exists(certPath)) {
    const { key, cert } = makeCertificate("cairn", { now: facts.now, serial: facts.random(16) })
    writeFile(keyPath, key, secretMode)
    writeFile(certPath, cert)
  }
  return { key: readText(keyPath, smallFileBytesMax), cert: readText(certPath, smallFileBytesMax) }
}

/** Where the secret of this start stands: what the page has as a cookie, a command line reads here. */
export const sessionPath = (folder: string): string => join(folder, "session.token")

/** A new secret for the node's own session; the one of the last start is gone. */
export const newSession = (folder: string, random: (length: number) => Uint8Array): string => {
  const secret = toHex(random(32))
  writeFile(sessionPath(folder), `${secret}\n`, secretMode)
  return secret
}

/** Makes the first token of admin routes, at the first start; whoever can read the file may use it. */
export const makeFirstToken = (folder: string, random: (length: number) => Uint8Array): void => {
  if (!exists(tokenPath(folder))) writeFile(tokenPath(folder), `${toHex(random(32))}\n`, secretMode)
}
