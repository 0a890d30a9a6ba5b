/** Ends of real links for tests: what was told of them, and waiting until it was. */
import { concatAll } from "../src/codec/bytes.ts"
import type { Link, LinkEnd, LinkHandlers, Listening } from "../src/host/world.ts"
import { makeBunWorld } from "../src/io/link.ts"
import { Libp2pFault } from "../src/libp2p/fault.ts"

export const world = makeBunWorld()
/** Ended by whoever ends the tests of a file. */
const listening: Array<Listening> = []
export const closeAll = (): void => {
  for (const { close } of listening.splice(0)) close()
}
/** Something else that ends with the tests. */
export const closing = (close: () => void): void => void listening.push({ at: { host: "", port: 0 }, close })

type Session = Parameters<LinkHandlers["secured"]>[0]

/** One end, and everything that was told of it. */
export class Ear {
  readonly heard: Array<Uint8Array> = []
  readonly sessions: Array<Session> = []
  readonly reasons: Array<string> = []
  drains = 0
  bytes = 0
  link!: Link
  onData: (bytes: Uint8Array) => void = () => {}
  private readonly waiting = new Set<() => void>()

  take(link: Link): LinkHandlers {
    this.link = link
    const tell = (): void => {
      for (const check of this.waiting) check()
    }
    queueMicrotask(tell)
    return {
      data: (bytes) => {
        this.heard.push(bytes)
        this.bytes += bytes.length
        this.onData(bytes)
        tell()
      },
      drained: () => {
        this.drains++
        tell()
      },
      secured: (session) => {
        this.sessions.push(session)
        tell()
      },
      closed: (reason) => {
        this.reasons.push(reason)
        tell()
      }
    }
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return
        this.waiting.delete(check)
        resolve()
      }
      this.waiting.add(check)
      check()
    })
  }

  get text(): string {
    return new TextDecoder().decode(concatAll(this.heard))
  }
}

export const listen = async (onLink: (link: Link) => LinkHandlers, at: LinkEnd = { host: "127.0.0.1", port: 0 }) => {
  const one = await world.listen(at, onLink)
  listening.push(one)
  return one
}

/** Two ends of a link on loopback. */
export const pair = async (): Promise<readonly [dialler: Ear, listener: Ear]> => {
  const [a, b] = [new Ear(), new Ear()]
  const { at } = await listen((link) => b.take(link))
  await world.dial({ ...at, timeoutMs: 5_000 }, (link) => a.take(link))
  await b.until(() => b.link !== undefined)
  return [a, b]
}

/** What a promise was rejected with. */
export const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  if (!(fault instanceof Libp2pFault)) throw new Error(`not a fault: ${fault}`)
  return fault
}
