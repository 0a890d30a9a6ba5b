/** What an operator chooses for one node: addresses, ports, threads. What a whole chain agrees on stands in its chain spec. */

export interface HttpConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Admin routes need it; undefined: only a dev node on loopback answers them. */
  readonly adminToken: string | undefined
}

export interface PeerConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** What others should dial, host:port; undefined: host and port as listened on. */
  readonly advertise: string | undefined
  /** Peers to keep a session with, host:port. */
  readonly seeds: ReadonlyArray<string>
  /** Discovery services to register with and to look in, as URLs. */
  readonly discovery?: ReadonlyArray<string>
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
  readonly http: HttpConfig
  /** Undefined: this node speaks to no peers. */
  readonly peers: PeerConfig | undefined
  readonly mining: MiningConfig
  /** Block filters for light clients are made and served; undefined: they are. */
  readonly filters?: boolean | undefined
  readonly signatureEngine: "auto" | "libsecp256k1" | "secp256k1-node" | "noble"
}

/** Ports and hosts where nothing is said; the peer port is that of the reference system (L 1.3), that of discovery too (C-C3). */
export const defaults = {
  httpHost: "127.0.0.1",
  httpPort: 8080,
  peerHost: "127.0.0.1",
  peerPort: 19100,
  discoveryPort: 4444
} as const

/** Splits host:port; brackets around IPv6. Undefined if it is not that. */
export const parseEndpoint = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text.trim())
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 0 && port < 65536 ? { host: (match[1] ?? match[2])!, port } : undefined
}

/** Joins host and port; brackets around IPv6. */
export const formatEndpoint = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
