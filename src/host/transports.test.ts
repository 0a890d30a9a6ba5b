/** A listener's door: the limits that it has are the host's, and what the world turns away there is told, counted and warned of. */
import { expect, test } from "bun:test"
import { TestClock, testWorld } from "../../test/host-net.ts"
import { acceptedLinksMax, acceptedPerIpMax } from "../limits.ts"
import type { ComponentLogger, HostEvents } from "./api.ts"
import { createHost } from "./host.ts"
import { componentLogger } from "./log.ts"
import { defaultResourceLimits, type ResourceLimits } from "./resources.ts"
import type { LinkDoor } from "./world.ts"

const at = { host: "198.18.0.1", port: 4001 }
const listening = async (resources?: ResourceLimits, logger?: ComponentLogger) => {
  const doors: Array<LinkDoor> = []
  const host = createHost(
    { addresses: { listen: [`/ip4/${at.host}/tcp/${at.port}`] }, resources, logger },
    {
      ...testWorld(new TestClock()),
      listen: async (where, _, door) => {
        doors.push(door!)
        return { at: where, close: () => {} }
      }
    }
  )
  const failures: Array<HostEvents["connection:failure"]["detail"]> = []
  host.addEventListener("connection:failure", ({ detail }) => failures.push(detail))
  await host.start()
  return { host, door: doors[0]!, failures }
}

test("what a door turned away is a failure of a connection, a count and a warning", async () => {
  const lines: Array<string> = []
  const { host, door, failures } = await listening(
    undefined,
    componentLogger((level, _, formatter) => lines.push(`${level} ${formatter}`))
  )
  door.refused({ host: "198.18.0.2", port: 50_000 }, "address")
  door.refused({ host: "2001:db8::1", port: 50_001 }, "everywhere")
  door.refused({ host: "2001:db8::2", port: 50_002 }, "everywhere")
  const { refused, refusals } = host.getMetrics()
  expect([refused, refusals]).toEqual([3, { "inbound links of one address": 1, "inbound links": 2 }])
  expect(failures.map(({ remoteAddr, error }) => `${remoteAddr} ${error.name} ${error.message}`)).toEqual([
    "/ip4/198.18.0.2/tcp/50000 ResourceLimitError no more inbound links of one address",
    "/ip6/2001:db8::1/tcp/50001 ResourceLimitError no more inbound links",
    "/ip6/2001:db8::2/tcp/50002 ResourceLimitError no more inbound links"
  ])
  expect(lines.filter((line) => line.startsWith("warn a limit is met"))).toHaveLength(2)
  await host.stop()
})

test("a door is as wide as the application says, else as the limits do", async () => {
  for (const [links, system, address] of [
    [undefined, acceptedLinksMax, acceptedPerIpMax],
    [{ system: 5, address: 2 }, 5, 2]
  ] as const) {
    const { host, door } = await listening({ ...defaultResourceLimits, links })
    expect([door.linksMax, door.addressLinksMax]).toEqual([system, address])
    await host.stop()
  }
})
