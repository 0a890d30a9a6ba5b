/** Two real ends over TLS on loopback: they prove who they are to each other, here and nowhere else. */
import { expect, test } from "bun:test"
import { X509Certificate } from "node:crypto"
import { Effect } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { sha256 } from "../crypto/hash.ts"
import { bunTcp, type Wire } from "../io/tcp.ts"
import type { ChannelOutput } from "./channel.ts"
import { nodeIdOf, SeenNonces } from "./hello.ts"
import { makeNativeChannel, type NativeOptions } from "./native.ts"

const now = 1_795_219_200_000
const genesis = sha256(new Uint8Array([1]))
const identity = (n: number) => makeCertificate(`node-${n}`, { now: Date.now(), serial: new Uint8Array(16).fill(n) })

const optionsOf = (n: number, binding: Uint8Array, overrides: Partial<NativeOptions> = {}): NativeOptions => ({
  chainId: "test",
  genesis,
  key: keyOf(n),
  nodeId: nodeIdOf(keyOf(n).publicKey),
  endpoint: "",
  agent: "test",
  capabilities: [],
  binding,
  nonce: new Uint8Array(16).fill(n),
  seen: new SeenNonces(),
  ...overrides
})

const deaf = { data: () => {}, drained: () => {}, closed: () => {} }

const sendsOf = (outputs: ReadonlyArray<ChannelOutput>): Uint8Array => {
  const [first] = outputs
  return first?._tag === "Send" ? first.bytes : new Uint8Array(0)
}

test("each side sees the certificate that the other one showed (L-P5)", async () => {
  const fingerprint = ({ cert }: ReturnType<typeof identity>): string =>
    new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase()
  const [listens, dials] = [identity(1), identity(2)]
  const shown: Array<string | undefined> = []
  const { promise: both, resolve } = Promise.withResolvers<void>()
  const onWire = ({ fingerprint: seen }: Wire) => {
    if (shown.push(seen) === 2) resolve()
    return deaf
  }
  const listener = await Effect.runPromise(bunTcp.listen({ host: "127.0.0.1", port: 0 }, listens, onWire))
  await Effect.runPromise(bunTcp.dial({ host: "127.0.0.1", port: listener.port, timeoutMs: 5000 }, dials, onWire))
  await both
  expect(shown.sort()).toEqual([fingerprint(listens), fingerprint(dials)].sort())
  listener.close()
})

test("who dials and shows no certificate has no session (L-P5)", async () => {
  let wires = 0
  const onWire = () => {
    wires++
    return deaf
  }
  const listener = await Effect.runPromise(bunTcp.listen({ host: "127.0.0.1", port: 0 }, identity(1), onWire))
  const dial = (tls: Bun.TLSOptions) =>
    new Promise<string>((resolve, reject) => {
      const socket = { data: () => {}, close: () => resolve("closed"), error: () => {} }
      Bun.connect({
        hostname: "127.0.0.1",
        port: listener.port,
        tls: { rejectUnauthorized: false, ...tls },
        socket
      }).catch(reject)
    })
  expect([await dial({}), wires]).toEqual(["closed", 0])
  const shows = dial(identity(2))
  while (wires === 0) await new Promise((resolve) => setImmediate(resolve))
  listener.close()
  expect(await Promise.race([shows, Promise.resolve("stands")])).toBe("stands")
})

test("a hello taken from one session is refused in another, and twice in its own", () => {
  const [here, there] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const hello = sendsOf(makeNativeChannel(optionsOf(1, here)).open(now))
  const refusal = (binding: Uint8Array, overrides: Partial<NativeOptions> = {}, at = now): string => {
    const [output] = makeNativeChannel(optionsOf(2, binding, overrides)).receive(hello, at)
    return output?._tag === "Refused" ? output.code : (output?._tag ?? "nothing")
  }
  const seen = new SeenNonces()
  expect(refusal(there)).toBe("hello-signature")
  expect([refusal(here, { seen }), refusal(here, { seen })]).toEqual(["Opened", "hello-replayed"])
  expect(refusal(here, {}, now + 120_001)).toBe("hello-stale")
  expect(refusal(here, { chainId: "other" })).toBe("chain-id-mismatch")
  expect(refusal(here, { genesis: sha256(new Uint8Array([2])) })).toBe("genesis-mismatch")
  const [said] = makeNativeChannel(optionsOf(2, here, { genesis: sha256(new Uint8Array([2])) })).receive(hello, now)
  expect(said?._tag === "Refused" ? said.message : "").toBe(
    `it is on chain "test", genesis ${genesis.toHex()}; this node is on chain "test", genesis ${sha256(new Uint8Array([2])).toHex()}`
  )
  expect(refusal(here, { nodeId: nodeIdOf(keyOf(1).publicKey) })).toBe("connected-to-self")
})

test("before the hello nothing else is heard, and a long frame ends the session before it is read", () => {
  const binding = new Uint8Array(32)
  const early = makeNativeChannel(optionsOf(1, binding))
  expect(early.receive(early.encode({ tag: "PNG", nonce: 1 }), now)).toMatchObject([
    { _tag: "Refused", code: "hello-expected", blame: true }
  ])
  const long = makeNativeChannel(optionsOf(1, binding))
  expect(long.receive(new Uint8Array([0, 0x20, 0, 0]), now)).toMatchObject([
    { _tag: "Refused", code: "frame-refused", blame: true }
  ])
  expect(long.receive(new Uint8Array(100), now)).toEqual([])
})
