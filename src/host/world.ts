/**
 * What a host asks of the world: time, chance, links, names. One answer is Bun's sockets (`src/io/link.ts`), the other is a
 * simulated network; the host cannot tell which.
 */

/** An end of a link as the socket layer names it. IPv4 in IPv6 is told as IPv4. */
export interface LinkEnd {
  readonly host: string
  readonly port: number
}

/** A plain two-way pipe of bytes, in order. */
export interface Link {
  readonly local: LinkEnd
  readonly remote: LinkEnd
  /** Queues bytes; the array is given away. */
  readonly write: (bytes: Uint8Array) => void
  /** True: all that was written was copied, and no array of it is kept. Left out: they may be kept. */
  readonly taken?: () => boolean
  /** Bytes queued and not yet with the kernel. */
  readonly queued: () => number
  readonly pause: () => void
  readonly resume: () => void
  /** TLS 1.3 from here on, both sides show a certificate, no session is resumed; who they are is not judged here. */
  readonly upgradeTls: (
    offer: {
      readonly role: "dialer" | "listener"
      /** PEM. */
      readonly key: string
      /** PEM. */
      readonly cert: string
      readonly alpn: ReadonlyArray<string>
    },
    leftover: Uint8Array
  ) => void
  /** Sends what is queued, then closes; a peer that does not take it in time is cut off. */
  readonly end: () => void
  readonly terminate: () => void
}

export interface LinkHandlers {
  readonly data: (bytes: Uint8Array) => void
  /** The queue fell below the mark, or is empty. */
  readonly drained: () => void
  /** The upgrade stands; `data` and `write` carry plaintext from here on. */
  readonly secured: (session: {
    readonly certificate: Uint8Array | undefined
    readonly several?: boolean
    readonly alpn: string | undefined
    readonly binding: Uint8Array
  }) => void
  /** The link is over; told once, nothing after it. */
  readonly closed: (reason: string) => void
}

export type OnLink = (link: Link) => LinkHandlers

/** How many links come through a listener, and who hears of the others. */
export interface LinkDoor {
  /** Links that have come and are not over, through all listeners of the world. */
  readonly linksMax: number
  /** Those of one IP address, loopback excepted. */
  readonly addressLinksMax: number
  /** A link was cut off as it came: no OnLink hears of it. `busy`: there are too many from everywhere, or from its address. */
  readonly refused: (remote: LinkEnd, busy: "everywhere" | "address") => void
}

export interface Listening {
  readonly at: LinkEnd
  readonly close: () => void
}

/** Calls off what was set. */
export type Cancel = () => void

export interface World {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly after: (ms: number, run: () => void) => Cancel
  /** Runs when what runs now is done. */
  readonly soon: (run: () => void) => void
  /** Rejects with a Libp2pFault of kind io, resource (no file descriptor is left), timeout or cancelled. `host`: an IP address. */
  readonly dial: (
    to: LinkEnd & { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
    onLink: OnLink
  ) => Promise<void>
  /**
   * `host`: an IP address. "::" takes IPv6 only, so that 0.0.0.0 and :: may share a port. Without a `door` the world has limits of
   * its own; a simulated one has none.
   */
  readonly listen: (at: LinkEnd, onLink: OnLink, door?: LinkDoor) => Promise<Listening>
  /** Addresses or TXT texts of a name; empty: there are none. Rejects with kind io or timeout. */
  readonly resolve: (name: string, record: "A" | "AAAA" | "TXT", signal?: AbortSignal) => Promise<ReadonlyArray<string>>
  /** The machine's own addresses, for a listener on all of them. */
  readonly interfaces: () => ReadonlyArray<string>
}
