/**
 * Real TLS between two hosts, through a proxy that breaks a handshake off at its bytes, and bends each of them: both sides end
 * in bounded time, one of them or both by a typed fault, and nothing is left.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Connection } from "../../src/host/api.ts"
import { utf8 } from "../../src/codec/bytes.ts"
import { createHost, type Host } from "../../src/host/host.ts"
import { defaultResourceLimits } from "../../src/host/resources.ts"
import { makeBunWorld } from "../../src/io/link.ts"
import { Libp2pFault, multiaddr, tls } from "../../src/library.ts"
import { frameOf } from "../../src/libp2p/frame.ts"
import { type Bend, type BendingProxy, bendingProxy, type Sender } from "../bending-proxy.ts"

const upgradeMs = 1_000
const doors = 32
const many = { inbound: 2 * doors, outbound: 2 * doors, total: 2 * doors }

const started = async (): Promise<Host> => {
  const host = createHost(
    {
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      connectionEncrypters: [tls()],
      connectionManager: { inboundUpgradeTimeout: upgradeMs, outboundUpgradeTimeout: upgradeMs },
      // They are one peer, and dial one another many times at once.
      resources: { ...defaultResourceLimits, connections: { ...defaultResourceLimits.connections, peer: many } }
    },
    makeBunWorld()
  )
  await host.start()
  return host
}
const portIn = (address: Connection["remoteAddr"]): number => Number(address.getComponents()[1]!.value)

type Outcome = Connection | Libp2pFault
let dialer: Host
let listener: Host
let proxies: ReadonlyArray<BendingProxy>
/** What came of the listener's links, by the port they came from. */
const inbound = new Map<number, PromiseWithResolvers<Outcome>>()
const inboundAt = (port: number): PromiseWithResolvers<Outcome> => {
  const there = inbound.get(port) ?? Promise.withResolvers<Outcome>()
  inbound.set(port, there)
  return there
}

beforeAll(async () => {
  ;[dialer, listener] = [await started(), await started()]
  listener.addEventListener("connection:open", ({ detail }) => inboundAt(portIn(detail.remoteAddr)).resolve(detail))
  listener.addEventListener("connection:failure", ({ detail }) =>
    inboundAt(portIn(detail.remoteAddr)).resolve(detail.error)
  )
  const port = portIn(listener.getMultiaddrs()[0]!)
  proxies = Array.from({ length: doors }, () => bendingProxy(port))
})
afterAll(async () => {
  for (const proxy of proxies) proxy.stop()
  await Promise.all([dialer.stop(), listener.stop()])
})

const ended = (connection: Connection): Promise<unknown> =>
  new Promise((resolve) => {
    if (connection.status === "closed" || connection.status === "aborted") resolve(connection)
    else connection.addEventListener("close", resolve, { once: true })
  })

interface Meeting {
  readonly dialer: Outcome
  readonly listener: Outcome
  /** By then: whether the byte had come by, and what each side had said. */
  readonly struck: boolean
  readonly said: Readonly<Record<Sender, Uint8Array>>
}
const isOpen = (outcome: Outcome): outcome is Connection => !(outcome instanceof Error)

/** One dial through a proxy, and what came of it at both sides. Done when nothing of it is left: what both have is ended. */
const meet = async (proxy: BendingProxy, bend?: Bend): Promise<Meeting> => {
  proxy.expect(bend)
  const mine = await dialer
    .dial(multiaddr(`/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${listener.peerId}`), { force: true })
    .catch((error: unknown) => error as Libp2pFault)
  const port = await proxy.shownPort()
  const theirs = await inboundAt(port).promise
  inbound.delete(port)
  const struck = proxy.struck()
  const said = { dialer: proxy.said("dialer"), listener: proxy.said("listener") }
  const open = [mine, theirs].filter(isOpen)
  const over = open.map(ended)
  // Whom only one side has is ended by the other.
  if (open.length === 2) open[0]!.abort(new Error("seen"))
  await Promise.all(over)
  while (proxy.open() > 0) await new Promise((resolve) => setImmediate(resolve))
  return { dialer: mine, listener: theirs, struck, said }
}

/** The multistream lines before TLS: each side says as many bytes. */
const preambleBytes = frameOf(utf8("/multistream/1.0.0\n")).length + frameOf(utf8("/tls/1.0.0\n")).length
/** The second byte of the version of the first record, which RFC 8446 (5.1) has everybody pass over. */
const unread = preambleBytes + 2

