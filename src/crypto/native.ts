/**
 * The native signature engines: libsecp256k1 of the system through bun:ffi, and the prebuilt Node-API binary that the npm
 * package `secp256k1` ships. The node's side only; the page never loads this file.
 *
 * The .node file is required by a literal path: so `bun build --compile` embeds it. Through the package's own loader a
 * compiled binary would silently fall to JavaScript, 130 times slower.
 */
import { dlopen } from "bun:ffi"
import { assert } from "../assert.ts"
import { equal, fromHex } from "../codec/bytes.ts"
import {
  assertSecret,
  assertSignable,
  engine,
  nobleEngine,
  type SignatureEngine,
  useEngine,
  wellFormed
} from "./signature.ts"

export type EngineChoice = "auto" | SignatureEngine["name"]

const libraryNames = [
  "libsecp256k1.so.6",
  "libsecp256k1.so.5",
  "libsecp256k1.so.2",
  "libsecp256k1.so.1",
  "libsecp256k1.so.0"
]
/** SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY; newer versions ignore it. */
const contextFlags = 0x0301
/** SECP256K1_EC_COMPRESSED. */
const compressed = 0x0102

const symbols = {
  secp256k1_context_create: { args: ["u32"], returns: "ptr" },
  secp256k1_ec_pubkey_parse: { args: ["ptr", "ptr", "ptr", "u64"], returns: "i32" },
  secp256k1_ec_pubkey_create: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  secp256k1_ec_pubkey_serialize: { args: ["ptr", "ptr", "ptr", "ptr", "u32"], returns: "i32" },
  secp256k1_ecdsa_signature_parse_compact: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  secp256k1_ecdsa_signature_serialize_compact: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  secp256k1_ecdsa_verify: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  secp256k1_ecdsa_sign: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" }
} as const

const openLibrary = () => {
  for (const name of libraryNames) {
    try {
      return dlopen(name, symbols).symbols
    } catch {
      // Not this version; the next name, or none.
    }
  }
  return undefined
}

/**
 * libsecp256k1 where the system has it. One context and fixed buffers: calls are not re-entrant, and need not be.
 * Arrays are passed as they are, never as addresses taken before: an address does not keep its array alive, and a verdict
 * then comes out of freed memory (seen: one wrong "true" in 600, found by the differential fuzz).
 */
const makeLibrary = (): SignatureEngine | undefined => {
  const library = openLibrary()
  if (library === undefined) return undefined
  const context = library.secp256k1_context_create(contextFlags)
  const key = new Uint8Array(64)
  const parsed = new Uint8Array(64)
  return {
    name: "libsecp256k1",
    sign: (hash, secret) => {
      assertSignable(hash, secret)
      const out = new Uint8Array(64)
      assert(library.secp256k1_ecdsa_sign(context, parsed, hash, secret, null, null) === 1, "a valid secret signs")
      library.secp256k1_ecdsa_signature_serialize_compact(context, out, parsed)
      return out
    },
    verify: (hash, signature, publicKey) =>
      wellFormed(hash, signature, publicKey) &&
      library.secp256k1_ecdsa_signature_parse_compact(context, parsed, signature) === 1 &&
      library.secp256k1_ec_pubkey_parse(context, key, publicKey, 33) === 1 &&
      library.secp256k1_ecdsa_verify(context, parsed, hash, key) === 1,
    publicKey: (secret) => {
      assertSecret(secret)
      const out = new Uint8Array(33)
      const length = new BigUint64Array([33n])
      assert(library.secp256k1_ec_pubkey_create(context, key, secret) === 1, "a valid secret has a public key")
      library.secp256k1_ec_pubkey_serialize(context, out, length, key, compressed)
      return out
    }
  }
}

/** What the addon of the npm package offers: every call answers 0 for success. */
interface Addon {
  readonly ecdsaSign: (out: { signature: Uint8Array; recid: number }, hash: Uint8Array, secret: Uint8Array) => number
  readonly ecdsaVerify: (signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array) => number
  readonly publicKeyCreate: (out: Uint8Array, secret: Uint8Array) => number
}
type AddonClass = new () => Addon

