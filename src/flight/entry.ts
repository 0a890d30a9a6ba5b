/**
 * What a journal says, entry by entry, and its bytes. A byte says which kind, a varint how many tasks began since the entry
 * before, then come the fields: whole numbers as varints, text and bytes behind their length.
 *
 *   inputs    come between tasks, from outside: time, sockets, threads, callers
 *   answers   what the outside said when the node asked: random bytes, a port, a full socket, a slice that is over
 *   trace     what the node then did: messages handled, bytes sent, moves of the tip; a replay must do the same
 */
import { assert } from "../assert.ts"
import { fromUtf8, toHex, utf8 } from "../codec/bytes.ts"

type Form = "count" | "text" | "bytes"

/** Every kind with its byte and its fields in their order. Never renumbered: old journals must stay readable. */
const shapes = {
  // The end of a slice, and the last bits of the digest of the trace up to here.
  rest: { code: 0, fields: { check: "count" } },

  // Milliseconds since the last sample of the monotonic clock.
  time: { code: 1, fields: { ms: "count" } },
  // The wall clock, in milliseconds since 1970, where it did not go along with the monotonic one.
  wall: { code: 2, fields: { unixMs: "count" } },
  // A connection stands. `dial` 0: it was accepted.
  wire: { code: 3, fields: { wire: "count", dial: "count", host: "text", binding: "bytes" } },
  data: { code: 4, fields: { wire: "count", bytes: "bytes" } },
  drained: { code: 5, fields: { wire: "count" } },
  closed: { code: 6, fields: { wire: "count", reason: "text" } },
  // A dial has ended; an empty fault: well.
  dialled: { code: 7, fields: { dial: "count", fault: "text" } },
  // What a thread said, as JSON.
  report: { code: 8, fields: { thread: "count", json: "text" } },
  ended: { code: 9, fields: { thread: "count", reason: "text" } },
  // A caller asks the node; its arguments as MessagePack.
  call: { code: 10, fields: { call: "count", method: "text", args: "bytes" } },
  // Nobody waits for the answer any more.
  cancel: { code: 11, fields: { call: "count" } },
  // The node is told to stop.
  stop: { code: 12, fields: {} },
  // What came of a question by HTTP; an empty fault: an answer.
  fetched: { code: 13, fields: { fetch: "count", status: "count", body: "text", fault: "text" } },
  // Of the connection that comes next: what the certificate of the other side hashes to.
  shown: { code: 15, fields: { wire: "count", fingerprint: "text" } },

  // The slice was over before this operation of the task, counted from 1: the fiber gave way.
  yield: { code: 16, fields: { operation: "count" } },
  random: { code: 17, fields: { bytes: "bytes" } },
  // The write just told of was not taken.
  refused: { code: 18, fields: { wire: "count" } },
  // Bytes that waited to be sent.
  queued: { code: 19, fields: { bytes: "count" } },
  // An empty fault: we listen on this port.
  listening: { code: 20, fields: { port: "count", fault: "text" } },

  // Gives the next number to a kind of message, of an actor or of all sessions.
  name: { code: 24, fields: { actor: "text", tag: "text" } },
  // Bytes sent: their CRC-32. Of the first on a wire, the signed hello, their number.
  wrote: { code: 25, fields: { wire: "count", check: "count" } },
  // The tip has moved; `digest` is that of the trace up to here.
  tip: { code: 26, fields: { height: "count", root: "bytes", digest: "text" } },
  // A call is answered: "ok", or why not.
  answered: { code: 27, fields: { call: "count", as: "text" } },
  // A message is handled, by its number. `session` 0: by an actor that there is one of. See below for its bytes.
  message: { code: 28, fields: { name: "count", session: "count" } }
} as const satisfies Readonly<
  Record<string, { readonly code: number; readonly fields: Readonly<Record<string, Form>> }>
>

export type Kind = keyof typeof shapes
type ValueOf<F> = F extends "count" ? number : F extends "text" ? string : Uint8Array
export type Fields<K extends Kind> = {
  readonly [N in keyof (typeof shapes)[K]["fields"]]: ValueOf<(typeof shapes)[K]["fields"][N]>
}
/** `at`: tasks that had begun by then. */
export type Entry = { readonly [K in Kind]: { readonly kind: K; readonly at: number } & Fields<K> }[Kind]
export type EntryOf<K extends Kind> = Extract<Entry, { readonly kind: K }>
const inputKinds = [
  "time",
  "wall",
  "wire",
  "data",
  "drained",
  "closed",
  "dialled",
  "report",
  "ended",
  "call",
  "cancel",
  "stop",
  "fetched",
  "shown"
] as const
type InputKind = (typeof inputKinds)[number]
/** An input, before its place is known. */
export type Input = { readonly [K in InputKind]: { readonly kind: K } & Fields<K> }[InputKind]
const inputs: ReadonlySet<string> = new Set(inputKinds)
export const isInput = (entry: Entry): entry is Extract<Entry, { readonly kind: InputKind }> => inputs.has(entry.kind)

/** The most frequent entry is short: one byte for a message of a single actor, one and the session's number else. */
const plainMessages = 64
const sessionMessages = 160
/** Numbers of messages, each of both sorts. */
export const namesMax = 96

