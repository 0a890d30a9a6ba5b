/** libp2p TLS: our certificate before others' eyes, others' before ours, and every way in which one can be wrong. */
import { describe, expect, test } from "bun:test"
import { createHash, generateKeyPairSync, sign, X509Certificate } from "node:crypto"
import { byHostKey, bySignature } from "../../test/vectors/certificates.ts"
import { published } from "../../test/vectors/published.ts"
import { concat, equal, utf8 } from "../codec/bytes.ts"
import { type CertificateFacts, makeCertificateKey, signCertificate } from "../crypto/certificate.ts"
import { bitString, der, octetString, oid, sequence, tag, time } from "../crypto/der.ts"
import { ownSignature, readCertificate } from "../crypto/x509.ts"
import type { Identity, KeyType, PrivateKey, TlsSession } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { generateKey, keyFromSeed } from "./key.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { makeTlsCertificate, tlsAlpn, tlsSession, verifyTlsCertificate } from "./tls.ts"

const identityOf = (key: PrivateKey | Libp2pFault): Identity => {
  if (key instanceof Libp2pFault) throw key
  return { privateKey: key, peerId: peerIdOfKey(key.publicKey) }
}
const mine = identityOf(keyFromSeed(new Uint8Array(32).fill(7)))
const other = identityOf(keyFromSeed(new Uint8Array(32).fill(8)))
const now = Date.UTC(2026, 10, 21)
const serial = new Uint8Array(16).fill(0x99)
const derOf = (pem: string): Uint8Array => Uint8Array.fromBase64(pem.replace(/-----[A-Z ]+-----/g, ""))
const fromBase64 = (text: string): Uint8Array => Uint8Array.fromBase64(text)
const reasonOf = (result: unknown): unknown =>
  result instanceof Libp2pFault ? `${result.kind} ${result.context["reason"] ?? result.name}` : String(result)

interface Vectors {
  readonly tls: ReadonlyArray<{ readonly cert_der_hex: string; readonly peer_id: string; readonly valid: boolean }>
}
const vectors = published<Vectors>("reference-vectors.json")?.tls ?? []

test.each(vectors)("the specification's certificate of $peer_id, valid: $valid", ({ cert_der_hex, peer_id, valid }) => {
  const key = verifyTlsCertificate(Uint8Array.fromHex(cert_der_hex), now)
  expect(reasonOf(key)).toBe(valid ? peer_id : "verify host_signature")
})

test.each(byHostKey)("a certificate of go-libp2p with a host key of %s", (_, certificate, peerId) => {
  expect(reasonOf(verifyTlsCertificate(fromBase64(certificate), now))).toBe(peerId ?? "verify host_signature")
})

test.each(Object.entries(bySignature))("a certificate signed by %s", (name, certificate) => {
  const bytes = fromBase64(certificate)
  const verdict = name === "ed448" || name === "nistp384_sha256" ? "algorithm" : "host_signature"
  const at = Date.UTC(2021, 11, 20)
  if (name === "rsa_pss_sha384") expect(verifyTlsCertificate(bytes, at)).toHaveProperty("type", "Ed25519")
  else expect(reasonOf(verifyTlsCertificate(bytes, at))).toBe(`verify ${verdict}`)
  if (name !== "rsa_pss_sha384") expect(reasonOf(verifyTlsCertificate(bytes, now))).toBe("verify expired")
  // Another byte under the same signature.
  const changed = bytes.slice()
  changed[changed.length - 1]! ^= 1
  if (verdict !== "algorithm") expect(ownSignature(readCertificate(changed)!)).toBe("invalid")
})

describe("our certificate", () => {
  const types: ReadonlyArray<KeyType> = ["Ed25519", "secp256k1", "ECDSA", "RSA"]

  test.each(types)("says whose it is, with a host key of %s", (type) => {
    const identity = identityOf(generateKey(type))
    const { cert } = makeTlsCertificate(identity, { now, serial })
    expect(reasonOf(verifyTlsCertificate(derOf(cert), now))).toBe(identity.peerId.toString())
  })

  const { key, cert } = makeTlsCertificate(mine, { now, serial })

  test("is signed by its own key of P-256, holds from an hour ago for a hundred years, and has one extension", () => {
    const read = new X509Certificate(cert)
    expect([read.verify(read.publicKey), read.publicKey.asymmetricKeyDetails?.namedCurve]).toEqual([true, "prime256v1"])
    expect(key).toStartWith("-----BEGIN PRIVATE KEY-----")
    const own = readCertificate(derOf(cert))!
    expect([own.from, own.to]).toEqual([now - 3_600_000, now + 100 * 365 * 86_400_000])
    expect(own.extensions.map((one) => [one.oid, one.critical])).toEqual([["1.3.6.1.4.1.53594.1.1", false]])
  })

  const openssl = Bun.which("openssl")
  if (openssl === null) process.stderr.write("skipped: openssl is not here to read our certificates\n")
  test.if(openssl !== null)("is read by openssl", () => {
    const run = Bun.spawnSync([openssl!, "x509", "-noout", "-text"], { stdin: utf8(cert) })
    expect([run.exitCode, run.stdout.toString()]).toEqual([0, expect.stringContaining("1.3.6.1.4.1.53594.1.1")])
  })

  test("changed in any byte is refused, cut off at any byte too", () => {
    const bytes = derOf(cert)
    for (let at = 0; at < bytes.length; at++) {
      expect(verifyTlsCertificate(bytes.subarray(0, at), now)).toBeInstanceOf(Libp2pFault)
      for (const bit of [1, 0x80]) {
        const changed = bytes.slice()
        changed[at]! ^= bit
        expect(verifyTlsCertificate(changed, now)).toBeInstanceOf(Libp2pFault)
      }
    }
    expect(reasonOf(verifyTlsCertificate(concat(bytes, new Uint8Array(1)), now))).toBe("verify form")
  })
})

