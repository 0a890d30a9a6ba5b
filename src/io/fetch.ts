/** Questions to other machines by HTTP: one POST of JSON and its answer. A door: the tests' world has its own services behind it. */
import { Data, Effect } from "effect"

/** Nobody answered, not in time, or at too great length. */
export class FetchFault extends Data.TaggedError("FetchFault")<{ readonly message: string }> {}

export interface Posted {
  readonly url: string
  readonly body: string
  /** Until the last byte of the answer. */
  readonly timeoutMs: number
  /** A longer answer is a fault, and the rest of it is not read. */
  readonly bytesMax: number
}

export interface FetchAnswer {
  readonly status: number
  readonly body: string
}

export type Fetch = (posted: Posted) => Effect.Effect<FetchAnswer, FetchFault>

/** The body, if it is not too long: by what the answer says of itself before it is read, and by what comes. */
export const readBounded = async ({ headers, body }: Response, bytesMax: number): Promise<string> => {
  const tooLong = new Error(`the answer has more than ${bytesMax} bytes`)
  if (Number(headers.get("content-length") ?? 0) > bytesMax) {
    await body?.cancel()
    throw tooLong
  }
  const parts: Array<Uint8Array> = []
  let bytes = 0
  // Who leaves this loop early has cancelled the rest.
  for await (const part of body ?? []) {
    bytes += part.length
    if (bytes > bytesMax) throw tooLong
    parts.push(part)
  }
  return Buffer.concat(parts).toString("utf8")
}

/** The door as Bun has it. It goes where it was sent: what the answer redirects to is not followed. */
export const bunFetch: Fetch = ({ url, body, timeoutMs, bytesMax }) =>
  Effect.tryPromise({
    try: async (interrupted) => {
      const response = await fetch(url, {
        method: "POST",
        body,
        redirect: "error",
        headers: { "content-type": "application/json", accept: "application/json" },
        signal: AbortSignal.any([interrupted, AbortSignal.timeout(timeoutMs)])
      })
      return { status: response.status, body: await readBounded(response, bytesMax) }
    },
    catch: (error) => new FetchFault({ message: error instanceof Error ? error.message : String(error) })
  })
