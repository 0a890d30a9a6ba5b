/**
 * A signer in another process, over a socket: one question at a time, each with an end in sight; a connection that fails is
 * made anew, later each time. While it is away nothing is asked, and slots pass.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { equal } from "../codec/bytes.ts"
import { sealHash } from "../block/seal.ts"
import { addressOf, type Address } from "../crypto/address.ts"
import { verify } from "../crypto/signature.ts"
import { signerAnswerMsMax, signerRetryMs, signerRetryMsMax } from "../limits.ts"
import type { Unsigned } from "./protection.ts"
import type { Answered, Seal, Signer } from "./signer.ts"
import { formatQuestion, type Greeting, parseAnswer, parseGreeting } from "./signing-lines.ts"

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

interface Asked {
  readonly id: number
  readonly hash: Uint8Array
  readonly answered: Answered
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
      seal: ({ header }, answered) => this.ask(header, answered),
      vote: (_, answered) => answered(Result.fail({ code: "signer-refused", message: "the signer gives seals only" })),
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

  private ask(header: { readonly bytes: Uint8Array; readonly hash: Uint8Array }, answered: Answered): void {
    const { link, away } = this
    if (away !== undefined || link === undefined) return answered(Result.fail(this.awayFor(away ?? "not connected")))
    if (this.asked !== undefined) return answered(Result.fail(this.awayFor("it has not answered the last question")))
    const id = ++this.lastId
    const lapse = this.ports.after(signerAnswerMsMax, () => this.lost("it did not answer in time"))
    this.asked = { id, hash: header.hash, answered, lapse }
    if (!link.write(formatQuestion({ kind: "seal", id, bytes: header.bytes }))) this.lost("it does not read")
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
    this.asked = undefined
    asked.lapse()
    asked.answered("refused" in answer ? Result.fail(answer.refused) : this.checked(answer.signature, asked.hash))
    return undefined
  }

  private checked(signature: Uint8Array, hash: Uint8Array): Result.Result<Seal, Unsigned> {
    assert(this.greeting !== undefined, "who answers has greeted")
    const { publicKey } = this.greeting
    return verify(sealHash(hash as never), signature, publicKey)
      ? Result.succeed({ publicKey, signature })
      : Result.fail({ code: "signer-refused", message: "what the signer gave is no signature of the header" })
  }

  /** The connection is over, or never was: another is made after a while. */
  private lost(reason: string): void {
    this.drop(reason)
    const wait = Math.min(signerRetryMsMax, signerRetryMs * 2 ** Math.min(this.failures++, 16))
    this.deadline = this.ports.after(wait, () => this.start())
  }

  private drop(reason: string): void {
    const { link, asked } = this
    this.turn++
    this.deadline?.()
    this.link = undefined
    this.greeting = undefined
    this.asked = undefined
    this.away = reason
    asked?.lapse()
    asked?.answered(Result.fail(this.awayFor(reason)))
    link?.end()
  }
}
