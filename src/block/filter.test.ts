/** Block filters against the vectors of BIP 158, its definition in big integers, the laws of chance, and bytes of anybody. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { TestChain, transfer } from "../../test/fixtures.ts"
import { concat, fromHex, toHex, writeU32 } from "../codec/bytes.ts"
import { asHash, sha256, zeroHash } from "../crypto/hash.ts"
import { sipHashInto, sipKey } from "../crypto/siphash.ts"
import { transferOf } from "../ledger/transfer.ts"
import { filterElementsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import {
  blockElements,
  decodeFilter,
  filterFalsePositives as m,
  filterHash,
  makeFilter,
  matches,
  matchesAny,
  nextFilterHeader
} from "./filter.ts"
import { encodeGolomb } from "./golomb.ts"
import type { BlockHash } from "./header.ts"

/**
 * Blocks of Bitcoin's test network: bip-0158/testnet-19.json of github.com/bitcoin/bips (CC0). The elements are the
 * output and spent scripts of each block that are neither empty nor OP_RETURN. Hashes are written backwards there.
 */
const published = [
  {
    height: 0,
    hash: "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    elements: [
      "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac"
    ],
    previous: "0000000000000000000000000000000000000000000000000000000000000000",
    filter: "019dfca8",
    header: "21584579b7eb08997773e5aeff3a7f932700042d0ed2a6129012b7d7ae81b750"
  },
  {
    height: 2,
    hash: "000000006c02c8ea6e4ff69651f7fcde348fb9d557a06e6957b65552002a7820",
    elements: ["21038a7f6ef1c8ca0c588aa53fa860128077c9e6c11e6830f4d7ee4e763a56b7718fac"],
    previous: "d7bdac13a59d745b1add0d2ce852f1a0442e8945fc1bf3848d3cbffd88c24fe1",
    filter: "0174a170",
    header: "186afd11ef2b5e7e3504f2e8cbf8df28a1fd251fe53d60dff8b1467d1b386cf0"
  },
  {
    height: 3,
    hash: "000000008b896e272758da5297bcd98fdc6d97c9b765ecec401e286dc1fdbe10",
    elements: ["2103f6d9ff4c12959445ca5549c811683bf9c88e637b222dd2e0311154c4c85cf423ac"],
    previous: "186afd11ef2b5e7e3504f2e8cbf8df28a1fd251fe53d60dff8b1467d1b386cf0",
    filter: "016cf7a0",
    header: "8d63aadf5ab7257cb6d2316a57b16f517bff1c6388f124ec4c04af1212729d2a"
  },
  {
    height: 180480,
    hash: "00000000fd3ceb2404ff07a785c7fdcc76619edc8ed61bd25134eaa22084366a",
    elements: [
      "2102e769e60137a4df6b0df8ebd387cca44c4c57ae74cc0114a8e8317c8f3bfd85e9ac",
      "2103bb52138972c48a132fc1f637858c5189607dd0f7fe40c4f20f6ad65f2d389ba4ac",
      "76a9147779b7fba1c1e06b717069b80ca170e8b04458a488ac",
      "76a9142a0307cd925dbb66b534c4db33003dd18c57015788ac",
      "76a914ae19d27efe12f5a886dc79af37ad6805db6f922d88ac",
      "76a9143b8d051d37a07ea1042067e93efe63dbf73920b988ac",
      "76a914797fb8777d7991d8284d88bfd421ce520f0f843188ac",
      "76a9146d10f3f592699265d10b106eda37c3ce793f7a8588ac",
      "76a9142903b138c24be9e070b3e73ec495d77a204615e788ac",
      "76a91433a1941fd9a37b9821d376f5a51bd4b52fa50e2888ac",
      "76a914e4374e8155d0865742ca12b8d4d14d41b57d682f88ac",
      "76a914001fa7459a6cfc64bdc178ba7e7a21603bb2568f88ac",
      "76a914f6039952bc2b307aeec5371bfb96b66078ec17f688ac"
    ],
    previous: "d34ef98386f413769502808d4bac5f20f8dfd5bffc9eedafaa71de0eb1f01489",
    filter: "0db414c859a07e8205876354a210a75042d0463404913d61a8e068e58a3ae2aa080026",
    header: "c582d51c0ca365e3fcf36c51cb646d7f83a67e867cb4743fd2128e3e022b700c"
  },
  {
    height: 926485,
    hash: "000000000000015d6077a411a8f5cc95caf775ccf11c54e27df75ce58d187313",
    elements: [
      "76a914876fbb82ec05caa6af7a3b5e5a983aae6c6cc6d688ac",
      "52534b424c4f434b3acd16772ad61a3c5f00287480b720f6035d5e54c9efc71be94bb5e3727f109090",
      "76a9143ebc40e411ed3c76f86711507ab952300890397288ac",
      "76a91450333046115eaa0ac9e0216565f945070e44573988ac",
      "76a914c01a7ca16b47be50cbdbc60724f701d52d75156688ac",
      "a914b7e6f7ff8658b2d1fb107e3d7be7af4742e6b1b387",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "a9148fc37ad460fdfbd2b44fe446f6e3071a4f64faa687",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "a914feb8a29635c56d9cd913122f90678756bf23887687",
      "76a914c01a7ca16b47be50cbdbc60724f701d52d75156688ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac",
      "76a914913bcc2be49cb534c20474c4dee1e9c4c317e7eb88ac"
    ],
    previous: "8f13b9a9c85611635b47906c3053ac53cfcec7211455d4cb0d63dc9acc13d472",
    filter: "09027acea61b6cc3fb33f5d52f7d088a6b2f75d234e89ca800",
    header: "546c574a0472144bcaf9b6aeabf26372ad87c7af7d1ee0dbfae5e099abeae49c"
  },
  {
    height: 1263442,
    hash: "000000006f27ddfe1dd680044a34548f41bed47eba9e6f0b310da21423bc5f33",
    elements: [
      "76a914f2c25ac3d59f3d674b1d1d0a25c27339aaac0ba688ac",
      "001446c29eabe8208a33aa1023c741fa79aa92e881ff",
      "002027a5000c7917f785d8fc6e5a55adfca8717ecb973ebb7743849ff956d896a7ed"
    ],
    previous: "31d66d516a9eda7de865df29f6ef6cb8e4bf9309e5dac899968a9a62a5df61e3",
    filter: "0385acb4f0fe889ef0",
    header: "4e6d564c2a2452065c205dd7eb2791124e0c4e0dbb064c410c24968572589dec"
  },
  {
    height: 1414221,
    hash: "0000000000000027b2b3b3381f114f674f481544ff2be37ae3788d7e078383b1",
    elements: [],
    previous: "5e5e12d90693c8e936f01847859404c67482439681928353ca1296982042864e",
    filter: "00",
    header: "021e8882ef5a0ed932edeebbecfeda1d7ce528ec7b3daa27641acf1189d7b5dc"
  }
] as const

