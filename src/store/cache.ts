/** A bounded cache in two generations: what is used stays, the rest goes without a list to keep. */

export class BoundedCache<A> {
  private young = new Map<string, A>()
  private old = new Map<string, A>()
  private readonly generationMax: number

  constructor(max: number) {
    this.generationMax = Math.max(1, max >> 1)
  }

  get(key: string): A | undefined {
    const value = this.young.get(key)
    if (value !== undefined) return value
    const older = this.old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  /** The cached value, or the one that `load` finds, which is then cached. */
  getOr(key: string, load: () => A): A {
    const cached = this.get(key)
    if (cached !== undefined) return cached
    const value = load()
    this.set(key, value)
    return value
  }

  set(key: string, value: A): void {
    if (this.young.size >= this.generationMax) {
      this.old = this.young
      this.young = new Map()
    }
    this.old.delete(key)
    this.young.set(key, value)
  }

  delete(key: string): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  clear(): void {
    this.young.clear()
    this.old.clear()
  }
}
