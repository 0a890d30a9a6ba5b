/**
 * The book of a key as a file has it, and what a process may do with it. The file alone is not enough: a backup of it is
 * older than what was signed since. So no header of the slot in which the process started, or before, is sealed or voted for:
 * an earlier run may have signed up to then. See docs/decisions/0023.
 */
import { Result } from "effect"
import { toHex, utf8 } from "../codec/bytes.ts"
import { type RotaRule, slotOf } from "../consensus/rota.ts"
import { sha256 } from "../crypto/hash.ts"
import { nothingSigned, type Signed } from "./protection.ts"
import type { SignedBook } from "./signer.ts"

/** Whose book it is: a key signs for one chain only, and the book of another says nothing about it. */
export interface BookOwner {
  /** As text. */
  readonly address: string
  readonly chainId: string
  /** Hex of the genesis hash. */
  readonly genesis: string
}

/** Why a file is no book of this owner. */
export interface BookFault {
  readonly code: "signed-malformed" | "signed-mismatch"
  readonly message: string
}

const version = 1

const checkOf = (owner: BookOwner, { slot, source, target }: Signed): string =>
  toHex(
    sha256(utf8(JSON.stringify([version, owner.address, owner.chainId, owner.genesis, slot, source, target])))
  ).slice(0, 16)

/** The text of the file. */
export const formatBook = (owner: BookOwner, { slot, source, target }: Signed): string => {
  const { address, chainId, genesis } = owner
  const check = checkOf(owner, { slot, source, target })
  return `${JSON.stringify({ version, address, chainId, genesis, slot, source, target, check }, null, 2)}\n`
}

/** What was signed, by the text of the file. A file that somebody or a disk has changed is none. */
export const parseBook = (text: string, owner: BookOwner): Result.Result<Signed, BookFault> => {
  const malformed = Result.fail({ code: "signed-malformed", message: "it is damaged, or no protection file" } as const)
  let json: Partial<BookOwner & Signed & { readonly version: unknown; readonly check: unknown }> | null
  try {
    json = JSON.parse(text)
  } catch {
    return malformed
  }
  if (typeof json !== "object" || json === null || json.version !== version) return malformed
  const { address, chainId, genesis, slot, source, target, check } = json
  const numbers = [slot, source, target].every((value) => Number.isSafeInteger(value) && value! >= -1)
  const texts = [address, chainId, genesis, check].every((value) => typeof value === "string")
  if (!numbers || !texts) return malformed
  const signed = { slot: slot!, source: source!, target: target! }
  const written = { address: address!, chainId: chainId!, genesis: genesis! }
  if (check !== checkOf(written, signed)) return malformed
  for (const part of ["address", "chainId", "genesis"] as const) {
    if (written[part] !== owner[part])
      return Result.fail({
        code: "signed-mismatch",
        message: `it is for ${part} ${written[part]}, not ${owner[part]}`
      })
  }
  return Result.succeed(signed)
}

/**
 * The slot up to which an earlier run of a key may have signed, by the clock of now: whoever judges its headers lets its
 * clock be ahead by `futureMs`.
 */
export const startSlotOf = (rota: RotaRule, now: number, futureMs: number): number =>
  Math.max(nothingSigned.slot, slotOf(rota, now + futureMs))

/** The book of a process that starts: what the file says, and nothing up to the start slot. `write` is done when it returns. */
export const startedBook = (saved: Signed, startSlot: number, write: (signed: Signed) => void): SignedBook => {
  let signed: Signed = { ...saved, slot: Math.max(saved.slot, startSlot) }
  return {
    load: () => signed,
    startSlot,
    save: (next) => {
      write(next)
      signed = next
    }
  }
}