const backwards = (hex: string): BlockHash => asHash(fromHex(hex)!.toReversed()) as BlockHash

test.each(published)("block $height of BIP 158: filter, filter header and matches", (row) => {
  const hash = backwards(row.hash)
  const elements = row.elements.map((hex) => fromHex(hex)!)
  const filter = makeFilter(hash, elements)
  expect(toHex(filter.bytes)).toBe(row.filter)
  expect(toHex(nextFilterHeader(backwards(row.previous), filterHash(filter.bytes)).toReversed())).toBe(row.header)
  expect(decodeFilter(hash, fromHex(row.filter)!)).toEqual(Result.succeed(filter))
  expect(elements.every((element) => matches(filter, element))).toBe(true)
  expect(matchesAny(filter, [sha256(elements[0] ?? hash), ...elements])).toBe(elements.length > 0)
})

const hashOf = (i: number): BlockHash => sha256(new Uint8Array([3, i & 255, i >>> 8])) as Uint8Array as BlockHash

/** Twenty bytes that no other number has. */
const elementOf = (i: number): Uint8Array => {
  const out = new Uint8Array(20)
  writeU32(out, 0, i)
  return out
}
const elementsFrom = (first: number, count: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, (_, i) => elementOf(first + i))

/** BIP 158, "Hashing Data Objects", word for word over big integers. */
const placeByDefinition = (hash: Uint8Array, element: Uint8Array, count: number): number => {
  const out = new Uint32Array(2)
  sipHashInto(sipKey(hash.slice(0, 16)), element, out)
  return Number((((BigInt(out[1]!) << 32n) | BigInt(out[0]!)) * BigInt(count) * BigInt(m)) >> 64n)
}

