/** Backups and repairs with the built binary: beside a node that works, killed half way, on disks that are full or take no writes. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { formatSpec } from "../../src/block/genesis.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { ApiError, call } from "../../src/http/client.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { amount } from "../../src/ledger/amount.ts"
import { noData } from "../../src/ledger/payload.ts"
import type { Millis, Nonce } from "../../src/ledger/transaction.ts"
import { signTransfer } from "../../src/ledger/transfer.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { specOf, TestChain } from "../fixtures.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const at = (...names: ReadonlyArray<string>): string => join(home.path, ...names)
const [payer, payee] = [accountKey(devMnemonic, 0), accountKey(devMnemonic, 1)]

const transferOf = (nonce: number) =>
  formatTransfer(
    signTransfer(
      {
        chainId: "cairn-dev",
        recipient: payee.address,
        amount: amount(1),
        fee: amount(1_000),
        nonce: nonce as Nonce,
        time: Date.now() as Millis,
        note: "n".repeat(250),
        data: noData
      },
      payer
    ),
    "crn"
  )

/** Runs a command that must succeed; its answer. */
const ok = async (...args: ReadonlyArray<string>): Promise<Record<string, unknown>> => {
  const { code, out, err } = await run(...args)
  expect([args.join(" "), code, code === 0 ? "" : err]).toEqual([args.join(" "), 0, ""])
  return JSON.parse(out) as Record<string, unknown>
}
/** Runs a command that must fail; exit code and error code. */
const refused = async (...args: ReadonlyArray<string>): Promise<readonly [number, string]> => {
  const { code, err } = await run(...args)
  return [code, (JSON.parse(err.trim().split("\n").at(-1)!) as { error: { code: string } }).error.code]
}

/** Submits until told to stop, or refused; what was acknowledged. */
const payOn = (node: Running) => {
  let going = true
  const acknowledged: Array<string> = []
  const done = (async (): Promise<ApiError | undefined> => {
    for (let nonce = 1; going; nonce++) {
      const one = transferOf(nonce)
      try {
        await call(node.http, "submit", { body: one })
        acknowledged.push(one.id)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        // The queue of one sender is full until the next block.
        if (error.code !== "sender-queue-full") return error
        nonce--
        await Bun.sleep(5)
      }
    }
    return undefined
  })()
  return { acknowledged, refusal: done, stop: () => ((going = false), done) }
}

test("backups are made while blocks come and transfers are acknowledged, and each is a chain that verifies", async () => {
  const node = await begin("--dev", "--data-dir", at("live"), "--seal-every", "0.03", "--no-p2p")
  writeFileSync(at("passphrase"), "correct horse battery\n")
  const paying = payOn(node)
  await until("some are paid", async () => paying.acknowledged.length > 50)
  const folders: Array<readonly [folder: string, acknowledged: number]> = []
  for (const label of ["one", "two"]) {
    const before = paying.acknowledged.length
    folders.push([(await call(node.http, "backup", { body: { label } })).folder, before])
    const own = await ok(
      "backup",
      "--data-dir",
      at("live"),
      "--label",
      label,
      "--passphrase-file",
      at("passphrase"),
      "--out",
      at("own")
    )
    folders.push([String(own["folder"]), before])
  }
  expect(await paying.stop()).toBeUndefined()
  const { backups } = (await call(node.http, "stats")).stats
  expect(backups).toMatchObject({ last: { label: "two" }, failures: 0, last_error: null })
  for (const [i, [folder, before]] of folders.entries()) {
    const data = at(`restored-${i}`)
    const { backup } = (await ok("restore", folder, "--data-dir", data)) as {
      backup: { chain: { height: number; tip_hash: string } }
    }
    const { height, tip_hash } = backup.chain
    expect(await ok("verify", "--data-dir", data)).toMatchObject({ valid: true, height, tip: tip_hash })
    expect((await call(node.http, "blockAt", { params: { height } })).block.hash).toBe(tip_hash)
    const again = new TestChain((await import("../../src/cli/data-folder.ts")).specOf(data), join(data, "chain.db"))
    const lost = paying.acknowledged.slice(0, before).filter((id) => {
      const bytes = Uint8Array.fromHex(id)
      return (
        !again.store.isConfirmed(bytes) &&
        again.store.db.query("SELECT 1 FROM pending WHERE id = ?").get(bytes) === null
      )
    })
    again.store.close()
    expect(lost).toEqual([])
  }
  // With the keys it is the same node elsewhere.
  await ok("restore", folders[3]![0], "--data-dir", at("moved"), "--passphrase-file", at("passphrase"))
  const moved = await begin("--dev", "--data-dir", at("moved"), "--no-p2p")
  expect(moved.ready["node_id"]).toBe(node.ready["node_id"])
  await moved.stop()
  await node.stop()
}, 90_000)

