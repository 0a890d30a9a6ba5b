/** What `cairn libp2p` does: a host of the library for as long as one command takes, and what it saw in words and as JSON. */
import { Libp2pFault } from "../libp2p/fault.ts"
import type { KeyType, PrivateKey } from "../libp2p/contract.ts"
import { peerIdCid } from "../libp2p/peer-id.ts"
import type { Connection, IdentifyResult, Libp2p } from "../host/api.ts"
import { exists, readBytes, writeFile } from "../io/files.ts"
import {
  createLibp2p,
  generateKeyPair,
  identify,
  identifyPush,
  multiaddr,
  noise,
  peerIdFromPrivateKey,
  perf,
  ping,
  privateKeyFromFile,
  privateKeyFromRaw,
  privateKeyToProtobuf,
  tls
} from "../library.ts"
import { loadIdentity } from "./data-folder.ts"
import { failure, type Failure } from "./failure.ts"
import { clearLine, formatDuration, isTerminal, makeProgress, paint, print, rows } from "./output.ts"
import { version } from "./version.ts"

const keyFileBytesMax = 16 * 1024
const secretMode = 0o600

/** Whose host it is: a key file, a node's folder, or, with neither, a key that nobody keeps. */
export interface Who {
  readonly random: (length: number) => Uint8Array
  readonly key: string | undefined
  readonly dataDir: string | undefined
}

export interface How extends Who {
  readonly security: ReadonlyArray<"tls" | "noise">
  readonly timeoutMs: number
}

const keyOf = async ({ key, dataDir, random }: Who): Promise<PrivateKey> => {
  if (key !== undefined) return readKey(key)
  if (dataDir === undefined) return generateKeyPair("Ed25519")
  return privateKeyFromRaw("secp256k1", loadIdentity(dataDir, random).secret)
}

const readKey = (path: string): PrivateKey => {
  if (!exists(path))
    throw failure("key", "key-missing", `There is no file ${path}.`, `Make one: cairn libp2p id --new ${path}`)
  try {
    return privateKeyFromFile(readBytes(path, keyFileBytesMax))
  } catch (error) {
    throw failure("key", "key-malformed", `${path} holds no libp2p key: ${(error as Error).message}.`)
  }
}

/** What went wrong, as the end of a command: who cannot be reached is another exit than who is not who he should be. */
const failureOf = (error: unknown): Failure => {
  if (!(error instanceof Libp2pFault)) throw error
  const code = `libp2p-${error.kind.replace("_", "-")}`
  const exit = error.kind === "input" ? "usage" : error.kind === "verify" ? "refused" : "unreachable"
  return failure(exit, code, `${error.name}: ${error.message}`, hints[error.kind])
}

const hints: Readonly<Record<string, string>> = {
  input: "An address looks like /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW….",
  io: "Is somebody listening there? `cairn libp2p listen` does.",
  timeout: "Try --timeout with more seconds.",
  unsupported: "`cairn libp2p identify` shows what the other side speaks.",
  verify: "The peer id at the end of the address is not that of who answered."
}

