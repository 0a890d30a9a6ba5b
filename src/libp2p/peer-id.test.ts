/** Peer ids: the published ones in both texts, both ways against @libp2p/peer-id, and every broken byte and letter. */
import { describe, expect, test } from "bun:test"
import { privateKeyFromProtobuf } from "@libp2p/crypto/keys"
import { peerIdFromMultihash, peerIdFromPrivateKey, peerIdFromString } from "@libp2p/peer-id"
import { base36 } from "multiformats/bases/base36"
import * as Digest from "multiformats/hashes/digest"
import { published } from "../../test/vectors/published.ts"
import { utf8 } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import { cidText, libp2pKeyCodec } from "./cid.ts"
import type { KeyType, PeerId } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { generateKey, privateKeyToProtobuf, publicKeyFromProtobuf } from "./key.ts"
import { encodeBase, encodeMultibase } from "./multibase.ts"
import { identityCode, multihashOf, sha256Code, sha256Multihash } from "./multihash.ts"
import { peerIdCid, peerIdFromBytes, peerIdFromText, peerIdOfKey } from "./peer-id.ts"

const some = <A>(value: A | Libp2pFault): A => {
  if (value instanceof Libp2pFault) throw value
  return value
}
const refusal = (value: unknown): string => (value instanceof Libp2pFault ? `${value.name} (${value.kind})` : "taken")
const types: ReadonlyArray<KeyType> = ["Ed25519", "RSA", "ECDSA", "secp256k1"]
const dice = makeDice(1)
const keys = types.map((type) => some(generateKey(type, { random: dice.bytes })))
const ids: ReadonlyArray<PeerId> = keys.map(({ publicKey }) => peerIdOfKey(publicKey))

describe("what others wrote", () => {
  const vectors = published<{
    readonly peer_id: ReadonlyArray<{
      readonly type: string
      readonly public_key_protobuf_hex: string
      readonly peer_id: string
      readonly cid: string | null
    }>
  }>("reference-vectors.json")

  test.skipIf(vectors === undefined)("the reference's ids in both texts, from the key and from the text", () => {
    for (const row of vectors!.peer_id) {
      const publicKey = some(publicKeyFromProtobuf(Uint8Array.fromHex(row.public_key_protobuf_hex)))
      const id = peerIdOfKey(publicKey)
      expect(id.toString()).toBe(row.peer_id)
      if (row.cid !== null) expect(peerIdCid(id)).toBe(row.cid)
      for (const text of [row.peer_id, row.cid ?? row.peer_id]) {
        const read = some(peerIdFromText(text))
        expect(read.equals(id)).toBe(true)
        const short = row.type === "ed25519" || row.type === "secp256k1"
        expect(read.publicKey?.equals(publicKey)).toBe(short ? true : undefined)
      }
    }
  })

  test("the three texts of the specs", () => {
    const sha = some(peerIdFromText("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"))
    expect([sha.type, sha.publicKey]).toStrictEqual(["RSA", undefined])
    expect(peerIdCid(sha)).toBe("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe")
    const key = some(peerIdFromText("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"))
    expect([key.type, key.publicKey?.toString()]).toEqual([
      "Ed25519",
      "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
    ])
    expect(some(peerIdFromText(peerIdCid(sha))).equals(sha)).toBe(true)
  })
})

describe("both ways", () => {
  test("an id is read from its bytes and from its text in every base", () => {
    for (const id of ids) {
      const short = id.type === "Ed25519" || id.type === "secp256k1"
      const texts = [
        id.toString(),
        ...(["base16", "base32", "base36", "base58btc", "base64url"] as const).map((base) => peerIdCid(id, base))
      ]
      for (const again of [peerIdFromBytes(id.bytes), ...texts.map(peerIdFromText)].map(some)) {
        expect(again.equals(id)).toBe(true)
        expect([again.type, again.publicKey?.equals(id.publicKey)]).toEqual(
          short ? [id.type, true] : ["RSA", undefined]
        )
      }
      expect(id.bytes.length).toBe(short ? id.publicKey!.protobuf.length + 2 : 34)
    }
  })

  test("the same as @libp2p/peer-id", () => {
    for (const [i, id] of ids.entries()) {
      // js-libp2p makes no id of an ECDSA key; a hash it reads whatever it is of.
      const theirs =
        id.type === "ECDSA"
          ? undefined
          : peerIdFromPrivateKey(privateKeyFromProtobuf(privateKeyToProtobuf(keys[i]!)) as never)
      const read = peerIdFromString(id.toString())
      for (const other of theirs === undefined ? [read] : [read, theirs]) {
        expect([other.toString(), other.toCID().toString()]).toEqual([id.toString(), peerIdCid(id)])
        expect(other.toCID().toString(base36)).toBe(peerIdCid(id, "base36"))
        expect(some(peerIdFromText(other.toCID().toString(base36))).equals(id)).toBe(true)
        expect(other.equals(id.bytes)).toBe(true)
        expect(id.equals(other.toMultihash().bytes)).toBe(true)
      }
    }
    for (let i = 0; i < 100; i++) {
      const multihash = sha256Multihash(dice.bytes(9))
      const theirs = peerIdFromMultihash(Digest.decode(multihash.bytes))
      expect(some(peerIdFromBytes(multihash.bytes)).toString()).toBe(theirs.toString())
    }
  })

  test("what an id keeps is its own", () => {
    const bytes = ids[0]!.bytes.slice()
    const id = some(peerIdFromBytes(bytes))
    bytes.fill(0)
    expect(id.equals(ids[0])).toBe(true)
  })

  test("equal to the same id, its bytes and its text, and to nothing else; JSON and templates show the text", () => {
    const [a, b] = [ids[0]!, ids[1]!]
    expect([a, { bytes: a.bytes }, a.bytes.slice(), a.toString()].map((other) => a.equals(other))).toEqual([
      true,
      true,
      true,
      true
    ])
    expect(
      [b, b.bytes, b.toString(), peerIdCid(a), null, undefined, 1, {}, { bytes: "x" }].map((other) => a.equals(other))
    ).toEqual(new Array(9).fill(false))
    expect([JSON.stringify({ a }), `${a}`]).toEqual([`{"a":"${a.toString()}"}`, a.toString()])
  })
})

