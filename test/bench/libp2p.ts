/**
 * libp2p over real sockets, two processes of one kind at a time: ours with each engine, js-libp2p on Node 24, go-libp2p. The programs
 * are those of test/interop; what cannot be built here is said. Processor time is what each process reports of itself.
 */
import { createCipheriv } from "node:crypto"
import { join } from "node:path"
import { loadAeadNamed } from "../../src/crypto/chacha-engine.ts"
import { createLibp2p, generateKeyPair, identify, multiaddr, noise, tcp, tls, yamux } from "../../src/library.ts"
import { type Answered, type Kind, type Peer, type PeerFlags, prepare, startPeer } from "../interop/peer.ts"
import { cpuRate } from "./table.ts"

interface Stack {
  readonly name: string
  readonly kind: Kind
  readonly flags: PeerFlags
  /** MiB that go each way. */
  readonly bulk: number
}

const mebibyte = 1024 * 1024
const none = new Uint8Array(0)
const ours = (engine: NonNullable<PeerFlags["engine"]>, bulk: number): Stack => ({
  name: `ours, ${engine}`,
  kind: "cairn",
  flags: { sec: "noise", engine },
  bulk
})
const noiseStacks: ReadonlyArray<Stack> = [
  { name: "js-libp2p", kind: "js", flags: { sec: "noise" }, bulk: 192 },
  { name: "go-libp2p", kind: "go", flags: { sec: "noise" }, bulk: 512 },
  ours("sodium-native", 512),
  ours("wasm", 256),
  ours("noble", 32)
]
const tlsStacks: ReadonlyArray<Stack> = [
  { name: "js-libp2p", kind: "js", flags: { sec: "tls" }, bulk: 192 },
  { name: "go-libp2p", kind: "go", flags: { sec: "tls" }, bulk: 1024 },
  { name: "ours", kind: "cairn", flags: { sec: "tls" }, bulk: 1024 }
]

/** What was measured of a stack, by the name of the figure. */
type Figures = Readonly<Record<string, number>>

const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 3))

const rounds = 3
const handshakeCount = 60
const crowdSize = 200

const best = (values: ReadonlyArray<number>): number => Math.min(...values)

/** The seconds of CPU of a process since its last answer. */
const spent = (before: Answered, after: Answered): number => after.cpu - before.cpu

/** `count` bytes one way. MiB/s, and seconds of CPU for a GiB on each side; the best of the rounds, each for itself. */
const carried = async (client: Peer, server: Peer, way: "up" | "down", bytes: number): Promise<Figures> => {
  const runs: Array<{ ms: number; client: number; server: number }> = []
  for (let round = 0; round <= rounds; round++) {
    const [mine, theirs] = [await client.ask("usage"), await server.ask("usage")]
    const done = await client.ask("perf", { peer: server.id, up: 0, down: 0, [way]: bytes })
    const after = await server.ask("usage")
    // The first is for the machine code.
    if (round > 0) runs.push({ ms: done.ms, client: spent(mine, done), server: spent(theirs, after) })
  }
  const gib = bytes / 1024 ** 3
  const busier = Math.max(best(runs.map((run) => run.client)), best(runs.map((run) => run.server)))
  return {
    [`${way} MiB/CPU-s, busier side`]: bytes / mebibyte / busier,
    [`${way} MiB/s`]: bytes / mebibyte / (best(runs.map(({ ms }) => ms)) / 1e3),
    [`${way} client CPU s/GiB`]: best(runs.map((run) => run.client)) / gib,
    [`${way} server CPU s/GiB`]: best(runs.map((run) => run.server)) / gib
  }
}

const shaken = async (client: Peer, server: Peer): Promise<Figures> => {
  const runs: Array<{ p50: number; client: number; server: number }> = []
  for (let round = 0; round <= rounds; round++) {
    const [mine, theirs] = [await client.ask("usage"), await server.ask("usage")]
    const done = await client.ask("handshakes", { to: server.listening[0], count: handshakeCount })
    const after = await server.ask("usage")
    runs.push({ p50: done.ok.p50, client: spent(mine, done), server: spent(theirs, after) })
  }
  return {
    "handshake p50 ms": best(runs.map(({ p50 }) => p50)) / 1e3,
    "handshake CPU ms, dialler": (best(runs.map((run) => run.client)) / handshakeCount) * 1e3,
    "handshake CPU ms, listener": (best(runs.map((run) => run.server)) / handshakeCount) * 1e3
  }
}

/** The middle of `count` exchanges, the best of the rounds, in milliseconds. */
const exchanged = async (client: Peer, peer: string, command: "rtt" | "calls", bytes: number): Promise<number> => {
  const middles: Array<number> = []
  for (let round = 0; round <= rounds; round++) {
    const { ok } = await client.ask(command, { peer, bytes, count: 1_000 })
    middles.push(ok.p50)
  }
  return best(middles) / 1e3
}

/** Bytes that stay resident: the least of some looks, for memory goes back to the system a while after nobody uses it. */
const settled = async (server: Peer): Promise<number> => {
  const looks: Array<number> = []
  for (let look = 0; look < 4; look++) {
    await Bun.sleep(600)
    looks.push((await server.ask("collect")).rss)
  }
  return best(looks)
}

