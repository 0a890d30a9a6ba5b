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
import { makeRules } from "../../src/chain/rules.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { utf8 } from "../../src/codec/bytes.ts"
import type { Millis } from "../../src/ledger/transaction.ts"
import { startedBook } from "../../src/validator/book.ts"
import { nothingSigned } from "../../src/validator/protection.ts"
import { answerTo, lineRefused } from "../../src/validator/serve.ts"
import { formatGreeting, formatQuestion } from "../../src/validator/signing-lines.ts"

const rules = makeRules(Result.getOrThrow(parseSpec(presets["dev-authorities"])))
const { spec, genesis, consensus } = rules
const key = accountKey(devMnemonic, 0)
/** The signer started in slot 4; it is slot 7 now. */
const now = spec.genesis.time + 7 * spec.difficulty.blockMs

/** A header for the key to seal, at the beginning of a slot. */
const headerIn = (slot: number, fields: Partial<HeaderFields> = {}): Header =>
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

/** The file `signing.json`. */
export const signings = (): object => {
  const holder = { rules, key, book: startedBook(nothingSigned, 4, () => {}), now: () => now }
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
  const exchange = (node: string): object => ({ node, signer: answerTo(holder, node) ?? lineRefused })
  return {
    about:
      "The signing socket, docs/protocol.md. The key is dev:0 of address.json; the signer started in slot 4, and it is slot 7 now.",
    greeting: formatGreeting({ chainId: spec.ledger.chainId, genesis: genesis.header.id, publicKey: key.publicKey }),
    now,
    exchanges: [
      ...asked.map(([kind, header], i) => exchange(formatQuestion({ kind, id: i + 1, bytes: header.bytes }))),
      exchange("seal 01 00")
    ]
  }
}
