/** The twelve refusals of production, each alone and all together, and the cases by which the reference system tests its own. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { makeDice } from "../sim/dice.ts"
import { judge } from "./judge.ts"
import { productionCodes } from "./production.ts"

const judged = (environment: Readonly<Record<string, string | undefined>>) =>
  judge({ flags: {}, sets: [], environment, file: undefined, readFile: () => Result.fail("none") })
const codes = (environment: Readonly<Record<string, string | undefined>>) =>
  judged(environment).errors.map(({ code }) => code)

/** What the reference system's own test calls valid. */
const valid = {
  BLOCKCHAIN_MODE: "production",
  BLOCKCHAIN_NODE_URL: "https://node-1.example.com",
  BLOCKCHAIN_CHAIN_ID: "prod-chain",
  BLOCKCHAIN_DATA_FILE: "/data/config.db",
  BLOCKCHAIN_DIFFICULTY: "0000",
  BLOCKCHAIN_TARGET_BLOCK_SECONDS: "30",
  BLOCKCHAIN_DIFFICULTY_ADJUSTMENT_WINDOW: "10",
  BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "2",
  BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH: "6",
  BLOCKCHAIN_ADMIN_TOKEN: "a".repeat(32),
  BLOCKCHAIN_PEER_SHARED_SECRET: "b".repeat(32),
  BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "true",
  BLOCKCHAIN_ENABLE_SERVER_WALLETS: "false",
  BLOCKCHAIN_ALLOWED_PEER_IDS: "peer-node-1,peer-node-2",
  BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "false",
  BLOCKCHAIN_BOOTSTRAP_PEERS: "https://node-2.example.com,https://node-3.example.com",
  BLOCKCHAIN_BACKUP_DIR: "/data/backups",
  BLOCKCHAIN_P2P_ENABLED: "true",
  BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "false",
  BLOCKCHAIN_P2P_TLS_ENABLED: "true",
  BLOCKCHAIN_P2P_TLS_CERT_PATH: "/data/cert.pem",
  BLOCKCHAIN_P2P_TLS_KEY_PATH: "/data/key.pem",
  BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH: "/data/private.pem",
  BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH: "/data/public.pem",
  BLOCKCHAIN_GOSSIP_ENABLED: "false"
}

describe("the cases of the reference system's test", () => {
  test.each([
    ["a valid environment", {}, []],
    ["announcements without permission", { BLOCKCHAIN_GOSSIP_ENABLED: "true" }, ["production-gossip-plaintext"]],
    ["a short admin token", { BLOCKCHAIN_ADMIN_TOKEN: "short" }, ["production-admin-token-short"]],
    [
      "no allow-list",
      { BLOCKCHAIN_ALLOWED_PEER_IDS: "", BLOCKCHAIN_ALLOWED_PEER_HOSTS: "" },
      ["production-peers-not-listed"]
    ],
    [
      "dialling discovered peers without ids",
      { BLOCKCHAIN_ALLOWED_PEER_IDS: "", BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "true" },
      ["production-peers-not-listed", "production-dials-unlisted"]
    ],
    [
      "a bootstrap peer without TLS",
      { BLOCKCHAIN_BOOTSTRAP_PEERS: "http://node-2.example.com" },
      ["production-bootstrap-not-https"]
    ]
  ])("%s", (_, wish, refused) => {
    expect(codes({ ...valid, ...wish })).toEqual(refused)
    // Nothing of it is refused in development, but for what contradicts itself: peers by https only, and one that is not.
    const own = "BLOCKCHAIN_BOOTSTRAP_PEERS" in wish ? ["https-required"] : []
    expect(codes({ ...valid, ...wish, BLOCKCHAIN_MODE: "development" })).toEqual(own)
  })
})