/** A data folder with a chain of so many blocks. */
const folderOf = (name: string, blocks: number): string => {
  const spec = { ...specOf(), history: { stateBlocks: 3 } }
  mkdirSync(at(name))
  writeFileSync(at(name, "spec.json"), JSON.stringify(formatSpec(spec)))
  const chain = new TestChain(spec, at(name, "chain.db"))
  chain.mine(blocks)
  chain.store.close()
  return at(name)
}

/** Runs a command and kills it after so many milliseconds; true: it was not done by then. */
const killed = async (ms: number, ...args: ReadonlyArray<string>): Promise<boolean> => {
  const child = Bun.spawn([binary, ...args], { stdout: "ignore", stderr: "ignore" })
  await Promise.race([child.exited, Bun.sleep(ms)])
  child.kill("SIGKILL")
  await child.exited
  return child.signalCode === "SIGKILL"
}

describe("killed at an instant of chance", () => {
  const dice = makeDice(21)

  test("a backup is there whole or not at all; restore, reindex and import leave the old chain or the new one", async () => {
    const source = folderOf("source", 250)
    mkdirSync(at("torn"))
    const began = performance.now()
    const { folder } = (await ok("backup", "--data-dir", source, "--out", at("whole"))) as { folder: string }
    // What a command takes on this machine as it is now: some are killed before they begin, some at their end.
    const whole = performance.now() - began
    await ok("export", at("blocks"), "--data-dir", source)
    let kills = 0
    for (let round = 0; round < 3; round++) {
      const ms = whole * (0.3 + dice.int(900) / 1_000)
      kills += Number(await killed(ms, "backup", "--data-dir", source, "--out", at("torn")))
      kills += Number(await killed(ms, "reindex", "--data-dir", source))
      expect(await ok("verify", "--data-dir", source)).toMatchObject({ height: 250 })
      const target = at("target")
      kills += Number(await killed(ms, "restore", folder, "--data-dir", target))
      if (existsSync(join(target, "spec.json"))) {
        // What was decided is brought to an end by whoever comes next; before that there is no chain.
        const { code, out } = await run("verify", "--data-dir", target)
        if (code === 0) expect(JSON.parse(out)).toMatchObject({ height: 250 })
        else expect([code, readdirSync(target).includes("chain.db")]).toEqual([5, false])
      }
      rmSync(target, { recursive: true, force: true })
      kills += Number(await killed(ms, "restore", folder, "--data-dir", source, "--replace"))
      expect(await ok("verify", "--data-dir", source)).toMatchObject({ height: 250 })
      kills += Number(
        await killed(ms, "import", at("blocks"), "--data-dir", at("imported"), "--spec", join(source, "spec.json"))
      )
    }
    expect(kills).toBeGreaterThan(3)
    for (const name of readdirSync(at("torn")).filter((one) => !one.startsWith(".")))
      expect(await ok("restore", at("torn", name), "--data-dir", at(`torn-${name}`))).toMatchObject({ replaced: null })
    expect(
      await ok("import", at("blocks"), "--data-dir", at("imported"), "--spec", join(source, "spec.json"))
    ).toMatchObject({ height: 250 })
    expect(await ok("verify", "--data-dir", at("imported"))).toMatchObject({ height: 250 })
  }, 120_000)
})

