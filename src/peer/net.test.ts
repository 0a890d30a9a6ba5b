/** Hosts by network: what an attacker pays for is counted, networks of one's own are not held against their hosts. */
import { describe, expect, test } from "bun:test"
import { isListed, mayTell, netOf, netOfEndpoint, type Reach } from "./net.ts"

describe("a host's networks", () => {
  test("are /24 and /16 of IPv4, /48 and /32 of IPv6, and IPv4 in IPv6 clothes is IPv4", () => {
    expect(netOf("45.12.7.9", 1)).toEqual({
      reach: "public",
      site: "45.12.7.9",
      subnet: "45.12.7.0/24",
      group: "45.12.0.0/16"
    })
    expect(netOf("::ffff:45.12.7.9", 1)).toEqual(netOf("45.12.7.9", 1))
    expect(netOf("2a02:1234:5678:9abc:1:2:3:4")).toEqual({
      reach: "public",
      site: "2a02:1234:5678:9abc::/64",
      subnet: "2a02:1234:5678::/48",
      group: "2a02:1234::/32"
    })
  })

  test("of a private host are itself, of names that everybody may register one", () => {
    for (const host of ["10.0.0.1", "192.168.1.7", "fd00::7", "node2", "node.lan", "169.254.169.254"])
      expect([netOf(host, 5).reach, netOf(host, 5).group, netOf(host, 5).subnet]).toEqual([
        "private",
        `${host}:5`,
        host
      ])
    for (const host of ["127.0.0.1", "::1", "localhost"]) expect(netOf(host).reach).toBe("loopback")
    expect([netOf("a.example.com").group, netOf("b.example.org").group]).toEqual(["names", "names"])
    expect(netOfEndpoint("no endpoint")).toBeUndefined()
  })
})

test("nobody from outside names places inside", () => {
  const told = (["loopback", "private", "public"] as ReadonlyArray<Reach>).map((from) =>
    (["loopback", "private", "public"] as ReadonlyArray<Reach>).map((of) => mayTell(from, of))
  )
  expect(told).toEqual([
    [true, true, true],
    [false, true, true],
    [false, false, true]
  ])
})

test("a list of hosts holds with and without port, in any case; an empty one has all", () => {
  const list = ["Node-A.example.com", "10.0.0.7:19100", "[fd00::1]:5", "fd00::2"]
  expect([
    isListed([], "x"),
    isListed(list, "node-a.EXAMPLE.com", 7),
    isListed(list, "10.0.0.7", 19_100),
    isListed(list, "fd00::1", 5),
    isListed(list, "fd00::2", 9)
  ]).toEqual([true, true, true, true, true])
  expect([isListed(list, "10.0.0.7", 19_101), isListed(list, "10.0.0.8", 19_100), isListed(list, "")]).toEqual([
    false,
    false,
    false
  ])
  // An inbound session has no port that says anything.
  expect(isListed(list, "10.0.0.7")).toBe(true)
})
