/** Dials that wait and that are under way: so many at once, one for a peer however many ask for it. */
import { peerIdText } from "../libp2p/address-facts.ts"
import type { Multiaddr, PeerId } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { isMultiaddr } from "../libp2p/multiaddr.ts"
import { peerIdFromText } from "../libp2p/peer-id.ts"
import { faultOf, onAbort, throwIfAborted } from "./abort.ts"
import type {
  AbortOptions,
  Address,
  ConnectionGater,
  DialOptions,
  DialTarget,
  PeerStore,
  PendingDial,
  PendingDialStatus
} from "./api.ts"
import type { HostConnection } from "./connection.ts"
import type { Connections } from "./connections.ts"
import { type DialPorts, dialAddresses } from "./dial.ts"
import type { OnError } from "./events.ts"
import { asked, deniedFault } from "./gater.ts"
import { addressDialMs, addressesPerDialMax, dialMs, parallelDialsMax, queuedDialsMax } from "./limits.ts"
import { defaultAddressSorter, isDialableAddress } from "./rank.ts"
import { resolveAddresses } from "./resolve.ts"
import type { World } from "./world.ts"

/** What of js-libp2p's `connectionManager` says how we dial. */
export interface DialInit {
  readonly maxParallelDials?: number | undefined
  readonly maxDialQueueLength?: number | undefined
  readonly maxPeerAddrsToDial?: number | undefined
  /** Milliseconds for a whole dial. */
  readonly dialTimeout?: number | undefined
  /** Ours: milliseconds for each address. */
  readonly addressDialTimeout?: number | undefined
  readonly addressSorter?: ((a: Address, b: Address) => -1 | 0 | 1) | undefined
}

export interface DialQueuePorts extends Pick<DialPorts, "world" | "upgrader" | "resources" | "log"> {
  readonly self: PeerId
  readonly peerStore: () => PeerStore
  readonly gater: ConnectionGater
  readonly connections: Connections
  readonly onError: OnError
}

/** Whom to dial, as asked for. */
interface Target {
  readonly peer: PeerId | undefined
  readonly addresses: ReadonlyArray<Multiaddr>
}

interface Waiter {
  readonly resolve: (connection: HostConnection) => void
  readonly reject: (fault: Libp2pFault) => void
}

interface Job {
  readonly id: string
  readonly peer: PeerId | undefined
  readonly addresses: Map<string, Multiaddr>
  readonly force: boolean
  readonly abort: AbortController
  readonly waiters: Set<Waiter>
  readonly report: (type: string, detail: unknown) => void
  status: PendingDialStatus
}

const input = (message: string): Libp2pFault => new Libp2pFault("input", "InvalidParametersError", message)

/** Throws InvalidParametersError for addresses of different peers, or none. */
export const targetOf = (target: DialTarget): Target => {
  if (!Array.isArray(target) && !isMultiaddr(target)) return { peer: target as PeerId, addresses: [] }
  const addresses = (Array.isArray(target) ? target : [target]) as ReadonlyArray<Multiaddr>
  if (addresses.length === 0) throw input("there is no address to dial")
  const names = new Set(addresses.map(peerIdText))
  if (names.size > 1) throw input("the addresses are of different peers")
  const [name] = names
  const peer = name === undefined ? undefined : peerIdFromText(name)
  if (peer instanceof Libp2pFault) throw peer
  return { peer, addresses }
}

export class DialQueue {
  private readonly ports: DialQueuePorts
  private readonly init: DialInit
  private readonly world: World
  private readonly jobs = new Set<Job>()
  private active = 0
  private made = 0

  constructor(ports: DialQueuePorts, init: DialInit) {
    this.ports = ports
    this.init = init
    this.world = ports.world
  }

  list(): Array<PendingDial> {
    return [...this.jobs].map(({ id, status, peer, addresses }) => ({
      id,
      status,
      ...(peer === undefined ? {} : { peerId: peer }),
      multiaddrs: [...addresses.values()]
    }))
  }