/** An operator's file with every name of that system: its defaults, and what production asks for. */
const complete = {
  ...valid,
  BLOCKCHAIN_PORT: "8080",
  BLOCKCHAIN_NODE_ID: "node-1",
  BLOCKCHAIN_DATA_FILE: "/app/data/blockchain.db",
  BLOCKCHAIN_REWARD: "1",
  BLOCKCHAIN_PEER_TIMEOUT_SECONDS: "5",
  BLOCKCHAIN_MAX_PEERS: "64",
  BLOCKCHAIN_MAX_PENDING_TRANSACTIONS: "5000",
  BLOCKCHAIN_MAX_TRANSACTIONS_PER_BLOCK: "250",
  BLOCKCHAIN_MIN_TRANSACTION_FEE: "0.01",
  BLOCKCHAIN_MAX_TRANSACTION_NOTE_BYTES: "280",
  BLOCKCHAIN_PUBLIC_RATE_LIMIT_PER_MINUTE: "240",
  BLOCKCHAIN_ADMIN_RATE_LIMIT_PER_MINUTE: "60",
  BLOCKCHAIN_PEER_RATE_LIMIT_PER_MINUTE: "600",
  BLOCKCHAIN_ALLOWED_PEER_HOSTS: "node-2.example.com,node-3.example.com",
  BLOCKCHAIN_PEER_DISCOVERY_FANOUT: "8",
  BLOCKCHAIN_PEER_ADVERTISED_LIMIT: "16",
  BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS: "15",
  BLOCKCHAIN_PEER_BAN_SECONDS: "300",
  BLOCKCHAIN_PEER_MAX_FAILURES_BEFORE_BAN: "5",
  BLOCKCHAIN_MAX_PEERS_PER_IP: "4",
  BLOCKCHAIN_MAX_PEERS_PER_SUBNET: "8",
  BLOCKCHAIN_PEER_MAINTENANCE_ENABLED: "true",
  BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS: "30",
  BLOCKCHAIN_P2P_BIND_HOST: "0.0.0.0",
  BLOCKCHAIN_P2P_PORT: "19100",
  BLOCKCHAIN_P2P_ADVERTISE_HOST: "node-1.example.com",
  BLOCKCHAIN_P2P_SEEDS: "node-2.example.com:19100,node-3.example.com:19100",
  BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS: "5",
  BLOCKCHAIN_P2P_POLL_INTERVAL_SECONDS: "2",
  BLOCKCHAIN_P2P_MAX_MESSAGE_BYTES: "1048576",
  BLOCKCHAIN_GOSSIP_BIND_HOST: "0.0.0.0",
  BLOCKCHAIN_GOSSIP_PORT: "19090",
  BLOCKCHAIN_GOSSIP_ADVERTISE_HOST: "node-1.example.com",
  BLOCKCHAIN_GOSSIP_SEEDS: "node-2.example.com:19090,node-3.example.com:19090",
  BLOCKCHAIN_GOSSIP_FANOUT: "3",
  BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS: "5",
  BLOCKCHAIN_GOSSIP_MESSAGE_TTL_SECONDS: "30",
  BLOCKCHAIN_GOSSIP_MAX_HOPS: "3"
}

test("an operator's file with every name holds as it is, and what is understood otherwise is told", () => {
  expect(Object.keys(complete).length).toBe(62)
  const { errors, remarks } = judged(complete)
  expect(errors).toEqual([])
  expect(remarks.map(({ name }) => name)).toEqual([
    "BLOCKCHAIN_DATA_FILE",
    "BLOCKCHAIN_P2P_MAX_MESSAGE_BYTES",
    "BLOCKCHAIN_ALLOWED_PEER_IDS"
  ])
})