test.each([
  [0, "00"],
  [1, "01"],
  [252, "fc"],
  [253, "fdfd00"],
  [1_000, "fde803"],
  [65_535, "fdffff"],
  [65_536, "fe00000100"],
  [filterElementsMax, "fe25490200"]
])("a filter of %p elements begins with %s, places them as defined, and comes back", (count, head) => {
  const elements = elementsFrom(0, count)
  const filter = makeFilter(hashOf(count), elements)
  expect(toHex(filter.bytes.subarray(0, head.length / 2))).toBe(head)
  const places = elements.map((element) => placeByDefinition(hashOf(count), element, count))
  expect(filter.places).toEqual(Float64Array.from(places).sort())
  expect(decodeFilter(hashOf(count), filter.bytes)).toEqual(Result.succeed(filter))
  expect(elements.every((element) => matches(filter, element))).toBe(true)
})

test("a filter depends on the set of elements and the block's hash alone", () => {
  const elements = elementsFrom(0, 20)
  const hex = (hash: BlockHash, list: ReadonlyArray<Uint8Array>): string => toHex(makeFilter(hash, list).bytes)
  const once = hex(hashOf(1), elements)
  expect(hex(hashOf(1), [...elements.toReversed(), ...elements])).toBe(once)
  expect(hex(hashOf(1), elementsFrom(1, 20))).not.toBe(once)
  expect(hex(hashOf(2), elements)).not.toBe(once)
  expect(() => makeFilter(hashOf(1), elementsFrom(0, filterElementsMax + 1))).toThrow("may hold")
})

test("two elements at one place are both counted, and both match", () => {
  const hash = hashOf(9)
  const seen = new Map<number, Uint8Array>()
  for (let i = 0; ; i++) {
    const element = elementOf(i)
    const place = placeByDefinition(hash, element, 2)
    const other = seen.get(place)
    seen.set(place, element)
    if (other === undefined) continue
    const filter = makeFilter(hash, [other, element])
    expect(filter.places).toEqual(Float64Array.of(place, place))
    expect(decodeFilter(hash, filter.bytes)).toEqual(Result.succeed(filter))
    expect([matches(filter, other), matches(filter, element)]).toEqual([true, true])
    return
  }
})

test("no element of a filter of any size is ever missed", () => {
  const dice = makeDice(33)
  for (let i = 0; i < 300; i++) {
    const elements = Array.from({ length: 1 + dice.int(300) }, () => dice.bytes(dice.int(40)))
    const filter = Result.getOrThrow(decodeFilter(hashOf(i), makeFilter(hashOf(i), elements).bytes))
    for (const element of elements) expect(matches(filter, element)).toBe(true)
    expect(matchesAny(filter, [dice.bytes(21), elements.at(-1)!])).toBe(true)
  }
})

test("a million strangers match a filter of 1,000 about as often as one in M", () => {
  const filter = makeFilter(hashOf(5), elementsFrom(0, 1_000))
  let hits = 0
  for (let i = 0; i < 1_000_000; i++) if (matches(filter, elementOf(1_000 + i))) hits++
  // Expected 1.27; of a Poisson number with that mean 9 or more come once in 100,000 seeds.
  expect(hits).toBeLessThan(9)
})

/**
 * Under one hash all filters of 1,000 share their key and range, so the places of a stranger are computed once for all
 * of them: a thousand filters of strangers against a hundred of members are 10^8 trials of one stranger on one filter.
 */
test("in a hundred million trials strangers match within five deviations of one in M", () => {
  const placesOf = (i: number): Float64Array => makeFilter(hashOf(6), elementsFrom(i * 1_000, 1_000)).places
  const strangers = new Float64Array(1_000_000)
  for (let i = 0; i < 1_000; i++) strangers.set(placesOf(i), i * 1_000)
  strangers.sort()
  let hits = 0
  for (let filter = 0; filter < 100; filter++) {
    let at = 0
    for (const place of new Set(placesOf(1_000 + filter))) {
      while (strangers[at]! < place) at++
      for (let same = at; strangers[same] === place; same++) hits++
    }
  }
  const expected = 1e8 / m
  expect(Math.abs(hits - expected)).toBeLessThan(5 * Math.sqrt(expected))
})

