/** What both channels share: frames, a hello first, then messages. How the hello proves who sent it is the channel's own affair. */
import { Result } from "effect"
import { toHex } from "../codec/bytes.ts"
import { frameBytesMax, handshakeMsMax, helloBytesMax } from "../limits.ts"
import { decodeMessage, encodeMessage } from "../peer/message.ts"
import type { Channel, ChannelOutput, Remote } from "./channel.ts"
import { encodeFrame, type Frame, FrameReader } from "./frame.ts"
import { claimedChain, type Hello, type HelloReject, protocolVersion } from "./hello.ts"

/** What a node says of itself in each hello. */
export interface ChannelOptions {
  readonly chainId: string
  readonly genesis: Uint8Array
  readonly nodeId: string
  /** 33 bytes. */
  readonly publicKey: Uint8Array
  readonly endpoint: string
  readonly agent: string
  readonly capabilities: ReadonlyArray<string>
  /** Where and with which key it hears announcements by UDP; undefined: it does not. */
  readonly gossip?: { readonly endpoint: string; readonly key: Uint8Array } | undefined
  /** Where its page and API are. */
  readonly url?: string | undefined
  /** 16 random bytes. */
  readonly nonce: Uint8Array
}

/** Makes the body of a HEY frame, and judges that of the other side. */
export interface Prover {
  readonly make: (hello: Hello) => Uint8Array
  readonly check: (body: Uint8Array, now: number) => Result.Result<Hello, HelloReject>
}

/** A hello of another chain, a clock that is off, or ourselves: honest nodes meet these. */
const honest: ReadonlySet<HelloReject> = new Set([
  "protocol-version",
  "chain-id-mismatch",
  "genesis-mismatch",
  "hello-stale",
  "connected-to-self"
])

const orNone = (text: string): string | undefined => (text === "" ? undefined : text)

const remoteOf = ({ nodeId, agent, capabilities, endpoint, gossip, gossipKey, url }: Hello): Remote => ({
  nodeId,
  agent,
  capabilities,
  endpoint: orNone(endpoint),
  gossipEndpoint: orNone(gossip),
  gossipKey: gossipKey.length === 0 ? undefined : gossipKey,
  nodeUrl: orNone(url)
})

export const makeFramedChannel = (options: ChannelOptions, prover: Prover): Channel => {
  const reader = new FrameReader(helloBytesMax)
  let proven = false
  let ended = false
  /** Until when the peer may prove who it is. */
  let deadline = Number.POSITIVE_INFINITY

  const refuse = (code: string, message: string, blame: boolean): ChannelOutput => {
    ended = true
    return { _tag: "Refused", code, message, blame }
  }

  /** In words; of two chains, with what both are. */
  const whyNot = (code: HelloReject, body: Uint8Array): string => {
    const claimed = claimedChain(body)
    if ((code !== "chain-id-mismatch" && code !== "genesis-mismatch") || claimed === undefined)
      return `the hello was refused: ${code}`
    const name = (chainId: string, genesis: Uint8Array) =>
      `chain ${JSON.stringify(chainId)}, genesis ${toHex(genesis.subarray(0, 32))}`
    return `it is on ${name(claimed.chainId, claimed.genesis)}; this node is on ${name(options.chainId, options.genesis)}`
  }

  const greet = ({ tag, body }: Frame, now: number): ChannelOutput => {
    if (tag !== "HEY") return refuse("hello-expected", `${tag} before the hello`, true)
    const checked = prover.check(body, now)
    if (Result.isFailure(checked))
      return refuse(checked.failure, whyNot(checked.failure, body), !honest.has(checked.failure))
    proven = true
    reader.bytesMax = frameBytesMax
    return { _tag: "Opened", remote: remoteOf(checked.success) }
  }

  /** Who drips its hello byte by byte is not waited for; who says nothing at all is the door's affair. */
  const late = (now: number): ReadonlyArray<ChannelOutput> =>
    proven || ended || now <= deadline ? [] : [refuse("hello-late", "no hello in time", false)]

  const hear = (frame: Frame): ChannelOutput => {
    const decoded = decodeMessage(frame)
    return Result.isSuccess(decoded)
      ? { _tag: "Received", message: decoded.success }
      : refuse("message-malformed", decoded.failure, true)
  }

  return {
    open: (now) => {
      deadline = now + handshakeMsMax
      const { chainId, genesis, nodeId, publicKey, endpoint, agent, capabilities, nonce } = options
      const hello = {
        version: protocolVersion,
        chainId,
        genesis,
        nodeId,
        publicKey,
        endpoint,
        agent,
        capabilities,
        gossip: options.gossip?.endpoint ?? "",
        gossipKey: options.gossip?.key ?? new Uint8Array(0),
        url: options.url ?? "",
        time: now,
        nonce
      }
      return [{ _tag: "Send", bytes: encodeFrame({ tag: "HEY", body: prover.make(hello) }) }]
    },
    tick: late,
    receive: (bytes, now) => {
      const out: Array<ChannelOutput> = [...late(now)]
      if (ended) return out
      reader.push(bytes)
      for (let frame = reader.next(); frame !== undefined && !ended; frame = reader.next()) {
        if (typeof frame === "string") out.push(refuse("frame-refused", frame, true))
        else out.push(proven ? hear(frame) : greet(frame, now))
      }
      return out
    },
    encode: (message) => encodeFrame(encodeMessage(message))
  }
}
