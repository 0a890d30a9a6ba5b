/** `cairn light`: follows a chain by its headers, and proves transactions, balances and payments against them. */
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { addressBytes, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { loadEngine } from "../crypto/native.ts"
import { isSecret, useEngine } from "../crypto/signature.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { equal } from "../codec/bytes.ts"
import { parseEndpoint } from "../config.ts"
import { headerBytes } from "../block/header.ts"
import { PatchFile } from "../io/patch.ts"
import { Random } from "../io/random.ts"
import { bunTcp } from "../io/tcp.ts"
import { LightClient } from "../light/client.ts"
import type { Found } from "../light/scan.ts"
import { lightHeadersMax } from "../limits.ts"
import { formatTransaction, lineOf } from "../ledger/transaction-text.ts"
import { lockFolder } from "../store/lock.ts"
import { attempt } from "./attempt.ts"
import { isInitialised, loadSpec, saveSpec, specOf } from "./data-folder.ts"
import { type Failure, failure } from "./failure.ts"
import { LightDriver, type LightPeer } from "./light-driver.ts"
import { clearLine, formatDuration, makeProgress, print, rows } from "./output.ts"
import { describeProof, subjectIn } from "./proof.ts"
import { version } from "./version.ts"

export interface LightOptions {
  /** host:port, separated by commas. */
  readonly peers: string
  readonly dataDir: string
  /** Preset or file; a folder that has a chain must have this one. */
  readonly spec: string | undefined
}

/** What every command of the light client works with. */
interface Light {
  readonly client: LightClient
  readonly driver: LightDriver
  readonly rules: Rules
  readonly clock: Clock.Clock
  readonly facts: { stored: number; undone: number; moved: () => void }
}

const parsePeers = (
  text: string
): ReadonlyArray<{ readonly host: string; readonly port: number; readonly endpoint: string }> => {
  const endpoints = [...new Set(text.split(",").map((one) => one.trim()))].filter((one) => one !== "")
  if (endpoints.length === 0) throw failure("usage", "endpoint-invalid", "Name at least one peer: --peer HOST:PORT.")
  return endpoints.map((endpoint) => {
    const parsed = parseEndpoint(endpoint)
    if (parsed === undefined) throw failure("usage", "endpoint-invalid", `--peer: "${endpoint}" is not host:port.`)
    return { ...parsed, endpoint }
  })
}

const rulesIn = ({ dataDir, spec }: LightOptions): Rules => {
  if (!isInitialised(dataDir)) saveSpec(dataDir, loadSpec(spec ?? "cairn"))
  const rules = makeRules(specOf(dataDir))
  if (spec !== undefined && !equal(makeRules(loadSpec(spec)).genesis.header.hash, rules.genesis.header.hash))
    throw failure(
      "dataFolder",
      "chain-mismatch",
      `${dataDir} holds headers of the chain "${rules.spec.ledger.chainId}", not of --spec ${spec}.`,
      "Use another folder with --data-dir."
    )
  return rules
}

/** The headers at rest: rows of 212 bytes from height 1 up. What a crash left wrong does not hold, and is cut off. */
const openHeaders = (dataDir: string, client: LightClient, now: number) => {
  const file = new PatchFile(join(dataDir, "headers.bin"))
  const stored = client.chain.load(file.read(lightHeadersMax * headerBytes), now)
  return { file, stored }
}

const freshKey = (random: (length: number) => Uint8Array): Keypair => {
  let secret = random(32)
  while (!isSecret(secret)) secret = random(32)
  return keypairOf(secret)
}

/** Folder, lock and headers for as long as `use` runs. */
const withLight = (
  options: LightOptions,
  how: { readonly redial: boolean },
  use: (light: Light) => Effect.Effect<void, Failure>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const random = yield* Random
      const clock = yield* Clock.Clock
      const now = clock.currentTimeMillisUnsafe()
      const opened = yield* Effect.acquireRelease(
        attempt(() => {
          useEngine(loadEngine("auto")!)
          const peers = parsePeers(options.peers)
          const rules = rulesIn(options)
          const lock = lockFolder(options.dataDir)
          const client = new LightClient(rules)
          return { peers, rules, lock, client, ...openHeaders(options.dataDir, client, now) }
        }),
        ({ lock, file }) =>
          Effect.sync(() => {
            file.close()
            lock.release()
          })
      )
      const { client, rules, file } = opened
      const facts = { stored: opened.stored, undone: 0, moved: () => {} }
      // Another identity each time: peers cannot tell that it was the same client that asked before.
      const identity = { key: freshKey(random), tls: makeCertificate("cairn", { now, serial: random(16) }) }
      const driver = new LightDriver(
        {
          ...{ client, peers: opened.peers, tcp: bunTcp, random, agent: `cairn-light/${version}`, redial: how.redial },
          ...identity,
          store: (above, headers) => file.replaceFrom(above * headerBytes, headers),
          moved: (undone) => {
            facts.undone += undone
            facts.moved()
          },
          dropped: warn
        },
        clock
      )
      yield* use({ client, driver, rules, clock, facts })
    })
  )

