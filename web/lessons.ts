/** The course: seven lessons, each with a picture, facts of the node that serves it, and a word to check; and the glossary. */
import type { ReplyOf } from "../src/http/contract.ts"
import {
  drawArchitecture,
  drawFork,
  drawGates,
  drawMining,
  drawOverview,
  drawReview,
  drawTransaction
} from "./pictures.ts"
import { money, short } from "./text.ts"
import type { ChainFacts } from "./wallet.ts"

/** What the node says of itself now. */
export interface Live {
  readonly facts: ChainFacts
  readonly info: ReplyOf<"info">
  readonly stats: ReplyOf<"stats">["stats"]
}

export interface Lesson {
  readonly name: string
  readonly text: ReadonlyArray<string>
  readonly draw: (live: Live) => SVGElement
  readonly facts: (live: Live) => ReadonlyArray<readonly [string, string]>
  /** What somebody may say who has understood. */
  readonly finding: string
}

const time = (ms: number | null): string => (ms === null ? "not known yet" : `${ms.toFixed(1)} s`)
const can = ({ info }: Live, name: string): string => (info.capabilities[name] === true ? "yes" : "no")
/** Leading bits that a hash must have as zeros, from the prefix in hex. */
const bitsOf = ({ stats }: Live): number => 4 * stats.tip_difficulty_prefix.length

