/**
 * The authority matrix: every way in which a block can be wrong about who sealed it, when, and what that gives him, is refused
 * by its own code; by the rules alone, and by the chain's actor, which stays on its tip, condemns what is bad for ever and only
 * that, and takes the true block afterwards.
 */
import { describe, expect, test } from "bun:test"
import * as secp from "@noble/secp256k1"
import { Clock, Effect, Exit, Result } from "effect"
import { Actor } from "../../actors/actor.ts"
import { makeChain } from "../../actors/chain.ts"
import type { BlockVerdict, ChainMessage } from "../../actors/protocol.ts"
import {
  chainOf,
  claiming,
  convicting,
  emptyChain,
  evidence,
  leaders,
  other,
  outOfTurn,
  paying,
  rotaOf,
  sealedBy,
  secondSignature,
  twoOf,
  withSignature
} from "../../test/sealed.ts"
import { firstAuthority, forge, keyOf, leaderAt, type SpecWish, type TestChain } from "../../test/fixtures.ts"
import { within } from "../../test/sim/counter.ts"
import type { Block } from "../block/block.ts"
import { makeHeader } from "../block/header.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { runPlan } from "../chain/connect.ts"
import { ancestryOf, parentId } from "../chain/reader.ts"
import { type BlockReject, verdicts } from "../chain/reject.ts"
import { asHash, sha256 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import { highS } from "../sim/authority-acts.ts"
import { forSeeds } from "../sim/world.ts"
import { DiskRoom } from "../store/room.ts"
import { encodeEvidence, evidenceBytes } from "./evidence.ts"
import { slotOf, slotStart } from "./rota.ts"
import { sealHeader, withSeal } from "../block/seal.ts"

/** What a chain refuses a block for, asked of the rules one by one; undefined: nothing. */
const verdict = ({ rules, store, verified, now }: TestChain, block: Block): string | undefined => {
  const parent = store.find(parentId(block.header))!.header
  const refused =
    checkHeader(rules, block.header, { ancestry: ancestryOf(store, parent), now }) ?? checkBody(rules, block)
  if (refused !== undefined) return refused.code
  const { id } = block.header
  const row = { header: block.header, work: 0n, hasBody: true }
  const reader = {
    ...store,
    tip: store.tip,
    find: (wanted: string) => (wanted === id ? row : store.find(wanted)),
    block: (wanted: string) => (wanted === id ? block : store.block(wanted))
  }
  const outcome = runPlan({ forkPoint: store.tip(), detach: [], attach: [id] }, { rules, reader, verified })
  return Result.isFailure(outcome) ? outcome.failure.reject.code : undefined
}

/** The codes with which a chain's actor answers blocks that it is offered one after the other; undefined: taken. */
const offered = (chain: TestChain, blocks: ReadonlyArray<Block>): ReadonlyArray<string | undefined> => {
  const codes: Array<string | undefined> = []
  const { rules, store, verified } = chain
  forSeeds(1, () => {
    const actor = new Actor(makeChain({ rules, store, verified, disk: new DiskRoom(), moved: () => Effect.void }))
    const ask = (block: Block) =>
      actor.ask<BlockVerdict, BlockReject>(
        (reply): ChainMessage => ({ _tag: "OfferBlock", block, from: undefined, reply })
      )
    return within([actor], () =>
      Effect.gen(function* () {
        yield* Effect.sleep(Math.max(0, chain.now - (yield* Clock.currentTimeMillis)))
        for (const block of blocks) {
          const exit = yield* Effect.exit(ask(block))
          codes.push(Exit.isSuccess(exit) ? undefined : codeOf(exit))
        }
      })
    )
  })
  return codes
}

const codeOf = (exit: Exit.Failure<unknown, unknown>): string => {
  const [reason] = exit.cause.reasons
  return reason !== undefined && "error" in reason ? (reason.error as BlockReject).code : "died"
}

interface Row {
  readonly code: string
  readonly make: (chain: TestChain) => Block
  readonly wish?: SpecWish
}

const votes: SpecWish = { authority: { voteBlocks: 100 } }

/** How a block is wrong; every other thing about it is right. */
const matrix: Readonly<Record<string, Row>> = {
  "sealed by one who is no authority": {
    code: "signer-unknown",
    make: (chain) => sealedBy(leaders(chain), 50, { proposer: keyOf(50).address })
  },
  "not sealed": {
    code: "signature-wrong",
    make: (chain) => withSignature(leaders(chain), () => new Uint8Array(64), new Uint8Array(33))
  },
  "signed with nothing, under the right key": {
    code: "signature-wrong",
    make: (chain) => withSignature(leaders(chain), () => new Uint8Array(64))
  },
  "in the leader's name, sealed by the key of another authority": {
    code: "signature-wrong",
    make: (chain) => sealedBy(leaders(chain), other(chain))
  },
  "in the leader's name and under its key, signed by another authority": {
    code: "signature-wrong",
    make: (chain) => {
      const block = leaders(chain)
      const { signature } = sealedBy(block, other(chain)).header.authority!
      return withSignature(block, () => signature)
    }
  },
  "in the leader's name, sealed by the key of somebody": {
    code: "signature-wrong",
    make: (chain) => sealedBy(leaders(chain), 50)
  },
  "with the seal of another header": {
    code: "signature-wrong",
    make: (chain) => {
      const block = leaders(chain)
      const { signature } = forge(block, { time: (block.header.time + 1) as Millis }).header.authority!
      chain.now -= chain.rules.spec.difficulty.blockMs
      return withSignature(leaders(chain), () => signature)
    }
  },
  "with the high form of its signature": {
    code: "signature-wrong",
    make: (chain) => withSignature(leaders(chain), highS)
  },
  "with a signature that is cut off": {
    code: "signature-wrong",
    make: (chain) => withSignature(leaders(chain), (signature) => signature.map((byte, i) => (i < 63 ? byte : 0)))
  },
  "signed without a tag: its bare hash": {
    code: "signature-wrong",
    make: (chain) => {
      const block = leaders(chain)
      const { secret } = keyOf(leaderAt(chain, chain.now))
      return withSignature(block, () => secp.sign(block.header.hash, secret, { prehash: false }))
    }
  },
  "of weight 2 out of turn": { code: "turn-wrong", make: (chain) => claiming(outOfTurn(chain), { weight: 2 }) },
  "of weight 1 in turn": { code: "turn-wrong", make: (chain) => claiming(leaders(chain), { weight: 1 }) },
  "of weight 255": { code: "turn-wrong", make: (chain) => claiming(leaders(chain), { weight: 255 }) },
  "of weight 0": { code: "turn-wrong", make: (chain) => claiming(leaders(chain), { weight: 0 }) },
  "in the slot of its parent": {
    code: "time-too-early",
    make: (chain) => {
      const block = leaders(chain)
      return forge(block, { time: (block.header.time - 1) as Millis })
    }
  },
  "out of turn, a millisecond before its delay": {
    code: "turn-early",
    make: (chain) => {
      const block = outOfTurn(chain)
      return forge(block, { time: (block.header.time - 1) as Millis })
    }
  },
  "out of turn, at the beginning of the slot": {
    code: "turn-early",
    make: (chain) => {
      const block = outOfTurn(chain, 2)
      return forge(block, { time: slotStart(rotaOf(chain), slotOf(rotaOf(chain), block.header.time)) as Millis })
    }
  },
  "further ahead of our clock than clocks go wrong": {
    code: "time-too-far-ahead",
    make: (chain) => {
      const block = leaders(chain)
      chain.now = block.header.time - chain.rules.spec.time.futureMsMax - 1
      return block
    }
  },
  "that pays its proposer twice": { code: "state-root-wrong", make: (chain) => paying(chain, 2) },
  "that pays its proposer nothing": { code: "state-root-wrong", make: (chain) => paying(chain, 0) },
  "that mints with its coinbase": {
    code: "transaction-refused",
    wish: { model: "utxo" },
    make: (chain) => paying(chain, 2)
  },
  "with another state root": {
    code: "state-root-wrong",
    make: (chain) => forge(leaders(chain), { stateRoot: asHash(sha256(new Uint8Array(1))) })
  },
  "with another transaction root": {
    code: "transaction-root-wrong",
    make: (chain) => forge(leaders(chain), { transactionRoot: asHash(sha256(new Uint8Array(1))) })
  },
  "of version 1": {
    code: "version-unsupported",
    make: (chain) => {
      const block = leaders(chain)
      const { authority: _, ...rest } = block.header
      return { ...block, header: makeHeader({ ...rest, version: 1 }) }
    }
  },
  "of version 2, on a chain of work": {
    code: "version-unsupported",
    wish: { authorities: undefined as never },
    make: (chain) => {
      const { header } = chainOf().next()
      const block = chain.next()
      return sealedBy(block, firstAuthority, { version: 2, authority: header.authority! })
    }
  },
  "with a last vote that never was": { code: "vote-wrong", make: (chain) => claiming(leaders(chain), { lastVote: 2 }) },
  "that does not name the last vote": {
    code: "vote-wrong",
    wish: votes,
    make: (chain) => {
      chain.take(claiming(leaders(chain), { vote: "expel", subject: keyOf(other(chain)).address }))
      return claiming(leaders(chain), { lastVote: 0 })
    }
  },
  "with a vote where the list is fixed": {
    code: "vote-wrong",
    make: (chain) => claiming(leaders(chain), { vote: "admit", subject: keyOf(50).address })
  },
  "with a vote to admit an authority": {
    code: "vote-wrong",
    wish: votes,
    make: (chain) => claiming(leaders(chain), { vote: "admit", subject: keyOf(firstAuthority).address })
  },
  "with a vote to expel a stranger": {
    code: "vote-wrong",
    wish: votes,
    make: (chain) => claiming(leaders(chain), { vote: "expel", subject: keyOf(50).address })
  },
  "with a vote to expel the last authority": {
    code: "vote-wrong",
    wish: { ...votes, authorities: 1 },
    make: (chain) => claiming(leaders(chain), { vote: "expel", subject: keyOf(firstAuthority).address })
  },
  "with a subject and no vote": {
    code: "vote-wrong",
    wish: votes,
    make: (chain) => claiming(leaders(chain), { subject: keyOf(firstAuthority).address })
  },
  "with a vote to admit one who was convicted": {
    code: "vote-wrong",
    wish: votes,
    make: (chain) => {
      const guilty = other(chain)
      expect(chain.take(convicting(chain, guilty, evidence(chain, guilty)))).toBeUndefined()
      return claiming(leaders(chain), { vote: "admit", subject: keyOf(guilty).address })
    }
  },
  "that convicts without evidence": {
    code: "evidence-wrong",
    make: (chain) => convicting(chain, other(chain), new Uint8Array(0))
  },
  "that convicts with bytes that are none": {
    code: "evidence-wrong",
    make: (chain) => convicting(chain, other(chain), new Uint8Array(evidenceBytes).fill(3))
  },
  "that convicts with two headers of two slots": {
    code: "evidence-wrong",
    make: (chain) => {
      const guilty = other(chain)
      const [first, second] = twoOf(chain, guilty, 1)
      return convicting(chain, guilty, encodeEvidence({ authority: first.proposer, slot: 40, first, second }))
    }
  },
  "that convicts with a header and itself": {
    code: "evidence-wrong",
    make: (chain) => {
      const guilty = other(chain)
      const [first] = twoOf(chain, guilty)
      return convicting(chain, guilty, encodeEvidence({ authority: first.proposer, slot: 40, first, second: first }))
    }
  },
  "that convicts with one header, signed twice": {
    code: "evidence-wrong",
    make: (chain) => {
      const guilty = other(chain)
      const [first] = twoOf(chain, guilty)
      const second = withSeal(first, keyOf(guilty).publicKey, secondSignature(first.hash, guilty))
      return convicting(chain, guilty, encodeEvidence({ authority: first.proposer, slot: 40, first, second }))
    }
  },
  "that convicts with headers that another has sealed": {
    code: "evidence-wrong",
    make: (chain) => {
      const guilty = other(chain)
      const [first, second] = twoOf(chain, guilty).map((header) => sealHeader(header, keyOf(50)))
      const proof = { authority: first!.proposer, slot: 40, first: first!, second: second! }
      const ordered = first!.id < second!.id ? proof : { ...proof, first: second!, second: first! }
      return convicting(chain, guilty, encodeEvidence(ordered))
    }
  },
  "that convicts one with the evidence against another": {
    code: "evidence-wrong",
    make: (chain) => {
      const guilty = other(chain)
      const innocent = [0, 1, 2, 3, 4].map((i) => firstAuthority + i).find((key) => key !== guilty)!
      return convicting(chain, innocent, evidence(chain, guilty))
    }
  },
  "by one who was convicted": {
    code: "signer-unknown",
    make: (chain) => {
      const guilty = other(chain)
      expect(chain.take(convicting(chain, guilty, evidence(chain, guilty)))).toBeUndefined()
      return sealedBy(leaders(chain), guilty, { proposer: keyOf(guilty).address })
    }
  },
  "that is empty, where blocks may not be": {
    code: "block-empty",
    wish: { authority: { allowEmpty: false } },
    make: leaders
  },
  "that comes too soon with too little": {
    code: "block-hasty",
    wish: { authority: { pace: { pendingMin: 2, idleMs: 3_000 } } },
    make: leaders
  }
}

/** Chains whose first blocks must not be empty, or wait, begin at their genesis. */
const begin = ({ wish = {} }: Row): TestChain =>
  wish.authority?.allowEmpty === false || wish.authority?.pace !== undefined ? emptyChain(wish) : chainOf(wish)

describe("a block", () => {
  for (const [name, row] of Object.entries(matrix)) {
    test(`${name}: ${row.code}`, () => {
      const chain = begin(row)
      const block = row.make(chain)
      const tip = chain.store.tip().header.id
      expect(verdict(chain, block)).toBe(row.code)
      expect(offered(chain, [block])).toEqual([row.code])
      expect(chain.store.tip().header.id).toBe(tip)
      const { condemns } = verdicts[row.code as keyof typeof verdicts]
      expect(chain.store.invalidCode(block.header.id)).toBe(condemns ? row.code : undefined)
    })
  }

  test("that is right in all of this is taken, in turn and out of it", () => {
    for (const make of [leaders, outOfTurn, (chain: TestChain) => outOfTurn(chain, 4)]) {
      const chain = chainOf()
      const block = make(chain)
      expect(verdict(chain, block)).toBeUndefined()
      expect(offered(chain, [block])).toStrictEqual([undefined])
      expect(chain.store.tip().header.id).toBe(block.header.id)
    }
  })

  test("ahead of our clock by as much as clocks go wrong is taken", () => {
    const chain = chainOf()
    const block = leaders(chain)
    chain.now = block.header.time - chain.rules.spec.time.futureMsMax
    expect(offered(chain, [block])).toStrictEqual([undefined])
  })

  test("that convicts with evidence is taken, and the guilty is out of the rota at once", () => {
    const chain = chainOf()
    const guilty = other(chain)
    expect(offered(chain, [convicting(chain, guilty, evidence(chain, guilty))])).toStrictEqual([undefined])
    const { members } = chain.rules.consensus.author!.authorities(ancestryOf(chain.store, chain.store.tip().header))
    expect(members.map((member) => member.toHex())).not.toContain(keyOf(guilty).address.toHex())
    expect(members.length).toBe(4)
    chain.mine(8)
  })

  test("whose pace is right is taken", () => {
    const chain = emptyChain({ authority: { pace: { pendingMin: 2, idleMs: 3_000 } } })
    chain.now += 2_000
    expect(offered(chain, [leaders(chain)])).toStrictEqual([undefined])
  })
})

describe("a hash", () => {
  test("is not condemned by a false seal: the true one is taken afterwards", () => {
    const chain = chainOf()
    const block = leaders(chain)
    const fakes = [
      withSignature(block, () => new Uint8Array(64)),
      withSignature(block, highS),
      sealedBy(block, other(chain))
    ]
    for (const fake of fakes) expect(fake.header.id).toBe(block.header.id)
    const wrong = fakes.map(() => "signature-wrong")
    expect(offered(chain, [...fakes, block])).toStrictEqual([...wrong, undefined])
    expect(chain.store.tip().header.id).toBe(block.header.id)
  })

  test("that is signed twice is one block: the second does no harm, and the first seal stays", () => {
    const chain = chainOf()
    const block = leaders(chain)
    const signature = secondSignature(block.header.hash, leaderAt(chain, block.header.time))
    const twin = withSignature(block, () => signature)
    expect(twin.header.id).toBe(block.header.id)
    expect(verdict(chain, twin)).toBeUndefined()
    expect(offered(chain, [block, twin])).toStrictEqual([undefined, undefined])
    const { bytes } = chain.store.find(block.header.id)!.header
    expect(bytes).toEqual(block.header.bytes)
    expect(chain.store.bestAt(4)!.header.id).toBe(block.header.id)
    chain.mine(3)
  })
})

test("defect 14: no signer but an authority in its turn, no reward but the ledger's, no root but the body's", () => {
  const rows = ["sealed by one who is no authority", "that pays its proposer twice", "with another transaction root"]
  for (const name of rows) {
    const row = matrix[name]!
    const chain = begin(row)
    const units = (): unknown => chain.store.db.query("SELECT sum(units) AS units FROM state").get()
    const before = units()
    const block = row.make(chain)
    expect(offered(chain, [block])).toEqual([row.code])
    expect(units()).toEqual(before)
  }
})
