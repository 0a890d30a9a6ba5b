/** `cairn start`: runs a node until it is told to stop. The one place where store, actors and HTTP meet. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Clock, Context, Deferred, Effect, Exit, Logger, References } from "effect"
import { SlicedScheduler } from "../../actors/scheduler.ts"
import type { Escalation } from "../../actors/supervisor.ts"
import type { TreeOptions } from "../../actors/base.ts"
import { startTree, type Tree } from "../../actors/tree.ts"
import type { ChainSpec } from "../block/genesis.ts"
import { slotOf } from "../consensus/rota.ts"
import { devAccountsOf } from "../chain/dev-accounts.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import type { NodeConfig } from "../config.ts"
import { formatAddress, isAddress, parseAddress, type Address } from "../crypto/address.ts"
import { accountKey, devMnemonic, type Keypair } from "../crypto/keys.ts"
import { loadEngine } from "../crypto/native.ts"
import { equal } from "../codec/bytes.ts"
import { engine, useEngine } from "../crypto/signature.ts"
import { type Recording, startRecorded } from "../flight/record.ts"
import { makeApp } from "../http/app.ts"
import { compatModel, type CompatSystem, makeCompat } from "../compat/compat.ts"
import { loadPage } from "../http/page.ts"
import { type HttpAddress, type HttpServer, serveHttp } from "../http/server.ts"
import { bunCallNode } from "../io/call-node.ts"
import { bunFetch } from "../io/fetch.ts"
import { Random } from "../io/random.ts"
import { makeBunWorld } from "../io/link.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import type { LogFilter } from "../host/log.ts"
import { logFilterOf } from "../host/log-filter.ts"
import { streamsIn } from "../io/streams.ts"
import { bunTcp } from "../io/tcp.ts"
import { bunUdp } from "../io/udp.ts"
import { bindUnix } from "../io/unix.ts"
import { startBunThread } from "../io/worker.ts"
import { format } from "../ledger/amount.ts"
import type { Libp2pFacts, NodeEvent, NodeFacts } from "../node/node.ts"
import { filtersPerLandingMax } from "../limits.ts"
import { openDatabase, openReadonly, StoreFault } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { Snapshot } from "../store/snapshot.ts"
import { ChainStore } from "../store/store.ts"
import type { Signer } from "../validator/signer.ts"
import { attempt, failureOfStore } from "./attempt.ts"
import { spendersIn } from "./account-token.ts"
import { backupWorld } from "./backups.ts"
import { noSealingWish, openSigner, type SealingWish } from "./sealing.ts"
import {
  databasePath,
  isInitialised,
  loadIdentity,
  loadSpec,
  loadTls,
  makeFirstToken,
  newSession,
  saveSpec,
  sessionPath,
  specOf
} from "./data-folder.ts"
import { doorsOf } from "./doors.ts"
import { failure, type Failure } from "./failure.ts"
import { dataOf } from "./money.ts"
import { isTerminal, paint, print, rows } from "./output.ts"
import { hearSignals } from "./signals.ts"
import { version } from "./version.ts"

export interface StartOptions {
  readonly config: NodeConfig
  /** Initialises an empty folder with this spec, or the one of this name; undefined: it must have been initialised. */
  readonly spec: string | ChainSpec | undefined
  /** Journals every input, for `cairn replay`; undefined: nothing is recorded. */
  readonly recording: Recording | undefined
  /** Serves the routes of a reference system, too. */
  readonly compat: { readonly system: CompatSystem; readonly actsOnGet: boolean } | undefined
  /** Who signs, where authorities seal; undefined: nothing was said about it. */
  readonly sealing?: SealingWish
  /** When the process began, for the "ready in" line. */
  readonly startedAt: number
  /**
   * Hears that the node is ready, where one of several speaks for all of them; else the node says so itself. It must call
   * `release`, after what it prints itself: only then does the node's log begin.
   */
  readonly onReady?: (facts: NodeFacts, release: () => void) => void
}

/** A fresh folder for a development node that names none. */
export const freshFolder = (): string => mkdtempSync(join(tmpdir(), "cairn-dev-"))