export const lessons: ReadonlyArray<Lesson> = [
  {
    name: "Overview",
    text: [
      "A blockchain is a list of blocks that many nodes keep alike without trusting one another. Each block " +
        "holds transactions and the hash of the block before it, so that no past one can be changed unseen.",
      "This page shows one node. It checks everything itself: what others tell it is a claim until its own " +
        "rules have said yes."
    ],
    draw: ({ stats }) =>
      drawOverview([stats.blocks - 3, stats.blocks - 2, stats.blocks - 1].filter((height) => height >= 0)),
    facts: ({ facts, info, stats }) => [
      ["chain", facts.chainId],
      ["height", String(stats.blocks - 1)],
      ["tip", short(stats.last_block_hash)],
      ["sealed by", info.meta.consensus],
      ["state", stats.state.name]
    ],
    finding: "I can say why a changed block would be noticed."
  },
  {
    name: "Architecture",
    text: [
      "The node is one process of actors. An actor owns its data, takes one message at a time out of a " +
        "mailbox with a bound, and never waits for another: there are no locks to forget.",
      "The rules are functions of values, without clock, chance or disk. They run alike in the node, in " +
        "this page and in a simulation of many nodes."
    ],
    draw: drawArchitecture,
    facts: ({ info, stats }) => [
      ["program", `cairn ${info.service.version}`],
      ["storage", info.meta.storage_engine],
      ["fork choice", info.meta.fork_choice],
      ["mode", info.service.mode],
      ["routes", String(Object.keys(info.api).length)],
      ["state since", new Date(stats.state.since).toLocaleTimeString()]
    ],
    finding: "I can name the only actor that decides which block is the tip."
  },
  {
    name: "Transactions",
    text: [
      "Whoever has the key of an address signs what leaves it. The signature covers everything, the name of " +
        "the chain included, so it is worth nothing elsewhere and not a letter can be changed.",
      "A transaction waits in the pool until a block takes it. Those of one sender keep their order; those " +
        "that pay more go first otherwise."
    ],
    draw: drawTransaction,
    facts: ({ facts, info, stats }) => [
      ["money", facts.model === "utxo" ? "coins" : "accounts"],
      ["waiting", String(stats.pending_transactions)],
      ["confirmed", String(stats.committed_transactions)],
      ["least fee", `${money(info.meta.limits["min_transaction_fee"] ?? 0, facts)} ${facts.symbol}`],
      ["a block holds", `${info.meta.limits["max_transactions_per_block"] ?? "–"}`]
    ],
    finding: "I can say what stops somebody from sending my payment twice."
  },
  {
    name: "Mining",
    text: [
      "With proof of work a block counts if its hash is below a target. Nobody knows a better way than " +
        "trying. The header that is hashed names the transactions, the parent and who is paid: work for one " +
        "block is no work for another.",
      "The target follows the pace of the last blocks. On a chain of authorities a rota takes the place of " +
        "the search: in each slot one of them leads, and signs."
    ],
    draw: (live) => drawMining(bitsOf(live)),
    facts: ({ facts, stats }) => [
      ["target", stats.tip_difficulty_prefix === "" ? "any hash" : `${stats.tip_difficulty_prefix}…`],
      ["wished pace", time(stats.target_block_seconds)],
      ["pace", time(stats.average_block_time_seconds)],
      ["reward", `${money(stats.mining_reward, facts)} ${facts.symbol}`],
      ["this node", stats.mining ? `${(stats.hashes_per_second / 1e6).toFixed(2)} MH/s` : "searches only when asked"]
    ],
    finding: "I can say why a found proof cannot be stolen for another block."
  },
  {
    name: "Consensus",
    text: [
      "Two blocks may be found at once. Nodes then follow the branch that took more work; of equals, the " +
        "one they saw first. The other branch is undone block by block, and its transactions wait again.",
      "Headers come first and must prove their work before a body is asked for, so a liar cannot make this " +
        "node download."
    ],
    draw: drawFork,
    facts: ({ stats }) => [
      ["work so far", stats.cumulative_work],
      ["height", `${stats.sync.height} of ${stats.sync.target_height}`],
      ["peers", `${stats.peers} of ${stats.known_peers} known`],
      ["final up to", stats.final_height === undefined ? "nothing is final: depth counts" : String(stats.final_height)]
    ],
    finding: "I can say what becomes of a payment whose branch loses."
  },
  {
    name: "Security",
    text: [
      "Whatever comes from outside is a claim: from peers, programs and this page. It is bounded before it " +
        "is read, proven before it is believed, and priced if it is wrong.",
      "Peers speak over TLS and sign who they are for that very connection. Only what is proven so changes " +
        "a peer's standing."
    ],
    draw: drawGates,
    facts: (live) => [
      ["admin token", can(live, "admin_authentication")],
      ["rate limits", can(live, "rate_limiting")],
      ["peers' secret", can(live, "peer_authentication")],
      ["server makes keys", can(live, "server_wallets")],
      ["banned peers", String(live.stats.peer_states.banned)]
    ],
    finding: "I can say why an unsigned datagram must not lift a ban."
  },
  {
    name: "Review",
    text: [
      "Do not believe this page: check it. Ask two nodes of different operators for the same block, keep a " +
        "proof and let another program judge it, run the tests, read the rules.",
      "What is known to be weak is written down: a key in this page is as safe as the machine that shows " +
        "it, and no safer; a new network with little work can be outrun by whoever has more; and nobody from " +
        "outside has reviewed this program yet."
    ],
    draw: drawReview,
    facts: ({ info, stats }) => [
      ["genesis", short(info.meta.genesis)],
      ["tip", short(stats.last_block_hash)],
      ["known weaknesses", "3, in the text"],
      ["lessons", "7"]
    ],
    finding: "I have compared this node's tip with that of another node."
  }
]

/** Terms by their first letter; docs/glossary.md has more of them. */
export const glossary: ReadonlyArray<readonly [string, string]> = [
  ["address", "The short name of a key: who can be paid. It has a checksum, so a typo is noticed."],
  ["block", "Transactions, and a header that commits to all of them and to the block before."],
  ["confirmation", "A block on top. The more there are, the more work it takes to undo what is below."],
  ["fork", "Two blocks with one parent. One of them ends up on the best branch."],
  ["genesis", "The first block. It follows from the chain's spec, and names the chain."],
  ["hash", "32 bytes that stand for a text: easy to compute, not to be aimed at."],
  ["mempool", "Valid transactions that no block has taken yet."],
  ["nonce", "The number of a sender's transfer, so that none counts twice; in a header, what the search changes."],
  ["peer", "Another node that this one has a session with."],
  ["proof", "Hashes that lead from a transaction or a balance up to a header: enough to check it alone."],
  ["target", "What a block's hash must not exceed."],
  ["work", "How many tries a branch has taken on average. The most wins."]
]
