/** Data folders on disk for tests of backups: a chain that grows, its backup, and a restore of it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { type ChainSpec, formatSpec, parseSpec } from "../src/block/genesis.ts"
import { makeRules, type Rules } from "../src/chain/rules.ts"
import { type Backup, type BackupWish, makeBackup } from "../src/store/backup.ts"
import { type Restored, restoreBackup, type RestoreWish } from "../src/store/restore.ts"
import { makeDice } from "../src/sim/dice.ts"
import { specOf, TestChain } from "./fixtures.ts"

const dice = makeDice(77)

/** A folder that its suite removes. */
export class Home {
  readonly path = mkdtempSync(join(tmpdir(), "cairn-storage-"))
  readonly remove = (): void => rmSync(this.path, { recursive: true, force: true })
  readonly at = (...names: ReadonlyArray<string>): string => join(this.path, ...names)

  /** A data folder with a chain of so many blocks, open. */
  chain(name: string, blocks: number, spec: ChainSpec = specOf()): TestChain {
    const folder = this.at(name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "spec.json"), `${JSON.stringify(formatSpec(spec), null, 2)}\n`)
    const chain = new TestChain(spec, join(folder, "chain.db"))
    chain.mine(blocks)
    return chain
  }

  backup(name: string, wish: Partial<BackupWish> = {}): Promise<Backup> {
    return makeBackup({
      dataDir: this.at(name),
      folder: this.at("backups"),
      label: undefined,
      keep: undefined,
      passphrase: undefined,
      salt: dice.bytes(32),
      iv: dice.bytes(12),
      chainId: "test",
      node: { node_id: "node1x", node_url: "" },
      version: "0",
      now: Date.UTC(2026, 10, 21, 17),
      ...wish
    })
  }

  restore(from: string, name: string, wish: Partial<RestoreWish> = {}): Promise<Restored> {
    return restoreBackup({
      from,
      dataDir: this.at(name),
      replace: false,
      passphrase: undefined,
      now: Date.UTC(2026, 10, 21, 18),
      rulesOf: rulesOfText,
      progress: () => {},
      ...wish
    })
  }
}

/** The rules of a spec's text. */
export const rulesOfText = (text: string): Rules => {
  const parsed = parseSpec(JSON.parse(text))
  if (Result.isFailure(parsed)) throw new Error(JSON.stringify(parsed.failure))
  return makeRules(parsed.success)
}

/** The code of what a promise fails with; "ok" if it does not. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "ok",
    (error: { readonly code?: string; readonly name: string }) => error.code ?? error.name
  )