test("blocks go into a file, which is continued, and out of it; the tip goes back; exit codes say what is wrong", async () => {
  const source = folderOf("files", 40)
  const spec = join(source, "spec.json")
  expect(await ok("export", at("part"), "--data-dir", source, "--to", "25")).toMatchObject({
    from: 1,
    to: 25,
    blocks: 25
  })
  expect(await ok("export", at("part"), "--data-dir", source)).toMatchObject({ from: 26, to: 40, blocks: 15 })
  expect(await refused("import", at("part"), "--data-dir", at("none"))).toEqual([2, "spec-missing"])
  expect(existsSync(at("none"))).toBe(false)
  expect(await ok("import", at("part"), "--data-dir", at("fresh"), "--spec", spec)).toMatchObject({
    blocks: 40,
    known: 0,
    height: 40
  })
  expect(await ok("rollback", "--to", "10", "--data-dir", at("fresh"))).toMatchObject({ from: 40, height: 10 })
  expect(await refused("rollback", "--to", "11", "--data-dir", at("fresh"))).toEqual([3, "height-invalid"])
  expect(await refused("export", at("part"), "--data-dir", at("fresh"))).toEqual([3, "blocks-mismatch"])
  expect(await ok("import", at("part"), "--data-dir", at("fresh"))).toMatchObject({ blocks: 30, known: 10, height: 40 })
  const db = new Database(join(source, "chain.db"))
  db.run("DELETE FROM pages")
  db.close()
  expect(await refused("verify", "--data-dir", source)).toEqual([6, "store-corrupt"])
  expect(await ok("reindex", "--data-dir", source)).toMatchObject({ blocks: 40, refused: 0, unreadable: 0, height: 40 })
  expect(await ok("verify", "--data-dir", source)).toMatchObject({ height: 40 })
  expect(await refused("restore", at("nowhere"), "--data-dir", at("none"))).toEqual([3, "backup-missing"])
  expect(await refused("prune", "--keep", "5", "--data-dir", source)).toEqual([2, "keep-invalid"])
  expect(await refused("backup", "--data-dir", source, "--keep", "0")).toEqual([2, "keep-invalid"])
  expect(await refused("backup", "--data-dir", source, "--no-keys", "--passphrase-file", spec)).toEqual([
    2,
    "passphrase-unneeded"
  ])
}, 60_000)

test("a pruned node serves what it has and says what it lacks; a new node gets all from the peer that is whole", async () => {
  const [whole, pruned] = [folderOf("whole-node", 420), folderOf("pruned-node", 0)]
  await ok("export", at("all"), "--data-dir", whole)
  await ok("import", at("all"), "--data-dir", pruned)
  expect(await ok("prune", "--keep", "300", "--data-dir", pruned)).toMatchObject({ pruned_to: 120, blocks: 120 })
  expect(await refused("verify", "--data-dir", pruned)).toEqual([3, "past-pruned"])
  expect(await refused("reindex", "--data-dir", pruned)).toEqual([3, "past-pruned"])
  expect(await refused("rollback", "--to", "100", "--data-dir", pruned)).toEqual([3, "rollback-pruned"])
  expect(await refused("export", at("cut"), "--data-dir", pruned)).toEqual([3, "block-pruned"])
  expect(await refused("snapshot", "make", "--data-dir", pruned, "--out", at("low"), "--height", "120")).toEqual([
    3,
    "snapshot-height-wrong"
  ])
  expect(await ok("snapshot", "make", "--data-dir", pruned, "--out", at("low"), "--height", "121")).toMatchObject({
    state_height: 120
  })
  expect(await ok("export", at("cut"), "--data-dir", pruned, "--from", "121")).toMatchObject({ blocks: 300 })
  const [a, b] = [await begin("--data-dir", whole), await begin("--data-dir", pruned)]
  const status = (node: Running, height: number) =>
    call(node.http, "blockAt", { params: { height } }).then(
      ({ block }) => block.height,
      (error: ApiError) => error.code
    )
  expect([await status(b, 0), await status(b, 1), await status(b, 120), await status(b, 121)]).toEqual([
    0,
    "block-pruned",
    "block-pruned",
    121
  ])
  expect([(await call(a.http, "info")).capabilities, (await call(b.http, "info")).capabilities]).toMatchObject([
    { full_history: true },
    { full_history: false }
  ])
  const page = await call(b.http, "chain", { query: { cursor: 125, limit: 10 } })
  expect(page.chain.map(({ height }) => height)).toEqual([125, 124, 123, 122, 121])
  expect((await call(b.http, "headers", { query: { from_height: 50, limit: 2 } })).count).toBe(2)
  const fresh = folderOf("fresh-node", 0)
  const c = await begin("--data-dir", fresh, "--p2p-seeds", `${b.peers},${a.peers}`)
  await until("the new node is in step", async () => (await call(c.http, "stats")).stats.blocks === 421)
  const miner = formatAddress(payer.address, "crn")
  await Promise.all([a, b].map((node) => node.stop()))
  // It still seals and saves what it seals.
  const d = await begin("--data-dir", pruned, "--no-p2p")
  const token = await Bun.file(join(pruned, "admin.token")).text()
  expect((await call(d.http, "mine", { body: { miner }, token: token.trim() })).block.height).toBe(421)
  const { backup } = await call(d.http, "backup", { token: token.trim(), body: {} })
  expect(backup.chain.height).toBe(421)
  for (const node of [c, d]) await node.stop()
  expect(await ok("verify", "--data-dir", fresh)).toMatchObject({ height: 420 })
}, 90_000)

