/**
 * Reading a certificate of somebody else (X.509, RFC 5280 4.1) and trying its own signature. What it is worth is for others to
 * judge. Never throws; the node's side only.
 */
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto"
import { equal } from "../codec/bytes.ts"
import { bytesOfBits, type DerValue, readAll, readDer, readOid, readOnly, readSequence, readTime, tag } from "./der.ts"

/** Bytes of the longest certificate that is read: one of RSA-8192 with an RSA host key in it has some 4,500. */
const certificateBytesMax = 16 * 1024
const extensionsMax = 32

export interface Extension {
  /** Dotted; empty: it has arcs that we do not read, so it is none that we know. */
  readonly oid: string
  readonly critical: boolean
  readonly value: Uint8Array
}

/** What stands in a certificate, as far as we ask. All arrays are views. */
export interface X509 {
  /** What is signed. */
  readonly body: Uint8Array
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** Milliseconds since 1970: the first and the last one at which it holds. */
  readonly from: number
  readonly to: number
  /** issuerUniqueID or subjectUniqueID is there. */
  readonly uniqueIds: boolean
  readonly extensions: ReadonlyArray<Extension>
  readonly algorithm: Uint8Array
  readonly signature: Uint8Array
}

const extensionOf = (value: DerValue): Extension | undefined => {
  const parts = value.tag === tag.sequence ? readAll(value.content, 3) : undefined
  if (parts === undefined) return undefined
  const [id, ...rest] = parts
  const critical = rest.length === 2 ? rest[0]! : undefined
  // DER leaves out what is false.
  if (critical !== undefined && (critical.tag !== tag.boolean || !equal(critical.content, Uint8Array.of(0xff))))
    return undefined
  const octets = rest.at(-1)
  if (id?.tag !== tag.oid || octets === undefined || octets.tag !== tag.octetString) return undefined
  return { oid: readOid(id) ?? "", critical: critical !== undefined, value: octets.content }
}

const extensionsOf = (value: DerValue | undefined): ReadonlyArray<Extension> | undefined => {
  if (value === undefined) return []
  const list = readSequence(value.content, extensionsMax)?.map(extensionOf)
  return list === undefined || list.length === 0 || !list.every((one) => one !== undefined) ? undefined : list
}

/** What follows the subject's key: unique ids, then extensions, each at most once and in that order. */
const tailOf = (rest: ReadonlyArray<DerValue>) => {
  const tags = rest.map((value) => value.tag)
  if (tags.some((own, i) => ![0x81, 0x82, 0xa3].includes(own) || own <= (tags[i - 1] ?? 0))) return undefined
  const extensions = extensionsOf(rest.find((value) => value.tag === 0xa3))
  return extensions === undefined ? undefined : { uniqueIds: tags.some((own) => own < 0xa0), extensions }
}

const isVersion3 = (value: DerValue | undefined): boolean =>
  value?.tag === 0xa0 && equal(value.content, Uint8Array.of(tag.integer, 1, 2))

/** The certificate that fills `bytes`; undefined: it is not one of version 3 in DER. */
export const readCertificate = (bytes: Uint8Array): X509 | undefined => {
  if (bytes.length > certificateBytesMax) return undefined
  const outer = readSequence(bytes, 3)
  const body = outer?.[0]
  const algorithm = outer?.[1]
  const signature = bytesOfBits(outer?.[2])
  if (body?.tag !== tag.sequence || algorithm?.tag !== tag.sequence || signature === undefined) return undefined
  const [version, serial, inner, issuer, validity, subject, spki, ...rest] = readAll(body.content, 10) ?? []
  if (!isVersion3(version) || serial?.tag !== tag.integer || spki?.tag !== tag.sequence) return undefined
  if (inner === undefined || !equal(inner.raw, algorithm.raw)) return undefined
  if (issuer?.tag !== tag.sequence || subject?.tag !== tag.sequence || validity?.tag !== tag.sequence) return undefined
  const dates = readAll(validity.content, 2)
  const from = readTime(dates?.[0])
  const to = readTime(dates?.[1])
  const tail = tailOf(rest)
  if (from === undefined || to === undefined || tail === undefined) return undefined
  return { body: body.raw, spki: spki.raw, from, to, algorithm: algorithm.raw, signature, ...tail }
}

