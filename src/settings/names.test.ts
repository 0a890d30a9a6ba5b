/** Each name of the reference system: understood by that name, right at the edge of its rule, and refused beyond it. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { frameBytesMax, pendingTransactionsMax } from "../limits.ts"
import { resolve, type Said } from "./resolve.ts"
import { configVariable, fileKey, fileVariable, rows, sectionOf, sections, table, type Key } from "./table.ts"

const nothing: Said = {
  flags: {},
  sets: [],
  environment: {},
  file: undefined,
  readFile: (path) => Result.fail(`There is no file ${path}.`)
}
const withEnvironment = (environment: Said["environment"]) => resolve({ ...nothing, environment })

/** Name, the setting, what is good with its value, what is not. Edges of the reference's rules, and of ours where there is one. */
const names: ReadonlyArray<readonly [string, Key, ReadonlyArray<readonly [string, unknown]>, ReadonlyArray<string>]> = [
  [
    "BLOCKCHAIN_MODE",
    "mode",
    [
      ["production", "production"],
      [" development ", "development"]
    ],
    ["prod", "Production"]
  ],
  [
    "BLOCKCHAIN_PORT",
    "httpPort",
    [
      ["0", 0],
      ["65535", 65_535]
    ],
    ["65536", "-1", "80a", "0x50", "8e3"]
  ],
  ["BLOCKCHAIN_NODE_ID", "name", [["demo-node-1", "demo-node-1"]], ["x".repeat(65), "a\u0007b"]],
  [
    "BLOCKCHAIN_NODE_URL",
    "nodeUrl",
    [["https://a.example/", "https://a.example"]],
    ["a.example", "ftp://a", "https://u:p@a.example", `https://${"a".repeat(193)}`, "https://a/?x=1"]
  ],
  ["BLOCKCHAIN_CHAIN_ID", "chainId", [["prod-chain", "prod-chain"]], ["", "UPPER", "a b", "x".repeat(33)]],
  [
    "BLOCKCHAIN_DATA_FILE",
    "dataFile",
    [
      ["/a/b.db", "/a/b.db"],
      ["c.sqlite", "c.sqlite"],
      ["d.SQLITE3", "d.SQLITE3"]
    ],
    ["", "/a/b.json", "/a/.db"]
  ],
  [
    "BLOCKCHAIN_DIFFICULTY",
    "difficulty",
    [
      ["0", 1],
      ["0000", 4]
    ],
    ["0001", "4", "0".repeat(61)]
  ],
  [
    "BLOCKCHAIN_TARGET_BLOCK_SECONDS",
    "targetMs",
    [
      ["0.001", 1],
      ["30", 30_000],
      ["86400", 86_400_000]
    ],
    ["0", "-30", "0.0001", "86401", "half"]
  ],
  [
    "BLOCKCHAIN_DIFFICULTY_ADJUSTMENT_WINDOW",
    "windowBlocks",
    [
      ["2", 2],
      ["10000", 10_000]
    ],
    ["1", "10001", "2.5"]
  ],
  [
    "BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH",
    "prefixMin",
    [
      ["1", 1],
      ["60", 60]
    ],
    ["0", "61"]
  ],
  [
    "BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH",
    "prefixMax",
    [
      ["1", 1],
      ["60", 60]
    ],
    ["0", "61"]
  ],
  [
    "BLOCKCHAIN_REWARD",
    "reward",
    [
      ["0", "0"],
      ["1.25", "1.25"]
    ],
    ["-1", "1,5", "one", "1e3"]
  ],
  [
    "BLOCKCHAIN_PEER_TIMEOUT_SECONDS",
    "peerTimeoutMs",
    [
      ["0.5", 500],
      ["600", 600_000]
    ],
    ["0", "601"]
  ],
  [
    "BLOCKCHAIN_MAX_PEERS",
    "maxPeers",
    [
      ["1", 1],
      ["1024", 1024]
    ],
    ["0", "1025"]
  ],
  [
    "BLOCKCHAIN_MAX_PENDING_TRANSACTIONS",
    "maxPending",
    [
      ["1", 1],
      [String(pendingTransactionsMax), pendingTransactionsMax]
    ],
    ["0", String(pendingTransactionsMax + 1)]
  ],
  [
    "BLOCKCHAIN_MAX_TRANSACTIONS_PER_BLOCK",
    "blockTransactions",
    [
      ["1", 1],
      ["20001", 20_001]
    ],
    ["0", "20002"]
  ],
  [
    "BLOCKCHAIN_MIN_TRANSACTION_FEE",
    "feeMin",
    [
      ["0", "0"],
      ["0.01", "0.01"]
    ],
    ["-0.01", ".5"]
  ],
  [
    "BLOCKCHAIN_MAX_TRANSACTION_NOTE_BYTES",
    "noteBytes",
    [
      ["0", 0],
      ["280", 280]
    ],
    ["-1", "281"]
  ],
  [
    "BLOCKCHAIN_REQUIRE_HTTPS_PEERS",
    "requireHttps",
    [
      ["1", true],
      ["TRUE", true],
      ["yes", true],
      ["on", true],
      ["0", false],
      ["false", false],
      ["No", false],
      ["off", false]
    ],
    ["maybe", "2", "enabled"]
  ],
  ["BLOCKCHAIN_ENABLE_SERVER_WALLETS", "serverWallets", [["true", true]], ["ja"]],
  [
    "BLOCKCHAIN_PUBLIC_RATE_LIMIT_PER_MINUTE",
    "publicRate",
    [
      ["240", 240],
      ["0", 0],
      ["-5", 0],
      ["1000000", 1_000_000]
    ],
    ["1000001", "2.5"]
  ],
  ["BLOCKCHAIN_ADMIN_RATE_LIMIT_PER_MINUTE", "adminRate", [["60", 60]], ["sixty"]],
  ["BLOCKCHAIN_PEER_RATE_LIMIT_PER_MINUTE", "peerRate", [["600", 600]], ["6e2"]],
  [
    "BLOCKCHAIN_ADMIN_TOKEN",
    "adminToken",
    [
      ["t", "t"],
      [` ${"a".repeat(1024)} `, "a".repeat(1024)]
    ],
    ["a b", "a".repeat(1025), "ä"]
  ],
  ["BLOCKCHAIN_PEER_SHARED_SECRET", "peerSecret", [["s", "s"]], ["a\tb"]],
  [
    "BLOCKCHAIN_ALLOWED_PEER_HOSTS",
    "allowedHosts",
    [
      ["A.example:80, b.example ,", ["a.example:80", "b.example"]],
      ["", []],
      ["[::1]:9,10.0.0.1", ["[::1]:9", "10.0.0.1"]]
    ],
    ["http://a.example", "a b", "a:99999"]
  ],
  [
    "BLOCKCHAIN_ALLOWED_PEER_IDS",
    "allowedIds",
    [
      ["p1,p2", ["p1", "p2"]],
      ["", []]
    ],
    ["x".repeat(129)]
  ],
  ["BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP", "gossipPlaintext", [["true", true]], ["plain"]],
  [
    "BLOCKCHAIN_BOOTSTRAP_PEERS",
    "bootstrap",
    [["https://a.example,http://b.example:8080/", ["https://a.example", "http://b.example:8080"]]],
    ["a.example:80", "https://"]
  ],
  ["BLOCKCHAIN_BACKUP_DIR", "backupDir", [["/b", "/b"]], ["a\nb"]],
  ["BLOCKCHAIN_PEER_DISCOVERY_FANOUT", "discoveryFanout", [["1", 1]], ["0"]],
  [
    "BLOCKCHAIN_PEER_ADVERTISED_LIMIT",
    "advertisedMax",
    [
      ["1", 1],
      ["64", 64]
    ],
    ["0", "65"]
  ],
  ["BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS", "backoffBaseMs", [["1", 1000]], ["0.9", "0"]],
  [
    "BLOCKCHAIN_PEER_BAN_SECONDS",
    "banMs",
    [
      ["1", 1000],
      ["300", 300_000]
    ],
    ["0"]
  ],
  ["BLOCKCHAIN_PEER_MAX_FAILURES_BEFORE_BAN", "failuresMax", [["1", 1]], ["0"]],
  ["BLOCKCHAIN_MAX_PEERS_PER_IP", "perIpMax", [["1", 1]], ["0"]],
  ["BLOCKCHAIN_MAX_PEERS_PER_SUBNET", "perSubnetMax", [["1", 1]], ["0"]],
  ["BLOCKCHAIN_PEER_MAINTENANCE_ENABLED", "maintenance", [["off", false]], ["never"]],
  ["BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS", "maintenanceMs", [["1", 1000]], ["0.5"]],
  ["BLOCKCHAIN_P2P_ENABLED", "p2pEnabled", [["no", false]], ["nope"]],
  [
    "BLOCKCHAIN_P2P_BIND_HOST",
    "p2pHost",
    [
      ["0.0.0.0", "0.0.0.0"],
      ["::", "::"],
      ["node-1", "node-1"]
    ],
    ["a b", "1.2.3.4:5", "http://a"]
  ],
  [
    "BLOCKCHAIN_P2P_PORT",
    "p2pPort",
    [
      ["1", 1],
      ["65535", 65_535]
    ],
    ["65536", "p"]
  ],
  [
    "BLOCKCHAIN_P2P_ADVERTISE_HOST",
    "p2pAdvertise",
    [
      ["node-1.example.com", "node-1.example.com"],
      ["a:1", "a:1"],
      ["::1", "::1"]
    ],
    ["http://a", "a:0"]
  ],
  ["BLOCKCHAIN_P2P_SEEDS", "p2pSeeds", [["a:1,[::1]:2", ["a:1", "[::1]:2"]]], ["a", "a:1;b:2"]],
  ["BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS", "dialDiscovered", [["false", false]], ["some"]],
  ["BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS", "connectMs", [["1", 1000]], ["0"]],
  ["BLOCKCHAIN_P2P_POLL_INTERVAL_SECONDS", "pollMs", [["1", 1000]], ["0"]],
  [
    "BLOCKCHAIN_P2P_MAX_MESSAGE_BYTES",
    "maxMessageBytes",
    [
      ["1024", 1024],
      [String(frameBytesMax), frameBytesMax]
    ],
    ["1023", String(frameBytesMax + 1)]
  ],
  ["BLOCKCHAIN_P2P_TLS_ENABLED", "peerTls", [["false", false]], ["ssl"]],
  ["BLOCKCHAIN_P2P_TLS_CERT_PATH", "tlsCert", [["/c.pem", "/c.pem"]], ["\u0000"]],
  ["BLOCKCHAIN_P2P_TLS_KEY_PATH", "tlsKey", [["/k.pem", "/k.pem"]], ["\u0000"]],
  ["BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH", "identityKey", [["/i.pem", "/i.pem"]], ["\u0000"]],
  ["BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH", "identityPublic", [["/p.pem", "/p.pem"]], ["\u0000"]],
  [
    "BLOCKCHAIN_GOSSIP_ENABLED",
    "gossip",
    [
      ["true", "on"],
      ["0", "off"],
      ["Encrypted", "encrypted"]
    ],
    ["udp"]
  ],
  ["BLOCKCHAIN_GOSSIP_BIND_HOST", "gossipHost", [["0.0.0.0", "0.0.0.0"]], ["*"]],
  ["BLOCKCHAIN_GOSSIP_PORT", "gossipPort", [["19090", 19_090]], ["65536"]],
  ["BLOCKCHAIN_GOSSIP_ADVERTISE_HOST", "gossipAdvertise", [["a", "a"]], ["a:x"]],
  ["BLOCKCHAIN_GOSSIP_SEEDS", "gossipSeeds", [["a:1", ["a:1"]]], ["a:99999"]],
  ["BLOCKCHAIN_GOSSIP_FANOUT", "gossipFanout", [["1", 1]], ["0"]],
  ["BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS", "gossipEveryMs", [["1", 1000]], ["0"]],
  ["BLOCKCHAIN_GOSSIP_MESSAGE_TTL_SECONDS", "gossipTtlMs", [["1", 1000]], ["0"]],
  ["BLOCKCHAIN_GOSSIP_MAX_HOPS", "gossipHopsMax", [["1", 1]], ["0"]]
]

