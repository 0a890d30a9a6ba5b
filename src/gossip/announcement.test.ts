/** Announcements come back as they were made, fit their datagram whatever they say, and are believed only as they were signed. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { keyOf } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { chainIdBytesMax, datagramBytesMax, endpointCharsMax, gossipEntriesMax } from "../limits.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { nodeIdOf } from "../transport/hello.ts"
import {
  type Announcement,
  announcementBytesMax,
  decodeAnnouncement,
  fitting,
  isOfChain,
  isSigned,
  makeAnnouncement,
  sealBytesMore
} from "./announcement.ts"
import { gossipKeyOf, hintOf, makeBox, openPacket, sealPacket } from "./sealed.ts"

const genesis = sha256(new Uint8Array([1]))
const key = keyOf(1)

const textOf = (dice: Dice, alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet[dice.int(alphabet.length)]).join("")
const endpointOf = (dice: Dice, most: number): string => textOf(dice, "az09.-:[]/~!", dice.int(most + 1))

const anyOf = (dice: Dice): Announcement => {
  const said = {
    chainId: textOf(dice, "az09-", 1 + dice.int(chainIdBytesMax)),
    publicKey: key.publicKey,
    sequence: dice.chance(0.2) ? Number.MAX_SAFE_INTEGER : dice.int(2 ** 31),
    time: dice.int(2 ** 31) * 1_000,
    hopsMax: dice.int(256),
    height: dice.int(2 ** 31),
    work: dice.bytes(32),
    tip: dice.bytes(32),
    endpoint: endpointOf(dice, endpointCharsMax),
    gossipEndpoint: endpointOf(dice, endpointCharsMax)
  }
  const others = Array.from({ length: dice.int(40) }, () => endpointOf(dice, dice.chance(0.5) ? 20 : endpointCharsMax))
  return { ...said, entries: fitting(said, others, dice.int(40)) }
}

test("what is made is read again, byte for byte, is of its chain, and signed", () => {
  const dice = makeDice(1)
  for (let i = 0; i < 300; i++) {
    const said = anyOf(dice)
    const bytes = makeAnnouncement(said, genesis, key)
    const { bytes: read, genesis: beginning, ...announced } = decodeAnnouncement(bytes)!
    expect([toHex(read), toHex(beginning)]).toEqual([toHex(bytes), toHex(genesis.subarray(0, 8))])
    expect(announced).toEqual(said)
    const decoded = decodeAnnouncement(bytes)!
    expect(isOfChain(decoded, { chainId: said.chainId, genesis })).toBe(true)
    expect(isOfChain(decoded, { chainId: `${said.chainId}x`, genesis })).toBe(false)
    expect(isOfChain(decoded, { chainId: said.chainId, genesis: sha256(genesis) })).toBe(false)
    expect(isSigned(decoded, genesis)).toBe(true)
    // The rest of the hash does not travel, and counts.
    expect(isSigned(decoded, Uint8Array.from([...genesis.subarray(0, 31), genesis[31]! ^ 1]))).toBe(false)
  }
})

test("the longest fits a datagram in either form, and lists of others are cut to what fits, from anywhere on", () => {
  const long = (i: number): string => `${i}${"x".repeat(endpointCharsMax)}`.slice(0, endpointCharsMax)
  const said = {
    chainId: "c".repeat(chainIdBytesMax),
    ...{ publicKey: key.publicKey, sequence: 1, time: 1, hopsMax: 3, height: 1 },
    ...{ work: new Uint8Array(32), tip: new Uint8Array(32), endpoint: long(0), gossipEndpoint: long(1) }
  }
  const others = Array.from({ length: 64 }, (_, i) => long(i + 2))
  const entries = fitting(said, others, 62)
  expect([entries.length, entries[0], entries.at(-1)]).toEqual([5, others[62]!, others[2]!])
  const bytes = makeAnnouncement({ ...said, entries }, genesis, key)
  expect(bytes.length).toBeLessThanOrEqual(announcementBytesMax)
  expect(bytes.length + endpointCharsMax + 1).toBeGreaterThan(announcementBytesMax)
  const box = makeBox(gossipKeyOf(sha256(genesis)), gossipKeyOf(genesis).publicKey, genesis)!
  const packet = Uint8Array.from([0, ...bytes])
  expect(sealPacket(box, packet, new Uint8Array(12)).length).toBe(packet.length + sealBytesMore)
  expect(announcementBytesMax + 1 + sealBytesMore).toBe(datagramBytesMax)
  expect(datagramBytesMax).toBeLessThan(1_200)
  const short = Array.from({ length: 64 }, (_, i) => `10.0.0.${i}:1`)
  expect(fitting({ ...said, endpoint: "10.0.0.3:1" }, short, 1)).toEqual(
    [1, 2, ...Array.from({ length: gossipEntriesMax - 2 }, (_, i) => i + 4)].map((i) => `10.0.0.${i}:1`)
  )
  expect([fitting(said, [], 0), fitting(said, ["", "a b", "ä:1", "x".repeat(129)], 0)]).toEqual([[], []])
})

test("bytes of anyone's making never throw; what they change is not signed, and what is read has one form", () => {
  const dice = makeDice(2)
  const bytes = makeAnnouncement({ ...anyOf(dice), entries: ["10.0.0.1:1", "[::1]:2"] }, genesis, key)
  let read = 0
  for (let i = 0; i < 20_000; i++) {
    const changed = i % 3 === 0 ? dice.bytes(dice.int(announcementBytesMax + 50)) : dice.mutate(bytes)
    const decoded = decodeAnnouncement(changed)
    if (decoded === undefined) continue
    expect(changed.length).toBeLessThanOrEqual(announcementBytesMax)
    if (toHex(changed) === toHex(bytes)) continue
    read++
    if (i % 20 === 1) expect(isSigned(decoded, genesis)).toBe(false)
  }
  expect(read).toBeGreaterThan(500)
  for (let length = 0; length < bytes.length; length++)
    expect(decodeAnnouncement(bytes.subarray(0, length))).toBeUndefined()
  expect(decodeAnnouncement(Uint8Array.from([...bytes, 0]))).toBeUndefined()
})

test("forms that are none: another version, a chain id, an endpoint or a number out of bounds, an entry too many or empty", () => {
  const said = { ...anyOf(makeDice(3)), chainId: "abc", endpoint: "10.0.0.1:1", gossipEndpoint: "", entries: ["a:1"] }
  const bytes = makeAnnouncement(said, genesis, key)
  const wrong = (at: number, ...values: ReadonlyArray<number>): boolean => {
    const changed = bytes.slice()
    changed.set(values, at)
    return decodeAnnouncement(changed) === undefined
  }
  const sequenceAt = 1 + 1 + 3 + 8 + 33
  const endpointAt = sequenceAt + 8 + 8 + 1 + 8 + 32 + 32
  const countAt = endpointAt + 1 + 10 + 1
  expect([
    ...[wrong(0, 2), wrong(1, 0), wrong(1, 33), wrong(2, 65), wrong(2, 32), wrong(sequenceAt + 7, 1)],
    ...[wrong(endpointAt, 129), wrong(endpointAt + 1, 32), wrong(endpointAt + 1, 0x80), wrong(countAt, 17)],
    ...[wrong(countAt, 0), wrong(countAt + 1, 0)]
  ]).toEqual(Array.from({ length: 12 }, () => true))
  expect(wrong(endpointAt + 1, 50)).toBe(false)
})

test("a seal is opened by the one it was made for, in that direction, and by nobody else", () => {
  const dice = makeDice(4)
  const [a, b, c] = [gossipKeyOf(dice.bytes(32)), gossipKeyOf(dice.bytes(32)), gossipKeyOf(dice.bytes(32))]
  const [ab, ba] = [makeBox(a, b.publicKey, genesis)!, makeBox(b, a.publicKey, genesis)!]
  const packet = dice.bytes(300)
  const datagram = sealPacket(ab, packet, dice.bytes(12))
  expect(hintOf(datagram)).toBe(toHex(ba.in.hint))
  expect(openPacket(ba, datagram)).toEqual(packet)
  expect(openPacket(ab, datagram)).toBeUndefined()
  expect(openPacket(makeBox(c, a.publicKey, genesis)!, datagram)).toBeUndefined()
  expect(openPacket(makeBox(b, a.publicKey, sha256(genesis))!, datagram)).toBeUndefined()
  expect(makeBox(a, new Uint8Array(32), genesis)).toBeUndefined()
  for (let i = 0; i < 500; i++) {
    const changed = dice.mutate(datagram)
    if (toHex(changed) !== toHex(datagram)) expect(openPacket(ba, changed)).toBeUndefined()
  }
  for (let length = 0; length < 37; length++) expect(hintOf(datagram.subarray(0, length))).toBeUndefined()
})

test("docs/vectors/gossip.json: announcements and the seal, from their fields alone", async () => {
  const file = await Bun.file(join(import.meta.dir, "../../docs/vectors/gossip.json")).json()
  const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
  for (const one of file.announcements) {
    const decoded = decodeAnnouncement(hex(one.bytes))!
    expect([nodeIdOf(decoded.publicKey), isSigned(decoded, hex(file.genesis))]).toEqual([one.node_id, true])
    expect([decoded.sequence, decoded.endpoint, decoded.gossipEndpoint, decoded.entries]).toEqual([
      one.sequence,
      one.endpoint,
      one.gossip_endpoint,
      one.entries
    ])
  }
  const { seal } = file
  const box = makeBox(gossipKeyOf(hex(seal.to_secret)), hex(seal.from_public), hex(file.genesis))!
  expect([toHex(box.in.key), toHex(box.in.hint)]).toEqual([seal.key, seal.hint])
  expect(toHex(openPacket(box, hex(seal.sealed))!)).toBe(seal.packet)
  expect(seal.plain).toBe(`01${seal.packet}`)
})
