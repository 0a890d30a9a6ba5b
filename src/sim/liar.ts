/** How a lying peer speaks: a real hello and real frames over a real channel, so that it is believed until it lies. */
import { Effect } from "effect"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { concat, concatAll, utf8 } from "../codec/bytes.ts"
import type { Header } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import type { Tcp, TcpFault, Wire } from "../io/tcp.ts"
import type { Message } from "../peer/message.ts"
import type { ChainStore } from "../store/store.ts"
import type { Channel } from "../transport/channel.ts"
import { encodeFrame } from "../transport/frame.ts"
import { type Hello, makeHello, nodeIdOf, protocolVersion, SeenNonces } from "../transport/hello.ts"
import { makeNativeChannel } from "../transport/native.ts"
import type { Dice } from "./dice.ts"
import type { Host } from "./world.ts"

/** A node that is lied to. The store is read only: an attacker who follows the chain. */
export interface Victim {
  readonly host: string
  readonly port: number
  readonly store: ChainStore
}

/** Who lies, and to whom. */
export interface Liar {
  /** The liar's own machine, with its address and its door. */
  readonly host: Host
  readonly address: string
  readonly tcp: Tcp
  readonly key: Keypair
  readonly rules: Rules
  readonly dice: Dice
  readonly victim: Victim
  /** Further nodes that run: for lies that differ from one to the other. */
  readonly others: ReadonlyArray<Victim>
  /** Hears of each block that nobody may ever take: it is made, and about to be given. */
  readonly forged: (header: Header, about: string) => void
}

/** Milliseconds for a dial, and for a hello to be answered. */
const helloMs = 5_000
/** Milliseconds before a liar that was sent away knocks again: by then the victim has noticed that it left. */
const knockMs = 500
/** Messages that a liar keeps unread; the oldest goes first. */
const heardMax = 1_024

/** A connection of bytes: what came is kept until it is read. */
export class Line {
  wire: Wire | undefined
  /** Why it is over; undefined: it stands. */
  ended: string | undefined
  private readonly host: Host
  private readonly heard: Array<Uint8Array> = []
  private wake: () => void = () => {}

  constructor(host: Host) {
    this.host = host
  }

  /** The handlers of the door. */
  open(wire: Wire) {
    this.wire = wire
    return {
      data: (bytes: Uint8Array) => {
        if (this.heard.push(bytes) > heardMax) this.heard.shift()
        this.wake()
      },
      drained: () => {},
      closed: (reason: string) => {
        this.ended = reason
        this.wake()
      }
    }
  }

  /** Puts bytes on the wire, if it stands. */
  write(...parts: ReadonlyArray<Uint8Array>): void {
    const bytes = concatAll(parts)
    if (bytes.length > 0) this.wire?.write(bytes)
  }

  /** What came since the last call. */
  read(): Uint8Array {
    return concatAll(this.heard.splice(0))
  }

  /** Waits until something came, the connection is over, or the time has passed. */
  wait(ms: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.heard.length > 0 || this.ended !== undefined) return resume(Effect.void)
      const over = (): void => {
        cancel()
        this.wake = () => {}
        resume(Effect.void)
      }
      const cancel = this.host.after(ms, over)
      this.wake = over
    })
  }

  /** Lets so many milliseconds pass, or fewer if the other side ends the connection. What comes is not read. */
  rest(ms: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const until = this.host.now + ms
      while (this.ended === undefined && this.host.now < until) {
        this.heard.length = 0
        yield* this.wait(until - this.host.now)
      }
    })
  }

  leave(): void {
    this.wire?.end()
  }
}

/** A connection to a victim, nothing said yet. */
export const dial = ({ tcp, host }: Liar, victim: Victim): Effect.Effect<Line, TcpFault> =>
  Effect.suspend(() => {
    const line = new Line(host)
    const to = { host: victim.host, port: victim.port, timeoutMs: helloMs }
    const dialled = tcp.dial(to, { key: "", cert: "" }, (wire) => line.open(wire))
    return Effect.as(dialled, line)
  })

