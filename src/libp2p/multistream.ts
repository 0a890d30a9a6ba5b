/**
 * multistream-select 1.0: how two ends agree on a protocol (libp2p specs, connections, "multistream-select"). Lines of text, each
 * with its length before it and a line feed at its end. Both say the header at once; the dialler proposes, the listener says the
 * same line back, or "na".
 *
 * The dialler's first proposal goes out with the header. Who has one proposal only may write the first bytes of that protocol right
 * behind it (the lazy form): a refusal then is the end. What comes behind the choice is handed over untouched.
 */
import { fromUtf8, utf8 } from "../codec/bytes.ts"
import { multistreamLineBytesMax, multistreamProposalsMax } from "../limits.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { FrameReader, frameOf } from "./frame.ts"

export const multistreamProtocol = "/multistream/1.0.0"
const notAvailable = "na"

export type SelectStep =
  /** Not yet. `send`, if there, goes out now. */
  | { readonly _tag: "More"; readonly send: Uint8Array | undefined }
  /** Send `send`; all else belongs to the protocol, first of it `rest`. */
  | {
      readonly _tag: "Selected"
      readonly send: Uint8Array | undefined
      readonly protocol: string
      readonly rest: Uint8Array
    }
  /** Send `send`, then there is no protocol. */
  | { readonly _tag: "Failed"; readonly send: Uint8Array | undefined; readonly fault: Libp2pFault }

/** One negotiation. It keeps no time: its owner does. Not called again once it has selected or failed. */
export interface Select {
  /** What we say first. */
  readonly start: () => Uint8Array
  /** Bytes in any pieces. */
  readonly receive: (bytes: Uint8Array) => SelectStep
}

/** A line as it goes over the wire. */
export const selectLine = (text: string): Uint8Array => frameOf(utf8(`${text}\n`))

const header = selectLine(multistreamProtocol)
const refusal = selectLine(notAvailable)

const join = (a: Uint8Array | undefined, b: Uint8Array): Uint8Array => {
  if (a === undefined) return b
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

const broken = (what: string): Libp2pFault => cheapFault("protocol", "ProtocolError", `multistream-select: ${what}`)

/** The text of a line, without its line feed. */
const textOf = (line: Uint8Array): string | Libp2pFault => {
  if (line.at(-1) !== 0x0a) return broken("a line does not end with a line feed")
  return fromUtf8(line.subarray(0, -1)) ?? broken("a line is not UTF-8")
}

/** What an end makes of a line behind the header; undefined: the next one, please. */
type OnLine = (text: string, end: Lines) => SelectStep | undefined

/** Cuts the lines, checks the header, gathers what is to be said. */
class Lines {
  readonly reader = new FrameReader(multistreamLineBytesMax)
  send: Uint8Array | undefined
  private greeted = false
  private readonly onLine: OnLine

  constructor(onLine: OnLine) {
    this.onLine = onLine
  }

  say(line: Uint8Array): void {
    this.send = join(this.send, line)
  }

  receive(bytes: Uint8Array): SelectStep {
    this.send = undefined
    this.reader.push(bytes)
    for (;;) {
      const line = this.reader.next()
      if (line === undefined) return { _tag: "More", send: this.send }
      const text = line instanceof Libp2pFault ? line : textOf(line)
      if (text instanceof Libp2pFault) return this.failed(text)
      const step = this.greeted ? this.onLine(text, this) : this.greeting(text)
      if (step !== undefined) return step
    }
  }

  selected(protocol: string): SelectStep {
    return { _tag: "Selected", send: this.send, protocol, rest: this.reader.rest() }
  }

  failed(fault: Libp2pFault): SelectStep {
    return { _tag: "Failed", send: this.send, fault }
  }

  private greeting(text: string): SelectStep | undefined {
    if (text !== multistreamProtocol) return this.failed(broken("the other side does not begin with the header"))
    this.greeted = true
    return undefined
  }
}

const refused = (protocols: ReadonlyArray<string>): Libp2pFault =>
  cheapFault("unsupported", "UnsupportedProtocolError", `the other side speaks none of ${protocols.join(", ")}`)

/** The end that proposes, in the order given: at least one protocol. */
export const dialSelect = (protocols: ReadonlyArray<string>): Select => {
  let next = 0
  const lines = new Lines((text, end) => {
    const proposed = protocols[next]!
    if (text === proposed) return end.selected(proposed)
    if (text !== notAvailable) return end.failed(broken("the answer is neither the proposal nor na"))
    next++
    const following = protocols[next]
    if (following === undefined) return end.failed(refused(protocols))
    end.say(selectLine(following))
    return undefined
  })
  return {
    start: () => join(header, selectLine(protocols[0]!)),
    receive: (bytes) => lines.receive(bytes)
  }
}

/** The end that answers. `ls`, which some old ends send, is a protocol that nobody speaks. */
export const listenSelect = (speaks: (protocol: string) => boolean): Select => {
  let refusals = 0
  const lines = new Lines((text, end) => {
    if (speaks(text)) {
      end.say(selectLine(text))
      return end.selected(text)
    }
    end.say(refusal)
    refusals++
    if (refusals < multistreamProposalsMax) return undefined
    const message = `the other side proposed ${refusals} protocols that are not spoken here`
    return end.failed(cheapFault("unsupported", "UnsupportedProtocolError", message))
  })
  return { start: () => header, receive: (bytes) => lines.receive(bytes) }
}

/** Can this text be a protocol id? Longer ones fit no line. */
export const isProtocolId = (text: string): boolean =>
  text !== "" && text !== notAvailable && !text.includes("\n") && utf8(text).length < multistreamLineBytesMax
