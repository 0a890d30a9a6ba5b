/** The native channel: frames in a TLS stream, a signed hello first. TLS gives secrecy; the hello says who it is and binds it here. */
import { Result } from "effect"
import { toHex } from "../codec/bytes.ts"
import type { Keypair } from "../crypto/keys.ts"
import { frameBytesMax, handshakeMsMax, helloBytesMax } from "../limits.ts"
import { decodeMessage, encodeMessage } from "../peer/message.ts"
import type { Channel, ChannelOutput, Remote } from "./channel.ts"
import { encodeFrame, type Frame, FrameReader } from "./frame.ts"
import {
  checkHello,
  claimedChain,
  type Hello,
  type HelloReject,
  makeHello,
  protocolVersion,
  type SeenNonces
} from "./hello.ts"

export interface NativeOptions {
  readonly chainId: string
  readonly genesis: Uint8Array
  readonly key: Keypair
  readonly nodeId: string
  readonly endpoint: string
  readonly agent: string
  readonly capabilities: ReadonlyArray<string>
  /** Where and with which key it hears announcements by UDP; undefined: it does not. */
  readonly gossip?: { readonly endpoint: string; readonly key: Uint8Array } | undefined
  /** Where its page and API are. */
  readonly url?: string | undefined
  /** 32 bytes that only the two ends of this TLS session have (RFC 5705 exporter). */
  readonly binding: Uint8Array
  /** 16 random bytes. */
  readonly nonce: Uint8Array
  readonly seen: SeenNonces
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

/** A native channel over one TLS session. */
export const makeNativeChannel = (options: NativeOptions): Channel => {
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
    const checked = checkHello(body, { ...options, now })
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
      const { chainId, genesis, key, nodeId, endpoint, agent, capabilities, nonce, binding } = options
      const hello = {
        version: protocolVersion,
        chainId,
        genesis,
        nodeId,
        publicKey: key.publicKey,
        endpoint,
        agent,
        capabilities,
        gossip: options.gossip?.endpoint ?? "",
        gossipKey: options.gossip?.key ?? new Uint8Array(0),
        url: options.url ?? "",
        time: now,
        nonce
      }
      return [{ _tag: "Send", bytes: encodeFrame({ tag: "HEY", body: makeHello(hello, key, binding) }) }]
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
