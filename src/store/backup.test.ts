/** Backups of real folders: consistent beside a writer, whole or not there, and nothing of them can change unnoticed. */
import { Database } from "bun:sqlite"
import { afterAll, describe, expect, test } from "bun:test"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { codeOf, Home } from "../../test/backups.ts"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import { auditChain } from "./audit.ts"
import { listBackups } from "./backup.ts"
import { formatManifest } from "./backup-form.ts"
import { lockFolder } from "./lock.ts"
import { migrations } from "./schema.ts"
import { insertPending, loadPending } from "./pending.ts"

const home = new Home()
afterAll(home.remove)

const modeOf = (path: string): number => statSync(path).mode & 0o777
const open = (name: string): TestChain => new TestChain(specOf(), home.at(name, "chain.db"))

describe("a backup", () => {
  test("is the last commit, while the writer goes on; restored it is the same chain, and its promises", async () => {
    const chain = home.chain("live", 20)
    const promised = transfer({ from: 0, to: 1, nonce: 1 })
    chain.store.decide(() => insertPending(chain.store.db, [promised], chain.now))
    const making = home.backup("live")
    const before = chain.dump()
    const { path, manifest } = await making
    chain.mine(5)
    const tip = manifest.chain
    expect([tip.height, tip.blocks, tip.tip_hash, tip.cumulative_work]).toEqual([
      20,
      21,
      chain.store.bestAt(20)!.header.id,
      String(chain.store.bestAt(20)!.work)
    ])
    const { keys, aside } = await home.restore(path, "restored")
    const again = open("restored")
    expect([keys, aside, again.dump()]).toEqual([0, undefined, before])
    expect(loadPending(again.store.db).length).toBe(1)
    expect(auditChain(again.store, again.rules)).toBe(5)
    // Black-box case 8 of the reference system: the same tip and work, and it goes on.
    again.mine(1, [promised])
    expect(again.store.isConfirmed(promised.id)).toBe(true)
    for (const one of [chain, again]) one.store.close()
  })

  test("is for its owner alone", async () => {
    home.chain("modes", 1).store.close()
    const { path } = await home.backup("modes", { folder: home.at("private") })
    expect([modeOf(home.at("private")), modeOf(path)]).toEqual([0o700, 0o700])
    expect(readdirSync(path).map((name) => modeOf(join(path, name)))).toEqual([0o600, 0o600, 0o600])
  })

  test("that fails leaves nothing, and what a killed one has left long ago goes with it", async () => {
    home.chain("partial", 1).store.close()
    const folder = home.at("partials")
    const now = Date.now()
    for (const name of [".snapshot-old.1.partial", ".snapshot-new.1.partial"]) {
      mkdirSync(join(folder, name), { recursive: true })
      writeFileSync(join(folder, name, "chain.db"), "half")
    }
    const longAgo = (now - 2 * 3_600_000) / 1000
    for (const path of ["chain.db", "."]) utimesSync(join(folder, ".snapshot-old.1.partial", path), longAgo, longAgo)
    renameSync(home.at("partial", "spec.json"), home.at("partial", "gone"))
    expect(await codeOf(home.backup("partial", { folder, now }))).toBe("backup-failed")
    renameSync(home.at("partial", "gone"), home.at("partial", "spec.json"))
    // Somebody may be at work on the newer one.
    expect(readdirSync(folder)).toEqual([".snapshot-new.1.partial"])
  })

  test("of one label makes room for the next; those of others, and what is none, stay", async () => {
    home.chain("kept", 1).store.close()
    const folder = home.at("retention")
    const at = (hour: number, wish: Parameters<typeof home.backup>[1] = {}) =>
      home.backup("kept", { folder, keep: 2, now: Date.UTC(2026, 10, 21, hour), ...wish })
    await at(1, { node: { node_id: "another", node_url: "" } })
    await at(1, { label: "other" })
    mkdirSync(join(folder, "snapshot-20200101T000000Z"))
    for (const hour of [2, 3, 4, 4]) await at(hour)
    expect(readdirSync(folder).sort()).toEqual([
      "other-20261121T010000Z",
      "snapshot-20200101T000000Z",
      "snapshot-20261121T010000Z",
      "snapshot-20261121T040000Z",
      "snapshot-20261121T040000Z-2"
    ])
    expect(listBackups(folder).length).toBe(4)
  })
})