const prepareRules = (folder: string, spec: StartOptions["spec"]): Rules => {
  if (!isInitialised(folder) && spec !== undefined) saveSpec(folder, typeof spec === "string" ? loadSpec(spec) : spec)
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

/** Blocks that no node would take are not worth sealing. */
const checkBlockData = ({ spec }: Rules, { mining }: NodeConfig): void =>
  void dataOf(mining.blockData, "block-data", spec.block.extraBytesMax)

/** The routes of a system need its ledger. */
const needModel = ({ spec }: Rules, { system }: NonNullable<StartOptions["compat"]>): void => {
  const model = compatModel(system)
  if (spec.ledger.model === model) return
  if (model === "account")
    throw failure(
      "usage",
      "compat-needs-accounts",
      `--compat ${system}: the chain "${spec.ledger.chainId}" has coins; ${system} has accounts.`,
      "Start on a chain of accounts: a folder made by cairn init --genesis FILE, or --dev."
    )
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
  return dev && rules.spec.genesis.alloc.some(({ address }) => equal(address, first.address)) ? first : key
}

/** Flags as they hold for a role: a basic node seals nothing by itself. */
const configFor = (config: NodeConfig, role: SealingWish["role"]): NodeConfig => {
  if (role !== "basic") return config
  if (config.mining.threads > 0 || config.mining.everyMs !== undefined)
    throw failure(
      "usage",
      "role-basic-mines",
      "--role basic: such a node seals nothing; leave out --mine-threads and --seal-every."
    )
  return { ...config, mining: { ...config.mining, onDemand: false } }
}

/** What seals is not recorded: a journal has no way to a key, so the node could not be run again from it. */
const refuseRecording = (recording: Recording | undefined): Effect.Effect<void, Failure> =>
  recording === undefined
    ? Effect.void
    : failure(
        "usage",
        "record-validator",
        "--record: a validator is not recorded.",
        "Record a node of --role basic beside it."
      )

interface Start {
  readonly config: NodeConfig
  readonly startedAt: number
  readonly now: number
  readonly signer: Signer | undefined
}

const banner = (tree: Tree, { config, startedAt, now, signer }: Start): void => {
  const { facts } = tree.node
  const { author } = facts.rules.consensus
  const idle = author && signer?.idle?.(slotOf(author.rota, now))
  const { spec } = facts.rules
  const accounts = config.dev
    ? devAccountsOf(spec).map(({ index, address, balance }) => ({
        name: `dev:${index}`,
        address: formatAddress(address, spec.addressPrefix),
        balance: `${format(balance, spec.ledger.decimals)} ${spec.ledger.symbol}`
      }))
    : []
  const value = {
    ready: true,
    http: facts.httpUrl,
    peers: facts.p2pEndpoint ?? null,
    ...(facts.libp2p === undefined ? {} : libp2pJson(facts.libp2p)),
    chain: spec.ledger.chainId,
    genesis: facts.rules.genesis.header.id,
    data_dir: config.dataDir,
    node_id: facts.nodeId,
    signature_engine: facts.signatureEngine,
    ...(signer === undefined ? {} : { authority: formatAddress(signer.address, spec.addressPrefix) }),
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
          `  Try: cairn send --from ${accounts[0]!.name} --to ${accounts[1]?.address ?? "…"} --amount 1.5 --node ${facts.httpUrl}`
        ]
      : []
  print(value, [
    `${paint("green", "cairn")} ${version} is ready in ${Math.round(now - startedAt)} ms`,
    "",
    ...rows([
      ["page and API", paint("blue", facts.httpUrl)],
      ["peers", facts.p2pEndpoint ?? "none"],
      ...(facts.libp2p?.addresses() ?? []).map((address) => ["libp2p", address] as const),
      ["chain", `${spec.name} (${spec.ledger.chainId}), genesis ${facts.rules.genesis.header.id.slice(0, 16)}…`],
      ["data", config.dataDir],
      ["signatures", facts.signatureEngine],
      ...(facts.libp2p === undefined ? [] : [["noise", facts.libp2p.aeadEngine] as const]),
      ["sealing", sealingOf(config, spec, signer)],
      ...(idle === undefined ? [] : [["", idle.message] as const])
    ]),
    ...dev,
    "",
    "  Ctrl-C stops the node."
  ])
}

const libp2pJson = ({ addresses, peerId, aeadEngine }: Libp2pFacts) => ({
  libp2p: addresses(),
  peer_id: peerId,
  aead_engine: aeadEngine
})

const sealingOf = ({ mining }: NodeConfig, spec: ChainSpec, signer: Signer | undefined): string => {
  if (signer !== undefined) return `in the turns of ${formatAddress(signer.address, spec.addressPrefix)}`
  if (spec.authority !== undefined) return "never: --role validator does"
  const parts = [
    mining.threads > 0 ? `${mining.threads} thread${mining.threads > 1 ? "s" : ""}` : "",
    mining.onDemand ? "on the first pending transfer" : "",
    mining.everyMs === undefined ? "" : `every ${mining.everyMs / 1000} s`
  ].filter((part) => part !== "")
  return parts.length === 0 ? "only when asked: POST /api/mine" : parts.join(", ")
}

/** One line of the log for each state of the node: those that it has had so far, and from now on. */
const logStates = ({ node }: Tree, context: Context.Context<never>): void => {
  const log = (event: NodeEvent): void => {
    if (event.type !== "state") return
    const { from, state, reason, message } = event
    // At once and not in a fiber: the last line is written while the program ends.
    const line = `${from} → ${state}: ${message}`
    // Who reads has it all in the words; who parses wants the codes.
    Effect.runSyncWith(context)(isTerminal() ? Effect.logInfo(line) : Effect.logInfo(line, { from, state, reason }))
  }
  for (const event of node.listen(0, log)?.replay ?? []) log(event)
}

/** Where the HTTP door is. */
const addressOf = ({ http: { host, port, adminSocket } }: NodeConfig): HttpAddress => ({
  host,
  port,
  own: adminSocket === undefined ? undefined : { path: adminSocket, bind: bindUnix }
})

/** Which lines of libp2p the log has: what LIBP2P_LOG and DEBUG ask for, else what an operator should know. */
const libp2pLines = (): LogFilter => {
  const wants = logFilterOf(process.env) ?? ((_, level) => level === "warn" || level === "error")
  if (!(wants instanceof Libp2pFault)) return wants
  throw failure("usage", "libp2p-log-invalid", wants.message, "Set LIBP2P_LOG to a level such as debug, or unset it.")
}

/** Where else a node may listen. */
const elsewhere = {
  TcpFault: "Choose another port with --p2p-port, or --no-p2p.",
  UdpFault: "Choose another port with --gossip-port, or --no-gossip."
} as const

/** Datagrams are not inputs of a journal: a flood of them would fill it. */
const refuseGossip = (recording: Recording | undefined, { gossip }: NodeConfig): void => {
  if (recording === undefined || gossip === undefined) return
  throw failure("usage", "record-gossip", "--record: what comes by UDP is not recorded.", "Start with --no-gossip.")
}

/** Nor are links of libp2p: a journal knows what came by our own TLS only. */
const refuseLibp2p = (recording: Recording | undefined, { peers }: NodeConfig): void => {
  if (recording === undefined || peers?.libp2p === undefined) return
  throw failure(
    "usage",
    "record-libp2p",
    "--record: what comes by libp2p is not recorded.",
    "Start without --libp2p and --libp2p-listen."
  )
}

/** Starts the actors, recorded or not. */
const launch = (options: TreeOptions, recording: Recording | undefined): Effect.Effect<Tree, Failure> =>
  Effect.mapError(recording === undefined ? startTree(options) : startRecorded(options, recording), (fault) =>
    fault._tag === "FlightFault"
      ? failure("failed", fault.code, fault.message, "Name another folder with --record, or leave it out.")
      : failure("failed", "listen-failed", fault.message, elsewhere[fault._tag])
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

const run = (options: StartOptions, release: () => void): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Before anything else: who is told to stop while starting must stop as it should.
      const untilSignal = yield* hearSignals
      const { spec, recording, compat, startedAt, onReady, sealing = noSealingWish } = options
      const config = yield* attempt(() => configFor(options.config, sealing.role))
      const random = yield* Random
      const clock = yield* Clock.Clock
      const folder = config.dataDir
      const rules = yield* attempt(() => prepareRules(folder, spec))
      const proposer = yield* attempt(() => {
        refuseGossip(recording, config)
        refuseLibp2p(recording, config)
        libp2pLines()
        chooseEngine(config.signatureEngine)
        if (compat !== undefined) needModel(rules, compat)
        checkBlockData(rules, config)
        return proposerOf(rules, config)
      })
      const { store, snapshot } = yield* openStore(folder, rules, config.filters !== false)
      const context = yield* Effect.context<never>()
      const { key, tls, doors } = yield* attempt(() => {
        makeFirstToken(folder, random)
        return {
          key: loadIdentity(folder, random, config.files),
          tls: loadTls(folder, { now: clock.currentTimeMillisUnsafe(), random }, config.files),
          doors: doorsOf(config, { context, random, now: () => performance.now() })
        }
      })
      const now = (): number => clock.currentTimeMillisUnsafe()
      const opening = openSigner({ rules, store, config, now }, sealing)
      const signer = yield* Effect.raceFirst(opening, Effect.as(untilSignal, "stopped" as const))
      if (signer === "stopped") return
      if (signer !== undefined) yield* refuseRecording(recording)
      const sessionSecret = compat === undefined ? "" : yield* attempt(() => newSession(folder, random))
      const page = loadPage()
      const built = Deferred.makeUnsafe<Tree, Failure>()
      const server: HttpServer = yield* serveHttp(addressOf(config), (url) =>
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
              ...(signer === undefined ? {} : { signer }),
              // What is recorded is run again from its journal, where there is nobody to make any.
              ...(recording === undefined
                ? { backups: backupWorld({ config, rules, key, httpUrl: url, random }) }
                : {}),
              doors: {
                tcp: bunTcp,
                startThread: startBunThread,
                fetch: bunFetch,
                callNode: bunCallNode,
                udp: bunUdp,
                streams: streamsIn(makeBunWorld, undefined, libp2pLines())
              },
              facts: {
                version,
                prunedTo: store.pruned(),
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
            const { hosts } = doors
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
                    random,
                    spenders: spendersIn(folder)
                  })
            const files = yield* Effect.promise(() => page)
            const { adminToken } = config.http
            return makeApp({ node: tree.node, context, adminToken, page: files, compat: routes, ...doors })
          }).pipe(Effect.tapError((fault) => Effect.sync(() => Deferred.doneUnsafe(built, Exit.fail(fault)))))
        ).catch(() => ({ fetch: () => new Response("failed", { status: 500 }) }))
      ).pipe(
        Effect.mapError(({ message }) =>
          failure("failed", "listen-failed", message, "Choose another port with --http-port.")
        )
      )
      const tree = yield* Deferred.await(built)
      logStates(tree, context)
      if (onReady === undefined) {
        banner(tree, { config, startedAt, now: now(), signer })
        release()
      } else onReady(tree.node.facts, release)
      const escalated = Effect.mapError(tree.failed, failureOfEscalation)
      const ended = yield* Effect.exit(Effect.raceFirst(untilSignal, escalated))
      if (onReady === undefined && isTerminal()) process.stderr.write("\nstopping …\n")
      yield* server.stop(500)
      yield* tree.stop
      yield* ended
    })
  )

/** A log whose lines wait until it is released: on standard output the first line is that the node is ready. */
const heldLog = <A>(
  to: Logger.Logger<unknown, A>
): { readonly logger: Logger.Logger<unknown, void>; readonly release: () => void } => {
  let held: Array<Logger.Options<unknown>> | undefined = []
  const logger = Logger.make<unknown, void>((line) => void (held === undefined ? to.log(line) : held.push(line)))
  const release = (): void => {
    const lines = held ?? []
    held = undefined
    for (const line of lines) to.log(line)
  }
  return { logger, release }
}

/** Runs a node. Ends with success on SIGTERM or SIGINT, within the bound of limits.ts. */
export const start = (options: StartOptions): Effect.Effect<void, Failure> => {
  const scheduler = new SlicedScheduler()
  const { logger, release } = heldLog(isTerminal() ? Logger.consolePretty() : Logger.consoleJson)
  const program = run(options, release).pipe(
    Effect.ensuring(Effect.sync(release)),
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )
  return Effect.callback<void, Failure>((resume) => {
    const fiber = Effect.runForkWith(Context.empty())(program, { scheduler })
    fiber.addObserver((exit) => resume(exit as Exit.Exit<void, Failure>))
    return Effect.void
  })
}