/** What trips each refusal, and what stands a hair's breadth from it. */
const refusals: Readonly<Record<string, readonly [trips: Record<string, string>, passes: Record<string, string>]>> = {
  "production-admin-token-missing": [{ BLOCKCHAIN_ADMIN_TOKEN: "" }, { BLOCKCHAIN_ADMIN_TOKEN: "c".repeat(32) }],
  "production-admin-token-short": [
    { BLOCKCHAIN_ADMIN_TOKEN: "c".repeat(31) },
    { BLOCKCHAIN_ADMIN_TOKEN: "c".repeat(33) }
  ],
  "production-peer-secret-missing": [
    { BLOCKCHAIN_PEER_SHARED_SECRET: "" },
    { BLOCKCHAIN_PEER_SHARED_SECRET: "c".repeat(32) }
  ],
  "production-peer-secret-short": [
    { BLOCKCHAIN_PEER_SHARED_SECRET: "c".repeat(31) },
    { BLOCKCHAIN_PEER_SHARED_SECRET: "c".repeat(33) }
  ],
  "production-node-url-not-https": [
    { BLOCKCHAIN_NODE_URL: "http://node-1.example.com" },
    { BLOCKCHAIN_NODE_URL: "HTTPS://node-1.example.com:8443/" }
  ],
  "production-https-peers-not-required": [
    { BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "no" },
    { BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "1" }
  ],
  "production-peers-not-listed": [
    { BLOCKCHAIN_ALLOWED_PEER_IDS: " , " },
    { BLOCKCHAIN_ALLOWED_PEER_IDS: "", BLOCKCHAIN_ALLOWED_PEER_HOSTS: "node-2.example.com" }
  ],
  "production-dials-unlisted": [
    {
      BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "true",
      BLOCKCHAIN_ALLOWED_PEER_IDS: "",
      BLOCKCHAIN_ALLOWED_PEER_HOSTS: "a.example"
    },
    { BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "true" }
  ],
  "production-bootstrap-not-https": [
    { BLOCKCHAIN_BOOTSTRAP_PEERS: "https://a.example,http://b.example" },
    { BLOCKCHAIN_BOOTSTRAP_PEERS: "" }
  ],
  "production-p2p-plaintext": [
    { BLOCKCHAIN_P2P_TLS_ENABLED: "false" },
    { BLOCKCHAIN_P2P_TLS_ENABLED: "false", BLOCKCHAIN_P2P_ENABLED: "false" }
  ],
  "production-gossip-plaintext": [
    { BLOCKCHAIN_GOSSIP_ENABLED: "on" },
    { BLOCKCHAIN_GOSSIP_ENABLED: "on", BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "true" }
  ],
  "production-server-wallets": [
    { BLOCKCHAIN_ENABLE_SERVER_WALLETS: "true" },
    { BLOCKCHAIN_ENABLE_SERVER_WALLETS: "off" }
  ]
}

describe("the twelve refusals", () => {
  test("are twelve, each with a case", () => {
    expect(productionCodes.length).toBe(12)
    expect(Object.keys(refusals)).toEqual([...productionCodes])
  })

  test.each(Object.entries(refusals))("%s", (code, [trips, passes]) => {
    expect(codes({ ...valid, ...trips })).toEqual([code])
    expect(codes({ ...valid, ...passes })).toEqual([])
    const [refusal] = judged({ ...valid, ...trips }).errors
    expect([refusal!.message.startsWith("In production: BLOCKCHAIN_"), (refusal!.hint ?? "").length > 10]).toEqual([
      true,
      true
    ])
  })

  test("any of them together are all told, in order, and nothing else", () => {
    const dice = makeDice(12)
    const names = productionCodes
    for (let round = 0; round < 500; round++) {
      const chosen = names.filter(() => dice.chance(0.5))
      // A token is missing or short, not both; who dials unlisted peers lists hosts here, unless nobody is listed.
      const both = (a: string, b: string): boolean => chosen.includes(a) && chosen.includes(b)
      if (both("production-admin-token-missing", "production-admin-token-short")) continue
      if (both("production-peer-secret-missing", "production-peer-secret-short")) continue
      const environment = Object.assign({}, valid, ...chosen.map((code) => refusals[code]![0]))
      const hostless = { ...environment, BLOCKCHAIN_ALLOWED_PEER_HOSTS: "" }
      const unlisted = chosen.includes("production-peers-not-listed")
      expect(codes(unlisted ? hostless : environment)).toEqual(chosen)
    }
  })

  test("with nothing said but the mode, announcements are no reason: five are left, and only the encrypted form is spoken", () => {
    const found = judged({ BLOCKCHAIN_MODE: "production" })
    expect(found.errors.map(({ code }) => code)).toEqual([
      "production-admin-token-missing",
      "production-peer-secret-missing",
      "production-node-url-not-https",
      "production-https-peers-not-required",
      "production-peers-not-listed"
    ])
    expect(codes({ ...valid, BLOCKCHAIN_GOSSIP_ENABLED: "encrypted" })).toEqual([])
    const { BLOCKCHAIN_GOSSIP_ENABLED: _, ...silent } = valid
    expect(codes(silent)).toEqual([])
  })

  test("what cannot be read is told once, and not again as missing", () => {
    expect(codes({ ...valid, BLOCKCHAIN_ADMIN_TOKEN: "a b" })).toEqual(["setting-malformed"])
    expect(codes({ ...valid, BLOCKCHAIN_ADMIN_TOKEN: undefined, BLOCKCHAIN_ADMIN_TOKEN_FILE: "/none" })).toEqual([
      "setting-unreadable"
    ])
  })
})
