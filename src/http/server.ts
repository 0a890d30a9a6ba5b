/** The HTTP door: the app behind Bun's server. */
import { Data, Effect } from "effect"
import type { Hono } from "hono"
import { httpBlockBytesMax } from "../limits.ts"

export class HttpFault extends Data.TaggedError("HttpFault")<{ readonly message: string }> {}

export interface HttpServer {
  readonly url: string
  readonly port: number
  /** Finishes what is being answered; open event streams are cut after `graceMs`. */
  readonly stop: (graceMs: number) => Effect.Effect<void>
}

/** Seconds without a byte after which a connection is closed; event streams send a comment more often than that. */
const idleSeconds = 60

/** Serves a handler, made once the port is known, on an address. */
export const serveHttp = (
  at: { readonly host: string; readonly port: number },
  makeApp: (url: string) => Promise<Pick<Hono, "fetch">>
): Effect.Effect<HttpServer, HttpFault> =>
  Effect.gen(function* () {
    let app: Pick<Hono, "fetch"> | undefined
    const starting = (): Response => new Response("starting", { status: 503, headers: { "retry-after": "1" } })
    const server = yield* Effect.try({
      try: () =>
        Bun.serve({
          hostname: at.host,
          port: at.port,
          idleTimeout: idleSeconds,
          // The app has the narrower limits, route by route.
          maxRequestBodySize: httpBlockBytesMax + 1024,
          fetch: (request, connection) => {
            const remote = connection.requestIP(request)?.address
            return app === undefined ? starting() : app.fetch(request, { remote })
          }
        }),
      catch: (error) =>
        new HttpFault({ message: `cannot listen on ${at.host}:${at.port}: ${(error as Error).message}` })
    })
    const port = server.port!
    const host = at.host === "0.0.0.0" || at.host === "::" ? "localhost" : at.host
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
    app = yield* Effect.promise(() => makeApp(url))
    const stop = (graceMs: number): Effect.Effect<void> =>
      Effect.timeoutOrElse(
        Effect.promise(() => server.stop(false)),
        { duration: graceMs, orElse: () => Effect.promise(() => server.stop(true)) }
      )
    return { url, port, stop }
  })
