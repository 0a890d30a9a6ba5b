/** The node's metrics: one prefix, base units, never an address, hash or peer id as a label. The only file that knows the text form. */

export type Labels = Readonly<Record<string, string>>

interface Series {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge"
  readonly read: () => ReadonlyArray<readonly [labels: Labels, value: number]>
}

/** Counters are plain numbers that their owner raises; gauges are read when someone looks. Nothing is paid on the hot path. */
export class Metrics {
  private readonly series = new Map<string, Series>()

  /** A family of counters by labels. */
  counters(name: string, help: string): (labels: Labels, by?: number) => void {
    const values = new Map<string, { readonly labels: Labels; value: number }>()
    this.series.set(name, {
      name,
      help,
      type: "counter",
      read: () => [...values.values()].map(({ labels, value }) => [labels, value])
    })
    return (labels, by = 1) => {
      const key = JSON.stringify(labels)
      const known = values.get(key)
      if (known === undefined) values.set(key, { labels, value: by })
      else known.value += by
    }
  }

  /** A family read on demand. */
  read(name: string, help: string, type: Series["type"], read: Series["read"]): void {
    this.series.set(name, { name, help, type, read })
  }

  /** A single gauge. */
  gauge(name: string, help: string, read: () => number): void {
    this.read(name, help, "gauge", () => [[{}, read()]])
  }

  /** The Prometheus text form, version 0.0.4. */
  format(): string {
    const lines: Array<string> = []
    for (const { name, help, type, read } of this.series.values()) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
      for (const [labels, value] of read()) lines.push(`${name}${formatLabels(labels)} ${value}`)
    }
    return `${lines.join("\n")}\n`
  }
}

const escape = (value: string): string => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")

const formatLabels = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}
