/** What addresses say: of places, relays, peers and sockets. */
import { describe, expect, test } from "bun:test"
import {
  destinationAddress,
  fromTcpEndpoint,
  ipOf,
  isLoopback,
  isPrivate,
  isPublic,
  isRelay,
  isUnspecified,
  peerIdText,
  relayFacts,
  reservationAddress,
  toTcpEndpoint,
  withoutPeer,
  withPeer
} from "./address-facts.ts"
import { Libp2pFault } from "./fault.ts"
import { multiaddr } from "./multiaddr.ts"

const relayPeer = "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
const peer = "12D3KooWQWZLu9qXWPTDnF9rTRrAiVGZrXCbHAvkqYrsG8cW4UHg"
const relay = `/ip4/1.2.3.4/tcp/4001/p2p/${relayPeer}`
/** Text, or the kind and the name of the fault. */
const shown = (result: unknown): string =>
  result instanceof Libp2pFault ? `${result.kind} ${result.name}` : String(result)

type Reach = "private" | "public" | "neither"
const reach: ReadonlyArray<readonly [address: string, reach: Reach]> = [
  ["/ip4/127.0.0.1/tcp/1", "private"],
  ["/ip4/10.1.2.3", "private"],
  ["/ip4/100.64.0.1", "private"],
  ["/ip4/100.128.0.1", "public"],
  ["/ip4/172.31.0.1/udp/1/quic-v1", "private"],
  ["/ip4/172.32.0.1", "public"],
  ["/ip4/192.168.0.1", "private"],
  ["/ip4/169.254.1.1", "private"],
  ["/ip4/1.1.1.1/tcp/1/p2p-circuit", "public"],
  ["/ip4/0.0.0.0/tcp/1", "neither"],
  ["/ip4/192.0.0.1", "neither"],
  ["/ip4/192.0.0.64", "public"],
  ["/ip4/192.0.2.1", "neither"],
  ["/ip4/203.0.113.9", "neither"],
  ["/ip4/224.0.0.1", "neither"],
  ["/ip4/255.255.255.255", "neither"],
  ["/ip6/::1", "private"],
  ["/ip6/fd00::1", "private"],
  ["/ip6zone/eth0/ip6/fe80::1", "private"],
  ["/ip6/2600::1", "public"],
  ["/ip6/2001:db8::1", "neither"],
  ["/ip6/ff02::1", "neither"],
  ["/ip6/::", "neither"],
  ["/ip6/64:ff9b::101:101", "public"],
  ["/ip6/::ffff:10.0.0.1", "private"],
  ["/ip6/::ffff:1.1.1.1", "public"],
  ["/dns4/example.com/tcp/1", "public"],
  ["/dnsaddr/bootstrap.libp2p.io", "public"],
  ["/dns/localhost/tcp/1", "private"],
  ["/dns/a.LOCALHOST./tcp/1", "private"],
  ["/dns/notlocalhost/tcp/1", "public"],
  ["/dns/printer.local/tcp/1", "neither"],
  ["/dns/x.test", "neither"],
  ["/dns/x.invalid", "neither"],
  ["/tcp/1", "neither"],
  ["/memory/1", "neither"],
  ["/unix/a", "neither"],
  [`/p2p/${peer}`, "neither"],
  ["/ip6zone/eth0/tcp/1", "neither"]
]

test.each(reach)("%s is %s", (text, expected) => {
  const address = multiaddr(text)
  expect([isPrivate(address), isPublic(address)]).toEqual([expected === "private", expected === "public"])
})

test("this machine and all addresses of it are known", () => {
  const told = (text: string) => [isLoopback(multiaddr(text)), isUnspecified(multiaddr(text))]
  for (const text of ["/ip4/127.9.9.9/tcp/1", "/ip6/::1/tcp/1", "/ip6/::ffff:127.0.0.1", "/dns/localhost"])
    expect([text, ...told(text)]).toEqual([text, true, false])
  for (const text of ["/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1"]) expect([text, ...told(text)]).toEqual([text, false, true])
  for (const text of ["/ip4/1.2.3.4", "/dns/example.com", "/tcp/1"])
    expect([text, ...told(text)]).toEqual([text, false, false])
  expect([ipOf(multiaddr("/ip4/1.2.3.4/tcp/1")), ipOf(multiaddr("/dns/a"))]).toEqual([
    Uint8Array.of(1, 2, 3, 4),
    undefined
  ])
})

describe("a peer", () => {
  test("is the last that the address names, behind the relay", () => {
    const told = (text: string) => peerIdText(multiaddr(text))
    expect(told(relay)).toBe(relayPeer)
    expect(told(`${relay}/p2p-circuit`)).toBeUndefined()
    expect(told(`${relay}/p2p-circuit/p2p/${peer}`)).toBe(peer)
    expect(told("/ip4/1.2.3.4")).toBeUndefined()
  })

  test("is put at the end once, and taken off", () => {
    expect(shown(withPeer(multiaddr("/ip4/1.2.3.4/tcp/1"), peer))).toBe(`/ip4/1.2.3.4/tcp/1/p2p/${peer}`)
    expect(shown(withPeer(multiaddr(relay), relayPeer))).toBe(relay)
    expect(shown(withPeer(multiaddr(`${relay}/p2p-circuit`), relayPeer))).toBe(`${relay}/p2p-circuit/p2p/${relayPeer}`)
    expect(shown(withPeer(multiaddr("/ip4/1.2.3.4"), "nobody"))).toBe("input InvalidMultiaddrError")
    expect(shown(withoutPeer(multiaddr(relay)))).toBe("/ip4/1.2.3.4/tcp/4001")
    expect(shown(withoutPeer(multiaddr(`${relay}/p2p-circuit`)))).toBe(`${relay}/p2p-circuit`)
  })
})

