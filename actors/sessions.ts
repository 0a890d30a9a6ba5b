/** The sessions that stand. Not an actor: the tree's list of those that come and go. */
import { Effect, Fiber } from "effect"
import type { Actor, ActorRef } from "./actor.ts"
import type { PeerFacts, SessionId, SessionMessage } from "./protocol.ts"

/** A session's actor, whatever its state is. */
export type AnySession = Actor<never, SessionMessage>

/** Sessions that stand, each with its actor and its fiber. */
export class Sessions {
  private readonly open = new Map<
    SessionId,
    { readonly actor: AnySession; readonly fiber: Fiber.Fiber<void, unknown> }
  >()
  /** Who is at the other end of those that maintenance has let in. */
  readonly met = new Map<SessionId, PeerFacts>()
  private last = 0
  /** When which kind of refusal was last told. The codes are few. */
  private readonly toldAt = new Map<string, number>()

  get size(): number {
    return this.open.size
  }

  /** May the log hear of a stranger who was refused with this code? Once a minute: nobody fills it by knocking. */
  readonly mayTell = (code: string, now: number): boolean => {
    if (now < (this.toldAt.get(code) ?? Number.NEGATIVE_INFINITY) + 60_000) return false
    this.toldAt.set(code, now)
    return true
  }

  /** Not of one that has ended meanwhile. */
  readonly meet = (facts: PeerFacts): void => {
    if (this.open.has(facts.session)) this.met.set(facts.session, facts)
  }

  nextId(): SessionId {
    return ++this.last
  }

  add(id: SessionId, actor: AnySession, fiber: Fiber.Fiber<void, unknown>): void {
    this.open.set(id, { actor, fiber })
  }

  remove(id: SessionId): void {
    this.open.delete(id)
    this.met.delete(id)
  }

  each(f: (session: ActorRef<SessionMessage>, id: SessionId) => void): void {
    for (const [id, { actor }] of this.open) f(actor, id)
  }

  all(): ReadonlyArray<AnySession> {
    return [...this.open.values()].map(({ actor }) => actor)
  }

  readonly find = (id: SessionId): ActorRef<SessionMessage> | undefined => this.open.get(id)?.actor

  /** Lets each say goodbye; what lasts longer is interrupted. */
  closeAll(deadlineMs: number): Effect.Effect<void> {
    this.each((session) => session.tell({ _tag: "Close", reason: "the node stops" }))
    const fibers = [...this.open.values()].map(({ fiber }) => fiber)
    const all = Effect.forEach(fibers, Fiber.await, { discard: true })
    return Effect.timeoutOrElse(all, { duration: deadlineMs, orElse: () => Fiber.interruptAll(fibers) })
  }
}
