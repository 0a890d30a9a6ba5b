/**
 * What one peer was asked for and has not given yet. An answer belongs to a question; one that comes late was still asked
 * for, so that a slow line costs an honest peer nothing but its turn.
 */
import { lapsedPerPeerMax, requestMsMax, requestsPerPeerMax } from "../limits.ts"

export type RequestKind = keyof typeof requestsPerPeerMax

interface Request {
  readonly kind: RequestKind
  readonly since: number
  /** What is still to come. */
  readonly ids: Set<string>
  /** Its time is over: others are asked, but its answer is still no fault. */
  lapsed: boolean
}

/** What the table never exceeds: open questions of every kind, and lapsed ones. */
export const requestsMax = Object.values(requestsPerPeerMax).reduce<number>((sum, max) => sum + max, lapsedPerPeerMax)

export class Requests {
  private readonly table = new Map<number, Request>()
  private last = 0
  /** When the last block came: blocks come one after the other, and those behind are not late while it moves. */
  private blockAt = Number.NEGATIVE_INFINITY

  get size(): number {
    return this.table.size
  }

  /** True if one more question of this kind may be asked now. */
  hasRoom(kind: RequestKind): boolean {
    let open = 0
    for (const request of this.table.values()) if (request.kind === kind && !request.lapsed) open++
    return open < requestsPerPeerMax[kind]
  }

  /** Notes a question and gives its number, never 0. */
  open(kind: RequestKind, ids: ReadonlyArray<string>, now: number): number {
    this.table.set(++this.last, { kind, since: now, ids: new Set(ids), lapsed: false })
    return this.last
  }

  /** One block of an answer came; false: nobody asked for it, or it came before. */
  takeBlock(number: number, id: string, now: number): boolean {
    const request = this.table.get(number)
    if (request?.kind !== "blocks" || !request.ids.delete(id)) return false
    this.blockAt = now
    if (request.ids.size === 0) this.table.delete(number)
    return true
  }

  /** The whole answer came; false: nobody asked for it. */
  takeWhole(number: number, kind: RequestKind): boolean {
    return this.table.get(number)?.kind === kind && this.table.delete(number)
  }

  /** The peer lacks these; which of them were asked of it, and for what. Undefined: nobody asked for any. */
  takeLack(
    number: number,
    ids: ReadonlyArray<string>
  ): { readonly kind: RequestKind; readonly ids: ReadonlyArray<string> } | undefined {
    const request = this.table.get(number)
    if (request === undefined) return undefined
    const lacked = ids.filter((id) => request.ids.delete(id))
    if (lacked.length === 0) return undefined
    if (request.ids.size === 0) this.table.delete(number)
    return { kind: request.kind, ids: lacked }
  }

  /** Questions whose time is over since the last call. */
  lapse(now: number): ReadonlyArray<{ readonly kind: RequestKind; readonly ids: ReadonlyArray<string> }> {
    const isLate = (request: Request): boolean => !request.lapsed && now - this.movedAt(request) >= requestMsMax
    const late = [...this.table.values()].filter(isLate)
    for (const request of late) request.lapsed = true
    this.forget()
    return late.map(({ kind, ids }) => ({ kind, ids: [...ids] }))
  }

  private movedAt({ kind, since }: Request): number {
    return kind === "blocks" ? Math.max(since, this.blockAt) : since
  }

  private forget(): void {
    const lapsed = [...this.table].filter(([, request]) => request.lapsed)
    for (const [number] of lapsed.slice(0, Math.max(0, lapsed.length - lapsedPerPeerMax))) this.table.delete(number)
  }
}
