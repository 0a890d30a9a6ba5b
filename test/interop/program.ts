/**
 * The peer that does what the lines on its standard input say, over any library of js-libp2p's shape: js-libp2p on Node, ours on
 * Bun. The commands: test/interop/README.md. Node runs this file too, so it asks nothing of Bun.
 */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type {
  Facts,
  Program,
  ProgramFlags,
  ProgramIdentified,
  ProgramOptions,
  ProgramPeerId,
  ProgramStream,
  Request
} from "./shape.ts"

/** No command takes longer: the driver's own bound is above this. */
const commandMs = 30_000
const many: ProgramOptions = { maxInboundStreams: 4_096, maxOutboundStreams: 4_096 }
/** A prime, so that a chunk that is lost or told twice is seen whatever sizes frames and windows have. */
const patternBytes = 65_521
const pattern = Uint8Array.from({ length: patternBytes }, (_, at) => (at ^ (at >> 8)) & 255)
const oversizeBytes = 20_000
const text = new TextEncoder()

/** -listen A,B -sec noise|tls -key ed25519|rsa|ecdsa|secp256k1 -identify honest|oversize; ours: -engine auto|sodium-native|wasm|noble */
export const flagsOf = (args: ReadonlyArray<string>): ProgramFlags => {
  const value = (name: string, otherwise: string): string => {
    const at = args.indexOf(`-${name}`)
    return at === -1 ? otherwise : (args[at + 1] ?? otherwise)
  }
  return {
    listen: value("listen", "/ip4/127.0.0.1/tcp/0").split(","),
    sec: value("sec", "noise"),
    key: value("key", "ed25519"),
    identify: value("identify", "honest"),
    engine: value("engine", "auto")
  }
}

/** The pieces of what came: js-libp2p gives lists of them. */
const pieces = (message: Uint8Array | Iterable<Uint8Array>): Iterable<Uint8Array> =>
  message instanceof Uint8Array ? [message] : message

const send = async (stream: ProgramStream, bytes: Uint8Array, signal?: AbortSignal): Promise<void> => {
  if (!stream.send(bytes)) await stream.onDrain(signal === undefined ? {} : { signal })
}

const sendPattern = async (stream: ProgramStream, count: number, signal?: AbortSignal): Promise<void> => {
  for (let left = count; left > 0; left -= patternBytes) {
    await send(stream, left < patternBytes ? pattern.subarray(0, left) : pattern, signal)
  }
}

const countBytes = (count: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(count))
  return bytes
}

const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]

/** A message of identify that is one agent version of `count` bytes. */
const oversizeMessage = (count: number): Uint8Array => {
  const field = [(6 << 3) | 2, ...varint(count)]
  const head = [...varint(field.length + count), ...field]
  const bytes = new Uint8Array(head.length + count).fill(97)
  bytes.set(head)
  return bytes
}

/** Reads a stream by counts, then the rest. */
const readerOf = (stream: ProgramStream) => {
  const messages = stream[Symbol.asyncIterator]()
  const held: Array<Uint8Array> = []
  /** What is next, undefined at the end. */
  const next = async (): Promise<Uint8Array | undefined> => {
    while (held.length === 0) {
      const message = await messages.next()
      if (message.done === true) return undefined
      held.push(...pieces(message.value))
    }
    return held.shift()
  }
  const exactly = async (count: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(count)
    for (let at = 0; at < count; ) {
      const piece = await next()
      if (piece === undefined) throw new Error(`it ended after ${at} of ${count} bytes`)
      const used = piece.subarray(0, count - at)
      bytes.set(used, at)
      at += used.length
      if (used.length < piece.length) held.unshift(piece.subarray(used.length))
    }
    return bytes
  }
  const count = async (): Promise<number> => Number(new DataView((await exactly(8)).buffer).getBigUint64(0))
  const rest = async (take: (piece: Uint8Array) => void): Promise<number> => {
    let bytes = 0
    for (let piece = await next(); piece !== undefined; piece = await next()) {
      bytes += piece.length
      take(piece)
    }
    return bytes
  }
  return { next, exactly, count, rest }
}

const hashed = async (reader: ReturnType<typeof readerOf>): Promise<{ bytes: number; digest: Buffer }> => {
  const sum = createHash("sha256")
  const bytes = await reader.rest((piece) => sum.update(piece))
  return { bytes, digest: sum.digest() }
}

