/** Who may use the node's key over HTTP: every way in, and every way that must stay shut (row D-X1). */
import { describe, expect, test } from "bun:test"
import { Hono } from "hono"
import { answer } from "../http/answer.ts"
import { makeOwnSession } from "./own-session.ts"

const secret = "5e".repeat(32)
const at = "127.0.0.1:5000"
const session = (hosts: ReadonlyArray<string> = []) => makeOwnSession({ secret, file: "F", port: 5000, hosts })

const appOf = ({ check, greet }: ReturnType<typeof session>): Hono => {
  const app = new Hono()
  app.get("/", greet)
  app.get("/", (c) => c.text("page"))
  app.all("/own", (c) => {
    const refused = check(c)
    return refused === undefined ? c.text("yes") : answer(c, refused)
  })
  return app
}
const app = appOf(session())

interface From {
  readonly headers?: Readonly<Record<string, string>>
  readonly remote?: string | undefined
  readonly app?: Hono
}

/** "200", or the status with the code of the refusal. */
const ask = async ({ headers = {}, app: asked = app, ...from }: From): Promise<string> => {
  const remote = "remote" in from ? from.remote : "127.0.0.1"
  const request = new Request(`http://${at}/own`, { method: "POST", headers: { host: at, ...headers } })
  const response = await asked.fetch(request, { remote })
  return response.status === 200 ? "200" : `${response.status} ${((await response.json()) as { code: string }).code}`
}

const cookie = `other=1; cairn-session-5000=${secret}`
const token = { authorization: `Bearer ${secret}` }

describe("the node's own session", () => {
  test("is its page's, with the cookie and from its origin", async () => {
    expect(await ask({ headers: { cookie, origin: `http://${at}` } })).toBe("200")
    expect(await ask({ headers: { cookie, "sec-fetch-site": "same-origin" } })).toBe("200")
    const named = { cookie, host: "localhost:5000", origin: "http://localhost:5000" }
    expect(await ask({ headers: named, remote: "::1" })).toBe("200")
  })

  test("is a command line's on this machine, with the token and without a page", async () => {
    expect(await ask({ headers: token })).toBe("200")
    expect(await ask({ headers: token, remote: "::ffff:127.0.0.1" })).toBe("200")
    expect(await ask({ headers: { ...token, origin: `http://${at}` } })).toBe("200")
  })

  test("is no other page's: not of another node here, not of a file, not of the web", async () => {
    for (const origin of ["http://127.0.0.1:5001", "http://evil.example", "null", "https://127.0.0.1:5000"]) {
      expect([origin, await ask({ headers: { cookie, origin } })]).toEqual([origin, "403 origin-not-allowed"])
      expect([origin, await ask({ headers: { ...token, origin } })]).toEqual([origin, "403 origin-not-allowed"])
    }
    // An image or a link of another page sends the cookie, and no origin: the page of another port is the same site.
    for (const site of ["same-site", "cross-site", "none"])
      expect(await ask({ headers: { cookie, "sec-fetch-site": site } })).toBe("403 session-required")
    expect(await ask({ headers: { cookie } })).toBe("403 session-required")
  })

  test("is nobody's without the secret, or with another", async () => {
    expect(await ask({})).toBe("403 session-required")
    expect(await ask({ headers: { origin: `http://${at}` } })).toBe("403 session-required")
    expect(await ask({ headers: { authorization: `Bearer ${"00".repeat(32)}` } })).toBe("403 session-required")
    const old = `cairn-session-5000=${"00".repeat(32)}`
    expect(await ask({ headers: { cookie: old, origin: `http://${at}` } })).toBe("403 session-required")
    const others = `cairn-session-5001=${secret}`
    expect(await ask({ headers: { cookie: others, origin: `http://${at}` } })).toBe("403 session-required")
    // A wrong token is not made good by the cookie.
    const both = { cookie, origin: `http://${at}`, authorization: "Bearer wrong" }
    expect(await ask({ headers: both })).toBe("403 session-required")
  })

  test("is no other machine's, whatever it knows, nor one's whose address nobody knows", async () => {
    for (const remote of ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "fe80::1", "128.0.0.1", undefined])
      expect([remote, await ask({ headers: token, remote })]).toEqual([remote, "403 caller-not-local"])
  })

  test("is not reached by another name of the host, unless the operator gave it", async () => {
    for (const host of ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "192.168.0.9:5000"])
      expect([host, await ask({ headers: { ...token, host } })]).toEqual([host, "403 host-not-allowed"])
    const named = appOf(session(["node.lan"]))
    expect(await ask({ headers: { ...token, host: "node.lan" }, app: named })).toBe("200")
  })

  test("comes with the page, to this machine and by a name of ours only, out of reach of scripts and other sites", async () => {
    const cookieFor = async (remote: string | undefined, host: string) =>
      (await app.fetch(new Request(`http://${at}/`, { headers: { host } }), { remote })).headers.get("set-cookie")
    const given = `cairn-session-5000=${secret}; Path=/; HttpOnly; SameSite=Strict`
    expect(await cookieFor("127.0.0.1", at)).toBe(given)
    expect(await cookieFor("192.0.2.7", at)).toBeNull()
    expect(await cookieFor(undefined, at)).toBeNull()
    expect(await cookieFor("127.0.0.1", "evil.example")).toBeNull()
  })
})
