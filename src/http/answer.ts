/** What every route does the same: refusals as problem details, bodies and queries read by a schema. */
import { Exit, Schema } from "effect"
import type { Context } from "hono"
import { type Problem, problem } from "./problem.ts"

/** A refusal as application/problem+json (RFC 9457). */
export const answer = (c: Context, { status, code, title, detail, headers, errors, extra }: Problem): Response => {
  const body = {
    type: `urn:cairn:error:${code}`,
    title,
    status,
    code,
    detail,
    instance: c.req.path,
    ...(errors === undefined ? {} : { errors }),
    ...extra
  }
  return c.body(JSON.stringify(body), status as 400, { "content-type": "application/problem+json", ...headers })
}

const decoders = new Map<Schema.Top, (value: unknown) => Exit.Exit<unknown, unknown>>()

/** Decodes by a schema, all errors at once; a problem with this code if it does not fit. */
export const decodeWith = (schema: Schema.Top, value: unknown, code: string): { readonly value: unknown } | Problem => {
  const decode =
    decoders.get(schema) ??
    (Schema.decodeUnknownExit(schema as never, { errors: "all", onExcessProperty: "error" }) as never)
  decoders.set(schema, decode)
  const exit = decode(value)
  if (Exit.isSuccess(exit)) return { value: exit.value }
  const text = exit.cause.reasons.map((reason) => ("error" in reason ? String(reason.error) : "")).join("; ")
  return problem(400, code, text.replace(/\s+/g, " ").slice(0, 500))
}

/** The JSON of a body, or what is wrong with it. */
export const readJson = async (c: Context): Promise<{ readonly value: unknown } | Problem> => {
  const text = await c.req.text()
  if (!/^application\/json\b/i.test(c.req.header("content-type") ?? ""))
    return problem(415, "content-type-unsupported", "Send JSON with content-type: application/json.")
  try {
    return { value: JSON.parse(text) }
  } catch (error) {
    return problem(400, "json-invalid", `The body is not JSON: ${(error as Error).message}`)
  }
}
