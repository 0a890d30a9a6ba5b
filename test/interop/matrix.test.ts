/**
 * Every pair of programs, each side dialling, over each security: what two libp2p hosts do with one another, well and badly.
 * CAIRN_INTEROP narrows it: `cairn>go`, `go>cairn:tls`, with commas between; also `go>rust`, where ours is on neither side.
 * CAIRN_INTEROP_NEEDS says whose absence is a failure.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { flag } from "../../src/libp2p/yamux-frame.ts"
import { type Cell, cells, runs } from "./cells.ts"
import { type Key, type Kind, type Peer, type PeerFlags, type Security, startPeer } from "./peer.ts"
import * as wire from "./wire.ts"

const keys: ReadonlyArray<Key> = ["ed25519", "rsa", "ecdsa", "secp256k1"]
const encryptions: Readonly<Record<Security, string>> = { noise: "/noise", tls: "/tls/1.0.0" }

/** js-libp2p knows ECDSA keys, but no peer that has one. */
const keysOf = ({ dialer, listener }: Cell): ReadonlyArray<Key> =>
  dialer === "js" || listener === "js" ? keys.filter((key) => key !== "ecdsa") : keys

const patternBytes = 65_521
const pattern = Uint8Array.from({ length: patternBytes }, (_, at) => (at ^ (at >> 8)) & 255)
/** The SHA-256 of so many bytes of what every peer sends. */
const digestOf = (bytes: number): string => {
  const sum = createHash("sha256")
  for (let left = bytes; left > 0; left -= patternBytes) sum.update(pattern.subarray(0, Math.min(left, patternBytes)))
  return sum.digest("hex")
}
/** js-libp2p writes frames as long as the window; rust-libp2p takes 1 MiB at most, but opens windows of 16 MiB. */
const bulkBytes = (from: Kind, to: Kind): number =>
  [from, to].includes("js") && [from, to].includes("rust") ? 200_000 : 100_000_000
const carried = (bytes: number) => ({ bytes, digest: digestOf(bytes) })

