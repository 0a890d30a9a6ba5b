/** An attacker who fills the peer book: what share of it he gets, by the networks that he has. A figure of the rules, not of the machine. */
import { outboundSessionsMax } from "../../src/limits.ts"
import { type Eclipsed, eclipse } from "../eclipse.ts"
import { printTable, type Row } from "./table.ts"

const seeds = [1, 2, 3]
const story = { attackers: 10_000, tellers: 8, honest: 60, rounds: 120 }

const rowsOf = (networks: number): ReadonlyArray<Row> => {
  const all = seeds.map((seed) => eclipse({ ...story, seed, networks }))
  const mean = (f: (one: Eclipsed) => number): number => all.reduce((sum, one) => sum + f(one), 0) / all.length
  const share = (name: string, f: (one: Eclipsed) => number): Row => ({
    name,
    value: 100 * mean(f),
    unit: "% the attacker's"
  })
  return [
    share(`${networks} networks: of endpoints heard of`, (one) => one.fresh),
    share(`${networks} networks: of endpoints found`, (one) => one.tried),
    share(
      `${networks} networks: of ${outboundSessionsMax} sessions after a restart`,
      (one) => 1 - one.honestOutbound / outboundSessionsMax
    ),
    share(`${networks} networks: of one list without buckets`, (one) => one.oneList)
  ]
}

printTable(
  "10,000 endpoints of an attacker that all answer, 8 peers that tell of them, 60 honest nodes, an hour",
  [1, 4, 16, 64].flatMap(rowsOf)
)
