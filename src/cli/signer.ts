/** `cairn signer`: a process that holds an authority's key and its protection file, and seals for the node that asks at its socket. */
import { dirname } from "node:path"
import { Clock, Effect, Logger, References } from "effect"
import { Command, Flag } from "effect/cli"
import { makeRules } from "../chain/rules.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { listenUnix, type UnixHandlers, type UnixLink } from "../io/unix.ts"
import { signerLineBytesMax, signerLinksMax } from "../limits.ts"
import { reached } from "../marks.ts"
import { openBook } from "../store/signed-book.ts"
import { answerTo, type Holder, lineRefused } from "../validator/serve.ts"
import { formatGreeting, parseAnswer } from "../validator/signing-lines.ts"
import { attempt } from "./attempt.ts"
import { bookFlags, bookPathIn, openAuthorityKey, ownerOf, passphraseFor, startSlotNow } from "./sealing.ts"
import { loadSpec } from "./data-folder.ts"
import { failure, type Failure } from "./failure.ts"
import { undefinedIfNone, yes } from "./flags.ts"
import { isTerminal, print, rows } from "./output.ts"
import { hearSignals } from "./signals.ts"

interface SignerWish {
  readonly key: string
  readonly passphrase: string
  readonly socket: string
  readonly spec: string
  readonly signed: string | undefined
  readonly newSigned: boolean
  readonly dev: boolean
}

/** Serves one connection after the other, each question at once. `say`: hears what was refused. */
const serve = (holder: Holder, say: (text: string) => void): ((link: UnixLink) => UnixHandlers) => {
  const { key, rules } = holder
  let links = 0
  return (link) => {
    const full = links >= signerLinksMax
    if (!full) links++
    const end = (): void => {
      link.write(lineRefused)
      link.end()
    }
    if (full) link.end()
    else
      link.write(
        formatGreeting({
          chainId: rules.spec.ledger.chainId,
          genesis: rules.genesis.header.id,
          publicKey: key.publicKey
        })
      )
    return {
      line: (text) => {
        const answer = answerTo(holder, text)
        if (answer === undefined) return end()
        const parsed = parseAnswer(answer)
        if (parsed !== undefined && "refused" in parsed) {
          reached("signature-refused")
          say(`not signed: ${parsed.refused.message} (${parsed.refused.code})`)
        }
        link.write(answer)
      },
      tooLong: () => void link.write(lineRefused),
      closed: () => void (full || links--)
    }
  }
}

const open = async (wish: SignerWish, now: () => number) => {
  useEngine(loadEngine("auto")!)
  const rules = makeRules(loadSpec(wish.spec))
  if (rules.consensus.author === undefined)
    throw failure("usage", "role-needs-authorities", `The chain "${rules.spec.ledger.chainId}" has no authorities.`)
  const { keypair, path } = await openAuthorityKey(wish, wish.dev)
  const owner = ownerOf(rules, keypair.address)
  const file = wish.signed ?? bookPathIn(dirname(path ?? wish.socket), owner)
  const startSlot = startSlotNow(rules, now())
  // The signer knows no chain: only the operator can tell whether the key has signed before.
  const { book, release } = openBook({
    path: file,
    keyPath: path,
    owner,
    startSlot,
    isNew: wish.newSigned,
    wasUsed: () => !wish.dev
  })
  return { holder: { rules, key: keypair, book, now } satisfies Holder, owner, file, release }
}

const run = (wish: SignerWish): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const untilSignal = yield* hearSignals
      const clock = yield* Clock.Clock
      const now = (): number => clock.currentTimeMillisUnsafe()
      const { holder, owner, file } = yield* Effect.acquireRelease(
        attempt(() => open(wish, now)),
        ({ release }) => Effect.sync(release)
      )
      const fork = Effect.runForkWith(yield* Effect.context<never>())
      const listening = attempt(() =>
        listenUnix(
          wish.socket,
          signerLineBytesMax,
          serve(holder, (text) => void fork(Effect.logWarning(text)))
        )
      )
      yield* Effect.acquireRelease(listening, ({ close }) => Effect.sync(close))
      const after = holder.book.load().slot
      const value = {
        ready: true,
        address: owner.address,
        chain: owner.chainId,
        genesis: owner.genesis,
        socket: wish.socket,
        signed: file,
        signs_after_slot: after
      }
      print(value, [
        `The signer of ${owner.address} is ready.`,
        ...rows([
          ["chain", `${owner.chainId}, genesis ${owner.genesis.slice(0, 16)}…`],
          ["socket", wish.socket],
          ["protection", file],
          ["seals", `slots after ${after}`]
        ]),
        `  Next: cairn start --role validator --signer unix:${wish.socket}`
      ])
      yield* untilSignal
    })
  )

/** Ends with success on SIGTERM or SIGINT. */
const signer = (wish: SignerWish): Effect.Effect<void, Failure> =>
  run(wish).pipe(
    Effect.provide(Logger.layer([isTerminal() ? Logger.consolePretty() : Logger.consoleJson])),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )

/** The command. */
export const signerCommand = Command.make(
  "signer",
  {
    key: Flag.String("key").pipe(Flag.withDescription("Key file of the authority; with --dev: dev:N")),
    socket: Flag.String("socket").pipe(Flag.withDescription("Where to listen: a path for a unix socket of mode 0600")),
    spec: Flag.String("spec").pipe(
      Flag.withDescription("Chain for which it signs: a file, such as spec.json of a data folder, or a preset")
    ),
    ...bookFlags,
    dev: yes("dev", "Allow the public keys of development")
  },
  (input) =>
    Effect.flatMap(passphraseFor(input.key, input.passphraseFile), (passphrase) =>
      signer({
        key: input.key,
        passphrase,
        socket: input.socket,
        spec: input.spec,
        signed: undefinedIfNone(input.signed),
        newSigned: input.newSignedFile,
        dev: input.dev
      })
    )
).pipe(
  Command.withDescription(
    "Holds an authority's key in a process of its own and seals for the node that asks at its socket, each slot once"
  ),
  Command.withExamples([
    {
      command:
        "cairn signer --key ~/.cairn/keystore/main.json --socket run/signer.sock --spec mine/spec.json --new-signed-file",
      description: "The first start; later ones without --new-signed-file"
    }
  ])
)