const warn = (
  { endpoint }: LightPeer,
  { code, message }: { readonly code: string; readonly message: string }
): void => {
  clearLine()
  const text = `${endpoint} was dropped, it lies: ${message} (${code})\n`
  process.stderr.write(
    process.stderr.isTTY === true ? text : `${JSON.stringify({ dropped: { peer: endpoint, code, message } })}\n`
  )
}

/** Nobody is left to ask: a lie is told before a line that is dead. */
const nobodyLeft = ({ driver, client }: Light): Failure => {
  const lie = client.dropped.at(-1)
  const whys = driver.peers.map(({ endpoint, why }) => `${endpoint}: ${why ?? "no answer"}`).join("; ")
  return lie === undefined
    ? failure("unreachable", "unreachable", `No peer answers. ${whys}`, "Name others with --peer.")
    : failure("refused", lie.code, `No honest peer is left. ${whys}`, "Name others with --peer.")
}

/** Headers to check from which on a person would wait. */
const progressFrom = 4_000

/** Lets the driver go on until something holds, and says how far the headers are. */
const goOn = (light: Light, done: () => boolean): Effect.Effect<void, Failure> => {
  const { client, driver, clock } = light
  const now = () => clock.currentTimeMillisUnsafe()
  const say = makeProgress(now, 5_000)
  const [began, from] = [now(), client.chain.tip.height]
  const tell = (): void => {
    const { height } = client.chain.tip
    const of = client.follow.claimedHeight
    if (of - from < progressFrom || height >= of) return
    const left = ((now() - began) / Math.max(1, height - from)) * (of - height)
    const share = ((100 * height) / of).toFixed(1)
    say(`checking headers: ${height} of ${of} (${share} %), ${formatDuration(left)} left`, {
      headers: height,
      of,
      eta_ms: Math.round(left)
    })
  }
  light.facts.moved = tell
  const isOver = (): boolean => done() || (driver.settled && driver.connected === 0)
  return Effect.flatMap(driver.run(isOver), () =>
    Effect.suspend(() => {
      clearLine()
      return done() ? Effect.void : Effect.fail(nobodyLeft(light))
    })
  )
}

const isSynced = ({ driver }: Light): boolean => driver.settled && driver.connected > 0

/** Facts about the headers, for programs. */
const headerFacts = ({ client, driver, facts, rules, clock }: Light) => {
  const { tip, work } = client.chain
  return {
    chain: rules.spec.ledger.chainId,
    height: tip.height,
    tip: tip.id,
    time: tip.time,
    tip_age_ms: Math.max(0, clock.currentTimeMillisUnsafe() - tip.time),
    work: work.toString(16).padStart(64, "0"),
    new_headers: tip.height - facts.stored + facts.undone,
    undone: facts.undone,
    peers: driver.peers.map(({ endpoint, state, why, height }) => ({
      endpoint,
      state,
      why: why ?? null,
      height: height ?? null
    })),
    bytes_received: driver.received,
    bytes_sent: driver.sent
  }
}

