/** Settings that a chain's spec decides: they make a new chain, and must agree with one that is there. */
import { blockTransactionsMax, noteBytesMax } from "../limits.ts"
import { chainId, coins, seconds, whole, zeros } from "./kind.ts"
import { wish } from "./setting.ts"

const preset = (value: string): string => `the chain's; of a new one ${value}`

/** Parameters of the chain. */
export const chainSettings = {
  chainId: wish(chainId, "BLOCKCHAIN_CHAIN_ID", preset("lua-blockchain-mainnet"), {
    file: "chain.id",
    chain: true,
    help: "Name of the chain, which every transaction carries"
  }),
  difficulty: wish(zeros, "BLOCKCHAIN_DIFFICULTY", preset("0000"), {
    file: "chain.difficulty",
    chain: true,
    help: "Leading hex zeros of the first blocks' hashes, written as zeros; four bits each"
  }),
  targetMs: wish(seconds(1, 86_400_000), "BLOCKCHAIN_TARGET_BLOCK_SECONDS", preset("30"), {
    file: "chain.target_block_seconds",
    chain: true,
    help: "Seconds from block to block that the difficulty aims at"
  }),
  windowBlocks: wish(whole(2, 10_000), "BLOCKCHAIN_DIFFICULTY_ADJUSTMENT_WINDOW", preset("10"), {
    file: "chain.difficulty_adjustment_window",
    chain: true,
    help: "Blocks after which the difficulty may move by one zero"
  }),
  prefixMin: wish(whole(1, 60), "BLOCKCHAIN_MIN_DIFFICULTY_PREFIX_LENGTH", preset("2"), {
    file: "chain.min_difficulty_prefix_length",
    chain: true,
    help: "Zeros that a hash has at least"
  }),
  prefixMax: wish(whole(1, 60), "BLOCKCHAIN_MAX_DIFFICULTY_PREFIX_LENGTH", preset("6"), {
    file: "chain.max_difficulty_prefix_length",
    chain: true,
    help: "Zeros that a hash must have at most"
  }),
  reward: wish(coins, "BLOCKCHAIN_REWARD", preset("1"), {
    file: "chain.reward",
    chain: true,
    help: "Coins of a block's reward"
  }),
  blockTransactions: wish(whole(1, blockTransactionsMax + 1), "BLOCKCHAIN_MAX_TRANSACTIONS_PER_BLOCK", preset("250"), {
    file: "chain.max_transactions_per_block",
    chain: true,
    help: "Transactions of a block, the reward counted as one"
  }),
  feeMin: wish(coins, "BLOCKCHAIN_MIN_TRANSACTION_FEE", preset("0.01"), {
    file: "chain.min_transaction_fee",
    chain: true,
    help: "Coins that a transfer pays at least"
  }),
  noteBytes: wish(whole(0, noteBytesMax), "BLOCKCHAIN_MAX_TRANSACTION_NOTE_BYTES", preset("280"), {
    file: "chain.max_transaction_note_bytes",
    chain: true,
    help: "Bytes of a transfer's note"
  })
}
