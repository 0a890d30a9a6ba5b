/** Settings of peers: who is met, who is let in, what is announced. */
import { defaults, peerPolicy } from "../config.ts"
import {
  allowedPeersMax,
  bootstrapMax,
  directoryPeersMax,
  discoveryServicesMax,
  frameBytesMax,
  gossipSeedsMax,
  libp2pListenMax,
  peerSeedsMax,
  peersPerMessageMax
} from "../limits.ts"
import {
  announcing,
  endpoint,
  nodePlace,
  host,
  listenAddress,
  hostHeader,
  hostOrEndpoint,
  list,
  path,
  port,
  seconds,
  service,
  text,
  url,
  whole,
  yesOrNo
} from "./kind.ts"
import { setting, wish } from "./setting.ts"

const hour = 3_600_000
const day = 24 * hour

/** Sessions with others. */
export const peerSettings = {
  p2pEnabled: setting(yesOrNo, "BLOCKCHAIN_P2P_ENABLED", true, {
    file: "p2p.enabled",
    flag: "no-p2p",
    flagForm: "not",
    help: "Speak to peers",
    flagHelp: "Speak to no peers"
  }),
  p2pHost: setting(host, "BLOCKCHAIN_P2P_BIND_HOST", defaults.peerHost, {
    file: "p2p.host",
    flag: "p2p-host",
    help: "Address to hear peers on",
    theirs: "0.0.0.0"
  }),
  p2pPort: setting(port, "BLOCKCHAIN_P2P_PORT", defaults.peerPort, {
    file: "p2p.port",
    flag: "p2p-port",
    help: "Port to hear peers on; 0: any free one"
  }),
  p2pAdvertise: wish(hostOrEndpoint, "BLOCKCHAIN_P2P_ADVERTISE_HOST", "the host of the node's URL, or where it hears", {
    file: "p2p.advertise",
    flag: "p2p-advertise",
    code: "endpoint-invalid",
    help: "host:port that others should dial; without a port, the one that it hears on"
  }),
  p2pSeeds: setting(list(nodePlace, peerSeedsMax), "BLOCKCHAIN_P2P_SEEDS", [], {
    file: "p2p.seeds",
    flag: "p2p-seeds",
    code: "endpoint-invalid",
    help: "Peers to keep a session with: host:port or multiaddrs, separated by commas"
  }),
  native: setting(yesOrNo, "CAIRN_P2P_NATIVE", true, {
    file: "p2p.native",
    flag: "no-native",
    flagForm: "not",
    help: "Hear and dial peers by cairn's own TLS",
    flagHelp: "Hear and dial peers by libp2p only"
  }),
  libp2pListen: setting(list(listenAddress, libp2pListenMax), "CAIRN_LIBP2P_LISTEN", [], {
    file: "p2p.libp2p_listen",
    flag: "libp2p-listen",
    code: "multiaddr-invalid",
    help: "Hear peers by libp2p on these multiaddrs, separated by commas, such as /ip4/0.0.0.0/tcp/4001"
  }),
  libp2pAnnounce: setting(list(listenAddress, libp2pListenMax), "CAIRN_LIBP2P_ANNOUNCE", [], {
    file: "p2p.libp2p_announce",
    code: "multiaddr-invalid",
    help: "Multiaddrs that others should dial; none: those that it hears on"
  }),
  libp2p: wish(yesOrNo, "CAIRN_LIBP2P", "true where it hears by libp2p, or not by its own TLS", {
    file: "p2p.libp2p",
    flag: "libp2p",
    help: "Speak libp2p with peers; without an address to hear on it only dials"
  }),
  discovery: setting(list(service, discoveryServicesMax), "CAIRN_DISCOVERY", [], {
    file: "p2p.discovery",
    flag: "discovery",
    flagForm: "repeat",
    code: "service-invalid",
    help: `Discovery service to find peers in, such as http://127.0.0.1:4444; up to ${discoveryServicesMax}`
  }),
  bootstrap: setting(list(url, bootstrapMax), "BLOCKCHAIN_BOOTSTRAP_PEERS", [], {
    file: "p2p.bootstrap_peers",
    flag: "bootstrap-peers",
    help: "Nodes that are asked for blocks by HTTP when no session brings any: URLs"
  }),
  requireHttps: setting(yesOrNo, "BLOCKCHAIN_REQUIRE_HTTPS_PEERS", false, {
    file: "p2p.require_https",
    help: "Peers are asked by https only"
  }),
  allowPrivate: wish(yesOrNo, "CAIRN_ALLOW_PRIVATE_PEER_URLS", "false; of a development node true", {
    file: "p2p.allow_private_urls",
    help: "Peers may be asked by HTTP at addresses of this machine and of private networks"
  }),
  peerTls: setting(yesOrNo, "BLOCKCHAIN_P2P_TLS_ENABLED", true, {
    file: "p2p.tls",
    help: "cairn always encrypts what it says to peers: false is refused"
  }),
  tlsCert: wish(path, "BLOCKCHAIN_P2P_TLS_CERT_PATH", "identity/tls.cert.pem in the data folder", {
    file: "p2p.tls_cert_path",
    help: "File of the node's certificate; made at the first start",
    theirs: "/app/data/node_p2p_cert.pem"
  }),
  tlsKey: wish(path, "BLOCKCHAIN_P2P_TLS_KEY_PATH", "identity/tls.key.pem in the data folder", {
    file: "p2p.tls_key_path",
    help: "File of the certificate's key; made with it",
    theirs: "/app/data/node_p2p_key.pem"
  }),
  maxMessageBytes: setting(whole(1024, frameBytesMax), "BLOCKCHAIN_P2P_MAX_MESSAGE_BYTES", frameBytesMax, {
    file: "p2p.max_message_bytes",
    help: "Bytes of a message. The protocol has one bound for all nodes: a smaller figure is understood and told, and changes nothing",
    theirs: "1048576"
  }),
  peerTimeoutMs: setting(seconds(1, 600_000), "BLOCKCHAIN_PEER_TIMEOUT_SECONDS", peerPolicy.timeoutMs, {
    file: "p2p.timeout_seconds",
    help: "Seconds that a peer may take to be reached and to answer"
  }),
  connectMs: setting(seconds(1000, hour), "BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS", peerPolicy.connectMs, {
    file: "p2p.connect_interval_seconds",
    help: "Seconds between two looks for somebody to dial",
    theirs: "5"
  }),
  pollMs: setting(seconds(1000, hour), "BLOCKCHAIN_P2P_POLL_INTERVAL_SECONDS", peerPolicy.pollMs, {
    file: "p2p.poll_interval_seconds",
    help: "Seconds between two looks for news at peers that are asked by HTTP"
  })
}