test("counts in another form, beyond the limit or of other bytes are refused", () => {
  const refused = (hex: string): string => {
    const decoded = decodeFilter(hashOf(0), fromHex(hex)!)
    return Result.isFailure(decoded) ? `${decoded.failure.code}: ${decoded.failure.what}` : "taken"
  }
  const form = "filter-malformed: the form of the number of elements"
  const cut = ["", "fd", "fd01", "fdff", "fe010000", "fe000001"]
  const long = ["fdfc00", "fd0000", "fe00000000", "feffff0000", "ff0100000000000000", "ff0000010000000000"]
  for (const hex of [...cut, ...long]) expect([hex, refused(hex)]).toEqual([hex, form])
  for (const hex of ["fe26490200", "feffffffff"])
    expect([hex, refused(hex)]).toEqual([hex, "filter-malformed: the number of elements"])
  expect(refused("00")).toBe("taken")
  expect(refused("0000")).toBe("filter-malformed: the length")
  expect(refused("01")).toBe("filter-malformed: the length")
  expect(refused("01000010")).toBe("taken")
  expect(refused("0100001000")).toBe("filter-malformed: the length")
  expect(refused("01000011")).toBe("filter-malformed: the filling")
  expect(refused("01c00000")).toBe("filter-malformed: a value out of its range")
})

test("no bytes make the decoder throw, and whatever it takes has one form", () => {
  const dice = makeDice(34)
  const filters = Array.from({ length: 50 }, (_, i) => makeFilter(hashOf(i), elementsFrom(0, i * 7)).bytes)
  let taken = 0
  for (let i = 0; i < 30_000; i++) {
    const bytes = dice.chance(0.9) ? dice.mutate(dice.pick(filters)) : dice.bytes(dice.int(30))
    const decoded = decodeFilter(hashOf(0), bytes)
    if (Result.isFailure(decoded)) continue
    taken++
    const { places } = decoded.success
    const head = bytes.subarray(0, places.length < 253 ? 1 : 3)
    expect(toHex(concat(head, encodeGolomb(places, places.length * m)))).toBe(toHex(bytes))
    matchesAny(decoded.success, [bytes, elementOf(i)])
  }
  expect(taken).toBeGreaterThan(2_000)
})

test("a block's elements are proposer, senders and recipients, found again by its filter and by no other's", () => {
  const chain = new TestChain()
  const [block] = chain.mine(1, [transfer({ from: 0, to: 5, nonce: 1 }), transfer({ from: 1, to: 5, nonce: 1 })], 7)
  const elements = blockElements(block!)
  const { transactions, header } = block!
  const expected = [
    header.proposer,
    ...transactions.flatMap((one) => [transferOf(one).sender, transferOf(one).recipient])
  ]
  expect(new Set(elements.map(toHex))).toEqual(new Set(expected.map(toHex)))
  const filter = makeFilter(header.hash, elements)
  expect(filter.places).toHaveLength(4)
  const [empty] = chain.mine(1, [], 7)
  const other = makeFilter(empty!.header.hash, blockElements(empty!))
  const { sender, recipient } = transferOf(transactions[0]!)
  expect([sender, recipient, header.proposer].map((address) => matches(filter, address))).toEqual([true, true, true])
  expect([sender, recipient, header.proposer].map((address) => matches(other, address))).toEqual([false, false, true])
})

test("a filter header commits to every filter before it", () => {
  const hashes = [0, 1, 2, 3].map((i) => filterHash(makeFilter(hashOf(i), elementsFrom(i, 3)).bytes))
  const head = (list: typeof hashes): string => toHex(list.reduce(nextFilterHeader, zeroHash))
  for (let i = 0; i < 4; i++) expect(head(hashes.with(i, hashOf(99)))).not.toBe(head(hashes))
  expect(head(hashes.toReversed())).not.toBe(head(hashes))
})
