/** Smaller bounds than those of production: a simulation meets what others never see. See TreeOptions. */
import { type PoolBounds, poolBounds } from "../src/mempool/pool.ts"

/** The actor with a smaller inbox, but not so small that it could not work: a session stops reading before its own is full. */
export const squeezed = <S extends { readonly inboxMax: number }>(by: number, spec: S, least = 4): S => ({
  ...spec,
  inboxMax: Math.max(least, Math.floor(spec.inboxMax / by))
})
/** More than the messages at which a session stops reading. */
export const sessionInboxLeast = 96

/** `pendingMax`: what the operator lets it hold. */
export const squeezedPool = (by: number, pendingMax: number = poolBounds.transactionsMax): PoolBounds => ({
  transactionsMax: Math.floor(pendingMax / (by * by)),
  bytesMax: poolBounds.bytesMax,
  waitMsMax: Math.floor(poolBounds.waitMsMax / (by * by))
})
