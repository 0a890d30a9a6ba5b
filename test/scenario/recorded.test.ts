/** Runs that have failed once and were made small, as `cairn sim --shrink` writes them. They hold now; each file's name says what it showed. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { Glob } from "bun"
import { loadEngine } from "../../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../../src/crypto/signature.ts"
import { readText } from "../../src/io/files.ts"
import { RecordedChoices } from "../../src/sim/choices.ts"
import { parseRecording, recordingBytesMax } from "../../src/sim/recording.ts"
import { simulate } from "../../src/sim/run.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const folder = join(import.meta.dir, "recorded")
const files = [...new Glob("*.json").scanSync(folder)].sort()

test.each(files)("%s", (file) => {
  const recording = parseRecording(readText(join(folder, file), recordingBytesMax))
  if ("wrong" in recording) throw new Error(recording.wrong)
  expect(recording.failure).toBeString()
  const { plan, choices } = recording
  const report = simulate(plan, choices === undefined ? {} : { choices: new RecordedChoices(choices) })
  expect(report.failure).toBeUndefined()
}, 60_000)

test("there are some", () => expect(files.length).toBeGreaterThan(0))
