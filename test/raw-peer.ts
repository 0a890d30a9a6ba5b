/** Peers that keep no rule: a link whose bytes are the test's, and a connection over Noise whose frames are. */
import { concatAll } from "../src/codec/bytes.ts"
import type { Link, LinkHandlers, World as LinkWorld } from "../src/host/world.ts"
import { makeConnection } from "../src/libp2p/connection.ts"
import type { ConnectionMachine, Muxer } from "../src/libp2p/contract.ts"
import { cheapFault } from "../src/libp2p/fault.ts"
import { makeNoise, noiseKeys, noiseProtocol } from "../src/libp2p/noise.ts"
import { peerIdOfKey } from "../src/libp2p/peer-id.ts"
import { yamuxProtocol } from "../src/libp2p/yamux.ts"
import { addressOf, keyOf } from "./stack.ts"

const endOf = (number: number) => ({ host: addressOf(number).getComponents()[0]!.value!, port: 4001, timeoutMs: 5_000 })

/** A bare link to machine `number`. */
export class RawLink {
  link!: Link
  readonly heard: Array<Uint8Array> = []
  closed: string | undefined
  onData = (bytes: Uint8Array): void => void this.heard.push(bytes.slice())

  readonly take = (link: Link): LinkHandlers => {
    this.link = link
    return {
      data: (bytes) => this.onData(bytes),
      drained: () => {},
      secured: () => {},
      closed: (reason) => {
        this.closed = reason
      }
    }
  }

  static async to(world: LinkWorld, number: number): Promise<RawLink> {
    const raw = new RawLink()
    await world.dial(endOf(number), raw.take)
    return raw
  }
}

/** A connection to machine `number` whose muxer sends what it is told, and keeps what it hears. */
export class RawPeer {
  readonly raw: RawLink
  private readonly machine: ConnectionMachine
  private readonly out: Array<Uint8Array> = []
  private readonly frames: Array<Uint8Array> = []
  readonly opened = Promise.withResolvers<void>()

  constructor(world: LinkWorld, raw: RawLink, seed: number) {
    this.raw = raw
    const privateKey = keyOf(seed)
    const identity = { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
    const keys = noiseKeys(identity, world.random)
    const { link } = raw
    this.machine = makeConnection(
      {
        role: "dialer",
        identity,
        expected: undefined,
        random: world.random,
        security: [{ _tag: "Handshake", protocol: noiseProtocol, make: (init) => makeNoise(init, keys) }],
        muxers: [{ protocol: yamuxProtocol, make: () => this.muxer }]
      },
      {
        write: (bytes) => link.write(bytes),
        queued: () => 0,
        wake: () => {},
        upgradeTls: () => {},
        opened: () => this.opened.resolve(),
        stream: () => {},
        rtt: () => {},
        ended: () => {}
      }
    )
    raw.onData = (bytes) => this.machine.receive(bytes, world.now())
    this.machine.start(world.now())
  }

  private readonly muxer: Muxer = {
    protocol: yamuxProtocol,
    receive: (bytes) => void this.frames.push(bytes.slice()),
    pull: () => {
      const parts = this.out.splice(0, 1)
      return { parts, length: parts[0]?.length ?? 0 }
    },
    open: () => cheapFault("unsupported", "UnsupportedProtocolError", "frames only"),
    streams: () => [],
    tick: () => {},
    close: () => {},
    lost: () => {}
  }

  /** Frames, or anything else, each under a seal of its own. */
  send(...frames: ReadonlyArray<Uint8Array>): void {
    this.out.push(...frames)
    while (this.out.length > 0) this.machine.flush()
  }

  /** What came in frames. */
  get heard(): Uint8Array {
    return concatAll(this.frames)
  }

  /** Dials as the peer with key `seed`; ready when frames may be sent. */
  static async to(world: LinkWorld, number: number, seed: number): Promise<RawPeer> {
    const peer = new RawPeer(world, await RawLink.to(world, number), seed)
    await peer.opened.promise
    return peer
  }
}
