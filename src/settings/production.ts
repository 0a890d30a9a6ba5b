/** What a node in production must not be: the twelve refusals of the reference system, each with a code and what to do. */
import type { SettingError } from "./resolve.ts"
import { type Key, table, type Values } from "./table.ts"

/** Characters of a token and of a secret in production, at least. */
export const secretCharsMin = 32

interface Rule {
  readonly code: string
  readonly key: Key
  readonly refuses: (values: Values) => boolean
  readonly message: string
  readonly hint: string
}

const isSecure = (url: string): boolean => url.startsWith("https://")
const isShort = (said: string | undefined): boolean => said !== undefined && said.length < secretCharsMin
const makeSecret = "Make one: openssl rand -hex 32."

/** In the order in which the reference system lists them. */
const rules: ReadonlyArray<Rule> = [
  {
    code: "production-admin-token-missing",
    key: "adminToken",
    refuses: ({ adminToken }) => adminToken === undefined,
    message: "is missing: a node in production has an admin token that its operator chose",
    hint: makeSecret
  },
  {
    code: "production-admin-token-short",
    key: "adminToken",
    refuses: ({ adminToken }) => isShort(adminToken),
    message: `has less than ${secretCharsMin} characters`,
    hint: makeSecret
  },
  {
    code: "production-peer-secret-missing",
    key: "peerSecret",
    refuses: ({ peerSecret }) => peerSecret === undefined,
    message: "is missing: whoever asks at /api/network must show it",
    hint: `${makeSecret} All nodes that ask each other there have the same.`
  },
  {
    code: "production-peer-secret-short",
    key: "peerSecret",
    refuses: ({ peerSecret }) => isShort(peerSecret),
    message: `has less than ${secretCharsMin} characters`,
    hint: makeSecret
  },
  {
    code: "production-node-url-not-https",
    key: "nodeUrl",
    refuses: ({ nodeUrl }) => nodeUrl === undefined || !isSecure(nodeUrl),
    message: "is missing or not https: tokens would travel in the open",
    hint: "Name the https URL of the proxy before the node."
  },
  {
    code: "production-https-peers-not-required",
    key: "requireHttps",
    refuses: ({ requireHttps }) => !requireHttps,
    message: "must be true",
    hint: "Set it, and give every bootstrap peer an https URL."
  },
  {
    code: "production-peers-not-listed",
    key: "allowedIds",
    refuses: ({ allowedIds, allowedHosts }) => allowedIds.length === 0 && allowedHosts.length === 0,
    message: `or ${table.allowedHosts.variable} must name who may be a peer`,
    hint: "Hosts are known beforehand; a node prints its id as node_id when it is ready."
  },
  {
    code: "production-dials-unlisted",
    key: "dialDiscovered",
    refuses: ({ dialDiscovered, allowedIds }) => dialDiscovered === true && allowedIds.length === 0,
    message: `needs ${table.allowedIds.variable}: others would choose whom this node dials`,
    hint: `List the ids, or leave ${table.dialDiscovered.variable} out.`
  },
  {
    code: "production-bootstrap-not-https",
    key: "bootstrap",
    refuses: ({ bootstrap }) => !bootstrap.every(isSecure),
    message: "has a URL that is not https",
    hint: "Give each node its https URL."
  },
  {
    code: "production-p2p-plaintext",
    key: "peerTls",
    refuses: ({ p2pEnabled, peerTls }) => p2pEnabled && !peerTls,
    message: "is false: what peers say would travel in the open",
    hint: "Leave it out: cairn always encrypts."
  },
  {
    code: "production-gossip-plaintext",
    key: "gossip",
    refuses: ({ gossip, gossipPlaintext }) => gossip === "on" && gossipPlaintext !== true,
    message: `is true without ${table.gossipPlaintext.variable}=true`,
    hint: "Leave it out or say encrypted: then only met peers are announced to, in a form that nobody else can read."
  },
  {
    code: "production-server-wallets",
    key: "serverWallets",
    refuses: ({ serverWallets }) => serverWallets,
    message: "is true: keys would travel from the node to its user",
    hint: "Leave it out; wallets make their own keys."
  }
]

/** The codes, in order. */
export const productionCodes: ReadonlyArray<string> = rules.map(({ code }) => code)

/** Why a node with these settings may not run in production; none in any other mode. */
export const productionRefusals = (values: Values): ReadonlyArray<SettingError> =>
  values.mode !== "production"
    ? []
    : rules
        .filter(({ refuses }) => refuses(values))
        .map(({ code, key, message, hint }) => ({
          code,
          key,
          name: table[key].variable,
          message: `In production: ${table[key].variable} ${message}.`,
          hint
        }))