/** Hosts of ours, in this process, that connect and are identified on both sides; what is given back stops them. */
const crowd = async (server: Peer, sec: PeerFlags["sec"], standing: number): Promise<() => Promise<unknown>> => {
  const hosts = await Promise.all(
    Array.from({ length: crowdSize }, async () =>
      createLibp2p({
        privateKey: await generateKeyPair("Ed25519"),
        addresses: { listen: [] },
        transports: [tcp()],
        connectionEncrypters: [sec === "tls" ? tls() : noise()],
        streamMuxers: [yamux()],
        services: { identify: identify() }
      })
    )
  )
  for (const host of hosts) {
    const identified = new Promise((resolve) => host.addEventListener("peer:identify", resolve, { once: true }))
    await host.dial(multiaddr(server.listening[0]!))
    await identified
  }
  await server.ask("connections", { count: standing + crowdSize })
  for (const host of hosts) await server.ask("identify", { peer: host.peerId.toString() })
  return () => Promise.all(hosts.map((host) => host.stop()))
}

/** KB by which a new server grows for each connection of a second and third crowd, while the first one stands. */
const grown = async (flags: PeerFlags, kind: Kind): Promise<number> => {
  const server = await startPeer(kind, flags)
  const leaves: Array<() => Promise<unknown>> = []
  try {
    // The first ones bring machine code, which belongs to no connection; as they stay, they leave no room for the others.
    leaves.push(await crowd(server, flags.sec, 0))
    const before = await settled(server)
    for (const standing of [crowdSize, 2 * crowdSize]) leaves.push(await crowd(server, flags.sec, standing))
    const after = await settled(server)
    // All of them were there until the end.
    await server.ask("connections", { count: 3 * crowdSize })
    return (after - before) / (2 * crowdSize) / 1024
  } finally {
    for (const leave of leaves) await leave()
    await server.stop()
  }
}

const resident = async ({ flags, kind }: Stack): Promise<Figures> => {
  const runs: Array<number> = []
  for (let round = 0; round < rounds; round++) runs.push(await grown(flags, kind))
  return { "KB a connection, least": Math.min(...runs), "KB a connection, most": Math.max(...runs) }
}

const measure = async (stack: Stack): Promise<Figures> => {
  const { kind, flags, bulk } = stack
  const [server, client] = [await startPeer(kind, flags), await startPeer(kind, flags)]
  try {
    const hands = await shaken(client, server)
    await client.ask("dial", { to: server.listening[0] })
    return {
      ...(await carried(client, server, "up", bulk * mebibyte)),
      ...(await carried(client, server, "down", bulk * mebibyte)),
      ...hands,
      "echo p50 ms": await exchanged(client, server.id, "rtt", 32),
      "new stream + 100 B p50 ms": await exchanged(client, server.id, "calls", 100),
      ...(await resident(stack))
    }
  } finally {
    await Promise.all([client.stop(), server.stop()])
  }
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** The other end of `floor`, in a process of its own: says the seconds of CPU that each connection took. */
const sink = (): void => {
  let began = 0
  const socket = {
    open: () => {
      began = cpuSeconds()
    },
    data: () => {},
    close: () => console.log(cpuSeconds() - began)
  }
  console.log(Bun.listen({ hostname: "127.0.0.1", port: 0, socket }).port)
}

/** One memory written to a socket over and over: what Bun and the kernel take before anything of libp2p. */
const pour = (port: number, bytes: number): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const piece = new Uint8Array(128 * 1024)
    const [began, cpu] = [performance.now(), cpuSeconds()]
    let left = bytes
    const more = (socket: Bun.Socket): void => {
      while (left > 0) {
        const sent = socket.write(piece.subarray(0, Math.min(piece.length, left)))
        if (sent <= 0) return
        left -= sent
      }
      const gib = bytes / 1024 ** 3
      socket.end()
      resolve({ ms: performance.now() - began, client: (cpuSeconds() - cpu) / gib })
    }
    Bun.connect({ hostname: "127.0.0.1", port, socket: { open: more, drain: more, data: () => {} } }).catch(reject)
  })

