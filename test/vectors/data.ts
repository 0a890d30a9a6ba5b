/**
 * The vectors of docs/vectors that another implementation of the data formats needs: keys, transfers, payments, headers, trees,
 * blocks, block filters, votes. `bun test/vectors/data.ts` writes them; src/chain/vectors.test.ts holds them against the code byte for byte.
 */
import { toTarget } from "../../src/consensus/difficulty.ts"
import { makeHello, makeProvenHello, nodeIdOf } from "../../src/transport/hello.ts"
import { forms, makeAnnouncement } from "../../src/gossip/announcement.ts"
import { gossipKeyOf, makeBox, sealPacket } from "../../src/gossip/sealed.ts"
import { encodeFrame } from "../../src/transport/frame.ts"
import { encodeMessage, type Message } from "../../src/peer/message.ts"
import { join } from "node:path"
import { Result } from "effect"
import { encodeBlock, extraHashOf, transactionRootOf } from "../../src/block/block.ts"
import {
  blockElements,
  decodeFilter,
  type Filter,
  filterHash,
  filterHeaderStart,
  makeFilter,
  matches,
  nextFilterHeader
} from "../../src/block/filter.ts"
import { type ChainSpec, formatSpec, parseSpec, specHash } from "../../src/block/genesis.ts"
import {
  type BlockHash,
  chainTag,
  type Header,
  type HeaderFields,
  type Height,
  makeHeader,
  sealDigest
} from "../../src/block/header.ts"
import { merkleProof, merkleRoot } from "../../src/block/merkle.ts"
import { packPage } from "../../src/block/packed.ts"
import { type AccountProof, encodeProof, type Proof, proveTransaction, verifyProof } from "../../src/block/proof.ts"
import { prove, StateTree } from "../../src/block/state-tree.ts"
import { presets } from "../../src/chain/presets.ts"
import { genesisState, makeLedger, makeRules } from "../../src/chain/rules.ts"
import { concat, fromHex, toHex, utf8, writeU32 } from "../../src/codec/bytes.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { asHash, type Hash32, sha256 } from "../../src/crypto/hash.ts"
import { accountKey, accountPath, devMnemonic } from "../../src/crypto/keys.ts"
import { encodePeerWords, formatPeerWord, makePeerWord } from "../../src/discovery/peer-word.ts"
import { placeOf } from "../../src/discovery/place.ts"
import { encodeWords, formatCommand, makeStatement } from "../../src/discovery/statement.ts"
import { keyOf } from "../../src/ledger/account.ts"
import { amount } from "../../src/ledger/amount.ts"
import { type Coin, coinKey, encodeCoin, encodeOutpoint } from "../../src/ledger/coin.ts"
import type { LedgerRules } from "../../src/ledger/ledger.ts"
import type {
  Millis,
  Nonce,
  Transaction,
  TransactionId,
  Transfer,
  TransferTransaction
} from "../../src/ledger/transaction.ts"
import { makeTransfer, signedPart, signTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { encodeEvidence } from "../../src/consensus/evidence.ts"
import { offenceOf } from "../authorities.ts"
import { specOf as testSpec, TestChain } from "../fixtures.ts"
import { authorities } from "./authority.ts"
import { finality, sampleVote } from "./finality.ts"
import { payments } from "./payment.ts"
import { signings } from "./signing.ts"

const keys = [0, 1, 2].map((index) => accountKey(devMnemonic, index))
const [alice, bob, carol] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]

/** The spec of a preset. */
const specOf = (name: string): ChainSpec => {
  const parsed = parseSpec(presets[name])
  if (Result.isFailure(parsed)) throw new Error(JSON.stringify(parsed.failure))
  return parsed.success
}
const dev = makeRules(specOf("dev"))
const { addressPrefix: prefix } = dev.spec
const start = dev.spec.genesis.time

const addresses = () => ({
  about: "Keys and addresses, docs/protocol.md. The mnemonic is public: never put money there.",
  mnemonic: devMnemonic,
  keys: keys.map(({ secret, publicKey, address }, index) => ({
    path: accountPath(index),
    secret: toHex(secret),
    public_key: toHex(publicKey),
    address: toHex(address),
    text: { crn: formatAddress(address, "crn"), lbc: formatAddress(address, "lbc") }
  })),
  refused: {
    "one letter changed": "crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzw",
    "two letters swapped": "crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtcn5tzzv",
    "upper case": "CRN1Q5JJWSX35H5RFKXZMHV3E8GR5NY44HGTNC5TZZV",
    "another prefix": formatAddress(alice.address, "lbc"),
    "no address": ""
  }
})

