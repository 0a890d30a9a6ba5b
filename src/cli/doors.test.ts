/** What an operator's choices mean at the door. */
import { describe, expect, test } from "bun:test"
import { Context } from "effect"
import { defaults, type HttpConfig, type NodeConfig } from "../config.ts"
import { doorsOf } from "./doors.ts"
import { Failure } from "./failure.ts"

const make = (http: Partial<HttpConfig>, mode: "development" | "production" = "development") => {
  const config: NodeConfig = {
    dataDir: "/nowhere",
    dev: false,
    mode,
    http: { host: "127.0.0.1", port: 0, adminToken: undefined, ...http },
    peers: undefined,
    mining: { threads: 0, proposer: undefined, onDemand: false, everyMs: undefined },
    signatureEngine: "auto"
  }
  const random = (length: number): Uint8Array => new Uint8Array(length)
  return doorsOf(config, { context: Context.empty(), random, now: () => 0 })
}

test("a node on loopback answers for loopback names and those that it is given; a public one for any, until it is given some", () => {
  const nodeUrl = "https://node.example:8443/path"
  for (const host of ["127.0.0.1", "127.0.0.5", "::1", "localhost"]) expect(make({ host }).hosts).toEqual(["localhost"])
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "node.example"]) expect(make({ host }).hosts).toEqual([])
  expect(make({ nodeUrl, hosts: ["other.example"] }).hosts).toEqual(["localhost", "node.example:8443", "other.example"])
  expect(make({ host: "0.0.0.0", nodeUrl }).hosts).toEqual(["node.example:8443"])
})

test("pages of the node's own URL may post, as those that are listed", () => {
  expect(make({}).cors).toEqual([])
  expect(make({ nodeUrl: "https://node.example/x", corsOrigins: ["https://a.example"] }).cors).toEqual([
    "https://a.example",
    "https://node.example"
  ])
})

describe("rates", () => {
  const few = { public: 1, admin: 1, peer: 1 }

  test("are the usual ones, and hold for this machine only in production or where they are others", () => {
    expect(make({}).access).toMatchObject({ rates: defaults.rates, sparesNear: true })
    expect(make({ rates: { ...defaults.rates } }).access).toMatchObject({ sparesNear: true })
    expect(make({ rates: few }).access).toMatchObject({ rates: few, sparesNear: false })
    expect(make({}, "production").access).toMatchObject({ rates: defaults.rates, sparesNear: false })
  })
})

test("a proxy that is no address and no network is refused, with its text", () => {
  expect(make({ trustedProxies: ["10.0.0.0/8", "::1"] }).access.trustedProxies?.map(({ bits }) => bits)).toEqual([
    8, 128
  ])
  for (const text of ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33"]) {
    try {
      make({ trustedProxies: [text] })
      expect(text).toBe("refused")
    } catch (error) {
      expect(error).toBeInstanceOf(Failure)
      expect((error as Failure).code).toBe("network-invalid")
    }
  }
})

test("a data folder without tokens has none, and does not fail", () => {
  expect(make({}).access.tokens?.(0)).toEqual([])
})
