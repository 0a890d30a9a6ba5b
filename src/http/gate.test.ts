/** A node whose settings are refused: alive, not ready, and every other route says why (L-H5). */
import { describe, expect, test } from "bun:test"
import { makeGate } from "./gate.ts"
import { routes } from "./contract.ts"

const errors = [
  {
    code: "production-admin-token-missing",
    name: "BLOCKCHAIN_ADMIN_TOKEN",
    message: "It is missing.",
    hint: "Make one."
  },
  { code: "setting-unknown", name: "CAIRN_X", message: "There is none." }
]
const app = makeGate({
  version: "1",
  mode: "production",
  name: "n",
  nodeUrl: "https://n.example",
  chainId: "c",
  errors,
  hosts: ["localhost"],
  now: () => 1_795_219_200_000
})
const ask = async (path: string, method = "GET", host = "localhost") => {
  const response = await app.fetch(new Request(`http://localhost${path}`, { method, headers: { host } }))
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers
  }
}
const refusal = {
  status: "error",
  message: "node configuration is invalid",
  errors: ["production-admin-token-missing", "setting-unknown"],
  code: "configuration-invalid"
}

describe("the gate", () => {
  test("is alive", async () => {
    expect((await ask("/livez")).status).toBe(200)
    for (const path of ["/api/health", "/health"]) {
      const { status, body } = await ask(path)
      expect([status, body]).toEqual([
        200,
        {
          status: "ok",
          service: "cairn",
          version: "1",
          mode: "production",
          node_id: "n",
          node_url: "https://n.example",
          chain_id: "c",
          config_valid: false,
          config_errors: ["It is missing.", "There is none."],
          timestamp: "2026-11-21T00:00:00.000Z"
        }
      ])
    }
  })

  test("is not ready, with the list of codes and what to do", async () => {
    for (const path of ["/api/ready", "/readyz", "/startupz"]) {
      const { status, body, headers } = await ask(path)
      expect([path, status, headers.get("content-type")]).toEqual([path, 503, "application/problem+json"])
      expect(body).toMatchObject({ ...refusal, settings: errors, instance: path })
    }
  })

  test("answers every other route with the same, whatever the method, and whether or not there is such a route", async () => {
    const others = Object.values(routes).filter(({ path }) => path !== "/api/health" && path !== "/livez")
    for (const { method, path } of [...others, { method: "DELETE", path: "/no/such" }, { method: "GET", path: "/" }]) {
      const { status, body } = await ask(path.replace(/:\w+/g, "1"), method)
      expect([path, status, body]).toMatchObject([path, 503, refusal])
    }
  })

  test("has the headers and the Host rule of every app", async () => {
    const { headers } = await ask("/api/chain")
    expect(headers.get("x-content-type-options")).toBe("nosniff")
    expect(headers.get("cache-control")).toBe("no-store")
    expect((await ask("/api/ready", "GET", "evil.example")).status).toBe(403)
  })
})
