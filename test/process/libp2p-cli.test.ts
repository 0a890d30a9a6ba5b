/** `cairn libp2p` as people and programs use it: the built binary, at a terminal and in a pipe, and what it says when things go wrong. */
import { afterAll, expect, test } from "bun:test"
import { existsSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { binary, folder, plainEnvironment, readyLine, start } from "./binary.ts"
import { until } from "../network.ts"
import { atTerminal } from "./terminal.ts"

const home = folder()
const children: Array<Subprocess> = []
afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  home.remove()
})

const spawn = (args: ReadonlyArray<string>) => {
  const options = { cwd: home.path, env: plainEnvironment, stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const
  const child = Bun.spawn([binary, "libp2p", ...args], options)
  children.push(child)
  return child
}

interface Said {
  readonly code: number
  readonly out: Readonly<Record<string, unknown>>
  readonly err: Readonly<Record<string, unknown>>
}

/** What a command printed in a pipe: one JSON value, or one of an error. */
const run = async (...args: ReadonlyArray<string>): Promise<Said> => {
  const child = spawn(args)
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect(`${out}${err}`.trim().split("\n")).toHaveLength(1)
  const code = await child.exited
  return { code, out: JSON.parse(out || "{}"), err: (JSON.parse(err || "{}") as { error?: Said["err"] }).error ?? {} }
}

interface Listening {
  readonly address: string
  readonly peerId: string
  readonly ready: Readonly<Record<string, unknown>>
  /** Ends it by SIGTERM: its exit code and all the events that it told. */
  readonly stop: () => Promise<{
    readonly code: number
    readonly events: Array<Readonly<Record<string, unknown>>>
  }>
}

const listen = async (...args: ReadonlyArray<string>): Promise<Listening> => {
  const child = spawn(["listen", ...args])
  const reader = child.stdout.getReader()
  let text = ""
  const read = async (): Promise<boolean> => {
    const { value, done } = await reader.read()
    text += new TextDecoder().decode(value)
    return done
  }
  await until("it listens", async () => (await read()) || readyLine(text) !== undefined)
  const ready = JSON.parse(readyLine(text)!) as Record<string, unknown>
  return {
    ready,
    address: (ready["addresses"] as ReadonlyArray<string>)[0]!,
    peerId: String(ready["peer_id"]),
    stop: async () => {
      child.kill("SIGTERM")
      while (!(await read()));
      const events = text.trim().split("\n").slice(1)
      return { code: await child.exited, events: events.map((line) => JSON.parse(line) as Record<string, unknown>) }
    }
  }
}

test("a key is made once, readable to its owner alone, and is who listens with it", async () => {
  for (const [type, of] of [
    ["ed25519", "Ed25519"],
    ["secp256k1", "secp256k1"]
  ] as const) {
    const file = join(home.path, `${type}.key`)
    const made = await run("id", "--new", file, "--type", type)
    expect([made.code, made.out["type"]]).toEqual([0, of])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await run("id", "--key", file)).out).toEqual(made.out)
  }
  expect(await run("id", "--new", "ed25519.key")).toMatchObject({ code: 7, err: { code: "key-exists" } })
  expect(await run("id", "--key", "none.key")).toMatchObject({ code: 7, err: { code: "key-missing" } })
  expect(await run("id")).toMatchObject({ code: 2, err: { code: "key-unnamed" } })
  writeFileSync(join(home.path, "wrong.key"), "no key at all")
  expect(await run("id", "--key", "wrong.key")).toMatchObject({ code: 7, err: { code: "key-malformed" } })
}, 30_000)

test("who listens is identified, pinged and measured by TLS and by Noise, and tells who came and went", async () => {
  const key = join(home.path, "host.key")
  const { out: id } = await run("id", "--new", key)
  const host = await listen("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0", "--key", key)
  expect(host.peerId).toBe(String(id["peer_id"]))
  expect(host.ready["addresses"]).toHaveLength(2)
  // The native engine is inside the binary, where it is built for this machine.
  if (process.platform === "linux" && process.arch === "x64") expect(host.ready["aead_engine"]).toBe("sodium-native")

  const met = { peer_id: host.peerId, encryption: "/tls/1.0.0", multiplexer: "/yamux/1.0.0" }
  expect(await run("dial", host.address)).toMatchObject({ code: 0, out: met })
  const { out: told } = await run("identify", host.address)
  expect(told).toMatchObject({
    ...met,
    listens: expect.arrayContaining([host.address.split("/p2p/")[0]]),
    signed_record: true
  })
  expect(String(told["agent"])).toStartWith("cairn/")
  expect(told["protocols"]).toEqual(expect.arrayContaining(["/ipfs/ping/1.0.0", "/perf/1.0.0"]))
  const { out: pinged } = await run("ping", host.address, "--count", "3", "--security", "noise")
  expect(pinged["ms"]).toHaveLength(3)
  expect(Number(pinged["min"])).toBeGreaterThan(0)
  const { out: measured } = await run("perf", host.address, "--up", "300000", "--down", "0", "--security", "noise")
  expect(measured).toMatchObject({ encryption: "/noise", aead_engine: host.ready["aead_engine"] })
  expect(measured["results"]).toEqual([
    { way: "up", bytes: 300_000, seconds: expect.any(Number), mib_per_second: expect.any(Number) }
  ])

  const { code, events } = await host.stop()
  expect(code).toBe(0)
  expect(events.pop()).toEqual({
    event: "stop",
    opened: { inbound: 4, outbound: 0 },
    failed: {},
    refused: 0,
    memory_peak: expect.any(Number)
  })
  expect(events.map(({ event, encryption }) => `${event} ${encryption}`)).toEqual(
    ["/tls/1.0.0", "/tls/1.0.0", "/noise", "/noise"].flatMap((by) => [`open ${by}`, `close ${by}`])
  )
}, 30_000)

