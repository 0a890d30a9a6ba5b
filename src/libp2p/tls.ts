/**
 * libp2p over TLS (libp2p specs, "tls", 1.0.0). The world runs TLS 1.3 beneath the link and judges nobody; here stands what it
 * shows, a certificate that our identity vouches for in an extension, and what the certificate of the other side must be.
 */
import { concat, equal, utf8 } from "../codec/bytes.ts"
import { type Certificate, makeCertificateKey, signCertificate } from "../crypto/certificate.ts"
import { octetString, oid, readSequence, sequence, tag } from "../crypto/der.ts"
import { ownSignature, readCertificate, type X509 } from "../crypto/x509.ts"
import type { HandshakeInit, Identity, PublicKey, SecureSession, TlsSession } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { publicKeyFromProtobuf } from "./key.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { takeRoom } from "./seal-room.ts"

export const tlsProtocol = "/tls/1.0.0"

/** Of the libp2p project at IANA: SignedKey. */
const extensionOid = "1.3.6.1.4.1.53594.1.1"
const signedPrefix = utf8("libp2p-tls-handshake:")
/** What a side says in ALPN that does not choose the muxer there. */
const alpnPlain = "libp2p"
/** Bytes of what the exporter gives. */
const bindingBytes = 32

const hourMs = 3_600_000
const yearMs = 365 * 24 * hourMs

const signedBytes = (spki: Uint8Array): Uint8Array => concat(signedPrefix, spki)

/** Not critical, as go writes it: whoever speaks libp2p looks for it anyway. */
const extensionOf = ({ privateKey }: Identity, spki: Uint8Array): Uint8Array =>
  sequence(
    oid(extensionOid),
    octetString(sequence(octetString(privateKey.publicKey.protobuf), octetString(privateKey.sign(signedBytes(spki)))))
  )

/**
 * A new key of P-256 and its certificate, which holds from an hour before `now` (milliseconds since 1970) for a hundred years: one
 * for all connections of a process. `serial`: 16 random bytes.
 */
export const makeTlsCertificate = (
  identity: Identity,
  { now, serial }: { readonly now: number; readonly serial: Uint8Array }
): Certificate => {
  const key = makeCertificateKey()
  return signCertificate(key, {
    subject: "libp2p",
    serial,
    from: now - hourMs,
    to: now + 100 * yearMs,
    // The first of its extensions: js-libp2p looks at no other.
    extensions: [extensionOf(identity, key.spki)]
  })
}

/** What we say in ALPN: muxers in our order for the early choice, and last that multistream may choose. */
export const tlsAlpn = (muxers: ReadonlyArray<string>): ReadonlyArray<string> => [...muxers, alpnPlain]

/** Why a certificate was refused: `context.reason` of the fault. */
export type CertificateReason =
  | "none"
  | "several"
  | "form"
  | "unique_id"
  | "not_yet_valid"
  | "expired"
  | "critical_extension"
  | "no_extension"
  | "extension_form"
  | "public_key"
  | "algorithm"
  | "self_signature"
  | "host_signature"

const reasons: Readonly<Record<CertificateReason, string>> = {
  none: "the other side showed none",
  several: "the other side showed more than one",
  form: "it is not X.509 of version 3 in DER",
  unique_id: "it has unique ids, which are given up",
  not_yet_valid: "it does not hold yet",
  expired: "it holds no more",
  critical_extension: "an extension of it is critical, and we do not know it",
  no_extension: "it has no libp2p extension, or more than one",
  extension_form: "its libp2p extension does not hold a key and a signature",
  public_key: "its libp2p extension has no public key that we read",
  algorithm: "it is signed by an algorithm or a key that we do not take",
  self_signature: "it is not signed by its own key",
  host_signature: "the peer's key did not sign for it"
}

const refused = (reason: CertificateReason): Libp2pFault =>
  cheapFault("verify", "InvalidCryptoExchangeError", `certificate: ${reasons[reason]}`, { reason })

/** The two byte strings of SignedKey. */
const readSignedKey = (value: Uint8Array): readonly [key: Uint8Array, signature: Uint8Array] | undefined => {
  const [key, signature] = readSequence(value, 2) ?? []
  return key?.tag === tag.octetString && signature?.tag === tag.octetString
    ? [key.content, signature.content]
    : undefined
}

/** Everything but signatures. */
const formFault = (certificate: X509, now: number): Libp2pFault | undefined => {
  if (certificate.uniqueIds) return refused("unique_id")
  if (now < certificate.from) return refused("not_yet_valid")
  // The last second counts whole.
  if (now >= certificate.to + 1_000) return refused("expired")
  if (certificate.extensions.some((own) => own.critical && own.oid !== extensionOid))
    return refused("critical_extension")
  return undefined
}

/**
 * Whose certificate it is. `now`: milliseconds since 1970. A fault (verify), whose `context.reason` is a CertificateReason; what costs
 * a signature is tried last.
 */
export const verifyTlsCertificate = (bytes: Uint8Array, now: number): PublicKey | Libp2pFault => {
  const certificate = readCertificate(bytes)
  if (certificate === undefined) return refused("form")
  const fault = formFault(certificate, now)
  if (fault !== undefined) return fault
  const own = certificate.extensions.filter((extension) => extension.oid === extensionOid)
  if (own.length !== 1) return refused("no_extension")
  const signed = readSignedKey(own[0]!.value)
  if (signed === undefined) return refused("extension_form")
  const publicKey = publicKeyFromProtobuf(signed[0])
  if (publicKey instanceof Libp2pFault) return refused("public_key")
  const self = ownSignature(certificate)
  if (self !== "valid") return refused(self === "invalid" ? "self_signature" : "algorithm")
  return publicKey.verify(signedBytes(certificate.spki), signed[1]) ? publicKey : refused("host_signature")
}

/** The bytes of `parts`, as they are. */
const joined = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const out = takeRoom(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/**
 * The session that TLS beneath the link came to, or why it must end. `now`: milliseconds since 1970, for the dates of the
 * certificate. A fault: verify (see verifyTlsCertificate, and UnexpectedPeerError for another peer than was expected), or protocol,
 * where ALPN or the exporter came to nothing that we can use.
 */
export const tlsSession = (
  init: Pick<HandshakeInit, "expected" | "muxers">,
  { certificate, several, alpn, binding }: TlsSession,
  now: number
): SecureSession | Libp2pFault => {
  if (alpn === undefined || !tlsAlpn(init.muxers).includes(alpn))
    return cheapFault("protocol", "InvalidCryptoExchangeError", "TLS: no protocol of ALPN was agreed upon", { alpn })
  if (binding.length !== bindingBytes || equal(binding, new Uint8Array(bindingBytes)))
    return cheapFault("protocol", "InvalidCryptoExchangeError", "TLS: the exporter gave no secret")
  if (certificate === undefined) return refused("none")
  if (several === true) return refused("several")
  const remote = verifyTlsCertificate(certificate, now)
  if (remote instanceof Libp2pFault) return remote
  const remotePeer = peerIdOfKey(remote)
  if (init.expected !== undefined && !init.expected.equals(remotePeer))
    return cheapFault("verify", "UnexpectedPeerError", `${init.expected} was expected, and ${remotePeer} answered`)
  return {
    remote,
    remotePeer,
    earlyMuxer: alpn === alpnPlain ? undefined : alpn,
    binding,
    seal: joined,
    open: (bytes, take) => {
      take(bytes)
      return undefined
    }
  }
}
