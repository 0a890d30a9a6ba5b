/** What the program needs of a library, js-libp2p or ours, and what it is asked. Types alone. */

/** Streams, hosts and ids as far as the program needs them; the shape is @libp2p/interface's. */
export interface ProgramStream extends AsyncIterable<Uint8Array | Iterable<Uint8Array>> {
  readonly send: (bytes: Uint8Array) => boolean
  readonly onDrain: (options?: { readonly signal?: AbortSignal }) => Promise<void>
  readonly close: (options?: { readonly signal?: AbortSignal }) => Promise<void>
  readonly abort: (error: Error) => void
}

export interface ProgramPeerId {
  readonly toString: () => string
  readonly publicKey?: { readonly type: string } | undefined
}

export interface ProgramConnection {
  readonly remotePeer: ProgramPeerId
  readonly encryption?: string | undefined
  readonly multiplexer?: string | undefined
}

export interface ProgramOptions {
  readonly signal?: AbortSignal
  readonly maxInboundStreams?: number
  readonly maxOutboundStreams?: number
}

export interface ProgramHost<Address, Id extends ProgramPeerId> {
  readonly peerId: Id
  readonly getMultiaddrs: () => ReadonlyArray<{ readonly toString: () => string }>
  readonly getConnections: () => ReadonlyArray<unknown>
  readonly dial: (to: Address, options?: ProgramOptions) => Promise<ProgramConnection>
  readonly dialProtocol: (to: Id, protocol: string, options?: ProgramOptions) => Promise<ProgramStream>
  readonly hangUp: (peer: Id, options?: ProgramOptions) => Promise<void>
  readonly handle: (
    protocol: string,
    handler: (stream: ProgramStream) => Promise<void>,
    options?: ProgramOptions
  ) => Promise<void>
  readonly unhandle: (protocol: string) => Promise<void>
  readonly peerStore: {
    readonly get: (peer: Id) => Promise<{
      readonly protocols: ReadonlyArray<string>
      readonly metadata: ReadonlyMap<string, unknown>
    }>
  }
}

/** What an identify brought. */
export interface ProgramIdentified {
  readonly peerId: ProgramPeerId
  readonly agentVersion?: string | undefined
  readonly protocolVersion?: string | undefined
  readonly protocols: ReadonlyArray<string>
  readonly listenAddrs: ReadonlyArray<{ readonly toString: () => string }>
  readonly observedAddr?: { readonly toString: () => string } | undefined
  readonly signedPeerRecord?: unknown
}

/** A host and what belongs to its library. */
export interface Program<Address, Id extends ProgramPeerId> {
  readonly host: ProgramHost<Address, Id>
  readonly agent: string
  readonly address: (text: string) => Address
  readonly peerId: (text: string) => Id
  /** Milliseconds. */
  readonly ping: (peer: Id, signal: AbortSignal) => Promise<number>
  readonly onIdentified: (told: (found: ProgramIdentified) => void) => void
  /** That an identify came to nothing, and why. Ours alone tells it. */
  readonly onUnidentified?: (told: (peer: ProgramPeerId, why: Facts) => void) => void
  readonly oversizeIdentify: boolean
}

/** The flags of every peer. */
export interface ProgramFlags {
  readonly listen: ReadonlyArray<string>
  readonly sec: string
  readonly key: string
  readonly identify: string
  readonly engine: string
}

export interface Request {
  readonly n: number
  readonly do: string
  readonly to: string
  readonly peer: string
  readonly protocol: string
  readonly count: number
  readonly bytes: number
  readonly up: number
  readonly down: number
}

export type Facts = Readonly<Record<string, unknown>>
