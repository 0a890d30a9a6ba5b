/** What an operator's choices mean for the HTTP door: whose names and pages are ours, who may pass, how often, and what is logged. */
import { Effect, type Context } from "effect"
import { type Cidr, isLoopback, parseCidr, parseIp } from "../codec/ip.ts"
import { defaults, type NodeConfig, type RateConfig } from "../config.ts"
import { sipKeyBytes } from "../crypto/siphash.ts"
import type { AccessLog, AccessOptions } from "../http/access.ts"
import { parseToken, parseTokens, TokenFile } from "../http/tokens.ts"
import { readText, stampOf } from "../io/files.ts"
import { adminTokensBytesMax } from "../limits.ts"
import { tokenPath, tokensPath } from "./data-folder.ts"
import { failure } from "./failure.ts"

export interface Doors {
  /** As AppOptions has them. */
  readonly hosts: ReadonlyArray<string>
  readonly cors: ReadonlyArray<string>
  readonly access: AccessOptions
}

const networkOf = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (cidr === undefined)
    throw failure(
      "usage",
      "network-invalid",
      `Trusted proxies: "${text}" is no address and no network.`,
      "Write 10.0.0.1, 10.0.0.0/8 or fd00::/8, with no bit set beyond the prefix."
    )
  return cidr
}

const isUsual = ({ public: anybody, admin, peer }: RateConfig): boolean =>
  anybody === defaults.rates.public && admin === defaults.rates.admin && peer === defaults.rates.peer

const isNear = (host: string): boolean => {
  const ip = parseIp(host)
  return host === "localhost" || (ip !== undefined && isLoopback(ip))
}

/** A line of the log, at once: what an admin did is written before the next thing happens. */
const logOf =
  (context: Context.Context<never>): AccessLog =>
  (level, message, fields) =>
    Effect.runSyncWith(context)(level === "info" ? Effect.logInfo(message, fields) : Effect.logWarning(message, fields))

/** The tokens of a data folder as they are at any moment: that of admin.token, and the named ones. */
const tokensIn = (folder: string, log: AccessLog): NonNullable<AccessOptions["tokens"]> => {
  const open = (path: string, parse: ConstructorParameters<typeof TokenFile>[1]): TokenFile =>
    new TokenFile({ stamp: () => stampOf(path), read: () => readText(path, adminTokensBytesMax) }, parse, () =>
      log("warning", "no token of a file counts: it cannot be read", { code: "tokens-malformed", file: path })
    )
  const first = open(tokenPath(folder), parseToken("admin.token"))
  const named = open(tokensPath(folder), parseTokens)
  return (now) => [...first.tokens(now), ...named.tokens(now)]
}

/** Throws Failure. `now`: milliseconds of a clock that does not go back. */
export const doorsOf = (
  { dataDir, http, mode }: NodeConfig,
  parts: {
    readonly context: Context.Context<never>
    readonly random: (length: number) => Uint8Array
    readonly now: () => number
  }
): Doors => {
  const { nodeUrl, hosts = [], corsOrigins = [], trustedProxies = [], rates, peerSecret } = http
  const own = nodeUrl === undefined ? undefined : URL.parse(nodeUrl)
  const log = logOf(parts.context)
  const named = [...(own?.host === undefined ? [] : [own.host]), ...hosts]
  return {
    hosts: isNear(http.host) ? ["localhost", ...named] : named,
    cors: own === undefined || own === null ? corsOrigins : [...corsOrigins, own.origin],
    access: {
      tokens: tokensIn(dataDir, log),
      peerSecret,
      trustedProxies: trustedProxies.map(networkOf),
      rates: rates ?? defaults.rates,
      // Who tries a node out on its own machine is not in its own way, unless rates are what is tried.
      sparesNear: mode !== "production" && (rates === undefined || isUsual(rates)),
      seed: parts.random(sipKeyBytes),
      now: parts.now,
      log
    }
  }
}
