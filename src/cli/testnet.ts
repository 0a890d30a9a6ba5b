/** `cairn testnet start`: a few nodes of a chain in this process, joined; the first one mines, or each is an authority. */
import { join } from "node:path"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { equal } from "../codec/bytes.ts"
import { accountKey, devMnemonic } from "../crypto/keys.ts"
import { defaults, formatEndpoint, type NodeConfig } from "../config.ts"
import type { NodeFacts } from "../node/node.ts"
import { attempt } from "./attempt.ts"
import { noSealingWish, type SealingWish } from "./sealing.ts"
import { loadSpec } from "./data-folder.ts"
import type { Failure } from "./failure.ts"
import { paint, print, rows } from "./output.ts"
import { start } from "./start.ts"

export interface TestnetOptions {
  readonly nodes: number
  /** Ports of the first node; the next ones have the ports above. 0: any free ones. */
  readonly httpPort: number
  readonly peerPort: number
  /** How often the first node seals a block, where no authorities do. */
  readonly sealEveryMs: number
  /** A file, or the name of a preset. */
  readonly spec: string
  /** A folder for each node is made in it. */
  readonly folder: string
  readonly startedAt: number
}

const portOf = (first: number, i: number): number => (first === 0 ? 0 : first + i)

/** Development accounts that are authorities, by the numbers of their nodes. */
const sealersOf = ({ spec, nodes }: TestnetOptions): ReadonlyArray<number> => {
  const members = loadSpec(spec).authority?.members ?? []
  const isMember = (i: number): boolean => members.some((member) => equal(member, accountKey(devMnemonic, i).address))
  return Array.from({ length: nodes }, (_, i) => i).filter(isMember)
}

const sealingOf = (sealers: ReadonlyArray<number>, i: number): SealingWish =>
  sealers.includes(i) ? { ...noSealingWish, role: "validator", key: `dev:${i}` } : noSealingWish

const configOf = (options: TestnetOptions, i: number, seeds: ReadonlyArray<string>): NodeConfig => ({
  dataDir: join(options.folder, `node-${i + 1}`),
  dev: true,
  http: { host: defaults.httpHost, port: portOf(options.httpPort, i), adminToken: undefined },
  peers: { host: defaults.peerHost, port: portOf(options.peerPort, i), advertise: undefined, seeds },
  mining: {
    threads: 0,
    proposer: undefined,
    onDemand: false,
    everyMs: i === 0 && !sealsByTurns(options) ? options.sealEveryMs : undefined
  },
  signatureEngine: "auto"
})

const sealsByTurns = ({ spec }: TestnetOptions): boolean => loadSpec(spec).authority !== undefined

/** URLs where `cairn testnet watch` looks if it is told nothing: those of a testnet of so many nodes. */
export const testnetUrls = (nodes: number): ReadonlyArray<string> =>
  Array.from({ length: nodes }, (_, i) => `http://${formatEndpoint(defaults.httpHost, defaults.httpPort + i)}`)

/** Who seals, in words. */
const rhythmOf = (options: TestnetOptions): string => {
  const { blockMs } = loadSpec(options.spec).difficulty
  if (!sealsByTurns(options)) return `Node 1 seals a block every ${options.sealEveryMs / 1000} s; the others follow.`
  const sealers = sealersOf(options).map((i) => i + 1)
  if (sealers.length === 0) return "No node is an authority of this chain: none seals."
  return `${sealers.length === 1 ? "Node" : "Nodes"} ${sealers.join(", ")} take turns, a slot every ${blockMs / 1000} s.`
}

const banner = (nodes: ReadonlyArray<NodeFacts>, options: TestnetOptions, now: number): void => {
  const { startedAt } = options
  const value = nodes.map((one) => ({
    http: one.httpUrl,
    peers: one.p2pEndpoint ?? null,
    node_id: one.nodeId,
    data_dir: one.dataDir
  }))
  print({ ready: true, chain: nodes[0]!.rules.spec.ledger.chainId, nodes: value }, [
    `${paint("green", "cairn")}: ${nodes.length} nodes are ready in ${now - startedAt} ms`,
    "",
    ...rows(
      nodes.map(({ httpUrl, dataDir }, i) => [`node ${i + 1}`, `${paint("blue", httpUrl)}  ${dataDir}`] as const)
    ),
    "",
    `  ${rhythmOf(options)}`,
    `  Look: cairn testnet watch ${nodes.map(({ httpUrl }) => httpUrl).join(" ")}`,
    "  Ctrl-C stops them."
  ])
}

/** Starts the nodes one after the other, each knowing those before it. Ends with all of them, by the signal that each hears. */
export const startTestnet = (options: TestnetOptions, now: () => number): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const nodes: Array<NodeFacts> = []
    const running: Array<Fiber.Fiber<void, Failure>> = []
    const sealers = yield* attempt(() => sealersOf(options))
    const releases: Array<() => void> = []
    while (nodes.length < options.nodes) {
      const ready = Deferred.makeUnsafe<NodeFacts>()
      const seeds = nodes.flatMap(({ p2pEndpoint }) => (p2pEndpoint === undefined ? [] : [p2pEndpoint]))
      const node = yield* Effect.forkChild(
        start({
          config: configOf(options, nodes.length, seeds),
          spec: options.spec,
          sealing: sealingOf(sealers, nodes.length),
          recording: undefined,
          compat: undefined,
          startedAt: options.startedAt,
          onReady: (facts, release) => {
            releases.push(release)
            Deferred.doneUnsafe(ready, Exit.succeed(facts))
          }
        })
      )
      running.push(node)
      const facts = yield* Effect.raceFirst(Deferred.await(ready), Fiber.join(node))
      // Told to stop while it started.
      if (facts === undefined) break
      nodes.push(facts)
    }
    if (nodes.length === options.nodes) banner(nodes, options, now())
    for (const release of releases) release()
    yield* Effect.forEach(running, Fiber.join, { concurrency: "unbounded", discard: true })
  })
