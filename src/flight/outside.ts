/** The doors as they are, for a node that is recorded: what happens at them becomes inputs. And doors that lead nowhere. */
import { Cause, Effect, Exit } from "effect"
import { CallFault, type CallNode, formatCallFault } from "../io/call-node.ts"
import { type Fetch, type FetchAnswer, FetchFault } from "../io/fetch.ts"
import type { Tcp, Wire } from "../io/tcp.ts"
import type { StartThread } from "../io/worker.ts"
import type { Input } from "./entry.ts"
import type { Outside } from "./deck.ts"

const faultOf = (cause: Cause.Cause<{ readonly message: string }>): string => {
  const reason = cause.reasons.find((one) => "error" in one)
  return reason !== undefined && "error" in reason ? reason.error.message : Cause.pretty(cause)
}

/** The outside behind real doors. */
export const liveOutside = (doors: {
  readonly tcp: Tcp
  readonly startThread: StartThread
  readonly fetch?: Fetch | undefined
  readonly callNode?: CallNode | undefined
  readonly random: (length: number) => Uint8Array
}): Outside => {
  const wires = new Map<number, Wire>()
  let last = 0

  /** Numbers a connection and tells of it and of all that it does. */
  const tell = (wire: Wire, dial: number, hear: (input: Input) => void) => {
    const number = ++last
    wires.set(number, wire)
    if (wire.fingerprint !== undefined) hear({ kind: "shown", wire: number, fingerprint: wire.fingerprint })
    hear({ kind: "wire", wire: number, dial, host: wire.remoteHost, binding: wire.binding })
    return {
      data: (bytes: Uint8Array) => hear({ kind: "data", wire: number, bytes }),
      drained: () => hear({ kind: "drained", wire: number }),
      closed: (reason: string) => hear({ kind: "closed", wire: number, reason })
    }
  }

  const asked = (
    question: Effect.Effect<FetchAnswer, { readonly message: string }>,
    fetch: number,
    hear: (input: Input) => void
  ): (() => void) => {
    const fiber = Effect.runFork(question)
    fiber.addObserver((exit) => {
      const answer = Exit.isSuccess(exit) ? exit.value : { status: 0, body: "" }
      const fault = Exit.isSuccess(exit) ? "" : faultOf(exit.cause) || "it failed"
      hear({ kind: "fetched", fetch, ...answer, fault })
    })
    return () => fiber.interruptUnsafe()
  }

  return {
    random: doors.random,
    listen: (at, identity, hear) => {
      const exit = Effect.runSyncExit(doors.tcp.listen(at, identity, (wire) => tell(wire, 0, hear)))
      return Exit.isSuccess(exit)
        ? { ...exit.value, fault: "" }
        : { port: 0, fault: faultOf(exit.cause) || "it cannot listen", close: () => {} }
    },
    dial: (dial, to, identity, hear) => {
      const fiber = Effect.runFork(doors.tcp.dial(to, identity, (wire) => tell(wire, dial, hear)))
      fiber.addObserver((exit) => {
        const fault = Exit.isSuccess(exit) ? "" : faultOf(exit.cause) || "it failed"
        hear({ kind: "dialled", dial, fault })
      })
      return () => fiber.interruptUnsafe()
    },
    wire: (number) => {
      const wire = wires.get(number)!
      wires.delete(number)
      return wire
    },
    fetch: (fetch, posted, hear) => {
      const nobody = new FetchFault({ message: "this node has no way out by HTTP" })
      return asked(doors.fetch?.(posted) ?? Effect.fail(nobody), fetch, hear)
    },
    callNode: (fetch, call, hear) => {
      const nobody = new CallFault({ code: "not-reached", message: "this node has no way to others by HTTP" })
      const question = doors.callNode?.(call) ?? Effect.fail(nobody)
      const inWords = Effect.mapError(question, (fault) => ({ message: formatCallFault(fault) }))
      return asked(inWords, fetch, hear)
    },
    thread: (thread, file, hear) => {
      const failed = (reason: string): void => hear({ kind: "ended", thread, reason })
      try {
        const message = (report: unknown): void => hear({ kind: "report", thread, json: JSON.stringify(report) })
        return doors.startThread<unknown, unknown>(file, { message, failed })
      } catch (error) {
        failed((error as Error).message)
        return { post: () => {}, terminate: () => {} }
      }
    }
  }
}

const nothing = (): void => {}

/** The outside of a replay. It is never asked for what a journal says. */
export const nowhere: Outside = {
  listen: () => ({ port: 0, fault: "nobody listens in a replay", close: nothing }),
  dial: () => nothing,
  fetch: () => nothing,
  callNode: () => nothing,
  wire: () => ({
    write: () => true,
    queued: () => 0,
    pause: nothing,
    resume: nothing,
    end: nothing,
    terminate: nothing
  }),
  thread: () => ({ post: nothing, terminate: nothing }),
  random: (length) => new Uint8Array(length)
}
