/** Envelopes and peer records: ours are opened by js-libp2p and its by us; what is wrong with one is told apart. */
import { describe, expect, test } from "bun:test"
import { privateKeyFromProtobuf as jsPrivateKey } from "@libp2p/crypto/keys"
import { peerIdFromPrivateKey } from "@libp2p/peer-id"
import { PeerRecord as JsPeerRecord, RecordEnvelope } from "@libp2p/peer-record"
import { multiaddr as jsMultiaddr } from "@multiformats/multiaddr"
import { concatAll, utf8 } from "../codec/bytes.ts"
import { peerRecordAddressesMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import type { Identity, KeyType, PrivateKey } from "./contract.ts"
import { openEnvelope, sealEnvelope } from "./envelope.ts"
import { Libp2pFault } from "./fault.ts"
import { generateKey, keyFromSeed, privateKeyToProtobuf } from "./key.ts"
import { multiaddr } from "./multiaddr.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { isNewer, openPeerRecord, type PeerRecord, peerRecordKind, sealPeerRecord } from "./peer-record.ts"
import { bytesField, message, varintField } from "./protobuf.ts"

const identityOf = (key: PrivateKey | Libp2pFault): Identity => {
  if (key instanceof Libp2pFault) throw key
  return { privateKey: key, peerId: peerIdOfKey(key.publicKey) }
}
const mine = identityOf(keyFromSeed(new Uint8Array(32).fill(7)))
const theirs = identityOf(keyFromSeed(new Uint8Array(32).fill(8)))
const texts = ["/ip4/1.2.3.4/tcp/4001", "/ip6/2001:db9::1/udp/4001/quic-v1", `/dns4/a.example/tcp/1/p2p/${mine.peerId}`]
const addresses = texts.map((text) => multiaddr(text))

const opened = (bytes: Uint8Array): PeerRecord => {
  const record = openPeerRecord(bytes)
  if (record instanceof Libp2pFault) throw record
  return record
}
const kindOf = (result: unknown): unknown => (result instanceof Libp2pFault ? result.kind : result)
/** Without ECDSA: @libp2p/crypto reads no such key as go writes it, and @libp2p/peer-id makes no id of one. */
const types: ReadonlyArray<KeyType> = ["Ed25519", "secp256k1", "RSA"]

describe("js-libp2p", () => {
  test.each(types)("opens a record that we signed with %s, and reads what we wrote", async (type) => {
    const identity = identityOf(generateKey(type))
    const bytes = sealPeerRecord(identity, 1_700_000_000_000_000_123n, addresses)
    const envelope = await RecordEnvelope.openAndCertify(bytes, JsPeerRecord.DOMAIN)
    const record = JsPeerRecord.createFromProtobuf(envelope.payload)
    expect([...envelope.payloadType]).toEqual([3, 1])
    expect([record.peerId.toString(), record.seqNumber, record.multiaddrs.map(String)]).toEqual([
      identity.peerId.toString(),
      1_700_000_000_000_000_123n,
      texts
    ])
  })

  test.each(types)(
    "signs a record with %s that we open; with the same key both write the same payload",
    async (type) => {
      const identity = identityOf(generateKey(type))
      const privateKey = jsPrivateKey(privateKeyToProtobuf(identity.privateKey))
      const peerId = peerIdFromPrivateKey(privateKey)
      const multiaddrs = texts.map((text) => jsMultiaddr(text))
      const sealed = await RecordEnvelope.seal(new JsPeerRecord({ peerId, multiaddrs, seqNumber: 5n }), privateKey)
      const record = opened(sealed.marshal())
      expect([record.peerId.toString(), record.seq, record.addresses.map(String), record.unread]).toEqual([
        identity.peerId.toString(),
        5n,
        texts,
        0
      ])
      const ours = openEnvelope(sealPeerRecord(identity, 5n, addresses), [peerRecordKind])
      expect(ours instanceof Libp2pFault ? ours : ours.payload.toHex()).toBe(sealed.payload.toHex())
    }
  )
})

describe("a peer record", () => {
  const payload = message(
    bytesField(1, mine.peerId.bytes),
    varintField(2, 9),
    bytesField(3, bytesField(1, addresses[0]!.bytes))
  )

  test("signed with ECDSA is opened too", () => {
    const identity = identityOf(generateKey("ECDSA"))
    expect(opened(sealPeerRecord(identity, 3n, addresses)).peerId.equals(identity.peerId)).toBe(true)
  })

  test("of rust-libp2p is read: its domain and its type go together", () => {
    const rust = { domain: "libp2p-routing-state", payloadType: utf8("/libp2p/routing-state-record") }
    expect(opened(sealEnvelope(mine.privateKey, rust, payload)).addresses.map(String)).toEqual([texts[0]!])
    for (const mixed of [
      { ...rust, domain: peerRecordKind.domain },
      { ...peerRecordKind, domain: rust.domain }
    ])
      expect(kindOf(openPeerRecord(sealEnvelope(mine.privateKey, mixed, payload)))).toBe("verify")
  })

  test("with its type as a varint, as one implementation wrote it, is of a type that nobody reads", () => {
    const varint = { ...peerRecordKind, payloadType: Uint8Array.of(0x81, 0x06) }
    expect(kindOf(openPeerRecord(sealEnvelope(mine.privateKey, varint, payload)))).toBe("unsupported")
  })

  test("of another peer than who signed it is refused", () => {
    expect(kindOf(openPeerRecord(sealPeerRecord({ ...mine, privateKey: theirs.privateKey }, 1n, addresses)))).toBe(
      "verify"
    )
  })

  test("without a number has 0, without addresses has none; without a peer it is none", () => {
    const bare = opened(sealPeerRecord(mine, 0n, []))
    expect([bare.seq, bare.addresses, bare.peerId.equals(mine.peerId)]).toEqual([0n, [], true])
    expect(kindOf(openPeerRecord(sealEnvelope(mine.privateKey, peerRecordKind, varintField(2, 1))))).toBe("decode")
    expect(opened(sealPeerRecord(mine, 2n ** 64n - 1n, [])).seq).toBe(2n ** 64n - 1n)
  })

  test("has addresses that we cannot read: they are counted, and the others count", () => {
    const strange = bytesField(3, bytesField(1, Uint8Array.of(0xff, 0xff, 0x03, 0x01)))
    const record = opened(
      sealEnvelope(mine.privateKey, peerRecordKind, concatAll([strange, payload, bytesField(3, "")]))
    )
    expect([record.addresses.map(String), record.unread]).toEqual([[texts[0]!], 2])
  })

  test("has so many addresses and no more", () => {
    const many = (count: number): Uint8Array => {
      const info = bytesField(3, bytesField(1, addresses[0]!.bytes))
      return sealEnvelope(mine.privateKey, peerRecordKind, concatAll([payload, ...Array(count - 1).fill(info)]))
    }
    expect(opened(many(peerRecordAddressesMax)).addresses).toHaveLength(peerRecordAddressesMax)
    expect(kindOf(openPeerRecord(many(peerRecordAddressesMax + 1)))).toBe("decode")
    expect(opened(sealPeerRecord(mine, 1n, Array(300).fill(addresses[0]!))).addresses).toHaveLength(
      peerRecordAddressesMax
    )
  })

  test("that is cut or bent anywhere, and signed as such, is a fault or a record of who signed it", () => {
    const kinds = new Set<string>()
    const sound = message(
      bytesField(1, mine.peerId.bytes),
      varintField(2, 300),
      ...addresses.map(({ bytes }) => bytesField(3, bytesField(1, bytes)))
    )
    const judge = (bytes: Uint8Array): PeerRecord | Libp2pFault => {
      const record = openPeerRecord(sealEnvelope(mine.privateKey, peerRecordKind, bytes))
      if (record instanceof Libp2pFault) {
        kinds.add(record.kind)
        expect(record.name).toBe("InvalidMessageError")
        return record
      }
      kinds.add("record")
      expect([record.peerId.equals(mine.peerId), record.seq >= 0n]).toEqual([true, true])
      expect(record.addresses.length + record.unread).toBeLessThanOrEqual(peerRecordAddressesMax)
      // What was read is an address in whole: its text says the same bytes again.
      for (const one of record.addresses) expect(multiaddr(one.toString()).bytes).toEqual(one.bytes)
      return record
    }
    expect(judge(sound)).toMatchObject({ seq: 300n, unread: 0 })
    for (let at = 0; at < sound.length; at++) {
      judge(sound.subarray(0, at))
      for (let bit = 0; bit < 8; bit++) {
        const changed = sound.slice()
        changed[at]! ^= 1 << bit
        judge(changed)
      }
    }
    const dice = makeDice(12)
    for (let round = 0; round < 2_000; round++) judge(dice.mutate(sound))
    expect([...kinds].sort()).toEqual(["decode", "record", "verify"])
  })

  test("takes the place of one with a lower number only", () => {
    expect([isNewer(0n, undefined), isNewer(2n, 1n), isNewer(1n, 1n), isNewer(1n, 2n)]).toEqual([
      true,
      true,
      false,
      false
    ])
  })
})

describe("an envelope", () => {
  const kind = { domain: "test", payloadType: Uint8Array.of(1) }
  const bytes = sealEnvelope(mine.privateKey, kind, utf8("hello"))

  test("is for one purpose", () => {
    const own = openEnvelope(bytes, [kind])
    expect(own instanceof Libp2pFault ? own : [String(own.publicKey), own.payload]).toEqual([
      String(mine.privateKey.publicKey),
      utf8("hello")
    ])
    expect(kindOf(openEnvelope(bytes, [{ ...kind, domain: "tess" }]))).toBe("verify")
    expect(kindOf(openEnvelope(bytes, [{ ...kind, payloadType: Uint8Array.of(2) }]))).toBe("unsupported")
  })

  test("changed at any bit or cut off at any byte is refused", () => {
    for (let at = 0; at < bytes.length; at++) {
      expect([at, kindOf(openEnvelope(bytes.subarray(0, at), [kind]))]).toEqual([at, "decode"])
      for (let bit = 0; bit < 8; bit++) {
        const changed = bytes.slice()
        changed[at]! ^= 1 << bit
        expect(openEnvelope(changed, [kind])).toBeInstanceOf(Libp2pFault)
      }
    }
  })

  test("of more bytes than one may have is refused before it is read", () => {
    const fault = openEnvelope(sealEnvelope(mine.privateKey, kind, new Uint8Array(8 * 1024)), [kind])
    expect(String(fault)).toContain("more than 8192 bytes")
  })
})
