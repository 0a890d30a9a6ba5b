/**
 * A self-signed certificate (X.509 v3, RFC 5280) for TLS between nodes: key P-256, for the TLS library has no secp256k1.
 * It names nobody: who a node is, the signed hello says. The node's side only.
 */
import { generateKeyPairSync, sign } from "node:crypto"
import { concat, utf8 } from "../codec/bytes.ts"

export interface Certificate {
  /** PEM. */
  readonly key: string
  /** PEM. */
  readonly cert: string
}

/** One DER value: tag, length, content. */
const der = (tag: number, ...content: ReadonlyArray<Uint8Array>): Uint8Array => {
  const body = concat(...content)
  const { length } = body
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >>> 8, length & 0xff]
  return concat(new Uint8Array([tag, ...size]), body)
}

const sequence = (...content: ReadonlyArray<Uint8Array>): Uint8Array => der(0x30, ...content)
const bytesOf = (...values: ReadonlyArray<number>): Uint8Array => new Uint8Array(values)

/** 2.5.4.3, commonName. */
const commonName = der(0x06, bytesOf(0x55, 0x04, 0x03))
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256. */
const ecdsaSha256 = sequence(der(0x06, bytesOf(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)))

/** UTCTime, with a year of two digits, before 2050; GeneralizedTime from then on (RFC 5280 4.1.2.5). */
const time = (ms: number): Uint8Array => {
  const text = `${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`
  return text < "2050" ? der(0x17, utf8(text.slice(2))) : der(0x18, utf8(text))
}

const name = (text: string): Uint8Array => sequence(der(0x31, sequence(commonName, der(0x0c, utf8(text)))))

const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes)
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END ${label}-----\n`

const dayMs = 86_400_000

/** A new key and its certificate, valid from a day before `now` for ten years. `serial`: 16 random bytes. */
export const makeCertificate = (
  subject: string,
  facts: { readonly now: number; readonly serial: Uint8Array }
): Certificate => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const serial = facts.serial.slice()
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const body = sequence(
    der(0xa0, der(0x02, bytesOf(2))),
    der(0x02, serial),
    ecdsaSha256,
    name(subject),
    sequence(time(facts.now - dayMs), time(facts.now + 3_650 * dayMs)),
    name(subject),
    new Uint8Array(publicKey.export({ type: "spki", format: "der" }))
  )
  const signature = new Uint8Array(sign("sha256", body, privateKey))
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: pem("CERTIFICATE", sequence(body, ecdsaSha256, der(0x03, bytesOf(0), signature)))
  }
}
