/** Whole hosts over simulated links: all that they say to each other, in bad weather, cut off and restarted, the same again from a seed. */
import { describe, expect, test } from "bun:test"
import { addressUpdateDelayMs } from "../../src/host/address-manager.ts"
import type { Host } from "../../src/host/host.ts"
import { identify, identifyPush } from "../../src/host/identify-service.ts"
import { noise } from "../../src/host/parts.ts"
import { type PerfOutput, perf } from "../../src/host/perf-service.ts"
import { ping } from "../../src/host/ping-service.ts"
import { addressOf, ask, echo, faultOf, play, playedTls, readAll, type Stack } from "../stack.ts"

const services = { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
const pattern = (length: number): Uint8Array => new Uint8Array(length).map((_, at) => at % 251)
const storm = { loss: 0.02, delayMs: 80, shuffle: 0.5, dup: 0.1 }

/** Two hosts with all base protocols, and everything that these are for. */
const everything = async (stack: Stack, encrypter = noise): Promise<void> => {
  const init = { services, connectionEncrypters: [encrypter()] }
  const [a, b] = [await stack.host(init), await stack.host(init)]
  await b.handle("/echo/1", echo)
  await b.handle("/reset/1", (stream) => stream.abort(new Error("no")))
  Object.assign(stack.net.weather, storm)
  const connection = await a.dial(addressOf(2))
  await stack.wait(5_000)
  for (const [host, other] of [
    [a, b],
    [b, a]
  ] as const) {
    const peer = await host.peerStore.get(other.peerId)
    expect(peer.protocols).toEqual(other.getProtocols())
    expect(peer.addresses.every(({ isCertified }) => isCertified)).toBe(true)
  }
  await b.handle("/new/1", echo)
  await stack.wait(10_000)
  expect((await a.peerStore.get(b.peerId)).protocols).toContain("/new/1")
  expect(await a.services.ping.ping(b.peerId)).toBeGreaterThan(0)
  expect(await b.services.ping.ping(a.peerId)).toBeGreaterThan(0)
  const said = pattern(300_000)
  expect(await ask(await connection.newStream("/echo/1"), said)).toEqual(said)
  const many = Array.from({ length: 64 }, (_, at) => pattern(500 + at * 40))
  await b.unhandle("/echo/1")
  await b.handle("/echo/1", echo, { maxInboundStreams: 64 })
  const answers = many.map(async (bytes) => ask(await connection.newStream("/echo/1"), bytes))
  expect(await Promise.all(answers)).toEqual(many)
  const reset = await connection.newStream("/reset/1")
  expect((await faultOf(readAll(reset))).name).toBe("StreamResetError")
  expect((await faultOf(connection.newStream("/nobody/1"))).name).toBe("UnsupportedProtocolError")
  const outputs: Array<PerfOutput> = []
  for await (const output of a.services.perf.measurePerformance(addressOf(2), 400_000, 600_000)) outputs.push(output)
  expect(outputs.at(-1)).toMatchObject({ type: "final", uploadBytes: 400_000, downloadBytes: 600_000 })
  await stack.wait(5_000 + addressUpdateDelayMs)
  expect(a.getConnections().flatMap(({ streams }) => streams)).toEqual([])
  expect(connection.status).toBe("open")
}

describe("two hosts", () => {
  for (const [name, encrypter] of [
    ["noise", noise],
    ["tls", playedTls]
  ] as const)
    test(`do everything over ${name} in bad weather; a seed gives every byte again, another one others`, () => {
      const run = (seed: number): string => play(seed, (stack) => everything(stack, encrypter))
      const first = run(1)
      expect(run(1)).toBe(first)
      expect(run(2)).not.toBe(first)
    })
})

describe("five hosts", () => {
  /** Who is connected to whom, as each sees it. */
  const seen = ({ hosts }: Stack): ReadonlyArray<number> => hosts.map((host) => host.getPeers().length)

  const life = async (stack: Stack): Promise<void> => {
    const init = { services: { identify: identify(), identifyPush: identifyPush(), ping: ping() } }
    for (let number = 1; number <= 5; number++) await stack.host(init)
    for (const host of stack.hosts) await host.handle("/echo/1", echo)
    Object.assign(stack.net.weather, { loss: 0.01, delayMs: 40, shuffle: 0.3 })
    // All of all, both of each pair at once.
    await Promise.all(
      stack.hosts.flatMap((host, at) =>
        [1, 2, 3, 4, 5].filter((to) => to !== at + 1).map((to) => host.dial(addressOf(to)))
      )
    )
    await stack.wait(5_000)
    expect(seen(stack)).toEqual([4, 4, 4, 4, 4])
    const [a, b, c, d, e] = stack.hosts as [Host, Host, Host, Host, Host]
    const spoken = async (from: Host, to: Host): Promise<void> => {
      const said = pattern(20_000)
      expect(await ask(await from.dialProtocol(to.peerId, "/echo/1"), said)).toEqual(said)
    }
    await Promise.all([spoken(a, b), spoken(b, c), spoken(c, d), spoken(d, e), spoken(e, a)])
    // Two parts: within each all goes on, between them everything is given up in its time.
    for (const one of ["a", "b"]) for (const other of ["c", "d", "e"]) stack.net.cut(one, other)
    const across = faultOf(spoken(a, c))
    await Promise.all([spoken(a, b), spoken(c, d), spoken(e, d)])
    await stack.wait(130_000)
    expect((await across).kind).not.toBe("internal")
    expect(seen(stack)).toEqual([1, 1, 2, 2, 2])
    for (const one of ["a", "b"]) for (const other of ["c", "d", "e"]) stack.net.mend(one, other)
    await Promise.all([spoken(a, c), spoken(d, b)])
    // One breaks off every link, one is started again under its name.
    for (const other of ["a", "b", "d", "e"]) stack.net.reset("c", other)
    await stack.wait(1_000)
    await b.stop()
    await stack.wait(5_000)
    expect(b.resources().connections.total).toBe(0)
    await b.start()
    await Promise.all([spoken(c, b), spoken(b, e), spoken(a, b)])
  }

  test("meet, part, meet again; a seed gives every byte again, another one others", () => {
    const first = play(1, life)
    expect(play(1, life)).toBe(first)
    expect(play(2, life)).not.toBe(first)
  })
})