const fieldsOf = Object.fromEntries(
  Object.entries(shapes).map(([kind, { fields }]) => [kind, Object.entries(fields)])
) as unknown as Readonly<Record<Kind, ReadonlyArray<readonly [name: string, form: Form]>>>
const kindOf = new Map(Object.entries(shapes).map(([kind, { code }]) => [code as number, kind as Kind]))

/** The fields of an entry, in order. */
export const valuesOf = (entry: {
  readonly kind: Kind
}): ReadonlyArray<readonly [name: string, value: number | string | Uint8Array]> =>
  fieldsOf[entry.kind].map(([name]) => [name, (entry as never)[name]] as const)

/** An entry in words, without its place. */
export const describe = (entry: { readonly kind: Kind }): string =>
  [
    entry.kind,
    ...valuesOf(entry).map(([name, value]) => `${name} ${value instanceof Uint8Array ? brief(value) : String(value)}`)
  ].join(" ")

const brief = (bytes: Uint8Array): string =>
  bytes.length <= 32 ? toHex(bytes) : `${bytes.length} bytes ${toHex(bytes.subarray(0, 16))}…`

/** Entries as bytes, in a buffer that grows. */
export class EntryWriter {
  length = 0
  private bytes = new Uint8Array(64 * 1024)
  private at = 0

  /** What was put since the last `clear`. */
  get view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
  }

  put(entry: Entry): void {
    if (entry.kind === "message") return this.message(entry)
    this.begin(shapes[entry.kind].code, entry.at)
    for (const [name, form] of fieldsOf[entry.kind]) {
      const value = (entry as never)[name] as number | string | Uint8Array
      if (form === "count") this.count(value as number)
      else this.blob(typeof value === "string" ? utf8(value) : (value as Uint8Array))
    }
  }

  private message({ at, name, session }: EntryOf<"message">): void {
    assert(name < namesMax, "a message has one of few names")
    this.begin((session === 0 ? plainMessages : sessionMessages) + name, at)
    if (session !== 0) this.count(session)
  }

  private begin(code: number, at: number): void {
    this.room(32)
    this.bytes[this.length++] = code
    this.count(at - this.at)
    this.at = at
  }

  private count(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a count is a whole number")
    this.room(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.bytes[this.length++] = (rest % 0x80) | 0x80
    this.bytes[this.length++] = rest
  }

  private blob(blob: Uint8Array): void {
    this.count(blob.length)
    this.room(blob.length)
    this.bytes.set(blob, this.length)
    this.length += blob.length
  }

  private room(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more))
    grown.set(this.view)
    this.bytes = grown
  }
}

/** Takes entries out of bytes that anyone may have written. Never throws, and holds nothing that the bytes do not hold. */
export class EntryReader {
  /** Why no more can be read, if that is not because the bytes have ended well. */
  wrong: string | undefined
  private bytes = new Uint8Array(0)
  private offset = 0
  private at = 0

  /** Goes on with other bytes; entries never lie over the edge of two. */
  push(bytes: Uint8Array): void {
    this.bytes = bytes as Uint8Array<ArrayBuffer>
    this.offset = 0
  }

  /** The next entry; undefined at the end of the bytes, or if something is wrong. */
  next(): Entry | undefined {
    if (this.wrong !== undefined || this.offset === this.bytes.length) return undefined
    const code = this.bytes[this.offset++]!
    this.at += this.count()
    if (!Number.isSafeInteger(this.at)) this.wrong = "more tasks than there can be"
    const entry = code >= plainMessages ? this.message(code) : this.fields(code)
    return this.wrong === undefined ? entry : undefined
  }

  private message(code: number): Entry {
    const ofSession = code >= sessionMessages
    const name = code - (ofSession ? sessionMessages : plainMessages)
    const session = ofSession ? this.count() : 0
    if (ofSession && session === 0) this.wrong = "a session without a number"
    return { kind: "message", at: this.at, name, session }
  }

  private fields(code: number): Entry | undefined {
    const kind = kindOf.get(code)
    if (kind === undefined || kind === "message") {
      this.wrong = `no entry begins with ${code}`
      return undefined
    }
    const entry: Record<string, unknown> = { kind, at: this.at }
    for (const [name, form] of fieldsOf[kind]) {
      const value = form === "count" ? this.count() : form === "bytes" ? this.blob() : fromUtf8(this.blob())
      if (value === undefined) this.wrong ??= `${kind}: ${name} is not UTF-8`
      entry[name] = value
    }
    return entry as unknown as Entry
  }

  private count(): number {
    let value = 0
    for (let scale = 1; scale <= 0x80 ** 7; scale *= 0x80) {
      const byte = this.bytes[this.offset++]
      if (byte === undefined) break
      value += (byte & 0x7f) * scale
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value
    }
    this.wrong ??= "a number that does not end"
    return 0
  }

  /** A copy: what it came in is used again. */
  private blob(): Uint8Array {
    const length = this.count()
    const blob = this.bytes.slice(this.offset, this.offset + length)
    this.offset += length
    if (blob.length < length) this.wrong ??= "a field longer than what is there"
    return blob
  }
}
