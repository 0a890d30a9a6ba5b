/** Where an endpoint is, in all the forms in which people write none, themselves, or something that is no address. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { type Place, placeOf, sourceOf } from "./place.ts"

const cases: Readonly<Record<Place, ReadonlyArray<string>>> = {
  elsewhere: [
    "10.0.0.1:19100",
    "192.0.2.7:1",
    "255-a.example:65535",
    "node.example.org:19100",
    "a:1",
    "[2001:db8::1]:19100",
    "[::ffff:10.0.0.1]:1",
    "[2001:db8:0:0:0:0:0:0]:1",
    "[1:2:3:4:5:6:7::]:1",
    "223.255.255.255:1"
  ],
  local: [
    "127.0.0.1:19100",
    "127.9.9.9:1",
    "169.254.169.254:80",
    "localhost:19100",
    "a.localhost:1",
    "[::1]:1",
    "[0:0:0:0:0:0:0:1]:1",
    "[fe80::1]:1",
    "[::ffff:127.0.0.1]:1",
    "[::ffff:7f00:1]:1"
  ],
  unspecified: ["0.0.0.0:19100", "0.1.2.3:1", "[::]:19100", "[0::0]:1", "[::ffff:0.0.0.0]:1", "[::0.0.0.0]:1"],
  invalid: [
    "",
    "10.0.0.1",
    "10.0.0.1:0",
    "10.0.0.1:65536",
    "10.0.0.1:019100",
    "010.0.0.1:1",
    "0:1",
    "0x7f.1:1",
    "2130706433:1",
    "127.1:1",
    "1.2.3.4.5:1",
    "256.0.0.1:1",
    "224.0.0.1:1",
    "255.255.255.255:1",
    "[ff02::1]:1",
    "[::1::]:1",
    "[1:2:3:4:5:6:7:8:9]:1",
    "[1:2:3]:1",
    "[12345::]:1",
    "[::1.2.3]:1",
    "[1:2:3:4:5:6:7:8::]:1",
    "Node.Example:1",
    "-a.example:1",
    "a..b:1",
    "a.example.:1",
    " a:1",
    "a/b:1",
    "u@a:1",
    `${"a".repeat(64)}.example:1`,
    `${"a.".repeat(64)}example:1`
  ]
}

describe("the place of an endpoint", () => {
  for (const [place, endpoints] of Object.entries(cases))
    test.each(endpoints)(`%p is ${place}`, (endpoint) => expect(placeOf(endpoint)).toBe(place as Place))

  test("of any text is one of these, without a throw", () => {
    for (let seed = 0; seed < 3_000; seed++) {
      const dice = makeDice(seed)
      const text = Array.from({ length: dice.int(30) }, () => dice.pick([..."0123456789abcfx:.[]-%é"])).join("")
      expect(Object.keys(cases)).toContain(placeOf(text))
      expect(Object.keys(cases)).toContain(placeOf(`[${text}]:1`))
      expect(sourceOf(text)).toBeString()
    }
  })
})

test("a caller is one by its IPv4 address, however it is written, or by its /64", () => {
  expect([sourceOf("192.0.2.7"), sourceOf("::ffff:192.0.2.7"), sourceOf("::ffff:c000:207")]).toEqual([
    "192.0.2.7",
    "192.0.2.7",
    "192.0.2.7"
  ])
  const [one, same, other] = ["2001:db8::1", "2001:db8:0:0:ffff::9%eth0", "2001:db8:0:1::1"].map(sourceOf)
  expect([one === same, one === other]).toEqual([true, false])
})