describe("a certificate of somebody else", () => {
  const p2p = "1.3.6.1.4.1.53594.1.1"
  const critical = der(tag.boolean, Uint8Array.of(0xff))
  const extension = (id: string, value: Uint8Array, isCritical = false): Uint8Array =>
    isCritical ? sequence(oid(id), critical, octetString(value)) : sequence(oid(id), octetString(value))
  const signedKey = (spki: Uint8Array, identity = mine): Uint8Array =>
    sequence(
      octetString(identity.privateKey.publicKey.protobuf),
      octetString(mine.privateKey.sign(concat(utf8("libp2p-tls-handshake:"), spki)))
    )
  const judged = (
    extensions: (spki: Uint8Array) => ReadonlyArray<Uint8Array>,
    facts: Partial<CertificateFacts> = {},
    at = now
  ): unknown => {
    const key = makeCertificateKey()
    const { cert } = signCertificate(key, {
      subject: "x",
      serial,
      from: now - 1_000,
      to: now + 1_000,
      extensions: extensions(key.spki),
      ...facts
    })
    return reasonOf(verifyTlsCertificate(derOf(cert), at))
  }
  const good = (spki: Uint8Array) => [extension(p2p, signedKey(spki))]

  test("holds from its first to the end of its last second", () => {
    const at = (ms: number) => judged(good, {}, ms)
    expect([at(now - 1_001), at(now - 1_000), at(now + 1_999), at(now + 2_000)]).toEqual([
      "verify not_yet_valid",
      mine.peerId.toString(),
      mine.peerId.toString(),
      "verify expired"
    ])
  })

  test("may mark the extension critical, and have others that are not", () => {
    expect(judged((spki) => [extension("2.5.29.15", new Uint8Array(2)), extension(p2p, signedKey(spki), true)])).toBe(
      mine.peerId.toString()
    )
    expect(judged((spki) => [...good(spki), extension("2.5.29.15", new Uint8Array(2), true)])).toBe(
      "verify critical_extension"
    )
  })

  test("has the extension once, and in its form", () => {
    expect(judged(() => [])).toBe("verify no_extension")
    expect(judged((spki) => [...good(spki), ...good(spki)])).toBe("verify no_extension")
    const three = (spki: Uint8Array) => sequence(...[1, 2, 3].map(() => octetString(spki)))
    expect(judged((spki) => [extension(p2p, three(spki))])).toBe("verify extension_form")
    expect(judged(() => [extension(p2p, utf8("hello"))])).toBe("verify extension_form")
    expect(judged((spki) => [extension(p2p, sequence(octetString(spki)))])).toBe("verify extension_form")
    expect(judged((spki) => [extension(p2p, concat(signedKey(spki), new Uint8Array(1)))])).toBe("verify extension_form")
    expect(judged(() => [extension(p2p, sequence(octetString(utf8("key")), octetString(utf8("signature"))))])).toBe(
      "verify public_key"
    )
  })

  test("is vouched for by the host's key, for this key and no other", () => {
    expect(judged(() => [extension(p2p, signedKey(makeCertificateKey().spki))])).toBe("verify host_signature")
    expect(judged((spki) => [extension(p2p, signedKey(spki, other))])).toBe("verify host_signature")
  })

  test("is signed by the key in it", () => {
    const [one, two] = [makeCertificateKey(), makeCertificateKey()]
    const { cert } = signCertificate(
      { privateKey: two.privateKey, spki: one.spki },
      {
        subject: "x",
        serial,
        from: now,
        to: now,
        extensions: good(one.spki)
      }
    )
    expect(reasonOf(verifyTlsCertificate(derOf(cert), now))).toBe("verify self_signature")
  })

  test("has a key that its signature can be by", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }))
    const { cert } = signCertificate(
      { privateKey: makeCertificateKey().privateKey, spki },
      {
        subject: "x",
        serial,
        from: now,
        to: now,
        extensions: good(spki)
      }
    )
    expect(privateKey.asymmetricKeyType).toBe("ed25519")
    expect(reasonOf(verifyTlsCertificate(derOf(cert), now))).toBe("verify algorithm")
  })

  test.each([
    [1_024, "verify algorithm"],
    [2_048, mine.peerId.toString()]
  ])("with a key of RSA has enough bits: %d", (modulusLength, expected) => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength })
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }))
    const algorithm = sequence(oid("1.2.840.113549.1.1.11"), der(tag.null))
    const body = sequence(
      der(0xa0, der(tag.integer, Uint8Array.of(2))),
      der(tag.integer, Uint8Array.of(1)),
      algorithm,
      sequence(),
      sequence(time(now), time(now)),
      sequence(),
      spki,
      der(0xa3, sequence(...good(spki)))
    )
    const certificate = sequence(body, algorithm, bitString(new Uint8Array(sign("sha256", body, privateKey))))
    expect(reasonOf(verifyTlsCertificate(certificate, now))).toBe(expected)
  })

  test("has so many bytes and no more", () => {
    const filled = (length: number) => (spki: Uint8Array) => [...good(spki), extension("1.2.3", new Uint8Array(length))]
    expect(judged(filled(15_000))).toBe(mine.peerId.toString())
    expect(judged(filled(16_384))).toBe("verify form")
  })

  test("has no unique ids", () => {
    const bytes = fromBase64(bySignature["nistp256_sha256"]!)
    const { body } = readCertificate(bytes)!
    // Four bytes of tag and length, here as there; the extensions, shorter than 128 bytes, are the last in it.
    const at = body.findLastIndex((byte, i) => byte === 0xa3 && i + 2 + body[i + 1]! === body.length)
    const withId = sequence(body.subarray(4, at), der(0x81, Uint8Array.of(0, 1)), body.subarray(at))
    const whole = sequence(withId, bytes.subarray(4 + body.length))
    expect(reasonOf(verifyTlsCertificate(whole, Date.UTC(2021, 11, 20)))).toBe("verify unique_id")
  })

  test("of any bytes never throws", () => {
    const seeds = [...Object.values(bySignature), ...byHostKey.map(([, own]) => own)].map(fromBase64)
    let state = 5
    const upTo = (max: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * max)
    }
    for (let i = 0; i < 5_000; i++) {
      const seed = seeds[upTo(seeds.length)]!
      const bytes = [...seed]
      for (let changes = 1 + upTo(4); changes > 0; changes--)
        bytes.splice(upTo(bytes.length), upTo(4), ...Array.from({ length: upTo(4) }, () => upTo(256)))
      if (!equal(Uint8Array.from(bytes), seed))
        expect(verifyTlsCertificate(Uint8Array.from(bytes), now)).toBeInstanceOf(Libp2pFault)
    }
  })
})

