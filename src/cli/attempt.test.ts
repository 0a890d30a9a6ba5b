/** What errors of the store mean for the end of a command. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { corrupt, StoreFault } from "../store/db.ts"
import { attempt } from "./attempt.ts"
import { exits } from "./failure.ts"

const exitOf = async (error: Error): Promise<readonly [code: string, exit: number]> => {
  const failed = await Effect.runPromise(
    Effect.flip(
      attempt(() => {
        throw error
      })
    )
  )
  return [failed.code, exits[failed.exit]]
}

test("a damaged chain ends with 6, a folder that cannot be used with 5", async () => {
  expect(await exitOf(corrupt("page 7"))).toEqual(["store-corrupt", 6])
  for (const code of ["store-unusable", "data-folder-locked", "schema-newer", "chain-mismatch"] as const)
    expect(await exitOf(new StoreFault(code, "", ""))).toEqual([code, 5])
})
