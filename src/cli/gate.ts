/** `cairn start --serve-unready` with settings that are refused: serves the reasons until it is told to stop. */
import { Clock, Effect } from "effect"
import { makeGate } from "../http/gate.ts"
import { serveHttp } from "../http/server.ts"
import { failure, type Failure } from "./failure.ts"
import { paint, print } from "./output.ts"
import type { Settled } from "./settings.ts"
import { hearSignals } from "./signals.ts"
import { version } from "./version.ts"

/** Is there an address to serve the reasons on? */
export const canServe = ({ values, errors }: Pick<Settled, "values" | "errors">): boolean =>
  values.serveUnready && !errors.some(({ key }) => key === "httpHost" || key === "httpPort" || key === "serveUnready")

/** Ends with success on SIGTERM or SIGINT. */
export const serveGate = ({ values, errors, chain }: Settled): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const untilSignal = yield* hearSignals
      const clock = yield* Clock.Clock
      const near = values.httpHost === "127.0.0.1" || values.httpHost === "::1"
      const outside = values.nodeUrl === undefined ? [] : [new URL(values.nodeUrl).host]
      const app = makeGate({
        version,
        mode: values.mode,
        name: values.name ?? "",
        nodeUrl: values.nodeUrl ?? "",
        chainId: chain?.ledger.chainId ?? values.chainId ?? "",
        // Anybody may ask: what stands in the settings is for the operator's own eyes.
        errors: errors.map(({ key: _, said: __, ...error }) => error),
        hosts: near ? ["localhost", ...outside, ...values.hosts] : [],
        now: () => clock.currentTimeMillisUnsafe()
      })
      const server = yield* serveHttp({ host: values.httpHost, port: values.httpPort }, async () => app).pipe(
        Effect.mapError((fault) =>
          failure("failed", "listen-failed", fault.message, "Choose another port with --http-port.")
        )
      )
      print({ ready: false, http: server.url, errors: errors.map(({ code }) => code) }, [
        `${paint("red", "cairn")} ${version} does not start: its settings are refused.`,
        ...errors.map(({ message, hint }) => `  ${message}${hint === undefined ? "" : ` ${hint}`}`),
        `  ${server.url}/api/ready tells why. Ctrl-C ends it.`
      ])
      yield* untilSignal
      yield* server.stop(500)
    })
  )
