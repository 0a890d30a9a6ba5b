/** Keys of simulations, the same in every run. */
import { utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"

/** The i-th wallet's key. */
export const walletKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated wallet ${i}`)))
/** The i-th node's key. */
export const nodeKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated node ${i}`)))

/** The i-th liar's key. */
export const liarKey = (i: number): Keypair => keypairOf(sha256(utf8(`simulated liar ${i}`)))
