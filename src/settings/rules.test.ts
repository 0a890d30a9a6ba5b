/** What contradicts itself, what is remarked on, and the configuration that settings make. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { httpNodesOf, type NodeConfig, peerPolicy, withoutSecrets } from "../config.ts"
import { formatName } from "../crypto/address.ts"
import { compatSystems } from "../compat/compat.ts"
import { frameBytesMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { judge } from "./judge.ts"
import { nodeConfig } from "./node-config.ts"
import type { Said } from "./resolve.ts"
import { folderSaid } from "./rules.ts"
import { rows, table } from "./table.ts"

const judged = (environment: Said["environment"], more: Partial<Said> = {}) =>
  judge({ flags: {}, sets: [], environment, file: undefined, readFile: () => Result.fail("none"), ...more })
const config = (environment: Said["environment"], more: Partial<Said> = {}): NodeConfig =>
  nodeConfig(judged(environment, more), "folder")

const peerId = "16Uiu2HAmFyscSqSJNAMesP2A3jLd2ahB8zPeBbX2idoBvURWXYuX"

describe("contradictions", () => {
  const cases: ReadonlyArray<readonly [string, Record<string, string>, string, Record<string, string>]> = [
    [
      "two folders",
      { CAIRN_DATA_DIR: "/a", BLOCKCHAIN_DATA_FILE: "/b/chain.db" },
      "setting-contradiction",
      { CAIRN_DATA_DIR: "/a/", BLOCKCHAIN_DATA_FILE: "/a/chain.db" }
    ],
    [
      "no TLS",
      { BLOCKCHAIN_P2P_TLS_ENABLED: "0" },
      "p2p-plaintext",
      { BLOCKCHAIN_P2P_TLS_ENABLED: "0", BLOCKCHAIN_P2P_ENABLED: "0" }
    ],
    [
      "a certificate without its key",
      { BLOCKCHAIN_P2P_TLS_CERT_PATH: "/c" },
      "setting-contradiction",
      { BLOCKCHAIN_P2P_TLS_CERT_PATH: "/c", BLOCKCHAIN_P2P_TLS_KEY_PATH: "/k" }
    ],
    [
      "https only, and an http peer",
      { BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "1", BLOCKCHAIN_BOOTSTRAP_PEERS: "http://a" },
      "https-required",
      { BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "1", BLOCKCHAIN_BOOTSTRAP_PEERS: "https://a" }
    ],
    [
      "a host to dial without a port",
      { BLOCKCHAIN_P2P_ADVERTISE_HOST: "a", BLOCKCHAIN_P2P_PORT: "0" },
      "endpoint-invalid",
      { BLOCKCHAIN_P2P_ADVERTISE_HOST: "a:5", BLOCKCHAIN_P2P_PORT: "0" }
    ],
    [
      "the same of announcements",
      { BLOCKCHAIN_GOSSIP_ADVERTISE_HOST: "a", BLOCKCHAIN_GOSSIP_PORT: "0" },
      "endpoint-invalid",
      { BLOCKCHAIN_GOSSIP_ADVERTISE_HOST: "a", BLOCKCHAIN_GOSSIP_PORT: "1" }
    ],
    [
      "more zeros at least than at most",
      { BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "5", BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH: "4" },
      "setting-contradiction",
      { BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "4", BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH: "4" }
    ],
    [
      "fewer zeros than at least",
      { BLOCKCHAIN_DIFFICULTY: "0" },
      "setting-contradiction",
      { BLOCKCHAIN_DIFFICULTY: "00" }
    ],
    [
      "more zeros than at most",
      { BLOCKCHAIN_DIFFICULTY: "0".repeat(7) },
      "setting-contradiction",
      { BLOCKCHAIN_DIFFICULTY: "000000" }
    ],
    [
      "a default that is too few",
      { BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "5" },
      "setting-contradiction",
      { BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH: "4" }
    ],
    [
      "no transport",
      { CAIRN_P2P_NATIVE: "0", CAIRN_LIBP2P: "0" },
      "setting-contradiction",
      { CAIRN_P2P_NATIVE: "0", CAIRN_LIBP2P: "0", BLOCKCHAIN_P2P_ENABLED: "0" }
    ],
    [
      "libp2p that is off and hears",
      { CAIRN_LIBP2P: "0", CAIRN_LIBP2P_LISTEN: "/ip4/0.0.0.0/tcp/4001" },
      "setting-contradiction",
      { CAIRN_LIBP2P_LISTEN: "/ip4/0.0.0.0/tcp/4001" }
    ],
    [
      "libp2p that is off and tells where it is",
      { CAIRN_LIBP2P_ANNOUNCE: "/ip4/192.0.2.1/tcp/4001" },
      "setting-contradiction",
      { CAIRN_LIBP2P_ANNOUNCE: "/ip4/192.0.2.1/tcp/4001", CAIRN_LIBP2P: "1" }
    ],
    [
      "a seed of libp2p for a node without",
      { BLOCKCHAIN_P2P_SEEDS: `/ip4/192.0.2.1/tcp/4001/p2p/${peerId}` },
      "setting-contradiction",
      { BLOCKCHAIN_P2P_SEEDS: `/ip4/192.0.2.1/tcp/4001/p2p/${peerId}`, CAIRN_LIBP2P: "1" }
    ],
    [
      "a seed of our own TLS for a node without",
      { BLOCKCHAIN_P2P_SEEDS: "192.0.2.1:19100", CAIRN_P2P_NATIVE: "0" },
      "setting-contradiction",
      { BLOCKCHAIN_P2P_SEEDS: "192.0.2.1:19100" }
    ],
    [
      "a path that no socket can have",
      { CAIRN_ADMIN_SOCKET: `/${"a".repeat(100)}` },
      "setting-malformed",
      { CAIRN_ADMIN_SOCKET: `/${"a".repeat(99)}` }
    ]
  ]
  test.each(cases)("%s", (_, bad, code, good) => {
    expect(judged(bad).errors.map((error) => error.code)).toEqual([code])
    expect(judged(good).errors).toEqual([])
  })

  test("a development node is none in production", () => {
    const { errors } = judged({ CAIRN_DEV: "1", BLOCKCHAIN_MODE: "production" })
    expect(errors[0]).toMatchObject({ code: "setting-contradiction", name: "CAIRN_DEV" })
  })

  test("name the flag or the key that says it", () => {
    const { errors } = judged({}, { sets: ["p2p.tls=false"] })
    expect(errors).toMatchObject([{ name: "--set p2p.tls", code: "p2p-plaintext" }])
  })
})

describe("the folder", () => {
  test("is that of the database file, and of the stronger of two", () => {
    expect(folderSaid(judged({}))).toBeUndefined()
    expect(folderSaid(judged({ BLOCKCHAIN_DATA_FILE: "/app/data/blockchain.db" }))).toBe("/app/data")
    expect(folderSaid(judged({ BLOCKCHAIN_DATA_FILE: "/a.db" }))).toBe("/")
    expect(folderSaid(judged({ BLOCKCHAIN_DATA_FILE: "a.db" }))).toBe(".")
    const flags = { "data-dir": "mine" }
    expect(folderSaid(judged({ BLOCKCHAIN_DATA_FILE: "/b/a.db" }, { flags }))).toBe("mine")
    const file = { name: "f", value: { node: { data_dir: "weak" } } }
    expect(folderSaid(judged({ BLOCKCHAIN_DATA_FILE: "/b/a.db" }, { file }))).toBe("/b")
  })
})

describe("remarks", () => {
  const nobody = formatName("node", new Uint8Array(20).fill(3))
  test.each([
    [{ BLOCKCHAIN_DATA_FILE: "/a/blockchain.db" }, "chain.db"],
    [{ BLOCKCHAIN_P2P_MAX_MESSAGE_BYTES: "1048576" }, String(frameBytesMax)],
    [{ BLOCKCHAIN_ALLOWED_PEER_IDS: `${nobody},peer-id-node-1` }, "peer-id-node-1"],
    [{ BLOCKCHAIN_P2P_TLS_ENABLED: "0", BLOCKCHAIN_P2P_ENABLED: "0" }, "encrypts"],
    [{ BLOCKCHAIN_GOSSIP_ENABLED: "encrypted", BLOCKCHAIN_GOSSIP_SEEDS: "a:1" }, "plain form"]
  ])("%o", (environment, words) => {
    const { remarks, errors } = judged(environment as Record<string, string>)
    expect([errors, remarks.length]).toEqual([[], 1])
    expect(remarks[0]!.message).toContain(words)
  })

  test("there are none on what is understood as it was", () => {
    const environment = { BLOCKCHAIN_DATA_FILE: "/a/chain.db", BLOCKCHAIN_ALLOWED_PEER_IDS: nobody }
    expect(judged(environment).remarks).toEqual([])
  })
})

describe("the node's configuration", () => {
  test("with nothing said is what it was before there were settings", () => {
    const { http, peers, gossip, mining, mode, dev, filters, pendingMax } = config({})
    expect({ http, peers, gossip, mining, mode, dev, filters, pendingMax }).toMatchObject({
      http: { host: "127.0.0.1", port: 8080, rates: { public: 240, admin: 60, peer: 600 }, mineOnGet: false },
      peers: { host: "127.0.0.1", port: 19100, seeds: [], discovery: [], bootstrap: [] },
      mining: { threads: 0, onDemand: false },
      mode: "development",
      dev: false,
      filters: true
    })
    expect([gossip, pendingMax, http.adminToken, peers!.advertise]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined
    ])
    expect(peers!.policy).toEqual({ ...peerPolicy, requireHttps: false })
    expect(config({}, { flags: { dev: true } }).mining.onDemand).toBe(true)
    expect(config({ CAIRN_SEAL_EVERY_SECONDS: "0.5" }, { flags: { dev: true } }).mining).toMatchObject({
      onDemand: false,
      everyMs: 500
    })
  })

  test("tells others the node's host and the ports on which it hears, unless told otherwise", () => {
    const url = { BLOCKCHAIN_NODE_URL: "https://node-1.example.com:8443/x", BLOCKCHAIN_GOSSIP_ENABLED: "true" }
    expect(config(url).peers!.advertise).toBe("node-1.example.com:19100")
    expect(config(url).gossip!.advertise).toBe("node-1.example.com:19090")
    expect(config({ ...url, BLOCKCHAIN_P2P_PORT: "0" }).peers!.advertise).toBeUndefined()
    expect(config({ ...url, BLOCKCHAIN_P2P_ADVERTISE_HOST: "::1" }).peers!.advertise).toBe("[::1]:19100")
    expect(config({ ...url, BLOCKCHAIN_P2P_ADVERTISE_HOST: "b:7" }).peers!.advertise).toBe("b:7")
    expect(config({ BLOCKCHAIN_NODE_URL: "http://[::1]:80" }).peers!.advertise).toBe("[::1]:19100")
  })

  test("announces nothing by itself, in production only what nobody else can read, and what is asked for", () => {
    const forms = (environment: Record<string, string>, flags = {}) => {
      const { gossip } = config(environment, { flags })
      return gossip === undefined ? "off" : gossip.plaintext ? "plain" : "encrypted"
    }
    const production = { BLOCKCHAIN_MODE: "production" }
    expect(forms({})).toBe("off")
    expect(forms({ BLOCKCHAIN_GOSSIP_SEEDS: "a:1" })).toBe("plain")
    expect(forms({ BLOCKCHAIN_GOSSIP_FANOUT: "2" })).toBe("plain")
    expect(forms({ BLOCKCHAIN_GOSSIP_SEEDS: "a:1", BLOCKCHAIN_GOSSIP_ENABLED: "0" })).toBe("off")
    expect(forms({ BLOCKCHAIN_GOSSIP_SEEDS: "a:1" }, { "no-gossip": true })).toBe("off")
    expect(forms({ BLOCKCHAIN_GOSSIP_ENABLED: "1" })).toBe("plain")
    expect(forms({ BLOCKCHAIN_GOSSIP_ENABLED: "1", BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "0" })).toBe("encrypted")
    expect(forms({ BLOCKCHAIN_GOSSIP_ENABLED: "encrypted", BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "1" })).toBe("encrypted")
    expect(forms(production)).toBe("encrypted")
    expect(forms({ ...production, BLOCKCHAIN_GOSSIP_SEEDS: "a:1" })).toBe("encrypted")
    expect(forms({ ...production, BLOCKCHAIN_GOSSIP_ENABLED: "1", BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "1" })).toBe(
      "plain"
    )
    expect(config({ ...production, BLOCKCHAIN_GOSSIP_SEEDS: "a:1" }).gossip!.seeds).toEqual([])
  })

  test("dials discovered peers by the mode, asks bootstrap nodes also without peers, and stops maintenance when told to", () => {
    expect(config({}).peers!.policy!.dialDiscovered).toBe(true)
    expect(config({ BLOCKCHAIN_MODE: "production" }).peers!.policy!.dialDiscovered).toBe(false)
    const bootstrap = { BLOCKCHAIN_BOOTSTRAP_PEERS: "http://a" }
    expect([config(bootstrap).peers!.bootstrap, config(bootstrap).httpPeers!.urls]).toEqual([["http://a"], []])
    const alone = config({ ...bootstrap, BLOCKCHAIN_P2P_ENABLED: "0" })
    expect([alone.peers, alone.httpPeers!.urls]).toEqual([undefined, ["http://a"]])
    const hasty = { ...bootstrap, BLOCKCHAIN_P2P_ENABLED: "0", BLOCKCHAIN_PEER_TIMEOUT_SECONDS: "7" }
    expect(httpNodesOf(config(hasty)).policy).toEqual({ ...peerPolicy, requireHttps: false, timeoutMs: 7_000 })
    expect(config({ BLOCKCHAIN_PEER_MAINTENANCE_ENABLED: "0" }).peers!.policy!.maintenanceMs).toBeUndefined()
    expect(config({ BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS: "9" }).peers!.policy!.maintenanceMs).toBe(9_000)
    expect(config({ BLOCKCHAIN_MAX_PENDING_TRANSACTIONS: "7" }).pendingMax).toBe(7)
  })

  test("without its secrets has none of any setting, whatever else is set", () => {
    const dice = makeDice(11)
    const secrets = rows.filter(([, { secret }]) => secret === true)
    // That of a keystore goes to who opens it, and stands in no configuration.
    expect(secrets.map(([key]) => key).sort()).toEqual(["adminToken", "backupPassphrase", "passphrase", "peerSecret"])
    for (let round = 0; round < 100; round++) {
      const text = `S${Array.from({ length: 8 + dice.int(30) }, () => dice.int(36).toString(36)).join("")}`
      const said = Object.fromEntries(secrets.map(([, { variable }]) => [variable, text]))
      const made = config({ ...said, ...(dice.int(2) === 0 ? {} : { BLOCKCHAIN_BACKUP_DIR: "/b" }) })
      expect(JSON.stringify(made).split(text).length - 1).toBe(secrets.length - 1)
      expect(JSON.stringify(withoutSecrets(made))).not.toContain(text)
    }
  })

  test("every figure of the reference system's arrives where it belongs", () => {
    const { policy } = config({
      BLOCKCHAIN_MAX_PEERS: "11",
      BLOCKCHAIN_PEER_DISCOVERY_FANOUT: "12",
      BLOCKCHAIN_PEER_ADVERTISED_LIMIT: "13",
      BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS: "14",
      BLOCKCHAIN_PEER_BAN_SECONDS: "15",
      BLOCKCHAIN_PEER_MAX_FAILURES_BEFORE_BAN: "16",
      BLOCKCHAIN_MAX_PEERS_PER_IP: "17",
      BLOCKCHAIN_MAX_PEERS_PER_SUBNET: "18",
      BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS: "19",
      BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS: "20",
      BLOCKCHAIN_P2P_POLL_INTERVAL_SECONDS: "21",
      BLOCKCHAIN_PEER_TIMEOUT_SECONDS: "22",
      BLOCKCHAIN_ALLOWED_PEER_HOSTS: "A.example",
      BLOCKCHAIN_ALLOWED_PEER_IDS: "NODE1X",
      BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "1",
      BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "0"
    }).peers!
    expect(policy).toEqual({
      peersMax: 11,
      discoveryFanout: 12,
      advertisedMax: 13,
      backoffBaseMs: 14_000,
      banMs: 15_000,
      failuresMax: 16,
      perIpMax: 17,
      perSubnetMax: 18,
      maintenanceMs: 19_000,
      connectMs: 20_000,
      pollMs: 21_000,
      timeoutMs: 22_000,
      allowedHosts: ["a.example"],
      allowedIds: ["node1x"],
      requireHttps: true,
      dialDiscovered: false
    })
    const { http, gossip, backup, files, name } = config({
      BLOCKCHAIN_NODE_ID: "n",
      BLOCKCHAIN_ADMIN_TOKEN: "t",
      BLOCKCHAIN_PEER_SHARED_SECRET: "s",
      BLOCKCHAIN_PUBLIC_RATE_LIMIT_PER_MINUTE: "1",
      BLOCKCHAIN_ADMIN_RATE_LIMIT_PER_MINUTE: "-2",
      BLOCKCHAIN_PEER_RATE_LIMIT_PER_MINUTE: "3",
      BLOCKCHAIN_ENABLE_SERVER_WALLETS: "1",
      BLOCKCHAIN_GOSSIP_BIND_HOST: "0.0.0.0",
      BLOCKCHAIN_GOSSIP_PORT: "4",
      BLOCKCHAIN_GOSSIP_SEEDS: "a:1",
      BLOCKCHAIN_GOSSIP_FANOUT: "5",
      BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS: "6",
      BLOCKCHAIN_GOSSIP_MESSAGE_TTL_SECONDS: "7",
      BLOCKCHAIN_GOSSIP_MAX_HOPS: "8",
      BLOCKCHAIN_BACKUP_DIR: "/b",
      CAIRN_BACKUP_EVERY_SECONDS: "3600",
      CAIRN_BACKUP_KEEP: "9",
      BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH: "/i",
      BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH: "/p",
      BLOCKCHAIN_P2P_TLS_CERT_PATH: "/c",
      BLOCKCHAIN_P2P_TLS_KEY_PATH: "/k",
      CAIRN_ALLOW_PRIVATE_PEER_URLS: "1"
    })
    expect({ name, gossip, backup, files }).toEqual({
      name: "n",
      gossip: {
        host: "0.0.0.0",
        port: 4,
        advertise: undefined,
        seeds: ["a:1"],
        fanout: 5,
        everyMs: 6_000,
        ttlMs: 7_000,
        hopsMax: 8,
        plaintext: true
      },
      backup: { folder: "/b", everyMs: 3_600_000, keep: 9, passphrase: undefined },
      files: { identityKey: "/i", identityPublic: "/p", tlsCert: "/c", tlsKey: "/k" }
    })
    expect(http).toMatchObject({
      adminToken: "t",
      peerSecret: "s",
      rates: { public: 1, admin: 0, peer: 3 },
      serverWallets: true
    })
  })

  test("the systems whose routes can be served are those that there are", () => {
    expect([...table.compat.kind.words!].sort()).toEqual([...compatSystems].sort())
  })
})
