/**
 * A signer in another process, over a socket: one question at a time, each with an end in sight. A new tip can ask for a seal
 * and a vote at one moment: one of each may be there, and the later one waits. A connection that fails is made anew, later
 * each time. While it is away nothing is asked, and slots pass.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { equal } from "../codec/bytes.ts"
import { sealHash } from "../block/seal.ts"
import { voteHash } from "../consensus/checkpoint.ts"
import { addressOf, type Address } from "../crypto/address.ts"
import { verify } from "../crypto/signature.ts"
import { signerAnswerMsMax, signerRetryMs, signerRetryMsMax } from "../limits.ts"
import type { Unsigned } from "./protection.ts"
import type { Answered, Seal, Signer } from "./signer.ts"
import { encodeVoteAsk, formatQuestion, type Greeting, parseAnswer, parseGreeting } from "./signing-lines.ts"

/** A connection. `write` false: it is over. */
export interface LineLink {
  readonly write: (line: string) => boolean
  readonly end: () => void
}

export interface LineHandlers {
  readonly opened: (link: LineLink) => void
  readonly line: (text: string) => void
  /** Once, whether or not it was opened. */
  readonly closed: (reason: string) => void
}

export interface RemotePorts {
  readonly dial: (handlers: LineHandlers) => void
  /** Calls later, unless what it gives is called first. */
  readonly after: (ms: number, call: () => void) => () => void
}

/** Whom we expect behind the socket. The address is that of the first greeting. */
export interface Expected {
  readonly chainId: string
  readonly genesis: string
}

/** A question to be put. */
interface Wanted {
  readonly kind: "seal" | "vote"
  readonly bytes: Uint8Array
  /** What the signature has to be of. */
  readonly hash: Uint8Array
  readonly answered: Answered
}

interface Asked extends Wanted {
  readonly id: number
  readonly lapse: () => void
}

/** The asker's end. */
export class RemoteSigner {
  private readonly ports: RemotePorts
  private readonly expected: Expected
  private link: LineLink | undefined
  private greeting: Greeting | undefined
  private address: Address | undefined
  private asked: Asked | undefined
  /** Of the other kind than what is asked. */
  private waiting: Wanted | undefined
  private lastId = 0
  private failures = 0
  /** Counts connections: what an earlier one still says is not heard. */
  private turn = 0
  private deadline: (() => void) | undefined
  /** Why it is away; undefined: it is here. */
  private away: string | undefined = "not connected yet"

  constructor(ports: RemotePorts, expected: Expected) {
    this.ports = ports
    this.expected = expected
  }

  /** Why it is away, in words. */
  get reason(): string | undefined {
    return this.away
  }

  /** The signer, once it has greeted. */
  signer(): Signer | undefined {
    const { address } = this
    if (address === undefined) return undefined
    return {
      address,
      seal: ({ header }, answered) =>
        this.want({ kind: "seal", bytes: header.bytes, hash: sealHash(header.hash), answered }),
      vote: ({ genesis, source, target }, answered) => {
        const link = { source, target }
        this.want({ kind: "vote", bytes: encodeVoteAsk(link), hash: voteHash(genesis, link), answered })
      },
      idle: () => (this.away === undefined ? undefined : this.awayFor(this.away))
    }
  }

  /** Connects, and from then on keeps a connection. */
  start(): void {
    const turn = ++this.turn
    const isOurs = (): boolean => turn === this.turn
    this.deadline = this.ports.after(signerAnswerMsMax, () => this.lost("it did not greet in time"))
    this.ports.dial({
      opened: (link) => {
        if (isOurs()) this.link = link
        else link.end()
      },
      line: (text) => {
        if (isOurs()) this.hear(text)
      },
      closed: (reason) => {
        if (isOurs()) this.lost(reason)
      }
    })
  }

  stop(): void {
    this.drop("the node stops")
  }

  private awayFor(message: string): Unsigned {
    return { code: "signer-away", message: `the signer is away: ${message}` }
  }

  private want(wanted: Wanted): void {
    const { away, asked, waiting } = this
    const refuse = (message: string): void => wanted.answered(Result.fail(this.awayFor(message)))
    if (away !== undefined) return refuse(away)
    if (asked === undefined) return this.ask(wanted)
    if (asked.kind === wanted.kind || waiting !== undefined) return refuse("it has not answered the last question")
    this.waiting = wanted
  }

  private ask(wanted: Wanted): void {
    assert(this.link !== undefined, "who has greeted has a link")
    const id = ++this.lastId
    const lapse = this.ports.after(signerAnswerMsMax, () => this.lost("it did not answer in time"))
    this.asked = { ...wanted, id, lapse }
    if (!this.link.write(formatQuestion({ kind: wanted.kind, id, bytes: wanted.bytes }))) this.lost("it does not read")
  }

  private hear(text: string): void {
    const wrong = this.greeting === undefined ? this.greeted(text) : this.answer(text)
    if (wrong !== undefined) this.lost(wrong)
  }

  private greeted(text: string): string | undefined {
    const greeting = parseGreeting(text)
    if (greeting === undefined) return `it does not greet as a signer: ${text.slice(0, 100)}`
    const { chainId, genesis, publicKey } = greeting
    if (chainId !== this.expected.chainId || genesis !== this.expected.genesis)
      return `it signs for the chain ${chainId} with genesis ${genesis}`
    const address = addressOf(publicKey)
    if (this.address !== undefined && !equal(this.address, address)) return "it has another key than before"
    this.deadline?.()
    this.deadline = undefined
    this.address = address
    this.greeting = greeting
    this.failures = 0
    this.away = undefined
    return undefined
  }

  private answer(text: string): string | undefined {
    const answer = parseAnswer(text)
    const { asked } = this
    if (answer === undefined || asked === undefined || answer.id !== asked.id)
      return `it says what nobody asked: ${text.slice(0, 100)}`
    const { waiting } = this
    const outcome = "refused" in answer ? Result.fail(answer.refused) : this.checked(answer.signature, asked)
    asked.lapse()
    this.asked = undefined
    this.waiting = undefined
    // First who waits: who hears the answer may ask again at once.
    if (waiting !== undefined) this.ask(waiting)
    asked.answered(outcome)
    return undefined
  }

  private checked(signature: Uint8Array, { kind, hash }: Asked): Result.Result<Seal, Unsigned> {
    assert(this.greeting !== undefined, "who answers has greeted")
    const { publicKey } = this.greeting
    return verify(hash, signature, publicKey)
      ? Result.succeed({ publicKey, signature })
      : Result.fail({ code: "signer-refused", message: `what the signer gave is no signature of the ${kind}` })
  }

  /** The connection is over, or never was: another is made after a while. */
  private lost(reason: string): void {
    this.drop(reason)
    const wait = Math.min(signerRetryMsMax, signerRetryMs * 2 ** Math.min(this.failures++, 16))
    this.deadline = this.ports.after(wait, () => this.start())
  }

  private drop(reason: string): void {
    const { link, asked, waiting } = this
    this.turn++
    this.deadline?.()
    this.link = undefined
    this.greeting = undefined
    this.asked = undefined
    this.waiting = undefined
    this.away = reason
    asked?.lapse()
    for (const wanted of [asked, waiting]) wanted?.answered(Result.fail(this.awayFor(reason)))
    link?.end()
  }
}
