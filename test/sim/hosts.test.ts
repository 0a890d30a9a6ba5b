/** Whole libp2p hosts on the simulated network, and the same again from a seed. */
import { expect, test } from "bun:test"
import { Effect, Exit } from "effect"
import { concatAll } from "../../src/codec/bytes.ts"
import type { Stream } from "../../src/host/api.ts"
import { createHost } from "../../src/host/host.ts"
import { noise, tls } from "../../src/host/parts.ts"
import type { World as LinkWorld } from "../../src/host/world.ts"
import type { PrivateKey } from "../../src/libp2p/contract.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { keyFromSeed } from "../../src/libp2p/key.ts"
import { multiaddr } from "../../src/libp2p/multiaddr.ts"
import { SeededChoices } from "../../src/sim/choices.ts"
import { linkWorld } from "../../src/sim/links.ts"
import { SimNet } from "../../src/sim/net.ts"
import { errorOf, World } from "../../src/sim/world.ts"

type Body = (net: SimNet, near: LinkWorld, far: LinkWorld, wait: (ms: number) => Promise<void>) => Promise<void>

/** Runs in a world of two machines; what happened, as a hash. */
const play = (seed: number, body: Body): string => {
  const choices = new SeededChoices(seed)
  const world = new World({ choices, preempt: 0, seed })
  const net = new SimNet(world, choices)
  const [a, b] = [world.host("a"), world.host("b")]
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void a.after(ms, resolve))
  const program = Effect.callback<void, unknown>((resume) => {
    const settled = world.promised()
    const end = (exit: Effect.Effect<void, unknown>): void => {
      settled()
      resume(exit)
    }
    body(net, linkWorld(net, a, "10.0.0.1"), linkWorld(net, b, "10.0.0.2"), wait).then(
      () => end(Effect.void),
      (error: unknown) => end(Effect.fail(error))
    )
  })
  const exit = world.run(program)
  if (Exit.isFailure(exit)) throw errorOf(exit)
  return world.digest
}

const keyOf = (byte: number): PrivateKey => {
  const key = keyFromSeed(new Uint8Array(32).fill(byte))
  if (key instanceof Libp2pFault) throw key
  return key
}
const echo = async (stream: Stream): Promise<void> => {
  for await (const bytes of stream) stream.send(bytes)
  await stream.close()
}

for (const [name, encrypter] of [
  ["noise", noise],
  ["tls", tls]
] as const)
  test(`a whole host dials, speaks and hears of a broken network over ${name}, the same again from a seed`, () => {
    const run = (seed: number): string =>
      play(seed, async (net, near, far, wait) => {
        const host = (byte: number, world: LinkWorld, listen: ReadonlyArray<string>) =>
          createHost({ privateKey: keyOf(byte), addresses: { listen }, connectionEncrypters: [encrypter()] }, world)
        const [a, b] = [host(1, near, []), host(2, far, ["/ip4/0.0.0.0/tcp/7", "/ip6/::/tcp/7"])]
        await a.start()
        await b.start()
        await b.handle("/echo/1", echo)
        Object.assign(net.weather, { delayMs: 50, shuffle: 0.5 })
        const connection = await a.dial(multiaddr(`/ip4/10.0.0.2/tcp/7/p2p/${b.peerId}`))
        const stream = await connection.newStream("/echo/1")
        const sent = new Uint8Array(300_000).map((_, at) => at % 251)
        if (!stream.send(sent)) await stream.onDrain()
        const closed = stream.close()
        const heard: Array<Uint8Array> = []
        for await (const bytes of stream) heard.push(bytes.slice())
        await closed
        expect(concatAll(heard)).toEqual(sent)
        net.reset("a", "b")
        await wait(1_000)
        expect([a.getConnections().length, b.getConnections().length]).toEqual([0, 0])
        await a.stop()
        await b.stop()
      })
    for (let seed = 1; seed < 4; seed++) expect(run(seed)).toBe(run(seed))
  })
