/** `cairn start`: runs a node until it is told to stop. The one place where store, actors and HTTP meet. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Clock, Context, Deferred, Effect, Exit, Logger, References } from "effect"
import { SlicedScheduler } from "../../actors/scheduler.ts"
import type { Escalation } from "../../actors/supervisor.ts"
import { startTree, type Tree, type TreeOptions } from "../../actors/tree.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import type { NodeConfig } from "../config.ts"
import { formatAddress, isAddress, parseAddress, type Address } from "../crypto/address.ts"
import { accountKey, devMnemonic, type Keypair } from "../crypto/keys.ts"
import { loadEngine } from "../crypto/native.ts"
import { equal } from "../codec/bytes.ts"
import { engine, useEngine } from "../crypto/signature.ts"
import { type Recording, startRecorded } from "../flight/record.ts"
import { makeApp } from "../http/app.ts"
import { type CompatSystem, makeCompat } from "../http/compat.ts"
import { loadPage } from "../http/page.ts"
import { type HttpServer, serveHttp } from "../http/server.ts"
import { Random } from "../io/random.ts"
import { bunTcp } from "../io/tcp.ts"
import { startBunThread } from "../io/worker.ts"
import { format } from "../ledger/amount.ts"
import type { NodeFacts } from "../node.ts"
import { filtersPerLandingMax } from "../limits.ts"
import { openDatabase, openReadonly, StoreFault } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { Snapshot } from "../store/snapshot.ts"
import { ChainStore } from "../store/store.ts"
import { nothingSigned } from "../validator/protection.ts"
import { localSigner, type Signer } from "../validator/signer.ts"
import { attempt, failureOfStore } from "./attempt.ts"
import {
  databasePath,
  isInitialised,
  loadIdentity,
  loadSpec,
  loadTls,
  loadToken,
  newSession,
  saveSpec,
  sessionPath,
  specOf
} from "./data-folder.ts"
import { failure, type Failure } from "./failure.ts"
import { isTerminal, paint, print, rows } from "./output.ts"
import { version } from "./version.ts"

export interface StartOptions {
  readonly config: NodeConfig
  /** Initialises an empty folder with this spec; undefined: it must have been initialised. */
  readonly spec: string | undefined
  /** Journals every input, for `cairn replay`; undefined: nothing is recorded. */
  readonly recording: Recording | undefined
  /** Serves the routes of a reference system, too. */
  readonly compat: { readonly system: CompatSystem; readonly actsOnGet: boolean } | undefined
  /** When the process began, for the "ready in" line. */
  readonly startedAt: number
  /** Hears that the node is ready, where one of several speaks for all of them; else the node says so itself. */
  readonly onReady?: (facts: NodeFacts) => void
}

/** A fresh folder for a development node that names none. */
export const freshFolder = (): string => mkdtempSync(join(tmpdir(), "cairn-dev-"))

const prepareRules = (folder: string, spec: string | undefined): Rules => {
  if (!isInitialised(folder) && spec !== undefined) saveSpec(folder, loadSpec(spec))
  return makeRules(specOf(folder))
}

const chooseEngine = (choice: NodeConfig["signatureEngine"]): void => {
  const chosen = loadEngine(choice)
  if (chosen === undefined)
    throw failure(
      "usage",
      "engine-unavailable",
      `The signature engine ${choice} does not load here.`,
      "Use --signature-engine auto."
    )
  useEngine(chosen)
}

/** Store and lock, released in the reverse order whatever happens. */
const openStore = (folder: string, rules: Rules, filters: boolean) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const lock = lockFolder(folder)
        try {
          const store = new ChainStore(openDatabase(databasePath(folder)), rules, { filters })
          // Those that an older program or a snapshot has left out. A new folder lacks none.
          while (!store.extendFilters(filtersPerLandingMax));
          return { lock, store, snapshot: new Snapshot(openReadonly(databasePath(folder)), rules) }
        } catch (error) {
          lock.release()
          throw error
        }
      },
      catch: (error) => {
        if (error instanceof StoreFault) return failureOfStore(error)
        throw error
      }
    }),
    ({ lock, store, snapshot }) =>
      Effect.sync(() => {
        snapshot.close()
        store.close()
        lock.release()
      })
  )

/** Who gets rewards: whom the operator named, the first development account, or (undefined) the node's own key. */
const proposerOf = (rules: Rules, config: NodeConfig): Address | undefined => {
  if (config.mining.proposer === undefined) return config.dev ? rules.spec.genesis.alloc[0]?.address : undefined
  const parsed = parseAddress(config.mining.proposer, rules.spec.addressPrefix)
  if (isAddress(parsed)) return parsed
  throw failure("usage", "address-invalid", `--mine-to: the address ${parsed.wrong}.`)
}

