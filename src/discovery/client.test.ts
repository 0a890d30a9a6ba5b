/** How a node uses discovery services: when it speaks, what it believes, how long it waits for one that is away. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { discoveryAskMsMax, discoveryPageMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { Client, type ClientEffect, type Outcome, parseService, refreshMs, registeredMs } from "./client.ts"
import { checkStatement, readCommand } from "./statement.ts"

const start = 1_795_219_200_000
const half = (): number => 0.5
const service = "http://192.0.2.53:4444/"
const make = (wish: { readonly endpoint?: string; readonly urls?: ReadonlyArray<string> } = {}) => {
  const { endpoint = "192.0.2.1:19100", urls = [service] } = wish
  return new Client({ chainId: "c", genesis: new Uint8Array(32).fill(7), key: keyOf(1), endpoint }, urls)
}
type Ask = Extract<ClientEffect, { _tag: "Ask" }>
const asksOf = (effects: ReadonlyArray<ClientEffect>): ReadonlyArray<Ask> =>
  effects.filter((effect): effect is Ask => effect._tag === "Ask")
const commandOf = ({ body }: { readonly body: string }) => {
  const read = readCommand(JSON.parse(body))
  if (Result.isFailure(read)) throw new Error(read.failure)
  return read.success
}
const ok = (value: object): Outcome => ({ status: 200, body: JSON.stringify(value) })
const listing = (...endpoints: ReadonlyArray<unknown>): Outcome =>
  ok({ members: endpoints.map((endpoint) => ({ endpoint })) })
/** Answers the one question that is out. */
const reply = (client: Client, effects: ReadonlyArray<ClientEffect>, outcome: Outcome, now: number) => {
  const [ask] = asksOf(effects)
  return client.answered(ask!.service, ask!.ask, outcome, now, half)
}
const foundIn = (effects: ReadonlyArray<ClientEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Found" ? effect.endpoints : []))
const said = (effects: ReadonlyArray<ClientEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Say" ? [effect.code] : []))
/** The first millisecond from now on at which it asks again. */
const nextAsk = (
  client: Client,
  now: number
): { readonly waitMs: number; readonly effects: ReadonlyArray<ClientEffect> } => {
  for (let waitMs = 0; waitMs < 1_000_000; waitMs += 250) {
    const effects = client.tick(now + waitMs, half)
    if (asksOf(effects).length > 0) return { waitMs, effects }
  }
  throw new Error("it never asks again")
}

describe("a node and its discovery service", () => {
  test("registers, looks from a random place and then from the beginning, and comes back before its registration ends", () => {
    const client = make()
    const first = client.tick(start, half)
    const add = commandOf(asksOf(first)[0]!)
    if (add.command !== "add") throw new Error("it does not register")
    expect(checkStatement(add.statement, { now: start, near: false })).toBeUndefined()
    expect(add.statement).toMatchObject({ endpoint: "192.0.2.1:19100", time: start, expires: start + registeredMs })
    expect(asksOf(client.tick(start + 1, half))).toEqual([])
    const second = reply(client, first, ok({}), start)
    expect([said(second), commandOf(asksOf(second)[0]!)]).toMatchObject([["registered"], { command: "get_all" }])
    expect((commandOf(asksOf(second)[0]!) as { readonly after: string }).after).toStartWith("node1")
    const third = reply(client, second, listing("192.0.2.2:1"), start)
    expect([foundIn(third), commandOf(asksOf(third)[0]!)]).toMatchObject([
      ["192.0.2.2:1"],
      { command: "get_all", after: "" }
    ])
    expect(foundIn(reply(client, third, listing("192.0.2.3:1"), start))).toEqual(["192.0.2.3:1"])
    const { waitMs, effects } = nextAsk(client, start)
    expect([waitMs, 1.25 * refreshMs * 2 < registeredMs + refreshMs, commandOf(asksOf(effects)[0]!).command]).toEqual([
      refreshMs,
      true,
      "add"
    ])
    expect(said(reply(client, effects, ok({}), start + waitMs))).toEqual([])
  })

  test("looks once where a page is full", () => {
    const client = make({ endpoint: "" })
    const first = client.tick(start, half)
    expect(commandOf(asksOf(first)[0]!).command).toBe("get_all")
    const full = Array.from({ length: discoveryPageMax }, (_, i) => `10.0.0.${i}:1`)
    const last = reply(client, first, listing(...full), start)
    expect([asksOf(last), foundIn(last).length]).toEqual([[], discoveryPageMax])
  })

  test("takes no place that is ours, none twice, and none on this machine from a service elsewhere", () => {
    const named = [
      "192.0.2.1:19100",
      "192.0.2.2:1",
      "192.0.2.2:1",
      "127.0.0.1:1",
      "169.254.169.254:80",
      "0.0.0.0:1",
      7,
      null,
      "x"
    ]
    const takenFrom = (url: string) => {
      const client = make({ urls: [url] })
      const second = reply(client, client.tick(start, half), ok({}), start)
      return foundIn(reply(client, second, listing(...named), start))
    }
    expect(takenFrom(service)).toEqual(["192.0.2.2:1"])
    expect(takenFrom("http://127.0.0.1:4444/")).toEqual(["192.0.2.2:1", "127.0.0.1:1", "169.254.169.254:80"])
  })

  test("waits twice as long each time a service is away, at most five minutes, says it once, and begins anew after an answer", () => {
    const client = make()
    let now = start
    const waits: Array<number> = []
    const words: Array<string> = []
    for (let i = 0; i < 9; i++) {
      const { waitMs, effects } = nextAsk(client, now)
      now += waitMs
      waits.push(waitMs)
      words.push(...said(reply(client, effects, { fault: "refused" }, now)))
    }
    expect([waits, words]).toEqual([[0, 5e3, 1e4, 2e4, 4e4, 8e4, 16e4, 3e5, 3e5], ["away"]])
    const { waitMs, effects } = nextAsk(client, now)
    now += waitMs
    let more = reply(client, effects, ok({}), now)
    while (asksOf(more).length > 0) more = reply(client, more, listing(), now)
    const again = nextAsk(client, now)
    expect(again.waitMs).toBe(refreshMs)
    reply(client, again.effects, { fault: "refused" }, now + refreshMs)
    expect(nextAsk(client, now + refreshMs).waitMs).toBe(5_000)
  })

  test("spreads its waits by chance, a quarter to either side", () => {
    const waitOf = (chance: number): number => {
      const client = make()
      const [ask] = asksOf(client.tick(start, half))
      client.answered(0, ask!.ask, { fault: "" }, start, () => chance)
      return nextAsk(client, start).waitMs
    }
    expect([0, 0.5, 1].map(waitOf)).toEqual([3_750, 5_000, 6_250])
  })

  test("that is refused looks all the same; of one that is full, busy or none it keeps away for a while", () => {
    const outcomes: ReadonlyArray<readonly [Outcome, string, boolean]> = [
      [{ status: 400, body: '{"code":"registration-stale"}' }, "registration-stale", true],
      [{ status: 409, body: '{"code":"registration-replayed"}' }, "registration-replayed", true],
      [{ status: 503, body: '{"code":"members-full"}' }, "away", false],
      [{ status: 429, body: '{"code":"rate-limited"}' }, "away", false],
      [{ status: 404, body: "<html>" }, "away", false]
    ]
    for (const [outcome, code, looks] of outcomes) {
      const client = make()
      const effects = reply(client, client.tick(start, half), outcome, start)
      expect([said(effects), asksOf(effects).length > 0]).toEqual([[code], looks])
      expect(client.leave(start)).toEqual([])
    }
  })

  test("believes no answer that is none, whatever it is, and never throws", () => {
    const wrong = [
      "",
      "[]",
      "null",
      "7",
      '{"members":7}',
      `{"members":[${"{},".repeat(64)}{}]}`,
      '{"members":[null,7,[]]}'
    ]
    for (let seed = 0; seed < 400; seed++) {
      const dice = makeDice(seed)
      const client = make()
      let effects = client.tick(start, half)
      for (let i = 0; i < 6 && asksOf(effects).length > 0; i++) {
        const body = dice.int(2) === 0 ? dice.pick(wrong) : String.fromCharCode(...dice.bytes(dice.int(60)))
        effects = reply(
          client,
          effects,
          dice.int(5) === 0 ? ok({}) : { status: dice.pick([200, 302, 400]), body },
          start
        )
        expect(foundIn(effects)).toEqual([])
      }
      expect(nextAsk(client, start).waitMs).toBeGreaterThan(0)
    }
  })

  test("regards no answer to a question that is not out, and gives one up that nobody answers", () => {
    const client = make()
    const [ask] = asksOf(client.tick(start, half))
    expect(client.answered(0, ask!.ask + 1, ok({}), start, half)).toEqual([])
    const lostAt = start + discoveryAskMsMax + 5_000
    expect([client.tick(lostAt - 1, half), said(client.tick(lostAt, half))]).toEqual([[], ["lost"]])
    expect(client.answered(0, ask!.ask, ok({}), lostAt, half)).toEqual([])
    expect(nextAsk(client, lostAt).waitMs).toBe(5_000)
  })

  test("says goodbye where it is known, with a word newer than all before", () => {
    const client = make({ urls: [service, "http://192.0.2.54:4444/"] })
    const [one, other] = asksOf(client.tick(start, half))
    client.answered(one!.service, one!.ask, ok({}), start, half)
    client.answered(other!.service, other!.ask, { fault: "" }, start, half)
    const [goodbye, ...more] = client.leave(start)
    const command = commandOf(goodbye!)
    if (command.command !== "remove") throw new Error("no removal")
    expect([more, goodbye!.url, checkStatement(command.statement, { now: start, near: false })]).toEqual([
      [],
      service,
      undefined
    ])
    const last = commandOf(other!)
    expect(last.command === "add" && command.statement.time > last.statement.time).toBe(true)
    expect(client.leave(start + registeredMs)).toEqual([])
  })
})

test("a service is http or https, a host and a port, and nothing more", () => {
  expect(["http://127.0.0.1:4444", "https://d.example/", "http://[::1]:1"].map(parseService)).toEqual([
    "http://127.0.0.1:4444/",
    "https://d.example/",
    "http://[::1]:1/"
  ])
  const wrong = [
    "",
    "127.0.0.1:4444",
    "ftp://a:1",
    "http://u:p@a:1",
    "http://a:1/x",
    "http://a:1/?q",
    "http://a:99999",
    "http://a b"
  ]
  expect(wrong.map(parseService)).toEqual(wrong.map(() => undefined))
})
