/** One timer for all that looks at the clock once a second; none while there is nothing to look at. */
import { tickMs } from "./limits.ts"
import type { Cancel, World } from "./world.ts"

export class Ticker {
  private readonly runs = new Set<(now: number) => void>()
  private cancel: Cancel | undefined
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  /** Runs it every second until it is called off. */
  add(run: (now: number) => void): Cancel {
    this.runs.add(run)
    this.cancel ??= this.world.after(tickMs, () => this.tick())
    return () => {
      this.runs.delete(run)
      if (this.runs.size > 0) return
      this.cancel?.()
      this.cancel = undefined
    }
  }

  private tick(): void {
    this.cancel = undefined
    const now = this.world.now()
    for (const run of this.runs) run(now)
    if (this.runs.size > 0) this.cancel ??= this.world.after(tickMs, () => this.tick())
  }
}
