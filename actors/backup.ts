/**
 * Orders backups, one at a time: those that somebody asks for, and those that the clock asks for. The work is done by a thread; the chain
 * neither waits for it nor hears of it.
 */
import { Clock, Effect } from "effect"
import { backupMsMax, backupsWaitingMax } from "../src/limits.ts"
import { type BackupMade, BackupRefused, type BackupsView, type BackupView, Busy } from "../src/node/node.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch, type Overflow, type Reply } from "./actor.ts"
import type { Metrics } from "./metrics.ts"

export type BackupMessage =
  /** From the edge, answered when it is on disk. */
  | {
      readonly _tag: "Backup"
      readonly label: string | undefined
      readonly reply: Reply<BackupMade, BackupRefused | Busy>
    }
  /** What the thread says. */
  | { readonly _tag: "Made"; readonly made: MadeBackup }
  | { readonly _tag: "Failed"; readonly error: BackupRefused }
  | { readonly _tag: "View"; readonly reply: Reply<BackupsView> }
  | { readonly _tag: "Tick" }

export const backupOverflow: Readonly<Record<BackupMessage["_tag"], Overflow>> = {
  Backup: "refuse",
  Made: "owed",
  Failed: "owed",
  View: "refuse",
  Tick: "keep-latest"
}

/** A backup that is there. */
export interface MadeBackup extends BackupMade {
  readonly view: BackupView
}

/** What the actor needs of the world. */
export interface BackupWorld {
  /** Makes one. It must not fail otherwise. */
  readonly make: (label: string | undefined, now: number) => Effect.Effect<MadeBackup, BackupRefused>
  /** The newest that is there: of any label, and of the clock's own. */
  readonly last: () => { readonly newest: BackupView | undefined; readonly scheduled: BackupView | undefined }
  /** Milliseconds between two by the clock; undefined: none are. */
  readonly everyMs: number | undefined
}

export interface BackupPorts extends BackupWorld {
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly self: () => ActorRef<BackupMessage>
  readonly counted: (outcome: "made" | "failed") => void
}

/** The label of backups that the clock asks for. */
export const scheduledLabel = "scheduled"
/** Milliseconds after which a backup of the clock that failed is tried again, if the next is not due before. */
const retryMs = 5 * 60 * 1000

interface Order {
  readonly label: string | undefined
  readonly reply: Reply<BackupMade, BackupRefused | Busy> | undefined
}

interface State {
  readonly clock: Clock.Clock
  running: Order | undefined
  readonly waiting: Array<Order>
  last: BackupView | undefined
  nextAt: number | undefined
  failures: number
  lastError: string | undefined
}

/** The backup actor. */
export const makeBackups = (ports: BackupPorts): ActorSpec<State, BackupMessage> => {
  const begin = (state: State, order: Order): void => {
    state.running = order
    const done = Effect.match(ports.make(order.label, state.clock.currentTimeMillisUnsafe()), {
      onSuccess: (made): BackupMessage => ({ _tag: "Made", made }),
      onFailure: (error): BackupMessage => ({ _tag: "Failed", error })
    })
    ports.fork(Effect.map(done, (message) => void ports.self().tell(message)))
  }

  const order = (state: State, one: Order): void => {
    if (state.running === undefined) return begin(state, one)
    if (state.waiting.length < backupsWaitingMax) state.waiting.push(one)
    else one.reply?.fail(new Busy({ actor: "backup", retryAfterMs: 10_000 }))
  }

  /** Ends what runs, and begins what waits for it and is still wanted. */
  const ended = (state: State): Order | undefined => {
    const { running } = state
    state.running = undefined
    for (let next = state.waiting.shift(); next !== undefined; next = state.waiting.shift()) {
      if (next.reply?.abandoned() === true) continue
      begin(state, next)
      break
    }
    return running
  }

  const tick = (state: State): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    if (ports.everyMs === undefined || state.nextAt === undefined || now < state.nextAt) return
    state.nextAt = now + ports.everyMs
    if (state.running?.label !== scheduledLabel) order(state, { label: scheduledLabel, reply: undefined })
  }

  const view = ({ last, nextAt, failures, lastError }: State): BackupsView => ({ last, nextAt, failures, lastError })

  return {
    name: "backup",
    inboxMax: 16,
    // One thread at a time.
    owedMax: 1,
    overflow: backupOverflow,
    open: Effect.map(Clock.Clock, (clock) => {
      const { newest, scheduled } = ports.last()
      const { everyMs } = ports
      const nextAt = everyMs === undefined ? undefined : (scheduled?.at ?? -Infinity) + everyMs
      const soonest = clock.currentTimeMillisUnsafe()
      const due = nextAt === undefined ? undefined : Math.max(soonest, nextAt)
      return { clock, running: undefined, waiting: [], last: newest, nextAt: due, failures: 0, lastError: undefined }
    }),
    step: (state, message) => {
      switch (message._tag) {
        case "Backup":
          return order(state, message)
        case "Made": {
          const { made } = message
          state.last = made.view
          state.lastError = undefined
          ports.counted("made")
          ended(state)?.reply?.succeed({ path: made.path, manifest: made.manifest })
          const { path, height, bytes } = made.view
          return Effect.logInfo("a backup is made", { path, height, bytes })
        }
        case "Failed": {
          const { code, message: why } = message.error
          state.failures++
          state.lastError = code
          ports.counted("failed")
          const order = ended(state)
          order?.reply?.fail(message.error)
          if (order?.label === scheduledLabel && state.nextAt !== undefined)
            state.nextAt = Math.min(state.nextAt, state.clock.currentTimeMillisUnsafe() + retryMs)
          return Effect.logError("a backup could not be made", { code, why })
        }
        case "View":
          return message.reply.succeed(view(state))
        case "Tick":
          return tick(state)
      }
    },
    bounds: ({ waiting }) => [{ of: "waiting", used: waiting.length, max: backupsWaitingMax }]
  }
}

/** The actor, with its metrics, and the calls that it answers. */
export const startBackups = (
  world: BackupWorld,
  {
    watch,
    metrics,
    fork
  }: { readonly watch: ActorWatch; readonly metrics: Metrics; readonly fork: BackupPorts["fork"] }
) => {
  const count = metrics.counters("cairn_backups_total", "Backups of this node, by outcome.")
  let last = world.last().newest
  const make: BackupWorld["make"] = (label, now) =>
    Effect.tap(world.make(label, now), ({ view }) => Effect.sync(() => void (last = view)))
  metrics.gauge("cairn_backup_last_seconds", "When the newest backup was made, since 1970; 0: there is none.", () =>
    last === undefined ? 0 : last.at / 1000
  )
  metrics.gauge("cairn_backup_last_bytes", "Bytes of its database.", () => last?.bytes ?? 0)
  const actor: Actor<never, BackupMessage> = new Actor(
    makeBackups({ ...world, make, fork, self: () => actor, counted: (outcome) => count({ outcome }) }),
    watch
  ) as never
  return {
    actor,
    backup: (label: string | undefined) =>
      actor.ask<BackupMade, BackupRefused | Busy>((reply) => ({ _tag: "Backup", label, reply }), backupMsMax),
    view: () => actor.ask<BackupsView>((reply) => ({ _tag: "View", reply }))
  }
}
