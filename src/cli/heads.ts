/** The heads of several nodes side by side: which node has the best one, who is behind it, who is on another branch, and where they part. */
import { ApiError, call } from "../http/client.ts"

/** The hash of a node's best branch at a height; undefined: it does not show one there. */
export type HashAt = (height: number) => Promise<string | undefined>

/** A node's best branch, as far as it is asked for. */
export interface Branch {
  readonly height: number
  readonly at: HashAt
}

/** What a node says of its head. */
interface Head {
  readonly url: string
  readonly nodeId: string
  readonly height: number
  readonly hash: string
  readonly work: bigint
  readonly peers: number
  /** Height up to which its blocks are final; null where authorities do not vote on that. */
  readonly final: number | null
}

/** `best`: has the head with the most work. `behind`: that branch, without its end. `forked`: another branch. */
export type HeadState = "best" | "behind" | "forked" | "other-chain" | "away"

/** One node in one round, as it is printed. Null where it is away. */
export interface HeadView {
  readonly url: string
  readonly state: HeadState
  readonly node_id: string | null
  readonly height: number | null
  readonly hash: string | null
  /** Cumulative, decimal: it outgrows numbers. */
  readonly work: string | null
  readonly peers: number | null
  /** Height up to which its blocks are final; null also where the chain has no finality. */
  readonly final_height: number | null
  /** The highest block it shares with the best head; null also where there is none. */
  readonly fork_height: number | null
  /** Milliseconds since 1970 when it was first seen with this head, or first seen away. */
  readonly since: number
  readonly error: string | null
}

/** All nodes at one time. */
export interface Round {
  readonly time: number
  /** Every node is there and has the same head. */
  readonly equal: boolean
  /** The highest block that all who are there share; null if there is none, or if one left while it was looked for. */
  readonly fork_height: number | null
  readonly nodes: ReadonlyArray<HeadView>
}

/** Milliseconds that a node may take to say what its head is; then it is away for this round. */
const answerMsMax = 2_000

/**
 * The highest height at which two branches have one block: down from the lower head in growing steps, then halving
 * between the last two. A height that one of them does not show, such as the past of a loaded snapshot, counts as
 * shared. Undefined: not even the first block is.
 */
export const forkHeight = async (a: Branch, b: Branch): Promise<number | undefined> => {
  const isShared = async (height: number): Promise<boolean> => {
    const [ours, theirs] = await Promise.all([a.at(height), b.at(height)])
    return ours === undefined || theirs === undefined || ours === theirs
  }
  const top = Math.min(a.height, b.height)
  if (await isShared(top)) return top
  if (top === 0 || !(await isShared(0))) return undefined
  let parted = top
  let shared = 0
  for (let step = 1; parted - step > shared; step *= 2) {
    if (await isShared(parted - step)) shared = parted - step
    else parted -= step
  }
  while (parted - shared > 1) {
    const middle = Math.floor((parted + shared) / 2)
    if (await isShared(middle)) shared = middle
    else parted = middle
  }
  return shared
}

const branchOf = ({ url, height }: Head): Branch => ({
  height,
  at: async (at) => {
    const { headers } = await call(url, "headers", { query: { from_height: at, limit: 1 }, answerMsMax })
    // From a snapshot whose past is not proven come the first headers above it.
    return headers[0]?.height === at ? headers[0].hash : undefined
  }
})

