/** Both ends of the signing socket over a wire and a clock in the hand of the test. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { makeHeader } from "../block/header.ts"
import { sealHash } from "../block/seal.ts"
import { sign } from "../crypto/signature.ts"
import { signerAnswerMsMax, signerRetryMs, signerRetryMsMax } from "../limits.ts"
import { firstAuthority, keyOf, leaderAt, specOf, TestChain } from "../../test/fixtures.ts"
import { nothingSigned } from "./protection.ts"
import { type LineHandlers, RemoteSigner } from "./remote.ts"
import { answerTo, type Holder } from "./serve.ts"
import { encodeVoteAsk, formatAnswer, formatGreeting, formatQuestion, parseAnswer } from "./signing-lines.ts"

const chain = new TestChain(specOf({ authorities: 3 }))
const expected = { chainId: "test", genesis: chain.rules.genesis.header.id }
/** The authority who leads the first slot, and what it would propose there, not sealed. */
const first = leaderAt(chain, chain.now + 1_000)
const block = chain.next()
const open = makeHeader({
  ...block.header,
  authority: { ...block.header.authority!, publicKey: new Uint8Array(33), signature: new Uint8Array(64) }
})

const holderOf = (key = first, now = chain.now): Holder & { readonly saved: () => number } => {
  let signed = nothingSigned
  const book = { load: () => signed, save: (next: typeof signed) => void (signed = next) }
  return { rules: chain.rules, key: keyOf(key), book, now: () => now, saved: () => signed.slot }
}
const ask = (holder: Holder, header: { readonly bytes: Uint8Array }, kind = "seal"): string => {
  const answer = parseAnswer(answerTo(holder, formatQuestion({ kind, id: 1, bytes: header.bytes }))!)!
  return "signature" in answer ? "signed" : answer.refused.code
}

describe("who signs", () => {
  test("signs a slot once, whatever the second header says of itself", () => {
    const holder = holderOf()
    expect([ask(holder, open), holder.saved(), ask(holder, open)]).toEqual(["signed", 1, "slot-signed"])
    expect(ask(holder, makeHeader({ ...open, nonce: 9 }))).toBe("slot-signed")
  })

  test.each([
    ["another chain", "header-foreign", () => makeHeader({ ...open, chainTag: 7 })],
    [
      "another authority",
      "header-foreign",
      () =>
        makeHeader({ ...open, proposer: keyOf(first === firstAuthority ? firstAuthority + 1 : firstAuthority).address })
    ],
    ["another genesis", "header-foreign", () => makeHeader({ ...open, previous: new Uint8Array(32) as never })],
    ["a genesis", "header-foreign", () => makeHeader({ ...open, height: 0 as never })],
    [
      "before the genesis",
      "header-foreign",
      () => makeHeader({ ...open, time: (chain.rules.spec.genesis.time - 1) as never })
    ],
    ["no work", "header-foreign", () => makeHeader({ ...open, target: new Uint8Array(32) as never })],
    ["the future", "slot-ahead", () => makeHeader({ ...open, time: (open.time + 501) as never })],
    ["nothing", "header-malformed", () => ({ bytes: new Uint8Array(1) })],
    ["version 1", "header-malformed", () => makeHeader({ ...new TestChain(specOf()).next().header })],
    ["half a header", "header-malformed", () => ({ bytes: open.bytes.subarray(0, 300) })]
  ] as const)("refuses a header of %s: %s, and notes nothing", (_, code, header) => {
    const holder = holderOf()
    expect([ask(holder, header()), holder.saved()]).toEqual([code, -1])
  })

  test("refuses another kind by name, ends at what is no question, and signs nothing if it cannot be noted", () => {
    const holder = holderOf()
    expect(ask(holder, open, "vote")).toBe("kind-unknown")
    expect(answerTo(holder, "GET / HTTP/1.1")).toBeUndefined()
    const save = (): never => {
      throw new Error("no room")
    }
    expect(ask({ ...holder, book: { ...holder.book, save } }, open)).toBe("book-unsaved")
  })
})

/** A chain whose authorities vote, and a checkpoint of it. */
const voting = new TestChain(specOf({ authorities: 3, authority: { finality: { checkpointBlocks: 2 } } }))
voting.mine(2)
const target = voting.store.tip().header
const votingHolder = (): Holder => ({ ...holderOf(first, voting.now), rules: voting.rules })

