/** How many slots have a block, and how many of those their leader sealed: five authorities, some of them dead, over virtual hours. */
import { loadEngine } from "../../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../../src/crypto/signature.ts"
import { dead, ratesOf, runSlots, type SlotsWish } from "../sim/slots.ts"
import { printTable, type Row } from "./table.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const hours = Number(process.env["HOURS"] ?? 2)
const wish: SlotsWish = { authorities: 5, blockMs: 5_000, minutes: 60 * hours }
const kinds: ReadonlyArray<readonly [string, SlotsWish]> = [
  ["five authorities", wish],
  ["… one dead", { ...wish, actions: [dead("n4", wish)] }],
  ["… two dead", { ...wish, actions: [dead("n3", wish), dead("n4", wish)] }],
  ["… four dead", { ...wish, actions: ["n1", "n2", "n3", "n4"].map((name) => dead(name, wish)) }]
]

const measured = kinds.map(([name, kind]) => {
  const run = runSlots(kind)
  if (run.report.failure !== undefined) throw new Error(run.report.failure)
  return { name, slots: run.slots, ...ratesOf(run) }
})
const rows = (key: "slots" | "perSlot" | "inTurn", unit: string): ReadonlyArray<Row> =>
  measured.map((one) => ({ name: one.name, value: one[key], unit }))

printTable(`Slots of 5 s in ${hours} virtual hours`, rows("slots", ""))
printTable("Blocks a slot", rows("perSlot", ""))
printTable("Share of them sealed in turn", rows("inTurn", ""))