const fieldsOf = (wish: Partial<Transfer>) => ({
  chainId: "cairn-dev",
  recipient: bob.address,
  amount: amount(150_000_000),
  fee: amount(1_000),
  nonce: 1 as Nonce,
  time: (start + 1_000) as Millis,
  note: "",
  ...wish
})

const valid: ReadonlyArray<readonly [name: string, transaction: TransferTransaction]> = [
  ["plain", signTransfer(fieldsOf({}), alice)],
  [
    "a note that JSON would escape",
    signTransfer(fieldsOf({ note: 'https://example.org/?q="a\\b"', nonce: 2 as Nonce }), alice)
  ],
  ["a note beyond ASCII", signTransfer(fieldsOf({ note: "Grüße 🪨\u0000\u007f", nonce: 3 as Nonce }), alice)],
  ["the longest note", signTransfer(fieldsOf({ note: "é".repeat(140), nonce: 4 as Nonce }), alice)],
  [
    "the largest numbers",
    signTransfer(
      fieldsOf({
        amount: amount(Number.MAX_SAFE_INTEGER),
        fee: amount(Number.MAX_SAFE_INTEGER),
        nonce: Number.MAX_SAFE_INTEGER as Nonce,
        time: Number.MAX_SAFE_INTEGER as Millis
      }),
      bob
    )
  ],
  ["another chain", signTransfer(fieldsOf({ chainId: "lua-blockchain-mainnet", recipient: carol.address }), bob)],
  ["data", signTransfer(fieldsOf({ data: new Uint8Array([0, 1, 0xff]), nonce: 5 as Nonce }), alice)],
  [
    "the longest data behind the longest note",
    signTransfer(
      fieldsOf({ note: "é".repeat(140), data: new Uint8Array(512).map((_, i) => i & 255), nonce: 6 as Nonce }),
      alice
    )
  ]
]

/** The bytes with one range replaced. */
const patched = (bytes: Uint8Array, offset: number, replacement: ReadonlyArray<number>): Uint8Array => {
  const out = bytes.slice()
  out.set(replacement, offset)
  return out
}

/** Encodings that the ledger of the dev preset refuses. Offsets: chain id "cairn-dev" ends at 11, the numbers start at 51. */
const refused = () => {
  const { bytes, transfer } = valid[0]![1]
  const noted = valid[2]![1].bytes
  const [withData, longest] = [valid[6]![1].bytes, valid[7]![1].bytes]
  /** Those bytes with the data, 3 bytes from 87 on, replaced by others of that length. */
  const withLength = (low: number, high: number, data: ReadonlyArray<number>): Uint8Array =>
    new Uint8Array([...withData.subarray(0, 85), low, high, ...data, ...withData.subarray(90)])
  const changed = (fields: Partial<Transfer>) => makeTransfer({ ...transfer, ...fields }).bytes
  return [
    ["one byte short", bytes.subarray(0, -1), "transaction-malformed"],
    ["one byte more", new Uint8Array([...bytes, 0]), "transaction-malformed"],
    ["nothing", new Uint8Array(0), "transaction-malformed"],
    ["1025 bytes", new Uint8Array(1025), "transaction-too-large"],
    ["version 2", patched(bytes, 0, [2]), "version-unsupported"],
    ["a capital in the chain id", patched(bytes, 2, [0x43]), "transaction-malformed"],
    ["an amount of 2^53", patched(bytes, 51, [0, 0, 0, 0, 0, 0, 0x20, 0]), "transaction-malformed"],
    ["a nonce of 2^64 - 1", patched(bytes, 67, Array<number>(8).fill(0xff)), "transaction-malformed"],
    ["a note that is not UTF-8", patched(noted, 85, [0xff]), "transaction-malformed"],
    ["form 4 without data", withLength(0, 0, []), "transaction-malformed"],
    ["form 4 with data a byte longer than it says", withLength(3, 0, [0, 1, 0xff, 0]), "transaction-malformed"],
    ["form 4 without a length of data", patched(bytes, 0, [4]), "transaction-malformed"],
    ["form 1 with data", patched(withData, 0, [1]), "transaction-malformed"],
    ["form 5, a payment", patched(withData, 0, [5]), "version-unsupported"],
    ["513 bytes of data", withLength(1, 2, Array<number>(513).fill(7)), "data-too-long"],
    ["data, which this chain does not take", withData, "data-not-allowed"],
    ["the longest data, which this chain does not take", longest, "data-not-allowed"],
    ["another chain", changed({ chainId: "cairn" }), "chain-id-mismatch"],
    ["an amount of nothing", changed({ amount: amount(0) }), "amount-invalid"],
    ["an amount above the largest supply", changed({ amount: amount(2_100_000_000_000_001) }), "amount-invalid"],
    ["a fee below the least", changed({ fee: amount(999) }), "fee-too-low"],
    ["nonce 0", changed({ nonce: 0 as Nonce }), "nonce-too-low"],
    ["oneself as recipient", changed({ recipient: alice.address }), "recipient-is-sender"],
    ["another's address as sender", changed({ sender: carol.address }), "sender-mismatch"]
  ] as const
}

