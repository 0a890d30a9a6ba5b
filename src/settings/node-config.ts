/** The node's configuration from settings. */
import {
  defaults,
  formatEndpoint,
  type GossipConfig,
  type Libp2pConfig,
  type NodeConfig,
  type PeerConfig,
  type PeerPolicy
} from "../config.ts"
import { parseIp } from "../codec/ip.ts"
import { pendingTransactionsMax } from "../limits.ts"
import type { Resolved } from "./resolve.ts"
import { announcesOf, dialsDiscovered } from "./rules.ts"
import type { Values } from "./table.ts"

type Found = Pick<Resolved, "values" | "origins">

/** The host of a URL, without brackets. */
const hostOf = (url: string | undefined): string | undefined =>
  url === undefined ? undefined : new URL(url).hostname.replace(/^\[|\]$/g, "")

/** What others dial: as said, or the host of the node's URL, with the port on which the node hears. */
const advertised = (said: string | undefined, url: string | undefined, port: number): string | undefined => {
  const host = said ?? (port === 0 ? undefined : hostOf(url))
  if (host === undefined || (parseIp(host) === undefined && /:\d{1,5}$/.test(host))) return host
  return formatEndpoint(host, port)
}

const policyOf = (values: Values): PeerPolicy => ({
  peersMax: values.maxPeers,
  discoveryFanout: values.discoveryFanout,
  advertisedMax: values.advertisedMax,
  backoffBaseMs: values.backoffBaseMs,
  banMs: values.banMs,
  failuresMax: values.failuresMax,
  perIpMax: values.perIpMax,
  perSubnetMax: values.perSubnetMax,
  allowedHosts: values.allowedHosts,
  allowedIds: values.allowedIds.map((id) => id.toLowerCase()),
  dialDiscovered: dialsDiscovered(values),
  maintenanceMs: values.maintenance ? values.maintenanceMs : undefined,
  connectMs: values.connectMs,
  pollMs: values.pollMs,
  timeoutMs: values.peerTimeoutMs,
  requireHttps: values.requireHttps
})

const libp2pOf = ({ libp2p, libp2pListen, libp2pAnnounce, native }: Values): Libp2pConfig | undefined =>
  (libp2p ?? (libp2pListen.length > 0 || !native)) ? { listen: libp2pListen, announce: libp2pAnnounce } : undefined

const peersOf = (values: Values): PeerConfig | undefined =>
  values.p2pEnabled
    ? {
        host: values.p2pHost,
        port: values.p2pPort,
        advertise: advertised(values.p2pAdvertise, values.nodeUrl, values.p2pPort),
        seeds: values.p2pSeeds,
        native: values.native,
        libp2p: libp2pOf(values),
        discovery: values.discovery,
        bootstrap: values.bootstrap,
        policy: policyOf(values)
      }
    : undefined

const gossipOf = (found: Found): GossipConfig | undefined => {
  const { values } = found
  const { on, plaintext } = announcesOf(found)
  if (!on) return undefined
  const port = values.gossipPort ?? defaults.gossipPort
  return {
    host: values.gossipHost ?? values.p2pHost,
    port,
    advertise: advertised(values.gossipAdvertise, values.nodeUrl, port),
    seeds: plaintext ? values.gossipSeeds : [],
    fanout: values.gossipFanout,
    everyMs: values.gossipEveryMs,
    ttlMs: values.gossipTtlMs,
    hopsMax: values.gossipHopsMax,
    plaintext
  }
}

/** The configuration of a node that lives in a folder. */
export const nodeConfig = (found: Found, folder: string): NodeConfig => {
  const { values } = found
  return {
    dataDir: folder,
    dev: values.dev,
    mode: values.mode,
    name: values.name,
    http: {
      host: values.httpHost,
      port: values.httpPort,
      adminToken: values.adminToken,
      peerSecret: values.peerSecret,
      nodeUrl: values.nodeUrl,
      adminSocket: values.adminSocket,
      hosts: values.hosts,
      corsOrigins: values.corsOrigins,
      trustedProxies: values.trustedProxies,
      rates: { public: values.publicRate, admin: values.adminRate, peer: values.peerRate },
      mineOnGet: values.mineOnGet,
      serverWallets: values.serverWallets
    },
    peers: peersOf(values),
    httpPeers: {
      urls: values.p2pEnabled ? [] : values.bootstrap,
      allowPrivate: values.allowPrivate ?? values.dev,
      ...(values.p2pEnabled ? {} : { policy: policyOf(values) })
    },
    gossip: gossipOf(found),
    backup: {
      folder: values.backupDir,
      everyMs: values.backupEveryMs,
      keep: values.backupKeep,
      passphrase: values.backupPassphrase
    },
    files: {
      identityKey: values.identityKey,
      identityPublic: values.identityPublic,
      tlsCert: values.tlsCert,
      tlsKey: values.tlsKey
    },
    mining: {
      threads: values.mineThreads,
      proposer: values.mineTo,
      onDemand: values.dev && values.sealEveryMs === undefined,
      everyMs: values.sealEveryMs,
      blockData: values.blockData
    },
    ...(values.maxPending === pendingTransactionsMax ? {} : { pendingMax: values.maxPending }),
    filters: values.filters,
    signatureEngine: values.signatureEngine
  }
}