describe("a session", () => {
  const certificate = derOf(makeTlsCertificate(mine, { now, serial }).cert)
  const binding = new Uint8Array(createHash("sha256").update("secret").digest())
  const init = { expected: undefined, muxers: ["/yamux/1.0.0"] }
  const good: TlsSession = { certificate, alpn: "/yamux/1.0.0", binding }

  const sessionOf = (init_: typeof init, tls: TlsSession) => {
    const session = tlsSession(init_, tls, now)
    if (session instanceof Libp2pFault) throw session
    return session
  }

  test("tells who it is with, the muxer that ALPN chose, and the secret of both ends", () => {
    const early = sessionOf(init, good)
    expect([String(early.remotePeer), String(early.remote), early.earlyMuxer, early.binding]).toEqual([
      mine.peerId.toString(),
      mine.peerId.toString(),
      "/yamux/1.0.0",
      binding
    ])
    expect(sessionOf(init, { ...good, alpn: "libp2p" }).earlyMuxer).toBeUndefined()
    expect(tlsAlpn(init.muxers)).toEqual(["/yamux/1.0.0", "libp2p"])
  })

  test("hands bytes on as they are", () => {
    const session = sessionOf(init, good)
    const whole = utf8("hello")
    expect(session.seal([whole], 5)).toBe(whole)
    expect(session.seal([utf8("hel"), utf8("lo")], 5)).toEqual(whole)
    const taken: Array<Uint8Array> = []
    expect(session.open(whole, (bytes) => taken.push(bytes))).toBeUndefined()
    expect(taken).toEqual([whole])
  })

  test("does not come about otherwise", () => {
    const fault = (tls: Partial<TlsSession>, expected = mine.peerId): unknown =>
      reasonOf(tlsSession({ ...init, expected }, { ...good, ...tls }, now))
    expect(fault({})).toBe("[object Object]")
    expect(fault({ certificate: undefined })).toBe("verify none")
    expect(fault({ certificate: certificate.subarray(1) })).toBe("verify form")
    expect(fault({}, other.peerId)).toBe("verify UnexpectedPeerError")
    for (const alpn of [undefined, "h2", "/mplex/6.7.0", ""])
      expect(fault({ alpn })).toBe("protocol InvalidCryptoExchangeError")
    expect(fault({ binding: new Uint8Array(32) })).toBe("protocol InvalidCryptoExchangeError")
    expect(fault({ binding: binding.subarray(1) })).toBe("protocol InvalidCryptoExchangeError")
    expect(reasonOf(tlsSession(init, good, now - 3_600_001))).toBe("verify not_yet_valid")
  })
})
