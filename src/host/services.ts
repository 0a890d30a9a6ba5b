/** The services of a host: made from their factories, started in the order of their needs, stopped in the reverse. */
import { Libp2pFault } from "../libp2p/fault.ts"
import type { ServiceMap, Startable } from "./api.ts"
import { serviceCapabilities, serviceDependencies } from "./components.ts"

/** What the host itself gives, under the names that services of js-libp2p ask for. */
export const hostCapabilities: ReadonlyArray<string> = [
  "@libp2p/transport",
  "@libp2p/connection-encryption",
  "@libp2p/stream-multiplexing"
]

interface Entry {
  readonly name: string
  readonly service: unknown
  readonly gives: ReadonlyArray<string>
  readonly needs: ReadonlyArray<string>
}

const namesAt = (service: unknown, key: symbol): ReadonlyArray<string> => {
  const names: unknown = typeof service === "object" && service !== null ? Reflect.get(service, key) : undefined
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : []
}

const startable = (service: unknown): Partial<Startable> =>
  typeof service === "object" && service !== null ? (service as Partial<Startable>) : {}

const fault = (message: string, context: Readonly<Record<string, string>>): Libp2pFault =>
  new Libp2pFault("dependency", "InvalidParametersError", message, context)

/** Services in an order in which each comes behind those that it needs. A fault: one is missing, or some need each other. */
export const orderOf = (services: ServiceMap): ReadonlyArray<string> | Libp2pFault => {
  const entries: ReadonlyArray<Entry> = Object.entries(services).map(([name, service]) => ({
    name,
    service,
    gives: namesAt(service, serviceCapabilities),
    needs: namesAt(service, serviceDependencies).filter((need) => !hostCapabilities.includes(need))
  }))
  for (const { name, needs } of entries)
    for (const need of needs)
      if (!entries.some(({ gives }) => gives.includes(need)))
        return fault(`the service ${name} needs ${need}, and no service gives it`, { service: name, need })
  const order: Array<string> = []
  let left = entries
  while (left.length > 0) {
    const waits = (entry: Entry): boolean =>
      entry.needs.some((need) => left.some((other) => other !== entry && other.gives.includes(need)))
    const ready = left.filter((entry) => !waits(entry))
    if (ready.length === 0) {
      const names = left.map(({ name }) => name).join(", ")
      return fault(`the services ${names} need each other`, { services: names })
    }
    order.push(...ready.map(({ name }) => name))
    left = left.filter(waits)
  }
  return order
}

/** Runs the steps of all; on a failure those that have started are stopped again, and the first fault is thrown. */
export class ServiceRunner {
  private readonly services: ReadonlyArray<Partial<Startable>>
  private started: Array<Partial<Startable>> = []

  constructor(services: ServiceMap, order: ReadonlyArray<string>) {
    this.services = order.map((name) => startable(services[name]))
  }

  async beforeStart(): Promise<void> {
    for (const service of this.services) await service.beforeStart?.()
  }

  async start(): Promise<void> {
    for (const service of this.services) {
      this.started.push(service)
      await service.start?.()
    }
    for (const service of this.services) await service.afterStart?.()
  }

  /** Stops all that were started, the last first. One that fails does not keep the others from it. */
  async stop(failed: (error: unknown) => void): Promise<void> {
    const services = this.started.reverse()
    this.started = []
    for (const step of ["beforeStop", "stop", "afterStop"] as const)
      for (const service of services) {
        try {
          await service[step]?.()
        } catch (error) {
          failed(error)
        }
      }
  }
}