describe("keys", () => {
  const secret = "0".repeat(63) + "1"
  const fill = (name: string): void => {
    home.chain(name, 1).store.close()
    for (const folder of ["identity", "keystore"]) mkdirSync(home.at(name, folder), { recursive: true })
    writeFileSync(home.at(name, "identity", "node.key"), secret)
    writeFileSync(home.at(name, "keystore", "main.json"), "{}")
    writeFileSync(home.at(name, "keystore", "crn1x.signed.json"), "old")
    writeFileSync(home.at(name, "admin.token"), "token")
  }

  test("are left out without a passphrase, and nowhere in the clear with one", async () => {
    fill("keys")
    const without = await home.backup("keys", { folder: home.at("without") })
    expect([without.manifest.keys, existsSync(join(without.path, "keys.json"))]).toEqual(["left-out", false])
    const { path } = await home.backup("keys", { folder: home.at("with"), passphrase: "correct horse" })
    for (const name of readdirSync(path)) expect(readFileSync(join(path, name), "latin1")).not.toContain(secret)
    expect(await codeOf(home.restore(path, "wrong", { passphrase: "correct mule" }))).toBe("PassphraseWrong")
    expect(existsSync(home.at("wrong"))).toBe(false)
    expect((await home.restore(path, "opened", { passphrase: "correct horse" })).keys).toBe(2)
    expect(readFileSync(home.at("opened", "identity", "node.key"), "utf8")).toBe(secret)
    expect([modeOf(home.at("opened", "identity", "node.key")), modeOf(home.at("opened"))]).toEqual([0o600, 0o700])
    // An old book of signatures is worse than none (decision 23); tokens are made anew.
    expect([
      existsSync(home.at("opened", "keystore", "crn1x.signed.json")),
      existsSync(home.at("opened", "admin.token"))
    ]).toEqual([false, false])
  }, 30_000)

  test("and books that are there stay, unless keys are asked for by name; the old ones are kept beside", async () => {
    fill("own")
    const { path } = await home.backup("own", { folder: home.at("own-backups"), passphrase: "correct horse" })
    writeFileSync(home.at("own", "identity", "node.key"), "newer")
    writeFileSync(home.at("own", "keystore", "crn1x.signed.json"), "newest")
    expect((await home.restore(path, "own", { replace: true })).keys).toBe(0)
    expect(readFileSync(home.at("own", "identity", "node.key"), "utf8")).toBe("newer")
    const { aside } = await home.restore(path, "own", { replace: true, passphrase: "correct horse" })
    expect(readFileSync(home.at("own", "identity", "node.key"), "utf8")).toBe(secret)
    expect(readFileSync(join(aside!, "identity", "node.key"), "utf8")).toBe("newer")
    expect(readFileSync(home.at("own", "keystore", "crn1x.signed.json"), "utf8")).toBe("newest")
  }, 30_000)
})