const tipAge = ({ client, clock }: Light): string =>
  formatDuration(Math.max(0, clock.currentTimeMillisUnsafe() - client.chain.tip.time))

/** Blocks that do not come for so many intervals: by chance once in e^20 times. */
const quietBlocks = 20

const headerLines = (light: Light): ReadonlyArray<string> => {
  const { client, driver, rules, clock } = light
  const { tip } = client.chain
  const isOld = clock.currentTimeMillisUnsafe() - tip.time > quietBlocks * rules.spec.difficulty.blockMs
  const count = driver.connected
  return [
    ...rows([
      ["tip", `height ${tip.height}, ${tip.id}`],
      ["tip is", `${tipAge(light)} old`],
      [
        "peers",
        driver.peers
          .map(({ endpoint, state, why }) => `${endpoint} ${state}${why === undefined ? "" : `, ${why}`}`)
          .join("; ")
      ],
      ["received", `${driver.received} bytes`]
    ]),
    ...(isOld ? ["  That is old: nobody mines, or the peers withhold what was mined. Ask more peers."] : []),
    ...(count === 1 ? ["  One peer can withhold blocks and nobody would notice. Name more with --peer A,B."] : [])
  ]
}

/** `cairn light sync`: checks headers up to the heaviest tip that a peer shows. */
export const lightSync = (options: LightOptions) =>
  withLight(options, { redial: false }, (light) =>
    Effect.map(
      goOn(light, () => isSynced(light)),
      () =>
        print(headerFacts(light), [
          `The headers of "${light.rules.spec.ledger.chainId}" hold up to height ${light.client.chain.tip.height}.`,
          ...headerLines(light)
        ])
    )
  )

/** `cairn light follow`: one line for each new tip, until it is told to stop. */
export const lightFollow = (options: LightOptions) =>
  withLight(options, { redial: true }, (light) => {
    let shown = ""
    let stopped = false
    const stop = (): void => void (stopped = true)
    process.once("SIGINT", stop)
    process.once("SIGTERM", stop)
    const tell = (): boolean => {
      const { tip } = light.client.chain
      if (tip.id !== shown && isSynced(light)) {
        shown = tip.id
        print(headerFacts(light), [
          `height ${tip.height}  ${tip.id}  ${tipAge(light)} old, ${light.facts.undone} undone so far`
        ])
      }
      const isLied = light.driver.peers.every(({ state }) => state === "dropped")
      return stopped || isLied
    }
    return Effect.flatMap(light.driver.run(tell), () => (stopped ? Effect.void : Effect.fail(nobodyLeft(light))))
  })

/** `cairn light tx` and `cairn light balance`: one proof against the headers. */
export const lightProof = (
  options: LightOptions & { readonly subject: string; readonly kind: "transaction" | "account" }
) =>
  withLight(options, { redial: false }, (light) => {
    const { client, driver, rules, clock } = light
    const prefix = rules.spec.addressPrefix
    const begin = (subject: Uint8Array) => (): boolean => {
      if (client.prove === undefined && isSynced(light))
        driver.perform(client.askProof(subject, clock.currentTimeMillisUnsafe()))
      return client.prove?.outcome !== undefined
    }
    return Effect.gen(function* () {
      const subject = yield* attempt(() => subjectOfKind(options, prefix))
      yield* goOn(light, begin(subject))
      const outcome = client.prove!.outcome!
      if (outcome._tag === "Unproven") return yield* unproven(light, outcome, options)
      const { value, lines } = describeProof(outcome.proven, {
        prefix,
        trust: "it is on the best branch of the checked headers"
      })
      const confirmations = client.chain.tip.height - outcome.proven.header.height + 1
      print({ ...value, confirmations, light: headerFacts(light) }, [
        ...lines,
        ...rows([["confirmed", `by ${confirmations} block${confirmations === 1 ? "" : "s"}, itself counted`]]),
        ...headerLines(light)
      ])
    })
  })

