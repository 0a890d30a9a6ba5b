/** The certificate is read by a library and a program not ours. That TLS takes it, transport/native.test.ts shows. */
import { expect, test } from "bun:test"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { makeCertificate } from "./certificate.ts"

const make = (now: number) => makeCertificate("node1abc", { now, serial: new Uint8Array(16).fill(0xff) })
const openssl = Bun.which("openssl")
if (openssl === null) process.stderr.write("skipped: openssl is not here to read our certificates\n")

test("it names its subject as its issuer, is signed by its own key, and the key in the PEM is that one", () => {
  const { key, cert } = make(Date.UTC(2026, 0, 1))
  const read = new X509Certificate(cert)
  expect([read.subject, read.issuer]).toEqual(["CN=node1abc", "CN=node1abc"])
  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true)
})

test("a serial is positive, whatever bytes it is made from (RFC 5280 4.1.2.2)", () => {
  for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
    const { cert } = makeCertificate("n", { now: 0, serial: new Uint8Array(16).fill(byte) })
    expect(new X509Certificate(cert).serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
  }
})

/** Made before, across and after 2050, where the form of a date changes. */
const years: ReadonlyArray<readonly [made: number, from: string, to: string]> = [
  [Date.UTC(2026, 0, 2), "Jan  1 00:00:00 2026 GMT", "Dec 31 00:00:00 2035 GMT"],
  [Date.UTC(2045, 0, 2), "Jan  1 00:00:00 2045 GMT", "Dec 31 00:00:00 2054 GMT"],
  [Date.UTC(2060, 0, 2), "Jan  1 00:00:00 2060 GMT", "Dec 30 00:00:00 2069 GMT"]
]

test.each(years)("one made at %d holds for ten years", (made, from, to) => {
  const read = new X509Certificate(make(made).cert)
  expect([read.validFrom, read.validTo].map((date) => date.replace(/ +/g, " "))).toEqual(
    [from, to].map((date) => date.replace(/ +/g, " "))
  )
})

test.if(openssl !== null).each(years)("openssl reads one made at %d by its strict rules", (made, from, to) => {
  const run = (...args: ReadonlyArray<string>) =>
    Bun.spawnSync([openssl!, ...args], { stdin: new TextEncoder().encode(make(made).cert) })
  const { exitCode, stdout } = run("x509", "-noout", "-subject", "-dates")
  expect(exitCode).toBe(0)
  expect(stdout.toString()).toBe(`subject=CN = node1abc\nnotBefore=${from}\nnotAfter=${to}\n`)
})
