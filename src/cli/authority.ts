/** `cairn authority admit|expel|forget|votes|evidence`: an operator's word about other authorities, and what is known of them. */
import type { ReplyOf } from "../http/contract.ts"
import { call } from "../http/client.ts"
import { readText } from "../io/files.ts"
import { tokenPath } from "./data-folder.ts"
import { print, rows } from "./output.ts"

type Votes = ReplyOf<"votes">

const states: Readonly<Record<Votes["wishes"][number]["state"], string>> = {
  waiting: "waits for a block of this node, or behind another wish",
  cast: "voted for",
  done: "is so",
  impossible: "cannot be any more"
}

const lines = (votes: Votes): ReadonlyArray<string> => [
  ...rows([
    ["authorities", `${votes.authorities} at height ${votes.height}`],
    ["a vote counts", votes.vote_blocks === 0 ? "never: the list is fixed" : `for ${votes.vote_blocks} blocks`]
  ]),
  ...(votes.wishes.length === 0 ? [] : ["", "  Wished here, served in turn:"]),
  ...rowsOrNone(votes.wishes.map(({ vote, subject, state }) => [`${vote} ${subject}`, states[state]])),
  ...(votes.motions.length === 0 ? [] : ["", "  Voted for by authorities:"]),
  ...rowsOrNone(
    votes.motions.map(({ vote, subject, votes: count, lacking }) => [
      `${vote} ${subject}`,
      `${count} for it, ${lacking} more needed`
    ])
  )
]

const rowsOrNone = (pairs: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> =>
  pairs.length === 0 ? [] : rows(pairs)

export interface VoteOptions {
  readonly node: string
  readonly vote: "admit" | "expel" | "forget"
  readonly subject: string
  /** File with the admin token; or the node's data folder, where it lies; neither: a development node asks for none. */
  readonly tokenFile: string | undefined
  readonly dataDir: string | undefined
}

const tokenOf = ({ tokenFile, dataDir }: VoteOptions): string | undefined => {
  const path = tokenFile ?? (dataDir === undefined ? undefined : tokenPath(dataDir))
  return path === undefined ? undefined : readText(path, 4096).trim()
}

export const vote = async (options: VoteOptions): Promise<void> => {
  const body = { vote: options.vote, subject: options.subject }
  const votes = await call(options.node, "vote", { body, token: tokenOf(options) })
  print(votes, lines(votes))
}

export const showVotes = async (node: string): Promise<void> => {
  const votes = await call(node, "votes")
  print(votes, lines(votes))
}

const standings = {
  member: "an authority still: a block will convict it",
  convicted: "convicted, and no authority any more",
  none: "no authority any more"
} as const

export const showEvidence = async (node: string): Promise<void> => {
  const { evidence, count } = await call(node, "evidence")
  const text = evidence.map(({ authority, slot, standing, ours, first, second }) => [
    `${authority}${ours ? " (this node's own key)" : ""}`,
    ...rows([
      ["slot", String(slot)],
      ["blocks", `${first.hash} at height ${first.height}`],
      ["", `${second.hash} at height ${second.height}`],
      ["is", standings[standing]]
    ])
  ])
  print({ evidence, count }, count === 0 ? ["Nothing is known against any authority."] : text.flat())
}