describe("bytes and letters of a stranger", () => {
  test("a hash of another kind or length, a key that is none, and one too long to stand there are refused", () => {
    const ecdsa = keys[2]!.publicKey.protobuf
    const bad = [
      multihashOf(0x13, new Uint8Array(64)),
      multihashOf(sha256Code, new Uint8Array(31)),
      multihashOf(identityCode, new Uint8Array(0)),
      multihashOf(identityCode, utf8("https://example.org/")),
      multihashOf(identityCode, ecdsa),
      multihashOf(identityCode, Uint8Array.of(0x08, 0x02, 0x12, 33, 2, ...new Uint8Array(32).fill(0xff)))
    ]
    for (const { bytes } of bad)
      expect([bytes.toHex(), refusal(peerIdFromBytes(bytes))]).toEqual([
        bytes.toHex(),
        "InvalidMultihashError (decode)"
      ])
  })

  test("texts that are none", () => {
    const id = ids[0]!
    const cid = (codec: number): string => cidText({ version: 1, codec, multihash: sha256Multihash(utf8("x")) })
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["", "InvalidPeerIdError (decode)"],
      ["1", "InvalidMultihashError (decode)"],
      ["Qm", "InvalidMultihashError (decode)"],
      ["12D3KooW0", "InvalidPeerIdError (decode)"],
      [`${id.toString()}1`, "InvalidMultihashError (decode)"],
      [`z${id.toString()}`, "InvalidPeerIdError (decode)"],
      [encodeMultibase("base58btc", sha256Multihash(utf8("x")).bytes), "InvalidPeerIdError (decode)"],
      [cid(0x55), "InvalidCIDError (decode)"],
      [cid(0x70), "InvalidCIDError (decode)"],
      [cid(libp2pKeyCodec), "taken"],
      [cid(libp2pKeyCodec).toUpperCase(), "InvalidPeerIdError (decode)"],
      ["1".repeat(94), "InvalidPeerIdError (decode)"],
      ["b".repeat(1_000_000), "InvalidPeerIdError (decode)"]
    ]
    expect(cases.map(([text]) => [text, refusal(peerIdFromText(text))])).toEqual(
      cases.map(([text, wanted]) => [text, wanted])
    )
  })

  test("cut at every byte it is refused", () => {
    for (const { bytes } of ids)
      for (let length = 0; length < bytes.length; length++)
        expect([length, refusal(peerIdFromBytes(bytes.subarray(0, length)))]).toEqual([
          length,
          "InvalidMultihashError (decode)"
        ])
  })

  test("a flipped bit is refused or is another id; nothing throws, and what is read is written the same", () => {
    for (const id of ids) {
      for (let bit = 0; bit < id.bytes.length * 8; bit++) {
        const changed = id.bytes.slice()
        changed[bit >> 3]! ^= 1 << (bit & 7)
        const other = peerIdFromBytes(changed)
        if (other instanceof Libp2pFault) continue
        expect(other.equals(id)).toBe(false)
        expect([other.bytes, other.toString()]).toEqual([changed, encodeBase("base58btc", changed)])
      }
      for (const text of [id.toString(), peerIdCid(id)]) {
        for (let i = 0; i < 300; i++) {
          const letters = [...text]
          letters.splice(dice.int(letters.length), dice.int(2), dice.pick(["a", "1", "0", "Z", "z", "é", ""]))
          const changed = letters.join("")
          const other = peerIdFromText(changed)
          if (!(other instanceof Libp2pFault)) expect([other.toString(), peerIdCid(other)]).toContain(changed)
        }
      }
    }
  })
})
