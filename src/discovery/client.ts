/**
 * How a node uses discovery services, as a machine: it registers with each, again before that ends, asks who is there, and
 * waits longer each time a service is away. It knows texts and times only; who is found proves itself to a session, or not.
 *
 *   rest ── due ─► register ── answered ─► find, from a random place on, then from the beginning ─► rest
 */
import type { Keypair } from "../crypto/keys.ts"
import { discoveryAskMsMax, discoveryPageMax } from "../limits.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { placeOf } from "./place.ts"
import { type Command, formatCommand, makeStatement, type Statement } from "./statement.ts"

/** Who looks for others. */
export interface Seeker {
  readonly chainId: string
  readonly genesis: Uint8Array
  readonly key: Keypair
  /** Where others may dial us; empty: nowhere, so that we only look. */
  readonly endpoint: string
}

/** What became of a question. */
export type Outcome = { readonly status: number; readonly body: string } | { readonly fault: string }

export type ClientEffect =
  | {
      readonly _tag: "Ask"
      readonly service: number
      readonly ask: number
      readonly url: string
      readonly body: string
    }
  | { readonly _tag: "Found"; readonly endpoints: ReadonlyArray<string> }
  /** For the log: once when it changes, and not again. */
  | { readonly _tag: "Say"; readonly message: string; readonly service: string; readonly code: string }

/** Milliseconds that a registration lasts, and after which it is made anew: two may fail before it ends. */
export const registeredMs = 300_000
export const refreshMs = 120_000
const backoffBaseMs = 5_000
const backoffMaxMs = 300_000
/** A question without a word for so long has none: whoever asked is gone. */
const lostMs = discoveryAskMsMax + 5_000

interface Service {
  readonly url: string
  /** It is on this machine: then so are the places that it names. */
  readonly near: boolean
  nextAt: number
  failures: number
  /** The question that is out. */
  asked:
    | { readonly ask: number; readonly what: "register" | "find"; readonly at: number; readonly cursor: string }
    | undefined
  registeredUntil: number
  said: string
}

/** A number from 0 up to 1. */
export type Chance = () => number

/** The characters of an id, in the order of texts. */
const idCharacters = "023456789acdefghjklmnpqrstuvwxyz"
const randomPlace = (chance: Chance): string =>
  `node1${Array.from({ length: 4 }, () => idCharacters[Math.floor(chance() * idCharacters.length)]).join("")}`

