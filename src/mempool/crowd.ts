/** How many pending payments may build on one another, so that what comes or goes with one is bounded (limits.ts). */
import { reject, type TransactionReject } from "../ledger/reject.ts"
import { ancestorsMax, descendantsMax, packageBytesMax } from "../limits.ts"
import { type Entry, sumOf, withDescendants } from "./package.ts"

/** Builds a payment on too many? */
export const checkAncestors = ({ ancestors }: Entry): TransactionReject | undefined => {
  if (ancestors.count <= ancestorsMax && ancestors.bytes <= packageBytesMax) return undefined
  return reject(
    "too-many-ancestors",
    `It builds on too many pending payments: at most ${ancestorsMax} with itself, of ${packageBytesMax} bytes. Wait for a block.`,
    { countMax: ancestorsMax, bytesMax: packageBytesMax }
  )
}

/** Would too many build on one of its ancestors, once what it replaces is gone? */
export const checkDescendants = (
  { transaction }: Entry,
  ancestors: ReadonlySet<Entry>,
  replaced: ReadonlySet<Entry>
): TransactionReject | undefined => {
  const room = packageBytesMax - transaction.bytes.length
  const crowded = [...ancestors].find((one) => {
    const { count, bytes } = replaced.size === 0 ? one.descendants : sumOf(withDescendants([one]).difference(replaced))
    return count >= descendantsMax || bytes > room
  })
  if (crowded === undefined) return undefined
  return reject(
    "too-many-descendants",
    `Too many pending payments build on ${crowded.id}: at most ${descendantsMax} with itself, of ${packageBytesMax} bytes. Wait for a block.`,
    { countMax: descendantsMax, bytesMax: packageBytesMax }
  )
}
