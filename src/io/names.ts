/** Names and addresses as the system knows them: answers are bounded in number and time, and a caller may stop waiting. */
import { lookup, Resolver } from "node:dns/promises"
import { networkInterfaces } from "node:os"
import { Libp2pFault } from "../libp2p/fault.ts"
import { nameAnswersMax, nameMsMax } from "../limits.ts"

export interface NamesOptions {
  /** Servers for TXT, "address:port"; default: the system's. */
  readonly servers?: ReadonlyArray<string>
}

/** What resolvers say when a name has no such record. */
const isAbsent = (error: unknown): boolean =>
  /ENOTFOUND|ENODATA|EAI_NONAME|EAI_NODATA|NOTFOUND|NODATA/.test(String((error as { code?: unknown })?.code))

/** A text of a TXT record goes in pieces of so many bytes. */
const pieceBytes = 255

/** Bun gives every piece as a record of its own: a full piece goes on in the next one. */
const texts = async (name: string, resolver: Resolver): Promise<ReadonlyArray<string>> => {
  const joined: Array<string> = []
  let goesOn = false
  for (const piece of (await resolver.resolveTxt(name)).flat()) {
    if (goesOn) joined.push(`${joined.pop()}${piece}`)
    else joined.push(piece)
    goesOn = Buffer.byteLength(piece) === pieceBytes
  }
  return joined
}

/** A and AAAA as every program of the system sees them, the hosts file first. */
const addresses = async (name: string, family: 4 | 6): Promise<ReadonlyArray<string>> => [
  ...new Set((await lookup(name, { all: true, family })).map(({ address }) => address))
]

/** Addresses or TXT texts of a name; none is no fault. Rejects with kind io, timeout or cancelled. */
export const resolveName = (
  { servers }: NamesOptions,
  name: string,
  record: "A" | "AAAA" | "TXT",
  signal?: AbortSignal
): Promise<ReadonlyArray<string>> => {
  const { promise, resolve, reject } = Promise.withResolvers<ReadonlyArray<string>>()
  const resolver = new Resolver({ timeout: nameMsMax, tries: 1 })
  if (servers !== undefined) resolver.setServers([...servers])
  const fault = (kind: "io" | "timeout" | "cancelled", faultName: Libp2pFault["name"], why: string, cause?: unknown) =>
    reject(new Libp2pFault(kind, faultName, `looking up ${name} ${record}: ${why}`, { name, record }, { cause }))
  const cancel = (): void => fault("cancelled", "AbortError", "called off", signal?.reason)
  if (signal?.aborted === true) {
    cancel()
    return promise
  }
  signal?.addEventListener("abort", cancel)
  const timer = setTimeout(() => fault("timeout", "TimeoutError", "no answer in time"), nameMsMax)
  const found = record === "TXT" ? texts(name, resolver) : addresses(name, record === "A" ? 4 : 6)
  found.then(
    (answers) => resolve(answers.slice(0, nameAnswersMax)),
    (error: unknown) => (isAbsent(error) ? resolve([]) : fault("io", "ConnectionFailedError", String(error), error))
  )
  const done = (): void => {
    clearTimeout(timer)
    signal?.removeEventListener("abort", cancel)
    resolver.cancel()
  }
  return promise.finally(done)
}

/** The machine's own addresses. Link-local IPv6 is left out: it means nothing without the name of an interface. */
export const localAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address)
    .filter((address) => !/^fe[89ab]/i.test(address))