test("what goes wrong has a code, an exit and a word of what to do", async () => {
  const host = await listen("--security", "tls")
  const [place] = host.address.split("/p2p/")
  const other = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
  const { port } = silent.address() as { port: number }
  const cases: ReadonlyArray<readonly [ReadonlyArray<string>, number, string]> = [
    [["dial", "/ip4/nowhere"], 2, "libp2p-input"],
    [["dial", "/ip4/127.0.0.1/udp/1/quic-v1"], 3, "libp2p-unsupported"],
    [["ping", "/ip4/127.0.0.1/tcp/1"], 4, "libp2p-io"],
    [["dial", `${place}/p2p/${other}`], 3, "libp2p-verify"],
    [["dial", host.address, "--security", "noise"], 3, "libp2p-unsupported"],
    [["identify", `/ip4/127.0.0.1/tcp/${port}`, "--timeout", "1"], 4, "libp2p-timeout"],
    [["listen", place!], 1, "listen-failed"]
  ]
  const said = await Promise.all(cases.map(([args]) => run(...args)))
  expect(said.map(({ code, err }) => [code, err["code"]])).toEqual(cases.map(([, exit, code]) => [exit, code]))
  for (const { err } of said) expect(String(err["hint"]).length).toBeGreaterThan(10)
  expect((await run("ping", host.address)).code).toBe(0)
  silent.close()
  await host.stop()
}, 30_000)

test("a node that speaks libp2p is identified, is who its folder says, and tells what seals its frames", async () => {
  const dataDir = join(home.path, "node")
  const node = await start("--dev", "--data-dir", dataDir, "--libp2p-listen", "/ip4/127.0.0.1/tcp/0")
  children.push(node.process)
  const { aead_engine: engine, libp2p: addresses, peer_id: peerId } = node.ready
  const [address] = addresses as ReadonlyArray<string>
  expect(["sodium-native", "wasm", "noble"]).toContain(String(engine))
  expect(await (await fetch(`${node.http}/api/info`)).json()).toMatchObject({ service: { aead_engine: engine } })
  expect(await (await fetch(`${node.http}/metrics`)).text()).toContain(`aead_engine="${String(engine)}"`)
  const { out } = await run("identify", address!)
  expect(out).toMatchObject({ peer_id: peerId, protocols: expect.arrayContaining(["/cairn/cairn-dev/1"]) })
  expect((await run("id", "--data-dir", dataDir)).out).toMatchObject({ peer_id: peerId, type: "secp256k1" })
  expect(await node.stop()).toBe(0)
  expect(await run("id", "--data-dir", join(home.path, "none"))).toMatchObject({
    code: 5,
    err: { code: "store-missing" }
  })
  expect(existsSync(join(home.path, "none"))).toBe(false)
}, 30_000)

test("people at a terminal read words, and end what listens by Ctrl-C", async () => {
  const host = await listen()
  const say = (...args: ReadonlyArray<string>) => atTerminal([binary, "libp2p", ...args, host.address])
  const [dialled, identified, pinged, measured] = await Promise.all([
    say("dial"),
    say("identify"),
    say("ping", "--count", "2"),
    say("perf", "--up", "1000", "--down", "2000")
  ])
  expect(dialled).toEqual({ text: expect.stringMatching(/^connected to 12D3\w+ in [\d.]+ ms/), code: 0 })
  expect(identified.text).toMatch(/agent +cairn\/[\s\S]*signed by the peer[\s\S]*\/ipfs\/ping\/1\.0\.0/)
  expect(pinged.text).toMatch(/ 1 +[\d.]+ ms[\s\S]* 2 +[\d.]+ ms[\s\S]*round trip +min [\d.]+ ms, median/)
  expect(measured.text).toMatch(
    /up +1000 B in [\s\S]*down +2 KiB in [\s\S]*MiB\/s[\s\S]*over +\/tls\/1\.0\.0 and \/yamux/
  )
  expect((await host.stop()).code).toBe(0)
  const ended = await atTerminal([binary, "libp2p", "listen"], "Ctrl-C stops it.")
  expect(ended).toEqual({
    text: expect.stringMatching(/listening as 12D3[\s\S]*Try: cairn libp2p ping \/ip4[\s\S]*stopping …/),
    code: 0
  })
  const failed = await atTerminal([binary, "libp2p", "dial", "/ip4/127.0.0.1/tcp/1"])
  expect(failed).toEqual({
    text: expect.stringMatching(/^\s*error DialError: .*\(libp2p-io\)\s+Is somebody listening/),
    code: 4
  })
}, 30_000)