/** Runs with a host that lives as long, and says faults as failures. */
const withHost = async <A>(how: How, listen: ReadonlyArray<string>, f: (host: Libp2p) => Promise<A>): Promise<A> => {
  const encrypters = { tls: tls(), noise: noise() }
  let host: Libp2p | undefined
  try {
    host = await createLibp2p({
      privateKey: await keyOf(how),
      addresses: { listen },
      connectionEncrypters: how.security.map((name) => encrypters[name]),
      nodeInfo: { name: "cairn", version, userAgent: `cairn/${version}` },
      services: { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
    })
    return await f(host)
  } catch (error) {
    throw error instanceof Libp2pFault ? failureOf(error) : error
  } finally {
    await host?.stop()
  }
}

const target = (text: string) => {
  try {
    return multiaddr(text)
  } catch (error) {
    throw failureOf(error)
  }
}

const signalOf = ({ timeoutMs }: How): AbortSignal => AbortSignal.timeout(timeoutMs)

const ms = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`
const mib = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} B`
    : bytes < 1 << 20
      ? `${(bytes / 1024).toFixed(0)} KiB`
      : `${(bytes / (1 << 20)).toFixed(1)} MiB`

const connectionJson = (connection: Connection) => ({
  peer_id: connection.remotePeer.toString(),
  address: connection.remoteAddr.toString(),
  encryption: connection.encryption,
  multiplexer: connection.multiplexer
})

/** Makes a key file, never over one. */
export const newKey = async (path: string, type: KeyType): Promise<void> => {
  if (exists(path)) throw failure("key", "key-exists", `${path} is there already.`, "Name another file.")
  writeFile(path, `${privateKeyToProtobuf(await generateKeyPair(type)).toBase64()}\n`, secretMode)
}

/** Says who a key is. */
export const showId = async (who: Who): Promise<void> => {
  const key = await keyOf(who)
  const peerId = peerIdFromPrivateKey(key)
  const value = {
    peer_id: peerId.toString(),
    cid: peerIdCid(peerId),
    type: key.type,
    public_key: key.publicKey.protobuf.toHex()
  }
  print(
    value,
    rows([
      ["peer id", paint("bold", value.peer_id)],
      ["as CID", value.cid],
      ["key", value.type],
      ["public key", value.public_key]
    ])
  )
}

export const dial = (how: How, to: string): Promise<void> =>
  withHost(how, [], async (host) => {
    const began = performance.now()
    const connection = await host.dial(target(to), { signal: signalOf(how) })
    const took = performance.now() - began
    print({ ...connectionJson(connection), ms: took }, [
      `${paint("green", "connected")} to ${connection.remotePeer} in ${ms(took)}`,
      ...rows([
        ["address", connection.remoteAddr.toString()],
        ["encryption", connection.encryption],
        ["multiplexer", connection.multiplexer]
      ])
    ])
  })

/** Asks who is there. */
export const identifyPeer = (how: How, to: string): Promise<void> =>
  withHost(how, [], async (host) => {
    const connection = await host.dial(target(to), { signal: signalOf(how) })
    const service = host.services["identify"] as { identify(on: Connection, options?: object): Promise<IdentifyResult> }
    const found = await service.identify(connection, { signal: signalOf(how) })
    const value = {
      ...connectionJson(connection),
      agent: found.agentVersion ?? null,
      protocol_version: found.protocolVersion ?? null,
      listens: found.listenAddrs.map(String),
      sees_us_at: found.observedAddr?.toString() ?? null,
      protocols: found.protocols,
      signed_record: found.signedPeerRecord !== undefined
    }
    print(value, [
      ...rows([
        ["peer id", paint("bold", value.peer_id)],
        ["agent", value.agent ?? "not told"],
        ["speaks as", value.protocol_version ?? "not told"],
        ["encryption", value.encryption],
        ["sees us at", value.sees_us_at ?? "not told"],
        ["addresses", value.signed_record ? "signed by the peer" : "told by the peer, not signed"],
        ...value.listens.map((address) => ["", address] as const),
        ["protocols", ""],
        ...value.protocols.map((protocol) => ["", protocol] as const)
      ])
    ])
  })

/** Pings, one after the other, each at once. */
export const pingPeer = (how: How, to: string, count: number): Promise<void> =>
  withHost(how, [], async (host) => {
    const address = target(to)
    const connection = await host.dial(address, { signal: signalOf(how) })
    const service = host.services["ping"] as { ping(peer: unknown, options?: object): Promise<number> }
    const times: Array<number> = []
    const lines: Array<string> = []
    for (let i = 1; i <= count; i++) {
      times.push(await service.ping(connection.remotePeer, { signal: signalOf(how) }))
      lines.push(`  ${String(i).padStart(String(count).length)}  ${ms(times.at(-1)!)}`)
    }
    const sorted = times.toSorted((a, b) => a - b)
    const value = {
      peer_id: connection.remotePeer.toString(),
      ms: times,
      min: sorted[0]!,
      median: sorted[count >> 1]!,
      max: sorted.at(-1)!
    }
    print(value, [
      ...lines,
      "",
      `  ${paint("bold", "round trip")}  min ${ms(value.min)}, median ${ms(value.median)}, max ${ms(value.max)}`
    ])
  })

/** Measures both ways. */
export const measure = (how: How, to: string, bytes: { readonly up: number; readonly down: number }): Promise<void> =>
  withHost(how, [], async (host) => {
    const connection = await host.dial(target(to), { signal: signalOf(how) })
    const service = host.services["perf"] as {
      measurePerformance(
        on: unknown,
        up: number,
        down: number,
        options?: object
      ): AsyncIterable<{ type: string; timeSeconds: number; uploadBytes: number; downloadBytes: number }>
    }
    const say = makeProgress(() => performance.now(), 1_000)
    const results: Array<{ way: "up" | "down"; bytes: number; seconds: number; mib_per_second: number }> = []
    for (const [way, up, down] of [
      ["up", bytes.up, 0],
      ["down", 0, bytes.down]
    ] as const) {
      if (up + down === 0) continue
      const began = performance.now()
      for await (const step of service.measurePerformance(connection.remoteAddr, up, down, {
        reuseExistingConnection: true
      })) {
        const done = step.uploadBytes + step.downloadBytes
        const rest = step.type === "final" ? 0 : ((performance.now() - began) / Math.max(1, done)) * (up + down - done)
        say(`  ${way} ${mib(done)} of ${mib(up + down)}, about ${formatDuration(rest)} to go`, {
          way,
          bytes: done,
          of: up + down
        })
      }
      const seconds = (performance.now() - began) / 1000
      results.push({ way, bytes: up + down, seconds, mib_per_second: (up + down) / (1 << 20) / seconds })
    }
    clearLine()
    print({ ...connectionJson(connection), results }, [
      ...rows(
        results.map(
          ({ way, bytes: size, seconds, mib_per_second: rate }) =>
            [way, `${mib(size)} in ${seconds.toFixed(2)} s: ${rate.toFixed(1)} MiB/s`] as const
        )
      ),
      ...rows([["over", `${connection.encryption} and ${connection.multiplexer}`]])
    ])
  })

/** Listens until told to stop; says who comes and goes. */
export const listen = (how: How, at: ReadonlyArray<string>, untilStopped: Promise<void>): Promise<void> =>
  withHost(how, at, async (host) => {
    const addresses = host.getMultiaddrs().map(String)
    print({ ready: true, peer_id: host.peerId.toString(), addresses, protocols: host.getProtocols() }, [
      `${paint("green", "listening")} as ${paint("bold", host.peerId.toString())}`,
      ...rows(addresses.map((address) => ["at", paint("blue", address)] as const)),
      "",
      `  Try: cairn libp2p ping ${addresses[0] ?? ""}`,
      "  Ctrl-C stops it."
    ])
    const tell =
      (what: string) =>
      ({ detail }: CustomEvent<Connection>): void =>
        print({ event: what, ...connectionJson(detail) }, [
          `  ${what}  ${detail.remotePeer}  ${detail.remoteAddr}  ${detail.encryption}`
        ])
    host.addEventListener("connection:open", tell("open"))
    host.addEventListener("connection:close", tell("close"))
    await untilStopped
    if (isTerminal()) process.stderr.write("\nstopping …\n")
  })
