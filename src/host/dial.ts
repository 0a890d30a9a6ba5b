/** One dial: the addresses of a peer one after the other, the next one early when the last one hesitates; the first that stands wins. */
import { peerIdText, toTcpEndpoint } from "../libp2p/address-facts.ts"
import type { Multiaddr, PeerId } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { peerIdFromText } from "../libp2p/peer-id.ts"
import { abortFault, faultOf, onAbort } from "./abort.ts"
import type { HostConnection } from "./connection.ts"
import { nextAddressMs } from "./limits.ts"
import type { HostLogger } from "./log.ts"
import type { Resources } from "./resources.ts"
import { type Upgrader, type Upgrading, upgrade } from "./upgrade.ts"
import type { World } from "./world.ts"

export interface DialPorts {
  readonly world: World
  readonly upgrader: Upgrader
  readonly resources: Resources
  readonly addressMs: number
  readonly log: HostLogger
}

/** Dials one address. `expected`: who must answer; else whom the address names. Rejects with a Libp2pFault. */
export const dialAddress = (
  address: Multiaddr,
  expected: PeerId | undefined,
  ports: DialPorts,
  signal: AbortSignal
): Promise<HostConnection> =>
  new Promise((resolve, reject) => {
    const endpoint = toTcpEndpoint(address)
    if (endpoint instanceof Libp2pFault) throw endpoint
    const named = peerIdText(address)
    const peer = expected ?? (named === undefined ? undefined : peerIdFromText(named))
    if (peer instanceof Libp2pFault) throw peer
    const scope = ports.resources.openConnection("outbound")
    if (scope instanceof Libp2pFault) throw scope
    let upgrading: Upgrading | undefined
    const off = onAbort(signal, (fault) => upgrading?.abort(fault))
    const failed = (fault: Libp2pFault): void => {
      off()
      scope.done()
      reject(fault)
    }
    ports.world
      .dial({ host: endpoint.host, port: endpoint.port, timeoutMs: ports.addressMs, signal }, (link) => {
        upgrading = upgrade(
          link,
          {
            direction: "outbound",
            remoteAddr: address,
            expected: peer,
            scope,
            done: (result) => {
              off()
              if (result instanceof Libp2pFault) reject(result)
              else resolve(result)
            }
          },
          ports.upgrader
        )
        if (signal.aborted) upgrading.abort(abortFault(signal))
        return upgrading.handlers
      })
      .catch((error: unknown) => failed(faultOf(error, `dialling ${address}`)))
  })

const allFailed = (faults: ReadonlyArray<Libp2pFault>): Libp2pFault => {
  const [first, ...others] = faults
  if (first === undefined) return cheapFault("not_found", "DialError", "there is no address to dial")
  if (others.length === 0) return first
  const kinds = new Set(faults.map(({ kind }) => kind))
  return new Libp2pFault(
    kinds.size === 1 ? first.kind : "io",
    "DialError",
    `none of ${faults.length} addresses answered; the first: ${first.message}`,
    {},
    { cause: new AggregateError(faults) }
  )
}

/**
 * Tries the addresses in their order. Each has so many milliseconds; the next begins when the last one failed, or after a
 * quarter of a second. What is under way when one has won, or when the signal aborts, is called off.
 */
export const dialAddresses = (
  addresses: ReadonlyArray<Multiaddr>,
  expected: PeerId | undefined,
  ports: DialPorts,
  signal: AbortSignal
): Promise<HostConnection> =>
  new Promise((resolve, reject) => {
    const faults: Array<Libp2pFault> = []
    const others = new AbortController()
    let next = 0
    let over = false
    let cancel = (): void => {}
    let off = (): void => {}
    const finish = (end: () => void): void => {
      if (over) return
      over = true
      cancel()
      off()
      others.abort(cheapFault("cancelled", "AbortError", "another address answered first"))
      end()
    }
    off = onAbort(signal, (fault) => {
      others.abort(fault)
      finish(() => reject(fault))
    })
    const attempt = (): void => {
      cancel()
      const address = addresses[next]
      if (over || address === undefined) return
      next++
      ports.log.trace("trying %a", address)
      if (next < addresses.length) cancel = ports.world.after(nextAddressMs, attempt)
      const timed = new AbortController()
      const late = ports.world.after(ports.addressMs, () =>
        timed.abort(cheapFault("timeout", "TimeoutError", `${address} did not answer in time`))
      )
      const drop = onAbort(others.signal, (fault) => timed.abort(fault))
      const settled = (): void => {
        drop()
        late()
      }
      dialAddress(address, expected, ports, timed.signal).then(
        (connection) => {
          settled()
          // One that came second is not needed.
          if (over) connection.abort(cheapFault("cancelled", "AbortError", "another address answered first"))
          finish(() => resolve(connection))
        },
        (error: unknown) => {
          settled()
          // A world says that it was called off; what matters is why.
          const fault = timed.signal.aborted ? abortFault(timed.signal) : faultOf(error, `dialling ${address}`)
          faults.push(fault)
          if (!over) ports.log("%a: %e", address, fault)
          if (faults.length === addresses.length) finish(() => reject(allFailed(faults)))
          else attempt()
        }
      )
    }
    if (addresses.length === 0) finish(() => reject(allFailed([])))
    else attempt()
  })
