/** The built binary, recorded: two nodes that talk, pay and seal, one killed; their recordings run again, changed ones do not. */
import { beforeAll, describe, expect, test } from "bun:test"
import { Database } from "bun:sqlite"
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce } from "../../src/ledger/transaction.ts"
import { signTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"

const { home, begin: beginWith } = suite()
const begin = (...args: ReadonlyArray<string>): Promise<Running> => beginWith("--dev", ...args)

const [a, b] = [join(home.path, "flight-a"), join(home.path, "flight-b")]
const payee = accountKey(devMnemonic, 2)
const payment = (payer: number, nonce: number) => {
  const fields = { amount: 1000 as Amount, fee: 1000 as Amount, time: Date.now() as Millis, note: "" }
  const named = { chainId: "cairn-dev", recipient: payee.address, nonce: nonce as Nonce, ...fields }
  return signTransfer(named, accountKey(devMnemonic, payer))
}
const pay = (node: Running, payer: number, nonce: number) =>
  call(node.http, "submit", { body: formatTransfer(payment(payer, nonce), "crn") })
const tipOf = async ({ http }: Running) => (await call(http, "stats")).stats.last_block_hash
const rootAt = async ({ http }: Running, hash: string): Promise<string> => {
  const text = JSON.stringify(await (await fetch(`${http}/api/blocks/hash/${hash}`)).json())
  return /"state_root":"([0-9a-f]{64})"/.exec(text)![1]!
}

interface Line {
  readonly outcome: string
  readonly height: number
  readonly tip: string
  readonly state_root: string
  readonly digest: string
  readonly messages: number
  readonly entries: number
  readonly stopped: boolean
  readonly divergence: { readonly entry: number; readonly expected: string; readonly found: string } | null
}

/** Replays and gives the exit code, each line, and the code of the failure. */
const replay = async (...args: ReadonlyArray<string>) => {
  const { code, out, err } = await run("replay", ...args)
  const lines = out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]))
  const failed = err.split("\n").find((line) => line.includes('"error"'))
  const error = failed === undefined ? undefined : (JSON.parse(failed).error.code as string)
  return { code, lines, error }
}

/** A copy of a recording that may be spoiled. */
const copyOf = (name: string): string => {
  const copy = join(home.path, name)
  cpSync(a, copy, { recursive: true })
  return join(copy, "epoch-000001")
}

let told: { readonly tip: string; readonly root: string }

beforeAll(async () => {
  const first = await begin("--data-dir", join(home.path, "a"), "--record", a)
  const seeds = ["--p2p-seeds", first.peers]
  const second = await begin("--data-dir", join(home.path, "b"), "--record", b, ...seeds)
  await until("a session", async () => (await call(first.http, "stats")).stats.peers === 1)
  // Each seals what it is given at once: so they fork, and come together again.
  for (let nonce = 1; nonce <= 5; nonce++) await Promise.all([pay(first, 0, nonce), pay(second, 1, nonce)])
  // Two branches of equal work stand until one grows.
  await until("both agree, and all is confirmed", async () => {
    const [one, other] = await Promise.all([first, second].map(async ({ http }) => (await call(http, "stats")).stats))
    const waiting = one!.pending_transactions + other!.pending_transactions
    const agreed = one!.last_block_hash === other!.last_block_hash
    if (agreed && one!.committed_transactions === 10 && waiting === 0) return true
    await call(first.http, "mine", { body: {} }).catch(() => undefined)
    return false
  })
  const tip = await tipOf(first)
  told = { tip, root: await rootAt(first, tip) }
  await first.stop("SIGKILL")
  await until("the other has heard of it", async () => (await call(second.http, "stats")).stats.peers === 0)
  await second.stop()
}, 60_000)

