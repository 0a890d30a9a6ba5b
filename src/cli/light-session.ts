/** What every command of `cairn light` stands on: folder, lock and headers; a driver that asks the peers; what is told of both. */
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { type Address, isAddress, parseAddress } from "../crypto/address.ts"
import { makeCertificate } from "../crypto/certificate.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { loadEngine } from "../crypto/native.ts"
import { isSecret, useEngine } from "../crypto/signature.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { equal } from "../codec/bytes.ts"
import { parseEndpoint } from "../config.ts"
import { PatchFile } from "../io/patch.ts"
import { Random } from "../io/random.ts"
import { bunTcp } from "../io/tcp.ts"
import { LightClient } from "../light/client.ts"
import type { Scan } from "../light/scan.ts"
import { lightHeadersMax } from "../limits.ts"
import { lockFolder } from "../store/lock.ts"
import { attempt } from "./attempt.ts"
import { isInitialised, loadSpec, saveSpec, specOf } from "./data-folder.ts"
import { type Failure, failure } from "./failure.ts"
import { LightDriver, type LightPeer } from "./light-driver.ts"
import { clearLine, formatDuration, makeProgress, rows } from "./output.ts"
import { version } from "./version.ts"

export interface LightOptions {
  /** host:port, separated by commas. */
  readonly peers: string
  readonly dataDir: string
  /** Preset or file; a folder that has a chain must have this one. */
  readonly spec: string | undefined
}

/** What every command of the light client works with. */
export interface Light {
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

/** The headers at rest: rows of one length from height 1 up. What a crash left wrong does not hold, and is cut off. */
const openHeaders = (dataDir: string, client: LightClient, now: number) => {
  const file = new PatchFile(join(dataDir, "headers.bin"))
  const stored = client.chain.load(file.read(lightHeadersMax * client.chain.rowBytes), now)
  return { file, stored }
}

const freshKey = (random: (length: number) => Uint8Array): Keypair => {
  let secret = random(32)
  while (!isSecret(secret)) secret = random(32)
  return keypairOf(secret)
}

/** Folder, lock and headers for as long as `use` runs. */
export const withLight = (
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
          store: (above, headers) => file.replaceFrom(above * client.chain.rowBytes, headers),
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
export const nobodyLeft = ({ driver, client }: Light): Failure => {
  const lie = client.dropped.at(-1)
  const whys = driver.peers.map(({ endpoint, why }) => `${endpoint}: ${why ?? "no answer"}`).join("; ")
  return lie === undefined
    ? failure("unreachable", "unreachable", `No peer answers. ${whys}`, "Name others with --peer.")
    : failure("refused", lie.code, `No honest peer is left. ${whys}`, "Name others with --peer.")
}

/** Headers to check from which on a person would wait. */
const progressFrom = 4_000

/** Says from now on how far the headers are, if there are many. */
export const tellHeaders = ({ client, clock, facts }: Light): void => {
  const now = () => clock.currentTimeMillisUnsafe()
  const say = makeProgress(now, 5_000)
  const [began, from] = [now(), client.chain.tip.height]
  facts.moved = () => {
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
}

/** Lets the driver go on until something holds. */
export const goOn = (light: Light, done: () => boolean): Effect.Effect<void, Failure> => {
  const { driver } = light
  tellHeaders(light)
  const isOver = (): boolean => done() || (driver.settled && driver.connected === 0)
  return Effect.flatMap(driver.run(isOver), () =>
    Effect.suspend(() => {
      clearLine()
      return done() ? Effect.void : Effect.fail(nobodyLeft(light))
    })
  )
}

/** Is every peer heard, and its tip ours? */
export const isSynced = ({ driver }: Light): boolean => driver.settled && driver.connected > 0

/** Facts about the headers, for programs. */
export const headerFacts = ({ client, driver, facts, rules, clock }: Light) => {
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

export const tipAge = ({ client, clock }: Light): string =>
  formatDuration(Math.max(0, clock.currentTimeMillisUnsafe() - client.chain.tip.time))

/** Blocks that do not come for so many intervals: by chance once in e^20 times. */
const quietBlocks = 20

/** Facts about the headers, for people. */
export const headerLines = (light: Light): ReadonlyArray<string> => {
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

/** Why nobody has proven it. */
export const unproven = (
  light: Light,
  { absent, stale }: { readonly absent: number; readonly stale: number },
  subject: string
): Failure => {
  if (absent > 0)
    return failure(
      "refused",
      "transaction-not-found",
      `No block has ${subject}, by the word of ${absent} peer${absent === 1 ? "" : "s"}; nobody can prove that.`,
      "It may be pending, or the peers may hide it. Ask later, or ask others."
    )
  return stale > 0
    ? failure(
        "refused",
        "proof-stale",
        "The peers know older blocks than our tip only, or others.",
        "Ask others with --peer."
      )
    : nobodyLeft(light)
}

/** Nobody gives filters and blocks: a lie is told before a lack. */
export const unfound = (light: Light): Failure =>
  light.client.dropped.length > 0
    ? nobodyLeft(light)
    : failure(
        "refused",
        "filters-missing",
        "No peer gives the filters and blocks that are needed.",
        "Name others with --peer."
      )

/** On what it rests that nothing was left out. */
export const filterLines = ({ counts, agreeing }: Scan): ReadonlyArray<string> => [
  ...rows([["filters", `${counts.filters}, agreed on by ${agreeing.length} peer${agreeing.length === 1 ? "" : "s"}`]]),
  ...(agreeing.length === 1 ? ["  One peer can leave payments out of its filters. Name more with --peer A,B."] : [])
]

/** The addresses that texts name. Throws Failure. */
export const addressesIn = ({ rules }: Light, texts: ReadonlyArray<string>): ReadonlyArray<Address> =>
  texts.map((text) => {
    const address = parseAddress(text, rules.spec.addressPrefix)
    if (!isAddress(address)) throw failure("usage", "address-invalid", `${text}: the address ${address.wrong}.`)
    return address
  })
