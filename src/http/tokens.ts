/**
 * Who may use admin routes: named tokens of 256 bits, of which the node keeps only hashes. They are compared all, each in the same
 * time, so that neither time nor order tells of a guess how near it was.
 */
import { timingSafeEqual } from "node:crypto"
import { Schema, Exit } from "effect"
import { fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { adminTokensMax } from "../limits.ts"

export interface NamedToken {
  readonly name: string
  /** SHA-256 of the token's text. */
  readonly hash: Uint8Array
  /** Milliseconds since 1970. */
  readonly created: number
}

/** Names that tokens of other places have. */
export const reservedNames: ReadonlySet<string> = new Set(["admin.token", "config", "socket", "near"])
/** May a token be called so? */
export const isTokenName = (name: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name) && !reservedNames.has(name)

export const hashToken = (token: string): Uint8Array => sha256(utf8(token))

const File = Schema.Struct({
  version: Schema.Literal(1),
  tokens: Schema.Array(Schema.Struct({ name: Schema.String, sha256: Schema.String, created: Schema.Int }))
})
const decode = Schema.decodeUnknownExit(File, { onExcessProperty: "error" })

/** The tokens of a file's text; undefined: it is none of ours. */
export const parseTokens = (text: string): ReadonlyArray<NamedToken> | undefined => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  const exit = decode(json)
  if (Exit.isFailure(exit) || exit.value.tokens.length > adminTokensMax) return undefined
  const tokens = exit.value.tokens.flatMap(({ name, sha256: hex, created }) => {
    const hash = fromHex(hex, 32)
    return hash === undefined || !isTokenName(name) ? [] : [{ name, hash, created }]
  })
  const names = new Set(tokens.map(({ name }) => name))
  return names.size === exit.value.tokens.length ? tokens : undefined
}

/** The text of a file of tokens. */
export const formatTokens = (tokens: ReadonlyArray<NamedToken>): string => {
  const rows = tokens.map(({ name, hash, created }) => ({ name, sha256: toHex(hash), created }))
  return `${JSON.stringify({ version: 1, tokens: rows }, null, 2)}\n`
}

/** The name of the token that was given; undefined: it is none of these. */
export const tokenNamed = (tokens: ReadonlyArray<NamedToken>, given: string): string | undefined => {
  const hash = hashToken(given)
  let found: string | undefined
  for (const token of tokens) if (timingSafeEqual(token.hash, hash)) found = token.name
  return found
}

/** Are two secrets the same? Takes as long whatever they are. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(hashToken(a), hashToken(b))

/** A file as it can be looked at. */
export interface TokenDoor {
  /** Changes whenever the file does; undefined: there is none. */
  readonly stamp: () => string | undefined
  /** Throws if it cannot be read. */
  readonly read: () => string
}

/** Milliseconds between two looks at a file: a token that is revoked counts for no longer. */
const lookMs = 1_000

/** What a file holds at this moment, read again when it has changed. A file that cannot be read holds nothing. */
export class TokenFile {
  private readonly door: TokenDoor
  private readonly parse: (text: string) => ReadonlyArray<NamedToken> | undefined
  private readonly spoiled: () => void
  private lookedAt = Number.NEGATIVE_INFINITY
  private stamp: string | undefined
  private held: ReadonlyArray<NamedToken> = []

  /** `spoiled` hears once of each state of the file that is no list of tokens. */
  constructor(door: TokenDoor, parse: TokenFile["parse"], spoiled: () => void) {
    this.door = door
    this.parse = parse
    this.spoiled = spoiled
  }

  /** `now`: milliseconds of a clock that does not go back. */
  tokens(now: number): ReadonlyArray<NamedToken> {
    if (now - this.lookedAt < lookMs) return this.held
    this.lookedAt = now
    const stamp = this.door.stamp()
    if (stamp !== this.stamp) {
      this.stamp = stamp
      this.held = stamp === undefined ? [] : this.read()
    }
    return this.held
  }

  private read(): ReadonlyArray<NamedToken> {
    let tokens: ReadonlyArray<NamedToken> | undefined
    try {
      tokens = this.parse(this.door.read())
    } catch {
      tokens = undefined
    }
    if (tokens === undefined) this.spoiled()
    return tokens ?? []
  }
}

/** The one token of a file that holds nothing else, under a name. An empty file holds none. */
export const parseToken =
  (name: string) =>
  (text: string): ReadonlyArray<NamedToken> | undefined => {
    const token = text.trim()
    return token === "" ? undefined : [{ name, hash: hashToken(token), created: 0 }]
  }
