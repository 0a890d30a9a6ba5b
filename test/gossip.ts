/** Nodes that gossip, numbered: their options, what they say, and what comes of it. */
import { keyOf } from "./fixtures.ts"
import { concat } from "../src/codec/bytes.ts"
import { sha256 } from "../src/crypto/hash.ts"
import { makeDice } from "../src/sim/dice.ts"
import { nodeIdOf } from "../src/transport/hello.ts"
import { type Announcement, makeAnnouncement } from "../src/gossip/announcement.ts"
import { type Datagram, Gossip, type GossipEffect, type GossipOptions, type GossipPeer } from "../src/gossip/machine.ts"
import { gossipKeyOf, makeBox, sealPacket } from "../src/gossip/sealed.ts"

export const now = 1_795_219_200_000
export const genesis = sha256(new Uint8Array([1]))
export const work = (n: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? n : 0))
export const tip = { height: 5, work: work(50), hash: sha256(new Uint8Array([5])) }
export const hear = (machine: Gossip, one: Datagram, at = now) => machine.hear(one, at, tip)

export const optionsOf = (n: number, wish: Partial<GossipOptions> = {}): GossipOptions => ({
  ...{ chainId: "test", genesis, key: keyOf(n), sealing: gossipKeyOf(sha256(new Uint8Array([n]))) },
  ...{ gossipEndpoint: `192.0.2.${n}:19090`, fanout: 3, everyMs: 5_000, ttlMs: 30_000, hopsMax: 3, plaintext: true },
  ...wish
})
export const make = (n = 1, wish: Partial<GossipOptions> = {}): Gossip =>
  new Gossip(optionsOf(n, wish), makeDice(n).bytes)

/** Node n as another has met it. */
export const peer = (n: number, session = n): GossipPeer => ({
  ...{ session, nodeId: nodeIdOf(keyOf(n).publicKey), host: `192.0.2.${n}`, port: 19_090 },
  key: optionsOf(n).sealing.publicKey
})
export const meet = (machine: Gossip, ...peers: ReadonlyArray<GossipPeer>): void =>
  machine.meet(new Map(peers.map((one) => [one.session, one])))
export const seedsOf = (...numbers: ReadonlyArray<number>) => numbers.map((n) => ({ host: `203.0.113.${n}`, port: 1 }))

export const saying = (n: number, wish: Partial<Announcement> = {}): Uint8Array =>
  makeAnnouncement(
    {
      ...{ chainId: "test", publicKey: keyOf(n).publicKey, sequence: now, time: now, hopsMax: 3, height: 5 },
      ...{ work: work(50), tip: tip.hash, endpoint: `192.0.2.${n}:19100`, gossipEndpoint: "", entries: [] },
      ...wish
    },
    genesis,
    keyOf(n)
  )
export const packet = (hops: number, bytes: Uint8Array): Uint8Array => concat(new Uint8Array([hops]), bytes)
export const plain = (bytes: Uint8Array, hops = 0): Uint8Array => concat(new Uint8Array([1]), packet(hops, bytes))
export const from = (host: string, bytes: Uint8Array, port = 19_090): Datagram => ({ bytes, host, port })
/** Sealed by node n for node 1. */
export const sealed = (n: number, bytes: Uint8Array, hops = 0): Uint8Array =>
  sealPacket(
    makeBox(optionsOf(n).sealing, optionsOf(1).sealing.publicKey, genesis)!,
    packet(hops, bytes),
    makeDice(n).bytes(12)
  )

export type Send = Extract<GossipEffect, { _tag: "Send" }>
export const sendsIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<Send> =>
  effects.flatMap((effect) => (effect._tag === "Send" ? [effect] : []))
export const foundIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Found" ? effect.endpoints : []))
export const hostsIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<string> =>
  sendsIn(effects).map(({ to }) => to.host)