const transfers = () => ({
  about: "Transfers, docs/protocol.md. Signed by the keys of address.json, ECDSA with the nonces of RFC 6979.",
  prefix,
  valid: valid.map(([name, transaction]) => ({
    name,
    json: formatTransfer(transaction, prefix),
    bytes: toHex(transaction.bytes),
    signed: toHex(signedPart(transaction.bytes)),
    id: toHex(transaction.id),
    leaf: toHex(transaction.leaf)
  })),
  refused: refused().map(([name, bytes, code]) => ({ name, bytes: toHex(bytes), code }))
})

const seal = (fields: Omit<HeaderFields, "nonce">): Header => {
  for (let nonce = 0; ; nonce++) {
    const header = makeHeader({ ...fields, nonce })
    if (dev.consensus.checkSeal(header)) return header
  }
}

const headerText = ({ bytes, hash, ...fields }: Header) => ({
  version: fields.version,
  chain_tag: fields.chainTag,
  height: fields.height,
  time: fields.time,
  previous: toHex(fields.previous),
  transaction_root: toHex(fields.transactionRoot),
  state_root: toHex(fields.stateRoot),
  target: toHex(fields.target),
  proposer: toHex(fields.proposer),
  extra_hash: toHex(fields.extraHash),
  nonce: fields.nonce,
  bytes: toHex(bytes),
  seal_digest: toHex(sealDigest(bytes)),
  hash: toHex(hash)
})

