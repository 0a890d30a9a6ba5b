/** Hosts that keep house over real sockets: who comes and goes leaves nothing, limits refuse one by one, gaters are asked, peers are remembered. */
import { afterEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { heapStats } from "bun:jsc"
import type { ConnectionGater, ServiceMap, Stream } from "../../src/host/api.ts"
import { createHost, type Host } from "../../src/host/host.ts"
import type { HostInit } from "../../src/host/init.ts"
import type { Counts } from "../../src/host/limits.ts"
import { defaultResourceLimits, type ResourceLimits } from "../../src/host/resources.ts"
import { makeBunWorld } from "../../src/io/link.ts"
import { generateKeyPair, identify, Libp2pFault, noise, tls } from "../../src/library.ts"
import { makeSqliteDatastore } from "../../src/store/datastore.ts"

const hosts: Array<Pick<Host, "stop" | "resources">> = []
const start = async <T extends ServiceMap = Record<string, never>>(
  init: Partial<HostInit<T>> = {}
): Promise<Host<T>> => {
  const host = createHost(
    { addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] }, connectionEncrypters: [noise()], ...init },
    makeBunWorld()
  )
  hosts.push(host)
  await host.start()
  return host
}
afterEach(async () => {
  for (const host of hosts.splice(0)) {
    await host.stop()
    expect(host.resources()).toMatchObject({ connections: { total: 0 }, streams: { total: 0 } })
  }
})

const faultOf = (promise: Promise<unknown>): Promise<Libp2pFault | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof Libp2pFault) return error
      throw error
    }
  )

const once = (
  host: Pick<Host, "addEventListener">,
  type: "connection:failure" | "connection:close" | "peer:identify"
): Promise<unknown> =>
  new Promise((resolve) =>
    host.addEventListener(type as "connection:failure", ({ detail }) => resolve(detail), { once: true })
  )

describe("who comes and goes", () => {
  test("180 times, is known each time, and leaves no counts and no memory", async () => {
    const services = { identify: identify() }
    const [left, right] = [await start({ services }), await start({ services })]
    const round = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i++) {
        const closed = once(right, "connection:close")
        const known = once(left, "peer:identify")
        const connection = await left.dial(right.getMultiaddrs())
        await known
        await connection.close()
        await closed
      }
      Bun.gc(true)
      return heapStats().objectCount
    }
    const before = await round(60)
    const after = await round(120)
    // A connection with its streams, sessions and keys is nearly four hundred objects; other tests of this process come and go, too.
    expect((after - before) / 120).toBeLessThan(100)
    for (const host of [left, right])
      expect(host.resources()).toMatchObject({ connections: { total: 0 }, streams: { total: 0 }, refused: 0 })
  })
})

const one: Counts = { inbound: 1, outbound: 1, total: 1 }
const narrowed = <K extends keyof ResourceLimits>(of: K, scope: keyof ResourceLimits[K]): ResourceLimits => ({
  ...defaultResourceLimits,
  [of]: { ...defaultResourceLimits[of], [scope]: one }
})

describe("each limit of the resource manager", () => {
  const connections: ReadonlyArray<readonly [keyof ResourceLimits["connections"], string]> = [
    ["system", "connections"],
    ["peer", "connections of one peer"]
  ]
  test.each(connections)(
    "on connections (%s) refuses a second one, typed and counted on its side",
    async (scope, told) => {
      const resources = narrowed("connections", scope)
      const [dialer, limited, plain] = [await start(), await start({ resources }), await start()]
      await dialer.dial(limited.getMultiaddrs())
      const failure = once(limited, "connection:failure") as Promise<{ readonly error: Libp2pFault }>
      await faultOf(dialer.dial(limited.getMultiaddrs(), { force: true }))
      const { error } = await failure
      expect([error.kind, error.name, error.context["scope"]]).toEqual(["resource", "ResourceLimitError", told])
      expect(limited.resources()).toMatchObject({ connections: { total: 1 }, refused: 1 })
      await limited.hangUp(dialer.peerId)
      await limited.dial(plain.getMultiaddrs())
      const own = await faultOf(limited.dial(plain.getMultiaddrs(), { force: true }))
      expect([own?.kind, own?.name, own?.context["scope"]]).toEqual(["resource", "ResourceLimitError", told])
      expect(limited.resources()).toMatchObject({ connections: { total: 1 }, refused: 2 })
    }
  )

  test("on links to nobody known refuses a second one while the first is silent", async () => {
    const limited = await start({ resources: narrowed("connections", "transient") })
    const dialer = await start()
    const at = limited.getMultiaddrs()[0]!.getComponents()
    const opened = new Promise<void>((resolve) => {
      const look = (): void => (limited.resources().connections.total === 1 ? resolve() : void setImmediate(look))
      look()
    })
    const silent = await Bun.connect({ hostname: "127.0.0.1", port: Number(at[1]!.value), socket: { data: () => {} } })
    await opened
    const failure = once(limited, "connection:failure") as Promise<{ readonly error: Libp2pFault }>
    await faultOf(dialer.dial(limited.getMultiaddrs()))
    expect((await failure).error.context["scope"]).toBe("connections to unknown peers")
    const gone = once(limited, "connection:failure")
    silent.terminate()
    await gone
    expect((await dialer.dial(limited.getMultiaddrs())).status).toBe("open")
  })

  const streams: ReadonlyArray<readonly [keyof ResourceLimits["streams"], string]> = [
    ["system", "streams"],
    ["transient", "streams without a protocol"],
    ["peer", "streams of one peer"],
    ["protocol", "streams of one protocol"],
    ["protocolPeer", "streams of one protocol and peer"]
  ]
  test.each(streams)(
    "on streams (%s) refuses a second one at both ends, and the connection goes on",
    async (scope, full) => {
      const resources = narrowed("streams", scope)
      const [free, limited] = [await start(), await start({ resources })]
      const keep: Array<Stream> = []
      for (const host of [free, limited]) await host.handle("/keep/1", (stream) => void keep.push(stream))
      const connection = await free.dial(limited.getMultiaddrs())
      const fully = { negotiateFully: true }
      await connection.newStream("/keep/1", fully)
      // One after another they have their protocol at once: the limit on those without is only met when two begin together.
      if (scope !== "transient") {
        expect((await faultOf(connection.newStream("/keep/1", fully)))?.name).toBe("StreamResetError")
        expect(limited.resources()).toMatchObject({ streams: { total: 1 }, refused: 1 })
      }
      for (const stream of connection.streams) stream.abort(new Error("enough"))
      while (limited.resources().streams.total > 0) await new Promise((resolve) => setImmediate(resolve))
      const back = limited.getConnections(free.peerId)[0]!
      const [, refused] = await Promise.all([back.newStream("/keep/1"), faultOf(back.newStream("/keep/1"))])
      expect([refused?.kind, refused?.name, refused?.context["scope"]]).toEqual([
        "resource",
        "ResourceLimitError",
        full
      ])
      expect([connection.status, back.status]).toEqual(["open", "open"])
    }
  )
})

