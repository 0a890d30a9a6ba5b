/** Chains of authorities for docs/vectors: in and out of turn, votes, a conviction, and what is refused with which code. */
import { type Block, encodeBlock, extraHashOf } from "../../src/block/block.ts"
import { formatSpec } from "../../src/block/genesis.ts"
import { type AuthorityFields, type Header, type HeaderFields, makeHeader, sealDigest } from "../../src/block/header.ts"
import { packPage } from "../../src/block/packed.ts"
import { sealHash, sealHeader } from "../../src/block/seal.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { encodeEvidence, type Evidence } from "../../src/consensus/evidence.ts"
import { type RotaRule, slotOf, turnIn } from "../../src/consensus/rota.ts"
import type { Address } from "../../src/crypto/address.ts"
import type { Millis } from "../../src/ledger/transaction.ts"
import { about, authoritiesOf, conviction, doubleSign, land, nextBlock } from "../rota.ts"
import { firstAuthority, forge, keyOf, seal, specOf, TestChain, transfer } from "../fixtures.ts"

/** Who is voted in, and who never was an authority. */
const newcomer = 300
const stranger = 301

/** With room for evidence in a block. */
const specWith = (authority: NonNullable<Parameters<typeof specOf>[0]>["authority"]) => {
  const spec = specOf({ authorities: 5, authority: authority! })
  return { ...spec, block: { ...spec.block, extraBytesMax: 1024 } }
}
const membersText = (chain: TestChain): ReadonlyArray<string> => authoritiesOf(chain).members.map(toHex)

const headerRow = ({ rules }: TestChain, { bytes, hash, time }: Header) => ({
  slot: slotOf(rules.consensus.author!.rota, time),
  header: toHex(bytes),
  seal_digest: toHex(sealDigest(bytes)),
  hash: toHex(hash),
  signed: toHex(sealHash(hash))
})

/** A chain block by block, with what each leaves behind. */
const tell = (chain: TestChain) => {
  const rows: Array<ReturnType<typeof rowOf>> = []
  const rowOf = (name: string, block: Block) => ({
    ...{ name, height: block.header.height, ...headerRow(chain, block.header), block: toHex(encodeBlock(block)) },
    weight: block.header.authority!.weight,
    cumulative_work: String(chain.store.tip().work),
    members: membersText(chain),
    convicted: [...authoritiesOf(chain).convicted].sort()
  })
  const add = (name: string, how: Parameters<typeof land>[1] = {}): void =>
    void rows.push(rowOf(name, land(chain, how)))
  return { rows, add, taken: (name: string, block: Block) => void rows.push(rowOf(name, block)) }
}

const story = () => {
  const chain = new TestChain(specWith({ voteBlocks: 20 }))
  const { rows, add, taken } = tell(chain)
  taken("in turn, with a transfer", chain.mine(1, [transfer({ from: 0, to: 1, nonce: 1 })])[0]!)
  add("out of turn, by the next in line", { rank: 1 })
  chain.now += 2_000
  add("after two slots that nobody sealed, by the last in line", { rank: 4 })
  for (const name of ["the first vote to admit", "the second", "the third, which carries it"])
    add(name, { ballot: about("admit", newcomer) })
  const evidence = doubleSign(chain)
  add("a conviction, which counts at once", { rank: 1, ballot: conviction(evidence) })
  add("in turn, by the new rota")
  add("a vote to expel, which stands alone", { ballot: about("expel", newcomer) })
  return { chain, rows, evidence }
}

/** A header of the next block as its sealer would not make it, sealed by who it names. */
const bent = (block: Block, fields: Partial<HeaderFields>, authority: Partial<AuthorityFields> = {}): Header =>
  forge(block, { ...fields, authority: { ...block.header.authority!, ...authority } }).header

/** Headers on the tip that break a rule, each by one thing. */
const refusedHeaders = (chain: TestChain, guilty: Address): ReadonlyArray<readonly [string, Header, string]> => {
  const parent = chain.store.tip().header
  const good = nextBlock(chain)
  const time = good.header.time
  const early = nextBlock(chain, { rank: 1 })
  const start = (early.header.time - 500) as Millis
  const { signature, publicKey } = good.header.authority!
  const flipped = signature.slice()
  flipped[63]! ^= 1
  const { authority: _, ...plain } = good.header
  const member = keyOf(newcomer).address
  const none = new Uint8Array(20) as Uint8Array as Address
  const withSeal = (seal: Partial<AuthorityFields>): Header =>
    makeHeader({ ...good.header, authority: { ...good.header.authority!, ...seal } })
  return [
    ["version 1", makeHeader({ ...plain, version: 1 }), "version-unsupported"],
    ["the slot of the parent", bent(good, { time: (parent.time + 1) as Millis }), "time-too-early"],
    ["by one who never was an authority", bent(good, { proposer: keyOf(stranger).address }), "signer-unknown"],
    ["by one who was convicted", bent(good, { proposer: guilty }), "signer-unknown"],
    ["weight 1 in turn", bent(good, {}, { weight: 1 }), "turn-wrong"],
    ["weight 2 out of turn", bent(early, {}, { weight: 2 }), "turn-wrong"],
    ["weight 0", bent(good, {}, { weight: 0 }), "turn-wrong"],
    [
      "out of turn, a millisecond before its delay is over",
      bent(early, { time: (early.header.time - 1) as Millis }),
      "turn-early"
    ],
    ["out of turn, at the start of the slot", bent(early, { time: start }), "turn-early"],
    ["a vote to admit an authority", bent(good, {}, { vote: "admit", subject: member }), "vote-wrong"],
    ["a vote to admit one who was convicted", bent(good, {}, { vote: "admit", subject: guilty }), "vote-wrong"],
    [
      "a vote to expel one who is no authority",
      bent(good, {}, { vote: "expel", subject: keyOf(stranger).address }),
      "vote-wrong"
    ],
    ["a subject without a vote", bent(good, {}, { subject: member }), "vote-wrong"],
    ["a vote about nobody", bent(good, {}, { vote: "expel", subject: none }), "vote-wrong"],
    ["another last vote", bent(good, {}, { lastVote: good.header.authority!.lastVote - 1 }), "vote-wrong"],
    ["one bit of the signature", withSeal({ signature: flipped }), "signature-wrong"],
    ["another's key", sealHeader(good.header, keyOf(stranger)), "signature-wrong"],
    [
      "the seal of another header",
      makeHeader({
        ...good.header,
        time: (time + 1) as Millis,
        authority: { ...good.header.authority!, signature, publicKey }
      }),
      "signature-wrong"
    ]
  ]
}

