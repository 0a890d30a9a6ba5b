/** A packed page says all that a header is and nothing twice: it comes back as it was, in one form only, and never throws. */
import { expect, test } from "bun:test"
import { concat, toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { asHash, sha256 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import {
  type Header,
  type HeaderFields,
  type HeaderVersion,
  type Height,
  makeHeader,
  type Target,
  voteKinds
} from "./header.ts"
import { packPage, unpackPage } from "./packed.ts"

const none = sha256(new Uint8Array(0))
const target = new Uint8Array(32).fill(255) as Target

const lastVote = ({ height, authority }: Header): number =>
  authority === undefined || authority.vote === "none" ? (authority?.lastVote ?? 0) : height

/** Version 2 has a sealer; each proposer has one key. */
const withAuthority = (dice: Dice, before: Header | undefined, fields: Omit<HeaderFields, "authority">): Header => {
  if (fields.version === 1) return makeHeader(fields)
  const vote = dice.chance(0.8) ? "none" : dice.pick(voteKinds)
  return makeHeader({
    ...fields,
    authority: {
      weight: 1 + dice.int(2),
      vote,
      subject: (vote === "none" ? new Uint8Array(20) : dice.bytes(20)) as Address,
      lastVote: before === undefined ? 0 : lastVote(before),
      publicKey: concat(new Uint8Array([2]), sha256(fields.proposer)),
      signature: dice.bytes(64)
    }
  })
}

/** Headers of one branch with everything that varies varied: times go back too, proposers come again. */
const branch = (
  dice: Dice,
  count: number,
  version: HeaderVersion = 1
): readonly [parent: Header, headers: ReadonlyArray<Header>] => {
  const proposers = Array.from({ length: 1 + dice.int(70) }, () => dice.bytes(20) as Address)
  const build = (before: Header | undefined): Header =>
    withAuthority(dice, before, {
      version,
      chainTag: 7,
      height: ((before?.height ?? 4) + 1) as Height,
      time: Math.max(0, (before?.time ?? 1_795_219_200_000) + dice.int(100_000) - 30_000) as Millis,
      previous: before?.hash ?? (none as never),
      transactionRoot: dice.chance(0.3) ? none : asHash(dice.bytes(32)),
      stateRoot: asHash(dice.bytes(32)),
      target,
      proposer: dice.pick(proposers),
      extraHash: dice.chance(0.8) ? none : asHash(dice.bytes(32)),
      nonce: dice.chance(0.1) ? Number.MAX_SAFE_INTEGER : dice.int(2 ** 31)
    })
  const all: Array<Header> = [build(undefined)]
  while (all.length <= count) all.push(build(all.at(-1)))
  return [all[0]!, all.slice(1)]
}

const packed = (parent: Header, headers: ReadonlyArray<Header>): Uint8Array =>
  packPage(
    parent.bytes,
    headers.map(({ bytes }) => bytes)
  )

/** The headers that a receiver makes of a page. */
const unpacked = (parent: Header, page: Uint8Array): ReadonlyArray<Header> | undefined => {
  let before = parent
  return unpackPage(parent, page, 2000)?.map((rest) => {
    const height = (before.height + 1) as Height
    const { authority, ...fields } = rest
    const sealer = authority === undefined ? {} : { authority: { ...authority, lastVote: lastVote(before) } }
    const { version } = parent
    before = makeHeader({ ...fields, ...sealer, version, chainTag: 7, height, previous: before.hash, target })
    return before
  })
}

test("a page comes back header by header, byte by byte", () => {
  for (let seed = 0; seed < 30; seed++) {
    const dice = makeDice(seed)
    const [parent, headers] = branch(dice, dice.int(200), seed % 2 === 0 ? 1 : 2)
    const back = unpacked(parent, packed(parent, headers))
    expect(back?.map(({ bytes }) => toHex(bytes))).toEqual(headers.map(({ bytes }) => toHex(bytes)))
  }
})

test("what decodes has one form: packed again it is the same bytes; nothing throws", () => {
  let taken = 0
  for (let seed = 0; seed < 3000; seed++) {
    const dice = makeDice(seed)
    const [parent, headers] = branch(dice, 1 + dice.int(4), seed % 2 === 0 ? 1 : 2)
    const page = dice.mutate(packed(parent, headers))
    const back = unpacked(parent, page)
    if (back === undefined) continue
    taken++
    expect(toHex(packed(parent, back))).toBe(toHex(page))
  }
  expect(taken).toBeGreaterThan(500)
  expect(taken).toBeLessThan(2900)
})

test("second forms are refused: a hash that should be left out, a known proposer written out, a longer number", () => {
  const [parent, [header]] = branch(makeDice(1), 1)
  const proposer = header!.proposer
  const state = header!.stateRoot
  const row = (...parts: ReadonlyArray<Uint8Array | ReadonlyArray<number>>): Uint8Array =>
    concat(...parts.map((part) => Uint8Array.from(part)))
  const good = row([0], proposer, [2], state, [9])
  expect(unpacked(parent, good)?.[0]).toMatchObject({ time: parent.time + 1, nonce: 9, transactionRoot: none })
  const refused = [
    row([1], proposer, [2], none, state, [9]),
    row([2], proposer, [2], state, none, [9]),
    row(good, [0], proposer, [2], state, [9]),
    row([0], proposer, [0x82, 0], state, [9]),
    row([0], proposer, [2], state, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10]),
    row([4], [2], state, [9]),
    good.subarray(0, -1)
  ]
  expect(refused.map((page) => unpackPage(parent, page, 2000))).toEqual(refused.map(() => undefined))
  expect(unpackPage(parent, row(good, [4], [2], state, [9]), 2)).toHaveLength(2)
  expect(unpackPage(parent, row(good, [4], [2], state, [9]), 1)).toBeUndefined()
})

test("a header of an empty block by a known proposer takes 34 bytes and its nonce", () => {
  const [parent, headers] = branch(makeDice(2), 2)
  const same = headers.map((header, i) =>
    makeHeader({
      ...header,
      time: (parent.time + 50 * i) as Millis,
      proposer: headers[0]!.proposer,
      extraHash: none,
      nonce: 1,
      transactionRoot: none
    })
  )
  const first = packed(parent, same.slice(0, 1)).length
  expect(packed(parent, same).length - first).toBe(1 + 1 + 32 + 1)
})
