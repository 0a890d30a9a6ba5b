/** Bodies that a branch, or the past of a loaded snapshot, lacks. */

export interface Branch {
  /** Oldest first, with those that were asked for and have not come. */
  wanted: Set<string>
  /** The list is to be made, or made anew. */
  stale: boolean
  lookedAt: number
  /** Headers that the chain walked to make it. */
  walked: number
}

/** A branch that was not looked at yet. What it lacked when it was shorter it lacks still. */
export const newBranch = (before: Branch | undefined): Branch => ({
  wanted: new Set(before?.wanted),
  stale: true,
  lookedAt: Number.NEGATIVE_INFINITY,
  walked: before?.walked ?? 0
})
