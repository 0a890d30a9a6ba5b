/** Endpoints as operators write them. */
import { expect, test } from "bun:test"
import { formatEndpoint, parseEndpoint } from "./config.ts"

test("host:port is read, IPv6 in brackets, and written back the same", () => {
  for (const text of ["127.0.0.1:19100", "node-1.example:1", "[::1]:65535", "[fe80::1]:80"]) {
    const endpoint = parseEndpoint(text)!
    expect(formatEndpoint(endpoint.host, endpoint.port)).toBe(text)
  }
})

test("what is not an endpoint is refused", () => {
  for (const text of ["", "host", "host:", ":1", "host:0", "host:65536", "::1:80", "a b:1", "http://x:1"]) {
    expect(parseEndpoint(text)).toBeUndefined()
  }
})