/** A whole number, or nothing: what may stand in an answer. */
const readJson = (body: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

export class Client {
  readonly nodeId: string
  private readonly seeker: Seeker
  private readonly services: ReadonlyArray<Service>
  private asks = 0
  private lastTime = 0

  constructor(seeker: Seeker, urls: ReadonlyArray<string>) {
    this.seeker = seeker
    this.nodeId = nodeIdOf(seeker.key.publicKey)
    this.services = urls.map((url) => {
      const { hostname, port } = new URL(url)
      const near = placeOf(`${hostname}:${port === "" ? "80" : port}`) === "local"
      return { url, near, nextAt: 0, failures: 0, asked: undefined, registeredUntil: 0, said: "" }
    })
  }

  /** Asks whom it is time to ask. */
  tick(now: number, chance: Chance): ReadonlyArray<ClientEffect> {
    return this.services.flatMap((service, i) => {
      const { asked } = service
      if (asked !== undefined) return asked.at + lostMs <= now ? this.failed(service, "lost", now, chance) : []
      if (service.nextAt > now) return []
      return this.seeker.endpoint === "" ? this.find(i, now, randomPlace(chance)) : this.register(i, now)
    })
  }

  /** An answer has come, or none will. One to a question that is not out any more is not regarded. */
  answered(service: number, ask: number, outcome: Outcome, now: number, chance: Chance): ReadonlyArray<ClientEffect> {
    const one = this.services[service]!
    const { asked } = one
    if (asked?.ask !== ask) return []
    one.asked = undefined
    if ("fault" in outcome) return this.failed(one, "away", now, chance)
    const reply = readJson(outcome.body)
    if (asked.what === "register") return this.registered(service, outcome.status, reply, now, chance)
    const members = reply["members"]
    if (outcome.status !== 200 || !Array.isArray(members) || members.length > discoveryPageMax)
      return this.failed(one, "strange", now, chance)
    const found: ClientEffect = { _tag: "Found", endpoints: this.endpointsOf(one, members) }
    // The end came before the page was full: the others stand at the beginning.
    if (asked.cursor !== "" && members.length < discoveryPageMax) return [found, ...this.find(service, now, "")]
    one.failures = 0
    one.nextAt = now + refreshMs * (0.75 + chance() / 2)
    return [found]
  }

  /** The goodbyes to services that know us. */
  leave(now: number): ReadonlyArray<{ readonly url: string; readonly body: string }> {
    const known = this.services.filter(({ registeredUntil }) => registeredUntil > now)
    return known.map(({ url }) => ({ url, body: bodyOf({ command: "remove", statement: this.sign("remove", now) }) }))
  }

  private register(i: number, now: number): ReadonlyArray<ClientEffect> {
    return this.ask(i, "register", now, "", { command: "add", statement: this.sign("register", now) })
  }

  private find(i: number, now: number, after: string): ReadonlyArray<ClientEffect> {
    const { genesis } = this.seeker
    return this.ask(i, "find", now, after, { command: "get_all", genesis, after, limit: discoveryPageMax })
  }

  private ask(
    i: number,
    what: "register" | "find",
    now: number,
    cursor: string,
    command: Command
  ): ReadonlyArray<ClientEffect> {
    const service = this.services[i]!
    const ask = ++this.asks
    service.asked = { ask, what, at: now, cursor }
    return [{ _tag: "Ask", service: i, ask, url: service.url, body: bodyOf(command) }]
  }

  /** Each word is newer than the one before, or it would be taken for a replay. */
  private sign(action: Statement["action"], now: number): Statement {
    const { chainId, genesis, key, endpoint } = this.seeker
    const time = now > this.lastTime ? now : this.lastTime + 1
    this.lastTime = time
    const leaves = action === "remove"
    const words = { action, chainId, genesis, time, endpoint: leaves ? "" : endpoint }
    return makeStatement({ ...words, expires: leaves ? time : time + registeredMs }, key)
  }

  private registered(
    i: number,
    status: number,
    reply: Readonly<Record<string, unknown>>,
    now: number,
    chance: Chance
  ): ReadonlyArray<ClientEffect> {
    const service = this.services[i]!
    const code = typeof reply["code"] === "string" ? reply["code"].slice(0, 64) : ""
    // Too busy, too full, or no such service: come again later. Any other refusal is of our words, and looking may go on.
    if (status === 429 || status >= 500 || (status !== 200 && code === ""))
      return this.failed(service, "away", now, chance)
    if (status === 200) service.registeredUntil = now + registeredMs
    const said = status === 200 ? this.say(service, "registered") : this.say(service, code)
    return [...said, ...this.find(i, now, randomPlace(chance))]
  }

  private failed(service: Service, code: string, now: number, chance: Chance): ReadonlyArray<ClientEffect> {
    service.asked = undefined
    const waitMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(service.failures, 16))
    service.failures++
    service.nextAt = now + waitMs * (0.75 + chance() / 2)
    return this.say(service, code)
  }

  private say(service: Service, code: string): ReadonlyArray<ClientEffect> {
    if (service.said === code) return []
    service.said = code
    return [{ _tag: "Say", service: service.url, code, message: words[code] ?? "The discovery service refuses us." }]
  }

  /** Places that can be dialled and are not ours. A service elsewhere cannot send us to this machine or its link. */
  private endpointsOf({ near }: Service, members: ReadonlyArray<unknown>): ReadonlyArray<string> {
    const endpoints = members.flatMap((member) => {
      const { endpoint } = (member ?? {}) as { readonly endpoint?: unknown }
      if (typeof endpoint !== "string" || endpoint === this.seeker.endpoint) return []
      const place = placeOf(endpoint)
      return place === "elsewhere" || (near && place === "local") ? [endpoint] : []
    })
    return [...new Set(endpoints)]
  }
}

const words: Readonly<Record<string, string>> = {
  registered: "Registered with the discovery service.",
  away: "The discovery service is away; it is asked again later and the known peers stay.",
  lost: "The discovery service was asked and nothing came of it; it is asked again later.",
  strange: "What answers as the discovery service is none, or another version; it is asked again later."
}

const bodyOf = (command: Command): string => JSON.stringify(formatCommand(command))

/** The text that a service goes by: http or https, and nothing but a place. Undefined if it is not that. */
export const parseService = (text: string): string | undefined => {
  if (!/^https?:\/\/[^/?#@\s]+\/?$/.test(text) || !URL.canParse(text)) return undefined
  return new URL(text).href
}
