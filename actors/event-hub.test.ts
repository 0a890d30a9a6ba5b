/** The event hub: replay, what was missed, bounds. */
import { expect, test } from "bun:test"
import { eventStreamsMax, eventsKeptMax } from "../src/limits.ts"
import { EventHub } from "./event-hub.ts"

const peer = (nodeId: string) => ({ type: "peer", nodeId, change: "joined", reason: undefined }) as const

test("a listener hears what comes after, and may catch up from the id it saw last", () => {
  const hub = new EventHub(100)
  hub.publish(peer("a"))
  hub.publish(peer("b"))
  const heard: Array<number> = []
  const stream = hub.listen(100, (event) => heard.push(event.id))!
  expect(stream.missed).toBe(false)
  expect(stream.replay.map((event) => event.id)).toEqual([101])
  hub.publish(peer("c"))
  stream.close()
  hub.publish(peer("d"))
  expect(heard).toEqual([102])
})

test("an id older than what is kept, or of another run, is told as missed", () => {
  const hub = new EventHub(1)
  for (let i = 0; i < eventsKeptMax + 10; i++) hub.publish(peer("x"))
  expect(hub.listen(3, () => {})!.missed).toBe(true)
  expect(hub.listen(eventsKeptMax + 9, () => {})!.missed).toBe(false)
  expect(hub.listen(5_000_000, () => {})!.missed).toBe(true)
})

test("the number of streams is bounded, and a closed one makes room", () => {
  const hub = new EventHub(1)
  const streams = Array.from({ length: eventStreamsMax }, () => hub.listen(undefined, () => {})!)
  expect(hub.listen(undefined, () => {})).toBeUndefined()
  streams[0]!.close()
  expect(hub.listen(undefined, () => {})).toBeDefined()
})
