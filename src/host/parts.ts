/** What a host is made of, as its users write it: `transports: [tcp()]`, `connectionEncrypters: [noise()]`, `streamMuxers: [yamux()]`. */
import type { AeadName } from "../crypto/chacha.ts"
import { type AeadChoice, loadAead } from "../crypto/chacha-engine.ts"
import type { MuxerPart, SecurityPart } from "../libp2p/connection.ts"
import type { Identity } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { makeNoise, noiseKeys, noiseProtocol } from "../libp2p/noise.ts"
import { makePlaintext, plaintextProtocol } from "../libp2p/plaintext.ts"
import { makeTlsCertificate, tlsAlpn, tlsProtocol, tlsSession } from "../libp2p/tls.ts"
import { makeYamux, type WindowGrowth, type YamuxOptions, yamuxProtocol } from "../libp2p/yamux.ts"
import type { World } from "./world.ts"

/** What a part may use. */
export interface PartComponents {
  readonly identity: Identity
  readonly world: World
  /** What the windows of all connections may grow by; left out: no bound but each connection's own. */
  readonly windows?: WindowGrowth
}

/** A transport. There is TCP. */
export interface TransportPart {
  readonly transport: "tcp"
}

export type TransportFactory = (components: PartComponents) => TransportPart
export type EncrypterFactory = (components: PartComponents) => SecurityPart
export type MuxerFactory = (components: PartComponents) => MuxerPart

export const tcp = (): TransportFactory => () => ({ transport: "tcp" })

/** What seals the frames of noise; default "auto": the fastest that loads here. */
export interface NoiseOptions {
  readonly engine?: AeadChoice
}

/** The one that "auto" finds here. */
export const noiseEngine = (): AeadName => loadAead("auto")!.name

/** Noise XX. The signature over its static key is made once for a host. */
export const noise =
  ({ engine = "auto" }: NoiseOptions = {}): EncrypterFactory =>
  ({ identity, world }) => {
    const aead = loadAead(engine)
    if (aead === undefined)
      throw new Libp2pFault("unsupported", "InvalidParametersError", `${engine} does not load here`)
    const keys = noiseKeys(identity, world.random, aead)
    return { _tag: "Handshake", protocol: noiseProtocol, make: (init) => makeNoise(init, keys) }
  }

/** libp2p TLS 1.3. The certificate is made once for a host. */
export const tls =
  (): EncrypterFactory =>
  ({ identity, world }) => {
    const certificate = makeTlsCertificate(identity, { now: world.now(), serial: world.random(16) })
    return {
      _tag: "Tls",
      protocol: tlsProtocol,
      certificate: () => certificate,
      alpn: tlsAlpn,
      session: (init, session) => tlsSession(init, session, world.now())
    }
  }

/** No security at all: for tests. The host refuses it unless `allowInsecure` is set. */
export const plaintext = (): EncrypterFactory => () => ({
  _tag: "Handshake",
  protocol: plaintextProtocol,
  insecure: true,
  make: makePlaintext
})

export const yamux =
  (options: YamuxOptions = {}): MuxerFactory =>
  ({ windows }) => {
    const all = windows === undefined ? options : { growth: windows, ...options }
    return { protocol: yamuxProtocol, make: (role, events, now) => makeYamux(role, events, all, now) }
  }
