/**
 * What a node serves whose settings are refused, where its operator wants to look rather than have it end (L-H5): it is
 * alive, it is not ready, and every other route says why. No chain is opened and no peer is heard.
 */
import { type Context, Hono } from "hono"
import { httpBodyBytesMax } from "../limits.ts"
import { closed, guards } from "./guards.ts"

/** Why settings are refused. */
export interface GateError {
  readonly code: string
  readonly name: string
  readonly message: string
  readonly hint?: string
}

export interface GateOptions {
  readonly version: string
  readonly mode: string
  readonly name: string
  readonly nodeUrl: string
  readonly chainId: string
  readonly errors: ReadonlyArray<GateError>
  /** Host names that requests may carry; empty: any. */
  readonly hosts: ReadonlyArray<string>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const message = "node configuration is invalid"

/** The app in the node's place. */
export const makeGate = (options: GateOptions): Hono => {
  const app = new Hono()
  const { errors } = options
  for (const guard of guards({ hosts: options.hosts }, httpBodyBytesMax)) app.use(guard)

  const health = (c: Context): Response =>
    c.json({
      status: "ok",
      service: "cairn",
      version: options.version,
      mode: options.mode,
      node_id: options.name,
      node_url: options.nodeUrl,
      chain_id: options.chainId,
      config_valid: false,
      config_errors: errors.map((error) => error.message),
      timestamp: new Date(options.now()).toISOString()
    })
  /** A problem (RFC 9457) with the reference system's keys beside. */
  const refused = (c: Context): Response => {
    const body = {
      type: "urn:cairn:error:configuration-invalid",
      title: "Service unavailable",
      code: "configuration-invalid",
      detail: `${message}: ${errors.map((error) => error.message).join(" ")}`,
      instance: c.req.path,
      status: "error",
      message,
      errors: errors.map(({ code }) => code),
      settings: errors
    }
    return c.body(JSON.stringify(body), 503, {
      "content-type": "application/problem+json",
      "cache-control": "no-store"
    })
  }
  app.get("/livez", (c) => c.json({ status: "ok" }))
  for (const path of ["/health", "/api/health"]) app.get(path, health)
  app.all("*", refused)
  return closed(app, "")
}
