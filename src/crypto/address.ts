/** Addresses: 20 bytes derived from a public key, written as bech32m with a checksum (BIP 350), so typos burn no coins (L-T4). */
import type { Brand } from "effect"

/** The first 20 bytes of the tagged SHA-256 of a compressed public key. */
export type Address = Uint8Array & Brand.Brand<"Address">
