/** Bytes that no one can guess. A door: the tests' world puts seeded ones behind it. */
import { randomBytes } from "node:crypto"
import { Context } from "effect"

export const Random = Context.Reference<(length: number) => Uint8Array>("io/random", {
  defaultValue: () => (length) => new Uint8Array(randomBytes(length))
})
