/** Searching in sorted columns. */

type Column = ArrayLike<number>

/** The number of leading values that are below `limit`, or at most `limit`. The column rises. */
const leading = (column: Column, isIn: (value: number) => boolean): number => {
  let low = 0
  let high = column.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isIn(column[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

/** Where the values of at least `limit` begin. */
export const firstFrom = (column: Column, limit: number): number => leading(column, (value) => value < limit)

/** Where the values above `limit` begin. */
export const firstAfter = (column: Column, limit: number): number => leading(column, (value) => value <= limit)
