/**
 * SHA-256, by the fastest engine that runs here: Bun's own where there is Bun, @noble/hashes in the page.
 * Both are the same function of their bytes, so this is as pure as an addition.
 */
import { sha256 as noble } from "@noble/hashes/sha2.js"
import type { Brand } from "effect"

/** 32 bytes that came out of SHA-256. */
export type Hash32 = Uint8Array & Brand.Brand<"Hash32">

const native = (globalThis as { Bun?: { SHA256: { hash(b: Uint8Array, out: Uint8Array): Uint8Array } } }).Bun?.SHA256

/** SHA-256 of `bytes` into `out` (32 bytes), for loops that must not allocate. */
export const sha256Into: (bytes: Uint8Array, out: Uint8Array) => void =
  native !== undefined ? (bytes, out) => void native.hash(bytes, out) : (bytes, out) => out.set(noble(bytes))

/** SHA-256 of `bytes`. */
export const sha256 = (bytes: Uint8Array): Hash32 => {
  const out = new Uint8Array(32)
  sha256Into(bytes, out)
  return out as Hash32
}

/** The hash of nothing known: 32 zero bytes, the previous hash of a genesis block and the root of an empty tree. */
export const zeroHash = new Uint8Array(32) as Hash32

/** Takes 32 bytes of another origin (the wire, the store) as a hash. */
export const asHash = (bytes: Uint8Array): Hash32 => bytes as Hash32

/**
 * A hash of its own for one purpose, so that no two purposes ever hash the same bytes: SHA-256(t ‖ t ‖ message) with
 * t = SHA-256(tag), as in BIP 340, "Tagged hashes". `bytesMax`: of the longest message.
 */
export const taggedHash = (tag: string, bytesMax: number): ((message: Uint8Array) => Hash32) => {
  const head = sha256(new TextEncoder().encode(tag))
  const scratch = new Uint8Array(64 + bytesMax)
  scratch.set(head)
  scratch.set(head, 32)
  return (message) => {
    scratch.set(message, 64)
    return sha256(scratch.subarray(0, 64 + message.length))
  }
}
