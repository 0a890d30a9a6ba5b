/** Authorities of the tests: signers that remember what they signed, and blocks that a dishonest one seals beside its own. */
import type { Block } from "../src/block/block.ts"
import type { Header } from "../src/block/header.ts"
import { type Evidence, evidenceOf } from "../src/consensus/evidence.ts"
import type { Ballot } from "../src/miner/template.ts"
import { makeTemplate } from "../src/miner/template.ts"
import { slotOf, slotStart } from "../src/consensus/rota.ts"
import { utf8 } from "../src/codec/bytes.ts"
import { nothingSigned } from "../src/validator/protection.ts"
import { localSigner, type Signer } from "../src/validator/signer.ts"
import { firstAuthority, keyOf, seal, type TestChain } from "./fixtures.ts"

/** The i-th authority's signer, honest in this life. */
export const signerOf = (i: number): Signer => {
  let signed = nothingSigned
  return localSigner(keyOf(firstAuthority + i), { load: () => signed, save: (next) => void (signed = next) })
}

/** A block of an authority on the tip, in its next turn from `now` on; blocks of one slot differ by their text. */
export const sealedBy = (
  { rules, store }: Pick<TestChain, "rules" | "store">,
  wish: { readonly by: number; readonly now: number; readonly text?: string; readonly ballot?: Ballot }
): Block =>
  seal(
    makeTemplate({
      rules,
      reader: store,
      candidates: [],
      proposer: keyOf(firstAuthority + wish.by).address,
      now: wish.now,
      extra: utf8(wish.text ?? ""),
      ...(wish.ballot === undefined ? {} : { ballot: wish.ballot })
    })
  )

/** Proof that an authority has sealed twice in its next turn on the tip. */
export const offenceOf = (
  chain: Pick<TestChain, "rules" | "store">,
  wish: { readonly by: number; readonly now: number }
): Evidence => {
  const [a, b] = ["one", "two"].map((text) => sealedBy(chain, { ...wish, text }).header) as [Header, Header]
  return evidenceOf(chain.rules.consensus.author!.rota, a, b)!
}

/** When the slot after a time's begins. */
export const nextSlot = ({ rules }: Pick<TestChain, "rules">, now: number): number => {
  const { rota } = rules.consensus.author!
  return slotStart(rota, slotOf(rota, now) + 1)
}