/** Literal paths, so that the compiled binary holds them; a platform that cannot load its file falls through. */
const loadAddon = (): AddonClass | undefined => {
  const loaders: ReadonlyArray<() => { Secp256k1: AddonClass }> =
    process.platform === "linux" && process.arch === "x64"
      ? [
          () => require("../../node_modules/secp256k1/prebuilds/linux-x64/secp256k1.glibc.node"),
          () => require("../../node_modules/secp256k1/prebuilds/linux-x64/secp256k1.musl.node")
        ]
      : process.platform === "darwin" && process.arch === "arm64"
        ? [() => require("../../node_modules/secp256k1/prebuilds/darwin-arm64/secp256k1.node")]
        : []
  for (const load of loaders) {
    try {
      return load().Secp256k1
    } catch {
      // Wrong C library, or no writable folder to unpack it to: the next one.
    }
  }
  return undefined
}

const makeAddon = (): SignatureEngine | undefined => {
  const Class = loadAddon()
  if (Class === undefined) return undefined
  const addon = new Class()
  return {
    name: "secp256k1-node",
    sign: (hash, secret) => {
      assertSignable(hash, secret)
      const out = { signature: new Uint8Array(64), recid: 0 }
      assert(addon.ecdsaSign(out, hash, secret) === 0, "a valid secret signs")
      return out.signature
    },
    verify: (hash, signature, publicKey) =>
      wellFormed(hash, signature, publicKey) && addon.ecdsaVerify(signature, hash, publicKey) === 0,
    publicKey: (secret) => {
      assertSecret(secret)
      const out = new Uint8Array(33)
      assert(addon.publicKeyCreate(out, secret) === 0, "a valid secret has a public key")
      return out
    }
  }
}

/** A fixed case that noble signed: each engine must make the same signature, take it, and refuse its high-S twin. */
const selfCheck = (candidate: SignatureEngine): boolean => {
  const secret = new Uint8Array(32).fill(0x11)
  const hash = new Uint8Array(32).fill(0x22)
  const publicKey = nobleEngine.publicKey(secret)
  const signature = nobleEngine.sign(hash, secret)
  const order = BigInt("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
  const highS = (order - BigInt(`0x${signature.subarray(32).toHex()}`)).toString(16).padStart(64, "0")
  const twin = fromHex(signature.subarray(0, 32).toHex() + highS)!
  return (
    equal(candidate.publicKey(secret), publicKey) &&
    equal(candidate.sign(hash, secret), signature) &&
    candidate.verify(hash, signature, publicKey) &&
    !candidate.verify(hash, twin, publicKey) &&
    !candidate.verify(hash, new Uint8Array(64), publicKey) &&
    !candidate.verify(hash, signature, new Uint8Array(33).fill(2)) &&
    !candidate.verify(hash, signature.subarray(1), publicKey)
  )
}

const makers: Readonly<Record<SignatureEngine["name"], () => SignatureEngine | undefined>> = {
  libsecp256k1: makeLibrary,
  "secp256k1-node": makeAddon,
  noble: () => nobleEngine
}

/** One engine, if it loads here and passes its self-check. One that throws on the way does not load. */
export const loadEngineNamed = (name: SignatureEngine["name"]): SignatureEngine | undefined => {
  try {
    const candidate = makers[name]()
    return candidate !== undefined && selfCheck(candidate) ? candidate : undefined
  } catch {
    return undefined
  }
}

/** The engine asked for, or under "auto" the fastest that loads; docs/benchmarks.md has the figures of each. */
export const loadEngine = (choice: EngineChoice): SignatureEngine | undefined =>
  choice === "auto"
    ? (loadEngineNamed("libsecp256k1") ?? loadEngineNamed("secp256k1-node") ?? nobleEngine)
    : loadEngineNamed(choice)

let fastest: SignatureEngine | undefined

/** Loads it, which takes some 20 ms, and takes its place. */
const loaded = (): SignatureEngine => {
  fastest ??= loadEngine("auto")!
  useEngine(fastest)
  return fastest
}

/** The fastest engine, loaded when the first key of secp256k1 is met: most hosts have none. */
const whenNeeded: SignatureEngine = {
  get name() {
    return loaded().name
  },
  sign: (hash, secret) => loaded().sign(hash, secret),
  verify: (hash, signature, publicKey) => loaded().verify(hash, signature, publicKey),
  publicKey: (secret) => loaded().publicKey(secret)
}

/** For who uses the library alone: the fastest engine, unless one was chosen. */
export const useFastestEngine = (): void => {
  if (engine() === nobleEngine) useEngine(whenNeeded)
}