describe("a restore", () => {
  const prepare = async (name: string) => {
    home.chain(name, 3).store.close()
    return home.backup(name, { folder: home.at(`${name}-backups`), passphrase: "correct horse" })
  }

  test("notices every byte that was changed, and every file that is cut off, longer or gone; the folder stays as it was", async () => {
    const { path } = await prepare("flipped")
    const dice = makeDice(5)
    for (const name of readdirSync(path)) {
      const file = join(path, name)
      const good = readFileSync(file)
      const places = Array.from({ length: 60 }, () => dice.int(good.length))
      const bad: Array<Uint8Array | undefined> = [
        undefined,
        good.subarray(0, -1),
        Buffer.concat([good, good.subarray(0, 1)])
      ]
      for (const at of places) {
        const one = Buffer.from(good)
        one[at]! ^= 1 << dice.int(8)
        bad.push(one)
      }
      for (const bytes of bad) {
        if (bytes === undefined) rmSync(file)
        else writeFileSync(file, bytes)
        const code = await codeOf(home.restore(path, "untouched"))
        expect([name, code, existsSync(home.at("untouched"))]).toEqual([name, expect.stringMatching(/^backup-/), false])
      }
      writeFileSync(file, good)
    }
    expect(await codeOf(home.restore(path, "untouched"))).toBe("ok")
  }, 60_000)

  test("checks what the manifest says of the chain, even where its own check is right", async () => {
    const { path, manifest } = await prepare("liar")
    const write = (change: object): void =>
      writeFileSync(join(path, "manifest.json"), formatManifest({ ...manifest, ...change }))
    const { chain, program } = manifest
    for (const change of [
      { chain: { ...chain, height: 2 } },
      { chain: { ...chain, cumulative_work: "1" } },
      { chain: { ...chain, tip_hash: chain.genesis } },
      { chain: { ...chain, chain_id: "else" } },
      { program: { ...program, schema: 3 } }
    ]) {
      write(change)
      expect(await codeOf(home.restore(path, "deceived"))).toBe("backup-damaged")
    }
    write({ program: { ...program, schema: 99 } })
    expect(await codeOf(home.restore(path, "deceived"))).toBe("backup-newer")
    expect(existsSync(home.at("deceived"))).toBe(false)
  })

  test("refuses a folder of another chain, one that is used, one that is in use, and what is no backup", async () => {
    const { path } = await prepare("source")
    home.chain("foreign", 0, specOf({ chainId: "foreign" })).store.close()
    rmSync(home.at("foreign", "chain.db"))
    expect(await codeOf(home.restore(path, "foreign"))).toBe("backup-mismatch")
    expect(await codeOf(home.restore(path, "source"))).toBe("store-exists")
    const lock = lockFolder(home.at("source"))
    expect(await codeOf(home.restore(path, "source", { replace: true }))).toBe("data-folder-locked")
    lock.release()
    expect(await codeOf(home.restore(home.path, "nothing"))).toBe("backup-missing")
    expect(await codeOf(home.restore(home.at("nowhere"), "nothing"))).toBe("backup-missing")
    expect(existsSync(home.at("nothing"))).toBe(false)
  })

  test("replaces by word only, and keeps what was there", async () => {
    const { path } = await prepare("old")
    const chain = open("old")
    chain.mine(4)
    const newest = chain.store.tip().header.id
    chain.store.close()
    const { aside } = await home.restore(join(path, "manifest.json"), "old", { replace: true })
    const now = open("old")
    expect<number>(now.store.tip().header.height).toBe(3)
    now.store.close()
    const before = new TestChain(specOf(), join(aside!, "chain.db"))
    expect(before.store.tip().header.id).toBe(newest)
    before.store.close()
  })
})

test("a folder of an older program is backed up as it is, and brought to our schema by the restore; of a newer one it is refused", async () => {
  home.chain("older", 2).store.close()
  const older = new Database(home.at("older", "chain.db"))
  for (const table of ["checkpoint_votes", "certificates", "vote_offences"]) older.run(`DROP TABLE ${table}`)
  older.run(`PRAGMA user_version = ${migrations.length - 1}`)
  older.close()
  const { path, manifest } = await home.backup("older")
  expect([manifest.program.schema, manifest.chain.height]).toEqual([migrations.length - 1, 2])
  await home.restore(path, "newer")
  const chain = open("newer")
  expect<number>(chain.store.tip().header.height).toBe(2)
  chain.store.db.run(`PRAGMA user_version = ${migrations.length + 1}`)
  chain.store.close()
  expect(await codeOf(home.backup("newer"))).toBe("schema-newer")
})
