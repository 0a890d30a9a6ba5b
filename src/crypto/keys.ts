/** Keys: a secret, its public key and address; mnemonics (BIP 39) and their derivation (BIP 32). Entropy comes from outside. */
import { HDKey } from "@scure/bip32"
import * as bip39 from "@scure/bip39"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import { assert } from "../assert.ts"
import { type Address, addressOf } from "./address.ts"
import { publicKeyOf } from "./signature.ts"

export interface Keypair {
  /** 32 bytes, 1 to n - 1. */
  readonly secret: Uint8Array
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly address: Address
}

/** The mnemonic of every development node. Public: whoever reads this can spend what it holds. */
export const devMnemonic = "test test test test test test test test test test test junk"

/** The key pair of a valid secret. */
export const keypairOf = (secret: Uint8Array): Keypair => {
  const publicKey = publicKeyOf(secret)
  return { secret, publicKey, address: addressOf(publicKey) }
}

/** Words for 16 bytes (12 words) or 32 bytes (24 words) of entropy. */
export const makeMnemonic = (entropy: Uint8Array): string => bip39.entropyToMnemonic(entropy, wordlist)

/** Are these BIP 39 words with a right checksum? */
export const isMnemonic = (text: string): boolean => bip39.validateMnemonic(text, wordlist)

/** Where account `index` lies: the path of test networks, purpose 44. */
export const accountPath = (index: number): string => `m/44'/1'/0'/0/${index}`

const seedOf = (mnemonic: string): HDKey => HDKey.fromMasterSeed(bip39.mnemonicToSeedSync(mnemonic))

const keyAt = (seed: HDKey, index: number): Keypair => {
  const node = seed.derive(accountPath(index))
  assert(node.privateKey !== null, "a private derivation has a private key")
  return keypairOf(node.privateKey)
}

/** The key of account `index` of a valid mnemonic. */
export const accountKey = (mnemonic: string, index: number): Keypair => keyAt(seedOf(mnemonic), index)

/** The keys of its first accounts. The words are stretched once, which is most of the work. */
export const accountKeys = (mnemonic: string, count: number): ReadonlyArray<Keypair> => {
  const seed = seedOf(mnemonic)
  return Array.from({ length: count }, (_, index) => keyAt(seed, index))
}