/** What bounds all others here: bare sockets, and each cipher alone. Seconds of CPU for a GiB on one side. */
const floor = async (): Promise<void> => {
  const bytes = 1024 * mebibyte
  const child = Bun.spawn([process.execPath, import.meta.path, "sink"], { stdout: "pipe" })
  const reader = child.stdout.getReader()
  const next = async (): Promise<number> => Number(new TextDecoder().decode((await reader.read()).value))
  const port = await next()
  const runs: Array<Figures> = []
  for (let round = 0; round <= rounds; round++) {
    const run = await pour(port, bytes)
    runs.push({ ...run, server: (await next()) / (bytes / 1024 ** 3) })
  }
  child.kill()
  const least = (name: string): string => shown(best(runs.map((run) => run[name]!)))
  const rate = bytes / mebibyte / (best(runs.map((run) => run.ms!)) / 1e3)
  process.stdout.write(
    `the floor: bare sockets ${shown(rate)} MiB/s, CPU s/GiB ${least("client")} to write and ${least("server")} to read\n`
  )
  const out = new Uint8Array(65_535)
  for (const name of ["sodium-native", "wasm", "noble"] as const) {
    const key = loadAeadNamed(name)?.key(new Uint8Array(32))
    if (key === undefined) continue
    const seals = cpuRate(() => key.seal(out.subarray(0, 12), none, out.subarray(0, 65_519), out), 64)
    process.stdout.write(`  ${name} seals at CPU s/GiB ${shown(1024 ** 3 / 65_519 / seals)}\n`)
  }
  const sealed = cpuRate(() => {
    const cipher = createCipheriv("aes-128-gcm", out.subarray(0, 16), out.subarray(0, 12))
    cipher.update(out.subarray(0, 16_384))
    cipher.final()
  }, 256)
  process.stdout.write(`  AES-128-GCM, the records of TLS: ${shown(1024 ** 3 / 16_384 / sealed)}\n`)
}

/** Milliseconds until the library is there, in a process that has done nothing else, and how many of them are of a processor. */
const importMs = (): string => {
  const library = JSON.stringify(join(import.meta.dir, "../../src/library.ts"))
  const cpu = "(({ user, system }) => (user + system) / 1e3)(process.cpuUsage(before))"
  const script = `const [began, before] = [performance.now(), process.cpuUsage()]; await import(${library}); console.log(performance.now() - began, ${cpu})`
  const runs = Array.from({ length: 15 }, () =>
    Bun.spawnSync([process.execPath, "-e", script]).stdout.toString().trim().split(" ").map(Number)
  )
  return [0, 1].map((at) => shown(best(runs.map((run) => run[at]!)))).join(" ms, of CPU ")
}

/** One row for a figure, one column for a stack. */
const print = (title: string, measured: ReadonlyMap<string, Figures>, aims: Readonly<Record<string, string>>): void => {
  const names = [...measured.keys()]
  const figures = Object.keys(measured.get(names[0]!) ?? {})
  const width = Math.max(...figures.map(({ length }) => length))
  const cell = (text: string): string => text.padStart(20)
  process.stdout.write(`\n${title}\n  ${"".padEnd(width)}${names.map(cell).join("")}\n`)
  for (const figure of figures) {
    const base = measured.get("js-libp2p")?.[figure]
    const cells = names.map((name) => {
      const value = measured.get(name)![figure]!
      return cell(
        base === undefined || name === "js-libp2p" ? shown(value) : `${shown(value)} (${(value / base).toFixed(2)})`
      )
    })
    process.stdout.write(`  ${figure.padEnd(width)}${cells.join("")}   ${aims[figure] ?? ""}\n`)
  }
}

const aims = (cpu: string): Readonly<Record<string, string>> => ({
  "up client CPU s/GiB": cpu,
  "handshake CPU ms, dialler": "at most 1.5",
  "handshake CPU ms, listener": "at most 1.5",
  "echo p50 ms": "at most 0.15",
  "new stream + 100 B p50 ms": "at most 0.4",
  "KB a connection, least": "at most 40",
  "KB a connection, most": "at most 40"
})

const all = async (stacks: ReadonlyArray<Stack>): Promise<ReadonlyMap<string, Figures>> => {
  const measured = new Map<string, Figures>()
  for (const stack of stacks) {
    const found = await prepare(stack.kind)
    if ("absent" in found) process.stdout.write(`not measured: ${stack.name}: ${found.absent}\n`)
    else measured.set(stack.name, await (only ? resident : measure)(stack))
  }
  return measured
}

/** With BENCH_LIBP2P_ONLY=resident nothing but the memory of connections is measured. */
const only = process.env.BENCH_LIBP2P_ONLY === "resident"
/** BENCH_LIBP2P narrows it, for who works on one of them: parts of names, with semicolons between. */
const wanted = process.env.BENCH_LIBP2P?.split(";")
const chosen = (sec: string, stacks: ReadonlyArray<Stack>): ReadonlyArray<Stack> =>
  stacks.filter(({ name }) => wanted === undefined || wanted.some((part) => `${sec} ${name}`.includes(part)))

if (process.argv[2] === "sink") {
  sink()
  await new Promise(() => {})
}
if (!only) {
  process.stdout.write(`import of the library: ${importMs()} ms (aim: below 50)\n`)
  await floor()
}
const [noises, tlses] = [chosen("noise", noiseStacks), chosen("tls", tlsStacks)]
if (noises.length > 0)
  print(
    "noise; in brackets, times js-libp2p. Aims of MiB/s: sodium-native at least 3, wasm at least 1",
    await all(noises),
    aims("at most 2.0 (sodium-native)")
  )
if (tlses.length > 0)
  print(
    "tls; in brackets, times js-libp2p. Aims of MiB/s: at least 5, and half of go-libp2p's",
    await all(tlses),
    aims("at most 1.0")
  )
process.exit(0)
