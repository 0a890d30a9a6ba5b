/** The thread door on real threads: answers come back, an end of any kind is heard once, one of our making is not. */
import { expect, test } from "bun:test"
import { startBunThread } from "../../src/io/worker.ts"

const start = () => {
  const heard: Array<string> = []
  let next = Promise.withResolvers<void>()
  const note = (what: string): void => {
    heard.push(what)
    next.resolve()
    next = Promise.withResolvers()
  }
  const thread = startBunThread<string, string>("test/process/ending-worker.ts", {
    message: note,
    failed: (reason) => note(`failed: ${reason}`)
  })
  return { heard, thread, once: () => next.promise }
}

test("a thread answers", async () => {
  const { heard, thread, once } = start()
  thread.post("hello")
  await once()
  thread.terminate()
  expect(heard).toEqual(["hello"])
})

for (const [order, reason] of [
  ["exit", "it has ended"],
  ["throw", "planted"]
] as const)
  test(`a thread that is told to ${order} is heard once, and one that was terminated is not`, async () => {
    const terminated = start()
    terminated.thread.post("hello")
    await terminated.once()
    terminated.thread.terminate()
    const ended = start()
    ended.thread.post(order)
    await ended.once()
    // By the time at which a further thread has answered, whatever else the two had to say has come.
    const last = start()
    last.thread.post("hello")
    await last.once()
    last.thread.terminate()
    expect(ended.heard.length).toBe(1)
    expect(ended.heard[0]).toContain(reason)
    expect(terminated.heard).toEqual(["hello"])
  })