describe("the names of the reference system", () => {
  test("are 61 and BLOCKCHAIN_PORT, and no more", () => {
    const ours = rows.map(([, { variable }]) => variable).filter((name) => name.startsWith("BLOCKCHAIN_"))
    expect(names.length).toBe(62)
    expect([...ours].sort()).toEqual(names.map(([name]) => name).sort())
  })

  test.each(names)("%s", (name, key, good, bad) => {
    for (const [said, value] of good) {
      const { values, origins, errors } = withEnvironment({ [name]: said })
      expect([errors, values[key], origins[key]]).toEqual([[], value as never, { source: "environment", name }])
    }
    for (const said of bad) {
      const { values, origins, errors } = withEnvironment({ [name]: said })
      expect(errors).toMatchObject([{ name, key }])
      expect(errors[0]!.message).toContain(name)
      expect([values[key], origins[key].source]).toEqual([table[key].otherwise as never, "default"])
    }
  })
})

describe("the table", () => {
  test("says each thing by one name of each kind, in a section that has a title", () => {
    const all = rows.map(([, setting]) => setting)
    const variables = all.flatMap(({ variable, secret }) =>
      secret === true ? [variable, fileVariable(variable)] : [variable]
    )
    const keys = all.flatMap(({ file, secret }) => (secret === true ? [file, fileKey(file)] : [file]))
    const flags = all.flatMap(({ flag }) => flag ?? [])
    for (const list of [[...variables, configVariable], keys, flags]) expect(new Set(list).size).toBe(list.length)
    expect(all.filter((setting) => sections[sectionOf(setting)] === undefined)).toEqual([])
    expect(variables.filter((name) => !/^(BLOCKCHAIN|CAIRN)_[A-Z0-9_]+$/.test(name))).toEqual([])
    expect(keys.filter((key) => !/^[a-z0-9]+\.[a-z0-9_]+$/.test(key))).toEqual([])
  })

  test("gives no secret a flag that takes it, and reads each default that it writes", () => {
    for (const [key, { secret, flag, flagForm, otherwise, kind, unsaid }] of rows) {
      if (secret === true && flag !== undefined) expect([key, flagForm]).toEqual([key, "file"])
      expect([key, (otherwise === undefined) === (unsaid !== undefined)]).toEqual([key, true])
      if (otherwise !== undefined) expect([key, kind.parse(kind.format(otherwise))]).toEqual([key, otherwise])
    }
  })

  test("an empty variable says nothing, but of a list that it is empty and of what must be that it is missing", () => {
    for (const [, { variable, kind }] of rows) {
      const { errors, origins } = withEnvironment({ [variable]: "  " })
      const said = Object.values(origins).filter(({ source }) => source !== "default").length
      const must = ["BLOCKCHAIN_CHAIN_ID", "BLOCKCHAIN_DATA_FILE"].includes(variable)
      expect([variable, errors.length, said]).toEqual([variable, must ? 1 : 0, kind.form === "list" ? 1 : 0])
    }
  })
})
