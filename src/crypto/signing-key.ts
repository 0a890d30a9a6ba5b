/** What a key that signs offers, whatever its kind; and chance for a new one. */
import { Bug } from "../assert.ts"

/** A key pair that signs whole messages: the scheme hashes them where it hashes. Read once, kept for as long as it is used. */
export interface SigningKey {
  /** As the scheme writes it: see its file. */
  readonly publicKey: Uint8Array
  readonly secret: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** Bytes of chance. */
export type RandomBytes = (length: number) => Uint8Array

/** Chance of the operating system. The simulator forbids it: there a world gives its own. */
export const systemRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length))

const attemptsMax = 64

/** 32 bytes of chance that are a secret: for both curves of 256 bits nearly all are. */
export const freshSecret = (random: RandomBytes, isSecret: (bytes: Uint8Array) => boolean): Uint8Array => {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const secret = random(32)
    if (isSecret(secret)) return secret
  }
  throw new Bug("chance gives a secret in 64 attempts")
}
