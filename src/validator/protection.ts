/**
 * What an authority's key has signed, so that it never signs two blocks for one slot, nor checkpoint votes that contradict
 * each other: numbers that only grow, as the minimal form of EIP-3076 has them. They are on disk before a signature is given.
 */
import { Result } from "effect"

/** What was signed last. A key that never signed has all at -1. */
export interface Signed {
  /** Highest slot of a sealed header. */
  readonly slot: number
  /** Highest source and target height of a checkpoint vote. */
  readonly source: number
  readonly target: number
}

export const nothingSigned: Signed = { slot: -1, source: -1, target: -1 }

/** What the key is asked to sign next. */
export type ToSign =
  | { readonly kind: "seal"; readonly slot: number }
  /** Heights, and the slot of the target. */
  | { readonly kind: "vote"; readonly source: number; readonly target: number; readonly slot: number }

/** Why a signature is not given. In docs/errors.md. */
export const unsignedCodes = [
  "slot-signed",
  "slot-ahead",
  "vote-signed",
  "vote-malformed",
  "header-malformed",
  "header-foreign",
  "book-unsaved",
  "kind-unknown",
  "line-malformed",
  "signer-away",
  "signer-refused",
  "signer-listening",
  "doppelganger"
] as const

export interface Unsigned {
  readonly code: (typeof unsignedCodes)[number]
  readonly message: string
}

const refuse = (code: Unsigned["code"], message: string): Result.Result<never, Unsigned> =>
  Result.fail({ code, message })

/** What will have been signed, or why it may not be. `startSlot`: nobody votes for a target up to this slot. */
export const mayBeSigned = (
  signed: Signed,
  next: ToSign,
  startSlot = nothingSigned.slot
): Result.Result<Signed, Unsigned> => {
  if (next.kind === "seal") {
    return next.slot > signed.slot
      ? Result.succeed({ ...signed, slot: next.slot })
      : refuse("slot-signed", `slot ${next.slot} is not above slot ${signed.slot}, which is signed already`)
  }
  const { source, target, slot } = next
  if (source >= target) return refuse("vote-malformed", `a vote leads from height ${source} to ${target}`)
  if (target <= signed.target)
    return refuse("vote-signed", `target ${target} is not above target ${signed.target}, which is signed already`)
  if (source < signed.source)
    return refuse("vote-signed", `source ${source} is below source ${signed.source}: one vote would surround the other`)
  if (slot <= startSlot)
    return refuse("vote-signed", `the target is of slot ${slot}: up to slot ${startSlot} an earlier run may have voted`)
  return Result.succeed({ ...signed, source, target })
}
