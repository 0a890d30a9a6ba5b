/** Simulated links: what comes, what does not, TLS as it is played, and the same again from the same seed. */
import { describe, expect, test } from "bun:test"
import { Effect, Exit } from "effect"
import { concatAll, toHex, utf8 } from "../codec/bytes.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import type { Link, LinkHandlers, World as LinkWorld } from "../host/world.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { SeededChoices } from "./choices.ts"
import { linkWorld } from "./links.ts"
import { SimNet } from "./net.ts"
import { errorOf, type Host, World } from "./world.ts"

class Side {
  link!: Link
  readonly heard: Array<Uint8Array> = []
  readonly sessions: Array<Parameters<LinkHandlers["secured"]>[0]> = []
  readonly reasons: Array<string> = []
  onData = (bytes: Uint8Array): void => void this.heard.push(bytes)

  readonly take = (link: Link): LinkHandlers => {
    this.link = link
    return {
      data: (bytes) => this.onData(bytes),
      drained: () => {},
      secured: (session) => void this.sessions.push(session),
      closed: (reason) => void this.reasons.push(reason)
    }
  }
  get bytes(): Uint8Array {
    return concatAll(this.heard)
  }
}

interface Stage {
  readonly net: SimNet
  readonly a: Host
  readonly near: LinkWorld
  readonly far: LinkWorld
  /** Virtual time passes. */
  readonly wait: (ms: number) => Promise<void>
}

const play = (seed: number, body: (stage: Stage) => Promise<void>): string => {
  const choices = new SeededChoices(seed)
  const world = new World({ choices, preempt: 0, seed })
  const net = new SimNet(world, choices)
  const [a, b] = [world.host("a"), world.host("b")]
  const names = new Map([["TXT _dnsaddr.b.test", ["dnsaddr=/ip4/10.0.0.2/tcp/7"]]])
  const stage: Stage = {
    net,
    a,
    near: linkWorld(net, a, "10.0.0.1", names),
    far: linkWorld(net, b, "10.0.0.2"),
    wait: (ms) => new Promise((resolve) => void a.after(ms, resolve))
  }
  const program = Effect.callback<void, unknown>((resume) => {
    const settled = world.promised()
    const end = (exit: Effect.Effect<void, unknown>): void => {
      settled()
      resume(exit)
    }
    body(stage).then(
      () => end(Effect.void),
      (error: unknown) => end(Effect.fail(error))
    )
  })
  const exit = world.run(program)
  if (Exit.isFailure(exit)) throw errorOf(exit)
  return world.digest
}

const to = { host: "10.0.0.2", port: 7, timeoutMs: 5_000 }
const meet = async ({ near, far }: Stage): Promise<readonly [Side, Side]> => {
  const [a, b] = [new Side(), new Side()]
  await far.listen({ host: "0.0.0.0", port: 7 }, b.take)
  await near.dial(to, a.take)
  return [a, b]
}
const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  if (!(fault instanceof Libp2pFault)) throw new Error(`not a fault: ${fault}`)
  return fault
}

