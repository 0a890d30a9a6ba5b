/** Who signs for a node that seals: the role that the operator chose, the key or the socket, and the file that protects it. */
import { dirname, join, resolve } from "node:path"
import { Effect, Option, type Scope } from "effect"
import { ancestryOf } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import type { NodeConfig } from "../config.ts"
import { equal, toHex } from "../codec/bytes.ts"
import { placeOf } from "../consensus/authorities.ts"
import { type Address, formatAddress } from "../crypto/address.ts"
import { accountKey, devMnemonic, type Keypair } from "../crypto/keys.ts"
import { exists, readText, writeFile } from "../io/files.ts"
import { dialUnix } from "../io/unix.ts"
import { signerLineBytesMax, signerStartMsMax } from "../limits.ts"
import { hasSealed, openBook } from "../store/signed-book.ts"
import type { ChainStore } from "../store/store.ts"
import { type BookOwner, startSlotOf } from "../validator/book.ts"
import { RemoteSigner } from "../validator/remote.ts"
import type { SignedBook } from "../validator/signer.ts"
import { localSigner, type Signer } from "../validator/signer.ts"
import { type Sighting, watched } from "../validator/watch.ts"
import { attempt } from "./attempt.ts"
import { type Failure, failure } from "./failure.ts"
import { optional, passphraseOf, yes } from "./flags.ts"
import { devKey, openKeyFile } from "./keys.ts"

export const roles = ["basic", "validator"] as const

/** What the operator said about sealing where authorities do it. */
export interface SealingWish {
  /** Undefined: basic; of a development node that is an authority, validator. */
  readonly role: (typeof roles)[number] | undefined
  /** A key file, or dev:N. */
  readonly key: string | undefined
  /** Of the key file. */
  readonly passphrase: string
  /** unix:PATH. */
  readonly signer: string | undefined
  readonly signed: string | undefined
  readonly newSigned: boolean
  readonly resume: boolean
}

/** Nothing was said. */
export const noSealingWish: SealingWish = {
  role: undefined,
  key: undefined,
  passphrase: "",
  signer: undefined,
  signed: undefined,
  newSigned: false,
  resume: false
}

export const bookFlags = {
  signed: optional("signed", "Protection file of the key; default: ADDRESS.signed.json beside the key file"),
  newSignedFile: yes(
    "new-signed-file",
    "Make a new protection file for a key that was used before: only if the old one is lost"
  ),
  passphraseFile: optional("passphrase-file", "File with the key file's passphrase; else it is asked for")
}

/** The passphrase of a key, if it has one. */
export const passphraseFor = (key: string | undefined, file: Option.Option<string>) =>
  key === undefined || devKey(key) !== undefined ? Effect.succeed("") : passphraseOf(file, false)

const usage = (code: string, message: string, hint?: string): Failure => failure("usage", code, message, hint)

/** The key that a wish names: a file's, or with `dev` a development account's. Throws Failure. */
export const openAuthorityKey = async (
  { key, passphrase }: { readonly key: string; readonly passphrase: string },
  dev: boolean
): Promise<{ readonly keypair: Keypair; readonly path: string | undefined }> => {
  const public_ = devKey(key)
  if (public_ === undefined) return { keypair: await openKeyFile(key, passphrase), path: resolve(key) }
  if (dev) return { keypair: public_, path: undefined }
  throw usage(
    "dev-key-public",
    `${key} is a public key of development: anybody may sign with it.`,
    "Name a key file, or add --dev."
  )
}

/** Whose book a key needs here. */
export const ownerOf = ({ spec, genesis }: Rules, address: Address): BookOwner => ({
  address: formatAddress(address, spec.addressPrefix),
  chainId: spec.ledger.chainId,
  genesis: genesis.header.id
})

/** The protection file of an address in a folder. */
export const bookPathIn = (folder: string, { address }: BookOwner): string => join(folder, `${address}.signed.json`)

/** The start slot of a process that starts now. */
export const startSlotNow = ({ spec, consensus }: Rules, now: number): number =>
  startSlotOf(consensus.author!.rota, now, spec.time.futureMsMax)

interface Around {
  readonly rules: Rules
  readonly store: ChainStore
  readonly config: NodeConfig
  readonly now: () => number
}

/** Is this node to seal? Throws Failure for flags that contradict each other or the chain. */
const isValidator = ({ rules, config }: Pick<Around, "rules" | "config">, wish: SealingWish): boolean => {
  const named = wish.key !== undefined || wish.signer !== undefined
  const { authority, ledger } = rules.spec
  if (authority === undefined) {
    if (wish.role !== "validator" && !named) return false
    throw usage(
      "role-needs-authorities",
      `The chain "${ledger.chainId}" has no authorities: whoever does the work may seal.`,
      "Leave out --role validator and its key; --mine-threads 2 mines."
    )
  }
  if (config.mining.proposer !== undefined)
    throw usage("mine-to-unneeded", "--mine-to: on a chain of authorities who seals gets reward and fees.")
  if (wish.key !== undefined && wish.signer !== undefined)
    throw usage("authority-key-double", "--authority-key and --signer: the key is here or behind the socket, not both.")
  if (wish.role !== "validator" && named)
    throw usage("role-missing", "A key or a signer goes with --role validator; a basic node never seals.")
  const first = accountKey(devMnemonic, 0).address
  if (wish.role === undefined) return config.dev && authority.members.some((member) => equal(member, first))
  if (wish.role === "validator" && !named && !config.dev)
    throw usage(
      "authority-key-missing",
      "--role validator: which key seals?",
      "Name --authority-key FILE or --signer unix:PATH."
    )
  return wish.role === "validator"
}