/** Blocks on the tip whose headers are right, and whose bodies are not what these ask for. */
const refusedBlocks = (chain: TestChain, evidence: Evidence) => {
  const { members } = authoritiesOf(chain)
  const convicting = (extra: Uint8Array): Block => {
    const block = nextBlock(chain)
    const subject = members.find((one) => toHex(one) !== toHex(block.header.proposer))!
    const authority = { ...block.header.authority!, vote: "convict" as const, subject }
    return seal({ ...block, extra, header: makeHeader({ ...block.header, extraHash: extraHashOf(extra), authority }) })
  }
  return [
    ["a conviction without evidence", convicting(new Uint8Array(0)), "evidence-wrong"],
    ["a conviction with evidence against another", convicting(encodeEvidence(evidence)), "evidence-wrong"]
  ] as const
}

const wrongEvidence = (chain: TestChain, { first, second }: Evidence) => {
  const { header: next } = nextBlock(chain)
  const unsealed = makeHeader({ ...second, authority: { ...second.authority!, signature: first.authority!.signature } })
  return {
    "the higher hash first": [second, first],
    "one header twice": [first, first],
    "another signer's header": [first, next],
    "a seal that does not hold": [first, unsealed]
  }
}

/** Chains that do not want every block, and what they refuse on their genesis. */
const pacedChains = () => {
  const refusal = (name: string, authority: Parameters<typeof specWith>[0], code: string) => {
    const chain = new TestChain(specWith(authority))
    const { spec, genesis } = chain.rules
    return {
      name,
      spec: formatSpec(spec),
      genesis: genesis.header.id,
      block: toHex(encodeBlock(nextBlock(chain))),
      code
    }
  }
  return [
    refusal("empty, where no block may be", { allowEmpty: false }, "block-empty"),
    refusal(
      "a second after its parent, with less than two transactions",
      { pace: { pendingMin: 2, idleMs: 60_000 } },
      "block-hasty"
    )
  ]
}

/** Turns of some rotas in a slot, place by place. */
const rotas = () =>
  [
    [1, 1_000, 500, 7],
    [2, 1_000, 999, 8],
    [5, 15_000, 1_000, 1_234_567],
    [7, 2_000, 0, 20],
    [256, 10_000, 3_333, 255]
  ].map(([count, slotMs, outOfTurnMs, slot]) => {
    const rule: RotaRule = { genesisTime: 1_795_219_200_000, slotMs: slotMs!, outOfTurnMs: outOfTurnMs! }
    const turns = Array.from({ length: count! }, (_, place) => turnIn(rule, count!, place, slot!))
    return {
      ...{ authorities: count, slot_ms: slotMs, out_of_turn_ms: outOfTurnMs, genesis_time: rule.genesisTime, slot },
      turns: turns.map(({ weight, from }) => [weight, from])
    }
  })

/** docs/vectors/authority.json. */
export const authorities = () => {
  const { chain, rows, evidence } = story()
  const { spec, genesis } = chain.rules
  const page = rows.map(({ height }) => chain.store.bestAt(height)!.header.bytes)
  return {
    about:
      "Authorities, docs/protocol.md. Block by block with the list after each; headers and blocks that are refused on its tip; evidence; turns. Blocks 1 to the last follow on the genesis.",
    spec: formatSpec(spec),
    genesis: { hash: genesis.header.id, header: toHex(genesis.header.bytes) },
    secrets: [...Array.from({ length: 5 }, (_, i) => firstAuthority + i), newcomer, stranger].map((i) => ({
      address: toHex(keyOf(i).address),
      secret: toHex(keyOf(i).secret)
    })),
    chain: rows,
    packed: { parent: toHex(genesis.header.bytes), page: toHex(packPage(genesis.header.bytes, page)) },
    refused_headers: refusedHeaders(chain, evidence.authority).map(([name, header, code]) => ({
      ...{ name, code, header: toHex(header.bytes) }
    })),
    refused_blocks: refusedBlocks(chain, evidence).map(([name, block, code]) => ({
      ...{ name, code, block: toHex(encodeBlock(block)) }
    })),
    paced: pacedChains(),
    evidence: {
      authority: toHex(evidence.authority),
      slot: evidence.slot,
      bytes: toHex(encodeEvidence(evidence)),
      refused: Object.entries(wrongEvidence(chain, evidence)).map(([name, [a, b]]) => ({
        name,
        bytes: toHex(a!.bytes) + toHex(b!.bytes)
      }))
    },
    rotas: rotas()
  }
}
