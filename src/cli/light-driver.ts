/**
 * Joins the light client's machine to the world: sessions over TLS with the peers that were named, bytes in and out, a clock.
 * Everything that it decides is decided in src/light; what it does here is carry.
 */
import { Clock, Effect } from "effect"
import { fromHex } from "../codec/bytes.ts"
import { fromTarget } from "../consensus/difficulty.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Tcp, TlsIdentity, Wire, WireHandlers } from "../io/tcp.ts"
import type { LightClient } from "../light/client.ts"
import type { LightEffect } from "../light/effect.ts"
import { handshakeMsMax, requestMsMax } from "../limits.ts"
import type { Message } from "../peer/message.ts"
import { Session, type SessionEffect } from "../peer/session.ts"
import type { Channel, ChannelOutput } from "../transport/channel.ts"
import { capabilities, nodeIdOf, SeenNonces } from "../transport/hello.ts"
import { makeNativeChannel } from "../transport/native.ts"

/** One peer that was named, and how it is with it. */
export interface LightPeer {
  readonly endpoint: string
  readonly host: string
  readonly port: number
  state: "dialling" | "greeting" | "connected" | "gone" | "dropped"
  /** Why it is gone or was dropped. */
  why: string | undefined
  /** Height that it has claimed. */
  height: number | undefined
}

export interface LightDriverOptions {
  readonly client: LightClient
  readonly peers: ReadonlyArray<{ readonly host: string; readonly port: number; readonly endpoint: string }>
  readonly tcp: Tcp
  readonly tls: TlsIdentity
  readonly key: Keypair
  readonly agent: string
  readonly random: (length: number) => Uint8Array
  /** Rows above a height are these from now on. */
  readonly store: (above: number, headers: Uint8Array) => void
  /** The best branch has moved; so many headers were undone. */
  readonly moved: (undone: number) => void
  readonly dropped: (peer: LightPeer, fault: { readonly code: string; readonly message: string }) => void
  /** Peers that are gone and have not lied are dialled again. */
  readonly redial: boolean
}

interface Talk {
  readonly id: number
  readonly peer: LightPeer
  readonly wire: Wire
  readonly channel: Channel
  session: Session | undefined
  readonly since: number
}

const isGone = ({ state }: LightPeer): boolean => state === "gone"

const tickMs = 100
const redialMs = 5_000

export class LightDriver {
  readonly peers: ReadonlyArray<LightPeer>
  /** Bytes of the protocol between the nodes, TLS not counted. */
  received = 0
  sent = 0
  private readonly options: LightDriverOptions
  private readonly talks = new Map<number, Talk>()
  private readonly seen = new SeenNonces()
  private readonly clock: Clock.Clock
  private talkCount = 0

  constructor(options: LightDriverOptions, clock: Clock.Clock) {
    this.options = options
    this.clock = clock
    this.peers = options.peers.map((peer) => ({ ...peer, state: "dialling", why: undefined, height: undefined }))
  }

  private get now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Peers that one can still ask. */
  get connected(): number {
    return this.peers.filter(({ state }) => state === "connected").length
  }

  /** Has every peer answered, or failed to, and shown what it claims? */
  get settled(): boolean {
    const isOpen = this.peers.some(({ state }) => state === "dialling" || state === "greeting")
    return !isOpen && this.options.client.follow.settled
  }

