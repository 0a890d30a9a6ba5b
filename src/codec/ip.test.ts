/** Addresses: read strictly, written one way, and nothing private passes for public in any clothes. */
import { describe, expect, test } from "bun:test"
import { isIP } from "node:net"
import { makeDice } from "../sim/dice.ts"
import { clientOf, formatIp, inCidr, isLoopback, isPrivate, networkOf, parseCidr, parseIp } from "./ip.ts"

const ip = (text: string) => parseIp(text)!

describe("what is an address", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::ffff:a01:203", "10.1.2.3"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"]
  ])("%s", (text, written) => expect(formatIp(ip(text))).toBe(written))

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.0x4",
    "1.2.3.4 ",
    "2130706433",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "g::",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "fe80::1%eth0",
    "[::1]",
    "1:2:3:4:5:6:7:1.2.3.4"
  ])("%j is none", (text) => expect(parseIp(text)).toBeUndefined())

  test("one client is an IPv4 address or a /64, however it is written; what is no address stands for itself", () => {
    const written = [
      "192.0.2.1",
      "::ffff:192.0.2.1",
      "2001:DB8:1:2:3::4",
      "2001:db8:1:2::",
      "fe80::1%eth0",
      "a name",
      ""
    ]
    expect(written.map(clientOf)).toEqual([
      ...["192.0.2.1", "192.0.2.1", "2001:db8:1:2::/64", "2001:db8:1:2::/64", "fe80::/64", "a name", ""]
    ])
    expect(clientOf("2001:db8:1:3::4")).not.toBe(clientOf("2001:db8:1:2::4"))
  })

  test("whatever we write we read, and whatever we read the system takes for an address too", () => {
    const dice = makeDice(7)
    const alphabet = "0123456789abcdefF:.:.:./%[ "
    let read = 0
    for (let i = 0; i < 50_000; i++) {
      const bytes = dice.bytes(dice.chance(0.3) ? 4 : 16).map((byte) => (dice.chance(0.5) ? 0 : byte))
      const text = formatIp(bytes)
      expect(isIP(text)).toBe(bytes.length === 4 ? 4 : 6)
      expect(ip(text)).toEqual(bytes)
      const at = dice.int(text.length)
      const spoiled = text.slice(0, at) + alphabet[dice.int(alphabet.length)]! + text.slice(at + 1)
      const parsed = parseIp(spoiled)
      if (parsed !== undefined) read++
      expect(parsed !== undefined).toBe(isIP(spoiled) !== 0 && !spoiled.includes("%"))
    }
    expect(read).toBeGreaterThan(5_000)
  })
})

describe("networks", () => {
  test("the bits beyond a network are cleared, and only they", () => {
    expect(formatIp(networkOf(ip("10.11.12.13"), 24))).toBe("10.11.12.0")
    expect(formatIp(networkOf(ip("10.11.12.13"), 20))).toBe("10.11.0.0")
    expect(formatIp(networkOf(ip("10.11.12.13"), 0))).toBe("0.0.0.0")
    expect(formatIp(networkOf(ip("10.11.12.13"), 32))).toBe("10.11.12.13")
    expect(formatIp(networkOf(ip("2001:db8:1:ffff:5::6"), 48))).toBe("2001:db8:1::")
    expect(formatIp(networkOf(ip("2001:db8:1:2:5::6"), 64))).toBe("2001:db8:1:2::")
  })

  test.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
    ["::ffff:10.0.0.0/104", "10.9.9.9", true],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["0.0.0.0/0", "8.8.8.8", true],
    ["0.0.0.0/0", "2001:4860::8888", false],
    ["::/0", "8.8.8.8", false],
    ["fd00::/8", "fd12::1", true],
    ["172.16.0.0/12", "172.31.255.255", true],
    ["172.16.0.0/12", "172.32.0.0", false]
  ])("%s has %s: %p", (network, address, lies) => expect(inCidr(ip(address), parseCidr(network)!)).toBe(lies))

  test.each(["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.1/8", "fd00::/129", "::ffff:10.0.0.0/8", "a/8"])(
    "%j is no network",
    (text) => expect(parseCidr(text)).toBeUndefined()
  )

  test("an address lies in every network of its own, and in none that differs in a bit", () => {
    const dice = makeDice(8)
    for (let i = 0; i < 5_000; i++) {
      const bytes = dice.bytes(dice.chance(0.5) ? 4 : 16)
      const bits = 1 + dice.int(bytes.length * 8)
      const cidr = parseCidr(`${formatIp(networkOf(bytes, bits))}/${bits}`)!
      expect(inCidr(bytes, cidr)).toBe(true)
      const other = bytes.slice()
      const flipped = dice.int(bits)
      other[flipped >> 3]! ^= 0x80 >> (flipped & 7)
      expect(inCidr(other, cidr)).toBe(false)
    }
  })
})

describe("what is not the internet", () => {
  test.each([
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.19.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1"
  ])("%s is private", (text) => expect(isPrivate(ip(text))).toBe(true))

  test("bytes of a mapped address that nobody has unmapped are private all the same", () => {
    const bytes = new Uint8Array(16)
    bytes.set([0xff, 0xff, 127, 0, 0, 1], 10)
    expect([isPrivate(bytes), isLoopback(bytes)]).toEqual([true, true])
  })

  test.each([
    "1.1.1.1",
    "8.8.8.8",
    "100.128.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "64:ff9b::808:808"
  ])("%s is not", (text) => expect(isPrivate(ip(text))).toBe(false))

  test("this machine", () => {
    for (const text of ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"]) expect(isLoopback(ip(text))).toBe(true)
    for (const text of ["128.0.0.1", "::2", "::", "0.0.0.0"]) expect(isLoopback(ip(text))).toBe(false)
  })
})
