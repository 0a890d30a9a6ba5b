/** Events of a host, read one by one. */
import { expect, test } from "bun:test"
import type { HostEvents } from "./api.ts"
import { hostEvents } from "./event-queue.ts"
import { Emitter } from "./events.ts"

const target = () => {
  const emitter = new Emitter<HostEvents>((_, error) => {
    throw error
  })
  const say = (name: "peer:connect" | "peer:disconnect" | "host:error", detail: unknown) =>
    emitter.safeDispatchEvent(name, { detail })
  return { emitter, say }
}

test("events come in their order, to readers that wait and to those that come late", async () => {
  const { emitter, say } = target()
  const events = hostEvents(emitter, ["peer:connect", "peer:disconnect"])
  const first = events.next()
  say("peer:connect", 1)
  say("host:error", "not asked for")
  say("peer:disconnect", 2)
  say("peer:connect", 3)
  const heard = [await first, await events.next(), await events.next()].map(({ value }) => [
    value?.type,
    value?.detail as unknown
  ])
  expect(heard).toEqual([
    ["peer:connect", 1],
    ["peer:disconnect", 2],
    ["peer:connect", 3]
  ])
  const waiting = events.next()
  await events.return()
  expect([await waiting, await events.next()].map(({ done }) => done)).toEqual([true, true])
  expect([emitter.listenerCount("peer:connect"), emitter.listenerCount("peer:disconnect")]).toEqual([0, 0])
})

test("a full queue loses the oldest and says how many; a loop that is left, and a signal, end it", async () => {
  const { emitter, say } = target()
  const stop = new AbortController()
  const events = hostEvents(emitter, ["peer:connect"], { max: 3, signal: stop.signal })
  for (let i = 1; i <= 10; i++) say("peer:connect", i)
  expect(events.lost).toBe(7)
  const heard: Array<unknown> = []
  for await (const { detail } of events) if (heard.push(detail) === 2) break
  expect([heard, emitter.listenerCount("peer:connect")]).toEqual([[8, 9], 0])
  const others = hostEvents(emitter, ["peer:connect"], { signal: stop.signal })
  const waiting = others.next()
  stop.abort()
  expect([(await waiting).done, emitter.listenerCount("peer:connect")]).toEqual([true, 0])
  // One that is over before it begins hears nothing.
  const late = hostEvents(emitter, ["peer:connect"], { signal: stop.signal })
  expect([(await late.next()).done, emitter.listenerCount("peer:connect")]).toEqual([true, 0])
})