/** How a signature is checked: hash, and of which keys. */
interface Scheme {
  readonly hash: "sha256" | "sha384" | "sha512" | null
  readonly key: "ec" | "rsa" | "ed25519"
  /** The one curve that TLS 1.3 pairs with the hash (RFC 8446 4.2.3). */
  readonly curve?: string
  readonly pss?: true
}

const schemes: Readonly<Record<string, Scheme>> = {
  "1.2.840.10045.4.3.2": { hash: "sha256", key: "ec", curve: "1.2.840.10045.3.1.7" },
  "1.2.840.10045.4.3.3": { hash: "sha384", key: "ec", curve: "1.3.132.0.34" },
  "1.2.840.10045.4.3.4": { hash: "sha512", key: "ec", curve: "1.3.132.0.35" },
  "1.2.840.113549.1.1.11": { hash: "sha256", key: "rsa" },
  "1.2.840.113549.1.1.12": { hash: "sha384", key: "rsa" },
  "1.2.840.113549.1.1.13": { hash: "sha512", key: "rsa" },
  "1.3.101.112": { hash: null, key: "ed25519" }
}
const pssOid = "1.2.840.113549.1.1.10"
const pssHashes: Readonly<Record<string, "sha256" | "sha384" | "sha512">> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512"
}
const rsaBitsMin = 2_048
const rsaBitsMax = 8_192

/** RSASSA-PSS-params (RFC 4055 3.1): the hash stands under [0]; without it, SHA-1, which is refused. */
const pssScheme = (params: DerValue | undefined): Scheme | undefined => {
  const fields = params?.tag === tag.sequence ? readAll(params.content, 4) : undefined
  const first = fields?.[0]
  const hash = first?.tag === 0xa0 ? readSequence(first.content, 2) : undefined
  const named = pssHashes[readOid(hash?.[0]) ?? ""]
  return named === undefined ? undefined : { hash: named, key: "rsa", pss: true }
}

const schemeOf = (algorithm: Uint8Array): Scheme | undefined => {
  const parts = readSequence(algorithm, 2)
  const id = readOid(parts?.[0])
  return id === pssOid ? pssScheme(parts?.[1]) : id === undefined ? undefined : schemes[id]
}

/** Curves by name only: parameters written out have been used to forge (CVE-2020-0601). */
const fits = (scheme: Scheme, key: KeyObject, spki: Uint8Array): boolean => {
  if (key.asymmetricKeyType !== scheme.key) return false
  if (scheme.key === "rsa") {
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
    return bits >= rsaBitsMin && bits <= rsaBitsMax
  }
  if (scheme.curve === undefined) return true
  const algorithm = readDer(readOnly(spki, tag.sequence)!.content)
  return readOid(algorithm === undefined ? undefined : readAll(algorithm.content, 2)?.[1]) === scheme.curve
}

/** Is it signed by its own key? "unsupported": by a key or with an algorithm that we do not take. */
export const ownSignature = (certificate: X509): "valid" | "invalid" | "unsupported" => {
  const scheme = schemeOf(certificate.algorithm)
  if (scheme === undefined) return "unsupported"
  try {
    const key = createPublicKey({ key: Buffer.from(certificate.spki), format: "der", type: "spki" })
    if (!fits(scheme, key, certificate.spki)) return "unsupported"
    const padding = scheme.pss ? { padding: constants.RSA_PKCS1_PSS_PADDING } : {}
    return verify(scheme.hash, certificate.body, { key, ...padding }, certificate.signature) ? "valid" : "invalid"
  } catch {
    // The library takes no such key, or no such signature.
    return "unsupported"
  }
}
