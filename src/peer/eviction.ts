/**
 * Whose place a newcomer gets when all inbound ones are taken. Those are kept who are better than others at something that an
 * attacker cannot fake all at once: near, first with blocks and transactions, here for long, of many networks. After Bitcoin Core.
 */
import { utf8 } from "../codec/bytes.ts"
import { type SipKey, sipHashInto } from "../crypto/siphash.ts"
import { netOf } from "./net.ts"

/** An inbound session. Times are milliseconds since 1970; undefined: it never did. */
export interface Sitting {
  readonly host: string
  readonly since: number
  /** The least that was measured. */
  readonly latencyMs: number | undefined
  /** When it last gave us a block, or a transaction, that we did not have and that was good. */
  readonly lastBlockAt: number | undefined
  readonly lastTransactionAt: number | undefined
}

/** Sessions that each merit keeps; the half of the rest that is here for longest is kept besides. */
const keptByNetwork = 4
const keptByLatency = 8
const keptByTransaction = 4
const keptByBlock = 4

const orderOf = (key: SipKey, text: string): number => {
  const out = new Uint32Array(2)
  sipHashInto(key, utf8(text), out)
  return out[0]!
}

/** Without the best so many by `worth`, the highest first; nobody without worth is kept for it. */
const without = <S>(
  sessions: ReadonlyArray<S>,
  worth: (one: S) => number | undefined,
  keep: number
): ReadonlyArray<S> => {
  const best = sessions
    .filter((one) => worth(one) !== undefined)
    .sort((a, b) => worth(b)! - worth(a)!)
    .slice(0, keep)
  return sessions.filter((one) => !best.includes(one))
}

/** One of each of a few networks: nobody else knows which. */
const withoutNetworks = <S extends Sitting>(sessions: ReadonlyArray<S>, key: SipKey): ReadonlyArray<S> => {
  const first = new Map<string, S>()
  for (const one of sessions) {
    const { group } = netOf(one.host)
    if (!first.has(group)) first.set(group, one)
  }
  const kept = [...first]
    .sort(([a], [b]) => orderOf(key, a) - orderOf(key, b))
    .slice(0, keptByNetwork)
    .map(([, one]) => one)
  return sessions.filter((one) => !kept.includes(one))
}

/** Who must go; undefined: all are worth their places. `key`: this node's own, so that nobody can aim at a kept network. */
export const chooseEviction = <S extends Sitting>(sessions: ReadonlyArray<S>, key: SipKey): S | undefined => {
  let rest = withoutNetworks(sessions, key)
  rest = without(rest, ({ latencyMs }) => (latencyMs === undefined ? undefined : -latencyMs), keptByLatency)
  rest = without(rest, ({ lastTransactionAt }) => lastTransactionAt, keptByTransaction)
  rest = without(rest, ({ lastBlockAt }) => lastBlockAt, keptByBlock)
  rest = without(rest, ({ since }) => -since, Math.ceil(rest.length / 2))
  const groups = new Map<string, Array<S>>()
  for (const one of rest) {
    const { group } = netOf(one.host)
    groups.set(group, [...(groups.get(group) ?? []), one])
  }
  const newest = (row: ReadonlyArray<S>): number => Math.max(...row.map(({ since }) => since))
  const [crowd] = [...groups.values()].sort((a, b) => b.length - a.length || newest(b) - newest(a))
  return crowd?.reduce((youngest, one) => (one.since > youngest.since ? one : youngest))
}
