/** Who signs for an authority: a key in this process, or another process that holds it. Both keep what they have signed. */
import { Result } from "effect"
import type { Header } from "../block/header.ts"
import { sealHash } from "../block/seal.ts"
import { type Checkpoint, voteHash } from "../consensus/checkpoint.ts"
import type { AuthorRules } from "../consensus/consensus.ts"
import { slotOf } from "../consensus/rota.ts"
import type { Address } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign } from "../crypto/signature.ts"
import { mayBeSigned, type Signed, type ToSign, type Unsigned } from "./protection.ts"

/** A seal, as a header carries it. */
export interface Seal {
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** A vote that is asked for, on the chain of a genesis: from a justified checkpoint to a later one, whose slot it is. */
export interface VoteAsk {
  readonly genesis: Uint8Array
  readonly source: Checkpoint
  readonly target: Header
  readonly slot: number
}

export type Answered = (answer: Result.Result<Seal, Unsigned>) => void

/** Answers once, at once or later, or never if it is gone. */
export interface Signer {
  readonly address: Address
  readonly seal: (ask: { readonly slot: number; readonly header: Header }, answered: Answered) => void
  /** Hears each header that the chain takes: another may seal with this key. */
  readonly saw?: (header: Header) => void
  /** Why it would sign nothing of a slot, block or checkpoint; undefined: it would, or only asking can tell. */
  readonly idle?: (slot: number) => Unsigned | undefined
  readonly vote: (ask: VoteAsk, answered: Answered) => void
}

/** Why an authority seals nothing now, if somebody has to do something about it. */
export const unsealing = (
  author: Pick<AuthorRules, "rota"> | undefined,
  signer: Signer | undefined,
  now: number
): Unsigned | undefined => {
  const why = author && signer?.idle?.(slotOf(author.rota, now))
  return why?.code === "signer-listening" ? undefined : why
}

/** Where a key keeps what it has signed. `save` returns when that is on disk, and throws if it cannot be. */
export interface SignedBook {
  readonly load: () => Signed
  readonly save: (signed: Signed) => void
  /** No vote for a target up to this slot: an earlier run may have voted on it. Absent: there was none. */
  readonly startSlot?: number
}

/** Signs a hash if the book allows what it stands for; the book is written first, and if it cannot be, nothing is signed. */
export const signOnce = (
  key: Keypair,
  book: SignedBook,
  { next, hash }: { readonly next: ToSign; readonly hash: Uint8Array }
): Result.Result<Seal, Unsigned> =>
  Result.flatMap(mayBeSigned(book.load(), next, book.startSlot), (signed) => {
    try {
      book.save(signed)
    } catch (error) {
      const message = `what is signed could not be noted: ${error instanceof Error ? error.message : String(error)}`
      return Result.fail({ code: "book-unsaved", message })
    }
    return Result.succeed({ publicKey: key.publicKey, signature: sign(hash, key.secret) })
  })

/** A key in this process. */
export const localSigner = (key: Keypair, book: SignedBook): Signer => ({
  address: key.address,
  seal: ({ slot, header }, answered) =>
    answered(signOnce(key, book, { next: { kind: "seal", slot }, hash: sealHash(header.hash) })),
  vote: ({ genesis, source, target, slot }, answered) =>
    answered(
      signOnce(key, book, {
        next: { kind: "vote", source: source.height, target: target.height, slot },
        hash: voteHash(genesis, { source, target })
      })
    )
})
