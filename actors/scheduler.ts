/**
 * The scheduler in production: one run queue, served in slices of a few milliseconds. Effect's own yields after a number
 * of operations, not of milliseconds: with handlers of 1 ms it starved timers for a second.
 */
import type { Scheduler } from "effect"

export type Task = () => void

/** What waits to run, first in, first out. */
export class RunQueue {
  private tasks: Array<Task | undefined> = []
  /** Where the oldest stands; those before it have run. */
  private head = 0

  get empty(): boolean {
    return this.head === this.tasks.length
  }

  push(task: Task): void {
    this.tasks.push(task)
  }

  /** The oldest, taken out. The queue must not be empty. */
  shift(): Task {
    const task = this.tasks[this.head]!
    this.tasks[this.head++] = undefined
    return task
  }

  /** Forgets the places of those that have run, if that is worth it. */
  tidy(): void {
    if (this.head <= 1024 && !this.empty) return
    this.tasks.splice(0, this.head)
    this.head = 0
  }
}

export class SlicedScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  private readonly queue = new RunQueue()
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
    while (!this.queue.empty) this.queue.shift()()
  }

  private readonly slice = (): void => {
    if (this.queue.empty) return this.rearm()
    this.sliceEnd = performance.now() + this.sliceMs
    try {
      do this.queue.shift()()
      while (!this.queue.empty && performance.now() < this.sliceEnd)
    } finally {
      // Also when a task has thrown: it must not take those behind it along.
      this.rearm()
    }
  }

  private rearm(): void {
    this.queue.tidy()
    this.armed = !this.queue.empty
    if (this.armed) setImmediate(this.slice)
  }
}
