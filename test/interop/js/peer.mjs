/** The peer of js-libp2p, on Node 24. The commands: test/interop/README.md. */
import { generateKeyPair } from "@libp2p/crypto/keys"
import { identify, identifyPush } from "@libp2p/identify"
import { noise } from "@libp2p/noise"
import { peerIdFromString } from "@libp2p/peer-id"
import { ping } from "@libp2p/ping"
import { tcp } from "@libp2p/tcp"
import { tls } from "@libp2p/tls"
import { yamux } from "@libp2p/yamux"
import { multiaddr } from "@multiformats/multiaddr"
import { createLibp2p } from "libp2p"
import { flagsOf, runProgram } from "../program.ts"

const keys = { ed25519: "Ed25519", rsa: "RSA", ecdsa: "ECDSA", secp256k1: "secp256k1" }
const securities = { noise, tls }

/**
 * The iterator of js-libp2p's streams does not hear of an end or a reset that came before it began, and waits for ever: a peer
 * that writes and closes at once meets that. What is buffered by then is all that will come.
 */
async function* messages(stream, iterate) {
  let left = stream.remoteWriteStatus === "closed" ? stream.readBufferLength : Number.POSITIVE_INFINITY
  if (left > 0) {
    for await (const message of iterate()) {
      yield message
      left -= message.byteLength
      if (left <= 0) break
    }
  }
  if (stream.status === "reset") throw Object.assign(new Error("it was reset"), { name: "StreamResetError" })
}

const heard = (stream) => {
  const iterate = stream[Symbol.asyncIterator].bind(stream)
  stream[Symbol.asyncIterator] = () => messages(stream, iterate)
  return stream
}

const flags = flagsOf(process.argv)
const host = await createLibp2p({
  privateKey: await generateKeyPair(keys[flags.key], flags.key === "rsa" ? 2048 : undefined),
  addresses: { listen: [...flags.listen] },
  transports: [tcp()],
  connectionEncrypters: [securities[flags.sec]()],
  streamMuxers: [yamux()],
  // The default takes five connections a second from one address: fewer than a measurement of handshakes makes.
  connectionManager: {
    inboundConnectionThreshold: 10_000,
    maxIncomingPendingConnections: 1_000,
    maxConnections: 1_000
  },
  services: { identify: identify(), identifyPush: identifyPush(), ping: ping() },
  nodeInfo: { userAgent: "js-libp2p/3.3.11" }
})
const hearing = {
  peerId: host.peerId,
  peerStore: host.peerStore,
  getMultiaddrs: () => host.getMultiaddrs(),
  getConnections: () => host.getConnections(),
  dial: (to, options) => host.dial(to, options),
  dialProtocol: async (to, protocol, options) => heard(await host.dialProtocol(to, protocol, options)),
  hangUp: (peer, options) => host.hangUp(peer, options),
  handle: (protocol, handler, options) => host.handle(protocol, (stream) => handler(heard(stream)), options),
  unhandle: (protocol) => host.unhandle(protocol)
}
await runProgram({
  host: hearing,
  agent: "js-libp2p/3.3.11",
  address: multiaddr,
  peerId: peerIdFromString,
  ping: (peer, signal) => host.services.ping.ping(peer, { signal }),
  onIdentified: (told) => host.addEventListener("peer:identify", ({ detail }) => told(detail)),
  oversizeIdentify: flags.identify === "oversize"
})
await host.stop()
