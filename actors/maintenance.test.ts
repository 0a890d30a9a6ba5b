/** The maintenance actor by itself: whom it dials and asks in its rounds, whom it lets in, and what it writes down. */
import { describe, expect, test } from "bun:test"
import { maintenanceStage } from "../test/maintenance.ts"
import { peersPerMessageMax } from "../src/limits.ts"

const some = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `46.${i}.1.1:1`)

describe("a round", () => {
  test("asks so many peers whom they know, looks at one endpoint, and saves", () => {
    const { heard, pass, admit, tell, found, book } = maintenanceStage({ policy: { discoveryFanout: 3 } })
    for (let i = 0; i < 9; i++) expect(admit({ nodeId: `node1${i}`, remoteHost: `45.${i}.1.1` })).toBe("in")
    tell(1, some(60))
    for (const endpoint of some(60)) found(endpoint)
    const saves = heard.saved.length
    heard.told.length = 0
    heard.dialled.length = 0
    pass(30)
    expect(heard.told.filter(([, { _tag: tag }]) => tag === "AskPeers")).toHaveLength(3)
    expect(heard.saved.length).toBe(saves + 1)
    const [looked] = heard.dialled
    expect(heard.dialled).toHaveLength(1)
    const met = book().peers.length
    expect([found(looked!), book().peers.length]).toEqual(["probe", met])
  })

  test("is made as often as the policy says, or not at all, and dials go on", () => {
    const { heard, pass } = maintenanceStage({
      policy: { maintenanceMs: undefined, connectMs: 5_000 },
      seeds: ["46.1.1.1:1"]
    })
    pass(1)
    expect(heard.dialled).toEqual(["46.1.1.1:1"])
    pass(59)
    expect([heard.told.length, heard.saved.length]).toEqual([0, 2])
  })

  test("takes so many endpoints of one peer, and none of a session that is over", () => {
    const { tell, book, admit, pass, step } = maintenanceStage({ policy: { dialDiscovered: false } })
    admit({ nodeId: "node1a" })
    tell(1, some(peersPerMessageMax))
    tell(1, ["50.1.1.1:1", "50.2.1.1:1"])
    const first = book().counts.new
    expect(first).toBeLessThanOrEqual(peersPerMessageMax)
    expect(book().unmet.some(({ endpoint }) => endpoint.startsWith("50."))).toBe(false)
    pass(30)
    tell(1, ["50.1.1.1:1", "44.0.0.1:19100"])
    expect(
      book()
        .unmet.filter(({ endpoint }) => /^(50|44)/.test(endpoint))
        .map(({ endpoint }) => endpoint)
    ).toEqual(["50.1.1.1:1"])
    step({ _tag: "SessionEnded", session: 1, reason: "left" })
    tell(1, ["51.1.1.1:1"])
    expect(book().counts.new).toBe(first + 1)
  })
})

test("who waits is shown with the end of the wait, twice as far off each time, and not while a dial goes on", () => {
  const { world, heard, step, pass, book } = maintenanceStage({ seeds: some(1) })
  const [endpoint] = some(1)
  const shown = () => {
    const [place] = book().unmet
    return [place!.state, place!.cooldownUntil === undefined ? undefined : place!.cooldownUntil - world.now] as const
  }
  for (const ms of [1_000, 2_000, 4_000]) {
    const dials = heard.dialled.length
    while (heard.dialled.length === dials) pass(1)
    expect(shown()).toStrictEqual(["known", undefined])
    step({ _tag: "DialFailed", endpoint: endpoint!, reason: "refused" })
    const [state, wait] = shown()
    expect([state, wait! >= 0.75 * ms && wait! <= 1.25 * ms + 1]).toEqual(["backoff", true])
  }
})

test("what was dialled is dialled first after a restart, once, also when the node stops in order", () => {
  const before = maintenanceStage({ seeds: some(2) })
  before.pass(1)
  for (const endpoint of some(2)) before.found(endpoint)
  before.tell(1, ["50.1.1.1:1"])
  before.pass(1)
  before.found("50.1.1.1:1")
  before.pass(1)
  for (const session of [1, 2, 3]) before.step({ _tag: "SessionEnded", session, reason: "the node stops" })
  before.pass(1)
  before.drain()
  const [rows] = before.heard.saved.slice(-1)
  expect(rows!.get("#anchors")).toEqual([...some(2), "50.1.1.1:1"])
  const after = maintenanceStage({ rows: rows! })
  expect(after.heard.saved[0]!.has("#anchors")).toBe(false)
  after.world.now += 60_000
  after.pass(1)
  expect(after.heard.dialled[0]).toBe("50.1.1.1:1")
})

test("whoever gave something good lately keeps its place when others lose theirs", () => {
  const { admit, step, book } = maintenanceStage({ sessionsMax: 40, policy: { perSubnetMax: 100 } })
  for (let i = 0; i < 30; i++) admit({ nodeId: `node1x${i}`, remoteHost: `60.1.${i}.1` })
  step({ _tag: "Gave", session: 30, what: "block" })
  step({ _tag: "Gave", session: 29, what: "transaction" })
  for (let i = 0; i < 8; i++) expect(admit({ nodeId: `node1y${i}`, remoteHost: `60.1.${100 + i}.1` })).toBe("in")
  const gone = book().peers.flatMap(({ nodeId, direction }) => (direction === "none" ? [nodeId] : []))
  expect(gone).toHaveLength(8)
  expect(gone.filter((id) => id === "node1x29" || id === "node1x28")).toEqual([])
})

test("a dial that is not answered counts as one under way, and no more are begun than there is room for", () => {
  const { heard, pass, tell, admit } = maintenanceStage()
  admit({ nodeId: "node1a" })
  tell(1, some(60))
  pass(5)
  expect(heard.dialled).toHaveLength(12)
  pass(20)
  expect(heard.dialled.length).toBeLessThanOrEqual(24)
})
