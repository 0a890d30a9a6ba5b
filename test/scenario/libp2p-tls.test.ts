/** Hosts over real sockets against real TLS peers: whose certificate is taken, whose is refused and why, whoever dials. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHost, type Host } from "../../src/host/host.ts"
import type { LinkHandlers, World } from "../../src/host/world.ts"
import { makeBunWorld } from "../../src/io/link.ts"
import { generateKeyPair, Libp2pFault, multiaddr, peerIdFromPrivateKey, tls } from "../../src/library.ts"
import type { KeyType, PrivateKey } from "../../src/libp2p/contract.ts"
import { published } from "../vectors/published.ts"
import {
  broken,
  dialAsStranger,
  listenAsStranger,
  sessionWithTicket,
  type Shown,
  shownBy,
  type Stranger,
  unknownCritical
} from "../tls-strangers.ts"

type Refused = string

const told = (fault: unknown): Refused =>
  fault instanceof Libp2pFault ? `${fault.kind} ${fault.context["reason"] ?? fault.name}` : `no fault: ${String(fault)}`

const hostOver = async (world: World): Promise<Host> => {
  const host = createHost({ addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] }, connectionEncrypters: [tls()] }, world)
  await host.start()
  return host
}

const portOf = (host: Host): number => Number(host.getMultiaddrs()[0]!.getComponents()[1]!.value)

/** What the next stranger comes to: the peer id, or why not. */
const nextInbound = (host: Host): Promise<string> =>
  new Promise((resolve) => {
    const off = new AbortController()
    const settle = (outcome: string): void => {
      off.abort()
      resolve(outcome)
    }
    host.addEventListener("connection:failure", ({ detail }) => settle(told(detail.error)), { signal: off.signal })
    host.addEventListener(
      "connection:open",
      ({ detail }) => {
        settle(String(detail.remotePeer))
        detail.abort(new Error("seen"))
      },
      { signal: off.signal }
    )
  })

let host: Host
let keys: Readonly<Record<KeyType, PrivateKey>>
const types: ReadonlyArray<KeyType> = ["Ed25519", "ECDSA", "secp256k1", "RSA"]
const ended: Array<() => void> = []

beforeAll(async () => {
  host = await hostOver(makeBunWorld())
  const made = await Promise.all(types.map((type) => generateKeyPair(type)))
  keys = Object.fromEntries(types.map((type, i) => [type, made[i]!])) as typeof keys
})
afterAll(async () => {
  for (const end of ended) end()
  expect(host.resources()).toMatchObject({ connections: { total: 0 }, transientConnections: { total: 0 } })
  await host.stop()
})

/** How the host judges a stranger who dials it. */
const judgedDialler = async (
  ...stranger: Parameters<typeof dialAsStranger> extends [number, ...infer A] ? A : never
) => {
  const outcome = nextInbound(host)
  const { end } = await dialAsStranger(portOf(host), ...stranger)
  const verdict = await outcome
  end()
  return verdict
}