  /** A connection to the target: one that is there, or a new one. */
  async dial(target: DialTarget, options: DialOptions = {}): Promise<HostConnection> {
    throwIfAborted(options.signal)
    const wanted = targetOf(target)
    if (wanted.peer?.equals(this.ports.self) === true)
      throw new Libp2pFault("input", "DialError", "that is our own peer id")
    const report = (type: string, detail: unknown): void => options.onProgress?.({ type, detail })
    const there = options.force === true ? undefined : this.existing(wanted, options)
    if (there !== undefined) {
      report("dial-queue:already-connected", undefined)
      return there
    }
    const pending = options.force === true ? undefined : this.pending(wanted)
    if (pending !== undefined) {
      report("dial-queue:already-in-dial-queue", undefined)
      if (pending.status === "queued")
        for (const address of wanted.addresses) pending.addresses.set(address.toString(), address)
      return this.join(pending, options.signal)
    }
    return this.join(this.enqueue(wanted, options, report), options.signal)
  }

  private existing({ peer, addresses }: Target, options: DialOptions): HostConnection | undefined {
    const open = this.ports.connections
      .of(peer)
      .filter(
        ({ status, limits }) => status === "open" && (limits === undefined || !options.requireUnlimitedConnection)
      )
    const direct = (list: ReadonlyArray<HostConnection>): HostConnection | undefined =>
      list.find(({ limits }) => limits === undefined) ?? list[0]
    if (peer !== undefined) return direct(open)
    return direct(open.filter(({ remoteAddr }) => addresses.some((address) => address.equals(remoteAddr))))
  }

  private pending({ peer, addresses }: Target): Job | undefined {
    for (const job of this.jobs) {
      if (job.force || job.abort.signal.aborted) continue
      if (
        peer === undefined ? addresses.some((address) => job.addresses.has(address.toString())) : job.peer?.equals(peer)
      )
        return job
    }
    return undefined
  }

  private enqueue(target: Target, options: DialOptions, report: Job["report"]): Job {
    const max = this.init.maxDialQueueLength ?? queuedDialsMax
    if (this.jobs.size - this.active >= max && this.active >= this.parallel) throw this.tooMany(max)
    report("dial-queue:add-to-dial-queue", undefined)
    const job: Job = {
      id: `${++this.made}`,
      peer: target.peer,
      addresses: new Map(target.addresses.map((address) => [address.toString(), address])),
      force: options.force === true,
      abort: new AbortController(),
      waiters: new Set(),
      report,
      status: "queued"
    }
    this.jobs.add(job)
    this.next()
    return job
  }

  private tooMany(max: number): Libp2pFault {
    this.ports.log.warn("a dial is refused: %d wait already", max)
    return cheapFault("capacity", "DialError", `${max} dials wait already`)
  }

  private get parallel(): number {
    return this.init.maxParallelDials ?? parallelDialsMax
  }

