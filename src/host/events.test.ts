/** Event targets of our own: as the native ones behave, and quieter where a listener throws. */
import { expect, test } from "bun:test"
import { Emitter, StreamMessage } from "./events.ts"

type Events = { message: StreamMessage; news: CustomEvent<number> }

test("an event says at whom it was dispatched; a listener is there once, as long as its signal, or for one event", () => {
  const errors: Array<string> = []
  const emitter = new Emitter<Events>((where) => errors.push(where))
  const heard: Array<string> = []
  const gone = new AbortController()
  const plain = ({ detail, target, currentTarget }: CustomEvent<number>): void => {
    heard.push(`plain ${detail} ${target === emitter} ${currentTarget === emitter}`)
  }
  emitter.addEventListener("news", plain)
  emitter.addEventListener("news", plain)
  emitter.addEventListener("news", () => heard.push("signal"), { signal: gone.signal })
  emitter.addEventListener("news", () => heard.push("once"), { once: true })
  emitter.addEventListener("news", (event) => event.preventDefault())
  expect(emitter.listenerCount("news")).toBe(4)
  expect(emitter.safeDispatchEvent("news", { detail: 1, cancelable: true })).toBe(false)
  gone.abort()
  emitter.safeDispatchEvent("news", { detail: 2 })
  emitter.removeEventListener("news", plain)
  emitter.safeDispatchEvent("news", { detail: 3 })
  expect([heard, emitter.listenerCount("news"), errors]).toEqual([
    ["plain 1 true true", "signal", "once", "plain 2 true true"],
    1,
    []
  ])
  expect([emitter instanceof EventTarget, emitter.safeDispatchEvent("message")]).toEqual([true, true])
})

test("who listens while an event is told hears the next one", () => {
  const emitter = new Emitter<Events>(() => {})
  const heard: Array<string> = []
  emitter.addEventListener(
    "message",
    () => {
      heard.push("first")
      emitter.addEventListener("message", () => heard.push("second"))
    },
    { once: true }
  )
  emitter.dispatchEvent(new StreamMessage(new Uint8Array(1)))
  emitter.dispatchEvent(new StreamMessage(new Uint8Array(1)))
  expect(heard).toEqual(["first", "second"])
})
