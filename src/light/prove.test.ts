/** Proofs against headers of ours: what holds is taken from anyone, what does not costs its sender its place. */
import { expect, test } from "bun:test"
import { keyOf, TestChain, transfer } from "../../test/fixtures.ts"
import { type FakePeer, LightWorld } from "../../test/light.ts"
import { toHex } from "../codec/bytes.ts"
import { requestMsMax } from "../limits.ts"
import type { LightAnswer } from "../peer/message.ts"
import { answerLight } from "../store/light.ts"
import { Snapshot } from "../store/snapshot.ts"

const chain = new TestChain()
const payments = [1, 2, 3].map((nonce) => transfer({ from: 0, to: 1, nonce, amount: 5 }))
chain.mine(3, payments)
const paid = payments[1]!.id
const account = keyOf(1).address
const subjects: ReadonlyArray<readonly [name: string, subject: Uint8Array]> = [
  ["a transaction", paid],
  ["an account", account]
]

/** Asks peers that are in step; what came of it, and who was dropped with which code. */
const ask = (peers: ReadonlyArray<FakePeer>, subject: Uint8Array) => {
  const world = new LightWorld(peers).sync()
  world.run(world.client.askProof(subject, world.now))
  world.now += requestMsMax + 1
  world.run(world.client.tick(world.now))
  return { outcome: world.client.prove!.outcome!, codes: world.codes }
}
const proving = (bent: (answer: Extract<LightAnswer, { tag: "PRF" }>) => Uint8Array, of = chain): FakePeer => ({
  chain: of,
  lie: (answer) => (answer.tag === "PRF" ? { ...answer, proof: bent(answer) } : answer)
})
/** The honest proof of something on a chain. */
const proofOn = ({ store, rules }: TestChain, subject: Uint8Array): Uint8Array => {
  const answer = answerLight(new Snapshot(store.db, rules), { tag: "GPF", request: 1, of: subject })
  return answer.tag === "PRF" ? answer.proof : new Uint8Array(0)
}

test("a transaction, an account and an address without one are proven by a single peer", () => {
  const proven = ({ outcome }: ReturnType<typeof ask>) => (outcome._tag === "Proven" ? outcome.proven : outcome)
  expect(proven(ask([{ chain }], paid))).toMatchObject({ kind: "transaction", transaction: { id: paid } })
  expect(proven(ask([{ chain }], account))).toMatchObject({ kind: "account", account: { balance: 1_000_000_015 } })
  expect(proven(ask([{ chain }], keyOf(77).address))).toMatchObject({ kind: "account", account: undefined })
})

test.each(subjects)("of %s: a bit changed anywhere shows nothing, and an honest peer is asked next", (_, subject) => {
  const size = proofOn(chain, subject).length
  for (let at = 0; at < size; at += 7) {
    const liar = proving(({ proof }) => proof.map((byte, i) => (i === at ? byte ^ 1 : byte)))
    const { outcome, codes } = ask([liar, { chain }], subject)
    expect([outcome._tag, codes.length, /^0 proof-/.test(codes[0]!)]).toEqual(["Proven", 1, true])
  }
})

test("each lie has its code", () => {
  const rival = chain.fork(2)
  rival.mine(1, [], 50)
  const codes = (peer: FakePeer, subject: Uint8Array): ReadonlyArray<string> => ask([peer], subject).codes
  expect(
    codes(
      proving(() => proofOn(chain, payments[0]!.id)),
      paid
    )
  ).toEqual(["0 proof-subject-other"])
  expect(
    codes(
      proving(() => new Uint8Array(300)),
      paid
    )
  ).toEqual(["0 proof-malformed"])
  expect(
    codes(
      proving(() => new Uint8Array(0)),
      account
    )
  ).toEqual(["0 proof-malformed"])
  expect(
    codes(
      proving(() => proofOn(rival, account)),
      account
    )
  ).toEqual(["0 proof-header-other"])
  expect(
    codes(
      proving(({ proof }) => proof.map((byte, i) => (i === proof.length - 1 ? byte ^ 1 : byte))),
      paid
    )
  ).toEqual(["0 proof-root-wrong"])
})

test("what an account had some blocks ago is no answer, and no lie", () => {
  const before = chain.fork(2)
  const { outcome, codes } = ask([proving(() => proofOn(before, account))], account)
  expect([outcome, codes]).toEqual([{ _tag: "Unproven", absent: 0, stale: 1, lied: 0 }, []])
})

test("a transaction that no block has: every peer is asked, and it is their word", () => {
  const { outcome } = ask([{ chain }, { chain }], new Uint8Array(32))
  expect(outcome).toEqual({ _tag: "Unproven", absent: 2, stale: 0, lied: 0 })
})

test("a proof on a block that has just been sealed waits for its header", () => {
  const peer = new TestChain()
  peer.mine(1)
  const world = new LightWorld([{ chain: peer }]).sync()
  peer.mine(1)
  world.run(world.client.askProof(account, world.now))
  expect(world.client.prove!.outcome).toBeUndefined()
  world.now = peer.now
  world.sync()
  const { outcome } = world.client.prove!
  expect(outcome?._tag === "Proven" && toHex(outcome.proven.header.hash)).toBe(peer.store.tip().header.id)
})

test("a peer that leaves in the middle of its answer is not waited for", () => {
  const { outcome } = ask([{ chain, lie: (answer) => (answer.tag === "PRF" ? undefined : answer) }, { chain }], paid)
  expect(outcome._tag).toBe("Proven")
})
