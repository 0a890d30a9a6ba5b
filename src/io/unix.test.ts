/** Real sockets on a real disk: whose they are, how they end, what a dead process leaves. */
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { until } from "../../test/network.ts"
import { dialUnix, listenUnix, type UnixLink } from "./unix.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-unix-"))
afterAll(() => rmSync(folder, { recursive: true }))

/** Says every line back, and keeps what it heard of each connection. */
const echo = async (path: string) => {
  const heard: Array<string> = []
  const { close } = await listenUnix(path, 20, (link) => {
    link.write("hello")
    return {
      line: (text) => void link.write(text),
      tooLong: () => void link.write("too long"),
      closed: (why) => void heard.push(why)
    }
  })
  return { close, heard }
}

const dial = (path: string) => {
  const heard: Array<string> = []
  let link: UnixLink | undefined
  dialUnix(path, 20, {
    opened: (opened) => void (link = opened),
    line: (text) => void heard.push(text),
    closed: (reason) => void heard.push(`closed: ${reason}`)
  })
  return { heard, link: () => link! }
}

test("only the owner may connect; lines go both ways; who ends is seen by the other", async () => {
  const path = join(folder, "one.sock")
  const server = await echo(path)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const { heard, link } = dial(path)
  await until("the greeting", () => heard.length === 1)
  expect([link().write("one"), link().write("two")]).toEqual([true, true])
  await until("both lines", () => heard.length === 3)
  expect(heard).toEqual(["hello", "one", "two"])
  link().end()
  await until("the end", () => server.heard.length === 1 && heard.length === 4)
  expect([server.heard, heard.at(-1), link().write("late")]).toEqual([
    ["closed by the other side"],
    "closed: ended by us",
    false
  ])
  server.close()
  expect(existsSync(path)).toBe(false)
})

test("a line that is too long is answered and ends the connection", async () => {
  const path = join(folder, "long.sock")
  const server = await echo(path)
  const { heard, link } = dial(path)
  await until("the greeting", () => heard.length === 1)
  link().write("x".repeat(21))
  await until("the end", () => heard.length === 3)
  expect(heard).toEqual(["hello", "too long", "closed: closed by the other side"])
  server.close()
})

test("nobody there: closed is called once, with the reason", async () => {
  const { heard } = dial(join(folder, "none.sock"))
  await until("the reason", () => heard.length > 0)
  await Bun.sleep(20)
  expect(heard).toEqual(["closed: Failed to connect"])
})

test("what a dead process left is taken over; what one uses, and what is no socket, is not", async () => {
  const path = join(folder, "left.sock")
  const script = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); process.kill(process.pid, "SIGKILL")`
  await Bun.spawn([process.execPath, "-e", script]).exited
  expect(existsSync(path)).toBe(true)
  const server = await echo(path)
  await expect(echo(path)).rejects.toThrow("Cannot listen on")
  const { heard } = dial(path)
  await until("the greeting", () => heard[0] === "hello")
  server.close()
  const file = join(folder, "file.sock")
  writeFileSync(file, "a file")
  await expect(echo(file)).rejects.toThrow("Cannot listen on")
  expect(existsSync(file)).toBe(true)
})
