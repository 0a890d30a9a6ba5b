/** `cairn token`: who may use admin routes, by names. The file of the data folder has hashes; a running node looks at it each second. */
import { toHex } from "../codec/bytes.ts"
import { formatTokens, hashToken, isTokenName, type NamedToken, parseTokens } from "../http/tokens.ts"
import { exists, readText, writeFile } from "../io/files.ts"
import { adminTokensBytesMax, adminTokensMax } from "../limits.ts"
import { specOf, tokenPath, tokensPath } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { print, rows } from "./output.ts"

const secretMode = 0o600
const tokenBytes = 32

/** The named tokens of a folder. Throws Failure. */
const tokensOf = (folder: string): ReadonlyArray<NamedToken> => {
  const path = tokensPath(folder)
  if (!exists(path)) return []
  const tokens = parseTokens(readText(path, adminTokensBytesMax))
  if (tokens === undefined)
    throw failure(
      "dataFolder",
      "tokens-malformed",
      `${path} is no list of tokens.`,
      "Remove it; no token in it counts."
    )
  return tokens
}

const save = (folder: string, tokens: ReadonlyArray<NamedToken>): void =>
  writeFile(tokensPath(folder), formatTokens(tokens), secretMode)

/** Makes a token and shows it this once. `now`: milliseconds since 1970. */
export const addToken = (wish: {
  readonly dataDir: string
  readonly name: string
  readonly now: number
  readonly random: (length: number) => Uint8Array
}): void => {
  const { dataDir, name, now, random } = wish
  // Not a folder that nothing runs on: a token there would open nothing.
  specOf(dataDir)
  const tokens = tokensOf(dataDir)
  if (!isTokenName(name))
    throw failure(
      "usage",
      "token-name-invalid",
      `"${name}" is no name of a token.`,
      "Letters, digits and . _ -, at most 32."
    )
  if (tokens.some((one) => one.name === name))
    throw failure(
      "refused",
      "token-exists",
      `There is a token ${name}.`,
      `Revoke it first: cairn token revoke ${name}.`
    )
  if (tokens.length >= adminTokensMax)
    throw failure("refused", "tokens-full", `A node has at most ${adminTokensMax} named tokens.`, "Revoke one.")
  const token = toHex(random(tokenBytes))
  save(dataDir, [...tokens, { name, hash: hashToken(token), created: now }])
  print({ name, token, file: tokensPath(dataDir) }, [
    `${name} may now use the admin routes of the node of ${dataDir}.`,
    ...rows([["token", token]]),
    "  It is shown this once: the file has its hash. A running node knows it within a second."
  ])
}

export const listTokens = (folder: string): void => {
  specOf(folder)
  const tokens = tokensOf(folder).map(({ name, created }) => ({ name, created: new Date(created).toISOString() }))
  const first = exists(tokenPath(folder))
  print({ tokens, admin_token_file: first }, [
    ...rows(tokens.map(({ name, created }) => [name, `since ${created}`] as const)),
    ...(tokens.length === 0 ? ["  no named token"] : []),
    ...(first ? [`  and the one of ${tokenPath(folder)}, made at the first start`] : [])
  ])
}

export const revokeToken = (folder: string, name: string): void => {
  specOf(folder)
  const tokens = tokensOf(folder)
  const left = tokens.filter((one) => one.name !== name)
  if (left.length === tokens.length)
    throw failure(
      "refused",
      "token-missing",
      `There is no token ${name}.`,
      "cairn token list shows those that there are."
    )
  save(folder, left)
  print({ name, revoked: true }, [
    `${name} may not use admin routes any more; a running node knows it within a second.`
  ])
}