/** How the host judges a stranger that it dials. */
const judgedListener = async (shown: Shown, options?: Parameters<typeof listenAsStranger>[1], wanted = "") => {
  const { port, end } = await listenAsStranger(shown, options)
  const verdict = await host.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}${wanted}`)).then(
    (connection) => {
      connection.abort(new Error("seen"))
      return String(connection.remotePeer)
    },
    (error: unknown) => told(error instanceof AggregateError ? error.errors[0] : error)
  )
  end()
  return verdict
}

const bothJudge = async (shown: Shown): Promise<ReadonlyArray<string>> => [
  await judgedDialler(shown),
  await judgedListener(shown)
]

describe("a real TLS peer", () => {
  test("is who its certificate's extension says, with each type of key, whoever dials", async () => {
    for (const type of types) {
      const id = String(peerIdFromPrivateKey(keys[type]))
      expect([type, ...(await bothJudge(shownBy({ host: keys[type] })))]).toEqual([type, id, id])
    }
  })

  const hour = 3_600_000
  const wrong: ReadonlyArray<readonly [string, () => Shown, Refused]> = [
    ["host_signature", () => shownBy({ host: keys.Ed25519, signer: keys.ECDSA }), "verify host_signature"],
    ["self_signature", () => broken(shownBy({ host: keys.Ed25519 })), "verify self_signature"],
    ["expired", () => shownBy({ host: keys.Ed25519, to: Date.now() - hour / 2 }), "verify expired"],
    ["not_yet_valid", () => shownBy({ host: keys.Ed25519, from: Date.now() + hour / 2 }), "verify not_yet_valid"],
    [
      "critical_extension",
      () => shownBy({ host: keys.Ed25519, beside: [unknownCritical] }),
      "verify critical_extension"
    ],
    ["no_extension", () => shownBy({ host: undefined }), "verify no_extension"],
    [
      "several",
      () => {
        const [first, second] = [shownBy({ host: keys.Ed25519 }), shownBy({ host: keys.Ed25519, subject: "another" })]
        return { key: first.key, cert: first.cert + second.cert }
      },
      "verify several"
    ]
  ]
  test.each(wrong)(
    "with a certificate that is wrong (%s) is refused by that name, whoever dials",
    async (_, make, reason) => {
      expect(await bothJudge(make())).toEqual([reason, reason])
    }
  )

  test("without a certificate is refused", async () => {
    expect(await judgedDialler({})).toBe("verify none")
  })

  test("of TLS 1.2, and with another protocol in ALPN or none, is refused", async () => {
    const shown = shownBy({ host: keys.Ed25519 })
    const gone = "closed ConnectionFailedError"
    expect(await judgedDialler(shown, { maxVersion: "TLSv1.2" })).toBe(gone)
    expect(await judgedListener(shown, { maxVersion: "TLSv1.2" })).toBe(gone)
    expect(await judgedDialler(shown, { ALPNProtocols: ["h2"] })).toBe(gone)
    expect(await judgedListener(shown, { ALPNProtocols: ["h2"] })).toBeOneOf([
      gone,
      "protocol InvalidCryptoExchangeError"
    ])
    expect(await judgedDialler(shown, { ALPNProtocols: [] })).toBe("protocol InvalidCryptoExchangeError")
  })

  test("that is somebody else than the address says is refused", async () => {
    const other = peerIdFromPrivateKey(keys.ECDSA)
    const verdict = await judgedListener(shownBy({ host: keys.Ed25519 }), {}, `/p2p/${other}`)
    expect(verdict).toBe("verify UnexpectedPeerError")
  })

  test("whose first bytes come in one piece with the proposal is served, and judged as strictly", async () => {
    const id = String(peerIdFromPrivateKey(keys.Ed25519))
    expect(await judgedDialler(shownBy({ host: keys.Ed25519 }), { glued: true })).toBe(id)
    const [first, second] = [shownBy({ host: keys.Ed25519 }), shownBy({ host: keys.Ed25519 })]
    const two = { key: first.key, cert: first.cert + second.cert }
    expect(await judgedDialler(two, { glued: true })).toBe("verify several")
    const forged = shownBy({ host: keys.Ed25519, signer: keys.ECDSA })
    expect(await judgedDialler(forged, { glued: true })).toBe("verify host_signature")
    expect(await judgedDialler({}, { glued: true })).toBe("verify none")
    expect(await judgedDialler(shownBy({ host: keys.Ed25519 }), { glued: true, maxVersion: "TLSv1.2" })).toStartWith(
      "closed"
    )
  })

  test("is given no ticket, and a session of before is not resumed", async () => {
    const shown = shownBy({ host: keys.Ed25519 })
    const tickets: Array<Buffer> = []
    const meet = async (session?: Buffer): Promise<Stranger> => {
      const open = new Promise((resolve) => host.addEventListener("connection:open", resolve, { once: true }))
      const stranger = await dialAsStranger(portOf(host), shown, session === undefined ? {} : { session })
      stranger.socket.on("session", (ticket) => tickets.push(ticket))
      await open
      // Tickets would come before the answer to a ping of yamux, and what is read shows them.
      const answer = new Promise((resolve) => stranger.socket.once("data", resolve))
      stranger.socket.write(Uint8Array.of(0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7))
      await answer
      return stranger
    }
    const first = await meet()
    const session = first.socket.getSession()
    const second = await meet(session)
    expect(second.socket.isSessionReused()).toBe(false)
    expect(tickets).toEqual([])
    first.end()
    second.end()
    await host.hangUp(peerIdFromPrivateKey(keys.Ed25519))
  })
})

describe("TLS without resumption", () => {
  test("a listener shakes hands anew with who offers a ticket", async () => {
    const shown = shownBy({ host: keys.Ed25519 })
    const session = await sessionWithTicket(shown)
    const outcome = nextInbound(host)
    const { socket, end } = await dialAsStranger(portOf(host), shown, { session })
    expect(await outcome).toBe(String(peerIdFromPrivateKey(keys.Ed25519)))
    expect(socket.isSessionReused()).toBe(false)
    end()
  })

  test("a dialer that was given tickets does not offer them", async () => {
    const shown = shownBy({ host: keys.Ed25519 })
    let met = Promise.withResolvers<boolean>()
    const { port, end } = await listenAsStranger(shown, {}, (socket) => met.resolve(socket.isSessionReused()))
    for (let times = 0; times < 3; times++) {
      met = Promise.withResolvers<boolean>()
      const connection = await host.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`))
      expect(await met.promise).toBe(false)
      await connection.close()
    }
    end()
  })
})

interface Vectors {
  readonly tls: ReadonlyArray<{ readonly cert_der_hex: string; readonly peer_id?: string; readonly valid: boolean }>
}
const vectors = published<Vectors>("reference-vectors.json")?.tls ?? []
const named = vectors.map((vector) => ({ ...vector, whose: vector.peer_id ?? "nobody" }))

describe("the specification's certificates", () => {
  /** Nobody has their keys: a stranger of ours does the handshake, and where TLS tells what was shown stands the vector. */
  const showing = (certificate: Uint8Array): World => {
    const world = makeBunWorld()
    const swapped = (handlers: LinkHandlers): LinkHandlers => ({
      ...handlers,
      secured: (session) => handlers.secured({ ...session, certificate })
    })
    return {
      ...world,
      listen: (at, onLink) => world.listen(at, (link) => swapped(onLink(link))),
      dial: (to, onLink) => world.dial(to, (link) => swapped(onLink(link)))
    }
  }

  test.each(named)("of $whose, in place of what was shown, is judged by both sides", async (vector) => {
    const judge = await hostOver(showing(Uint8Array.fromHex(vector.cert_der_hex)))
    const expected = vector.valid ? vector.whose : "verify host_signature"
    const shown = shownBy({ host: keys.Ed25519 })
    const inbound = nextInbound(judge)
    const { end } = await dialAsStranger(portOf(judge), shown)
    ended.push(end)
    expect(await inbound).toBe(expected)
    const listener = await listenAsStranger(shown)
    ended.push(listener.end)
    const outbound = await judge.dial(multiaddr(`/ip4/127.0.0.1/tcp/${listener.port}`)).then(
      ({ remotePeer }) => String(remotePeer),
      (error: unknown) => told(error)
    )
    expect(outbound).toBe(expected)
    await judge.stop()
  })
})
