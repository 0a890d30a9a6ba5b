/** What an attacker sends by UDP is what its act says: signed, forged, said before, or nothing at all. */
import { expect, test } from "bun:test"
import { makeRules } from "../chain/rules.ts"
import { specOf } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { decodeAnnouncement, forms, isSigned } from "../gossip/announcement.ts"
import { bystander, datagramActs, datagramOf, type Spoofer } from "./datagrams.ts"
import { makeDice } from "./dice.ts"
import { nodeKey } from "./keys.ts"
import { gossipPort } from "./node.ts"

const rules = makeRules(specOf())
const genesis = rules.genesis.header.hash
const machine = (i: number) => ({ address: `10.0.0.${i + 1}`, key: nodeKey(i) })
const caught = [
  { by: "n1", from: { host: "10.0.0.2", port: 1 }, to: { host: "10.0.0.1", port: 1 }, bytes: Uint8Array.of(1, 3, 5) }
]
const spooferOf = (seed: number): Spoofer => {
  return { rules, dice: makeDice(seed), now: () => 1_795_219_200_000, victim: machine(0), others: [machine(1)], caught }
}
const some = (act: string) => {
  const spoofer = spooferOf(7)
  return Array.from({ length: 200 }, () => datagramOf(act, spoofer))
}
const announcedIn = (act: string) => some(act).flatMap(({ bytes }) => decodeAnnouncement(bytes.subarray(2)) ?? [])

test("every act sends to the victim, from sources of all kinds, and the same for one seed", () => {
  for (const act of datagramActs) {
    const sent = some(act)
    expect(sent).toEqual(some(act))
    expect(sent.every(({ to, by }) => to.host === "10.0.0.1" && to.port === gossipPort && by === "spoofer")).toBe(true)
    const hosts = new Set(sent.map(({ from }) => from.host))
    for (const host of ["10.0.0.1", "10.0.0.2", bystander]) expect(hosts).toContain(host)
  }
})

test("what is signed is signed, for the bystander's place too; what is forged is not, and names real nodes among others", () => {
  const signed = announcedIn("datagrams-signed")
  expect([signed.length, signed.every((one) => isSigned(one, genesis))]).toEqual([200, true])
  expect(signed.some(({ gossipEndpoint }) => gossipEndpoint.startsWith(bystander))).toBe(true)
  const forged = announcedIn("datagrams-forged")
  expect([forged.length, forged.some((one) => isSigned(one, genesis))]).toEqual([200, false])
  const names = new Set(forged.map(({ publicKey }) => toHex(publicKey)))
  expect([names.has(toHex(nodeKey(0).publicKey)), names.has(toHex(nodeKey(1).publicKey)), names.size > 50]).toEqual([
    true,
    true,
    true
  ])
})

test("what nodes have said is said again with hops counted anew; junk is of both forms and of none", () => {
  expect(new Set(some("datagrams-replayed").map(({ bytes }) => toHex(bytes)))).toEqual(new Set(["010005"]))
  const kinds = new Set(some("datagrams-junk").map(({ bytes }) => bytes[0] ?? 0))
  for (const form of [forms.plain, forms.sealed]) expect(kinds).toContain(form)
  expect(kinds.size).toBeGreaterThan(20)
})
