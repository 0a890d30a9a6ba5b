/** What the library says of itself: which lines, in which words, and at no cost where nobody wants them. */
import { expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { generateKey } from "../libp2p/key.ts"
import type { ComponentLogger } from "./api.ts"
import { createHost, type Host } from "./host.ts"
import { identify } from "./identify-service.ts"
import type { HostInit } from "./init.ts"
import { noise } from "./parts.ts"
import { defaultResourceLimits } from "./resources.ts"
import { componentLogger, hostLogger, type LogLevel, logLevels } from "./log.ts"
import { debugFilter, levelFilter, logFilterOf } from "./log-filter.ts"
import { jsonLine, lineCharactersMax, messageOf, textLine } from "./log-text.ts"

const wanted = (setting: { LIBP2P_LOG?: string; DEBUG?: string }, scope: string): string => {
  const filter = logFilterOf(setting)
  if (filter instanceof Libp2pFault) return filter.message
  return logLevels.filter((level) => filter?.(scope, level) === true).join(" ")
}

test("LIBP2P_LOG names a level, or one for each subsystem", () => {
  const all = "trace debug info warn error"
  const table: ReadonlyArray<readonly [string, string, string]> = [
    ["debug", "libp2p:dial", "debug info warn error"],
    ["TRACE", "libp2p:dial", all],
    ["error", "libp2p:host", "error"],
    ["off", "libp2p:host", ""],
    ["identify=debug,*=warn", "libp2p:identify", "debug info warn error"],
    ["identify=debug,*=warn", "libp2p:dial", "warn error"],
    ["*=warn , dial = off", "libp2p:dial", ""],
    ["libp2p:dial=info", "libp2p:dial", "info warn error"],
    ["dial=info", "libp2p:dial:names", "info warn error"],
    ["dial=info,dial:names=error", "libp2p:dial:names", "error"],
    ["dial=info", "libp2p:host", ""],
    ["host=info", "libp2p", "info warn error"],
    ["", "libp2p:host", ""]
  ]
  for (const [setting, scope, levels] of table)
    expect([setting, wanted({ LIBP2P_LOG: setting }, scope)]).toEqual([setting, levels])
  for (const bad of ["verbose", "dial=", "=debug", "dial=debug,host=loud", "a=debug=info", "x".repeat(5_000)]) {
    const fault = levelFilter(bad)
    expect([bad, fault instanceof Libp2pFault && fault.kind]).toEqual([bad, "input"])
  }
})

test("DEBUG is read as js-libp2p's users write it", () => {
  const table: ReadonlyArray<readonly [string, string, string]> = [
    ["libp2p:*", "libp2p:dial", "debug info warn error"],
    ["*", "libp2p:dial", "debug info warn error"],
    ["libp2p:*,-libp2p:dial", "libp2p:dial", "error"],
    ["libp2p:* -libp2p:dial*", "libp2p:dial", ""],
    ["libp2p:*:error", "libp2p:dial", "error"],
    ["libp2p:*,libp2p:*:trace", "libp2p:dial", "trace debug info warn error"],
    ["libp2p:d*l", "libp2p:dial", "debug info warn"],
    ["express:*", "libp2p:dial", ""],
    ["libp2p:identify", "libp2p:dial", ""]
  ]
  for (const [setting, scope, levels] of table)
    expect([setting, wanted({ DEBUG: setting }, scope)]).toEqual([setting, levels])
  // What is meant for others is no fault of ours; and both settings add up.
  expect(wanted({ DEBUG: `*${",a".repeat(100)}` }, "libp2p:dial")).toBe("")
  expect(debugFilter("a,".repeat(100))).toBeInstanceOf(Libp2pFault)
  expect(wanted({ DEBUG: "libp2p:dial", LIBP2P_LOG: "error" }, "libp2p:dial")).toBe("debug info warn error")
  // A pattern of many stars takes no time to speak of.
  const filter = debugFilter(`${"*a".repeat(1_000)}b`)
  expect(!(filter instanceof Libp2pFault) && filter("a".repeat(2_000), "debug")).toBe(false)
})

test("a level that nobody wants touches no value, and loggers that are silent are one", () => {
  const trap = new Proxy({}, { get: () => expect.unreachable(), ownKeys: () => expect.unreachable() })
  const quiet = componentLogger()
  expect(quiet.forComponent("a")).toBe(quiet.forComponent("b").newScope("c"))
  expect(quiet.forComponent("a").enabled).toBe(false)
  const heard: Array<string> = []
  const some = componentLogger(
    (level, scope, formatter, values) => heard.push(`${level} ${scope} ${messageOf(formatter, values)}`),
    (scope, level) => scope !== "c" && level !== "debug" && level !== "trace"
  )
  for (const logger of [quiet, some]) {
    logger.forComponent("a")("%o", trap)
    logger.forComponent("a").trace("%o", trap)
    logger.forComponent("c").error("%o", trap)
  }
  expect(some.forComponent("c")).toBe(quiet.forComponent("c"))
  hostLogger(some, "a").newScope("b").warn("%d of %s", 1, "two")
  expect(heard).toEqual(["warn a:b 1 of two"])
  // A sink that fails is not the host's trouble; a logger of js-libp2p's shape takes our two levels as plain lines.
  componentLogger(() => expect.unreachable())
    .forComponent("a")
    .error("heard")
  const lines: Array<unknown> = []
  const plain = Object.assign((text: unknown) => lines.push(text), { trace: () => {}, error: () => {}, enabled: true })
  const theirs: ComponentLogger = {
    forComponent: (name) => Object.assign(plain, { newScope: () => theirs.forComponent(name) })
  }
  hostLogger(theirs, "a").info("told")
  hostLogger(theirs, "a").newScope("b").warn("told too")
  expect(lines).toEqual(["told", "told too"])
})

test("a line shows no secret, obeys no stranger and has an end", () => {
  const key = generateKey("Ed25519")
  if (key instanceof Libp2pFault) throw key
  const hex = Buffer.from(key.raw).toString("hex").slice(0, 32)
  const pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----"
  const values = [
    key,
    { privateKey: key, list: [key.raw], secret: "s3cret", seed: "s3cret" },
    key.raw,
    pem,
    new Error(pem)
  ]
  for (const letter of ["s", "o", "O", "j", "p", "a", "e", "b", "d"])
    for (const value of values) {
      const line = messageOf(`%${letter}`, [value])
      for (const leak of [hex, Buffer.from(key.raw).toString("base64").slice(0, 20), "MC4CAQ", "s3cret", `${key.raw}`])
        expect(line).not.toContain(leak)
    }
  expect(messageOf("agent %s", ["\x1b[2Jevil\r\n\u202e"])).toBe("agent \\u001b[2Jevil\\u000d\\u000a\\u202e")
  expect(messageOf("%s", ["x".repeat(10_000)]).length).toBeLessThan(600)
  expect(messageOf("x", Array(1_000).fill("long enough")).length).toBeLessThanOrEqual(lineCharactersMax + 1)
  const round: Record<string, unknown> = {}
  round["self"] = round
  const odd = { toString: () => expect.unreachable() }
  expect(messageOf("%o %s %s %d%% %z %s", [round, odd, undefined, 7, 1n])).toContain("<unreadable> undefined 7% 1 %s")
  expect(messageOf("rest", [1, "two", null])).toBe("rest 1 two null")
  expect(messageOf("%s", ["$& %s"])).toBe("$& %s")
  expect(messageOf(new Error("first"), [])).toBe("Error: first")
})

test("lines for programs are JSON, lines for people have a clock", () => {
  const cause = new Error("why")
  const fault = new Libp2pFault("io", "DialError", "no way", { host: "::1" }, { cause })
  const line = {
    at: 1_700_000_000_123,
    level: "warn" as LogLevel,
    scope: "libp2p:dial",
    formatter: "to %s: %e",
    values: ["x", fault]
  }
  expect(JSON.parse(jsonLine(line))).toEqual({
    timestamp: "2023-11-14T22:13:20.123Z",
    level: "warn",
    subsystem: "dial",
    message: "to x: DialError (io): no way; because Error: why",
    error: { name: "DialError", kind: "io", context: { host: "::1" } }
  })
  expect(textLine(line)).toBe("22:13:20.123 warn  dial       to x: DialError (io): no way; because Error: why")
  expect(textLine(line, (level, text) => `<${level}>${text}`)).toContain("<warn>warn  dial")
})

test("a host tells of its life, of what failed, and of limits once in ten seconds", async () => {
  const net = new MemoryNet()
  const lines: Array<string> = []
  const logger = componentLogger((level, scope, formatter, values) =>
    lines.push(`${level} ${scope.slice("libp2p:".length)}: ${messageOf(formatter, values)}`)
  )
  const start = async (ip: string, init: Partial<HostInit> = {}): Promise<Host> => {
    const base = { addresses: { listen: [`/ip4/${ip}/tcp/4001`] }, connectionEncrypters: [noise()] }
    const host = createHost({ ...base, services: { identify: identify() } as never, ...init }, net.world(ip))
    await host.start()
    return host
  }
  const none = { inbound: 0, outbound: 0, total: 0 }
  const streams = { ...defaultResourceLimits.streams, protocol: none }
  const left = await start("10.0.9.1", { logger, resources: { ...defaultResourceLimits, streams } })
  const right = await start("10.0.9.2")
  await right.handle("/x/1", () => {})
  const connection = await left.dial(right.getMultiaddrs()[0]!)
  for (let i = 0; i < 3; i++) await connection.newStream("/x/1").catch(() => undefined)
  await connection.close()
  await left.dial(left.getMultiaddrs()[0]!.decapsulate("/p2p")).catch(() => undefined)
  expect(left.getMetrics()).toMatchObject({
    opened: { inbound: 0, outbound: 1 },
    failed: { permission: 2 },
    peers: 0,
    listeners: 1,
    handshakes: 0,
    dials: { queued: 0, active: 0 },
    streams: { total: 0 },
    memory: { bytes: 0 }
  })
  expect(left.getMetrics().refusals["outbound streams of one protocol"]).toBeGreaterThanOrEqual(3)
  await left.stop()
  await right.stop()
  const heard = lines.join("\n")
  for (const [sort, part] of [
    ["info host", "listening on /ip4/10.0.9.1/tcp/4001"],
    ["info host", `${left.peerId} started, at 1 addresses`],
    ["debug dial", `dial 1 of ${right.peerId}: 1 addresses`],
    ["debug upgrade", `outbound connection 1 stands: ${right.peerId} at /ip4/10.0.9.2/tcp/4001`],
    ["warn limits", "a limit is met, what is beyond is refused: no more inbound streams of one protocol"],
    ["debug limits", "refused: no more outbound streams of one protocol"],
    ["debug identify", `${right.peerId} did not say who it is: ResourceLimitError (resource)`],
    ["debug connection", `connection 1 with ${right.peerId} is closed`],
    ["debug dial", "ConnectionDeniedError (permission): the other side has our own peer id"],
    ["info host", "stopped"]
  ] as const)
    expect(lines.some((line) => line.startsWith(`${sort}: `) && line.includes(part)) ? part : heard).toBe(part)
  expect(lines.filter((line) => line.startsWith("warn limits")).length).toBeLessThanOrEqual(2)
})