/** What a liar may say of itself in a hello that is believed. */
export type Pose = Partial<Pick<Hello, "endpoint" | "agent">> & { readonly key?: Keypair }

const capabilities = ["headers-first", "transactions"]

const channelOn = ({ wire }: Line, liar: Liar, { key = liar.key, ...pose }: Pose): Channel =>
  makeNativeChannel({
    chainId: liar.rules.spec.ledger.chainId,
    genesis: liar.rules.genesis.header.hash,
    key,
    nodeId: nodeIdOf(key.publicKey),
    endpoint: "",
    agent: "sim/liar",
    capabilities,
    binding: wire!.binding,
    nonce: liar.dice.bytes(16),
    seen: new SeenNonces(),
    ...pose
  })

/** The frame of a hello that is true but for some fields, signed over all of them. */
export const helloOn = ({ wire }: Line, liar: Liar, lies: Partial<Hello> = {}): Uint8Array => {
  const { key, rules, dice, host } = liar
  const hello: Hello = {
    version: protocolVersion,
    chainId: rules.spec.ledger.chainId,
    genesis: rules.genesis.header.hash,
    nodeId: nodeIdOf(key.publicKey),
    publicKey: key.publicKey,
    endpoint: "",
    agent: "sim/liar",
    capabilities,
    gossip: "",
    gossipKey: new Uint8Array(0),
    url: "",
    time: host.now,
    nonce: dice.bytes(16),
    ...lies
  }
  return encodeFrame({ tag: "HEY", body: makeHello(hello, key, wire!.binding) })
}

/** A conversation: the hello has been said, and may have been believed. */
export class Talk {
  readonly line: Line
  /** The reason of the victim's goodbye, if it said one. */
  farewell: string | undefined
  private readonly channel: Channel
  private readonly host: Host
  private readonly inbox: Array<Message> = []

  constructor(line: Line, channel: Channel, host: Host) {
    this.line = line
    this.channel = channel
    this.host = host
  }

  /** The victim has ended it, or we have. */
  get over(): boolean {
    return this.line.ended !== undefined
  }

  /** The victim has said that it wants to hear no more of us. */
  get shutOut(): boolean {
    return this.farewell?.startsWith("banned") === true
  }

  /** Says messages in one piece. */
  say(...messages: ReadonlyArray<Message>): void {
    if (messages.length > 0) this.line.write(...messages.map(this.channel.encode))
  }

  /** The frame of a message, to be broken. */
  frame(message: Message): Uint8Array {
    return this.channel.encode(message)
  }

  /** The next message; undefined: none came in time, or it is over. */
  hear(ms: number): Effect.Effect<Message | undefined> {
    return Effect.gen({ self: this }, function* () {
      const until = this.host.now + ms
      for (;;) {
        this.receive()
        const message = this.inbox.shift()
        if (message !== undefined || this.over || this.host.now >= until) return message
        yield* this.line.wait(until - this.host.now)
      }
    })
  }

  /** Answers for so many milliseconds what is asked; as one who has nothing, where `answer` has no answer. */
  converse(ms: number, answer: Answer = () => undefined): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const until = this.host.now + ms
      while (!this.over && this.host.now < until) {
        const message = yield* this.hear(until - this.host.now)
        if (message !== undefined) this.say(...(answer(message) ?? politely(message)))
      }
    })
  }

  private receive(): void {
    for (const out of this.channel.receive(this.line.read(), this.host.now)) {
      if (out._tag !== "Received") continue
      if (out.message.tag === "BYE") this.farewell = out.message.reason
      if (this.inbox.push(out.message) > heardMax) this.inbox.shift()
    }
  }
}

/** What is said to a message; undefined: what an honest peer with nothing says. */
export type Answer = (message: Message) => ReadonlyArray<Message> | undefined

