/** Addresses at which others say that they see us. One may lie, so several of different places must say the same. */
import { isPublic } from "../libp2p/address-facts.ts"
import type { Multiaddr } from "../libp2p/contract.ts"

/** Addresses that are watched, as in js. More: the one that was said longest ago goes. */
export const observedAddressesMax = 10
/** Places that must say the same until it is believed, as in go. */
export const observersNeeded = 4
/** Places that are remembered for an address. */
const observersMax = 32
/** Milliseconds that what was said holds, as in go. */
export const observedAgeMax = 2_400_000
/** Milliseconds that a proof holds, as in js. */
export const confirmedAgeMax = 600_000

export interface Observed {
  readonly multiaddr: Multiaddr
  /** Milliseconds since 1970 until which it is proven; 0: it is not. */
  readonly provenUntil: number
  readonly lastSaid: number
  readonly lastVerified: number
  /** Enough places say so. */
  readonly agreed: boolean
}

interface Watch {
  readonly multiaddr: Multiaddr
  /** When each place said so last. */
  readonly sites: Map<string, number>
  lastSaid: number
  lastVerified: number
  provenUntil: number
}

export class ObservedAddresses {
  private readonly watched = new Map<string, Watch>()
  private readonly now: () => number
  private readonly addressesMax: number

  constructor(now: () => number, addressesMax: number = observedAddressesMax) {
    this.now = now
    this.addressesMax = addressesMax
  }

  /** Somebody at `site` sees us there; undefined: nobody who counts. Addresses that not everybody can reach are passed over. */
  add(multiaddr: Multiaddr, site: string | undefined): void {
    if (!isPublic(multiaddr)) return
    const watch = this.watch(multiaddr)
    watch.lastSaid = this.now()
    if (site === undefined || (watch.sites.size >= observersMax && !watch.sites.has(site))) return
    watch.sites.set(site, this.now())
  }

  /** It was tried from elsewhere, and led to us. */
  confirm(multiaddr: Multiaddr): void {
    const watch = this.watch(multiaddr)
    watch.lastSaid = this.now()
    watch.lastVerified = this.now()
    watch.provenUntil = this.now() + confirmedAgeMax
  }

  remove(multiaddr: Multiaddr): void {
    this.watched.delete(multiaddr.toString())
  }

  all(): ReadonlyArray<Observed> {
    const now = this.now()
    for (const [text, { lastSaid, provenUntil }] of this.watched)
      if (Math.max(lastSaid + observedAgeMax, provenUntil) <= now) this.watched.delete(text)
    return [...this.watched.values()].map(({ multiaddr, sites, lastSaid, lastVerified, provenUntil }) => ({
      multiaddr,
      lastSaid,
      lastVerified,
      provenUntil: provenUntil > now ? provenUntil : 0,
      agreed: [...sites.values()].filter((said) => said + observedAgeMax > now).length >= observersNeeded
    }))
  }

  private watch(multiaddr: Multiaddr): Watch {
    const text = multiaddr.toString()
    const found = this.watched.get(text) ?? {
      multiaddr,
      sites: new Map(),
      lastSaid: 0,
      lastVerified: 0,
      provenUntil: 0
    }
    this.watched.delete(text)
    if (this.watched.size >= this.addressesMax) this.evict()
    this.watched.set(text, found)
    return found
  }

  /** The one that was said longest ago goes; what is believed goes last. */
  private evict(): void {
    const believed = new Set(
      this.all()
        .filter(({ agreed, provenUntil }) => agreed || provenUntil > 0)
        .map(({ multiaddr }) => multiaddr.toString())
    )
    const texts = [...this.watched.keys()]
    this.watched.delete(texts.find((text) => !believed.has(text)) ?? texts[0]!)
  }
}
