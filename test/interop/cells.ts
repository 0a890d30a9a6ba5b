/**
 * Which programs are tried with one another. CAIRN_INTEROP names other cells than all; what must not be missing stands in
 * CAIRN_INTEROP_NEEDS, by kind, with commas between: a tool that is not there is a failure then.
 */
import { type Kind, kinds, prepare, type Security } from "./peer.ts"

export interface Cell {
  readonly dialer: Kind
  readonly listener: Kind
  readonly sec: Security
}

const securities: ReadonlyArray<Security> = ["noise", "tls"]
const others = kinds.filter((kind) => kind !== "cairn")

const isKind = (text: string | undefined): text is Kind => kinds.some((kind) => kind === text)

/** `go>cairn:tls` */
const cellsOf = (text: string): ReadonlyArray<Cell> => {
  const [pair = "", sec] = text.split(":")
  const [dialer, listener] = pair.split(">")
  if (!isKind(dialer) || !isKind(listener)) throw new Error(`CAIRN_INTEROP: ${text} is no pair of ${kinds.join(", ")}`)
  const found = securities.filter((each) => sec === undefined || sec === each)
  if (found.length === 0) throw new Error(`CAIRN_INTEROP: ${sec} is none of ${securities.join(", ")}`)
  return found.map((each) => ({ dialer, listener, sec: each }))
}

const wanted = process.env.CAIRN_INTEROP?.split(",") ?? others.flatMap((other) => [`cairn>${other}`, `${other}>cairn`])
export const cells = wanted.flatMap(cellsOf)

const needs = process.env.CAIRN_INTEROP_NEEDS?.split(",").filter((name) => name !== "") ?? []
for (const name of needs) {
  if (!isKind(name)) throw new Error(`CAIRN_INTEROP_NEEDS: ${name} is none of ${kinds.join(", ")}`)
  if (!cells.some(({ dialer, listener }) => dialer === name || listener === name))
    throw new Error(`CAIRN_INTEROP_NEEDS: no cell has ${name}`)
}

const absences = new Map<Kind, string>()
for (const kind of new Set(cells.flatMap(({ dialer, listener }) => [dialer, listener]))) {
  const found = await prepare(kind)
  if (!("absent" in found)) continue
  if (needs.includes(kind)) throw new Error(`CAIRN_INTEROP_NEEDS: ${kind} cannot be tried: ${found.absent}`)
  absences.set(kind, found.absent)
  process.stderr.write(`skipped: everything with ${kind}: ${found.absent}\n`)
}

/** Whether both are here. */
export const runs = ({ dialer, listener }: Cell): boolean => !absences.has(dialer) && !absences.has(listener)