  /** Dials the peers and lets time pass until `done` says so; then every session is ended. */
  run(done: (driver: LightDriver) => boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (const peer of this.peers) yield* Effect.forkChild(this.keep(peer))
      while (!done(this)) {
        yield* Effect.sleep(tickMs)
        this.tick()
      }
    }).pipe(Effect.ensuring(Effect.sync(() => this.close())))
  }

  /** Puts a question of the client's to the peers. */
  perform(effects: ReadonlyArray<LightEffect>): void {
    for (const effect of effects) this.act(effect)
  }

  private keep(peer: LightPeer): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        peer.state = "dialling"
        const to = { host: peer.host, port: peer.port, timeoutMs: handshakeMsMax }
        yield* Effect.catch(
          this.options.tcp.dial(to, this.options.tls, (wire) => this.open(peer, wire)),
          ({ message }) => Effect.sync(() => this.end(peer, message.replace(`${peer.host}:${peer.port}: `, "")))
        )
        do yield* Effect.sleep(redialMs)
        while (!this.options.redial || !isGone(peer))
      }
    })
  }

  private end(peer: LightPeer, why: string): void {
    if (peer.state === "dropped") return
    peer.state = "gone"
    peer.why = why
  }

  private open(peer: LightPeer, wire: Wire): WireHandlers {
    const id = this.talkCount++
    const { key, client, agent, random } = this.options
    const { rules } = client.chain
    const channel = makeNativeChannel({
      chainId: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.hash,
      key,
      nodeId: nodeIdOf(key.publicKey),
      endpoint: "",
      agent,
      capabilities: [capabilities.lightClient],
      binding: wire.binding,
      nonce: random(16),
      seen: this.seen
    })
    const talk: Talk = { id, peer, wire, channel, session: undefined, since: this.now }
    this.talks.set(id, talk)
    peer.state = "greeting"
    for (const out of channel.open(this.now)) this.output(talk, out)
    return {
      data: (bytes) => {
        this.received += bytes.length
        for (const out of channel.receive(bytes, this.now)) this.output(talk, out)
      },
      drained: () => {},
      closed: (why) => this.closed(talk, why)
    }
  }

  private write({ wire }: Talk, bytes: Uint8Array): void {
    this.sent += bytes.length
    wire.write(bytes)
  }

  private send(talk: Talk, message: Message): void {
    this.write(talk, talk.channel.encode(message))
  }

  private output(talk: Talk, out: ChannelOutput): void {
    if (!this.talks.has(talk.id)) return
    switch (out._tag) {
      case "Send":
        return this.write(talk, out.bytes)
      case "Opened":
        if (!out.remote.capabilities.includes(capabilities.servesLight))
          return this.hangUp(talk, "it does not serve light clients")
        talk.session = new Session(this.now)
        return this.options.client.joined(talk.id, {
          filters: out.remote.capabilities.includes(capabilities.servesFilters)
        })
      case "Received":
        if (talk.session === undefined) return
        return this.hear(talk, talk.session.hear(out.message, this.now))
      case "Refused":
        return this.hangUp(talk, `${out.code}: ${out.message}`)
    }
  }

  private hear(talk: Talk, effects: ReadonlyArray<SessionEffect>): void {
    for (const effect of effects) if (this.talks.has(talk.id)) this.said(talk, effect)
  }

  /** What a full node would serve or fetch, a light client does not. */
  private said(talk: Talk, effect: SessionEffect): void {
    const { client } = this.options
    const { id } = talk
    switch (effect._tag) {
      case "Send":
        return this.send(talk, effect.message)
      case "Claimed":
        return this.claimed(talk, effect)
      case "LightAnswer":
        return this.perform(client.answer(id, effect.answer, this.now))
      case "Block":
        return this.perform(client.block(id, effect.block, this.now))
      case "NotGiven":
        return this.perform(client.notGiven(id, this.now))
      case "Misbehaved":
        return effect.code === "answer-unasked" ? this.hangUp(talk, effect.code) : undefined
      case "End":
        return this.hangUp(talk, effect.reason)
    }
  }

  private claimed(talk: Talk, { height, work, tip }: Extract<SessionEffect, { _tag: "Claimed" }>): void {
    talk.peer.state = "connected"
    talk.peer.height = height
    const claim = { height, work: fromTarget(work), hash: fromHex(tip)! }
    this.perform(this.options.client.claimed(talk.id, claim, this.now))
  }

  private act(effect: LightEffect): void {
    if (effect._tag === "Store") {
      this.options.store(effect.above, effect.headers)
      return this.options.moved(effect.undone)
    }
    const talk = this.talks.get(effect.session)
    if (talk?.session === undefined) return
    switch (effect._tag) {
      case "Ask":
        return this.hear(talk, talk.session.askLight(effect.ask, this.now))
      case "AskBlocks":
        return this.hear(talk, talk.session.askBlocks(effect.hashes, this.now))
      case "Drop":
        talk.peer.state = "dropped"
        talk.peer.why = `${effect.code}: ${effect.message}`
        this.options.dropped(talk.peer, effect)
        return this.leave(talk, effect.code)
    }
  }

  private tick(): void {
    const { now } = this
    for (const talk of [...this.talks.values()]) {
      for (const out of talk.channel.tick(now)) this.output(talk, out)
      if (talk.session !== undefined) this.hear(talk, talk.session.tick(now))
      if (talk.peer.state === "greeting" && now - talk.since > handshakeMsMax + requestMsMax)
        this.hangUp(talk, "it did not say what it has")
    }
    this.perform(this.options.client.tick(now))
  }

  private hangUp(talk: Talk, why: string): void {
    this.end(talk.peer, why)
    this.leave(talk, why)
    this.perform(this.options.client.left(talk.id, this.now))
  }

  private leave(talk: Talk, why: string): void {
    if (!this.talks.delete(talk.id)) return
    this.send(talk, { tag: "BYE", reason: why.slice(0, 200) })
    talk.wire.end()
  }

  private closed(talk: Talk, why: string): void {
    if (!this.talks.delete(talk.id)) return
    this.end(talk.peer, why)
    this.perform(this.options.client.left(talk.id, this.now))
  }

  private close(): void {
    for (const talk of [...this.talks.values()]) this.leave(talk, "done")
  }
}
