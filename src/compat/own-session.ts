/**
 * The node's own session: who has opened its page on this machine, or can read its token file. Routes that show or use the
 * node's key, and those that make it work, need it (row D-X1). Each start has a secret of its own.
 *
 *   caller on this machine? → Host ours? → Origin, if there is one, ours? → the secret: as a token, or as the page's cookie
 */
import { timingSafeEqual } from "node:crypto"
import type { Context, MiddlewareHandler } from "hono"
import { getCookie } from "hono/cookie"
import { utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { remoteOf } from "../http/caller.ts"
import { isLoopbackAddress, isLoopbackHost } from "../http/loopback.ts"
import { problem, type Problem } from "../http/problem.ts"

export interface SessionOptions {
  /** Hex, drawn anew at each start. */
  readonly secret: string
  /** Where a caller on this machine finds it. */
  readonly file: string
  /** Of the HTTP listener: cookies are not kept apart by port, so the cookie's name must be. */
  readonly port: number
  /** Host names that stand for this node beside the loopback ones. */
  readonly hosts: ReadonlyArray<string>
}

const same = (a: string, b: string): boolean => timingSafeEqual(sha256(utf8(a)), sha256(utf8(b)))

const hostOf = (c: Context): string => c.req.header("host") ?? new URL(c.req.url).host

const isNear = (c: Context): boolean => isLoopbackAddress(remoteOf(c) ?? "")

export interface OwnSession {
  /** Undefined if the request is one of the session; else why not. */
  readonly check: (c: Context) => Problem | undefined
  /** Gives the cookie with the page, to callers on this machine. */
  readonly greet: MiddlewareHandler
}

export const makeOwnSession = ({ secret, file, port, hosts }: SessionOptions): OwnSession => {
  const cookie = `cairn-session-${port}`
  const isOurs = (host: string): boolean => isLoopbackHost(host) || hosts.includes(host)

  /** A page that may act: ours by its origin, or a request that the browser itself says is from our own page. */
  const fromOurPage = (c: Context): boolean =>
    c.req.header("origin") !== undefined || c.req.header("sec-fetch-site") === "same-origin"

  const isAuthentic = (c: Context): boolean => {
    const token = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1]
    if (token !== undefined) return same(token, secret)
    const given = getCookie(c, cookie)
    return given !== undefined && fromOurPage(c) && same(given, secret)
  }

  const check = (c: Context): Problem | undefined => {
    const host = hostOf(c)
    const origin = c.req.header("origin")
    if (!isNear(c)) return problem(403, "caller-not-local", "Only this machine itself may ask for this.")
    if (!isOurs(host)) {
      return problem(403, "host-not-allowed", `This node does not answer for the host "${host.slice(0, 80)}".`)
    }
    if (origin !== undefined && origin !== `http://${host}`) {
      return problem(403, "origin-not-allowed", "A page of another origin may not ask for this.")
    }
    if (isAuthentic(c)) return undefined
    return problem(
      403,
      "session-required",
      `Open this node's page in a browser on this machine and ask from there, or send Authorization: Bearer with the text of ${file}.`
    )
  }

  const greet: MiddlewareHandler = async (c, next) => {
    await next()
    if (!isNear(c) || !isOurs(hostOf(c))) return
    c.header("set-cookie", `${cookie}=${secret}; Path=/; HttpOnly; SameSite=Strict`, { append: true })
  }
  return { check, greet }
}
