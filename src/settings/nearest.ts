/** The known name that somebody may have meant. */

/** Steps from one text to another: a character put in, left out, changed, or two neighbours swapped. */
const steps = (a: string, b: string): number => {
  let [before, row] = [[] as Array<number>, Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(change, row[j]! + 1, next[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    ;[before, row] = [row, next]
  }
  return row[b.length]!
}

const nameCharsMax = 80

/** Undefined: none is near, a third of the characters away at most. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  if (name.length > nameCharsMax) return undefined
  let best: { readonly name: string; readonly away: number } | undefined
  for (const one of known) {
    const away = steps(name, one)
    if (away <= Math.max(1, Math.floor(one.length / 3)) && (best === undefined || away < best.away))
      best = { name: one, away }
  }
  return best?.name
}
