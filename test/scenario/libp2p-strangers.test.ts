/** A host at a real port and those who come there without speaking libp2p, or slowly, or in crowds. The clock is moved by hand. */
import { afterEach, describe, expect, test } from "bun:test"
import { concat, utf8 } from "../../src/codec/bytes.ts"
import { createHost, type Host } from "../../src/host/host.ts"
import type { HostInit } from "../../src/host/init.ts"
import { pendingInboundMax } from "../../src/host/limits.ts"
import type { World } from "../../src/host/world.ts"
import { makeBunWorld } from "../../src/io/link.ts"
import { multiaddr, noise, tls } from "../../src/library.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { selectLine } from "../../src/libp2p/multistream.ts"
import { upgradeMsMax } from "../../src/limits.ts"
import { settle, TestClock } from "../host-net.ts"

/** Real sockets under time that stands. */
const worldOf = (clock: TestClock): World => ({ ...makeBunWorld(), now: () => clock.now, after: clock.after })

const hosts: Array<Host> = []
afterEach(async () => {
  for (const host of hosts.splice(0)) {
    await host.stop()
    expect(host.resources()).toMatchObject({
      connections: { total: 0 },
      transientConnections: { total: 0 },
      streams: { total: 0 }
    })
  }
})

interface Served {
  readonly clock: TestClock
  readonly host: Host
  readonly port: number
  /** Why links came to nothing, in order. */
  readonly failures: Array<Libp2pFault>
  /** Waits for so many of them. */
  readonly failed: (count: number) => Promise<void>
}

const serve = async (init: Partial<HostInit> = {}): Promise<Served> => {
  const clock = new TestClock()
  const host = createHost(
    { addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] }, connectionEncrypters: [noise(), tls()], ...init },
    worldOf(clock)
  )
  await host.start()
  hosts.push(host)
  const failures: Array<Libp2pFault> = []
  let wake = (): void => {}
  host.addEventListener("connection:failure", ({ detail }) => {
    failures.push(detail.error)
    wake()
  })
  host.addEventListener("host:error", ({ detail }) => {
    throw new Error(`${detail.where}: ${String(detail.error)}`)
  })
  const failed = async (count: number): Promise<void> => {
    while (failures.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  const port = Number(host.getMultiaddrs()[0]!.getComponents()[1]!.value)
  return { clock, host, port, failures, failed }
}

/** A plain socket and what it heard. */
class Stranger {
  heard = 0
  gone = false
  private wake = (): void => {}
  private socket!: Bun.Socket<undefined>

  static async at(port: number): Promise<Stranger> {
    const stranger = new Stranger()
    const told = (): void => stranger.wake()
    stranger.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, bytes) => {
          stranger.heard += bytes.length
          told()
        },
        close: () => {
          stranger.gone = true
          told()
        },
        error: () => {}
      }
    })
    return stranger
  }

  say(...parts: ReadonlyArray<Uint8Array>): void {
    this.socket.write(concat(...parts))
  }

  /** Until so many bytes came, or the host closed. */
  async hears(bytes: number): Promise<void> {
    while (this.heard < bytes && !this.gone)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
  }

  /** Until the host closed. */
  readonly ended = (): Promise<void> => this.hears(Infinity)

  leave(): void {
    this.socket.terminate()
  }
}

const header = selectLine("/multistream/1.0.0")
const told = (fault: Libp2pFault | undefined): string => `${fault?.kind} ${fault?.name}`