const politely = (message: Message): ReadonlyArray<Message> => {
  switch (message.tag) {
    case "PNG":
      return [{ tag: "PON", nonce: message.nonce }]
    case "GPR":
      return [{ tag: "PRS", request: message.request, peers: [] }]
    case "GHD":
      return [{ tag: "HDR", request: message.request, headers: new Uint8Array(0) }]
    case "GBL":
      return [{ tag: "NFD", request: message.request, hashes: message.hashes }]
    case "GTX":
      return [{ tag: "TXN", request: message.request, transactions: [] }]
    default:
      return []
  }
}

/** Dials, says a true hello, and waits for the victim's first word: its status, or its goodbye. */
export const call = (liar: Liar, victim: Victim = liar.victim, pose: Pose = {}): Effect.Effect<Talk, TcpFault> =>
  Effect.gen(function* () {
    const line = yield* dial(liar, victim)
    const channel = channelOn(line, liar, pose)
    for (const out of channel.open(liar.host.now)) if (out._tag === "Send") line.write(out.bytes)
    const talk = new Talk(line, channel, liar.host)
    yield* talk.hear(helloMs)
    return talk
  })

/** Lies so many times, and comes back whenever it is sent away, until the door is shut: then it has tried that too. */
export const persist = (
  liar: Liar,
  rounds: number,
  lie: (talk: Talk, round: number) => Effect.Effect<void, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    let talk = yield* call(liar)
    for (let round = 0; round < rounds; round++) {
      if (talk.over) {
        const { shutOut } = talk
        yield* Effect.sleep(knockMs)
        talk = yield* call(liar)
        if (shutOut || talk.shutOut) return talk.line.leave()
      }
      yield* lie(talk, round)
    }
    talk.line.leave()
  })

/** Another identity of the same liar. */
export const sybil = ({ key }: Liar, i: number): Keypair => keypairOf(sha256(concat(key.publicKey, utf8(`sybil ${i}`))))

// ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What an honest node does with a liar. `refuse`: it is not let in. `drop`: the conversation is ended, and may begin
 * anew. `ban`: the liar is not let in again. `ignore`: the conversation stands until the liar leaves: honest nodes may
 * say such things too, or it does no harm.
 */
export type Expectation = "refuse" | "drop" | "ban" | "ignore"

/** A visit to one victim, within two minutes and some megabytes. */
export interface Act {
  readonly about: string
  readonly expects: Expectation
  /** The code by which the victim calls it: of the ban's misbehaviour, or the beginning of the reason for the end. */
  readonly code?: string
  readonly play: (liar: Liar) => Effect.Effect<void, unknown>
}

export type Acts = Readonly<Record<string, Act>>

/** A virtual second. */
export const second = 1_000

/** Lies like this until the door stays shut. */
export const bannedFor = (
  about: string,
  code: string | undefined,
  lie: (talk: Talk, liar: Liar) => Effect.Effect<void, unknown>,
  rounds = 12
): Act => ({
  about,
  expects: "ban",
  ...(code === undefined ? {} : { code }),
  play: (liar) => persist(liar, rounds, (talk) => lie(talk, liar))
})

/** Says this so many times at once, and hears what comes of it. */
export const flood = (about: string, code: string, count: number, make: (i: number, liar: Liar) => Message): Act =>
  bannedFor(about, code, (talk, liar) => {
    talk.say(...Array.from({ length: count }, (_, i) => make(i, liar)))
    return talk.converse(2 * second)
  })

/** One visit that ends as the victim or the act likes. */
export const visit = (
  about: string,
  expects: Expectation,
  code: string | undefined,
  play: (talk: Talk, liar: Liar) => Effect.Effect<void, unknown>
): Act => ({
  about,
  expects,
  ...(code === undefined ? {} : { code }),
  play: (liar) =>
    Effect.gen(function* () {
      const talk = yield* call(liar)
      yield* play(talk, liar)
      talk.line.leave()
    })
})