/** Where records of TLS begin. */
const recordHeads = (bytes: Uint8Array): ReadonlyArray<number> => {
  const heads: Array<number> = []
  for (let at = preambleBytes; at < bytes.length; at += 5 + ((bytes[at + 3]! << 8) | bytes[at + 4]!)) heads.push(at)
  return heads
}

/** Where a share of X25519MLKEM768 lies: a thousand bytes that are all alike. Its group and its length come before it. */
const keyShare = (bytes: Uint8Array): readonly [number, number] => {
  const at = [0x04c0, 0x0460].map((length) =>
    Buffer.from(bytes).indexOf(Buffer.from([0x11, 0xec, length >> 8, length & 0xff]))
  )
  const from = Math.max(...at)
  return from < 0 ? [0, 0] : [from + 8, from + 1_000]
}

/** Every byte to be bent, and every fourth to be cut off at, with all of preamble and heads; of a key share every 32nd. */
const bendsOf = (how: Bend["how"], from: Sender, bytes: Uint8Array): ReadonlyArray<Bend> => {
  const heads = recordHeads(bytes)
  const [shareFrom, shareTo] = keyShare(bytes)
  const chosen = (place: number): boolean => {
    if (place > shareFrom && place < shareTo) return place % 32 === 0
    const near = place < preambleBytes || heads.some((head) => place >= head && place < head + 9)
    return near || how === "flip" || place % 4 === 0
  }
  return Array.from(bytes, (_, place): Bend => ({ from, place, how })).filter(({ place }) => chosen(place))
}

const told = (outcome: Outcome): string => (isOpen(outcome) ? "open" : outcome.toString())
/** Why it did not end as it must; undefined: it did. */
const wrong = ({ from, place, how }: Bend, { dialer: mine, listener: theirs }: Meeting): string | undefined => {
  const harmless = how === "flip" && place === unread
  const both = [mine, theirs].filter(isOpen).length === 2
  const typed = [mine, theirs].every((outcome) => isOpen(outcome) || outcome instanceof Libp2pFault)
  // The dialer is done first: it never is what the listener has alone.
  const alone = !isOpen(mine) && isOpen(theirs)
  return both === harmless && typed && !alone
    ? undefined
    : `${how} at ${place} of the ${from}: ${told(mine)}, ${told(theirs)}`
}

/** Tries all, as many at once as there are proxies. */
const sweep = async (bends: Array<Bend>): Promise<ReadonlyArray<string>> => {
  const faults: Array<string> = []
  const one = async (proxy: BendingProxy, bend: Bend): Promise<void> => {
    // Signatures are of 70 to 72 bytes: a handshake may be shorter than the one that was measured.
    for (let tries = 0; tries < 50; tries++) {
      const meeting = await meet(proxy, bend)
      if (!meeting.struck) continue
      const fault = wrong(bend, meeting)
      if (fault !== undefined) faults.push(fault)
      return
    }
    faults.push(`byte ${bend.place} of the ${bend.from} never came`)
  }
  await Promise.all(
    proxies.map(async (proxy) => {
      for (let bend = bends.pop(); bend !== undefined; bend = bends.pop()) await one(proxy, bend)
    })
  )
  return faults
}

describe("a handshake of TLS between two hosts", () => {
  const idle = { connections: { total: 0 }, transientConnections: { total: 0 }, streams: { total: 0 }, handshakes: 0 }
  for (const [what, how] of [
    ["broken off at its bytes", "cut"],
    ["bent at its bytes", "flip"]
  ] as const)
    test(`${what} ends at both sides, typed, and leaves nothing`, async () => {
      const { said } = await meet(proxies[0]!)
      // A hello, a change of cipher that means nothing, and all that is sealed.
      expect([recordHeads(said.dialer).length, recordHeads(said.listener).length]).toEqual([3, 3])
      const bends = [...bendsOf(how, "dialer", said.dialer), ...bendsOf(how, "listener", said.listener)]
      expect(await sweep(bends)).toEqual([])
      for (const host of [dialer, listener]) expect(host.getMetrics()).toMatchObject(idle)
      expect(inbound.size).toBe(0)
      expect((await meet(proxies[0]!)).dialer).not.toBeInstanceOf(Error)
    }, 30_000)
})