  /** Waits for a job; when all who waited have gone, it is called off. */
  private join(job: Job, signal: AbortSignal | undefined): Promise<HostConnection> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (connection) => {
          off()
          resolve(connection)
        },
        reject: (fault) => {
          off()
          reject(fault)
        }
      }
      job.waiters.add(waiter)
      const off = onAbort(signal, (fault) => {
        job.waiters.delete(waiter)
        reject(fault)
        if (job.waiters.size === 0) job.abort.abort(fault)
      })
    })
  }

  private next(): void {
    for (const job of this.jobs) {
      if (this.active >= this.parallel) return
      if (job.status === "queued") this.run(job)
    }
  }

  private run(job: Job): void {
    job.status = "active"
    this.active++
    const cancel = this.world.after(this.init.dialTimeout ?? dialMs, () =>
      job.abort.abort(cheapFault("timeout", "TimeoutError", "the dial took too long"))
    )
    const settle = (status: PendingDialStatus, tell: (waiter: Waiter) => void): void => {
      cancel()
      job.status = status
      this.active--
      this.jobs.delete(job)
      for (const waiter of job.waiters) tell(waiter)
      this.next()
    }
    this.connect(job).then(
      (connection) => settle("success", ({ resolve }) => resolve(connection)),
      (error: unknown) => {
        const fault = faultOf(error, "the dial failed")
        this.ports.log("dial %s of %s failed: %e", job.id, job.peer ?? "an address without a peer id", fault)
        settle("error", ({ reject }) => reject(fault))
      }
    )
  }

  private async connect(job: Job): Promise<HostConnection> {
    const { signal } = job.abort
    throwIfAborted(signal)
    const { peer } = job
    if (peer !== undefined) {
      const denied = await asked(
        [["denyDialPeer", () => this.ports.gater.denyDialPeer?.(peer) ?? false]],
        this.ports.onError
      )
      if (denied !== undefined) throw deniedFault(denied, { peer: peer.toString() })
    }
    job.report("dial-queue:start-dial", undefined)
    const addresses = await this.addressesOf(job, signal)
    throwIfAborted(signal)
    job.report("dial-queue:calculated-addresses", addresses)
    this.ports.log("dial %s of %s: %d addresses", job.id, peer ?? "an address without a peer id", addresses.length)
    return dialAddresses(
      addresses.map(({ multiaddr }) => multiaddr),
      peer,
      { ...this.ports, addressMs: this.init.addressDialTimeout ?? addressDialMs },
      signal
    )
  }

  /** What is known of the peer, without names, without what we cannot dial or may not, the best first. */
  private async addressesOf(job: Job, signal: AbortSignal): Promise<ReadonlyArray<Address>> {
    const given = [...job.addresses.values()].map((multiaddr): Address => ({ multiaddr, isCertified: false }))
    const known = job.peer === undefined ? [] : await this.known(job.peer, signal)
    const all = [...known, ...given]
    if (all.length === 0) throw cheapFault("not_found", "NotFoundError", `no address is known of ${job.peer}`)
    const allowed = await this.usable(all, signal)
    return allowed
      .sort(this.init.addressSorter ?? defaultAddressSorter)
      .slice(0, this.init.maxPeerAddrsToDial ?? addressesPerDialMax)
  }

  private async usable(addresses: ReadonlyArray<Address>, signal?: AbortSignal): Promise<Array<Address>> {
    const certified = new Set(addresses.filter(({ isCertified }) => isCertified).map(({ multiaddr }) => `${multiaddr}`))
    const plain = addresses.map(({ multiaddr }) => multiaddr)
    const resolved = await resolveAddresses(plain, this.world.resolve, signal)
    const dialable = resolved
      .filter(isDialableAddress)
      .map((multiaddr): Address => ({ multiaddr, isCertified: certified.has(`${multiaddr}`) }))
    if (dialable.length === 0)
      throw cheapFault("unsupported", "DialError", "no address is of a transport that is spoken here")
    return this.allowed(dialable)
  }

  private async known(peer: PeerId, signal: AbortSignal): Promise<ReadonlyArray<Address>> {
    try {
      return (await this.ports.peerStore().get(peer, { signal })).addresses
    } catch (error) {
      if (error instanceof Libp2pFault && error.name === "NotFoundError") return []
      throw error
    }
  }

  private async allowed(addresses: ReadonlyArray<Address>): Promise<Array<Address>> {
    const { gater, onError } = this.ports
    const allowed: Array<Address> = []
    for (const address of addresses) {
      const ask = [["denyDialMultiaddr", () => gater.denyDialMultiaddr?.(address.multiaddr) ?? false]] as const
      if ((await asked(ask, onError)) === undefined) allowed.push(address)
    }
    if (allowed.length === 0)
      throw deniedFault("denyDialMultiaddr", { addresses: addresses.map(({ multiaddr }) => `${multiaddr}`).join(", ") })
    return allowed
  }

  /** Is there an address among these that could be dialled, and that nobody forbids? */
  async isDialable(addresses: ReadonlyArray<Multiaddr>, options: AbortOptions): Promise<boolean> {
    const given = addresses.map((multiaddr): Address => ({ multiaddr, isCertified: false }))
    try {
      return (await this.usable(given, options.signal)).length > 0
    } catch {
      throwIfAborted(options.signal)
      return false
    }
  }

  /** Calls everything off. */
  stop(fault: Libp2pFault): void {
    for (const job of this.jobs) job.abort.abort(fault)
  }
}
