/** The HTTP door as the world finds it: tokens of a running node, the operator's socket, and requests that are none. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { Context, Effect } from "effect"
import { makeApp } from "../../src/http/app.ts"
import { ApiError, call } from "../../src/http/client.ts"
import { type HttpServer, serveHttp } from "../../src/http/server.ts"
import { bindUnix } from "../../src/io/unix.ts"
import { httpBodyBytesMax } from "../../src/limits.ts"
import { startNode, type TestNode } from "../network.ts"
import { folder, run, suite } from "./binary.ts"

const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "",
    (error: unknown) => (error instanceof ApiError ? error.code : String(error))
  )

describe("tokens", () => {
  const { home, begin } = suite()
  const dataDir = join(home.path, "node")
  const token = async (...args: ReadonlyArray<string>) => {
    const { code, out, err } = await run("token", ...args, "--data-dir", dataDir)
    return code === 0 ? (JSON.parse(out) as { token: string }) : JSON.parse(err.trim().split("\n").at(-1)!).error.code
  }

  /** The node looks at its files once a second; to ask before would be a wrong guess, of which there are not many. */
  const lookedAt = (): Promise<void> => Bun.sleep(1_100)

  test("are made, listed and revoked beside a running node, which heeds each within a second", async () => {
    expect(await token("list")).toBe("store-missing")
    const initialised = await run("init", "--spec", "dev", "--data-dir", dataDir)
    expect(initialised.code).toBe(0)
    const { http, printed } = await begin("--data-dir", dataDir, "--no-p2p")
    const mine = (given: string | undefined) => codeOf(call(http, "mine", { body: {}, token: given }))
    const first = readFileSync(join(dataDir, "admin.token"), "utf8").trim()
    expect([await mine(undefined), await mine("wrong"), await mine(first)]).toEqual([
      "admin-token-required",
      "admin-token-required",
      ""
    ])

    const { token: anna } = await token("add", "anna")
    expect(anna).toMatch(/^[0-9a-f]{64}$/)
    const file = join(dataDir, "admin.tokens")
    expect([statSync(file).mode & 0o777, readFileSync(file, "utf8").includes(anna)]).toEqual([0o600, false])
    expect([await token("add", "anna"), await token("add", "no name"), await token("revoke", "ben")]).toEqual([
      "token-exists",
      "token-name-invalid",
      "token-missing"
    ])
    expect(await token("list")).toMatchObject({ tokens: [{ name: "anna" }], admin_token_file: true })
    await lookedAt()
    expect(await mine(anna)).toBe("")

    await token("revoke", "anna")
    await lookedAt()
    expect(await mine(anna)).toBe("admin-token-required")
    // The first one is changed by writing another.
    writeFileSync(join(dataDir, "admin.token"), "another token of the operator\n")
    await lookedAt()
    expect([await mine("another token of the operator"), await mine(first)]).toEqual(["", "admin-token-required"])
    expect(printed()).toMatch(/"admin call".*"token":"anna"/)
    // As the page for operators shows them.
    const shown = [
      ...readFileSync(join(import.meta.dir, "../../docs/runbook.md"), "utf8").matchAll(/^cairn (token .*)$/gm)
    ]
    expect(shown.length).toBe(3)
    for (const [, command] of shown) {
      const { code } = await run(...command!.replace("DIR", dataDir).split(" "))
      expect([command, code]).toEqual([command, 0])
    }
    expect(printed().includes(anna) || printed().includes(first)).toBe(false)
  }, 30_000)
})

describe("a server", () => {
  const home = folder()
  const path = join(home.path, "admin.sock")
  let node: TestNode
  let server: HttpServer
  const serve = (): Promise<HttpServer> =>
    Effect.runPromise(
      serveHttp({ host: "127.0.0.1", port: 0, own: { path, bind: bindUnix } }, () => {
        const facts = { ...node.tree.node.facts, dev: false }
        const shape = { ...node.tree.node, facts }
        const options = { context: Context.empty(), adminToken: undefined, page: new Map(), hosts: ["localhost"] }
        return Promise.resolve(makeApp({ node: shape, ...options }))
      })
    )

  beforeAll(async () => {
    node = await startNode()
    // A process that was killed leaves its file.
    const left = Bun.spawnSync([
      process.execPath,
      "-e",
      `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response("x") }); process.kill(process.pid, "SIGKILL")`
    ])
    expect([left.signalCode, existsSync(path)]).toEqual(["SIGKILL", true])
    server = await serve()
  })
  afterAll(async () => {
    await Effect.runPromise(server.stop(500))
    expect(existsSync(path)).toBe(false)
    await node.stop()
    home.remove()
  })

  test("answers admin routes on its socket file without a token, and on its port with one only", async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect((await call(`unix:${path}`, "mine", { body: {} })).block.height).toBe(1)
    expect((await call(`unix:${path}`, "stats")).stats.blocks).toBe(2)
    const status = await run("status", "--node", `unix:${path}`)
    expect([status.code, JSON.parse(status.out).stats.blocks]).toEqual([0, 2])
    expect(await codeOf(call(server.url, "mine", { body: {} }))).toBe("admin-token-required")
    expect(await codeOf(call(`unix:${path}.not`, "stats"))).toBe("unreachable")
  })

  test("takes no socket file from one that lives", async () => {
    const exit = await Effect.runPromise(Effect.result(Effect.promise(() => serve().catch((error: unknown) => error))))
    expect(String(JSON.stringify(exit))).toContain("admin.sock")
    expect((await call(`unix:${path}`, "live")).status).toBe("ok")
  })

  /** What comes back for these bytes, up to the end of the connection. */
  const raw = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = ""
      const socket = connect(server.port, "127.0.0.1", () => socket.write(bytes))
      socket.setTimeout(10_000, () => reject(new Error("no end came")))
      socket.on("data", (chunk) => void (text += chunk))
      socket.on("error", () => {})
      socket.on("close", () => resolve(text))
    })
  const head = (line: string, ...headers: ReadonlyArray<string>): string =>
    `${[line, "Host: localhost", "Connection: close", ...headers].join("\r\n")}\r\n\r\n`

  test.each([
    ["a header beyond 16 KB", head("GET /livez HTTP/1.1", `X: ${"a".repeat(17_000)}`), 431],
    ["300 headers", head("GET /livez HTTP/1.1", ...Array.from({ length: 300 }, (_, i) => `X${i}: a`)), 431],
    ["a path beyond 16 KB", head(`GET /${"a".repeat(17_000)} HTTP/1.1`), 431],
    ["two lengths", head("POST /api/mine HTTP/1.1", "Content-Length: 3", "Content-Length: 4"), 400],
    ["a length and chunks", head("POST /api/mine HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked"), 400],
    ["a header of two lines", head("GET /livez HTTP/1.1", "X: a\r\n b"), 400],
    ["a space before the colon", head("GET /livez HTTP/1.1", "Content-Length : 3"), 400],
    ["no Host", "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
    ["a body too long", head("POST /api/transactions HTTP/1.1", `Content-Length: ${httpBodyBytesMax + 1}`), 413],
    ["two hosts", head("GET /livez HTTP/1.1", "Host: evil.example"), 403],
    ["nothing wrong", head("GET /livez HTTP/1.1"), 200]
  ])("answers a request with %s", async (_, bytes, status) => {
    expect((await raw(bytes)).split("\r\n")[0]).toStartWith(`HTTP/1.1 ${status} `)
  })
})
