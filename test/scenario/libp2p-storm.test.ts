/**
 * Four whole hosts do everything at once, at random, in any weather, cut off, reset, stopped and started: whatever they were asked
 * for settles with a result or a fault of ours, and nothing is left. The same seed gives the same run.
 */
import { expect, test } from "bun:test"
import type { Stream } from "../../src/host/api.ts"
import { identify, identifyPush } from "../../src/host/identify-service.ts"
import { noise } from "../../src/host/parts.ts"
import { perf } from "../../src/host/perf-service.ts"
import { ping } from "../../src/host/ping-service.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"
import { addressOf, ask, echo, play, playedTls, type Stack } from "../stack.ts"

const services = { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
const names = ["a", "b", "c", "d"]
const start = (stack: Stack, tls: boolean) =>
  stack.host({ services, connectionEncrypters: tls ? [playedTls(), noise()] : [noise()] })
type Peer = Awaited<ReturnType<typeof start>>

class Storm {
  private readonly stack: Stack
  private readonly dice: Dice
  private readonly hosts: ReadonlyArray<Peer>
  /** What was asked for, and whether it has settled. */
  readonly asked: Array<{ readonly what: string; outcome: unknown; settled: boolean }> = []

  constructor(stack: Stack, dice: Dice, hosts: ReadonlyArray<Peer>) {
    this.stack = stack
    this.dice = dice
    this.hosts = hosts
  }

  private watch(what: string, promise: Promise<unknown>): void {
    const entry = { what, outcome: undefined as unknown, settled: false }
    this.asked.push(entry)
    promise
      .then(
        () => undefined,
        (error: unknown) => error
      )
      .then((outcome) => Object.assign(entry, { outcome, settled: true }))
  }

  /** One thing that an application asks for, called off after a while or not at all. */
  private ask(a: Peer, to: number): void {
    const { dice, stack } = this
    const controller = new AbortController()
    const signal = controller.signal
    if (dice.chance(0.2)) stack.world.home.after(dice.int(3_000), () => controller.abort())
    const target = addressOf(to + 1)
    const sizes = [dice.int(300_000), dice.int(300_000)] as const
    const spoken = (stream: Stream) => ask(stream, new Uint8Array(sizes[0]))
    const calls: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
      ["dial", () => a.dial(target, { signal })],
      ["dial anew", () => a.dial(target, { signal, force: true })],
      ["echo", () => a.dialProtocol(target, "/echo/1", { signal }).then(spoken)],
      ["second choice", () => a.dialProtocol(target, ["/none/1", "/echo/1"], { signal }).then(spoken)],
      ["ping", () => a.services.ping.ping(target, { signal })],
      ["perf", () => Array.fromAsync(a.services.perf.measurePerformance(target, ...sizes, { signal }))],
      ["hang up", () => a.hangUp(this.hosts[to]!.peerId, { signal })]
    ]
    const [what, call] = dice.pick(calls)
    this.watch(what, call())
  }

  /** One thing that happens to them. */
  private strike(a: Peer, from: number, to: number): void {
    const { dice, stack } = this
    const [here, there] = [names[from]!, names[to]!]
    const blows: ReadonlyArray<() => void> = [
      () => {
        stack.net.cut(here, there)
        stack.world.home.after(dice.int(60_000), () => stack.net.mend(here, there))
      },
      () => stack.net.reset(here, there),
      () =>
        this.watch(
          "restart",
          a.stop().then(() => a.start())
        ),
      () => {
        const fault = new Libp2pFault("cancelled", "AbortError", "enough")
        for (const { streams } of a.getConnections()) for (const stream of streams) stream.abort(fault)
      }
    ]
    dice.pick(blows)()
  }

  async rage(rounds: number): Promise<void> {
    const { dice } = this
    for (let round = 0; round < rounds; round++) {
      const from = dice.int(names.length)
      const to = (from + 1 + dice.int(names.length - 1)) % names.length
      if (dice.chance(0.3)) this.strike(this.hosts[from]!, from, to)
      else this.ask(this.hosts[from]!, to)
      await this.stack.wait(dice.int(2_000))
    }
  }
}

const storm = (seed: number): string =>
  play(seed, async (stack) => {
    const dice = makeDice(seed)
    const hosts: Array<Peer> = []
    for (const _ of names) hosts.push(await start(stack, dice.chance(0.5)))
    const errors: Array<unknown> = []
    for (const host of hosts) {
      await host.handle("/echo/1", echo)
      host.addEventListener("host:error", ({ detail }) => void errors.push(detail.error))
    }
    const tenth = (): number => dice.int(10) / 10
    Object.assign(stack.net.weather, { loss: tenth() / 10, delayMs: 400 * tenth(), shuffle: tenth() })
    const rage = new Storm(stack, dice, hosts)
    await rage.rage(60)
    await stack.wait(300_000)
    expect(rage.asked.filter(({ settled }) => !settled)).toEqual([])
    for (const error of [...errors, ...rage.asked.map(({ outcome }) => outcome)])
      if (error !== undefined && (!(error instanceof Libp2pFault) || error.kind === "internal")) throw error
    for (const host of hosts) {
      expect(host.getConnections().flatMap(({ streams }) => streams)).toEqual([])
      const { streams, connections, transientConnections } = host.resources()
      expect([streams.total, transientConnections.total]).toEqual([0, 0])
      expect(connections.total).toBe(host.getConnections().length)
    }
  })

/** `SIM_SEED=n` runs that one alone. */
const only = process.env["SIM_SEED"]
const seeds = only === undefined ? [1, 2, 3, 4] : [Number(only)]

for (const seed of seeds) test(`everything at once, seed ${seed}`, () => void storm(seed))

test("the same seed gives the same bytes", () => {
  expect(storm(7)).toBe(storm(7))
})
