/** Keys of simulations, the same in every run. */
import { equal, utf8 } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"

/** The i-th wallet's key. */
export const walletKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated wallet ${i}`)))
/** The i-th node's key. */
export const nodeKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated node ${i}`)))

/** Authorities of a simulated chain that no node is, at most: they seal what liars want. */
export const traitorsMax = 4
const traitors = new Array<Keypair>()
/** The key of the i-th authority that lies. */
export const traitorKey = (i: number): Keypair => (traitors[i] ??= keypairOf(sha256(utf8(`simulated traitor ${i}`))))
/** The key of an authority that lies, by its address. */
export const traitorAt = (address: Address): Keypair | undefined =>
  Array.from({ length: traitorsMax }, (_, i) => traitorKey(i)).find((key) => equal(key.address, address))

/** The i-th liar's key. */
export const liarKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated liar ${i}`)))