const nothing = (): void => {}

/** How a stream ended, as its reader was told. */
const endOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.name === "StreamResetError" ? "reset" : `${error.name}: ${error.message}`
}

const handlers: Readonly<Record<string, (stream: ProgramStream) => Promise<void>>> = {
  "/echo/1.0.0": async (stream) => {
    for await (const message of stream) for (const piece of pieces(message)) await send(stream, piece)
  },
  "/hello/1.0.0": async (stream) => {
    const said = new TextDecoder().decode(await readerOf(stream).exactly(5))
    if (said !== "hello") throw new Error("not hello")
    stream.send(text.encode("world"))
  },
  "/digest/1.0.0": async (stream) => {
    const { bytes, digest } = await hashed(readerOf(stream))
    stream.send(countBytes(bytes))
    stream.send(digest)
  },
  "/source/1.0.0": async (stream) => sendPattern(stream, await readerOf(stream).count()),
  "/perf/1.0.0": async (stream) => {
    const reader = readerOf(stream)
    const count = await reader.count()
    await reader.rest(nothing)
    await sendPattern(stream, count)
  },
  "/abort/1.0.0": async (stream) => {
    const reader = readerOf(stream)
    await reader.exactly(await reader.count())
    throw new Error("as asked")
  }
}

const watch =
  (told: (ending: Facts) => void) =>
  async (stream: ProgramStream): Promise<void> => {
    let bytes = 0
    // Who means to reset waits for it: a stream that is reset while its protocol is agreed upon reaches nobody.
    stream.send(Uint8Array.of(1))
    try {
      for await (const message of stream) for (const piece of pieces(message)) bytes += piece.length
      told({ bytes, how: "end" })
    } catch (error) {
      told({ bytes, how: endOf(error) })
    }
  }

