/**
 * The public face of the library: `import { createLibp2p } from "cairn/libp2p"`. Names are those that js-libp2p's users import from
 * its many packages; what fails throws, or rejects with, a Libp2pFault.
 */
import type { AeadName } from "./crypto/chacha.ts"
import { useFastestEngine } from "./crypto/native.ts"
import { engine, type SignatureEngine } from "./crypto/signature.ts"
import { createHost, type Host } from "./host/host.ts"
import { noiseEngine } from "./host/parts.ts"
import type { ServiceMap } from "./host/api.ts"
import type { HostInit } from "./host/init.ts"
import { componentLogger } from "./host/log.ts"
import { makeBunWorld } from "./io/link.ts"
import { environmentLogger } from "./io/log.ts"
import type { KeyType, PeerId, PrivateKey, PublicKey } from "./libp2p/contract.ts"
import { isDescriptorExhaustion, Libp2pFault } from "./libp2p/fault.ts"
import {
  generateKey,
  keyFromSeed,
  privateKeyFromProtobuf as readPrivateKey,
  privateKeyFromRaw as readRawPrivateKey,
  publicKeyFromProtobuf as readPublicKey,
  publicKeyFromRaw as readRawPublicKey
} from "./libp2p/key.ts"
import { privateKeyFromFile as readKeyFile } from "./libp2p/key-file.ts"
import { peerIdFromBytes, peerIdFromText, peerIdOfKey } from "./libp2p/peer-id.ts"
import type { Datastore } from "./host/datastore.ts"

const orThrow = <T>(value: T | Libp2pFault): T => {
  if (value instanceof Libp2pFault) throw value
  return value
}

/**
 * What does the cryptography that JavaScript alone does slowly: `aead` seals the frames of Noise, `secp256k1` makes and checks
 * signatures of such keys. docs/libp2p.md, "Engines".
 */
export const engines = (): { readonly aead: AeadName; readonly secp256k1: SignatureEngine["name"] } => {
  useFastestEngine()
  return { aead: noiseEngine(), secp256k1: engine().name }
}

/**
 * A host over Bun's sockets, started unless `start` is false. Without a `logger` of its own it writes what the variables
 * `LIBP2P_LOG` and `DEBUG` ask for to standard error: nothing, when they are not set.
 */
export const createLibp2p = async <T extends ServiceMap = Record<string, never>>(
  init: HostInit<T> = {}
): Promise<Host<T>> => {
  useFastestEngine()
  const logger = init.logger ?? environmentLogger()
  const host = createHost(logger === undefined ? init : { ...init, logger }, makeBunWorld())
  if (init.start !== false) await host.start()
  return host
}

// Keys

/** `bits`: of RSA, 2048 unless told otherwise. */
export const generateKeyPair = async (type: KeyType = "Ed25519", bits?: number): Promise<PrivateKey> =>
  orThrow(generateKey(type, bits === undefined ? {} : { bits }))

/** The Ed25519 key of a seed of 32 bytes. */
export const generateKeyPairFromSeed = async (type: "Ed25519", seed: Uint8Array): Promise<PrivateKey> => {
  if (type !== "Ed25519")
    throw new Libp2pFault("unsupported", "UnsupportedKeyTypeError", `only Ed25519 keys come from a seed, not ${type}`)
  return orThrow(keyFromSeed(seed))
}

/** The key of a file's bytes: protobuf, its base64, 64 bytes of Ed25519, or PEM. */
export const privateKeyFromFile = (bytes: Uint8Array): PrivateKey => orThrow(readKeyFile(bytes))
export const privateKeyFromProtobuf = (bytes: Uint8Array): PrivateKey => orThrow(readPrivateKey(bytes))
export const publicKeyFromProtobuf = (bytes: Uint8Array): PublicKey => orThrow(readPublicKey(bytes))
export const publicKeyToProtobuf = (key: PublicKey): Uint8Array => key.protobuf
export const privateKeyFromRaw = (type: KeyType, raw: Uint8Array): PrivateKey => orThrow(readRawPrivateKey(type, raw))
export const publicKeyFromRaw = (type: KeyType, raw: Uint8Array): PublicKey => orThrow(readRawPublicKey(type, raw))

// Peer ids

/** Reads both texts: base58btc, and the CID "bafz…". */
export const peerIdFromString = (text: string): PeerId => orThrow(peerIdFromText(text))
export const peerIdFromPublicKey = (key: PublicKey): PeerId => peerIdOfKey(key)
export const peerIdFromPrivateKey = (key: PrivateKey): PeerId => peerIdOfKey(key.publicKey)
export const peerIdFromMultihash = (bytes: Uint8Array): PeerId => orThrow(peerIdFromBytes(bytes))

/** A file for a host's `datastore`: peers outlive a restart. Rejects with a Libp2pFault (io). Closed by who opened it. */
export const sqliteDatastore = async (path: string): Promise<Datastore> => {
  // SQLite is loaded for who wants it.
  const { makeSqliteDatastore } = await import("./store/datastore.ts")
  return makeSqliteDatastore(path, makeBunWorld().now)
}

export { messageOf as logMessageOf } from "./host/log-text.ts"
export { hostEvents } from "./host/event-queue.ts"
export { createHost } from "./host/host.ts"
export { identify, identifyPush } from "./host/identify-service.ts"
export { noise, plaintext, tcp, tls, yamux } from "./host/parts.ts"
export { perf } from "./host/perf-service.ts"
export { ping } from "./host/ping-service.ts"
export { serviceCapabilities, serviceDependencies } from "./host/components.ts"
export { keepAliveTag as KEEP_ALIVE } from "./host/reconnect.ts"
export { makeMemoryDatastore } from "./host/datastore.ts"
export { privateKeyToProtobuf } from "./libp2p/key.ts"
export { isMultiaddr, multiaddr } from "./libp2p/multiaddr.ts"
export { componentLogger, isDescriptorExhaustion, Libp2pFault, makeBunWorld }
