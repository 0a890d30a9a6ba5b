/** AbortSignals, in our errors: AbortError (cancelled), or TimeoutError (timeout) for AbortSignal.timeout. */
import { Libp2pFault } from "../libp2p/fault.ts"

export const abortFault = (signal: AbortSignal): Libp2pFault => {
  const reason: unknown = signal.reason
  if (reason instanceof Libp2pFault) return reason
  const cause = { cause: reason }
  return reason instanceof Error && reason.name === "TimeoutError"
    ? new Libp2pFault("timeout", "TimeoutError", "the caller's time is up", {}, cause)
    : new Libp2pFault("cancelled", "AbortError", "the caller called it off", {}, cause)
}

export const throwIfAborted = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) throw abortFault(signal)
}

/** Runs `run` when the signal aborts, at once if it has; what is given back takes it off again. */
export const onAbort = (signal: AbortSignal | undefined, run: (fault: Libp2pFault) => void): (() => void) => {
  if (signal === undefined) return () => {}
  const listener = (): void => run(abortFault(signal))
  if (signal.aborted) {
    listener()
    return () => {}
  }
  signal.addEventListener("abort", listener, { once: true })
  return () => signal.removeEventListener("abort", listener)
}

/** The promise, or the abort, whichever is first. What the promise does afterwards is nobody's business. */
export const orAbort = <T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const off = onAbort(signal, reject)
    promise.then(resolve, reject).finally(off)
  })
}

/** Any error as one of ours. */
export const faultOf = (error: unknown, what: string): Libp2pFault =>
  error instanceof Libp2pFault ? error : new Libp2pFault("internal", "InternalError", what, {}, { cause: error })