const headOf = async (url: string): Promise<Head | ApiError> => {
  try {
    const [{ meta, locator }, { stats }] = await Promise.all([
      call(url, "locator", { query: { limit: 1 }, answerMsMax }),
      call(url, "stats", { answerMsMax })
    ])
    return {
      url,
      nodeId: meta.node_id,
      height: locator.height,
      hash: locator.tip_hash,
      work: BigInt(locator.cumulative_work),
      peers: stats.peers,
      final: stats.final_height ?? null
    }
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}

/** Undefined: they share none. An error: one of them left, or got too busy, while it was asked. */
const forkOf = async (best: Head, head: Head): Promise<number | undefined | ApiError> => {
  try {
    return await forkHeight(branchOf(best), branchOf(head))
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}

const stateOf = (head: Head, best: Head, fork: Awaited<ReturnType<typeof forkOf>>): HeadState => {
  if (head.hash === best.hash) return "best"
  if (fork === undefined) return "other-chain"
  return fork === head.height ? "behind" : "forked"
}

/** Looks at nodes again and again, and remembers since when each has what it has. */
export class HeadWatch {
  private readonly urls: ReadonlyArray<string>
  private readonly now: () => number
  private readonly known = new Map<string, { readonly what: string; readonly since: number }>()

  constructor(urls: ReadonlyArray<string>, now: () => number) {
    this.urls = urls
    this.now = now
  }

  /** One look. A node that does not answer in time is away. */
  async look(): Promise<Round> {
    const answers = await Promise.all(this.urls.map(headOf))
    const heads = answers.filter((answer) => "hash" in answer)
    const best = heads.reduce<Head | undefined>(
      (most, one) => (most !== undefined && most.work >= one.work ? most : one),
      undefined
    )
    const forks = new Map<string, ReturnType<typeof forkOf>>()
    for (const head of heads) {
      if (head.hash !== best!.hash && !forks.has(head.hash)) forks.set(head.hash, forkOf(best!, head))
    }
    const nodes = await Promise.all(
      answers.map(async (answer, i) => {
        if (!("hash" in answer)) return this.away(this.urls[i]!, answer)
        const fork = answer.hash === best!.hash ? answer.height : await forks.get(answer.hash)
        return this.present(answer, stateOf(answer, best!, fork), fork)
      })
    )
    const shared = nodes.flatMap(({ state, fork_height }) => (state === "away" ? [] : [fork_height]))
    return {
      time: this.now(),
      equal: nodes.every(({ state }) => state === "best"),
      fork_height: shared.length === 0 || shared.includes(null) ? null : Math.min(...(shared as ReadonlyArray<number>)),
      nodes
    }
  }

  private present(head: Head, state: HeadState, fork: number | undefined | ApiError): HeadView {
    const { url, nodeId, height, hash, work, peers, final: final_height } = head
    const [shared, error] = fork instanceof ApiError ? [null, fork.message] : [fork ?? null, null]
    const own = { node_id: nodeId, height, hash, work: String(work), peers, final_height }
    const shown = { ...own, fork_height: shared, error }
    return { url, state, ...shown, since: this.since(url, hash) }
  }

  private away(url: string, { message }: ApiError): HeadView {
    const since = this.since(url, "away")
    const nothing = { node_id: null, height: null, hash: null, work: null, peers: null, final_height: null }
    return { url, state: "away", ...nothing, fork_height: null, since, error: message }
  }

  private since(url: string, what: string): number {
    const known = this.known.get(url)
    if (known?.what === what) return known.since
    const since = this.now()
    this.known.set(url, { what, since })
    return since
  }
}

/** What a round comes to, in a line: one head, or who stands where and where they part. */
export const summaryOf = ({ nodes, fork_height, equal }: Round): string => {
  const best = nodes.find(({ state }) => state === "best")
  if (best === undefined) return "no node answers"
  if (equal) {
    const finals = nodes.flatMap(({ final_height }) => final_height ?? [])
    return `one head at height ${best.height}${finals.length === 0 ? "" : `, final up to ${Math.min(...finals)}`}`
  }
  const names = (state: HeadState): string =>
    nodes.flatMap((node) => (node.state === state ? [node.url] : [])).join(", ")
  const parts = [
    names("behind") === "" ? "" : `${names("behind")} behind`,
    names("forked") === "" ? "" : `${names("forked")} on another branch`,
    names("other-chain") === "" ? "" : `${names("other-chain")} on another chain`,
    names("away") === "" ? "" : `${names("away")} away`
  ].filter((part) => part !== "")
  const differ = names("behind") !== "" || names("forked") !== ""
  const where = differ && fork_height !== null ? `; they share the blocks up to height ${fork_height}` : ""
  return `${names("best")} at height ${best.height}; ${parts.join("; ")}${where}`
}
