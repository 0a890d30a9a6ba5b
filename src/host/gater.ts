/** Asks the hooks of a connection gater. Without promises where the hooks need none; a hook that throws denies. */
import { Libp2pFault } from "../libp2p/fault.ts"
import type { ConnectionGater, Verdict } from "./api.ts"
import type { OnError } from "./events.ts"

export type GaterHook = Exclude<keyof ConnectionGater, "filterMultiaddrForPeer">

/** A hook with what it is asked; undefined: it is not there, and nothing is denied. */
export type Ask = (() => Verdict) | undefined

export const deniedFault = (hook: GaterHook, context: Readonly<Record<string, string>>): Libp2pFault =>
  new Libp2pFault(
    "permission",
    hook.startsWith("denyDial") ? "DialDeniedError" : "ConnectionDeniedError",
    `the connection gater denied it (${hook})`,
    { hook, ...context }
  )

/** Asks in order; the first hook that denies ends it. `then` runs in this very turn where all hooks answer at once. */
export const askAll = (
  asks: ReadonlyArray<readonly [GaterHook, Ask]>,
  onError: OnError,
  then: (denied: GaterHook | undefined) => void
): void => {
  const [first, ...others] = asks
  if (first === undefined) {
    then(undefined)
    return
  }
  const [hook, ask] = first
  const answered = (denied: boolean): void => (denied ? then(hook) : askAll(others, onError, then))
  const threw = (error: unknown): void => {
    onError(`the gater's ${hook}`, error)
    answered(true)
  }
  let verdict: Verdict
  try {
    verdict = ask === undefined ? false : ask()
  } catch (error) {
    threw(error)
    return
  }
  if (typeof verdict === "boolean") answered(verdict)
  else verdict.then(answered, threw)
}

/** The same for those who can wait. */
export const asked = (
  asks: ReadonlyArray<readonly [GaterHook, Ask]>,
  onError: OnError
): Promise<GaterHook | undefined> => new Promise((resolve) => askAll(asks, onError, resolve))
