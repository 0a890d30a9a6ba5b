/** The HTTP door: the app behind Bun's server. */
import { Data, Effect } from "effect"
import type { Hono } from "hono"
import { httpBlockBytesMax } from "../limits.ts"
import type { Arrival } from "./caller.ts"

export class HttpFault extends Data.TaggedError("HttpFault")<{ readonly message: string }> {}

export interface HttpServer {
  readonly url: string
  readonly port: number
  /** Finishes what is being answered; open event streams are cut after `graceMs`. */
  readonly stop: (graceMs: number) => Effect.Effect<void>
}

/** Seconds without a byte after which a connection is closed; event streams send a comment more often than that. */
const idleSeconds = 60

export interface HttpAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The operator's socket: whoever may open the file needs no token. */
  readonly own?: { readonly path: string; readonly bind: <A>(path: string, bind: () => A) => Promise<A> } | undefined
}

/** Before there is an app the process is alive, and no more. */
const starting = (request: Request): Response => {
  const headers = { "content-type": "application/json", "cache-control": "no-store" }
  if (new URL(request.url).pathname === "/livez") return Response.json({ status: "ok" }, { headers })
  const body = { type: "urn:cairn:error:starting", title: "Service unavailable", status: 503, code: "starting" }
  return Response.json(
    { ...body, detail: "The node opens its chain." },
    { status: 503, headers: { ...headers, "content-type": "application/problem+json", "retry-after": "1" } }
  )
}

/** Bun heeds `idleTimeout` on a socket file, too; its types do not know. */
const overUnix = (options: object) => options as { readonly unix: string; readonly fetch: () => Response }

/** Serves a handler, made once the port is known, on an address, and on the operator's socket if there is one. */
export const serveHttp = (
  at: HttpAddress,
  makeApp: (url: string) => Promise<Pick<Hono, "fetch">>
): Effect.Effect<HttpServer, HttpFault> =>
  Effect.gen(function* () {
    let app: Pick<Hono, "fetch"> | undefined
    // The app has the narrower limits, route by route.
    const limits = { idleTimeout: idleSeconds, maxRequestBodySize: httpBlockBytesMax + 1024 }
    const server = yield* Effect.try({
      try: () =>
        Bun.serve({
          hostname: at.host,
          port: at.port,
          ...limits,
          fetch: (request, connection) => {
            const remote = connection.requestIP(request)?.address
            return app === undefined ? starting(request) : app.fetch(request, { remote })
          }
        }),
      catch: (error) =>
        new HttpFault({ message: `cannot listen on ${at.host}:${at.port}: ${(error as Error).message}` })
    })
    const { own } = at
    /** Whoever comes through it is on this machine, for the file is. */
    const arrival: Arrival = { remote: "127.0.0.1", own: true }
    const fetch = (request: Request) => app?.fetch(request, arrival) ?? starting(request)
    const socket =
      own === undefined
        ? undefined
        : yield* Effect.tryPromise({
            try: () => own.bind(own.path, () => Bun.serve(overUnix({ unix: own.path, ...limits, fetch }))),
            catch: (error) => new HttpFault({ message: (error as Error).message })
          }).pipe(Effect.tapError(() => Effect.promise(() => server.stop(true))))
    const port = server.port!
    const host = at.host === "0.0.0.0" || at.host === "::" ? "localhost" : at.host
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
    app = yield* Effect.promise(() => makeApp(url))
    const stopAll = (now: boolean) => Effect.promise(() => Promise.all([server.stop(now), socket?.stop(now)]))
    const stop = (graceMs: number): Effect.Effect<void> =>
      Effect.timeoutOrElse(Effect.asVoid(stopAll(false)), {
        duration: graceMs,
        orElse: () => Effect.asVoid(stopAll(true))
      })
    return { url, port, stop }
  })
