/** The vectors of the coin ledger: docs/vectors/payment.json. Written and held against the code with those of data.ts. */
import { Result } from "effect"
import { encodeBlock, extraHashOf, transactionRootOf } from "../../src/block/block.ts"
import { type ChainSpec, formatSpec, parseSpec } from "../../src/block/genesis.ts"
import { chainTag, type Header, makeHeader } from "../../src/block/header.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import { presets } from "../../src/chain/presets.ts"
import { genesisState, makeRules } from "../../src/chain/rules.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { amount } from "../../src/ledger/amount.ts"
import { allocationId, coinKey } from "../../src/ledger/coin.ts"
import { Overlay } from "../../src/ledger/overlay.ts"
import { makeCoinbase, makePayment, signedPayment, signPayment } from "../../src/ledger/payment.ts"
import { formatCoinbase, formatPayment } from "../../src/ledger/payment-text.ts"
import type {
  Coinbase,
  Millis,
  Outpoint,
  Output,
  Payment,
  PaymentFields,
  PaymentTransaction,
  Transaction,
  TransactionId
} from "../../src/ledger/transaction.ts"

const keys = [0, 1, 2].map((index) => accountKey(devMnemonic, index))
const [alice, bob, carol] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
const chainId = "cairn-coins"

/** The chain of development nodes with coins instead of accounts. */
const coinSpec = (): ChainSpec => {
  const parsed = parseSpec(presets["dev"])
  if (Result.isFailure(parsed)) throw new Error(JSON.stringify(parsed.failure))
  const { ledger, genesis, ...rest } = parsed.success
  const alloc = [alice, bob].map(({ address }) => ({ address, balance: amount(100_000_000_000) }))
  return {
    ...rest,
    name: "vectors",
    ledger: { ...ledger, model: "utxo", chainId, coinbaseMaturity: 2 },
    genesis: { ...genesis, note: "", alloc }
  }
}
const rules = makeRules(coinSpec())
const { addressPrefix: prefix } = rules.spec
const start = rules.spec.genesis.time

/** The coin that the genesis gives the i-th of the allocation. */
const given = (index: number): Outpoint => ({ id: allocationId(chainId), index })
const pays = ({ address }: { readonly address: Output["recipient"] }, units: number): Output => ({
  recipient: address,
  amount: amount(units)
})
const fieldsOf = (wish: Partial<PaymentFields>): PaymentFields => ({
  chainId,
  inputs: [given(0)],
  outputs: [pays(bob, 150_000_000), pays(alice, 99_849_999_000)],
  note: "",
  ...wish
})

const plain = signPayment(fieldsOf({}), [alice])
/** On the coins of the one before, and on one of another owner. */
const joint = signPayment(
  fieldsOf({
    inputs: [{ id: plain.id, index: 0 }, given(1), { id: plain.id, index: 1 }],
    outputs: [pays(carol, 199_999_990_000)]
  }),
  [alice, bob]
)
const valid: ReadonlyArray<readonly [name: string, transaction: PaymentTransaction]> = [
  ["one owner, paying and change", plain],
  ["two owners of three coins", joint],
  ["a note beyond ASCII", signPayment(fieldsOf({ note: 'Grüße 🪨\u0000\u007f "\\' }), [alice])],
  ["the longest note", signPayment(fieldsOf({ note: "é".repeat(140) }), [alice])],
  [
    "the largest index and amount",
    signPayment(
      fieldsOf({
        inputs: [{ id: new Uint8Array(32).fill(0xff) as TransactionId, index: 0xffff_ffff }],
        outputs: [pays(bob, Number.MAX_SAFE_INTEGER)]
      }),
      [bob]
    )
  ],
  ["another chain", signPayment(fieldsOf({ chainId: "cairn" }), [alice])],
  ["data", signPayment(fieldsOf({ data: new Uint8Array([0, 1, 0xff]) }), [alice])],
  [
    "the longest data behind a note, two owners",
    signPayment({ ...joint.payment, note: "x", data: new Uint8Array(512).map((_, i) => i & 255) }, [alice, bob])
  ]
]

const coinbases: ReadonlyArray<readonly [name: string, coinbase: Coinbase]> = [
  ["reward and fees", { chainId, height: 1, outputs: [pays(carol, 500_010_000)] }],
  ["nothing to pay", { chainId, height: 258, outputs: [] }]
]

const patched = (bytes: Uint8Array, offset: number, replacement: ReadonlyArray<number>): Uint8Array => {
  const out = bytes.slice()
  out.set(replacement, offset)
  return out
}

