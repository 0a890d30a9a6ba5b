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
    return { scheduleTask: this.schedule, flush: this.flush }
  }

  private readonly schedule = (task: Task): void => {
    this.queue.push(task)
    if (this.armed) return
    this.armed = true
    setImmediate(this.slice)
  }

  /** Everything that waits, now: for a caller that needs its answer in this very call. */
  private readonly flush = (): void => {
    while (this.head < this.queue.length) this.next()
  }

  private readonly slice = (): void => {
    if (this.head === this.queue.length) return this.rearm()
    this.sliceEnd = performance.now() + this.sliceMs
    try {
      do this.next()
      while (this.head < this.queue.length && performance.now() < this.sliceEnd)
    } finally {
      // Also when a task has thrown: it must not take those behind it along.
      this.rearm()
    }
  }

  private next(): void {
    const task = this.queue[this.head]!
    this.queue[this.head++] = undefined
    task()
  }

  private rearm(): void {
    if (this.head > 1024 || this.head === this.queue.length) {
      this.queue.splice(0, this.head)
      this.head = 0
    }
    this.armed = this.queue.length > 0
    if (this.armed) setImmediate(this.slice)
  }
}
