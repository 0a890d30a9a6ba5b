/** The sockets that a host listens on: all of them, or none; and what it makes of links that come. */
import { fromTcpEndpoint, toTcpEndpoint } from "../libp2p/address-facts.ts"
import type { Multiaddr } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { faultOf } from "./abort.ts"
import type { HostEvents, Listener, TypedEventTarget } from "./api.ts"
import type { TransportManager } from "./components.ts"
import type { Connections } from "./connections.ts"
import type { HostLogger } from "./log.ts"
import type { Resources } from "./resources.ts"
import { type Upgrader, type Upgrading, upgrade } from "./upgrade.ts"
import type { Link, LinkDoor, LinkHandlers, World } from "./world.ts"

export interface TransportsPorts {
  readonly world: World
  readonly upgrader: Upgrader
  readonly resources: Resources
  readonly connections: Connections
  readonly events: TypedEventTarget<HostEvents>
  readonly log: HostLogger
}

const nothing: LinkHandlers = { data: () => {}, drained: () => {}, secured: () => {}, closed: () => {} }

export class Transports implements TransportManager {
  private readonly ports: TransportsPorts
  private listeners: ReadonlyArray<Listener & { readonly at: Multiaddr }> = []

  constructor(ports: TransportsPorts) {
    this.ports = ports
  }

  getAddrs(): Array<Multiaddr> {
    return this.listeners.map(({ at }) => at)
  }

  getListeners(): Array<Listener> {
    return [...this.listeners]
  }

  /** Listens on all of them. Throws ListenError at the first that fails; `close` frees those before it. */
  async listen(addresses: ReadonlyArray<Multiaddr>): Promise<void> {
    for (const address of addresses) {
      try {
        await this.listenOn(address)
      } catch (error) {
        const cause = faultOf(error, `listening on ${address}`)
        const message = `${address}: ${cause.message}`
        throw new Libp2pFault(cause.kind, "ListenError", message, { address: `${address}` }, { cause })
      }
    }
  }

  private async listenOn(address: Multiaddr): Promise<void> {
    const endpoint = toTcpEndpoint(address)
    if (endpoint instanceof Libp2pFault) throw endpoint
    const { host, port } = endpoint
    const listening = await this.ports.world.listen({ host, port }, (link) => this.accept(link), this.door())
    const at = fromTcpEndpoint(listening.at.host, listening.at.port)
    if (at instanceof Libp2pFault) {
      listening.close()
      throw at
    }
    const listener = {
      at,
      getAddrs: () => [at],
      close: async () => {
        if (!this.listeners.includes(listener)) return
        this.listeners = this.listeners.filter((other) => other !== listener)
        listening.close()
        this.ports.events.safeDispatchEvent<Listener>("transport:close", { detail: listener })
      }
    }
    this.listeners = [...this.listeners, listener]
    this.ports.log.info("listening on %a", at)
    this.ports.events.safeDispatchEvent<Listener>("transport:listening", { detail: listener })
  }

  private door(): LinkDoor {
    const { resources } = this.ports
    return {
      linksMax: resources.links.system,
      addressLinksMax: resources.links.address,
      refused: ({ host, port }, busy) => this.failed(fromTcpEndpoint(host, port), resources.linkRefused(busy))
    }
  }

  /** A link of a stranger: cheap refusals first, then its handshake. */
  private accept(link: Link): LinkHandlers {
    const { connections, resources, upgrader } = this.ports
    const remoteAddr = fromTcpEndpoint(link.remote.host, link.remote.port)
    const refused = remoteAddr instanceof Libp2pFault ? remoteAddr : connections.accept(link.remote.host)
    const scope = refused ?? resources.openConnection("inbound")
    if (remoteAddr instanceof Libp2pFault || scope instanceof Libp2pFault) {
      link.terminate()
      this.ports.log(
        "the link of %s is cut off: %e",
        link.remote.host,
        remoteAddr instanceof Libp2pFault ? remoteAddr : scope
      )
      this.failed(remoteAddr, scope instanceof Libp2pFault ? scope : undefined)
      return nothing
    }
    let upgrading: Upgrading | undefined
    const settled = connections.begun(link.remote.host, (fault) => upgrading?.abort(fault))
    upgrading = upgrade(
      link,
      {
        direction: "inbound",
        remoteAddr,
        expected: undefined,
        scope,
        done: (result) => {
          settled()
          if (result instanceof Libp2pFault) this.failed(remoteAddr, result)
        }
      },
      upgrader
    )
    return upgrading.handlers
  }

  private failed(remoteAddr: Multiaddr | Libp2pFault, fault: Libp2pFault | undefined): void {
    if (remoteAddr instanceof Libp2pFault) return
    const error = fault ?? cheapFault("internal", "InternalError", "a link without a reason")
    const detail = { direction: "inbound", remoteAddr, error } as const
    this.ports.events.safeDispatchEvent<HostEvents["connection:failure"]["detail"]>("connection:failure", { detail })
  }

  async close(): Promise<void> {
    for (const listener of this.listeners) await listener.close()
  }
}
