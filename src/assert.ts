/** Checks of our own work. A failed one is a bug of ours: it throws, the actor dies, the tree decides. Never for input. */

/** Thrown when the program finds itself in a state that its own rules exclude. */
export class Bug extends Error {
  override readonly name = "Bug"
}

/** Stops the caller unless `fact` holds; `what` says which belief was wrong. */
export function assert(fact: boolean, what: string): asserts fact {
  if (!fact) throw new Bug(what)
}

/** For the branch that the types say cannot be taken. */
export const unreachable = (value: never): never => {
  throw new Bug(`unreachable: ${JSON.stringify(value)}`)
}