/** Who is let into the book of peers, and how long somebody stays out. */
export const admissionSettings = {
  maxPeers: setting(whole(1, directoryPeersMax), "BLOCKCHAIN_MAX_PEERS", peerPolicy.peersMax, {
    file: "peers.max",
    help: "Peers that the book holds as tried, and sessions if the chain does not allow fewer"
  }),
  allowedHosts: setting(list(hostHeader, allowedPeersMax), "BLOCKCHAIN_ALLOWED_PEER_HOSTS", [], {
    file: "peers.allowed_hosts",
    help: "Only these hosts, with or without a port; none: all"
  }),
  allowedIds: setting(list(text(128), allowedPeersMax), "BLOCKCHAIN_ALLOWED_PEER_IDS", [], {
    file: "peers.allowed_ids",
    help: "Only these node ids; none: all"
  }),
  dialDiscovered: wish(yesOrNo, "BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS", "true; in production false", {
    file: "peers.dial_discovered",
    help: "Dial peers that only others have named; in production with a list of allowed ids",
    theirs: "false"
  }),
  discoveryFanout: setting(whole(1, 64), "BLOCKCHAIN_PEER_DISCOVERY_FANOUT", peerPolicy.discoveryFanout, {
    file: "peers.discovery_fanout",
    help: "Peers that are asked for theirs in a round of maintenance"
  }),
  advertisedMax: setting(whole(1, peersPerMessageMax), "BLOCKCHAIN_PEER_ADVERTISED_LIMIT", peerPolicy.advertisedMax, {
    file: "peers.advertised_limit",
    help: "Peers that one answer tells of"
  }),
  backoffBaseMs: setting(seconds(1000, day), "BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS", peerPolicy.backoffBaseMs, {
    file: "peers.backoff_base_seconds",
    help: "Seconds of the first wait after a failure; twice as long after each further one",
    theirs: "15"
  }),
  banMs: setting(seconds(1000, 366 * day), "BLOCKCHAIN_PEER_BAN_SECONDS", peerPolicy.banMs, {
    file: "peers.ban_seconds",
    help: "Seconds of a ban, and the longest wait",
    theirs: "300"
  }),
  failuresMax: setting(whole(1, 1000), "BLOCKCHAIN_PEER_MAX_FAILURES_BEFORE_BAN", peerPolicy.failuresMax, {
    file: "peers.max_failures_before_ban",
    help: "Failures in a row after which a peer is banned"
  }),
  perIpMax: setting(whole(1, directoryPeersMax), "BLOCKCHAIN_MAX_PEERS_PER_IP", peerPolicy.perIpMax, {
    file: "peers.max_per_ip",
    help: "Peers of one address"
  }),
  perSubnetMax: setting(whole(1, directoryPeersMax), "BLOCKCHAIN_MAX_PEERS_PER_SUBNET", peerPolicy.perSubnetMax, {
    file: "peers.max_per_subnet",
    help: "Peers of one network: IPv4 /24, IPv6 /48"
  }),
  maintenance: setting(yesOrNo, "BLOCKCHAIN_PEER_MAINTENANCE_ENABLED", true, {
    file: "peers.maintenance",
    help: "Keep the book of peers in order: refill, refresh, probe, prune"
  }),
  maintenanceMs: setting(
    seconds(1000, day),
    "BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS",
    peerPolicy.maintenanceMs ?? 30_000,
    { file: "peers.maintenance_interval_seconds", help: "Seconds between two rounds of that" }
  )
}

