/** Each reason to refuse a block, its stable code, and whose fault it is. */
import type { TransactionReject } from "../ledger/reject.ts"

/**
 * `peer`: no honest node sends this; the sender pays.
 * `nobody`: it may be true elsewhere (their clock, a branch we do not know yet).
 * `block` in `condemns` below: the hash itself is bad for ever, with all that builds on it.
 */
export type BlockBlame = "nobody" | "peer"

interface Verdict {
  readonly blame: BlockBlame
  /** True if the header's hash proves the block bad, so that it may be remembered as invalid. */
  readonly condemns: boolean
}

/** Stable codes. A body that does not match its header blames the sender and not the hash: another may have the true body. */
export const verdicts = {
  "block-malformed": { blame: "peer", condemns: false },
  "block-too-large": { blame: "peer", condemns: false },
  "version-unsupported": { blame: "peer", condemns: true },
  "chain-tag-mismatch": { blame: "peer", condemns: true },
  "height-wrong": { blame: "peer", condemns: true },
  "parent-unknown": { blame: "nobody", condemns: false },
  "parent-invalid": { blame: "peer", condemns: true },
  "known-invalid": { blame: "peer", condemns: true },
  "time-too-early": { blame: "peer", condemns: true },
  "time-too-far-ahead": { blame: "nobody", condemns: false },
  "target-wrong": { blame: "peer", condemns: true },
  "seal-wrong": { blame: "peer", condemns: true },
  "signer-unknown": { blame: "peer", condemns: true },
  "turn-wrong": { blame: "peer", condemns: true },
  "turn-early": { blame: "peer", condemns: true },
  "vote-wrong": { blame: "peer", condemns: true },
  // The hash does not cover the seal: another may have the true one.
  "signature-wrong": { blame: "peer", condemns: false },
  "evidence-wrong": { blame: "peer", condemns: true },
  "block-empty": { blame: "peer", condemns: true },
  "block-hasty": { blame: "peer", condemns: true },
  // Whoever sends it may not have heard the votes yet, as after a partition.
  "final-left": { blame: "nobody", condemns: false },
  "too-many-headers": { blame: "nobody", condemns: false },
  "transaction-root-wrong": { blame: "peer", condemns: false },
  "extra-hash-wrong": { blame: "peer", condemns: false },
  "extra-too-large": { blame: "peer", condemns: true },
  "extra-wrong": { blame: "peer", condemns: true },
  "too-many-transactions": { blame: "peer", condemns: true },
  "transaction-duplicate": { blame: "peer", condemns: true },
  "transaction-refused": { blame: "peer", condemns: true },
  "signature-invalid": { blame: "peer", condemns: true },
  "fees-overflow": { blame: "peer", condemns: true },
  "state-root-wrong": { blame: "peer", condemns: true }
} as const satisfies Record<string, Verdict>

export type BlockRejectCode = keyof typeof verdicts

export interface BlockReject {
  readonly code: BlockRejectCode
  readonly message: string
  /** The refused transaction behind `transaction-refused`. */
  readonly transaction?: { readonly index: number; readonly reject: TransactionReject }
}

/** Makes a refusal. */
export const reject = (code: BlockRejectCode, message: string): BlockReject => ({ code, message })