describe("a relay", () => {
  const told = (text: string) => {
    const facts = relayFacts(multiaddr(text))
    return facts && [facts.relay && String(facts.relay), facts.relayPeer, facts.destinationPeer]
  }

  test("and who is behind it are told apart", () => {
    expect(told(`${relay}/p2p-circuit/p2p/${peer}`)).toEqual([relay, relayPeer, peer])
    expect(told(`${relay}/p2p-circuit`)).toStrictEqual([relay, relayPeer, undefined])
    expect(told("/ip4/1.2.3.4/tcp/1/p2p-circuit")).toStrictEqual(["/ip4/1.2.3.4/tcp/1", undefined, undefined])
    expect(told(`/p2p-circuit/p2p/${peer}`)).toEqual([undefined, undefined, peer])
    expect(told(relay)).toBeUndefined()
    expect(told(`${relay}/p2p-circuit/p2p/${peer}/p2p-circuit`)).toBeUndefined()
    expect([isRelay(multiaddr(relay)), isRelay(multiaddr(`${relay}/p2p-circuit`))]).toEqual([false, true])
  })

  test("gives the address of a reservation, and of who is reached over it", () => {
    const reserved = `${relay}/p2p-circuit`
    expect(shown(reservationAddress(multiaddr(relay)))).toBe(reserved)
    for (const from of [relay, reserved])
      expect(shown(destinationAddress(multiaddr(from), peer))).toBe(`${reserved}/p2p/${peer}`)
  })

  test.each([
    ["/ip4/1.2.3.4/tcp/1", peer],
    ["/ip4/1.2.3.4/tcp/1/p2p-circuit", peer],
    [`${relay}/p2p-circuit/p2p/${peer}`, peer],
    [relay, "nobody"]
  ])("%s with %s gives none", (from, to) => {
    expect(shown(destinationAddress(multiaddr(from), to))).toBe("input InvalidMultiaddrError")
  })

  test("is not reached over a relay, and says who it is", () => {
    for (const text of [`${relay}/p2p-circuit`, "/ip4/1.2.3.4/tcp/1"])
      expect(shown(reservationAddress(multiaddr(text)))).toBe("input InvalidMultiaddrError")
  })
})

describe("a socket", () => {
  const told = (text: string) => {
    const end = toTcpEndpoint(multiaddr(text))
    return end instanceof Libp2pFault ? end.kind : [end.host, end.port, end.lookup]
  }

  test("is where TCP stands, and nothing but a peer behind it", () => {
    expect(told("/ip4/1.2.3.4/tcp/80")).toStrictEqual(["1.2.3.4", 80, undefined])
    expect(told(`/ip6/0:0::1/tcp/0/p2p/${peer}`)).toStrictEqual(["::1", 0, undefined])
    expect(told("/ip6zone/eth0/ip6/fe80::1/tcp/80")).toStrictEqual(["fe80::1%eth0", 80, undefined])
    expect(told("/dns6/example.com/tcp/443")).toEqual(["example.com", 443, "dns6"])
  })

  test.each([
    "/ip4/1.2.3.4/udp/80",
    "/ip4/1.2.3.4",
    "/tcp/80",
    "/ip4/1.2.3.4/tcp/80/ws",
    "/ip4/1.2.3.4/tcp/80/tls/ws",
    `${relay}/p2p-circuit`,
    "/dnsaddr/example.com/tcp/1",
    "/ip6zone/eth0/tcp/1",
    "/ip4/1.2.3.4/ip4/1.2.3.4/tcp/1",
    "/unix/a"
  ])("is not what %s says", (text) => expect(told(text)).toBe("unsupported"))

  test("has an address", () => {
    expect(shown(fromTcpEndpoint("1.2.3.4", 80))).toBe("/ip4/1.2.3.4/tcp/80")
    expect(shown(fromTcpEndpoint("::ffff:1.2.3.4", 80))).toBe("/ip4/1.2.3.4/tcp/80")
    expect(shown(fromTcpEndpoint("0::1", 65_535))).toBe("/ip6/::1/tcp/65535")
    expect(shown(fromTcpEndpoint("fe80::1%eth0", 1))).toBe("/ip6zone/eth0/ip6/fe80::1/tcp/1")
    for (const [host, port] of [
      ["example.com", 1],
      ["1.2.3.4", 65_536],
      ["1.2.3.4", 1.5],
      ["1.2.3.4", -1],
      ["fe80::1%", 1]
    ] as const)
      expect(shown(fromTcpEndpoint(host, port))).toBe("input InvalidMultiaddrError")
  })
})