/** Block 1 of the dev chain: two transfers, seven bytes of extra data, sealed for Carol; and the state that it leaves. */
const firstBlock = () => {
  const transactions = [valid[0]![1], valid[1]![1]]
  const extra = utf8("vectors")
  const state = genesisState(dev.ledger, dev.spec)
  const tree = new StateTree(() => undefined)
  const facts = { height: 1, time: (start + 5_000) as Millis, proposer: carol.address }
  const fees = amount(transactions.reduce((sum, one) => sum + one.transfer.fee, 0))
  for (const transaction of transactions) {
    const fee = dev.ledger.apply(state, transaction, facts)
    if (typeof fee !== "number") throw new Error(fee.message)
  }
  dev.ledger.applyReward(state, facts, fees, undefined)
  const entries = [...state.changes]
    .map(([key, { after }]) => [key, after!] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const header = seal({
    version: 1,
    chainTag: chainTag("cairn-dev"),
    height: 1 as Header["height"],
    time: facts.time,
    previous: dev.genesis.header.hash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot: tree.update(entries),
    target: dev.genesis.header.target,
    proposer: facts.proposer,
    extraHash: extraHashOf(extra)
  })
  return { block: { header, transactions, extra }, entries }
}

const headers = () => {
  const { header } = firstBlock().block
  const largest = makeHeader({
    ...header,
    version: 0xffff_ffff,
    time: Number.MAX_SAFE_INTEGER as Millis,
    nonce: Number.MAX_SAFE_INTEGER
  })
  return {
    about: "Headers, docs/protocol.md. The second of them meets its target, the third does not.",
    chain_tags: ["cairn", "cairn-dev", "lua-blockchain-mainnet"].map((id) => ({
      chain_id: id,
      chain_tag: chainTag(id)
    })),
    headers: [dev.genesis.header, header, largest].map(headerText)
  }
}

const leafOf = (i: number): Hash32 => sha256(new Uint8Array([0, i]))

const trees = () => {
  const leaves = Array.from({ length: 17 }, (_, i) => leafOf(i))
  const cases: ReadonlyArray<readonly [count: number, index: number]> = [
    [1, 0],
    [2, 1],
    [3, 2],
    [5, 4],
    [7, 2],
    [8, 5],
    [17, 16]
  ]
  return {
    about: "Transaction trees, docs/protocol.md. Leaf i is SHA-256 of the bytes 00 and i.",
    roots: Array.from({ length: 18 }, (_, count) => toHex(merkleRoot(leaves.slice(0, count)))),
    proofs: cases.map(([count, index]) => ({
      count,
      index,
      proof: merkleProof(leaves.slice(0, count), index)!.map(toHex)
    }))
  }
}

const subjectRow = (proof: Proof) => {
  if (proof.kind === "transaction") return { id: toHex(proof.transaction.id) }
  if (proof.kind === "account") return { address: toHex(proof.address) }
  return { id: toHex(proof.outpoint.id), index: proof.outpoint.index }
}

const provenRow = (name: string, proof: Proof) => ({
  name,
  header: proof.header.id,
  ...subjectRow(proof),
  proof: toHex(encodeProof(proof))
})

/** Proofs in a state of three coins: of each, and of two that are not there. */
const coinProofs = (above: Header) => {
  const { id } = valid[0]![1]
  const coins: ReadonlyArray<readonly [index: number, coin: Coin]> = [
    [0, { owner: alice.address, amount: amount(90), height: 1, coinbase: false }],
    [1, { owner: bob.address, amount: amount(Number.MAX_SAFE_INTEGER), height: 0xffff_ffff, coinbase: false }],
    [0xffff_ffff, { owner: carol.address, amount: amount(1), height: 7, coinbase: true }]
  ]
  const tree = new StateTree(() => undefined)
  const stateRoot = tree.update(coins.map(([index, coin]) => [coinKey({ id, index }), encodeCoin(coin)] as const))
  const pages = tree.pages()
  const header = seal({ ...above, stateRoot })
  return [...coins.map(([index]) => index), 2, 3].map((index) => {
    const outpoint = { id, index }
    const state = prove((name) => pages.get(name), coinKey(outpoint))
    const coin = coins.find(([at]) => at === index)?.[1]
    const text = coin && { ...coin, owner: toHex(coin.owner) }
    const proof = { kind: "coin", header, outpoint, state } as const
    return { ...provenRow(coin === undefined ? "not there" : `coin ${index}`, proof), coin: text ?? null }
  })
}

/** Proofs in blocks of 1 to 8 transfers, in the state of three accounts and in one of three coins; and bytes that prove nothing. */
const proofs = () => {
  const { block, entries } = firstBlock()
  const list = Array.from({ length: 8 }, (_, i) => signTransfer(fieldsOf({ nonce: (i + 1) as Nonce }), alice))
  const blockWith = (transactions: ReadonlyArray<Transaction>) => ({
    ...block,
    transactions,
    header: seal({ ...block.header, transactionRoot: transactionRootOf(transactions) })
  })
  const transfers = [1, 2, 3, 5, 8].flatMap((count) => {
    const whole = blockWith(list.slice(0, count))
    const places = [...new Set([0, count >> 1, count - 1])]
    return places.map((index) => provenRow(`${index} of ${count}`, proveTransaction(whole, index)!))
  })
  const tree = new StateTree(() => undefined)
  tree.update(entries)
  const pages = tree.pages()
  const accountProof = (address: AccountProof["address"]): AccountProof => ({
    kind: "account",
    header: block.header,
    address,
    state: prove((name) => pages.get(name), keyOf(address))
  })
  const absent = [accountKey(devMnemonic, 7).address, accountKey(devMnemonic, 9).address]
  const three = blockWith(list.slice(0, 3))
  const second = proveTransaction(three, 1)!
  const bytes = encodeProof(second)
  const doubled = { ...three, transactions: [...three.transactions, three.transactions[2]!] }
  const unsealed = {
    ...second,
    header: makeHeader({ ...three.header, target: new Uint8Array(32) as Header["target"] })
  }
  const bent = [
    ["the last leaf doubled (CVE-2012-2459)", encodeProof(proveTransaction(doubled, 3)!)],
    ["another block's header", encodeProof({ ...second, header: block.header })],
    ["a header that nobody worked for", encodeProof(unsealed)],
    ["one side changed", encodeProof({ ...second, steps: second.steps.map((step) => ({ ...step, left: false })) })],
    ["one step too few", encodeProof({ ...second, steps: second.steps.slice(1) })],
    ["one byte short", bytes.subarray(0, -1)],
    ["one byte more", new Uint8Array([...bytes, 0])],
    ["kind 4", patched(bytes, 0, [4])],
    ["nothing", new Uint8Array(0)]
  ] as const
  return {
    about:
      "Proofs, docs/protocol.md. The headers stand at height 1 of the development chain; keys are those of address.json.",
    transactions: transfers,
    accounts: [
      ...[alice, bob, carol].map(({ address }, i) => provenRow(`key ${i}`, accountProof(address))),
      ...absent.map((address) => provenRow("never paid", accountProof(address)))
    ],
    coins: coinProofs(block.header),
    refused: bent.map(([name, wrong]) => {
      const outcome = verifyProof(wrong)
      if (Result.isSuccess(outcome)) throw new Error(`it holds: ${name}`)
      return { name, code: outcome.failure.code, proof: toHex(wrong) }
    })
  }
}

const supplyOf = (name: string, rules: LedgerRules, allocated: number, heights: ReadonlyArray<number>) => {
  const ledger = makeLedger(rules, amount(allocated))
  const { reward, rewardHalvingBlocks, supplyMax } = rules
  return {
    name,
    rules: { reward, rewardHalvingBlocks, supplyMax, allocated },
    rows: heights.map((height) => [height, ledger.rewardAt(height), ledger.supplyAt(height)])
  }
}

const blocks = () => {
  const { block, entries } = firstBlock()
  const { ledger: rules } = specOf("cairn")
  const halvings = [0, 1, 2_100_000, 2_100_001, 4_200_001, 60_900_000, 60_900_001, 63_000_001]
  const capped: LedgerRules = { ...rules, supplyMax: amount(1_000), reward: amount(300), rewardHalvingBlocks: 0 }
  return {
    about: "Blocks, chain specs and supply, docs/protocol.md. The block stands on the genesis of the preset dev.",
    genesis: Object.keys(presets)
      .sort()
      .map((name) => {
        const spec = specOf(name)
        const { header } = makeRules(spec).genesis
        return {
          preset: name,
          spec: formatSpec(spec),
          spec_hash: toHex(specHash(spec)),
          header: toHex(header.bytes),
          hash: header.id
        }
      }),
    block: {
      bytes: toHex(encodeBlock(block)),
      hash: block.header.id,
      transaction_ids: block.transactions.map(({ id }) => toHex(id)),
      extra: toHex(block.extra),
      state: entries.map(([key, value]) => [key, toHex(value)])
    },
    supply: [
      supplyOf("cairn: halved until nothing is left", rules, 0, halvings),
      supplyOf("cut off at the largest supply", capped, 250, [0, 1, 2, 3, 4]),
      supplyOf("lua-blockchain: never halved", specOf("lua-blockchain").ledger, 0, [1, 1_000_000])
    ]
  }
}

/** The element i of made filters: u32 i and sixteen zeros. */
const elementOf = (i: number): Uint8Array => {
  const out = new Uint8Array(20)
  writeU32(out, 0, i)
  return out
}

const filterText = ({ bytes, places }: Filter) => ({
  places: [...places],
  bytes: toHex(bytes),
  filter_hash: toHex(filterHash(bytes))
})

const filterRefusal = (hash: BlockHash, name: string, hex: string) => {
  const decoded = decodeFilter(hash, fromHex(hex)!)
  if (Result.isSuccess(decoded)) throw new Error(`a filter: ${name}`)
  return { name, bytes: hex, what: decoded.failure.what }
}

const filters = () => {
  const hash = sha256(new Uint8Array([0])) as Uint8Array as BlockHash
  const made = { none: [], one: [7], "two at one place": [757, 1872], many: Array.from({ length: 300 }, (_, i) => i) }
  const many = makeFilter(hash, made.many.map(elementOf))
  let previous = filterHeaderStart
  const chain = [dev.genesis, firstBlock().block].map((block) => {
    const elements = blockElements(block)
    const filter = makeFilter(block.header.hash, elements)
    previous = nextFilterHeader(previous, filterHash(filter.bytes))
    return {
      hash: block.header.id,
      elements: elements.map(toHex),
      ...filterText(filter),
      filter_header: toHex(previous)
    }
  })
  return {
    about: "Block filters, docs/protocol.md. Element i of a made filter is u32 i and sixteen zero bytes.",
    chain,
    made: {
      hash: toHex(hash),
      filters: Object.entries(made).map(([name, elements]) => ({
        name,
        elements,
        ...filterText(makeFilter(hash, elements.map(elementOf)))
      })),
      matches_many: [0, 299, 300, 301, 1_542_521, 1_542_522].map((i) => [i, matches(many, elementOf(i))])
    },
    refused: Object.entries({
      "no bytes": "",
      "a count longer than need be": "fd0100000010",
      "a count of 64 bits": "ff0100000000000000000010",
      "more elements than a filter may hold": "fe26490200",
      "cut off": "010000",
      "bytes after the end": "0100001000",
      "a byte after the end that the length allows": `08${"00".repeat(21)}`,
      "a place out of its range": "01c00000",
      "filling that is not zero": "01000011"
    }).map(([name, hex]) => filterRefusal(hash, name, hex))
  }
}

/** Three headers on the genesis, packed: with transactions and extra data, with neither, and one whose time goes back. */
const packedPages = () => {
  const { genesis } = makeRules(specOf("dev"))
  const nothing = sha256(new Uint8Array(0))
  const wishes = [
    {
      transactionRoot: sha256(utf8("transactions")),
      extraHash: sha256(utf8("extra")),
      later: 1_000,
      nonce: 9_007_199_254_740_991
    },
    { transactionRoot: nothing, extraHash: nothing, later: 70_000, nonce: 0 },
    { transactionRoot: sha256(utf8("more")), extraHash: nothing, later: -64, nonce: 16_384 }
  ]
  const headers = [genesis.header]
  for (const { later, ...rest } of wishes) {
    const before = headers.at(-1)!
    const height = (before.height + 1) as Height
    const time = (before.time + later) as Millis
    const stateRoot = sha256(utf8(`state ${height}`))
    headers.push(
      makeHeader({ ...before, ...rest, height, time, stateRoot, previous: before.hash, proposer: alice.address })
    )
  }
  const [parent, ...rows] = headers.map(({ bytes }) => bytes)
  return [{ parent: parent!, rows, bytes: packPage(parent!, rows) }]
}

/** A hello and one frame of each kind, docs/protocol.md "Peers". The key is the first of the mnemonic. */
const peers = () => {
  const key = accountKey(devMnemonic, 0)
  const binding = Uint8Array.from({ length: 32 }, (_, i) => i)
  const { genesis } = makeRules(specOf("dev"))
  const hello = {
    version: 1,
    chainId: "cairn-dev",
    genesis: genesis.header.hash,
    nodeId: nodeIdOf(key.publicKey),
    publicKey: key.publicKey,
    endpoint: "127.0.0.1:19100",
    agent: "cairn/0.1.0",
    capabilities: ["headers-first", "transactions"],
    gossip: "127.0.0.1:19090",
    gossipKey: Uint8Array.from({ length: 32 }, (_, i) => 255 - i),
    url: "http://127.0.0.1:8080",
    time: 1_795_219_200_000,
    nonce: new Uint8Array(16).fill(7)
  }
  const { hash, bytes } = genesis.header
  const sealed = new TestChain(testSpec({ authorities: 5, chainId: "cairn-dev" }))
  const evidence = offenceOf(sealed, { by: 1, now: sealed.now })
  const messages: ReadonlyArray<Message> = [
    { tag: "STS", height: 0, work: toTarget(256n), tip: hash },
    { tag: "PNG", nonce: 7 },
    { tag: "PON", nonce: 7 },
    { tag: "GHD", request: 1, locator: [hash], limit: 2000 },
    { tag: "HDR", request: 1, headers: bytes },
    { tag: "GBL", request: 2, hashes: [hash] },
    { tag: "BLK", request: 2, block: encodeBlock(genesis) },
    { tag: "NFD", request: 2, hashes: [hash] },
    { tag: "INV", transactions: [hash] },
    { tag: "GTX", request: 3, hashes: [hash] },
    { tag: "TXN", request: 3, transactions: [new Uint8Array([1, 2, 3])] },
    { tag: "GPR", request: 4 },
    { tag: "PRS", request: 4, peers: [{ endpoint: "127.0.0.1:19100", nodeId: hello.nodeId }] },
    { tag: "REJ", code: "seal-wrong", message: "no", blame: "peer", about: hash },
    { tag: "BYE", reason: "the node stops" },
    { tag: "EVD", evidence: encodeEvidence(evidence) },
    { tag: "GPH", request: 5, locator: [hash], limit: 2000 },
    { tag: "PHD", request: 5, after: hash, page: packedPages()[0]!.bytes },
    { tag: "GPF", request: 6, of: key.address },
    { tag: "GPF", request: 6, of: hash },
    { tag: "GPF", request: 6, of: encodeOutpoint({ id: asHash(hash) as TransactionId, index: 1 }) },
    { tag: "PRF", request: 6, proof: new Uint8Array([1, 2, 3]) },
    { tag: "GFH", request: 7, start: 0, every: 1000, stop: hash },
    { tag: "FHD", request: 7, headers: hash },
    { tag: "GFL", request: 8, start: 0, stop: hash },
    { tag: "FLT", request: 8, filters: [makeFilter(hash, []).bytes] },
    { tag: "GVT", above: 20 },
    { tag: "VOT", votes: [sampleVote.bytes] }
  ]
  return {
    about: "Peers, docs/protocol.md: a hello under a given binding, and a frame of each message.",
    hello: {
      secret: toHex(key.secret),
      binding: toHex(binding),
      node_id: hello.nodeId,
      frame: toHex(encodeFrame({ tag: "HEY", body: makeHello(hello, key, binding) })),
      frame_over_libp2p: toHex(encodeFrame({ tag: "HEY", body: makeProvenHello(hello) }))
    },
    evidence: {
      chain_id: hello.chainId,
      genesis_time: sealed.rules.spec.genesis.time,
      slot_ms: sealed.rules.spec.difficulty.blockMs,
      authority: toHex(evidence.authority),
      slot: evidence.slot,
      bytes: toHex(encodeEvidence(evidence))
    },
    packed_headers: packedPages().map(({ parent, rows, bytes }) => ({
      parent: toHex(parent),
      headers: rows.map(toHex),
      page: toHex(bytes)
    })),
    frames: messages.map((message) => ({ tag: message.tag, frame: toHex(encodeFrame(encodeMessage(message))) }))
  }
}

/** What a node tells a discovery service, signed by the first key of the mnemonic; and places that are refused. */
const discovery = () => {
  const key = accountKey(devMnemonic, 0)
  const time = 1_795_219_200_000
  const shared = { chainId: "cairn-dev", genesis: sha256(utf8("a genesis")), time }
  const statements = [
    makeStatement({ action: "register", ...shared, endpoint: "192.0.2.7:19100", expires: time + 300_000 }, key),
    makeStatement({ action: "register", ...shared, endpoint: "[2001:db8::7]:19100", expires: time + 1 }, key),
    makeStatement({ action: "remove", ...shared, endpoint: "", expires: time }, key)
  ]
  const places = ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "127.0.0.1:1", "localhost:1", "[fe80::1]:1", "0:1", "127.1:1", "A:1", "a"]
  return {
    about: "Discovery, docs/protocol.md: statements signed by the first key of address.json, and where some endpoints are.",
    statements: statements.map((statement) => {
      const bytes = encodeWords(statement, statement.publicKey)
      return {
        bytes: toHex(bytes),
        hash: toHex(sha256(concat(utf8("cairn/discovery"), bytes))),
        command: formatCommand({ command: statement.action === "register" ? "add" : "remove", statement })
      }
    }),
    places: places.map((endpoint) => [endpoint, placeOf(endpoint)])
  }
}