/** Starts both and lets the one dial the other. Fails with nothing left running. */
const pair = async (cell: Cell, ours: Partial<PeerFlags> = {}, theirs: Partial<PeerFlags> = {}) => {
  const flags: PeerFlags = { sec: cell.sec, record: [cell.dialer, cell.listener].includes("js") ? "none" : "signed" }
  const starting = [
    startPeer(cell.dialer, { ...flags, ...ours }),
    startPeer(cell.listener, { ...flags, ...theirs })
  ] as const
  const stop = async (): Promise<void> => {
    for (const peer of await Promise.allSettled(starting)) if (peer.status === "fulfilled") await peer.value.stop()
  }
  try {
    const [dialer, listener] = await Promise.all(starting)
    const { ok: facts } = await dialer.ask("dial", { to: listener.listening[0] })
    return { dialer, listener, facts, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
type Pair = Awaited<ReturnType<typeof pair>>

/** Both sides, each as the one that asks. */
const both = ({ dialer, listener }: Pick<Pair, "dialer" | "listener">) => [
  { from: dialer, to: listener },
  { from: listener, to: dialer }
]

const hello = async (from: Peer, to: Peer): Promise<void> => {
  expect((await from.ask("hello", { peer: to.id })).ok).toEqual({ text: "world" })
}

/** What both have in common over one connection. `get` gives the pair once it stands. */
const goodCases = (get: () => Pair): void => {
  test("yamux: echo with half-close, streams opened by either side", async () => {
    for (const { from, to } of both(get())) {
      for (const bytes of [0, 1, 65_519, 300_000]) {
        expect((await from.ask("echo", { peer: to.id, bytes })).ok).toEqual(carried(bytes))
      }
    }
  })

  test("yamux: 64 streams at once", async () => {
    const one = carried(65_536)
    for (const { from, to } of both(get())) {
      const { ok } = await from.ask("streams", { peer: to.id, count: 64, bytes: one.bytes })
      expect(ok.echoes).toEqual(Array.from({ length: 64 }, () => one))
    }
  })

  test("yamux: 100 MB each way", async () => {
    const { dialer, listener } = get()
    const bytes = bulkBytes(dialer.kind, listener.kind)
    const { ok } = await dialer.ask("bulk", { peer: listener.id, up: bytes, down: bytes })
    expect(ok).toMatchObject({ up: carried(bytes), down: carried(bytes) })
  })

  test("hello, and the answer is world", async () => {
    for (const { from, to } of both(get())) await hello(from, to)
  })

  test("ping", async () => {
    for (const { from, to } of both(get())) {
      const { ok } = await from.ask("ping", { peer: to.id, count: 3 })
      expect(ok.count).toBeGreaterThanOrEqual(3)
      // js-libp2p counts whole milliseconds.
      expect(ok.least).toBeGreaterThanOrEqual(0)
    }
  })

  test("perf both ways", async () => {
    for (const { from, to } of both(get())) {
      for (const [up, down] of [
        [65_536, 65_536],
        [0, 1],
        [1_000_000, 0]
      ]) {
        expect((await from.ask("perf", { peer: to.id, up, down })).ok).toMatchObject({ up, down })
      }
    }
  })
}

const identifyCases = (get: () => Pair): void => {
  test("identify: who the other is, what it speaks, where it listens, and a signed record", async () => {
    for (const { from, to } of both(get())) {
      const { ok } = await from.ask("identify", { peer: to.id })
      expect(ok).toMatchObject({ agent: to.agent, signed: readsRecord(from.kind, to.kind) })
      expect(ok.protocols).toContain("/echo/1.0.0")
      expect(ok.protocols).toContain("/ipfs/ping/1.0.0")
      // Some say an address with their id behind it, some without.
      const said = ok.listening.map((address: string) => address.replace(/\/p2p\/.*/, ""))
      expect(said).toContain(to.listening[0]!.replace(/\/p2p\/.*/, ""))
      expect(ok.observed).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
    }
  })

  test("identify push: a protocol that is new is known to the other", async () => {
    for (const { from, to } of both(get())) {
      const protocol = `/new-${from.id.slice(-6)}/1.0.0`
      await from.ask("announce", { protocol })
      await to.ask("knows", { peer: from.id, protocol })
    }
  })
}

const badCases = (get: () => Pair): void => {
  test("yamux: a reset in the middle is seen as one", async () => {
    for (const { from, to } of both(get())) {
      await from.ask("abort", { peer: to.id, bytes: 300_000 })
      const { ok } = await to.ask("ending")
      expect(ok.how).toBe("reset")
      expect(ok.bytes).toBeLessThanOrEqual(300_000)
      expect((await from.ask("aborted", { peer: to.id, bytes: 100_000 })).ok).toEqual({ saw: "reset" })
      await hello(from, to)
    }
  })

  test("an identify push that is too long changes nothing", async () => {
    for (const { from, to } of both(get())) {
      const { ok } = await from.ask("oversize", { peer: to.id, bytes: 20_000 })
      expect(["reset", "end"]).toContain(ok.saw)
      expect((await to.ask("identify", { peer: from.id })).ok.agent).toBe(from.agent)
      await hello(from, to)
    }
  })

  test("a protocol that nobody speaks is refused, and the connection goes on", async () => {
    for (const { from, to } of both(get())) {
      const protocol = "/nobody/1.0.0"
      expect((await from.ask("unknown", { peer: to.id, protocol })).ok).toEqual({ refused: protocol })
      await hello(from, to)
    }
  })
}

/** rust-libp2p signs records in a dialect of its own and reads no other; go passes it over, js must be spared it. Ours reads both. */
const readsRecord = (from: Kind, to: Kind): boolean => from === "cairn" || (from === "rust") === (to === "rust")

/** rust chooses no muxer in the handshake. */
const isEarly = ({ dialer, listener }: Cell): boolean => dialer !== "rust" && listener !== "rust"

/** rust does not tell how it speaks; go says whether the muxer was chosen in the handshake. */
const expectFacts = (cell: Cell, key: Key, ok: Record<string, unknown>): void => {
  if (cell.dialer === "rust") return
  expect(ok).toMatchObject({ encryption: encryptions[cell.sec], multiplexer: "/yamux/1.0.0" })
  // js-libp2p does not keep the key of a peer whose id is a hash of it.
  if (cell.dialer !== "js") expect(ok.key).toBe(key)
  if (cell.dialer === "go") expect(ok.early).toBe(isEarly(cell))
}

/** Ours says why, and keeps nothing of it. */
const expectUnidentified = async (from: Peer, to: Peer): Promise<void> => {
  const { ok } = await from.ask("unidentified", { peer: to.id })
  const why = { kind: "decode", name: "InvalidMessageError", message: expect.stringContaining("8192 at most") }
  expect(ok).toEqual({ ...why, identified: false, protocols: [], metadata: [] })
}

/** Which side is ours, against another. */
const oursOf = ({ dialer, listener }: Cell): "dialer" | "listener" | undefined => {
  if (dialer === listener) return undefined
  if (dialer === "cairn") return "dialer"
  return listener === "cairn" ? "listener" : undefined
}

/** What only a host that breaks the rules can do to the other; and what the handshake came to, which no command tells. */
const wireCases = (cell: Cell, weDial: boolean, get: () => Pair): void => {
  const how = (): wire.Meeting => ({ peer: weDial ? get().listener : get().dialer, sec: cell.sec, weDial })

  /** A well-behaved one comes through afterwards as before. */
  const expectWell = async (): Promise<void> => {
    const { dialer, listener } = get()
    await dialer.ask("dial", { to: listener.listening[0] })
    for (const { from, to } of both({ dialer, listener })) await hello(from, to)
    await dialer.ask("hangup", { peer: listener.id })
    await listener.ask("connections", { count: 0 })
    await dialer.ask("connections", { count: 0 })
  }

  test(`the muxer is ${isEarly(cell) ? "chosen" : "not chosen"} in the handshake`, () =>
    wire.meeting(how(), async ({ bending, connection }) => {
      expect(bending.early).toEqual([isEarly(cell) ? "/yamux/1.0.0" : undefined])
      expect(await wire.echoByte(connection)).toEqual([7])
    }))

  test("yamux: a frame longer than its window ends the connection, and no other", async () => {
    await wire.meeting(how(), async (met) => {
      await wire.sendFrameTooLong(met, weDial)
      await met.closed
    })
    await expectWell()
  })

  const sealed = cell.sec === "noise" ? test : undefined
  sealed?.("noise: the longest frame under a false seal ends the connection, and no other", async () => {
    await wire.meeting(how(), async ({ bending, connection, closed }) => {
      expect(await wire.echoByte(connection)).toEqual([7])
      bending.sendFalseSeal()
      await closed
    })
    await expectWell()
  })

  test("a line of multistream that is too long ends its stream, and no other", () =>
    wire.meeting(how(), async (met) => {
      wire.openByLineTooLong(met, weDial)
      expect((await wire.endOfLine(met, weDial)) & (flag.rst | flag.fin)).not.toBe(0)
      expect(await wire.echoByte(met.connection)).toEqual([7])
    }))

  test("a line of multistream that is too long ends a link that nobody has secured", async () => {
    await wire.sayTooMuch(how())
    await how().peer.ask("connections", { count: 0 })
    await expectWell()
  })
}

const title = ({ dialer, listener, sec }: Cell): string => `${dialer} dials ${listener} over ${sec}`

for (const cell of cells) {
  describe.skipIf(!runs(cell))(title(cell), () => {
    let found: Pair | undefined
    const get = (): Pair => {
      if (found === undefined) throw new Error("the two did not start")
      return found
    }
    beforeAll(async () => {
      found = await pair(cell)
    })
    afterAll(async () => {
      await found?.stop()
    })

    test("the handshake shows who is there", async () => {
      const { listener, facts } = get()
      expect(facts.peer).toBe(listener.id)
      expectFacts(cell, "ed25519", facts)
      await listener.ask("connections", { count: 1 })
    })

    const listens = cell.listener === "go" ? test : undefined
    listens?.("go, which was dialled, has the muxer from the handshake too", async () => {
      const { dialer, listener } = get()
      // Who is connected already is not dialled again: these are the facts of the connection that stands.
      const { ok } = await listener.ask("dial", { to: dialer.listening[0] })
      expect(ok).toMatchObject({ peer: dialer.id, encryption: encryptions[cell.sec], early: isEarly(cell) })
      await dialer.ask("connections", { count: 1 })
    })

    identifyCases(get)
    goodCases(get)
    badCases(get)

    test("who hangs up is gone for both", async () => {
      const { dialer, listener } = get()
      await dialer.ask("hangup", { peer: listener.id })
      await listener.ask("connections", { count: 0 })
      await dialer.ask("connections", { count: 0 })
    })

    test("another one than was meant is refused", async () => {
      const { dialer, listener } = get()
      const wrong = listener.listening[0]!.replace(listener.id, wire.nobody)
      await expect(dialer.ask("dial", { to: wrong })).rejects.toThrow()
      await listener.ask("connections", { count: 0 })
    })

    test("an identify answer that is too long leaves the connection as it is", async () => {
      const { dialer, listener, stop } = await pair(cell, { identify: "oversize" }, { identify: "oversize" })
      try {
        for (const { from, to } of both({ dialer, listener })) {
          if (from.kind === "cairn") await expectUnidentified(from, to)
          await hello(from, to)
        }
      } finally {
        await stop()
      }
    })

    for (const key of keysOf(cell)) {
      test(`both have ${key} keys`, async () => {
        const { dialer, listener, facts, stop } = await pair(cell, { key }, { key })
        try {
          expect(facts.peer).toBe(listener.id)
          expectFacts(cell, key, facts)
          for (const { from, to } of both({ dialer, listener })) await hello(from, to)
        } finally {
          await stop()
        }
      })
    }

    const oursIs = oursOf(cell)
    if (oursIs === undefined) return
    describe("a host that breaks the rules", () => {
      // Whatever was left out of what comes before: nobody is connected now.
      beforeAll(async () => {
        const { dialer, listener } = get()
        await dialer.ask("hangup", { peer: listener.id })
        await listener.ask("connections", { count: 0 })
      })
      wireCases(cell, oursIs === "dialer", get)
    })
  })
}

/** The cells take the engine that "auto" finds; the others meet everybody once. */
for (const engine of ["wasm", "noble"] as const) {
  for (const cell of cells.filter(({ dialer, sec }) => dialer === "cairn" && sec === "noise")) {
    test.skipIf(!runs(cell))(`${title(cell)}, sealed by ${engine}: handshake, 64 streams, 1 MB each way`, async () => {
      const { dialer, listener, facts, stop } = await pair(cell, { engine })
      try {
        expectFacts(cell, "ed25519", facts)
        const one = carried(65_536)
        for (const { from, to } of both({ dialer, listener })) {
          const { ok } = await from.ask("streams", { peer: to.id, count: 64, bytes: one.bytes })
          expect(ok.echoes).toEqual(Array.from({ length: 64 }, () => one))
        }
        const { ok } = await dialer.ask("bulk", { peer: listener.id, up: 1_000_000, down: 1_000_000 })
        expect(ok).toMatchObject({ up: carried(1_000_000), down: carried(1_000_000) })
      } finally {
        await stop()
      }
    })
  }
}
