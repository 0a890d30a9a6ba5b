/** How the node is: what the tree sees of it, told to the machine of states (src/ready.ts). Not an actor: it only passes on. */
import type { Clock } from "effect"
import { Readiness } from "../src/ready.ts"
import type { DiskRoom } from "../src/store/room.ts"
import type { EventHub } from "./event-hub.ts"
import type { Metrics } from "./metrics.ts"

export class Health {
  readonly readiness: Readiness
  private readonly now: () => number
  private readonly disk: DiskRoom
  private readonly count: ReturnType<Metrics["counters"]>

  constructor(parts: {
    readonly clock: Clock.Clock
    readonly disk: DiskRoom
    readonly events: EventHub
    readonly metrics: Metrics
  }) {
    const { clock, events, metrics } = parts
    this.now = () => clock.currentTimeMillisUnsafe()
    this.disk = parts.disk
    this.count = metrics.counters("cairn_actor_restarts_total", "Restarts by actor.")
    this.readiness = new Readiness(this.now, (from, { name, since, reason, message }) =>
      events.publish({ type: "state", from: from.name, state: name, since, reason, message })
    )
    metrics.gauge("cairn_storage_writable", "1 while the disk takes what the node writes.", () =>
      this.disk.fault(this.now()) === undefined ? 1 : 0
    )
    metrics.read("cairn_node_state", "1 for the state that the node is in.", "gauge", () => [
      [{ state: this.readiness.state.name }, 1]
    ])
  }

  get stopping(): boolean {
    return this.readiness.state.name === "stopping"
  }

  /** Looks for what keeps the node from its work. */
  readonly check = (): void => {
    this.readiness.hear({ _tag: "Checked", fault: this.disk.fault(this.now()) })
  }

  readonly restarted = (actor: string): void => {
    this.count({ actor })
    this.readiness.hear({ _tag: "Restarted", part: actor })
  }

  readonly ended = (message: string): void => {
    this.readiness.hear({ _tag: "Ended", message })
  }
}
