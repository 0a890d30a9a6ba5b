/** The library's log where it comes out: what form, and what becomes of it when nobody reads. */
import { expect, test } from "bun:test"
import { environmentLogger } from "./log.ts"

const output = (isTTY: boolean) => {
  const lines: Array<string> = []
  return { lines, isTTY, writableLength: 0, write: (text: string) => lines.push(text) }
}

test("nothing is asked for: no logger; a level that there is not: a fault", () => {
  expect(environmentLogger({}, output(true))).toBeUndefined()
  expect(() => environmentLogger({ LIBP2P_LOG: "loud" }, output(true))).toThrow("is no level")
})

test("JSON in a pipe, text on a terminal, colours where they are wanted", () => {
  for (const [isTTY, NO_COLOR, expected] of [
    [false, "", '{"timestamp":"1970-01-01T00:00:00.005Z","level":"warn","subsystem":"dial","message":"to x"}\n'],
    [true, "1", "00:00:00.005 warn  dial       to x\n"],
    [true, "", "00:00:00.005 \x1b[33mwarn \x1b[0m dial       to x\n"]
  ] as const) {
    const out = output(isTTY)
    const logger = environmentLogger({ LIBP2P_LOG: "warn", NO_COLOR }, out, () => 5)
    const log = logger?.forComponent("libp2p:dial") as unknown as {
      warn(...line: ReadonlyArray<unknown>): void
      info(): void
    }
    log.warn("to %s", "x")
    log.info()
    expect(out.lines).toEqual([expected])
  }
})

test("a reader that does not keep up loses lines, and is told how many", () => {
  const out = output(false)
  const log = environmentLogger({ LIBP2P_LOG: "debug" }, out, () => 5)?.forComponent("libp2p:dial")
  out.writableLength = 1 << 21
  log?.("lost")
  log?.("lost too")
  out.writableLength = 0
  log?.("heard")
  log?.("again")
  expect(out.lines.map((line) => JSON.parse(line).message)).toEqual(["2 lines were left out", "heard", "again"])
})
