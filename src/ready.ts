/**
 * What a node is doing, from its start to its end, as a machine of states: an event leads from one state to the next, with
 * the time since which it holds and why. It is fed by the node's own parts and decides nothing for them; it is what
 * operators, load balancers and the page are told.
 *
 *   genesis ─► boot ─► syncing ◄─► ready          from boot, syncing and ready:  a fault ─► failed ─► boot
 *                └──────────────────►▲            a part that crashed ─► boot;   a stop ─► stopping ─► dead
 */
import { bootMsMax } from "./limits.ts"

/**
 * `genesis`: the chain is being opened. `boot`: nobody has said yet how long the chain is. `syncing`: blocks are missing that
 * others have. `ready`: in step, or nobody to be in step with. `failed`: it cannot work for now and goes on by itself once
 * the reason is gone. `stopping`, `dead`: told to stop, and stopped.
 */
export type StateName = "genesis" | "boot" | "syncing" | "ready" | "failed" | "stopping" | "dead"

export interface NodeState {
  readonly name: StateName
  /** Milliseconds since 1970. */
  readonly since: number
  /** A stable code. */
  readonly reason: string
  readonly message: string
  /** Is there anybody to look for: a seed, a discovery service, a peer of last time? */
  readonly looks: boolean
}

export type StateEvent =
  /** The chain is open. */
  | { readonly _tag: "Opened"; readonly looks: boolean }
  /** How many peers have said how long their chain is; our height, and that of the best header or claim. */
  | { readonly _tag: "Saw"; readonly peers: number; readonly height: number; readonly targetHeight: number }
  /** What keeps the node from its work, as looked for now and then; undefined: nothing. */
  | { readonly _tag: "Checked"; readonly fault: { readonly code: string; readonly message: string } | undefined }
  /** A part of the node crashed and begins anew: what it knew of its peers is gone. */
  | { readonly _tag: "Restarted"; readonly part: string }
  | { readonly _tag: "Stopping" }
  | { readonly _tag: "Ended"; readonly message: string }

/** Blocks behind the best claim above which a node is syncing. */
export const behindMax = 3

/** Before the chain is open. */
export const firstState = (now: number): NodeState => ({
  name: "genesis",
  since: now,
  reason: "opening",
  message: "The chain is being opened.",
  looks: false
})

type Saw = Extract<StateEvent, { _tag: "Saw" }>

/** Where a node that has looked around is; undefined: it goes on looking. */
const placeOf = (
  state: NodeState,
  saw: Saw,
  now: number
): Pick<NodeState, "name" | "reason" | "message"> | undefined => {
  const behind = saw.targetHeight - saw.height
  if (behind > behindMax)
    return { name: "syncing", reason: "catching-up", message: `${behind} blocks behind the best known header.` }
  if (saw.peers > 0) return { name: "ready", reason: "in-step", message: "As far as the peers are." }
  if (!state.looks) return { name: "ready", reason: "nobody-to-look-for", message: "No peer is known or configured." }
  if (state.name !== "boot") return { name: "ready", reason: "alone", message: "No peer is left to compare with." }
  return now - state.since < bootMsMax
    ? undefined
    : { name: "ready", reason: "alone", message: "No peer has answered so far; the node goes on looking." }
}

const isLive = ({ name }: NodeState): boolean => name === "boot" || name === "syncing" || name === "ready"

/** The state after an event: the very same one if nothing has changed. What has ended never begins again. */
export const nextState = (state: NodeState, event: StateEvent, now: number): NodeState => {
  const to = (name: StateName, reason: string, message: string): NodeState =>
    name === state.name && reason === state.reason ? state : { ...state, name, since: now, reason, message }
  if (state.name === "dead") return state
  if (event._tag === "Ended") return to("dead", "ended", event.message)
  switch (event._tag) {
    case "Stopping":
      return to("stopping", "stopping", "The node is shutting down.")
    case "Opened": {
      if (state.name !== "genesis") return state
      const message = event.looks ? "The chain is open; peers are looked for." : "The chain is open."
      return { ...to("boot", "looking", message), looks: event.looks }
    }
    case "Restarted":
      return isLive(state) ? to("boot", "restarted", `The ${event.part} failed and begins anew.`) : state
    case "Checked": {
      const { fault } = event
      if (fault !== undefined && (isLive(state) || state.name === "failed"))
        return to("failed", fault.code, fault.message)
      return fault === undefined && state.name === "failed"
        ? to("boot", "recovered", `${state.reason} is over.`)
        : state
    }
    case "Saw": {
      const place = isLive(state) ? placeOf(state, event, now) : undefined
      if (place === undefined || place.reason === state.reason) return state
      // Whoever was alone and has company now is as ready as before, for another reason.
      return place.name === state.name ? { ...state, ...place } : to(place.name, place.reason, place.message)
    }
  }
}

/** The state of a node that runs. Whoever hears it must not throw. */
export class Readiness {
  state: NodeState
  private readonly now: () => number
  private readonly changed: (from: NodeState, to: NodeState) => void

  constructor(now: () => number, changed: (from: NodeState, to: NodeState) => void) {
    this.now = now
    this.changed = changed
    this.state = firstState(now())
  }

  readonly hear = (event: StateEvent): NodeState => {
    const before = this.state
    this.state = nextState(before, event, this.now())
    const { name, since } = this.state
    if (name !== before.name || since !== before.since) this.changed(before, this.state)
    return this.state
  }
}
