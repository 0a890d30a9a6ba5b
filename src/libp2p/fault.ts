/**
 * How everything in the library fails: one class, eighteen kinds that are a closed union, and under `name` the error name that
 * js-libp2p has for the same case, so that a check written for it holds here.
 */

/** What sort of thing went wrong, and so what a caller may do: see docs/libp2p.md, "Errors". */
export type FaultKind =
  /** The caller's own argument is wrong. */
  | "input"
  /** Bytes from outside do not have their form. */
  | "decode"
  /** The operating system said no: a socket, a file, a name that does not resolve. */
  | "io"
  /** The peer broke a protocol. */
  | "protocol"
  /** Not in this state: not started, closed for writing, handled twice. */
  | "state"
  /** Nothing here, or nothing there, speaks that. */
  | "unsupported"
  /** A signature, a certificate or an identity is not what it must be. */
  | "verify"
  | "timeout"
  /** The connection or stream is over. */
  | "closed"
  /** A limit of the resource manager; or no file descriptor is left: then `context.code` says EMFILE or ENFILE. */
  | "resource"
  /** The caller's AbortSignal, or stop(). */
  | "cancelled"
  /** An address that a filter leaves out. Kept: nothing gives it yet. */
  | "filtered"
  /** A gater or a rule forbids it. */
  | "permission"
  | "not_found"
  /** A fault of our own. */
  | "internal"
  /** A service that is needed is missing, or two need each other. */
  | "dependency"
  /** A queue or table is full. */
  | "capacity"
  /** It is being done already. Kept: nothing gives it yet. */
  | "busy"

/** The error names of js-libp2p that we use, so that `err.name === "TimeoutError"` holds in both. */
export type FaultName =
  | "AbortError"
  | "UnexpectedPeerError"
  | "InvalidCryptoExchangeError"
  | "InvalidParametersError"
  | "InvalidPublicKeyError"
  | "InvalidPrivateKeyError"
  | "UnsupportedOperationError"
  | "ConnectionClosingError"
  | "ConnectionClosedError"
  | "ConnectionFailedError"
  | "MuxerClosedError"
  | "StreamResetError"
  | "StreamAbortedError"
  | "StreamStateError"
  | "StreamBufferError"
  | "NotFoundError"
  | "InvalidPeerIdError"
  | "InvalidMultiaddrError"
  | "InvalidCIDError"
  | "InvalidMultihashError"
  | "UnsupportedProtocolError"
  | "InvalidMessageError"
  | "ProtocolError"
  | "TimeoutError"
  | "NotStartedError"
  | "AlreadyStartedError"
  | "DialError"
  | "ListenError"
  | "LimitedConnectionError"
  | "TooManyInboundProtocolStreamsError"
  | "TooManyOutboundProtocolStreamsError"
  | "UnsupportedKeyTypeError"
  | "NotImplementedError"
  /** Not an error of js-libp2p's interface: its own packages throw these. */
  | "DialDeniedError"
  | "ConnectionDeniedError"
  | "ResourceLimitError"
  | "InternalError"

export type FaultContext = Readonly<Record<string, string | number | boolean | undefined>>

/** An error of the library. `context`: what was seen, for a log; never a secret. */
export class Libp2pFault extends Error {
  override readonly name: FaultName
  readonly kind: FaultKind
  readonly context: FaultContext

  constructor(
    kind: FaultKind,
    name: FaultName,
    message: string,
    context: FaultContext = {},
    options?: { readonly cause: unknown }
  ) {
    super(message, options)
    this.kind = kind
    this.name = name
    this.context = context
  }

  override toString(): string {
    return `${this.name} (${this.kind}): ${this.message}`
  }
}

/** Whether it, or what caused it, failed because the process or the machine has no file descriptor left. */
export const isDescriptorExhaustion = (error: unknown): boolean => {
  if (!(error instanceof Libp2pFault)) return false
  const { code } = error.context
  return code === "EMFILE" || code === "ENFILE" || isDescriptorExhaustion(error.cause)
}

/** Makes a fault without a stack trace: for what strangers can cause as often as they like. */
export const cheapFault = (kind: FaultKind, name: FaultName, message: string, context?: FaultContext): Libp2pFault => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return new Libp2pFault(kind, name, message, context)
  } finally {
    Error.stackTraceLimit = limit
  }
}
