/**
 * A layer of changed state entries over a base that is only read. Undo is what it remembers: the value before.
 *
 * Keys are the lower-case hex of an entry's key bytes (Map keys must be strings); values are the entry's bytes.
 */

/** Reads the entry below; undefined: there is none. */
export type ReadEntry = (key: string) => Uint8Array | undefined

/** One touched entry: what it was when the layer began, and what it is. */
export interface Change {
  readonly before: Uint8Array | undefined
  after: Uint8Array | undefined
}

/** A mutable layer over a base. Not shared between decisions: make one, use it, take its changes. */
export class Overlay {
  readonly changes = new Map<string, Change>()
  private readonly base: ReadEntry

  constructor(base: ReadEntry) {
    this.base = base
  }

  /** The entry as this layer sees it. */
  get(key: string): Uint8Array | undefined {
    const change = this.changes.get(key)
    if (change !== undefined) return change.after
    const before = this.base(key)
    this.changes.set(key, { before, after: before })
    return before
  }

  /** Adds an entry of a name that was never there, as that of a new coin: nothing below is read for it. */
  add(key: string, value: Uint8Array): void {
    const change = this.changes.get(key)
    if (change !== undefined) change.after = value
    else this.changes.set(key, { before: undefined, after: value })
  }

  /** Takes the changes of a layer above. */
  take(changes: ReadonlyMap<string, Change>): void {
    for (const [key, { before, after }] of changes) {
      if (before === after) continue
      const change = this.changes.get(key)
      if (change !== undefined) change.after = after
      // What the layer above saw before is what is here, and here nothing has changed.
      else this.changes.set(key, { before, after })
    }
  }

  /** Sets the entry, or removes it with undefined. */
  set(key: string, value: Uint8Array | undefined): void {
    const change = this.changes.get(key)
    if (change !== undefined) change.after = value
    else this.changes.set(key, { before: this.base(key), after: value })
  }
}
