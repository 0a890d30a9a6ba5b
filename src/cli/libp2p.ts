/** What `cairn libp2p` does: a host of the library for as long as one command takes, and what it saw in words and as JSON. */
import { type FaultKind, Libp2pFault } from "../libp2p/fault.ts"
import type { KeyType, PrivateKey } from "../libp2p/contract.ts"
import { peerIdCid } from "../libp2p/peer-id.ts"
import type { Connection } from "../host/api.ts"
import { exists, readBytes, writeFile } from "../io/files.ts"
import {
  createLibp2p,
  engines,
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
import { isInitialised, loadIdentity } from "./data-folder.ts"
import { failure, type Failure } from "./failure.ts"
import { clearLine, formatDuration, isTerminal, makeLateProgress, paint, print, printText, rows } from "./output.ts"
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
  // A node makes its folder and its key; who only looks makes neither.
  if (!isInitialised(dataDir))
    throw failure(
      "dataFolder",
      "store-missing",
      `There is no node in ${dataDir}.`,
      "Name the folder of one, or --key FILE."
    )
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

const hints: Readonly<Partial<Record<FaultKind, string>>> = {
  input: "An address looks like /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW….",
  io: "Is somebody listening there? `cairn libp2p listen` does.",
  timeout: "Try --timeout with more seconds.",
  unsupported: "`cairn libp2p identify` shows what the other side speaks.",
  verify: "Whoever answers there is not the peer that the address ends in, or cannot prove it.",
  closed: "Try again: the other side ended it.",
  protocol: "It may be no libp2p that listens there."
}

/** Who is not there is another exit than who does not do what he is asked, and than who is not who he should be. */
const exitOf = ({ kind, name }: Libp2pFault): Failure["exit"] => {
  if (kind === "input" || name === "InvalidMultiaddrError") return "usage"
  if (kind === "internal" || name === "ListenError") return "failed"
  return ["verify", "unsupported", "permission", "protocol"].includes(kind) ? "refused" : "unreachable"
}

/** What went wrong, as the end of a command. */
const failureOf = (fault: Libp2pFault): Failure => {
  const hint = fault.name === "ListenError" ? "Name an address of this machine whose port is free." : hints[fault.kind]
  const code = fault.name === "ListenError" ? "listen-failed" : `libp2p-${fault.kind.replace("_", "-")}`
  return failure(exitOf(fault), code, `${fault.name}: ${fault.message}.`, hint)
}

const start = async ({ security, ...who }: How, listen: ReadonlyArray<string>) => {
  const encrypters = { tls: tls(), noise: noise() }
  return createLibp2p({
    privateKey: await keyOf(who),
    addresses: { listen },
    connectionEncrypters: security.map((name) => encrypters[name]),
    nodeInfo: { name: "cairn", version, userAgent: `cairn/${version}` },
    services: { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
  })
}
type OurHost = Awaited<ReturnType<typeof start>>

/** Runs with a host that lives as long, and says faults as failures. */
const withHost = async (
  how: How,
  listen: ReadonlyArray<string>,
  f: (host: OurHost) => Promise<void>
): Promise<void> => {
  let host: OurHost | undefined
  try {
    host = await start(how, listen)
    await f(host)
  } catch (error) {
    clearLine()
    throw error instanceof Libp2pFault ? failureOf(error) : error
  } finally {
    await host?.stop()
  }
}

/** Runs with a connection to who is at `to`. */
const withPeer = (how: How, to: string, f: (connection: Connection, host: OurHost) => Promise<void>): Promise<void> =>
  withHost(how, [], async (host) => f(await host.dial(multiaddr(to), { signal: signalOf(how) }), host))

const signalOf = ({ timeoutMs }: How): AbortSignal => AbortSignal.timeout(timeoutMs)

/** Three digits after the point are more than a clock of this sort is good for. */
const round = (value: number): number => Math.round(value * 1_000) / 1_000
const ms = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`
const size = (bytes: number): string => {
  if (bytes < 1_024) return `${bytes} B`
  return bytes < 1 << 20 ? `${(bytes / 1_024).toFixed(0)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`
}

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
  if (who.key === undefined && who.dataDir === undefined)
    throw failure(
      "usage",
      "key-unnamed",
      "Whose id?",
      "Name --key FILE or --data-dir DIR, or make a key with --new FILE."
    )
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

/** Connects, and says what was agreed on. */
export const dial = (how: How, to: string): Promise<void> => {
  const began = performance.now()
  return withPeer(how, to, async (connection) => {
    const took = performance.now() - began
    print({ ...connectionJson(connection), ms: round(took) }, [
      `${paint("green", "connected")} to ${paint("bold", connection.remotePeer.toString())} in ${ms(took)}`,
      ...rows([
        ["address", connection.remoteAddr.toString()],
        ["encryption", connection.encryption],
        ["multiplexer", connection.multiplexer]
      ])
    ])
  })
}

/** Asks who is there. */
export const identifyPeer = (how: How, to: string): Promise<void> =>
  withPeer(how, to, async (connection, host) => {
    const found = await host.services.identify.identify(connection, { signal: signalOf(how) })
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
        ["listens at", value.listens.length === 0 ? "nothing told" : value.listens[0]!],
        ...value.listens.slice(1).map((address) => ["", address] as const),
        ["", value.signed_record ? "signed by the peer" : "not signed"],
        ...value.protocols.map((protocol, i) => [i === 0 ? "protocols" : "", protocol] as const)
      ])
    ])
  })

/** Pings, one after the other, each at once. */
export const pingPeer = (how: How, to: string, count: number): Promise<void> =>
  withPeer(how, to, async ({ remotePeer }, host) => {
    const times: Array<number> = []
    while (times.length < count) {
      const took = await host.services.ping.ping(remotePeer, { signal: signalOf(how) })
      times.push(round(took))
      if (isTerminal()) printText(`  ${String(times.length).padStart(String(count).length)}  ${ms(took)}\n`)
    }
    const sorted = times.toSorted((a, b) => a - b)
    const [min, median, max] = [sorted[0]!, sorted[count >> 1]!, sorted.at(-1)!]
    print({ peer_id: remotePeer.toString(), ms: times, min, median, max }, [
      `  ${paint("bold", "round trip")}  min ${ms(min)}, median ${ms(median)}, max ${ms(max)}`
    ])
  })

interface Measured {
  readonly way: "up" | "down"
  readonly bytes: number
  readonly seconds: number
  readonly mib_per_second: number
}

/** Measures one way, and says how far it is when that takes long. */
const measureWay = async (host: OurHost, on: Connection, way: Measured["way"], bytes: number): Promise<Measured> => {
  const [up, down] = way === "up" ? [bytes, 0] : [0, bytes]
  const say = makeLateProgress(() => performance.now(), 1_000)
  const began = performance.now()
  let done = 0
  for await (const step of host.services.perf.measurePerformance(on.remoteAddr, up, down, {
    reuseExistingConnection: true
  })) {
    if (step.type === "final") break
    done += step.uploadBytes + step.downloadBytes
    const rest = ((performance.now() - began) / Math.max(1, done)) * (bytes - done)
    say(`  ${way} ${size(done)} of ${size(bytes)}, about ${formatDuration(rest)} to go`, {
      way,
      bytes: done,
      of: bytes
    })
  }
  const seconds = (performance.now() - began) / 1_000
  return { way, bytes, seconds: round(seconds), mib_per_second: round(bytes / (1 << 20) / seconds) }
}

/** Measures both ways, one after the other. */
export const measure = (how: How, to: string, bytes: { readonly up: number; readonly down: number }): Promise<void> =>
  withPeer(how, to, async (connection, host) => {
    const results: Array<Measured> = []
    for (const way of ["up", "down"] as const)
      if (bytes[way] > 0) results.push(await measureWay(host, connection, way, bytes[way]))
    clearLine()
    const aead = connection.encryption === "/noise" ? { aead_engine: engines().aead } : {}
    const over = `${connection.encryption}${aead.aead_engine === undefined ? "" : ` (${aead.aead_engine})`}`
    print({ ...connectionJson(connection), ...aead, results }, [
      ...rows([
        ...results.map(
          ({ way, bytes: all, seconds, mib_per_second: rate }) =>
            [way, `${size(all)} in ${seconds.toFixed(2)} s: ${rate.toFixed(1)} MiB/s`] as const
        ),
        ["over", `${over} and ${connection.multiplexer}`]
      ])
    ])
  })

/** Listens until told to stop; says who comes and goes. */
export const listen = (how: How, at: ReadonlyArray<string>, untilStopped: Promise<void>): Promise<void> =>
  withHost(how, at, async (host) => {
    const addresses = host.getMultiaddrs().map(String)
    const { aead } = engines()
    const value = { peer_id: host.peerId.toString(), addresses, protocols: host.getProtocols(), aead_engine: aead }
    print({ ready: true, ...value }, [
      `${paint("green", "listening")} as ${paint("bold", value.peer_id)}`,
      ...rows([...addresses.map((address) => ["at", paint("blue", address)] as const), ["noise by", aead]]),
      "",
      `  Try: cairn libp2p ping ${addresses[0] ?? ""}`,
      "  Ctrl-C stops it."
    ])
    const tell =
      (event: "open" | "close") =>
      ({ detail }: CustomEvent<Connection>): void =>
        print({ event, ...connectionJson(detail) }, [
          `  ${event.padEnd(5)}  ${detail.remotePeer}  ${detail.remoteAddr}  ${detail.encryption}`
        ])
    host.addEventListener("connection:open", tell("open"))
    host.addEventListener("connection:close", tell("close"))
    await untilStopped
    const { opened, failed, refused, memory } = host.getMetrics()
    const links = Object.values(failed).reduce((sum, count) => sum + count, 0)
    if (isTerminal()) process.stderr.write("\nstopping …\n")
    print({ event: "stop", opened, failed, refused, memory_peak: memory.peak }, [
      ...rows([
        ["connections", `${opened.inbound} came, ${links} links came to nothing, ${refused} refusals by a limit`],
        ["held at most", size(memory.peak)]
      ])
    ])
  })