/** Encodings that the ledger refuses before it asks a state. The chain id ends at 13, the inputs of the plain one at 51. */
const refused = () => {
  const { bytes } = plain
  const changed = (fields: Partial<Payment>) => makePayment({ ...plain.payment, ...fields }).bytes
  const witnesses = joint.bytes.subarray(-2 * 97)
  const head = joint.bytes.subarray(0, -2 * 97)
  const withData = valid[6]![1].bytes
  const end = withData.length - 98
  /** Those bytes with other data, 3 bytes before the one witness. */
  const withLength = (low: number, high: number, data: ReadonlyArray<number>): Uint8Array =>
    new Uint8Array([...withData.subarray(0, end - 5), low, high, ...data, ...withData.subarray(end)])
  const join = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(parts.flatMap((part) => [...part]))
  return [
    ["one byte short", bytes.subarray(0, -1), "transaction-malformed"],
    ["one byte more", new Uint8Array([...bytes, 0]), "transaction-malformed"],
    ["nothing", new Uint8Array(0), "transaction-malformed"],
    ["8001 bytes", new Uint8Array(8001), "transaction-too-large"],
    ["form 1, a transfer", patched(bytes, 0, [1]), "version-unsupported"],
    ["form 4, a transfer with data", patched(bytes, 0, [4]), "version-unsupported"],
    ["form 5 without data", withLength(0, 0, []), "transaction-malformed"],
    ["form 5 with data a byte longer than it says", withLength(3, 0, [0, 1, 0xff, 0]), "transaction-malformed"],
    ["form 5 with data that goes beyond the end", withLength(0xff, 1, [0]), "transaction-malformed"],
    ["form 2 with data", patched(withData, 0, [2]), "transaction-malformed"],
    ["513 bytes of data", withLength(1, 2, Array<number>(513).fill(7)), "data-too-long"],
    ["data, which this chain does not take", withData, "data-not-allowed"],
    ["a capital in the chain id", patched(bytes, 2, [0x43]), "transaction-malformed"],
    ["an amount of 2^53", patched(bytes, 73, [0, 0, 0, 0, 0, 0, 0x20, 0]), "transaction-malformed"],
    ["an amount of 2^64 - 1", patched(bytes, 73, Array<number>(8).fill(0xff)), "transaction-malformed"],
    ["witnesses out of order", join(head, witnesses.subarray(97), witnesses.subarray(0, 97)), "transaction-malformed"],
    ["a witness twice", join(head, witnesses.subarray(0, 97), witnesses.subarray(0, 97)), "transaction-malformed"],
    ["another chain", changed({ chainId: "cairn" }), "chain-id-mismatch"],
    ["no input", changed({ inputs: [] }), "inputs-missing"],
    ["no output", changed({ outputs: [] }), "outputs-missing"],
    ["no witness", changed({ witnesses: [] }), "witness-missing"],
    ["a coin named twice", changed({ inputs: [given(0), given(0)] }), "input-duplicate"],
    ["an output of nothing", changed({ outputs: [pays(bob, 0)] }), "amount-invalid"],
    [
      "outputs above the largest supply together",
      changed({ outputs: [pays(bob, 2_100_000_000_000_000), pays(bob, 1)] }),
      "amount-invalid"
    ]
  ] as const
}

/** Encodings that are taken, and whose signatures do not fit. */
const unsigned = () => {
  const { outputs, inputs, witnesses } = plain.payment
  const changed = (fields: Partial<Payment>) => makePayment({ ...plain.payment, ...fields }).bytes
  return [
    ["another recipient", changed({ outputs: [pays(carol, 150_000_000), outputs[1]!] })],
    ["another amount", changed({ outputs: [outputs[0]!, pays(alice, 99_849_998_999)] })],
    ["the outputs in another order", changed({ outputs: outputs.toReversed() })],
    ["one input more", changed({ inputs: [...inputs, given(1)] })],
    ["a note", changed({ note: "x" })],
    [
      "another's signature",
      changed({ witnesses: [{ ...witnesses[0]!, signature: joint.payment.witnesses[0]!.signature }] })
    ]
  ] as const
}

/** Block 1: a payment, and another that spends what it made. */
const firstBlock = () => {
  const fees = amount(10_000)
  const sent = [plain, joint]
  const facts = { height: 1, time: (start + 5_000) as Millis, proposer: carol.address }
  const state = genesisState(rules.ledger, rules.spec)
  let paid = 0
  for (const one of sent) {
    const fee = rules.ledger.apply(state, one, facts)
    if (typeof fee !== "number") throw new Error(fee.message)
    paid += fee
  }
  if (paid !== fees) throw new Error(`fees of ${paid}`)
  const opening = rules.ledger.opening(facts, fees)!
  rules.ledger.applyReward(state, facts, fees, opening)
  const entries = [...state.changes]
    .flatMap(([key, { after }]) => (after === undefined ? [] : [[key, after] as const]))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const transactions = [opening, ...sent]
  const fields = {
    version: 1,
    chainTag: chainTag(chainId),
    height: 1 as Header["height"],
    time: facts.time,
    previous: rules.genesis.header.hash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot: new StateTree(() => undefined).update(entries),
    target: rules.genesis.header.target,
    proposer: facts.proposer,
    extraHash: extraHashOf(new Uint8Array(0))
  }
  for (let nonce = 0; ; nonce++) {
    const header = makeHeader({ ...fields, nonce })
    if (rules.consensus.checkSeal(header)) return { block: { header, transactions, extra: new Uint8Array(0) }, entries }
  }
}

