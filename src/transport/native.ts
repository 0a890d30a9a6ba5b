/** The native channel: frames in a TLS stream, a signed hello first. TLS gives secrecy; the hello says who it is and binds it here. */
import type { Keypair } from "../crypto/keys.ts"
import type { Channel } from "./channel.ts"
import { type ChannelOptions, makeFramedChannel } from "./framed.ts"
import { checkHello, makeHello, type SeenNonces } from "./hello.ts"

export interface NativeOptions extends Omit<ChannelOptions, "publicKey"> {
  readonly key: Keypair
  /** 32 bytes that only the two ends of this TLS session have (RFC 5705 exporter). */
  readonly binding: Uint8Array
  readonly seen: SeenNonces
}

/** A native channel over one TLS session. */
export const makeNativeChannel = (options: NativeOptions): Channel => {
  const { key, binding } = options
  return makeFramedChannel(
    { ...options, publicKey: key.publicKey },
    { make: (hello) => makeHello(hello, key, binding), check: (body, now) => checkHello(body, { ...options, now }) }
  )
}
