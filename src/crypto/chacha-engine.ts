/**
 * The engines of ChaCha20-Poly1305 that are not JavaScript, and the choice among all: the prebuilt binary that the npm package
 * `sodium-native` ships, and the own kernel in WebAssembly. docs/decisions/0032-aead.md says why these.
 *
 * The .node file is required by a literal path: so `bun build --compile` embeds it, and nothing of the package's own loader runs.
 */
import { assert } from "../assert.ts"
import {
  type AeadEngine,
  type AeadName,
  aeadBesideBytesMax,
  aeadBytesMax,
  aeadKeyBytes,
  aeadTagBytes,
  assertAead,
  checkAead,
  nobleAead
} from "./chacha.ts"
import { besideBytesMax, chachaKernel, dataAt, dataBytesMax, keyAt, nonceAt, stateAt } from "./chacha-kernel.ts"

export type AeadChoice = "auto" | AeadName

/**
 * What the addon offers: bytes that it wrote, or -1. Nothing beside is `undefined`: over `null` the addon crashes the process.
 * A length that is wrong would be written beyond; so all of them are asserted first.
 */
interface Sodium {
  readonly crypto_aead_chacha20poly1305_ietf_encrypt: (
    out: Uint8Array,
    plain: Uint8Array,
    beside: Uint8Array | undefined,
    nonce: Uint8Array,
    key: Uint8Array
  ) => number
  readonly crypto_aead_chacha20poly1305_ietf_decrypt: (
    out: Uint8Array,
    sealed: Uint8Array,
    beside: Uint8Array | undefined,
    nonce: Uint8Array,
    key: Uint8Array
  ) => number
}

/** Literal paths, so that the compiled binary holds them; a platform that cannot load its file falls through. */
const loadSodium = (): Sodium | undefined =>
  process.platform === "linux" && process.arch === "x64"
    ? require("../../node_modules/sodium-native/prebuilds/linux-x64/sodium-native.node")
    : process.platform === "linux" && process.arch === "arm64"
      ? require("../../node_modules/sodium-native/prebuilds/linux-arm64/sodium-native.node")
      : process.platform === "darwin" && process.arch === "arm64"
        ? require("../../node_modules/sodium-native/prebuilds/darwin-arm64/sodium-native.node")
        : undefined

const makeSodium = (): AeadEngine | undefined => {
  const sodium = loadSodium()
  if (sodium === undefined) return undefined
  const { crypto_aead_chacha20poly1305_ietf_encrypt: encrypt, crypto_aead_chacha20poly1305_ietf_decrypt: decrypt } =
    sodium
  return {
    name: "sodium-native",
    key: (given) => {
      assert(given.length === aeadKeyBytes, "a key is 32 bytes")
      const key = given.slice()
      return {
        seal: (nonce, beside, plain, out) => {
          assertAead(nonce, beside, plain.length, out.length)
          const written = encrypt(out, plain, beside.length === 0 ? undefined : beside, nonce, key)
          assert(written === out.length, "libsodium seals all of it")
        },
        open: (nonce, beside, sealed, out) => {
          assertAead(nonce, beside, out.length, sealed.length)
          return decrypt(out, sealed, beside.length === 0 ? undefined : beside, nonce, key) === out.length
        }
      }
    }
  }
}

interface Kernel {
  readonly memory: WebAssembly.Memory
  readonly seal: (beside: number, length: number) => void
  readonly open: (beside: number, length: number) => number
}

/** The constants of ChaCha20's state, "expand 32-byte k". */
const constants = new TextEncoder().encode("expand 32-byte k")
const pad = (length: number): number => (16 - (length % 16)) % 16

/** All keys share one memory: a call is done before the next one begins. */
const makeWasm = (): AeadEngine => {
  assert(besideBytesMax === aeadBesideBytesMax && dataBytesMax === aeadBytesMax, "the kernel has room for the longest")
  const kernel = new WebAssembly.Instance(new WebAssembly.Module(chachaKernel())).exports as unknown as Kernel
  const memory = new Uint8Array(kernel.memory.buffer)
  memory.set(constants, stateAt)
  const prepare = (key: Uint8Array, nonce: Uint8Array, beside: Uint8Array): void => {
    memory.set(key, keyAt)
    memory.set(nonce, nonceAt)
    if (beside.length === 0) return
    const start = dataAt - pad(beside.length)
    memory.fill(0, start, dataAt)
    memory.set(beside, start - beside.length)
  }
  return {
    name: "wasm",
    key: (given) => {
      assert(given.length === aeadKeyBytes, "a key is 32 bytes")
      const key = given.slice()
      return {
        seal: (nonce, beside, plain, out) => {
          assertAead(nonce, beside, plain.length, out.length)
          prepare(key, nonce, beside)
          memory.set(plain, dataAt)
          kernel.seal(beside.length, plain.length)
          out.set(memory.subarray(dataAt, dataAt + out.length))
        },
        open: (nonce, beside, sealed, out) => {
          assertAead(nonce, beside, out.length, sealed.length)
          prepare(key, nonce, beside)
          memory.set(sealed, dataAt)
          if (kernel.open(beside.length, sealed.length - aeadTagBytes) !== 0) return false
          out.set(memory.subarray(dataAt, dataAt + out.length))
          return true
        }
      }
    }
  }
}

const makers: Readonly<Record<AeadName, () => AeadEngine | undefined>> = {
  "sodium-native": makeSodium,
  wasm: makeWasm,
  noble: () => nobleAead
}
const made = new Map<AeadName, AeadEngine | undefined>()

/** One engine, if it loads here and passes its check. One that throws on the way does not load. Made once. */
export const loadAeadNamed = (name: AeadName): AeadEngine | undefined => {
  if (made.has(name)) return made.get(name)
  let engine: AeadEngine | undefined
  try {
    const candidate = makers[name]()
    engine = candidate !== undefined && checkAead(candidate) ? candidate : undefined
  } catch {
    engine = undefined
  }
  made.set(name, engine)
  return engine
}

/** The engine asked for, or under "auto" the fastest that loads. Undefined: the one asked for does not. */
export const loadAead = (choice: AeadChoice): AeadEngine | undefined =>
  choice === "auto" ? (loadAeadNamed("sodium-native") ?? loadAeadNamed("wasm") ?? nobleAead) : loadAeadNamed(choice)
