/** Colours: those of the style sheet, one per node, one per kind of fault. Light or dark as the reader's system is. */

export interface Ink {
  readonly paper: string
  readonly card: string
  readonly ink: string
  readonly muted: string
  readonly line: string
  readonly warn: string
  readonly accent: string
  readonly failure: string
  readonly note: string
  /** Strong enough for lines and text on paper. -1: of no node. */
  readonly node: (node: number, alpha?: number) => string
  readonly fault: (tone: number, alpha: number) => string
}

/** Hues in degrees that are told apart well; red is kept for what went wrong. After these the circle is walked on. */
const hues = [250, 160, 75, 310, 205, 120, 345, 280]
const goldenDegrees = 137.508
const hueOf = (node: number): number => hues[node] ?? 50 + ((node * goldenDegrees) % 310)
const faultHues = [300, 60, 220, 140]

/** Reads the colours that hold now. */
export const readInk = (): Ink => {
  const style = getComputedStyle(document.documentElement)
  const value = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  const dark = matchMedia("(prefers-color-scheme: dark)").matches
  const [light, chroma] = dark ? [0.76, 0.12] : [0.53, 0.14]
  return {
    paper: value("paper"),
    card: value("card"),
    ink: value("ink"),
    muted: value("muted"),
    line: value("line"),
    warn: value("warn"),
    accent: value("accent"),
    failure: dark ? "oklch(0.7 0.15 28 / 0.3)" : "oklch(0.6 0.18 28 / 0.22)",
    note: value("note"),
    node: (node, alpha = 1) =>
      node < 0 ? `oklch(${light} 0.01 90 / ${alpha})` : `oklch(${light} ${chroma} ${hueOf(node)} / ${alpha})`,
    fault: (tone, alpha) => `oklch(${dark ? 0.7 : 0.55} 0.1 ${faultHues[tone % faultHues.length]} / ${alpha})`
  }
}
