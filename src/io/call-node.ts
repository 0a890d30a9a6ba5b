/**
 * Requests to other nodes whose URLs an operator has named. A door: the tests' world has its own nodes behind it.
 *
 *   URL → the address of its host, looked up once → private? → a connection to that address and no other → a bounded answer
 *
 * So a name that means something else a moment later (DNS rebinding) leads nowhere, and neither does an answer that
 * redirects. By HTTPS the certificate must be that of the name.
 */
import { Data, Effect } from "effect"
import { isPrivate, parseIp } from "../codec/ip.ts"
import { type FetchAnswer, readBounded } from "./fetch.ts"

/** Nobody was asked, or nobody answered: the host has no address, or one that is not to be asked; no answer, or none in time. */
export class CallFault extends Data.TaggedError("CallFault")<{
  readonly code: "url-invalid" | "https-required" | "name-unknown" | "address-private" | "not-reached"
  readonly message: string
}> {}

export interface Call {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** JSON. */
  readonly body?: string
  /** Until the last byte of the answer, the look for the address included. */
  readonly timeoutMs: number
  /** A longer answer is a fault, and the rest of it is not read. */
  readonly bytesMax: number
  /** May the address be a loopback or private one? */
  readonly allowPrivate: boolean
  /** Is only https asked? Undefined: no. */
  readonly requireHttps?: boolean | undefined
}

export type CallNode = (call: Call) => Effect.Effect<FetchAnswer, CallFault>

/** A fault as a line of a journal, and back. */
export const formatCallFault = ({ code, message }: CallFault): string => `${code}: ${message}`
export const callFaultOf = (text: string): CallFault => {
  const [, code, message] = /^(url-invalid|https-required|name-unknown|address-private): (.*)$/s.exec(text) ?? []
  return new CallFault({
    code: (code as CallFault["code"]) ?? "not-reached",
    message: message ?? text.replace(/^not-reached: /, "")
  })
}

/** The addresses of a host name. */
type Lookup = (host: string) => Promise<ReadonlyArray<string>>

/** Rejects when time is over: not everything that is waited for can be told to stop. */
const unlessOver = <A>(promise: Promise<A>, signal: AbortSignal): Promise<A> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    })
  ])

/** Where to connect for a host: an address that was looked at. */
const addressOf = async (host: string, allowPrivate: boolean, lookup: Lookup): Promise<string> => {
  const bare = host.replace(/^\[|\]$/g, "")
  const found = parseIp(bare) === undefined ? await lookup(bare).catch(() => []) : [bare]
  const addresses = found.map(parseIp)
  if (addresses.length === 0) throw new CallFault({ code: "name-unknown", message: `${bare} has no address` })
  // One is enough to refuse: a name that means a neighbour and a stranger means harm.
  const hidden = addresses.some((address) => address === undefined || isPrivate(address))
  if (hidden && !allowPrivate)
    throw new CallFault({
      code: "address-private",
      message: `${bare} is at ${found.join(", ")}: loopback and private addresses are not asked here`
    })
  return found[0]!
}

/** The fetch of Bun, which takes more than the standard says. */
type BunInit = RequestInit & {
  readonly tls?: { readonly serverName: string }
  readonly decompress?: boolean
}

const perform = async (call: Call, lookup: Lookup, signal: AbortSignal): Promise<FetchAnswer> => {
  const url = URL.parse(call.url)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "")
    throw new CallFault({ code: "url-invalid", message: "only http:// and https:// without a user are asked" })
  if (call.requireHttps === true && url.protocol !== "https:")
    throw new CallFault({ code: "https-required", message: "this node asks others by https only" })
  const { host, hostname } = url
  const address = await unlessOver(addressOf(hostname, call.allowPrivate, lookup), signal)
  const isName = parseIp(hostname.replace(/^\[|\]$/g, "")) === undefined
  url.hostname = address.includes(":") ? `[${address}]` : address
  const isSecure = url.protocol === "https:"
  const init: BunInit = {
    method: call.method,
    redirect: "error",
    signal,
    // A connection that was made for one name is not used for another at the same address.
    keepalive: !isSecure,
    decompress: false,
    headers: {
      ...call.headers,
      host,
      accept: "application/json",
      "accept-encoding": "identity",
      ...(call.body === undefined ? {} : { "content-type": "application/json" })
    },
    ...(call.body === undefined ? {} : { body: call.body }),
    ...(isSecure && isName ? { tls: { serverName: hostname } } : {})
  }
  const response = await fetch(url, init)
  return { status: response.status, body: await unlessOver(readBounded(response, call.bytesMax), signal) }
}

/** The door over a way to look up names. */
export const makeCallNode =
  (lookup: Lookup): CallNode =>
  (call) =>
    Effect.tryPromise({
      try: (interrupted) => perform(call, lookup, AbortSignal.any([interrupted, AbortSignal.timeout(call.timeoutMs)])),
      catch: (error) =>
        error instanceof CallFault
          ? error
          : new CallFault({ code: "not-reached", message: error instanceof Error ? error.message : String(error) })
    })

/** The door as Bun has it. */
export const bunCallNode: CallNode = makeCallNode(async (host) =>
  (await Bun.dns.lookup(host)).map(({ address }) => address)
)
