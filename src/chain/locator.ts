/** Where two chains part: a short list of our blocks, dense near the tip, that a peer compares with its own (L-B14). */
import { locatorHashesMax } from "../limits.ts"

/** Heights of a locator: ten single steps down from the tip, then doubling ones, genesis last. */
export const locatorHeights = (tipHeight: number, max: number = locatorHashesMax): ReadonlyArray<number> => {
  const heights: Array<number> = []
  let step = 1
  for (let height = tipHeight; height > 0 && heights.length < max - 1; height -= step) {
    heights.push(height)
    if (heights.length >= 10) step *= 2
  }
  return [...heights, 0]
}
