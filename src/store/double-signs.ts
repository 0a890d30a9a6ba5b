/**
 * Looks at each header that is offered for a second one of its authority and slot: among those seen lately, and among those
 * stored, so that a restart forgets nothing. Two different headers under right seals are an offence, whatever else is wrong
 * with them; two seals of one header are not.
 */
import { chainTag, type Header } from "../block/header.ts"
import { ancestryOf, type ChainReader } from "../chain/reader.ts"
import type { BlockRejectCode } from "../chain/reject.ts"
import type { Rules } from "../chain/rules.ts"
import { assert } from "../assert.ts"
import { placeOf } from "../consensus/authorities.ts"
import type { AuthorRules } from "../consensus/consensus.ts"
import { type Evidence, evidenceOf } from "../consensus/evidence.ts"
import { isSealed } from "../block/seal.ts"
import { SeenSeals } from "../consensus/seen.ts"
import type { EvidenceBook } from "./evidence.ts"
import type { SealIndex } from "./seals.ts"

export interface DoubleSignsStore extends Pick<ChainReader, "find" | "bestAt" | "tip"> {
  readonly seals: Pick<SealIndex, "first">
  readonly evidence: Pick<EvidenceBook, "wants">
}

export class DoubleSigns {
  private readonly author: AuthorRules
  private readonly tag: number
  private readonly store: DoubleSignsStore
  private readonly seen: SeenSeals

  constructor({ consensus, spec }: Rules, store: DoubleSignsStore) {
    assert(consensus.author !== undefined, "only authorities can sign twice")
    this.author = consensus.author
    this.tag = chainTag(spec.ledger.chainId)
    this.store = store
    this.seen = new SeenSeals(consensus.author.rota)
  }

  get bounds() {
    return [{ of: "seen-seals", used: this.seen.size, max: this.seen.max }]
  }

  /** What a header proves together with one that came before it, and is not kept yet. `refused`: why it was not taken; undefined: it was. */
  look(header: Header, refused: BlockRejectCode | undefined): Evidence | undefined {
    if (refused !== undefined && !this.isSigned(header, refused)) return undefined
    const before = this.seen.first(header) ?? this.store.seals.first(header)
    if (before === undefined) {
      this.seen.see(header)
      return undefined
    }
    const evidence = evidenceOf(this.author.rota, before, header)
    return evidence !== undefined && this.store.evidence.wants(evidence) ? evidence : undefined
  }

  /** A refused header counts if an authority of now has sealed it. The signature is checked last: it costs the most. */
  private isSigned(header: Header, refused: BlockRejectCode): boolean {
    if (header.version !== 2 || header.chainTag !== this.tag || refused === "signature-wrong") return false
    const now = this.author.authorities(ancestryOf(this.store, this.store.tip().header))
    return placeOf(now, header.proposer) >= 0 && isSealed(header)
  }
}
