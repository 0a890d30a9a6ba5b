/** What an operator chooses for one node: addresses, ports, threads. What a whole chain agrees on stands in its chain spec. */

/** Requests that one client may make in a minute, by the class of the route (L-H4); 0: as many as it likes. */
export interface RateConfig {
  readonly public: number
  readonly admin: number
  readonly peer: number
}

export interface HttpConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** A token of admin routes beside those of the data folder; undefined: only those. */
  readonly adminToken: string | undefined
  /** What peers show on `/api/network/*`; undefined: nobody may ask there. */
  readonly peerSecret?: string | undefined
  /** Where others reach page and API, as a URL; undefined: they do not. */
  readonly nodeUrl?: string | undefined
  /** A socket of mode 0600 that answers admin routes without a token. */
  readonly adminSocket?: string | undefined
  /** Host names that requests may carry beside the loopback ones and that of `nodeUrl`; empty: any. */
  readonly hosts?: ReadonlyArray<string>
  /** Origins of pages that may read and post here beside our own. */
  readonly corsOrigins?: ReadonlyArray<string>
  /** Addresses or networks (10.0.0.0/8) of proxies whose word on the client's address is taken. */
  readonly trustedProxies?: ReadonlyArray<string>
  /** Undefined: `defaults.rates`. */
  readonly rates?: RateConfig
  /** Does `GET /mine_block` mine, as in the reference system? */
  readonly mineOnGet?: boolean
  /** Does `POST /api/wallets` make keys? */
  readonly serverWallets?: boolean
}

/** What peers may cost and how they are chosen (L 1.3, L-E3 to L-E6). */
export interface PeerPolicy {
  /** Peers that the book holds as tried; and sessions in all, if the chain's spec does not say fewer. */
  readonly peersMax: number
  /** Peers that are asked for theirs in a round of maintenance. */
  readonly discoveryFanout: number
  /** Peers that one answer tells of. */
  readonly advertisedMax: number
  /** Milliseconds of the first wait after a failure; twice as long after each further one. */
  readonly backoffBaseMs: number
  /** Milliseconds of a ban, and the longest wait. */
  readonly banMs: number
  /** Failures in a row after which a peer is banned. */
  readonly failuresMax: number
  /** Peers of one address, and of one network: IPv4 /24, IPv6 /48. Loopback counts for none. */
  readonly perIpMax: number
  readonly perSubnetMax: number
  /** Only these hosts, with or without a port, any case; empty: all. */
  readonly allowedHosts: ReadonlyArray<string>
  /** Only these node ids; empty: all. */
  readonly allowedIds: ReadonlyArray<string>
  /** Are peers dialled that only others have named? */
  readonly dialDiscovered: boolean
  /** Milliseconds between two rounds of maintenance; undefined: none are made. */
  readonly maintenanceMs: number | undefined
  /** Milliseconds between two looks for somebody to dial. */
  readonly connectMs: number
  /** Milliseconds between two looks for news at peers asked by HTTP. */
  readonly pollMs: number
  /** Milliseconds that a peer may take to be reached and to answer. */
  readonly timeoutMs: number
  /** Is a peer asked by HTTP only at an https URL? Undefined: no. */
  readonly requireHttps?: boolean
}

/** Where nothing is said: the reference system's figures, and a longer ban. */
export const peerPolicy: PeerPolicy = {
  peersMax: 64,
  discoveryFanout: 8,
  advertisedMax: 16,
  backoffBaseMs: 1_000,
  banMs: 60 * 60 * 1000,
  failuresMax: 5,
  perIpMax: 4,
  perSubnetMax: 8,
  allowedHosts: [],
  allowedIds: [],
  dialDiscovered: true,
  maintenanceMs: 30_000,
  connectMs: 1_000,
  pollMs: 2_000,
  timeoutMs: 5_000
}

