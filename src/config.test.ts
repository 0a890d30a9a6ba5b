/** Endpoints as operators write them, and what of a configuration may be shown. */
import { expect, test } from "bun:test"
import { formatEndpoint, type NodeConfig, parseEndpoint, withoutSecrets } from "./config.ts"

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

test("what may be shown has no secret in it, and all else as it was", () => {
  const config: NodeConfig = {
    dataDir: "d",
    dev: false,
    name: "n",
    http: {
      host: "h",
      port: 1,
      adminToken: "first secret",
      peerSecret: "second secret",
      nodeUrl: "u",
      mineOnGet: true
    },
    peers: undefined,
    mining: { threads: 0, proposer: undefined, onDemand: false, everyMs: undefined },
    signatureEngine: "auto"
  }
  const shown = withoutSecrets(config)
  expect(JSON.stringify(shown)).not.toContain("secret")
  expect<NodeConfig>({
    ...shown,
    http: { ...shown.http, adminToken: "first secret", peerSecret: "second secret" }
  }).toEqual(config)
})