/** What the state after block 1 refuses in block 2; the reward of block 1 ripens for block 3. */
const refusedByState = (entries: ReadonlyMap<string, Uint8Array>, reward: Outpoint) => {
  const coin = { id: joint.id, index: 0 }
  const all = 199_999_990_000
  const by = (wish: Partial<PaymentFields>, ...owners: typeof keys) =>
    signPayment(fieldsOf({ inputs: [coin], outputs: [pays(bob, all - 1_000)], ...wish }), owners)
  const cases = [
    ["a coin that never was", by({ inputs: [{ id: joint.id, index: 1 }] }, carol)],
    ["a coin of the genesis that is spent", by({ inputs: [given(0)] }, alice)],
    ["a reward that is not ripe", by({ inputs: [reward], outputs: [pays(bob, 1)] }, carol)],
    ["the owner has not signed", by({}, alice)],
    ["somebody has signed who owns nothing of it", by({}, carol, alice)],
    ["more than it spends", by({ outputs: [pays(bob, all + 1)] }, carol)],
    ["a fee below the least", by({ outputs: [pays(bob, all - 999)] }, carol)]
  ] as const
  return cases.map(([name, { bytes }]) => {
    const decoded = rules.ledger.decode(bytes)
    if (Result.isFailure(decoded)) throw new Error(decoded.failure.message)
    const said = rules.ledger.check(new Overlay((key) => entries.get(key)), decoded.success, { height: 2 })
    if (typeof said === "number") throw new Error(`it is taken: ${name}`)
    return { name, bytes: toHex(bytes), code: said.code }
  })
}

/** Other first transactions of block 1, each with its refusal; `undefined`: the block has none. */
const refusedOpenings = (fees: number) => {
  const right = (rules.ledger.rewardAt(1) + fees) as number
  const one = (fields: Partial<Coinbase>) =>
    makeCoinbase({ chainId, height: 1, outputs: [pays(carol, right)], ...fields })
  const cases: ReadonlyArray<readonly [name: string, opening: Transaction]> = [
    ["a payment", plain],
    ["another height", one({ height: 2 })],
    ["two outputs", one({ outputs: [pays(carol, right - 1), pays(carol, 1)] })],
    ["no output", one({ outputs: [] })],
    ["a unit more", one({ outputs: [pays(carol, right + 1)] })],
    ["a unit less", one({ outputs: [pays(carol, right - 1)] })],
    ["another recipient", one({ outputs: [pays(bob, right)] })]
  ]
  const facts = { height: 1, time: (start + 5_000) as Millis, proposer: carol.address }
  return cases.map(([name, opening]) => {
    const said = rules.ledger.applyReward(new Overlay(() => undefined), facts, amount(fees), opening)
    if (said === undefined) throw new Error(`it is taken: ${name}`)
    return { name, bytes: toHex(opening.bytes), code: said.code }
  })
}

/** docs/vectors/payment.json. */
export const payments = () => {
  const { block, entries } = firstBlock()
  const [opening] = block.transactions as [Transaction]
  const reward = { id: opening.id, index: 0 }
  return {
    about:
      "The coin ledger, docs/protocol.md. Keys are those of address.json; the block stands on the genesis of the spec here.",
    prefix,
    spec: formatSpec(rules.spec),
    genesis: {
      hash: rules.genesis.header.id,
      state: [...genesisState(rules.ledger, rules.spec).changes].map(([key, { after }]) => [key, toHex(after!)])
    },
    coin_keys: [given(0), given(1), { id: plain.id, index: 258 }, { id: plain.id, index: 0xffff_ffff }].map(
      ({ id, index }) => ({ transaction_id: toHex(id), index, key: coinKey({ id, index }) })
    ),
    valid: valid.map(([name, transaction]) => ({
      name,
      json: formatPayment(transaction, prefix),
      bytes: toHex(transaction.bytes),
      signed: toHex(signedPayment(transaction.bytes, transaction.payment.witnesses.length)),
      id: toHex(transaction.id),
      leaf: toHex(transaction.leaf)
    })),
    coinbases: coinbases.map(([name, coinbase]) => {
      const made = makeCoinbase(coinbase)
      const json = formatCoinbase(made, prefix)
      return { name, json, bytes: toHex(made.bytes), id: toHex(made.id), leaf: toHex(made.leaf) }
    }),
    refused: refused().map(([name, bytes, code]) => ({ name, bytes: toHex(bytes), code })),
    unsigned: unsigned().map(([name, bytes]) => ({ name, bytes: toHex(bytes) })),
    block: {
      bytes: toHex(encodeBlock(block)),
      hash: block.header.id,
      transaction_ids: block.transactions.map(({ id }) => toHex(id)),
      state: entries.map(([key, value]) => [key, toHex(value)]),
      state_root: toHex(block.header.stateRoot)
    },
    refused_in_block_2: refusedByState(new Map(entries), reward),
    refused_openings_of_block_1: refusedOpenings(10_000)
  }
}
