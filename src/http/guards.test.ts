/** What stands around every app: headers, Host, Origin, bodies, preflights, and answers to what is no route. */
import { describe, expect, test } from "bun:test"
import { Hono } from "hono"
import { closed, guards, type Origins } from "./guards.ts"

const make = (origins: Partial<Origins> = {}): Hono => {
  const app = new Hono()
  const all = { hosts: [], ...origins }
  for (const guard of guards(all, 100)) app.use(guard)
  app.get("/read", (c) => c.text("read"))
  app.post("/write", async (c) => c.text(await c.req.text()))
  app.get("/both", (c) => c.text("get"))
  app.post("/both", (c) => c.text("post"))
  app.get("/broken", () => {
    throw new Error(`a secret of ${import.meta.path}`)
  })
  return closed(app, "Nowhere.", all)
}
const ask = (app: Hono, path: string, headers: Record<string, string> = {}, method = "GET", body?: string) =>
  app.request(`http://localhost${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
const codeOf = async (response: Response | Promise<Response>): Promise<readonly [number, string]> => {
  const answer = await response
  return [answer.status, ((await answer.json().catch(() => ({}))) as { code?: string }).code ?? ""]
}

describe("every answer", () => {
  test("keeps a browser from being used against us, also when it is a refusal or a bug", async () => {
    for (const path of ["/read", "/nowhere", "/write", "/broken"]) {
      const { headers } = await ask(make(), path)
      expect(headers.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
      expect(headers.get("x-content-type-options")).toBe("nosniff")
      expect(headers.get("x-frame-options")).toBe("DENY")
      expect(headers.get("referrer-policy")).toBe("no-referrer")
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin")
      expect(headers.get("cross-origin-resource-policy")).toBe("same-origin")
      expect(headers.get("permissions-policy")).toContain("camera=()")
      expect(headers.get("access-control-allow-origin")).toBeNull()
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test("has the request's id if that is well formed, else one of ours", async () => {
    for (const id of ["a", "trace:1.2_3-4", "x".repeat(64)])
      expect((await ask(make(), "/read", { "x-request-id": id })).headers.get("x-request-id")).toBe(id)
    for (const id of ["", "a b", "<script>", "x".repeat(65)])
      expect((await ask(make(), "/read", { "x-request-id": id })).headers.get("x-request-id")).toMatch(
        /^[0-9a-f-]{36}$/
      )
  })

  test("to a bug says nothing of where it is", async () => {
    const response = await ask(make(), "/broken")
    const text = await response.text()
    expect([response.status, (JSON.parse(text) as { code: string }).code]).toEqual([500, "internal"])
    expect(text).not.toMatch(/secret|guards\.test|\bat\b|Error:/)
  })
})

describe("what is no route", () => {
  test("is 404, or 405 with the methods that the path has", async () => {
    expect(await codeOf(ask(make(), "/nowhere"))).toEqual([404, "route-not-found"])
    for (const [method, path, allow] of [
      ["POST", "/read", "GET"],
      ["GET", "/write", "POST"],
      ["DELETE", "/both", "GET, POST"],
      ["OPTIONS", "/both", "GET, POST"]
    ] as const) {
      const response = await ask(make(), path, {}, method)
      expect([path, response.status, response.headers.get("allow")]).toEqual([path, 405, allow])
    }
  })
})

describe("Host", () => {
  const status = async (origins: Partial<Origins>, host: string): Promise<number> =>
    (await ask(make(origins), "/read", { host })).status

  test("is ours, loopback, or an address; a name that somebody else gave us is refused", async () => {
    const origins = { hosts: ["localhost", "node.example", "other.example:8443"] }
    for (const host of [
      "localhost",
      "localhost:8080",
      "127.0.0.1:8080",
      "[::1]:8080",
      "192.0.2.1:8080",
      "[2001:db8::1]"
    ])
      expect([host, await status(origins, host)]).toEqual([host, 200])
    for (const host of ["node.example", "NODE.example:8080", "other.example:8443"])
      expect([host, await status(origins, host)]).toEqual([host, 200])
    for (const host of [
      "evil.example",
      "node.example.evil.example",
      "other.example",
      "127.0.0.1.evil.example",
      "localhost.evil"
    ])
      expect([host, await status(origins, host)]).toEqual([host, 403])
  })

  test("is any, where the operator listens publicly and names none", async () => {
    expect(await status({}, "whatever.example")).toBe(200)
  })
})

describe("Origin", () => {
  const write = (origins: Partial<Origins>, origin: string | undefined, host = "localhost:8080") =>
    ask(make(origins), "/write", { host, ...(origin === undefined ? {} : { origin }) }, "POST", "x")

  test("of a form must be our own", async () => {
    const own = { hosts: ["localhost", "node.example"] }
    for (const origin of [undefined, "http://localhost:8080", "https://localhost:8080"])
      expect((await write(own, origin)).status).toBe(200)
    expect((await write(own, "https://node.example", "node.example")).status).toBe(200)
    for (const origin of [
      "null",
      "",
      "http://",
      "http://evil.example",
      "http://localhost:8081",
      "http://localhost",
      "http://["
    ])
      expect([origin, ...(await codeOf(write(own, origin)))]).toEqual([origin, 403, "origin-not-allowed"])
  })

  test("matters for whatever changes something, not only for POST", async () => {
    for (const method of ["PUT", "PATCH", "DELETE"])
      expect([method, ...(await codeOf(ask(make(), "/write", { origin: "http://evil.example" }, method)))]).toEqual([
        method,
        403,
        "origin-not-allowed"
      ])
  })

  test("of the list may read and write; no other may read", async () => {
    const cors = ["https://wallet.example"]
    const written = await write({ cors }, "https://wallet.example")
    expect([written.status, written.headers.get("access-control-allow-origin")]).toEqual([
      200,
      "https://wallet.example"
    ])
    expect(written.headers.get("vary")).toBe("origin")
    expect(written.headers.get("access-control-expose-headers")).toContain("ratelimit")
    for (const origin of ["https://wallet.example.evil.example", "http://wallet.example", "null"]) {
      const read = await ask(make({ cors }), "/read", { origin })
      expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, null])
      expect((await write({ cors }, origin)).status).toBe(403)
    }
    expect((await ask(make({ cors }), "/read")).headers.get("vary")).toBe("origin")
  })

  test("of anybody may read where * is listed, and write nowhere; cookies are never let through", async () => {
    const cors = ["*"]
    const read = await ask(make({ cors }), "/read", { origin: "https://any.example" })
    expect(read.headers.get("access-control-allow-origin")).toBe("https://any.example")
    expect(read.headers.get("access-control-allow-credentials")).toBeNull()
    expect((await write({ cors }, "https://any.example")).status).toBe(403)
    expect((await write({ cors }, "*")).status).toBe(403)
  })
})

describe("a preflight", () => {
  const preflight = (origins: Partial<Origins>, path: string, origin: string, method = "POST") =>
    ask(make(origins), path, { origin, "access-control-request-method": method }, "OPTIONS")

  test("of a listed origin hears what it may send", async () => {
    const { status, headers } = await preflight({ cors: ["https://wallet.example"] }, "/both", "https://wallet.example")
    expect([status, headers.get("access-control-allow-methods")]).toEqual([204, "GET, POST"])
    expect(headers.get("access-control-allow-origin")).toBe("https://wallet.example")
    expect(headers.get("access-control-allow-headers")).toContain("x-blockchain-admin-token")
  })

  test("of anybody hears that it may read, where * is listed", async () => {
    const { headers } = await preflight({ cors: ["*"] }, "/both", "https://any.example", "GET")
    expect(headers.get("access-control-allow-methods")).toBe("GET")
  })

  test("of anybody else is refused, and where is no route there is nothing to ask", async () => {
    expect(await codeOf(preflight({}, "/both", "https://wallet.example"))).toEqual([403, "origin-not-allowed"])
    const cors = ["https://wallet.example"]
    expect(await codeOf(preflight({ cors }, "/both", "https://evil.example"))).toEqual([403, "origin-not-allowed"])
    expect(await codeOf(preflight({ cors }, "/nowhere", "https://wallet.example"))).toEqual([404, "route-not-found"])
  })
})

test("a body beyond the bound is refused, with and without a length", async () => {
  expect(await codeOf(ask(make(), "/write", {}, "POST", "x".repeat(101)))).toEqual([413, "body-too-large"])
  expect((await ask(make(), "/write", {}, "POST", "x".repeat(100))).status).toBe(200)
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(60))
  })
  const endless = new Request("http://localhost/write", { method: "POST", body, duplex: "half" } as RequestInit)
  expect(await codeOf(await make().fetch(endless))).toEqual([413, "body-too-large"])
})
