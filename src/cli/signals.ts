/** What a program that runs until it is told to stop hears. */
import { Deferred, Effect, Exit } from "effect"

/** Hears signals from now on: the first asks the program to stop, a second insists. Completed by the first. */
export const hearSignals = Effect.sync(() => {
  const asked = Deferred.makeUnsafe<void>()
  let count = 0
  const onSignal = (): void => {
    if (count++ > 0) process.exit(1)
    Deferred.doneUnsafe(asked, Exit.void)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  return Deferred.await(asked)
})