/** An honest host that dials and is served. */
const isServed = async ({ clock, port }: Served): Promise<string> => {
  const honest = createHost({ connectionEncrypters: [noise()] }, worldOf(clock))
  await honest.start()
  const connection = await honest.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`))
  const { status } = connection
  await honest.stop()
  return status
}

describe("who speaks something else", () => {
  const helloOfTls = concat(Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3), new Uint8Array(508))
  const words: ReadonlyArray<readonly [string, Uint8Array, string]> = [
    [
      "HTTP",
      utf8("GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"),
      "protocol ProtocolError"
    ],
    ["TLS without a proposal", helloOfTls, "protocol ProtocolError"],
    ["SSH", utf8(`SSH-2.0-OpenSSH_9.6\r\n${"x".repeat(80)}`), "protocol ProtocolError"],
    [
      "a line of more than 1,024 bytes",
      concat(Uint8Array.of(0x81, 0x08), new Uint8Array(1025)),
      "decode InvalidMessageError"
    ],
    ["a length that never ends", new Uint8Array(64).fill(0xff), "decode InvalidMessageError"],
    ["another version of multistream", selectLine("/multistream/2.0.0"), "protocol ProtocolError"],
    [
      "Noise with a frame of nothing",
      concat(header, selectLine("/noise"), new Uint8Array(2)),
      "verify InvalidCryptoExchangeError"
    ],
    [
      "Noise with a key of nothing",
      concat(
        header,
        selectLine("/noise"),
        Uint8Array.of(0, 32),
        new Uint8Array(32),
        Uint8Array.of(0, 16),
        new Uint8Array(16)
      ),
      "verify InvalidCryptoExchangeError"
    ],
    ["TLS that is none", concat(header, selectLine("/tls/1.0.0"), utf8("not a record")), "closed ConnectionFailedError"]
  ]
  test("is told of by kind, closed at once, and leaves nothing behind", async () => {
    const served = await serve()
    for (const [what, bytes, fault] of words) {
      const stranger = await Stranger.at(served.port)
      stranger.say(bytes)
      await Promise.all([served.failed(1), stranger.ended()])
      expect([what, told(served.failures.pop())]).toEqual([what, fault])
      expect([what, served.host.resources().connections.total]).toEqual([what, 0])
    }
    expect(await isServed(served)).toBe("open")
  })

  test("or random bytes of any length, is closed by the host or by the clock", async () => {
    const served = await serve()
    for (let round = 1; round <= 40; round++) {
      const stranger = await Stranger.at(served.port)
      const bytes = crypto.getRandomValues(new Uint8Array(round * 11))
      stranger.say(round % 2 === 0 ? bytes : concat(header, selectLine("/noise"), bytes))
      stranger.leave()
      await served.failed(round)
    }
    const kinds = new Set(served.failures.map(({ kind }) => kind))
    expect([...kinds].filter((kind) => !["protocol", "verify", "decode", "closed"].includes(kind))).toEqual([])
    expect(served.host.resources().connections.total).toBe(0)
  })
})

describe("who is slow", () => {
  /** What is said, and how many bytes of the host show that it was heard. */
  const stages: ReadonlyArray<readonly [string, ReadonlyArray<Uint8Array>, number, string]> = [
    ["says nothing", [], 0, "security"],
    ["says less than what a G would be the length of", [utf8("GET / HTTP/1.0\r\n\r\n")], 0, "security"],
    ["says half a header", [header.slice(0, 9)], 0, "security"],
    ["says the header only", [header], header.length, "security"],
    ["refuses to choose", [header, selectLine("/nothing/1")], header.length + 4, "security"],
    ["proposes Noise only", [header, selectLine("/noise")], header.length + 8, "handshake"],
    [
      "sends the first message of Noise only",
      [header, selectLine("/noise"), Uint8Array.of(0, 32), new Uint8Array(32).fill(9)],
      header.length + 8 + 100,
      "handshake"
    ],
    ["proposes TLS only", [header, selectLine("/tls/1.0.0")], header.length + 12, "tls"],
    [
      "sends the beginning of TLS with the proposal",
      [header, selectLine("/tls/1.0.0"), Uint8Array.of(22, 3, 1, 2, 0, 1)],
      header.length + 12,
      "tls"
    ]
  ]
  test("at any stage is closed when the time for an upgrade is over, however it drips", async () => {
    const served = await serve()
    for (const [what, parts, answer, phase] of stages) {
      const stranger = await Stranger.at(served.port)
      if (parts.length > 0) stranger.say(...parts)
      while (served.host.resources().connections.total === 0) await settle()
      await stranger.hears(answer)
      await served.clock.advance(upgradeMsMax - 1_000)
      expect([what, stranger.gone, served.failures.length]).toEqual([what, false, 0])
      await served.clock.advance(2_000)
      await Promise.all([served.failed(1), stranger.ended()])
      const fault = served.failures.pop()
      expect([what, told(fault), fault?.context["phase"]]).toEqual([what, "timeout TimeoutError", phase])
      expect([what, served.host.resources().connections.total]).toEqual([what, 0])
    }
    expect(await isServed(served)).toBe("open")
  })
})

describe("crowds", () => {
  test("of 1,000 half-open links: the newest wait, the others are closed, and who means it is served meanwhile", async () => {
    const served = await serve()
    const crowd: Array<Stranger> = []
    for (let batch = 0; batch < 10; batch++)
      crowd.push(...(await Promise.all(Array.from({ length: 100 }, () => Stranger.at(served.port)))))
    await served.failed(1_000 - pendingInboundMax)
    expect(new Set(served.failures.map(told))).toEqual(new Set(["resource ResourceLimitError"]))
    expect(served.host.resources().connections).toEqual({ inbound: 64, outbound: 0, total: 64 })
    expect(await isServed(served)).toBe("open")
    await served.clock.advance(upgradeMsMax + 1_000)
    await Promise.all(crowd.map((one) => one.ended()))
    expect(served.failures).toHaveLength(1_000)
    expect(served.host.resources().connections.total).toBe(0)
  })

  test("of 2,000 dials in bursts are all accepted and answered, and none is left", async () => {
    const served = await serve({ connectionManager: { maxIncomingPendingConnections: 250 } })
    for (let burst = 0; burst < 8; burst++) {
      const crowd = await Promise.all(Array.from({ length: 250 }, () => Stranger.at(served.port)))
      for (const one of crowd) one.say(header)
      await Promise.all(crowd.map((one) => one.hears(header.length)))
      expect(crowd.map(({ heard, gone }) => [heard, gone])).toEqual(crowd.map(() => [header.length, false]))
      for (const one of crowd) one.leave()
      await served.failed(250 * (burst + 1))
    }
    expect(new Set(served.failures.map(told))).toEqual(new Set(["closed ConnectionFailedError"]))
    expect(served.host.resources()).toMatchObject({ connections: { total: 0 }, refused: 0 })
  })
})
