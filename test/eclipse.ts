/** An attempt to fill a node's peer book, as a story about the book alone: what benchmarks measure and tests hold to a limit. */
import { peerPolicy } from "../src/config.ts"
import { outboundSessionsMax } from "../src/limits.ts"
import { type Connected, Directory } from "../src/peer/directory.ts"
import { netOfEndpoint } from "../src/peer/net.ts"
import { makeDice } from "../src/sim/dice.ts"

export interface EclipseWish {
  readonly seed: number
  /** Endpoints of the attacker, each with a node that answers; the /16 networks that they lie in, and peers that tell of them. */
  readonly attackers: number
  readonly networks: number
  readonly tellers: number
  /** Honest nodes, each in a /16 of its own. */
  readonly honest: number
  /** Maintenance rounds before the restart: 120 are an hour. */
  readonly rounds: number
}

/** Shares of the attacker, from 0 to 1. */
export interface Eclipsed {
  readonly named: number
  readonly tried: number
  readonly fresh: number
  /** Of the sessions that were dialled first after the restart, and how many of those were dialled before it. */
  readonly outbound: number
  readonly anchors: number
  readonly honestOutbound: number
  /** Of one list without buckets, as long as both tables, where the newest stay. */
  readonly oneList: number
}

/** The attacker's networks begin with 60, those of honest nodes with 45. */
const isAttacker = (endpoint: string): boolean => endpoint.startsWith("60.")
const attackerAt = (i: number, networks: number): string =>
  `60.${i % networks}.${(i / networks) & 255}.${1 + (i % 250)}:${1_000 + (i >> 8)}`
const honestAt = (i: number): string => `45.${i}.7.7:19100`
const hostOf = (endpoint: string): string => endpoint.slice(0, endpoint.lastIndexOf(":"))
const idOf = (endpoint: string): string => `node1${endpoint}`
const shareOf = (endpoints: ReadonlyArray<string>): number =>
  endpoints.length === 0 ? 0 : endpoints.filter(isAttacker).length / endpoints.length

const connectedTo = (endpoints: Iterable<string>): Connected => {
  const all = [...endpoints]
  const groups = all.map((endpoint) => netOfEndpoint(endpoint)!.group)
  return { nodeIds: new Set(all.map(idOf)), endpoints: new Set(all), groups: new Set(groups) }
}

/** Sessions are dialled until there is no room; each dial of an endpoint that exists finds a node. */
const dial = (book: Directory, outbound: Set<string>, now: number, chance: () => number): void => {
  for (const endpoint of book.toDial(connectedTo(outbound), outboundSessionsMax - outbound.size, now, chance)) {
    const facts = { endpoint, agent: "", remoteHost: hostOf(endpoint), dialled: endpoint }
    book.meet(idOf(endpoint), facts, now)
    outbound.add(endpoint)
  }
}

/** Plays it: honest peers first, then the attacker for the rest of the rounds, then a restart. */
export const eclipse = (wish: EclipseWish): Eclipsed => {
  const dice = makeDice(wish.seed)
  const chance = (): number => dice.int(1 << 24) / (1 << 24)
  const make = (now: number, rows?: ReadonlyMap<string, unknown>): Directory =>
    new Directory({ key: dice.bytes(16), seeds: [], policy: peerPolicy, now }, rows)
  const book = make(0)
  const outbound = new Set<string>()
  const list: Array<string> = []
  let now = 0
  const hear = (endpoint: string, from: string): void => {
    book.learn(endpoint, from, now)
    list.push(endpoint)
  }
  for (let i = 0; i < wish.honest; i++) hear(honestAt(i), hostOf(honestAt((i * 7 + 1) % wish.honest)))
  let named = 0
  for (let round = 0; round < wish.rounds; round++) {
    now += 30_000
    dial(book, outbound, now, chance)
    // Once there are sessions the attacker begins: each of its peers tells of 64 in each round, over and over.
    for (let i = 0; round > 0 && i < wish.tellers * 64; i++)
      hear(attackerAt(named++ % wish.attackers, wish.networks), hostOf(attackerAt(i % wish.tellers, wish.networks)))
    const probe = book.toProbe(connectedTo(outbound), now, chance)
    if (probe !== undefined) book.found(probe, idOf(probe), now)
    for (const endpoint of outbound) book.heardFrom(idOf(endpoint), endpoint, now)
  }
  const before = [...outbound]
  const after = new Set<string>()
  const again = make(now, book.rows(before))
  dial(again, after, now, chance)
  const of = (table: "tried" | "new") => book.places.flatMap((place) => (place.table === table ? [place.endpoint] : []))
  const length = of("tried").length + of("new").length
  return {
    named: Math.min(named, wish.attackers),
    tried: shareOf(of("tried")),
    fresh: shareOf(of("new")),
    outbound: shareOf([...after]),
    anchors: [...after].filter((endpoint) => before.includes(endpoint)).length,
    honestOutbound: [...after].filter((endpoint) => !isAttacker(endpoint)).length,
    oneList: shareOf([...new Set(list.slice(-length))])
  }
}
