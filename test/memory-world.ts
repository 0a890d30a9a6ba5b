/** Worlds of libp2p hosts in memory: one virtual clock, links that carry bytes when what runs now is done, names that a test fills. */
import type { Cancel, Link, LinkEnd, LinkHandlers, Listening, OnLink, World } from "../src/host/world.ts"
import { Libp2pFault } from "../src/libp2p/fault.ts"

interface Timer {
  readonly at: number
  readonly run: () => void
}

const nothing: LinkHandlers = { data: () => {}, drained: () => {}, secured: () => {}, closed: () => {} }

/** Seeded chance: xorshift32, a byte at a time. */
const chance = (seed: number): World["random"] => {
  let state = seed
  return (length) =>
    Uint8Array.from({ length }, () => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return state & 0xff
    })
}

class End implements Link {
  readonly local: LinkEnd
  readonly remote: LinkEnd
  handlers: LinkHandlers = nothing
  peer: End | undefined
  bytes = 0
  private inbox: Array<Uint8Array> = []
  private paused = false
  private over = false
  private ending: string | undefined

  constructor(local: LinkEnd, remote: LinkEnd) {
    this.local = local
    this.remote = remote
  }

  write(bytes: Uint8Array): void {
    if (this.over) return
    this.bytes += bytes.length
    this.peer?.inbox.push(bytes.slice())
    queueMicrotask(() => this.peer?.deliver())
  }

  deliver(): void {
    while (!this.paused && !this.over) {
      const bytes = this.inbox.shift()
      if (bytes === undefined) break
      this.handlers.data(bytes)
    }
    if (this.inbox.length === 0 && this.ending !== undefined) this.close(this.ending)
  }

  close(reason: string): void {
    if (this.over) return
    this.over = true
    this.handlers.closed(reason)
  }

  queued(): number {
    return 0
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    queueMicrotask(() => this.deliver())
  }

  upgradeTls(): void {
    throw new Error("there is no TLS in memory")
  }

  end(): void {
    this.leave("ended")
  }

  terminate(): void {
    this.leave("terminated")
  }

  private leave(reason: string): void {
    if (this.over || this.peer === undefined) return
    this.peer.ending = reason
    queueMicrotask(() => this.peer?.deliver())
    this.over = true
    queueMicrotask(() => this.handlers.closed(reason))
  }
}

export class MemoryNet {
  now = 1_700_000_000_000
  /** Text of records, by "A name", "AAAA name", "TXT name". */
  readonly names = new Map<string, ReadonlyArray<string>>()
  /** Addresses that neither answer nor refuse. */
  readonly silent = new Set<string>()
  /** Every dial, in order. */
  readonly dialled: Array<string> = []
  readonly looked: Array<string> = []
  private readonly timers = new Set<Timer>()
  private readonly listeners = new Map<string, OnLink>()
  private port = 40_000
  private worlds = 0

  /** A world whose machine has that address. */
  world(ip: string): World {
    return {
      now: () => this.now,
      random: chance(++this.worlds * 7_919),
      after: (ms, run) => this.after(ms, run),
      soon: (run) => queueMicrotask(run),
      dial: (to, onLink) => this.dial(ip, to, onLink),
      listen: (at, onLink) => this.listen(ip, at, onLink),
      resolve: async (name, record) => {
        this.looked.push(`${record} ${name}`)
        return this.names.get(`${record} ${name}`) ?? []
      },
      interfaces: () => [ip]
    }
  }

  private after(ms: number, run: () => void): Cancel {
    const timer: Timer = { at: this.now + ms, run }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }

  private async listen(ip: string, at: LinkEnd, onLink: OnLink): Promise<Listening> {
    const port = at.port === 0 ? ++this.port : at.port
    const host = at.host === "0.0.0.0" ? ip : at.host
    const name = `${host} ${port}`
    if (this.listeners.has(name)) throw new Libp2pFault("io", "ListenError", "the address is in use")
    this.listeners.set(name, onLink)
    return { at: { host: at.host, port }, close: () => this.listeners.delete(name) }
  }

  private dial(ip: string, to: LinkEnd & { readonly signal?: AbortSignal | undefined }, onLink: OnLink): Promise<void> {
    const name = `${to.host} ${to.port}`
    this.dialled.push(name)
    return new Promise((resolve, reject) => {
      to.signal?.addEventListener("abort", () => reject(to.signal?.reason))
      const accept = this.listeners.get(name)
      if (accept === undefined) {
        if (!this.silent.has(name)) reject(new Libp2pFault("io", "ConnectionFailedError", `${name} refused`))
        return
      }
      const near = new End({ host: ip, port: ++this.port }, to)
      const far = new End(to, near.local)
      near.peer = far
      far.peer = near
      far.handlers = accept(far)
      near.handlers = onLink(near)
      resolve()
    })
  }

  /** Ports that are listened on. */
  get listening(): ReadonlyArray<string> {
    return [...this.listeners.keys()]
  }

  get timersLeft(): number {
    return this.timers.size
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms
    await this.settle()
    for (;;) {
      const next = [...this.timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.run()
      await this.settle()
    }
    this.now = until
  }
}
