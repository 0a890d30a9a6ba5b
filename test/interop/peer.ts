/** Builds, starts and asks the programs that speak libp2p with one another. What they are asked: test/interop/README.md. */
import { generateKeyPairSync } from "node:crypto"
import { cpSync, existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"

export const kinds = ["cairn", "go", "js", "rust"] as const
export type Kind = (typeof kinds)[number]
export type Security = "noise" | "tls"
export type Key = "ed25519" | "rsa" | "ecdsa" | "secp256k1"

/** How a program is started, or why it cannot be. */
export type Prepared = { readonly argv: ReadonlyArray<string> } | { readonly absent: string }

export interface PeerFlags {
  readonly sec: Security
  readonly key?: Key
  readonly listen?: string
  readonly identify?: "honest" | "oversize"
  /** What seals the frames of noise. Ours alone has a choice. */
  readonly engine?: "sodium-native" | "wasm" | "noble"
  /** Whether identify carries a signed record. rust's own dialect makes js-libp2p refuse the whole message. Only rust heeds it. */
  readonly record?: "signed" | "none"
}

/** What a command brought and what it took. */
export interface Answered {
  readonly ok: any
  readonly ms: number
  /** Seconds of processor time since the process began. */
  readonly cpu: number
  /** Bytes of resident memory now. */
  readonly rss: number
}

export interface Peer {
  readonly kind: Kind
  readonly id: string
  readonly agent: string
  /** Where it listens, with its id. */
  readonly listening: ReadonlyArray<string>
  /** Rejects with what the peer says went wrong, or when it says nothing in time. */
  readonly ask: (command: string, fields?: Readonly<Record<string, unknown>>) => Promise<Answered>
  readonly stop: () => Promise<void>
}

const here = import.meta.dir
const root = join(here, "../..")
/** Compiled programs: beside the binary, or where CI keeps them. */
const cache = process.env.CAIRN_INTEROP_CACHE ?? join(root, "dist/interop")
/** The slowest command, 100 MB each way against an unoptimised build, takes seconds; the peers themselves give up after 30. */
const askMs = 35_000
const startMs = 20_000
const stopMs = 3_000

/** A tool, where its installer puts it when PATH does not say. */
const tool = (name: string, ...places: ReadonlyArray<string>): string | undefined =>
  Bun.which(name) ?? places.find((place) => existsSync(place))

const run = async (cwd: string, argv: ReadonlyArray<string>, env: Record<string, string> = {}): Promise<void> => {
  const child = Bun.spawn([...argv], { cwd, env: { ...process.env, ...env }, stdout: "ignore", stderr: "pipe" })
  const said = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed: ${said.slice(-2_000)}`)
}

const prepareGo = async (): Promise<Prepared> => {
  const go = tool("go", "/usr/local/go/bin/go")
  if (go === undefined) return { absent: "there is no go" }
  const program = join(cache, "go-peer")
  await run(join(here, "go"), [go, "build", "-mod=readonly", "-o", program, "."])
  return { argv: [program] }
}

/**
 * The committed list of crates is a Cargo.lock that does not say where they come from, for of each it is the same place: what cargo
 * takes for it is put back, into a copy.
 */
const lockedCopy = async (cargo: string, folder: string): Promise<void> => {
  const source = join(here, "rust")
  mkdirSync(folder, { recursive: true })
  for (const name of ["Cargo.toml", "src"]) {
    // With the times of the files: cargo builds again what seems newer than the last build.
    cpSync(join(source, name), join(folder, name), { recursive: true, preserveTimestamps: true })
  }
  const asked = [
    "metadata",
    "--no-deps",
    "--offline",
    "--format-version",
    "1",
    "--manifest-path",
    join(folder, "Cargo.toml")
  ]
  const facts = Bun.spawnSync([cargo, ...asked]).stdout.toString()
  const [dependency] = JSON.parse(facts).packages[0].dependencies
  const locked = await Bun.file(join(source, "locked.toml")).text()
  await Bun.write(
    join(folder, "Cargo.lock"),
    locked.replaceAll(/^checksum = /gm, `source = ${JSON.stringify(dependency.source)}\nchecksum = `)
  )
}

const prepareRust = async (): Promise<Prepared> => {
  const cargo = tool("cargo", `${process.env.HOME}/.cargo/bin/cargo`)
  if (cargo === undefined) return { absent: "there is no cargo" }
  const folder = join(cache, "rust-source")
  await lockedCopy(cargo, folder)
  const target = join(cache, "rust")
  await run(folder, [cargo, "build", "--locked", "--quiet", "--target-dir", target])
  return { argv: [join(target, "debug/interop-rust")] }
}

/** The package `node` brings the Node that js-libp2p needs: the system's may be too old. */
const prepareJs = async (): Promise<Prepared> => {
  const folder = join(here, "js")
  await run(folder, [process.execPath, "install", "--frozen-lockfile", "--silent"])
  const node = join(folder, "node_modules/node/bin/node")
  return existsSync(node)
    ? { argv: [node, "--expose-gc", join(folder, "peer.mjs")] }
    : { absent: "the package `node` has no Node for this machine" }
}

const prepareCairn = async (): Promise<Prepared> => ({
  argv: [process.execPath, "--expose-gc", join(here, "cairn/peer.ts")]
})

const preparations: Readonly<Record<Kind, () => Promise<Prepared>>> = {
  cairn: prepareCairn,
  go: prepareGo,
  js: prepareJs,
  rust: prepareRust
}
const prepared = new Map<Kind, Promise<Prepared>>()

/** Builds a program, once; what was built before is used again. Rejects when there are tools and the build fails. */
export const prepare = (kind: Kind): Promise<Prepared> => {
  mkdirSync(cache, { recursive: true })
  const found = prepared.get(kind) ?? preparations[kind]()
  prepared.set(kind, found)
  return found
}

/** rust-libp2p makes no RSA keys itself. */
const rsaKey = (): string =>
  generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs8", format: "der" })
    .toString("hex")

const argumentsOf = (kind: Kind, flags: PeerFlags): ReadonlyArray<string> => [
  ...Object.entries(flags).flatMap(([name, value]) => (name === "record" ? [] : [`-${name}`, value])),
  ...(kind === "rust" ? ["-record", flags.record ?? "signed"] : []),
  ...(kind === "rust" && flags.key === "rsa" ? ["-rsa", rsaKey()] : [])
]

const within = async <Value>(ms: number, what: string, promise: Promise<Value>): Promise<Value> => {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing in ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The lines of a stream, one at a time; undefined: it has ended. */
const linesOf = (stream: ReadableStream<Uint8Array>): (() => Promise<string | undefined>) => {
  const reader = stream.getReader()
  const decoder = new TextDecoder()
  let held = ""
  return async () => {
    for (let end = held.indexOf("\n"); ; end = held.indexOf("\n")) {
      if (end !== -1) {
        const line = held.slice(0, end)
        held = held.slice(end + 1)
        return line
      }
      const { value, done } = await reader.read()
      if (done) return undefined
      held += decoder.decode(value, { stream: true })
    }
  }
}

/** Keeps the end of what a process complains of. */
const complaintsOf = (stream: ReadableStream<Uint8Array>): (() => string) => {
  const decoder = new TextDecoder()
  let said = ""
  void (async () => {
    for await (const bytes of stream) said = (said + decoder.decode(bytes, { stream: true })).slice(-4_000)
  })()
  return () => said
}

/** Starts a program and waits until it listens. */
export const startPeer = async (kind: Kind, flags: PeerFlags): Promise<Peer> => {
  const found = await prepare(kind)
  if ("absent" in found) throw new Error(found.absent)
  const child = Bun.spawn([...found.argv, ...argumentsOf(kind, flags)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe"
  })
  const line = linesOf(child.stdout)
  const complaints = complaintsOf(child.stderr)
  const next = async (what: string, ms: number): Promise<any> => {
    const text = await within(ms, `${kind}, ${what}`, line())
    if (text === undefined) throw new Error(`${kind}, ${what}: it ended: ${complaints()}`)
    return JSON.parse(text)
  }
  const stop = async (): Promise<void> => {
    await child.stdin.end()
    await within(stopMs, "the end", child.exited).catch(() => child.kill("SIGKILL"))
    await child.exited
  }
  const first = await next("start", startMs).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  let asked = 0
  const ask = async (command: string, fields = {}): Promise<Answered> => {
    asked += 1
    child.stdin.write(`${JSON.stringify({ n: asked, do: command, ...fields })}\n`)
    await child.stdin.flush()
    const answered = await next(command, askMs)
    if (answered.n !== asked) throw new Error(`${kind}, ${command}: the answer is to another question`)
    if (answered.error !== undefined) throw new Error(`${kind}, ${command}: ${answered.error} ${complaints()}`)
    return answered
  }
  return { kind, id: first.id, agent: first.agent, listening: first.listening, ask, stop }
}

/** As a command: builds what is named, so that a run of the tests finds it there. */
if (import.meta.main) {
  for (const kind of kinds.filter((kind) => process.argv.includes(kind))) {
    const found = await prepare(kind)
    console.log("absent" in found ? `skipped: ${kind}: ${found.absent}` : `${kind}: ${found.argv.join(" ")}`)
  }
}
