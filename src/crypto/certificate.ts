/**
 * A self-signed certificate (X.509 v3, RFC 5280) for TLS between nodes: key P-256, for the TLS library has no secp256k1.
 * It names nobody: who a node is, the signed hello or an extension says. The node's side only.
 */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { utf8 } from "../codec/bytes.ts"
import { bitString, der, oid, sequence, tag, time } from "./der.ts"

export interface Certificate {
  /** PEM. */
  readonly key: string
  /** PEM. */
  readonly cert: string
}

/** A new key of its own for a certificate. */
export interface CertificateKey {
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
}

/** What a certificate says. */
export interface CertificateFacts {
  readonly subject: string
  /** 16 random bytes. */
  readonly serial: Uint8Array
  /** Milliseconds since 1970, both. */
  readonly from: number
  readonly to: number
  /** Extensions, each a whole DER value, in their order. */
  readonly extensions: ReadonlyArray<Uint8Array>
}

const commonName = oid("2.5.4.3")
const ecdsaSha256 = sequence(oid("1.2.840.10045.4.3.2"))

const name = (text: string): Uint8Array => sequence(der(tag.set, sequence(commonName, der(tag.utf8String, utf8(text)))))

const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${bytes
    .toBase64()
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END ${label}-----\n`

const dayMs = 86_400_000

export const makeCertificateKey = (): CertificateKey => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { privateKey, spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })) }
}

/** The certificate of that key, signed by it. */
export const signCertificate = ({ privateKey, spki }: CertificateKey, facts: CertificateFacts): Certificate => {
  const serial = facts.serial.slice()
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const body = sequence(
    der(0xa0, der(tag.integer, Uint8Array.of(2))),
    der(tag.integer, serial),
    ecdsaSha256,
    name(facts.subject),
    sequence(time(facts.from), time(facts.to)),
    name(facts.subject),
    spki,
    ...(facts.extensions.length === 0 ? [] : [der(0xa3, sequence(...facts.extensions))])
  )
  const signature = new Uint8Array(sign("sha256", body, privateKey))
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: pem("CERTIFICATE", sequence(body, ecdsaSha256, bitString(signature)))
  }
}

/** A new key and its certificate, valid from a day before `now` for ten years. `serial`: 16 random bytes. */
export const makeCertificate = (
  subject: string,
  { now, serial }: { readonly now: number; readonly serial: Uint8Array }
): Certificate =>
  signCertificate(makeCertificateKey(), {
    subject,
    serial,
    from: now - dayMs,
    to: now + 3_650 * dayMs,
    extensions: []
  })