describe("a simulated link", () => {
  test("carries bytes in order in bad weather; its ends know each other; a seed gives the same run again", () => {
    const run = (seed: number): string =>
      play(seed, async (stage) => {
        const [a, b] = await meet(stage)
        Object.assign(stage.net.weather, { loss: 0.05, delayMs: 300, shuffle: 0.5 })
        const sent = Array.from({ length: 50 }, (_, at) => new Uint8Array(1 + at).fill(at))
        for (const bytes of sent) a.link.write(bytes.slice())
        await stage.wait(120_000)
        expect([a.link.remote, a.link.local]).toEqual([b.link.local, b.link.remote])
        expect(b.bytes).toEqual(concatAll(sent))
      })
    for (let seed = 1; seed < 6; seed++) expect(run(seed)).toBe(run(seed))
    expect(run(1)).not.toBe(run(2))
  })

  test("ends: by an end, by a reset of the network, each told once", () => {
    play(1, async (stage) => {
      const [a, b] = await meet(stage)
      a.link.write(utf8("last words"))
      a.link.end()
      await stage.wait(1_000)
      expect(new TextDecoder().decode(b.bytes)).toBe("last words")
      expect([a.reasons.length, b.reasons.length]).toEqual([1, 1])
      const c = new Side()
      await stage.near.dial(to, c.take)
      stage.net.reset("a", "b")
      await stage.wait(1_000)
      expect(c.reasons).toEqual(["the connection was reset"])
    })
  })

  test("a dial fails with its kind: nobody listens, no way, called off", () => {
    play(1, async (stage) => {
      const never = (): LinkHandlers => {
        throw new Error("there is no link")
      }
      expect((await faultOf(stage.near.dial({ ...to, port: 9 }, never))).kind).toBe("io")
      await stage.far.listen({ host: "10.0.0.2", port: 7 }, new Side().take)
      const controller = new AbortController()
      const called = faultOf(stage.near.dial({ ...to, signal: controller.signal }, never))
      controller.abort()
      expect((await called).kind).toBe("cancelled")
      stage.net.cut("a", "b")
      expect((await faultOf(stage.near.dial(to, never))).kind).toBe("timeout")
    })
  })

  test("one port takes listeners of both kinds, and no two of one; names stand for what they were given", () => {
    play(1, async ({ near, far }) => {
      await far.listen({ host: "0.0.0.0", port: 7 }, new Side().take)
      await far.listen({ host: "::", port: 7 }, new Side().take)
      for (const at of [
        { host: "10.0.0.2", port: 7 },
        { host: "10.0.0.9", port: 8 }
      ])
        expect((await faultOf(far.listen(at, new Side().take))).name).toBe("ListenError")
      expect(await near.resolve("_dnsaddr.b.test", "TXT")).toEqual(["dnsaddr=/ip4/10.0.0.2/tcp/7"])
      expect(await near.resolve("b.test", "A")).toEqual([])
      expect((await faultOf(near.resolve("b.test", "A", AbortSignal.abort()))).kind).toBe("cancelled")
    })
  })
})

describe("TLS as it is played", () => {
  const { key, cert } = makeCertificate("sim", { now: 0, serial: new Uint8Array(16).fill(1) })
  const offer = (role: "dialer" | "listener", ...alpn: ReadonlyArray<string>) => ({ role, key, cert, alpn })

  test("shows certificates, agrees by ALPN, gives one binding, also with what was read already", () => {
    for (const early of [0, 3, 100_000])
      play(early, async (stage) => {
        const [a, b] = await meet(stage)
        const seen: Array<Uint8Array> = []
        b.onData = (bytes) => {
          seen.push(bytes)
          if (concatAll(seen).length < early && seen.length < 1) return
          b.onData = (more) => void b.heard.push(more)
          b.link.upgradeTls(offer("listener", "/yamux/1.0.0", "libp2p"), concatAll(seen))
        }
        a.link.upgradeTls(offer("dialer", "/yamux/1.0.0", "libp2p"), new Uint8Array(0))
        await stage.wait(1_000)
        expect([a.sessions.length, b.sessions.length]).toEqual([1, 1])
        const [[at], [bt]] = [a.sessions, b.sessions]
        expect(toHex(at!.binding)).toBe(toHex(bt!.binding))
        expect([at!.alpn, bt!.alpn]).toEqual(["/yamux/1.0.0", "/yamux/1.0.0"])
        expect(at!.certificate).toEqual(bt!.certificate)
        expect(at!.certificate![0]).toBe(0x30)
        a.link.write(utf8("plain"))
        await stage.wait(1_000)
        expect(b.bytes).toEqual(utf8("plain"))
      })
  })

  test("gives what came behind the hello to whoever is above", () => {
    play(1, async (stage) => {
      const [a, b] = await meet(stage)
      a.link.upgradeTls(offer("dialer", "libp2p"), new Uint8Array(0))
      await stage.wait(1_000)
      const hello = concatAll(b.heard.splice(0))
      b.link.upgradeTls(offer("listener", "libp2p"), concatAll([hello, utf8("more")]))
      await stage.wait(1_000)
      expect([a.sessions.length, b.sessions.length]).toEqual([1, 1])
      expect(b.bytes).toEqual(utf8("more"))
    })
  })

  test("breaks off without a protocol in common, and with who speaks no TLS", () => {
    play(1, async (stage) => {
      const [a, b] = await meet(stage)
      a.link.upgradeTls(offer("dialer", "h2"), new Uint8Array(0))
      b.link.upgradeTls(offer("listener", "libp2p"), new Uint8Array(0))
      await stage.wait(1_000)
      const c = new Side()
      await stage.near.dial(to, c.take)
      b.link.upgradeTls(offer("listener", "libp2p"), new Uint8Array(0))
      c.link.write(utf8("GET /"))
      await stage.wait(1_000)
      expect([a.reasons.length, c.reasons.length, b.reasons.length]).toEqual([1, 1, 2])
      expect([...a.sessions, ...b.sessions]).toEqual([])
    })
  })
})
