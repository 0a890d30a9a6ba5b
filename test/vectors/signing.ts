/** The vectors of the signing socket: what a signer of the development chain says, line by line. */
import { Result } from "effect"
import {
  type BlockHash,
  chainTag,
  type Header,
  type HeaderFields,
  type Height,
  makeHeader
} from "../../src/block/header.ts"
import { parseSpec } from "../../src/block/genesis.ts"
import { presets } from "../../src/chain/presets.ts"
import { makeRules, type Rules } from "../../src/chain/rules.ts"
import { type Checkpoint, checkpointOf } from "../../src/consensus/checkpoint.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { utf8 } from "../../src/codec/bytes.ts"
import type { Millis } from "../../src/ledger/transaction.ts"
import { startedBook } from "../../src/validator/book.ts"
import { nothingSigned } from "../../src/validator/protection.ts"
import { answerTo, lineRefused } from "../../src/validator/serve.ts"
import { encodeVoteAsk, formatGreeting, formatQuestion } from "../../src/validator/signing-lines.ts"

const preset = presets["dev-authorities"] as { readonly authority: { readonly finality: object } }
const { finality: _, ...silent } = preset.authority
const rules = makeRules(Result.getOrThrow(parseSpec({ ...preset, authority: silent })))
/** Heights of a multiple of two are checkpoints. */
const authority = { ...preset.authority, finality: { checkpointBlocks: 2 } }
const voting = makeRules(Result.getOrThrow(parseSpec({ ...preset, authority })))
const key = accountKey(devMnemonic, 0)
/** The signer started in slot 4; it is slot 7 now. */
const now = rules.spec.genesis.time + 7 * rules.spec.difficulty.blockMs

/** A header for the key to seal, at the beginning of a slot. */
const headerIn = (
  slot: number,
  fields: Partial<HeaderFields> = {},
  { spec, genesis, consensus }: Rules = rules
): Header =>
  makeHeader({
    version: 2,
    chainTag: chainTag(spec.ledger.chainId),
    height: 1 as Height,
    time: (spec.genesis.time + slot * spec.difficulty.blockMs) as Millis,
    previous: genesis.header.hash as BlockHash,
    transactionRoot: sha256(utf8("transactions")),
    stateRoot: sha256(utf8("state")),
    target: consensus.genesisTarget,
    proposer: key.address,
    extraHash: sha256(utf8("")),
    nonce: slot,
    authority: {
      weight: 1,
      vote: "none",
      subject: genesis.header.proposer,
      lastVote: 0,
      publicKey: new Uint8Array(33),
      signature: new Uint8Array(64)
    },
    ...fields
  })

/** A checkpoint, sealed by another. */
const checkpointIn = (slot: number, height: number, fields: Partial<HeaderFields> = {}): Header =>
  headerIn(slot, { height: height as Height, proposer: accountKey(devMnemonic, 1).address, ...fields }, voting)

/** One connection to a signer that has signed nothing yet. */
const connectionOf = (of: Rules, questions: ReadonlyArray<string>): object => {
  const holder = { rules: of, key, book: startedBook(nothingSigned, 4, () => {}), now: () => now }
  const { spec, genesis } = of
  return {
    greeting: formatGreeting({ chainId: spec.ledger.chainId, genesis: genesis.header.id, publicKey: key.publicKey }),
    exchanges: questions.map((node) => ({ node, signer: answerTo(holder, node) ?? lineRefused }))
  }
}

const seals = (): ReadonlyArray<string> => {
  const asked = [
    ["seal", headerIn(4)],
    ["seal", headerIn(5)],
    ["seal", headerIn(5)],
    ["seal", headerIn(7)],
    ["seal", headerIn(6)],
    ["seal", headerIn(8)],
    ["seal", headerIn(7, { proposer: accountKey(devMnemonic, 1).address })],
    ["vote", headerIn(7)]
  ] as const
  return [...asked.map(([kind, header], i) => formatQuestion({ kind, id: i + 1, bytes: header.bytes })), "seal 01 00"]
}

const votes = (): ReadonlyArray<string> => {
  const genesis = voting.genesis.header
  const [second, fourth, sixth] = [checkpointIn(5, 2), checkpointIn(6, 4), checkpointIn(7, 6)]
  const asked: ReadonlyArray<readonly [source: Checkpoint, target: Header]> = [
    [genesis, checkpointIn(4, 2)],
    [genesis, second],
    [genesis, second],
    [second, fourth],
    [genesis, sixth],
    [second, checkpointIn(8, 6)],
    [second, checkpointIn(7, 5)],
    [fourth, fourth],
    [checkpointOf({ ...genesis, hash: second.hash }), sixth],
    [second, checkpointIn(7, 6, { chainTag: 7 })],
    [second, checkpointIn(7, 10)],
    [second, sixth]
  ]
  const lines = asked.map(([source, target], i) =>
    formatQuestion({ kind: "vote", id: i + 1, bytes: encodeVoteAsk({ source, target }) })
  )
  return [
    ...lines,
    formatQuestion({ kind: "vote", id: 13, bytes: sixth.bytes }),
    formatQuestion({ kind: "seal", id: 14, bytes: headerIn(7, {}, voting).bytes }),
    formatQuestion({ kind: "attest", id: 15, bytes: sixth.bytes })
  ]
}

/** The file `signing.json`. */
export const signings = (): object => ({
  about:
    "The signing socket, docs/protocol.md. The key is dev:0 of address.json; the signer started in slot 4, and it is slot 7 now. The chain is the preset dev-authorities without the key `authority.finality`. Votes: another connection, of the chain with that key as `votes.finality` says.",
  now,
  ...connectionOf(rules, seals()),
  votes: { finality: authority.finality, ...connectionOf(voting, votes()) }
})
