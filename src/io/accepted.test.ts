/** How many sockets a door takes: in all, and from one address. */
import { expect, test } from "bun:test"
import { acceptedPerIpMax } from "../limits.ts"
import { Accepted, plainAddress } from "./accepted.ts"

test("an address has so many places, all together so many, and a place that is left is free again", () => {
  const accepted = new Accepted(acceptedPerIpMax + 1)
  for (let count = 0; count < acceptedPerIpMax; count++) expect(accepted.admit("192.0.2.1")).toBe(true)
  expect(accepted.admit("192.0.2.1")).toBe(false)
  expect(accepted.admit("192.0.2.2")).toBe(true)
  expect(accepted.admit("192.0.2.3")).toBe(false)
  accepted.release("192.0.2.1")
  accepted.release("192.0.2.9")
  expect(accepted.admit("192.0.2.3")).toBe(true)
  expect(accepted.admit("192.0.2.1")).toBe(false)
})

test("one /64 of IPv6 has the places of one address, and gives them back", () => {
  const accepted = new Accepted(3 * acceptedPerIpMax)
  const at = (i: number): string => `2001:db8:1:2::${i.toString(16)}`
  for (let i = 1; i <= acceptedPerIpMax; i++) expect(accepted.admit(at(i))).toBe(true)
  expect([accepted.admit(at(99)), accepted.admit("2001:db8:1:3::1")]).toEqual([false, true])
  // The address that is released stands for its network, as the one that comes does.
  accepted.release(at(5))
  expect([accepted.admit(at(99)), accepted.admit(at(100))]).toEqual([true, false])
})

test("loopback is limited by the whole only", () => {
  const accepted = new Accepted(2 * acceptedPerIpMax)
  for (let count = 0; count < 2 * acceptedPerIpMax; count++) expect(accepted.admit("127.0.0.1")).toBe(true)
  expect(accepted.admit("127.0.0.1")).toBe(false)
})

test("IPv4 in IPv6 is told as IPv4", () => {
  expect(["::ffff:192.0.2.1", "::1", "192.0.2.1"].map(plainAddress)).toEqual(["192.0.2.1", "::1", "192.0.2.1"])
})
