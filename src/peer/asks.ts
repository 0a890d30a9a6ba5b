/** Bodies that were asked for and have not come: of whom, and since when. */

/** One question for one body. */
export interface Ask {
  readonly session: number
  /** Milliseconds since 1970. */
  readonly since: number
}

const nobody: ReadonlyArray<Ask> = []

export class Asks {
  private readonly byBody = new Map<string, ReadonlyArray<Ask>>()
  private readonly counts = new Map<number, number>()

  /** Bodies, each counted once, whoever was asked. */
  get size(): number {
    return this.byBody.size
  }

  /** How many bodies this session was asked for. */
  countOf(session: number): number {
    return this.counts.get(session) ?? 0
  }

  /** Who was asked for a body. */
  of(id: string): ReadonlyArray<Ask> {
    return this.byBody.get(id) ?? nobody
  }

  /** Every body with who was asked for it. A copy: it may be walked while bodies are released. */
  all(): ReadonlyArray<readonly [id: string, asks: ReadonlyArray<Ask>]> {
    return [...this.byBody]
  }

  note(id: string, session: number, now: number): void {
    this.byBody.set(id, [...this.of(id), { session, since: now }])
    this.counts.set(session, this.countOf(session) + 1)
  }

  /** Waits for a body no longer: not from this session, or, if none is given, from nobody. */
  release(id: string, session?: number): void {
    const rest: Array<Ask> = []
    for (const ask of this.of(id)) {
      if (session !== undefined && ask.session !== session) rest.push(ask)
      else this.counts.set(ask.session, this.countOf(ask.session) - 1)
    }
    if (rest.length > 0) this.byBody.set(id, rest)
    else this.byBody.delete(id)
  }

  /** The session is gone. */
  leave(session: number): void {
    for (const id of [...this.byBody.keys()]) this.release(id, session)
    this.counts.delete(session)
  }
}