/** A wire and a clock: dials wait until the test opens or fails them. */
const makeWorld = () => {
  let now = 0
  const timers: Array<{ at: number; call: () => void }> = []
  const dials: Array<LineHandlers & { readonly written: Array<string>; ended: boolean }> = []
  const remote = new RemoteSigner(
    {
      dial: (handlers) => void dials.push({ ...handlers, written: [], ended: false }),
      after: (ms, call) => {
        const timer = { at: now + ms, call }
        timers.push(timer)
        return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1))
      }
    },
    expected
  )
  const pass = (ms: number): void => {
    const end = now + ms
    for (;;) {
      const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      now = next.at
      timers.splice(timers.indexOf(next), 1)
      next.call()
    }
    now = end
  }
  const last = () => dials.at(-1)!
  const openLast = (): void => {
    const dialled = last()
    dialled.opened({
      write: (line) => dialled.written.push(line) > 0,
      end: () => void (dialled.ended = true)
    })
  }
  const greet = (key = first, wish = expected): void =>
    last().line(formatGreeting({ ...wish, publicKey: keyOf(key).publicKey }))
  const seal = (): { readonly code: () => string } => {
    let code = "unanswered"
    remote.signer()!.seal({ slot: 1, header: open }, (answer) => {
      code = Result.isSuccess(answer) ? "sealed" : answer.failure.code
    })
    return { code: () => code }
  }
  const vote = (): { readonly code: () => string } => {
    let code = "unanswered"
    const genesis = voting.rules.genesis.header
    remote.signer()!.vote({ genesis: genesis.hash, source: genesis, target, slot: 1 }, (answer) => {
      code = Result.isSuccess(answer) ? "voted" : answer.failure.code
    })
    return { code: () => code }
  }
  return { remote, dials, last, openLast, greet, pass, seal, vote, timers }
}

