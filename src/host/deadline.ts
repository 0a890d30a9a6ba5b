/** Work that must be done in time, by the world's clock, or is called off. */
import { cheapFault } from "../libp2p/fault.ts"
import { onAbort, orAbort } from "./abort.ts"
import type { World } from "./world.ts"

/**
 * Runs `run`, which gets a signal: it aborts when `ms` milliseconds have passed (TimeoutError) or the caller's signal does. The
 * promise then rejects at once, whatever `run` does.
 */
export const within = async <T>(
  world: Pick<World, "after">,
  ms: number,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>
): Promise<T> => {
  const controller = new AbortController()
  const cancel = world.after(ms, () =>
    controller.abort(cheapFault("timeout", "TimeoutError", `it took more than ${ms} ms`))
  )
  const off = onAbort(signal, (fault) => controller.abort(fault))
  try {
    return await orAbort(run(controller.signal), controller.signal)
  } finally {
    cancel()
    off()
  }
}