const local = ({ rules, store, config, now }: Around, wish: SealingWish): Effect.Effect<Signer, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { keypair, path } = yield* attempt(() =>
      openAuthorityKey({ key: wish.key ?? "dev:0", passphrase: wish.passphrase }, config.dev)
    )
    const owner = ownerOf(rules, keypair.address)
    const folder = path === undefined ? config.dataDir : dirname(path)
    const open = attempt(() =>
      openBook({
        path: wish.signed ?? bookPathIn(folder, owner),
        keyPath: path,
        owner,
        startSlot: startSlotNow(rules, now()),
        isNew: wish.newSigned,
        wasUsed: () => hasSealed(store.db, keypair.address)
      })
    )
    const { book } = yield* Effect.acquireRelease(open, ({ release }) => Effect.sync(release))
    return localSigner(keypair, book satisfies SignedBook)
  })

const remote = ({ rules }: Around, wish: SealingWish): Effect.Effect<Signer, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const path = /^unix:(.+)$/.exec(wish.signer!)?.[1]
    if (path === undefined) return yield* usage("signer-invalid", `--signer: "${wish.signer}" is not unix:PATH.`)
    if (wish.signed !== undefined || wish.newSigned)
      return yield* usage(
        "signed-unneeded",
        "With --signer the protection file is the signer's: give its flags to cairn signer."
      )
    const asker = new RemoteSigner(
      {
        dial: (handlers) => dialUnix(path, signerLineBytesMax, handlers),
        after: (ms, call) => {
          const timer = setTimeout(call, ms)
          return () => clearTimeout(timer)
        }
      },
      { chainId: rules.spec.ledger.chainId, genesis: rules.genesis.header.id }
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => asker.start()),
      () => Effect.sync(() => asker.stop())
    )
    for (let waited = 0; waited < signerStartMsMax; waited += 50) {
      const signer = asker.signer()
      if (signer !== undefined) return signer
      yield* Effect.sleep(50)
    }
    return yield* failure(
      "unreachable",
      "signer-away",
      `No signer for this chain answers at ${path}: ${asker.reason}.`,
      `Start it: cairn signer --key FILE --socket ${path} --spec …`
    )
  })

/** Where a sighting is kept from one start to the next. */
const sightingPath = ({ dataDir }: NodeConfig): string => join(dataDir, "doppelganger.json")
const sightingBytesMax = 4_096

/** What an earlier run saw. A file that cannot be read was a sighting too: only the operator may settle it. */
const loadSighting = (config: NodeConfig, address: string): Sighting | undefined => {
  const path = sightingPath(config)
  if (!exists(path)) return undefined
  try {
    const { address: whose, slot, hash } = JSON.parse(readText(path, sightingBytesMax))
    if (whose !== address) return undefined
    return { slot: Number(slot), hash: String(hash) }
  } catch {
    return { slot: -1, hash: "unknown" }
  }
}

const saveSighting = (config: NodeConfig, address: string, sighting: Sighting | undefined): void =>
  writeFile(sightingPath(config), `${JSON.stringify(sighting === undefined ? {} : { address, ...sighting })}\n`)

/** Says what the operator should know of a key that is no authority: it may become one, or never more. */
const sayMembership = ({ rules, store }: Around, address: Address, name: string): Effect.Effect<void> => {
  const now = rules.consensus.author!.authorities(ancestryOf(store, store.tip().header))
  if (now.convicted.has(toHex(address)))
    return Effect.logError(`${name} was convicted of sealing a slot twice: it never seals again on this chain`)
  return placeOf(now, address) >= 0
    ? Effect.void
    : Effect.logWarning(
        `${name} is no authority of this chain as it is known here: it seals from when it is admitted by vote`
      )
}

/** The signer of this node, and the watch over it; undefined: it does not seal. Held until the scope ends. */
export const openSigner = (
  around: Around,
  wish: SealingWish
): Effect.Effect<Signer | undefined, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { rules, config, now } = around
    if (!(yield* attempt(() => isValidator(around, wish)))) return undefined
    const inner = yield* wish.signer === undefined ? local(around, wish) : remote(around, wish)
    const name = formatAddress(inner.address, rules.spec.addressPrefix)
    yield* sayMembership(around, inner.address, name)
    if (wish.resume) yield* attempt(() => saveSighting(config, name, undefined))
    const { rota } = rules.consensus.author!
    const members = rules.consensus.author!.authorities(ancestryOf(around.store, around.store.tip().header)).members
    return watched(inner, {
      rota,
      startSlot: startSlotNow(rules, now()),
      // A development node that knows nobody hears nobody.
      listenSlots: config.dev && (config.peers?.seeds ?? []).length === 0 ? 0 : members.length,
      seen: yield* attempt(() => loadSighting(config, name)),
      found: (sighting) => {
        try {
          saveSighting(config, name, sighting)
        } catch {
          // Without room it is known until this process ends; the next one listens first, too.
        }
      }
    })
  })
