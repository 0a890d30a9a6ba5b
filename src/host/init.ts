/** What a host is told when it is made: js-libp2p's option keys, and some of ours. */
import type { PrivateKey } from "../libp2p/contract.ts"
import type { ComponentLogger, ConnectionGater, NodeInfo, PeerStoreInit, ServiceMap } from "./api.ts"
import type { AddressesInit, ServiceFactoryMap } from "./components.ts"
import type { ConnectionsInit } from "./connections.ts"
import type { Datastore } from "./datastore.ts"
import type { DialInit } from "./dial-queue.ts"
import type { EncrypterFactory, MuxerFactory, TransportFactory } from "./parts.ts"
import type { ReconnectInit } from "./reconnect.ts"
import type { ResourceLimits } from "./resources.ts"

export interface ConnectionManagerInit extends ConnectionsInit, DialInit, ReconnectInit {
  /** Milliseconds from a link to a connection. */
  readonly inboundUpgradeTimeout?: number | undefined
  readonly outboundUpgradeTimeout?: number | undefined
}

export interface HostInit<T extends ServiceMap = Record<string, never>> {
  /** Who we are. Without one: a new Ed25519 key. */
  readonly privateKey?: PrivateKey | undefined
  readonly addresses?: AddressesInit | undefined
  /** Default: `[tcp()]`. */
  readonly transports?: ReadonlyArray<TransportFactory> | undefined
  /** In our order; who dials decides. Default: `[tls(), noise()]`. */
  readonly connectionEncrypters?: ReadonlyArray<EncrypterFactory> | undefined
  /** Default: `[yamux()]`. */
  readonly streamMuxers?: ReadonlyArray<MuxerFactory> | undefined
  readonly services?: ServiceFactoryMap<T> | undefined
  readonly connectionManager?: ConnectionManagerInit | undefined
  readonly connectionGater?: ConnectionGater | undefined
  readonly peerStore?: PeerStoreInit | undefined
  /** Ours: where the peer store keeps its rows; without one they go with the process. */
  readonly datastore?: Datastore | undefined
  /** Ours: the resource manager's limits; they are on without it. */
  readonly resources?: ResourceLimits | undefined
  readonly logger?: ComponentLogger | undefined
  readonly nodeInfo?: Partial<NodeInfo> | undefined
  /** `createLibp2p` starts the host unless it is false. */
  readonly start?: boolean | undefined
  /** Ours, for tests: encrypters that leave links plain are not refused. */
  readonly allowInsecure?: boolean | undefined
}