describe("who asks", () => {
  const begin = () => {
    const world = makeWorld()
    world.remote.start()
    world.openLast()
    world.greet()
    return world
  }

  test("knows the address by the greeting, asks, and takes a signature that is one", () => {
    const { remote, last, seal, timers } = begin()
    expect([remote.reason, remote.signer()!.address]).toEqual([undefined, keyOf(first).address])
    const asked = seal()
    expect(asked.code()).toBe("unanswered")
    last().line(answerTo(holderOf(), last().written[0]!)!)
    expect([asked.code(), timers.length]).toEqual(["sealed", 0])
    const refused = seal()
    last().line("refused 2 slot-signed slot 1 is signed")
    expect(refused.code()).toBe("slot-signed")
    const lied = seal()
    last().line(`signed 3 ${"11".repeat(64)}`)
    expect(lied.code()).toBe("signer-refused")
  })

  test("asks one question at a time", () => {
    const { seal, last } = begin()
    seal()
    expect([seal().code(), last().written.length]).toEqual(["signer-away", 1])
  })

  test("asks for a vote, and takes a signature that is one of this vote", () => {
    const { vote, last } = begin()
    const asked = vote()
    const bytes = encodeVoteAsk({ source: voting.rules.genesis.header, target })
    expect(last().written).toEqual([formatQuestion({ kind: "vote", id: 1, bytes })])
    last().line(answerTo(votingHolder(), last().written[0]!)!)
    expect(asked.code()).toBe("voted")
    const other = vote()
    const seal = sign(sealHash(target.hash), keyOf(first).secret)
    last().line(formatAnswer({ id: 2, signature: seal }))
    expect(other.code()).toBe("signer-refused")
  })

  test("a seal and a vote at one moment: the later one waits for its turn, and neither takes the other's answer", () => {
    for (const isVoteFirst of [true, false]) {
      const { seal, vote, last, pass, timers } = begin()
      const [one, two] = isVoteFirst ? [vote(), seal()] : [seal(), vote()]
      const holders = isVoteFirst ? [votingHolder(), holderOf()] : [holderOf(), votingHolder()]
      expect([last().written.length, seal().code(), vote().code()]).toEqual([1, "signer-away", "signer-away"])
      pass(signerAnswerMsMax - 1)
      last().line(answerTo(holders[0]!, last().written[0]!)!)
      expect([one.code(), two.code(), last().written.length]).toEqual([
        isVoteFirst ? "voted" : "sealed",
        "unanswered",
        2
      ])
      // The time to answer begins when it is asked.
      pass(signerAnswerMsMax - 1)
      last().line(answerTo(holders[1]!, last().written[1]!)!)
      expect([two.code(), timers.length]).toEqual([isVoteFirst ? "sealed" : "voted", 0])
    }
  })

  test("who asks again when it hears the answer comes after who waited", () => {
    const { remote, vote, last } = begin()
    const codes: Array<string> = []
    const again = (): void =>
      remote.signer()!.seal({ slot: 1, header: open }, (answer) => {
        if (Result.isFailure(answer)) codes.push(answer.failure.code)
        if (codes.length < 2) again()
      })
    again()
    const waited = vote()
    last().line("refused 1 slot-signed no")
    expect(last().written.map((line) => line.slice(0, 6))).toEqual(["seal 1", "vote 2"])
    last().line("refused 2 vote-signed no")
    expect([waited.code(), last().written.at(-1)!.slice(0, 6)]).toEqual(["vote-signed", "seal 3"])
  })

  test("who waits hears too that the signer does not answer, and nothing of it is asked of the next connection", () => {
    const { seal, vote, pass, openLast, greet, last } = begin()
    const [one, two] = [seal(), vote()]
    pass(signerAnswerMsMax)
    expect([one.code(), two.code()]).toEqual(["signer-away", "signer-away"])
    pass(signerRetryMs)
    openLast()
    greet()
    const next = seal()
    expect([last().written.length, next.code()]).toEqual([1, "unanswered"])
    last().line(answerTo(holderOf(), last().written[0]!)!)
    expect([next.code(), last().written.length]).toEqual(["sealed", 1])
  })

  test("gives up on who does not answer in time, dials again, and hears nothing of the old connection any more", () => {
    const { seal, pass, last, dials, openLast, greet, remote } = begin()
    const asked = seal()
    pass(signerAnswerMsMax)
    expect([asked.code(), last().ended, dials.length]).toEqual(["signer-away", true, 1])
    expect(remote.reason).toBe("it did not answer in time")
    pass(signerRetryMs)
    expect(dials.length).toBe(2)
    openLast()
    greet()
    const again = seal()
    dials[0]!.line(answerTo(holderOf(), last().written[0]!)!)
    dials[0]!.closed("late")
    expect(again.code()).toBe("unanswered")
    last().line(answerTo(holderOf(), last().written[0]!)!)
    expect([again.code(), remote.reason]).toStrictEqual(["sealed", undefined])
  })

  test("waits longer each time nobody is there, up to a bound, and is idle meanwhile", () => {
    const { remote, pass, last, dials } = makeWorld()
    remote.start()
    for (let i = 0; i < 20; i++) {
      last().closed("refused")
      const wait = Math.min(signerRetryMsMax, signerRetryMs * 2 ** i)
      pass(wait - 1)
      expect(dials.length).toBe(i + 1)
      pass(1)
    }
    expect([dials.length, remote.reason, remote.signer()]).toStrictEqual([21, "refused", undefined])
    const away = begin()
    away.last().closed("gone")
    expect(away.remote.signer()!.idle!(1)).toMatchObject({ code: "signer-away" })
    expect(away.seal().code()).toBe("signer-away")
    away.pass(signerRetryMs - 1)
    expect(away.dials.length).toBe(1)
  })

  test.each([
    ["nothing", (world: ReturnType<typeof makeWorld>) => world.pass(signerAnswerMsMax)],
    ["something else", (world) => world.last().line("HTTP/1.1 400 Bad Request")],
    ["another chain", (world) => world.greet(first, { ...expected, chainId: "other" })],
    ["another genesis", (world) => world.greet(first, { ...expected, genesis: "00".repeat(32) })]
  ] as ReadonlyArray<readonly [string, (world: ReturnType<typeof makeWorld>) => void]>)(
    "leaves one who greets with %s",
    (_, say) => {
      const world = makeWorld()
      world.remote.start()
      world.openLast()
      say(world)
      expect([world.remote.signer(), world.last().ended, world.remote.reason !== undefined]).toEqual([
        undefined,
        true,
        true
      ])
    }
  )

  test("leaves one who has another key than before, and one who says what nobody asked", () => {
    const world = begin()
    world.last().line("signed 1 00")
    expect(world.last().ended).toBe(true)
    world.pass(signerRetryMs)
    world.openLast()
    world.greet(first + 50)
    expect([world.last().ended, world.remote.reason]).toEqual([true, "it has another key than before"])
  })

  test("stops: nothing is dialled any more, and who waits hears so", () => {
    const { remote, seal, pass, dials, last } = begin()
    const asked = seal()
    remote.stop()
    pass(100_000)
    expect([asked.code(), last().ended, dials.length]).toEqual(["signer-away", true, 1])
  })
})