/** Ends the stream as its handler ended. */
const ending =
  (work: (stream: ProgramStream) => Promise<void>) =>
  async (stream: ProgramStream): Promise<void> => {
    try {
      await work(stream)
      await stream.close()
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

/** Values that one side puts and another waits for, in order. */
const queueOf = <Value>() => {
  const values: Array<Value> = []
  const waiting: Array<(value: Value) => void> = []
  return {
    put: (value: Value): void => {
      const first = waiting.shift()
      if (first === undefined) values.push(value)
      else first(value)
    },
    take: (signal: AbortSignal): Promise<Value> =>
      new Promise((resolve, reject) => {
        const first = values.shift()
        if (first !== undefined) return resolve(first)
        waiting.push(resolve)
        signal.addEventListener("abort", () => reject(new Error("nothing came in time")), { once: true })
      })
  }
}

const spread = (times: Array<number>): Facts => {
  times.sort((left, right) => left - right)
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? 0
  return { count: times.length, p50: at(0.5), p99: at(0.99), least: at(0) }
}

/** Microseconds of each of `count` runs. */
const timed = async (count: number, run: () => Promise<void>): Promise<Facts> => {
  const times: Array<number> = []
  for (let at = 0; at < count; at += 1) {
    const began = performance.now()
    await run()
    times.push((performance.now() - began) * 1e3)
  }
  return spread(times)
}

const until = async (signal: AbortSignal, what: string, so: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await so())) {
    if (signal.aborted) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Reads to the end and says which end it was. */
const sawOf = async (stream: ProgramStream): Promise<string> => {
  try {
    await readerOf(stream).rest(nothing)
    return "end"
  } catch (error) {
    return endOf(error)
  }
}

type Command = (asked: Request, signal: AbortSignal) => Promise<Facts>

const connectionCommands = <Address, Id extends ProgramPeerId>(
  program: Program<Address, Id>
): Readonly<Record<string, Command>> => {
  const { host } = program
  const identified = new Map<string, ProgramIdentified>()
  program.onIdentified((found) => identified.set(found.peerId.toString(), found))
  const failed = new Map<string, Facts>()
  program.onUnidentified?.((peer, why) => failed.set(peer.toString(), why))
  return {
    dial: async ({ to }, signal) => {
      const { remotePeer, encryption, multiplexer } = await host.dial(program.address(to), { signal })
      return { peer: remotePeer.toString(), encryption, multiplexer, key: remotePeer.publicKey?.type.toLowerCase() }
    },
    hangup: async ({ peer }, signal) => {
      await host.hangUp(program.peerId(peer), { signal })
      return {}
    },
    connections: async ({ count }, signal) => {
      await until(signal, "connections", () => host.getConnections().length === count)
      return { count }
    },
    usage: async () => ({}),
    collect: async () => {
      globalThis.gc?.()
      return {}
    },
    ping: async ({ peer, count }, signal) => {
      const times: Array<number> = []
      while (times.length < count) times.push((await program.ping(program.peerId(peer), signal)) * 1e3)
      return spread(times)
    },
    identify: async ({ peer }, signal) => {
      await until(signal, "identify", () => identified.has(peer))
      const found = identified.get(peer)!
      return {
        agent: found.agentVersion,
        version: found.protocolVersion,
        protocols: found.protocols,
        listening: found.listenAddrs.map(String),
        observed: found.observedAddr?.toString(),
        signed: found.signedPeerRecord !== undefined
      }
    },
    unidentified: async ({ peer }, signal) => {
      await until(signal, "unidentified", () => failed.has(peer))
      const kept = await host.peerStore.get(program.peerId(peer)).catch((error: unknown) => {
        if (error instanceof Error && error.name === "NotFoundError") return undefined
        throw error
      })
      const facts = { protocols: kept?.protocols ?? [], metadata: [...(kept?.metadata.keys() ?? [])] }
      return { ...failed.get(peer), identified: identified.has(peer), ...facts }
    },
    announce: async ({ protocol }) => {
      await host.handle(protocol, ending(handlers["/echo/1.0.0"]!), many)
      return {}
    },
    knows: async ({ peer, protocol }, signal) => {
      await until(signal, "knows", async () =>
        (await host.peerStore.get(program.peerId(peer))).protocols.includes(protocol)
      )
      return {}
    },
    handshakes: async ({ to, count }, signal) =>
      timed(count, async () => {
        const { remotePeer } = await host.dial(program.address(to), { signal })
        await host.hangUp(program.peerId(remotePeer.toString()), { signal })
      })
  }
}

type Open = (asked: Request, protocol: string, signal: AbortSignal) => Promise<ProgramStream>

const dataCommands = (open: Open): Readonly<Record<string, Command>> => {
  const echoed = async (asked: Request, signal: AbortSignal): Promise<Facts> => {
    const stream = await open(asked, "/echo/1.0.0", signal)
    const back = hashed(readerOf(stream))
    await sendPattern(stream, asked.bytes, signal)
    await stream.close({ signal })
    const { bytes, digest } = await back
    return { bytes, digest: digest.toString("hex") }
  }
  return {
    echo: echoed,
    streams: async (asked, signal) => ({
      echoes: await Promise.all(Array.from({ length: asked.count }, () => echoed(asked, signal)))
    }),
    hello: async (asked, signal) => {
      const stream = await open(asked, "/hello/1.0.0", signal)
      stream.send(text.encode("hello"))
      const said: Array<Uint8Array> = []
      await readerOf(stream).rest((piece) => said.push(piece))
      await stream.close({ signal })
      return { text: Buffer.concat(said).toString() }
    },
    bulk: async (asked, signal) => {
      const began = performance.now()
      const up = await open(asked, "/digest/1.0.0", signal)
      await sendPattern(up, asked.up, signal)
      await up.close({ signal })
      const reader = readerOf(up)
      const [upBytes, told] = [await reader.count(), Buffer.from(await reader.exactly(32)).toString("hex")]
      const between = performance.now()
      const down = await open(asked, "/source/1.0.0", signal)
      down.send(countBytes(asked.down))
      await down.close({ signal })
      const { bytes, digest } = await hashed(readerOf(down))
      return {
        up: { bytes: upBytes, digest: told, us: (between - began) * 1e3 },
        down: { bytes, digest: digest.toString("hex"), us: (performance.now() - between) * 1e3 }
      }
    },
    perf: async (asked, signal) => {
      const stream = await open(asked, "/perf/1.0.0", signal)
      const began = performance.now()
      stream.send(countBytes(asked.down))
      await sendPattern(stream, asked.up, signal)
      await stream.close({ signal })
      const between = performance.now()
      const down = await readerOf(stream).rest(nothing)
      return { up: asked.up, down, upUs: (between - began) * 1e3, downUs: (performance.now() - between) * 1e3 }
    },
    rtt: async (asked, signal) => {
      const stream = await open(asked, "/echo/1.0.0", signal)
      const reader = readerOf(stream)
      const found = await timed(asked.count, async () => {
        stream.send(pattern.subarray(0, asked.bytes))
        await reader.exactly(asked.bytes)
      })
      await stream.close({ signal })
      return found
    },
    calls: async (asked, signal) =>
      timed(asked.count, async () => {
        const stream = await open(asked, "/echo/1.0.0", signal)
        stream.send(pattern.subarray(0, asked.bytes))
        await readerOf(stream).exactly(asked.bytes)
        await stream.close({ signal })
      })
  }
}

const badCommands = (
  open: Open,
  ended: (signal: AbortSignal) => Promise<Facts>
): Readonly<Record<string, Command>> => ({
  abort: async (asked, signal) => {
    const stream = await open(asked, "/watch/1.0.0", signal)
    await readerOf(stream).exactly(1)
    await sendPattern(stream, asked.bytes, signal)
    stream.abort(new Error("as asked"))
    return {}
  },
  ending: (_, signal) => ended(signal),
  aborted: async (asked, signal) => {
    const stream = await open(asked, "/abort/1.0.0", signal)
    const saw = sawOf(stream)
    // The other side resets as soon as it has read them: a wait for room may see that first.
    await send(stream, countBytes(asked.bytes), signal).catch(nothing)
    await sendPattern(stream, asked.bytes, signal).catch(nothing)
    return { saw: await saw }
  },
  oversize: async (asked, signal) => {
    const stream = await open(asked, "/ipfs/id/push/1.0.0", signal)
    const saw = sawOf(stream)
    await send(stream, oversizeMessage(asked.bytes), signal).catch(nothing)
    await stream.close({ signal }).catch(nothing)
    return { saw: await saw }
  },
  unknown: async (asked, signal) => {
    try {
      const stream = await open(asked, asked.protocol, signal)
      stream.abort(new Error("it was taken"))
    } catch (error) {
      if (error instanceof Error && error.name === "UnsupportedProtocolError") return { refused: asked.protocol }
      throw error
    }
    throw new Error("it was taken")
  }
})

const serve = async <Address, Id extends ProgramPeerId>(
  { host, oversizeIdentify }: Program<Address, Id>,
  told: (ending: Facts) => void
): Promise<void> => {
  for (const [protocol, work] of Object.entries({ ...handlers, "/watch/1.0.0": watch(told) })) {
    await host.handle(protocol, ending(work), many)
  }
  if (!oversizeIdentify) return
  await host.unhandle("/ipfs/id/1.0.0")
  await host.handle(
    "/ipfs/id/1.0.0",
    ending(async (stream) => void stream.send(oversizeMessage(oversizeBytes)))
  )
}

/** Serves until standard input ends. */
export const runProgram = async <Address, Id extends ProgramPeerId>(program: Program<Address, Id>): Promise<void> => {
  const { host } = program
  const endings = queueOf<Facts>()
  const open: Open = (asked, protocol, signal) =>
    host.dialProtocol(program.peerId(asked.peer), protocol, { ...many, signal })
  const commands: Readonly<Record<string, Command>> = {
    ...connectionCommands(program),
    ...dataCommands(open),
    ...badCommands(open, endings.take)
  }
  await serve(program, endings.put)
  const say = async (line: Facts): Promise<void> => {
    if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await once(process.stdout, "drain")
  }
  await say({ listening: host.getMultiaddrs().map(String), id: host.peerId.toString(), agent: program.agent })
  for await (const line of createInterface({ input: process.stdin })) {
    const asked: Request = JSON.parse(line)
    const began = performance.now()
    const found = await (
      commands[asked.do]?.(asked, AbortSignal.timeout(commandMs)) ?? Promise.reject(new Error(`no command ${asked.do}`))
    ).then(
      (ok) => ({ ok }),
      (error: unknown) => ({ error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
    )
    const { user, system } = process.cpuUsage()
    const cost = { ms: performance.now() - began, cpu: (user + system) / 1e6, rss: process.memoryUsage.rss() }
    await say({ n: asked.n, ...found, ...cost })
  }
}
