/** All that is wrong with what is said, of form and of sense, in one list. */
import { productionRefusals } from "./production.ts"
import { resolve, type Resolved, type Said } from "./resolve.ts"
import { contradictions, type Remark, remarks } from "./rules.ts"

export interface Judged extends Resolved {
  readonly remarks: ReadonlyArray<Remark>
}

/** Reads and judges. What could not be read is not judged again for what stands in its place. */
export const judge = (said: Said): Judged => {
  const resolved = resolve(said)
  const unread = new Set(resolved.errors.flatMap(({ key }) => key ?? []))
  const senseless = [...contradictions(resolved), ...productionRefusals(resolved.values)].filter(
    ({ key }) => key === undefined || !unread.has(key)
  )
  return { ...resolved, errors: [...resolved.errors, ...senseless], remarks: remarks(resolved) }
}