describe("a recording", () => {
  test("of a node that was killed runs again to what it had told its callers, with one digest", async () => {
    const { code, lines } = await replay(a)
    expect([code, lines.length]).toEqual([0, 1])
    expect(lines[0]).toMatchObject({ outcome: "identical", tip: told.tip, state_root: told.root, divergence: null })
    expect((await replay(a)).lines[0]!.digest).toBe(lines[0]!.digest)
  }, 30_000)

  test("of a node that was stopped runs again to the same tip", async () => {
    const { code, lines } = await replay(b)
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({ outcome: "identical", tip: told.tip, state_root: told.root })
  }, 30_000)

  test("shows an actor's messages, and stops where it is told to", async () => {
    const { code, lines } = await replay(a, "--trace", "chain", "--until", "2")
    expect(code).toBe(0)
    const messages = lines.slice(0, -1) as unknown as ReadonlyArray<{ readonly actor: string; readonly kind: string }>
    expect(new Set(messages.map(({ actor }) => actor))).toEqual(new Set(["chain"]))
    expect(messages.some(({ kind }) => kind === "OfferBlock")).toBe(true)
    expect(lines.at(-1)).toMatchObject({ outcome: "identical", stopped: true, height: 2 })
    const few = await replay(a, "--until", "step:50")
    expect(few.lines[0]).toMatchObject({ stopped: true, entries: 50 })
  }, 30_000)

  test("with a flipped byte is not believed", async () => {
    const epoch = copyOf("flipped")
    const path = join(epoch, "000001.log")
    const bytes = readFileSync(path)
    bytes[Math.floor(bytes.length * 0.7)]! ^= 1
    writeFileSync(path, bytes)
    const { code, lines, error } = await replay(epoch)
    expect([code, error, lines[0]!.outcome]).toEqual([1, "journal-damaged", "damaged"])
  }, 30_000)

  test("that is cut off runs again as far as it goes", async () => {
    const epoch = copyOf("torn")
    const path = join(epoch, "000001.log")
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / 2)))
    const { code, lines } = await replay(epoch)
    expect([code, lines[0]!.outcome]).toEqual([0, "identical"])
    expect(lines[0]!.height).toBeGreaterThan(0)
  }, 30_000)

  test("over another database differs, and says where", async () => {
    const epoch = copyOf("changed")
    const db = new Database(join(epoch, "chain.db"))
    const { id, bytes } = payment(1, 1)
    db.run("INSERT INTO pending (id, bytes, received) VALUES (?, ?, ?)", [id, bytes, Date.now()])
    db.close()
    const { code, lines, error } = await replay(epoch)
    expect([code, error, lines[0]!.outcome]).toEqual([1, "replay-diverged", "diverged"])
    expect(lines[0]!.divergence!.expected).not.toBe(lines[0]!.divergence!.found)
  }, 30_000)

  test("goes on in a new epoch when the node starts again", async () => {
    const node = await begin("--data-dir", join(home.path, "a"), "--record", a)
    await pay(node, 0, 6)
    await call(node.http, "mine", { body: {} })
    const tip = await tipOf(node)
    await node.stop("SIGKILL")
    expect(readdirSync(a).sort()).toEqual(["epoch-000001", "epoch-000002"])
    const { code, lines } = await replay(a)
    expect(code).toBe(0)
    expect(lines.map(({ outcome }) => outcome)).toEqual(["identical", "identical"])
    expect(lines[1]!.tip).toBe(tip)
  }, 30_000)
})

test("what cannot be recorded or replayed ends with a code of its own", async () => {
  const wrong = await replay(a, "--until", "tomorrow")
  expect([wrong.code, wrong.error]).toEqual([2, "until-invalid"])
  const nothing = await replay(join(home.path, "nothing"))
  expect([nothing.code, nothing.error]).toEqual([1, "recording-missing"])
  const file = join(home.path, "file")
  writeFileSync(file, "")
  const free = ["--http-port", "0", "--p2p-port", "0"]
  const refused = await run("start", "--dev", ...free, "--data-dir", join(home.path, "c"), "--record", file)
  expect([refused.code, refused.err.includes("record-failed")]).toEqual([1, true])
}, 30_000)