/** The second transport: sessions as streams of libp2p connections. */
export interface Libp2pConfig {
  /** Multiaddrs to hear on; none: this node only dials. */
  readonly listen: ReadonlyArray<string>
  /** Multiaddrs that others should dial; none: those that it hears on. */
  readonly announce: ReadonlyArray<string>
}

export interface PeerConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** What others should dial, host:port; undefined: host and port as listened on. */
  readonly advertise: string | undefined
  /** Peers to keep a session with, host:port or multiaddr. */
  readonly seeds: ReadonlyArray<string>
  /** Are peers heard and dialled by our own TLS? Undefined: yes. */
  readonly native?: boolean
  /** Undefined: no libp2p. */
  readonly libp2p?: Libp2pConfig | undefined
  /** Discovery services to register with and to look in, as URLs. */
  readonly discovery?: ReadonlyArray<string>
  /** Nodes that are asked for blocks by HTTP when no session brings any, as URLs. */
  readonly bootstrap?: ReadonlyArray<string>
  /** Undefined: `peerPolicy`. */
  readonly policy?: PeerPolicy
}

/** Nodes that are asked by HTTP, also by a node that speaks to no peers. */
export interface HttpPeersConfig {
  /** Beside `bootstrap` of the peers, as URLs. Nobody else's word ever adds one. */
  readonly urls: ReadonlyArray<string>
  /** May they stand at loopback and private addresses? Undefined: those of a development node may. */
  readonly allowPrivate?: boolean
  /** Of a node that speaks to no peers; undefined: that of the peers, or `peerPolicy`. */
  readonly policy?: PeerPolicy
}

/** Announcements by UDP (L 1.8). */
export interface GossipConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** What others should send to, host:port; undefined: host and port as listened on. */
  readonly advertise: string | undefined
  /** Nodes to announce to that we have not met, host:port. They get the plain form. */
  readonly seeds: ReadonlyArray<string>
  /** How many others an announcement is sent to. */
  readonly fanout: number
  /** Milliseconds between two announcements of our own. */
  readonly everyMs: number
  /** Milliseconds after which an announcement is stale. */
  readonly ttlMs: number
  /** How often an announcement is passed on. */
  readonly hopsMax: number
  /** Is the form that anybody can read sent and heard? Without it only met peers are spoken to. */
  readonly plaintext: boolean
}

export interface BackupConfig {
  /** Undefined: `backups` in the data folder. */
  readonly folder: string | undefined
  /** Milliseconds between two backups; undefined: only when asked to. */
  readonly everyMs: number | undefined
  /** Backups of one label that are kept; the oldest goes first. */
  readonly keep: number
  /** Seals the node's keys, which come along then; undefined: they are left out. A secret. */
  readonly passphrase?: string | undefined
}

/** Paths of files that do not stand in the data folder; undefined: they stand there. */
export interface FilesConfig {
  /** The node's own key. */
  readonly identityKey: string | undefined
  /** Where its public key is written; undefined: nowhere. */
  readonly identityPublic: string | undefined
  /** The certificate and its key: both, or none. */
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
}

export interface MiningConfig {
  /** Worker threads that search; 0: this node mines only when asked to. */
  readonly threads: number
  /** Who gets reward and fees, as address text; undefined: the node's own key. */
  readonly proposer: string | undefined
  /** Seal as soon as something is pending (development). */
  readonly onDemand: boolean
  /** Seal at least every so many milliseconds, also with nothing pending; undefined: not by the clock. */
  readonly everyMs: number | undefined
  /** Extra data of the blocks that are sealed here: text, or 0x and hex (codec/text.ts). Undefined: the program's name. */
  readonly blockData?: string | undefined
}

