/** Whether the process has any file descriptor left. */
import { closeSync, openSync } from "node:fs"

/**
 * "EMFILE" or "ENFILE" when there is none left, for this process or the whole machine; else undefined. Bun says ECONNREFUSED of a
 * dial and nothing of a listener that failed for this, so who failed asks.
 */
export const descriptorsGone = (): "EMFILE" | "ENFILE" | undefined => {
  try {
    closeSync(openSync("/dev/null", "r"))
    return undefined
  } catch (error) {
    const { code } = error as { readonly code?: string }
    return code === "EMFILE" || code === "ENFILE" ? code : undefined
  }
}
