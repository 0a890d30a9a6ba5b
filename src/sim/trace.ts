/** What a run was, as data: the lanes of its actors, their messages, faults, blocks. The timeline draws it, `--trace` prints it. */

/** An actor of a node. Its place in `Run.lanes` is its number. */
export interface Lane {
  readonly node: string
  readonly actor: string
}

/** A message from lane to lane. Times are virtual milliseconds since the run began. */
export interface Sent {
  readonly kind: string
  /** -1: from outside the actors, such as a socket, a timer, a client. */
  readonly from: number
  readonly to: number
  readonly sentAt: number
  /** Undefined: it still waited when the run ended, or its actor had died. */
  readonly begunAt: number | undefined
  /** False: refused or lost at a full inbox. */
  readonly taken: boolean
  /** The step of the world in which it was sent: messages of one millisecond are in this order. */
  readonly step: number
}

/** A fault, while it lasted. */
export interface Span {
  readonly kind: string
  readonly from: number
  readonly to: number
  /** The nodes that it concerns; none: all. */
  readonly nodes: ReadonlyArray<string>
  readonly text: string
}

/** Something worth a line: a crash, a ban, a reorganisation, a refusal. */
export interface Note {
  readonly at: number
  readonly step: number
  readonly node: string
  readonly kind: string
  readonly text: string
}

/** A block, when it was first sealed. */
export interface Sealed {
  readonly id: string
  readonly parent: string
  readonly height: number
  readonly by: string
  readonly at: number
}

/** A node's tip from this time on. */
export interface TipAt {
  readonly node: string
  readonly at: number
  readonly block: string
}

export interface Run {
  readonly title: string
  readonly facts: ReadonlyArray<readonly [name: string, value: string]>
  readonly endMs: number
  readonly lanes: ReadonlyArray<Lane>
  readonly messages: ReadonlyArray<Sent>
  /** Messages before the first of `messages` that were not kept. */
  readonly forgotten: number
  readonly spans: ReadonlyArray<Span>
  readonly notes: ReadonlyArray<Note>
  readonly blocks: ReadonlyArray<Sealed>
  readonly tips: ReadonlyArray<TipAt>
  readonly failure: { readonly at: number; readonly text: string } | undefined
}
