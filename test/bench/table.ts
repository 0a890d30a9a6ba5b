/** What every benchmark prints: rows with a figure, its unit, and its ratio to a baseline measured in the same run. */

export interface Row {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The row that this one is compared with. */
  readonly baseline?: string
}

/** Calls a second: the best of several slices, so that a busy machine disturbs less. */
export const rate = (f: () => void, callsPerSlice: number, slices = 5): number => {
  let best = 0
  for (let slice = 0; slice < slices; slice++) {
    const began = performance.now()
    for (let i = 0; i < callsPerSlice; i++) f()
    best = Math.max(best, (callsPerSlice * 1000) / (performance.now() - began))
  }
  return best
}

/** Calls in a second of CPU, of all threads: the best of several slices. What else the machine does changes it less than a clock. */
export const cpuRate = (f: () => void, callsPerSlice: number, slices = 5): number => {
  let best = 0
  for (let slice = 0; slice < slices; slice++) {
    const began = process.cpuUsage()
    for (let i = 0; i < callsPerSlice; i++) f()
    const { user, system } = process.cpuUsage(began)
    best = Math.max(best, (callsPerSlice * 1e6) / (user + system))
  }
  return best
}

/** Milliseconds that one call takes. */
export const time = async (f: () => unknown): Promise<number> => {
  const began = performance.now()
  await f()
  return performance.now() - began
}

const format = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en-US") : value >= 10 ? value.toFixed(1) : value.toFixed(3)

/** Prints the rows as a table. */
export const printTable = (title: string, rows: ReadonlyArray<Row>): void => {
  const width = Math.max(...rows.map(({ name }) => name.length))
  process.stdout.write(`\n${title}\n`)
  for (const { name, value, unit, baseline } of rows) {
    const base = rows.find((row) => row.name === baseline)
    const ratio = base === undefined ? "" : `   ${(value / base.value).toFixed(2)} x ${base.name}`
    process.stdout.write(`  ${name.padEnd(width)}  ${format(value).padStart(12)} ${unit}${ratio}\n`)
  }
}