/** What a node says of itself to another by HTTP, signed by the first key of the mnemonic. */
const words = () => {
  const key = accountKey(devMnemonic, 0)
  const shared = { chainId: "cairn-dev", genesis: sha256(utf8("a genesis")), height: 12, work: 1n << 70n, time: 1_795_219_200_000 }
  const places = { endpoint: "192.0.2.7:19100", nodeUrl: "https://a.example/cairn", gossipEndpoint: "" }
  const said = [
    makePeerWord({ kind: "update", ...shared, ...places, error: "", nonce: sha256(utf8("a")).slice(0, 16) }, key),
    makePeerWord({ kind: "failure", ...shared, ...places, error: "no route ✗", nonce: sha256(utf8("b")).slice(0, 16) }, key)
  ]
  return {
    about: "By HTTP, docs/protocol.md: what a node says of itself, signed by the first key of address.json.",
    words: said.map((word) => {
      const bytes = encodePeerWords(word, word.publicKey)
      return {
        kind: word.kind,
        bytes: toHex(bytes),
        hash: toHex(sha256(concat(utf8("cairn/peer-word"), bytes))),
        body: formatPeerWord(word)
      }
    })
  }
}

/** Announcements of the first two keys of the mnemonic, and one under the seal of two X25519 keys. */
const gossip = () => {
  const [key, other] = [accountKey(devMnemonic, 0), accountKey(devMnemonic, 1)]
  const genesis = sha256(utf8("a genesis"))
  const time = 1_795_219_200_000
  const shared = { chainId: "cairn-dev", time, hopsMax: 3, height: 7, work: toTarget(1_792n), tip: sha256(utf8("a tip")) }
  const announcements = [
    {
      ...shared,
      publicKey: key.publicKey,
      sequence: time,
      endpoint: "192.0.2.7:19100",
      gossipEndpoint: "192.0.2.7:19090",
      entries: ["192.0.2.8:19100", "[2001:db8::7]:19100", "node.example:19100"]
    },
    { ...shared, publicKey: other.publicKey, sequence: 1, endpoint: "", gossipEndpoint: "", entries: [] }
  ].map((said, i) => ({ said, bytes: makeAnnouncement(said, genesis, i === 0 ? key : other) }))
  const [from, to] = [gossipKeyOf(sha256(utf8("from"))), gossipKeyOf(sha256(utf8("to")))]
  const box = makeBox(from, to.publicKey, genesis)!
  const packet = concat(new Uint8Array([1]), announcements[0]!.bytes)
  const nonce = Uint8Array.from({ length: 12 }, (_, i) => i)
  return {
    about: "Gossip, docs/protocol.md: announcements signed by the first keys of address.json, and a packet in both forms.",
    genesis: toHex(genesis),
    announcements: announcements.map(({ said, bytes }) => ({
      chain_id: said.chainId,
      node_id: nodeIdOf(said.publicKey),
      sequence: said.sequence,
      time: said.time,
      hops_max: said.hopsMax,
      height: said.height,
      work: toHex(said.work),
      tip: toHex(said.tip),
      endpoint: said.endpoint,
      gossip_endpoint: said.gossipEndpoint,
      entries: said.entries,
      bytes: toHex(bytes)
    })),
    seal: {
      from_secret: toHex(from.secret),
      from_public: toHex(from.publicKey),
      to_secret: toHex(to.secret),
      to_public: toHex(to.publicKey),
      key: toHex(box.out.key),
      hint: toHex(box.out.hint),
      nonce: toHex(nonce),
      packet: toHex(packet),
      plain: toHex(concat(new Uint8Array([forms.plain]), packet)),
      sealed: toHex(sealPacket(box, packet, nonce))
    }
  }
}

/** Every file of docs/vectors that this program makes, by name, as it stands on disk. */
export const makeVectors = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({
      address: addresses(),
      transfer: transfers(),
      payment: payments(),
      header: headers(),
      merkle: trees(),
      block: blocks(),
      filter: filters(),
      proof: proofs(),
      peer: peers(),
      signing: signings(),
      discovery: discovery(),
      words: words(),
      gossip: gossip(),
      authority: authorities(),
      finality: finality()
    }).map(([name, content]) => [`${name}.json`, `${JSON.stringify(content, null, 1)}\n`])
  )

export const vectorsFolder = join(import.meta.dir, "../../docs/vectors")

if (import.meta.main) {
  for (const [name, content] of Object.entries(makeVectors())) await Bun.write(join(vectorsFolder, name), content)
}
