/** Files of private keys: each form is read, what openssl and @libp2p/crypto wrote among them, and nothing throws. */
import { expect, test } from "bun:test"
import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import vectors from "../../test/vectors/libp2p-keys.json"
import { utf8 } from "../codec/bytes.ts"
import { makeDice } from "../sim/dice.ts"
import type { KeyType } from "./contract.ts"
import { Libp2pFault } from "./fault.ts"
import { generateKey, privateKeyFromProtobuf, privateKeyToProtobuf } from "./key.ts"
import { privateKeyFromFile, privateKeyFromPem, privateKeyToPem } from "./key-file.ts"

const some = <A>(value: A | Libp2pFault): A => {
  if (value instanceof Libp2pFault) throw value
  return value
}
const refusal = (value: unknown): string => (value instanceof Libp2pFault ? `${value.name} (${value.kind})` : "taken")
const dice = makeDice(1)
const keys = (["Ed25519", "RSA", "ECDSA", "secp256k1"] as const).map((type: KeyType) =>
  some(generateKey(type, { random: dice.bytes }))
)

test("a file is the protobuf, its base64, the 64 bytes of Ed25519, or PEM", () => {
  for (const key of keys) {
    const base64 = privateKeyToProtobuf(key).toBase64()
    for (const text of [base64, `${base64}\n`]) expect(some(privateKeyFromFile(utf8(text))).equals(key)).toBe(true)
    expect(some(privateKeyFromFile(privateKeyToProtobuf(key))).equals(key)).toBe(true)
    if (key.type === "secp256k1") continue
    const pem = some(privateKeyToPem(key))
    expect(pem).toStartWith("-----BEGIN PRIVATE KEY-----\n")
    expect(some(privateKeyFromFile(utf8(pem))).raw).toEqual(key.raw)
  }
  expect(some(privateKeyFromFile(keys[0]!.raw)).equals(keys[0])).toBe(true)
  expect(refusal(privateKeyToPem(keys[3]!))).toBe("UnsupportedKeyTypeError (unsupported)")
})

/** The specs' keys as `openssl pkey` and `openssl ec` write them. */
const opensslEd25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIH4IMGF8Sn3oOSXfsmlFVrEpNsR3oOH+suFI7J2mD+59
-----END PRIVATE KEY-----
`
const opensslSec1 = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEID5bH+lxLmwxSUKnUL1nSF3jwe/oWxv7Ugro+a49+kpMoAoGCCqGSM49
AwEHoUQDQgAE3j0wD6Nq4Oj11TCJnYOrq0Sr8xYfFipLyQHY5uzaAg6LbV+NowUl
5x1oUVEMCY5cR8ZGpZf7Tc7ANOn3fECeYg==
-----END EC PRIVATE KEY-----
`

test("keys that openssl wrote are the specs' keys", () => {
  const spec = (type: string) =>
    some(privateKeyFromProtobuf(Uint8Array.fromHex(vectors.specs.find((row) => row.type === type)!.private)))
  expect(some(privateKeyFromPem(opensslEd25519)).equals(spec("Ed25519"))).toBe(true)
  expect(some(privateKeyFromPem(opensslSec1)).equals(spec("ECDSA"))).toBe(true)
  const pkcs1 = createPrivateKey(some(privateKeyToPem(spec("RSA"))))
    .export({ format: "pem", type: "pkcs1" })
    .toString()
  expect(pkcs1).toStartWith("-----BEGIN RSA PRIVATE KEY-----")
  expect(some(privateKeyFromPem(pkcs1)).equals(spec("RSA"))).toBe(true)
})

test("other types, public keys, encrypted keys, small ones and no keys are refused", () => {
  const pem = (
    key: { export: (how: { format: "pem"; type: "pkcs8"; cipher?: string; passphrase?: string }) => string | Buffer },
    cipher?: string
  ) => key.export({ format: "pem", type: "pkcs8", ...(cipher && { cipher, passphrase: "x" }) }).toString()
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const texts = [
    pem(generateKeyPairSync("x25519").privateKey),
    pem(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey),
    pem(generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey),
    pem(p256.privateKey, "aes-256-cbc"),
    p256.publicKey.export({ format: "pem", type: "spki" }).toString(),
    opensslSec1.slice(0, 100),
    `${opensslSec1}${" ".repeat(20_000)}`,
    "-----BEGIN PRIVATE KEY-----",
    ""
  ]
  expect(texts.map((text) => refusal(privateKeyFromFile(utf8(text))))).toEqual(
    texts.map(() => "InvalidPrivateKeyError (decode)")
  )
  expect(texts.map((text) => refusal(privateKeyFromPem(text)))).toEqual(
    texts.map(() => "InvalidPrivateKeyError (decode)")
  )
})

test("no file makes it throw", () => {
  const files = [
    utf8(privateKeyToProtobuf(keys[0]!).toBase64()),
    utf8("AAAA".repeat(5_000)),
    utf8(opensslEd25519),
    utf8(opensslSec1),
    keys[0]!.raw,
    ...keys.map(privateKeyToProtobuf)
  ]
  for (let i = 0; i < 2_000; i++) {
    const read = privateKeyFromFile(dice.mutate(dice.pick(files)))
    expect(read instanceof Libp2pFault || read.type.length > 0).toBe(true)
  }
})