const needCoins = ({ spec }: Rules, { system }: NonNullable<StartOptions["compat"]>): void => {
  if (spec.ledger.model === "utxo") return
  throw failure(
    "usage",
    "compat-needs-coins",
    `--compat ${system}: the chain "${spec.ledger.chainId}" has accounts; ${system} has coins.`,
    `Start on a chain of coins: --spec ${system}, or with --dev --spec dev-coins.`
  )
}

/** Whose coins the routes of a reference system spend: the first development account's, or the node's own. */
const walletOf = (rules: Rules, key: Keypair, dev: boolean): Keypair => {
  const first = accountKey(devMnemonic, 0)
  const { alloc } = rules.spec.genesis
  return dev && alloc[0] !== undefined && equal(alloc[0].address, first.address) ? first : key
}

/** A development node seals for the first development account, if that is an authority. */
const signerOf = ({ spec }: Rules, dev: boolean): { readonly signer?: Signer } => {
  const first = accountKey(devMnemonic, 0)
  if (!dev || spec.authority?.members.some((member) => equal(member, first.address)) !== true) return {}
  let signed = nothingSigned
  return { signer: localSigner(first, { load: () => signed, save: (next) => void (signed = next) }) }
}

const banner = (tree: Tree, config: NodeConfig, startedAt: number, now: number): void => {
  const { facts } = tree.node
  const { spec } = facts.rules
  const accounts = config.dev
    ? spec.genesis.alloc.map(({ address, balance }, i) => ({
        name: `dev:${i}`,
        address: formatAddress(address, spec.addressPrefix),
        balance: `${format(balance, spec.ledger.decimals)} ${spec.ledger.symbol}`
      }))
    : []
  const value = {
    ready: true,
    http: facts.httpUrl,
    peers: facts.p2pEndpoint ?? null,
    chain: spec.ledger.chainId,
    genesis: facts.rules.genesis.header.id,
    data_dir: config.dataDir,
    node_id: facts.nodeId,
    signature_engine: facts.signatureEngine,
    ...(config.dev ? { dev_mnemonic: devMnemonic, dev_accounts: accounts } : {})
  }
  const dev =
    accounts.length > 0
      ? [
          "",
          `  ${paint("bold", "Development accounts")} of the mnemonic "${devMnemonic}"`,
          `  ${paint("red", "Public: anyone can spend what they hold. Never use them on another chain.")}`,
          ...rows(accounts.map(({ name, address, balance }) => [name, `${address}  ${balance}`] as const)),
          "",
          `  Try: cairn send --from dev:0 --to ${accounts[1]?.address ?? "…"} --amount 1.5 --node ${facts.httpUrl}`
        ]
      : []
  print(value, [
    `${paint("green", "cairn")} ${version} is ready in ${now - startedAt} ms`,
    "",
    ...rows([
      ["page and API", paint("blue", facts.httpUrl)],
      ["peers", facts.p2pEndpoint ?? "none"],
      ["chain", `${spec.name} (${spec.ledger.chainId}), genesis ${facts.rules.genesis.header.id.slice(0, 16)}…`],
      ["data", config.dataDir],
      ["signatures", facts.signatureEngine],
      ["sealing", sealingOf(config)]
    ]),
    ...dev,
    "",
    "  Ctrl-C stops the node."
  ])
}

const sealingOf = ({ mining }: NodeConfig): string => {
  const parts = [
    mining.threads > 0 ? `${mining.threads} thread${mining.threads > 1 ? "s" : ""}` : "",
    mining.onDemand ? "on the first pending transfer" : "",
    mining.everyMs === undefined ? "" : `every ${mining.everyMs / 1000} s`
  ].filter((part) => part !== "")
  return parts.length === 0 ? "only when asked: POST /api/mine" : parts.join(", ")
}

