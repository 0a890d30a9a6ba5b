/** The simulator is worth its time: every planted bug is found by the swarm, and by nothing but what it does. */
import { beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import type { Hunt } from "../sim/hunt.ts"
import { type Plant, plants } from "../sim/plants.ts"

/** Seeds that a plant may take, from the first on. A second or two each. */
const seedsMax = 200
/** Milliseconds after which a hunt is killed. */
const huntMsMax = 240_000
/** Hunts at a time. */
const huntsMax = 2

const root = join(import.meta.dir, "../..")

/** A hunt in a process of its own: with a plant, or without any. */
const hunt = async (
  plant: string,
  { from, count, consensus, gossip = "" }: { from: number; count: number; consensus: string; gossip: string | undefined }
): Promise<Hunt> => {
  const child = Bun.spawn(
    [process.execPath, "--preload", "./test/sim/plant-preload.ts", "test/sim/hunt.ts", String(from), String(count)],
    { cwd: root, env: { ...process.env, PLANT: plant, CONSENSUS: consensus, GOSSIP: gossip }, stdout: "pipe", stderr: "pipe", timeout: huntMsMax }
  )
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  await child.exited
  if (out === "") throw new Error(`the hunt for "${plant}" ended with ${child.exitCode ?? child.signalCode}: ${err}`)
  return JSON.parse(out) as Hunt
}

interface Proof {
  readonly planted: Hunt
  /** The seed that was found, without the plant. */
  readonly clean: Hunt | undefined
}

const prove = async ({ name, consensus = "pow", gossip, from = 1 }: Plant): Promise<Proof> => {
  const planted = await hunt(name, { from, count: seedsMax, consensus, gossip })
  const { found } = planted
  return { planted, clean: found && (await hunt("", { from: found.seed, count: 1, consensus, gossip })) }
}

const proofs = new Map(plants.map((plant) => [plant.name, Promise.withResolvers<Proof | Error>()]))
const waiting = [...plants]

beforeAll(() => {
  const work = async (): Promise<void> => {
    for (let plant = waiting.shift(); plant !== undefined; plant = waiting.shift())
      proofs.get(plant.name)!.resolve(await prove(plant).catch((error: Error) => error))
  }
  for (let i = 0; i < huntsMax; i++) void work()
})

test.each(plants.map((plant) => [plant.name, plant] as const))(
  "%s is found",
  async (name, { needs, shows }) => {
    const proof = await proofs.get(name)!.promise
    if (proof instanceof Error) throw proof
    const { planted, clean } = proof
    expect(planted.found).toBeDefined()
    const { failure, options } = planted.found!
    expect(failure).toMatch(shows)
    if (needs.length > 0) expect(options.faults.filter((fault) => needs.includes(fault))).not.toBeEmpty()
    expect(clean).toMatchObject({ runs: 1 })
    expect(clean?.found).toBeUndefined()
    process.stdout.write(`${name}: seed ${options.seed}, ${planted.realMs} ms: ${failure}\n`)
  },
  plants.length * huntMsMax
)
