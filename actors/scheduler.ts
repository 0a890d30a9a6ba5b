/**
 * The scheduler in production: one run queue, served in slices of a few milliseconds. Effect's own yields after a number
 * of operations, not of milliseconds: with handlers of 1 ms it starved timers for a second.
 */
import type { Scheduler } from "effect"

type Task = () => void

export class SlicedScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  private queue: Array<Task | undefined> = []
  private head = 0
  private armed = false
  private sliceEnd = 0
  private readonly sliceMs: number

  constructor(sliceMs = 4) {
    this.sliceMs = sliceMs
  }

  /** A fiber gives way when the slice is over. */
  shouldYield(): boolean {
    return performance.now() > this.sliceEnd
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task: Task) => {
        this.queue.push(task)
        if (this.armed) return
        this.armed = true
        setImmediate(this.slice)
      },
      flush: () => this.slice()
    }
  }

  private readonly slice = (): void => {
    this.sliceEnd = performance.now() + this.sliceMs
    while (this.head < this.queue.length) {
      const task = this.queue[this.head]!
      this.queue[this.head++] = undefined
      task()
      if (performance.now() > this.sliceEnd) break
    }
    if (this.head >= this.queue.length) {
      this.queue.length = 0
      this.head = 0
      this.armed = false
      return
    }
    if (this.head > 1024) {
      this.queue = this.queue.slice(this.head)
      this.head = 0
    }
    setImmediate(this.slice)
  }
}
