/** Whole hosts over simulated links: all that they say to each other, in bad weather, cut off and restarted, the same again from a seed. */
import { describe, expect, test } from "bun:test"
import type { Multiaddr } from "../../src/libp2p/contract.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { addressUpdateDelayMs } from "../../src/host/address-manager.ts"
import { identify, identifyPush } from "../../src/host/identify-service.ts"
import { noise, tls } from "../../src/host/parts.ts"
import { type PerfOutput, perf } from "../../src/host/perf-service.ts"
import { ping } from "../../src/host/ping-service.ts"
import { addressOf, ask, echo, faultOf, play, readAll, type Stack } from "../stack.ts"

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
    ["tls", tls]
  ] as const)
    test(`do everything over ${name} in bad weather; a seed gives every byte again, another one others`, () => {
      const run = (seed: number): string => play(seed, (stack) => everything(stack, encrypter))
      const first = run(1)
      expect(run(1)).toBe(first)
      expect(run(2)).not.toBe(first)
    })
})