export interface NodeConfig {
  readonly dataDir: string
  readonly dev: boolean
  /** `production` is refused unless it is safe (settings/production.ts). Undefined: development. */
  readonly mode?: "development" | "production"
  /** What the operator calls the node; undefined: its node id. */
  readonly name?: string | undefined
  readonly http: HttpConfig
  /** Undefined: this node speaks to no peers. */
  readonly peers: PeerConfig | undefined
  /** Undefined: only `bootstrap` of the peers. Without peers what comes in here is posted to these nodes, too. */
  readonly httpPeers?: HttpPeersConfig | undefined
  /** Undefined: nothing is announced by UDP. */
  readonly gossip?: GossipConfig | undefined
  /** Undefined: `defaults.backup`. */
  readonly backup?: BackupConfig
  /** Undefined: all in the data folder. */
  readonly files?: FilesConfig
  /** Pending transactions that are held; undefined: `pendingTransactionsMax`, which is also the most. */
  readonly pendingMax?: number
  readonly mining: MiningConfig
  /** Block filters for light clients are made and served; undefined: they are. */
  readonly filters?: boolean | undefined
  readonly signatureEngine: "auto" | "libsecp256k1" | "secp256k1-node" | "noble"
}

/** What may be shown: secrets are left out. */
export const withoutSecrets = ({ http, backup, ...config }: NodeConfig): NodeConfig => ({
  ...config,
  http: { ...http, adminToken: undefined, peerSecret: undefined },
  ...(backup === undefined ? {} : { backup: { ...backup, passphrase: undefined } })
})

/** Ports and hosts where nothing is said; ports and rates are those of the reference systems (L 1.3, C-C3). */
export const defaults = {
  httpHost: "127.0.0.1",
  httpPort: 8080,
  peerHost: "127.0.0.1",
  peerPort: 19100,
  discoveryPort: 4444,
  gossipPort: 19090,
  rates: { public: 240, admin: 60, peer: 600 },
  gossip: { fanout: 3, everyMs: 5_000, ttlMs: 30_000, hopsMax: 3 },
  backup: { folder: undefined, everyMs: undefined, keep: 7 }
} as const

/** Who is asked by HTTP, and how: the same for all who ask. */
export const httpNodesOf = ({ peers, httpPeers, http, dev }: NodeConfig) => ({
  urls: [...new Set([...(peers?.bootstrap ?? []), ...(httpPeers?.urls ?? [])])],
  allowPrivate: httpPeers?.allowPrivate ?? dev,
  secret: http.peerSecret,
  policy: peers?.policy ?? httpPeers?.policy ?? peerPolicy
})

/** Splits host:port; brackets around IPv6. Undefined if it is not that. */
export const parseEndpoint = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text.trim())
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 0 && port < 65536 ? { host: (match[1] ?? match[2])!, port } : undefined
}

/** Where a node can be dialled, and by what: our own TLS, or libp2p as the peer that is named. */
export interface NodePlace {
  readonly host: string
  readonly port: number
  /** Undefined: host:port. */
  readonly peer: string | undefined
}

/** The multiaddrs that name a node: a host, a TCP port, who is there. */
const nodeAddress =
  /^\/(ip4|ip6|dns|dns4|dns6)\/([A-Za-z0-9.:-]{1,253})\/tcp\/(\d{1,5})\/p2p\/([1-9A-HJ-NP-Za-km-z]{32,64})$/

/** host:port, or a multiaddr such as /ip4/10.0.0.7/tcp/4001/p2p/16Uiu2…. Undefined: neither. */
export const parsePlace = (text: string): NodePlace | undefined => {
  const match = nodeAddress.exec(text)
  if (match === null) return text.startsWith("/") ? undefined : withoutPeer(parseEndpoint(text))
  const [, kind, host = "", digits, peer] = match
  const port = Number(digits)
  const isSound = kind === "ip6" ? host.includes(":") : !host.includes(":")
  return isSound && port > 0 && port < 65536 ? { host, port, peer } : undefined
}

const withoutPeer = (at: { readonly host: string; readonly port: number } | undefined): NodePlace | undefined =>
  at === undefined ? undefined : { ...at, peer: undefined }

/** Joins host and port; brackets around IPv6. */
export const formatEndpoint = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