/** Hears signals from now on: the first asks the node to stop, a second insists. Completed by the first. */
const hearSignals = Effect.sync(() => {
  const asked = Deferred.makeUnsafe<void>()
  let count = 0
  const onSignal = (): void => {
    if (count++ > 0) process.exit(1)
    Deferred.doneUnsafe(asked, Exit.void)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  return Deferred.await(asked)
})

/** Starts the actors, recorded or not. */
const launch = (options: TreeOptions, recording: Recording | undefined): Effect.Effect<Tree, Failure> =>
  Effect.mapError(recording === undefined ? startTree(options) : startRecorded(options, recording), (fault) =>
    fault._tag === "FlightFault"
      ? failure("failed", fault.code, fault.message, "Name another folder with --record, or leave it out.")
      : failure("failed", "listen-failed", fault.message, "Choose another port with --p2p-port, or --no-p2p.")
  )

/** What an escalation is to an operator: the store's own word, if that was the cause. */
const failureOfEscalation = ({ group, child, cause }: Escalation): Failure => {
  const error = Cause.squash(cause)
  if (error instanceof StoreFault) return failureOfStore(error)
  return failure(
    "failed",
    "supervision-gave-up",
    `${child} failed more often than ${group} allows.`,
    "The log above has the cause. Start again; if it fails again, run: cairn verify."
  )
}

const run = ({ config, spec, recording, compat, startedAt, onReady }: StartOptions): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Before anything else: who is told to stop while starting must stop as it should.
      const untilSignal = yield* hearSignals
      const random = yield* Random
      const clock = yield* Clock.Clock
      const folder = config.dataDir
      const rules = yield* attempt(() => prepareRules(folder, spec))
      const proposer = yield* attempt(() => {
        chooseEngine(config.signatureEngine)
        if (compat !== undefined) needCoins(rules, compat)
        return proposerOf(rules, config)
      })
      const { store, snapshot } = yield* openStore(folder, rules, config.filters !== false)
      const { key, tls, adminToken } = yield* attempt(() => ({
        key: loadIdentity(folder, random),
        tls: loadTls(folder, { now: clock.currentTimeMillisUnsafe(), random }),
        adminToken: config.http.adminToken ?? loadToken(folder, random)
      }))
      const sessionSecret = compat === undefined ? "" : yield* attempt(() => newSession(folder, random))
      const page = loadPage()
      const context = yield* Effect.context<never>()
      const built = Deferred.makeUnsafe<Tree, Failure>()
      const server: HttpServer = yield* serveHttp(config.http, (url) =>
        Effect.runPromiseWith(context)(
          Effect.gen(function* () {
            const options: TreeOptions = {
              config,
              rules,
              store,
              snapshot,
              key,
              tls,
              proposer: proposer ?? key.address,
              ...signerOf(rules, config.dev),
              doors: { tcp: bunTcp, startThread: startBunThread },
              facts: {
                version,
                agent: `cairn/${version}`,
                dev: config.dev,
                dataDir: folder,
                httpUrl: url,
                signatureEngine: engine().name,
                hashEngine: "bun",
                mineThreads: config.mining.threads,
                startedAt
              }
            }
            const tree = yield* launch(options, recording)
            Deferred.doneUnsafe(built, Exit.succeed(tree))
            const hosts = config.http.host === "127.0.0.1" || config.http.host === "::1" ? ["localhost"] : []
            const session = { secret: sessionSecret, file: sessionPath(folder), port: Number(new URL(url).port), hosts }
            const routes =
              compat === undefined
                ? undefined
                : makeCompat({
                    ...compat,
                    node: tree.node,
                    context,
                    wallet: walletOf(rules, key, config.dev),
                    session,
                    random
                  })
            const files = yield* Effect.promise(() => page)
            return makeApp({ node: tree.node, context, adminToken, page: files, hosts, compat: routes })
          }).pipe(Effect.tapError((fault) => Effect.sync(() => Deferred.doneUnsafe(built, Exit.fail(fault)))))
        ).catch(() => ({ fetch: () => new Response("failed", { status: 500 }) }))
      ).pipe(
        Effect.mapError(({ message }) =>
          failure("failed", "listen-failed", message, "Choose another port with --http-port.")
        )
      )
      const tree = yield* Deferred.await(built)
      if (onReady === undefined) banner(tree, config, startedAt, clock.currentTimeMillisUnsafe())
      else onReady(tree.node.facts)
      const escalated = Effect.mapError(tree.failed, failureOfEscalation)
      const ended = yield* Effect.exit(Effect.raceFirst(untilSignal, escalated))
      if (onReady === undefined && isTerminal()) process.stderr.write("\nstopping …\n")
      yield* server.stop(500)
      yield* tree.stop
      yield* ended
    })
  )

/** Runs a node. Ends with success on SIGTERM or SIGINT, within the bound of limits.ts. */
export const start = (options: StartOptions): Effect.Effect<void, Failure> => {
  const scheduler = new SlicedScheduler()
  const program = run(options).pipe(
    // Standard output is the ready line's: a node may have something to say before it is ready.
    Effect.provide(Logger.layer([isTerminal() ? Logger.consolePretty() : Logger.withConsoleError(Logger.formatJson)])),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )
  return Effect.callback<void, Failure>((resume) => {
    const fiber = Effect.runForkWith(Context.empty())(program, { scheduler })
    fiber.addObserver((exit) => resume(exit as Exit.Exit<void, Failure>))
    return Effect.void
  })
}
