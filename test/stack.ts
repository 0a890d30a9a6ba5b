/**
 * Whole libp2p hosts over the simulated network: every byte of every link is heard, may be changed on its way, and goes into the
 * digest of the run; at the end nothing may be left of it.
 */
import { expect } from "bun:test"
import { Effect, Exit } from "effect"
import type { ServiceMap, Stream } from "../src/host/api.ts"
import { createHost, type Host } from "../src/host/host.ts"
import type { HostInit } from "../src/host/init.ts"
import { type EncrypterFactory, noise, tls } from "../src/host/parts.ts"
import type { World as LinkWorld } from "../src/host/world.ts"
import { Libp2pFault } from "../src/libp2p/fault.ts"
import type { Multiaddr, PrivateKey } from "../src/libp2p/contract.ts"
import { keyFromSeed } from "../src/libp2p/key.ts"
import { multiaddr } from "../src/libp2p/multiaddr.ts"
import { SeededChoices } from "../src/sim/choices.ts"
import { linkWorld } from "../src/sim/links.ts"
import { SimNet } from "../src/sim/net.ts"
import { errorOf, type Host as Machine, World } from "../src/sim/world.ts"

/** What a network makes of bytes: `at` is how many went before on this link in this direction. */
export type Bend = (bytes: Uint8Array, at: number, from: string) => Uint8Array

const port = 4001
const keys = new Map<number, PrivateKey>()
/** The Ed25519 key of machine 1, 2, … */
export const keyOf = (number: number): PrivateKey => {
  const known = keys.get(number)
  if (known !== undefined) return known
  const key = keyFromSeed(new Uint8Array(32).fill(number))
  if (key instanceof Libp2pFault) throw key
  keys.set(number, key)
  return key
}

const certificates = new Map<string, { readonly key: string; readonly cert: string }>()
/** TLS, with one certificate for an identity as long as this process lives: its P-256 signature takes chance that has no seed. */
export const playedTls = (): EncrypterFactory => (components) => {
  const part = tls()(components)
  const name = `${components.identity.peerId}`
  if (part._tag !== "Tls") return part
  const certificate = certificates.get(name) ?? part.certificate()
  certificates.set(name, certificate)
  return { ...part, certificate: () => certificate }
}

export class Stack {
  readonly net: SimNet
  readonly world: World
  readonly hosts: Array<Host> = []
  /** Links that are made from here on are changed by it. */
  bend: Bend | undefined
  /** Bytes on the wire, by who sent them, since it was emptied. */
  readonly sent = new Map<string, number>()
  private readonly machines: Array<Machine> = []
  private readonly links = new Map<string, { readonly bend: Bend | undefined; at: number }>()

  constructor(seed: number) {
    const choices = new SeededChoices(seed)
    this.world = new World({ choices, preempt: 0, seed })
    this.net = new SimNet(this.world, choices)
    this.net.tap = (from, to, link, bytes) => this.pass(from, `${link} ${from} ${to}`, bytes)
  }

  private pass(from: string, name: string, bytes: Uint8Array): Uint8Array {
    const { trace } = this.world
    const way = this.links.get(name) ?? { bend: this.bend, at: 0 }
    this.links.set(name, way)
    trace.addText(name)
    trace.add(bytes.length)
    for (let at = 0; at < bytes.length; at += 4)
      trace.add(bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    this.sent.set(from, (this.sent.get(from) ?? 0) + bytes.length)
    const bent = way.bend?.(bytes, way.at, from) ?? bytes
    way.at += bytes.length
    return bent
  }

  /** The world of machine 1, 2, …: named a, b, …, at 10.0.0.1, 10.0.0.2, … */
  machine(number: number): LinkWorld {
    const machine = this.world.host(String.fromCharCode(96 + number))
    this.machines.push(machine)
    return linkWorld(this.net, machine, `10.0.${number >> 8}.${number & 255}`)
  }

  /** A started host on the next machine, over Noise unless it is told otherwise. */
  async host<T extends ServiceMap = Record<string, never>>(init: Partial<HostInit<T>> = {}): Promise<Host<T>> {
    const number = this.machines.length + 1
    const defaults = {
      privateKey: keyOf(number),
      addresses: { listen: [`/ip4/0.0.0.0/tcp/${port}`] },
      connectionEncrypters: [noise()]
    }
    const host = createHost<T>({ ...defaults, ...init } as HostInit<T>, this.machine(number))
    this.hosts.push(host as unknown as Host)
    await host.start()
    return host
  }

  /** Virtual milliseconds pass. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.home.after(ms, resolve))
  }

  /** Connections, streams and counts of who runs: none. */
  expectQuiet(): void {
    for (const host of this.hosts) {
      expect(host.getConnections()).toEqual([])
      expect(host.getDialQueue()).toEqual([])
      const nothing = { inbound: 0, outbound: 0, total: 0 }
      expect(host.resources()).toMatchObject({
        connections: nothing,
        transientConnections: nothing,
        streams: nothing,
        transientStreams: nothing
      })
    }
  }

  /** Stops every host: then no link, no count and no timer is left. */
  async stop(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()))
    await this.wait(1)
    this.expectQuiet()
    expect(this.machines.map(({ waiting }) => waiting)).toEqual(this.machines.map(() => 0))
    await this.wait(10_000)
    expect(this.net.open).toBe(0)
  }
}

/** Runs a body in a world of its own and stops its hosts. The digest of the run: every step, every byte. */
export const play = (seed: number, body: (stack: Stack) => Promise<void>): string => {
  const stack = new Stack(seed)
  const program = Effect.callback<void, unknown>((resume) => {
    const settled = stack.world.promised()
    const end = (exit: Effect.Effect<void, unknown>): void => {
      settled()
      resume(exit)
    }
    body(stack)
      .then(() => stack.stop())
      .then(
        () => end(Effect.void),
        (error: unknown) => end(Effect.fail(error))
      )
  })
  const exit = stack.world.run(program)
  if (Exit.isFailure(exit)) throw errorOf(exit)
  return stack.world.digest
}

/** Where a machine listens, without its peer id. */
export const addressOf = (number: number): Multiaddr => multiaddr(`/ip4/10.0.0.${number}/tcp/${port}`)

/** The fault that a promise rejects with: all do with one of ours. */
export const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const error: unknown = await promise.then(
    () => "nothing failed",
    (failure: unknown) => failure
  )
  if (error instanceof Libp2pFault) return error
  throw new Error(`not a fault: ${String(error)}`, { cause: error })
}

/** Sends back what comes, and closes when the other side has. */
export const echo = async (stream: Stream): Promise<void> => {
  for await (const bytes of stream) if (!stream.send(bytes)) await stream.onDrain()
  await stream.close()
}

/** All that a stream gives until the other side has ended. */
export const readAll = async (stream: Stream): Promise<Uint8Array> => {
  const heard: Array<Uint8Array> = []
  for await (const bytes of stream) heard.push(bytes.slice())
  return Buffer.concat(heard)
}

/** Says it, says no more, and gives back what is said to it. */
export const ask = async (stream: Stream, bytes: Uint8Array): Promise<Uint8Array> => {
  const heard = readAll(stream)
  // Who fails at saying it hears that, and nothing else.
  heard.catch(() => undefined)
  if (!stream.send(bytes)) await stream.onDrain()
  await stream.close()
  return heard
}
