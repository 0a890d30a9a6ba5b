/** Reminds actors of the time. One fiber and one timer for all beats: most of what an idle node does is to be reminded. */
import { Deferred, Effect, Exit } from "effect"

/** What is done every so many milliseconds. */
export type Beat = readonly [everyMs: number, beat: () => unknown]

/** Runs like an actor, in a group. Beats that fall on one moment are done in their order; each is done once at the start. */
export const makeTicker = (beats: ReadonlyArray<Beat>) => {
  let done = Deferred.makeUnsafe<void>()
  const loop = Effect.gen(function* () {
    const due = beats.map(() => 0)
    // Milliseconds slept, not the clock's: a clock that jumps must not still the ticker.
    for (let now = 0; ; ) {
      for (const [i, [everyMs, beat]] of beats.entries()) {
        if (due[i]! > now) continue
        due[i] = now + everyMs
        beat()
      }
      const wait = Math.min(...due) - now
      yield* Effect.sleep(wait)
      now += wait
    }
  })
  return {
    name: "ticker",
    run: Effect.suspend(() => {
      done = Deferred.makeUnsafe<void>()
      return Effect.raceFirst(loop, Deferred.await(done))
    }),
    stop: () => void Deferred.doneUnsafe(done, Exit.void),
    bury: () => {}
  }
}
