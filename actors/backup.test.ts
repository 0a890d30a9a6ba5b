/** The backup actor in virtual time: one at a time, by order and by the clock, and what it says of itself. */
import { expect, test } from "bun:test"
import { Clock, Effect, Fiber } from "effect"
import { backupsWaitingMax } from "../src/limits.ts"
import { BackupRefused, type BackupView } from "../src/node/node.ts"
import { forSeeds } from "../src/sim/world.ts"
import { type BackupWorld, type MadeBackup, scheduledLabel, startBackups } from "./backup.ts"
import { Metrics } from "./metrics.ts"
import { startGroup } from "./supervisor.ts"
import { unwatched } from "./actor.ts"

const hourMs = 3_600_000

const viewOf = (label: string, at: number): BackupView => ({
  path: `/b/${label}-${at}`,
  label,
  at,
  height: 1,
  bytes: 2
})

/** The actor over a world where each backup takes a second. */
const startOn = (wish: Partial<BackupWorld> = {}) =>
  Effect.gen(function* () {
    const made: Array<string> = []
    let atOnce = 0
    let most = 0
    const world: BackupWorld = {
      everyMs: undefined,
      last: () => ({ newest: undefined, scheduled: undefined }),
      make: (label = "snapshot", now) =>
        Effect.gen(function* () {
          most = Math.max(most, ++atOnce)
          yield* Effect.sleep(1_000)
          atOnce--
          made.push(label)
          if (label === "bad")
            return yield* Effect.fail(new BackupRefused({ code: "backup-failed", message: "no room" }))
          return { path: "p", manifest: { label }, view: viewOf(label, now) } satisfies MadeBackup
        }),
      ...wish
    }
    const metrics = new Metrics()
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const { actor, ...calls } = startBackups(world, { watch: unwatched, metrics, fork: (effect) => void fork(effect) })
    const group = yield* startGroup(
      { name: "test", strategy: "one-for-one", restartsMax: 0, withinMs: 1, backoffMs: 0, onRestart: () => {} },
      [actor]
    )
    const ticking = fork(
      Effect.forever(
        Effect.andThen(
          Effect.sleep(1_000),
          Effect.sync(() => actor.tell({ _tag: "Tick" }))
        )
      )
    )
    const stop = Effect.andThen(Fiber.interrupt(ticking), group.stop(1_000))
    return { ...calls, metrics, made, most: () => most, stop }
  })

test("orders are done one after the other; more than may wait hear that it is busy", () =>
  forSeeds(5, () =>
    Effect.gen(function* () {
      const { backup, view, metrics, made, most, stop } = yield* startOn()
      const asked = Array.from({ length: backupsWaitingMax + 3 }, (_, i) => `b${i}`)
      const answers = yield* Effect.forEach(
        asked,
        (label) =>
          Effect.match(backup(label), { onSuccess: ({ manifest }) => manifest["label"], onFailure: (e) => e._tag }),
        { concurrency: "unbounded" }
      )
      const served = asked.slice(0, backupsWaitingMax + 1)
      expect(answers).toEqual([...served, "Busy", "Busy"])
      expect([made, most()]).toEqual([served, 1])
      expect(yield* view()).toMatchObject({ last: { label: served.at(-1)! }, failures: 0, nextAt: undefined })
      expect(metrics.format()).toContain(`cairn_backups_total{outcome="made"} ${served.length}`)
      yield* stop
    })
  ))

test("one that fails says why, to who asked and to who looks; the next one goes", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const { backup, view, metrics, stop } = yield* startOn()
      expect(yield* Effect.flip(backup("bad"))).toMatchObject({ _tag: "BackupRefused", code: "backup-failed" })
      expect(yield* view()).toMatchObject({ last: undefined, failures: 1, lastError: "backup-failed" })
      yield* backup("good")
      expect(yield* view()).toMatchObject({ last: { label: "good" }, failures: 1, lastError: undefined })
      expect(metrics.format()).toContain('cairn_backups_total{outcome="failed"} 1')
      yield* stop
    })
  ))

test("the clock orders them: at once where there is none, else when the last one is so old", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      const fresh = yield* startOn({ everyMs: hourMs })
      yield* Effect.sleep(3 * hourMs + 10_000)
      expect(fresh.made).toEqual(Array(4).fill(scheduledLabel))
      yield* fresh.stop
      const last = viewOf(scheduledLabel, begun + 3 * hourMs)
      const later = yield* startOn({ everyMs: hourMs, last: () => ({ newest: last, scheduled: last }) })
      expect(yield* later.view()).toMatchObject({ last, nextAt: last.at + hourMs })
      yield* Effect.sleep(hourMs / 2)
      expect(later.made).toEqual([])
      yield* Effect.sleep(hourMs / 2)
      expect(later.made).toEqual([scheduledLabel])
      yield* later.stop
    })
  ))

test("one of the clock that failed is tried again before the next is due", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      let tries = 0
      const { stop, view } = yield* startOn({
        everyMs: 24 * hourMs,
        make: (_, now) =>
          ++tries < 3
            ? Effect.fail(new BackupRefused({ code: "backup-failed", message: "no room" }))
            : Effect.succeed({ path: "p", manifest: {}, view: viewOf(scheduledLabel, now) })
      })
      yield* Effect.sleep(hourMs)
      expect(tries).toBe(3)
      expect(yield* view()).toMatchObject({ failures: 2, lastError: undefined })
      yield* stop
    })
  ))