describe("a gater over TLS", () => {
  const hooks: ReadonlyArray<readonly [keyof ConnectionGater, "dialer" | "listener"]> = [
    ["denyDialPeer", "dialer"],
    ["denyDialMultiaddr", "dialer"],
    ["denyOutboundConnection", "dialer"],
    ["denyOutboundEncryptedConnection", "dialer"],
    ["denyOutboundUpgradedConnection", "dialer"],
    ["denyInboundConnection", "listener"],
    ["denyInboundEncryptedConnection", "listener"],
    ["denyInboundUpgradedConnection", "listener"]
  ]
  test.each(hooks)("that says no in %s, at the %s, ends it there by that name", async (hook, side) => {
    const asked: Array<string> = []
    const gater = (denies: boolean): ConnectionGater =>
      Object.fromEntries(
        hooks.map(([name]) => [
          name,
          () => {
            asked.push(name)
            return denies && name === hook
          }
        ])
      )
    const connectionEncrypters = [tls()]
    const dialer = await start({ connectionEncrypters, connectionGater: gater(side === "dialer") })
    const listener = await start({ connectionEncrypters, connectionGater: gater(side === "listener") })
    const failure = once(listener, "connection:failure") as Promise<{ readonly error: Libp2pFault }>
    const fault = await faultOf(dialer.dial(listener.getMultiaddrs()))
    if (side === "dialer") expect([fault?.kind, fault?.context["hook"]]).toEqual(["permission", hook])
    else {
      const { error } = await failure
      expect([error.kind, error.name, error.context["hook"]]).toEqual(["permission", "ConnectionDeniedError", hook])
    }
    expect(asked).toContain(hook)
    expect(listener.getConnections()).toEqual([])
  })
})

test("peers that were met are known after a restart, with what they signed and speak", async () => {
  const folder = mkdtempSync(join(tmpdir(), "libp2p-peers-"))
  const open = () => makeSqliteDatastore(join(folder, "peers.sqlite"), Date.now)
  const privateKey = await generateKeyPair()
  const services = { identify: identify() }
  const met = await start({ services })
  await met.handle("/kept/1", () => {})
  const first = open()
  const before = await start({ privateKey, datastore: first, services })
  const known = once(before, "peer:identify")
  await before.dial(met.getMultiaddrs())
  await known
  await before.peerStore.merge(met.peerId, { tags: { friend: { value: 50 } }, metadata: { note: Uint8Array.of(1, 2) } })
  await before.stop()
  first.close()
  const second = open()
  const after = await start({ privateKey, datastore: second, services })
  const peer = await after.peerStore.get(met.peerId)
  expect(peer.addresses.map(({ isCertified, multiaddr }) => [isCertified, `${multiaddr}/p2p/${met.peerId}`])).toEqual([
    [true, String(met.getMultiaddrs()[0])]
  ])
  expect(peer.protocols).toContain("/kept/1")
  expect([peer.tags.get("friend")?.value, peer.metadata.get("note")]).toEqual([50, Uint8Array.of(1, 2)])
  expect(peer.peerRecordEnvelope).toBeInstanceOf(Uint8Array)
  // The id alone is enough to come back.
  expect((await after.dial(met.peerId)).remotePeer.equals(met.peerId)).toBe(true)
  await after.stop()
  second.close()
  rmSync(folder, { recursive: true })
})