const can = (...command: ReadonlyArray<string>): boolean => {
  try {
    return Bun.spawnSync([...command], { stdout: "ignore", stderr: "ignore" }).exitCode === 0
  } catch {
    return false
  }
}
const mount = (folder: string, size: string, ...more: ReadonlyArray<string>): ReadonlyArray<string> => [
  "mount",
  "-t",
  "tmpfs",
  "-o",
  [...more, `size=${size}`].join(","),
  "tmpfs",
  folder
]
const disk = at("disk")
mkdirSync(disk)
const canMount = can(...mount(disk, "1m")) && can("umount", disk)

/** A node whose disk stops to take writes while somebody pays, and takes them again. */
const survive = async (data: string, code: string, stop: () => void, go: () => void): Promise<void> => {
  const node = await begin("--dev", "--data-dir", data, "--seal-every", "0.05", "--no-p2p")
  const paying = payOn(node)
  await until("some are paid", async () => paying.acknowledged.length > 30)
  stop()
  expect((await paying.refusal)?.code).toBe(code)
  const ready = async (): Promise<{ readonly status: number; readonly codes: ReadonlyArray<string> }> => {
    const response = await fetch(`${node.http}/api/ready`)
    const { errors = [] } = (await response.json()) as { errors?: ReadonlyArray<{ code: string }> }
    return { status: response.status, codes: errors.map((one) => one.code) }
  }
  await until("it says so", async () => (await ready()).codes.includes(code))
  expect((await call(node.http, "stats")).stats.state).toMatchObject({ name: "failed", reason: code })
  expect(await (await fetch(`${node.http}/metrics`)).text()).toContain("cairn_storage_writable 0")
  const { chain } = await call(node.http, "chain", { query: { limit: 1 } })
  expect(chain.length).toBe(1)
  go()
  await until("it is ready again", async () => (await ready()).status === 200)
  const height = chain[0]!.height
  await until("it seals again", async () => (await call(node.http, "stats")).stats.blocks > height + 2)
  const lost: Array<string> = []
  for (const id of paying.acknowledged)
    await call(node.http, "transaction", { params: { id } }).catch(() => void lost.push(id))
  expect(lost).toEqual([])
  expect(node.printed()).not.toContain('"the chain failed')
  await node.stop()
  expect((await run("verify", "--data-dir", data)).code).toBe(0)
}

test.if(canMount)(
  "a full disk is said, waited out, and loses nothing",
  async () => {
    expect(can(...mount(disk, "1m"))).toBe(true)
    try {
      await survive(
        join(disk, "data"),
        "disk-full",
        () => {},
        () => void can(...mount(disk, "64m", "remount"))
      )
    } finally {
      can("umount", "-l", disk)
    }
  },
  60_000
)

writeFileSync(at("immutable"), "")
const canLock = can("chattr", "+i", at("immutable")) && can("chattr", "-i", at("immutable"))

test.if(canLock)(
  "a disk that takes no writes is said, waited out, and loses nothing",
  async () => {
    const data = at("read-only")
    const files = ["chain.db", "chain.db-wal"].map((name) => join(data, name))
    try {
      await survive(
        data,
        "storage-read-only",
        () => void can("chattr", "+i", ...files),
        () => void can("chattr", "-i", ...files)
      )
    } finally {
      can("chattr", "-i", ...files)
    }
  },
  60_000
)

test("a backup that cannot be written is a refusal, and the node goes on", async () => {
  const node = await begin("--dev", "--data-dir", at("unwritable"), "--no-p2p")
  writeFileSync(at("unwritable", "backups"), "a file where the folder should be")
  chmodSync(at("unwritable", "backups"), 0o400)
  await expect(call(node.http, "backup", { body: {} })).rejects.toMatchObject({ status: 500, code: "backup-failed" })
  rmSync(at("unwritable", "backups"))
  expect((await call(node.http, "backup", { body: {} })).message).toBe("The backup is made.")
  expect((await call(node.http, "stats")).stats.backups).toMatchObject({ failures: 1, last_error: null })
  await node.stop()
}, 30_000)