/** Announcements by UDP. */
export const gossipSettings = {
  gossip: wish(
    announcing,
    "BLOCKCHAIN_GOSSIP_ENABLED",
    "false; encrypted in production; true if another of these is said",
    {
      file: "gossip.enabled",
      flag: "no-gossip",
      flagForm: "not",
      help: "Announce by UDP; encrypted: only to met peers, in a form that nobody else can read",
      flagHelp: "Announce nothing by UDP",
      theirs: "true"
    }
  ),
  gossipPlaintext: wish(yesOrNo, "BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP", "true; in production false", {
    file: "gossip.allow_plaintext",
    flag: "gossip-plaintext",
    help: "Send and hear the form that anybody can read, too",
    theirs: "false"
  }),
  gossipHost: wish(host, "BLOCKCHAIN_GOSSIP_BIND_HOST", "as for peers", {
    file: "gossip.host",
    flag: "gossip-host",
    help: "Address to hear announcements on",
    theirs: "0.0.0.0"
  }),
  gossipPort: wish(port, "BLOCKCHAIN_GOSSIP_PORT", String(defaults.gossipPort), {
    file: "gossip.port",
    flag: "gossip-port",
    help: "Port to hear announcements on; 0: any free one"
  }),
  gossipAdvertise: wish(
    hostOrEndpoint,
    "BLOCKCHAIN_GOSSIP_ADVERTISE_HOST",
    "the host of the node's URL, or where it hears",
    {
      file: "gossip.advertise",
      flag: "gossip-advertise",
      code: "endpoint-invalid",
      help: "host:port that others should send to; without a port, the one that it hears on"
    }
  ),
  gossipSeeds: setting(list(endpoint, gossipSeedsMax), "BLOCKCHAIN_GOSSIP_SEEDS", [], {
    file: "gossip.seeds",
    flag: "gossip-seeds",
    code: "endpoint-invalid",
    help: "Nodes to announce to before they are met: host:port, separated by commas; they get the plain form"
  }),
  gossipFanout: setting(whole(1, 64), "BLOCKCHAIN_GOSSIP_FANOUT", defaults.gossip.fanout, {
    file: "gossip.fanout",
    help: "How many others an announcement is sent to"
  }),
  gossipEveryMs: setting(seconds(1000, hour), "BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS", defaults.gossip.everyMs, {
    file: "gossip.interval_seconds",
    help: "Seconds between two announcements"
  }),
  gossipTtlMs: setting(seconds(1000, hour), "BLOCKCHAIN_GOSSIP_MESSAGE_TTL_SECONDS", defaults.gossip.ttlMs, {
    file: "gossip.message_ttl_seconds",
    help: "Seconds after which an announcement is stale"
  }),
  gossipHopsMax: setting(whole(1, 16), "BLOCKCHAIN_GOSSIP_MAX_HOPS", defaults.gossip.hopsMax, {
    file: "gossip.max_hops",
    help: "How often an announcement is passed on"
  })
}