const subjectOfKind = (
  { subject, kind }: { readonly subject: string; readonly kind: string },
  prefix: string
): Uint8Array => {
  const bytes = subjectIn(subject, prefix)
  if (bytes.length === (kind === "transaction" ? 32 : addressBytes)) return bytes
  throw failure(
    "usage",
    "subject-invalid",
    kind === "transaction" ? "tx takes a transaction id." : "balance takes an address."
  )
}

const unproven = (
  light: Light,
  { absent, stale }: { readonly absent: number; readonly stale: number },
  { subject }: { readonly subject: string }
): Failure => {
  if (absent > 0)
    return failure(
      "refused",
      "transaction-not-found",
      `No block has ${subject}, by the word of ${absent} peer${absent === 1 ? "" : "s"}; nobody can prove that.`,
      "It may be pending, or the peers may hide it. Ask later, or ask others."
    )
  return stale > 0
    ? failure("refused", "proof-stale", "The peers know older blocks than our tip only.", "Ask others with --peer.")
    : nobodyLeft(light)
}

const foundFacts = (found: Found, prefix: string) => ({
  kind: found.kind,
  height: found.header.height,
  block: found.header.id,
  time: found.header.time,
  ...(found.kind === "transaction"
    ? { index: found.index, transaction: formatTransaction(found.transaction, prefix) }
    : {})
})

const foundLine = (found: Found, prefix: string): string => {
  if (found.kind === "proposed") return `  height ${found.header.height}  sealed the block`
  const text = formatTransaction(found.transaction, prefix)
  const { from, to, amount } = lineOf(text)
  return `  height ${found.header.height}  ${from === "" ? "the coinbase" : from} paid ${to} ${amount} base units, ${text.id}`
}

/** `cairn light scan`: what concerns some addresses, by block filters; no peer learns which addresses. */
export const lightScan = (
  options: LightOptions & { readonly addresses: ReadonlyArray<string>; readonly from: number }
) =>
  withLight(options, { redial: false }, (light) => {
    const { client, driver, rules, clock } = light
    const prefix = rules.spec.addressPrefix
    const now = () => clock.currentTimeMillisUnsafe()
    const parsed = (): ReadonlyArray<Uint8Array> =>
      options.addresses.map((text) => {
        const address = parseAddress(text, prefix)
        if (!isAddress(address)) throw failure("usage", "address-invalid", `${text}: the address ${address.wrong}.`)
        return address
      })
    return Effect.gen(function* () {
      const elements = yield* attempt(parsed)
      yield* goOn(light, () => {
        if (client.scan === undefined && isSynced(light))
          driver.perform(client.askScan({ elements, from: options.from }, now()))
        return client.scan?.done === true || client.scan?.failed === true
      })
      const scan = client.scan!
      if (scan.failed)
        return yield* client.dropped.length > 0
          ? nobodyLeft(light)
          : failure(
              "refused",
              "filters-missing",
              "No peer gives the filters and blocks that are needed.",
              "Name others with --peer."
            )
      const peers = scan.agreeing.length
      const value = {
        addresses: elements.map((address) => formatAddress(address as Parameters<typeof formatAddress>[0], prefix)),
        from: options.from,
        to: scan.stop.height,
        found: scan.found.map((found) => foundFacts(found, prefix)),
        filters: scan.counts.filters,
        blocks: scan.counts.blocks,
        agreeing_peers: peers,
        light: headerFacts(light)
      }
      print(value, [
        `${scan.found.length} found in blocks ${options.from} to ${scan.stop.height}; ${scan.counts.blocks} blocks were downloaded.`,
        ...scan.found.map((found) => foundLine(found, prefix)),
        ...rows([["filters", `${scan.counts.filters}, agreed on by ${peers} peer${peers === 1 ? "" : "s"}`]]),
        ...(peers === 1 ? ["  One peer can leave payments out of its filters. Name more with --peer A,B."] : []),
        ...headerLines(light)
      ])
    })
  })
