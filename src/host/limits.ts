/** Every bound of a libp2p host, its reason, and what happens there: as `src/limits.ts`, for those who use the library alone. */

// Streams

/** Bytes unread on one stream: the widest window of a muxer. More, by a muxer that keeps no window: the stream is aborted. */
export const streamReadBytesMax = 16 * 1024 * 1024
/** Bytes of one stream that wait to be sent: who heeds `send` stays far below. More: the stream is aborted. */
export const streamWriteBytesMax = 64 * 1024 * 1024
/** Milliseconds without a byte either way, then a stream is aborted: js-libp2p's. An application may say 0, never. */
export const streamInactivityMs = 120_000
/** Milliseconds to agree on a protocol for a stream: js-libp2p's. */
export const streamNegotiationMs = 10_000
/** Open streams of a protocol on one connection, begun by them and by us, where `handle` does not say: js-libp2p's. */
export const inboundStreamsPerProtocol = 32
export const outboundStreamsPerProtocol = 64
/** Protocols that one `newStream` may propose. */
export const proposalsMax = 16

/** Events that wait for who reads them one by one. Beyond: the oldest is lost, and counted. */
export const queuedEventsMax = 256

// Connections

/** Milliseconds that a graceful close may take before the link is cut. */
export const connectionCloseMs = 1_000
/** Milliseconds between two looks at the clock for connections and streams. */
export const tickMs = 1_000
/** Milliseconds in which one limit that is met is warned of once. */
export const limitWarningMs = 10_000
/** Connections above which the least valued are closed, and how many then stay. */
export const highWater = 192
export const lowWater = 160
/** Milliseconds for which a new connection is not closed for being of little value. */
export const graceMs = 60_000
/** Links of strangers whose handshake is under way: beyond, the oldest of the client that has most is closed for the newest. */
export const pendingInboundMax = 64
/** Links of one IPv4 address, or one /64 of IPv6, in a second, loopback excepted: js-libp2p's. Beyond, they are closed as they come. */
export const inboundPerSecond = 5
/** Clients whose links of the last second are counted. Beyond, the oldest count is forgotten. */
export const countedClientsMax = 4_096
/** Times that we dial a peer that is tagged keep-alive again, the first pause in milliseconds, and how many at once. */
export const reconnectsMax = 5
export const reconnectMs = 1_000
export const reconnectsAtOnce = 5

// Dials

/** Dials under way at once, and those that wait for their turn: js-libp2p's. Beyond: refused. */
export const parallelDialsMax = 100
export const queuedDialsMax = 500
/** Addresses of a peer that one dial tries: js-libp2p's. The others of a worse rank are left out. */
export const addressesPerDialMax = 25
/** Milliseconds for one address, and for a whole dial with all its addresses. */
export const addressDialMs = 6_000
export const dialMs = 10_000
/** Milliseconds after which the next address is tried though the one before it has not failed (RFC 8305, section 5). */
export const nextAddressMs = 250
/** Names within names that are looked up, names of one dial, and addresses that come of it. */
export const resolveDepthMax = 4
export const resolvedNamesMax = 32
export const resolvedAddressesMax = 100

// Resources: counts at one time, by scope. Beyond: ResourceLimitError.

export interface Counts {
  readonly inbound: number
  readonly outbound: number
  readonly total: number
}

export const systemConnections: Counts = { inbound: 800, outbound: 1_024, total: 1_024 }
/** Connections whose peer is not known yet. */
export const transientConnections: Counts = { inbound: 256, outbound: 256, total: 256 }
export const peerConnections: Counts = { inbound: 8, outbound: 8, total: 8 }
export const systemStreams: Counts = { inbound: 1_024, outbound: 2_048, total: 2_048 }
/** Streams whose protocol is not known yet. */
export const transientStreams: Counts = { inbound: 256, outbound: 256, total: 256 }
export const peerStreams: Counts = { inbound: 256, outbound: 512, total: 512 }
export const protocolStreams: Counts = { inbound: 512, outbound: 2_048, total: 2_048 }
export const protocolPeerStreams: Counts = { inbound: 64, outbound: 128, total: 256 }

/**
 * Bytes that wait in streams, unread and unsent: of all, of one peer, of one connection (as much as yamux lets come unread, and
 * one stream unsent). Beyond: the stream that needs more is aborted, with ResourceLimitError. `windows`: by which the windows of
 * all connections may grow; beyond, they stay as they are.
 */
export const memoryBytes = {
  system: 512 * 1024 * 1024,
  peer: 192 * 1024 * 1024,
  connection: 128 * 1024 * 1024,
  windows: 256 * 1024 * 1024
}
